//! Packets and their fields (MySQL manual, "Protocol Basics"): 3 bytes of length, a sequence number,
//! the payload; payloads of 2^24-1 bytes and more are split.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};

use crate::socket::{Socket, closed};

/// The longest payload of one packet.
pub const LONGEST: usize = 0xff_ffff;

/// Sends a payload; the sequence number of the packet that must answer it.
///
/// # Errors
/// When the connection is gone.
pub fn send(socket: &mut Socket, mut sequence: u8, payload: &[u8]) -> Result<u8> {
    socket.write_all(&framed(&mut sequence, payload)?)?;
    socket.flush()?;
    Ok(sequence)
}

/// A payload as packets, the first of them with the number `sequence`, which is counted on.
///
/// # Errors
/// Never for what memory can hold.
pub fn framed(sequence: &mut u8, payload: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    let mut rest = payload;
    loop {
        let (part, after) = rest.split_at(rest.len().min(LONGEST));
        bytes.extend(u32::try_from(part.len())?.to_le_bytes().iter().take(3));
        bytes.push(*sequence);
        bytes.extend_from_slice(part);
        *sequence = sequence.wrapping_add(1);
        rest = after;
        if part.len() < LONGEST {
            return Ok(bytes);
        }
    }
}

/// The next payload; `None` when the server has closed the connection. Fails if a packet does not
/// have the number that is due.
///
/// # Errors
/// When none comes in time or a number is wrong.
pub fn receive(socket: &mut Socket, sequence: &mut u8) -> Result<Option<Vec<u8>>> {
    let mut payload = Vec::new();
    loop {
        let mut head = [0; 4];
        match socket.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if closed(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let [a, b, c, number] = head;
        let size = usize::try_from(u32::from_le_bytes([a, b, c, 0]))?;
        let start = payload.len();
        payload.resize(start + size, 0);
        match socket.read_exact(payload.get_mut(start..).unwrap_or_default()) {
            Ok(()) => {}
            Err(error) if closed(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        ensure!(
            number == *sequence,
            "packet number {number} where {sequence} is due: {}",
            String::from_utf8_lossy(&payload).escape_debug()
        );
        *sequence = sequence.wrapping_add(1);
        if size < LONGEST {
            return Ok(Some(payload));
        }
    }
}

/// Reads the fields of a payload one by one.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `length` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("a short packet")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A little-endian number of `length` bytes.
    ///
    /// # Errors
    /// When there are fewer bytes.
    pub fn number(&mut self, length: usize) -> Result<u64> {
        let bytes = self.bytes(length)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    /// A number of 1, 3, 4 or 9 bytes; `None` is NULL.
    ///
    /// # Errors
    /// When the first byte announces none.
    pub fn length(&mut self) -> Result<Option<u64>> {
        Ok(Some(match self.number(1)? {
            0xfb => return Ok(None),
            0xfc => self.number(2)?,
            0xfd => self.number(3)?,
            0xfe => self.number(8)?,
            small => {
                ensure!(small < 0xfb, "no length: {small:#x}");
                small
            }
        }))
    }

    /// Bytes behind their length; `None` is NULL.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn string(&mut self) -> Result<Option<&'a [u8]>> {
        match self.length()? {
            Some(length) => Ok(Some(self.bytes(usize::try_from(length)?)?)),
            None => Ok(None),
        }
    }

    /// Bytes up to a NUL, which is taken too.
    ///
    /// # Errors
    /// When there is no NUL.
    pub fn until_nul(&mut self) -> Result<&'a [u8]> {
        let length = self.0.iter().position(|byte| *byte == 0);
        let taken = self.bytes(length.context("no NUL")?)?;
        self.bytes(1)?;
        Ok(taken)
    }
}

/// Puts bytes behind their length.
pub fn put_string(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len();
    let size = length.to_le_bytes();
    match length {
        0..=0xfa => into.extend(size.iter().take(1)),
        0xfb..=0xffff => {
            into.push(0xfc);
            into.extend(size.iter().take(2));
        }
        0x1_0000..=0xff_ffff => {
            into.push(0xfd);
            into.extend(size.iter().take(3));
        }
        _ => {
            into.push(0xfe);
            into.extend(size);
        }
    }
    into.extend_from_slice(bytes);
}
