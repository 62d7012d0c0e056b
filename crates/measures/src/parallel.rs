//! Work in fixed-size blocks, joined in block order: the same bytes for any number of threads.
//!
//! With the feature `rayon` blocks run on rayon's current pool; without it they run one after the other. The block
//! boundaries depend on the size of the work alone, never on the number of threads.

use std::ops::Range;

/// The ranges 0..block, block..2·block, … of 0..n; the last may be shorter.
pub fn blocks(n: usize, block: usize) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
    let block = block.max(1);
    (0..n.div_ceil(block)).map(move |b| b * block..((b + 1) * block).min(n))
}

/// `work(range)` for every block of 0..n, results in block order.
pub fn map_blocks<T: Send>(n: usize, block: usize, work: impl Fn(Range<usize>) -> T + Sync + Send) -> Vec<T> {
    let ranges: Vec<_> = blocks(n, block).collect();
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        if ranges.len() > 1 {
            return ranges.into_par_iter().map(work).collect();
        }
    }
    ranges.into_iter().map(work).collect()
}

/// Sums `work(range)` over the blocks of 0..n, in block order.
pub fn sum_blocks(n: usize, block: usize, work: impl Fn(Range<usize>) -> f64 + Sync + Send) -> f64 {
    map_blocks(n, block, work).into_iter().sum()
}

/// Adds up the vectors `work(range, accumulator)` leaves in accumulators of length `len`, one a block, in block order.
///
/// Use it where blocks add to the same output; memory is `len` a block, so choose blocks large.
pub fn accumulate_blocks(
    n: usize,
    block: usize,
    len: usize,
    work: impl Fn(Range<usize>, &mut [f64]) + Sync + Send,
) -> Vec<f64> {
    let parts = map_blocks(n, block, |range| {
        let mut part = vec![0.0; len];
        work(range, &mut part);
        part
    });
    let mut total = vec![0.0; len];
    for part in parts {
        total.iter_mut().zip(&part).for_each(|(t, p)| *t += p);
    }
    total
}

/// Fills a row-major buffer with rows of `width` numbers: `work(rows, chunk)` writes the chunk of the rows it is given.
///
/// # Panics
/// When `width` is zero.
pub fn fill_blocks(
    out: &mut [f64],
    width: usize,
    block: usize,
    work: impl Fn(Range<usize>, &mut [f64]) + Sync + Send,
) {
    let (block, n) = (block.max(1), out.len() / width);
    let rows = |b: usize| b * block..((b + 1) * block).min(n);
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        if n > block {
            out.par_chunks_mut(block * width).enumerate().for_each(|(b, chunk)| work(rows(b), chunk));
            return;
        }
    }
    out.chunks_mut(block * width).enumerate().for_each(|(b, chunk)| work(rows(b), chunk));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_everything_once() {
        for (n, block) in [(0, 4), (1, 4), (4, 4), (9, 4), (9, 0)] {
            let seen: Vec<usize> = blocks(n, block).flatten().collect();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
        let mut out = vec![0.0; 10];
        fill_blocks(&mut out, 2, 2, |rows, chunk| {
            chunk.iter_mut().enumerate().for_each(|(k, v)| *v = (rows.start * 2 + k) as f64);
        });
        assert_eq!(out, (0..10).map(f64::from).collect::<Vec<_>>());
        let total = accumulate_blocks(10, 3, 1, |r, acc| r.for_each(|i| acc[0] += i as f64));
        assert_eq!(total, [45.0]);
    }
}
