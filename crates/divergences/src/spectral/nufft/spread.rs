//! Between points and the fine grid: weights spread by the window, and sums over the window with their gradient.

use super::Transform;
use super::dft::Axis;
use super::window::Group;
use crate::packed::Packed;
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH};

/// Where eight points are on one axis: the first node that each touches and s ∈ [−½, ½].
#[derive(Clone, Copy)]
struct Place {
    first: [usize; WIDTH],
    s: Group,
}

/// Points beyond the period come back on the other side; a coordinate that is not finite is at node 0 with s NaN.
#[inline(always)]
fn place<L: Lanes>(lanes: L, axis: &Axis, order: usize, (centre, unit): (f64, f64), x: &Group) -> Place {
    let turns = (F64s::load(lanes, x) - F64s::splat(lanes, centre)) * F64s::splat(lanes, unit);
    let t = turns.turn_fraction() * F64s::splat(lanes, axis.nodes as f64) - F64s::splat(lanes, 0.5);
    let l = t.round();
    // l ≥ −N/2 − 1, and the first node of the axis is −M = −N/2 − p/2
    let first = (l + F64s::splat(lanes, (axis.reach + 1 - order / 2) as f64)).to_array();
    let mut place = Place { first: [0; WIDTH], s: (t - l).to_array() };
    for i in 0..WIDTH {
        place.first[i] = first[i] as usize;
    }
    place
}

/// The places of a group on all axes, those that are missing in front left at zero.
#[inline(always)]
fn places<L: Lanes>(lanes: L, transform: &Transform, group: &[Group]) -> [Place; 3] {
    let mut out = [Place { first: [0; WIDTH], s: [0.0; WIDTH] }; 3];
    let missing = 3 - transform.axes.len();
    for (j, axis) in transform.axes.iter().enumerate() {
        let frame = (transform.centre[j], transform.units[j]);
        out[missing + j] = place(lanes, axis, transform.order(), frame, &group[j]);
    }
    out
}

/// Adds weights times windows to the fine grid.
pub(super) struct Spread<'a, const V: usize> {
    pub(super) transform: &'a Transform,
    pub(super) points: &'a Packed,
    pub(super) weights: &'a [Group],
    pub(super) grid: &'a mut [f64],
}

impl<const V: usize> LaneOp for Spread<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Spread { transform, points, weights, grid } = self;
        let ([plane, row], window, dim) = (transform.strides(), &transform.window, transform.axes.len());
        for g in 0..points.len() {
            let places = places(lanes, transform, points.group(g));
            for i in 0..WIDTH {
                let last: [_; V] = window.at(lanes, places[2].s[i]);
                let start = places[0].first[i] * plane + places[1].first[i] * row + places[2].first[i];
                let weight = weights[g][i];
                if dim == 1 {
                    add(lanes, &mut grid[start..], weight, &last);
                    continue;
                }
                let weight = F64s::splat(lanes, weight);
                let mut middle = [[0.0; WIDTH]; V];
                let values: [_; V] = window.at(lanes, places[1].s[i]);
                for v in 0..V {
                    (values[v] * weight).store(&mut middle[v]);
                }
                if dim == 2 {
                    add_rows(lanes, &mut grid[start..], row, &middle, &last);
                    continue;
                }
                let values: [_; V] = window.at(lanes, places[0].s[i]);
                for v in 0..V {
                    let first = values[v].to_array();
                    for r in 0..WIDTH {
                        let mut scaled = [[0.0; WIDTH]; V];
                        for u in 0..V {
                            let factor = F64s::splat(lanes, first[r]);
                            (F64s::load(lanes, &middle[u]) * factor).store(&mut scaled[u]);
                        }
                        let start = start + (v * WIDTH + r) * plane;
                        add_rows(lanes, &mut grid[start..], row, &scaled, &last);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn add_rows<L: Lanes, const V: usize>(
    lanes: L,
    grid: &mut [f64],
    row: usize,
    factors: &[Group; V],
    last: &[F64s<L>; V],
) {
    for v in 0..V {
        for r in 0..WIDTH {
            add(lanes, &mut grid[(v * WIDTH + r) * row..], factors[v][r], last);
        }
    }
}

#[inline(always)]
fn add<L: Lanes, const V: usize>(lanes: L, grid: &mut [f64], factor: f64, last: &[F64s<L>; V]) {
    let factor = F64s::splat(lanes, factor);
    let (cells, _) = grid[..V * WIDTH].as_chunks_mut::<WIDTH>();
    for v in 0..V {
        factor.mul_add(last[v], F64s::load(lanes, &cells[v])).store(&mut cells[v]);
    }
}

/// The sums of the fine grid over the windows at packed points, with their gradient.
pub(super) struct Interpolate<'a, const V: usize> {
    pub(super) transform: &'a Transform,
    pub(super) points: &'a Packed,
    pub(super) grid: &'a [f64],
    pub(super) values: &'a mut [Group],
    pub(super) gradients: &'a mut [Group],
}

impl<const V: usize> LaneOp for Interpolate<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Interpolate { transform, points, grid, values, gradients } = self;
        let ([plane, row], window, dim) = (transform.strides(), &transform.window, transform.axes.len());
        let zero = [F64s::splat(lanes, 0.0); V];
        for g in 0..points.len() {
            let places = places(lanes, transform, points.group(g));
            for i in 0..WIDTH {
                let [last, last_slope]: [[_; V]; 2] = window.with_slope(lanes, places[2].s[i]);
                let start = places[0].first[i] * plane + places[1].first[i] * row + places[2].first[i];
                // over the cells of a row still to be summed: the value, and derivatives along the others
                let mut sums = [zero; 3];
                if dim == 1 {
                    gather(lanes, &grid[start..], 1.0, &mut sums[0]);
                } else {
                    let middle: [[_; V]; 2] = window.with_slope(lanes, places[1].s[i]);
                    let middle = [stored(lanes, &middle[0]), stored(lanes, &middle[1])];
                    if dim == 2 {
                        let [value, slope] = gather_rows(lanes, &grid[start..], row, &middle);
                        (sums[0], sums[2]) = (value, slope);
                    } else {
                        let first: [[_; V]; 2] = window.with_slope(lanes, places[0].s[i]);
                        let first = [stored(lanes, &first[0]), stored(lanes, &first[1])];
                        for v in 0..V {
                            for r in 0..WIDTH {
                                let start = start + (v * WIDTH + r) * plane;
                                let [value, slope] = gather_rows(lanes, &grid[start..], row, &middle);
                                let factor = F64s::splat(lanes, first[0][v][r]);
                                let factor_slope = F64s::splat(lanes, first[1][v][r]);
                                for u in 0..V {
                                    sums[0][u] = factor.mul_add(value[u], sums[0][u]);
                                    sums[1][u] = factor_slope.mul_add(value[u], sums[1][u]);
                                    sums[2][u] = factor.mul_add(slope[u], sums[2][u]);
                                }
                            }
                        }
                    }
                }
                values[g][i] = dot(&sums[0], &last);
                let gradients = &mut gradients[g * dim..(g + 1) * dim];
                for j in 0..dim - 1 {
                    let slope = dot(&sums[3 - (dim - 1) + j], &last);
                    gradients[j][i] = slope * transform.slope_unit(j);
                }
                gradients[dim - 1][i] = dot(&sums[0], &last_slope) * transform.slope_unit(dim - 1);
            }
        }
    }
}

#[inline(always)]
fn stored<L: Lanes, const V: usize>(_: L, x: &[F64s<L>; V]) -> [Group; V] {
    let mut out = [[0.0; WIDTH]; V];
    for v in 0..V {
        x[v].store(&mut out[v]);
    }
    out
}

/// Σ over the rows with the window along them, and with its derivative.
#[inline(always)]
fn gather_rows<L: Lanes, const V: usize>(
    lanes: L,
    grid: &[f64],
    row: usize,
    [factors, slopes]: &[[Group; V]; 2],
) -> [[F64s<L>; V]; 2] {
    let mut out = [[F64s::splat(lanes, 0.0); V]; 2];
    for v in 0..V {
        for r in 0..WIDTH {
            let cells = &grid[(v * WIDTH + r) * row..];
            gather(lanes, cells, factors[v][r], &mut out[0]);
            gather(lanes, cells, slopes[v][r], &mut out[1]);
        }
    }
    out
}

#[inline(always)]
fn gather<L: Lanes, const V: usize>(lanes: L, grid: &[f64], factor: f64, sums: &mut [F64s<L>; V]) {
    let factor = F64s::splat(lanes, factor);
    let (cells, _) = grid[..V * WIDTH].as_chunks::<WIDTH>();
    for v in 0..V {
        sums[v] = factor.mul_add(F64s::load(lanes, &cells[v]), sums[v]);
    }
}

#[inline(always)]
fn dot<L: Lanes, const V: usize>(a: &[F64s<L>; V], b: &[F64s<L>; V]) -> f64 {
    let mut sum = a[0] * b[0];
    for v in 1..V {
        sum = a[v].mul_add(b[v], sum);
    }
    sum.sum()
}
