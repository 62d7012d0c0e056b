//! Points in groups of eight, coordinate by coordinate, as the lanes of `measures::lanes` read them.

use measures::lanes::{F64s, Lanes, WIDTH};
use measures::{Points, Pullback};
use std::ops::Range;

/// n rows of d numbers as ⌈n/8⌉ groups: coordinate j of the rows 8g..8g+8 is the array `group(g)[j]`. The last row stands
/// in for those that are missing in the last group; it counts with weight zero.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    dim: usize,
    data: Vec<[f64; WIDTH]>,
}

impl Packed {
    /// All the rows of `points`.
    pub(crate) fn new(points: &Points) -> Self {
        Packed::rows(points, 0..points.len())
    }

    /// Some of the rows of `points`.
    pub(crate) fn rows(points: &Points, rows: Range<usize>) -> Self {
        Packed::of(points, rows, |x, _| x)
    }

    /// Some of the rows of `points`, less `centre`.
    pub(crate) fn centred(points: &Points, rows: Range<usize>, centre: &[f64]) -> Self {
        Packed::of(points, rows, |x, j| x - centre[j])
    }

    #[inline]
    fn of(points: &Points, rows: Range<usize>, value: impl Fn(f64, usize) -> f64) -> Self {
        let dim = points.dim();
        let mut data = vec![[0.0; WIDTH]; rows.len().div_ceil(WIDTH) * dim];
        for i in 0..rows.len().next_multiple_of(WIDTH) {
            let row = points.row((rows.start + i).min(rows.end - 1));
            let group = &mut data[i / WIDTH * dim..][..dim];
            for (j, (lane, x)) in group.iter_mut().zip(row).enumerate() {
                lane[i % WIDTH] = value(*x, j);
            }
        }
        Packed { dim, data }
    }

    /// The number of groups.
    pub(crate) fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Group g: d arrays of eight.
    #[inline(always)]
    pub(crate) fn group(&self, g: usize) -> &[[f64; WIDTH]] {
        &self.data[g * self.dim..(g + 1) * self.dim]
    }
}

/// Numbers in groups of eight, the last filled up with zeros.
pub(crate) fn pack_weights(weights: &[f64]) -> Vec<[f64; WIDTH]> {
    let mut out = vec![[0.0; WIDTH]; weights.len().div_ceil(WIDTH)];
    for (i, w) in weights.iter().enumerate() {
        out[i / WIDTH][i % WIDTH] = *w;
    }
    out
}

/// The 8×8 inner products of two groups: entry i holds ⟨a, b_i⟩ for the eight rows of `a` in its lanes, summed over the
/// coordinates in order.
#[inline(always)]
pub(crate) fn inner_products<L: Lanes>(lanes: L, a: &[[f64; WIDTH]], b: &[[f64; WIDTH]]) -> [F64s<L>; WIDTH] {
    let mut sums = [F64s::splat(lanes, 0.0); WIDTH];
    for (a, b) in a.iter().zip(b) {
        let a = F64s::load(lanes, a);
        for i in 0..WIDTH {
            sums[i] = a.mul_add(F64s::splat(lanes, b[i]), sums[i]);
        }
    }
    sums
}

/// Rows a block when each block holds an accumulator of its own: at most 64 blocks, whatever n.
pub(crate) fn accumulator_block(n: usize) -> usize {
    n.div_ceil(64).max(1024).next_multiple_of(WIDTH)
}

/// Rows a block of row-wise work.
pub(crate) const ROWS: usize = 256;

/// Values and gradients at every point: `work(rows, values, gradients)` fills packed groups of a block of rows (which
/// come zeroed), with d arrays of eight a group for the gradients.
pub(crate) fn pullback_blocks(
    x: &Points,
    block: usize,
    work: impl Fn(Range<usize>, &mut [[f64; WIDTH]], &mut [[f64; WIDTH]]) + Sync + Send,
) -> Pullback {
    let (n, dim) = (x.len(), x.dim());
    let (mut values, mut gradients) = (vec![0.0; n], Points::zeros(n, dim));
    fill_both(&mut values, gradients.as_mut_slice(), dim, block, |first, values, gradients| {
        let groups = values.len().div_ceil(WIDTH);
        let mut packed_values = vec![[0.0; WIDTH]; groups];
        let mut packed_gradients = vec![[0.0; WIDTH]; groups * dim];
        work(first..first + values.len(), &mut packed_values, &mut packed_gradients);
        values.copy_from_slice(&packed_values.as_flattened()[..values.len()]);
        for (i, row) in gradients.chunks_exact_mut(dim).enumerate() {
            let (g, lane) = (i / WIDTH, i % WIDTH);
            for (out, gradient) in row.iter_mut().zip(&packed_gradients[g * dim..]) {
                *out = gradient[lane];
            }
        }
    });
    Pullback { values, gradients }
}

/// Fills n numbers and n rows of `width` together, block by block: `work(first row, numbers, rows)`.
fn fill_both(
    values: &mut [f64],
    rows: &mut [f64],
    width: usize,
    block: usize,
    work: impl Fn(usize, &mut [f64], &mut [f64]) + Sync + Send,
) {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        let pairs = values.par_chunks_mut(block).zip(rows.par_chunks_mut(block * width)).enumerate();
        pairs.for_each(|(b, (values, rows))| work(b * block, values, rows));
    }
    #[cfg(not(feature = "rayon"))]
    for (b, (values, rows)) in values.chunks_mut(block).zip(rows.chunks_mut(block * width)).enumerate() {
        work(b * block, values, rows);
    }
}
