//! The natural logarithm in single precision, within 2 ulp.

use super::F32s;
use crate::lanes::Lanes;

/// The coefficients of (2 artanh s − 2s)/s³ in powers of s² on |s| ≤ 0.1716 (Chebyshev nodes).
const LOG: [f32; 4] = [0.666_666_7, 0.400_001_23, 0.285_508_22, 0.233_304_68];

const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -0.000_212_194_44;

impl<L: Lanes> F32s<L> {
    /// ln x within 2 ulp for positive normal x; −∞ of zero and of positive subnormal numbers, +∞ of +∞, NaN of negative
    /// numbers and of NaN.
    #[inline(always)]
    pub fn ln(self) -> Self {
        let l = self.lanes;
        let one = Self::splat(l, 1.0);
        // x = m · 2ᵏ with m in [√½, √2): the bits of √½ are taken away before the exponent is read
        let root_half = l.splat_bits32(std::f32::consts::FRAC_1_SQRT_2.to_bits());
        let offset = l.sub_bits32(l.to_pattern32(self.v), root_half);
        // (exponent + 126) stands above the mantissa; biased by 2·127 so that the shift is of a positive number
        let biased = l.shr_23(l.add_bits32(offset, l.splat_bits32(254 << 23)));
        let m =
            l.sub_bits32(l.to_pattern32(self.v), l.sub_bits32(l.shl_23(biased), l.splat_bits32(254 << 23)));
        let m = self.with(l.of_pattern32(m));
        // an integer below 2²³ becomes a float by standing in the mantissa of 2²³
        let k = self.with(l.of_pattern32(l.or_bits32(biased, l.splat_bits32(8_388_608.0_f32.to_bits()))));
        let k = k - Self::splat(l, 8_388_608.0 + 254.0);
        // ln m = f − (h − s·(h + s²q)) with f = m − 1, h = f²/2, s = f/(2 + f)
        let f = m - one;
        let s = f / (f + Self::splat(l, 2.0));
        let u = s * s;
        let q = u.polynomial(&LOG) * u;
        let h = f * f * Self::splat(l, 0.5);
        let correction = s.mul_add(h + q, k * Self::splat(l, LN_2_LOW));
        let value = k.mul_add(Self::splat(l, LN_2_HIGH), f - (h - correction));
        let infinity = Self::splat(l, f32::INFINITY);
        let value = self.if_less(infinity, value, self);
        let zero = Self::splat(l, 0.0);
        let below = self.if_less(zero, Self::splat(l, f32::NAN), -infinity);
        self.if_less(Self::splat(l, f32::MIN_POSITIVE), below, value)
    }
}
