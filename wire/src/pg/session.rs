//! One client's session with one server.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;

use crate::pg::held::Held;
use crate::pg::settings::Settings;
use crate::pipe::Pipe;
use crate::session::{Action, Event, TxStatus};

/// One client's session with one server, as seen from between them.
#[derive(Debug)]
pub struct Session<P, T> {
    /// From the client to the server.
    pub client: Pipe,
    /// From the server to the client.
    pub server: Pipe,
    settings: Settings,
    actions: VecDeque<Action<T>>,
    parameters: BTreeMap<Box<[u8]>, Box<[u8]>>,
    permit: PhantomData<fn(P)>,
}

impl<P, T: Clone> Session<P, T> {
    /// Begins with a client whose first bytes have not been read yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            client: Pipe::default(),
            server: Pipe::default(),
            settings,
            actions: VecDeque::new(),
            parameters: BTreeMap::new(),
            permit: PhantomData,
        }
    }

    /// Takes in what happened; `now_ns` is the caller's monotonic clock.
    pub fn handle(&mut self, event: Event<P, T>, now_ns: u64) {
        let _ = (event, now_ns, &self.settings);
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

    /// Shows the last value that the server reported for a parameter.
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.parameters.get(name).map(AsRef::as_ref)
    }

    /// Shows the transaction state that the server reported last.
    #[must_use]
    pub fn tx_status(&self) -> Option<TxStatus> {
        None
    }

    /// Tells whether the server owes no answer and no message waits: the session is between commands.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        false
    }

    /// Forgets what a prepared statement's name (or every name) stands for, because SQL
    /// (PREPARE, DEALLOCATE, DISCARD) may give it another meaning; its next Bind shows no tag.
    pub fn forget_prepared(&mut self, name: Option<&[u8]>) {
        let _ = name;
    }

    /// Takes the first bytes of a direct TLS handshake, which the TLS library has to get before
    /// it reads from the socket.
    pub fn take_tls_preamble(&mut self) -> Vec<u8> {
        self.client.take_unjudged()
    }
}
