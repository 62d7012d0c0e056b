//! One step of a scheme, for the equations it is meant for.

mod euler_maruyama;
mod heun;
mod milstein;
mod shark;
mod sra1;

pub use euler_maruyama::EulerMaruyama;
pub use heun::StochasticHeun;
pub use milstein::Milstein;
pub use shark::Shark;
pub use sra1::Sra1;

use super::equation::{Additive, Equation};
use crate::error::FieldError;
use crate::field::VelocityField;
use crate::state::{Clock, State};

/// A scheme for equations of type E on states S: which calculus an equation is in, and which noise it has, is in its
/// type, so that a scheme cannot be given an equation it would solve wrongly.
pub trait Scheme<E: Equation<S>, S: State>: Sync {
    /// The name, as tables print it.
    fn name(&self) -> &'static str;

    /// The strong order for this kind of equation: E‖X_h − X‖ = O(h^order).
    fn strong_order(&self) -> f64;

    /// Evaluations of the drift a step.
    fn evaluations(&self) -> usize;

    /// Whether it reads space–time Lévy areas.
    fn uses_area(&self) -> bool {
        false
    }

    /// Takes `x` through the step.
    ///
    /// # Errors
    /// As the drift.
    fn step(&self, equation: &E, step: Step<'_, S>, x: &mut S, room: &mut Room<S>) -> Result<(), FieldError>;
}

impl<E: Equation<S>, S: State, C: Scheme<E, S> + ?Sized> Scheme<E, S> for Box<C> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn strong_order(&self) -> f64 {
        (**self).strong_order()
    }
    fn evaluations(&self) -> usize {
        (**self).evaluations()
    }
    fn uses_area(&self) -> bool {
        (**self).uses_area()
    }
    fn step(&self, equation: &E, step: Step<'_, S>, x: &mut S, room: &mut Room<S>) -> Result<(), FieldError> {
        (**self).step(equation, step, x, room)
    }
}

/// One step: its time, its signed length, and the noise of that length.
#[derive(Debug)]
pub struct Step<'a, S> {
    /// The time t at its start.
    pub t: f64,
    /// h, negative when the run goes back in time.
    pub h: f64,
    /// The increment W over |h|.
    pub w: &'a S,
    /// The space–time Lévy area H over |h|; meaningless where the scheme does not use it.
    pub levy: &'a S,
}

// References are copied whatever they refer to, which a derive would not see.
impl<S> Clone for Step<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Step<'_, S> {}

/// The room a step works in.
#[derive(Debug, Clone)]
pub struct Room<S> {
    /// Four states to compute in.
    pub a: S,
    /// The second.
    pub b: S,
    /// The third.
    pub c: S,
    /// The fourth.
    pub d: S,
}

impl<S: State> Room<S> {
    /// Room for states shaped as `like`.
    pub fn new(like: &S) -> Self {
        Room { a: like.clone(), b: like.clone(), c: like.clone(), d: like.clone() }
    }
}

/// The coefficients of a two-stage scheme of strong order 1.5 for additive noise:
/// z₁ = x + η₁ g H, z₂ = x + c h a(z₁) + g (c W + η₂ H), x + h (b₁ a(z₁) + b₂ a(z₂)) + g W.
///
/// Order 1.5 needs b₁ + b₂ = 1, b₂ c = ½ and b₁ η₁ + b₂ η₂ = 1, so that the drift sees ∫ W dr = h (W/2 + H).
#[derive(Debug, Clone, Copy)]
struct TwoStage {
    c: f64,
    b: [f64; 2],
    eta: [f64; 2],
}

impl TwoStage {
    fn step<S: State, A: VelocityField<S> + Sync>(
        self,
        equation: &Additive<'_, A>,
        Step { t, h, w, levy }: Step<'_, S>,
        x: &mut S,
        room: &mut Room<S>,
    ) -> Result<(), FieldError> {
        let [b1, b2] = self.b;
        let (g, one) = (equation.level(t), Clock::Shared(1.0));
        room.d.combine(Some(x), Clock::Shared(g), &[(self.eta[0], levy)]);
        equation.drift().velocity(Clock::Shared(t), &room.d, &mut room.a)?;
        room.d.combine(Some(x), one, &[(self.c * h, &room.a), (self.c * g, w), (self.eta[1] * g, levy)]);
        equation.drift().velocity(Clock::Shared(t + self.c * h), &room.d, &mut room.b)?;
        // ∫ g dW = g₀ W + (g₁ − g₀)(W/2 − H) up to the order of the scheme.
        let change = equation.level(t + h) - g;
        let terms = [(b1 * h, &room.a), (b2 * h, &room.b), (g + 0.5 * change, w), (-change, levy)];
        room.d.combine(Some(x), one, &terms);
        std::mem::swap(x, &mut room.d);
        Ok(())
    }
}
