//! Every public function with bad or extreme input: a typed error of one line, or a right answer without NaN; never a panic.
//!
//! The documented panics are left out: points of dimension zero through `zeros`, `from_fn`, `from_rows`, `from_raw`, indices out
//! of range, `Gaussian::standard(0)` and blocks of width zero.

mod core;
mod judge;
mod laws;
mod tools;
