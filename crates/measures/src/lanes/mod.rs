//! Eight virtual lanes of double precision: explicit SIMD with runtime dispatch and the same bits everywhere.
//!
//! A [`LaneOp`] is written once, generic over [`Lanes`], and run by [`dispatch`] on the widest instruction set the
//! processor has: AVX-512 (one register), AVX2 with FMA (two), or plain code (an array of eight, with the fused
//! multiply–add of the platform). Every primitive is an IEEE operation that is rounded once, the number of lanes is
//! always [`WIDTH`] and reductions go through [`F64s::sum`], so a result does not depend on the instruction set.
//! [`force`] picks one, which is how tests prove it.
//!
//! Everything on the way from [`LaneOp::run`] to a primitive must be `#[inline(always)]` and free of closures: code that
//! is not inlined into the dispatched function is compiled without its instructions.
//!
//! ```
//! use measures::lanes::{F64s, LaneOp, Lanes, chunks, dispatch};
//! struct SumOfExp<'a>(&'a [f64]);
//! impl LaneOp for SumOfExp<'_> {
//!     type Output = f64;
//!     #[inline(always)]
//!     fn run<L: Lanes>(self, lanes: L) -> f64 {
//!         let (whole, _rest) = chunks(self.0);
//!         let mut total = F64s::splat(lanes, 0.0);
//!         for chunk in whole {
//!             total = total + F64s::load(lanes, chunk).exp();
//!         }
//!         total.sum()
//!     }
//! }
//! let total = dispatch(SumOfExp(&[0.0; 16]));
//! assert_eq!(total, 16.0);
//! ```

mod exp;
mod log;
mod portable;
mod real;
mod single;
mod trig;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use real::{Real, Scalar};
pub use single::{F32s, SINGLE_WIDTH, Single};
pub use vector::F64s;

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicU8, Ordering};

/// The number of lanes.
pub const WIDTH: usize = 8;

/// The primitives of one instruction set on eight lanes; sealed, because all of them must give the same bits.
///
/// Use them through [`F64s`], which has operators.
#[expect(missing_docs, reason = "each is the operation of its name, lane by lane")]
pub trait Lanes: Single + sealed::Sealed + Copy + Send + Sync + 'static {
    /// Eight numbers.
    type F: Copy;
    /// Eight 64-bit patterns.
    type U: Copy;
    /// Eight truth values.
    type M: Copy;

    fn splat(self, x: f64) -> Self::F;
    fn load(self, x: &[f64; WIDTH]) -> Self::F;
    fn store(self, x: Self::F, out: &mut [f64; WIDTH]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn sqrt(self, a: Self::F) -> Self::F;
    /// a·b + c, rounded once.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// c − a·b, rounded once.
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    fn less(self, a: Self::F, b: Self::F) -> Self::M;
    /// Whether any of them is true.
    fn any(self, mask: Self::M) -> bool;
    fn select(self, mask: Self::M, then: Self::F, otherwise: Self::F) -> Self::F;
    fn to_pattern(self, a: Self::F) -> Self::U;
    fn of_pattern(self, a: Self::U) -> Self::F;
    fn splat_bits(self, x: u64) -> Self::U;
    fn add_bits(self, a: Self::U, b: Self::U) -> Self::U;
    fn sub_bits(self, a: Self::U, b: Self::U) -> Self::U;
    fn and_bits(self, a: Self::U, b: Self::U) -> Self::U;
    fn or_bits(self, a: Self::U, b: Self::U) -> Self::U;
    fn xor_bits(self, a: Self::U, b: Self::U) -> Self::U;
    /// a · 2⁵², modulo 2⁶⁴.
    fn shl_52(self, a: Self::U) -> Self::U;
    /// a · 2⁶², modulo 2⁶⁴: the second bit becomes the sign.
    fn shl_62(self, a: Self::U) -> Self::U;
    /// a · 2⁶³, modulo 2⁶⁴: the lowest bit becomes the sign.
    fn shl_63(self, a: Self::U) -> Self::U;
    /// ⌊a / 2⁵²⌋ of the unsigned pattern.
    fn shr_52(self, a: Self::U) -> Self::U;
}

mod sealed {
    pub trait Sealed {}
}

/// A computation on lanes, to be run on any instruction set. Mark the implementation `#[inline(always)]`.
pub trait LaneOp {
    /// What it returns.
    type Output;

    /// Runs it with the primitives of one instruction set.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// Arrays of eight, compiled for the baseline of the target.
    Portable,
    /// AVX2 and FMA: two registers of four.
    Avx2,
    /// AVX-512 F, BW, CD, DQ, VL: one register of eight.
    Avx512,
}

impl Isa {
    /// The instruction sets of this processor, narrowest first.
    pub fn available() -> Vec<Isa> {
        [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The one that [`dispatch`] uses now.
    pub fn current() -> Isa {
        match FORCED.load(Ordering::Relaxed) {
            1 => Isa::Portable,
            2 => Isa::Avx2,
            3 => Isa::Avx512,
            _ => Isa::best(),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => pulp::x86::V3::try_new().is_some(),
            Isa::Avx512 => pulp::x86::V4::try_new().is_some(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Isa::Portable
    }

    fn best() -> Isa {
        if Isa::Avx512.is_available() {
            Isa::Avx512
        } else if Isa::Avx2.is_available() {
            Isa::Avx2
        } else {
            Isa::Portable
        }
    }
}

/// 0 for the best there is, else 1 + the forced instruction set.
static FORCED: AtomicU8 = AtomicU8::new(0);

/// Makes the whole process use one instruction set, or with `None` the best again. Results do not change: this is for
/// tests that prove so, and for timing.
///
/// # Errors
/// The processor does not have it.
pub fn force(isa: Option<Isa>) -> Result<()> {
    let code = match isa {
        None => 0,
        Some(isa) if !isa.is_available() => {
            return Err(Error::Undefined { what: "instruction set", why: "this processor does not have it" });
        }
        Some(Isa::Portable) => 1,
        Some(Isa::Avx2) => 2,
        Some(Isa::Avx512) => 3,
    };
    FORCED.store(code, Ordering::Relaxed);
    Ok(())
}

/// Runs `op` on the current instruction set.
#[inline]
pub fn dispatch<O: LaneOp>(op: O) -> O::Output {
    #[cfg(target_arch = "x86_64")]
    {
        let isa = Isa::current();
        if isa == Isa::Avx512
            && let Some(token) = pulp::x86::V4::try_new()
        {
            return x86::run_v4(token, op);
        }
        if isa == Isa::Avx2
            && let Some(token) = pulp::x86::V3::try_new()
        {
            return x86::run_v3(token, op);
        }
    }
    op.run(portable::Portable)
}

/// A slice as whole chunks of eight and the rest.
#[inline(always)]
pub fn chunks(x: &[f64]) -> (&[[f64; WIDTH]], &[f64]) {
    x.as_chunks()
}

/// A slice to be written as whole chunks of eight and the rest.
#[inline(always)]
pub fn chunks_mut(x: &mut [f64]) -> (&mut [[f64; WIDTH]], &mut [f64]) {
    x.as_chunks_mut()
}
