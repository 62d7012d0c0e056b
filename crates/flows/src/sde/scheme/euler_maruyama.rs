//! The Euler–Maruyama scheme.

use super::{Room, Scheme, Step};
use crate::error::FieldError;
use crate::field::VelocityField;
use crate::sde::equation::{Additive, Diagonal, Ito};
use crate::state::{Clock, State};
use measures::Points;

/// X + a h + b W: strong order 1 for additive noise, ½ for Itô equations otherwise; weak order 1. One evaluation.
///
/// G. Maruyama, *Continuous Markov processes and stochastic equations*, Rend. Circ. Mat. Palermo 4 (1955),
/// doi:10.1007/BF02846028.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EulerMaruyama;

impl<S: State, A: VelocityField<S> + Sync> Scheme<Additive<'_, A>, S> for EulerMaruyama {
    fn name(&self) -> &'static str {
        "Euler–Maruyama"
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn evaluations(&self) -> usize {
        1
    }

    fn step(
        &self,
        equation: &Additive<'_, A>,
        Step { t, h, w, .. }: Step<'_, S>,
        x: &mut S,
        room: &mut Room<S>,
    ) -> Result<(), FieldError> {
        equation.drift().velocity(Clock::Shared(t), x, &mut room.a)?;
        room.d.combine(Some(x), Clock::Shared(1.0), &[(h, &room.a), (equation.level(t), w)]);
        std::mem::swap(x, &mut room.d);
        Ok(())
    }
}

impl<A, B> Scheme<Ito<Diagonal<A, B>>, Points> for EulerMaruyama
where
    A: VelocityField + Sync,
    B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync,
{
    fn name(&self) -> &'static str {
        "Euler–Maruyama"
    }

    fn strong_order(&self) -> f64 {
        0.5
    }

    fn evaluations(&self) -> usize {
        1
    }

    fn step(
        &self,
        equation: &Ito<Diagonal<A, B>>,
        Step { t, h, w, .. }: Step<'_, Points>,
        x: &mut Points,
        room: &mut Room<Points>,
    ) -> Result<(), FieldError> {
        equation.0.drift().velocity(Clock::Shared(t), x, &mut room.a)?;
        equation.0.noise(t, x, &mut room.b, &mut room.c);
        let terms = room.a.as_slice().iter().zip(room.b.as_slice()).zip(w.as_slice());
        x.as_mut_slice().iter_mut().zip(terms).for_each(|(x, ((a, b), w))| *x += h * a + b * w);
        Ok(())
    }
}
