//! Where the checkout is, and how its commands start other programs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The root of the checkout. `cargo run` names the manifest folder at run time, which stays right when two checkouts
/// share one target folder; the folder at compile time is the fallback for a binary started by hand.
pub(crate) fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.join("libtorch.lock").is_file())
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    xtask.parent().map_or(xtask.clone(), Path::to_path_buf)
}

/// A command with the environment every child gets.
///
/// Idle OpenMP threads sleep instead of spinning (two spinning processes on two cores run 20 to 40 times slower), and
/// what `cargo run` put into `LD_LIBRARY_PATH` for xtask is taken out again, so that a binary without a working rpath
/// fails here as it would for a user.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("OMP_WAIT_POLICY", "PASSIVE");
    if let Some(paths) = env::var_os("LD_LIBRARY_PATH") {
        match without_cargo_paths(&paths, own_target_dir().as_deref()) {
            Some(rest) => command.env("LD_LIBRARY_PATH", rest),
            None => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

/// The cargo that started xtask, in the root of the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command to its end and turns a failure into an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("could not start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command that may not take longer than `limit`.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    let mut child = command.spawn().with_context(|| format!("could not start `{shown}`"))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "`{shown}` failed ({status})");
            return Ok(());
        }
        if start.elapsed() > limit {
            // It may end by itself in between, and then there is nothing to kill.
            let _ = child.kill();
            child.wait()?;
            bail!("`{shown}` took longer than {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.output().with_context(|| format!("could not start `{shown}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}):\n{}", output.status, stderr.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it, without the path of the program.
pub(crate) fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn own_target_dir() -> Option<PathBuf> {
    Some(env::current_exe().ok()?.parent()?.to_path_buf())
}

/// `paths` without xtask's own target folder and the folders of the toolchain; `None` when nothing is left.
fn without_cargo_paths(paths: &OsStr, target: Option<&Path>) -> Option<OsString> {
    let kept: Vec<PathBuf> = env::split_paths(paths)
        .filter(|path| {
            let ours = target.is_some_and(|target| path.starts_with(target));
            let toolchain = path.iter().any(|part| part == "rustlib") || path.join("rustlib").is_dir();
            !(ours || toolchain || path.as_os_str().is_empty())
        })
        .collect();
    if kept.is_empty() { None } else { env::join_paths(kept).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_path_keeps_only_what_the_user_set() {
        let target = Some(Path::new("/w/target/debug"));
        let all = OsStr::new("/w/target/debug:/w/target/debug/deps:/tc/lib/rustlib/x86_64/lib:/opt/mine");
        assert_eq!(without_cargo_paths(all, target), Some(OsString::from("/opt/mine")));
        let none = OsStr::new("/w/target/debug:/w/target/debug/deps");
        assert_eq!(without_cargo_paths(none, target), None);
    }

    #[test]
    fn a_failed_command_is_named() {
        let error = run(command("false").arg("--flag")).unwrap_err().to_string();
        assert!(error.starts_with("`false --flag` failed"), "{error}");
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let start = Instant::now();
        let error = run_within(command("sleep").arg("60"), Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains("took longer"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
        run_within(&mut command("true"), Duration::from_mins(1)).unwrap();
        assert!(run_within(&mut command("false"), Duration::from_mins(1)).is_err());
    }
}
