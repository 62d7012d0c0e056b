//! Rows of the table of costs c(xᵢ, yⱼ), computed when they are wanted: the n×m matrix itself is never stored.

use super::cost::{Cost, NormPower, bounding_box};
use super::line::check_finite_costs;
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, chunks, dispatch};
use measures::{Error, Points, Result, parallel};

/// The costs between two clouds, by rows of one or of the other.
pub(crate) struct Table<'a> {
    cost: &'a dyn Cost,
    x: &'a Points,
    y: &'a Points,
    /// The rows of each side as coordinate-major lists, the length padded to whole lanes; empty for a cost that is not
    /// evaluated in lanes.
    x_columns: Vec<f64>,
    y_columns: Vec<f64>,
    form: Option<Form>,
}

/// Which cloud the rows of a table belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Row i is c(xᵢ, ·).
    Source,
    /// Row j is c(·, yⱼ).
    Target,
}

/// How a cost is evaluated in lanes: sum or maximum over the coordinates, then a power.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) sum: Sum,
    pub(crate) then: Then,
    pub(crate) scale: f64,
    /// The exponent that [`Then::Power`] raises the sum to.
    exponent: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sum {
    Squares,
    Absolute,
    Largest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Same,
    Root,
    Square,
    Power,
}

impl Form {
    /// s‖x − y‖², whose sums over pairs are products of matrices.
    #[inline(always)]
    pub(crate) fn is_squared_euclidean(self) -> bool {
        self.sum == Sum::Squares && self.then == Then::Same
    }

    /// s‖x − y‖, whose gradient is s (x − y)/‖x − y‖.
    pub(super) fn is_euclidean(self) -> bool {
        self.sum == Sum::Squares && self.then == Then::Root
    }

    fn of(cost: NormPower) -> Option<Form> {
        let (sum, exponent) = if cost.norm() == 2.0 {
            (Sum::Squares, 0.5 * cost.power())
        } else if cost.norm() == 1.0 {
            (Sum::Absolute, cost.power())
        } else if cost.norm() == f64::INFINITY {
            (Sum::Largest, cost.power())
        } else {
            return None;
        };
        let then = if exponent == 1.0 {
            Then::Same
        } else if exponent == 0.5 {
            Then::Root
        } else if exponent == 2.0 {
            Then::Square
        } else {
            Then::Power
        };
        Some(Form { sum, then, scale: cost.scale(), exponent })
    }
}

/// The points as d lists of coordinates, each padded with zeros to whole lanes.
fn columns_of(points: &Points) -> Vec<f64> {
    let (n, d) = (points.len(), points.dim());
    let padded = n.next_multiple_of(WIDTH);
    let mut columns = vec![0.0; padded * d];
    for (i, row) in points.rows().enumerate() {
        for (k, &v) in row.iter().enumerate() {
            columns[k * padded + i] = v;
        }
    }
    columns
}

/// Whether squares of differences neither overflow nor vanish: else lengths take more care than lanes do.
fn fits(x: &Points, y: &Points) -> bool {
    let (low, high) = bounding_box(x, y);
    let square: f64 = low.iter().zip(&high).map(|(l, h)| (h - l) * (h - l)).sum();
    square == 0.0 && low == high || (1e-250..1e290).contains(&square)
}

impl<'a> Table<'a> {
    pub(crate) fn new(cost: &'a dyn Cost, x: &'a Points, y: &'a Points) -> Self {
        let form = cost.norm_power().and_then(Form::of).filter(|form| form.sum != Sum::Squares || fits(x, y));
        let columns = |points| if form.is_some() { columns_of(points) } else { Vec::new() };
        Table { cost, x, y, x_columns: columns(x), y_columns: columns(y), form }
    }

    /// The two clouds and the cost.
    pub(crate) fn parts(&self) -> (&'a Points, &'a Points, &'a dyn Cost) {
        (self.x, self.y, self.cost)
    }

    /// How the cost is evaluated in lanes, if it is.
    pub(crate) fn form(&self) -> Option<Form> {
        self.form
    }

    /// The target points as lists of coordinates, each padded with zeros to whole lanes, for a cost evaluated in lanes.
    pub(super) fn target_columns(&self) -> &[f64] {
        &self.y_columns
    }

    /// The number of rows.
    pub(crate) fn rows(&self, side: Side) -> usize {
        match side {
            Side::Source => self.x.len(),
            Side::Target => self.y.len(),
        }
    }

    /// The entries of one row.
    pub(crate) fn row_len(&self, side: Side) -> usize {
        match side {
            Side::Source => self.y.len(),
            Side::Target => self.x.len(),
        }
    }

    /// c(xᵢ, yⱼ).
    pub(crate) fn entry(&self, i: usize, j: usize) -> f64 {
        self.cost.cost(self.x.row(i), self.y.row(j))
    }

    /// Writes the entries `start..start + out.len()` of row `row`; `start` must be a multiple of eight.
    pub(crate) fn fill(&self, side: Side, row: usize, start: usize, out: &mut [f64]) {
        debug_assert!(start.is_multiple_of(WIDTH));
        let (point, columns, count) = match side {
            Side::Source => (self.x.row(row), &self.y_columns, self.y.len()),
            Side::Target => (self.y.row(row), &self.x_columns, self.x.len()),
        };
        if let Some(form) = self.form {
            let padded = count.next_multiple_of(WIDTH);
            dispatch(Fill { form, point, columns, padded, start, out: &mut *out });
            if form.then == Then::Power {
                out.iter_mut().for_each(|v| *v = v.powf(form.exponent) * form.scale);
            }
            return;
        }
        for (k, out) in out.iter_mut().enumerate() {
            *out = match side {
                Side::Source => self.entry(row, start + k),
                Side::Target => self.entry(start + k, row),
            };
        }
    }

    /// A bound on every |c(xᵢ, yⱼ)|: from the bounding box where the cost is a norm, else from all pairs.
    ///
    /// # Errors
    /// A cost that is NaN or infinite, with its row and column.
    pub(crate) fn largest(&self) -> Result<f64> {
        if let Some(cost) = self.cost.norm_power() {
            let (low, high) = bounding_box(self.x, self.y);
            let largest = cost.of_length(cost.length(low.iter().zip(&high).map(|(l, h)| h - l)));
            check_finite_costs(largest)?;
            return Ok(largest);
        }
        let m = self.y.len();
        let parts = parallel::map_blocks(self.x.len(), 64, |rows| {
            let mut largest = 0.0f64;
            for row in rows {
                for column in 0..m {
                    let value = self.entry(row, column);
                    if !value.is_finite() {
                        return Err(Error::NonFinite { what: "cost", row, column, value });
                    }
                    largest = largest.max(value.abs());
                }
            }
            Ok(largest)
        });
        parts.into_iter().try_fold(0.0, |a: f64, b| Ok(a.max(b?)))
    }
}

/// Fills a row with costs (the sum alone, when a general power follows).
struct Fill<'a> {
    form: Form,
    point: &'a [f64],
    columns: &'a [f64],
    padded: usize,
    start: usize,
    out: &'a mut [f64],
}

impl LaneOp for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (whole, rest) = self.out.as_chunks_mut::<WIDTH>();
        let mut at = self.start;
        for chunk in whole {
            block(l, self.form, self.point, self.columns, self.padded, at).store(chunk);
            at += WIDTH;
        }
        if !rest.is_empty() {
            let last = block(l, self.form, self.point, self.columns, self.padded, at).to_array();
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

/// Eight costs from one point.
#[inline(always)]
pub(super) fn block<L: Lanes>(
    l: L,
    form: Form,
    point: &[f64],
    columns: &[f64],
    padded: usize,
    at: usize,
) -> F64s<L> {
    let mut sum = F64s::splat(l, 0.0);
    for k in 0..point.len() {
        let begin = k * padded + at;
        let (column, _) = chunks(&columns[begin..begin + WIDTH]);
        let v = F64s::splat(l, point[k]) - F64s::load(l, &column[0]);
        match form.sum {
            Sum::Squares => sum = v.mul_add(v, sum),
            Sum::Absolute => sum = sum + v.abs(),
            Sum::Largest => sum = sum.max(v.abs()),
        }
    }
    match form.then {
        Then::Same => sum * F64s::splat(l, form.scale),
        Then::Root => sum.sqrt() * F64s::splat(l, form.scale),
        Then::Square => sum * sum * F64s::splat(l, form.scale),
        Then::Power => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Custom, test_support::cloud};

    #[test]
    fn rows_are_the_costs() {
        for d in [1, 2, 5] {
            let (x, y) = (cloud(11, d, 1, false), cloud(21, d, 2, false));
            for norm in [1.0, 1.5, 2.0, f64::INFINITY] {
                for power in [0.7, 1.0, 2.0, 3.0, 4.0] {
                    let cost = NormPower::new(norm, power).unwrap().scaled(0.5).unwrap();
                    let table = Table::new(&cost, x.points(), y.points());
                    let largest = table.largest().unwrap();
                    for side in [Side::Source, Side::Target] {
                        for row in 0..table.rows(side) {
                            let mut out = vec![0.0; table.row_len(side) - 8];
                            table.fill(side, row, 8, &mut out);
                            for (k, v) in out.iter().enumerate() {
                                let (i, j) = if side == Side::Source { (row, k + 8) } else { (k + 8, row) };
                                let want = table.entry(i, j);
                                assert!((v - want).abs() <= 1e-14 * want && want <= largest);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn costs_that_are_no_numbers_are_found() {
        let (x, y) = (cloud(3, 1, 1, false), cloud(5, 1, 2, false));
        let cost = Custom::new(|a, b| if b[0] == y.points().row(4)[0] { f64::NAN } else { a[0] });
        let found = Table::new(&cost, x.points(), y.points()).largest();
        assert!(matches!(found, Err(Error::NonFinite { what: "cost", row: 0, column: 4, .. })));
    }
}
