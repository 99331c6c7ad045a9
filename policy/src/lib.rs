//! Decides: (Policy, Request) → Decision. Pure, synchronous, total; owns statement analysis.

pub mod statement;
pub mod vocabulary;
