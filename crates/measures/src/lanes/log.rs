//! The natural logarithm: exponent and mantissa apart, 2 artanh((m−1)/(m+1)) by a polynomial, within 2 ulp.

use super::Lanes;
use super::vector::F64s;

/// The coefficients of (2 artanh s − 2s)/s³ in powers of s² on |s| ≤ 0.1716, near-minimax; relative error 4.6e-18.
const LOG: [f64; 7] = [
    0.666_666_666_666_667,
    0.399_999_999_998_988_9,
    0.285_714_286_262_538_36,
    0.222_222_110_893_794_96,
    0.181_828_924_325_368_7,
    0.153_316_117_220_550_08,
    0.146_178_071_534_174_25,
];

const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

impl<L: Lanes> F64s<L> {
    /// ln x within 2 ulp for positive normal x; −∞ of zero and of positive subnormal numbers, +∞ of +∞, NaN of negative
    /// numbers and of NaN.
    #[inline(always)]
    pub fn ln(self) -> Self {
        let l = self.lanes;
        let one = Self::splat(l, 1.0);
        // x = m · 2ᵏ with m in [√½, √2): the bits of √½ are taken away before the exponent is read
        let root_half = l.splat_bits(std::f64::consts::FRAC_1_SQRT_2.to_bits());
        let offset = l.sub_bits(l.to_pattern(self.v), root_half);
        // (exponent + 1022) stands above the mantissa; biased by 2·1023 so that the shift is of a positive number
        let biased = l.shr_52(l.add_bits(offset, l.splat_bits(2046 << 52)));
        let m = l.sub_bits(l.to_pattern(self.v), l.sub_bits(l.shl_52(biased), l.splat_bits(2046 << 52)));
        let m = self.with(l.of_pattern(m));
        // an integer below 2⁵² becomes a double by standing in the mantissa of 2⁵²
        let k =
            self.with(l.of_pattern(l.or_bits(biased, l.splat_bits(4_503_599_627_370_496.0_f64.to_bits()))));
        let k = k - Self::splat(l, 4_503_599_627_370_496.0 + 2046.0);
        // ln m = f − (h − s·(h + s²q)) with f = m − 1, h = f²/2, s = f/(2 + f): f is exact, the rest a correction
        let f = m - one;
        let s = f / (f + Self::splat(l, 2.0));
        let u = s * s;
        let q = u.polynomial(&LOG) * u;
        let h = f * f * Self::splat(l, 0.5);
        let correction = s.mul_add(h + q, k * Self::splat(l, LN_2_LOW));
        let value = k.mul_add(Self::splat(l, LN_2_HIGH), f - (h - correction));
        let infinity = Self::splat(l, f64::INFINITY);
        let value = self.if_less(infinity, value, self);
        let low = Self::splat(l, f64::MIN_POSITIVE);
        let zero = Self::splat(l, 0.0);
        let below = self.if_less(zero, Self::splat(l, f64::NAN), -infinity);
        self.if_less(low, below, value)
    }
}
