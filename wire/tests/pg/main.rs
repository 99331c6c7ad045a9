//! Scripted sessions: bytes in at either end, bytes and actions out.

mod copy;
mod extended;
mod hostile;
mod refusal;
mod simple;
mod startup;
mod support;
