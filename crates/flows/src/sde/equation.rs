//! Stochastic equations, each in its calculus.

use crate::error::{FieldError, Result};
use crate::field::{VelocityField, each_row};
use crate::state::{Clock, State};
use measures::Points;

/// What a driver must know of an equation.
pub trait Equation<S: State>: Sync {
    /// Whether a particle's step depends on that particle alone.
    fn is_pointwise(&self) -> bool;
}

type Level<'a> = Box<dyn Fn(f64) -> f64 + Sync + 'a>;

/// dX = a_t(X) dt + g(t) dB with noise that does not look at X: Itô's and Stratonovich's integrals are the same, and
/// schemes of high order are cheap.
///
/// When a run goes back in time, dt is negative and the noise is that of |dt|.
pub struct Additive<'a, A> {
    drift: A,
    level: Level<'a>,
}

impl<'a, A> Additive<'a, A> {
    /// The equation with this drift and the level g(t).
    pub fn new(drift: A, level: impl Fn(f64) -> f64 + Sync + 'a) -> Self {
        Additive { drift, level: Box::new(level) }
    }

    /// The equation with a level that does not change; √2 is that of eq. (5).
    ///
    /// # Errors
    /// The level is negative or not finite.
    pub fn constant(drift: A, level: f64) -> Result<Self> {
        if !(level.is_finite() && level >= 0.0) {
            let must = "finite and not negative";
            return Err(measures::Error::Parameter { what: "level", value: level, must }.into());
        }
        Ok(Additive::new(drift, move |_| level))
    }

    /// a.
    pub fn drift(&self) -> &A {
        &self.drift
    }

    /// g(t).
    pub fn level(&self, t: f64) -> f64 {
        (self.level)(t)
    }
}

impl<S: State, A: VelocityField<S> + Sync> Equation<S> for Additive<'_, A> {
    fn is_pointwise(&self) -> bool {
        self.drift.is_pointwise()
    }
}

/// Drift a_t(X) and noise b_c(t, X) dB_c in every coordinate c apart, without a calculus: wrap it in [`Ito`] or
/// [`Stratonovich`].
#[derive(Debug, Clone, Copy)]
pub struct Diagonal<A, B> {
    drift: A,
    noise: B,
}

impl<A: VelocityField, B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync> Diagonal<A, B> {
    /// `noise(t, x, b, db)` writes b_c(t, x) and its derivative ∂b_c/∂x_c, which schemes beyond Euler's need.
    pub fn new(drift: A, noise: B) -> Self {
        Diagonal { drift, noise }
    }

    pub(crate) fn drift(&self) -> &A {
        &self.drift
    }

    /// b and ∂b at time t.
    pub(crate) fn noise(&self, t: f64, x: &Points, b: &mut Points, db: &mut Points) {
        let rows = x.rows().zip(b.rows_mut()).zip(db.rows_mut());
        rows.for_each(|((x, b), db)| (self.noise)(t, x, b, db));
    }
}

/// An equation in the sense of Itô.
#[derive(Debug, Clone, Copy)]
pub struct Ito<E>(pub E);

/// An equation in the sense of Stratonovich.
#[derive(Debug, Clone, Copy)]
pub struct Stratonovich<E>(pub E);

/// A drift with ± ½ b ∂b added, which takes an equation from one calculus to the other.
#[derive(Debug, Clone, Copy)]
pub struct Corrected<A, B> {
    drift: A,
    noise: B,
    half: f64,
}

impl<A: VelocityField, B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync> VelocityField for Corrected<A, B> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> std::result::Result<(), FieldError> {
        self.drift.velocity(t, x, out)?;
        let (mut b, mut db) = (vec![0.0; x.dim()], vec![0.0; x.dim()]);
        each_row(x.dim(), t, x, out, |_, t, x, out| {
            (self.noise)(t, x, &mut b, &mut db);
            out.iter_mut().zip(b.iter().zip(&db)).for_each(|(out, (b, db))| *out += self.half * b * db);
        })
    }

    fn is_pointwise(&self) -> bool {
        self.drift.is_pointwise()
    }
}

impl<A, B> Ito<Diagonal<A, B>>
where
    A: VelocityField,
    B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync + Clone,
{
    /// The same process as a Stratonovich equation, of drift a − ½ b ∂b.
    pub fn to_stratonovich(self) -> Stratonovich<Diagonal<Corrected<A, B>, B>> {
        let Diagonal { drift, noise } = self.0;
        Stratonovich(Diagonal { drift: Corrected { drift, noise: noise.clone(), half: -0.5 }, noise })
    }
}

impl<A, B> Stratonovich<Diagonal<A, B>>
where
    A: VelocityField,
    B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync + Clone,
{
    /// The same process as an Itô equation, of drift a + ½ b ∂b.
    pub fn to_ito(self) -> Ito<Diagonal<Corrected<A, B>, B>> {
        let Diagonal { drift, noise } = self.0;
        Ito(Diagonal { drift: Corrected { drift, noise: noise.clone(), half: 0.5 }, noise })
    }
}

impl<A: VelocityField + Sync, B: Sync> Equation<Points> for Ito<Diagonal<A, B>> {
    fn is_pointwise(&self) -> bool {
        self.0.drift.is_pointwise()
    }
}

impl<A: VelocityField + Sync, B: Sync> Equation<Points> for Stratonovich<Diagonal<A, B>> {
    fn is_pointwise(&self) -> bool {
        self.0.drift.is_pointwise()
    }
}
