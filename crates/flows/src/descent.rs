//! Descent of functionals of a measure: v = −∇ δF/δμ, with a step that guarantees decrease, or with momentum and noise.

use crate::error::Result;
use crate::ode::Status;
use crate::sde::block_normals;
use measures::{Drift, Empirical, Functional, Points, Seed, check_positive};

/// Steepest descent in the Wasserstein geometry, xᵢ ← xᵢ − η ∇(δF/δμ)(xᵢ), with a step η found by backtracking.
///
/// A step is taken only when F falls by at least c·η·Σ wᵢ ‖∇(δF/δμ)(xᵢ)‖², Armijo's rule with c = 10⁻⁴: so F decreases at
/// every step, without exception. That is a promise about deterministic functionals, without momentum or noise; an
/// estimate that is drawn anew at each call has no such descent. L. Armijo, Pacific J. Math. 16 (1966),
/// doi:10.2140/pjm.1966.16.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    step: f64,
    max_steps: usize,
    tolerance: f64,
}

/// Why a descent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The slope √(Σ wᵢ ‖∇(δF/δμ)(xᵢ)‖²) is at most the tolerance.
    Converged,
    /// The steps allowed are used up.
    MaxSteps,
    /// No step above round-off makes F fall: a minimum to working precision, or a gradient that is not one.
    Stalled,
}

/// Where a descent has come to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Descended {
    /// The measure, with the weights it began with.
    pub measure: Empirical,
    /// F at the start and after every step: strictly decreasing.
    pub values: Vec<f64>,
    /// The slope at the last measure whose gradient was taken: at the end, but for [`Ending::MaxSteps`] where it is that of
    /// the measure before.
    pub slope: f64,
    /// Why it ended.
    pub ending: Ending,
    /// Evaluations of F alone, and of F with its variation.
    pub evaluations: (usize, usize),
    /// The last step η, with which a later run may begin.
    pub step: f64,
}

/// The part of the decrease promised by the slope that a step must keep.
const ARMIJO: f64 = 1e-4;

impl Descent {
    /// A first step η = `step`, at most `max_steps` steps, until the slope is at most `tolerance` (zero: never).
    ///
    /// # Errors
    /// The step is not finite and positive, no step is allowed, or the tolerance is negative or not finite.
    pub fn new(step: f64, max_steps: usize, tolerance: f64) -> Result<Self> {
        check_positive("step", step)?;
        if max_steps == 0 {
            return Err(measures::Error::TooFew { what: "max_steps", at_least: 1, got: 0 }.into());
        }
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            let must = "finite and not negative";
            return Err(measures::Error::Parameter { what: "tolerance", value: tolerance, must }.into());
        }
        Ok(Descent { step, max_steps, tolerance })
    }

    /// Descends from `start`.
    ///
    /// # Errors
    /// The functional refuses the start, or the variation of a measure it has accepted.
    pub fn run(&self, functional: &(impl Functional + ?Sized), start: &Empirical) -> Result<Descended> {
        let mut mu = start.clone();
        let mut value = functional.value(&mu)?;
        let mut out = Descended {
            measure: mu.clone(),
            values: vec![value],
            slope: f64::NAN,
            ending: Ending::MaxSteps,
            evaluations: (1, 0),
            step: self.step,
        };
        for _ in 0..self.max_steps {
            let field = functional.gradient_field(&mu)?;
            out.evaluations.1 += 1;
            let square: f64 =
                field.rows().zip(mu.weights()).map(|(g, w)| w * g.iter().map(|g| g * g).sum::<f64>()).sum();
            out.slope = square.sqrt();
            if out.slope <= self.tolerance {
                out.ending = Ending::Converged;
                break;
            }
            let Some((next, next_value)) = backtrack(functional, &mu, &field, value, square, &mut out) else {
                out.ending = Ending::Stalled;
                break;
            };
            (mu, value) = (next, next_value);
            out.values.push(value);
            // A step that was good may be longer next time.
            out.step *= 2.0;
        }
        out.measure = mu;
        Ok(out)
    }
}

/// The first of η, η/2, η/4, … at which F falls enough, if any above round-off.
fn backtrack(
    functional: &(impl Functional + ?Sized),
    mu: &Empirical,
    field: &Points,
    value: f64,
    square: f64,
    out: &mut Descended,
) -> Option<(Empirical, f64)> {
    let largest = field.as_slice().iter().fold(0.0f64, |m, g| m.max(g.abs()));
    let scale = mu.points().as_slice().iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
    while out.step * largest > f64::EPSILON * scale {
        let moved = Points::from_fn(mu.len(), field.dim(), |i, x| {
            x.iter_mut()
                .zip(mu.points().row(i))
                .zip(field.row(i))
                .for_each(|((x, y), g)| *x = y - out.step * g);
        });
        // A trial that leaves the domain of F, or the finite numbers, is one that does not decrease.
        if let Ok(trial) = mu.with_points(moved) {
            out.evaluations.0 += 1;
            if let Ok(next) = functional.value(&trial)
                && next <= value - ARMIJO * out.step * square
                && next < value
            {
                return Some((trial, next));
            }
        }
        out.step *= 0.5;
    }
    None
}

/// Explicit steps along any [`Drift`], with heavy-ball momentum and noise: u ← βu + η·drift, x ← x + u + √(2ηT) Z.
///
/// β = 0 and T = 0 are Euler steps of the gradient flow. Nothing is promised about decrease: momentum overshoots by
/// design, and noise at temperature T samples around minima instead of finding them. B. T. Polyak, USSR Comput. Math. Math.
/// Phys. 4 (1964), doi:10.1016/0041-5553(64)90137-5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeavyBall {
    step: f64,
    momentum: f64,
    temperature: f64,
}

/// Where drifting has come to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Drifted {
    /// The last measure whose points were finite.
    pub measure: Empirical,
    /// Finished, NonFinite, or Field where the drift refused.
    pub status: Status,
    /// The steps done.
    pub steps: usize,
    /// Why the drift refused, if it did.
    pub failure: Option<measures::Error>,
}

impl HeavyBall {
    /// Steps η, without momentum or noise.
    ///
    /// # Errors
    /// The step is not finite and positive.
    pub fn new(step: f64) -> Result<Self> {
        Ok(HeavyBall { step: check_positive("step", step)?, momentum: 0.0, temperature: 0.0 })
    }

    /// With momentum β.
    ///
    /// # Errors
    /// β is outside [0, 1).
    pub fn momentum(self, momentum: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&momentum) {
            let must = "in [0, 1)";
            return Err(measures::Error::Parameter { what: "momentum", value: momentum, must }.into());
        }
        Ok(HeavyBall { momentum, ..self })
    }

    /// With noise at temperature T.
    ///
    /// # Errors
    /// T is negative or not finite.
    pub fn temperature(self, temperature: f64) -> Result<Self> {
        if !(temperature.is_finite() && temperature >= 0.0) {
            let must = "finite and not negative";
            return Err(measures::Error::Parameter { what: "temperature", value: temperature, must }.into());
        }
        Ok(HeavyBall { temperature, ..self })
    }

    /// `steps` steps from `start`; the noise of step k is stream k of the seed.
    ///
    /// # Errors
    /// The drift refuses the start.
    pub fn run(
        &self,
        drift: &(impl Drift + ?Sized),
        start: &Empirical,
        steps: usize,
        seed: Seed,
    ) -> Result<Drifted> {
        let (mut mu, d) = (start.clone(), start.points().dim());
        let mut speed = Points::zeros(mu.len(), d);
        let noise = (2.0 * self.step * self.temperature).sqrt();
        let mut z = vec![0.0; mu.len() * d];
        for k in 0..steps {
            let velocity = match drift.drift(&mu) {
                Ok(velocity) => velocity,
                Err(error) if k == 0 => return Err(error.into()),
                Err(error) => {
                    return Ok(Drifted {
                        measure: mu,
                        status: Status::Field,
                        steps: k,
                        failure: Some(error),
                    });
                }
            };
            if noise > 0.0 {
                block_normals(seed, k as u64, &(0..mu.len()), d, &mut z);
            }
            let mut x = mu.points().clone();
            let state = x.as_mut_slice().iter_mut().zip(speed.as_mut_slice());
            for ((x, u), (v, z)) in state.zip(velocity.as_slice().iter().zip(&z)) {
                *u = self.momentum * *u + self.step * v;
                *x += *u + noise * z;
            }
            match mu.with_points(x) {
                Ok(next) => mu = next,
                Err(_) => {
                    return Ok(Drifted { measure: mu, status: Status::NonFinite, steps: k, failure: None });
                }
            }
        }
        Ok(Drifted { measure: mu, status: Status::Finished, steps, failure: None })
    }
}
