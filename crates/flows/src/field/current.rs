//! The current velocity of a diffusion: the field that carries its law without noise.

use super::{Jvp, VelocityField, check};
use crate::error::FieldError;
use crate::state::{Clock, State};
use measures::{Points, Score};

/// The score ∇log r_t of a path of measures.
pub trait TimeScore {
    /// The dimension d.
    fn dim(&self) -> usize;

    /// Writes ∇log r_t(xᵢ) over row i of `out`.
    ///
    /// # Errors
    /// The shapes are wrong, or r_t has no density at that time.
    fn score(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError>;

    /// Writes ∇²log r_t(xᵢ) vᵢ over row i of `out`.
    ///
    /// # Errors
    /// As [`TimeScore::score`]; the path does not know its Hessian (the default).
    fn score_jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        let _ = (t, x, v, out);
        let why = "this path gives its score but not the derivative of it";
        Err(measures::Error::Undefined { what: "score_jvp", why }.into())
    }

    /// Whether row i of the answer depends, to the bit, on row i alone.
    fn is_pointwise(&self) -> bool {
        false
    }
}

impl<T: TimeScore + ?Sized> TimeScore for &T {
    fn dim(&self) -> usize {
        (**self).dim()
    }
    fn score(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        (**self).score(t, x, out)
    }
    fn score_jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        (**self).score_jvp(t, x, v, out)
    }
    fn is_pointwise(&self) -> bool {
        (**self).is_pointwise()
    }
}

/// The score of one measure, at all times. Evaluated on the whole cloud at once, so that it makes no promise about the
/// bits of a row.
#[derive(Debug, Clone, Copy)]
pub struct Stationary<P>(pub P);

impl<P: Score> TimeScore for Stationary<P> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn score(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.0.dim(), t, x, out)?;
        *out = self.0.score(x)?;
        Ok(())
    }

    fn score_jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.0.dim(), t, x, out)?;
        *out = self.0.score_jvp(x, v)?;
        Ok(())
    }
}

/// The current velocity v_t = a_t − D ∇log r_t of dX = a_t(X) dt + √(2D) dB when X_t has the density r_t.
///
/// With a = −U and D = 1 it is the field v_t = −U_t − ∇log r_t of section 4: eq. (6) carried by v moves the same laws as
/// the stochastic eq. (5).
///
/// ```
/// use flows::{Clock, VelocityField, field::{AffineField, Current, Stationary}};
/// use measures::{Points, zoo::Gaussian};
/// // Ornstein–Uhlenbeck in its stationary law: nothing moves.
/// let field = Current::new(AffineField::contraction(2), Stationary(Gaussian::standard(2)), 1.0)?;
/// let (x, mut v) = (Points::from_rows(&[[0.3, -2.0]]), Points::zeros(1, 2));
/// field.velocity(Clock::Shared(0.0), &x, &mut v)?;
/// assert!(v.as_slice().iter().all(|v| v.abs() < 1e-15));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Current<A, R> {
    drift: A,
    score: R,
    diffusivity: f64,
}

impl<A: VelocityField, R: TimeScore> Current<A, R> {
    /// The current velocity of the diffusion with this drift and this diffusivity D (1 in eq. (5)), given the score of
    /// its law.
    ///
    /// # Errors
    /// The diffusivity is negative or not finite.
    pub fn new(drift: A, score: R, diffusivity: f64) -> crate::Result<Self> {
        if !(diffusivity.is_finite() && diffusivity >= 0.0) {
            let (what, must) = ("diffusivity", "finite and not negative");
            return Err(measures::Error::Parameter { what, value: diffusivity, must }.into());
        }
        Ok(Current { drift, score, diffusivity })
    }
}

impl<A: VelocityField, R: TimeScore> VelocityField for Current<A, R> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.score.dim(), t, x, out)?;
        let mut score = Points::zeros(x.len(), x.dim());
        self.score.score(t, x, &mut score)?;
        self.drift.velocity(t, x, out)?;
        out.axpy(Clock::Shared(-self.diffusivity), &score);
        Ok(())
    }

    fn is_pointwise(&self) -> bool {
        self.drift.is_pointwise() && self.score.is_pointwise()
    }
}

impl<A: Jvp, R: TimeScore> Jvp for Current<A, R> {
    fn jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        let mut score = Points::zeros(x.len(), x.dim());
        self.score.score_jvp(t, x, v, &mut score)?;
        self.drift.jvp(t, x, v, out)?;
        out.axpy(Clock::Shared(-self.diffusivity), &score);
        Ok(())
    }
}
