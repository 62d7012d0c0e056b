//! The duality bracket ⟨f|μ⟩ = ∫ f dμ of eq. (1), exactly on atoms and by Monte Carlo on anything that can be sampled.

use crate::empirical::Empirical;
use crate::error::{Error, Result, check_dim};
use crate::estimate::Estimate;
use crate::measure::{Measure, Sample};
use crate::points::Points;
use rand::Rng;

/// A real function on ℝᵈ with its gradient.
///
/// Any pair of closures is one through [`Function`].
pub trait TestFunction {
    /// The dimension d of its domain.
    fn dim(&self) -> usize;

    /// f(xᵢ) for every row.
    ///
    /// # Errors
    /// The points live in another dimension.
    fn values(&self, x: &Points) -> Result<Vec<f64>>;

    /// ∇f(xᵢ) for every row, n×d.
    ///
    /// # Errors
    /// The points live in another dimension, or f has no gradient.
    fn gradients(&self, x: &Points) -> Result<Points>;
}

impl<T: TestFunction + ?Sized> TestFunction for &T {
    fn dim(&self) -> usize {
        (**self).dim()
    }
    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        (**self).values(x)
    }
    fn gradients(&self, x: &Points) -> Result<Points> {
        (**self).gradients(x)
    }
}

impl<T: TestFunction + ?Sized> TestFunction for Box<T> {
    fn dim(&self) -> usize {
        (**self).dim()
    }
    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        (**self).values(x)
    }
    fn gradients(&self, x: &Points) -> Result<Points> {
        (**self).gradients(x)
    }
}

/// A test function made of two closures: the value at a point, and the gradient written into a slice.
///
/// ```
/// use measures::{Empirical, Function, Points, bracket};
/// let square = Function::new(1, |x| x[0] * x[0], |x, g| g[0] = 2.0 * x[0]);
/// let mu = Empirical::uniform(Points::from_line(vec![1.0, 3.0]))?;
/// assert_eq!(bracket(&square, &mu)?, 5.0);
/// # Ok::<(), measures::Error>(())
/// ```
pub struct Function<F, G> {
    dim: usize,
    value: F,
    gradient: G,
}

impl<F: Fn(&[f64]) -> f64, G: Fn(&[f64], &mut [f64])> Function<F, G> {
    /// The function x ↦ `value(x)` on ℝ^`dim` whose gradient is written by `gradient(x, out)`.
    pub fn new(dim: usize, value: F, gradient: G) -> Self {
        Function { dim, value, gradient }
    }
}

impl<F: Fn(&[f64]) -> f64, G: Fn(&[f64], &mut [f64])> TestFunction for Function<F, G> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim, x.dim())?;
        Ok(x.rows().map(&self.value).collect())
    }

    fn gradients(&self, x: &Points) -> Result<Points> {
        check_dim("points", self.dim, x.dim())?;
        let mut out = Points::zeros(x.len(), self.dim);
        out.rows_mut().zip(x.rows()).for_each(|(g, row)| (self.gradient)(row, g));
        Ok(out)
    }
}

/// ⟨f|μ⟩ = Σᵢ wᵢ f(xᵢ), eq. (1) on atoms.
///
/// # Errors
/// f lives in another dimension, or takes a value that is not finite at an atom of positive weight.
pub fn bracket(f: &(impl TestFunction + ?Sized), mu: &Empirical) -> Result<f64> {
    check_dim("test function", mu.dim(), f.dim())?;
    let values = f.values(mu.points())?;
    let mut sum = 0.0;
    for (index, (value, weight)) in values.iter().zip(mu.weights()).enumerate() {
        if *weight > 0.0 {
            if !value.is_finite() {
                return Err(Error::Entry { what: "f(x)", index, value: *value, must: "finite" });
            }
            sum += weight * value;
        }
    }
    Ok(sum)
}

/// ⟨f|μ⟩ by Monte Carlo: the mean of f over n independent draws and its standard error.
///
/// # Errors
/// n is zero, f lives in another dimension, or takes a value that is not finite on a draw.
pub fn bracket_mc(
    f: &(impl TestFunction + ?Sized),
    mu: &(impl Sample + ?Sized),
    n: usize,
    rng: &mut dyn Rng,
) -> Result<Estimate> {
    check_dim("test function", mu.dim(), f.dim())?;
    Estimate::of_mean(&f.values(&mu.sample(n, rng))?)
}
