//! `cargo xtask experiment`: builds the experiments in release mode and becomes the one that was asked for.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::libtorch::Libtorch;
use crate::workspace;

/// The subcommand. The arguments are the experiments' own: their program checks them and says what is wrong.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let binary = build(&Libtorch::ready()?)?;
    become_program(workspace::command(binary).args(arguments))
}

/// Builds the `experiments` program, with cargo's progress on standard error, and returns its path.
pub(crate) fn build(libtorch: &Libtorch) -> Result<PathBuf> {
    build_binary("experiments", "experiments", Some(libtorch))
}

/// Builds a program of a package in release mode, against libtorch where it needs that, and returns its path.
pub(crate) fn build_binary(package: &str, name: &str, libtorch: Option<&Libtorch>) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    command.args(["build", "--release", "--package", package, "--bin", name]);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    if let Some(libtorch) = libtorch {
        libtorch.apply(&mut command);
    }
    let messages = command.output().context("could not start cargo")?;
    if !messages.status.success() {
        bail!("the program {name} could not be built ({})", messages.status);
    }
    executable(&String::from_utf8_lossy(&messages.stdout), name)
        .with_context(|| format!("cargo did not say where it put the program {name}"))
}

/// The path of a binary from cargo's messages: the target folder is the user's to choose.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let target = &message["target"];
        let is_it = message["reason"] == "compiler-artifact"
            && target["name"] == name
            && target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"));
        if is_it { message["executable"].as_str().map(PathBuf::from) } else { None }
    })
}

/// Replaces xtask by the program: exit code, Ctrl-C and every other signal are then the program's own, and nothing
/// stands between it and the terminal.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let shown = workspace::show(command);
    Err(command.exec()).with_context(|| format!("could not start `{shown}`"))
}

/// Elsewhere the console sends Ctrl-C to both; only the exit code is left to pass on.
#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<()> {
    let shown = workspace::show(command);
    let status = command.status().with_context(|| format!("could not start `{shown}`"))?;
    std::process::exit(status.code().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = r#"not json
{"reason":"compiler-artifact","target":{"name":"experiments","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"other","kind":["bin"]},"executable":"/t/release/other"}
{"reason":"compiler-artifact","target":{"name":"experiments","kind":["bin"]},"executable":"/t/release/experiments"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "experiments"), Some("/t/release/experiments".into()));
        assert_eq!(executable(messages, "absent"), None);
    }
}
