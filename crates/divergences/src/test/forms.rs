//! Quadratic forms zᵀKz of one kernel matrix for many 0/1 vectors z, which is all that permutation tests and wild
//! bootstraps need.
//!
//! Every entry of the matrix is computed once, in strips, and met by all vectors at once. Thirty-two rows are cut into
//! eight groups of four; the sixteen partial sums of a group over eight columns are tabulated, so that a vector adds
//! eight table entries where a matrix product would do thirty-two multiply–adds (the method of four Russians). A strip
//! starts at its own diagonal: the matrix is symmetric and the other half is not computed.

use measures::Result;
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::parallel::map_blocks;
use std::ops::Range;

/// Rows to a word of bits.
const WORD: usize = 32;

/// Rows to a group whose partial sums are tabulated, and the number of those sums.
const GROUP: usize = 4;
const SUMS: usize = 1 << GROUP;

/// Numbers of the matrix held at once, at most (64 MiB).
const STRIP: usize = 1 << 23;

/// Vectors whose partial sums stay in the first-level cache together.
const BATCH: usize = 256;

/// Columns to a block of parallel work.
const COLUMNS: usize = 8 * WIDTH;

/// B vectors of N bits, stored word by word: word w of vector b is at w·B + b.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    count: usize,
    words: Vec<u32>,
}

impl Labels {
    /// The vectors that `draw(b)` returns, drawn in parallel.
    pub(super) fn new(len: usize, count: usize, draw: impl Fn(usize) -> Vec<bool> + Sync + Send) -> Self {
        let packed =
            map_blocks(count, 16, |range| range.map(|b| pack(&draw(b))).collect::<Vec<_>>()).concat();
        let per = len.div_ceil(WORD);
        let mut words = vec![0; per * count];
        for (b, vector) in packed.iter().enumerate() {
            vector.iter().enumerate().for_each(|(w, bits)| words[w * count + b] = *bits);
        }
        Labels { count, words }
    }

    fn word(&self, w: usize) -> &[u32] {
        &self.words[w * self.count..(w + 1) * self.count]
    }
}

fn pack(bits: &[bool]) -> Vec<u32> {
    bits.chunks(WORD)
        .map(|chunk| chunk.iter().enumerate().fold(0, |word, (i, &bit)| word | u32::from(bit) << i))
        .collect()
}

/// What a strip of the matrix adds to: the forms, and the sums of rows.
#[derive(Debug, Clone)]
pub(super) struct Forms {
    /// zᵀKz for every vector, without the diagonal of K.
    pub(super) quadratic: Vec<f64>,
    /// Σ_{j≠i} K_ij for every row i.
    pub(super) rows: Vec<f64>,
    /// zᵀ(K1) for every vector, without the diagonal.
    pub(super) along: Vec<f64>,
}

/// The forms of the symmetric N×N matrix whose rows i in a range, columns from the start of that range on, are returned
/// by `strip(range)`, row-major.
///
/// # Errors
/// That of the strip.
pub(super) fn quadratic_forms(
    n: usize,
    labels: &Labels,
    strip: impl Fn(Range<usize>) -> Result<Vec<f64>>,
) -> Result<Forms> {
    let (mut quadratic, mut rows) = (vec![0.0; labels.count], vec![0.0; n]);
    // Both triangles of the square on the diagonal are computed: an eighth of the rows at most, and within memory.
    let height = (n / 8).min(STRIP / n.max(1)).clamp(1, 4096).next_multiple_of(WORD);
    let mut start = 0;
    while start < n {
        let end = (start + height).min(n);
        let mut table = strip(start..end)?;
        let width = n - start;
        (0..end - start).for_each(|i| table[i * width + i] = 0.0);
        for i in 0..end - start {
            let row = &table[i * width..(i + 1) * width];
            rows[start + i] += sum(row);
            rows[end..].iter_mut().zip(&row[end - start..]).for_each(|(sum, k)| *sum += k);
        }
        let parts = map_blocks(width, COLUMNS, |columns| block(&table, width, start..end, columns, labels));
        for part in parts {
            quadratic.iter_mut().zip(&part).for_each(|(f, p)| *f += p);
        }
        start = end;
    }
    Ok(Forms { along: along(labels, &rows), quadratic, rows })
}

/// Σᵢⱼ zᵢ K_ij zⱼ over a strip and some of its columns, doubled right of the square on the diagonal.
fn block(
    table: &[f64],
    width: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    labels: &Labels,
) -> Vec<f64> {
    let mut totals = vec![[0.0; WIDTH]; labels.count];
    for column in columns.step_by(WIDTH) {
        let words = 0..rows.len().div_ceil(WORD);
        let tiles: Vec<_> = words.map(|word| tile(table, width, rows.len(), word * WORD, column)).collect();
        // Twice what is right of the square on the diagonal; nothing in lanes beyond the last column.
        let mut share = [0.0; WIDTH];
        for (lane, share) in share.iter_mut().enumerate().take(width - column) {
            *share = if rows.start + column + lane < rows.end { 1.0 } else { 2.0 };
        }
        let (shares, at) = (subsets(&share), rows.start + column);
        for batch in measures::parallel::blocks(labels.count, BATCH) {
            let mut sums = vec![[0.0; WIDTH]; batch.len()];
            for (word, tile) in tiles.iter().enumerate() {
                let bits = &labels.word(rows.start / WORD + word)[batch.clone()];
                dispatch(AddSums { tile, bits, sums: &mut sums });
            }
            let (words, out) = (&labels.word(at / WORD)[batch.clone()], &mut totals[batch]);
            dispatch(Select { sums: &sums, words, shift: at % WORD, shares: &shares, out });
        }
    }
    totals.iter().map(|lanes| lanes.iter().sum()).collect()
}

/// The sum of a row in eight chains.
fn sum(row: &[f64]) -> f64 {
    let (chunks, rest) = row.as_chunks::<WIDTH>();
    let mut lanes = [0.0; WIDTH];
    chunks.iter().for_each(|chunk| lanes.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += v));
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// For every subset of the eight columns their shares, and zero elsewhere.
fn subsets(share: &[f64; WIDTH]) -> Vec<[f64; WIDTH]> {
    let of = |set: usize| std::array::from_fn(|lane| if set >> lane & 1 == 1 { share[lane] } else { 0.0 });
    (0..1 << WIDTH).map(of).collect()
}

/// Σ over the set bits of every vector of the sums of their rows.
fn along(labels: &Labels, rows: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; labels.count];
    for (w, rows) in rows.chunks(WORD).enumerate() {
        let mut sums = [[0.0; SUMS]; WORD / GROUP];
        for (sums, rows) in sums.iter_mut().zip(rows.chunks(GROUP)) {
            for set in 1..1 << rows.len() {
                sums[set] = sums[set & (set - 1)] + rows[set.trailing_zeros() as usize];
            }
        }
        for (out, bits) in out.iter_mut().zip(labels.word(w)) {
            for (g, sums) in sums.iter().enumerate() {
                *out += sums[(bits >> (GROUP * g)) as usize & (SUMS - 1)];
            }
        }
    }
    out
}

/// Adds to each vector's totals its sums in the columns whose bits are set, times their shares: bits are as likely set as
/// not, so that a branch would be wrong half of the time.
struct Select<'a> {
    sums: &'a [[f64; WIDTH]],
    words: &'a [u32],
    shift: usize,
    shares: &'a [[f64; WIDTH]],
    out: &'a mut [[f64; WIDTH]],
}

impl LaneOp for Select<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for b in 0..self.sums.len().min(self.words.len()).min(self.out.len()) {
            let set = (self.words[b] >> self.shift) as usize & ((1 << WIDTH) - 1);
            let total = F64s::load(lanes, &self.out[b]);
            let share = F64s::load(lanes, &self.shares[set]);
            share.mul_add(F64s::load(lanes, &self.sums[b]), total).store(&mut self.out[b]);
        }
    }
}

/// Thirty-two rows of eight columns, filled up with zeros.
fn tile(table: &[f64], width: usize, height: usize, row: usize, column: usize) -> [[f64; WIDTH]; WORD] {
    let mut tile = [[0.0; WIDTH]; WORD];
    let lanes = WIDTH.min(width - column);
    for (i, out) in tile.iter_mut().enumerate().take(height - row) {
        let at = (row + i) * width + column;
        out[..lanes].copy_from_slice(&table[at..at + lanes]);
    }
    tile
}

/// Adds to each vector's sums the rows of the tile whose bits are set.
struct AddSums<'a> {
    tile: &'a [[f64; WIDTH]; WORD],
    bits: &'a [u32],
    sums: &'a mut [[f64; WIDTH]],
}

impl LaneOp for AddSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        // The sum over every subset of each group of four rows.
        let mut subsets = [[[0.0; WIDTH]; SUMS]; WORD / GROUP];
        for g in 0..WORD / GROUP {
            for set in 1..SUMS {
                let last = set.trailing_zeros() as usize;
                let rest = F64s::load(lanes, &subsets[g][set & (set - 1)]);
                let row = F64s::load(lanes, &self.tile[g * GROUP + last]);
                (rest + row).store(&mut subsets[g][set]);
            }
        }
        for b in 0..self.bits.len() {
            let bits = self.bits[b] as usize;
            let at = |g: usize| (bits >> (GROUP * g)) & (SUMS - 1);
            // Two chains of additions, so that neither waits for the other.
            let mut even = F64s::load(lanes, &subsets[0][at(0)]);
            let mut odd = F64s::load(lanes, &subsets[1][at(1)]);
            let mut g = 2;
            while g < WORD / GROUP {
                even = even + F64s::load(lanes, &subsets[g][at(g)]);
                odd = odd + F64s::load(lanes, &subsets[g + 1][at(g + 1)]);
                g += 2;
            }
            (F64s::load(lanes, &self.sums[b]) + (even + odd)).store(&mut self.sums[b]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;
    use measures::rand::RngExt;

    #[test]
    fn the_definition_for_every_size() {
        for n in [1, 2, 7, 31, 32, 33, 100, 257, 600] {
            let mut rng = Seed::new(n as u64).rng();
            let mut k = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let v: f64 = rng.random_range(-1.0..1.0);
                    (k[i * n + j], k[j * n + i]) = (v, v);
                }
            }
            let count = 300;
            let draw = |b: usize| -> Vec<bool> {
                let mut rng = Seed::new(7).stream(b as u64);
                (0..n).map(|_| rng.random()).collect()
            };
            let labels = Labels::new(n, count, draw);
            let found = quadratic_forms(n, &labels, |rows| {
                Ok(rows.clone().flat_map(|i| k[i * n + rows.start..(i + 1) * n].to_vec()).collect())
            })
            .unwrap();
            for b in [0, 1, 255, 256, 299] {
                let z = draw(b);
                let pairs = || (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| i != j);
                let form: f64 = pairs().filter(|&(i, j)| z[i] && z[j]).map(|(i, j)| k[i * n + j]).sum();
                let along: f64 = pairs().filter(|&(i, _)| z[i]).map(|(i, j)| k[i * n + j]).sum();
                assert!((found.quadratic[b] - form).abs() < 1e-10, "{n} {b}");
                assert!((found.along[b] - along).abs() < 1e-10, "{n} {b}");
            }
        }
    }
}
