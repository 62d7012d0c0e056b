//! Which estimate of a squared distance a sample gives.

use measures::{Empirical, Error, Result};

/// The two estimates of a squared distance ‖μ − ν‖² from samples of μ and ν.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statistic {
    /// The distance of the empirical measures themselves (V-statistic): never negative, zero on equal measures, and
    /// biased upwards by the noise of the samples.
    #[default]
    Plugin,
    /// Without the diagonal terms (U-statistic): its expectation over independent samples is the distance of the measures
    /// they were drawn from. It is **negative** about as often as not when the two are equal.
    Unbiased,
}

impl Statistic {
    /// What the mean within one sample is multiplied by where its diagonal is zero: 1, or 1/(1 − Σ wᵢ²) without it.
    ///
    /// # Errors
    /// As [`OffDiagonal::new`], for the unbiased one.
    pub(crate) fn scale(self, what: &'static str, mu: &Empirical) -> Result<f64> {
        match self {
            Statistic::Plugin => Ok(1.0),
            Statistic::Unbiased => Ok(OffDiagonal::new(what, mu)?.rest.recip()),
        }
    }

    /// The same of both measures.
    pub(crate) fn scales(self, mu: &Empirical, nu: &Empirical) -> Result<[f64; 2]> {
        Ok([self.scale(ATOMS_OF_MU, mu)?, self.scale(ATOMS_OF_NU, nu)?])
    }
}

/// What leaves the diagonal out of a quadratic form: (Σᵢⱼ wᵢwⱼκᵢⱼ − Σ wᵢ²κᵢᵢ) / (1 − Σ wᵢ²).
///
/// With equal weights this is the U-statistic Σ_{i≠j} κᵢⱼ / n(n−1); with weights the diagonal is left out in the same
/// way, and what remains is rescaled to total weight one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OffDiagonal {
    /// 1 − Σ wᵢ².
    pub(crate) rest: f64,
}

impl OffDiagonal {
    /// # Errors
    /// Fewer than two atoms have positive weight, so that there is no pair.
    pub(crate) fn new(what: &'static str, mu: &Empirical) -> Result<Self> {
        let got = mu.weights().iter().filter(|w| **w > 0.0).take(2).count();
        if got < 2 {
            return Err(Error::TooFew { what, at_least: 2, got });
        }
        // Σᵢ wᵢ(1 − wᵢ), which does not cancel when one weight is nearly one
        Ok(OffDiagonal { rest: mu.weights().iter().map(|w| w * (1.0 - w)).sum() })
    }

    /// The quadratic form without its diagonal.
    pub(crate) fn form(self, full: f64, diagonal: f64) -> f64 {
        (full - diagonal) / self.rest
    }
}

/// The U-statistic needs two atoms.
pub(crate) const ATOMS_OF_MU: &str =
    "atoms of positive weight in the first measure, for an unbiased estimate";
/// As [`ATOMS_OF_MU`].
pub(crate) const ATOMS_OF_NU: &str =
    "atoms of positive weight in the second measure, for an unbiased estimate";
