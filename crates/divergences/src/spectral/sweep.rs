//! The two passes over the points: brackets of all products of trigonometric functions, and sums of them with gradients.
//!
//! A lane is a point. Brackets are small matrix products, four functions of one coordinate by four of the last at a time,
//! over groups of points whose tables stay in the cache.

use super::grid::SpectralGrid;
use crate::family::powers::powers;
use crate::packed::Packed;
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH};
use std::f64::consts::TAU;

type Group = [f64; WIDTH];

/// Groups of eight points in one pass of the matrix products; no power of two, with which all functions would share the same sets of the cache.
const GROUPS: usize = 60;

/// Functions of a coordinate in one tile.
const TILE: usize = 4;

/// The coordinates as three: those that are missing in front have the constant function alone.
struct Shape {
    /// 2K + 1 functions of each.
    sizes: [usize; 3],
}

impl Shape {
    fn of(grid: &SpectralGrid) -> Self {
        let mut sizes = [1; 3];
        let missing = 3 - grid.highest.len();
        for (size, k) in sizes[missing..].iter_mut().zip(&grid.highest) {
            *size = 2 * k + 1;
        }
        Shape { sizes }
    }
}

/// What a pass needs to write on.
pub(super) struct Tables {
    shape: Shape,
    /// For each of the three coordinates its functions at the groups of a pass: entry `r·groups + g`.
    functions: [Vec<Group>; 3],
    /// The functions of the second coordinate times weight and first.
    weighted: Vec<Group>,
    /// Powers of one group.
    powers: Vec<[Group; 2]>,
}

impl Tables {
    pub(super) fn new(grid: &SpectralGrid) -> Self {
        let shape = Shape::of(grid);
        let zero = [0.0; WIDTH];
        let functions = shape.sizes.map(|size| vec![zero; size * GROUPS]);
        let weighted = vec![zero; shape.sizes[1] * GROUPS];
        let most = grid.highest.iter().copied().max().unwrap_or(0);
        Tables { shape, functions, weighted, powers: vec![[zero; 2]; most] }
    }

    /// Fills the functions at some groups of points.
    #[inline(always)]
    fn fill<L: Lanes>(
        &mut self,
        lanes: L,
        grid: &SpectralGrid,
        points: &Packed,
        start: usize,
        groups: usize,
    ) {
        let missing = 3 - grid.highest.len();
        for table in &mut self.functions[..missing] {
            table[..groups].fill([1.0; WIDTH]);
        }
        for (j, highest) in grid.highest.iter().enumerate() {
            let table = &mut self.functions[missing + j];
            let (centre, period) =
                (F64s::splat(lanes, grid.centre[j]), F64s::splat(lanes, grid.periods[j].recip()));
            for g in 0..groups {
                let x = F64s::load(lanes, &points.group(start + g)[j]);
                powers(lanes, (x - centre) * period, &mut self.powers[..*highest]);
                table[g] = [1.0; WIDTH];
                for (k, [cos, sin]) in self.powers[..*highest].iter().enumerate() {
                    table[(2 * k + 1) * groups + g] = *cos;
                    table[(2 * k + 2) * groups + g] = *sin;
                }
            }
        }
    }
}

/// Adds Σᵢ wᵢ f(xᵢ) over packed points to `out`, for every product f.
pub(super) struct Brackets<'a> {
    pub(super) grid: &'a SpectralGrid,
    pub(super) points: &'a Packed,
    pub(super) weights: &'a [Group],
    pub(super) tables: &'a mut Tables,
    pub(super) out: &'a mut [f64],
}

impl LaneOp for Brackets<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let [first, rows, columns] = self.tables.shape.sizes;
        let mut start = 0;
        while start < self.points.len() {
            let groups = GROUPS.min(self.points.len() - start);
            self.tables.fill(lanes, self.grid, self.points, start, groups);
            let weights = &self.weights[start..start + groups];
            for r in 0..first {
                let tables = &mut *self.tables;
                let front = &tables.functions[0][r * groups..(r + 1) * groups];
                for (out, functions) in tables
                    .weighted
                    .chunks_exact_mut(groups)
                    .zip(tables.functions[1].chunks_exact(groups))
                    .take(rows)
                {
                    for g in 0..groups {
                        let front = F64s::load(lanes, &weights[g]) * F64s::load(lanes, &front[g]);
                        (front * F64s::load(lanes, &functions[g])).store(&mut out[g]);
                    }
                }
                let out = &mut self.out[r * rows * columns..(r + 1) * rows * columns];
                multiply(lanes, groups, (&tables.weighted, rows), (&tables.functions[2], columns), out);
            }
            start += groups;
        }
    }
}

/// out[r, c] += Σ a[r, ·] b[c, ·], each table with `groups` arrays a row.
#[inline(always)]
fn multiply<L: Lanes>(
    lanes: L,
    groups: usize,
    (a, rows): (&[Group], usize),
    (b, columns): (&[Group], usize),
    out: &mut [f64],
) {
    let (whole_rows, whole_columns) = (rows - rows % TILE, columns - columns % TILE);
    let mut r = 0;
    while r < whole_rows {
        let strip = &a[r * groups..(r + TILE) * groups];
        let mut c = 0;
        while c < whole_columns {
            tile::<L, TILE, TILE>(
                lanes,
                groups,
                strip,
                &b[c * groups..],
                &mut out[r * columns + c..],
                columns,
            );
            c += TILE;
        }
        while c < columns {
            tile::<L, TILE, 1>(lanes, groups, strip, &b[c * groups..], &mut out[r * columns + c..], columns);
            c += 1;
        }
        r += TILE;
    }
    while r < rows {
        let strip = &a[r * groups..(r + 1) * groups];
        let mut c = 0;
        while c < whole_columns {
            tile::<L, 1, TILE>(lanes, groups, strip, &b[c * groups..], &mut out[r * columns + c..], columns);
            c += TILE;
        }
        while c < columns {
            tile::<L, 1, 1>(lanes, groups, strip, &b[c * groups..], &mut out[r * columns + c..], columns);
            c += 1;
        }
        r += 1;
    }
}

#[inline(always)]
fn tile<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    groups: usize,
    a: &[Group],
    b: &[Group],
    out: &mut [f64],
    stride: usize,
) {
    let (a, b) = (&a[..R * groups], &b[..C * groups]);
    let mut sums = [[F64s::splat(lanes, 0.0); C]; R];
    for g in 0..groups {
        let mut right = [F64s::splat(lanes, 0.0); C];
        for c in 0..C {
            right[c] = F64s::load(lanes, &b[c * groups + g]);
        }
        for r in 0..R {
            let left = F64s::load(lanes, &a[r * groups + g]);
            for c in 0..C {
                sums[r][c] = left.mul_add(right[c], sums[r][c]);
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            out[r * stride + c] += sums[r][c].sum();
        }
    }
}

/// h = Σ c f and its gradient at packed points.
pub(super) struct PullBack<'a> {
    pub(super) grid: &'a SpectralGrid,
    pub(super) points: &'a Packed,
    pub(super) coefficients: &'a [f64],
    pub(super) tables: &'a mut Tables,
    pub(super) values: &'a mut [Group],
    pub(super) gradients: &'a mut [Group],
}

impl LaneOp for PullBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let dim = self.grid.highest.len();
        let missing = 3 - dim;
        let [first, rows, columns] = self.tables.shape.sizes;
        for group in 0..self.points.len() {
            self.tables.fill(lanes, self.grid, self.points, group, 1);
            let [front, middle, last] = &self.tables.functions;
            let zero = F64s::splat(lanes, 0.0);
            // the value and the derivatives along the three coordinates, in the unit 2π/P
            let mut sums = [zero; 4];
            for r in 0..first {
                let c = &self.coefficients[r * rows * columns..(r + 1) * rows * columns];
                let inner = matrix_form(lanes, c, &middle[..rows], &last[..columns]);
                let (f, slope) = (F64s::load(lanes, &front[r]), derivative(lanes, front, r));
                sums[0] = f.mul_add(inner[0], sums[0]);
                sums[1] = slope.mul_add(inner[0], sums[1]);
                sums[2] = f.mul_add(inner[1], sums[2]);
                sums[3] = f.mul_add(inner[2], sums[3]);
            }
            sums[0].store(&mut self.values[group]);
            for j in 0..dim {
                let unit = F64s::splat(lanes, TAU / self.grid.periods[j]);
                (sums[1 + missing + j] * unit).store(&mut self.gradients[group * dim + j]);
            }
        }
    }
}

/// The derivative of function r in the unit 2π/P: of cos k it is −k sin k, of sin k it is k cos k.
#[inline(always)]
fn derivative<L: Lanes>(lanes: L, functions: &[Group], r: usize) -> F64s<L> {
    if r == 0 {
        return F64s::splat(lanes, 0.0);
    }
    let k = r.div_ceil(2) as f64;
    let (other, k) = if r % 2 == 1 { (r + 1, -k) } else { (r - 1, k) };
    F64s::load(lanes, &functions[other]) * F64s::splat(lanes, k)
}

/// (aᵀCb, a′ᵀCb, aᵀCb′) for functions a and b of two coordinates at eight points.
#[inline(always)]
fn matrix_form<L: Lanes>(lanes: L, c: &[f64], a: &[Group], b: &[Group]) -> [F64s<L>; 3] {
    let (columns, zero) = (b.len(), F64s::splat(lanes, 0.0));
    let mut out = [zero; 3];
    let mut r = 0;
    while r + TILE <= a.len() {
        rows_form::<L, TILE>(lanes, &c[r * columns..(r + TILE) * columns], a, r, b, &mut out);
        r += TILE;
    }
    while r < a.len() {
        rows_form::<L, 1>(lanes, &c[r * columns..(r + 1) * columns], a, r, b, &mut out);
        r += 1;
    }
    out
}

#[inline(always)]
fn rows_form<L: Lanes, const R: usize>(
    lanes: L,
    c: &[f64],
    a: &[Group],
    start: usize,
    b: &[Group],
    out: &mut [F64s<L>; 3],
) {
    let columns = b.len();
    let c = &c[..R * columns];
    let zero = F64s::splat(lanes, 0.0);
    let (mut sums, mut slopes) = ([zero; R], [zero; R]);
    for r in 0..R {
        sums[r] = F64s::splat(lanes, c[r * columns]);
    }
    let mut k = 1;
    while k < columns {
        let (cos, sin) = (F64s::load(lanes, &b[k]), F64s::load(lanes, &b[k + 1]));
        let frequency = F64s::splat(lanes, k.div_ceil(2) as f64);
        let (cos_slope, sin_slope) = (-(sin * frequency), cos * frequency);
        for r in 0..R {
            let of_cos = F64s::splat(lanes, c[r * columns + k]);
            let of_sin = F64s::splat(lanes, c[r * columns + k + 1]);
            sums[r] = of_cos.mul_add(cos, of_sin.mul_add(sin, sums[r]));
            slopes[r] = of_cos.mul_add(cos_slope, of_sin.mul_add(sin_slope, slopes[r]));
        }
        k += 2;
    }
    for r in 0..R {
        let f = F64s::load(lanes, &a[start + r]);
        out[0] = f.mul_add(sums[r], out[0]);
        out[1] = derivative(lanes, a, start + r).mul_add(sums[r], out[1]);
        out[2] = f.mul_add(slopes[r], out[2]);
    }
}
