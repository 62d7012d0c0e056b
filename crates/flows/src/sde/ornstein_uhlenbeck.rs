//! The Ornstein–Uhlenbeck process by its exact transitions.

use super::normal::block_normals;
use crate::error::Result;
use measures::{Points, Seed, check_dim, check_finite, check_positive, parallel};

/// dX = −θ (X − m) ds + σ dB: from x over a time h exactly N(m + e^{−θh}(x − m), σ²(1 − e^{−2θh})/(2θ) I).
///
/// With θ = 1, m = 0 and σ = √2 it is eq. (5) with E = ½‖x‖². No step is too long.
///
/// ```
/// use flows::sde::OrnsteinUhlenbeckProcess;
/// use measures::{Points, Seed};
/// let ou = OrnsteinUhlenbeckProcess::standard(1);
/// let x = ou.step(&Points::from_line(vec![3.0; 1_000]), 40.0, Seed::new(0), 0)?;
/// assert!(x.as_slice().iter().sum::<f64>().abs() < 150.0);
/// # Ok::<(), flows::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OrnsteinUhlenbeckProcess {
    rate: f64,
    mean: Vec<f64>,
    level: f64,
}

impl OrnsteinUhlenbeckProcess {
    /// The process of rate θ, mean m and level σ.
    ///
    /// # Errors
    /// θ or σ is not finite and positive, or the mean is empty or not finite.
    pub fn new(rate: f64, mean: Vec<f64>, level: f64) -> Result<Self> {
        check_positive("rate", rate)?;
        check_positive("level", level)?;
        check_finite("mean", &mean)?;
        if mean.is_empty() {
            return Err(measures::Error::TooFew { what: "mean", at_least: 1, got: 0 }.into());
        }
        Ok(OrnsteinUhlenbeckProcess { rate, mean, level })
    }

    /// The process of eq. (5) with E = ½‖x‖², whose stationary law is N(0, I).
    ///
    /// # Panics
    /// When `dim` is zero.
    pub fn standard(dim: usize) -> Self {
        assert!(dim > 0, "a dimension of at least one");
        OrnsteinUhlenbeckProcess { rate: 1.0, mean: vec![0.0; dim], level: std::f64::consts::SQRT_2 }
    }

    /// e^{−θh} and the variance of the transition.
    pub fn transition(&self, h: f64) -> (f64, f64) {
        let variance = -(-2.0 * self.rate * h).exp_m1() * self.level * self.level / (2.0 * self.rate);
        ((-self.rate * h).exp(), variance)
    }

    /// The cloud a time h later, with the noise of step `k` of the seed: give every step another k.
    ///
    /// # Errors
    /// h is not finite and positive, or the points live in another dimension.
    pub fn step(&self, x: &Points, h: f64, seed: Seed, k: u64) -> Result<Points> {
        check_positive("h", h)?;
        check_dim("points", self.mean.len(), x.dim())?;
        let (decay, variance) = self.transition(h);
        let (sigma, d) = (variance.sqrt(), x.dim());
        let mut out = x.clone();
        parallel::fill_blocks(out.as_mut_slice(), d, 1024, |rows, chunk| {
            let mut z = Vec::new();
            block_normals(seed, k, &rows, d, &mut z);
            for (row, z) in chunk.chunks_exact_mut(d).zip(z.chunks_exact(d)) {
                for ((x, m), z) in row.iter_mut().zip(&self.mean).zip(z) {
                    *x = m + decay * (*x - m) + sigma * z;
                }
            }
        });
        Ok(out)
    }
}
