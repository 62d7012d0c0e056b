//! The uniform law on a box.

use super::door;
use crate::error::{Error, Result, check_dim, check_finite};
use crate::measure::{Density, Measure, Sample};
use crate::points::Points;
use rand::{Rng, RngExt};

/// The uniform law on [a₁, b₁) × … × [a_d, b_d): density 1/∏(bᵢ − aᵢ) inside, zero outside.
///
/// It has no [`Score`](crate::Score): the density jumps at the boundary, and a Stein operator that ignored the jump would not have mean
/// zero.
#[derive(Debug, Clone, PartialEq)]
pub struct UniformBox {
    low: Vec<f64>,
    high: Vec<f64>,
    log_volume: f64,
}

impl UniformBox {
    /// The uniform law on ∏ [`low`ᵢ, `high`ᵢ).
    ///
    /// # Errors
    /// The corners are empty, of different lengths, not finite, or some `low`ᵢ ≥ `high`ᵢ (the index is named).
    pub fn new(low: Vec<f64>, high: Vec<f64>) -> Result<Self> {
        if low.is_empty() {
            return Err(Error::TooFew { what: "low", at_least: 1, got: 0 });
        }
        check_dim("high", low.len(), high.len())?;
        check_finite("low", &low)?;
        check_finite("high", &high)?;
        if let Some(index) = (0..low.len()).find(|&i| !(high[i] > low[i] && (high[i] - low[i]).is_finite())) {
            return Err(Error::Entry {
                what: "high",
                index,
                value: high[index],
                must: "above `low`, at a finite distance",
            });
        }
        let log_volume = low.iter().zip(&high).map(|(a, b)| (b - a).ln()).sum();
        Ok(UniformBox { low, high, log_volume })
    }

    /// The uniform law on [0, 1)^`dim`.
    ///
    /// # Errors
    /// `dim` is zero.
    pub fn unit(dim: usize) -> Result<Self> {
        UniformBox::new(vec![0.0; dim], vec![1.0; dim])
    }

    /// a.
    pub fn low(&self) -> &[f64] {
        &self.low
    }

    /// For every point of the same dimension whether it lies in the box.
    pub(super) fn contains(&self, x: &Points) -> Vec<bool> {
        let inside =
            |row: &[f64]| row.iter().zip(&self.low).zip(&self.high).all(|((x, a), b)| (*a..*b).contains(x));
        x.rows().map(inside).collect()
    }

    /// b.
    pub fn high(&self) -> &[f64] {
        &self.high
    }
}

impl Measure for UniformBox {
    fn dim(&self) -> usize {
        self.low.len()
    }
}

impl Sample for UniformBox {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, self.dim(), |_, row| {
            for ((x, a), b) in row.iter_mut().zip(&self.low).zip(&self.high) {
                let u: f64 = rng.random();
                // Rounding may reach b, which is outside.
                *x = (a + (b - a) * u).min(b.next_down());
            }
        })
    }
}

impl Density for UniformBox {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let value = |inside| if inside { -self.log_volume } else { f64::NEG_INFINITY };
        Ok(self.contains(x).into_iter().map(value).collect())
    }

    fn entropy(&self) -> Option<f64> {
        Some(self.log_volume)
    }
}
