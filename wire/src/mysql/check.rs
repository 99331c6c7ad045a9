//! Whether a client's bytes are messages, for those who test what is forwarded.

use crate::mysql::command::Command;
use crate::mysql::login;
use crate::mysql::packet;

/// Tells whether the bytes are a login and packets behind it, of which each that begins a command has a number
/// that is known. The last packet may be cut off.
#[must_use]
pub fn is_well_formed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut first = true;
    while !rest.is_empty() {
        let Some(packet) = packet::peek(rest) else {
            return false;
        };
        let payload = rest
            .get(packet::HEADER..packet.total().min(rest.len()))
            .unwrap_or_default();
        let good = if first {
            packet.seq == 1 && login::front(payload).is_some()
        } else {
            let number = payload.first().copied();
            packet.seq > 0 || number.is_some_and(|n| Command::from_number(n).is_some())
        };
        if !good {
            return false;
        }
        first = false;
        rest = rest.get(packet.total()..).unwrap_or_default();
    }
    true
}
