//! Measures by name, for configurations and command lines.

use super::catalogue::NAMES;
use super::{
    Banana, Checkerboard, Circles, Dirichlet, Funnel, Gaussian, GaussianMixture, Laplace, Moons,
    NoisedSphere, Pinwheel, SCurve, StudentT, SwissRoll, TwoSpirals, UniformBall, UniformBox, UniformSphere,
    VonMises,
};
use crate::error::{Error, Result};
use crate::measure::{Density, Sample, Score};
use std::collections::BTreeMap;

/// A measure to be learned: it samples, and says what else is known about it.
pub trait Target: Sample + Send + Sync {
    /// Its density, where one exists and is known.
    fn as_density(&self) -> Option<&dyn Density> {
        None
    }

    /// Its score, where one exists and is known.
    fn as_score(&self) -> Option<&dyn Score> {
        None
    }

    /// The mixture whose components are its modes, where it has modes to be counted.
    fn modes(&self) -> Option<&GaussianMixture> {
        None
    }
}

impl Target for GaussianMixture {
    fn as_density(&self) -> Option<&dyn Density> {
        Some(self)
    }
    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }
    fn modes(&self) -> Option<&GaussianMixture> {
        Some(self)
    }
}

impl Target for Pinwheel {}
impl Target for UniformSphere {}

macro_rules! density_targets {
    ($($name:ident),+) => {$(
        impl Target for $name {
            fn as_density(&self) -> Option<&dyn Density> {
                Some(self)
            }
        }
    )+};
}
density_targets!(UniformBox, UniformBall, Checkerboard, Dirichlet);

macro_rules! score_targets {
    ($($name:ident),+) => {$(
        impl Target for $name {
            fn as_density(&self) -> Option<&dyn Density> {
                Some(self)
            }
            fn as_score(&self) -> Option<&dyn Score> {
                Some(self)
            }
        }
    )+};
}
score_targets!(Gaussian, StudentT, Laplace, Banana, Funnel, VonMises, NoisedSphere);

macro_rules! curve_targets {
    ($($name:ident),+) => {$(
        impl Target for $name {
            fn as_density(&self) -> Option<&dyn Density> {
                self.curves.smooth().is_ok().then_some(self)
            }
            fn as_score(&self) -> Option<&dyn Score> {
                self.curves.smooth().is_ok().then_some(self)
            }
        }
    )+};
}
curve_targets!(Moons, Circles, SwissRoll, SCurve, TwoSpirals);

/// A name, what it stands for, and its parameters with their defaults.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// Other names it is known by.
    pub aliases: &'static [&'static str],
    /// One line.
    pub about: &'static str,
    /// Its parameters: name, default, meaning.
    pub parameters: &'static [(&'static str, f64, &'static str)],
    pub(super) build: fn(&Arguments<'_>) -> Result<Box<dyn Target>>,
}

pub(super) fn boxed<T: Target + 'static>(target: Result<T>) -> Result<Box<dyn Target>> {
    Ok(Box::new(target?))
}

/// Builds a measure by name or alias, with the parameters given and the defaults of [`NAMES`] for the rest.
///
/// ```
/// use measures::{Measure, zoo::named};
/// let ring = named("8gaussians", &[("radius", 12.0), ("sigma", 1.5)])?;
/// assert_eq!((ring.dim(), ring.modes().map(|m| m.components())), (2, Some(8)));
/// assert!(named("8gausians", &[]).is_err());
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// The name or the name of a parameter is not known (the error lists those that are), or a value is out of its range.
pub fn named(name: &str, parameters: &[(&str, f64)]) -> Result<Box<dyn Target>> {
    let entry = NAMES.iter().find(|e| e.name == name || e.aliases.contains(&name)).ok_or_else(|| {
        let known = NAMES.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
        Error::Unknown { what: "measure", name: name.to_owned(), known }
    })?;
    for (given, value) in parameters {
        if !entry.parameters.iter().any(|p| p.0 == *given) {
            let known = entry.parameters.iter().map(|p| p.0).collect::<Vec<_>>().join(", ");
            return Err(Error::Unknown { what: "parameter", name: (*given).to_owned(), known });
        }
        if !value.is_finite() {
            let what = entry.parameters.iter().find(|p| p.0 == *given).map_or("parameter", |p| p.0);
            return Err(Error::Parameter { what, value: *value, must: "finite" });
        }
    }
    (entry.build)(&Arguments { entry, given: parameters })
}

/// The parameters of one call.
pub(super) struct Arguments<'a> {
    entry: &'a Named,
    given: &'a [(&'a str, f64)],
}

/// More dimensions, modes or cells than this are a slip of the pen.
const MAX_COUNT: f64 = 65_536.0;

impl Arguments<'_> {
    /// The value given last, or the default.
    pub(super) fn get(&self, name: &str) -> f64 {
        let given = self.given.iter().rev().find(|p| p.0 == name).map(|p| p.1);
        let default = self.entry.parameters.iter().find(|p| p.0 == name).map(|p| p.1);
        given.or(default).unwrap_or(f64::NAN)
    }

    pub(super) fn count(&self, name: &'static str) -> Result<usize> {
        let value = self.get(name);
        if (1.0..=MAX_COUNT).contains(&value) && value.fract() == 0.0 {
            Ok(value as usize)
        } else {
            Err(Error::Parameter { what: name, value, must: "a whole number between 1 and 65536" })
        }
    }

    /// A count of at most `limit`, for laws that hold a matrix of that size.
    pub(super) fn size(&self, name: &'static str, limit: usize) -> Result<usize> {
        let requested = self.count(name)?;
        if requested > limit { Err(Error::TooMany { what: name, limit, requested }) } else { Ok(requested) }
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool> {
        match self.get(name) {
            0.0 => Ok(false),
            1.0 => Ok(true),
            value => Err(Error::Parameter { what: name, value, must: "0 or 1" }),
        }
    }
}

/// A name with parameters, as a configuration holds them.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Spec {
    /// A name or alias in [`NAMES`].
    pub name: String,
    /// Parameters that differ from their defaults.
    #[cfg_attr(feature = "serde", serde(default))]
    pub parameters: BTreeMap<String, f64>,
}

impl Spec {
    /// The measure of that name with default parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Spec { name: name.into(), parameters: BTreeMap::new() }
    }

    /// The same with one parameter set.
    pub fn with(mut self, parameter: impl Into<String>, value: f64) -> Self {
        self.parameters.insert(parameter.into(), value);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// As [`named`].
    pub fn build(&self) -> Result<Box<dyn Target>> {
        let parameters: Vec<_> = self.parameters.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        named(&self.name, &parameters)
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    #[test]
    fn a_spec_reads_and_writes_as_json_and_refuses_keys_it_does_not_know() {
        let spec: Spec = serde_json::from_str(r#"{"name": "moons", "parameters": {"noise": 0.2}}"#).unwrap();
        assert_eq!(spec, Spec::new("moons").with("noise", 0.2));
        let back: Spec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(back, spec);
        assert_eq!(serde_json::from_str::<Spec>(r#"{"name": "moons"}"#).unwrap(), Spec::new("moons"));
        let error =
            serde_json::from_str::<Spec>(r#"{"name": "moons", "noise": 0.2}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `noise`"), "{error}");
    }
}
