//! Heun's scheme for Stratonovich equations.

use super::{Room, Scheme, Step};
use crate::error::FieldError;
use crate::field::VelocityField;
use crate::sde::equation::{Additive, Diagonal, Stratonovich};
use crate::state::{Clock, State};
use measures::Points;

/// An Euler step to X̃, then the means of drift and noise at X and X̃: it converges to the **Stratonovich** solution, with
/// strong order 1 for diagonal and for additive noise and weak order 1. Two evaluations, no derivative of b.
///
/// W. Rümelin, *Numerical treatment of stochastic differential equations*, SIAM J. Numer. Anal. 19 (1982),
/// doi:10.1137/0719041.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StochasticHeun;

impl<S: State, A: VelocityField<S> + Sync> Scheme<Additive<'_, A>, S> for StochasticHeun {
    fn name(&self) -> &'static str {
        "stochastic Heun"
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn evaluations(&self) -> usize {
        2
    }

    fn step(
        &self,
        equation: &Additive<'_, A>,
        Step { t, h, w, .. }: Step<'_, S>,
        x: &mut S,
        room: &mut Room<S>,
    ) -> Result<(), FieldError> {
        let (g, last, one) = (equation.level(t), equation.level(t + h), Clock::Shared(1.0));
        equation.drift().velocity(Clock::Shared(t), x, &mut room.a)?;
        room.d.combine(Some(x), one, &[(h, &room.a), (g, w)]);
        equation.drift().velocity(Clock::Shared(t + h), &room.d, &mut room.b)?;
        room.d.combine(Some(x), one, &[(0.5 * h, &room.a), (0.5 * h, &room.b), (0.5 * (g + last), w)]);
        std::mem::swap(x, &mut room.d);
        Ok(())
    }
}

impl<A, B> Scheme<Stratonovich<Diagonal<A, B>>, Points> for StochasticHeun
where
    A: VelocityField + Sync,
    B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync,
{
    fn name(&self) -> &'static str {
        "stochastic Heun"
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn evaluations(&self) -> usize {
        2
    }

    fn step(
        &self,
        equation: &Stratonovich<Diagonal<A, B>>,
        Step { t, h, w, .. }: Step<'_, Points>,
        x: &mut Points,
        room: &mut Room<Points>,
    ) -> Result<(), FieldError> {
        let Room { a, b, c, d } = room;
        equation.0.drift().velocity(Clock::Shared(t), x, a)?;
        equation.0.noise(t, x, b, c);
        for (((d, x), a), (b, w)) in d
            .as_mut_slice()
            .iter_mut()
            .zip(x.as_slice())
            .zip(a.as_slice())
            .zip(b.as_slice().iter().zip(w.as_slice()))
        {
            *d = x + h * a + b * w;
        }
        // Half of the first stage, then half of the second.
        let half = |x: &mut Points, a: &Points, b: &Points| {
            let terms = a.as_slice().iter().zip(b.as_slice()).zip(w.as_slice());
            x.as_mut_slice().iter_mut().zip(terms).for_each(|(x, ((a, b), w))| *x += 0.5 * (h * a + b * w));
        };
        half(x, a, b);
        equation.0.drift().velocity(Clock::Shared(t + h), d, a)?;
        equation.0.noise(t + h, d, b, c);
        half(x, a, b);
        Ok(())
    }
}
