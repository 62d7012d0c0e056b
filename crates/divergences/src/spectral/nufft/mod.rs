//! The nonuniform fast Fourier transform: brackets and pull-backs of a grid of frequencies at a cost of points plus
//! frequencies, where the sweep costs points times frequencies.
//!
//! With t = N(x − c)/P, a window φ that is zero beyond p/2 and its Fourier transform φ̂,
//!
//! e^{2πik(x−c)/P} ≈ φ̂(k/N)⁻¹ Σ_l φ(t − l) e^{2πikl/N},
//!
//! so that brackets are weights *spread* to a fine grid of N nodes a coordinate, a discrete Fourier transform of it and a
//! division; the pull-back is the adjoint, whose gradient takes the derivative of the window and hence is the gradient of
//! the value that is computed. A point costs pᵈ. The transform is done by matrix products, N·K a line: for the sizes that
//! occur here (N of some hundreds at most) that is as fast as a fast Fourier transform and much simpler.
//!
//! φ is the central B-spline of order p, whose φ̂(ξ) = sinc(ξ)ᵖ gives an error of e^{2πikt/N} in closed form, about
//! (k/(N − k))ᵖ ([`window::error`]). What counts is the error of the kernel Σ c_k e^{2πik(x−y)/P}, where frequencies weigh as
//! much as the spectrum does: the highest, which the window gets worst, hardly count. On this measure B-splines need no more
//! nodes than Kaiser–Bessel windows of the same support, which have smaller errors at the highest frequencies only, while
//! they amplify rounding less, are polynomials on every piece and have p − 2 continuous derivatives.
//!
//! Source: G. Beylkin, *On the fast Fourier transform of functions with singularities*, Appl. Comput. Harmon. Anal. 2
//! (1995), doi:10.1006/acha.1995.1026; for kernels D. Potts and G. Steidl, *Fast summation at nonequispaced knots by NFFTs*,
//! SIAM J. Sci. Comput. 24 (2003), doi:10.1137/S1064827502400984; the window in the measure of the kernel U. Essmann et
//! al., *A smooth particle mesh Ewald method*, J. Chem. Phys. 103 (1995), doi:10.1063/1.470117.

mod dft;
mod spread;
mod window;

use super::SpectralGrid;
use crate::packed::{Packed, ROWS, pack_weights, pullback_blocks};
use dft::{Adjoint, Axis, Forward};
use measures::lanes::{WIDTH, dispatch};
use measures::{Empirical, Points, Pullback, parallel};
use spread::{Interpolate, Spread};
use window::Window;

/// Points a block of brackets at least, and blocks at most: each holds a fine grid of its own.
const BLOCK: usize = 1024;
const BLOCKS: usize = 16;

/// More nodes than these leave the cache.
const MOST_NODES: usize = 1 << 20;

/// Costs in the unit of the sweep, a multiplication and addition for a point and a function: a point beside its cells, a
/// group of eight cells of its window when weights are spread and when sums are interpolated, and what a node of the fine
/// grid costs beside the matrix products. Measured.
const POINT: f64 = 150.0;
const SPREAD: f64 = 12.0;
const INTERPOLATE: f64 = 14.0;
const NODE: f64 = 10.0;

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
    /// The plan that is cheapest for `spread` points of brackets, by `calls` of them, and as many points of one pull-back
    /// as `interpolated`, none where no window gives the kernel within `tolerance`·κ(0).
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
                let one =
                    |(k, p): (usize, &f64)| p * (2.0 * dim * window::error(k, n, order).ln_1p()).exp_m1();
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
        let point = POINT * v * v;
        let mut transform = NODE * self.cells();
        let mut front = 1.0;
        for j in 0..dim {
            let back: f64 = (j + 1..dim).map(|i| self.width(i)).product();
            let functions = (2 * self.highest[j] + 1) as f64;
            transform += 0.5 * front * self.width(j) * functions * back;
            front *= functions;
        }
        let calls = if interpolated > 0.0 { 3.0 } else { 2.0 };
        spread * (point + SPREAD * groups) + interpolated * (point + INTERPOLATE * groups) + calls * transform
    }

    /// An allowance for the rounding of a bracket: a cell adds up the points of a block one after the other, and errors of
    /// that are half as large as the last sum in the mean; then come the nodes of every axis.
    pub(super) fn rounding(&self, n: usize) -> f64 {
        let block = block(n);
        let cells: f64 = (0..self.nodes.len()).map(|j| 0.5 * self.width(j)).sum();
        let additions = 0.25 * block.min(n) as f64 + (n / block) as f64 + 0.5 * cells + 20.0;
        self.amplification * additions * f64::EPSILON
    }
}

fn block(n: usize) -> usize {
    n.div_ceil(BLOCKS).max(BLOCK).next_multiple_of(WIDTH)
}

/// The tables of a plan.
#[derive(Debug, Clone)]
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

    /// Σᵢ wᵢ f(xᵢ) for all functions of the grid, in its order.
    pub(super) fn brackets(&self, mu: &Empirical) -> Vec<f64> {
        let grid = parallel::accumulate_blocks(mu.len(), block(mu.len()), self.cells(), |rows, grid| {
            let points = &Packed::rows(mu.points(), rows.clone());
            let weights = &pack_weights(&mu.weights()[rows]);
            match self.vectors {
                1 => dispatch(Spread::<1> { transform: self, points, weights, grid }),
                _ => dispatch(Spread::<2> { transform: self, points, weights, grid }),
            }
        });
        let (groups, _) = grid.as_chunks::<WIDTH>();
        dispatch(Forward { axes: &self.axes, grid: groups.to_vec() })
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
