//! A list of named steps, each timed, with a table at the end.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// One step: its name and what it does.
pub(crate) type Step<'a> = (&'static str, Box<dyn FnOnce() -> Result<()> + 'a>);

/// What passed, but not as it should: said at once, and again at the end.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Says a warning in one line, and has [`warnings`] say it again.
pub(crate) fn warn(line: String) {
    eprintln!("WARNING: {line}");
    if let Ok(mut warnings) = WARNINGS.lock() {
        warnings.push(line);
    }
}

/// The warnings so far.
pub(crate) fn warnings() -> Vec<String> {
    WARNINGS.lock().map(|warnings| warnings.clone()).unwrap_or_default()
}

/// How a step ended.
struct Done {
    name: &'static str,
    took: Duration,
    error: Option<String>,
}

/// Runs every step, also after one has failed: a second fault should not wait for the first to be mended.
///
/// # Errors
/// When a step failed; the message names all that did.
pub(crate) fn run(title: &str, steps: Vec<Step<'_>>) -> Result<()> {
    let mut done = Vec::new();
    for (name, step) in steps {
        eprintln!("\n=== {title}: {name}");
        let start = Instant::now();
        let error = step().err().map(|error| format!("{error:#}"));
        let took = start.elapsed();
        match &error {
            None => eprintln!("=== {title}: {name} passed in {}", seconds(took)),
            Some(error) => eprintln!("=== {title}: {name} FAILED after {}: {error}", seconds(took)),
        }
        done.push(Done { name, took, error });
    }
    eprintln!("\n{}", table(&done));
    let failed: Vec<&str> = done.iter().filter(|step| step.error.is_some()).map(|step| step.name).collect();
    if !failed.is_empty() {
        bail!("{title} failed: {}", failed.join(", "));
    }
    Ok(())
}

fn table(done: &[Done]) -> String {
    let total = done.iter().map(|step| step.took).sum();
    let width = done.iter().map(|step| step.name.len()).max().unwrap_or(0).max("total".len());
    let mut text = String::new();
    for step in done {
        let verdict = if step.error.is_some() { "FAILED" } else { "passed" };
        let _ = writeln!(text, "{:width$}  {:>9}  {verdict}", step.name, seconds(step.took));
    }
    let _ = write!(text, "{:width$}  {:>9}", "total", seconds(total));
    // The first line of each error again, where the eye is.
    for step in done {
        if let Some(line) = step.error.as_ref().and_then(|error| error.lines().next()) {
            let _ = write!(text, "\n{}: {line}", step.name);
        }
    }
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::ensure;

    use super::*;

    #[test]
    fn every_step_runs_and_the_failed_ones_are_named() {
        let ran = RefCell::new(Vec::new());
        let step = |name: &'static str, fails: bool| -> Step<'_> {
            let ran = &ran;
            let work = move || {
                ran.borrow_mut().push(name);
                ensure!(!fails, "{name} went wrong");
                Ok(())
            };
            (name, Box::new(work))
        };
        let error = run("ci", vec![step("a", true), step("b", false), step("c", true)]).unwrap_err();
        assert_eq!(error.to_string(), "ci failed: a, c");
        run("ci", vec![step("d", false)]).unwrap();
        assert_eq!(*ran.borrow(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn the_table_has_times_and_verdicts() {
        let step = |name, millis, error: Option<&str>| Done {
            name,
            took: Duration::from_millis(millis),
            error: error.map(str::to_string),
        };
        let text = table(&[step("clippy", 1500, None), step("test", 61_000, Some("broken\nmore"))]);
        assert_eq!(
            text,
            "clippy      1.5 s  passed\ntest       61.0 s  FAILED\ntotal      62.5 s\ntest: broken"
        );
    }
}
