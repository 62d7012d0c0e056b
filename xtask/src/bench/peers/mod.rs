//! `cargo xtask bench --peers`: ours and the best libraries known on the same inputs, in turn, each in a process of its own.
//!
//! What is compared stands in `benches/peers/plan.json`, the scripts of the peers beside it. Results are written to
//! `docs/benchmarks.json` and `docs/benchmarks.md` after every row, so that a run that is interrupted keeps what it has.

mod contender;
mod machine;
mod page;
mod plan;
mod venv;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use self::contender::{Contender, Effort, Outcome};
use self::plan::{Plan, Row};
use crate::{experiment, near, usage, workspace};

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    only: Vec<String>,
    quick: bool,
}

impl Options {
    fn parse(arguments: &[String], tasks: &[&str]) -> Result<Self> {
        let mut options = Options::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => options.quick = true,
                "--only" => {
                    let name =
                        words.next().ok_or_else(|| usage("`--only` needs the name of a task after it"))?;
                    if !tasks.contains(&name.as_str()) {
                        let hint = near::hint(name, tasks);
                        let list = tasks.join(", ");
                        return Err(usage(format!("unknown task `{name}`{hint}; there are {list}")));
                    }
                    options.only.push(name.clone());
                }
                other => {
                    return Err(usage(format!(
                        "unknown argument `{other}`; `bench --peers` takes `--only TASK` and `--quick`"
                    )));
                }
            }
        }
        Ok(options)
    }

    fn wants(&self, row: &Row) -> bool {
        self.only.is_empty() || self.only.contains(&row.task)
    }
}

/// Where things are.
struct Places {
    scripts: PathBuf,
    work: PathBuf,
    inputs: PathBuf,
    /// The results, without an extension.
    results: PathBuf,
}

impl Places {
    fn new(quick: bool) -> Self {
        let (root, work) = (workspace::root(), workspace::root().join("target/peers"));
        Places {
            scripts: root.join("benches/peers"),
            inputs: work.join("inputs"),
            // Small sizes say nothing about speed, so they do not go into the docs.
            results: if quick { work.join("quick") } else { root.join("docs/benchmarks") },
            work,
        }
    }
}

/// The subcommand.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let plan = Plan::load(&workspace::root().join("benches/peers/plan.json"))?;
    let options = Options::parse(arguments, &plan.names())?;
    let places = Places::new(options.quick);
    let started = Instant::now();
    let circumstances = machine::circumstances(&places.scripts)?;
    let python = venv::ready(&places.scripts, &places.work)?;
    let ours = Ours::build(&plan)?;

    let file = places.results.with_extension("json");
    let mut rows = machine::earlier_rows(&file, &circumstances);
    for row in plan.rows.iter().filter(|row| options.wants(row)) {
        let effort = if options.quick { Effort::quick(row) } else { Effort::full(row) };
        let measured = compare(row, effort, &python, &ours, &places)?;
        let commit = &circumstances["commit"];
        let measured: Vec<Value> = measured
            .into_iter()
            .map(|mut one| {
                one["commit"] = commit.clone();
                one
            })
            .collect();
        rows.retain(|old| !measured.iter().any(|new| page::same_row(old, new)));
        rows.extend(measured);
        page::write(&places.results, &plan, &circumstances, &mut rows, options.quick)?;
    }
    eprintln!(
        "{} and {} written, after {:.0} s",
        places.results.with_extension("md").display(),
        file.display(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Our programs by name.
struct Ours(Vec<(String, PathBuf)>);

impl Ours {
    fn build(plan: &Plan) -> Result<Self> {
        let libtorch = super::benches_link_torch()?.then(crate::libtorch::Libtorch::ready).transpose()?;
        let built = plan.programs().into_iter().map(|name| {
            let path = experiment::build_binary("benches", &name, libtorch.as_ref())?;
            Ok((name, path))
        });
        Ok(Ours(built.collect::<Result<_>>()?))
    }

    fn path(&self, name: &str) -> Result<&Path> {
        let found = self.0.iter().find(|(built, _)| built == name);
        found.map(|(_, path)| path.as_path()).context("a program that was not built")
    }
}

/// Writes the inputs of a row, runs ours and every peer, and returns one row of results a peer.
fn compare(row: &Row, effort: Effort, python: &Path, ours: &Ours, places: &Places) -> Result<Vec<Value>> {
    eprintln!("{}, n = {}, d = {}, {} thread(s)", row.task, effort.n, row.d, row.threads);
    let contender = Contender { row, effort, inputs: &places.inputs, scratch: &places.work };
    contender.write_inputs(python, &places.scripts.join(&row.inputs))?;
    let own = contender.run(ours.path(&row.ours)?, &[], "ours", &row.dtype);
    eprintln!("  {:28} {}", "ours", own.show());
    let mut outcomes = Vec::new();
    for peer in &row.peers {
        let script = places.scripts.join(&row.script);
        let outcome = contender.run(python, &[script.as_os_str()], &peer.name, &peer.dtype);
        eprintln!("  {:28} {}", format!("{} {}", peer.name, peer.dtype), outcome.show());
        outcomes.push((peer.name.as_str(), peer.dtype.as_str(), outcome));
    }
    let skipped =
        row.skip.iter().map(|(name, why)| (name.as_str(), row.dtype.as_str(), Outcome::skipped(why)));
    outcomes.extend(skipped);
    Ok(page::results(row, effort.n, &own, &outcomes))
}

/// A row without numbers, to be filled in.
fn blank(row: &Row, n: usize) -> Value {
    json!({"task": row.task, "n": n, "d": row.d, "dtype": row.dtype, "threads": row.threads})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Options::parse(&words, &["mmd", "energy"])
    }

    #[test]
    fn options_are_read_and_mistakes_named() {
        assert_eq!(parse(&[]).unwrap(), Options::default());
        let options = parse(&["--only", "mmd", "--quick", "--only", "energy"]).unwrap();
        assert_eq!(options, Options { only: vec!["mmd".into(), "energy".into()], quick: true });
        let error = parse(&["--only", "mdm"]).unwrap_err().to_string();
        assert!(error.contains("`mdm`; did you mean mmd?"), "{error}");
        assert!(parse(&["--only"]).unwrap_err().to_string().contains("name of a task"));
        assert!(parse(&["--fast"]).unwrap_err().to_string().contains("`--fast`"));
    }
}
