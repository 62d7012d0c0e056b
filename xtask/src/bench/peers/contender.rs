//! One library on one task, in a process of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::plan::Row;
use crate::workspace;

/// How long to measure, and on what size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    pub(super) n: usize,
    /// Seconds spent on repeating.
    budget: f64,
    repetitions: usize,
}

impl Effort {
    pub(super) fn full(row: &Row) -> Self {
        Effort { n: row.n, budget: 1.5, repetitions: 7 }
    }

    /// A tenth of the size, to see that everything runs.
    pub(super) fn quick(row: &Row) -> Self {
        Effort { n: (row.n / 10).clamp(100, 2000), budget: 0.2, repetitions: 3 }
    }
}

/// What a process found.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The line it printed.
    pub(super) found: Option<Value>,
    /// Why there is none.
    pub(super) why: String,
}

impl Outcome {
    pub(super) fn skipped(why: &str) -> Self {
        Outcome { found: None, why: format!("skipped: {why}") }
    }

    fn failed(why: impl Into<String>) -> Self {
        Outcome { found: None, why: why.into() }
    }

    /// A number that it printed.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.found.as_ref()?[key].as_f64()
    }

    /// A line for the terminal.
    pub(super) fn show(&self) -> String {
        match (self.number("seconds"), self.number("mb"), self.number("value")) {
            (Some(seconds), Some(mb), Some(value)) => {
                format!("{:>10.3} ms {mb:>9.1} MB  value {value:.12e}", 1e3 * seconds)
            }
            _ => self.why.clone(),
        }
    }
}

/// What all processes of a row share.
pub(super) struct Contender<'a> {
    pub(super) row: &'a Row,
    pub(super) effort: Effort,
    pub(super) inputs: &'a Path,
    pub(super) scratch: &'a Path,
}

impl Contender<'_> {
    /// Runs the script that writes the inputs which are not there yet.
    pub(super) fn write_inputs(&self, python: &Path, script: &Path) -> Result<()> {
        let mut command = workspace::command(python);
        command.arg(script);
        self.describe(&mut command, "inputs", "f64");
        workspace::output(&mut command).map(drop).context("the inputs could not be written")
    }

    /// Runs `program before…` with the arguments every contender takes, and reads the line it prints. Whatever goes wrong
    /// is an outcome too: one peer that is missing does not end the comparison.
    pub(super) fn run(&self, program: &Path, before: &[&OsStr], name: &str, dtype: &str) -> Outcome {
        self.try_run(program, before, name, dtype).unwrap_or_else(|e| Outcome::failed(format!("{e:#}")))
    }

    fn try_run(&self, program: &Path, before: &[&OsStr], name: &str, dtype: &str) -> Result<Outcome> {
        // Files and not pipes: a compiler that a peer starts may write more than a pipe holds.
        let (out, log) = (self.scratch.join("out"), self.scratch.join("log"));
        let mut command = workspace::command(program);
        command.args(before);
        self.describe(&mut command, name, dtype);
        command.stdout(File::create(&out)?).stderr(File::create(&log)?);
        let ended = workspace::run_within(&mut command, Duration::from_secs(self.row.limit));
        let printed = fs::read_to_string(&out)?;
        let line = printed.lines().rev().find(|line| line.starts_with('{'));
        if let Some(found) = line.and_then(|line| serde_json::from_str(line).ok()) {
            return Ok(Outcome { found: Some(found), why: String::new() });
        }
        let text = fs::read(&log)?;
        let text = String::from_utf8_lossy(&text);
        Ok(Outcome::failed(match ended {
            Err(error) if error.to_string().contains("took longer") => {
                format!("more than {} s", self.row.limit)
            }
            _ => reason(&text),
        }))
    }

    fn describe(&self, command: &mut Command, name: &str, dtype: &str) {
        let threads = self.row.threads.to_string();
        let pairs = [
            ("--task", self.row.task.clone()),
            ("--peer", name.into()),
            ("--n", self.effort.n.to_string()),
            ("--d", self.row.d.to_string()),
            ("--dtype", dtype.into()),
            ("--threads", threads.clone()),
            ("--budget", self.effort.budget.to_string()),
            ("--reps", self.effort.repetitions.to_string()),
        ];
        for (key, value) in pairs {
            command.args([key, &value]);
        }
        command.arg("--inputs").arg(self.inputs);
        command.env("RAYON_NUM_THREADS", &threads).env("OMP_NUM_THREADS", &threads);
        // What peers compile stays under target/ too.
        command.env("KEOPS_CACHE_FOLDER", self.scratch.join("keops"));
    }
}

/// The last line of a log that says something, without its path.
fn reason(log: &str) -> String {
    let last =
        log.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("ended without a word");
    last.strip_prefix("ModuleNotFoundError: ")
        .map_or_else(|| last.chars().take(120).collect(), |module| format!("not installed: {module}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peers::plan::Row;

    fn row(limit: u64) -> Row {
        Row {
            task: "t".into(),
            script: String::new(),
            inputs: String::new(),
            ours: String::new(),
            n: 50,
            d: 2,
            threads: 1,
            peers: vec![],
            skip: vec![],
            dtype: "f64".into(),
            goal: None,
            tried: None,
            limit,
        }
    }

    fn run(shell: &str, limit: u64) -> Outcome {
        let (scratch, row) = (tempfile::tempdir().unwrap(), row(limit));
        let contender = Contender {
            row: &row,
            effort: Effort::full(&row),
            inputs: scratch.path(),
            scratch: scratch.path(),
        };
        contender.run(Path::new("sh"), &[OsStr::new("-c"), OsStr::new(shell)], "p", "f64")
    }

    #[test]
    fn the_last_line_of_json_counts_and_arguments_arrive() {
        let outcome = run(r#"echo note; echo "{\"seconds\": 0.5, \"mb\": 1, \"value\": 2}""#, 60);
        assert_eq!((outcome.number("seconds"), outcome.number("value")), (Some(0.5), Some(2.0)));
        // `sh -c` takes the first argument for its own name, so that $5 is the size.
        let outcome = run(r#"echo "{\"value\": $5, \"threads\": $RAYON_NUM_THREADS}""#, 60);
        assert_eq!((outcome.number("value"), outcome.number("threads")), (Some(50.0), Some(1.0)));
    }

    #[test]
    fn failures_say_why() {
        assert_eq!(
            run("echo 'ModuleNotFoundError: No module named x' >&2; exit 1", 60).why,
            "not installed: No module named x"
        );
        assert_eq!(run("exit 3", 60).why, "ended without a word");
        assert_eq!(run("sleep 60", 0).why, "more than 0 s");
        assert!(Outcome::skipped("takes 48 s").show().contains("skipped: takes 48 s"));
    }
}
