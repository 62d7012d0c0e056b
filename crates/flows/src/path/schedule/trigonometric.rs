//! The trigonometric path.

use super::Schedule;
use std::f64::consts::FRAC_PI_2;

/// α = sin(πt/2), σ = cos(πt/2): of constant variance between data and noise of unit variance. Albergo and
/// Vanden-Eijnden, *Building normalizing flows with stochastic interpolants*, arXiv:2209.15571.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trigonometric;

impl Schedule for Trigonometric {
    fn name(&self) -> &'static str {
        "trigonometric"
    }

    fn alpha(&self, t: f64) -> f64 {
        (FRAC_PI_2 * t).sin()
    }

    fn d_alpha(&self, t: f64) -> f64 {
        FRAC_PI_2 * (FRAC_PI_2 * t).cos()
    }

    fn variance(&self, t: f64) -> f64 {
        (FRAC_PI_2 * t).cos().powi(2)
    }

    fn d_variance(&self, t: f64) -> f64 {
        -2.0 * FRAC_PI_2 * (FRAC_PI_2 * t).sin() * (FRAC_PI_2 * t).cos()
    }

    fn sigma(&self, t: f64) -> f64 {
        (FRAC_PI_2 * t).cos()
    }

    fn d_sigma(&self, t: f64) -> crate::Result<f64> {
        Ok(-FRAC_PI_2 * (FRAC_PI_2 * t).sin())
    }
}
