//! The command `experiments`.
fn main() {}
