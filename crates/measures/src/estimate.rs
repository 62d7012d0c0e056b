//! A number with its uncertainty.

use crate::error::{Error, Result};
use statrs::distribution::{ContinuousCDF, Normal};

/// An estimate of an expectation with the standard error of that estimate.
///
/// The interval is for the expectation of the estimator; where the estimator is biased, it is not one for the
/// quantity estimated, and the function that returns it says so.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error; infinite when one draw was all there was.
    pub standard_error: f64,
    /// The number of independent draws behind it.
    pub n: usize,
}

impl Estimate {
    /// The mean of independent draws, with the standard error s/√n (s with n − 1 in the denominator).
    ///
    /// # Errors
    /// There is no draw, or one that is not finite.
    pub fn of_mean(draws: &[f64]) -> Result<Self> {
        if draws.is_empty() {
            return Err(Error::TooFew { what: "draws", at_least: 1, got: 0 });
        }
        crate::error::check_finite("draws", draws)?;
        let n = draws.len();
        let value = draws.iter().sum::<f64>() / n as f64;
        let squares: f64 = draws.iter().map(|v| (v - value).powi(2)).sum();
        let standard_error =
            if n == 1 { f64::INFINITY } else { (squares / (n - 1) as f64 / n as f64).sqrt() };
        Ok(Estimate { value, standard_error, n })
    }

    /// An estimate from its parts, for estimators that know their own standard error.
    pub fn new(value: f64, standard_error: f64, n: usize) -> Self {
        Estimate { value, standard_error, n }
    }

    /// The normal interval of the given coverage, `value ± z · standard_error`.
    ///
    /// # Errors
    /// The coverage is not inside (0, 1).
    pub fn interval(&self, coverage: f64) -> Result<(f64, f64)> {
        if !(coverage > 0.0 && coverage < 1.0) {
            return Err(Error::Parameter { what: "coverage", value: coverage, must: "inside (0, 1)" });
        }
        let z = Normal::standard().inverse_cdf(0.5 + 0.5 * coverage);
        Ok((self.value - z * self.standard_error, self.value + z * self.standard_error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_interval() {
        let e = Estimate::of_mean(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(e.value, 2.5);
        assert!((e.standard_error - (5.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-15);
        let (low, high) = e.interval(0.95).unwrap();
        assert!((high - low - 2.0 * 1.959_963_984_540_054 * e.standard_error).abs() < 1e-9);
        assert!(e.interval(1.0).is_err() && Estimate::of_mean(&[]).is_err());
    }
}
