//! Verification (stub file replaced below).
/// x
pub struct ChainReport;
/// x
pub struct Finding;
