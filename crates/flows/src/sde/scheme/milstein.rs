//! The Milstein scheme, in either calculus.

use super::{Room, Scheme, Step};
use crate::error::FieldError;
use crate::field::VelocityField;
use crate::sde::equation::{Diagonal, Ito, Stratonovich};
use crate::state::Clock;
use measures::Points;

/// X + a h + b W + ½ b ∂b (W² − h) for Itô equations, ½ b ∂b W² for Stratonovich ones: strong order 1 for diagonal noise,
/// weak order 1. One evaluation.
///
/// G. N. Milstein, *Approximate integration of stochastic differential equations*, Theory Probab. Appl. 19 (1975),
/// doi:10.1137/1119062.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Milstein;

fn step<A: VelocityField, B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync>(
    equation: &Diagonal<A, B>,
    (t, h, mean): (f64, f64, f64),
    x: &mut Points,
    w: &Points,
    room: &mut Room<Points>,
) -> Result<(), FieldError> {
    equation.drift().velocity(Clock::Shared(t), x, &mut room.a)?;
    equation.noise(t, x, &mut room.b, &mut room.c);
    let noise = room.b.as_slice().iter().zip(room.c.as_slice()).zip(w.as_slice());
    for ((x, a), ((b, db), w)) in x.as_mut_slice().iter_mut().zip(room.a.as_slice()).zip(noise) {
        *x += h * a + b * w + 0.5 * b * db * (w * w - mean);
    }
    Ok(())
}

macro_rules! milstein {
    ($($calculus:ident, $mean:expr);+) => {$(
        impl<A, B> Scheme<$calculus<Diagonal<A, B>>, Points> for Milstein
        where
            A: VelocityField + Sync,
            B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync,
        {
            fn name(&self) -> &'static str {
                "Milstein"
            }

            fn strong_order(&self) -> f64 {
                1.0
            }

            fn evaluations(&self) -> usize {
                1
            }

            fn step(
                &self,
                equation: &$calculus<Diagonal<A, B>>,
                Step { t, h, w, .. }: Step<'_, Points>,
                x: &mut Points,
                room: &mut Room<Points>,
            ) -> Result<(), FieldError> {
                let mean: fn(f64) -> f64 = $mean;
                step(&equation.0, (t, h, mean(h)), x, w, room)
            }
        }
    )+};
}
milstein!(Ito, f64::abs; Stratonovich, |_| 0.0);
