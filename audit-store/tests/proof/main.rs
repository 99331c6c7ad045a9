//! The tamper matrix: whatever is changed in a signed store is found and named; a clean store never raises an alarm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails may panic"
)]

mod bits;
mod bundle;
mod days;
mod help;
mod keys;
mod random;
mod store;
#[path = "../support/mod.rs"]
mod support;
