//! Every crate says what it is: a README that is compiled, a description, the lints of the workspace.

use std::fs;
use std::path::Path;

use crate::packages::{Package, Packages};

/// Checks the crates below `crates/`; xtask and the benches are described in docs/architecture.md.
pub(crate) fn check(packages: &Packages) -> Vec<String> {
    let mut problems = Vec::new();
    for package in &packages.members {
        problems.extend(manifest(&package.folder, &package.name));
        if package.folder.parent().is_some_and(|parent| parent.ends_with("crates")) {
            problems.extend(readme(package));
        }
    }
    problems
}

/// `missing_docs` and the other lints hold only where a manifest takes them from the workspace.
fn manifest(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let mut problems = Vec::new();
    if !text.replace(' ', "").contains("[lints]\nworkspace=true") {
        problems.push(format!("{name}: Cargo.toml does not take the lints of the workspace"));
    }
    if !text.lines().any(|line| line.starts_with("description")) {
        problems.push(format!("{name}: Cargo.toml has no description"));
    }
    problems
}

fn readme(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Ok(text) = fs::read_to_string(package.folder.join("README.md")) else {
        return vec![format!("{name}: README.md is missing")];
    };
    let mut problems = Vec::new();
    let prose = text.lines().filter(|line| !line.starts_with(['#', '`'])).map(str::len).sum::<usize>();
    if prose < 200 {
        problems.push(format!("{name}: README.md says too little ({prose} characters)"));
    }
    if !package.has_library {
        return problems;
    }
    if !text.lines().any(|line| matches!(line.trim(), "```" | "```rust" | "```no_run" | "```rust,no_run")) {
        problems.push(format!("{name}: README.md has no example"));
    }
    let root = fs::read_to_string(package.folder.join("src/lib.rs")).unwrap_or_default();
    if !root.contains("#![doc = include_str!(\"../README.md\")]") {
        problems
            .push(format!("{name}: the example in README.md is not compiled, lib.rs does not include it"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(readme: &str, root: &str) -> (tempfile::TempDir, Package) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("README.md"), readme).unwrap();
        fs::write(dir.path().join("src/lib.rs"), root).unwrap();
        let folder = dir.path().to_path_buf();
        let (features, dependencies) = (Vec::new(), Vec::new());
        (dir, Package { name: "a".into(), folder, has_library: true, features, dependencies })
    }

    const INCLUDED: &str = "#![doc = include_str!(\"../README.md\")]\n";

    #[test]
    fn a_readme_needs_prose_an_example_and_a_doctest() {
        let prose = "word ".repeat(50);
        let good = format!("# a\n\n{prose}\n\n```\nlet x = 1;\n```\n");
        assert_eq!(readme(&package(&good, INCLUDED).1), Vec::<String>::new());
        assert_eq!(readme(&package(&good, "").1).len(), 1);
        assert_eq!(readme(&package(&format!("# a\n\n{prose}\n"), INCLUDED).1).len(), 1);
        assert_eq!(readme(&package("# a\n\n```\nlet x = 1;\n```\n", INCLUDED).1).len(), 1);
        let (dir, absent) = package("", "");
        fs::remove_file(dir.path().join("README.md")).unwrap();
        assert_eq!(readme(&absent), ["a: README.md is missing"]);
    }

    #[test]
    fn a_manifest_takes_the_lints() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Cargo.toml"), "description = \"x\"\n\n[lints]\nworkspace = true\n")
            .unwrap();
        assert_eq!(manifest(dir.path(), "a"), Vec::<String>::new());
        fs::write(dir.path().join("Cargo.toml"), "[package]\n").unwrap();
        assert_eq!(manifest(dir.path(), "a").len(), 2);
    }
}
