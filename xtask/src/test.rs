//! `cargo xtask test`: every test of the workspace.
//!
//! The crates without libtorch are tested in the dev profile (optimised, with overflow checks), the others in the
//! release profile, so that libtorch's C++ glue is compiled once for tests, runs and clippy.

use std::process::Command;

use anyhow::Result;

use crate::libtorch::Libtorch;
use crate::packages::{Package, Packages, selection};
use crate::steps::{self, Step};
use crate::workspace;

/// The subcommand.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments("test", arguments)?;
    let packages = Packages::load()?;
    let libtorch = Libtorch::ready()?;
    let nextest = has_nextest();
    if !nextest {
        eprintln!("test: cargo-nextest is not installed, `cargo test` runs the tests");
    }
    let (native, torch) = (packages.linking_torch(false), packages.linking_torch(true));
    // The features of the native crates are all for users; of the others' one switches libtorch off.
    let steps: Vec<Step<'_>> = vec![
        ("native tests", Box::new(|| tests(&native, &["--all-features"], nextest, None))),
        ("native doctests", Box::new(|| doctests(&native, &["--all-features"], None))),
        ("torch tests", Box::new(|| tests(&torch, &["--release"], nextest, Some(&libtorch)))),
        ("torch doctests", Box::new(|| doctests(&torch, &["--release"], Some(&libtorch)))),
    ];
    steps::run("test", steps)
}

fn has_nextest() -> bool {
    workspace::output(workspace::cargo().args(["nextest", "--version"])).is_ok()
}

fn tests(packages: &[&Package], flags: &[&str], nextest: bool, libtorch: Option<&Libtorch>) -> Result<()> {
    let mut command = workspace::cargo();
    if nextest {
        command.args(["nextest", "run", "--no-fail-fast"]);
    } else {
        command.args(["test", "--tests", "--no-fail-fast"]);
    }
    start(&mut command, packages.iter(), flags, libtorch)
}

fn doctests(packages: &[&Package], flags: &[&str], libtorch: Option<&Libtorch>) -> Result<()> {
    let libraries = packages.iter().filter(|package| package.has_library);
    start(workspace::cargo().args(["test", "--doc", "--no-fail-fast"]), libraries, flags, libtorch)
}

fn start<'a>(
    command: &mut Command,
    packages: impl Iterator<Item = &'a &'a Package>,
    flags: &[&str],
    libtorch: Option<&Libtorch>,
) -> Result<()> {
    command.arg("--locked").args(flags).args(selection(packages));
    if let Some(libtorch) = libtorch {
        libtorch.apply(command);
    }
    workspace::run(command)
}
