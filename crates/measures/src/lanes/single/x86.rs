//! Single precision in AVX2 and AVX-512 registers.

use super::{SINGLE_WIDTH, Single};
use pulp::x86::{V3, V4};
use pulp::{Simd, b16, f32x8, f32x16, m32x8, u32x8, u32x16};

macro_rules! operations {
    ($call:ident) => {
        $call! {
            add32 = add_f32s(a: F32, b: F32) -> F32;
            sub32 = sub_f32s(a: F32, b: F32) -> F32;
            mul32 = mul_f32s(a: F32, b: F32) -> F32;
            div32 = div_f32s(a: F32, b: F32) -> F32;
            sqrt32 = sqrt_f32s(a: F32) -> F32;
            mul_add32 = mul_add_f32s(a: F32, b: F32, c: F32) -> F32;
            less32 = less_than_f32s(a: F32, b: F32) -> M32;
            select32 = select_f32s(mask: M32, then: F32, otherwise: F32) -> F32;
            to_pattern32 = transmute_u32s_f32s(a: F32) -> U32;
            of_pattern32 = transmute_f32s_u32s(a: U32) -> F32;
            add_bits32 = add_u32s(a: U32, b: U32) -> U32;
            sub_bits32 = sub_u32s(a: U32, b: U32) -> U32;
            and_bits32 = and_u32s(a: U32, b: U32) -> U32;
            or_bits32 = or_u32s(a: U32, b: U32) -> U32;
            xor_bits32 = xor_u32s(a: U32, b: U32) -> U32;
        }
    };
}

macro_rules! pairs {
    ($($name:ident = $pulp:ident($($arg:ident: $ty:ident),+) -> $out:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::$ty),+) -> Self::$out {
            [Simd::$pulp(self, $($arg[0]),+), Simd::$pulp(self, $($arg[1]),+)]
        }
    )+};
}

macro_rules! singles {
    ($($name:ident = $pulp:ident($($arg:ident: $ty:ident),+) -> $out:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::$ty),+) -> Self::$out {
            Simd::$pulp(self, $($arg),+)
        }
    )+};
}

impl Single for V3 {
    type F32 = [f32x8; 2];
    type U32 = [u32x8; 2];
    type M32 = [m32x8; 2];

    operations!(pairs);

    #[inline(always)]
    fn any32(self, mask: Self::M32) -> bool {
        let either: [u64; 8] = bytemuck::cast(mask);
        either.iter().fold(0, |a, b| a | b) != 0
    }
    #[inline(always)]
    fn splat32(self, x: f32) -> Self::F32 {
        [Simd::splat_f32s(self, x); 2]
    }
    #[inline(always)]
    fn load32(self, x: &[f32; SINGLE_WIDTH]) -> Self::F32 {
        bytemuck::cast(*x)
    }
    #[inline(always)]
    fn store32(self, x: Self::F32, out: &mut [f32; SINGLE_WIDTH]) {
        *out = bytemuck::cast(x);
    }
    #[inline(always)]
    fn neg_mul_add32(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        [self.negate_mul_add_f32x8(a[0], b[0], c[0]), self.negate_mul_add_f32x8(a[1], b[1], c[1])]
    }
    #[inline(always)]
    fn splat_bits32(self, x: u32) -> Self::U32 {
        [Simd::splat_u32s(self, x); 2]
    }
    #[inline(always)]
    fn shl_23(self, a: Self::U32) -> Self::U32 {
        [self.shl_const_u32x8::<23>(a[0]), self.shl_const_u32x8::<23>(a[1])]
    }
    #[inline(always)]
    fn shl_30(self, a: Self::U32) -> Self::U32 {
        [self.shl_const_u32x8::<30>(a[0]), self.shl_const_u32x8::<30>(a[1])]
    }
    #[inline(always)]
    fn shl_31(self, a: Self::U32) -> Self::U32 {
        [self.shl_const_u32x8::<31>(a[0]), self.shl_const_u32x8::<31>(a[1])]
    }
    #[inline(always)]
    fn shr_23(self, a: Self::U32) -> Self::U32 {
        [self.shr_const_u32x8::<23>(a[0]), self.shr_const_u32x8::<23>(a[1])]
    }
}

impl Single for V4 {
    type F32 = f32x16;
    type U32 = u32x16;
    type M32 = b16;

    operations!(singles);

    #[inline(always)]
    fn any32(self, mask: Self::M32) -> bool {
        mask.0 != 0
    }
    #[inline(always)]
    fn splat32(self, x: f32) -> Self::F32 {
        Simd::splat_f32s(self, x)
    }
    #[inline(always)]
    fn load32(self, x: &[f32; SINGLE_WIDTH]) -> Self::F32 {
        bytemuck::cast(*x)
    }
    #[inline(always)]
    fn store32(self, x: Self::F32, out: &mut [f32; SINGLE_WIDTH]) {
        *out = bytemuck::cast(x);
    }
    #[inline(always)]
    fn neg_mul_add32(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        self.negate_mul_add_f32x16(a, b, c)
    }
    #[inline(always)]
    fn splat_bits32(self, x: u32) -> Self::U32 {
        Simd::splat_u32s(self, x)
    }
    #[inline(always)]
    fn shl_23(self, a: Self::U32) -> Self::U32 {
        self.shl_const_u32x16::<23>(a)
    }
    #[inline(always)]
    fn shl_30(self, a: Self::U32) -> Self::U32 {
        self.shl_const_u32x16::<30>(a)
    }
    #[inline(always)]
    fn shl_31(self, a: Self::U32) -> Self::U32 {
        self.shl_const_u32x16::<31>(a)
    }
    #[inline(always)]
    fn shr_23(self, a: Self::U32) -> Self::U32 {
        self.shr_const_u32x16::<23>(a)
    }
}
