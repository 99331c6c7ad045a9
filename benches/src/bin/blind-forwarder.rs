//! A byte-blind TCP forwarder: the least that any proxy of this kind can cost.
//!
//! `blind-forwarder LISTEN-PORT UPSTREAM-PORT`, both on 127.0.0.1; one thread, no look at a byte.

use anyhow::{Context, Result};
use sqlward_tests::forward;

fn main() -> Result<()> {
    let mut ports = std::env::args().skip(1).map(|text| text.parse::<u16>());
    let usage = "usage: blind-forwarder LISTEN-PORT UPSTREAM-PORT";
    let (listen, upstream) = (ports.next().context(usage)??, ports.next().context(usage)??);
    forward::run(listen, upstream)
}
