//! Eight numbers with operators.

use super::{Lanes, WIDTH};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Eight numbers of one instruction set; arithmetic acts lane by lane and is rounded as scalar arithmetic is.
#[derive(Clone, Copy)]
pub struct F64s<L: Lanes> {
    pub(super) lanes: L,
    pub(super) v: L::F,
}

impl<L: Lanes> F64s<L> {
    /// `x` in every lane.
    #[inline(always)]
    pub fn splat(lanes: L, x: f64) -> Self {
        F64s { lanes, v: lanes.splat(x) }
    }

    /// The eight numbers of an array.
    #[inline(always)]
    pub fn load(lanes: L, x: &[f64; WIDTH]) -> Self {
        F64s { lanes, v: lanes.load(x) }
    }

    /// The instruction set.
    #[inline(always)]
    pub fn lanes(self) -> L {
        self.lanes
    }

    /// Writes the eight numbers.
    #[inline(always)]
    pub fn store(self, out: &mut [f64; WIDTH]) {
        self.lanes.store(self.v, out);
    }

    /// The eight numbers as an array.
    #[inline(always)]
    pub fn to_array(self) -> [f64; WIDTH] {
        let mut out = [0.0; WIDTH];
        self.store(&mut out);
        out
    }

    /// self · b + c, rounded once.
    #[inline(always)]
    pub fn mul_add(self, b: Self, c: Self) -> Self {
        self.with(self.lanes.mul_add(self.v, b.v, c.v))
    }

    /// c − self · b, rounded once.
    #[inline(always)]
    pub fn neg_mul_add(self, b: Self, c: Self) -> Self {
        self.with(self.lanes.neg_mul_add(self.v, b.v, c.v))
    }

    /// √self; NaN where negative.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        self.with(self.lanes.sqrt(self.v))
    }

    /// self where it is less than b, else b (so b where either is NaN).
    #[inline(always)]
    pub fn min(self, b: Self) -> Self {
        self.with(self.lanes.select(self.lanes.less(self.v, b.v), self.v, b.v))
    }

    /// self where it is greater than b, else b (so b where either is NaN).
    #[inline(always)]
    pub fn max(self, b: Self) -> Self {
        self.with(self.lanes.select(self.lanes.less(b.v, self.v), self.v, b.v))
    }

    /// |self|.
    #[inline(always)]
    pub fn abs(self) -> Self {
        let mask = self.lanes.splat_bits(!(1 << 63));
        self.with(self.lanes.of_pattern(self.lanes.and_bits(self.lanes.to_pattern(self.v), mask)))
    }

    /// `then` in the lanes where self < b, else `otherwise`.
    #[inline(always)]
    pub fn if_less(self, b: Self, then: Self, otherwise: Self) -> Self {
        self.with(self.lanes.select(self.lanes.less(self.v, b.v), then.v, otherwise.v))
    }

    /// Whether self < b in any lane.
    #[inline(always)]
    pub fn any_less(self, b: Self) -> bool {
        self.lanes.any(self.lanes.less(self.v, b.v))
    }

    /// The nearest integer, ties to even, for |self| < 2⁵¹.
    #[inline(always)]
    pub fn round(self) -> Self {
        let magic = Self::splat(self.lanes, MAGIC);
        (self + magic) - magic
    }

    /// The sum of the lanes in a fixed order: ((0+4)+(2+6)) + ((1+5)+(3+7)).
    #[inline(always)]
    pub fn sum(self) -> f64 {
        let x = self.to_array();
        ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
    }

    /// Σ c_k selfᵏ by Horner's rule, the coefficient of lowest order first.
    #[inline(always)]
    pub(super) fn polynomial<const N: usize>(self, c: &[f64; N]) -> Self {
        let mut value = Self::splat(self.lanes, c[N - 1]);
        for k in (0..N - 1).rev() {
            value = value.mul_add(self, Self::splat(self.lanes, c[k]));
        }
        value
    }

    #[inline(always)]
    pub(super) fn with(self, v: L::F) -> Self {
        F64s { lanes: self.lanes, v }
    }
}

/// 1.5 · 2⁵²: a number below 2⁵¹ added to it is rounded to an integer, which stands in the low bits of the sum.
pub(super) const MAGIC: f64 = 6_755_399_441_055_744.0;

macro_rules! operator {
    ($($trait:ident $name:ident),+) => {$(
        impl<L: Lanes> $trait for F64s<L> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, b: Self) -> Self {
                F64s { lanes: self.lanes, v: self.lanes.$name(self.v, b.v) }
            }
        }
    )+};
}
operator!(Add add, Sub sub, Mul mul, Div div);

impl<L: Lanes> Neg for F64s<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let sign = self.lanes.splat_bits(1 << 63);
        self.with(self.lanes.of_pattern(self.lanes.xor_bits(self.lanes.to_pattern(self.v), sign)))
    }
}
