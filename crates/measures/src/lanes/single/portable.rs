//! Single precision as an array of sixteen numbers, on any processor.

use super::{SINGLE_WIDTH, Single};
use crate::lanes::portable::Portable;

macro_rules! lane_by_lane {
    ($l:ident, $value:expr) => {{
        let mut out = [Default::default(); SINGLE_WIDTH];
        for $l in 0..SINGLE_WIDTH {
            out[$l] = $value;
        }
        out
    }};
}

macro_rules! each {
    ($($name:ident($($arg:ident: $ty:ident),+) -> $out:ident = |$l:ident| $value:expr;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::$ty),+) -> Self::$out {
            lane_by_lane!($l, $value)
        }
    )+};
}

impl Single for Portable {
    type F32 = [f32; SINGLE_WIDTH];
    type U32 = [u32; SINGLE_WIDTH];
    type M32 = [bool; SINGLE_WIDTH];

    each! {
        add32(a: F32, b: F32) -> F32 = |l| a[l] + b[l];
        sub32(a: F32, b: F32) -> F32 = |l| a[l] - b[l];
        mul32(a: F32, b: F32) -> F32 = |l| a[l] * b[l];
        div32(a: F32, b: F32) -> F32 = |l| a[l] / b[l];
        sqrt32(a: F32) -> F32 = |l| a[l].sqrt();
        mul_add32(a: F32, b: F32, c: F32) -> F32 = |l| a[l].mul_add(b[l], c[l]);
        neg_mul_add32(a: F32, b: F32, c: F32) -> F32 = |l| (-a[l]).mul_add(b[l], c[l]);
        less32(a: F32, b: F32) -> M32 = |l| a[l] < b[l];
        select32(mask: M32, then: F32, otherwise: F32) -> F32 = |l| if mask[l] { then[l] } else { otherwise[l] };
        to_pattern32(a: F32) -> U32 = |l| a[l].to_bits();
        of_pattern32(a: U32) -> F32 = |l| f32::from_bits(a[l]);
        add_bits32(a: U32, b: U32) -> U32 = |l| a[l].wrapping_add(b[l]);
        sub_bits32(a: U32, b: U32) -> U32 = |l| a[l].wrapping_sub(b[l]);
        and_bits32(a: U32, b: U32) -> U32 = |l| a[l] & b[l];
        or_bits32(a: U32, b: U32) -> U32 = |l| a[l] | b[l];
        xor_bits32(a: U32, b: U32) -> U32 = |l| a[l] ^ b[l];
        shl_23(a: U32) -> U32 = |l| a[l] << 23;
        shl_30(a: U32) -> U32 = |l| a[l] << 30;
        shl_31(a: U32) -> U32 = |l| a[l] << 31;
        shr_23(a: U32) -> U32 = |l| a[l] >> 23;
    }

    #[inline(always)]
    fn any32(self, mask: Self::M32) -> bool {
        mask.contains(&true)
    }
    #[inline(always)]
    fn splat32(self, x: f32) -> Self::F32 {
        [x; SINGLE_WIDTH]
    }
    #[inline(always)]
    fn load32(self, x: &[f32; SINGLE_WIDTH]) -> Self::F32 {
        *x
    }
    #[inline(always)]
    fn store32(self, x: Self::F32, out: &mut [f32; SINGLE_WIDTH]) {
        *out = x;
    }
    #[inline(always)]
    fn splat_bits32(self, x: u32) -> Self::U32 {
        [x; SINGLE_WIDTH]
    }
}
