//! Paths of measures ρ_t: schedules, interpolants, couplings, and laws in closed form to referee everything else.
//!
//! Paths run in t from noise at t = 0 to data at t = 1. Diffusions run in s from data at s = 0 to noise at s = ∞, with
//! s = −log t; the one schedule in that clock, [`OrnsteinUhlenbeck`], says so.

mod gaussian_bridge;
mod interpolant;
mod mixture;
mod pairs;
mod schedule;

pub use gaussian_bridge::GaussianBridge;
pub use interpolant::{Curve, Draw, Interpolant, Interpolation};
pub use mixture::MixturePath;
pub use pairs::Pairs;
pub(crate) use schedule::check_time;
pub use schedule::{
    Cosine, Custom, Linear, Noised, OrnsteinUhlenbeck, Schedule, Trigonometric, VarianceExploding,
    VariancePreserving,
};
