//! The fast path for pointwise fields: blocks of SIMD lanes that carry a particle each, with all stages in registers.
//!
//! A [`LaneField`] is a formula over [`Real`] numbers in lanes; [`LaneOde`] carries clouds along it, in double precision
//! with the results of [`Ode`](crate::Ode) to round-off, or in single precision, twice as many particles at a time. With
//! adaptive steps every particle keeps its own time, step and controller; one that finishes hands its lane to the next of
//! its block, so that a few stiff particles cost their own steps. A particle's bits depend on that particle alone: not on
//! its company, the instruction set or the number of threads.
//!
//! What is not here — events, dense output, states between — is what [`Ode`](crate::Ode) is for: [`InLanes`] makes any
//! [`LaneField`] a field for it, and for everything else that takes a [`VelocityField`](crate::VelocityField). [`LaneSde`] is
//! the same for stochastic equations with additive noise.

mod adaptive;
mod field;
mod fixed;
mod method;
mod mixture;
mod solve;
mod start;
mod stochastic;

pub use field::{InLanes, LaneField};
pub use method::{BogackiShampine, Dop853, DormandPrince, Euler, Heun, LaneMethod, Midpoint, Rk4, Tsitouras};
pub use mixture::{LaneSchedule, MixtureFlow, MixtureScore};
pub use solve::{AdaptiveSteps, FixedSteps, LaneOde, LanePace, LaneWidth};
pub use stochastic::LaneSde;

use measures::lanes::{Real, Scalar};

/// The most lanes of a register.
const MOST: usize = measures::lanes::SINGLE_WIDTH;

/// `then` in the lanes where a ≤ b, else `otherwise`; `otherwise` where either is NaN only if b is not.
#[inline(always)]
fn if_at_most<R: Real>(a: R, b: R, then: R, otherwise: R) -> R {
    b.if_less(a, otherwise, then)
}

/// The lanes of coordinates of points: point `rows(l)` in lane l.
#[inline(always)]
fn gather<R: Real, const D: usize>(lanes: R::Set, x: &[f64], first: usize, count: usize) -> [R; D] {
    let mut columns = [R::Array::default(); D];
    for l in 0..R::LANES {
        // The last point stands in for those that are missing.
        let row = &x[(first + l.min(count - 1)) * D..][..D];
        for c in 0..D {
            columns[c].as_mut()[l] = R::Scalar::of(row[c]);
        }
    }
    let mut out = [R::splat(lanes, R::Scalar::default()); D];
    for c in 0..D {
        out[c] = R::of_array(lanes, &columns[c]);
    }
    out
}

/// Zero where all coordinates are finite, else NaN.
#[inline(always)]
fn poison<R: Real, const D: usize>(x: &[R; D]) -> R {
    let mut sum = x[0] * x[0].num(0.0);
    for c in 1..D {
        sum = x[c].mul_add(x[c].num(0.0), sum);
    }
    sum
}

/// The distance from one to the next number.
fn epsilon<S: Scalar>() -> f64 {
    S::pick(&[f64::EPSILON], &[f32::EPSILON])[0].double()
}
