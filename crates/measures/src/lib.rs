#![doc = include_str!("../README.md")]

mod bracket;
mod control_variate;
mod coupling;
mod empirical;
mod error;
mod estimate;
mod family;
mod functional;
mod importance;
pub mod lanes;
mod map;
mod measure;
pub mod parallel;
mod points;
mod pushforward;
mod quadrature;
pub mod quasi;
mod seed;
mod special;
#[cfg(feature = "proptest")]
pub mod strategies;
pub mod stream;
pub mod zoo;

pub use bracket::{Function, TestFunction, bracket, bracket_mc};
pub use control_variate::{Controlled, Fit, bracket_controlled};
pub use coupling::Coupling;
pub use empirical::Empirical;
pub use error::{Error, Result, check_dim, check_finite, check_len, check_positive};
pub use estimate::Estimate;
pub use family::{Family, Pullback, check_pullback};
pub use functional::{Drift, Functional, Steepest, Variation, centred};
pub use importance::{Weighted, Weighting, importance_bracket, importance_estimate, importance_sample};
pub use map::{Affine, Compose, Diffeo, Injective, Map, Pad, SmoothDiffeo};
pub use measure::{Density, Measure, Sample, Score};
pub use points::Points;
pub use pushforward::Pushforward;
pub use seed::Seed;

pub use nalgebra;
pub use rand;
