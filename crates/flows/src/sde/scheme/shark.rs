//! The shifted additive-noise scheme ShARK.

use super::{Room, Scheme, Step, TwoStage};
use crate::error::FieldError;
use crate::field::VelocityField;
use crate::sde::equation::Additive;
use crate::state::State;

/// ShARK: strong order 1.5 and weak order 2 for additive noise, with two evaluations and the space–time Lévy area; its first
/// stage is shifted by the area, which makes its error constant smaller than that of [`Sra1`](super::Sra1).
///
/// J. Foster, G. dos Reis and C. Strange, *High order splitting methods for SDEs satisfying a commutativity condition*,
/// arXiv:2210.17543, eq. (6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shark;

const COEFFICIENTS: TwoStage = TwoStage { c: 5.0 / 6.0, b: [0.4, 0.6], eta: [1.0, 1.0] };

impl<S: State, A: VelocityField<S> + Sync> Scheme<Additive<'_, A>, S> for Shark {
    fn name(&self) -> &'static str {
        "ShARK"
    }

    fn strong_order(&self) -> f64 {
        1.5
    }

    fn evaluations(&self) -> usize {
        2
    }

    fn uses_area(&self) -> bool {
        true
    }

    fn step(
        &self,
        equation: &Additive<'_, A>,
        step: Step<'_, S>,
        x: &mut S,
        room: &mut Room<S>,
    ) -> Result<(), FieldError> {
        COEFFICIENTS.step(equation, step, x, room)
    }
}
