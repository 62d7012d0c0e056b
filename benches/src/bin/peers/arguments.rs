//! The arguments that every program of ours takes, and the line it prints.

use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is to be run.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) task: String,
    pub(crate) n: usize,
    pub(crate) d: usize,
    pub(crate) budget: f64,
    pub(crate) reps: usize,
    pub(crate) inputs: PathBuf,
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

/// Reads the arguments of the process, runs `work` and prints its line, or why there is none.
pub(crate) fn answer(work: impl Fn(&Arguments) -> Result<Value, String>) -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(|arguments| work(&arguments)) {
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
