//! Positive definite (or conditionally positive definite) kernels k(x, y) and their fused sums.
//!
//! A [`Kernel`] is two formulas, its value and its gradient; every sum over pairs has a default written with them. A
//! kernel of the distance alone implements [`Radial`] instead, on eight lanes at a time, and its sums become fused blocks
//! of distance, kernel and reduction with explicit SIMD.

mod gaussian;
mod pairs;
mod radial;

pub use gaussian::Gaussian;
pub use radial::Radial;

use measures::{Empirical, Error, Points, Pullback, Result, parallel};

/// A symmetric kernel k(x, y) = k(y, x).
///
/// The sums assume arguments of one dimension, which their callers have checked.
pub trait Kernel: Send + Sync {
    /// k(x, y).
    fn value(&self, x: &[f64], y: &[f64]) -> f64;

    /// Writes ∇ₓk(x, y); where k has a kink at x = y, the zero vector.
    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]);

    /// What k tells about an MMD made of it.
    fn properties(&self) -> Properties;

    /// k(xᵢ, xᵢ) for every row, with its gradient.
    fn diagonal(&self, x: &Points) -> Pullback {
        let mut gradients = Points::zeros(x.len(), x.dim());
        for (row, out) in x.rows().zip(gradients.rows_mut()) {
            self.gradient(row, row, out);
            out.iter_mut().for_each(|g| *g *= 2.0);
        }
        Pullback { values: x.rows().map(|row| self.value(row, row)).collect(), gradients }
    }

    /// Σᵢⱼ wᵢ vⱼ k(xᵢ, yⱼ) over all pairs of two measures.
    fn cross(&self, mu: &Empirical, nu: &Empirical) -> f64 {
        parallel::sum_blocks(mu.len(), 64, |rows| {
            rows.map(|i| {
                let x = mu.points().row(i);
                let terms = nu.points().rows().zip(nu.weights()).map(|(y, v)| v * self.value(x, y));
                mu.weights()[i] * terms.sum::<f64>()
            })
            .sum()
        })
    }

    /// Σᵢⱼ wᵢ wⱼ k(xᵢ, xⱼ), the diagonal included; each pair is evaluated once.
    fn energy(&self, mu: &Empirical) -> f64 {
        parallel::sum_blocks(mu.len(), 64, |rows| {
            rows.map(|i| {
                let (x, w) = (mu.points().row(i), mu.weights());
                let pairs: f64 = (i + 1..mu.len()).map(|j| w[j] * self.value(x, mu.points().row(j))).sum();
                w[i] * (w[i] * self.value(x, x) + 2.0 * pairs)
            })
            .sum()
        })
    }

    /// The mean embedding m(x) = Σⱼ wⱼ k(x, yⱼ) of a measure at every row of x, with its gradient.
    fn embedding(&self, mu: &Empirical, x: &Points) -> Pullback {
        let dim = x.dim();
        let mut joined = vec![0.0; x.len() * (dim + 1)];
        parallel::fill_blocks(&mut joined, dim + 1, 64, |rows, out| {
            let mut gradient = vec![0.0; dim];
            for (i, out) in rows.zip(out.chunks_exact_mut(dim + 1)) {
                let x = x.row(i);
                for (y, w) in mu.points().rows().zip(mu.weights()) {
                    out[0] += w * self.value(x, y);
                    self.gradient(x, y, &mut gradient);
                    out[1..].iter_mut().zip(&gradient).for_each(|(out, g)| *out += w * g);
                }
            }
        });
        let gradients = Points::from_fn(x.len(), dim, |i, row| {
            row.copy_from_slice(&joined[i * (dim + 1) + 1..(i + 1) * (dim + 1)]);
        });
        Pullback { values: joined.iter().step_by(dim + 1).copied().collect(), gradients }
    }
}

/// What a kernel k tells about ‖μ − ν‖² in its space.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
#[must_use]
pub struct Properties {
    /// Σ cᵢcⱼ k(xᵢ, xⱼ) ≥ 0 whenever Σ cᵢ = 0: the MMD is non-negative and its root a (pseudo-)metric.
    pub positive: bool,
    /// The MMD of different measures is positive.
    pub characteristic: bool,
    /// k(x + a, y + a) = k(x, y).
    pub translation_invariant: bool,
    /// k(Rx, Ry) = k(x, y) for orthogonal R.
    pub rotation_invariant: bool,
    /// p such that k(sx, sy) = sᵖ k(x, y), up to what cancels in an MMD.
    pub homogeneity: Option<f64>,
    /// k is continuously differentiable, at x = y too.
    pub smooth: bool,
}

/// A kernel chosen at run time.
impl Kernel for Box<dyn Kernel> {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        (**self).value(x, y)
    }
    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        (**self).gradient(x, y, out);
    }
    fn properties(&self) -> Properties {
        (**self).properties()
    }
    fn diagonal(&self, x: &Points) -> Pullback {
        (**self).diagonal(x)
    }
    fn cross(&self, mu: &Empirical, nu: &Empirical) -> f64 {
        (**self).cross(mu, nu)
    }
    fn energy(&self, mu: &Empirical) -> f64 {
        (**self).energy(mu)
    }
    fn embedding(&self, mu: &Empirical, x: &Points) -> Pullback {
        (**self).embedding(mu, x)
    }
}

/// A length scale whose square and inverse square are ordinary doubles.
pub(crate) fn check_bandwidth(value: f64) -> Result<f64> {
    if (1e-150..=1e150).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Parameter { what: "bandwidth", value, must: "positive (between 1e-150 and 1e150)" })
    }
}
