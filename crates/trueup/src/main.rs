//! Trueup.
fn main() {}
