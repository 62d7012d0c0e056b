//! The active Python: is its PyTorch the right one, and can its pip download?
//!
//! Nothing here imports torch, and nothing in the current folder is executed: a folder named `torch` or `pip` there is
//! no package of the user's. torch-sys asks the same interpreter when `LIBTORCH_USE_PYTORCH` is set.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};

use crate::workspace;

/// A Python 3 that starts.
pub(crate) struct Python {
    program: &'static str,
    /// `-P` (do not put the current folder on the path) exists since Python 3.11.
    safe_path_flag: bool,
}

/// A PyTorch that is installed in a Python.
#[derive(Debug)]
pub(crate) struct Torch {
    pub(crate) version: String,
    pub(crate) home: PathBuf,
}

/// On older interpreters `-c` puts the current folder first on the path, as an empty string. `sys` is built in, so
/// taking it out comes before anything could be imported from there.
const SAFE: &str = "import sys\nsys.path = [p for p in sys.path if p]\n";

impl Python {
    /// The active Python: `python` in a virtual environment, `python3` outside of one.
    pub(crate) fn active() -> Option<Self> {
        let program = if env::var_os("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
        [true, false]
            .into_iter()
            .map(|safe_path_flag| Self { program, safe_path_flag })
            .find(|python| python.script("pass", &[]).is_ok())
    }

    /// Its PyTorch, if it has one, from the metadata of the installed package.
    pub(crate) fn torch(&self) -> Option<Torch> {
        let script = "from importlib.metadata import distribution\n\
                      d = distribution('torch')\n\
                      print(d.version)\n\
                      print(d.locate_file('torch'))";
        let text = self.script(script, &[]).ok()?;
        let (version, home) = text.trim_end().split_once('\n')?;
        Some(Torch { version: version.trim().into(), home: PathBuf::from(home.trim_end_matches('\r')) })
    }

    /// True when this Python has pip.
    pub(crate) fn has_pip(&self) -> bool {
        self.script("import importlib.util, sys\nsys.exit(importlib.util.find_spec('pip') is None)", &[])
            .is_ok()
    }

    /// The bytes that are free on the file system of `folder`. The standard library of Rust cannot tell, that of
    /// Python can.
    pub(crate) fn free_bytes(&self, folder: &Path) -> Result<u64> {
        let script = "import shutil, sys\nprint(shutil.disk_usage(sys.argv[1]).free)";
        let text = self.script(script, &[folder])?;
        text.trim().parse().with_context(|| format!("Python reported `{}` bytes free", text.trim()))
    }

    /// `python -m pip`, to be run in a folder of ours: `-m` puts the current one on the path.
    pub(crate) fn pip(&self, folder: &Path) -> Command {
        let mut command = workspace::command(self.program);
        command.current_dir(folder).args(["-m", "pip"]);
        command
    }

    /// Makes a virtual environment with pip.
    pub(crate) fn make_venv(&self, folder: &Path) -> Result<()> {
        let mut command = workspace::command(self.program);
        // Not in the folder the user stands in: `-m` puts that on the path.
        command.current_dir(workspace::root()).args(["-m", "venv"]).arg(folder);
        workspace::run(&mut command)
            .context("the virtual environment could not be made (Debian, Ubuntu: apt install python3-venv)")
    }

    fn script(&self, body: &str, arguments: &[&Path]) -> Result<String> {
        let mut command = workspace::command(self.program);
        if self.safe_path_flag {
            command.arg("-P");
        }
        command.arg("-c").arg(format!("{SAFE}{body}")).args(arguments);
        let Output { status, stdout, stderr } =
            command.output().with_context(|| format!("could not start {}", self.program))?;
        anyhow::ensure!(
            status.success(),
            "{}: {}",
            self.program,
            String::from_utf8_lossy(&stderr).trim_end()
        );
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Both ways of starting the interpreter must leave a `torch` in the current folder alone.
    #[test]
    fn nothing_in_the_current_folder_is_executed() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("executed");
        for module in ["torch", "importlib", "shutil", "pip"] {
            let package = folder.path().join(module);
            fs::create_dir(&package).unwrap();
            let body = format!("open({:?}, 'w').write({module:?})", marker.display().to_string());
            fs::write(package.join("__init__.py"), body).unwrap();
        }
        let Some(active) = Python::active() else { return };
        for safe_path_flag in [active.safe_path_flag, false] {
            let python = Python { program: active.program, safe_path_flag };
            let mut command = Command::new(python.program);
            if safe_path_flag {
                command.arg("-P");
            }
            let script = format!(
                "{SAFE}import shutil\nfrom importlib.metadata import distribution\ntry:\n  distribution('torch')\nexcept Exception: pass"
            );
            let status = command.current_dir(folder.path()).arg("-c").arg(script).status().unwrap();
            assert!(status.success());
            assert!(!marker.exists(), "a package in the current folder was executed");
        }
    }

    #[test]
    fn free_space_is_a_plausible_number() {
        let Some(python) = Python::active() else { return };
        assert!(python.free_bytes(&env::temp_dir()).unwrap() > 0);
        assert!(python.free_bytes(Path::new("/no/such/folder")).is_err());
    }
}
