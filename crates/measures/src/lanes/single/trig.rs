//! Sine and cosine of whole turns in single precision.

use super::{F32s, MAGIC};
use crate::lanes::Lanes;

/// The coefficients of (sin 2πr − 2πr)/r³ in powers of r² on |r| ≤ ⅛ (Chebyshev nodes).
const SIN: [f32; 3] = [-41.341_698, 81.599_52, -75.726_3];

/// The coefficients of (cos 2πr − 1 + 2π²r²)/r⁴ in powers of r² on |r| ≤ ⅛ (Chebyshev nodes).
const COS: [f32; 3] = [64.939_39, -85.453_21, 59.628_52];

/// 2π to twice the precision.
const TURN_HIGH: f32 = std::f32::consts::TAU;
const TURN_LOW: f32 = -1.748_455_5e-7;
/// 2²⁰.
const MANY_TURNS: f32 = 1_048_576.0;
/// 2π².
const HALF_TURN_SQUARED: f32 = 19.739_208;

impl<L: Lanes> F32s<L> {
    /// (sin 2πt, cos 2πt), each within 1.5 ulp for |t| < 2²⁰; beyond that a float is a multiple of ⅛ turn at best, and zero
    /// is taken for t. NaN of NaN and infinities.
    #[inline(always)]
    pub fn sin_cos_turns(self) -> (Self, Self) {
        let l = self.lanes;
        let one = Self::splat(l, 1.0);
        let t = self.abs().if_less(Self::splat(l, MANY_TURNS), self, self * Self::splat(l, 0.0));
        // j quarter turns and the rest r, |r| ≤ ⅛, without rounding
        let shifted = t.mul_add(Self::splat(l, 4.0), Self::splat(l, MAGIC));
        let j = shifted - Self::splat(l, MAGIC);
        let r = j.neg_mul_add(Self::splat(l, 0.25), t);
        let u = r * r;
        let sin = u.polynomial(&SIN).mul_add(u, Self::splat(l, TURN_LOW));
        let sin = r.mul_add(Self::splat(l, TURN_HIGH), r * sin);
        let cos = u.polynomial(&COS).mul_add(u, Self::splat(l, -HALF_TURN_SQUARED));
        let cos = u.mul_add(cos, one);
        // sin(2πr + jπ/2): sine and cosine change places when j is odd, signs follow its second bit
        let j = l.to_pattern32(shifted.v);
        let odd = l.of_pattern32(l.or_bits32(l.shl_31(j), l.to_pattern32(one.v)));
        let odd = l.less32(odd, l.splat32(0.0));
        let swapped = (l.select32(odd, cos.v, sin.v), l.select32(odd, sin.v, cos.v));
        let two = l.splat_bits32(2);
        let sin_sign = l.shl_30(l.and_bits32(j, two));
        let cos_sign = l.shl_30(l.and_bits32(l.add_bits32(j, l.splat_bits32(1)), two));
        let sin = l.of_pattern32(l.xor_bits32(l.to_pattern32(swapped.0), sin_sign));
        let cos = l.of_pattern32(l.xor_bits32(l.to_pattern32(swapped.1), cos_sign));
        (self.with(sin), self.with(cos))
    }
}
