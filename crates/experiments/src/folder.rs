//! The folder of a run: made new or taken up again, never shared, never overwritten, and gone again when a run ends on
//! bad input before it left anything.

use crate::cells;
use crate::failure::{Failure, Result};
use crate::files::{WriteError, folder_of, write_atomic};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const RUN: &str = "run.json";
const LOCK: &str = ".lock";
const REPORT: &str = "report.json";
/// Where runs go when no folder is named, under the current one.
const DEFAULT: &str = "runs";

/// What a run needs to be taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The experiment's name.
    pub experiment: String,
    /// The whole configuration.
    pub config: Value,
    /// The seed.
    pub seed: u64,
    /// The device.
    pub device: String,
    /// Threads of libtorch.
    pub threads: usize,
    /// Seconds spent before the last interruption.
    pub seconds: f64,
}

/// Who may work in a folder at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One process.
    Alone,
    /// Any number of processes, which share the cells of one study.
    Together,
}

/// A folder that this process works in, alone unless the experiment lets several share it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Folders that were made for this run, the innermost last.
    made: Vec<PathBuf>,
    lock: File,
    /// Whether an earlier process began the run.
    resumed: bool,
}

impl Folder {
    /// The folder `out`, or a new one under `runs/` that is named after the experiment and numbered.
    ///
    /// # Errors
    /// It cannot be made or written, or it holds something.
    pub fn create(out: Option<&Path>, experiment: &str, sharing: Sharing) -> Result<Self> {
        let (path, made) = match out {
            Some(path) => named(path)?,
            None => numbered(Path::new(DEFAULT), experiment)?,
        };
        Folder::lock(path, made, false, sharing)
    }

    /// The folder of an interrupted run, with what is needed to take it up; of one that goes on, where `sharing` lets several
    /// processes share it.
    ///
    /// # Errors
    /// It is no such folder, it is finished, or another process works in it.
    pub fn resume(path: &Path, sharing: impl FnOnce(&Run) -> Result<Sharing>) -> Result<(Self, Run)> {
        let not = |why: String| Failure::NotResumable { path: path.to_owned(), why };
        if !path.is_dir() {
            return Err(not("it is no folder".into()));
        }
        if path.join(REPORT).exists() {
            return Err(not(format!(
                "the run is finished; its report is {}",
                path.join("report.html").display()
            )));
        }
        let text = match std::fs::read(path.join(RUN)) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(not(format!("it holds no {RUN}, so no run was begun in it")));
            }
            Err(e) => return Err(not(format!("its {RUN} cannot be read: {e}"))),
        };
        let run = serde_json::from_slice(&text).map_err(|e| not(format!("its {RUN} is damaged: {e}")))?;
        let sharing = sharing(&run)?;
        Ok((Folder::lock(path.to_owned(), Vec::new(), true, sharing)?, run))
    }

    /// Makes a run in cells, finished or not, do those again that failed: [`Folder::resume`] takes it up then.
    ///
    /// # Errors
    /// No cell of it failed, or the folder cannot be written.
    pub fn retry_failed(path: &Path) -> Result<()> {
        if cells::forget_failed(path)? == 0 {
            let why = "no cell of it failed, there is nothing to do again".into();
            return Err(Failure::NotResumable { path: path.to_owned(), why });
        }
        let report = path.join(REPORT);
        match std::fs::remove_file(&report) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(WriteError::at(&report)(e).into()),
            _ => Ok(()),
        }
    }

    fn lock(path: PathBuf, made: Vec<PathBuf>, resumed: bool, sharing: Sharing) -> Result<Self> {
        let file = path.join(LOCK);
        let lock = File::create(&file).map_err(WriteError::at(&file));
        let lock = lock.inspect_err(|_| remove_empty(&made))?;
        let locked = match sharing {
            Sharing::Alone => lock.try_lock(),
            Sharing::Together => lock.try_lock_shared(),
        };
        match locked {
            Err(std::fs::TryLockError::WouldBlock) => Err(Failure::Busy { path }),
            // On a file system without locks nothing guards against a second process.
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(Folder { path, made, lock, resumed }),
        }
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down what the run needs to be taken up again.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn remember(&self, run: &Run) -> Result<()> {
        let text = serde_json::to_string_pretty(run).expect("a run is JSON");
        Ok(write_atomic(&self.path.join(RUN), |out| out.write_all(text.as_bytes()))?)
    }

    /// Whether the run left anything that could be resumed or kept.
    pub fn holds_work(&self) -> bool {
        let entries = std::fs::read_dir(&self.path).map(|entries| entries.flatten().collect::<Vec<_>>());
        entries.unwrap_or_default().iter().any(|entry| entry.file_name() != RUN && entry.file_name() != LOCK)
    }

    /// Ends a run that came to nothing: what it wrote down about itself goes, and the folders it made if they are empty.
    pub fn abandon(self) {
        if !self.resumed && !self.holds_work() {
            let _ = std::fs::remove_file(self.path.join(RUN));
            let _ = std::fs::remove_file(self.path.join(LOCK));
            remove_empty(&self.made);
        } else {
            self.release();
        }
    }

    /// Ends the work in the folder.
    pub fn release(self) {
        let _ = std::fs::remove_file(self.path.join(LOCK));
        drop(self.lock);
    }
}

/// Removes the folders that are empty, the innermost first.
fn remove_empty(made: &[PathBuf]) {
    made.iter().rev().all(|folder| std::fs::remove_dir(folder).is_ok());
}

/// A folder the user named: made if it is not there, taken if it is empty.
fn named(path: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
    if let Ok(mut entries) = std::fs::read_dir(path) {
        return match entries.next() {
            None => Ok((path.to_owned(), Vec::new())),
            Some(_) => Err(Failure::Occupied { path: path.to_owned() }),
        };
    }
    let mut made = make_missing(folder_of(path))?;
    std::fs::create_dir(path).map_err(WriteError::at(path)).inspect_err(|_| remove_empty(&made))?;
    made.push(path.to_owned());
    Ok((path.to_owned(), made))
}

/// `base`/name-001, or the next number that is free. Making the folder is what claims the number.
fn numbered(base: &Path, name: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    let mut made = make_missing(base)?;
    let entries = std::fs::read_dir(base).map_err(WriteError::at(base))?;
    let number = |entry: io::Result<std::fs::DirEntry>| -> Option<u32> {
        let file = entry.ok()?.file_name().into_string().ok()?;
        file.strip_prefix(name)?.strip_prefix('-')?.parse().ok()
    };
    let mut next = entries.filter_map(number).max().unwrap_or(0) + 1;
    loop {
        let path = base.join(format!("{name}-{next:03}"));
        match std::fs::create_dir(&path) {
            Ok(()) => {
                made.push(path.clone());
                return Ok((path, made));
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => next += 1,
            Err(e) => {
                remove_empty(&made);
                return Err(WriteError::at(&path)(e).into());
            }
        }
    }
}

/// Makes a folder and those above it; returns the ones that were not there.
fn make_missing(path: &Path) -> Result<Vec<PathBuf>> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    let mut made = Vec::new();
    for folder in missing.into_iter().rev() {
        match std::fs::create_dir(folder) {
            Ok(()) => made.push(folder.to_owned()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(e) => {
                remove_empty(&made);
                return Err(WriteError::at(folder)(e).into());
            }
        }
    }
    if !path.is_dir() {
        let error = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(WriteError::at(path)(error).into());
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let config = serde_json::json!({ "a": 1 });
        Run { experiment: "e".into(), config, seed: u64::MAX, device: "cpu".into(), threads: 1, seconds: 0.0 }
    }

    #[test]
    fn an_earlier_run_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("deep/er/out");
        let folder = Folder::create(Some(&out), "e", Sharing::Alone).unwrap();
        folder.remember(&run()).unwrap();
        assert!(matches!(Folder::resume(&out, |_| Ok(Sharing::Alone)), Err(Failure::Busy { .. })));
        folder.release();
        assert!(matches!(Folder::create(Some(&out), "e", Sharing::Alone), Err(Failure::Occupied { .. })));
        let (folder, found) = Folder::resume(&out, |_| Ok(Sharing::Alone)).unwrap();
        assert_eq!(found, run());
        std::fs::write(out.join(REPORT), "{}").unwrap();
        folder.release();
        assert!(matches!(Folder::resume(&out, |_| Ok(Sharing::Alone)), Err(Failure::NotResumable { .. })));
        assert!(matches!(Folder::retry_failed(&out), Err(Failure::NotResumable { .. })));
        std::fs::create_dir(out.join("cells")).unwrap();
        std::fs::write(out.join("cells/a.json"), r#"{"failed":"a bug"}"#).unwrap();
        Folder::retry_failed(&out).unwrap();
        assert!(Folder::resume(&out, |_| Ok(Sharing::Alone)).is_ok());
    }

    #[test]
    fn a_study_in_cells_may_be_shared() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let first = Folder::create(Some(&out), "e", Sharing::Together).unwrap();
        first.remember(&run()).unwrap();
        let (second, _) = Folder::resume(&out, |_| Ok(Sharing::Together)).unwrap();
        assert!(matches!(Folder::resume(&out, |_| Ok(Sharing::Alone)), Err(Failure::Busy { .. })));
        first.release();
        second.release();
        assert!(Folder::resume(&out, |_| Ok(Sharing::Alone)).is_ok());
    }

    #[test]
    fn a_run_that_left_nothing_leaves_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let folder = Folder::create(Some(&out), "e", Sharing::Alone).unwrap();
        folder.remember(&run()).unwrap();
        folder.abandon();
        assert!(!dir.path().join("a").exists());
        let folder = Folder::create(Some(&out), "e", Sharing::Alone).unwrap();
        std::fs::write(out.join("checkpoint"), "x").unwrap();
        folder.abandon();
        assert!(out.join("checkpoint").exists());
        // A folder that was there before stays.
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        let folder = Folder::create(Some(&empty), "e", Sharing::Alone).unwrap();
        folder.remember(&run()).unwrap();
        folder.abandon();
        assert!(empty.exists());
        Folder::create(Some(&empty), "e", Sharing::Alone).unwrap().abandon();
    }

    #[test]
    fn numbers_go_up() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> = (0..2).map(|_| numbered(dir.path(), "fig1").unwrap().0).collect();
        assert_eq!(names, [dir.path().join("fig1-001"), dir.path().join("fig1-002")]);
        std::fs::create_dir(dir.path().join("fig1-041")).unwrap();
        std::fs::create_dir(dir.path().join("fig1-other")).unwrap();
        assert_eq!(numbered(dir.path(), "fig1").unwrap().0, dir.path().join("fig1-042"));
    }

    #[test]
    fn folders_that_cannot_be_are_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = Folder::create(Some(&file.join("out")), "e", Sharing::Alone).unwrap_err().to_string();
        assert!(error.contains("cannot be written: a part of the path is a file"), "{error}");
        let error = Folder::create(Some(&file), "e", Sharing::Alone).unwrap_err().to_string();
        assert!(error.contains("cannot be written"), "{error}");
        let error = Folder::resume(dir.path(), |_| Ok(Sharing::Alone)).unwrap_err().to_string();
        assert!(error.contains("no run was begun in it"), "{error}");
    }
}
