//! Licences, banned and duplicated packages, sources and advisories, by cargo-deny and `deny.toml`.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{libtorch, steps, workspace};

/// The release that is installed where none is at hand.
const VERSION: &str = "0.20.2";

/// How long the fetch of the advisory database may take. It is a git repository of some megabytes.
const FETCH: Duration = Duration::from_secs(90);

/// Checks everything. Advisories need a database from a git host: where it cannot be fetched, an older copy serves, and
/// without one a line says that they were not checked. All else needs nothing but the lock file.
pub(crate) fn check() -> Result<()> {
    let deny = find_or_install()?;
    let command = |arguments: &[&str]| {
        let mut command = workspace::command(&deny);
        command.current_dir(workspace::root()).args(["--all-features", "--locked"]).args(arguments);
        command
    };
    workspace::run(&mut command(&["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;

    let Err(error) = workspace::run_within(&mut command(&["fetch", "db"]), FETCH) else {
        return workspace::run(&mut command(&["check", "advisories"]));
    };
    if !database_is_there() {
        steps::warn(format!("advisories were NOT CHECKED, their database could not be fetched: {error:#}"));
        return Ok(());
    }
    steps::warn(format!(
        "advisories were checked against an OLDER database, a fresh one could not be fetched: {error:#}"
    ));
    workspace::run(&mut command(&["--offline", "check", "advisories"]))
}

/// True when an earlier fetch left a database where cargo-deny keeps it.
fn database_is_there() -> bool {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let databases = cargo_home.and_then(|home| home.join("advisory-dbs").read_dir().ok());
    databases.is_some_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.path().join("crates").is_dir()))
    })
}

/// The cargo-deny of the user, or that of the cache, or a new one in the cache.
fn find_or_install() -> Result<PathBuf> {
    if workspace::output(workspace::command("cargo-deny").arg("--version")).is_ok() {
        return Ok("cargo-deny".into());
    }
    let home = libtorch::cache()?.join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = home.join("bin").join(format!("cargo-deny{}", env::consts::EXE_SUFFIX));
    if !program.is_file() {
        eprintln!("deny: installing cargo-deny {VERSION} into {} (minutes, once)", home.display());
        let mut install = workspace::cargo();
        install
            .args(["install", "--locked", "--version", &format!("={VERSION}"), "--root"])
            .arg(&home)
            .arg("cargo-deny");
        // Its release profile links the whole program at once, which takes longer than all its runs here together.
        install.envs([
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
        ]);
        workspace::run(&mut install)
            .context("cargo-deny could not be installed (cargo install cargo-deny, or put it on the PATH)")?;
    }
    Ok(program)
}
