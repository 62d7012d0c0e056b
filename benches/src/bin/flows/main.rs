//! Our side of the rows of `benches/peers/flows.py`: clouds moved along fields, one task in a process of its own.
//!
//! Arguments and answer are those of the program `peers`.

#[path = "../peers/arguments.rs"]
mod arguments;
#[path = "../peers/measure.rs"]
mod measure;
#[path = "../peers/npy.rs"]
mod npy;

mod tasks;

use arguments::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    arguments::answer(tasks::run)
}
