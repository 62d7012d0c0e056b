//! Our side of `cargo xtask bench --peers`: one task on inputs from files, measured in a process of its own.
//!
//! It takes and prints what the scripts of `benches/peers` do: `--task T --n N --d D --threads T --budget S --reps R
//! --inputs DIR`, and one line of JSON. The number of threads is rayon's to read, from `RAYON_NUM_THREADS`.

mod measure;
mod npy;
mod tasks;

use std::path::PathBuf;
use std::process::ExitCode;

/// What is to be run.
#[derive(Debug, Default)]
struct Arguments {
    task: String,
    n: usize,
    d: usize,
    budget: f64,
    reps: usize,
    inputs: PathBuf,
}

impl Arguments {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Arguments { budget: 2.0, reps: 7, ..Arguments::default() };
        let mut words = words;
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            let whole = || value.parse::<usize>().map_err(|_| format!("{name} {value}: not a whole number"));
            match name.as_str() {
                "--task" => arguments.task = value,
                "--n" => arguments.n = whole()?,
                "--d" => arguments.d = whole()?,
                "--reps" => arguments.reps = whole()?,
                "--budget" => {
                    arguments.budget = value.parse().map_err(|_| format!("{name} {value}: not a number"))?;
                }
                "--inputs" => arguments.inputs = PathBuf::from(value),
                "--peer" | "--dtype" | "--threads" => {}
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(arguments)
    }
}

fn main() -> ExitCode {
    let outcome = Arguments::parse(std::env::args().skip(1)).and_then(|arguments| tasks::run(&arguments));
    match outcome {
        Ok(row) => {
            println!("{row}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
