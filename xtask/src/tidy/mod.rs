//! `cargo xtask tidy`: what neither the compiler nor clippy checks.

mod arrows;
mod docs;
mod duplicates;
mod lexer;
mod source;

use anyhow::{Result, bail};

use crate::packages::Packages;
use crate::workspace;

/// The subcommand.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments("tidy", arguments)?;
    check()
}

/// Runs every check and prints every problem.
///
/// # Errors
/// When there is a problem.
pub(crate) fn check() -> Result<()> {
    let packages = Packages::load()?;
    let mut problems = arrows::check(&packages);
    problems.extend(docs::check(&packages));
    problems.extend(duplicates::check(&packages)?);
    let folders: Vec<_> = packages.members.iter().map(|package| package.folder.clone()).collect();
    problems.extend(source::check(&folders)?);
    for readme in ["README.md", "docs/architecture.md", "docs/notation.md", "docs/errata.md", "CHANGELOG.md"]
    {
        if !workspace::root().join(readme).is_file() {
            problems.push(format!("{readme} is missing"));
        }
    }
    let root = format!("{}/", workspace::root().display());
    for problem in &problems {
        eprintln!("tidy: {}", problem.replace(&root, ""));
    }
    if !problems.is_empty() {
        bail!("tidy found {} problem{}", problems.len(), if problems.len() == 1 { "" } else { "s" });
    }
    println!("tidy: arrows, docs, duplicates and source are in order");
    Ok(())
}
