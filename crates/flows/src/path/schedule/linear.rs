//! The straight path.

use super::Schedule;

/// α = t, σ = 1 − t: straight lines from noise to data, as in flow matching (Lipman et al., arXiv:2210.02747) and
/// rectified flow (Liu et al., arXiv:2209.03003).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Linear;

impl Schedule for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn alpha(&self, t: f64) -> f64 {
        t
    }

    fn d_alpha(&self, _: f64) -> f64 {
        1.0
    }

    fn variance(&self, t: f64) -> f64 {
        (1.0 - t).powi(2)
    }

    fn d_variance(&self, t: f64) -> f64 {
        -2.0 * (1.0 - t)
    }

    fn sigma(&self, t: f64) -> f64 {
        1.0 - t
    }

    fn d_sigma(&self, _: f64) -> crate::Result<f64> {
        Ok(-1.0)
    }
}
