//! The noise ν that a map pushes forward.

use crate::error::{Result, check_count};
use measures::rand::{Rng, RngExt};
use measures::{Density, Measure, Points, Sample};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The law of one coordinate of the noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// N(0, 1).
    #[default]
    Gaussian,
    /// Uniform on [0, 1].
    Uniform,
}

/// The noise ν: independent coordinates of one law. Cheap to sample, and a [`Density`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    dim: usize,
    law: Law,
}

impl Noise {
    /// The noise on ℝ^`dim`.
    ///
    /// # Errors
    /// `dim` is zero.
    pub fn new(law: Law, dim: usize) -> Result<Self> {
        check_count("latent_dim", dim)?;
        Ok(Noise { dim, law })
    }

    /// The law of a coordinate.
    pub fn law(&self) -> Law {
        self.law
    }
}

impl Measure for Noise {
    fn dim(&self) -> usize {
        self.dim
    }
}

impl Sample for Noise {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let mut z = Points::zeros(n, self.dim);
        let fill = z.as_mut_slice().iter_mut();
        match self.law {
            Law::Gaussian => fill.for_each(|v| *v = StandardNormal.sample(rng)),
            Law::Uniform => fill.for_each(|v| *v = rng.random()),
        }
        z
    }
}

impl Density for Noise {
    fn log_density(&self, x: &Points) -> measures::Result<Vec<f64>> {
        measures::check_dim("points", self.dim, x.dim())?;
        let constant = -0.5 * self.dim as f64 * std::f64::consts::TAU.ln();
        Ok(match self.law {
            Law::Gaussian => {
                x.rows().map(|r| constant - 0.5 * r.iter().map(|v| v * v).sum::<f64>()).collect()
            }
            Law::Uniform => {
                let inside = |r: &[f64]| r.iter().all(|v| (0.0..=1.0).contains(v));
                x.rows().map(|r| if inside(r) { 0.0 } else { f64::NEG_INFINITY }).collect()
            }
        })
    }

    fn entropy(&self) -> Option<f64> {
        Some(match self.law {
            Law::Gaussian => 0.5 * self.dim as f64 * (std::f64::consts::TAU.ln() + 1.0),
            Law::Uniform => 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Seed, zoo::Gaussian};

    #[test]
    fn samples_have_the_moments_of_their_law() {
        let n = 100_000;
        for (law, mean, variance, fourth) in
            [(Law::Gaussian, 0.0, 1.0, 3.0), (Law::Uniform, 0.5, 1.0 / 12.0, 1.0 / 80.0)]
        {
            let z = Noise::new(law, 2).unwrap().sample(n, &mut Seed::new(4).rng());
            for k in 0..2 {
                let column = z.column(k);
                let m = column.iter().sum::<f64>() / n as f64;
                let v = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
                assert!((m - mean).abs() < 5.0 * (variance / n as f64).sqrt());
                assert!((v - variance).abs() < 5.0 * ((fourth - variance * variance) / n as f64).sqrt());
            }
        }
    }

    #[test]
    fn the_density_is_the_gaussians() {
        let x = Points::from_rows(&[[0.3, -2.0, 1.0]]);
        let ours = Noise::new(Law::Gaussian, 3).unwrap();
        assert!(
            (ours.log_density(&x).unwrap()[0] - Gaussian::standard(3).log_density(&x).unwrap()[0]).abs()
                < 1e-14
        );
        assert!((ours.entropy().unwrap() - Gaussian::standard(3).entropy().unwrap()).abs() < 1e-14);
        let uniform = Noise::new(Law::Uniform, 3).unwrap();
        assert_eq!(uniform.log_density(&x).unwrap(), [f64::NEG_INFINITY]);
        assert!(Noise::new(Law::Uniform, 0).is_err());
    }
}
