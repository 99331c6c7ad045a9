//! sqlward.
fn main() {}
