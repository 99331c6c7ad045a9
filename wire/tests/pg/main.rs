//! Scripted sessions: bytes in at either end, bytes and actions out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a script that fails is a test that fails"
)]

mod captures;
mod copy;
mod encodings;
mod extended;
mod fallback;
mod fuzz;
mod hostile;
mod names;
mod refusal;
mod simple;
mod split;
mod startup;
mod support;
