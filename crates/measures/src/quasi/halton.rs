//! The Halton sequence with Owen's nested uniform scrambling in every base.

use super::{BLOCK, QuasiRandom, SEQUENCE_LENGTH, check_range, hash, keys};
use crate::error::{Error, Result};
use crate::parallel::fill_blocks;
use crate::points::Points;
use crate::seed::Seed;

/// A Halton sequence: coordinate j is the radical inverse of the index in the j-th prime base.
///
/// Any ∏ b_j^{k_j} consecutive points have exactly one in every box of the grid of b_j^{k_j} intervals a side. Without
/// scrambling, coordinates of large base run in step for a long time; scramble beyond a few dimensions. Sources: Halton
/// (1960), DOI 10.1007/BF01386213; scrambling: Owen (1995), DOI 10.1007/978-1-4612-2552-2_19.
///
/// ```
/// use measures::quasi::{Halton, QuasiRandom};
/// assert_eq!(Halton::new(1)?.points(1, 3)?.as_slice(), &[0.5, 0.25, 0.75]);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Halton {
    bases: Vec<u64>,
    keys: Option<Vec<[u64; 2]>>,
}

impl Halton {
    /// The largest dimension.
    pub const MAX_DIM: usize = 1024;

    /// The plain sequence, whose first point is the origin.
    ///
    /// # Errors
    /// `dim` is zero or above [`Halton::MAX_DIM`].
    pub fn new(dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
        }
        if dim > Self::MAX_DIM {
            return Err(Error::TooMany { what: "dim", limit: Self::MAX_DIM, requested: dim });
        }
        let mut bases: Vec<u64> = Vec::with_capacity(dim);
        let mut candidate = 2;
        while bases.len() < dim {
            if bases.iter().take_while(|p| *p * *p <= candidate).all(|p| candidate % p != 0) {
                bases.push(candidate);
            }
            candidate += 1;
        }
        Ok(Halton { bases, keys: None })
    }

    /// The same sequence under nested uniform scrambling: at every node of the b-adic tree of every coordinate an independent uniform
    /// permutation of the b branches, a function of the seed. Each point becomes uniform on the cube.
    pub fn scrambled(&self, seed: Seed) -> Self {
        Halton { keys: Some(keys(seed, self.bases.len())), ..self.clone() }
    }

    /// The prime bases.
    pub fn bases(&self) -> &[u64] {
        &self.bases
    }
}

fn radical_inverse(mut i: u64, base: u64) -> f64 {
    // The digits reversed as one integer, divided once: rounded once.
    let (mut reversed, mut scale) = (0u64, 1u64);
    while i > 0 {
        reversed = reversed * base + i % base;
        scale *= base;
        i /= base;
    }
    reversed as f64 / scale as f64
}

/// Where a node's permutation sends `digit`: the first steps of Fisher and Yates' shuffle, as many as are needed.
fn permuted(digit: u64, base: u64, key: [u64; 2], node: u64, scratch: &mut Vec<u64>) -> u64 {
    let draw = |step: u64| {
        let random = hash(key, node, step);
        step + ((u128::from(random) * u128::from(base - step)) >> 64) as u64
    };
    if digit == 0 {
        return draw(0);
    }
    scratch.clear();
    scratch.extend(0..base);
    for step in 0..=digit {
        scratch.swap(step as usize, draw(step) as usize);
    }
    scratch[digit as usize]
}

/// The scrambled radical inverse. Once base^level passes 2³² a node belongs to one point of the sequence alone, and what
/// is below it is one uniform draw.
fn scrambled_inverse(i: u64, base: u64, key: [u64; 2], scratch: &mut Vec<u64>) -> f64 {
    let (mut reversed, mut scale, mut rest, mut prefix, mut level) = (0u64, 1u64, i, 0u64, 0u64);
    while scale < SEQUENCE_LENGTH {
        let digit = rest % base;
        // The node: its level, and the digits above it, which are the low digits of the index.
        let node = prefix << 6 | level;
        reversed = reversed * base + permuted(digit, base, key, node, scratch);
        prefix += digit * scale;
        scale *= base;
        rest /= base;
        level += 1;
    }
    // Steps of a shuffle are below the base, so this word of the hash is never used twice.
    let tail = (hash(key, prefix << 6 | level, u64::MAX) >> 12) as f64;
    let u = (reversed as f64 + (tail + 0.5) / (1u64 << 52) as f64) / scale as f64;
    u.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON / 2.0)
}

impl QuasiRandom for Halton {
    fn dim(&self) -> usize {
        self.bases.len()
    }

    fn points(&self, start: u64, n: usize) -> Result<Points> {
        check_range(start, n)?;
        let dim = self.bases.len();
        let mut out = Points::zeros(n, dim);
        fill_blocks(out.as_mut_slice(), dim, BLOCK, |rows, chunk| {
            let mut scratch = Vec::new();
            for (row, i) in chunk.chunks_exact_mut(dim).zip(rows) {
                let index = start + i as u64;
                match &self.keys {
                    None => {
                        let pairs = row.iter_mut().zip(&self.bases);
                        pairs.for_each(|(u, base)| *u = radical_inverse(index, *base));
                    }
                    Some(keys) => {
                        for ((u, base), key) in row.iter_mut().zip(&self.bases).zip(keys) {
                            *u = scrambled_inverse(index, *base, *key, &mut scratch);
                        }
                    }
                }
            }
        });
        Ok(out)
    }
}
