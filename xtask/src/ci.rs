//! `cargo xtask ci`: all that must hold before a change is merged.

use std::fs;

use anyhow::{Context, Result};

use crate::libtorch::Libtorch;
use crate::packages::{Package, Packages, selection};
use crate::steps::{self, Step};
use crate::{deny, experiment, near, test, tidy, usage, workspace};

/// The run of the paper's Figure 1, short enough for every change: the default without the second map, which shows
/// another solution.
const FIGURE_1: &[&str] = &["fig1", "--set", "other=false"];

const NAMES: [&str; 9] = ["fmt", "tidy", "deny", "libtorch", "clippy", "features", "test", "docs", "fig1"];

/// The subcommand: every step, or those that are named.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.iter().find(|name| !NAMES.contains(&name.as_str())) {
        let hint = near::hint(unknown, &NAMES);
        return Err(usage(format!("unknown step `{unknown}`{hint}\nThe steps are: {}", NAMES.join(", "))));
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    let result = steps::run("ci", all().into_iter().filter(|(name, _)| wanted(name)).collect());
    for warning in steps::warnings() {
        eprintln!("WARNING: {warning}");
    }
    result
}

fn all() -> Vec<Step<'static>> {
    let mut names = NAMES.into_iter();
    let work: [fn() -> Result<()>; NAMES.len()] = [
        || workspace::run(workspace::cargo().args(["fmt", "--all", "--check"])),
        tidy::check,
        deny::check,
        || Libtorch::ready().map(drop),
        clippy,
        features,
        || test::run(&[]),
        docs,
        figure_1,
    ];
    work.map(|step| (names.next().unwrap_or_default(), Box::new(step) as Box<dyn FnOnce() -> Result<()>>))
        .into()
}

/// Warnings are errors. The torch crates take the release profile, as everywhere: the C++ glue is compiled once.
fn clippy() -> Result<()> {
    let packages = Packages::load()?;
    let mut native = workspace::cargo();
    native.args(["clippy", "--locked", "--all-targets", "--all-features"]);
    native.args(selection(&packages.linking_torch(false))).args(["--", "-D", "warnings"]);
    workspace::run(&mut native)?;
    let mut torch = workspace::cargo();
    torch.args(["clippy", "--locked", "--all-targets", "--release"]);
    torch.args(selection(&packages.linking_torch(true))).args(["--", "-D", "warnings"]);
    workspace::run(Libtorch::ready()?.apply(&mut torch))
}

/// Every library with no feature, and with each of its features alone: together they may hide what one lacks.
fn features() -> Result<()> {
    let packages = Packages::load()?;
    let libtorch = Libtorch::ready()?;
    let torch = packages.linking_torch(true);
    for package in
        packages.members.iter().filter(|package| package.has_library && !package.features.is_empty())
    {
        let links_torch = torch.iter().any(|other| other.name == package.name);
        for feature in [""].into_iter().chain(package.features.iter().map(String::as_str)) {
            workspace::run(libtorch.apply(&mut with_feature(package, feature, links_torch)))?;
        }
    }
    Ok(())
}

fn with_feature(package: &Package, feature: &str, links_torch: bool) -> std::process::Command {
    let mut command = workspace::cargo();
    command.args(["clippy", "--locked", "--lib", "--no-default-features", "-p", &package.name]);
    if links_torch {
        command.arg("--release");
    }
    if !feature.is_empty() {
        command.args(["--features", feature]);
    }
    command.args(["--", "-D", "warnings"]);
    command
}

/// The documentation, without a warning.
fn docs() -> Result<()> {
    let packages = Packages::load()?;
    let mut native = workspace::cargo();
    native
        .args(["doc", "--locked", "--no-deps", "--all-features"])
        .args(selection(&packages.linking_torch(false)));
    workspace::run(native.env("RUSTDOCFLAGS", "-D warnings"))?;
    let mut torch = workspace::cargo();
    torch
        .args(["doc", "--locked", "--no-deps", "--keep-going", "--release"])
        .args(selection(&packages.linking_torch(true)));
    workspace::run(Libtorch::ready()?.apply(&mut torch).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The product from end to end: it exits with an error when one of its claims does not hold.
fn figure_1() -> Result<()> {
    let binary = experiment::build(&Libtorch::ready()?)?;
    // An experiment never overwrites an earlier run.
    let out = binary.parent().context("the program has no folder")?.join("ci-fig1");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    // Without the variable, a program that only runs because of it would be found out.
    workspace::run(
        workspace::command(&binary).args(FIGURE_1).arg("--out").arg(&out).env_remove("LD_LIBRARY_PATH"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_bad_usage() {
        let error = run(&["clipy".to_string()]).unwrap_err();
        assert!(error.to_string().starts_with("unknown step `clipy`; did you mean clippy?"), "{error}");
    }

    #[test]
    fn the_names_are_those_of_the_steps() {
        let names: Vec<&str> = all().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, NAMES);
    }
}
