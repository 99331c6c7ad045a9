//! MySQL's and MariaDB's half of a session: the questions that it asks the server on its own, and what answers and reports
//! mean for the reading of texts, the current database and the role.

mod reading;

use std::{collections::VecDeque, rc::Rc};

use sqlward_policy::{
    Permit,
    rule::moment::Transaction,
    statement::{Known, LexState, SessionEffect},
    vocabulary::Dialect,
    vocabulary::{TransactionAccess, TransactionState},
};
use sqlward_wire::{
    Action, Answer, Completion, Event, Outcome, Rejected, SqlState, Tracked, TxStatus, mysql,
};

use self::reading::{Reading, Role, STATE, TRACK};
use super::{Introduction, Next, Session, Tag, names::Names, protocol::Protocol};
use crate::{
    analysts::Channel,
    config::{Limits, TlsMode},
    enforce,
    inspect::{Bench, Doubt, Judged},
    listener::Listener,
    tls::Stream,
};

/// What only a MySQL session knows.
#[derive(Debug)]
pub(crate) struct Mysql {
    reading: Reading,
    /// Questions of ours without an answer, the oldest first.
    asked: VecDeque<Question>,
    /// The held message waits for the answers.
    waiting: bool,
    /// Whom the session acts as if the COM_CHANGE_USER at the server succeeds.
    next: Option<Introduction>,
}

/// What we ask the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Track,
    State,
}

impl Protocol for Mysql {
    type Wire = mysql::Session<Permit, Tag>;

    fn begin(listener: &Listener, limits: &Limits) -> (Self, Self::Wire) {
        let protocol = Self {
            reading: Reading::new(),
            asked: VecDeque::new(),
            waiting: false,
            next: None,
        };
        (protocol, mysql::Session::new(settings(listener, limits)))
    }

    fn begun(session: &mut Session<Self>) {
        // Which of the two it is, the greeting tells: the record begins then.
        session.context.speak(Dialect::Mysql);
        if !session.placed {
            session.abort(SqlState::TOO_MANY_CONNECTIONS, "Too many connections");
        }
    }

    fn take_tls_preamble(wire: &mut Self::Wire) -> Vec<u8> {
        wire.take_tls_preamble()
    }

    fn server_encrypted(_session: &mut Session<Self>, _stream: &Stream) {}

    fn inspect(session: &mut Session<Self>) -> Option<Next> {
        session.inspect(None)
    }

    async fn analyse(session: &mut Session<Self>) {
        let known = session
            .analyse_elsewhere(Channel::Sql, Session::held_text)
            .await;
        if let Some(known) = known {
            // It is given, so it is not asked for again.
            let _judged = session.inspect(Some(known));
        }
    }

    fn ended(session: &mut Session<Self>, outcome: &Outcome<Tag>) {
        let known = &outcome.tag.known;
        let referred = session.context.names.referred(super::effects(known));
        if outcome.completion == Completion::Done {
            session.context.apply_names(known);
        } else if session.protocol.next.take().is_some() {
            // A COM_CHANGE_USER that the server refuses, and goes on: whoever it goes on as, the session begins anew.
            session.begun_anew();
            return;
        }
        if super::identity::may_change_role(super::effects(known).chain(referred.effects()))
            && outcome.completion != Completion::Refused
        {
            session.ask();
        }
    }

    fn established(session: &mut Session<Self>) {
        session.ask();
    }

    fn act(session: &mut Session<Self>, action: Action<Tag>) -> Option<Next> {
        match action {
            Action::Thread(thread) => session.record.backend(thread),
            Action::ParameterChanged(name) => {
                let value = session.wire.parameter(&name).unwrap_or_default();
                session.protocol.reading.reported(&name, value);
            }
            Action::Tracked(Tracked::Schema(database)) => {
                session.in_database(String::from_utf8_lossy(&database).into_owned());
            }
            // What else the server tells of its state is the client's business.
            Action::Tracked(
                Tracked::Changed
                | Tracked::Transaction(_)
                | Tracked::Characteristics(_)
                | Tracked::Gtids(_),
            ) => {}
            Action::SessionReset => session.begun_anew(),
            Action::Answered(answer) => return session.answered(&answer),
            Action::FileRefused(name) => {
                session.worker.shared.metrics.files_refused_total.inc();
                let name = String::from_utf8_lossy(&name);
                tracing::warn!(session = session.id.0, %name, "the server asked for a file of the client's that no statement named");
            }
            Action::Rejected(rejected) => session.rejected(&rejected),
            // The shell's, and PostgreSQL's, which MySQL's core never says.
            Action::StartTls { .. }
            | Action::Connect
            | Action::ReconnectPlain
            | Action::Inspect
            | Action::Outcome(_)
            | Action::Authenticated { .. }
            | Action::AuthFailed { .. }
            | Action::Established
            | Action::Close(_)
            | Action::CommitFailed { .. }
            | Action::Undone { .. }
            | Action::Cancel { .. }
            | Action::BackendKey { .. } => {}
        }
        None
    }
}

impl Session<Mysql> {
    /// Judge the held message; `analysed` is what an analysis elsewhere has found.
    fn inspect(&mut self, analysed: Option<Rc<Known>>) -> Option<Next> {
        if !self.protocol.asked.is_empty() {
            // Asked on the way to this message: a verdict has to wait.
            self.protocol.waiting = true;
            return None;
        }
        let policy = self.worker.policy();
        let now = self.moment();
        let held = self.wire.held()?;
        if let mysql::Held::Startup(_) = &held {
            let Some(dialect) = self.protocol.reading.greeted(self.wire.server_version()) else {
                let message = "the server's version is none of MySQL or MariaDB";
                self.abort(SqlState::FEATURE_NOT_SUPPORTED, message);
                return None;
            };
            self.context.speak(dialect);
            self.context.served_by(self.wire.server_version());
            self.started();
        }
        let held = self.wire.held()?;
        let several = matches!(held, mysql::Held::Query { .. }) && self.wire.has_multi_statements();
        let mut bench = Bench {
            worker: &self.worker,
            policy: &policy,
            session: self.id,
            context: &mut self.context,
            record: &mut self.record,
            lex: LexState::Mysql(self.protocol.reading.lex(several)),
            status: self.wire.tx_status(),
            transaction: Transaction {
                state: self.wire.tx_status().map(|status| match status {
                    TxStatus::Idle => TransactionState::None,
                    TxStatus::Active => TransactionState::Open,
                    TxStatus::Failed => TransactionState::Failed,
                }),
                access: self.wire.is_read_only().map(|reads| match reads {
                    true => TransactionAccess::ReadOnly,
                    false => TransactionAccess::ReadWrite,
                }),
                isolation: None,
            },
            types: Box::default(),
            now,
        };
        let doubt = if self.protocol.waiting {
            Doubt::Stands
        } else if self.protocol.reading.is_unreported() {
            Doubt::Unreported
        } else if self.protocol.reading.is_doubted() {
            Doubt::Asks
        } else {
            Doubt::Stands
        };
        let mut next = None;
        let judged = bench.judge_mysql(held, doubt, analysed, &mut next);
        let verdict = match judged {
            Judged::Verdict(verdict) => verdict,
            Judged::Long => return Some(Next::Analyse),
            Judged::Ask => {
                self.protocol.waiting = self.ask();
                // Where nothing can be asked, it is judged without an answer.
                return if self.protocol.waiting {
                    None
                } else {
                    self.protocol.waiting = true;
                    self.inspect(None)
                };
            }
        };
        self.protocol.waiting = false;
        if let enforce::Verdict::Forward { tag, .. } = &verdict {
            let referred = self.context.names.referred(super::effects(&tag.known));
            if tag.runs() {
                self.protocol.reading.announce(&tag.known, &referred);
            }
            for file in files(&tag.known) {
                self.wire.expect_file(file.as_bytes());
            }
            self.protocol.next = next;
        }
        self.tell(Event::Verdict(verdict));
        None
    }

    /// Record a command that the core has answered with an error.
    fn rejected(&mut self, rejected: &Rejected) {
        let policy = self.worker.policy();
        let now = self.moment();
        let mut bench = Bench {
            worker: &self.worker,
            policy: &policy,
            session: self.id,
            context: &mut self.context,
            record: &mut self.record,
            lex: LexState::Mysql(self.protocol.reading.lex(false)),
            status: self.wire.tx_status(),
            transaction: Transaction::default(),
            types: Box::default(),
            now,
        };
        let written = bench.rejected(rejected);
        self.unrecorded(written);
    }

    /// The text of the held message, for an analysis elsewhere.
    fn held_text(&self) -> Option<(Box<[u8]>, LexState)> {
        let reading = &self.protocol.reading;
        match self.wire.held()? {
            mysql::Held::Query { text, .. } => {
                let lex = reading.lex(self.wire.has_multi_statements());
                Some((text.into(), LexState::Mysql(lex)))
            }
            mysql::Held::Prepare { text } => {
                Some((text.into(), LexState::Mysql(reading.lex(false))))
            }
            mysql::Held::Startup(_)
            | mysql::Held::ChangeUser(_)
            | mysql::Held::Execute { .. }
            | mysql::Held::BulkExecute { .. }
            | mysql::Held::Fetch { .. }
            | mysql::Held::InitDb { .. }
            | mysql::Held::CreateDb { .. }
            | mysql::Held::DropDb { .. }
            | mysql::Held::FieldList { .. }
            | mysql::Held::SetOption { .. }
            | mysql::Held::ProcessKill { .. }
            | mysql::Held::Admin { .. }
            | mysql::Held::Replication { .. }
            | mysql::Held::TooLarge { .. } => None,
        }
    }

    /// Ask the server what the reading of texts depends on. Whether that could be asked.
    fn ask(&mut self) -> bool {
        self.put(Question::State, STATE)
    }

    fn put(&mut self, question: Question, sql: &[u8]) -> bool {
        if let Err(error) = self.wire.ask(sql) {
            tracing::warn!(session = self.id.0, %error, "the server can't be asked about the session");
            return false;
        }
        self.protocol.asked.push_back(question);
        true
    }

    fn answered(&mut self, answer: &Answer) -> Option<Next> {
        match (self.protocol.asked.pop_front(), answer) {
            (Some(Question::Track), answer) => {
                self.protocol
                    .reading
                    .tracked(matches!(answer, Answer::Rows(_)));
            }
            (Some(Question::State), Answer::Rows(rows)) => {
                let row = rows.first().map_or(&[][..], Vec::as_slice);
                if let Some(state) = self.protocol.reading.answered(row) {
                    let user = self.context.subject.user.clone();
                    self.context.told_role(match &state.role {
                        Role::None => Some(&user),
                        Role::One(role) => Some(role),
                        Role::Several => None,
                    });
                    self.in_database(state.database);
                    if self.protocol.reading.is_unreported() {
                        self.put(Question::Track, TRACK);
                    }
                }
            }
            (Some(Question::State), Answer::Failed(code)) => {
                tracing::info!(session = self.id.0, %code, "the server does not tell the session's state");
            }
            (Some(Question::State), Answer::TooLarge) | (None, _) => {}
        }
        // The held message has waited for this.
        if self.protocol.asked.is_empty() && self.protocol.waiting {
            return self.inspect(None);
        }
        None
    }

    /// The current database is `database` now.
    fn in_database(&mut self, database: String) {
        if self.context.database(database) {
            self.tell_context();
        }
    }

    /// COM_CHANGE_USER has ended or COM_RESET_CONNECTION has succeeded: variables have their first values, and names are gone.
    fn begun_anew(&mut self) {
        self.context.names = Names::new(true);
        self.protocol.reading.forget();
        if let Some(next) = self.protocol.next.take() {
            self.context.introduce(next);
            self.tell_context();
        }
        self.ask();
    }
}

/// The files of the client's that a text's statements load, in their order.
fn files(known: &Known) -> impl Iterator<Item = &str> {
    super::effects(known).filter_map(|effect| match effect {
        SessionEffect::ReadFile(name) => Some(&**name),
        SessionEffect::Set { .. }
        | SessionEffect::Reset(_)
        | SessionEffect::Use(_)
        | SessionEffect::Discard
        | SessionEffect::Prepare { .. }
        | SessionEffect::Execute(_)
        | SessionEffect::Deallocate(_)
        | SessionEffect::Declare { .. }
        | SessionEffect::Cursor(_)
        | SessionEffect::MayChangeSettings => None,
    })
}

fn settings(listener: &Listener, limits: &Limits) -> mysql::Settings {
    mysql::Settings {
        max_statement_bytes: u32::try_from(limits.max_statement_bytes).unwrap_or(u32::MAX),
        client_tls: match listener.config.tls.mode {
            TlsMode::Disable => mysql::ClientTls::Disable,
            TlsMode::Prefer => mysql::ClientTls::Prefer,
            TlsMode::Require => mysql::ClientTls::Require,
        },
        server_tls: match listener.upstream.config.tls.mode {
            TlsMode::Disable => mysql::ServerTls::Disable,
            TlsMode::Prefer => mysql::ServerTls::Prefer,
            TlsMode::Require => mysql::ServerTls::Require,
        },
        ..mysql::Settings::default()
    }
}
