//! Tests of hypotheses: were two samples drawn from one law, and was a sample drawn from a given one?
//!
//! The p-values of two-sample tests come, but for [`block_test`], from relabelling the pooled sample: under the hypothesis the labels are exchangeable, so that
//! p = (1 + #{relabelled statistic ≥ observed}) / (1 + B) satisfies P(p ≤ α) ≤ α for every α, sample size and dimension
//! (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585). No asymptotic law is used there: the null law of an MMD is degenerate,
//! and that of a transport cost is not known. [`stein_test`] has no second sample to relabel and bootstraps. Samples must be independent draws; a sorted or thinned chain is not.
//!
//! | test | statistic | sees | cost |
//! |---|---|---|---|
//! | [`mmd_test`] | unbiased MMD² | everything at the scale of its kernel | O(N²) once, all relabellings together |
//! | [`energy_test`] | energy distance | everything, location first; no parameter | the same |
//! | [`neighbour_test`] | neighbours of one label | local differences, few dimensions | O(N log N) once |
//! | [`classifier_test`] | accuracy of k-nearest-neighbour votes | the same, as an error rate | the same |
//! | [`sinkhorn_test`] | Sinkhorn divergence | everything at the scale √ε and above | a solution a relabelling |
//! | [`block_test`] | mean of MMD² over blocks | as MMD, with less power; for large samples | O(n) to O(n^{3/2}), no relabelling |
//! | [`stein_test`] | KSD² against a score | one sample against a law; not the weight of far modes | O(n²) once, all draws together |
//! | [`permutation_test`] | any [`Divergence`](crate::Divergence): Sinkhorn, Wasserstein, sliced … | what it sees | a value a relabelling |

mod block;
mod forms;
mod kernel;
mod neighbours;
mod permutation;
mod stein;

pub use block::{Asymptotic, block_test};
pub use kernel::{energy_test, mmd_estimate, mmd_test};
pub use neighbours::{classifier_test, neighbour_test};
pub use permutation::{permutation_test, sinkhorn_test};
pub use stein::{Bootstrapped, Signs, stein_test};

use measures::{Error, Estimate, Points, Result, check_dim};

/// The outcome of a test by relabelling.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Relabelled {
    /// The statistic of the samples as they are; each test says which. Large values speak against the hypothesis.
    pub statistic: f64,
    /// (1 + #{relabelled ≥ observed}) / (1 + B): valid in finite samples, at least 1/(1 + B).
    pub p_value: f64,
    /// The statistic under each of the B relabellings, in the order they were drawn: draws from its null law given the
    /// pooled sample.
    pub null: Vec<f64>,
}

impl Relabelled {
    /// The outcome from statistics that agree to `round_off` when they are equal: such ties count against the claim.
    fn new(statistic: f64, null: Vec<f64>, round_off: f64) -> Self {
        Relabelled { statistic, p_value: crate::permutation::p_value(statistic - round_off, &null), null }
    }

    /// Whether the hypothesis is rejected at level α: p ≤ α.
    pub fn rejects(&self, alpha: f64) -> bool {
        self.p_value <= alpha
    }

    /// The probability that a relabelling reaches the observed statistic, with the standard error that comes from
    /// drawing B of them and not all: an interval for the p-value of the full permutation test, not for anything about
    /// the laws.
    ///
    /// # Errors
    /// There are no relabellings.
    pub fn exceedance(&self) -> Result<Estimate> {
        let hits: Vec<f64> = self.null.iter().map(|d| f64::from(u8::from(*d >= self.statistic))).collect();
        Estimate::of_mean(&hits)
    }

    /// The smallest statistic that would be rejected at level α; +∞ when B is too small for that level.
    ///
    /// # Errors
    /// α is not inside (0, 1).
    pub fn threshold(&self, alpha: f64) -> Result<f64> {
        if !(alpha > 0.0 && alpha < 1.0) {
            return Err(Error::Parameter { what: "alpha", value: alpha, must: "inside (0, 1)" });
        }
        let mut sorted = self.null.clone();
        sorted.sort_by(f64::total_cmp);
        // At most this many relabelled statistics may reach an observed one that is rejected.
        let allowed = (alpha * (self.null.len() + 1) as f64).floor() as usize;
        Ok(match allowed {
            0 => f64::INFINITY,
            _ if allowed > sorted.len() => f64::NEG_INFINITY,
            _ => sorted[sorted.len() - allowed].next_up(),
        })
    }
}

/// Two samples of one dimension, of at least `least` points each, all finite.
fn check_samples(x: &Points, y: &Points, least: usize) -> Result<()> {
    check_dim("second sample", x.dim(), y.dim())?;
    for (what, points) in [("first sample", x), ("second sample", y)] {
        if points.len() < least {
            return Err(Error::TooFew { what, at_least: least, got: points.len() });
        }
        points.check_finite(what)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_where_rejection_begins() {
        let null: Vec<f64> = (0..99).map(f64::from).collect();
        let outcome = |statistic| Relabelled::new(statistic, null.clone(), 0.0);
        let threshold = outcome(0.0).threshold(0.05).unwrap();
        assert!(outcome(threshold).rejects(0.05) && !outcome(threshold.next_down()).rejects(0.05));
        assert_eq!(outcome(0.0).threshold(0.001).unwrap(), f64::INFINITY);
        assert!(outcome(0.0).threshold(1.0).is_err());
        assert_eq!(outcome(50.0).exceedance().unwrap().value, 49.0 / 99.0);
    }
}
