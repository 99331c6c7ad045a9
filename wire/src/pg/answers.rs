//! The server's side of the cycle: each answer is matched against the oldest pending message.

use crate::error::Misbehaviour;
use crate::pg::backend::{self, Backend, Counted};
use crate::pg::commands::{Commands, Out, Reading, Stage, Then};
use crate::pg::copy::CopyMode;
use crate::pg::frontend::Target;
use crate::pg::pending::{CopyEnd, Kind};
use crate::session::{Action, Completion, Refusal, TxStatus};
use crate::sqlstate::SqlState;

/// Why an answer can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The server sent what it may not.
    Server(Misbehaviour),
    /// The client had sent what makes the state unknowable.
    Client(Misbehaviour),
}

impl From<Misbehaviour> for Wrong {
    fn from(what: Misbehaviour) -> Self {
        Self::Server(what)
    }
}

/// What becomes of an error.
#[derive(Debug)]
pub(crate) enum Errored {
    /// The client gets it as it is.
    Pass(Then),
    /// It answers a substitute: the client gets the refusal instead.
    Rewrite(Box<Refusal>, Then),
}

/// Rows or COPY data behind the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Run {
    messages: u64,
    bytes: u64,
}

impl Run {
    /// Counts a message of this body length.
    pub(crate) fn add(&mut self, length: u32) {
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::from(length));
    }
}

impl<T: Clone> Commands<T> {
    /// Takes in what follows an accepted message of the same type.
    pub(crate) fn answered_run(&mut self, message: Backend, run: Run) {
        let answer = &mut self.answer;
        answer.bytes = answer.bytes.saturating_add(run.bytes);
        if message == Backend::DataRow || answer.stage == Stage::CopyOut {
            answer.rows = answer.rows.saturating_add(run.messages);
            answer.result_rows = answer.result_rows.saturating_add(run.messages);
        }
    }

    /// Takes in an answer of `length` bytes; `body` is there if the message is wanted whole.
    pub(crate) fn answered(
        &mut self,
        message: Backend,
        length: u32,
        body: &[u8],
        out: &mut Out<T>,
    ) -> Result<(), Wrong> {
        if message == Backend::ReadyForQuery {
            let tx = backend::ready(body).map_err(|_| layout(message))?;
            return self.ready_for_query(tx, out);
        }
        let Some(kind) = self.pending.head() else {
            return Err(misplaced(message));
        };
        self.answer.first_byte.get_or_insert(out.now);
        let stage = self.answer.stage;
        match (message, kind, stage) {
            (Backend::ParseComplete, Kind::Parse, _) => self.end(Completion::Prepared, out),
            (Backend::BindComplete, Kind::Bind, _)
            | (Backend::CloseComplete, Kind::Close(_), _)
            | (
                Backend::RowDescription | Backend::NoData,
                Kind::Describe(Target::Statement),
                Stage::Described,
            )
            | (
                Backend::RowDescription | Backend::NoData,
                Kind::Describe(Target::Portal),
                Stage::Idle,
            )
            | (Backend::EmptyQueryResponse, Kind::Execute, Stage::Idle) => {
                self.end(Completion::Done, out);
            }
            (Backend::PortalSuspended, Kind::Execute, Stage::Idle) => {
                self.end(Completion::Suspended, out);
            }
            (Backend::ParameterDescription, Kind::Describe(Target::Statement), Stage::Idle) => {
                self.answer.stage = Stage::Described;
            }
            // behind COPY data: what BASE_BACKUP and START_REPLICATION tell at their end
            (
                Backend::RowDescription,
                Kind::Query,
                Stage::Idle | Stage::CopyOutDone | Stage::CopyBothDone,
            ) => {
                self.answer.uncount();
                self.answer.stage = Stage::Rows;
            }
            (Backend::DataRow, Kind::Query, Stage::Rows)
            | (Backend::DataRow, Kind::Execute, Stage::Idle) => self.row(length),
            (Backend::EmptyQueryResponse, Kind::Query, Stage::Idle) => {
                self.answer.completed = true;
            }
            (Backend::CommandComplete, Kind::Query | Kind::Execute, _) => {
                self.command_complete(kind, body, out)?;
                return Ok(()); // a COPY that succeeds settles what is ambiguous by itself
            }
            (Backend::CopyInResponse, Kind::Query | Kind::Execute, Stage::Idle) => {
                self.ambiguous = 0;
                return self.copy_in();
            }
            // before 15, BASE_BACKUP sends an archive for each tablespace
            (Backend::CopyOutResponse, Kind::Query | Kind::Execute, Stage::Idle)
            | (Backend::CopyOutResponse, Kind::Query, Stage::CopyOutDone) => {
                self.answer.stage = Stage::CopyOut;
            }
            (Backend::CopyBothResponse, Kind::Query | Kind::Execute, Stage::Idle) => {
                self.answer.stage = Stage::CopyBoth;
                self.copy = CopyMode::Both;
            }
            // a row each, but for headers: the command tag will tell
            (Backend::CopyData, _, Stage::CopyOut) => self.row(length),
            (Backend::CopyData, _, Stage::CopyBoth) => {
                self.answer.bytes = self.answer.bytes.saturating_add(u64::from(length));
            }
            (Backend::CopyDone, _, Stage::CopyOut) => self.answer.stage = Stage::CopyOutDone,
            (Backend::CopyDone, _, Stage::CopyBoth) => self.answer.stage = Stage::CopyBothDone,
            (Backend::FunctionCallResponse, Kind::FunctionCall, Stage::Idle)
                if !self.answer.completed =>
            {
                self.answer.bytes = u64::from(length);
                self.answer.completed = true;
            }
            _ => return Err(misplaced(message)),
        }
        self.ambiguous = 0;
        Ok(())
    }

    /// Takes in an error after which the session goes on.
    pub(crate) fn errored(
        &mut self,
        sqlstate: SqlState,
        out: &mut Out<T>,
    ) -> Result<Errored, Wrong> {
        let Some(kind) = self.pending.head() else {
            return Err(misplaced(Backend::ErrorResponse));
        };
        if self.answer.stage == Stage::Failed {
            return Err(misplaced(Backend::ErrorResponse));
        }
        self.answer.first_byte.get_or_insert(out.now);
        self.copy = CopyMode::None;
        let refusal = self
            .pending
            .front()
            .and_then(|entry| entry.refusal.as_ref());
        self.ran
            .fail(refusal.map_or(sqlstate, |refusal| refusal.code.sqlstate));
        match kind {
            Kind::Query | Kind::FunctionCall | Kind::Sync => {
                if kind == Kind::Sync {
                    out.push(Action::CommitFailed { sqlstate });
                }
                self.answer.stage = Stage::Failed;
                self.answer.error = Some(sqlstate);
                self.answer.completed = true;
                Ok(Errored::Pass(Then::GoOn))
            }
            Kind::Parse | Kind::Bind | Kind::Describe(_) | Kind::Execute | Kind::Close(_) => {
                self.answer.error = Some(sqlstate);
                let first = self.complete(Completion::Failed, out);
                Ok(Errored::Pass(first.or(self.skip_until_sync(out))))
            }
            Kind::Substitute | Kind::SubstituteQuery => {
                let refusal = self.pending.front().and_then(|entry| entry.refusal.clone());
                let Some(refusal) = refusal else {
                    return Err(misplaced(Backend::ErrorResponse));
                };
                self.answer.error = Some(refusal.code.sqlstate);
                if kind == Kind::Substitute {
                    let first = self.complete(Completion::Refused, out);
                    return Ok(Errored::Rewrite(
                        refusal,
                        first.or(self.skip_until_sync(out)),
                    ));
                }
                self.answer.stage = Stage::Failed;
                self.answer.completed = true;
                let next = crate::pg::commands::then(Some(&refusal));
                if next == Then::Terminate {
                    self.end(Completion::Refused, out);
                }
                Ok(Errored::Rewrite(refusal, next))
            }
            // `head` drops these
            Kind::CopyEnd | Kind::Swallowed => Err(misplaced(Backend::ErrorResponse)),
        }
    }

    /// Takes in an error that ends the session.
    pub(crate) fn fatal(&mut self, sqlstate: SqlState, out: &mut Out<T>) {
        let Some(kind) = self.pending.head() else {
            return;
        };
        if kind == Kind::Sync {
            return;
        }
        let completion = match kind {
            Kind::Substitute | Kind::SubstituteQuery => Completion::Refused,
            _ => Completion::Failed,
        };
        self.answer.first_byte.get_or_insert(out.now);
        self.answer.error = Some(sqlstate);
        let _ = self.complete(completion, out);
    }

    fn ready_for_query(&mut self, tx: TxStatus, out: &mut Out<T>) -> Result<(), Wrong> {
        let ended = match self.pending.head() {
            Some(Kind::Sync) => Some(Completion::Done),
            Some(kind @ (Kind::Query | Kind::FunctionCall | Kind::SubstituteQuery))
                if self.answer.completed
                    && matches!(self.answer.stage, Stage::Idle | Stage::Failed) =>
            {
                Some(match (kind, self.answer.error) {
                    (Kind::SubstituteQuery, _) => Completion::Refused,
                    (_, Some(_)) => Completion::Failed,
                    (_, None) => Completion::Done,
                })
            }
            Some(_) | None => None,
        };
        match ended {
            Some(completion) => {
                self.ready(tx, out);
                let _ = self.complete_with(completion, Some(tx), out);
                Ok(())
            }
            // the answer to a Sync that a failed COPY had not come to
            None if self.ambiguous > 0 => {
                self.ambiguous = self.ambiguous.saturating_sub(1);
                self.reading = Reading::Commands;
                self.ready(tx, out);
                Ok(())
            }
            None => Err(misplaced(Backend::ReadyForQuery)),
        }
    }

    fn end(&mut self, completion: Completion, out: &mut Out<T>) {
        let _ = self.complete(completion, out);
    }

    fn row(&mut self, length: u32) {
        let answer = &mut self.answer;
        answer.rows = answer.rows.saturating_add(1);
        answer.result_rows = answer.result_rows.saturating_add(1);
        answer.bytes = answer.bytes.saturating_add(u64::from(length));
    }

    fn command_complete(&mut self, kind: Kind, body: &[u8], out: &mut Out<T>) -> Result<(), Wrong> {
        let stage = self.answer.stage;
        match stage {
            Stage::Idle | Stage::Rows | Stage::CopyOutDone | Stage::CopyBothDone => {}
            Stage::CopyIn if self.copy == CopyMode::None => {}
            Stage::CopyBoth => self.copy = CopyMode::None, // the server is about to shut down
            Stage::CopyIn | Stage::CopyOut | Stage::Described | Stage::Failed => {
                return Err(misplaced(Backend::CommandComplete));
            }
        }
        self.ambiguous = 0;
        let counted = backend::command_tag(body).map_err(|_| layout(Backend::CommandComplete))?;
        let answer = &mut self.answer;
        match counted {
            Counted::Copied(n) if stage == Stage::CopyOutDone => {
                answer.uncount();
                answer.rows = answer.rows.saturating_add(n);
            }
            Counted::Written(n) | Counted::Copied(n) => {
                answer.affected = answer.affected.saturating_add(n);
            }
            Counted::Selected(n) if answer.result_rows == 0 => {
                answer.affected = answer.affected.saturating_add(n);
            }
            Counted::Selected(_) | Counted::Nothing => {}
        }
        answer.stage = Stage::Idle;
        answer.result_rows = 0;
        answer.completed = true;
        if kind == Kind::Execute {
            self.end(Completion::Done, out);
        }
        Ok(())
    }

    fn copy_in(&mut self) -> Result<(), Wrong> {
        let swallowed = self
            .pending
            .swallow_behind_head()
            .map_err(|_| Wrong::Client(Misbehaviour::PipelinedBehindCopy))?;
        self.ambiguous = swallowed.syncs;
        self.answer.stage = Stage::CopyIn;
        self.copy = match swallowed.end {
            CopyEnd::Sent => CopyMode::None,
            CopyEnd::Awaited => CopyMode::In,
        };
        Ok(())
    }
}

fn misplaced(message: Backend) -> Wrong {
    Wrong::Server(Misbehaviour::OutOfPlace(message.tag()))
}

fn layout(message: Backend) -> Wrong {
    Wrong::Server(Misbehaviour::Layout(message.tag()))
}
