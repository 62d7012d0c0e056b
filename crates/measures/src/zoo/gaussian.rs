//! The Gaussian N(m, Σ) with any covariance.

use crate::error::{Error, Result, check_dim, check_finite, check_positive};
use crate::map::adopt;
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::{PI, TAU};

/// N(m, Σ): density (2π)^{−d/2} det(Σ)^{−½} exp(−½ (x − m)ᵀ Σ⁻¹ (x − m)).
#[derive(Debug, Clone)]
pub struct Gaussian {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    factor: Cholesky<f64, Dyn>,
    log_det: f64,
}

impl Gaussian {
    /// N(`mean`, `covariance`).
    ///
    /// # Errors
    /// The mean is empty or not finite, the covariance is not d×d, not symmetric (to 1e-12 of its largest entry) or not
    /// positive definite.
    pub fn new(mean: Vec<f64>, covariance: DMatrix<f64>) -> Result<Self> {
        if mean.is_empty() {
            return Err(Error::TooFew { what: "mean", at_least: 1, got: 0 });
        }
        check_finite("mean", &mean)?;
        check_dim("covariance rows", mean.len(), covariance.nrows())?;
        check_dim("covariance columns", mean.len(), covariance.ncols())?;
        check_finite("covariance", covariance.as_slice())?;
        let not_definite = Error::NotPositiveDefinite { what: "covariance" };
        if (&covariance - covariance.transpose()).amax() > 1e-12 * covariance.amax() {
            return Err(not_definite);
        }
        let factor = Cholesky::new(covariance.clone()).ok_or(not_definite)?;
        let log_det = 2.0 * factor.l_dirty().diagonal().iter().map(|v| v.ln()).sum::<f64>();
        Ok(Gaussian { mean: DVector::from_vec(mean), covariance, factor, log_det })
    }

    /// N(0, I) on ℝ^`dim`.
    ///
    /// # Panics
    /// When `dim` is zero.
    pub fn standard(dim: usize) -> Self {
        Gaussian::new(vec![0.0; dim], DMatrix::identity(dim, dim)).expect("a dimension of at least one")
    }

    /// N(`mean`, `sigma`² I).
    ///
    /// # Errors
    /// The mean is empty or not finite, or `sigma` is not finite and positive.
    pub fn isotropic(mean: &[f64], sigma: f64) -> Result<Self> {
        let variance = check_positive("sigma", sigma)?.powi(2);
        Gaussian::new(mean.to_vec(), DMatrix::identity(mean.len(), mean.len()) * variance)
    }

    /// N(`mean`, diag(`sigmas`²)).
    ///
    /// # Errors
    /// The lengths differ, the mean is empty or not finite, or a standard deviation is not finite and positive.
    pub fn diagonal(mean: &[f64], sigmas: &[f64]) -> Result<Self> {
        check_dim("sigmas", mean.len(), sigmas.len())?;
        if let Some(index) = sigmas.iter().position(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(Error::Entry {
                what: "sigmas",
                index,
                value: sigmas[index],
                must: "finite and positive",
            });
        }
        let variances = DVector::from_iterator(sigmas.len(), sigmas.iter().map(|s| s * s));
        Gaussian::new(mean.to_vec(), DMatrix::from_diagonal(&variances))
    }

    /// m.
    pub fn mean(&self) -> &[f64] {
        self.mean.as_slice()
    }

    /// Σ.
    pub fn covariance(&self) -> &DMatrix<f64> {
        &self.covariance
    }

    /// The lower Cholesky factor L of Σ = LLᵀ.
    pub fn factor(&self) -> DMatrix<f64> {
        self.factor.l()
    }

    /// log det Σ.
    pub fn log_det(&self) -> f64 {
        self.log_det
    }

    /// y ↦ L⁻¹y, column by column.
    pub(super) fn whiten(&self, columns: &mut DMatrix<f64>) {
        self.factor.l_dirty().solve_lower_triangular_mut(columns);
    }

    /// y ↦ Σ⁻¹y, column by column.
    pub(super) fn solve(&self, columns: &mut DMatrix<f64>) {
        self.factor.solve_mut(columns);
    }

    /// The deviations x − m as a d×n matrix.
    pub(super) fn deviations(&self, x: &Points) -> Result<DMatrix<f64>> {
        super::door(self.dim(), x)?;
        let mut deviations = x.matrix().into_owned();
        deviations.column_iter_mut().for_each(|mut column| column -= &self.mean);
        Ok(deviations)
    }
}

impl Measure for Gaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }
}

impl Sample for Gaussian {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let z = DMatrix::from_fn(self.dim(), n, |_, _| StandardNormal.sample(rng));
        let mut x = self.factor.l_dirty().lower_triangle() * z;
        x.column_iter_mut().for_each(|mut column| column += &self.mean);
        adopt(self.dim(), x)
    }
}

impl Density for Gaussian {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        let mut whitened = self.deviations(x)?;
        self.factor.l_dirty().solve_lower_triangular_mut(&mut whitened);
        let constant = -0.5 * (self.dim() as f64 * TAU.ln() + self.log_det);
        // ∞ − ∞ in the whitening is a point so far out that its density is zero.
        let log = |square: f64| if square.is_nan() { f64::NEG_INFINITY } else { constant - 0.5 * square };
        Ok(whitened.column_iter().map(|column| log(column.norm_squared())).collect())
    }

    fn entropy(&self) -> Option<f64> {
        Some(0.5 * (self.dim() as f64 * (1.0 + (2.0 * PI).ln()) + self.log_det))
    }
}

impl Score for Gaussian {
    fn score(&self, x: &Points) -> Result<Points> {
        let mut solved = self.deviations(x)?;
        self.factor.solve_mut(&mut solved);
        super::representable(x, adopt(self.dim(), -solved))
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        super::door_pair(self.dim(), x, v)?;
        super::representable(v, adopt(self.dim(), -self.factor.solve(&v.matrix().into_owned())))
    }
}
