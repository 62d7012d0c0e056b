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

    fn bit(&self, i: usize, b: usize) -> bool {
        self.word(i / WORD)[b] >> (i % WORD) & 1 == 1
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
            rows[start + i] += row.iter().sum::<f64>();
            rows[end..].iter_mut().zip(&row[end - start..]).for_each(|(sum, k)| *sum += k);
        }
        let parts = map_blocks(width, COLUMNS, |columns| block(&table, width, start..end, columns, labels));
        for part in parts {
            quadratic.iter_mut().zip(&part).for_each(|(f, p)| *f += p);
        }
        start = end;
    }
    let along =
        (0..labels.count).map(|b| (0..n).filter(|&i| labels.bit(i, b)).map(|i| rows[i]).sum()).collect();
    Ok(Forms { quadratic, rows, along })
}

/// Σᵢⱼ zᵢ K_ij zⱼ over a strip and some of its columns, doubled right of the square on the diagonal.
fn block(
    table: &[f64],
    width: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    labels: &Labels,
) -> Vec<f64> {
    let mut out = vec![0.0; labels.count];
    for column in columns.step_by(WIDTH) {
        let mut first = 0;
        while first < labels.count {
            let batch = first..(first + BATCH).min(labels.count);
            let mut sums = vec![[0.0; WIDTH]; batch.len()];
            for word in 0..rows.len().div_ceil(WORD) {
                let tile = tile(table, width, rows.len(), word * WORD, column);
                let bits = &labels.word(rows.start / WORD + word)[batch.clone()];
                dispatch(AddSums { tile: &tile, bits, sums: &mut sums });
            }
            for (b, sums) in batch.clone().zip(&sums) {
                for (lane, sum) in sums.iter().enumerate().take(width - column) {
                    let j = rows.start + column + lane;
                    if labels.bit(j, b) {
                        out[b] += if j < rows.end { *sum } else { 2.0 * sum };
                    }
                }
            }
            first = batch.end;
        }
    }
    out
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
