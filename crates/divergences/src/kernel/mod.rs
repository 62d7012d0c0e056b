//! Positive definite (or conditionally positive definite) kernels k(x, y) and their fused sums.
//!
//! A [`Kernel`] is two formulas, its value and its gradient; every sum over pairs has a default written with them. A
//! kernel of the distance alone implements [`Radial`] instead, on eight lanes at a time, and its sums become fused blocks
//! of distance, kernel and reduction with explicit SIMD.

mod algebra;
mod bandwidth;
mod energy;
mod gaussian;
mod inner;
mod laplace;
mod matern;
mod multiquadric;
pub(crate) mod pairs;
mod polynomial;
mod radial;
mod random_features;

pub use algebra::{Mixture, Product, Sum, Times};
pub use bandwidth::{Pairs, median_distance};
pub use energy::Energy;
pub use gaussian::Gaussian;
pub use laplace::Laplace;
pub use matern::{Matern, Smoothness};
pub use multiquadric::{InverseMultiquadric, RationalQuadratic};
pub use polynomial::Polynomial;
pub use radial::Radial;
pub use random_features::RandomFeatures;

use measures::{Error, Points, Pullback, Result, parallel};

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

    /// The n×m table k(xᵢ, yⱼ), row-major: for small problems, and for tests that relabel the points.
    ///
    /// # Errors
    /// The table has more than 2²⁷ entries (a gigabyte).
    fn matrix(&self, x: &Points, y: &Points) -> Result<Vec<f64>> {
        check_table("entries of the kernel matrix", x.len(), y.len())?;
        let mut out = vec![0.0; x.len() * y.len()];
        if !y.is_empty() {
            parallel::fill_blocks(&mut out, y.len(), 8, |rows, out| {
                for (i, out) in rows.zip(out.chunks_exact_mut(y.len())) {
                    out.iter_mut().zip(y.rows()).for_each(|(out, y)| *out = self.value(x.row(i), y));
                }
            });
        }
        Ok(out)
    }

    /// Σᵢⱼ wᵢ vⱼ k(xᵢ, yⱼ) over all pairs; weights may have any sign.
    fn cross(&self, x: &Points, w: &[f64], y: &Points, v: &[f64]) -> f64 {
        parallel::sum_blocks(x.len(), 64, |rows| {
            rows.map(|i| {
                let terms = y.rows().zip(v).map(|(y, v)| v * self.value(x.row(i), y));
                w[i] * terms.sum::<f64>()
            })
            .sum()
        })
    }

    /// Σᵢⱼ wᵢ wⱼ k(xᵢ, xⱼ), the diagonal included; each pair is evaluated once.
    fn energy(&self, x: &Points, w: &[f64]) -> f64 {
        parallel::sum_blocks(x.len(), 64, |rows| {
            rows.map(|i| {
                let pairs: f64 = (i + 1..x.len()).map(|j| w[j] * self.value(x.row(i), x.row(j))).sum();
                w[i] * (w[i] * self.value(x.row(i), x.row(i)) + 2.0 * pairs)
            })
            .sum()
        })
    }

    /// m(x) = Σⱼ vⱼ k(x, yⱼ) at every row of x; weights may have any sign.
    fn potential(&self, y: &Points, v: &[f64], x: &Points) -> Vec<f64> {
        let mut out = vec![0.0; x.len()];
        parallel::fill_blocks(&mut out, 1, 64, |rows, out| {
            for (i, out) in rows.zip(out) {
                *out = y.rows().zip(v).map(|(y, v)| v * self.value(x.row(i), y)).sum();
            }
        });
        out
    }

    /// As [`Kernel::potential`], with the gradient of m.
    fn embedding(&self, y: &Points, v: &[f64], x: &Points) -> Pullback {
        let dim = x.dim();
        let mut gradients = Points::zeros(x.len(), dim);
        parallel::fill_blocks(gradients.as_mut_slice(), dim, 64, |rows, out| {
            let mut gradient = vec![0.0; dim];
            for (i, out) in rows.zip(out.chunks_exact_mut(dim)) {
                for (y, v) in y.rows().zip(v) {
                    self.gradient(x.row(i), y, &mut gradient);
                    out.iter_mut().zip(&gradient).for_each(|(out, g)| *out += v * g);
                }
            }
        });
        Pullback { values: self.potential(y, v, x), gradients }
    }
}

/// The sums of a kernel that is a [`pairs::Profile`].
macro_rules! fused_sums {
    () => {
        fn matrix(&self, x: &measures::Points, y: &measures::Points) -> measures::Result<Vec<f64>> {
            $crate::kernel::check_table("entries of the kernel matrix", x.len(), y.len())?;
            Ok($crate::kernel::pairs::matrix(self, x, y))
        }
        fn cross(&self, x: &measures::Points, w: &[f64], y: &measures::Points, v: &[f64]) -> f64 {
            $crate::kernel::pairs::cross(self, x, w, y, v)
        }
        fn energy(&self, x: &measures::Points, w: &[f64]) -> f64 {
            $crate::kernel::pairs::energy(self, x, w)
        }
        fn potential(&self, y: &measures::Points, v: &[f64], x: &measures::Points) -> Vec<f64> {
            $crate::kernel::pairs::potential(self, y, v, x)
        }
        fn embedding(&self, y: &measures::Points, v: &[f64], x: &measures::Points) -> measures::Pullback {
            $crate::kernel::pairs::embedding(self, y, v, x)
        }
    };
}
use fused_sums;

/// What a kernel k tells about ‖μ − ν‖² in its space.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
#[must_use]
pub struct Properties {
    /// Σ cᵢcⱼ k(xᵢ, xⱼ) ≥ 0 whenever Σ cᵢ = 0: the MMD is non-negative and its root a (pseudo-)metric.
    pub positive: bool,
    /// The inequality needs Σ cᵢ = 0: the kernel is only conditionally positive definite, and no factor of a product.
    pub conditional: bool,
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
    fn matrix(&self, x: &Points, y: &Points) -> Result<Vec<f64>> {
        (**self).matrix(x, y)
    }
    fn cross(&self, x: &Points, w: &[f64], y: &Points, v: &[f64]) -> f64 {
        (**self).cross(x, w, y, v)
    }
    fn energy(&self, x: &Points, w: &[f64]) -> f64 {
        (**self).energy(x, w)
    }
    fn potential(&self, y: &Points, v: &[f64], x: &Points) -> Vec<f64> {
        (**self).potential(y, v, x)
    }
    fn embedding(&self, y: &Points, v: &[f64], x: &Points) -> Pullback {
        (**self).embedding(y, v, x)
    }
}

/// Entries of a table at most: a gigabyte.
const TABLE: usize = 1 << 27;

/// `Ok` when a table of n×m numbers is one that a caller can mean to hold.
pub(crate) fn check_table(what: &'static str, n: usize, m: usize) -> Result<()> {
    let requested = n.saturating_mul(m);
    if requested > TABLE {
        return Err(Error::TooMany { what, limit: TABLE, requested });
    }
    Ok(())
}

/// A length scale whose square and inverse square are ordinary doubles.
pub(crate) fn check_bandwidth(value: f64) -> Result<f64> {
    if (1e-150..=1e150).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Parameter { what: "bandwidth", value, must: "positive (between 1e-150 and 1e150)" })
    }
}
