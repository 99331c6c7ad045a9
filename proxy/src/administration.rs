//! What is recorded of the proxy itself, and of those who ask it: the lane of the administration.

use std::{
    fs,
    ops::RangeInclusive,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex},
};

use sha2::{Digest, Sha256};
use sqlward_audit_store::{
    STORE,
    inbox::{self, Deed, Noted},
    journal::Lane,
    proof::{Signer, key_record},
    record::{Admin, AdminAction, Entry},
};
use sqlward_policy::Policy;

use crate::{
    blocks::Block, config::Config, record::hex, redaction, shared::wall_us, versions::Activation,
};

/// How many questions are taken in at once.
const MOST_QUESTIONS: usize = 1_000;

/// Microseconds of a day.
const DAY_US: u64 = 86_400_000_000;

/// How many names a summary has.
const MOST_NAMES: usize = 20;

/// Writes what happens to the proxy itself.
#[derive(Clone)]
pub(crate) struct Administration(Arc<Mutex<Lane>>);

impl Administration {
    /// Write into `lane`, which nobody else uses.
    pub(crate) fn new(lane: Lane) -> Self {
        Self(Arc::new(Mutex::new(lane)))
    }

    /// The proxy has started, with this configuration.
    pub(crate) fn started(&self, config: &Config, policy: &Policy) {
        let listeners: Vec<String> = config
            .listeners
            .iter()
            .map(|listener| {
                let upstream = &listener.upstream.address;
                format!("{} {} -> {upstream}", listener.name, listener.address)
            })
            .collect();
        let detail = format!(
            "sqlward {}; listeners: {}; policy {}",
            env!("CARGO_PKG_VERSION"),
            listeners.join(", "),
            hex(&policy.hash)
        );
        // Keys show nothing of themselves when they are printed.
        let values = format!("{config:?}");
        let hash = Sha256::digest(values.as_bytes()).into();
        for (action, detail) in [
            (AdminAction::Start, &detail),
            (AdminAction::Configuration, &values),
        ] {
            self.write(&Admin {
                generation: policy.generation,
                config_hash: Some(hash),
                ..admin(action, "start", detail)
            });
        }
        if let Some(told) = config.retention.told() {
            tracing::warn!("{told}");
            self.write(&admin(AdminAction::Operator, "start", &told));
        }
    }

    /// A key signs checkpoints from now on, unless it did so `before`.
    pub(crate) fn signs(&self, signer: &Signer, before: Option<&str>) {
        if before != Some(&signer.public().label()) {
            let detail = key_record(signer, before);
            self.write(&admin(AdminAction::SigningKey, "start", &detail));
        }
    }

    /// The proxy stops.
    pub(crate) fn stopped(&self) {
        self.write(&admin(AdminAction::Stop, "signal", "drained"));
    }

    /// A reload took effect: `policy` is in the place of `before`.
    pub(crate) fn reloaded(&self, trigger: &str, before: &Policy, policy: &Policy) {
        let mut detail = format!(
            "policy {}; {}",
            hex(&policy.hash),
            difference(before, policy)
        );
        if let Some(author) = author(policy) {
            detail.push_str("; ");
            detail.push_str(&author);
        }
        self.write(&Admin {
            generation: policy.generation,
            ..admin(AdminAction::Reload, trigger, &detail)
        });
    }

    /// A version of the policy was put into force by an operator.
    pub(crate) fn applied(&self, activation: &Activation, generation: u64) {
        let author = &activation.change.author;
        self.write(&Admin {
            generation,
            ..admin(AdminAction::Operator, author, &activation.told())
        });
    }

    /// A reload was refused.
    pub(crate) fn reload_refused(&self, trigger: &str, problems: &str) {
        self.write(&admin(AdminAction::ReloadFailed, trigger, problems));
    }

    /// Somebody is kept out.
    pub(crate) fn blocked(&self, block: &Block) {
        self.write(&admin(AdminAction::Block, &block.by, &block.to_string()));
    }

    /// Somebody is no longer kept out, by `actor`.
    pub(crate) fn unblocked(&self, block: &Block, actor: &str) {
        self.write(&admin(AdminAction::Unblock, actor, &block.to_string()));
    }

    /// Take in what auditors have asked since.
    pub(crate) fn take_questions(&self, config: &Config, policy: &Policy) {
        let data = &config.data_dir;
        let waiting = match inbox::waiting(data, MOST_QUESTIONS) {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::error!(%error, "the inbox of auditors' questions can't be read");
                return;
            }
        };
        let now = wall_us();
        // Not into a day that retention may have let go: its file would come back without what it held.
        let kept = u64::from(config.retention.days).saturating_mul(DAY_US);
        let times = now.saturating_sub(kept)..=now;
        for noted in waiting {
            if self.question(&noted, may_hold(data, noted.uid), &times, policy)
                && let Err(error) = fs::remove_file(&noted.path)
            {
                tracing::error!(%error, "an auditor's question is recorded and can't be removed");
                return;
            }
        }
    }

    fn question(
        &self,
        noted: &Noted,
        may_hold: bool,
        times: &RangeInclusive<u64>,
        policy: &Policy,
    ) -> bool {
        let actor = user(noted.uid);
        let (action, what, rows, at_us) = match &noted.question {
            // The file's word for the time counts within what is kept.
            Some(question) => {
                let action = match question.deed {
                    Deed::Hold if may_hold => AdminAction::Hold,
                    Deed::HoldRelease if may_hold => AdminAction::HoldRelease,
                    Deed::Question | Deed::Hold | Deed::HoldRelease => AdminAction::AuditQuery,
                };
                let (what, rows) = (&*question.what, question.rows);
                (
                    action,
                    what,
                    rows,
                    question.at_us.clamp(*times.start(), *times.end()),
                )
            }
            None => {
                let what = "a file that is no question was left in the inbox";
                (AdminAction::AuditQuery, what, 0, *times.end())
            }
        };
        let what = redaction::name(policy, what);
        self.write(&Admin {
            at_us,
            count: rows,
            generation: policy.generation,
            ..admin(action, &actor, &what)
        })
    }

    fn write(&self, entry: &Admin<'_>) -> bool {
        let action = entry.action;
        let written = match self.0.lock() {
            Ok(mut lane) => lane
                .append(&Entry::Admin(entry.clone()))
                .map(drop)
                .map_err(|error| error.to_string()),
            Err(poisoned) => Err(poisoned.to_string()),
        };
        if let Err(error) = &written {
            tracing::error!(%error, action = action.as_str(), "administration record lost");
        }
        written.is_ok()
    }
}

fn admin<'a>(action: AdminAction, actor: &'a str, detail: &'a str) -> Admin<'a> {
    Admin {
        at_us: wall_us(),
        action,
        actor,
        detail,
        generation: 0,
        config_hash: None,
        count: 0,
    }
}

/// Whether a user can place holds: anybody may say in the inbox that he did.
fn may_hold(data: &Path, uid: u32) -> bool {
    let owner = fs::metadata(data.join(STORE)).map(|about| about.uid());
    uid == 0 || owner.is_ok_and(|owner| owner == uid)
}

/// What is new in a policy: rules by name, defaults, redaction.
fn difference(before: &Policy, after: &Policy) -> String {
    let names = |policy: &Policy| -> Vec<(String, String)> {
        let rules = policy.rules.iter().map(|rule| {
            let rest = (
                rule.action,
                rule.mode,
                rule.severity,
                &rule.when,
                &rule.message,
                rule.record,
            );
            (rule.id.to_string(), format!("{rest:?}"))
        });
        let redactions = policy.redactions.iter().flat_map(|rules| rules.entries());
        let redactions = redactions.map(|entry| {
            let rest = (entry.how, &entry.columns, &entry.tables, &entry.functions);
            let pattern = entry.pattern.as_ref().map(|pattern| pattern.as_str());
            (
                format!("redact {}", entry.id),
                format!("{rest:?} {pattern:?}"),
            )
        });
        rules
            .chain(redactions)
            .chain([("defaults".to_owned(), format!("{:?}", policy.defaults))])
            .collect()
    };
    let (before, after) = (names(before), names(after));
    let only = |of: &[(String, String)], other: &[(String, String)]| -> Vec<String> {
        let absent = |name: &String| !other.iter().any(|(known, _)| known == name);
        of.iter()
            .map(|(name, _)| name.clone())
            .filter(absent)
            .collect()
    };
    let changed: Vec<String> = after
        .iter()
        .filter(|(name, rest)| {
            before
                .iter()
                .any(|(known, old)| known == name && old != rest)
        })
        .map(|(name, _)| name.clone())
        .collect();
    let parts = [
        ("added", only(&after, &before)),
        ("removed", only(&before, &after)),
        ("changed", changed),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| summary(what, names))
        .collect();
    if told.is_empty() {
        "no rule differs".to_owned()
    } else {
        told.join("; ")
    }
}

fn summary(what: &str, names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    let more = match names.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what} {}{more}", shown.join(", "))
}

/// Who owns the file of a policy that was changed last.
fn author(policy: &Policy) -> Option<String> {
    let files = policy.sources.iter().filter_map(|source| {
        let about = fs::metadata(&*source.name).ok()?;
        Some((about.modified().ok()?, &source.name, about.uid()))
    });
    let (_, name, uid) = files.max_by_key(|(modified, _, _)| *modified)?;
    Some(format!("last changed: {name} of {}", user(uid)))
}

/// A user of this machine: name and number, as far as `/etc/passwd` knows.
fn user(uid: u32) -> String {
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    match name {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        let text = format!("schema = 1\n[defaults]\naction = \"allow\"\n{text}");
        sqlward_policy::compile(vec![("p".into(), text)]).unwrap()
    }

    #[test]
    fn a_reload_says_what_is_new() {
        let rule = |id: &str, verb: &str| {
            format!(
                "[[rule]]\nid = \"{id}\"\nwhen = {{ verb = [\"{verb}\"] }}\naction = \"deny\"\n"
            )
        };
        let before = policy(&[rule("a", "insert"), rule("b", "delete")].concat());
        let after = policy(&[rule("b", "update"), rule("c", "drop")].concat());
        assert_eq!(difference(&before, &after), "added c; removed a; changed b");
        assert_eq!(difference(&before, &before), "no rule differs");
    }

    #[test]
    fn only_who_can_place_holds_says_so() {
        let data = tempfile::tempdir().unwrap();
        let store = data.path().join(STORE);
        assert!(!may_hold(data.path(), 4_000_000_000));
        fs::create_dir(&store).unwrap();
        let owner = fs::metadata(&store).unwrap().uid();
        let may = [0, owner, 4_000_000_000].map(|uid| may_hold(data.path(), uid));
        assert_eq!(may, [true, true, false]);
    }

    #[test]
    fn users_are_named() {
        assert_eq!(user(0), "root (uid 0)");
        assert_eq!(user(4_000_000_000), "uid 4000000000");
    }
}
