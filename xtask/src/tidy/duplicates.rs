//! The crates without libtorch resolve to one version of everything.

use anyhow::Result;

use crate::packages::{Packages, selection};
use crate::workspace;

/// Asks `cargo tree -d`. Procedural macros are left out: they bring more than one syn and none of it is linked.
pub(crate) fn check(packages: &Packages) -> Result<Vec<String>> {
    let native = packages.linking_torch(false);
    let libraries = native.iter().filter(|package| package.name != "benches");
    let mut command = workspace::cargo();
    command.args(["tree", "--locked", "--duplicates", "--edges", "normal,no-proc-macro", "--all-features"]);
    // Depth nought: the names alone.
    command.args(["--depth", "0", "--prefix", "none"]).args(selection(libraries));
    Ok(problems(&workspace::output(&mut command)?))
}

fn problems(tree: &str) -> Vec<String> {
    let mut found: Vec<&str> = tree.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|name| format!("the crates without libtorch need more than one version: {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duplicate_is_named_once() {
        assert_eq!(problems("").len(), 0);
        let found = problems("cpufeatures v0.2.17\n\ncpufeatures v0.3.1\n\ncpufeatures v0.3.1\n");
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("cpufeatures v0.2.17"));
    }
}
