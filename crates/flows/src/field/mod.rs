//! Velocity fields v_t(x): where every particle goes next.

mod affine;
mod closure;
mod current;
mod drift;
mod hutchinson;
mod trace;

pub use affine::AffineField;
pub use closure::{Cloud, Pointwise};
pub use current::{Current, Stationary, TimeScore};
pub use drift::AlongDrift;
pub use hutchinson::{Hutchinson, Probe};
pub use trace::{FiniteDifferences, JacobianTrace, Jvp, WithTrace};

use crate::error::FieldError;
use crate::state::{Clock, State};
use measures::Points;

/// A velocity field v_t(x), the right-hand side of eq. (7), dχ_t = v_t(χ_t) dt.
///
/// A NaN in a row is an honest answer: the solver tries a smaller step, then stops that particle alone. An `Err` says
/// that the field cannot be evaluated at all.
pub trait VelocityField<S: State = Points> {
    /// Writes v_t(xᵢ) over row i of `out`, which comes with the shape of `x`.
    ///
    /// # Errors
    /// Whatever keeps the field from being evaluated, such as rows of another dimension.
    fn velocity(&self, t: Clock<'_>, x: &S, out: &mut S) -> Result<(), FieldError>;

    /// Whether row i of the answer depends, to the bit, on row i of `x` and its time alone.
    ///
    /// Only then may particles keep their own time and step, and a cloud be cut in blocks. The default is the safe one:
    /// particles interact.
    fn is_pointwise(&self) -> bool {
        false
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<S: State, F: VelocityField<S> + ?Sized> VelocityField<S> for $pointer {
            fn velocity(&self, t: Clock<'_>, x: &S, out: &mut S) -> Result<(), FieldError> {
                (**self).velocity(t, x, out)
            }
            fn is_pointwise(&self) -> bool { (**self).is_pointwise() }
        }
    )+};
}
forward!(&F, Box<F>, std::sync::Arc<F>);

/// Checks the arguments of a field on ℝ^`dim`, then runs `row(i, tᵢ, xᵢ, outᵢ)` for every row.
///
/// # Errors
/// The points live in another dimension, the shapes differ, or there is another number of times than rows.
pub(crate) fn each_row(
    dim: usize,
    t: Clock<'_>,
    x: &Points,
    out: &mut Points,
    mut row: impl FnMut(usize, f64, &[f64], &mut [f64]),
) -> Result<(), FieldError> {
    check(dim, t, x, out)?;
    let rows = x.rows().zip(out.rows_mut()).enumerate();
    match t {
        Clock::Shared(t) => rows.for_each(|(i, (x, out))| row(i, t, x, out)),
        Clock::Each(times) => rows.zip(times).for_each(|((i, (x, out)), t)| row(i, *t, x, out)),
    }
    Ok(())
}

/// The checks of [`each_row`] alone.
pub(crate) fn check(dim: usize, t: Clock<'_>, x: &Points, out: &Points) -> Result<(), FieldError> {
    measures::check_dim("points", dim, x.dim())?;
    measures::check_dim("velocities", dim, out.dim())?;
    measures::check_len("velocities", x.len(), out.len())?;
    Ok(t.check(x.len())?)
}
