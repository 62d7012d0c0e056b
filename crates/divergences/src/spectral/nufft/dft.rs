//! The discrete Fourier transform between a fine grid and the wanted frequencies, a coordinate after the other by matrix
//! products; cosines see the even and sines the odd part of a row, which halves them.

use super::scratch::{self, Scratch};
use super::window::{Group, undo};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH};
use std::f64::consts::TAU;

/// Rows and groups of columns of a tile of the matrix product.
const ROWS: usize = 4;
const COLUMNS: usize = 2;

/// One coordinate: 2K + 1 functions, and 2M + 1 nodes −M, …, M of which those beyond ±N/2 stand for nodes N away.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) highest: usize,
    /// N, even.
    pub(super) nodes: usize,
    /// M.
    pub(super) reach: usize,
    /// cos 2πkl/N / sinc(k/N)ᵖ for the rows k = 0, …, K and the columns l = 0, …, M.
    cos: Table,
    /// The sines for k = 1, …, K and l = M, …, 1: in this order the odd part of a row is stored where its first half was.
    sin: Table,
    /// The same with rows and columns exchanged, of the last coordinate only.
    cos_columns: Table,
    sin_columns: Table,
}

/// A matrix whose rows are filled up to whole groups.
#[derive(Debug)]
struct Table {
    data: Scratch,
    groups: usize,
}

impl Table {
    fn new(rows: usize, columns: usize) -> Self {
        let groups = columns.div_ceil(WIDTH);
        Table { data: scratch::zeroed(rows * groups), groups }
    }

    fn row(&mut self, r: usize) -> &mut [f64] {
        self.data[r * self.groups..(r + 1) * self.groups].as_flattened_mut()
    }

    fn transposed(&self, rows: usize, columns: usize) -> Self {
        let mut out = Table::new(columns, rows);
        let (from, width) = (self.data.as_flattened(), out.groups * WIDTH);
        let to = out.data.as_flattened_mut();
        for r in 0..rows {
            let from = &from[r * self.groups * WIDTH..];
            for (c, x) in from[..columns].iter().enumerate() {
                to[c * width + r] = *x;
            }
        }
        out
    }
}

impl Axis {
    pub(super) fn new(highest: usize, nodes: usize, order: usize, last: bool) -> Self {
        let reach = nodes / 2 + order / 2;
        let roots: Vec<(f64, f64)> = (0..nodes).map(|j| (TAU * j as f64 / nodes as f64).sin_cos()).collect();
        let (mut cos, mut sin) = (Table::new(highest + 1, reach + 1), Table::new(highest, reach));
        for k in 0..=highest {
            let factor = undo(k, nodes, order);
            // k < N, so that one step back is enough
            let next = |at: usize| if at + k < nodes { at + k } else { at + k - nodes };
            let mut at = 0;
            for out in &mut cos.row(k)[..=reach] {
                *out = factor * roots[at].1;
                at = next(at);
            }
            if k > 0 {
                let mut at = k;
                for out in sin.row(k - 1)[..reach].iter_mut().rev() {
                    *out = factor * roots[at].0;
                    at = next(at);
                }
            }
        }
        let (mut cos_columns, mut sin_columns) = (Table::new(0, 0), Table::new(0, 0));
        if last {
            cos_columns = cos.transposed(highest + 1, reach + 1);
            sin_columns = sin.transposed(highest, reach);
        }
        Axis { highest, nodes, reach, cos, sin, cos_columns, sin_columns }
    }

    pub(super) fn functions(&self) -> usize {
        2 * self.highest + 1
    }

    /// Nodes with those that repeat.
    pub(super) fn width(&self) -> usize {
        2 * self.reach + 1
    }

    /// Groups of a row of nodes.
    pub(super) fn groups(&self) -> usize {
        self.width().div_ceil(WIDTH)
    }
}

/// From the fine grid, which is overwritten, to `out`: the sums over its nodes with all functions, in the order of the family.
pub(super) struct Forward<'a> {
    pub(super) axes: &'a [Axis],
    pub(super) grid: &'a mut [Group],
    pub(super) out: &'a mut [f64],
}

impl LaneOp for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (last, others) = (&self.axes[self.axes.len() - 1], &self.axes[..self.axes.len() - 1]);
        let (first, mut later, mut front) = (self.grid, scratch::zeroed(0), 1);
        for (j, axis) in others.iter().enumerate() {
            let mut back = last.groups();
            for next in &others[j + 1..] {
                back *= next.width();
            }
            let (m, k) = (axis.reach, axis.highest);
            let grid = if j == 0 { &mut *first } else { &mut later[..] };
            let mut out = scratch::zeroed(front * axis.functions() * back);
            for f in 0..front {
                let nodes = &mut grid[f * axis.width() * back..(f + 1) * axis.width() * back];
                fold_rows(lanes, nodes, m, back);
                let out = &mut out[f * axis.functions() * back..(f + 1) * axis.functions() * back];
                let (odd, even) = nodes.split_at(m * back);
                let even = Right { groups: even, depth: back };
                let cos =
                    Left { numbers: axis.cos.data.as_flattened(), row: axis.cos.groups * WIDTH, depth: 1 };
                add_product(lanes, cos, even, (1, m + 1, back), out, back);
                if k > 0 {
                    let cos = Left { numbers: &cos.numbers[cos.row..], ..cos };
                    add_product(lanes, cos, even, (k, m + 1, back), &mut out[back..], 2 * back);
                    let sin = Left {
                        numbers: axis.sin.data.as_flattened(),
                        row: axis.sin.groups * WIDTH,
                        depth: 1,
                    };
                    let odd = Right { groups: odd, depth: back };
                    add_product(lanes, sin, odd, (k, m, back), &mut out[2 * back..], 2 * back);
                }
            }
            later = out;
            front *= axis.functions();
        }
        let (m, k, groups) = (last.reach, last.highest, last.groups());
        let grid = if others.is_empty() { first } else { &mut later[..] };
        let rows = grid.as_flattened_mut();
        for row in rows.chunks_exact_mut(groups * WIDTH) {
            for l in 1..=m {
                let (below, above) = (row[m - l], row[m + l]);
                row[m + l] = above + below;
                row[m - l] = above - below;
            }
        }
        let mut cos = scratch::zeroed(front * last.cos_columns.groups);
        let even = Left { numbers: &rows[m..], row: groups * WIDTH, depth: 1 };
        let right = Right { groups: &last.cos_columns.data, depth: last.cos_columns.groups };
        let columns = last.cos_columns.groups;
        add_product(lanes, even, right, (front, m + 1, columns), &mut cos, columns);
        let mut sin = scratch::zeroed(front * last.sin_columns.groups);
        let odd = Left { numbers: rows, ..even };
        let right = Right { groups: &last.sin_columns.data, depth: last.sin_columns.groups };
        let columns = last.sin_columns.groups;
        add_product(lanes, odd, right, (front, m, columns), &mut sin, columns);
        let (cos, sin) = (cos.as_flattened(), sin.as_flattened());
        for (f, out) in self.out.chunks_exact_mut(last.functions()).enumerate() {
            let cos = &cos[f * last.cos_columns.groups * WIDTH..][..=k];
            let sin = &sin[f * last.sin_columns.groups * WIDTH..][..k];
            out[0] = cos[0];
            for (k, out) in out[1..].chunks_exact_mut(2).enumerate() {
                out[0] = cos[k + 1];
                out[1] = sin[k];
            }
        }
    }
}

/// The adjoint: from coefficients in the order of the family to the fine grid.
pub(super) struct Adjoint<'a> {
    pub(super) axes: &'a [Axis],
    pub(super) coefficients: &'a [f64],
}

impl LaneOp for Adjoint<'_> {
    type Output = Scratch;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Scratch {
        let (last, others) = (&self.axes[self.axes.len() - 1], &self.axes[..self.axes.len() - 1]);
        let (m, k, functions) = (last.reach, last.highest, last.functions());
        let mut front = self.coefficients.len() / functions;
        let mut even = scratch::zeroed(front * last.cos.groups);
        let mut odd = scratch::zeroed(front * last.sin.groups);
        for (even, c) in even.chunks_exact_mut(last.cos.groups).zip(self.coefficients.chunks_exact(functions))
        {
            even.fill([c[0]; WIDTH]);
        }
        if k > 0 {
            let cos = Left { numbers: &self.coefficients[1..], row: functions, depth: 2 };
            let right = Right { groups: &last.cos.data[last.cos.groups..], depth: last.cos.groups };
            let columns = last.cos.groups;
            add_product(lanes, cos, right, (front, k, columns), &mut even, columns);
            let sin = Left { numbers: &self.coefficients[2..], ..cos };
            let right = Right { groups: &last.sin.data, depth: last.sin.groups };
            let columns = last.sin.groups;
            add_product(lanes, sin, right, (front, k, columns), &mut odd, columns);
        }
        let mut grid = scratch::zeroed(front * last.groups());
        for (f, row) in grid.as_flattened_mut().chunks_exact_mut(last.groups() * WIDTH).enumerate() {
            let even = &even[f * last.cos.groups..(f + 1) * last.cos.groups].as_flattened()[..=m];
            let odd = &odd[f * last.sin.groups..(f + 1) * last.sin.groups].as_flattened()[..m];
            for l in 0..m {
                row[l] = even[m - l] - odd[l];
            }
            row[m] = even[0];
            for l in 1..=m {
                row[m + l] = even[l] + odd[m - l];
            }
        }
        let mut back = last.groups();
        for axis in others.iter().rev() {
            let (m, k) = (axis.reach, axis.highest);
            front /= axis.functions();
            let mut out = scratch::zeroed(front * axis.width() * back);
            for f in 0..front {
                let from = &grid[f * axis.functions() * back..(f + 1) * axis.functions() * back];
                let out = &mut out[f * axis.width() * back..(f + 1) * axis.width() * back];
                let (odd, even) = out.split_at_mut(m * back);
                for row in even.chunks_exact_mut(back) {
                    row.copy_from_slice(&from[..back]);
                }
                if k > 0 {
                    let row = axis.cos.groups * WIDTH;
                    let cos = Left { numbers: &axis.cos.data.as_flattened()[row..], row: 1, depth: row };
                    let right = Right { groups: &from[back..], depth: 2 * back };
                    add_product(lanes, cos, right, (m + 1, k, back), even, back);
                    let row = axis.sin.groups * WIDTH;
                    let sin = Left { numbers: axis.sin.data.as_flattened(), row: 1, depth: row };
                    let right = Right { groups: &from[2 * back..], depth: 2 * back };
                    add_product(lanes, sin, right, (m, k, back), odd, back);
                }
                fold_rows(lanes, out, m, back);
            }
            grid = out;
            back *= axis.width();
        }
        grid
    }
}

/// Rows m + l and m − l become their sum and difference, for l = 1, …, m: even and odd part, or back.
#[inline(always)]
fn fold_rows<L: Lanes>(lanes: L, rows: &mut [Group], m: usize, width: usize) {
    let (below, above) = rows.split_at_mut((m + 1) * width);
    for (above, below) in above.chunks_exact_mut(width).zip(below.chunks_exact_mut(width).rev().skip(1)) {
        for (above, below) in above.iter_mut().zip(below) {
            let (a, b) = (F64s::load(lanes, above), F64s::load(lanes, below));
            (a + b).store(above);
            (a - b).store(below);
        }
    }
}

/// A matrix read number by number: entry (r, l) is `numbers[r·row + l·depth]`.
#[derive(Clone, Copy)]
struct Left<'a> {
    numbers: &'a [f64],
    row: usize,
    depth: usize,
}

/// A matrix read by groups of eight columns: group g of row l is `groups[l·depth + g]`.
#[derive(Clone, Copy)]
struct Right<'a> {
    groups: &'a [Group],
    depth: usize,
}

/// out += left · right for `rows` rows at the distance `stride`, and `columns` groups.
#[inline(always)]
fn add_product<L: Lanes>(
    lanes: L,
    left: Left<'_>,
    right: Right<'_>,
    (rows, depth, columns): (usize, usize, usize),
    out: &mut [Group],
    stride: usize,
) {
    let mut g = 0;
    while g < columns {
        let right = Right { groups: &right.groups[g..], ..right };
        let two = g + COLUMNS <= columns;
        let mut r = 0;
        while r < rows {
            let four = r + ROWS <= rows;
            let left = Left { numbers: &left.numbers[r * left.row..], ..left };
            let out = &mut out[r * stride + g..];
            match (four, two) {
                (true, true) => tile::<L, ROWS, COLUMNS>(lanes, left, right, depth, out, stride),
                (true, false) => tile::<L, ROWS, 1>(lanes, left, right, depth, out, stride),
                (false, true) => tile::<L, 1, COLUMNS>(lanes, left, right, depth, out, stride),
                (false, false) => tile::<L, 1, 1>(lanes, left, right, depth, out, stride),
            }
            r += if four { ROWS } else { 1 };
        }
        g += if two { COLUMNS } else { 1 };
    }
}

#[inline(always)]
fn tile<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    left: Left<'_>,
    right: Right<'_>,
    depth: usize,
    out: &mut [Group],
    stride: usize,
) {
    let mut sums = [[F64s::splat(lanes, 0.0); C]; R];
    for r in 0..R {
        for c in 0..C {
            sums[r][c] = F64s::load(lanes, &out[r * stride + c]);
        }
    }
    for l in 0..depth {
        let groups = &right.groups[l * right.depth..][..C];
        let mut b = [F64s::splat(lanes, 0.0); C];
        for c in 0..C {
            b[c] = F64s::load(lanes, &groups[c]);
        }
        for r in 0..R {
            let a = F64s::splat(lanes, left.numbers[r * left.row + l * left.depth]);
            for c in 0..C {
                sums[r][c] = a.mul_add(b[c], sums[r][c]);
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            sums[r][c].store(&mut out[r * stride + c]);
        }
    }
}
