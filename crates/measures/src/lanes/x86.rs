//! The lanes in AVX2 and AVX-512 registers, through pulp's tokens: holding one proves that the processor has the set.

use super::{LaneOp, Lanes, WIDTH, sealed::Sealed};
use pulp::x86::{V3, V4};
use pulp::{Simd, WithSimd, b8, f64x4, f64x8, m64x4, u64x4, u64x8};

/// Carries the token past pulp's generic dispatch, which would forget which instruction set it is.
struct With<T, O>(T, O);

impl<T: Lanes, O: LaneOp> WithSimd for With<T, O> {
    type Output = O::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> O::Output {
        self.1.run(self.0)
    }
}

#[inline]
pub(super) fn run_v3<O: LaneOp>(token: V3, op: O) -> O::Output {
    Simd::vectorize(token, With(token, op))
}

#[inline]
pub(super) fn run_v4<O: LaneOp>(token: V4, op: O) -> O::Output {
    Simd::vectorize(token, With(token, op))
}

impl Sealed for V3 {}
impl Sealed for V4 {}

macro_rules! pairs {
    ($($name:ident = $pulp:ident($($arg:ident: $ty:ident),+) -> $out:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::$ty),+) -> Self::$out {
            [Simd::$pulp(self, $($arg[0]),+), Simd::$pulp(self, $($arg[1]),+)]
        }
    )+};
}

impl Lanes for V3 {
    type F = [f64x4; 2];
    type U = [u64x4; 2];
    type M = [m64x4; 2];

    pairs! {
        add = add_f64s(a: F, b: F) -> F;
        sub = sub_f64s(a: F, b: F) -> F;
        mul = mul_f64s(a: F, b: F) -> F;
        div = div_f64s(a: F, b: F) -> F;
        sqrt = sqrt_f64s(a: F) -> F;
        mul_add = mul_add_f64s(a: F, b: F, c: F) -> F;
        less = less_than_f64s(a: F, b: F) -> M;
        select = select_f64s(mask: M, then: F, otherwise: F) -> F;
        to_pattern = transmute_u64s_f64s(a: F) -> U;
        of_pattern = transmute_f64s_u64s(a: U) -> F;
        add_bits = add_u64s(a: U, b: U) -> U;
        sub_bits = sub_u64s(a: U, b: U) -> U;
        and_bits = and_u64s(a: U, b: U) -> U;
        or_bits = or_u64s(a: U, b: U) -> U;
        xor_bits = xor_u64s(a: U, b: U) -> U;
    }

    #[inline(always)]
    fn any(self, mask: Self::M) -> bool {
        let either: [u64; 8] = bytemuck::cast(mask);
        either.iter().fold(0, |a, b| a | b) != 0
    }
    #[inline(always)]
    fn splat(self, x: f64) -> Self::F {
        [Simd::splat_f64s(self, x); 2]
    }
    #[inline(always)]
    fn load(self, x: &[f64; WIDTH]) -> Self::F {
        bytemuck::cast(*x)
    }
    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f64; WIDTH]) {
        *out = bytemuck::cast(x);
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        [self.negate_mul_add_f64x4(a[0], b[0], c[0]), self.negate_mul_add_f64x4(a[1], b[1], c[1])]
    }
    #[inline(always)]
    fn splat_bits(self, x: u64) -> Self::U {
        [Simd::splat_u64s(self, x); 2]
    }
    #[inline(always)]
    fn shl_52(self, a: Self::U) -> Self::U {
        [self.shl_const_u64x4::<52>(a[0]), self.shl_const_u64x4::<52>(a[1])]
    }
    #[inline(always)]
    fn shl_62(self, a: Self::U) -> Self::U {
        [self.shl_const_u64x4::<62>(a[0]), self.shl_const_u64x4::<62>(a[1])]
    }
    #[inline(always)]
    fn shl_63(self, a: Self::U) -> Self::U {
        [self.shl_const_u64x4::<63>(a[0]), self.shl_const_u64x4::<63>(a[1])]
    }
    #[inline(always)]
    fn shr_52(self, a: Self::U) -> Self::U {
        [self.shr_const_u64x4::<52>(a[0]), self.shr_const_u64x4::<52>(a[1])]
    }
}

macro_rules! singles {
    ($($name:ident = $pulp:ident($($arg:ident: $ty:ident),+) -> $out:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::$ty),+) -> Self::$out {
            Simd::$pulp(self, $($arg),+)
        }
    )+};
}

impl Lanes for V4 {
    type F = f64x8;
    type U = u64x8;
    type M = b8;

    singles! {
        add = add_f64s(a: F, b: F) -> F;
        sub = sub_f64s(a: F, b: F) -> F;
        mul = mul_f64s(a: F, b: F) -> F;
        div = div_f64s(a: F, b: F) -> F;
        sqrt = sqrt_f64s(a: F) -> F;
        mul_add = mul_add_f64s(a: F, b: F, c: F) -> F;
        less = less_than_f64s(a: F, b: F) -> M;
        select = select_f64s(mask: M, then: F, otherwise: F) -> F;
        to_pattern = transmute_u64s_f64s(a: F) -> U;
        of_pattern = transmute_f64s_u64s(a: U) -> F;
        add_bits = add_u64s(a: U, b: U) -> U;
        sub_bits = sub_u64s(a: U, b: U) -> U;
        and_bits = and_u64s(a: U, b: U) -> U;
        or_bits = or_u64s(a: U, b: U) -> U;
        xor_bits = xor_u64s(a: U, b: U) -> U;
    }

    #[inline(always)]
    fn any(self, mask: Self::M) -> bool {
        mask.0 != 0
    }
    #[inline(always)]
    fn splat(self, x: f64) -> Self::F {
        Simd::splat_f64s(self, x)
    }
    #[inline(always)]
    fn load(self, x: &[f64; WIDTH]) -> Self::F {
        bytemuck::cast(*x)
    }
    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f64; WIDTH]) {
        *out = bytemuck::cast(x);
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        self.negate_mul_add_f64x8(a, b, c)
    }
    #[inline(always)]
    fn splat_bits(self, x: u64) -> Self::U {
        Simd::splat_u64s(self, x)
    }
    #[inline(always)]
    fn shl_52(self, a: Self::U) -> Self::U {
        self.shl_const_u64x8::<52>(a)
    }
    #[inline(always)]
    fn shl_62(self, a: Self::U) -> Self::U {
        self.shl_const_u64x8::<62>(a)
    }
    #[inline(always)]
    fn shl_63(self, a: Self::U) -> Self::U {
        self.shl_const_u64x8::<63>(a)
    }
    #[inline(always)]
    fn shr_52(self, a: Self::U) -> Self::U {
        self.shr_const_u64x8::<52>(a)
    }
}
