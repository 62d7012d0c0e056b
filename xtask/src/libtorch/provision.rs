//! Downloads libtorch from the Python package index and keeps what a CPU run needs.
//!
//! pip does the transfer, so that mirrors, proxies and certificates are as the user set them, and it checks the hashes
//! of the lock. Everything happens in a stage beside the target, under a file lock; only a libtorch that loads is renamed
//! into place.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use super::extract::{Take, extract};
use super::lock::{self, LOCK, Pin, VERSION};
use super::python::Python;
use super::{home, smoke};
use crate::workspace;

const MIB: u64 = 1 << 20;

/// pip holds the wheels twice for a moment (545 MB each time); afterwards the extracted 500 MB stand beside one copy.
const FREE_BYTES: u64 = 1500 * MIB;

const STAGE: &str = ".stage-";

/// What is taken from each wheel. libtorch_cpu.so needs libcudart and libcupti when it is loaded, and nothing else of
/// CUDA. The bounds are a little above the true sizes.
const TORCH: &[Take] = &[
    Take::File { member: "torch/lib/libtorch_cpu.so", to: "lib/libtorch_cpu.so", max_bytes: 512 * MIB },
    Take::File { member: "torch/lib/libc10.so", to: "lib/libc10.so", max_bytes: 4 * MIB },
    Take::File { member: "torch/lib/libgomp.so.1", to: "lib/libgomp.so.1", max_bytes: MIB },
    Take::Headers { folder: "torch/include/", to: "include/", max_bytes: 64 * MIB, max_files: 12_000 },
    Take::File {
        member: "torch-2.11.0.dist-info/licenses/LICENSE",
        to: "licenses/torch/LICENSE",
        max_bytes: MIB,
    },
    Take::File {
        member: "torch-2.11.0.dist-info/licenses/NOTICE",
        to: "licenses/torch/NOTICE",
        max_bytes: MIB,
    },
];
const CUDART: &[Take] = &[
    Take::File { member: "nvidia/cu13/lib/libcudart.so.13", to: "lib/libcudart.so.13", max_bytes: 4 * MIB },
    Take::File {
        member: "nvidia_cuda_runtime-13.0.96.dist-info/licenses/License.txt",
        to: "licenses/nvidia-cuda-runtime/License.txt",
        max_bytes: MIB,
    },
];
const CUPTI: &[Take] = &[
    Take::File { member: "nvidia/cu13/lib/libcupti.so.13", to: "lib/libcupti.so.13", max_bytes: 16 * MIB },
    Take::File {
        member: "nvidia_cuda_cupti-13.0.85.dist-info/licenses/License.txt",
        to: "licenses/nvidia-cuda-cupti/License.txt",
        max_bytes: MIB,
    },
];

/// The folder of the cache: `PUSHFORWARD_CACHE`, else `$XDG_CACHE_HOME/pushforward`, else `~/.cache/pushforward`.
pub(crate) fn cache() -> Result<PathBuf> {
    // A relative path would be another cache in every folder; the XDG specification says to ignore such a one.
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(given) = env::var_os("PUSHFORWARD_CACHE").filter(|given| !given.is_empty()) {
        return std::path::absolute(given).context("PUSHFORWARD_CACHE");
    }
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|base| base.join("pushforward"))
        .context(
            "neither XDG_CACHE_HOME nor HOME is set: set PUSHFORWARD_CACHE to a folder for libtorch (500 MB)",
        )
}

/// The libtorch of the lock in the cache, if it is there and whole.
pub(crate) fn cached(cache: &Path) -> Option<PathBuf> {
    let home = cache.join(lock::folder_name(LOCK).ok()?);
    (home::check(&home).is_ok() && home::is_sealed(&home)).then_some(home)
}

/// Brings the libtorch of the lock into the cache and returns its folder.
///
/// # Errors
/// On another platform than x86-64 Linux with glibc, without pip or a C++ compiler, when the disk is too full, or when
/// the download, the extraction or the trial run fails. The message says what to do instead.
pub(crate) fn provision(cache: &Path) -> Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")),
        "libtorch is provisioned for x86-64 Linux with glibc only.\n{INSTEAD}"
    );
    let python = Python::active().filter(Python::has_pip).with_context(|| {
        format!("no Python 3 with pip was found to download libtorch with (Debian, Ubuntu: apt install python3-pip).\n{INSTEAD}")
    })?;
    smoke::find_compiler()?;

    fs::create_dir_all(cache).with_context(|| format!("could not create {}", cache.display()))?;
    let guard =
        File::create(cache.join(".lock")).with_context(|| format!("{} is not writable", cache.display()))?;
    match guard.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("libtorch: waiting for another process that provisions it");
            guard.lock().context("could not lock the cache")?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context("could not lock the cache"),
    }
    if let Some(home) = cached(cache) {
        return Ok(home);
    }

    // Under the lock no stage but ours is in use.
    remove_stages(cache)?;
    let free = python.free_bytes(cache)?;
    ensure!(
        free >= FREE_BYTES,
        "{} has {} MB free, provisioning libtorch needs {} MB: make room, or set PUSHFORWARD_CACHE to a folder elsewhere",
        cache.display(),
        free / 1_000_000,
        FREE_BYTES / 1_000_000
    );
    let stage = cache.join(format!("{STAGE}{}", std::process::id()));
    let result = fill(&stage, &python).and_then(|ready| install(&ready, &stage, cache));
    let cleared = fs::remove_dir_all(&stage);
    let home = result?;
    cleared.with_context(|| format!("could not remove {}", stage.display()))?;
    Ok(home)
}

/// What to set where provisioning is not possible.
pub(crate) const INSTEAD: &str = "\
Set one of these instead:
  LIBTORCH=/path/to/libtorch   an unpacked libtorch 2.11.0 (https://pytorch.org/get-started/locally), or the `torch`
                               folder of an installed Python package
  LIBTORCH_USE_PYTORCH=1       use the PyTorch 2.11.0 of the active Python (pip install torch==2.11.0)
A package of your own that depends on `models` can also turn on the feature `download-libtorch` of tch 0.24.";

fn remove_stages(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(STAGE) {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("could not remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Downloads, extracts and tries out, all below `stage`. Returns the folder to install.
fn fill(stage: &Path, python: &Python) -> Result<PathBuf> {
    let (wheels, scratch, ready) = (stage.join("wheels"), stage.join("tmp"), stage.join("libtorch"));
    for folder in [stage, &wheels, &scratch, &ready] {
        fs::create_dir(folder).with_context(|| format!("could not create {}", folder.display()))?;
    }
    fs::write(stage.join("libtorch.lock"), LOCK)?;

    eprintln!(
        "libtorch: downloading the wheels of PyTorch {VERSION} (545 MB, of which 500 MB unpacked are kept)"
    );
    let mut pip = python.pip(stage);
    pip.args(["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--dest", "wheels"])
        .args(lock::TAGS)
        .args(["-r", "libtorch.lock"])
        // pip unpacks its downloads in the temporary folder, which may be a small file system of its own.
        .env("TMPDIR", &scratch)
        // What xtask prints on its standard output is for programs.
        .stdout(Stdio::from(io::stderr()));
    workspace::run(&mut pip).with_context(|| format!("pip could not download libtorch.\n{INSTEAD}"))?;
    fs::remove_dir_all(&scratch)?;

    for (pin, take) in lock::parse(LOCK)?.iter().zip([TORCH, CUDART, CUPTI]) {
        let wheel = find_wheel(&wheels, pin)?;
        let mut bar = Progress::new(format!("libtorch: unpacking {} {}", pin.name, pin.version));
        extract(&wheel, &ready, take, &mut |done, total| bar.show(done, total))?;
        bar.finish();
        fs::remove_file(&wheel)?;
    }
    fs::write(ready.join("build-version"), format!("{VERSION}\n"))?;

    eprintln!("libtorch: linking libtorch.so and trying it out");
    smoke::link_libtorch(&ready.join("lib"))?;
    smoke::try_out(&ready.join("lib"), stage)?;
    home::check(&ready)?;
    home::seal(&ready)?;
    Ok(ready)
}

fn find_wheel(wheels: &Path, pin: &Pin) -> Result<PathBuf> {
    let prefix = pin.wheel_prefix();
    for entry in fs::read_dir(wheels)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with(&prefix) {
            return Ok(wheels.join(name));
        }
    }
    bail!("pip downloaded no wheel whose name starts with {prefix}")
}

/// Flushes the folder to the disk and renames it into place, so that a name in the cache is always a whole libtorch.
fn install(ready: &Path, stage: &Path, cache: &Path) -> Result<PathBuf> {
    sync_tree(ready).context("could not flush libtorch to the disk")?;
    let home = cache.join(lock::folder_name(LOCK)?);
    if home.exists() {
        // It was there and found broken. Out of the way first: a rename does not replace a folder that is not empty.
        eprintln!("libtorch: replacing {}, which is damaged", home.display());
        fs::rename(&home, stage.join("damaged"))?;
    }
    fs::rename(ready, &home).with_context(|| format!("could not rename the stage to {}", home.display()))?;
    File::open(cache)?.sync_all()?;
    Ok(home)
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

/// A line that counts up on a terminal, or a single line elsewhere.
struct Progress {
    label: String,
    percent: u64,
    terminal: bool,
}

impl Progress {
    fn new(label: String) -> Self {
        let terminal = io::stderr().is_terminal();
        if !terminal {
            eprintln!("{label}");
        }
        Self { label, percent: u64::MAX, terminal }
    }

    fn show(&mut self, done: u64, total: u64) {
        let percent = done * 100 / total.max(1);
        if self.terminal && percent != self.percent {
            self.percent = percent;
            eprint!("\r{} {percent:3} %", self.label);
            let _ = io::stderr().flush();
        }
    }

    fn finish(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}
