//! Independent Laplace coordinates.

use super::door;
use crate::error::{Error, Result, check_dim, check_finite};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use rand::{Rng, RngExt};

/// The law of independent Xᵢ with density exp(−|xᵢ − mᵢ|/bᵢ)/(2bᵢ); variances 2bᵢ².
///
/// The score −sign(xᵢ − mᵢ)/bᵢ jumps at the median, so [`Score::score_jvp`] is refused: almost everywhere the derivative is
/// zero, but that leaves out the whole of the curvature.
#[derive(Debug, Clone, PartialEq)]
pub struct Laplace {
    median: Vec<f64>,
    scale: Vec<f64>,
}

impl Laplace {
    /// Coordinates with medians m and scales b.
    ///
    /// # Errors
    /// The lists are empty, of different lengths, not finite, or a scale is not positive (the index is named).
    pub fn new(median: Vec<f64>, scale: Vec<f64>) -> Result<Self> {
        if median.is_empty() {
            return Err(Error::TooFew { what: "median", at_least: 1, got: 0 });
        }
        check_dim("scale", median.len(), scale.len())?;
        check_finite("median", &median)?;
        if let Some(index) = scale.iter().position(|b| !(b.is_normal() && *b > 0.0 && (1.0 / b).is_finite()))
        {
            return Err(Error::Entry {
                what: "scale",
                index,
                value: scale[index],
                must: "finite and positive",
            });
        }
        Ok(Laplace { median, scale })
    }

    /// m.
    pub fn median(&self) -> &[f64] {
        &self.median
    }

    /// b.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }
}

impl Measure for Laplace {
    fn dim(&self) -> usize {
        self.median.len()
    }
}

impl Sample for Laplace {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, self.dim(), |_, row| {
            for ((x, m), b) in row.iter_mut().zip(&self.median).zip(&self.scale) {
                // 1 − U lies in (0, 1], so the logarithm is finite.
                let u: f64 = rng.random();
                let size = -b * (1.0 - u).ln();
                *x = if rng.random::<bool>() { m + size } else { m - size };
            }
        })
    }
}

impl Density for Laplace {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let constant: f64 = -self.scale.iter().map(|b| (2.0 * b).ln()).sum::<f64>();
        Ok(x.rows()
            .map(|row| {
                let parts = row.iter().zip(&self.median).zip(&self.scale);
                constant - parts.map(|((x, m), b)| (x - m).abs() / b).sum::<f64>()
            })
            .collect())
    }

    fn entropy(&self) -> Option<f64> {
        Some(self.scale.iter().map(|b| 1.0 + (2.0 * b).ln()).sum())
    }
}

impl Score for Laplace {
    /// −sign(xᵢ − mᵢ)/bᵢ, with sign(0) = 0.
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        Ok(Points::from_fn(x.len(), self.dim(), |i, row| {
            for (((s, x), m), b) in row.iter_mut().zip(x.row(i)).zip(&self.median).zip(&self.scale) {
                *s = if x > m {
                    -1.0 / b
                } else if x < m {
                    1.0 / b
                } else {
                    0.0
                };
            }
        }))
    }
}
