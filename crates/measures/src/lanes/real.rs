//! Numbers of either precision, so that a formula is written once.

use super::{F32s, F64s, Lanes, SINGLE_WIDTH, WIDTH};
use std::ops::{Add, Div, Mul, Neg, Sub};

mod sealed {
    pub trait Sealed {}
}

/// The number in one lane: `f64` or `f32`.
pub trait Scalar: sealed::Sealed + Copy + Default + PartialOrd + Send + Sync + 'static {
    /// The nearest number.
    fn of(x: f64) -> Self;
    /// The number in double precision.
    fn double(self) -> f64;
    /// One of two tables, that of this precision.
    fn pick<'a>(double: &'a [f64], single: &'a [f32]) -> &'a [Self];
}

impl sealed::Sealed for f64 {}
impl sealed::Sealed for f32 {}

impl Scalar for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn double(self) -> f64 {
        self
    }
    #[inline(always)]
    fn pick<'a>(double: &'a [f64], _: &'a [f32]) -> &'a [Self] {
        double
    }
}

impl Scalar for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn double(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn pick<'a>(_: &'a [f64], single: &'a [f32]) -> &'a [Self] {
        single
    }
}

/// Numbers in lanes, [`F64s`] or [`F32s`]: a formula over `Real` runs in either precision on any instruction set.
///
/// As everywhere in this module, mark what is between a [`LaneOp`](super::LaneOp) and these operations `#[inline(always)]`.
///
/// ```
/// use measures::lanes::{F64s, LaneOp, Lanes, Real, dispatch};
/// #[inline(always)]
/// fn logistic<R: Real>(x: R) -> R {
///     x.num(1.0) / (x.num(1.0) + (-x).exp())
/// }
/// struct Half;
/// impl LaneOp for Half {
///     type Output = f64;
///     #[inline(always)]
///     fn run<L: Lanes>(self, lanes: L) -> f64 {
///         logistic(F64s::splat(lanes, 0.0)).to_array()[0]
///     }
/// }
/// assert_eq!(dispatch(Half), 0.5);
/// ```
pub trait Real:
    sealed::Sealed
    + Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The number in a lane.
    type Scalar: Scalar;
    /// The instruction set.
    type Set: Lanes;
    /// As many numbers as there are lanes.
    type Array: Copy + Default + AsRef<[Self::Scalar]> + AsMut<[Self::Scalar]>;
    /// The number of lanes.
    const LANES: usize;

    /// `x` in every lane.
    fn splat(lanes: Self::Set, x: Self::Scalar) -> Self;
    /// The numbers of an array.
    fn of_array(lanes: Self::Set, x: &Self::Array) -> Self;
    /// The numbers as an array.
    fn array(self) -> Self::Array;
    /// `x` in every lane, on the instruction set of `self`, whose value does not matter.
    fn of(self, x: Self::Scalar) -> Self;
    /// The constant `x` in every lane: rounded to this precision, and converted at each use unless the compiler knows it.
    #[inline(always)]
    fn num(self, x: f64) -> Self {
        self.of(Self::Scalar::of(x))
    }
    /// self · b + c, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// c − self · b, rounded once.
    fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// √self; NaN where negative.
    fn sqrt(self) -> Self;
    /// self where it is less than b, else b (so b where either is NaN).
    fn min(self, b: Self) -> Self;
    /// self where it is greater than b, else b (so b where either is NaN).
    fn max(self, b: Self) -> Self;
    /// |self|.
    fn abs(self) -> Self;
    /// `then` in the lanes where self < b, else `otherwise`.
    fn if_less(self, b: Self, then: Self, otherwise: Self) -> Self;
    /// Whether self < b in any lane.
    fn any_less(self, b: Self) -> bool;
    /// eˣ: see [`F64s::exp`] and [`F32s::exp`].
    fn exp(self) -> Self;
    /// eˣ for x ≤ 0, NaN excluded.
    fn exp_nonpositive(self) -> Self;
    /// 2ˣ for x ≤ 0, NaN excluded.
    fn exp2_nonpositive(self) -> Self;
    /// ln x: see [`F64s::ln`] and [`F32s::ln`].
    fn ln(self) -> Self;
    /// (sin 2πt, cos 2πt).
    fn sin_cos_turns(self) -> (Self, Self);
}

macro_rules! real {
    ($vector:ident, $scalar:ident, $width:expr) => {
        impl<L: Lanes> sealed::Sealed for $vector<L> {}

        impl<L: Lanes> Real for $vector<L> {
            type Scalar = $scalar;
            type Set = L;
            type Array = [$scalar; $width];
            const LANES: usize = $width;

            #[inline(always)]
            fn splat(lanes: L, x: $scalar) -> Self {
                $vector::splat(lanes, x)
            }
            #[inline(always)]
            fn of_array(lanes: L, x: &Self::Array) -> Self {
                $vector::load(lanes, x)
            }
            #[inline(always)]
            fn array(self) -> Self::Array {
                self.to_array()
            }
            #[inline(always)]
            fn of(self, x: $scalar) -> Self {
                $vector::splat(self.lanes, x)
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                $vector::mul_add(self, b, c)
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                $vector::neg_mul_add(self, b, c)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $vector::sqrt(self)
            }
            #[inline(always)]
            fn min(self, b: Self) -> Self {
                $vector::min(self, b)
            }
            #[inline(always)]
            fn max(self, b: Self) -> Self {
                $vector::max(self, b)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $vector::abs(self)
            }
            #[inline(always)]
            fn if_less(self, b: Self, then: Self, otherwise: Self) -> Self {
                $vector::if_less(self, b, then, otherwise)
            }
            #[inline(always)]
            fn any_less(self, b: Self) -> bool {
                $vector::any_less(self, b)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $vector::exp(self)
            }
            #[inline(always)]
            fn exp_nonpositive(self) -> Self {
                $vector::exp_nonpositive(self)
            }
            #[inline(always)]
            fn exp2_nonpositive(self) -> Self {
                $vector::exp2_nonpositive(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $vector::ln(self)
            }
            #[inline(always)]
            fn sin_cos_turns(self) -> (Self, Self) {
                $vector::sin_cos_turns(self)
            }
        }
    };
}
real!(F64s, f64, WIDTH);
real!(F32s, f32, SINGLE_WIDTH);
