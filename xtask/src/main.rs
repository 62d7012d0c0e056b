//! The workspace's own commands, run as `cargo xtask <command>`.
//!
//! Architecture invariant: xtask starts other programs and depends on no crate of the workspace, so that it compiles in
//! seconds on a fresh machine and still runs when a crate does not compile.

mod bench;
mod ci;
mod deny;
mod experiment;
mod libtorch;
mod near;
mod packages;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
Usage: cargo xtask <command>

  libtorch                 find libtorch 2.11.0 or provision it, and print its folder
  experiment [ARGS]...     build the experiments and run one: `--list`, `--describe NAME`, or
                           NAME [--config FILE.json] [--set key=value]... [--seed S] [--device cpu|cuda:N]
                           [--threads N] [--out DIR]
  test                     run every test of the workspace, with cargo-nextest if it is installed
  ci [STEP]...             run every check: fmt, tidy, deny, clippy, features, test, docs, Figure 1
  tidy                     check arrows between crates, docs, duplicate dependencies, unfinished code
  bench [ARGS]...          run the benches; the arguments are criterion's
  bench --peers [--only TASK]... [--quick]
                           compare speed, memory and values with other libraries: docs/benchmarks.md
";

const COMMANDS: [&str; 6] = ["libtorch", "experiment", "test", "ci", "tidy", "bench"];

/// Arguments that make no sense, as against a command that failed.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error that ends in exit code 2.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Refuses arguments for a command that takes none.
pub(crate) fn no_arguments(command: &str, arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(usage(format!("`{command}` takes no arguments, found `{first}`"))),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let (command, rest) = match arguments.split_first() {
        None => return Err(usage(format!("no command\n\n{USAGE}"))),
        Some((first, rest)) => (first.as_str(), rest),
    };
    match command {
        "libtorch" => libtorch::run(rest),
        "experiment" => experiment::run(rest),
        "test" => test::run(rest),
        "ci" => ci::run(rest),
        "tidy" => tidy::run(rest),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(usage(format!("unknown command `{other}`{}\n\n{USAGE}", near::hint(other, &COMMANDS)))),
    }
}
