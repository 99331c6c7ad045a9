//! One client's session with one server: its parts, and what a caller may ask it.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use crate::error::Error;
use crate::mysql::capabilities::Capabilities;
use crate::mysql::held::Held;
use crate::mysql::settings::Settings;
use crate::mysql::state::Phase;
use crate::pipe::Pipe;
use crate::session::{Action, CloseReason, Event, TxStatus};

/// One client's session with one server, as seen from between them.
pub struct Session<P, T> {
    /// From the client to the server.
    pub client: Pipe,
    /// From the server to the client.
    pub server: Pipe,
    pub(in crate::mysql) settings: Settings,
    pub(in crate::mysql) phase: Phase,
    actions: VecDeque<Action<T>>,
    permit: PhantomData<fn(P)>,
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

impl<P, T> fmt::Debug for Session<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
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
            actions: VecDeque::from([Action::Connect]),
            permit: PhantomData,
        }
    }

    /// Takes in what happened; `now_ns` is the caller's monotonic clock.
    ///
    /// What goes wrong comes back as [`Action::Close`], behind the outcomes of what it ended.
    pub fn handle(&mut self, event: Event<P, T>, now_ns: u64) {
        let _ = (event, now_ns);
        self.phase = Phase::Closed;
        self.actions
            .push_back(Action::Close(CloseReason::Violation(Error::Event)));
    }

    /// Gives the next thing to do; call until it gives none, also after writing.
    pub fn poll(&mut self) -> Option<Action<T>> {
        self.actions.pop_front()
    }

    /// Shows the message that waits for a verdict.
    #[must_use]
    pub fn held(&self) -> Option<Held<'_, T>> {
        None
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
        let _ = sql;
        Err(AskError::NotEstablished)
    }

    /// Says which file the held Query's statements name, in LOAD DATA LOCAL INFILE, and may have from the client.
    /// To be called before the Query's verdict, in the order of the statements, once for each. A server that asks for
    /// anything else gets an empty file, the client an error, and the caller [`Action::FileRefused`].
    pub fn expect_file(&mut self, name: &[u8]) {
        let _ = name;
    }

    /// Shows the last value that the server reported for a system variable, if it tracks it.
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        let _ = name;
        None
    }

    /// Shows the transaction state that the server reported last.
    #[must_use]
    pub fn tx_status(&self) -> Option<TxStatus> {
        None
    }

    /// Tells whether the server reported last that each statement commits by itself.
    #[must_use]
    pub fn is_autocommit(&self) -> Option<bool> {
        None
    }

    /// Shows what client and server agreed on; nothing before the login.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Tells whether a COM_QUERY may have several statements: by the login, or by the last COM_SET_OPTION.
    #[must_use]
    pub fn has_multi_statements(&self) -> bool {
        false
    }

    /// Shows the version that the server's greeting has, such as `5.5.5-10.11.6-MariaDB`.
    #[must_use]
    pub fn server_version(&self) -> &[u8] {
        &[]
    }

    /// Tells whether the client came over TLS.
    #[must_use]
    pub fn client_is_tls(&self) -> bool {
        false
    }

    /// Tells whether the server's leg has TLS.
    #[must_use]
    pub fn server_is_tls(&self) -> bool {
        false
    }

    /// Tells whether the session is between commands: nothing is owed, held, asked or buffered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        false
    }

    /// Gives back the memory that an idle session doesn't need.
    pub fn release_idle(&mut self) {
        self.client.release_idle();
        self.server.release_idle();
    }
}
