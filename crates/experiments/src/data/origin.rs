//! Points by name: a file, or one of the sets that the toolbox knows.

use super::{Options, Table, column_names, read};
use crate::failure::{Failure, Result};
use measures::zoo::{NAMES, Target, named};
use measures::{Sample, Seed};
use std::path::Path;

/// The set that is finite and shipped with the program.
const DIGITS: &str = "digits";

/// The points of a file, or n draws of a named set: `moons`, or with parameters `moons:noise=0.05,scale=2`; or all handwritten
/// digits there are, `digits`.
///
/// # Errors
/// There is neither a file nor a set of that name, or it is refused.
pub fn load(origin: &str, options: &Options, n: usize, seed: Seed) -> Result<Table> {
    let path = Path::new(origin);
    if origin == DIGITS && !path.exists() {
        let super::Digits { images, columns, .. } = super::Digits::load().map_err(super::Error::at(path))?;
        return Ok(Table { points: images, columns });
    }
    if !is_named(origin) {
        // What looks like a file is reported as one.
        if !path.exists() && !origin.contains(['.', '/', '\\']) {
            let names = NAMES.iter().map(|entry| entry.name).chain([DIGITS]);
            let hint = crate::spec::hint(set_name(origin), names);
            let origin = super::printable(origin);
            return Err(Failure::Usage(format!("'{origin}' is neither a file nor a named set{hint}")));
        }
        return Ok(read(path, options)?);
    }
    let points = named_set(origin)?.sample(n, &mut seed.rng());
    Ok(Table { columns: column_names(points.dim()), points })
}

/// Whether the points are draws of a named set, of which there are as many as one likes.
pub fn is_named(origin: &str) -> bool {
    let name = set_name(origin);
    let known = NAMES.iter().any(|entry| entry.name == name || entry.aliases.contains(&name));
    known && !Path::new(origin).exists()
}

/// What stands before the parameters.
fn set_name(origin: &str) -> &str {
    origin.split_once(':').map_or(origin, |(name, _)| name)
}

/// The measure of a named set, for whatever needs more of it than points.
///
/// # Errors
/// There is no set of that name, or a parameter is refused.
pub fn named_set(origin: &str) -> Result<Box<dyn Target>> {
    let (name, parameters) = origin.split_once(':').unwrap_or((origin, ""));
    Ok(named(name, &parse(parameters)?)?)
}

fn parse(parameters: &str) -> Result<Vec<(&str, f64)>> {
    let pairs = parameters.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let parsed = pair.split_once('=').and_then(|(key, value)| Some((key, value.parse().ok()?)));
            let shown = super::printable(pair);
            parsed.ok_or_else(|| {
                Failure::Usage(format!("'{shown}': a parameter of a set needs the form name=number"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_names_and_slips_are_told() {
        let load = |origin: &str| super::load(origin, &Options::default(), 50, Seed::new(1));
        assert_eq!(load("digits").unwrap().points.dim(), 64);
        assert_eq!(load("8gaussians").unwrap().points.len(), 50);
        let wide = load("gaussian:dim=5,sigma=0.1").unwrap();
        assert_eq!((wide.points.dim(), wide.columns.len()), (5, 5));
        let error = |origin: &str| load(origin).unwrap_err().to_string();
        assert_eq!(error("mons"), "'mons' is neither a file nor a named set (near: moons)");
        assert!(error("moons.npy").ends_with("there is no such file"));
        assert!(error("moons:noise").contains("name=number"));
        assert!(error("moons:nose=1").contains("noise"));
        assert!(error("moons:noise=-1").contains("noise"));
    }
}
