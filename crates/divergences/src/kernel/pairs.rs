//! Fused sums over pairs of points: statistic of the pair, kernel and reduction in registers, no matrix.
//!
//! Lanes are eight points at which a sum is wanted, packed coordinate by coordinate; the points that are summed over are
//! broadcast, eight at a time: eight independent chains hide the latency of the arithmetic. Distances are sums of
//! differences, which do not cancel (and cost no more than |x|² + |y|² − 2⟨x, y⟩ where additions and fused
//! multiply–adds have ports of their own), or in many dimensions inner products where `inner` says so. The order of every
//! sum is fixed by the numbers of points alone.

use super::inner::{Inner, is_any_close, squared_distances};
use crate::packed::{Packed, ROWS, pack_weights, pullback_blocks};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{Points, Pullback, parallel};
use std::ops::Range;

/// What of a pair (x, y) a kernel is a function of: a sum over the coordinates.
pub(crate) trait Statistic: Copy + Send + Sync {
    /// Whether it is ‖x − y‖².
    const IS_SQUARED_DISTANCE: bool = false;

    /// The sum with one more coordinate.
    fn accumulate<L: Lanes>(x: F64s<L>, y: F64s<L>, sum: F64s<L>) -> F64s<L>;

    /// The derivative of a coordinate's term in x, up to the factor that the slope of the profile contains.
    fn direction<L: Lanes>(x: F64s<L>, y: F64s<L>) -> F64s<L>;
}

/// Σ (xⱼ − yⱼ)², of direction x − y (the slope contains the two).
#[derive(Clone, Copy)]
pub(crate) struct SquaredDistance;

impl Statistic for SquaredDistance {
    const IS_SQUARED_DISTANCE: bool = true;

    #[inline(always)]
    fn accumulate<L: Lanes>(x: F64s<L>, y: F64s<L>, sum: F64s<L>) -> F64s<L> {
        let difference = x - y;
        difference.mul_add(difference, sum)
    }
    #[inline(always)]
    fn direction<L: Lanes>(x: F64s<L>, y: F64s<L>) -> F64s<L> {
        x - y
    }
}

/// Σ |xⱼ − yⱼ|, of direction sign(xⱼ − yⱼ), which is 0 at 0.
#[derive(Clone, Copy)]
pub(crate) struct AbsoluteDistance;

impl Statistic for AbsoluteDistance {
    #[inline(always)]
    fn accumulate<L: Lanes>(x: F64s<L>, y: F64s<L>, sum: F64s<L>) -> F64s<L> {
        sum + (x - y).abs()
    }
    #[inline(always)]
    fn direction<L: Lanes>(x: F64s<L>, y: F64s<L>) -> F64s<L> {
        let (one, zero) = (F64s::splat(x.lanes(), 1.0), F64s::splat(x.lanes(), 0.0));
        x.if_less(y, -one, y.if_less(x, one, zero))
    }
}

/// ⟨x, y⟩, of direction y.
#[derive(Clone, Copy)]
pub(crate) struct InnerProduct;

impl Statistic for InnerProduct {
    #[inline(always)]
    fn accumulate<L: Lanes>(x: F64s<L>, y: F64s<L>, sum: F64s<L>) -> F64s<L> {
        x.mul_add(y, sum)
    }
    #[inline(always)]
    fn direction<L: Lanes>(_: F64s<L>, y: F64s<L>) -> F64s<L> {
        y
    }
}

/// A function of the statistic, with the factor that times the direction is ∇ₓk.
pub(crate) trait Profile: Send + Sync {
    type Of: Statistic;
    fn phi<L: Lanes>(&self, lanes: L, s: F64s<L>) -> F64s<L>;
    fn phi_and_slope<L: Lanes>(&self, lanes: L, s: F64s<L>) -> (F64s<L>, F64s<L>);
    /// A bound of the derivative, or infinity where there is none.
    fn steepness(&self) -> f64 {
        f64::INFINITY
    }
    /// Whether a relative error of the statistic makes one of the value that is no larger.
    fn forgives_relative_errors(&self) -> bool {
        false
    }
}

/// The statistic of the eight broadcast points of `y` with the eight points of `x` in the lanes.
#[inline(always)]
fn statistics<S: Statistic, L: Lanes>(lanes: L, x: &[[f64; WIDTH]], y: &[[f64; WIDTH]]) -> [F64s<L>; WIDTH] {
    let mut sums = [F64s::splat(lanes, 0.0); WIDTH];
    for (x, y) in x.iter().zip(y) {
        let x = F64s::load(lanes, x);
        for t in 0..WIDTH {
            sums[t] = S::accumulate(x, F64s::splat(lanes, y[t]), sums[t]);
        }
    }
    sums
}

/// Points of one side, packed, with what inner products need of them.
struct Operand {
    points: Packed,
    /// One array a group, or none for sums of differences.
    squares: Vec<[f64; WIDTH]>,
    /// The largest length in each group, where close pairs are computed again.
    lengths: Vec<f64>,
}

impl Operand {
    fn new(points: &Points, rows: Range<usize>, inner: Option<&Inner>) -> Self {
        match inner {
            Some(inner) => {
                let points = Packed::centred(points, rows, inner.centre());
                let squares = (0..points.len()).map(|g| Inner::squares(points.group(g))).collect();
                let lengths = inner.lengths(&points);
                Operand { points, squares, lengths }
            }
            None => Operand { points: Packed::rows(points, rows), squares: Vec::new(), lengths: Vec::new() },
        }
    }

    fn all(points: &Points, inner: Option<&Inner>) -> Self {
        Operand::new(points, 0..points.len(), inner)
    }

    fn len(&self) -> usize {
        self.points.len()
    }
}

/// As [`statistics`], from inner products where the operands are made for them.
#[inline(always)]
fn between<S: Statistic, L: Lanes>(
    lanes: L,
    x: &Operand,
    g: usize,
    y: &Operand,
    h: usize,
) -> [F64s<L>; WIDTH] {
    let (a, b) = (x.points.group(g), y.points.group(h));
    if S::IS_SQUARED_DISTANCE && !x.squares.is_empty() {
        let squares = squared_distances(lanes, (a, &x.squares[g]), (b, &y.squares[h]));
        let is_guarded = !x.lengths.is_empty();
        if !is_guarded || !is_any_close(lanes, &squares, x.lengths[g] + y.lengths[h]) {
            return squares;
        }
    }
    // In one place, for both ways here: written twice it is inlined twice, and few dimensions pay for it.
    statistics::<S, L>(lanes, a, b)
}

/// Groups of the points summed over that stay in the second-level cache while eight rows after the other pass by.
const Y_TILE: usize = 32;

/// Adds Σⱼ vⱼ k(x, yⱼ) over some groups of y to the value of every x.
struct ValueSums<'a, P> {
    profile: &'a P,
    x: &'a Operand,
    y: &'a Operand,
    v: &'a [[f64; WIDTH]],
    groups: Range<usize>,
    values: &'a mut [[f64; WIDTH]],
}

impl<P: Profile> LaneOp for ValueSums<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let mut start = self.groups.start;
        while start < self.groups.end {
            let end = (start + Y_TILE).min(self.groups.end);
            for g in 0..self.x.len() {
                let mut total = F64s::load(lanes, &self.values[g]);
                for h in start..end {
                    let s = between::<P::Of, L>(lanes, self.x, g, self.y, h);
                    for t in 0..WIDTH {
                        let v = F64s::splat(lanes, self.v[h][t]);
                        total = v.mul_add(self.profile.phi(lanes, s[t]), total);
                    }
                }
                total.store(&mut self.values[g]);
            }
            start = end;
        }
    }
}

/// As [`ValueSums`], with the gradient in x.
struct GradientSums<'a, P> {
    profile: &'a P,
    x: &'a Operand,
    y: &'a Operand,
    v: &'a [[f64; WIDTH]],
    values: &'a mut [[f64; WIDTH]],
    gradients: &'a mut [[f64; WIDTH]],
}

impl<P: Profile> LaneOp for GradientSums<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (dim, mut start) = (self.gradients.len() / self.values.len(), 0);
        while start < self.y.len() {
            let end = (start + Y_TILE).min(self.y.len());
            for g in 0..self.x.len() {
                let x = self.x.points.group(g);
                let by_products = P::Of::IS_SQUARED_DISTANCE && !self.x.squares.is_empty();
                let gradient = &mut self.gradients[g * dim..(g + 1) * dim];
                let mut total = F64s::load(lanes, &self.values[g]);
                let mut pull = F64s::splat(lanes, 0.0);
                for h in start..end {
                    let y = self.y.points.group(h);
                    let mut slopes = between::<P::Of, L>(lanes, self.x, g, self.y, h);
                    for t in 0..WIDTH {
                        let v = F64s::splat(lanes, self.v[h][t]);
                        let (value, slope) = self.profile.phi_and_slope(lanes, slopes[t]);
                        total = v.mul_add(value, total);
                        slopes[t] = v * slope;
                    }
                    if by_products {
                        // Σ s (x − y) = x Σ s − Σ s y: the first part at the end of the tile
                        for t in 0..WIDTH {
                            pull = pull + slopes[t];
                        }
                        for (out, y) in gradient.iter_mut().zip(y) {
                            let mut sum = F64s::load(lanes, out);
                            for t in 0..WIDTH {
                                sum = slopes[t].neg_mul_add(F64s::splat(lanes, y[t]), sum);
                            }
                            sum.store(out);
                        }
                    } else {
                        for ((out, x), y) in gradient.iter_mut().zip(x).zip(y) {
                            let x = F64s::load(lanes, x);
                            let mut sum = F64s::load(lanes, out);
                            for t in 0..WIDTH {
                                sum = slopes[t].mul_add(P::Of::direction(x, F64s::splat(lanes, y[t])), sum);
                            }
                            sum.store(out);
                        }
                    }
                }
                if by_products {
                    for (out, x) in gradient.iter_mut().zip(x) {
                        F64s::load(lanes, x).mul_add(pull, F64s::load(lanes, out)).store(out);
                    }
                }
                total.store(&mut self.values[g]);
            }
            start = end;
        }
    }
}

/// The kernel and its slope at one value of the statistic, with the bits of the lanes.
pub(crate) fn one<P: Profile>(profile: &P, s: f64) -> (f64, f64) {
    dispatch(One(profile, s))
}

struct One<'a, P>(&'a P, f64);

impl<P: Profile> LaneOp for One<'_, P> {
    type Output = (f64, f64);
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (f64, f64) {
        let (value, slope) = self.0.phi_and_slope(lanes, F64s::splat(lanes, self.1));
        (value.to_array()[0], slope.to_array()[0])
    }
}

/// Σᵢ wᵢ mᵢ over the rows of a block.
fn dot(w: &[f64], m: &[[f64; WIDTH]]) -> f64 {
    w.iter().zip(m.as_flattened()).map(|(w, m)| w * m).sum()
}

/// Σᵢⱼ wᵢ vⱼ k(xᵢ, yⱼ).
pub(crate) fn cross<P: Profile>(profile: &P, x: &Points, w: &[f64], y: &Points, v: &[f64]) -> f64 {
    let inner = Inner::for_values::<P>(profile, x, y);
    let (y, v) = (Operand::all(y, inner.as_ref()), pack_weights(v));
    parallel::sum_blocks(x.len(), ROWS, |rows| {
        let block = Operand::new(x, rows.clone(), inner.as_ref());
        let mut values = vec![[0.0; WIDTH]; block.len()];
        dispatch(ValueSums { profile, x: &block, y: &y, v: &v, groups: 0..y.len(), values: &mut values });
        dot(&w[rows], &values)
    })
}

/// Σᵢⱼ wᵢ wⱼ k(xᵢ, xⱼ): blocks of rows against themselves, and twice against the rows after them.
pub(crate) fn energy<P: Profile>(profile: &P, x: &Points, w: &[f64]) -> f64 {
    let inner = Inner::for_values::<P>(profile, x, x);
    let (y, v) = (Operand::all(x, inner.as_ref()), pack_weights(w));
    // small, for both halves of the square on the diagonal are evaluated
    let block = (x.len() / 64).clamp(4 * WIDTH, ROWS).next_multiple_of(WIDTH);
    parallel::sum_blocks(x.len(), block, |rows| {
        let (start, end) = (rows.start / WIDTH, rows.end.div_ceil(WIDTH));
        let block = Operand::new(x, rows.clone(), inner.as_ref());
        let sum = |groups: Range<usize>| {
            let mut values = vec![[0.0; WIDTH]; block.len()];
            dispatch(ValueSums { profile, x: &block, y: &y, v: &v, groups, values: &mut values });
            dot(&w[rows.clone()], &values)
        };
        sum(start..end) + 2.0 * sum(end..y.len())
    })
}

/// Σⱼ vⱼ k(x, yⱼ) at every row of x.
pub(crate) fn potential<P: Profile>(profile: &P, y: &Points, v: &[f64], x: &Points) -> Vec<f64> {
    let inner = Inner::for_values::<P>(profile, x, y);
    let (y, v) = (Operand::all(y, inner.as_ref()), pack_weights(v));
    let mut out = vec![0.0; x.len()];
    parallel::fill_blocks(&mut out, 1, ROWS, |rows, out| {
        let block = Operand::new(x, rows, inner.as_ref());
        let mut values = vec![[0.0; WIDTH]; block.len()];
        dispatch(ValueSums { profile, x: &block, y: &y, v: &v, groups: 0..y.len(), values: &mut values });
        out.copy_from_slice(&values.as_flattened()[..out.len()]);
    });
    out
}

/// Σⱼ vⱼ k(x, yⱼ) and its gradient at every row of x.
pub(crate) fn embedding<P: Profile>(profile: &P, y: &Points, v: &[f64], x: &Points) -> Pullback {
    let inner = Inner::new::<P>(profile, x, y);
    let (y, v) = (Operand::all(y, inner.as_ref()), pack_weights(v));
    pullback_blocks(x, ROWS, |rows, values, gradients| {
        let block = Operand::new(x, rows, inner.as_ref());
        dispatch(GradientSums { profile, x: &block, y: &y, v: &v, values, gradients });
    })
}

/// The n×m table k(xᵢ, yⱼ), row-major.
pub(crate) fn matrix<P: Profile>(profile: &P, x: &Points, y: &Points) -> Vec<f64> {
    let columns = Packed::new(y);
    let mut out = vec![0.0; x.len() * y.len()];
    if y.is_empty() {
        return out;
    }
    parallel::fill_blocks(&mut out, y.len(), WIDTH, |rows, out| {
        dispatch(Table { profile, x: &Packed::rows(x, rows), y: &columns, width: y.len(), out });
    });
    out
}

/// Rows of the table: here lanes are columns.
struct Table<'a, P> {
    profile: &'a P,
    x: &'a Packed,
    y: &'a Packed,
    width: usize,
    out: &'a mut [f64],
}

impl<P: Profile> LaneOp for Table<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for h in 0..self.y.len() {
            // statistics are symmetric, bit for bit
            let s = statistics::<P::Of, L>(lanes, self.y.group(h), self.x.group(0));
            for (t, row) in self.out.chunks_exact_mut(self.width).enumerate() {
                let values = self.profile.phi(lanes, s[t]).to_array();
                let row = &mut row[h * WIDTH..];
                let count = row.len().min(WIDTH);
                row[..count].copy_from_slice(&values[..count]);
            }
        }
    }
}
