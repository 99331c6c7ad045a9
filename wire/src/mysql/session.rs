//! One client's session with one server: its parts, and what a caller may ask it.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use crate::mysql::auth::{Auth, Legs};
use crate::mysql::capabilities::Capabilities;
use crate::mysql::held::Held;
use crate::mysql::ok::Status;
use crate::mysql::response::Current;
use crate::mysql::settings::Settings;
use crate::mysql::state::{Awaits, Front, Hook, Numbers, Own, Phase, Refused, Rest};
use crate::mysql::statements::Statements;
use crate::mysql::values::Type;
use crate::mysql::variables::Variables;
use crate::pipe::Pipe;
use crate::session::{Action, Completion, Event, Outcome, TxStatus};
use crate::sqlstate::ErrorCode;

/// One client's session with one server, as seen from between them.
pub struct Session<P, T> {
    /// From the client to the server.
    pub client: Pipe,
    /// From the server to the client.
    pub server: Pipe,
    pub(in crate::mysql) settings: Settings,
    pub(in crate::mysql) phase: Phase,
    pub(in crate::mysql) agreement: Agreement,
    pub(in crate::mysql) legs: Legs,
    pub(in crate::mysql) numbers: Numbers,
    pub(in crate::mysql) auth: Auth,
    /// The client's command that has to wait.
    pub(in crate::mysql) front: Option<Front>,
    /// The payload of the command that waits, if it came in several packets.
    pub(in crate::mysql) joined: Vec<u8>,
    /// The types of the parameters of the COM_STMT_BULK_EXECUTE that waits.
    pub(in crate::mysql) bulk_types: Vec<Type>,
    /// The command at the server.
    pub(in crate::mysql) current: Option<Current<T>>,
    /// What is to come of a message from the client whose front has been dealt with.
    pub(in crate::mysql) client_rest: Option<Rest>,
    /// What is to come of a message from the server whose front has been dealt with.
    pub(in crate::mysql) server_rest: Option<Rest>,
    /// The parameter that a COM_STMT_SEND_LONG_DATA is on its way for: the statement and the position.
    pub(in crate::mysql) long: Option<(u32, u16)>,
    /// What the client is told when its refused command is through.
    pub(in crate::mysql) refused: Option<Refused<T>>,
    /// What happens when the message from the server is through.
    pub(in crate::mysql) ending: Option<crate::session::CloseReason>,
    /// What the login's verdict said, until its outcome is told.
    pub(in crate::mysql) startup: Option<(T, u64)>,
    pub(in crate::mysql) statements: Statements<T>,
    /// The files that the statements in flight, or held, may have.
    pub(in crate::mysql) files: VecDeque<Box<[u8]>>,
    /// What is to be sent on our own.
    pub(in crate::mysql) own: VecDeque<Own>,
    pub(in crate::mysql) hook: Hook,
    pub(in crate::mysql) status: Option<Status>,
    pub(in crate::mysql) variables: Variables,
    /// Whether reading commands waits for the server to take what is ready.
    pub(in crate::mysql) stalled: bool,
    pub(in crate::mysql) out: Out<T>,
    permit: PhantomData<fn(P)>,
}

/// What the greeting and the login have settled.
#[derive(Debug, Default)]
pub(in crate::mysql) struct Agreement {
    pub(in crate::mysql) version: Vec<u8>,
    /// What the server has.
    pub(in crate::mysql) server: Capabilities,
    /// What the client was offered.
    pub(in crate::mysql) offer: Capabilities,
    /// What the client's leg follows.
    pub(in crate::mysql) client: Capabilities,
    /// What the server's leg follows.
    pub(in crate::mysql) both: Capabilities,
    pub(in crate::mysql) collation: u16,
    pub(in crate::mysql) multi_statements: bool,
}

/// Where actions go, and the time that they bear.
#[derive(Debug)]
pub(in crate::mysql) struct Out<T> {
    pub(in crate::mysql) actions: VecDeque<Action<T>>,
    pub(in crate::mysql) now: u64,
}

impl<T> Out<T> {
    pub(in crate::mysql) fn push(&mut self, action: Action<T>) {
        self.actions.push_back(action);
    }

    /// Gives a tag an outcome without results.
    pub(in crate::mysql) fn ended(
        &mut self,
        (tag, request_bytes): (T, u64),
        completion: Completion,
        error: Option<ErrorCode>,
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
            error,
            first_byte: None,
            ended: self.now,
            tx: None,
        }));
    }
}

/// Why a question can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The client is not logged in, or the session is closed.
    #[error("no session to ask in")]
    NotEstablished,
    /// Sixteen questions wait already.
    #[error("too many questions wait")]
    TooMany,
    /// It is longer than 16 KiB.
    #[error("the question is too long")]
    TooLong,
}

/// The most questions that wait, and the most bytes of one.
const MAX_QUESTIONS: usize = 16;
const MAX_QUESTION: usize = 16 * 1024;

/// The most files that a command's statements may name.
const MAX_FILES: usize = 256;

impl<P, T> fmt::Debug for Session<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("busy", &self.current.is_some())
            .field("client", &self.client)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl<P, T: Clone> Session<P, T> {
    /// Begins with a client that has just connected; the first thing asked for is the connection
    /// to the server.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            client: Pipe::default(),
            server: Pipe::default(),
            settings,
            phase: Phase::ExpectServer,
            agreement: Agreement::default(),
            legs: Legs {
                client: false,
                server: false,
            },
            numbers: Numbers::default(),
            auth: Auth::default(),
            front: None,
            joined: Vec::new(),
            bulk_types: Vec::new(),
            current: None,
            client_rest: None,
            server_rest: None,
            long: None,
            refused: None,
            ending: None,
            startup: None,
            statements: Statements::default(),
            files: VecDeque::new(),
            own: VecDeque::new(),
            hook: Hook::Idle,
            status: None,
            variables: Variables::default(),
            stalled: false,
            out: Out {
                actions: VecDeque::from([Action::Connect]),
                now: 0,
            },
            permit: PhantomData,
        }
    }

    /// Takes in what happened; `now_ns` is the caller's monotonic clock.
    ///
    /// What goes wrong comes back as [`Action::Close`], behind the outcomes of what it ended.
    pub fn handle(&mut self, event: Event<P, T>, now_ns: u64) {
        self.out.now = now_ns;
        if self.phase == Phase::Closed {
            return;
        }
        if let Err(error) = self.take(event) {
            self.violated(error);
        }
    }

    /// Gives the next thing to do; call until it gives none, also after writing.
    pub fn poll(&mut self) -> Option<Action<T>> {
        let drained = self.stalled && self.client.unsent() < Pipe::LARGE;
        if self.hook == Hook::Open || drained {
            if self.hook == Hook::Open {
                self.hook = Hook::Idle;
            }
            self.stalled = false;
            if let Err(error) = self.read_commands() {
                self.violated(error);
            }
        }
        let action = self.out.actions.pop_front();
        match &action {
            Some(Action::Inspect) => {
                if let Some(front) = &mut self.front {
                    front.awaits = Awaits::Verdict;
                }
            }
            Some(Action::Established | Action::SessionReset) => self.hook = Hook::Open,
            Some(_) | None => {}
        }
        action
    }

    /// Shows the message that waits for a verdict.
    #[must_use]
    pub fn held(&self) -> Option<Held<'_, T>> {
        self.view().ok().flatten()
    }

    /// Takes out what the client has sent behind its SSLRequest, after [`Action::StartTls`] of its leg: the
    /// beginning of the TLS handshake, which no client waits with.
    pub fn take_tls_preamble(&mut self) -> Vec<u8> {
        match self.phase {
            Phase::ExpectClientTls => self.client.take_unjudged(),
            Phase::ExpectServer
            | Phase::ExpectGreeting
            | Phase::ExpectLogin
            | Phase::ExpectLoginVerdict
            | Phase::ExpectServerTls
            | Phase::ExpectAuthentication
            | Phase::ExpectCommand
            | Phase::Closed => Vec::new(),
        }
    }

    /// Asks the server on the caller's behalf, by a COM_QUERY that the client never sees; the answer comes
    /// as [`Action::Answered`], in the order asked. It goes out as soon as no command is at the server and before
    /// the client's next one; if a message is held, its verdict has to wait for the answer.
    ///
    /// It costs the session what any statement does: its list of warnings, FOUND_ROWS() and ROW_COUNT() are the
    /// question's, not the client's. One result set is taken, of a thousand values and 64 KiB at most.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask(&mut self, sql: &[u8]) -> Result<(), AskError> {
        if self.phase != Phase::ExpectCommand {
            return Err(AskError::NotEstablished);
        }
        if self.own.len() >= MAX_QUESTIONS {
            return Err(AskError::TooMany);
        }
        if sql.len() > MAX_QUESTION {
            return Err(AskError::TooLong);
        }
        self.own.push_back(Own::Ask(sql.into()));
        if let Err(error) = self.read_commands() {
            self.violated(error);
        }
        Ok(())
    }

    /// Says which file the held Query's statements name, in LOAD DATA LOCAL INFILE, and may have from the client.
    /// To be called before the Query's verdict, in the order of the statements, once for each. A server that asks for
    /// anything else gets an empty file, the client an error, and the caller [`Action::FileRefused`].
    pub fn expect_file(&mut self, name: &[u8]) {
        if self.front.is_some() && self.current.is_none() && self.files.len() < MAX_FILES {
            self.files.push_back(name.into());
        }
    }

    /// Shows the last value that the server reported for a system variable, if it tracks it.
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.variables.value(name)
    }

    /// Shows the transaction state that the server reported last.
    #[must_use]
    pub fn tx_status(&self) -> Option<TxStatus> {
        self.status.map(|status| match status.is_in_transaction() {
            true => TxStatus::Active,
            false => TxStatus::Idle,
        })
    }

    /// Tells whether the transaction that the server reported last only reads; none if it reported none.
    #[must_use]
    pub fn is_read_only(&self) -> Option<bool> {
        let status = self.status.filter(|status| status.is_in_transaction());
        status.map(Status::is_read_only)
    }

    /// Tells whether the server reported last that each statement commits by itself.
    #[must_use]
    pub fn is_autocommit(&self) -> Option<bool> {
        self.status.map(Status::is_autocommit)
    }

    /// Shows what client and server agreed on; nothing before the login.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.agreement.client
    }

    /// Tells whether a COM_QUERY may have several statements: by the login, or by the last COM_SET_OPTION.
    #[must_use]
    pub fn has_multi_statements(&self) -> bool {
        self.agreement.multi_statements
    }

    /// Shows the version that the server's greeting has, such as `5.5.5-10.11.6-MariaDB`.
    #[must_use]
    pub fn server_version(&self) -> &[u8] {
        &self.agreement.version
    }

    /// Tells whether the client came over TLS.
    #[must_use]
    pub fn client_is_tls(&self) -> bool {
        self.legs.client
    }

    /// Tells whether the server's leg has TLS.
    #[must_use]
    pub fn server_is_tls(&self) -> bool {
        self.legs.server
    }

    /// Tells whether the session is between commands: nothing is owed, held, asked or buffered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::ExpectCommand
            && self.hook == Hook::Idle
            && self.front.is_none()
            && self.current.is_none()
            && self.refused.is_none()
            && self.own.is_empty()
            && self.client.is_empty()
            && self.server.is_empty()
    }

    /// Gives back the memory that an idle session doesn't need.
    pub fn release_idle(&mut self) {
        self.client.release_idle();
        self.server.release_idle();
        if self.front.is_none() {
            self.joined = Vec::new();
            self.bulk_types = Vec::new();
        }
        if self.out.actions.is_empty() {
            self.out.actions = VecDeque::new();
        }
    }
}
