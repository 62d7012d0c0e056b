//! The velocity and the first step of every particle of a block, before any moves.

use super::adaptive::Rules;
use super::{LaneField, gather, poison};
use measures::lanes::{Real, Scalar};

/// What a particle starts with, in the precision of the run.
pub(super) struct Starts<S, const D: usize> {
    pub(super) velocity: Vec<[S; D]>,
    pub(super) step: Vec<S>,
}

/// √(d⁻¹ Σ_c (v_c / (atol + rtol |y_c|))²), NaN when v or y is not finite.
#[inline(always)]
fn size<R: Real, const D: usize>(v: &[R; D], y: &[R; D], rtol: f64, atol: f64) -> R {
    let mut sum = poison(v) + poison(y);
    for c in 0..D {
        let scaled = v[c] / y[c].abs().mul_add(y[c].num(rtol), y[c].num(atol));
        sum = scaled.mul_add(scaled, sum);
    }
    (sum * sum.num(1.0 / D as f64)).sqrt()
}

/// `x` where it is finite, else `other`.
#[inline(always)]
fn finite_or<R: Real>(x: R, other: R) -> R {
    let zero = x * x.num(0.0);
    zero.if_less(zero.num(1.0), x, other)
}

/// The rule of [`ode`](crate::ode) for the first step, in lanes: Hairer, Nørsett and Wanner, section II.4.
#[inline(always)]
pub(super) fn starts<R: Real, const D: usize>(
    lanes: R::Set,
    field: &impl LaneField<D>,
    x: &[f64],
    order: u32,
    rules: &Rules,
) -> Starts<R::Scalar, D> {
    let n = x.len() / D;
    let zero = R::Scalar::default();
    let mut out = Starts { velocity: vec![[zero; D]; n], step: vec![zero; n] };
    let (span, sign) = ((rules.t1 - rules.t0).abs(), (rules.t1 - rules.t0).signum());
    let probe = 1e-6 * span.max(1.0);
    let t0 = R::splat(lanes, R::Scalar::of(rules.t0));
    let (full, one) = (t0.num(span), t0.num(1.0));
    for first in (0..n).step_by(R::LANES) {
        let count = R::LANES.min(n - first);
        let y: [R; D] = gather(lanes, x, first, count);
        let k = field.velocity(t0, &y);
        let length = if let Some(first) = rules.first {
            t0.num(first.min(rules.longest))
        } else {
            let (d0, d1) = (size(&y, &y, rules.rtol, rules.atol), size(&k, &y, rules.rtol, rules.atol));
            let guess = d0 * t0.num(0.01) / d1;
            let tiny = t0.num(1e-5);
            let guess = d0.if_less(tiny, t0.num(probe), d1.if_less(tiny, t0.num(probe), guess));
            let h = finite_or(guess, full).min(full);
            let mut ahead = y;
            for c in 0..D {
                ahead[c] = (h * t0.num(sign)).mul_add(k[c], y[c]);
            }
            let next = field.velocity((h * t0.num(sign)) + t0, &ahead);
            let mut change = y;
            for c in 0..D {
                change[c] = next[c] - k[c];
            }
            let d2 = size(&change, &y, rules.rtol, rules.atol);
            // f64::max drops a NaN, and so does this: b where either is NaN.
            let most = (d2 / h).max(d1);
            let root = ((t0.num(0.01) / most).ln() * t0.num(1.0 / f64::from(order + 1))).exp();
            let still = t0.num(probe).max(h * t0.num(1e-3));
            let long = most.if_less(t0.num(1e-15), still, root);
            let chosen = long.min(h * t0.num(100.0)).min(full);
            let chosen = finite_or(chosen, h);
            // The probe itself may have left the domain: begin with the smaller step then.
            let d2_is_finite = d2 * t0.num(0.0);
            d2_is_finite.if_less(one, chosen, h).min(t0.num(rules.longest))
        };
        let length = length.array();
        out.step[first..first + count].copy_from_slice(&length.as_ref()[..count]);
        for c in 0..D {
            let column = k[c].array();
            for l in 0..count {
                out.velocity[first + l][c] = column.as_ref()[l];
            }
        }
    }
    out
}
