//! `cargo xtask bench`: the criterion benches.

use anyhow::Result;

use crate::libtorch::Libtorch;
use crate::packages::Packages;
use crate::workspace;

/// The subcommand. The arguments are criterion's: a filter, `--save-baseline NAME`, `--baseline NAME`…
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let packages = Packages::load()?;
    let mut command = workspace::cargo();
    command.args(["bench", "--locked", "--package", "benches", "--benches", "--"]).args(arguments);
    if packages.linking_torch(true).iter().any(|package| package.name == "benches") {
        Libtorch::ready()?.apply(&mut command);
    }
    workspace::run(&mut command)
}
