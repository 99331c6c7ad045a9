//! Reads `include`, `[pack]`, `[overlay]` and `[[change]]`.

use jiff::Timestamp;

use super::fields::{CHANGE, OVERLAY, PACK};
use super::reader::{At, Fields, Reader, Value};
use super::{File, RawChange, RawOverlay, RawPack, RawRequirement};
use crate::policy::Version;
use crate::rule::overlay::Period;
use crate::vocabulary::{Action, Mode, Severity};

impl Reader<'_> {
    pub(super) fn packs_and_overlays(&mut self, top: Fields<'_, '_>, file: &mut File) {
        if let Some(value) = top.get("include") {
            file.include = self.texts("include", value);
        }
        file.pack = self
            .single("pack", &PACK, top)
            .and_then(|pack| self.pack(pack));
        file.overlay = self.single("overlay", &OVERLAY, top).and_then(|overlay| {
            let place = top.get("overlay").map(|value| value.span());
            self.overlay(overlay, place.unwrap_or_default())
        });
        file.changes = self.array("change", &CHANGE, top, |reader, item, change| {
            reader.change(item, change)
        });
        if let (Some(value), None) = (top.get("change"), top.get("overlay")) {
            let problem = self
                .problem(value.span(), "only an overlay changes rules")
                .expected("`[overlay]` with its id, owner and reason");
            self.report(problem);
        }
        for other in ["defaults", "listener", "policy"] {
            if let (Some(value), Some(_)) = (top.get(other), top.get("overlay")) {
                let problem = self
                    .problem(value.span(), format!("an overlay has no `[{other}]`"))
                    .expected("`[[change]]`, `[[rule]]` and what these need");
                self.report(problem);
            }
        }
    }

    fn pack(&mut self, fields: Fields<'_, '_>) -> Option<RawPack> {
        let id = fields.get("id").and_then(|value| self.text("id", value));
        let version = fields
            .get("version")
            .and_then(|value| self.text("version", value));
        let version = version.and_then(|text| self.version(&text, &text.value));
        let mut requires = Vec::new();
        for text in fields
            .get("requires")
            .map(|value| self.texts("requires", value))
            .unwrap_or_default()
        {
            let (id, least) = match text.value.split_once(">=") {
                Some((id, version)) => (id.trim(), self.version(&text, version.trim())),
                None => (text.value.trim(), Some(Version([0; 3]))),
            };
            requires.extend(least.map(|least| RawRequirement {
                id: self.at(text.span.bytes.clone(), id.to_owned()),
                least,
            }));
        }
        Some(RawPack {
            id: id?,
            version: version?,
            requires,
        })
    }

    fn version(&mut self, place: &At<String>, text: &str) -> Option<Version> {
        let version = Version::parse(text);
        if version.is_none() {
            let problem = self
                .problem(place.span.bytes.clone(), format!("`{text}` is no version"))
                .expected("one to three numbers with dots between, such as 1.4.0");
            self.report(problem);
        }
        version
    }

    fn overlay(
        &mut self,
        fields: Fields<'_, '_>,
        place: std::ops::Range<usize>,
    ) -> Option<RawOverlay> {
        let id = fields
            .get("id")
            .and_then(|value| self.text("id", value))
            .filter(|id| self.is_name(id));
        let owner = fields
            .get("owner")
            .and_then(|value| self.line("owner", value));
        let reason = fields
            .get("reason")
            .and_then(|value| self.line("reason", value));
        let from = fields.get("from").map(|value| self.minute("from", value));
        let until = fields.get("until").map(|value| self.minute("until", value));
        let period = Period {
            from: from.unwrap_or(Some(Timestamp::MIN))?,
            until: until.unwrap_or(Some(Timestamp::MAX))?,
        };
        if period.from >= period.until {
            let problem = self
                .problem(place, "this overlay is never in force")
                .expected("`until` after `from`");
            self.report(problem);
            return None;
        }
        Some(RawOverlay {
            id: id?,
            owner: owner?,
            reason: reason?,
            period,
        })
    }

    /// A point in time that begins a minute.
    fn minute(&mut self, field: &str, value: &Value<'_>) -> Option<Timestamp> {
        let time = self.time(field, value)?;
        let whole = time.as_second() % 60 == 0 && time.subsec_nanosecond() == 0;
        if !whole {
            let problem = self
                .problem(
                    value.span(),
                    format!("`{field}` is not the begin of a minute"),
                )
                .expected("a time without seconds");
            self.report(problem);
        }
        whole.then_some(time)
    }

    fn change(&mut self, item: &Value<'_>, fields: Fields<'_, '_>) -> Option<RawChange> {
        let before = self.problem_count();
        let rule = fields
            .get("rule")
            .and_then(|value| self.text("rule", value));
        let action = fields
            .get("action")
            .and_then(|value| self.word::<Action>("action", value));
        let mode = fields
            .get("mode")
            .and_then(|value| self.word::<Mode>("mode", value));
        let severity = fields
            .get("severity")
            .and_then(|value| self.word::<Severity>("severity", value));
        let changes = action.is_some() || mode.is_some() || severity.is_some();
        if !changes && self.problem_count() == before {
            let problem = self
                .problem(item.span(), "this changes nothing")
                .expected("`action`, `mode` or `severity`");
            self.report(problem);
        }
        changes.then_some(RawChange {
            rule: rule?,
            action: action.map(|at| at.value),
            mode: mode.map(|at| at.value),
            severity: severity.map(|at| at.value),
        })
    }
}
