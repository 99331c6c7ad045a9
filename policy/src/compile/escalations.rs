//! Escalations: what they name must be there, and what can't happen is an error.

use hashbrown::HashMap;

use super::Compiler;
use crate::file::{File, RawEscalation, Then};
use crate::problem::Span;
use crate::rule::Rule;
use crate::rule::escalation::{Consequence, Escalation};
use crate::vocabulary::{Action, Refused, Trait};

impl Compiler {
    pub(super) fn escalations(&mut self, files: &[File], rules: &[Rule]) -> Vec<Escalation> {
        let mut known: HashMap<&str, &Span> = HashMap::new();
        let mut all = Vec::new();
        for raw in files.iter().flat_map(|file| &file.escalations) {
            if let Some(first) = known.get(raw.id.value.as_str()) {
                let (id, place) = (&raw.id.value, self.place(first));
                let message = format!("the escalation `{id}` is defined twice, first at {place}");
                self.report(self.problem(&raw.id.span, message));
                continue;
            }
            known.insert(&raw.id.value, &raw.id.span);
            self.counted(raw, rules);
            let then = self.consequence(raw);
            all.push(Escalation {
                id: raw.id.value.as_str().into(),
                after: raw.after.value,
                rules: raw
                    .rules
                    .iter()
                    .map(|rule| rule.value.as_str().into())
                    .collect(),
                count: usize::from(raw.count.value),
                within: raw.within,
                per: raw.per.value.as_slice().into(),
                then,
            });
        }
        all
    }

    /// What is counted must be able to happen.
    fn counted(&mut self, raw: &RawEscalation, rules: &[Rule]) {
        if raw.count.value > MOST {
            let problem = self
                .problem(&raw.count.span, "so many are not remembered")
                .expected(format!("at most {MOST}"));
            self.report(problem);
        }
        for named in &raw.rules {
            let found = rules.iter().find(|rule| *rule.id == *named.value);
            let problem = match (found, raw.after.value) {
                (_, Refused::FailedLogin) => self
                    .problem(&named.span, "no rule makes a login fail")
                    .expected("`rules` only with `after = \"denied\"`"),
                (None, Refused::Denied) => self
                    .problem(&named.span, format!("there is no rule `{}`", named.value))
                    .one_of(&named.value, rules.iter().map(|rule| &*rule.id)),
                (Some(rule), Refused::Denied) if rule.action < Action::Deny => self
                    .problem(
                        &named.span,
                        format!("the rule `{}` never denies", named.value),
                    )
                    .expected("rules with the action deny or terminate"),
                (Some(_), Refused::Denied) => continue,
            };
            self.report(problem);
        }
        let unknown = raw.per.value.contains(&Trait::EndUser);
        if raw.after.value == Refused::FailedLogin && unknown {
            let problem = self
                .problem(&raw.per.span, "nobody knows the end user of a failed login")
                .expected("`user`, `client` or `application`");
            self.report(problem);
        }
    }

    fn consequence(&mut self, raw: &RawEscalation) -> Consequence {
        match (raw.then.value, &raw.block_for) {
            (Then::Block, Some(lasts)) => return Consequence::Block(lasts.value),
            (Then::Block, None) => {
                let problem = self
                    .problem(&raw.then.span, "`block_for` is missing")
                    .expected("`block_for = \"15m\"` and the like");
                self.report(problem);
            }
            (Then::Alert | Then::Terminate, Some(lasts)) => {
                let problem = self
                    .problem(&lasts.span, "nobody is blocked")
                    .expected("`block_for` only with `then = \"block\"`");
                self.report(problem);
            }
            (Then::Terminate, None) if raw.after.value == Refused::FailedLogin => {
                let problem = self
                    .problem(&raw.then.span, "a failed login ends its session anyway")
                    .expected("`alert` or `block`");
                self.report(problem);
            }
            (Then::Terminate, None) => return Consequence::Terminate,
            (Then::Alert, None) => {}
        }
        Consequence::Alert
    }
}

/// The most refusals that an escalation may wait for: each is remembered.
const MOST: u16 = 1000;
