//! Work in cells: a long study is many small pieces, each kept in a file of its own once it is done.
//!
//! A run that was killed goes on with the cells that have no file, and inside a cell with the checkpoint of its training.
//! Several processes may work in one folder: a cell is claimed by a lock of the operating system on a file beside it, which
//! is gone when its holder is, however it ended. Cells that others hold are waited for, and taken over if their holder dies.

use crate::context::{Context, Trained};
use crate::failure::{Failure, Result};
use crate::files::{WriteError, write_atomic};
use models::methods::AnyMethod;
use models::{Source, TrainConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The folder of the cells, inside that of the run.
const FOLDER: &str = "cells";
/// Between two looks at cells that other processes work on.
const PAUSE: Duration = Duration::from_millis(200);

/// What a cell came to: its result, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It is done.
    Done(T),
    /// It failed, and would fail again.
    Failed(String),
}

impl<T> Outcome<T> {
    /// The result, if there is one.
    pub fn done(&self) -> Option<&T> {
        match self {
            Outcome::Done(result) => Some(result),
            Outcome::Failed(_) => None,
        }
    }

    /// Why there is none.
    pub fn failed(&self) -> Option<&str> {
        match self {
            Outcome::Done(_) => None,
            Outcome::Failed(why) => Some(why),
        }
    }
}

/// One cell at work.
pub struct Cell<'a> {
    context: &'a Context<'a>,
    name: &'a str,
}

impl Cell<'_> {
    /// The surroundings of the run.
    pub fn context(&self) -> &Context<'_> {
        self.context
    }

    /// The cell's name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Trains a method, or goes on where this cell was interrupted.
    ///
    /// # Errors
    /// As [`Context::train_by_name`].
    pub fn train(
        &self,
        method: &dyn AnyMethod,
        settings: &Value,
        train: TrainConfig,
        target: &dyn Source,
    ) -> Result<Trained> {
        self.context.train_by_name(self.name, method, settings, train, target)
    }

    /// What an earlier attempt at this cell wrote down with [`Cell::note`].
    pub fn noted<N: DeserializeOwned>(&self) -> Option<N> {
        serde_json::from_slice(&std::fs::read(self.notes()).ok()?).ok()
    }

    /// Writes down what a later attempt at this cell must know.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn note<N: Serialize>(&self, note: &N) -> Result<()> {
        let json = serde_json::to_vec(note).expect("a note is JSON");
        Ok(write_atomic(&self.notes(), |file| file.write_all(&json))?)
    }

    fn notes(&self) -> PathBuf {
        self.context.path(&format!("{FOLDER}/{}.notes.json", self.name))
    }
}

/// A name as a file may bear it: letters, digits and points stay, all else becomes a low line.
pub fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect()
}

/// Does the work of every cell that is not done yet, [`Context::jobs`] of them side by side, and returns what all came to, in
/// the order of `cells`. Cells that other processes work on are waited for.
///
/// A failure of a cell is its outcome, and so is a bug that it meets; only what concerns the run ends the run.
///
/// # Errors
/// The folder cannot be written, or the user stopped the run: what is done is kept.
pub fn run<C: Sync, T: Serialize + DeserializeOwned + Send>(
    context: &Context<'_>,
    cells: &[C],
    name: impl Fn(&C) -> String + Sync,
    work: impl Fn(&Cell<'_>, &C) -> Result<T> + Sync,
) -> Result<Vec<Outcome<T>>> {
    let folder = context.path(FOLDER);
    std::fs::create_dir_all(&folder).map_err(WriteError::at(&folder))?;
    let names: Vec<String> = cells.iter().map(name).collect();
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "two cells have one name");

    let bench = Bench {
        context,
        names: &names,
        held: Mutex::new(BTreeSet::new()),
        failure: Mutex::new(None),
        over: AtomicBool::new(false),
        stage: Mutex::new(context.progress().stage("cells", names.len() as u64)),
    };
    let worker = || bench.work_off(cells, &work);
    let jobs = context.jobs().clamp(1, cells.len().max(1));
    if jobs == 1 {
        worker();
    } else {
        // Every job has its part of the threads, so that together they are no more than the machine has.
        let share = (rayon::current_num_threads() / jobs).max(1);
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(share).build();
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| match pool() {
                    Ok(pool) => pool.install(worker),
                    Err(_) => worker(),
                });
            }
        });
    }
    if let Some(failure) = bench.failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(failure);
    }
    // What a resumed run reads is what this one goes on with, to the last digit.
    let read = |name: &String| kept(context, name).ok_or_else(|| lost(context, name));
    names.iter().map(read).collect()
}

/// The result of a cell, if it is done.
pub fn kept<T: DeserializeOwned>(context: &Context<'_>, name: &str) -> Option<Outcome<T>> {
    serde_json::from_slice(&std::fs::read(result(context, name)).ok()?).ok()
}

/// Removes the results of the cells that failed from the folder of a run, so that they are done again, as after a bug was mended;
/// how many they were.
///
/// # Errors
/// A result cannot be removed.
pub fn forget_failed(run: &Path) -> Result<usize> {
    let Ok(entries) = std::fs::read_dir(run.join(FOLDER)) else { return Ok(0) };
    let mut count = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        let outcome = std::fs::read(&path).ok().and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(Outcome::<Value>::Failed(_)) = outcome {
            std::fs::remove_file(&path).map_err(WriteError::at(&path))?;
            count += 1;
        }
    }
    Ok(count)
}

fn result(context: &Context<'_>, name: &str) -> PathBuf {
    context.path(&format!("{FOLDER}/{name}.json"))
}

fn lost(context: &Context<'_>, name: &str) -> Failure {
    let why = format!("the result of cell {name} was removed or damaged while the run went on");
    Failure::NotResumable { path: context.path(FOLDER), why }
}

/// What the workers of one run share.
struct Bench<'a> {
    context: &'a Context<'a>,
    names: &'a [String],
    /// Cells that a worker of this process is at, or has seen done.
    held: Mutex<BTreeSet<usize>>,
    failure: Mutex<Option<Failure>>,
    over: AtomicBool,
    stage: Mutex<crate::progress::Stage>,
}

impl Bench<'_> {
    fn work_off<C, T: Serialize + DeserializeOwned>(
        &self,
        cells: &[C],
        work: &(impl Fn(&Cell<'_>, &C) -> Result<T> + Sync),
    ) {
        loop {
            let (mut waiting, mut worked) = (false, false);
            for (k, cell) in cells.iter().enumerate() {
                if self.over.load(Ordering::Relaxed) {
                    return;
                }
                if !lock(&self.held).insert(k) {
                    continue;
                }
                match self.attempt(&self.names[k], |at| work(at, cell)) {
                    Ok(Attempt::Elsewhere) => {
                        waiting = true;
                        lock(&self.held).remove(&k);
                    }
                    Ok(found) => {
                        worked |= found == Attempt::Worked;
                        let mut stage = lock(&self.stage);
                        stage.advance();
                    }
                    Err(failure) => {
                        lock(&self.failure).get_or_insert(failure);
                        self.over.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            }
            if !waiting {
                return;
            }
            if !worked {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn attempt<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        work: impl FnOnce(&Cell<'_>) -> Result<T>,
    ) -> Result<Attempt> {
        let done = || kept::<T>(self.context, name).is_some();
        if done() {
            return Ok(Attempt::Done);
        }
        self.context.check_stop()?;
        let path = self.context.path(&format!("{FOLDER}/{name}.claim"));
        let claim = File::create(&path).map_err(WriteError::at(&path))?;
        match claim.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Elsewhere),
            // On a file system without locks two processes may do the same cell; its result is the same.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // Another process may have finished it, and let go of it, in between.
        if done() {
            let _ = std::fs::remove_file(&path);
            return Ok(Attempt::Done);
        }
        let cell = Cell { context: self.context, name };
        let outcome = match catch_unwind(AssertUnwindSafe(|| work(&cell))) {
            Ok(Ok(found)) => Outcome::Done(found),
            // These concern the run and not the cell.
            Ok(Err(failure @ (Failure::Interrupted | Failure::Write(_)))) => return Err(failure),
            Ok(Err(failure)) => Outcome::Failed(failure.to_string()),
            Err(panic) => Outcome::Failed(format!("a bug in this program: {}", message(panic.as_ref()))),
        };
        let json = serde_json::to_vec(&outcome).expect("a result is JSON");
        write_atomic(&result(self.context, name), |file| file.write_all(&json))?;
        // The result is what is kept; a checkpoint a cell would only fill the disk.
        self.context.forget(name)?;
        let _ = std::fs::remove_file(cell.notes());
        let _ = std::fs::remove_file(&path);
        Ok(Attempt::Worked)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// It was done before.
    Done,
    /// It is done now.
    Worked,
    /// Another process is at it.
    Elsewhere,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn twice(context: &Context<'_>, count: &AtomicUsize) -> Result<Vec<Outcome<u64>>> {
        let cells: Vec<u64> = (0..20).collect();
        run(
            context,
            &cells,
            |k| format!("cell-{k}"),
            |cell, &k| {
                count.fetch_add(1, Ordering::Relaxed);
                assert!(cell.name().ends_with(&k.to_string()));
                match k {
                    3 => Err(Failure::Usage("three is refused".into())),
                    5 => panic!("five is a bug"),
                    _ => Ok(2 * k),
                }
            },
        )
    }

    #[test]
    fn cells_are_done_once_by_any_number_of_workers_and_failures_are_outcomes() {
        let dir = tempfile::tempdir().unwrap();
        let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        let mut context = Context::for_tests(dir.path(), &stop);
        context.jobs = 3;
        let found = std::thread::scope(|scope| {
            // Two runs in one folder, as of two processes.
            let other = scope.spawn(|| twice(&context, &count).unwrap());
            let mine = twice(&context, &count).unwrap();
            assert_eq!(mine, other.join().unwrap());
            mine
        });
        assert_eq!(count.load(Ordering::Relaxed), 20);
        assert_eq!(found[4], Outcome::Done(8));
        assert_eq!(found[3].failed(), Some("three is refused"));
        assert!(found[5].failed().unwrap().contains("five is a bug"));
        let left: Vec<String> = std::fs::read_dir(dir.path().join(FOLDER))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(left.len() == 20 && left.iter().all(|name| name.ends_with("json")), "{left:?}");
        // What failed is done again when it is asked for, and nothing else.
        assert_eq!(forget_failed(dir.path()).unwrap(), 2);
        assert_eq!(twice(&context, &count).unwrap(), found);
        assert_eq!(count.load(Ordering::Relaxed), 22);
    }

    #[test]
    fn a_stopped_run_keeps_what_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let context = Context::for_tests(dir.path(), &stop);
        let cells = [0u8, 1, 2, 3];
        let stopped = run(
            &context,
            &cells,
            |k| format!("{k}"),
            |cell, &k| {
                if k == 2 {
                    cell.note(&"half done")?;
                    stop.store(true, Ordering::Relaxed);
                    cell.context().check_stop()?;
                }
                Ok(k)
            },
        );
        assert!(matches!(stopped, Err(Failure::Interrupted)));
        assert_eq!(kept::<u8>(&context, "1"), Some(Outcome::Done(1)));
        assert_eq!(kept::<u8>(&context, "2"), None);
        stop.store(false, Ordering::Relaxed);
        let found = run(
            &context,
            &cells,
            |k| format!("{k}"),
            |cell, &k| {
                assert_eq!(cell.noted::<String>().as_deref(), (k == 2).then_some("half done"));
                Ok(k)
            },
        );
        assert_eq!(found.unwrap().len(), 4);
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(plain("moons:noise=0.1/x y"), "moons_noise_0.1_x_y");
    }
}
