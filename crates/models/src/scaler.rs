//! Standardisation of data: networks work on coordinates of mean 0 and variance 1, and a model remembers the way back.

use crate::error::{Error, Result};
use crate::source::{Source, overview};
use measures::{Points, Seed};
use serde::{Deserialize, Serialize};

/// Draws on which mean and scale of an endless source are measured.
const DRAWS: usize = 10_000;

/// The map x ↦ (x − mean)/scale, coordinate by coordinate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Scaler {
    /// The identity of ℝ^`dim`.
    pub fn identity(dim: usize) -> Self {
        Scaler { mean: vec![0.0; dim], scale: vec![1.0; dim] }
    }

    /// Mean and standard deviation of each column.
    ///
    /// # Errors
    /// A column is constant (it is named), or there are fewer than two rows.
    pub fn fit(x: &Points) -> Result<Self> {
        let (n, d) = (x.len(), x.dim());
        if n < 2 {
            return Err(measures::Error::TooFew { what: "rows of data", at_least: 2, got: n }.into());
        }
        let (mut mean, mut scale) = (vec![0.0; d], vec![0.0; d]);
        for row in x.rows() {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n as f64);
        }
        for row in x.rows() {
            for k in 0..d {
                scale[k] += (row[k] - mean[k]).powi(2) / n as f64;
            }
        }
        for (column, scale) in scale.iter_mut().enumerate() {
            *scale = scale.sqrt();
            // Round-off leaves a constant column with a spread of a few units in the last place.
            if *scale <= 1e-12 * mean[column].abs() || *scale == 0.0 {
                return Err(Error::ConstantColumn { column, value: x.row(0)[column] });
            }
        }
        Ok(Scaler { mean, scale })
    }

    /// The scaler of a source: fitted when `standardise` is set, else the identity.
    ///
    /// # Errors
    /// As [`Scaler::fit`].
    pub fn of(source: &dyn Source, standardise: bool, seed: Seed) -> Result<Self> {
        if standardise {
            Scaler::fit(&overview(source, DRAWS, seed)?)
        } else {
            Ok(Scaler::identity(source.dim()))
        }
    }

    /// d.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Σ log scale, what standardisation adds to a log-density in data space with a minus sign.
    pub fn log_volume(&self) -> f64 {
        self.scale.iter().map(|s| s.ln()).sum()
    }

    /// Data to standard coordinates.
    pub fn standardise(&self, mut x: Points) -> Points {
        for row in x.rows_mut() {
            row.iter_mut().zip(&self.mean).zip(&self.scale).for_each(|((x, m), s)| *x = (*x - m) / s);
        }
        x
    }

    /// Standard coordinates back to data.
    pub fn restore(&self, mut x: Points) -> Points {
        for row in x.rows_mut() {
            row.iter_mut().zip(&self.mean).zip(&self.scale).for_each(|((x, m), s)| *x = *x * s + m);
        }
        x
    }

    /// Gradients in standard coordinates as gradients in those of the data: each divided by its scale.
    pub fn rescale(&self, mut g: Points) -> Points {
        for row in g.rows_mut() {
            row.iter_mut().zip(&self.scale).for_each(|(g, s)| *g /= s);
        }
        g
    }

    /// Refuses a scaler that no fit could give: it came from a file.
    pub(crate) fn check(&self, dim: usize) -> Result<()> {
        let finite = self.mean.iter().chain(&self.scale).all(|v| v.is_finite());
        if self.mean.len() == dim && self.scale.len() == dim && finite && self.scale.iter().all(|&s| s > 0.0)
        {
            Ok(())
        } else {
            Err(Error::Config {
                what: "a scaler",
                why: format!("it must have {dim} means and positive scales"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_invert() {
        let x = Points::from_rows(&[[1.0, 10.0], [3.0, 10.5], [5.0, 12.0]]);
        let scaler = Scaler::fit(&x).unwrap();
        let y = scaler.standardise(x.clone());
        let again = Scaler::fit(&y).unwrap();
        assert!(
            again.mean.iter().all(|m| m.abs() < 1e-15) && again.scale.iter().all(|s| (s - 1.0).abs() < 1e-15)
        );
        let back = scaler.restore(y);
        assert!(back.as_slice().iter().zip(x.as_slice()).all(|(a, b)| (a - b).abs() < 1e-14));
        assert!((scaler.log_volume() - (scaler.scale[0] * scaler.scale[1]).ln()).abs() < 1e-15);
    }

    #[test]
    fn constant_columns_are_named() {
        let x = Points::from_fn(7, 2, |i, row| row.copy_from_slice(&[i as f64, 0.1]));
        let error = Scaler::fit(&x).unwrap_err().to_string();
        assert!(error.starts_with("data: column 1 is constant (0.1)"), "{error}");
        assert!(Scaler::fit(&Points::zeros(1, 1)).is_err());
        assert!(Scaler::identity(2).check(3).is_err());
    }
}
