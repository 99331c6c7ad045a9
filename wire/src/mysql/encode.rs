//! Messages of our own: what sqlward says itself, and what tests and fuzzing say for clients and servers.

use crate::mysql::packet;
use crate::sqlstate::ErrorCode;

/// The longest message of an error, in bytes.
pub(crate) const MAX_MESSAGE: usize = 512;

/// Puts a payload into packets, from sequence number `seq` on.
#[must_use]
pub fn packets(payload: &[u8], seq: u8) -> Vec<u8> {
    packet::frame(payload, seq).0
}

/// A length-encoded integer.
#[must_use]
pub fn lenenc(n: u64) -> Vec<u8> {
    let bytes = n.to_le_bytes();
    let (mark, width) = match n {
        0..=0xfa => (None, 1),
        0xfb..=0xffff => (Some(0xfc), 2),
        0x1_0000..=0xff_ffff => (Some(0xfd), 3),
        _ => (Some(0xfe), 8),
    };
    let bytes = bytes.get(..width).unwrap_or_default().iter().copied();
    mark.into_iter().chain(bytes).collect()
}

/// Bytes with their length in front, length-encoded.
#[must_use]
pub fn lenenc_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut out = lenenc(u64::try_from(bytes.len()).unwrap_or(0));
    out.extend_from_slice(bytes);
    out
}

/// The payload of an ERR packet.
#[must_use]
pub fn error(code: ErrorCode, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend_from_slice(&code.errno.to_le_bytes());
    payload.push(b'#');
    payload.extend_from_slice(code.sqlstate.as_str().as_bytes());
    payload.extend_from_slice(message);
    payload
}

/// The payload of an OK packet: rows affected, status flags, warnings.
#[must_use]
pub fn ok(affected: u64, status: u16, warnings: u16) -> Vec<u8> {
    let mut payload = vec![0x00];
    payload.extend(lenenc(affected));
    payload.push(0);
    payload.extend_from_slice(&status.to_le_bytes());
    payload.extend_from_slice(&warnings.to_le_bytes());
    payload
}

/// The payload of an EOF packet.
#[must_use]
pub fn eof(status: u16, warnings: u16) -> Vec<u8> {
    let mut payload = vec![0xfe];
    payload.extend_from_slice(&warnings.to_le_bytes());
    payload.extend_from_slice(&status.to_le_bytes());
    payload
}
