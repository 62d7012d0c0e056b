//! Smooth bumps of compact support: test functions in Schwartz's sense.

use super::check_tau;
use super::pointwise::{Pointwise, pointwise_family};
use measures::{Error, Points, Result, check_positive};

/// The functions x ↦ exp(1 − 1/(1 − ‖x − c_k‖²/R²)) inside the ball of radius R around c_k and 0 outside: infinitely
/// differentiable, of height one. They compare masses near the centres and see nothing elsewhere.
#[derive(Debug, Clone)]
pub struct Bumps {
    centres: Points,
    radius: f64,
    tau: Vec<f64>,
}

impl Bumps {
    /// Bumps of radius R around the given centres (K×d), with one weight each.
    ///
    /// # Errors
    /// No centre, one that is not finite, a radius that is not positive and finite, or weights that are negative, not finite
    /// or not K in number.
    pub fn new(centres: Points, radius: f64, tau: &[f64]) -> Result<Self> {
        if centres.is_empty() {
            return Err(Error::TooFew { what: "centres", at_least: 1, got: 0 });
        }
        centres.check_finite("centres")?;
        check_positive("radius", radius)?;
        check_tau(centres.len(), tau)?;
        Ok(Bumps { centres, radius, tau: tau.to_vec() })
    }

    /// The height at x and the factor of x − c in the gradient.
    fn at(&self, k: usize, x: &[f64]) -> (f64, f64) {
        let scaled = |(x, c): (&f64, &f64)| ((x - c) / self.radius).powi(2);
        let rest = 1.0 - x.iter().zip(self.centres.row(k)).map(scaled).sum::<f64>();
        if rest > 0.0 {
            let value = (1.0 - 1.0 / rest).exp();
            // value/rest² tends to zero at the rim, where the quotient alone would be 0/0
            let slope = if value > 0.0 { -2.0 * value / (rest * rest) } else { 0.0 };
            (value, slope / self.radius / self.radius)
        } else {
            (0.0, 0.0)
        }
    }
}

impl Pointwise for Bumps {
    fn domain(&self) -> usize {
        self.centres.dim()
    }

    fn weights(&self) -> &[f64] {
        &self.tau
    }

    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        for (k, out) in out.iter_mut().enumerate() {
            *out = self.at(k, x).0;
        }
    }

    fn pull(&self, x: &[f64], c: &[f64], gradient: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (k, c) in c.iter().enumerate() {
            let (value, slope) = self.at(k, x);
            sum += c * value;
            for (g, (x, centre)) in gradient.iter_mut().zip(x.iter().zip(self.centres.row(k))) {
                *g += c * slope * (x - centre);
            }
        }
        sum
    }
}

pointwise_family!(Bumps);
