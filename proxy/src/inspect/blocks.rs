//! Who is kept out, and what repeated denials lead to.

use std::{borrow::Cow, sync::Arc};

use sqlward_policy::{
    Cause, Decision, Policy, RefusalText,
    vocabulary::{Action, Refused},
};

use super::{Bench, Filing};
use crate::blocks::escalate::{Reached, Refusal, count};

impl<'b> Bench<'b> {
    /// What the session is told, if whoever it acts for is kept out.
    pub(super) fn kept_out(&self, filing: &Filing<'_>) -> Option<Arc<RefusalText>> {
        let blocks = &self.worker.shared.blocks;
        if blocks.is_empty() {
            return None;
        }
        let end_user = self.end_user(filing);
        let now = self.now.timestamp();
        blocks.of(&self.context.subject, end_user.as_deref(), now)
    }

    /// Count a denial by `rules` that is carried out.
    pub(super) fn escalate(
        &self,
        decision: &Decision,
        rules: &[&str],
        filing: &Filing<'_>,
    ) -> Reached<'b> {
        let policy: &'b Policy = self.policy;
        let denied = match decision.action {
            Action::Allow | Action::Alert => false,
            Action::Deny | Action::Terminate => decision.cause != Cause::Blocked,
        };
        if !denied || policy.escalations.is_empty() {
            return Reached::default();
        }
        let end_user = self.end_user(filing);
        let refusal = Refusal {
            what: Refused::Denied,
            rules,
            subject: &self.context.subject,
            end_user: end_user.as_deref(),
            now: self.now,
        };
        count(self.worker, policy, refusal)
    }

    /// For whom a statement is run.
    fn end_user<'f>(&'f self, filing: &'f Filing<'_>) -> Option<Cow<'f, str>> {
        let keys = &self.worker.shared.config.end_user.comment_keys;
        let comment = filing.comment.unwrap_or_default();
        let claims = filing.claims.clone().or_comment(comment, keys);
        let session = self.context.acts_for().map(|(name, _)| Cow::Borrowed(name));
        claims.end_user.or(session)
    }
}
