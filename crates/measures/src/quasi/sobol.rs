//! The Sobol sequence with the direction numbers of Joe and Kuo and Owen's nested uniform scrambling.

use super::{BLOCK, QuasiRandom, check_range, hash, keys};
use crate::error::{Error, Result};
use crate::parallel::fill_blocks;
use crate::points::Points;
use crate::seed::Seed;

/// Bits of a coordinate: with another half they still fit a double.
const BITS: u32 = 52;
/// Bits that tell the 2³² points of the sequence apart in every single coordinate.
const DEEP: u32 = 32;
const TABLE: &str = include_str!("joe_kuo.txt");

/// A Sobol sequence, in Gray-code order as everybody's.
///
/// Any 2ᵐ consecutive points from a multiple of 2ᵐ form a (t, m, d)-net in base 2: every dyadic box of volume 2^{t−m} holds
/// exactly 2ᵗ of them; t is zero in the plane. Sources: Sobol' (1967), DOI 10.1016/0041-5553(67)90144-9; direction numbers:
/// Joe and Kuo (2008), DOI 10.1137/070709359; scrambling: Owen (1995), DOI 10.1007/978-1-4612-2552-2_19.
///
/// ```
/// use measures::{Seed, quasi::{QuasiRandom, Sobol}};
/// let plain = Sobol::new(2)?.points(0, 4)?;
/// assert_eq!(plain.as_slice(), &[0.0, 0.0, 0.5, 0.5, 0.75, 0.25, 0.25, 0.75]);
/// let scrambled = Sobol::new(2)?.scrambled(Seed::new(1)).points(0, 4)?;
/// assert!(scrambled.as_slice().iter().all(|u| 0.0 < *u && *u < 1.0));
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sobol {
    dim: usize,
    /// Direction numbers by bit of the index, then by coordinate.
    directions: Vec<u64>,
    keys: Option<Vec<[u64; 2]>>,
}

impl Sobol {
    /// The largest dimension the table serves.
    pub const MAX_DIM: usize = 256;

    /// The plain sequence, whose first point is the origin.
    ///
    /// # Errors
    /// `dim` is zero or above [`Sobol::MAX_DIM`].
    pub fn new(dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
        }
        if dim > Self::MAX_DIM {
            return Err(Error::TooMany { what: "dim", limit: Self::MAX_DIM, requested: dim });
        }
        let mut directions = vec![0; DEEP as usize * dim];
        for bit in 0..DEEP {
            directions[bit as usize * dim] = 1 << (BITS - 1 - bit);
        }
        for (k, line) in (1..dim).zip(TABLE.lines().filter(|line| !line.starts_with('#'))) {
            let row: Vec<u64> = line.split_ascii_whitespace().map(|n| n.parse().expect("a number")).collect();
            for (bit, v) in column(row[1] as usize, row[2], &row[3..]).into_iter().enumerate() {
                directions[bit * dim + k] = v;
            }
        }
        Ok(Sobol { dim, directions, keys: None })
    }

    /// The same sequence under Owen's nested uniform scrambling: at every level of the dyadic tree of every coordinate a fair coin,
    /// a function of the seed, says whether the two halves change places. Points of one seed keep the net property, and each is uniform on the cube.
    pub fn scrambled(&self, seed: Seed) -> Self {
        Sobol { keys: Some(keys(seed, self.dim)), ..self.clone() }
    }

    /// The integer coordinates of point number `i`.
    fn point(&self, i: u64, out: &mut [u64]) {
        let mut gray = i ^ (i >> 1);
        out.fill(0);
        while gray != 0 {
            self.flip(gray.trailing_zeros(), out);
            gray &= gray - 1;
        }
    }

    fn flip(&self, bit: u32, out: &mut [u64]) {
        let row = &self.directions[bit as usize * self.dim..][..self.dim];
        out.iter_mut().zip(row).for_each(|(x, v)| *x ^= v);
    }
}

/// The direction numbers of one coordinate from its primitive polynomial x^s + a_1 x^{s−1} + … + 1 and initial m's.
fn column(s: usize, a: u64, m: &[u64]) -> Vec<u64> {
    let mut v: Vec<u64> = m.iter().enumerate().map(|(i, m)| m << (BITS as usize - 1 - i)).collect();
    for i in s..DEEP as usize {
        let mut next = v[i - s] ^ (v[i - s] >> s);
        for k in 1..s {
            if a >> (s - 1 - k) & 1 == 1 {
                next ^= v[i - k];
            }
        }
        v.push(next);
    }
    v
}

/// Owen's scrambling of one coordinate. The coin at level k depends on the k leading bits; below level 32 no two points of
/// the sequence share their leading bits, so the rest is one draw of fair bits.
#[inline]
fn scramble(x: u64, key: [u64; 2]) -> u64 {
    let mut flips = 0;
    for level in 0..DEEP {
        let prefix = x >> (BITS - level);
        flips = flips << 1 | hash(key, prefix, u64::from(level)) >> 63;
    }
    let rest = BITS - DEEP;
    let tail = hash(key, x >> rest, u64::from(DEEP)) >> (64 - rest);
    x ^ (flips << rest | tail)
}

impl QuasiRandom for Sobol {
    fn dim(&self) -> usize {
        self.dim
    }

    fn points(&self, start: u64, n: usize) -> Result<Points> {
        check_range(start, n)?;
        let mut out = Points::zeros(n, self.dim);
        let unit = (1u64 << BITS) as f64;
        fill_blocks(out.as_mut_slice(), self.dim, BLOCK, |rows, chunk| {
            let mut at = vec![0; self.dim];
            let mut index = start + rows.start as u64;
            self.point(index, &mut at);
            for row in chunk.chunks_exact_mut(self.dim) {
                match &self.keys {
                    None => row.iter_mut().zip(&at).for_each(|(u, x)| *u = *x as f64 / unit),
                    Some(keys) => {
                        for ((u, x), key) in row.iter_mut().zip(&at).zip(keys) {
                            *u = (scramble(*x, *key) as f64 + 0.5) / unit;
                        }
                    }
                }
                index += 1;
                // The step after the very last point of the sequence would need a 33rd bit.
                if index.trailing_zeros() < DEEP {
                    self.flip(index.trailing_zeros(), &mut at);
                }
            }
        });
        Ok(out)
    }
}
