//! The scan: distances of a block of queries to tiles of the cloud, kept in registers and never stored as a table.

use super::Best;
use measures::Points;
use pulp::Arch;
use std::ops::Range;

/// Points to a tile: four AVX-512 registers of partial sums.
const TILE: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct Scan {
    dim: usize,
    len: usize,
    /// Tiles of 32 points, each stored coordinate by coordinate; the last is padded with infinities.
    tiles: Vec<f64>,
    arch: Arch,
}

impl Scan {
    pub(super) fn new(points: &Points) -> Self {
        let (dim, len) = (points.dim(), points.len());
        let mut tiles = vec![f64::INFINITY; len.div_ceil(TILE) * TILE * dim];
        for (i, row) in points.rows().enumerate() {
            let tile = &mut tiles[i / TILE * TILE * dim..];
            row.iter().enumerate().for_each(|(k, &v)| tile[k * TILE + i % TILE] = v);
        }
        Scan { dim, len, tiles, arch: Arch::new() }
    }

    /// Calls `visit(query, first row of the tile, squared distances)` for every query and tile.
    fn each_tile(
        &self,
        queries: &Points,
        rows: Range<usize>,
        mut visit: impl FnMut(usize, usize, &Tile<'_>),
    ) {
        for (t, tile) in self.tiles.chunks_exact(TILE * self.dim).enumerate() {
            let lanes = TILE.min(self.len - t * TILE);
            for (q, i) in rows.clone().enumerate() {
                let (squared, least) = self.arch.dispatch(|| distances(queries.row(i), tile));
                visit(q, t * TILE, &Tile { squared: &squared[..lanes], least });
            }
        }
    }

    pub(super) fn search(&self, queries: &Points, rows: Range<usize>, best: &mut [Best]) {
        self.each_tile(queries, rows, |q, first, Tile { squared, least }| {
            // Rows come in ascending order, so a later point at the same distance never replaces an earlier one.
            let best = &mut best[q];
            if *least < best.bar().0 || best.found.len() < best.k {
                squared.iter().enumerate().for_each(|(lane, &squared)| best.offer(squared, first + lane));
            }
        });
    }

    pub(super) fn count_balls(&self, queries: &Points, rows: Range<usize>, radii: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; rows.len()];
        self.each_tile(queries, rows, |q, first, tile| {
            counts[q] += tile.squared.iter().zip(&radii[first..]).filter(|(s, r)| s <= r).count();
        });
        counts
    }
}

/// The squared distances of one query to the points of a tile, and a bound from below on all of them.
struct Tile<'a> {
    squared: &'a [f64],
    least: f64,
}

/// ‖x − y‖² for the 32 points y of a tile, and the least of them: plain multiplications and additions, so the same
/// bytes for every width of vector.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with the vector features of its caller")]
fn distances(x: &[f64], tile: &[f64]) -> ([f64; TILE], f64) {
    let mut sums = [0.0; TILE];
    for (&x, ys) in x.iter().zip(tile.chunks_exact(TILE)) {
        for (sum, y) in sums.iter_mut().zip(ys) {
            let gap = x - y;
            *sum += gap * gap;
        }
    }
    let mut least = sums;
    for half in [16, 8, 4, 2, 1] {
        for lane in 0..half {
            least[lane] = if least[lane + half] < least[lane] { least[lane + half] } else { least[lane] };
        }
    }
    (sums, least[0])
}
