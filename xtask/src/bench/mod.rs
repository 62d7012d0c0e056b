//! `cargo xtask bench`: the criterion benches, and with `--peers` the comparison with other libraries.

mod peers;

use anyhow::Result;

use crate::libtorch::Libtorch;
use crate::packages::Packages;
use crate::workspace;

/// The subcommand. Without `--peers` the arguments are criterion's: a filter, `--save-baseline NAME`, `--baseline NAME`…
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some((first, rest)) = arguments.split_first()
        && first == "--peers"
    {
        return peers::run(rest);
    }
    let mut command = workspace::cargo();
    command.args(["bench", "--locked", "--package", "benches", "--benches", "--"]).args(arguments);
    if benches_link_torch()? {
        Libtorch::ready()?.apply(&mut command);
    }
    workspace::run(&mut command)
}

fn benches_link_torch() -> Result<bool> {
    Ok(Packages::load()?.linking_torch(true).iter().any(|package| package.name == "benches"))
}
