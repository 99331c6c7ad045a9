//! Scripted sessions: bytes in at either end, bytes and actions out.

mod startup;
mod support;
