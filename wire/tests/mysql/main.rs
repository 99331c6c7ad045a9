//! Scripted sessions: bytes in at either end, bytes and actions out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a script that fails is a test that fails"
)]

mod asking;
mod captures;
mod commands;
mod ends;
mod files;
mod fuzz;
mod hostile;
mod login;
mod prepared;
mod refusal;
mod results;
mod split;
mod support;
mod tracking;
