//! Rößler's scheme SRA1.

use super::{Room, Scheme, Step, TwoStage};
use crate::error::FieldError;
use crate::field::VelocityField;
use crate::sde::equation::Additive;
use crate::state::State;

/// SRA1: strong order 1.5 and weak order 2 for additive noise, with two evaluations and the space–time Lévy area.
///
/// A. Rößler, *Runge–Kutta methods for the strong approximation of solutions of stochastic differential equations*, SIAM J.
/// Numer. Anal. 48 (2010), doi:10.1137/09076636X.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sra1;

const COEFFICIENTS: TwoStage = TwoStage { c: 0.75, b: [1.0 / 3.0, 2.0 / 3.0], eta: [0.0, 1.5] };

impl<S: State, A: VelocityField<S> + Sync> Scheme<Additive<'_, A>, S> for Sra1 {
    fn name(&self) -> &'static str {
        "SRA1"
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
