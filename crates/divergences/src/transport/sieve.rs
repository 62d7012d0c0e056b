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
        let shift = |i: u32| of_rows.squares[i as usize / WIDTH][i as usize % WIDTH];
        let mut lists: Vec<Shortlist> = rows
            .iter()
            .zip(best.iter().zip(&errors))
            .map(|(&i, (best, error))| Shortlist::new(best.keep, best.limit - shift(i), *error))
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
            for (group, lists) in groups.iter().zip(lists.chunks_mut(WIDTH)) {
                dispatch(Strip {
                    rows: group,
                    columns: &self.points[first * self.dim..last * self.dim],
                    starts: &starts[..last - first],
                    first: first * SINGLE_WIDTH,
                    lists,
                });
            }
        }
        for ((list, best), &row) in lists.iter_mut().zip(best).zip(rows) {
            for column in list.finish() {
                let cost = match side {
                    Side::Source => table.entry(row as usize, column as usize),
                    Side::Target => table.entry(column as usize, row as usize),
                };
                best.offer_known(cost, other[column as usize], column);
            }
        }
        true
    }
}

/// What may be among the `keep` smallest entries of a row, with their values in single precision.
struct Shortlist {
    keep: usize,
    /// Only what is smaller can still be one of them.
    limit: f32,
    /// Twice the error of a value: of two values further apart the smaller is that of the smaller entry.
    doubt: f64,
    /// What was found, `len` entries, and room for sixteen more.
    found: Vec<(f32, u32)>,
    len: usize,
    /// How long the list may get before it is cut.
    room: usize,
}

/// The list is cut when it holds this many times what is wanted, and again when it has doubled: ties may stay.
const CUT: usize = 3;

impl Shortlist {
    fn new(keep: usize, below: f64, error: f64) -> Self {
        let room = CUT * keep;
        let found = vec![(0.0, 0); room + SINGLE_WIDTH];
        Shortlist { keep, limit: up(below + error), doubt: 2.0 * error, found, len: 0, room }
    }

    /// Looks at sixteen entries.
    #[inline(never)]
    fn take(&mut self, values: &Sixteen, first: usize) {
        // No branch: which of them are smaller is as good as random.
        let free = &mut self.found[self.len..self.len + SINGLE_WIDTH];
        let mut count = 0;
        for (lane, value) in values.iter().enumerate() {
            free[count] = (*value, (first + lane) as u32);
            count += usize::from(*value < self.limit);
        }
        self.len += count;
        if self.len >= self.room {
            self.cut();
        }
    }

    /// Leaves what is smaller than the wanted smallest, or as good as that.
    fn cut(&mut self) {
        let found = &mut self.found[..self.len];
        let (_, last, _) = found.select_nth_unstable_by(self.keep - 1, |a, b| a.0.total_cmp(&b.0));
        let limit = up(f64::from(last.0) + self.doubt);
        self.limit = if limit < self.limit { limit } else { self.limit };
        let mut kept = 0;
        for i in 0..found.len() {
            found[kept] = found[i];
            kept += usize::from(found[kept].0 < self.limit);
        }
        self.len = kept;
        self.room = (CUT * self.keep).max(2 * kept);
        if self.found.len() < self.room + SINGLE_WIDTH {
            self.found.resize(self.room + SINGLE_WIDTH, (0.0, 0));
        }
    }

    /// The columns of the list, ascending.
    fn finish(&mut self) -> impl Iterator<Item = u32> + '_ {
        if self.len > self.keep {
            self.cut();
        }
        let found = &mut self.found[..self.len];
        found.sort_unstable_by_key(|found| found.1);
        found.iter().map(|found| found.1)
    }
}

/// The number in single precision, or one above it.
fn up(x: f64) -> f32 {
    (x + x.abs() * f64::from(f32::EPSILON)) as f32
}

/// Eight rows against some groups of columns.
struct Strip<'a> {
    rows: &'a [[f32; WIDTH]],
    columns: &'a [Sixteen],
    starts: &'a [Sixteen],
    first: usize,
    lists: &'a mut [Shortlist],
}

impl LaneOp for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let dim = self.rows.len();
        // Rows that are not there take nothing.
        let mut limits = [f32::NEG_INFINITY; WIDTH];
        for i in 0..self.lists.len() {
            limits[i] = self.lists[i].limit;
        }
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
                for i in 0..self.lists.len() {
                    if tile[i].any_less(F32s::splat(l, limits[i])) {
                        self.lists[i].take(&tile[i].to_array(), self.first + g * SINGLE_WIDTH);
                        limits[i] = self.lists[i].limit;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::transport::pricing::Pricer;
    use crate::transport::table::{Side, Table};
    use crate::transport::{Cost, NormPower};
    use measures::{Points, Seed};
    use rand::RngExt;

    /// The smallest entries of every row, ties by column, computed one by one.
    fn expected(x: &Points, y: &Points, g: &[f64], keep: usize) -> Vec<Vec<f64>> {
        let cost = NormPower::squared_euclidean();
        x.rows()
            .map(|x| {
                let mut row: Vec<f64> = y.rows().zip(g).map(|(y, g)| cost.cost(x, y) - g).collect();
                row.sort_by(f64::total_cmp);
                row.truncate(keep);
                row
            })
            .collect()
    }

    #[test]
    fn nothing_small_is_lost_near_ties_included() {
        let mut rng = Seed::new(2).rng();
        for (n, m, d, kind) in [(70, 333, 16, 0), (33, 500, 40, 1), (20, 2000, 64, 2), (9, 700, 17, 3)] {
            let mut draw = |at: f64| match kind {
                0 => rng.random::<f64>() - 0.5,
                // many exact ties, and differences far below single precision
                1 => (2.0 * rng.random::<f64>()).floor(),
                2 => 1.0 + 1e-9 * rng.random::<f64>(),
                _ => at + 1e3 * rng.random::<f64>(),
            };
            let x = Points::from_fn(n, d, |_, row| row.iter_mut().for_each(|v| *v = draw(0.0)));
            let y = Points::from_fn(m, d, |_, row| row.iter_mut().for_each(|v| *v = draw(1e4)));
            let g: Vec<f64> = (0..m).map(|j| if kind == 2 { 0.0 } else { (j as f64).sin() }).collect();
            let cost = NormPower::squared_euclidean();
            let table = Table::new(&cost, &x, &y);
            let pricer = Pricer::new(&table);
            for keep in [1, 5, 16, m] {
                let rows: Vec<u32> = (0..n as u32).collect();
                let found = pricer.price(Side::Source, &rows, &vec![0.0; n], &g, keep, f64::INFINITY);
                let mut rest = &found.arcs[..];
                for (count, expected) in found.counts.iter().zip(expected(&x, &y, &g, keep)) {
                    let (own, after) = rest.split_at(*count as usize);
                    rest = after;
                    assert_eq!(
                        own.iter().map(|a| a.1).collect::<Vec<_>>(),
                        expected,
                        "kind {kind}, keep {keep}"
                    );
                }
            }
        }
    }
}
