//! Points that fill the unit cube more evenly than chance: Sobol and Halton sequences, plain or scrambled.
//!
//! Scrambling keeps the evenness and makes every single point uniform, so that averages are unbiased and repeated
//! scrambles give a standard error ([`rqmc`]); for smooth functions the error falls as n^{−3/2} up to logarithms.

mod halton;
mod sobol;

pub use halton::Halton;
pub use sobol::Sobol;

use crate::error::{Error, Result, check_len};
use crate::estimate::Estimate;
use crate::points::Points;
use crate::seed::Seed;
use crate::special::ndtri;

/// A sequence of points in the unit cube [0, 1)ᵈ that can be read from anywhere.
pub trait QuasiRandom {
    /// d.
    fn dim(&self) -> usize;

    /// Points number `start`, …, `start` + `n` − 1 of the sequence, n×d.
    ///
    /// # Errors
    /// The sequence, of 2³² points, ends before.
    fn points(&self, start: u64, n: usize) -> Result<Points>;
}

/// The number of points of a sequence.
pub const SEQUENCE_LENGTH: u64 = 1 << 32;

/// Rows written by one thread at a time.
const BLOCK: usize = 2048;

fn check_range(start: u64, n: usize) -> Result<()> {
    match start.checked_add(n as u64) {
        Some(end) if end <= SEQUENCE_LENGTH => Ok(()),
        end => Err(Error::TooMany {
            what: "points of the sequence",
            limit: usize::try_from(SEQUENCE_LENGTH).unwrap_or(usize::MAX),
            requested: usize::try_from(end.unwrap_or(u64::MAX)).unwrap_or(usize::MAX),
        }),
    }
}

/// Two words of key for each coordinate.
fn keys(seed: Seed, dim: usize) -> Vec<[u64; 2]> {
    (0..dim as u64)
        .map(|k| {
            let key = seed.child(k).key();
            [0, 8].map(|at| u64::from_le_bytes(key[at..at + 8].try_into().expect("eight bytes")))
        })
        .collect()
}

/// 64 bits that depend on every bit of the key and of both words.
#[inline]
fn hash(key: [u64; 2], a: u64, b: u64) -> u64 {
    let mut x = (a ^ key[0]).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_add(key[1]);
    // Two rounds of multiplication and shifts, as in the finishers of splitmix64.
    x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 32)
}

/// Uniform points made standard normal, coordinate by coordinate: z = Φ⁻¹(u).
///
/// # Errors
/// A coordinate is not strictly between 0 and 1 (the first point of an unscrambled sequence is the origin: skip it, or
/// scramble).
pub fn normal(u: &Points) -> Result<Points> {
    if let Some(index) = u.as_slice().iter().position(|u| !(*u > 0.0 && *u < 1.0)) {
        let value = u.as_slice()[index];
        return Err(Error::Entry { what: "coordinates", index, value, must: "strictly between 0 and 1" });
    }
    let mut z = u.clone();
    crate::parallel::fill_blocks(z.as_mut_slice(), u.dim(), BLOCK, |_, chunk| {
        chunk.iter_mut().for_each(|z| *z = ndtri(*z));
    });
    Ok(z)
}

/// ∫ f over the unit cube by randomised quasi-Monte Carlo: the mean over `replicates` independent scrambles of the first `n`
/// Sobol points, and the standard error of that mean.
///
/// `f` gives one value a point. Unbiased; `n` a power of two keeps the net whole.
///
/// ```
/// use measures::{Seed, quasi::rqmc};
/// let e = rqmc(2, 1024, 8, Seed::new(0), |u| Ok(u.rows().map(|x| x[0] * x[1]).collect()))?;
/// assert!((e.value - 0.25).abs() < 5.0 * e.standard_error && e.standard_error < 5e-5);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// As [`Sobol::new`]; fewer than two replicates, no point, a value that is not finite, another number of values than points,
/// or an error of `f` itself.
pub fn rqmc(
    dim: usize,
    n: usize,
    replicates: usize,
    seed: Seed,
    mut f: impl FnMut(&Points) -> Result<Vec<f64>>,
) -> Result<Estimate> {
    if replicates < 2 {
        return Err(Error::TooFew { what: "replicates", at_least: 2, got: replicates });
    }
    if n == 0 {
        return Err(Error::TooFew { what: "points", at_least: 1, got: 0 });
    }
    let plain = Sobol::new(dim)?;
    let means: Result<Vec<f64>> = (0..replicates as u64)
        .map(|r| {
            let values = f(&plain.scrambled(seed.child(r)).points(0, n)?)?;
            check_len("values of f", n, values.len())?;
            Ok(Estimate::of_mean(&values)?.value)
        })
        .collect();
    Estimate::of_mean(&means?)
}
