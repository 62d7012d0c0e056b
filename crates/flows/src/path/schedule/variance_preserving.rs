//! The variance-preserving schedule with linear β.

use super::Schedule;
use crate::error::Result;
use measures::check_positive;

/// The law of dX = −½β X dτ + √β dB with β(τ) = β₀ + (β₁ − β₀)τ, run from data at τ = 0 to noise at τ = 1.
///
/// It is the Ornstein–Uhlenbeck path in another clock: s(τ) = ½∫₀^τ β, since ½β is the rate of eq. (5), not β. As every
/// path here it is read in t = 1 − τ: noise at t = 0 (where α is small but not zero), data at t = 1. Song et al.,
/// *Score-based generative modeling through SDEs*, arXiv:2011.13456.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VariancePreserving {
    first: f64,
    last: f64,
}

impl VariancePreserving {
    /// β from `first` at data to `last` at noise; 0.1 and 20 are the usual ones.
    ///
    /// # Errors
    /// Not 0 < `first` ≤ `last` < ∞.
    pub fn new(first: f64, last: f64) -> Result<Self> {
        check_positive("first β", first)?;
        check_positive("last β", last)?;
        if first > last {
            let must = "at least the first β";
            return Err(measures::Error::Parameter { what: "last β", value: last, must }.into());
        }
        Ok(VariancePreserving { first, last })
    }

    /// The clock s = ½∫β of the Ornstein–Uhlenbeck process at time t.
    pub fn ou_time(&self, t: f64) -> f64 {
        let tau = 1.0 - t;
        0.5 * tau * (self.first + 0.5 * (self.last - self.first) * tau)
    }

    /// β at data and at noise.
    pub(crate) fn betas(&self) -> (f64, f64) {
        (self.first, self.last)
    }

    /// −ds/dt = ½β.
    fn rate(&self, t: f64) -> f64 {
        0.5 * (self.first + (self.last - self.first) * (1.0 - t))
    }
}

impl Default for VariancePreserving {
    fn default() -> Self {
        VariancePreserving { first: 0.1, last: 20.0 }
    }
}

impl Schedule for VariancePreserving {
    fn name(&self) -> &'static str {
        "variance preserving"
    }

    fn alpha(&self, t: f64) -> f64 {
        (-self.ou_time(t)).exp()
    }

    fn d_alpha(&self, t: f64) -> f64 {
        self.rate(t) * self.alpha(t)
    }

    fn variance(&self, t: f64) -> f64 {
        -(-2.0 * self.ou_time(t)).exp_m1()
    }

    fn d_variance(&self, t: f64) -> f64 {
        -2.0 * self.rate(t) * (-2.0 * self.ou_time(t)).exp()
    }
}
