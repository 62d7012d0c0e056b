//! The Dirichlet law, with the uniform law on the simplex among them.

use super::door;
use crate::error::{Error, Result, check_dim, check_finite};
use crate::map::{Injective, Map};
use crate::measure::{Density, Measure, Sample};
use crate::points::Points;
use crate::pushforward::Pushforward;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma};
use statrs::function::gamma::{digamma, ln_gamma};

/// Dirichlet(α₁, …, α_K) of proportions (x₁, …, x_K), xᵢ > 0 and Σ xᵢ = 1, in the coordinates (x₁, …, x_{K−1}) of ℝ^{K−1}.
///
/// Density Γ(Σα)/∏Γ(αᵢ) · ∏ xᵢ^{αᵢ−1} with x_K = 1 − x₁ − … − x_{K−1}, with respect to the Lebesgue measure of ℝ^{K−1} on the
/// open simplex. [`Dirichlet::on_simplex`] is the same law with all K coordinates. There is no [`Score`](crate::Score): the
/// boundary terms of a Stein operator do not vanish for αᵢ ≤ 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Dirichlet {
    alpha: Vec<f64>,
    log_beta: f64,
}

impl Dirichlet {
    /// Dirichlet(`alpha`).
    ///
    /// # Errors
    /// Fewer than two parameters, or one that is not between 1e-3 and 1e9 (the index is named).
    pub fn new(alpha: Vec<f64>) -> Result<Self> {
        if alpha.len() < 2 {
            return Err(Error::TooFew { what: "alpha", at_least: 2, got: alpha.len() });
        }
        check_finite("alpha", &alpha)?;
        if let Some(index) = alpha.iter().position(|a| !(1e-3..=1e9).contains(a)) {
            return Err(Error::Entry {
                what: "alpha",
                index,
                value: alpha[index],
                must: "between 1e-3 and 1e9",
            });
        }
        let log_beta = alpha.iter().map(|a| ln_gamma(*a)).sum::<f64>() - ln_gamma(alpha.iter().sum());
        Ok(Dirichlet { alpha, log_beta })
    }

    /// The uniform law on the simplex with `corners` corners, Dirichlet(1, …, 1).
    ///
    /// # Errors
    /// Fewer than two corners.
    pub fn uniform(corners: usize) -> Result<Self> {
        Dirichlet::new(vec![1.0; corners])
    }

    /// α.
    pub fn alpha(&self) -> &[f64] {
        &self.alpha
    }

    /// The law of all K proportions: a measure on a hyperplane of ℝ^K, with a surface density and no density.
    pub fn on_simplex(self) -> Pushforward<SimplexChart, Dirichlet> {
        let chart = SimplexChart { corners: self.alpha.len() };
        Pushforward::new(chart, self).expect("the chart has the law's dimension")
    }
}

impl Measure for Dirichlet {
    fn dim(&self) -> usize {
        self.alpha.len() - 1
    }
}

/// log of a Gamma(α) draw; for α < 1 through Gamma(α + 1) U^{1/α}, whose logarithm does not underflow.
fn log_gamma_draw(alpha: f64, rng: &mut dyn Rng) -> f64 {
    let boosted = if alpha < 1.0 { alpha + 1.0 } else { alpha };
    let draw: f64 = Gamma::new(boosted, 1.0).expect("a valid shape").sample(rng);
    let log = draw.max(f64::MIN_POSITIVE).ln();
    if alpha < 1.0 {
        let u: f64 = rng.random();
        log + (1.0 - u).ln() / alpha
    } else {
        log
    }
}

impl Sample for Dirichlet {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let mut logs = vec![0.0; self.alpha.len()];
        Points::from_fn(n, self.dim(), |_, row| {
            logs.iter_mut().zip(&self.alpha).for_each(|(l, a)| *l = log_gamma_draw(*a, rng));
            let top = logs.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
            let total: f64 = logs.iter().map(|l| (l - top).exp()).sum();
            row.iter_mut().zip(&logs).for_each(|(x, l)| *x = (l - top).exp() / total);
        })
    }
}

impl Density for Dirichlet {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let (last, others) = self.alpha.split_last().expect("at least two parameters");
        Ok(x.rows()
            .map(|row| {
                let rest = 1.0 - row.iter().sum::<f64>();
                if rest <= 0.0 || row.iter().any(|x| *x <= 0.0) {
                    return f64::NEG_INFINITY;
                }
                let sum: f64 = row.iter().zip(others).map(|(x, a)| (a - 1.0) * x.ln()).sum();
                sum + (last - 1.0) * rest.ln() - self.log_beta
            })
            .collect())
    }

    /// log B(α) + (α₀ − K) ψ(α₀) − Σ (αᵢ − 1) ψ(αᵢ), in the K − 1 coordinates.
    fn entropy(&self) -> Option<f64> {
        let total: f64 = self.alpha.iter().sum();
        let sum: f64 = self.alpha.iter().map(|a| (a - 1.0) * digamma(*a)).sum();
        Some(self.log_beta + (total - self.alpha.len() as f64) * digamma(total) - sum)
    }
}

/// The embedding (x₁, …, x_{K−1}) ↦ (x₁, …, x_{K−1}, 1 − Σ xᵢ) of ℝ^{K−1} in ℝ^K, which stretches volumes by √K.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimplexChart {
    corners: usize,
}

impl SimplexChart {
    /// The chart of the simplex with `corners` corners.
    ///
    /// # Errors
    /// Fewer than two corners.
    pub fn new(corners: usize) -> Result<Self> {
        if corners < 2 {
            return Err(Error::TooFew { what: "corners", at_least: 2, got: corners });
        }
        Ok(SimplexChart { corners })
    }
}

impl Map for SimplexChart {
    fn dim_in(&self) -> usize {
        self.corners - 1
    }

    fn dim_out(&self) -> usize {
        self.corners
    }

    fn apply(&self, z: &Points) -> Result<Points> {
        check_dim("points", self.dim_in(), z.dim())?;
        Ok(Points::from_fn(z.len(), self.corners, |i, row| {
            row[..self.corners - 1].copy_from_slice(z.row(i));
            row[self.corners - 1] = 1.0 - z.row(i).iter().sum::<f64>();
        }))
    }
}

impl Injective for SimplexChart {
    fn apply_with_log_volume(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        Ok((self.apply(z)?, vec![0.5 * (self.corners as f64).ln(); z.len()]))
    }

    /// Along the normal (1, …, 1) of the hyperplane.
    fn preimage(&self, x: &Points) -> Result<Points> {
        check_dim("points", self.corners, x.dim())?;
        Ok(Points::from_fn(x.len(), self.corners - 1, |i, row| {
            let shift = (1.0 - x.row(i).iter().sum::<f64>()) / self.corners as f64;
            row.iter_mut().zip(x.row(i)).for_each(|(z, x)| *z = x + shift);
        }))
    }
}
