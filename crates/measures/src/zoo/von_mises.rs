//! The von Mises law of an angle.

use super::{door, door_pair};
use crate::error::{Error, Result};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use crate::special::{log_sphere_mgf, resultant_length};
use rand::{Rng, RngExt};
use std::f64::consts::{PI, TAU};

/// The von Mises law of an angle on [m − π, m + π): density e^{κ cos(x − m)}/(2π I₀(κ)), the Gaussian of the circle.
///
/// Outside that interval the density is zero, so that it integrates to one over ℝ; the score −κ sin(x − m) is that of the
/// periodic density and is given everywhere. With a [`CircleChart`](super::CircleChart) it becomes the law on the circle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VonMises {
    mean: f64,
    concentration: f64,
}

impl VonMises {
    /// The law with mean angle m and concentration κ ≥ 0 (uniform at 0).
    ///
    /// # Errors
    /// m is beyond ±1e6, or κ is negative, not finite or above 1e12.
    pub fn new(mean: f64, concentration: f64) -> Result<Self> {
        if mean.is_nan() || mean.abs() > 1e6 {
            return Err(Error::Parameter {
                what: "mean", value: mean, must: "between −1e6 and 1e6 radians"
            });
        }
        if !(0.0..=1e12).contains(&concentration) {
            return Err(Error::Parameter {
                what: "concentration",
                value: concentration,
                must: "between 0 and 1e12",
            });
        }
        Ok(VonMises { mean, concentration })
    }

    /// m.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// κ.
    pub fn concentration(&self) -> f64 {
        self.concentration
    }

    /// I₁(κ)/I₀(κ) = E[cos(X − m)].
    pub fn resultant_length(&self) -> f64 {
        resultant_length(2, self.concentration)
    }

    /// One angle about zero, by rejection from a wrapped Cauchy law: Best and Fisher (1979), DOI 10.2307/2346732.
    fn angle(&self, rng: &mut dyn Rng) -> f64 {
        let kappa = self.concentration;
        if kappa < 1e-6 {
            // Flat to one part in a million: rejection from the uniform law.
            loop {
                let angle = TAU * rng.random::<f64>() - PI;
                if rng.random::<f64>() < (kappa * (angle.cos() - 1.0)).exp() {
                    return angle;
                }
            }
        }
        // With ρ = (τ − √2τ)/2κ and r = (1 + ρ²)/2ρ; 1 − 1/r is kept apart, for it is all that is left at large κ.
        let tau = 1.0 + (1.0 + 4.0 * kappa * kappa).sqrt();
        let rho = (tau - (2.0 * tau).sqrt()) / (2.0 * kappa);
        let excess = (1.0 - rho).powi(2) / (2.0 * rho);
        loop {
            let half = PI * (rng.random::<f64>() - 0.5);
            // f = (1 + rz)/(r + z) with z = cos 2h: 1 − f = (r − 1)(1 − z)/(r + z), without cancellation.
            let gap = {
                let (sin, cos) = half.sin_cos();
                let below = 2.0 * sin * sin;
                let above = 2.0 * cos * cos + excess;
                excess * below / above
            };
            let c = kappa * (excess + gap);
            let u: f64 = 1.0 - rng.random::<f64>();
            if c * (2.0 - c) > u || (c / u).ln() + 1.0 - c >= 0.0 {
                // cos x = 1 − gap, so x = 2 arcsin √(gap/2).
                let size = 2.0 * (0.5 * gap).sqrt().min(1.0).asin();
                return if half < 0.0 { -size } else { size };
            }
        }
    }
}

impl Measure for VonMises {
    fn dim(&self) -> usize {
        1
    }
}

impl Sample for VonMises {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let (low, high) = (self.mean - PI, self.mean + PI);
        Points::from_fn(n, 1, |_, row| {
            row[0] = (self.mean + self.angle(rng)).clamp(low, high.next_down());
        })
    }
}

impl Density for VonMises {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(1, x)?;
        let constant = -TAU.ln() - log_sphere_mgf(2, self.concentration);
        let inside = self.mean - PI..self.mean + PI;
        Ok(x.as_slice()
            .iter()
            .map(|x| {
                if !inside.contains(x) {
                    return f64::NEG_INFINITY;
                }
                // cos a − 1 = −2 sin²(a/2), exact near the mean.
                constant - 2.0 * self.concentration * (0.5 * (x - self.mean)).sin().powi(2)
            })
            .collect())
    }

    /// log 2πI₀(κ) − κ I₁(κ)/I₀(κ).
    fn entropy(&self) -> Option<f64> {
        let kappa = self.concentration;
        Some(TAU.ln() + log_sphere_mgf(2, kappa) + kappa * (1.0 - self.resultant_length()))
    }
}

impl Score for VonMises {
    fn score(&self, x: &Points) -> Result<Points> {
        door(1, x)?;
        Ok(Points::from_fn(x.len(), 1, |i, s| s[0] = -self.concentration * (x.row(i)[0] - self.mean).sin()))
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(1, x, v)?;
        Ok(Points::from_fn(x.len(), 1, |i, out| {
            out[0] = -self.concentration * (x.row(i)[0] - self.mean).cos() * v.row(i)[0];
        }))
    }
}
