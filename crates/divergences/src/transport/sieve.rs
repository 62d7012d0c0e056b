//! Pricing in single precision: a product of matrices on sixteen lanes, with a bound of its rounding, tells which entries
//! cannot be among the smallest; only the others are computed in double precision. What is found does not depend on it.

use super::pricing::{Best, Groups};
use super::table::{Side, Table};
use crate::packed::Packed;
use measures::lanes::{F32s, LaneOp, Lanes, SINGLE_WIDTH, WIDTH, dispatch};

/// Below this dimension a tile in double precision is as quick.
pub(super) const FEWEST_COORDINATES: usize = 16;

/// Numbers of columns that stay in the nearest cache while the rows of a task go by.
const CACHED: usize = 4096;

/// Magnitudes within which no product of single precision over- or underflows.
const RANGE: std::ops::Range<f64> = 1e-15..1e15;

type Sixteen = [f32; SINGLE_WIDTH];

/// The points of one side for s‖x − y‖² = s‖x‖² + s‖y‖² − 2s⟨x, y⟩.
pub(super) struct Sieve {
    dim: usize,
    /// Coordinate k of the points 16g..16g + 16 is entry g·d + k; those that are not there are zero.
    points: Vec<Sixteen>,
    /// The largest length of a point.
    longest: f64,
}

/// Coordinate k of point i in groups of eight.
fn coordinate(points: &Packed, k: usize, i: usize) -> f64 {
    points.group(i / WIDTH)[k][i % WIDTH]
}

fn length(points: &Packed, i: usize) -> f64 {
    points.group(i / WIDTH).iter().map(|x| x[i % WIDTH] * x[i % WIDTH]).sum::<f64>().sqrt()
}

impl Sieve {
    pub(super) fn new(points: &Packed, count: usize) -> Self {
        let dim = points.group(0).len();
        let mut packed = vec![[0.0; SINGLE_WIDTH]; count.div_ceil(SINGLE_WIDTH) * dim];
        for i in 0..count {
            for k in 0..dim {
                packed[i / SINGLE_WIDTH * dim + k][i % SINGLE_WIDTH] = coordinate(points, k, i) as f32;
            }
        }
        let longest = (0..count).map(|i| length(points, i)).fold(0.0, f64::max);
        Sieve { dim, points: packed, longest }
    }

    /// Offers to each of the rows what may be among its smallest c − other. False, and nothing done, where single precision
    /// might overflow.
    pub(super) fn search(
        &self,
        (table, side): (&Table<'_>, Side),
        (of_rows, of_columns): (&Groups, &Groups),
        (rows, other): (&[u32], &[f64]),
        scale: f64,
        best: &mut [Best],
    ) -> bool {
        let start_of = |j: usize| of_columns.squares[j / WIDTH][j % WIDTH] - other[j];
        let largest = (0..other.len()).map(|j| start_of(j).abs()).fold(0.0, f64::max);
        // Rounding to single precision, once a coordinate, once an addition: relative to the sum of all magnitudes.
        let unit = (self.dim + 8) as f64 * f64::from(f32::EPSILON);
        let error_of =
            |i: u32| unit * (largest + 2.0 * scale * length(&of_rows.points, i as usize) * self.longest);
        let errors: Vec<f64> = rows.iter().map(|&i| error_of(i)).collect();
        let sizes = || errors.iter().map(|error| error / unit);
        if !(sizes().all(|size| RANGE.contains(&size)) && (1e-6..1e6).contains(&scale)) {
            return false;
        }
        let groups: Vec<Vec<[f32; WIDTH]>> = rows
            .chunks(WIDTH)
            .map(|rows| {
                let place = |lane: usize| rows[lane.min(rows.len() - 1)] as usize;
                let value = |k: usize, i: usize| (-2.0 * scale * coordinate(&of_rows.points, k, i)) as f32;
                (0..self.dim).map(|k| std::array::from_fn(|lane| value(k, place(lane)))).collect()
            })
            .collect();
        let count = self.points.len() / self.dim;
        let block = (CACHED / (SINGLE_WIDTH * self.dim)).max(1);
        let mut starts = vec![[0.0; SINGLE_WIDTH]; block];
        for first in (0..count).step_by(block) {
            let last = (first + block).min(count);
            for (start, group) in starts.iter_mut().zip(first..last) {
                for (lane, s) in start.iter_mut().enumerate() {
                    let j = group * SINGLE_WIDTH + lane;
                    *s = if j < other.len() { start_of(j) as f32 } else { f32::INFINITY };
                }
            }
            for (k, group) in groups.iter().enumerate() {
                let at = k * WIDTH..((k + 1) * WIDTH).min(rows.len());
                let shift = |i: u32| of_rows.squares[i as usize / WIDTH][i as usize % WIDTH];
                let slack: Vec<f64> = at.clone().map(|r| errors[r] - shift(rows[r])).collect();
                dispatch(Strip {
                    rows: group,
                    columns: &self.points[first * self.dim..last * self.dim],
                    starts: &starts[..last - first],
                    first: first * SINGLE_WIDTH,
                    offers: Offers {
                        table,
                        side,
                        rows: &rows[at.clone()],
                        other,
                        slack: &slack,
                        best: &mut best[at],
                    },
                });
            }
        }
        true
    }
}

/// Who decides on what passes the sieve.
struct Offers<'a> {
    table: &'a Table<'a>,
    side: Side,
    rows: &'a [u32],
    other: &'a [f64],
    /// What is added to a limit of c − other to make it one of a tile, which lacks s‖x‖² and is rounded.
    slack: &'a [f64],
    best: &'a mut [Best],
}

impl Offers<'_> {
    /// The limits for a tile, rounded up; rows that are not there take nothing.
    #[inline(always)]
    fn limits(&self) -> [f32; WIDTH] {
        let mut limits = [f32::NEG_INFINITY; WIDTH];
        for i in 0..self.best.len() {
            let limit = self.best[i].limit + self.slack[i];
            limits[i] = (limit + limit.abs() * f64::from(f32::EPSILON)) as f32;
        }
        limits
    }

    /// Looks at sixteen entries of a row.
    #[inline(never)]
    fn take(&mut self, i: usize, values: &Sixteen, limit: f32, first: usize) {
        for (lane, value) in values.iter().enumerate() {
            if *value < limit {
                let (row, column) = (self.rows[i] as usize, first + lane);
                let cost = match self.side {
                    Side::Source => self.table.entry(row, column),
                    Side::Target => self.table.entry(column, row),
                };
                self.best[i].offer(cost - self.other[column], column as u32);
            }
        }
    }
}

/// Eight rows against some groups of columns.
struct Strip<'a> {
    rows: &'a [[f32; WIDTH]],
    columns: &'a [Sixteen],
    starts: &'a [Sixteen],
    first: usize,
    offers: Offers<'a>,
}

impl LaneOp for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let dim = self.rows.len();
        let mut limits = self.offers.limits();
        for g in 0..self.starts.len() {
            let group = &self.columns[g * dim..(g + 1) * dim];
            let mut tile = [F32s::load(l, &self.starts[g]); WIDTH];
            for k in 0..dim {
                let y = F32s::load(l, &group[k]);
                for i in 0..WIDTH {
                    tile[i] = y.mul_add(F32s::splat(l, self.rows[k][i]), tile[i]);
                }
            }
            let mut least = tile[0] - F32s::splat(l, limits[0]);
            for i in 1..WIDTH {
                least = least.min(tile[i] - F32s::splat(l, limits[i]));
            }
            if least.any_less(F32s::splat(l, 0.0)) {
                for i in 0..WIDTH {
                    if tile[i].any_less(F32s::splat(l, limits[i])) {
                        let values = tile[i].to_array();
                        self.offers.take(i, &values, limits[i], self.first + g * SINGLE_WIDTH);
                    }
                }
                limits = self.offers.limits();
            }
        }
    }
}
