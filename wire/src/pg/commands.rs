//! The cycle of commands and answers: what was forwarded, what it means, what the server owes.
//!
//! This part sees no bytes but short bodies. The reader of the client's bytes (`client.rs`) tells
//! it what is forwarded, the reader of the server's (`answers.rs`) what is answered.

use std::collections::VecDeque;

use crate::pg::copy::CopyMode;
use crate::pg::frontend::Target;
use crate::pg::meanings::{Portal, RefusedNames};
use crate::pg::names::{Names, Resolution};
use crate::pg::pending::{Entry, Kind, Pending, Used};
use crate::pg::ran::Ran;
use crate::session::{Action, AfterRefusal, Completion, Outcome, Refusal, TxStatus};
use crate::sqlstate::SqlState;

/// Where actions go, and the time that they bear.
#[derive(Debug)]
pub(crate) struct Out<T> {
    pub(crate) actions: VecDeque<Action<T>>,
    pub(crate) now: u64,
}

/// How far the answer to the oldest pending message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stage {
    /// Between results.
    #[default]
    Idle,
    /// Behind a ParameterDescription.
    Described,
    /// Behind a RowDescription.
    Rows,
    /// Behind a CopyInResponse.
    CopyIn,
    /// Behind a CopyOutResponse.
    CopyOut,
    /// Behind the server's CopyDone.
    CopyOutDone,
    /// Behind a CopyBothResponse.
    CopyBoth,
    /// Behind the server's CopyDone of a CopyBoth.
    CopyBothDone,
    /// Behind an error; only ReadyForQuery may follow.
    Failed,
}

/// What the answer to the oldest pending message has brought so far.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) stage: Stage,
    pub(crate) rows: u64,
    /// Rows of the current result of a query that may have several.
    pub(crate) result_rows: u64,
    pub(crate) affected: u64,
    pub(crate) bytes: u64,
    pub(crate) first_byte: Option<u64>,
    pub(crate) error: Option<SqlState>,
    /// Whether at least one result has come to its end.
    pub(crate) completed: bool,
}

impl Answer {
    /// Takes back the rows of the current result.
    pub(crate) fn uncount(&mut self) {
        self.rows = self.rows.saturating_sub(self.result_rows);
        self.result_rows = 0;
    }
}

/// What the server does with the messages that it reads next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reading {
    /// Carries them out.
    #[default]
    Commands,
    /// Skips them up to a Sync that was not forwarded yet.
    SkipUntilSync,
}

/// Whether the session has to end because a refusal said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Then {
    GoOn,
    Terminate,
}

impl Then {
    /// Ends the session if either says so.
    pub(crate) fn or(self, other: Self) -> Self {
        match self {
            Self::Terminate => Self::Terminate,
            Self::GoOn => other,
        }
    }
}

/// The state of a session between its first ReadyForQuery and its end.
#[derive(Debug)]
pub(crate) struct Commands<T> {
    pub(crate) pending: Pending<T>,
    pub(crate) statements: Names<T>,
    pub(crate) portals: Names<Portal<T>>,
    /// Names of the batch that count before those.
    pub(crate) refused: RefusedNames<T>,
    pub(crate) answer: Answer,
    pub(crate) reading: Reading,
    pub(crate) copy: CopyMode,
    /// Syncs that a COPY ignored unless it failed before it came to them.
    pub(crate) ambiguous: u32,
    /// Grows with every sync point forwarded.
    pub(crate) batch: u64,
    /// What was executed since the last sync point.
    pub(crate) ran: Ran<T>,
    /// Whether an Execute was forwarded since the last sync point.
    pub(crate) executed: bool,
    pub(crate) tx: Option<TxStatus>,
}

impl<T> Default for Commands<T> {
    fn default() -> Self {
        Self {
            pending: Pending::default(),
            statements: Names::default(),
            portals: Names::default(),
            refused: RefusedNames::default(),
            answer: Answer::default(),
            reading: Reading::Commands,
            copy: CopyMode::None,
            ambiguous: 0,
            batch: 0,
            ran: Ran::default(),
            executed: false,
            tx: None,
        }
    }
}

impl<T: Clone> Commands<T> {
    /// Tells whether settings may have changed since the server last reported them.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.executed || self.pending.sync_points() > 0
    }

    /// Takes note that a message goes to the server.
    pub(crate) fn forward(&mut self, mut entry: Entry<T>, out: &mut Out<T>) -> Then {
        self.refused.pass(entry.kind, entry.name());
        if self.reading == Reading::SkipUntilSync {
            if entry.kind != Kind::Sync {
                return out.drop_entry(entry, Completion::Skipped);
            }
            self.reading = Reading::Commands;
        }
        let seq = self.pending.next_seq();
        if matches!(entry.kind, Kind::Parse | Kind::Bind) && self.is_doubtful(entry.name()) {
            entry.forgotten = true;
        }
        match entry.kind {
            Kind::Parse => {
                let value = entry.tag.clone();
                self.statements.change(entry.name(), seq, self.batch, value);
            }
            Kind::Bind => {
                let portal = entry.tag.clone().map(|tag| Portal {
                    tag,
                    used: Used::Not,
                });
                self.portals.change(entry.name(), seq, self.batch, portal);
            }
            Kind::Close(Target::Statement) => {
                self.statements.change(entry.name(), seq, self.batch, None);
            }
            Kind::Close(Target::Portal) => {
                self.portals.change(entry.name(), seq, self.batch, None);
            }
            // a refused Parse of the unnamed statement destroys it, as a failing one does
            Kind::Substitute if entry.refusal.is_some() && entry.name.is_none() => {
                self.statements.change(&[], seq, self.batch, None);
            }
            Kind::Query | Kind::SubstituteQuery => {
                self.statements.change(&[], seq, self.batch, None);
                self.portals.change(&[], seq, self.batch, None);
            }
            Kind::Execute => self.executed = true,
            Kind::Substitute
            | Kind::Describe(_)
            | Kind::Sync
            | Kind::FunctionCall
            | Kind::CopyEnd
            | Kind::Swallowed => {}
        }
        if entry.kind.is_sync_point() {
            self.batch = self.batch.saturating_add(1);
            self.executed = false;
        }
        self.pending.push(entry);
        Then::GoOn
    }

    /// Ends the oldest entry; its name gets the meaning that `completion` gives it.
    pub(crate) fn complete(&mut self, completion: Completion, out: &mut Out<T>) -> Then {
        self.complete_with(completion, None, out)
    }

    /// Ends the oldest entry, whose answer told the transaction state.
    pub(crate) fn complete_with(
        &mut self,
        completion: Completion,
        tx: Option<TxStatus>,
        out: &mut Out<T>,
    ) -> Then {
        let answer = std::mem::take(&mut self.answer);
        let Some((seq, entry)) = self.pending.pop() else {
            return Then::GoOn;
        };
        self.resolve(seq, &entry, completion, out);
        if entry.kind == Kind::Execute
            && matches!(completion, Completion::Done | Completion::Suspended)
            && let Some(tag) = &entry.tag
        {
            self.ran.add(tag.clone());
        }
        let silent = entry.kind == Kind::Bind && completion == Completion::Done;
        match entry.tag {
            Some(tag) if !silent => out.actions.push_back(Action::Outcome(Outcome {
                tag,
                completion,
                rows: answer.rows,
                affected: answer.affected,
                warnings: 0,
                results: 0,
                bytes: answer.bytes,
                request_bytes: entry.request,
                error: answer.error.map(Into::into),
                first_byte: answer.first_byte,
                ended: out.now,
                tx,
            })),
            Some(_) | None => {}
        }
        then(entry.refusal.as_deref())
    }

    /// Drops what the server skips behind an error in the extended protocol.
    pub(crate) fn skip_until_sync(&mut self, out: &mut Out<T>) -> Then {
        let mut next = Then::GoOn;
        loop {
            match self.pending.front().map(|entry| entry.kind) {
                Some(Kind::Sync) => return next,
                Some(_) => {
                    let Some((seq, entry)) = self.pending.pop() else {
                        return next;
                    };
                    self.resolve(seq, &entry, Completion::Skipped, out);
                    if out.drop_entry(entry, Completion::Skipped) == Then::Terminate {
                        next = Then::Terminate;
                    }
                }
                None => {
                    self.reading = Reading::SkipUntilSync;
                    return next;
                }
            }
        }
    }

    /// Takes note of the transaction state; portals die with their transaction.
    pub(crate) fn ready(&mut self, tx: TxStatus, out: &mut Out<T>) {
        self.tx = Some(tx);
        self.ran.end(tx, out);
        if tx == TxStatus::Idle {
            self.portals
                .clear_confirmed(|portal| out.portal_gone(portal));
        }
    }

    /// Gives every tag that is left its outcome.
    pub(crate) fn lose_all(&mut self, out: &mut Out<T>) {
        // what the oldest has returned so far counts
        if let Some(kind) = self.pending.head() {
            let completion = match kind {
                Kind::Substitute | Kind::SubstituteQuery => Completion::Refused,
                _ => Completion::Lost,
            };
            let _ = self.complete(completion, out);
        }
        while let Some((_, entry)) = self.pending.pop() {
            let _ = out.drop_entry(entry, Completion::Lost);
        }
        self.portals
            .clear_confirmed(|portal| out.portal_gone(portal));
        *self = Self {
            tx: self.tx,
            ..Self::default()
        };
    }

    fn resolve(&mut self, seq: u64, entry: &Entry<T>, completion: Completion, out: &mut Out<T>) {
        let name = entry.name();
        let done = matches!(completion, Completion::Done | Completion::Prepared);
        let skipped = completion == Completion::Skipped;
        match entry.kind {
            Kind::Parse => {
                let how = match &entry.tag {
                    Some(tag) if done && !entry.forgotten => Resolution::Set(tag.clone()),
                    // a failing Parse has destroyed the unnamed statement, a skipped one has not
                    _ if done || (!skipped && name.is_empty()) => Resolution::Gone,
                    _ => Resolution::Kept,
                };
                self.statements.resolve(name, seq, how);
            }
            Kind::Bind => {
                let portal = entry.tag.clone().filter(|_| done);
                let portal = portal.map(|tag| Portal {
                    tag,
                    used: entry.used,
                });
                let how = match portal {
                    Some(portal) if entry.forgotten => {
                        out.portal_gone(portal);
                        Resolution::Gone
                    }
                    Some(portal) => Resolution::Set(portal),
                    None => Resolution::Kept,
                };
                if let Some(old) = self.portals.resolve(name, seq, how) {
                    out.portal_gone(old);
                }
            }
            Kind::Close(Target::Statement) => {
                let how = if done {
                    Resolution::Gone
                } else {
                    Resolution::Kept
                };
                self.statements.resolve(name, seq, how);
            }
            Kind::Close(Target::Portal) => {
                let how = if done {
                    Resolution::Gone
                } else {
                    Resolution::Kept
                };
                if let Some(old) = self.portals.resolve(name, seq, how) {
                    out.portal_gone(old);
                }
            }
            Kind::Query | Kind::SubstituteQuery => {
                let (statement, portal) = if skipped {
                    (Resolution::Kept, Resolution::Kept)
                } else {
                    (Resolution::Gone, Resolution::Gone)
                };
                self.statements.resolve(&[], seq, statement);
                if let Some(old) = self.portals.resolve(&[], seq, portal) {
                    out.portal_gone(old);
                }
            }
            Kind::Substitute if entry.name.is_none() => {
                let how = if skipped {
                    Resolution::Kept
                } else {
                    Resolution::Gone
                };
                self.statements.resolve(&[], seq, how);
            }
            Kind::Substitute
            | Kind::Describe(_)
            | Kind::Execute
            | Kind::Sync
            | Kind::FunctionCall
            | Kind::CopyEnd
            | Kind::Swallowed => {}
        }
    }
}

impl<T> Out<T> {
    /// Adds an action.
    pub(crate) fn push(&mut self, action: Action<T>) {
        self.actions.push_back(action);
    }

    /// Gives the tag of an entry that was never answered its outcome.
    fn drop_entry(&mut self, entry: Entry<T>, completion: Completion) -> Then {
        let next = then(entry.refusal.as_deref());
        let completion = if entry.refusal.is_some() {
            Completion::Refused
        } else {
            completion
        };
        if let Some(tag) = entry.tag {
            self.unanswered(tag, completion, entry.request);
        }
        next
    }

    /// Gives the tag of a portal its outcome, unless an Execute has it.
    pub(crate) fn portal_gone(&mut self, portal: Portal<T>) {
        let completion = match portal.used {
            Used::Not => Completion::Unexecuted,
            Used::BySql => Completion::Done,
            Used::Executed => return,
        };
        self.unanswered(portal.tag, completion, 0);
    }

    fn unanswered(&mut self, tag: T, completion: Completion, request_bytes: u64) {
        self.ended(tag, completion, request_bytes, None);
    }

    /// Gives a tag an outcome without results.
    pub(crate) fn ended(
        &mut self,
        tag: T,
        completion: Completion,
        request_bytes: u64,
        error: Option<SqlState>,
    ) {
        self.actions.push_back(Action::Outcome(Outcome {
            tag,
            completion,
            rows: 0,
            affected: 0,
            warnings: 0,
            results: 0,
            bytes: 0,
            request_bytes,
            error: error.map(Into::into),
            first_byte: None,
            ended: self.now,
            tx: None,
        }));
    }
}

/// Tells whether a refusal ends the session.
pub(crate) fn then(refusal: Option<&Refusal>) -> Then {
    match refusal {
        Some(Refusal {
            then: AfterRefusal::Terminate,
            ..
        }) => Then::Terminate,
        Some(Refusal {
            then: AfterRefusal::Continue,
            ..
        })
        | None => Then::GoOn,
    }
}
