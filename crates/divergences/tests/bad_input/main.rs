//! Every public function with bad or extreme input: a typed error of one line, or a right answer without NaN; never a panic, and
//! never a matrix where the points alone should be held.
//!
//! The documented panics are left out: `Neighbours::indices` and `squared` beyond their end, and what `measures` documents.

mod answers;
#[path = "../../../measures/tests/bad_input/judge.rs"]
mod judge;
mod large;
mod registered;
mod samples;
mod settings;
mod solvers;
