//! What goes to the server on our own: the caller's questions, and resets in the wake of refusals.

use crate::mysql::capabilities::Capabilities;
use crate::mysql::command::Command;
use crate::mysql::packet;
use crate::mysql::response::{Current, Kind};
use crate::mysql::session::Session;

/// A command of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Own {
    /// A question of the caller's.
    Ask(Box<[u8]>),
    /// A COM_STMT_RESET of this statement: its long data belonged to an execution that was refused.
    Reset(u32),
}

impl<P, T: Clone> Session<P, T> {
    /// Sends the next command of our own.
    pub(super) fn send_own(&mut self, own: &Own) {
        let (kind, payload) = match own {
            Own::Ask(sql) => {
                let mut payload = vec![Command::Query.number()];
                if self.agreement.both.has(Capabilities::QUERY_ATTRIBUTES) {
                    payload.extend_from_slice(&[0, 1]);
                }
                payload.extend_from_slice(sql);
                (Kind::Ask, payload)
            }
            Own::Reset(id) => {
                let mut payload = vec![Command::Reset.number()];
                payload.extend_from_slice(&id.to_le_bytes());
                (Kind::Reset, payload)
            }
        };
        let (bytes, next) = packet::frame(&payload, 0);
        self.numbers.server = next;
        self.client.inject(&bytes);
        self.current = Some(Current::new(kind, None, bytes.len()));
    }
}
