//! Our side of `cargo xtask bench --peers`: one task on inputs from files, measured in a process of its own.
//!
//! It takes and prints what the scripts of `benches/peers` do: `--task T --n N --d D --threads T --budget S --reps R
//! --inputs DIR`, and one line of JSON. The number of threads is rayon's to read, from `RAYON_NUM_THREADS`.

mod arguments;
mod measure;
mod npy;
mod tasks;

use arguments::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    arguments::answer(tasks::run)
}
