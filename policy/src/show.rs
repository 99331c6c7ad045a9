//! What a policy is at some time: its packs, its overlays and its rules, as they are in force.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::policy::Policy;
use crate::rule::Rule;
use crate::rule::overlay::Overlay;

/// A policy at some time.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'p> {
    policy: &'p Policy,
    at: Timestamp,
}

impl Policy {
    /// What is in force at `at`.
    #[must_use]
    pub const fn at(&self, at: Timestamp) -> InForce<'_> {
        InForce { policy: self, at }
    }

    /// When an overlay next comes into force or ends, after `now`.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.overlays
            .iter()
            .flat_map(|overlay| [overlay.period.from, overlay.period.until])
            .filter(|time| *time > now && *time < Timestamp::MAX)
            .min()
    }
}

impl<'p> InForce<'p> {
    /// The rules that are in force, in the order of the files.
    pub fn rules(&self) -> impl Iterator<Item = &'p Rule> {
        let at = self.at;
        self.policy
            .rules
            .iter()
            .filter(move |rule| rule.periods.as_ref().is_none_or(|p| p.cover(at)))
    }

    /// The overlays that are in force.
    pub fn overlays(&self) -> impl Iterator<Item = &'p Overlay> {
        let at = self.at;
        let overlays = self.policy.overlays.iter();
        overlays.filter(move |overlay| overlay.period.from <= at && at < overlay.period.until)
    }

    fn state(&self, overlay: &Overlay) -> &'static str {
        if self.at < overlay.period.from {
            "to come"
        } else if self.at < overlay.period.until {
            "in force"
        } else {
            "over"
        }
    }

    fn overlay_of(&self, rule: &Rule) -> Option<&'p Overlay> {
        self.policy.overlays.get(rule.overlay?)
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let policy = self.policy;
        writeln!(out, "at         {}", self.at)?;
        if let Some(next) = policy.next_change(self.at) {
            writeln!(out, "changes    {next}")?;
        }
        writeln!(
            out,
            "default    {}, unreadable {}, mode {}",
            policy.defaults.action, policy.defaults.unreadable, policy.defaults.mode
        )?;
        for pack in &policy.packs {
            writeln!(out, "pack       {} {}", pack.id, pack.version)?;
        }
        for overlay in &policy.overlays {
            let state = self.state(overlay);
            write!(out, "overlay    {} ({state}", overlay.id)?;
            if overlay.period.from != Timestamp::MIN {
                write!(out, ", from {}", overlay.period.from)?;
            }
            if overlay.period.until != Timestamp::MAX {
                write!(out, ", until {}", overlay.period.until)?;
            }
            writeln!(out, "): {}; {}", overlay.owner, overlay.reason)?;
        }
        let width = policy.rules.iter().map(|rule| rule.id.len()).max();
        let width = width.unwrap_or_default();
        for rule in self.rules() {
            let mode = rule.mode.unwrap_or(policy.defaults.mode);
            write!(
                out,
                "rule       {:<width$}  {}, {}, {mode}",
                rule.id, rule.action, rule.severity
            )?;
            match self.overlay_of(rule) {
                Some(overlay) => writeln!(out, " (overlay {})", overlay.id)?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let policy = self.policy;
        let bound = |time: Timestamp| {
            (time != Timestamp::MIN && time != Timestamp::MAX).then(|| time.to_string())
        };
        json!({
            "at": self.at.to_string(),
            "next_change": policy.next_change(self.at).map(|time| time.to_string()),
            "defaults": {
                "action": policy.defaults.action,
                "unreadable": policy.defaults.unreadable,
                "mode": policy.defaults.mode,
            },
            "packs": policy.packs.iter().map(|pack| json!({
                "id": pack.id, "version": pack.version.to_string(),
            })).collect::<Vec<_>>(),
            "overlays": policy.overlays.iter().map(|overlay| json!({
                "id": overlay.id,
                "owner": overlay.owner,
                "reason": overlay.reason,
                "from": bound(overlay.period.from),
                "until": bound(overlay.period.until),
                "state": self.state(overlay),
            })).collect::<Vec<_>>(),
            "rules": self.rules().map(|rule| json!({
                "id": rule.id,
                "action": rule.action,
                "severity": rule.severity,
                "mode": rule.mode.unwrap_or(policy.defaults.mode),
                "overlay": self.overlay_of(rule).map(|overlay| &overlay.id),
            })).collect::<Vec<_>>(),
        })
    }
}
