//! PostgreSQL's half of a session: what its messages and reports mean for the reading of texts, and cancel keys.

use std::{rc::Rc, sync::Arc};

use sqlward_policy::{
    Permit,
    rule::moment::Transaction,
    statement::{Encoding, Known, LexState, PostgresLex},
    vocabulary::TransactionState,
};
use sqlward_wire::{Action, Completion, Event, Outcome, SqlState, TxStatus, pg};

use super::{
    Next, Session, Tag,
    names::{Renamed, renamed},
    protocol::Protocol,
};
use crate::{
    analysts::Channel,
    audit,
    cancel::{Backend, Registered},
    config::{Limits, TlsMode},
    enforce,
    inspect::{Bench, Judged},
    listener::Listener,
    tls::Stream,
};

/// What only a PostgreSQL session knows.
#[derive(Debug, Default)]
pub(crate) struct Pg {
    channel: Channel,
    lex: PostgresLex,
    cancel_key: Option<Registered>,
}

impl Protocol for Pg {
    type Wire = pg::Session<Permit, Tag>;

    fn begin(listener: &Listener, limits: &Limits) -> (Self, Self::Wire) {
        let settings = settings(listener, limits.max_statement_bytes);
        (Self::default(), pg::Session::new(settings))
    }

    fn begun(session: &mut Session<Self>) {
        session.started();
    }

    fn take_tls_preamble(wire: &mut Self::Wire) -> Vec<u8> {
        wire.take_tls_preamble()
    }

    fn server_encrypted(session: &mut Session<Self>, stream: &Stream) {
        // One certificate on both legs is one that both ends can bind to.
        if let Some(shown) = &session.shown
            && stream.peer_is(&shown.leaf)
        {
            session.wire.set_channel_binding(pg::ChannelBinding::Offer);
        }
    }

    fn inspect(session: &mut Session<Self>) -> Option<Next> {
        session.inspect(None)
    }

    async fn analyse(session: &mut Session<Self>) {
        let channel = session.protocol.channel;
        let known = session.analyse_elsewhere(channel, Session::held_text).await;
        if let Some(known) = known {
            // It is given, so it is not asked for again.
            let _judged = session.inspect(Some(known));
        }
    }

    fn ended(session: &mut Session<Self>, outcome: &Outcome<Tag>) {
        let run = &outcome.tag;
        let context = &mut session.context;
        match outcome.completion {
            Completion::Prepared => context.names.prepared(&run.name, &run.known.analysis.facts),
            Completion::Done => context.apply(&run.known),
            Completion::Failed => context.failed(),
            Completion::Suspended
            | Completion::Refused
            | Completion::Skipped
            | Completion::Unexecuted
            | Completion::Lost => {}
        }
        // The extended protocol's answers don't tell the state: it is observed before the next statement is judged.
        if let Some(status) = outcome.tx {
            context.observe(status);
        }
    }

    fn established(_session: &mut Session<Self>) {}

    fn act(session: &mut Session<Self>, action: Action<Tag>) -> Option<Next> {
        match action {
            Action::CommitFailed { sqlstate } => session.commit_failed(sqlstate),
            Action::Undone {
                sqlstate,
                tags,
                more,
            } => session.undone(sqlstate, &tags, more),
            Action::Cancel { pid, key } => return Some(Next::Cancel(Backend { pid, key })),
            Action::BackendKey { pid, key } => {
                session.record.backend(pid);
                let backend = Backend { pid, key };
                let upstream = Arc::clone(&session.listener.upstream);
                let keys = &session.worker.shared.cancel_keys;
                session.protocol.cancel_key = Some(keys.register(backend, upstream));
            }
            Action::ParameterChanged(name) => session.parameter_changed(&name),
            // The shell's, and MySQL's, which PostgreSQL's core never says.
            Action::StartTls { .. }
            | Action::Connect
            | Action::ReconnectPlain
            | Action::Inspect
            | Action::Outcome(_)
            | Action::Authenticated { .. }
            | Action::AuthFailed { .. }
            | Action::Established
            | Action::Close(_)
            | Action::Thread(_)
            | Action::SessionReset
            | Action::Tracked(_)
            | Action::Answered(_)
            | Action::FileRefused(_)
            | Action::Rejected(_) => {}
        }
        None
    }
}

impl Session<Pg> {
    /// Judge the held message; `analysed` is what an analysis elsewhere has found.
    fn inspect(&mut self, analysed: Option<Rc<Known>>) -> Option<Next> {
        let policy = self.worker.policy();
        let now = self.moment();
        let held = self.wire.held()?;
        if let pg::Held::Startup { replication, .. } = &held {
            self.protocol.channel = match replication {
                Some(_) => Channel::Replication,
                None => Channel::Sql,
            };
            if !self.placed {
                let message = "sorry, too many clients already";
                self.abort(SqlState::TOO_MANY_CONNECTIONS, message);
                return None;
            }
        }
        // Names change their meaning when a statement runs, not when it is prepared or bound.
        let runs = matches!(held, pg::Held::Query { .. } | pg::Held::Execute { .. });
        if let Some(status) = self.wire.tx_status() {
            self.context.observe(status);
        }
        super::events::refresh(&self.worker, &mut self.context, &self.record, &self.timing);
        let read_only = self.wire.parameter(b"default_transaction_read_only");
        self.context.transactions.reported(read_only);
        let transaction = self.transaction();
        let mut bench = Bench {
            worker: &self.worker,
            policy: &policy,
            session: self.id,
            context: &mut self.context,
            record: &mut self.record,
            lex: LexState::Postgres(self.protocol.lex),
            status: self.wire.tx_status(),
            transaction,
            types: Box::default(),
            now,
        };
        let verdict = match bench.judge_pg(held, self.protocol.channel, analysed) {
            Judged::Verdict(verdict) => verdict,
            Judged::Long => return Some(Next::Analyse),
            // Nothing is asked in this protocol: the server reports.
            Judged::Ask => return None,
        };
        let ran = match &verdict {
            enforce::Verdict::Forward { tag, .. } if runs => Some(Rc::clone(&tag.known)),
            enforce::Verdict::Forward { .. } | enforce::Verdict::Refuse { .. } => None,
        };
        self.tell(Event::Verdict(verdict));
        for renamed in ran.iter().flat_map(|known| renamed(known)) {
            match renamed {
                Renamed::Prepared(name) => self.wire.forget_prepared(name.map(str::as_bytes)),
                Renamed::Portal(name) => self.wire.forget_portals(name.map(str::as_bytes)),
                Renamed::Fetched(name) => self.wire.mark_portal_executed(name.as_bytes()),
            }
        }
        None
    }

    /// The session's transaction, where no statement is on its way that may change it.
    fn transaction(&self) -> Transaction {
        let status = self.wire.tx_status();
        let Some(status) = status.filter(|_| !self.wire.is_unsettled()) else {
            return Transaction::default();
        };
        let modes = self.context.transactions.modes();
        Transaction {
            state: Some(match status {
                TxStatus::Idle => TransactionState::None,
                TxStatus::Active => TransactionState::Open,
                TxStatus::Failed => TransactionState::Failed,
            }),
            access: modes.access,
            isolation: modes.isolation,
        }
    }

    /// The text of the held message, for an analysis elsewhere.
    fn held_text(&self) -> Option<(Box<[u8]>, LexState)> {
        match self.wire.held()? {
            pg::Held::Query { text, .. } | pg::Held::Parse { text, .. } => {
                Some((text.into(), LexState::Postgres(self.protocol.lex)))
            }
            pg::Held::Startup { .. }
            | pg::Held::Bind { .. }
            | pg::Held::Execute { .. }
            | pg::Held::FunctionCall { .. }
            | pg::Held::TooLarge { .. } => None,
        }
    }

    /// The implicit transaction of a pipeline could not be committed at its Sync: what it did is undone.
    fn commit_failed(&mut self, sqlstate: SqlState) {
        self.worker.shared.metrics.errors_total.inc();
        self.context.failed();
        tracing::info!(session = self.id.0, %sqlstate, "a pipeline's commit failed at its Sync");
    }

    /// The server has taken back what a pipeline did before something in it failed: their records, which say
    /// `done` as the server did, are told to be of no effect.
    fn undone(&self, sqlstate: SqlState, runs: &[Tag], more: u64) {
        let generation = self.worker.policy().generation;
        let written = audit::undone(
            &mut self.worker.lane.borrow_mut(),
            &audit::Undone {
                session: self.id,
                sqlstate,
                runs,
                more,
                generation,
            },
        );
        self.unrecorded(written);
    }

    fn parameter_changed(&mut self, name: &[u8]) {
        let value = self.wire.parameter(name).unwrap_or_default();
        let lex = &mut self.protocol.lex;
        match name {
            b"standard_conforming_strings" => lex.standard_conforming_strings = value == b"on",
            b"client_encoding" => lex.encoding = Encoding::from_postgres_name(value),
            b"application_name" => {
                let changed = self.context.application(value);
                if changed {
                    self.tell_context();
                }
            }
            b"server_version" => self.context.served_by(value),
            b"session_authorization" if self.timing.established => {
                self.context.session_user(&String::from_utf8_lossy(value));
            }
            b"session_authorization" => self.context.begins_as(&String::from_utf8_lossy(value)),
            // Reported for the client's sake; nothing here depends on it.
            _ => {}
        }
        self.refresh();
    }
}

fn settings(listener: &Listener, max_statement_bytes: usize) -> pg::Settings {
    let server = &listener.upstream.config.tls;
    pg::Settings {
        max_statement_bytes: u32::try_from(max_statement_bytes).unwrap_or(u32::MAX),
        client_tls: match listener.config.tls.mode {
            TlsMode::Disable => pg::ClientTls::Disable,
            TlsMode::Prefer => pg::ClientTls::Prefer,
            TlsMode::Require => pg::ClientTls::Require,
        },
        server_tls: match server.mode {
            _ if server.direct => pg::ServerTls::Direct,
            TlsMode::Disable => pg::ServerTls::Disable,
            TlsMode::Prefer => pg::ServerTls::Prefer,
            TlsMode::Require => pg::ServerTls::Require,
        },
        ..pg::Settings::default()
    }
}
