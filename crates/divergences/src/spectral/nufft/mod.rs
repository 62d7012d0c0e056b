//! The nonuniform fast Fourier transform: brackets and pull-backs of a grid of frequencies at a cost of points plus
//! frequencies, where the sweep costs points times frequencies.
//!
//! With t = N(x − c)/P, a window φ that is zero beyond p/2 and its Fourier transform φ̂,
//!
//! e^{2πik(x−c)/P} ≈ φ̂(k/N)⁻¹ Σ_l φ(t − l) e^{2πikl/N},
//!
//! so that brackets are weights *spread* to a fine grid of N nodes a coordinate, a discrete Fourier transform of it and a
//! division; the pull-back is the adjoint, whose gradient takes the derivative of the window and hence is the gradient of
//! the value that is computed. A point costs pᵈ, and the transform, by matrix products, N·K a line: N is some hundreds.
//!
//! φ is the central B-spline of order p, whose φ̂(ξ) = sinc(ξ)ᵖ gives an error of e^{2πikt/N} in closed form, about
//! (k/(N − k))ᵖ ([`window::error`]). What counts is the error of the kernel Σ c_k e^{2πik(x−y)/P}, where frequencies weigh as
//! much as the spectrum does: the highest, which this window gets much worse than a Kaiser–Bessel window would, hardly count.
//! It amplifies rounding little, is a polynomial on every piece and has p − 2 continuous derivatives.
//!
//! Source: G. Beylkin, *On the fast Fourier transform of functions with singularities*, Appl. Comput. Harmon. Anal. 2
//! (1995), doi:10.1006/acha.1995.1026; for kernels D. Potts and G. Steidl, *Fast summation at nonequispaced knots by NFFTs*,
//! SIAM J. Sci. Comput. 24 (2003), doi:10.1137/S1064827502400984; the window in the measure of the kernel U. Essmann et
//! al., *A smooth particle mesh Ewald method*, J. Chem. Phys. 103 (1995), doi:10.1063/1.470117.

mod dft;
mod scratch;
mod spread;
mod window;

use super::SpectralGrid;
use crate::packed::{Packed, ROWS, pack_weights, pullback_blocks};
use dft::{Adjoint, Axis, Forward};
use measures::lanes::{WIDTH, dispatch};
use measures::{Points, Pullback, parallel};
use spread::{Interpolate, Spread};
use std::ops::Range;
use window::{Group, Window};

/// Points a block of brackets at least, and blocks at most: each holds a fine grid of its own.
const BLOCK: usize = 4096;
const BLOCKS: usize = 16;

/// More nodes than these leave the cache.
const MOST_NODES: usize = 1 << 20;

/// Costs in the unit of the sweep, a multiplication and addition for a point and a function: for each vector of the window
/// a point's places and windows; for each group of eight cells what is spread and what is interpolated; a multiplication of
/// the matrix products, a node of the fine grid, and an entry of the tables. Measured.
const SPREAD_POINT: f64 = 140.0;
const SPREAD_GROUP: f64 = 5.0;
const INTERPOLATED_POINT: f64 = 260.0;
const INTERPOLATED_GROUP: f64 = 2.5;
const PRODUCT: f64 = 0.35;
const NODE: f64 = 2.0;
const ENTRY: f64 = 14.0;

/// The sizes of a transform, with what they cost and give.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The order of the window in vectors of eight: 1 or 2.
    vectors: usize,
    /// N for each coordinate.
    nodes: Vec<usize>,
    highest: Vec<usize>,
    /// A bound of what the windows add to the error of the kernel.
    pub(super) error: f64,
    /// How much larger than those of the fine grid the rounding errors of brackets are, in the mean over the spectrum.
    amplification: f64,
}

impl Plan {
    /// The cheapest plan, with its cost, for the brackets of two measures with `spread` points together and a pull-back at
    /// `interpolated` points; none where no window gives the kernel within `tolerance`·κ(0).
    pub(super) fn cheapest(
        grid: &SpectralGrid,
        tolerance: f64,
        (spread, interpolated): (f64, f64),
    ) -> Option<(Plan, f64)> {
        let plans = [1, 2].into_iter().filter_map(|vectors| Plan::new(grid, tolerance, vectors));
        plans
            .map(|plan| {
                let cost = plan.cost(spread, interpolated);
                (plan, cost)
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The fewest nodes with which windows of order 8·`vectors` give the kernel within `tolerance`·κ(0).
    ///
    /// With errors εⱼ(k) a coordinate, |E_k(x)·conj E_k(y) − e_k(x)·conj e_k(y)| ≤ ∏(1 + εⱼ(kⱼ))² − 1, whose mean over the
    /// spectrum c is, by Hölder's inequality, at most ∏ⱼ (1 + ηⱼ)^{1/d} − 1 with ηⱼ the mean of (1 + εⱼ)²ᵈ − 1 over the j-th
    /// marginal of c.
    fn new(grid: &SpectralGrid, tolerance: f64, vectors: usize) -> Option<Self> {
        let (order, dim) = (vectors * WIDTH, grid.highest.len() as f64);
        let (mut nodes, mut excess, mut amplification) = (Vec::new(), 0.0, 1.0);
        for marginal in &grid.marginals {
            let eta = |n: usize| {
                let power = 2 * grid.highest.len();
                let one = |(k, p): (usize, &f64)| p * excess_of_power(window::error(k, n, order), power);
                marginal.iter().enumerate().skip(1).map(one).sum::<f64>() / grid.peak
            };
            let fewest = 2 * marginal.len();
            let (mut below, mut enough) = (fewest - 2, fewest);
            while eta(enough) > tolerance {
                below = enough;
                enough = 2 * (enough * 5 / 8);
                if enough > MOST_NODES {
                    return None;
                }
            }
            while enough - below > 2 {
                let middle = below + 2 * ((enough - below) / 4);
                if eta(middle) > tolerance {
                    below = middle;
                } else {
                    enough = middle;
                }
            }
            excess += eta(enough).ln_1p() / dim;
            let power = |(k, p): (usize, &f64)| p * window::undo(k, enough, order).powf(dim);
            amplification *=
                (marginal.iter().enumerate().map(power).sum::<f64>() / grid.peak).powf(1.0 / dim);
            nodes.push(enough);
        }
        let plan = Plan {
            vectors,
            nodes,
            highest: grid.highest.clone(),
            error: excess.exp_m1() * grid.peak,
            amplification,
        };
        (plan.cells() <= MOST_NODES as f64).then_some(plan)
    }

    fn width(&self, j: usize) -> f64 {
        (self.nodes[j] + self.vectors * WIDTH + 1) as f64
    }

    fn cells(&self) -> f64 {
        (0..self.nodes.len()).map(|j| self.width(j)).product()
    }

    /// Two brackets over `spread` points, and one pull-back where there are points for it.
    fn cost(&self, spread: f64, interpolated: f64) -> f64 {
        let (v, dim) = (self.vectors as f64, self.nodes.len());
        let groups = (v * WIDTH as f64).powi(dim as i32 - 1) * v;
        let (mut products, mut entries, mut front) = (0.0, 0.0, 1.0);
        for j in 0..dim {
            let back: f64 = (j + 1..dim).map(|i| self.width(i)).product();
            let functions = (2 * self.highest[j] + 1) as f64;
            products += 0.5 * front * self.width(j) * functions * back;
            entries += 0.5 * functions * self.width(j);
            front *= functions;
        }
        let calls = if interpolated > 0.0 { 3.0 } else { 2.0 };
        spread * (SPREAD_POINT * v + SPREAD_GROUP * groups)
            + interpolated * (INTERPOLATED_POINT * v + INTERPOLATED_GROUP * groups)
            + calls * (PRODUCT * products + NODE * self.cells())
            + ENTRY * entries
    }

    /// An allowance for the rounding of a bracket: a cell adds up the n points of a block one after the other, partial sums
    /// are half of the last one in the mean and rounding errors half of what they may be, n/8 units in the last place even
    /// where all points are the same; then come the nodes of every axis.
    pub(super) fn rounding(&self, n: usize) -> f64 {
        let block = block(n);
        let nodes: f64 = (0..self.nodes.len()).map(|j| 0.25 * self.width(j)).sum();
        let additions = 0.125 * block.min(n) as f64 + (n / block) as f64 + nodes + 20.0;
        self.amplification * additions * f64::EPSILON
    }
}

/// (1 + e)ᵐ − 1 without cancellation.
fn excess_of_power(e: f64, m: usize) -> f64 {
    (0..m).fold(0.0, |excess, _| excess + e + excess * e)
}

fn block(n: usize) -> usize {
    n.div_ceil(BLOCKS).max(BLOCK).next_multiple_of(WIDTH)
}

/// The tables of a plan.
#[derive(Debug)]
pub(super) struct Transform {
    axes: Vec<Axis>,
    vectors: usize,
    window: Window,
    centre: Vec<f64>,
    /// 1/P.
    units: Vec<f64>,
}

impl Transform {
    pub(super) fn new(grid: &SpectralGrid, plan: &Plan) -> Self {
        let dim = plan.nodes.len();
        let axis = |j| Axis::new(plan.highest[j], plan.nodes[j], plan.vectors * WIDTH, j + 1 == dim);
        Transform {
            axes: (0..dim).map(axis).collect(),
            vectors: plan.vectors,
            window: Window::new(plan.vectors),
            centre: grid.centre.clone(),
            units: grid.periods.iter().map(|p| p.recip()).collect(),
        }
    }

    fn order(&self) -> usize {
        self.vectors * WIDTH
    }

    /// The distances of neighbours along the first and the second of three coordinates in the fine grid, in numbers.
    #[inline(always)]
    fn strides(&self) -> [usize; 2] {
        let dim = self.axes.len();
        let row = self.axes[dim - 1].groups() * WIDTH;
        let plane = if dim == 3 { self.axes[1].width() * row } else { 0 };
        [plane, row]
    }

    fn cells(&self) -> usize {
        let dim = self.axes.len();
        self.axes[..dim - 1].iter().map(Axis::width).product::<usize>() * self.axes[dim - 1].groups() * WIDTH
    }

    /// dt/dx.
    #[inline(always)]
    fn slope_unit(&self, j: usize) -> f64 {
        self.axes[j].nodes as f64 * self.units[j]
    }

    /// Writes Σᵢ wᵢ f(xᵢ) for all functions of the grid, in its order; weights may have any sign.
    pub(super) fn brackets(&self, x: &Points, weights: &[f64], out: &mut [f64]) {
        let spread = |rows: Range<usize>, grid: &mut [f64]| {
            let points = &Packed::rows(x, rows.clone());
            let weights = &pack_weights(&weights[rows]);
            match self.vectors {
                1 => dispatch(Spread::<1> { transform: self, points, weights, grid }),
                _ => dispatch(Spread::<2> { transform: self, points, weights, grid }),
            }
        };
        let block = block(x.len());
        if x.len() > block {
            let mut grid = parallel::accumulate_blocks(x.len(), block, self.cells(), spread);
            self.sums(grid.as_chunks_mut().0, out);
            return;
        }
        let mut grid = scratch::zeroed(self.cells() / WIDTH);
        spread(0..x.len(), grid.as_flattened_mut());
        self.sums(&mut grid, out);
    }

    /// From the fine grid to the functions.
    fn sums(&self, grid: &mut [Group], out: &mut [f64]) {
        dispatch(Forward { axes: &self.axes, grid, out });
    }

    /// h = Σ c f and its gradient.
    pub(super) fn pullback(&self, x: &Points, coefficients: &[f64]) -> Pullback {
        let grid = dispatch(Adjoint { axes: &self.axes, coefficients });
        let grid = grid.as_flattened();
        pullback_blocks(x, ROWS, |rows, values, gradients| {
            let points = &Packed::rows(x, rows);
            match self.vectors {
                1 => dispatch(Interpolate::<1> { transform: self, points, grid, values, gradients }),
                _ => dispatch(Interpolate::<2> { transform: self, points, grid, values, gradients }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Gaussian;
    use measures::{Family, Seed};
    use rand::RngExt;
    use std::f64::consts::TAU;

    /// A box, and points in it: two opposite corners, and the rest inside.
    fn cloud(n: usize, dim: usize) -> (Vec<f64>, Vec<f64>, Points) {
        let (lower, upper): (Vec<f64>, Vec<f64>) =
            (0..dim).map(|j| (j as f64 - 1.3, 0.4 + 1.5 * j as f64)).unzip();
        let mut rng = Seed::new(7).rng();
        let mut x = Points::zeros(n, dim);
        for i in 0..n {
            for j in 0..dim {
                let u = if i < 2 { i as f64 } else { rng.random::<f64>() };
                x.row_mut(i)[j] = (1.0 - u) * lower[j] + u * upper[j];
            }
        }
        (lower, upper, x)
    }

    fn brackets(transform: &Transform, x: &Points, weights: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; transform.axes.iter().map(Axis::functions).product()];
        transform.brackets(x, weights, &mut out);
        out
    }

    /// For every function of the family the frequencies of its coordinates.
    fn frequencies(grid: &SpectralGrid) -> Vec<Vec<usize>> {
        let mut out = vec![vec![]];
        for highest in &grid.highest {
            let all = |front: &Vec<usize>| {
                let front = front.clone();
                (0..=2 * highest).map(move |i| [&front[..], &[i.div_ceil(2)]].concat())
            };
            out = out.iter().flat_map(all).collect();
        }
        out
    }

    /// Bounds of the errors of a function and of its derivatives.
    fn errors(grid: &SpectralGrid, plan: &Plan, k: &[usize]) -> (f64, Vec<f64>) {
        let order = plan.vectors * WIDTH;
        let all = |of: &dyn Fn(usize) -> f64| (0..k.len()).map(of).product::<f64>();
        let value = |j: usize| 1.0 + window::error(k[j], plan.nodes[j], order);
        let slope = |j: usize| {
            let unit = TAU * k[j] as f64 / grid.periods[j];
            let one = |i: usize| {
                if i == j { 1.0 + 1.02 * window::error(k[i], plan.nodes[i], order - 1) } else { value(i) }
            };
            unit * (all(&one) - 1.0)
        };
        (all(&value) - 1.0, (0..k.len()).map(slope).collect())
    }

    #[test]
    fn brackets_and_pullbacks_are_those_of_the_sweep_within_the_bound() {
        for (dim, h) in [(1, 0.05), (2, 0.3), (3, 0.9)] {
            for (tolerance, vectors) in [(1e-4, 1), (1e-8, 1), (1e-8, 2), (1e-14, 2)] {
                for n in [1, 150] {
                    let (lower, upper, x) = cloud(n, dim);
                    let grid =
                        SpectralGrid::new(&Gaussian::new(h).unwrap(), &lower, &upper, tolerance).unwrap();
                    let plan = Plan::new(&grid, tolerance, vectors).unwrap();
                    let transform = Transform::new(&grid, &plan);
                    let mut rng = Seed::new(3).rng();
                    let mut signed =
                        |n: usize| (0..n).map(|_| rng.random::<f64>() - 0.5).collect::<Vec<f64>>();
                    let weights = signed(n);
                    let mass: f64 = weights.iter().map(|w| w.abs()).sum();
                    let table = grid.values(&x).unwrap();
                    let (found, frequencies) = (brackets(&transform, &x, &weights), frequencies(&grid));
                    let mut worst = 0.0f64;
                    for (f, k) in frequencies.iter().enumerate() {
                        let exact: f64 = weights
                            .iter()
                            .zip(table.iter().skip(f).step_by(grid.len()))
                            .map(|(w, f)| w * f)
                            .sum();
                        let bound = mass * errors(&grid, &plan, k).0;
                        let undone: f64 = k
                            .iter()
                            .zip(&plan.nodes)
                            .map(|(k, n)| window::undo(*k, *n, vectors * WIDTH))
                            .product();
                        let error = (found[f] - exact).abs();
                        assert!(
                            error <= bound + 1e-12 * mass * undone,
                            "{dim}, {k:?}: {error} above {bound}"
                        );
                        worst = worst.max(grid.tau()[f] / grid.peak * error / mass);
                    }
                    assert!(worst < tolerance + 1e-13, "{worst} in the measure of the kernel");
                    let c: Vec<f64> = signed(grid.len()).iter().zip(grid.tau()).map(|(s, t)| s * t).collect();
                    let (found, exact) = (transform.pullback(&x, &c), grid.pullback(&x, &c).unwrap());
                    let (mut value, mut slopes) = (1e-12 * grid.peak, vec![1e-11 * grid.peak / h; dim]);
                    for (c, k) in c.iter().zip(&frequencies) {
                        let errors = errors(&grid, &plan, k);
                        value += c.abs() * errors.0;
                        slopes.iter_mut().zip(&errors.1).for_each(|(s, e)| *s += c.abs() * e);
                    }
                    for i in 0..n {
                        assert!((found.values[i] - exact.values[i]).abs() <= value, "{dim}: value");
                        for j in 0..dim {
                            let error = (found.gradients.row(i)[j] - exact.gradients.row(i)[j]).abs();
                            assert!(error <= slopes[j], "{dim}: slope {error} above {}", slopes[j]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_kernel_is_within_the_plan() {
        let (lower, upper, x) = cloud(40, 2);
        let kernel = Gaussian::new(0.4).unwrap();
        let grid = SpectralGrid::new(&kernel, &lower, &upper, 1e-6).unwrap();
        let plan = Plan::new(&grid, 1e-6, 1).unwrap();
        assert!(plan.error <= 1.001e-6 && plan.error > 1e-7, "{}", plan.error);
        let transform = Transform::new(&grid, &plan);
        let mut worst = 0.0f64;
        for i in 0..x.len() {
            let one = brackets(&transform, &x.select(&[i]), &[1.0]);
            let c: Vec<f64> = one.iter().zip(grid.tau()).map(|(a, t)| a * t).collect();
            let exact = grid.brackets(&measures::Empirical::dirac(x.row(i)).unwrap()).unwrap();
            let exact: Vec<f64> = exact.iter().zip(grid.tau()).map(|(a, t)| a * t).collect();
            let (found, exact) = (transform.pullback(&x, &c), grid.pullback(&x, &exact).unwrap());
            for (a, b) in found.values.iter().zip(&exact.values) {
                worst = worst.max((a - b).abs());
            }
        }
        assert!(worst <= plan.error && worst > 0.02 * plan.error, "{worst}, {}", plan.error);
    }

    #[test]
    fn points_come_back_after_a_period() {
        let (lower, upper, _) = cloud(1, 2);
        let grid = SpectralGrid::new(&Gaussian::new(0.4).unwrap(), &lower, &upper, 1e-8).unwrap();
        for vectors in [1, 2] {
            let transform = Transform::new(&grid, &Plan::new(&grid, 1e-8, vectors).unwrap());
            // half a period from the centre, either way, and a little beyond
            for (x, shift) in
                [([0.5, -0.5], [-1.0, 1.0]), ([0.500_000_1, 0.2], [1.0, -2.0]), ([-0.5, 0.5], [2.0, 0.0])]
            {
                let at = |turns: [f64; 2]| {
                    let row: [f64; 2] = std::array::from_fn(|j| grid.centre[j] + turns[j] * grid.periods[j]);
                    brackets(&transform, &Points::from_rows(&[row]), &[1.0])
                };
                let (one, other) = (at(x), at([x[0] + shift[0], x[1] + shift[1]]));
                assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-10));
            }
            let odd = Points::from_rows(&[[f64::NAN, f64::INFINITY], [1e300, -1e300]]);
            assert!(brackets(&transform, &odd, &[1.0, 0.0]).iter().all(|b| b.is_nan()));
            assert!(transform.pullback(&odd, grid.tau()).values[0].is_nan());
        }
    }
}
