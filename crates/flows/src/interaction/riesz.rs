//! Coulomb and Riesz repulsion.

use super::radial_sums;
use crate::error::Result;
use measures::{Drift, Empirical, Functional, Points, Variation};

/// The repulsion of the Riesz energy F(μ) = ½ Σ_{i≠j} wᵢ w_j g(√(‖xᵢ − x_j‖² + ε²)) with g(r) = r^{−s}/s, or −log r at s = 0:
/// vᵢ = Σ_j w_j (xᵢ − x_j)/(‖xᵢ − x_j‖² + ε²)^{(s+2)/2}. Coulomb's is s = d − 2.
///
/// The softening ε makes the field smooth where particles meet; 0 is the true force. S. Serfaty, *Systems of points with
/// Coulomb interactions*, Proc. ICM 2018, arXiv:1712.04095 (reference 21 of the paper).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Riesz {
    exponent: f64,
    softening: f64,
}

impl Riesz {
    /// The energy of exponent s with softening ε.
    ///
    /// # Errors
    /// s or ε is negative or not finite.
    pub fn new(exponent: f64, softening: f64) -> Result<Self> {
        for (what, value) in [("exponent", exponent), ("softening", softening)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(
                    measures::Error::Parameter { what, value, must: "finite and not negative" }.into()
                );
            }
        }
        Ok(Riesz { exponent, softening })
    }

    /// Coulomb's repulsion in ℝ^`dim`, dim ≥ 2.
    ///
    /// # Errors
    /// The dimension is below two, or ε is negative or not finite.
    pub fn coulomb(dim: usize, softening: f64) -> Result<Self> {
        if dim < 2 {
            return Err(measures::Error::TooFew { what: "dim", at_least: 2, got: dim }.into());
        }
        Riesz::new((dim - 2) as f64, softening)
    }

    /// (r² + ε²)^{−(s+2)/2}, by multiplications where s is a small whole number.
    pub(crate) fn force(&self, r2: f64) -> f64 {
        let q = r2 + self.softening * self.softening;
        if self.exponent == 0.0 {
            1.0 / q
        } else if self.exponent == 1.0 {
            1.0 / (q * q.sqrt())
        } else if self.exponent == 2.0 {
            1.0 / (q * q)
        } else {
            q.powf(-0.5 * (self.exponent + 2.0))
        }
    }

    fn energy(&self, r2: f64) -> f64 {
        let q = r2 + self.softening * self.softening;
        if self.exponent == 0.0 { -0.5 * q.ln() } else { q.powf(-0.5 * self.exponent) / self.exponent }
    }
}

impl Drift for Riesz {
    /// Cost O(n²); two particles in one place do not push one another.
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        Ok(radial_sums(mu, |r2| if r2 > 0.0 || self.softening > 0.0 { self.force(r2) } else { 0.0 }))
    }
}

impl Functional for Riesz {
    fn variation(&self, mu: &Empirical) -> measures::Result<Variation> {
        let (x, weights) = (mu.points(), mu.weights());
        let potential = measures::parallel::map_blocks(x.len(), 64, |rows| {
            let at = |i: usize| -> f64 {
                let pair = |j: usize| {
                    let r2: f64 = x.row(i).iter().zip(x.row(j)).map(|(a, b)| (a - b).powi(2)).sum();
                    weights[j] * self.energy(r2)
                };
                (0..x.len()).filter(|&j| j != i).map(pair).sum()
            };
            rows.map(at).collect::<Vec<f64>>()
        })
        .concat();
        let value = 0.5 * potential.iter().zip(weights).map(|(p, w)| p * w).sum::<f64>();
        if !value.is_finite() {
            let why = "two particles are in one place and the energy is not softened";
            return Err(measures::Error::Undefined { what: "Riesz energy", why });
        }
        let mut gradient = self.drift(mu)?;
        gradient.as_mut_slice().iter_mut().for_each(|g| *g = -*g);
        Ok(Variation::from_potential(mu, value, potential, gradient))
    }
}
