//! What the shell asks of a protocol: its core, and the half of a session that is its own.

use sqlward_policy::Permit;
use sqlward_wire::{Action, Event, Outcome, Pipe, TxStatus, mysql, pg};

use super::{Next, Session, Tag};
use crate::{config::Limits, listener::Listener, tls::Stream};

/// A protocol core, as the shell drives it.
pub(crate) trait Core {
    /// From the client to the server.
    fn client(&mut self) -> &mut Pipe;
    /// From the server to the client.
    fn server(&mut self) -> &mut Pipe;
    /// Take in what happened.
    fn handle(&mut self, event: Event<Permit, Tag>, now_ns: u64);
    /// The next thing to do.
    fn poll(&mut self) -> Option<Action<Tag>>;
    /// Whether the session is between statements.
    fn is_idle(&self) -> bool;
    /// Whether only the client can go on, though part of a message may be there.
    fn awaits_client(&self) -> bool;
    /// The transaction state that the server has reported last.
    fn tx_status(&self) -> Option<TxStatus>;
}

macro_rules! core {
    ($($protocol:ident: $awaits_client:ident),*) => {$(
        impl Core for $protocol::Session<Permit, Tag> {
            fn client(&mut self) -> &mut Pipe {
                &mut self.client
            }
            fn server(&mut self) -> &mut Pipe {
                &mut self.server
            }
            fn handle(&mut self, event: Event<Permit, Tag>, now_ns: u64) {
                self.handle(event, now_ns);
            }
            fn poll(&mut self) -> Option<Action<Tag>> {
                self.poll()
            }
            fn is_idle(&self) -> bool {
                self.is_idle()
            }
            fn awaits_client(&self) -> bool {
                self.$awaits_client()
            }
            fn tx_status(&self) -> Option<TxStatus> {
                self.tx_status()
            }
        }
    )*};
}

core!(pg: awaits_client, mysql: is_idle);

/// The half of a session that only one protocol has: what it knows, and what it does when its core says something that
/// the shell does not answer for both.
pub(crate) trait Protocol: Sized {
    /// Its core.
    type Wire: Core;

    /// A session that has just been accepted.
    fn begin(listener: &Listener, limits: &Limits) -> (Self, Self::Wire);

    /// The client is there: the session's record begins, unless more has to be known for it.
    fn begun(session: &mut Session<Self>);

    /// What the client has sent of its TLS handshake already.
    fn take_tls_preamble(wire: &mut Self::Wire) -> Vec<u8>;

    /// The way to the server is encrypted by `stream` from now on.
    fn server_encrypted(session: &mut Session<Self>, stream: &Stream);

    /// Judge the held message; what needs waiting is returned.
    fn inspect(session: &mut Session<Self>) -> Option<Next>;

    /// Judge the held statement, which is long, having analysed it elsewhere.
    async fn analyse(session: &mut Session<Self>);

    /// A message other than the startup has ended; its record is written.
    fn ended(session: &mut Session<Self>, outcome: &Outcome<Tag>);

    /// The server takes the client's first statement from here on; the session's record is written.
    fn established(session: &mut Session<Self>);

    /// Do what only this protocol's core says; what needs waiting is returned.
    fn act(session: &mut Session<Self>, action: Action<Tag>) -> Option<Next>;
}
