//! Measures by name, for configurations and command lines.

use super::{
    Checkerboard, Circles, Gaussian, GaussianMixture, Moons, Pinwheel, SCurve, SwissRoll, TwoSpirals,
    UniformBox,
};
use crate::error::{Error, Result};
use crate::measure::{Density, Sample, Score};
use crate::points::Points;
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

impl Target for Gaussian {
    fn as_density(&self) -> Option<&dyn Density> {
        Some(self)
    }
    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
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

impl Target for UniformBox {
    fn as_density(&self) -> Option<&dyn Density> {
        Some(self)
    }
}

impl Target for Checkerboard {
    fn as_density(&self) -> Option<&dyn Density> {
        Some(self)
    }
}

impl Target for Pinwheel {}

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
    build: fn(&Arguments<'_>) -> Result<Box<dyn Target>>,
}

const SCALE: (&str, f64, &str) = ("scale", 1.0, "both coordinates are multiplied by it");
const SIGMA: &str = "standard deviation of every mode";
const NOISE: &str = "standard deviation of the Gaussian noise, before scaling";

/// Everything [`named`] knows.
pub const NAMES: &[Named] = &[
    Named {
        name: "gaussian",
        aliases: &["normal"],
        about: "N(mean·1, sigma² I)",
        parameters: &[
            ("dim", 2.0, "dimension"),
            ("mean", 0.0, "mean of every coordinate"),
            ("sigma", 1.0, "standard deviation of every coordinate"),
        ],
        build: |a| {
            let dim = a.count("dim")?;
            // One isotropic component: no d×d matrix, whatever d is.
            let mean = Points::new(dim, vec![a.get("mean"); dim])?;
            boxed(GaussianMixture::equal(mean, a.get("sigma")))
        },
    },
    Named {
        name: "uniform",
        aliases: &["box"],
        about: "uniform on the cube [low, high)^dim",
        parameters: &[("dim", 2.0, "dimension"), ("low", 0.0, "lower corner"), ("high", 1.0, "upper corner")],
        build: |a| {
            let dim = a.count("dim")?;
            boxed(UniformBox::new(vec![a.get("low"); dim], vec![a.get("high"); dim]))
        },
    },
    Named {
        name: "eight_gaussians",
        aliases: &["8gaussians"],
        about: "eight Gaussians on a circle, as in torchcfm",
        parameters: &[
            ("radius", 5.0, "distance of the modes from the origin"),
            ("sigma", 0.562_341_325_190_349_1, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::ring(8, a.get("radius"), a.get("sigma"))),
    },
    Named {
        name: "grid_gaussians",
        aliases: &["25gaussians"],
        about: "Gaussians on a square grid, as in PacGAN",
        parameters: &[
            ("side", 5.0, "modes along a side"),
            ("spacing", 2.0, "distance of neighbours"),
            ("sigma", 0.05, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::grid(a.count("side")?, a.get("spacing"), a.get("sigma"))),
    },
    Named {
        name: "ring_gaussians",
        aliases: &["ring"],
        about: "any number of Gaussians on a circle, by default PacGAN's ring",
        parameters: &[
            ("modes", 8.0, "number of modes"),
            ("radius", 1.0, "distance of the modes from the origin"),
            ("sigma", 0.01, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::ring(a.count("modes")?, a.get("radius"), a.get("sigma"))),
    },
    Named {
        name: "cross_polytope",
        aliases: &["mixture"],
        about: "2·dim Gaussians at ±radius along the axes",
        parameters: &[
            ("dim", 16.0, "dimension"),
            ("radius", 4.0, "distance of the modes from the origin"),
            ("sigma", 0.5, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::cross_polytope(a.count("dim")?, a.get("radius"), a.get("sigma"))),
    },
    Named {
        name: "moons",
        aliases: &["two_moons"],
        about: "two interleaving half circles, as in scikit-learn",
        parameters: &[
            ("noise", 0.1, NOISE),
            (
                "standardised",
                0.0,
                "1: mean 0 and variance 1 in both coordinates before scaling; 0: as they are",
            ),
            SCALE,
            ("shift_x", 0.0, "added to the first coordinate, after scaling"),
            ("shift_y", 0.0, "added to the second coordinate, after scaling"),
        ],
        build: |a| {
            let moons = Moons::new(a.get("noise"))?;
            let moons = if a.flag("standardised")? { moons.standardised()? } else { moons };
            boxed(moons.placed([a.get("scale"); 2], [a.get("shift_x"), a.get("shift_y")]))
        },
    },
    Named {
        name: "circles",
        aliases: &["two_circles"],
        about: "two concentric circles, as in FFJORD",
        parameters: &[
            ("factor", 0.5, "radius of the inner circle, the outer one having 1"),
            ("noise", 0.08, NOISE),
            ("scale", 3.0, SCALE.2),
        ],
        build: |a| {
            boxed(Circles::new(a.get("factor"), a.get("noise"))?.placed([a.get("scale"); 2], [0.0; 2]))
        },
    },
    Named {
        name: "swiss_roll",
        aliases: &["swissroll"],
        about: "one and a half turns of a spiral, as in FFJORD",
        parameters: &[("noise", 1.0, NOISE), ("scale", 0.2, SCALE.2)],
        build: |a| boxed(SwissRoll::new(a.get("noise"))?.placed([a.get("scale"); 2], [0.0; 2])),
    },
    Named {
        name: "s_curve",
        aliases: &["scurve"],
        about: "an S of two three-quarter circles, as in scikit-learn",
        parameters: &[("noise", 0.05, NOISE), SCALE],
        build: |a| boxed(SCurve::new(a.get("noise"))?.placed([a.get("scale"); 2], [0.0; 2])),
    },
    Named {
        name: "checkerboard",
        aliases: &[],
        about: "every other cell of a square board, as in FFJORD",
        parameters: &[
            ("cells", 4.0, "cells along a side"),
            ("half_width", 4.0, "the board is [−half_width, half_width)²"),
        ],
        build: |a| boxed(Checkerboard::new(a.count("cells")?, a.get("half_width"))),
    },
    Named {
        name: "pinwheel",
        aliases: &[],
        about: "Gaussian arms bent into a wheel, as in FFJORD",
        parameters: &[
            ("arms", 5.0, "number of arms"),
            ("radial", 0.3, "standard deviation along an arm"),
            ("tangential", 0.1, "standard deviation across an arm"),
            ("rate", 0.25, "how fast an arm bends"),
            ("scale", 2.0, SCALE.2),
        ],
        build: |a| {
            boxed(Pinwheel::new(
                a.count("arms")?,
                a.get("radial"),
                a.get("tangential"),
                a.get("rate"),
                a.get("scale"),
            ))
        },
    },
    Named {
        name: "two_spirals",
        aliases: &["2spirals"],
        about: "two spirals that wind about each other, as in FFJORD (whose jitter is 0.5)",
        parameters: &[
            ("turns", 1.5, "turns of each spiral"),
            ("noise", 0.3, NOISE),
            ("jitter", 0.0, "side of the box of uniform jitter, before scaling; above 0 there is no density"),
            ("scale", 1.0 / 3.0, SCALE.2),
        ],
        build: |a| {
            let spirals = TwoSpirals::new(a.get("turns"), a.get("noise"))?.jittered(a.get("jitter"))?;
            boxed(spirals.placed([a.get("scale"); 2], [0.0; 2]))
        },
    },
];

fn boxed<T: Target + 'static>(target: Result<T>) -> Result<Box<dyn Target>> {
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
struct Arguments<'a> {
    entry: &'a Named,
    given: &'a [(&'a str, f64)],
}

/// More dimensions, modes or cells than this are a slip of the pen.
const MAX_COUNT: f64 = 65_536.0;

impl Arguments<'_> {
    /// The value given last, or the default.
    fn get(&self, name: &str) -> f64 {
        let given = self.given.iter().rev().find(|p| p.0 == name).map(|p| p.1);
        let default = self.entry.parameters.iter().find(|p| p.0 == name).map(|p| p.1);
        given.or(default).unwrap_or(f64::NAN)
    }

    fn count(&self, name: &'static str) -> Result<usize> {
        let value = self.get(name);
        if (1.0..=MAX_COUNT).contains(&value) && value.fract() == 0.0 {
            Ok(value as usize)
        } else {
            Err(Error::Parameter { what: name, value, must: "a whole number between 1 and 65536" })
        }
    }

    fn flag(&self, name: &'static str) -> Result<bool> {
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
