//! Finding arcs worth adding: the smallest reduced costs c_ij − f_i − g_j of every row, over all pairs.
//!
//! Norms to the powers ½, 1 and 2 of their sums are computed in tiles of eight rows by eight columns: no cost is stored, and
//! a tile is only looked at when it holds something smaller than what its rows have. For the squared distance a tile is a
//! product of two matrices, ‖y‖² − g − 2⟨x, y⟩ with coordinates from the middle of the clouds; what it finds is computed
//! again as ‖x − y‖². In many dimensions most of that product is done in single precision, see `sieve`.

use super::cost::bounding_box;
use super::network_simplex::Arc;
use super::sieve::{FEWEST_COORDINATES, Sieve};
use super::table::{Form, Side, Sum, Table, Then};
use crate::packed::Packed;
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{Points, parallel};

/// Rows that one task prices; whole groups.
const ROWS: usize = 64;
/// Columns that stay in the nearest cache while the rows of a task go by, as numbers.
const CACHED: usize = 2048;
/// Without tiles: columns looked at together; their minima say whether to look closer.
const COLUMNS: usize = 64;
/// Costs computed at a time.
const BUFFER: usize = 1024;

/// What pricing found in a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Priced {
    /// The arcs of each row with the smallest reduced costs, row after row, ascending, each with its reduced cost.
    pub(crate) arcs: Vec<(Arc, f64)>,
    /// How many of the arcs belong to each row.
    pub(crate) counts: Vec<u32>,
}

/// A table of costs prepared for pricing.
pub(crate) struct Pricer<'a> {
    table: &'a Table<'a>,
    tiles: Option<Tiles>,
}

/// Both clouds in groups of eight.
struct Tiles {
    form: Form,
    x: Groups,
    y: Groups,
}

pub(super) struct Groups {
    pub(super) points: Packed,
    /// s‖x‖² for the squared distance, padded; else zeros.
    pub(super) squares: Vec<[f64; WIDTH]>,
    sieve: Option<Sieve>,
}

impl Groups {
    fn new(points: &Points, form: Form, middle: &[f64]) -> Self {
        let is_product = form.is_squared_euclidean();
        let mut points = points.clone();
        if is_product {
            points.rows_mut().for_each(|row| row.iter_mut().zip(middle).for_each(|(x, m)| *x -= m));
        }
        let mut squares = vec![[0.0; WIDTH]; points.len().div_ceil(WIDTH)];
        if is_product {
            for (i, row) in points.rows().enumerate() {
                squares[i / WIDTH][i % WIDTH] = form.scale * row.iter().map(|x| x * x).sum::<f64>();
            }
        }
        let (count, packed) = (points.len(), Packed::new(&points));
        let sieve = (is_product && points.dim() >= FEWEST_COORDINATES).then(|| Sieve::new(&packed, count));
        Groups { points: packed, squares, sieve }
    }
}

impl<'a> Pricer<'a> {
    pub(crate) fn new(table: &'a Table<'a>) -> Self {
        let (x, y, _) = table.parts();
        let form = table.form().filter(|form| form.then != Then::Power);
        let tiles = form.map(|form| {
            let (low, high) = bounding_box(x, y);
            let middle: Vec<f64> = low.iter().zip(&high).map(|(l, h)| 0.5 * l + 0.5 * h).collect();
            Tiles { form, x: Groups::new(x, form, &middle), y: Groups::new(y, form, &middle) }
        });
        Pricer { table, tiles }
    }

    /// For the given rows of `side` (which must ascend), the at most `keep` entries with c − own − other < `below`.
    pub(crate) fn price(
        &self,
        side: Side,
        rows: &[u32],
        own: &[f64],
        other: &[f64],
        keep: usize,
        below: f64,
    ) -> Priced {
        let parts = parallel::map_blocks(rows.len(), ROWS, |block| {
            let rows = &rows[block];
            let mut best: Vec<Best> =
                rows.iter().map(|&i| Best::new(keep, below + own[i as usize])).collect();
            match &self.tiles {
                Some(tiles) => tiles.search(self.table, side, rows, other, &mut best),
                None => self.search(side, rows, other, &mut best),
            }
            let mut part = Priced::default();
            for (best, &row) in best.iter_mut().zip(rows) {
                best.cut();
                let before = part.arcs.len();
                for &Entry { column, cost, .. } in best.found() {
                    let (from, to) = match side {
                        Side::Source => (row, column),
                        Side::Target => (column, row),
                    };
                    let is_known = !cost.is_nan();
                    let cost = if is_known { cost } else { self.table.entry(from as usize, to as usize) };
                    let reduced = cost - own[row as usize] - other[column as usize];
                    if reduced < below {
                        part.arcs.push((Arc { from, to, cost }, reduced));
                    }
                }
                part.arcs[before..].sort_unstable_by(|a, b| {
                    a.1.total_cmp(&b.1).then((a.0.from, a.0.to).cmp(&(b.0.from, b.0.to)))
                });
                part.counts.push((part.arcs.len() - before) as u32);
            }
            part
        });
        let mut all = Priced::default();
        for part in parts {
            all.arcs.extend(part.arcs);
            all.counts.extend(part.counts);
        }
        all
    }

    /// minⱼ c − otherⱼ for every row of `side`: the c-transform.
    pub(crate) fn transform(&self, side: Side, other: &[f64]) -> Vec<f64> {
        let rows: Vec<u32> = (0..self.table.rows(side) as u32).collect();
        let zero = vec![0.0; rows.len()];
        let priced = self.price(side, &rows, &zero, other, 1, f64::INFINITY);
        priced.arcs.into_iter().map(|(_, reduced)| reduced).collect()
    }

    /// Row by row, for costs that have no tiles.
    fn search(&self, side: Side, rows: &[u32], other: &[f64], best: &mut [Best]) {
        let len = self.table.row_len(side);
        let mut buffer = [0.0; BUFFER];
        for (best, &row) in best.iter_mut().zip(rows) {
            for start in (0..len).step_by(BUFFER) {
                let costs = &mut buffer[..BUFFER.min(len - start)];
                self.table.fill(side, row as usize, start, costs);
                let potentials = other[start..].chunks(COLUMNS);
                for (k, (values, potentials)) in costs.chunks_mut(COLUMNS).zip(potentials).enumerate() {
                    if subtract(values, potentials) < best.limit {
                        for (l, &value) in values.iter().enumerate() {
                            best.offer(value, (start + k * COLUMNS + l) as u32);
                        }
                    }
                }
            }
        }
    }
}

/// An entry of a row: c − other.
#[derive(Clone, Copy)]
struct Entry {
    value: f64,
    column: u32,
    /// c, or NaN where it was not computed as such.
    cost: f64,
}

/// The smallest entries of a row so far, ties by column, and some others.
pub(super) struct Best {
    pub(super) keep: usize,
    /// Only what is smaller can still come in.
    pub(super) limit: f64,
    /// What was found, `len` entries, and room for eight more.
    found: Vec<Entry>,
    len: usize,
}

/// Others are dropped when there are this many times what is wanted.
const CUT: usize = 3;

impl Best {
    fn new(keep: usize, limit: f64) -> Self {
        let none = Entry { value: 0.0, column: 0, cost: f64::NAN };
        Best { keep, limit, found: vec![none; CUT * keep + WIDTH], len: 0 }
    }

    /// Entries must come by ascending columns.
    #[inline]
    fn offer(&mut self, value: f64, column: u32) {
        self.put(Entry { value, column, cost: f64::NAN });
    }

    /// As [`Best::offer`], of an entry whose cost is known.
    pub(super) fn offer_known(&mut self, cost: f64, other: f64, column: u32) {
        self.put(Entry { value: cost - other, column, cost });
    }

    #[inline]
    fn put(&mut self, entry: Entry) {
        if entry.value < self.limit {
            self.found[self.len] = entry;
            self.len += 1;
            self.cut_if_full();
        }
    }

    /// Offers eight entries.
    #[inline(never)]
    fn take(&mut self, values: &[f64; WIDTH], first: u32) {
        // No branch: which of them are smaller is as good as random.
        let free = &mut self.found[self.len..self.len + WIDTH];
        let mut count = 0;
        for (k, &value) in values.iter().enumerate() {
            free[count] = Entry { value, column: first + k as u32, cost: f64::NAN };
            count += usize::from(value < self.limit);
        }
        self.len += count;
        self.cut_if_full();
    }

    fn cut_if_full(&mut self) {
        if self.len >= CUT * self.keep {
            self.cut();
        }
    }

    /// Leaves no others.
    fn cut(&mut self) {
        if self.len > self.keep {
            let order = |a: &Entry, b: &Entry| a.value.total_cmp(&b.value).then(a.column.cmp(&b.column));
            let (_, last, _) = self.found[..self.len].select_nth_unstable_by(self.keep - 1, order);
            self.limit = last.value;
            self.len = self.keep;
        }
    }

    fn found(&self) -> &[Entry] {
        &self.found[..self.len]
    }
}

impl Tiles {
    fn search(&self, table: &Table<'_>, side: Side, rows: &[u32], other: &[f64], best: &mut [Best]) {
        let (of_rows, of_columns) = match side {
            Side::Source => (&self.x, &self.y),
            Side::Target => (&self.y, &self.x),
        };
        if let Some(sieve) = &of_columns.sieve
            && sieve.search((table, side), (of_rows, of_columns), (rows, other), self.form.scale, best)
        {
            return;
        }
        let d = of_rows.points.group(0).len();
        let scale = if self.form.is_squared_euclidean() { -2.0 * self.form.scale } else { 1.0 };
        // The rows of the task, gathered and times −2s for the products; the last stands in for those missing.
        let groups: Vec<Vec<[f64; WIDTH]>> = rows
            .chunks(WIDTH)
            .map(|rows| {
                let place = |lane: usize| rows[lane.min(rows.len() - 1)] as usize;
                let value = |k: usize, i: usize| of_rows.points.group(i / WIDTH)[k][i % WIDTH];
                (0..d).map(|k| std::array::from_fn(|lane| scale * value(k, place(lane)))).collect()
            })
            .collect();
        // Limits in terms of what a tile holds, which lacks s‖x‖².
        let shifts: Vec<f64> =
            rows.iter().map(|&i| of_rows.squares[i as usize / WIDTH][i as usize % WIDTH]).collect();
        best.iter_mut().zip(&shifts).for_each(|(best, shift)| best.limit -= shift);
        let count = of_columns.points.len();
        let block = (CACHED / (WIDTH * d)).max(1);
        let mut starts = vec![[0.0; WIDTH]; block];
        for first in (0..count).step_by(block) {
            let last = (first + block).min(count);
            // What every entry of a column starts from: s‖y‖² − g, and no place for columns that are not there.
            for (start, group) in starts.iter_mut().zip(first..last) {
                for (lane, s) in start.iter_mut().enumerate() {
                    let j = group * WIDTH + lane;
                    *s = other.get(j).map_or(f64::INFINITY, |g| of_columns.squares[group][lane] - g);
                }
            }
            for (rows, best) in groups.iter().zip(best.chunks_mut(WIDTH)) {
                let columns = &of_columns.points;
                dispatch(Strip {
                    form: self.form,
                    rows,
                    columns,
                    first,
                    starts: &starts[..last - first],
                    best,
                });
            }
        }
    }
}

/// Eight rows against some groups of columns.
struct Strip<'a> {
    form: Form,
    rows: &'a [[f64; WIDTH]],
    columns: &'a Packed,
    first: usize,
    starts: &'a [[f64; WIDTH]],
    best: &'a mut [Best],
}

impl LaneOp for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let mut limits = limits_of(self.best);
        for g in 0..self.starts.len() {
            let group = self.columns.group(self.first + g);
            let tile = if self.form.is_squared_euclidean() {
                products(l, self.rows, group, &self.starts[g])
            } else {
                differences(l, self.form, self.rows, group, &self.starts[g])
            };
            let mut least = tile[0] - F64s::splat(l, limits[0]);
            for i in 1..WIDTH {
                least = least.min(tile[i] - F64s::splat(l, limits[i]));
            }
            if least.any_less(F64s::splat(l, 0.0)) {
                for i in 0..WIDTH {
                    if tile[i].any_less(F64s::splat(l, limits[i])) {
                        let values = tile[i].to_array();
                        self.best[i].take(&values, ((self.first + g) * WIDTH) as u32);
                    }
                }
                limits = limits_of(self.best);
            }
        }
    }
}

/// The limits of eight rows; rows that are not there take nothing.
#[inline(always)]
fn limits_of(best: &[Best]) -> [f64; WIDTH] {
    let mut limits = [-f64::MAX; WIDTH];
    for i in 0..best.len() {
        limits[i] = best[i].limit;
    }
    limits
}

/// start_j + ⟨x_i, y_j⟩ for eight scaled x in the entries and eight y in the lanes.
#[inline(always)]
fn products<L: Lanes>(
    l: L,
    rows: &[[f64; WIDTH]],
    columns: &[[f64; WIDTH]],
    start: &[f64; WIDTH],
) -> [F64s<L>; WIDTH] {
    let mut sums = [F64s::load(l, start); WIDTH];
    for k in 0..rows.len() {
        let y = F64s::load(l, &columns[k]);
        for i in 0..WIDTH {
            sums[i] = y.mul_add(F64s::splat(l, rows[k][i]), sums[i]);
        }
    }
    sums
}

/// start_j + c(x_i, y_j), from the differences of coordinates.
#[inline(always)]
fn differences<L: Lanes>(
    l: L,
    form: Form,
    rows: &[[f64; WIDTH]],
    columns: &[[f64; WIDTH]],
    start: &[f64; WIDTH],
) -> [F64s<L>; WIDTH] {
    let mut sums = [F64s::splat(l, 0.0); WIDTH];
    for k in 0..rows.len() {
        let y = F64s::load(l, &columns[k]);
        for i in 0..WIDTH {
            let v = F64s::splat(l, rows[k][i]) - y;
            match form.sum {
                Sum::Squares => sums[i] = v.mul_add(v, sums[i]),
                Sum::Absolute => sums[i] = sums[i] + v.abs(),
                Sum::Largest => sums[i] = sums[i].max(v.abs()),
            }
        }
    }
    let (scale, start) = (F64s::splat(l, form.scale), F64s::load(l, start));
    for i in 0..WIDTH {
        let sum = match form.then {
            Then::Root => sums[i].sqrt(),
            Then::Square => sums[i] * sums[i],
            Then::Same | Then::Power => sums[i],
        };
        sums[i] = sum.mul_add(scale, start);
    }
    sums
}

/// values −= potentials; returns the smallest.
fn subtract(values: &mut [f64], potentials: &[f64]) -> f64 {
    let mut least = f64::INFINITY;
    for (v, g) in values.iter_mut().zip(potentials) {
        *v -= g;
        least = if *v < least { *v } else { least };
    }
    least
}
