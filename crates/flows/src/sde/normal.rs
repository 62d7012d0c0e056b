//! Normal numbers by counter: number k of a stream is found without those before it.

use measures::Seed;
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use rand::Rng;
use std::ops::Range;

/// Numbers made together: two registers of eight, from sixteen words of 64 bits.
const CHUNK: usize = 2 * WIDTH;

/// Numbers made from one read of the generator.
const READ: usize = 32 * CHUNK;

/// Writes the standard normal numbers `from`, …, `from + out.len() − 1` of stream `stream` of the seed.
///
/// Box–Muller on whole chunks of the stream, a word of 64 bits for two numbers: 40 bits for the radius, so that the
/// largest is √(80 log 2) ≈ 7.4, and 24 for the angle. A number depends on the seed, the stream and its place alone, not
/// on where a reading begins.
pub(crate) fn normals(seed: Seed, stream: u64, from: u64, out: &mut [f64]) {
    let chunk = CHUNK as u64;
    let mut rng = seed.stream(stream);
    rng.set_word_pos(u128::from(from / chunk) * CHUNK as u128);
    let mut bytes = [0u8; 4 * READ];
    let mut made = [0.0; READ];
    let (mut skip, mut done) = ((from % chunk) as usize, 0);
    while done < out.len() {
        let wanted = (skip + out.len() - done).next_multiple_of(CHUNK).min(READ);
        rng.fill_bytes(&mut bytes[..4 * wanted]);
        dispatch(BoxMuller { bytes: &bytes[..4 * wanted], out: &mut made[..wanted] });
        let take = (wanted - skip).min(out.len() - done);
        out[done..done + take].copy_from_slice(&made[skip..skip + take]);
        done += take;
        skip = 0;
    }
}

/// The standard normal numbers of a block of particles, `per` each.
pub(crate) fn block_normals(seed: Seed, stream: u64, rows: &Range<usize>, per: usize, out: &mut Vec<f64>) {
    out.resize(rows.len() * per, 0.0);
    normals(seed, stream, (rows.start * per) as u64, out);
}

struct BoxMuller<'a> {
    bytes: &'a [u8],
    out: &'a mut [f64],
}

impl LaneOp for BoxMuller<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (words, _) = self.bytes.as_chunks::<8>();
        let (words, _) = words.as_chunks::<WIDTH>();
        let (out, _) = self.out.as_chunks_mut::<CHUNK>();
        for (words, out) in words.iter().zip(out) {
            let (mut radius, mut turn) = ([0.0; WIDTH], [0.0; WIDTH]);
            for k in 0..WIDTH {
                let word = u64::from_le_bytes(words[k]);
                radius[k] = one_to_two(word << 12);
                turn[k] = one_to_two((word >> 40) << 28);
            }
            let two = F64s::splat(lanes, 2.0);
            // (0, 1], so that the logarithm is finite.
            let uniform = two - F64s::load(lanes, &radius);
            let r = (F64s::splat(lanes, -2.0) * uniform.ln()).sqrt();
            let (sin, cos) = F64s::load(lanes, &turn).sin_cos_turns();
            let (first, second) = out.split_at_mut(WIDTH);
            (r * cos).store(first.try_into().expect("eight of sixteen"));
            (r * sin).store(second.try_into().expect("eight of sixteen"));
        }
    }
}

/// The number in [1, 2) whose mantissa is the low 52 bits of the word.
#[inline(always)]
fn one_to_two(word: u64) -> f64 {
    f64::from_bits((word & ((1 << 52) - 1)) | 1f64.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_depend_on_where_reading_begins() {
        let seed = Seed::new(3);
        let mut all = vec![0.0; 3 * READ + 7];
        normals(seed, 9, 0, &mut all);
        for (from, len) in [(0, 1), (5, 40), (16, 16), (READ - 3, READ + 9), (2 * READ + 11, 30)] {
            let mut some = vec![0.0; len];
            normals(seed, 9, from as u64, &mut some);
            assert_eq!(some, all[from..from + len]);
        }
        let mut other = vec![0.0; 4];
        normals(seed, 10, 0, &mut other);
        assert_ne!(other, all[..4]);
    }

    #[test]
    fn numbers_are_normal_and_independent() {
        let n = 1 << 20;
        let mut x = vec![0.0; n];
        normals(Seed::new(1), 0, 0, &mut x);
        let mean = |f: &dyn Fn(usize) -> f64| (0..n - 16).map(f).sum::<f64>() / (n - 16) as f64;
        let bound = |variance: f64| 5.0 * (variance / n as f64).sqrt();
        assert!(mean(&|i| x[i]).abs() < bound(1.0));
        assert!((mean(&|i| x[i].powi(2)) - 1.0).abs() < bound(2.0));
        assert!(mean(&|i| x[i].powi(3)).abs() < bound(15.0));
        assert!((mean(&|i| x[i].powi(4)) - 3.0).abs() < bound(96.0));
        // Partners of one draw are eight places apart.
        for lag in [1, 7, 8, 9, 16] {
            assert!(mean(&|i| x[i] * x[i + lag]).abs() < bound(1.0));
            assert!(mean(&|i| (x[i].powi(2) - 1.0) * (x[i + lag].powi(2) - 1.0)).abs() < bound(4.0));
        }
        let far = x.iter().filter(|x| x.abs() > 3.0).count() as f64 / n as f64;
        assert!((far - 0.002_699_796).abs() < bound(0.0027));
    }
}
