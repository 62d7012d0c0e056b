//! One step of a method, apart from who chooses its length.

use crate::error::FieldError;
use crate::field::VelocityField;
use crate::state::{Clock, State};

/// The room a step works in, kept from step to step.
#[derive(Debug, Clone)]
pub struct Stages<S> {
    /// The stages; k₀ is the velocity at the start of the step, which the driver fills in.
    pub k: Vec<S>,
    /// The new state.
    pub end: S,
    /// A state to compute in.
    pub point: S,
    /// Times to compute in.
    pub times: Vec<f64>,
}

impl<S: State> Stages<S> {
    /// Room for states shaped as `like`.
    pub fn new(like: &S) -> Self {
        Stages { k: vec![like.clone()], end: like.clone(), point: like.clone(), times: Vec::new() }
    }

    /// Makes sure of `stages` stages shaped as `like`.
    pub fn grow(&mut self, stages: usize, like: &S) {
        while self.k.len() < stages {
            self.k.push(like.clone());
        }
    }
}

/// A one-step method for dχ = v_t(χ) dt, on any state.
///
/// Times and steps come as [`Clock`]s: all rows in step, or each row with a step of its own.
pub trait Stepper<S: State>: Sync {
    /// The name, as messages print it.
    fn name(&self) -> &'static str;

    /// The order of the method.
    fn order(&self) -> u32;

    /// The order q of the error estimate, which shrinks as h^{q+1}; none for methods of fixed steps.
    fn error_order(&self) -> Option<u32>;

    /// Evaluations a step beyond the velocity at its start.
    fn evaluations(&self) -> usize;

    /// Steps from (t, y), with the velocity there in `work.k[0]`, and leaves the new state in `work.end`.
    ///
    /// # Errors
    /// As the field.
    fn step(
        &self,
        field: &dyn VelocityField<S>,
        t: Clock<'_>,
        h: Clock<'_>,
        y: &S,
        work: &mut Stages<S>,
    ) -> Result<(), FieldError>;

    /// The velocity at the new point where the step has evaluated it.
    fn end_velocity<'a>(&self, work: &'a Stages<S>) -> Option<&'a S>;

    /// The scaled local error of every row after [`Stepper::step`]; a row is good when it is at most one.
    fn error_rows(&self, h: Clock<'_>, y: &S, work: &mut Stages<S>, rtol: f64, atol: f64)
    -> Option<Vec<f64>>;

    /// The coefficients Q_1, …, Q_M of y(t + θh) = y + h Σ_m Q_m θ^m, 0 ≤ θ ≤ 1, after [`Stepper::step`].
    ///
    /// # Errors
    /// As the field, where extra evaluations are needed.
    fn interpolant(
        &self,
        field: &dyn VelocityField<S>,
        t: Clock<'_>,
        h: Clock<'_>,
        y: &S,
        end_velocity: &S,
        work: &mut Stages<S>,
    ) -> Result<Vec<S>, FieldError>;

    /// Evaluations that [`Stepper::interpolant`] takes.
    fn interpolant_evaluations(&self) -> usize;
}
