//! The workspace as `cargo metadata` sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace;

/// One package of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) has_library: bool,
    /// Features other than `default`.
    pub(crate) features: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency as a manifest declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Development,
    Build,
}

/// All packages of the workspace, and what their normal dependencies resolve to.
#[derive(Debug)]
pub(crate) struct Packages {
    pub(crate) members: Vec<Package>,
    /// The names of the packages each package needs at run time, directly or not, with every feature on.
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Packages {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let mut command = workspace::cargo();
        command.args(["metadata", "--format-version", "1", "--all-features", "--locked"]);
        let text = workspace::output(&mut command)?;
        let metadata = serde_json::from_str(&text).context("`cargo metadata` did not print JSON")?;
        Self::from_metadata(&metadata).context("`cargo metadata` is not as expected")
    }

    fn from_metadata(metadata: &Value) -> Option<Self> {
        let ids: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
        let mut members = Vec::new();
        let mut names = BTreeMap::new();
        for package in metadata["packages"].as_array()? {
            let id = package["id"].as_str()?;
            names.insert(id, package["name"].as_str()?);
            if ids.contains(id) {
                members.push(member(package)?);
            }
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));

        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array()? {
            let run_time = node["deps"].as_array()?.iter().filter(|dependency| {
                dependency["dep_kinds"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            });
            edges.insert(
                node["id"].as_str()?,
                run_time.filter_map(|dependency| dependency["pkg"].as_str()).collect(),
            );
        }
        let needs = ids
            .into_iter()
            .filter_map(|id| {
                let reached = reach(id, &edges);
                Some((
                    (*names.get(id)?).to_string(),
                    reached.iter().filter_map(|id| names.get(id)).map(ToString::to_string).collect(),
                ))
            })
            .collect();
        Some(Self { members, needs })
    }

    /// True when `name` needs the external package `other` at run time.
    pub(crate) fn needs(&self, name: &str, other: &str) -> bool {
        self.needs.get(name).is_some_and(|needs| needs.contains(other))
    }

    /// The packages that link libtorch (`true`), or those that do not (`false`).
    pub(crate) fn linking_torch(&self, torch: bool) -> Vec<&Package> {
        self.members.iter().filter(|package| self.needs(&package.name, "torch-sys") == torch).collect()
    }

    #[cfg(test)]
    pub(crate) fn of(members: Vec<Package>, needs: &[(&str, &[&str])]) -> Self {
        let needs = needs
            .iter()
            .map(|(name, needs)| ((*name).to_string(), needs.iter().map(ToString::to_string).collect()))
            .collect();
        Self { members, needs }
    }
}

/// `-p name` for each package.
pub(crate) fn selection<'a>(packages: impl IntoIterator<Item = &'a &'a Package>) -> Vec<String> {
    packages.into_iter().flat_map(|package| ["-p".to_string(), package.name.clone()]).collect()
}

fn member(package: &Value) -> Option<Package> {
    let manifest = PathBuf::from(package["manifest_path"].as_str()?);
    let dependencies = package["dependencies"].as_array()?.iter().filter_map(|dependency| {
        let kind = match dependency["kind"].as_str() {
            None => Kind::Normal,
            Some("dev") => Kind::Development,
            Some(_) => Kind::Build,
        };
        Some(Dependency { name: dependency["name"].as_str()?.to_string(), kind })
    });
    let has_library =
        package["targets"].as_array()?.iter().any(|target| strings(&target["kind"]).any(|k| k == "lib"));
    let features =
        package["features"].as_object()?.keys().filter(|name| *name != "default").cloned().collect();
    Some(Package {
        name: package["name"].as_str()?.to_string(),
        folder: manifest.parent()?.to_path_buf(),
        has_library,
        features,
        dependencies: dependencies.collect(),
    })
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Everything that can be reached from `start`, itself aside.
fn reach<'a>(start: &'a str, edges: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for next in edges.get(node).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two members over two external packages; `b` uses `ext-dev` in tests only.
    const METADATA: &str = r#"{
      "workspace_members": ["id-a", "id-b"],
      "packages": [
        {"id": "id-a", "name": "a", "manifest_path": "/w/a/Cargo.toml", "features": {"default": [], "fast": []},
         "targets": [{"kind": ["lib"]}], "dependencies": [{"name": "ext", "kind": null}]},
        {"id": "id-b", "name": "b", "manifest_path": "/w/b/Cargo.toml", "features": {},
         "targets": [{"kind": ["bin"]}],
         "dependencies": [{"name": "a", "kind": null}, {"name": "ext-dev", "kind": "dev"}]},
        {"id": "id-ext", "name": "ext"}, {"id": "id-sys", "name": "torch-sys"}, {"id": "id-dev", "name": "ext-dev"}],
      "resolve": {"nodes": [
        {"id": "id-a", "deps": [{"pkg": "id-ext", "dep_kinds": [{"kind": null}]}]},
        {"id": "id-b", "deps": [{"pkg": "id-a", "dep_kinds": [{"kind": null}]},
                                {"pkg": "id-sys", "dep_kinds": [{"kind": "build"}, {"kind": null}]},
                                {"pkg": "id-dev", "dep_kinds": [{"kind": "dev"}]}]},
        {"id": "id-ext", "deps": []}, {"id": "id-sys", "deps": []}, {"id": "id-dev", "deps": []}]}}"#;

    #[test]
    fn members_and_what_they_need() {
        let packages = Packages::from_metadata(&serde_json::from_str(METADATA).unwrap()).unwrap();
        let [a, b] = packages.members.as_slice() else { panic!("expected two members") };
        assert_eq!(
            (a.name.as_str(), a.has_library, a.features.as_slice()),
            ("a", true, &["fast".to_string()][..])
        );
        assert!(!b.has_library);
        assert_eq!(b.dependencies[1], Dependency { name: "ext-dev".into(), kind: Kind::Development });
        assert!(packages.needs("b", "ext"), "a transitive dependency");
        assert!(!packages.needs("b", "ext-dev"), "a development dependency");
        let torch: Vec<&str> = packages.linking_torch(true).iter().map(|p| p.name.as_str()).collect();
        assert_eq!(torch, ["b"]);
        assert_eq!(selection(&packages.linking_torch(false)), ["-p", "a"]);
    }
}
