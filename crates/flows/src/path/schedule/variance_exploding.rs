//! The variance-exploding schedule.

use super::Schedule;
use crate::error::Result;
use measures::check_positive;

/// α = 1 and σ(t) = σ_max (σ_min/σ_max)^t: data plus ever more noise, geometric in time; noise at t = 0.
///
/// The path neither starts at exact noise (the data are in it, spread by σ_max) nor ends at exact data (σ_min is left).
/// Song et al., arXiv:2011.13456.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VarianceExploding {
    least: f64,
    most: f64,
}

impl VarianceExploding {
    /// Noise from `least` at data to `most`.
    ///
    /// # Errors
    /// Not 0 < `least` < `most` < ∞.
    pub fn new(least: f64, most: f64) -> Result<Self> {
        check_positive("least σ", least)?;
        check_positive("most σ", most)?;
        if least >= most {
            let must = "above the least σ";
            return Err(measures::Error::Parameter { what: "most σ", value: most, must }.into());
        }
        Ok(VarianceExploding { least, most })
    }
}

impl Schedule for VarianceExploding {
    fn name(&self) -> &'static str {
        "variance exploding"
    }

    fn alpha(&self, _: f64) -> f64 {
        1.0
    }

    fn d_alpha(&self, _: f64) -> f64 {
        0.0
    }

    fn variance(&self, t: f64) -> f64 {
        (self.most * (self.least / self.most).powf(t)).powi(2)
    }

    fn d_variance(&self, t: f64) -> f64 {
        2.0 * (self.least / self.most).ln() * self.variance(t)
    }
}
