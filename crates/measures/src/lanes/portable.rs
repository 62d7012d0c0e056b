//! The lanes as an array of eight numbers, on any processor.

use super::{Lanes, WIDTH, sealed::Sealed};

/// Plain arrays; a fused multiply–add where the target has none is the (slow, exact) one of the platform's library.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Sealed for Portable {}

macro_rules! lane_by_lane {
    ($l:ident, $value:expr) => {{
        let mut out = [Default::default(); WIDTH];
        for $l in 0..WIDTH {
            out[$l] = $value;
        }
        out
    }};
}

impl Lanes for Portable {
    type F = [f64; WIDTH];
    type U = [u64; WIDTH];
    type M = [bool; WIDTH];

    #[inline(always)]
    fn splat(self, x: f64) -> Self::F {
        [x; WIDTH]
    }
    #[inline(always)]
    fn load(self, x: &[f64; WIDTH]) -> Self::F {
        *x
    }
    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f64; WIDTH]) {
        *out = x;
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        lane_by_lane!(l, a[l] + b[l])
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        lane_by_lane!(l, a[l] - b[l])
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        lane_by_lane!(l, a[l] * b[l])
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        lane_by_lane!(l, a[l] / b[l])
    }
    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        lane_by_lane!(l, a[l].sqrt())
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        lane_by_lane!(l, a[l].mul_add(b[l], c[l]))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        lane_by_lane!(l, (-a[l]).mul_add(b[l], c[l]))
    }
    #[inline(always)]
    fn less(self, a: Self::F, b: Self::F) -> Self::M {
        lane_by_lane!(l, a[l] < b[l])
    }
    #[inline(always)]
    fn any(self, mask: Self::M) -> bool {
        mask.contains(&true)
    }
    #[inline(always)]
    fn select(self, mask: Self::M, then: Self::F, otherwise: Self::F) -> Self::F {
        lane_by_lane!(l, if mask[l] { then[l] } else { otherwise[l] })
    }
    #[inline(always)]
    fn to_pattern(self, a: Self::F) -> Self::U {
        lane_by_lane!(l, a[l].to_bits())
    }
    #[inline(always)]
    fn of_pattern(self, a: Self::U) -> Self::F {
        lane_by_lane!(l, f64::from_bits(a[l]))
    }
    #[inline(always)]
    fn splat_bits(self, x: u64) -> Self::U {
        [x; WIDTH]
    }
    #[inline(always)]
    fn add_bits(self, a: Self::U, b: Self::U) -> Self::U {
        lane_by_lane!(l, a[l].wrapping_add(b[l]))
    }
    #[inline(always)]
    fn sub_bits(self, a: Self::U, b: Self::U) -> Self::U {
        lane_by_lane!(l, a[l].wrapping_sub(b[l]))
    }
    #[inline(always)]
    fn and_bits(self, a: Self::U, b: Self::U) -> Self::U {
        lane_by_lane!(l, a[l] & b[l])
    }
    #[inline(always)]
    fn or_bits(self, a: Self::U, b: Self::U) -> Self::U {
        lane_by_lane!(l, a[l] | b[l])
    }
    #[inline(always)]
    fn xor_bits(self, a: Self::U, b: Self::U) -> Self::U {
        lane_by_lane!(l, a[l] ^ b[l])
    }
    #[inline(always)]
    fn shl_52(self, a: Self::U) -> Self::U {
        lane_by_lane!(l, a[l] << 52)
    }
    #[inline(always)]
    fn shl_62(self, a: Self::U) -> Self::U {
        lane_by_lane!(l, a[l] << 62)
    }
    #[inline(always)]
    fn shl_63(self, a: Self::U) -> Self::U {
        lane_by_lane!(l, a[l] << 63)
    }
    #[inline(always)]
    fn shr_52(self, a: Self::U) -> Self::U {
        lane_by_lane!(l, a[l] >> 52)
    }
}
