//! The exponential in single precision, within 1.5 ulp.

use super::{F32s, MAGIC};
use crate::lanes::Lanes;

/// The coefficients of (eʳ − 1 − r)/r² on |r| ≤ ½ ln 2 (Chebyshev nodes); error of the whole 5e-9.
const EXP: [f32; 5] = [0.5, 0.166_665_76, 0.041_666_552, 0.008_363_346, 0.001_392_639];

/// The coefficients of (2ʳ − 1 − r ln 2)/r² on |r| ≤ ½ (Chebyshev nodes); error of the whole 5e-9.
const EXP2: [f32; 5] = [0.240_226_5, 0.055_503_81, 0.009_618_103_5, 0.001_338_130_2, 0.000_154_448_83];

/// ln 2 as a number of ten bits, whose product with an exponent is exact, and the remainder.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -0.000_212_194_44;

/// Below this eˣ is less than the smallest normal number.
const EXP_LOWEST: f32 = -87.336_54;
/// From here on eˣ is taken for infinite: the power of two would not fit.
const EXP_OVERFLOW: f32 = 88.376_26;

impl<L: Lanes> F32s<L> {
    /// eˣ within 1.5 ulp. Results below the smallest normal number, 1.2e-38, are flushed to zero; +∞ above x = 88.37
    /// (2.4e38); NaN of NaN.
    #[inline(always)]
    pub fn exp(self) -> Self {
        // Not below the overflow means above it or NaN: multiplying by ∞ tells them apart.
        let above = self * Self::splat(self.lanes, f32::INFINITY);
        self.if_less(Self::splat(self.lanes, EXP_OVERFLOW), self.exp_nonpositive(), above)
    }

    /// eˣ for x ≤ 0 (or any x < 88), −∞ included and NaN excluded: [`F32s::exp`] with one test less.
    #[inline(always)]
    pub fn exp_nonpositive(self) -> Self {
        let l = self.lanes;
        let shifted = self.mul_add(Self::splat(l, std::f32::consts::LOG2_E), Self::splat(l, MAGIC));
        let k = shifted - Self::splat(l, MAGIC);
        let r = k.neg_mul_add(Self::splat(l, LN_2_HIGH), self);
        let r = k.neg_mul_add(Self::splat(l, LN_2_LOW), r);
        let value =
            ((r * r).mul_add(r.polynomial(&EXP), r) + Self::splat(l, 1.0)).scaled_by_low_bits(shifted);
        self.if_less(Self::splat(l, EXP_LOWEST), Self::splat(l, 0.0), value)
    }

    /// 2ˣ within 1.5 ulp for x ≤ 0 (or any x < 127), −∞ included and NaN excluded; results below the smallest normal
    /// number are flushed to zero.
    #[inline(always)]
    pub fn exp2_nonpositive(self) -> Self {
        let l = self.lanes;
        let shifted = self + Self::splat(l, MAGIC);
        let r = self - (shifted - Self::splat(l, MAGIC));
        let slope = r.polynomial(&EXP2).mul_add(r, Self::splat(l, std::f32::consts::LN_2));
        let value = slope.mul_add(r, Self::splat(l, 1.0)).scaled_by_low_bits(shifted);
        self.if_less(Self::splat(l, -126.0), Self::splat(l, 0.0), value)
    }

    /// self · 2ᵏ where k is the integer in the low bits of `shifted` and the result is a normal number.
    #[inline(always)]
    fn scaled_by_low_bits(self, shifted: Self) -> Self {
        let l = self.lanes;
        let exponent = l.shl_23(l.to_pattern32(shifted.v));
        self.with(l.of_pattern32(l.add_bits32(l.to_pattern32(self.v), exponent)))
    }
}
