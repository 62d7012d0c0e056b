//! A family of test functions with a measure τ on it: the centre of the mean and maximum formulations.

use crate::empirical::Empirical;
use crate::error::{Result, check_len};
use crate::points::Points;

/// K real functions f₁, …, f_K on ℝᵈ with weights τ₁, …, τ_K ≥ 0.
///
/// A complex function is two real coordinates, its real and imaginary part, of equal τ, so that
/// Σ_k τ_k ⟨f_k|μ − μ₁⟩² is Σ τ |⟨f|μ − μ₁⟩|² without a complex type. Every method is linear in the number of points;
/// implementations fuse the evaluation with the reduction, so that no n×K buffer exists.
pub trait Family {
    /// The dimension d of the domain.
    fn dim(&self) -> usize;

    /// τ, one non-negative number a real coordinate; its length is the number K of coordinates.
    fn tau(&self) -> &[f64];

    /// The brackets ⟨f_k|μ⟩ for k = 1, …, K.
    ///
    /// # Errors
    /// The measure lives in another dimension.
    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>>;

    /// The function h = Σ_k c_k f_k at every point, with its gradient.
    ///
    /// # Errors
    /// The points live in another dimension, or `c` is not of length K.
    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback>;

    /// The n×K row-major table of all values f_k(xᵢ); for small problems and for solvers that need the table itself.
    ///
    /// # Errors
    /// The points live in another dimension.
    fn values(&self, x: &Points) -> Result<Vec<f64>>;

    /// The diagonal κ(x, x) = Σ_k τ_k f_k(x)² of the kernel κ(x, y) = Σ_k τ_k f_k(x) f_k(y), with its gradient: what
    /// separates an unbiased estimate of eq. (3) from the plug-in one.
    ///
    /// # Errors
    /// The points live in another dimension.
    fn diagonal(&self, x: &Points) -> Result<Pullback> {
        let k = self.tau().len();
        let values = self.values(x)?;
        let mut out = Pullback { values: vec![0.0; x.len()], gradients: Points::zeros(x.len(), x.dim()) };
        let mut c = vec![0.0; k];
        for i in 0..x.len() {
            let row = &values[i * k..(i + 1) * k];
            c.iter_mut().zip(row).zip(self.tau()).for_each(|((c, f), tau)| *c = tau * f);
            out.values[i] = c.iter().zip(row).map(|(c, f)| c * f).sum();
            let gradient = self.pullback(&x.select(&[i]), &c)?.gradients;
            out.gradients.row_mut(i).iter_mut().zip(gradient.row(0)).for_each(|(out, g)| *out = 2.0 * g);
        }
        Ok(out)
    }
}

/// A function and its gradient at n points.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Pullback {
    /// h(xᵢ), n values.
    pub values: Vec<f64>,
    /// ∇h(xᵢ), n×d.
    pub gradients: Points,
}

/// Checks the arguments of [`Family::pullback`].
///
/// # Errors
/// The points live in another dimension than the family, or `c` has another length than τ.
pub fn check_pullback(family: &(impl Family + ?Sized), x: &Points, c: &[f64]) -> Result<()> {
    crate::error::check_dim("points", family.dim(), x.dim())?;
    check_len("coefficients", family.tau().len(), c.len())
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<F: Family + ?Sized> Family for $pointer {
            fn dim(&self) -> usize { (**self).dim() }
            fn tau(&self) -> &[f64] { (**self).tau() }
            fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> { (**self).brackets(mu) }
            fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> { (**self).pullback(x, c) }
            fn values(&self, x: &Points) -> Result<Vec<f64>> { (**self).values(x) }
            fn diagonal(&self, x: &Points) -> Result<Pullback> { (**self).diagonal(x) }
        }
    )+};
}
forward!(&F, Box<F>);
