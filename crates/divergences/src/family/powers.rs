//! e^{2πimt}, m = 1, 2, …, by the addition theorem.

use measures::lanes::{F64s, Lanes, WIDTH};

/// Steps of the recurrence between two exact values.
const RESTART: usize = 16;

/// Writes (cos 2πmt, sin 2πmt) for m = 1, …, `table.len()` at eight t. The recurrence restarts from an exact sine and
/// cosine every sixteen steps: the error stays below 1e-14 at any m.
#[inline(always)]
pub(crate) fn powers<L: Lanes>(lanes: L, t: F64s<L>, table: &mut [[[f64; WIDTH]; 2]]) {
    let t = t.turn_fraction();
    let (sin, cos) = t.sin_cos_turns();
    let (mut s, mut c) = (sin, cos);
    for (m, entry) in table.iter_mut().enumerate() {
        if m > 0 && m % RESTART == 0 {
            // (m+1)·t as an exact sum of two numbers, of which the first is reduced exactly
            let power = F64s::splat(lanes, (m + 1) as f64);
            let high = t * power;
            let low = t.mul_add(power, -high);
            (s, c) = ((high - high.round()) + low).sin_cos_turns();
        } else if m > 0 {
            (c, s) = product((c, s), (cos, sin));
        }
        c.store(&mut entry[0]);
        s.store(&mut entry[1]);
    }
}

/// The product of two complex numbers (real, imaginary).
#[inline(always)]
pub(crate) fn product<L: Lanes>(a: (F64s<L>, F64s<L>), b: (F64s<L>, F64s<L>)) -> (F64s<L>, F64s<L>) {
    (a.1.neg_mul_add(b.1, a.0 * b.0), a.0.mul_add(b.1, a.1 * b.0))
}
