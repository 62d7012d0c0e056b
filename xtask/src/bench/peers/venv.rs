//! The peers, installed at pinned versions into a virtual environment below `target/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::libtorch::Python;
use crate::workspace;

/// The interpreter of the environment, after making it or bringing it up to the lock file.
pub(super) fn ready(scripts: &Path, work: &Path) -> Result<PathBuf> {
    let folder = work.join("venv");
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    let lock = scripts.join("requirements.txt");
    let wanted = fs::read_to_string(&lock).with_context(|| format!("{}", lock.display()))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    fs::create_dir_all(work)?;
    if !python.exists() {
        let base =
            Python::active().context("no Python 3 was found (Debian, Ubuntu: apt install python3-venv)")?;
        base.make_venv(&folder)?;
    }
    eprintln!("installing the peers into {}", folder.display());
    let complete =
        install(&python, work, &["-r".as_ref(), lock.as_os_str()]) || one_by_one(&python, work, &wanted);
    // PyTorch from PyPI is linked to CUDA, which a comparison on processors has no use for.
    let stubs = workspace::run(workspace::command(&python).arg(scripts.join("without_cuda.py")));
    if let Err(error) = &stubs {
        eprintln!("PyTorch may be missing from the comparison: {error:#}");
    }
    if complete && stubs.is_ok() {
        fs::write(&stamp, wanted)?;
    }
    Ok(python)
}

/// The lock file names everything, so pip has nothing to resolve.
fn install(python: &Path, work: &Path, what: &[&std::ffi::OsStr]) -> bool {
    let mut command = workspace::command(python);
    command.current_dir(work).args(["-m", "pip", "install", "--no-deps"]);
    command.args(["--quiet", "--disable-pip-version-check", "--no-input"]).args(what);
    match workspace::run(&mut command) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{error:#}");
            false
        }
    }
}

/// One package that cannot be had should not keep the others away.
fn one_by_one(python: &Path, work: &Path, lock: &str) -> bool {
    let pins = lock.lines().map(str::trim).filter(|line| line.contains("=="));
    let missing: Vec<&str> = pins.filter(|pin| !install(python, work, &[pin.as_ref()])).collect();
    if !missing.is_empty() {
        eprintln!("not installed, and so missing from the comparison: {}", missing.join(", "));
    }
    missing.is_empty()
}
