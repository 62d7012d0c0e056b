//! `cargo xtask libtorch`: finds or provisions the libtorch that tch is written for.

mod extract;
mod home;
mod link;
mod lock;
mod provision;
mod python;
mod smoke;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{usage, workspace};
pub(crate) use provision::cache;
pub(crate) use python::Python;

/// Where a libtorch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Variable,
    Cache,
    Python,
    Provisioned,
}

impl Origin {
    fn describe(self) -> &'static str {
        match self {
            Self::Variable => "named by LIBTORCH",
            Self::Cache => "in the cache",
            Self::Python => "of the active Python",
            Self::Provisioned => "provisioned",
        }
    }
}

/// A libtorch that is ready, behind the link of the checkout.
#[derive(Clone, Debug)]
pub(crate) struct Libtorch {
    /// The folder with `lib` and `include`.
    home: PathBuf,
    /// The link that points to it.
    link: PathBuf,
}

impl Libtorch {
    /// Finds libtorch, or provisions it, and points `.libtorch` to it.
    ///
    /// # Errors
    /// When a variable names something that is no libtorch 2.11.0, or when none is found and none can be provisioned.
    pub(crate) fn ready() -> Result<Self> {
        let (home, origin) = find()?;
        let link = link::path();
        if !link::points_to(&link, &home) {
            eprintln!("libtorch: {} ({})", home.display(), origin.describe());
            // The path torch-sys sees stays the same, what is behind it does not: one may have CUDA, the other not.
            for profile in ["release", "dev"] {
                workspace::output(workspace::cargo().args([
                    "clean",
                    "-p",
                    "torch-sys",
                    "--profile",
                    profile,
                ]))?;
            }
            link::point(&link, &home)?;
        }
        Ok(Self { home, link })
    }

    /// Lets a command build and run against this libtorch.
    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // The same value as in .cargo/config.toml: torch-sys compiles again when it changes.
        command.env("LIBTORCH", &self.link).env_remove("LIBTORCH_USE_PYTORCH")
    }
}

/// `LIBTORCH`, the cache, the active Python, and only then the network.
fn find() -> Result<(PathBuf, Origin)> {
    let named = given(env::var_os("LIBTORCH").map(PathBuf::from), &link::path());
    if let Some(home) = named.map_err(|error| usage(format!("{error:#}")))? {
        return Ok((home, Origin::Variable));
    }
    if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        let torch = Python::active().and_then(|python| python.torch()).ok_or_else(|| {
            usage("LIBTORCH_USE_PYTORCH is set, but the active Python has no PyTorch: pip install torch==2.11.0")
        })?;
        home::check(&torch.home).map_err(|error| {
            usage(format!("LIBTORCH_USE_PYTORCH is set, but PyTorch {}: {error:#}", torch.version))
        })?;
        return Ok((torch.home, Origin::Python));
    }
    let cache = provision::cache()?;
    if let Some(home) = provision::cached(&cache) {
        return Ok((home, Origin::Cache));
    }
    if let Some(torch) = Python::active().and_then(|python| python.torch()) {
        match home::check(&torch.home) {
            Ok(()) => return Ok((torch.home, Origin::Python)),
            Err(why) => {
                eprintln!("libtorch: PyTorch {} of the active Python is not used: {why:#}", torch.version);
            }
        }
    }
    Ok((provision::provision(&cache)?, Origin::Provisioned))
}

/// The libtorch a user named. `.cargo/config.toml` sets the variable to our own link where the user did not, and that
/// is no answer: the link follows what is found here.
fn given(variable: Option<PathBuf>, link: &Path) -> Result<Option<PathBuf>> {
    let Some(given) = variable.filter(|given| !given.as_os_str().is_empty()) else { return Ok(None) };
    if given == link {
        return Ok(None);
    }
    let context = || format!("LIBTORCH={}", given.display());
    let home = given.canonicalize().with_context(context)?;
    home::check(&home).with_context(context)?;
    Ok(Some(home))
}

/// The subcommand: prints the folder, for `export LIBTORCH=$(cargo xtask libtorch)`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments("libtorch", arguments)?;
    println!("{}", Libtorch::ready()?.home.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_link_is_not_what_a_user_named() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join(".libtorch");
        assert_eq!(given(None, &link).unwrap(), None);
        assert_eq!(given(Some(PathBuf::new()), &link).unwrap(), None);
        assert_eq!(given(Some(link.clone()), &link).unwrap(), None);
        for wrong in [dir.path().to_path_buf(), dir.path().join("absent")] {
            let error = format!("{:#}", given(Some(wrong), &link).unwrap_err());
            assert!(error.starts_with("LIBTORCH="), "{error}");
        }
    }
}
