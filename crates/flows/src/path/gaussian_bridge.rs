//! The Schrödinger bridge between two Gaussians.

use crate::error::{Error, FieldError, Result};
use crate::field::{JacobianTrace, Jvp, TimeScore, VelocityField, check, each_row};
use crate::state::Clock;
use measures::nalgebra::{Cholesky, DMatrix, DVector, Dyn, SymmetricEigen};
use measures::zoo::Gaussian;
use measures::{Measure, Points, check_dim, check_len, check_positive};

/// The Schrödinger bridge from N(m₀, Σ₀) at t = 0 to N(m₁, Σ₁) at t = 1 of a Brownian motion of variance ε a unit of time.
///
/// Its end points have the covariance C of the plan that minimises E‖X₀ − X₁‖²/2 + ε KL(π|μ₀⊗μ₁),
/// C = ½(Σ₀^{½} (4Σ₀^{½}Σ₁Σ₀^{½} + ε²I)^{½} Σ₀^{−½} − εI), and between them it is the Brownian bridge: x_t =
/// (1 − t)X₀ + tX₁ + √(εt(1 − t)) Z. So every marginal is Gaussian, the velocity v_t of eq. (6) is affine, and
/// dX = (v_t + ½ε∇log ρ_t)(X) dt + √ε dB realises the bridge. Bunne, Hsieh, Cuturi and Krause, *The Schrödinger bridge between
/// Gaussian measures has a closed form*, arXiv:2202.05722. As ε → 0 it is the optimal transport of μ₀ to μ₁.
#[derive(Debug, Clone)]
pub struct GaussianBridge {
    means: (DVector<f64>, DVector<f64>),
    covariances: (DMatrix<f64>, DMatrix<f64>),
    cross: DMatrix<f64>,
    epsilon: f64,
}

/// The bridge at one time: mean, its derivative, the factored covariance, and the gain of the velocity.
struct Moment {
    mean: DVector<f64>,
    d_mean: DVector<f64>,
    factor: Cholesky<f64, Dyn>,
    /// Cov(ẋ_t, x_t) Σ_t⁻¹.
    gain: DMatrix<f64>,
}

impl GaussianBridge {
    /// The bridge of temperature ε.
    ///
    /// # Errors
    /// The dimensions differ, or ε is not finite and positive.
    pub fn new(from: &Gaussian, to: &Gaussian, epsilon: f64) -> Result<Self> {
        check_dim("second Gaussian", from.dim(), to.dim())?;
        check_positive("epsilon", epsilon)?;
        let d = from.dim();
        let eigen = SymmetricEigen::new(from.covariance().clone());
        let power = |p: f64| {
            let diagonal = DMatrix::from_diagonal(&eigen.eigenvalues.map(|l| l.powf(p)));
            &eigen.eigenvectors * diagonal * eigen.eigenvectors.transpose()
        };
        let (root, inverse_root) = (power(0.5), power(-0.5));
        let inner = &root * to.covariance() * &root * 4.0 + DMatrix::identity(d, d) * (epsilon * epsilon);
        let inner = SymmetricEigen::new((&inner + inner.transpose()) * 0.5);
        let square = &inner.eigenvectors
            * DMatrix::from_diagonal(&inner.eigenvalues.map(|l| l.max(0.0).sqrt()))
            * inner.eigenvectors.transpose();
        let cross = (root * square * inverse_root - DMatrix::identity(d, d) * epsilon) * 0.5;
        measures::check_finite("covariance of the end points", cross.as_slice())?;
        let vector = |m: &[f64]| DVector::from_column_slice(m);
        Ok(GaussianBridge {
            means: (vector(from.mean()), vector(to.mean())),
            covariances: (from.covariance().clone(), to.covariance().clone()),
            cross,
            epsilon,
        })
    }

    /// Cov(X₀, X₁).
    pub fn cross_covariance(&self) -> &DMatrix<f64> {
        &self.cross
    }

    /// ε.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The law at time t.
    ///
    /// # Errors
    /// t is outside [0, 1].
    pub fn law(&self, t: f64) -> Result<Gaussian> {
        let mean = &self.means.0 * (1.0 - t) + &self.means.1 * t;
        Ok(Gaussian::new(mean.as_slice().to_vec(), self.covariance(t)?)?)
    }

    fn covariance(&self, t: f64) -> Result<DMatrix<f64>> {
        if !(0.0..=1.0).contains(&t) {
            return Err(Error::Time { what: "t", t, low: 0.0, high: 1.0 });
        }
        let (u, d) = (1.0 - t, self.cross.nrows());
        let mixed = &self.cross + self.cross.transpose() + DMatrix::identity(d, d) * self.epsilon;
        let all = &self.covariances.0 * (u * u) + &self.covariances.1 * (t * t) + mixed * (t * u);
        Ok((&all + all.transpose()) * 0.5)
    }

    fn moment(&self, t: f64) -> Result<Moment> {
        let factor = Cholesky::new(self.covariance(t)?)
            .ok_or(measures::Error::NotPositiveDefinite { what: "covariance of the bridge" })?;
        let (u, d) = (1.0 - t, self.cross.nrows());
        // Cov(X₁ − X₀, (1−t)X₀ + tX₁) + γγ̇ I with γ² = εt(1 − t).
        let rate =
            self.cross.transpose() * u + &self.covariances.1 * t - &self.covariances.0 * u - &self.cross * t
                + DMatrix::identity(d, d) * (0.5 * self.epsilon * (1.0 - 2.0 * t));
        let gain = factor.solve(&rate.transpose()).transpose();
        Ok(Moment {
            mean: &self.means.0 * u + &self.means.1 * t,
            d_mean: &self.means.1 - &self.means.0,
            factor,
            gain,
        })
    }

    /// Runs `row` with the moments of its time, found once as long as the time stays the same.
    fn each(
        &self,
        t: Clock<'_>,
        x: &Points,
        out: &mut Points,
        mut row: impl FnMut(usize, &Moment, &DVector<f64>, &mut [f64]),
    ) -> Result<(), FieldError> {
        let mut known: Option<(f64, Moment)> = None;
        let mut failed = None;
        each_row(self.cross.nrows(), t, x, out, |i, t, x, out| {
            if known.as_ref().is_none_or(|k| k.0 != t) {
                match self.moment(t) {
                    Ok(moment) => known = Some((t, moment)),
                    Err(error) => failed = Some(error),
                }
            }
            if let (Some((_, moment)), None) = (&known, &failed) {
                row(i, moment, &(DVector::from_column_slice(x) - &moment.mean), out);
            }
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn write(out: &mut [f64], from: &DVector<f64>) {
    out.copy_from_slice(from.as_slice());
}

impl VelocityField for GaussianBridge {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        self.each(t, x, out, |_, moment, deviation, out| {
            write(out, &(&moment.d_mean + &moment.gain * deviation));
        })
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl Jvp for GaussianBridge {
    fn jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.cross.nrows(), t, v, out)?;
        check_len("directions", x.len(), v.len())?;
        self.each(t, x, out, |i, moment, _, out| {
            write(out, &(&moment.gain * DVector::from_column_slice(v.row(i))));
        })
    }
}

impl JacobianTrace for GaussianBridge {
    fn trace(&self, t: Clock<'_>, x: &Points, _: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        check_len("divergences", x.len(), out.len())?;
        let mut unused = Points::zeros(x.len(), x.dim());
        self.each(t, x, &mut unused, |i, moment, _, _| out[i] = moment.gain.trace())
    }
}

impl TimeScore for GaussianBridge {
    fn dim(&self) -> usize {
        self.cross.nrows()
    }

    fn score(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        self.each(t, x, out, |_, moment, deviation, out| write(out, &-moment.factor.solve(deviation)))
    }

    fn score_jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.cross.nrows(), t, v, out)?;
        check_len("directions", x.len(), v.len())?;
        self.each(t, x, out, |i, moment, _, out| {
            write(out, &-moment.factor.solve(&DVector::from_column_slice(v.row(i))));
        })
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}
