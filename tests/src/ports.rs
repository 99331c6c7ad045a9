//! Free TCP ports on the loopback address, below the range that the kernel hands out itself.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on now. Another process may take it before the caller does:
/// whoever starts a server on it tries again with another.
///
/// # Errors
/// When no port of the range is free.
pub fn free() -> Result<u16> {
    // Each process walks the range from its own place, so that parallel test processes rarely meet.
    let start = std::process::id().wrapping_mul(37) % SPAN;
    for _ in 0..SPAN {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + u16::try_from(start.wrapping_add(step.wrapping_mul(7)) % SPAN)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!(
        "no free port between {FIRST} and {}",
        u32::from(FIRST) + SPAN
    )
}

const FIRST: u16 = 11_000;
const SPAN: u32 = 15_000;
