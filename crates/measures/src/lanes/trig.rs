//! Sine and cosine of whole turns: the reduction of 2πt is exact in t, so no accuracy is lost to π.

use super::Lanes;
use super::vector::{F64s, MAGIC};

/// The coefficients of (sin 2πr − 2πr)/r³ in powers of r² on |r| ≤ ⅛, near-minimax; relative error 1.3e-17.
const SIN: [f64; 6] = [
    -41.341_702_240_399_755,
    81.605_249_276_051_68,
    -76.705_859_735_607,
    42.058_689_178_032_12,
    -15.094_053_947_360_77,
    3.786_426_674_195_875_6,
];

/// The coefficients of (cos 2πr − 1 + 2π²r²)/r⁴ in powers of r² on |r| ≤ ⅛, near-minimax; error 5e-19.
const COS: [f64; 6] = [
    64.939_394_022_668_3,
    -85.456_817_206_684_53,
    60.244_641_365_017_3,
    -26.426_254_910_125_273,
    7.903_305_072_481_77,
    -1.701_218_899_311_994_3,
];

/// 2π to twice the precision.
const TURN_HIGH: f64 = std::f64::consts::TAU;
const TURN_LOW: f64 = 2.449_293_598_294_706_4e-16;
/// 2⁴⁹.
const MANY_TURNS: f64 = 562_949_953_421_312.0;
/// 2π².
const HALF_TURN_SQUARED: f64 = 19.739_208_802_178_716;

impl<L: Lanes> F64s<L> {
    /// t less the nearest integer, in [−½, ½], exactly; 0 for |t| ≥ 2⁴⁹, NaN of NaN and infinities.
    #[inline(always)]
    pub fn turn_fraction(self) -> Self {
        let t = self.bounded_turns();
        t - t.round()
    }

    /// t where |t| < 2⁴⁹, else t·0: beyond that a double is a multiple of ⅛ turn at best.
    #[inline(always)]
    fn bounded_turns(self) -> Self {
        let zero = self * Self::splat(self.lanes, 0.0);
        self.abs().if_less(Self::splat(self.lanes, MANY_TURNS), self, zero)
    }

    /// (sin 2πt, cos 2πt), each within 1.2 ulp for |t| < 2⁴⁹; beyond that a double is a multiple of ⅛ turn at best, and
    /// zero is taken for t. NaN of NaN and infinities.
    #[inline(always)]
    pub fn sin_cos_turns(self) -> (Self, Self) {
        let l = self.lanes;
        let one = Self::splat(l, 1.0);
        let t = self.bounded_turns();
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
        let j = l.to_pattern(shifted.v);
        let odd = l.of_pattern(l.or_bits(l.shl_63(j), l.to_pattern(one.v)));
        let odd = l.less(odd, l.splat(0.0));
        let swapped = (l.select(odd, cos.v, sin.v), l.select(odd, sin.v, cos.v));
        let two = l.splat_bits(2);
        let sin_sign = l.shl_62(l.and_bits(j, two));
        let cos_sign = l.shl_62(l.and_bits(l.add_bits(j, l.splat_bits(1)), two));
        let sin = l.of_pattern(l.xor_bits(l.to_pattern(swapped.0), sin_sign));
        let cos = l.of_pattern(l.xor_bits(l.to_pattern(swapped.1), cos_sign));
        (self.with(sin), self.with(cos))
    }
}
