//! The arrows between the crates, as docs/architecture.md draws them.

use crate::packages::{Dependency, Kind, Package, Packages};

/// What each package is drawn to depend on. A package may also name what lies below that.
const DRAWN: &[(&str, &[&str])] = &[
    ("measures", &[]),
    ("divergences", &["measures"]),
    ("flows", &["measures"]),
    ("models", &["measures", "divergences", "flows"]),
    ("experiments", &["models"]),
    ("xtask", &[]),
];

/// Not drawn into the stack: it measures all of it.
const BENCHES: (&str, &[&str]) = ("benches", &["models"]);

/// External packages with a home of their own, which others must not name.
const AT_HOME: &[(&str, &[&str])] = &[
    ("tch", &["models"]),
    ("torch-sys", &["models"]),
    ("criterion", &["benches"]),
    ("clap", &["experiments"]),
];

/// External packages that a library must not even reach.
const OUT_OF_REACH: &[(&str, &[&str])] = &[
    ("measures", &["tch", "torch-sys", "criterion", "clap"]),
    ("divergences", &["tch", "torch-sys", "criterion", "clap"]),
    ("flows", &["tch", "torch-sys", "criterion", "clap"]),
    ("models", &["criterion", "clap"]),
    ("xtask", &["tch", "torch-sys", "criterion", "clap"]),
];

pub(crate) fn check(packages: &Packages) -> Vec<String> {
    let mut problems = Vec::new();
    for package in &packages.members {
        let Some(allowed) = allowed(&package.name) else {
            problems.push(format!(
                "{} is not among the crates of the architecture (xtask/src/tidy/arrows.rs)",
                package.name
            ));
            continue;
        };
        problems
            .extend(package.dependencies.iter().filter_map(|to| undrawn(package, to, &allowed, packages)));
    }
    for (from, drawn) in DRAWN {
        let Some(package) = packages.members.iter().find(|package| package.name == *from) else {
            problems.push(format!("the crate {from} is missing"));
            continue;
        };
        for to in *drawn {
            if !package.dependencies.contains(&Dependency { name: (*to).into(), kind: Kind::Normal }) {
                problems
                    .push(format!("the arrow {from} -> {to} is drawn, but {from} does not depend on {to}"));
            }
        }
    }
    for (from, kept_out) in OUT_OF_REACH {
        let reached = kept_out.iter().filter(|to| packages.needs(from, to));
        problems.extend(reached.map(|to| format!("{from} must do without {to}, but reaches it")));
    }
    problems
}

/// The message for a dependency that nothing allows.
fn undrawn(from: &Package, to: &Dependency, allowed: &[&str], packages: &Packages) -> Option<String> {
    let target = to.name.as_str();
    let kind = match to.kind {
        Kind::Normal => "",
        Kind::Development => " (in its tests)",
        Kind::Build => " (in its build script)",
    };
    if packages.members.iter().any(|member| member.name == target) {
        return (!allowed.contains(&target))
            .then(|| format!("the arrow {} -> {target}{kind} is not in the architecture", from.name));
    }
    let (_, homes) = AT_HOME.iter().find(|(external, _)| *external == target)?;
    (!homes.contains(&from.name.as_str())).then(|| {
        format!("{} depends on {target}{kind}, which belongs to {} only", from.name, homes.join(", "))
    })
}

/// Everything below a package, or `None` for one that is not in the architecture.
fn allowed(name: &str) -> Option<Vec<&'static str>> {
    let drawn =
        |name: &str| DRAWN.iter().chain([&BENCHES]).find(|(from, _)| *from == name).map(|(_, to)| *to);
    let mut below = drawn(name)?.to_vec();
    let mut next = 0;
    while let Some(reached) = below.get(next) {
        let further: Vec<_> =
            drawn(reached).unwrap_or_default().iter().filter(|to| !below.contains(to)).copied().collect();
        below.extend(further);
        next += 1;
    }
    Some(below)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        Package {
            name: name.into(),
            folder: PathBuf::new(),
            has_library: true,
            features: Vec::new(),
            dependencies: dependencies
                .iter()
                .map(|&(to, kind)| Dependency { name: to.into(), kind })
                .collect(),
        }
    }

    /// The workspace as drawn, with further dependencies.
    fn workspace(extra: &[(&str, &str, Kind)], needs: &[(&str, &[&str])]) -> Packages {
        let members = DRAWN.iter().chain([&BENCHES]).map(|(name, drawn)| {
            let mut to: Vec<_> = drawn.iter().map(|to| (*to, Kind::Normal)).collect();
            to.extend(extra.iter().filter(|(from, ..)| from == name).map(|&(_, to, kind)| (to, kind)));
            package(name, &to)
        });
        Packages::of(members.collect(), needs)
    }

    #[test]
    fn the_drawing_itself_passes() {
        let extra = [
            ("models", "tch", Kind::Normal),
            ("benches", "criterion", Kind::Normal),
            ("experiments", "measures", Kind::Normal),
            ("measures", "rand", Kind::Normal),
            ("models", "measures", Kind::Development),
        ];
        assert_eq!(check(&workspace(&extra, &[("models", &["tch", "torch-sys"])])), Vec::<String>::new());
    }

    #[test]
    fn every_arrow_that_is_not_drawn_is_named() {
        for (from, to) in [
            ("measures", "divergences"),
            ("divergences", "flows"),
            ("flows", "divergences"),
            ("flows", "models"),
            ("models", "experiments"),
            ("xtask", "measures"),
            ("experiments", "xtask"),
            ("models", "benches"),
        ] {
            for kind in [Kind::Normal, Kind::Development, Kind::Build] {
                let problems = check(&workspace(&[(from, to, kind)], &[]));
                assert_eq!(problems.len(), 1, "{problems:?}");
                assert!(problems[0].starts_with(&format!("the arrow {from} -> {to}")), "{problems:?}");
            }
        }
    }

    #[test]
    fn libtorch_and_criterion_stay_at_home() {
        let problems = check(&workspace(
            &[("experiments", "tch", Kind::Normal), ("flows", "criterion", Kind::Development)],
            &[],
        ));
        assert_eq!(problems.len(), 2, "{problems:?}");
        let problems = check(&workspace(&[], &[("divergences", &["rand", "torch-sys"])]));
        assert_eq!(problems, ["divergences must do without torch-sys, but reaches it"]);
    }

    #[test]
    fn a_missing_arrow_and_a_stranger_are_named() {
        let mut packages = workspace(&[], &[]);
        packages.members.iter_mut().find(|p| p.name == "flows").unwrap().dependencies.clear();
        packages.members.push(package("stranger", &[]));
        let problems = check(&packages);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("stranger is not among"));
        assert!(problems[1].starts_with("the arrow flows -> measures is drawn"));
    }
}
