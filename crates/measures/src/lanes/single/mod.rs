//! Sixteen virtual lanes of single precision beside the eight of double: the same registers, twice the numbers.

mod exp;
mod log;
mod portable;
mod trig;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

use super::{Lanes, sealed::Sealed};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The number of lanes of single precision.
pub const SINGLE_WIDTH: usize = 16;

/// The primitives of one instruction set on sixteen lanes of single precision; sealed, as [`Lanes`] is.
///
/// Use them through [`F32s`], which has operators.
#[expect(missing_docs, reason = "each is the operation of its name, lane by lane")]
pub trait Single: Sealed + Copy + Send + Sync + 'static {
    /// Sixteen numbers.
    type F32: Copy;
    /// Sixteen 32-bit patterns.
    type U32: Copy;
    /// Sixteen truth values.
    type M32: Copy;

    fn splat32(self, x: f32) -> Self::F32;
    fn load32(self, x: &[f32; SINGLE_WIDTH]) -> Self::F32;
    fn store32(self, x: Self::F32, out: &mut [f32; SINGLE_WIDTH]);
    fn add32(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub32(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul32(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div32(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sqrt32(self, a: Self::F32) -> Self::F32;
    /// a·b + c, rounded once.
    fn mul_add32(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// c − a·b, rounded once.
    fn neg_mul_add32(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    fn less32(self, a: Self::F32, b: Self::F32) -> Self::M32;
    /// Whether any of them is true.
    fn any32(self, mask: Self::M32) -> bool;
    fn select32(self, mask: Self::M32, then: Self::F32, otherwise: Self::F32) -> Self::F32;
    fn to_pattern32(self, a: Self::F32) -> Self::U32;
    fn of_pattern32(self, a: Self::U32) -> Self::F32;
    fn splat_bits32(self, x: u32) -> Self::U32;
    fn add_bits32(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn sub_bits32(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn and_bits32(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn or_bits32(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn xor_bits32(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// a · 2²³, modulo 2³².
    fn shl_23(self, a: Self::U32) -> Self::U32;
    /// a · 2³⁰, modulo 2³²: the second bit becomes the sign.
    fn shl_30(self, a: Self::U32) -> Self::U32;
    /// a · 2³¹, modulo 2³²: the lowest bit becomes the sign.
    fn shl_31(self, a: Self::U32) -> Self::U32;
    /// ⌊a / 2²³⌋ of the unsigned pattern.
    fn shr_23(self, a: Self::U32) -> Self::U32;
}

/// Sixteen numbers of single precision of one instruction set; arithmetic acts lane by lane and is rounded as scalar
/// arithmetic is, so that results have the same bits on every instruction set.
///
/// ```
/// use measures::lanes::{F32s, LaneOp, Lanes, dispatch};
/// struct Exp([f32; 16]);
/// impl LaneOp for Exp {
///     type Output = [f32; 16];
///     #[inline(always)]
///     fn run<L: Lanes>(self, lanes: L) -> [f32; 16] {
///         F32s::load(lanes, &self.0).exp().to_array()
///     }
/// }
/// assert_eq!(dispatch(Exp([0.0; 16])), [1.0; 16]);
/// ```
#[derive(Clone, Copy)]
pub struct F32s<L: Lanes> {
    pub(super) lanes: L,
    pub(super) v: L::F32,
}

impl<L: Lanes> F32s<L> {
    /// `x` in every lane.
    #[inline(always)]
    pub fn splat(lanes: L, x: f32) -> Self {
        F32s { lanes, v: lanes.splat32(x) }
    }

    /// The sixteen numbers of an array.
    #[inline(always)]
    pub fn load(lanes: L, x: &[f32; SINGLE_WIDTH]) -> Self {
        F32s { lanes, v: lanes.load32(x) }
    }

    /// The instruction set.
    #[inline(always)]
    pub fn lanes(self) -> L {
        self.lanes
    }

    /// Writes the sixteen numbers.
    #[inline(always)]
    pub fn store(self, out: &mut [f32; SINGLE_WIDTH]) {
        self.lanes.store32(self.v, out);
    }

    /// The sixteen numbers as an array.
    #[inline(always)]
    pub fn to_array(self) -> [f32; SINGLE_WIDTH] {
        let mut out = [0.0; SINGLE_WIDTH];
        self.store(&mut out);
        out
    }

    /// self · b + c, rounded once.
    #[inline(always)]
    pub fn mul_add(self, b: Self, c: Self) -> Self {
        self.with(self.lanes.mul_add32(self.v, b.v, c.v))
    }

    /// c − self · b, rounded once.
    #[inline(always)]
    pub fn neg_mul_add(self, b: Self, c: Self) -> Self {
        self.with(self.lanes.neg_mul_add32(self.v, b.v, c.v))
    }

    /// √self; NaN where negative.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        self.with(self.lanes.sqrt32(self.v))
    }

    /// self where it is less than b, else b (so b where either is NaN).
    #[inline(always)]
    pub fn min(self, b: Self) -> Self {
        self.with(self.lanes.select32(self.lanes.less32(self.v, b.v), self.v, b.v))
    }

    /// self where it is greater than b, else b (so b where either is NaN).
    #[inline(always)]
    pub fn max(self, b: Self) -> Self {
        self.with(self.lanes.select32(self.lanes.less32(b.v, self.v), self.v, b.v))
    }

    /// |self|.
    #[inline(always)]
    pub fn abs(self) -> Self {
        let mask = self.lanes.splat_bits32(!(1 << 31));
        self.with(self.lanes.of_pattern32(self.lanes.and_bits32(self.lanes.to_pattern32(self.v), mask)))
    }

    /// `then` in the lanes where self < b, else `otherwise`.
    #[inline(always)]
    pub fn if_less(self, b: Self, then: Self, otherwise: Self) -> Self {
        self.with(self.lanes.select32(self.lanes.less32(self.v, b.v), then.v, otherwise.v))
    }

    /// Whether self < b in any lane.
    #[inline(always)]
    pub fn any_less(self, b: Self) -> bool {
        self.lanes.any32(self.lanes.less32(self.v, b.v))
    }

    /// The nearest integer, ties to even, for |self| < 2²².
    #[inline(always)]
    pub fn round(self) -> Self {
        let magic = Self::splat(self.lanes, MAGIC);
        (self + magic) - magic
    }

    /// Σ c_k selfᵏ by Horner's rule, the coefficient of lowest order first.
    #[inline(always)]
    fn polynomial<const N: usize>(self, c: &[f32; N]) -> Self {
        let mut value = Self::splat(self.lanes, c[N - 1]);
        for k in (0..N - 1).rev() {
            value = value.mul_add(self, Self::splat(self.lanes, c[k]));
        }
        value
    }

    #[inline(always)]
    fn with(self, v: L::F32) -> Self {
        F32s { lanes: self.lanes, v }
    }
}

/// 1.5 · 2²³: a number below 2²² added to it is rounded to an integer, which stands in the low bits of the sum.
const MAGIC: f32 = 12_582_912.0;

macro_rules! operator {
    ($($trait:ident $name:ident $primitive:ident),+) => {$(
        impl<L: Lanes> $trait for F32s<L> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, b: Self) -> Self {
                F32s { lanes: self.lanes, v: self.lanes.$primitive(self.v, b.v) }
            }
        }
    )+};
}
operator!(Add add add32, Sub sub sub32, Mul mul mul32, Div div div32);

impl<L: Lanes> Neg for F32s<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let sign = self.lanes.splat_bits32(1 << 31);
        self.with(self.lanes.of_pattern32(self.lanes.xor_bits32(self.lanes.to_pattern32(self.v), sign)))
    }
}
