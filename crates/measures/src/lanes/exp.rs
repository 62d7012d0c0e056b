//! The exponential: argument reduction by multiples of ln 2 and a polynomial of degree 11, within 1.2 ulp.

use super::Lanes;
use super::vector::{F64s, MAGIC};

/// The coefficients of (eʳ − 1 − r)/r² on |r| ≤ ½ ln 2, near-minimax; relative error of the whole 1.3e-17.
const EXP: [f64; 10] = [
    0.500_000_000_000_000_1,
    0.166_666_666_666_666_69,
    0.041_666_666_666_624_13,
    0.008_333_333_333_330_062,
    0.001_388_888_891_721_371_7,
    0.000_198_412_698_630_536_18,
    2.480_152_129_595_437_6e-5,
    2.755_726_845_999_706_4e-6,
    2.762_008_844_540_974_6e-7,
    2.510_038_549_551_032e-8,
];

/// The coefficients of (2ʳ − 1 − r ln 2)/r² on |r| ≤ ½, near-minimax; relative error of the whole 1.3e-17.
const EXP2: [f64; 10] = [
    0.240_226_506_959_100_75,
    0.055_504_108_664_821_58,
    0.009_618_129_107_618_658,
    0.001_333_355_814_642_320_9,
    0.000_154_035_304_247_953_8,
    1.525_273_382_080_585_2e-5,
    1.321_545_161_914_660_7e-6,
    1.017_806_725_994_698_9e-7,
    7.070_981_083_365_768e-9,
    4.454_105_125_293_416e-10,
];

/// ln 2 as a number of 32 bits, whose product with an exponent is exact, and the remainder.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// Below this eˣ is less than the smallest normal number.
const EXP_LOWEST: f64 = -708.396_418_532_264_1;
/// The first number whose exponential is infinite.
const EXP_OVERFLOW: f64 = 709.782_712_893_384_1;

impl<L: Lanes> F64s<L> {
    /// eˣ within 1.2 ulp. Results below the smallest normal number, 2.2e-308, are flushed to zero; +∞ above
    /// x = 709.78; NaN of NaN.
    #[inline(always)]
    pub fn exp(self) -> Self {
        // Not below the overflow means above it or NaN: multiplying by ∞ tells them apart.
        let above = self * Self::splat(self.lanes, f64::INFINITY);
        self.if_less(Self::splat(self.lanes, EXP_OVERFLOW), self.exp_nonpositive(), above)
    }

    /// eˣ for x ≤ 0 (or any x at which it is finite), −∞ included and NaN excluded: [`F64s::exp`] with one test less.
    #[inline(always)]
    pub fn exp_nonpositive(self) -> Self {
        let l = self.lanes;
        let shifted = self.mul_add(Self::splat(l, std::f64::consts::LOG2_E), Self::splat(l, MAGIC));
        let k = shifted - Self::splat(l, MAGIC);
        let r = k.neg_mul_add(Self::splat(l, LN_2_HIGH), self);
        let r = k.neg_mul_add(Self::splat(l, LN_2_LOW), r);
        let q = r.polynomial_of_ten(&EXP);
        let value = ((r * r).mul_add(q, r) + Self::splat(l, 1.0)).scaled_by_low_bits(shifted);
        self.if_less(Self::splat(l, EXP_LOWEST), Self::splat(l, 0.0), value)
    }

    /// 2ˣ within 1.2 ulp for x ≤ 0 (or any x < 1024), −∞ included and NaN excluded; results below the smallest normal
    /// number are flushed to zero.
    #[inline(always)]
    pub fn exp2_nonpositive(self) -> Self {
        let l = self.lanes;
        let shifted = self + Self::splat(l, MAGIC);
        let r = self - (shifted - Self::splat(l, MAGIC));
        let q = r.polynomial_of_ten(&EXP2);
        let linear = r * Self::splat(l, std::f64::consts::LN_2);
        let value = ((r * r).mul_add(q, linear) + Self::splat(l, 1.0)).scaled_by_low_bits(shifted);
        self.if_less(Self::splat(l, -1022.0), Self::splat(l, 0.0), value)
    }

    /// A polynomial of degree nine, even and odd powers apart: two chains of half the length.
    #[inline(always)]
    fn polynomial_of_ten(self, c: &[f64; 10]) -> Self {
        let square = self * self;
        let even = square.polynomial(&[c[0], c[2], c[4], c[6], c[8]]);
        let odd = square.polynomial(&[c[1], c[3], c[5], c[7], c[9]]);
        odd.mul_add(self, even)
    }

    /// self · 2ᵏ where k is the integer in the low bits of `shifted` and the result is a normal number.
    #[inline(always)]
    fn scaled_by_low_bits(self, shifted: Self) -> Self {
        let l = self.lanes;
        let exponent = l.shl_52(l.to_pattern(shifted.v));
        self.with(l.of_pattern(l.add_bits(l.to_pattern(self.v), exponent)))
    }
}
