//! What follows from repeated refusals: the policy's `[[escalation]]`.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use sqlward_audit_store::record::{Admin, AdminAction, Entry};
use sqlward_policy::{
    Policy, Subject,
    rule::escalation::{Consequence, Escalation},
    vocabulary::{Refused, Trait},
};

use super::{Block, Whom};
use crate::{gaps::Gap, shared::Moment, worker::Worker};

/// Something that has been refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    /// What.
    pub(crate) what: Refused,
    /// The rules that did it.
    pub(crate) rules: &'a [&'a str],
    /// Whose session it was.
    pub(crate) subject: &'a Subject,
    /// For whom it acted.
    pub(crate) end_user: Option<&'a str>,
    /// When.
    pub(crate) now: Moment,
}

/// Escalations that a refusal has led to.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Reached<'p>(Vec<(&'p Escalation, Whom)>);

/// Count a refusal.
pub(crate) fn count<'p>(worker: &Worker, policy: &'p Policy, refusal: Refusal<'_>) -> Reached<'p> {
    let reached = policy.escalations.iter().filter_map(|escalation| {
        if !escalation.counts(refusal.what, refusal.rules.iter().copied()) {
            return None;
        }
        let whom = whom(&escalation.per, refusal.subject, refusal.end_user)?;
        let counts = &worker.shared.blocks.counts;
        counts
            .reach(escalation, whom.clone(), refusal.now.wall_us)
            .then_some((escalation, whom))
    });
    Reached(reached.collect())
}

impl Reached<'_> {
    /// Whether the session ends.
    pub(crate) fn ends_session(&self) -> bool {
        self.0.iter().any(|(escalation, _)| match escalation.then {
            Consequence::Alert => false,
            Consequence::Terminate | Consequence::Block(_) => true,
        })
    }

    /// Record what follows, and keep out whom it keeps out.
    pub(crate) fn follow(self, worker: &Worker, policy: &Policy, now: Moment) {
        for (escalation, whom) in self.0 {
            worker.shared.metrics.escalations_total.inc();
            let detail = format!(
                "{} times {} within {}s: {whom}",
                escalation.count,
                escalation.after,
                escalation.within.as_secs()
            );
            tracing::warn!(escalation = %escalation.id, %whom, then = ?escalation.then, "escalation");
            record(worker, policy, escalation, &detail, now);
            if let Consequence::Block(lasts) = escalation.then {
                let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
                let since = now.timestamp();
                worker.shared.blocks.put(Block {
                    number: 0,
                    whom,
                    since,
                    until: Some(since.checked_add(lasts).unwrap_or(Timestamp::MAX)),
                    reason: detail,
                    by: format!("escalation {}", escalation.id),
                    recorded: false,
                    removed_by: None,
                });
            }
        }
    }
}

fn record(worker: &Worker, policy: &Policy, escalation: &Escalation, detail: &str, now: Moment) {
    let entry = Entry::Admin(Admin {
        at_us: now.wall_us,
        action: AdminAction::Escalation,
        actor: &escalation.id,
        detail,
        generation: policy.generation,
        config_hash: None,
        count: u64::try_from(escalation.count).unwrap_or(u64::MAX),
    });
    if let Err(error) = worker.lane.borrow_mut().append(&entry) {
        worker.gaps.add(Gap::Dropped);
        tracing::error!(%error, escalation = %escalation.id, "a record could not be written");
    }
}

/// What sessions have in common with this one. `None`: nobody knows for whom it acts.
fn whom(per: &[Trait], subject: &Subject, end_user: Option<&str>) -> Option<Whom> {
    let mut whom = Whom::default();
    for what in per {
        match what {
            Trait::User => whom.user = Some(subject.user.clone()),
            Trait::Client => whom.client = Some(IpNet::from(subject.client.to_canonical())),
            Trait::EndUser => whom.end_user = Some(end_user?.to_owned()),
            Trait::Application => whom.application = Some(subject.application.clone()),
        }
    }
    Some(whom)
}
