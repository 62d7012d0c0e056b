//! The cosine schedule of improved denoising diffusion.

use super::Schedule;
use crate::error::Result;
use std::f64::consts::FRAC_PI_2;

/// α²(t) = cos²(½π (τ + o)/(1 + o)) / cos²(½π o/(1 + o)) with τ = 1 − t, σ² = 1 − α²: a variance-preserving schedule that
/// adds noise slowly near data. Nichol and Dhariwal, *Improved denoising diffusion probabilistic models*,
/// arXiv:2102.09672, with the offset o = 0.008.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    offset: f64,
}

impl Cosine {
    /// The schedule of the given offset.
    ///
    /// # Errors
    /// The offset is not finite and positive: without it σ̇ is infinite at data.
    pub fn new(offset: f64) -> Result<Self> {
        Ok(Cosine { offset: measures::check_positive("offset", offset)? })
    }

    fn angle(self, t: f64) -> f64 {
        FRAC_PI_2 * (1.0 - t + self.offset) / (1.0 + self.offset)
    }

    fn full(self) -> f64 {
        self.angle(1.0).cos()
    }
}

impl Default for Cosine {
    fn default() -> Self {
        Cosine { offset: 0.008 }
    }
}

impl Schedule for Cosine {
    fn name(&self) -> &'static str {
        "cosine"
    }

    fn alpha(&self, t: f64) -> f64 {
        // At t = 0 the angle is π/2 to round-off; the cosine must not fall below zero there.
        self.angle(t).cos().max(0.0) / self.full()
    }

    fn d_alpha(&self, t: f64) -> f64 {
        FRAC_PI_2 / (1.0 + self.offset) * self.angle(t).sin() / self.full()
    }

    fn variance(&self, t: f64) -> f64 {
        // 1 − cos²a/cos²b = sin(a − b) sin(a + b)/cos²b, without cancellation near data.
        let (a, b) = (self.angle(t), self.angle(1.0));
        (a - b).sin() * (a + b).sin() / self.full().powi(2)
    }

    fn d_variance(&self, t: f64) -> f64 {
        -2.0 * self.alpha(t) * self.d_alpha(t)
    }
}
