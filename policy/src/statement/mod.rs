//! Reads statements: bytes in, facts, normal form and fingerprint out.

pub mod facts;
