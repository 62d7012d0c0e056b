//! Fused sums of a radial kernel over pairs of points: distances, kernel and reduction in registers, no matrix.
//!
//! Lanes are eight points of one measure, packed coordinate by coordinate; the other measure's points are broadcast, four
//! at a time. Distances are sums of squared differences, which do not cancel.

use super::Radial;
use crate::packed::{Packed, ROWS, pack_weights, pullback_blocks};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{Empirical, Points, Pullback, parallel};

/// Points that are broadcast together: independent chains enough to hide the latency of the exponential.
const TILE: usize = 4;

/// φ and its slope at one squared distance, with the bits of the lanes.
pub(super) fn one<R: Radial>(kernel: R, r2: f64) -> (f64, f64) {
    dispatch(One(kernel, r2))
}

struct One<R>(R, f64);

impl<R: Radial> LaneOp for One<R> {
    type Output = (f64, f64);
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (f64, f64) {
        let (value, slope) = self.0.phi_and_slope(lanes, F64s::splat(lanes, self.1));
        (value.to_array()[0], slope.to_array()[0])
    }
}

/// Σᵢⱼ wᵢ vⱼ k(xᵢ, yⱼ).
pub(super) fn cross<R: Radial>(kernel: R, mu: &Empirical, nu: &Empirical) -> f64 {
    let packed = Packed::new(nu.points());
    let weights = pack_weights(nu.weights());
    parallel::sum_blocks(mu.len(), ROWS, |rows| {
        let dim = mu.points().dim();
        dispatch(RowSums {
            kernel,
            dim,
            x: &mu.points().as_slice()[rows.start * dim..rows.end * dim],
            w: &mu.weights()[rows],
            y: &packed,
            v: &weights,
            groups: 0..packed.len(),
        })
    })
}

/// Σᵢⱼ wᵢ wⱼ k(xᵢ, xⱼ): blocks of rows against themselves, and twice against the rows after them.
pub(super) fn energy<R: Radial>(kernel: R, mu: &Empirical) -> f64 {
    let packed = Packed::new(mu.points());
    let weights = pack_weights(mu.weights());
    let dim = mu.points().dim();
    // small enough for the square on the diagonal, of which both halves are evaluated, not to matter
    let block = (mu.len() / 64).clamp(TILE * WIDTH, ROWS).next_multiple_of(WIDTH);
    parallel::sum_blocks(mu.len(), block, |rows| {
        let (start, end) = (rows.start / WIDTH, rows.end.div_ceil(WIDTH));
        let sums = |groups: std::ops::Range<usize>| RowSums {
            kernel,
            dim,
            x: &mu.points().as_slice()[rows.start * dim..rows.end * dim],
            w: &mu.weights()[rows.clone()],
            y: &packed,
            v: &weights,
            groups,
        };
        dispatch(sums(start..end)) + 2.0 * dispatch(sums(end..packed.len()))
    })
}

/// Σ over a block of rows and some groups of w·v·k.
struct RowSums<'a, R> {
    kernel: R,
    dim: usize,
    x: &'a [f64],
    w: &'a [f64],
    y: &'a Packed,
    v: &'a [[f64; WIDTH]],
    groups: std::ops::Range<usize>,
}

impl<R: Radial> LaneOp for RowSums<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f64 {
        let mut total = F64s::splat(lanes, 0.0);
        let whole = self.w.len() / TILE * TILE;
        for i in (0..whole).step_by(TILE) {
            total = total + self.tile::<L, TILE>(lanes, i);
        }
        for i in whole..self.w.len() {
            total = total + self.tile::<L, 1>(lanes, i);
        }
        total.sum()
    }
}

impl<R: Radial> RowSums<'_, R> {
    #[inline(always)]
    fn tile<L: Lanes, const T: usize>(&self, lanes: L, i: usize) -> F64s<L> {
        let mut rows: [&[f64]; T] = [&[]; T];
        for t in 0..T {
            rows[t] = &self.x[(i + t) * self.dim..(i + t + 1) * self.dim];
        }
        let mut sums = [F64s::splat(lanes, 0.0); T];
        for g in self.groups.clone() {
            let r2 = squared_distances(lanes, &rows, self.y.group(g));
            let v = F64s::load(lanes, &self.v[g]);
            for t in 0..T {
                sums[t] = v.mul_add(self.kernel.phi(lanes, r2[t]), sums[t]);
            }
        }
        let mut total = F64s::splat(lanes, 0.0);
        for t in 0..T {
            total = F64s::splat(lanes, self.w[i + t]).mul_add(sums[t], total);
        }
        total
    }
}

/// ‖x_t − y‖² for T broadcast rows and the eight points of a group.
#[inline(always)]
fn squared_distances<L: Lanes, const T: usize>(
    lanes: L,
    rows: &[&[f64]; T],
    group: &[[f64; WIDTH]],
) -> [F64s<L>; T] {
    let mut r2 = [F64s::splat(lanes, 0.0); T];
    for (j, y) in group.iter().enumerate() {
        let y = F64s::load(lanes, y);
        for t in 0..T {
            let difference = F64s::splat(lanes, rows[t][j]) - y;
            r2[t] = difference.mul_add(difference, r2[t]);
        }
    }
    r2
}

/// m(x) = Σⱼ vⱼ k(x, yⱼ) and its gradient at every row of x: lanes are rows of x, points of the measure are broadcast.
pub(super) fn embedding<R: Radial>(kernel: R, nu: &Empirical, x: &Points) -> Pullback {
    pullback_blocks(x, ROWS, |points, values, gradients| {
        dispatch(Embedding { kernel, y: nu.points().as_slice(), v: nu.weights(), points, values, gradients });
    })
}

struct Embedding<'a, R> {
    kernel: R,
    y: &'a [f64],
    v: &'a [f64],
    points: &'a Packed,
    values: &'a mut [[f64; WIDTH]],
    gradients: &'a mut [[f64; WIDTH]],
}

impl<R: Radial> LaneOp for Embedding<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        for g in 0..self.points.len() {
            let mut total = F64s::splat(lanes, 0.0);
            let whole = self.v.len() / TILE * TILE;
            for j in (0..whole).step_by(TILE) {
                total = self.tile::<L, TILE>(lanes, g, j, total);
            }
            for j in whole..self.v.len() {
                total = self.tile::<L, 1>(lanes, g, j, total);
            }
            total.store(&mut self.values[g]);
        }
    }
}

impl<R: Radial> Embedding<'_, R> {
    #[inline(always)]
    fn tile<L: Lanes, const T: usize>(
        &mut self,
        lanes: L,
        g: usize,
        j: usize,
        mut total: F64s<L>,
    ) -> F64s<L> {
        let group = self.points.group(g);
        let dim = group.len();
        let mut rows: [&[f64]; T] = [&[]; T];
        for t in 0..T {
            rows[t] = &self.y[(j + t) * dim..(j + t + 1) * dim];
        }
        let mut slopes = squared_distances(lanes, &rows, group);
        for t in 0..T {
            let v = F64s::splat(lanes, self.v[j + t]);
            let (value, slope) = self.kernel.phi_and_slope(lanes, slopes[t]);
            total = v.mul_add(value, total);
            slopes[t] = v * slope;
        }
        for (c, out) in self.gradients[g * dim..(g + 1) * dim].iter_mut().enumerate() {
            let x = F64s::load(lanes, &group[c]);
            let mut sum = F64s::load(lanes, out);
            for t in 0..T {
                sum = slopes[t].mul_add(x - F64s::splat(lanes, rows[t][c]), sum);
            }
            sum.store(out);
        }
        total
    }
}
