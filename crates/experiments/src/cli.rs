//! The command line.

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::folder::{Folder, Run, Sharing};
use crate::progress::{Log, Progress};
use crate::report::{self, Circumstances, Machine, Versions};
use crate::{interrupt, registry, spec};
use clap::Parser;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// A bug in this program, as in `sysexits.h`.
const BUG: u8 = 70;

/// Learn pushforward maps and look at what they learned.
///
/// Exit codes: 0 every claim holds, 1 a claim fails, 2 bad input, 130 stopped by Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "experiments", version, max_term_width = 100)]
struct Arguments {
    /// The experiment to run; --list names them all. `report` puts finished runs side by side.
    name: Option<String>,
    /// With `reproduce` the published table, short for --set table=TABLE; with `report` the folders of the runs.
    #[arg(value_name = "WORD", conflicts_with = "resume")]
    words: Vec<String>,
    /// List the experiments and exit.
    #[arg(long, exclusive = true)]
    list: bool,
    /// Describe an experiment: every key, its value (the default, or what --config and --set make of it), meaning and type.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "resume"])]
    describe: Option<String>,
    /// Settings from a JSON file.
    #[arg(long, value_name = "FILE.json", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// One setting, after those of the file; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume")]
    sets: Vec<String>,
    /// The seed of everything random [default: 0].
    #[arg(long, conflicts_with = "resume", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Where to train: cpu or cuda:N [default: cpu].
    #[arg(long, conflicts_with = "resume")]
    device: Option<String>,
    /// Threads of libtorch and of everything else [default: 1 for libtorch, all for the rest].
    #[arg(long, conflicts_with = "resume")]
    threads: Option<usize>,
    /// The folder for report and results, new or empty [default: runs/NAME-NNN].
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with the interrupted run in this folder.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// With --resume, do the failed cells of a study again, also of a finished one.
    #[arg(long, requires = "resume")]
    retry_failed: bool,
    /// Cells of a study that are worked on side by side; they share the threads.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Write the losses as event files for TensorBoard too, into the folder tensorboard of the run.
    #[arg(long)]
    tensorboard: bool,
    /// How progress is told, on standard error.
    #[arg(long, value_enum, default_value_t = Log::Auto)]
    log: Log,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    hook_panics();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            print(&error.to_string());
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&Failure::Usage(usage_line(&error))),
    };
    match catch_unwind(AssertUnwindSafe(|| dispatch(&arguments))) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::from(1),
        Ok(Err(failure)) => refuse(&failure),
        // The hook has told what and where.
        Err(_) => ExitCode::from(BUG),
    }
}

/// Whether every claim holds.
fn dispatch(arguments: &Arguments) -> Result<bool> {
    if arguments.list {
        print(&registry::list());
        return Ok(true);
    }
    if arguments.name.as_deref() == Some("report") {
        return side_by_side(arguments);
    }
    if let Some(name) = &arguments.describe {
        let entry = registry::find(name)?;
        print(&entry.describe(&entry.resolve(arguments.config.as_deref(), &arguments.sets)?));
        return Ok(true);
    }
    if arguments.threads == Some(0) {
        return Err(Failure::Usage("--threads 0: at least 1 is needed".into()));
    }
    if arguments.jobs == 0 {
        return Err(Failure::Usage("--jobs 0: at least 1 is needed".into()));
    }
    let (folder, run) = match &arguments.resume {
        Some(path) => resume(arguments, path)?,
        None => begin(arguments)?,
    };
    // Any number of threads gives the same bytes; a pool that exists already is as good.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.unwrap_or(0));
    let _ = pool.build_global();
    interrupt::install();
    execute(arguments, folder, run)
}

/// Finished runs on one page.
fn side_by_side(arguments: &Arguments) -> Result<bool> {
    if arguments.words.is_empty() {
        return Err(Failure::Usage("report: the folders of finished runs are needed".into()));
    }
    let runs: Vec<PathBuf> = arguments.words.iter().map(PathBuf::from).collect();
    let folder = Folder::create(arguments.out.as_deref(), "report", Sharing::Alone)?;
    let page = folder.path().join("report.html");
    match report::side_by_side(&runs, &page) {
        Ok(()) => {
            print(&format!("{} runs side by side: {}\n", runs.len(), page.display()));
            folder.release();
            Ok(true)
        }
        Err(failure) => {
            folder.abandon();
            Err(failure)
        }
    }
}

/// A new run: everything that can be wrong on the command line is found before the folder is made.
fn begin(arguments: &Arguments) -> Result<(Folder, Run)> {
    let Some(name) = &arguments.name else {
        return Err(Failure::Usage(
            "no experiment is named: --list shows them all, --help the options".into(),
        ));
    };
    let entry = registry::find(name)?;
    let config = entry.resolve(arguments.config.as_deref(), &sets(&entry, arguments)?)?;
    let device = arguments.device.clone().unwrap_or_else(|| "cpu".into());
    models::device(&device)?;
    let folder = Folder::create(arguments.out.as_deref(), entry.name, entry.sharing)?;
    let (seed, threads) = (arguments.seed.unwrap_or(0), arguments.threads.unwrap_or(1));
    let run = Run { experiment: entry.name.into(), config, seed, device, threads, seconds: 0.0 };
    match folder.remember(&run) {
        Ok(()) => Ok((folder, run)),
        Err(failure) => {
            folder.abandon();
            Err(failure)
        }
    }
}

/// The settings of `--set`, after the table where one is named.
fn sets(entry: &registry::Entry, arguments: &Arguments) -> Result<Vec<String>> {
    let Some(table) = arguments.words.first() else { return Ok(arguments.sets.clone()) };
    let has_tables = entry.defaults().get("table").is_some();
    if let Some(extra) = if has_tables { arguments.words.get(1) } else { Some(table) } {
        let (extra, name) = (crate::data::printable(extra), entry.name);
        let why = if has_tables { "takes one table" } else { "has no tables to choose from" };
        return Err(Failure::Usage(format!("'{extra}': {name} {why}; settings go after --set")));
    }
    Ok(std::iter::once(format!("table={table}")).chain(arguments.sets.iter().cloned()).collect())
}

fn resume(arguments: &Arguments, path: &Path) -> Result<(Folder, Run)> {
    if arguments.retry_failed {
        Folder::retry_failed(path)?;
    }
    let (folder, run) = Folder::resume(path, |run| {
        let other = arguments.name.as_ref().filter(|name| **name != run.experiment);
        if let Some(name) = other {
            let why =
                format!("it holds a run of {}, not of {}", run.experiment, crate::data::printable(name));
            return Err(Failure::NotResumable { path: path.to_owned(), why });
        }
        Ok(registry::find(&run.experiment)?.sharing)
    })?;
    models::device(&run.device)?;
    Ok((folder, run))
}

fn execute(arguments: &Arguments, folder: Folder, mut run: Run) -> Result<bool> {
    let started = Instant::now();
    let entry = registry::find(&run.experiment)?;
    let mut context = Context {
        seed: run.seed,
        device: run.device.clone(),
        threads: run.threads,
        jobs: arguments.jobs,
        tensorboard: arguments.tensorboard,
        dir: folder.path(),
        progress: Progress::new(arguments.log),
        stop: interrupt::stop_flag(),
    };
    // A bug leaves the folder as an interruption would, to be looked into.
    let result = catch_unwind(AssertUnwindSafe(|| entry.run(&mut context, run.config.clone())));
    let result = result.unwrap_or_else(|panic| {
        let _ = std::fs::remove_file(folder.path().join(".lock"));
        std::panic::resume_unwind(panic)
    });
    run.seconds += started.elapsed().as_secs_f64();
    let report = match result {
        Ok(report) => report,
        Err(failure) => {
            if matches!(failure, Failure::Interrupted) && folder.holds_work() {
                folder.remember(&run)?;
                let path = folder.path().display();
                eprintln!("stopped; its checkpoint is in {path}");
                eprintln!("to go on: {} --resume {}", program(), quoted(&path.to_string()));
            }
            folder.abandon();
            return Err(failure);
        }
    };
    let about = Circumstances {
        experiment: entry.name.into(),
        paper: entry.paper.into(),
        command: command(&entry, &run),
        config: run.config,
        seed: run.seed,
        versions: Versions::default(),
        machine: Machine::default(),
        device: run.device,
        threads: run.threads,
        wall_seconds: (run.seconds * 1e3).round() / 1e3,
    };
    let page = report::write(folder.path(), &report, &about)?;
    print(&format!("{}\n{}  {}\n", entry.name, report::summary(&report), page.display()));
    folder.release();
    Ok(report.holds())
}

/// How this program is called: through the workspace's command where there is a workspace.
fn program() -> &'static str {
    if Path::new("xtask/Cargo.toml").is_file() { "cargo xtask experiment" } else { "experiments" }
}

/// The command that does the same run again.
fn command(entry: &registry::Entry, run: &Run) -> String {
    let mut words = vec![program().to_owned(), entry.name.to_owned()];
    for set in spec::sets(&entry.defaults(), &run.config) {
        words.extend(["--set".to_owned(), quoted(&set)]);
    }
    words.push(format!("--seed {}", run.seed));
    if run.device != "cpu" {
        words.push(format!("--device {}", run.device));
    }
    if run.threads != 1 {
        words.push(format!("--threads {}", run.threads));
    }
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// One line on standard error, and the exit code.
fn refuse(failure: &Failure) -> ExitCode {
    if !matches!(failure, Failure::Interrupted) {
        let line = failure.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(std::io::stderr(), "error: {line}");
    }
    ExitCode::from(failure.exit_code())
}

/// What clap has to say, in one line: the error and the tip, without the usage.
fn usage_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let line = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    line.strip_prefix("error: ").unwrap_or(&line).replace(":;", ":")
}

/// Prints to standard output; a reader that went away is no error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A bug is told in one line too, with the place.
fn hook_panics() {
    let verbose = std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0");
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if verbose {
            default(info);
            return;
        }
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "bug: {line} ({place}); please report it, with what RUST_BACKTRACE=1 shows"
        );
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_errors_are_one_line() {
        let error = |words: &[&str]| usage_line(&Arguments::try_parse_from(words).unwrap_err());
        assert!(error(&["e", "--sed", "3"]).contains("--seed"), "{}", error(&["e", "--sed", "3"]));
        assert!(error(&["e", "fig1", "--seed", "x"]).contains("invalid value 'x' for '--seed <SEED>'"));
        assert!(error(&["e", "--resume", "d", "--set", "a=1"]).contains("cannot be used with"));
        let extra = |words: &[&str]| {
            let arguments = Arguments::try_parse_from(words).unwrap();
            dispatch(&arguments).unwrap_err().to_string()
        };
        assert!(extra(&["e", "fig1", "b"]).contains("'b': fig1 has no tables"));
        assert!(extra(&["e", "reproduce", "sf2m", "b"]).contains("'b': reproduce takes one table"));
        assert!(extra(&["e", "report"]).contains("the folders of finished runs are needed"));
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("data=a/b.npy"), "data=a/b.npy");
        assert_eq!(quoted("data=it's here"), "'data=it'\\''s here'");
    }
}
