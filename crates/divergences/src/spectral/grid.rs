//! A grid of frequencies that stands for a kernel on a box.

use super::Spectral;
use super::sweep::{Brackets, PullBack, Tables};
use crate::packed::{Packed, ROWS, pack_weights, pullback_blocks};
use measures::lanes::{WIDTH, dispatch};
use measures::{Empirical, Family, Points, Pullback, Result, check_dim, check_pullback, parallel};
use std::f64::consts::TAU;

/// More coordinates than these would be slower than the direct sum, and the accumulators leave the cache.
pub(super) const MOST: usize = 1 << 17;

/// Above three dimensions a grid never wins.
pub(super) const DIMENSIONS: usize = 3;

/// Points a block of brackets at least, and blocks at most: each holds an accumulator of its own.
const BLOCK: usize = 1024;
const BLOCKS: usize = 16;

/// The products ∏ⱼ fⱼ(xⱼ) of 1, cos 2πk(xⱼ − cⱼ)/Pⱼ and sin 2πk(xⱼ − cⱼ)/Pⱼ, k ≤ Kⱼ, with τ the Fourier coefficients of
/// a kernel of period P: on a box whose sides are shorter than the period, κ = Σ τ f⊗f is that kernel within
/// [`SpectralGrid::kernel_error`].
///
/// In at most three dimensions. Coordinate j has 2Kⱼ + 1 functions in the order 1, cos₁, sin₁, cos₂, sin₂, …; the last
/// coordinate runs fastest.
#[derive(Debug, Clone)]
pub struct SpectralGrid {
    pub(super) centre: Vec<f64>,
    pub(super) periods: Vec<f64>,
    pub(super) highest: Vec<usize>,
    tau: Vec<f64>,
    /// κ(x, x), the same everywhere.
    pub(super) peak: f64,
    /// For each coordinate and k = 0, …, K the sum of the Fourier coefficients with frequency ±k there.
    pub(super) marginals: Vec<Vec<f64>>,
    error: f64,
}

impl SpectralGrid {
    /// The smallest grid found that gives `kernel` within `tolerance`·k(0) for points of the box from `lower` to `upper`;
    /// none in more than three dimensions, or where it would have more than 2¹⁷ coordinates.
    #[must_use]
    pub fn new(
        kernel: &(impl Spectral + ?Sized),
        lower: &[f64],
        upper: &[f64],
        tolerance: f64,
    ) -> Option<Self> {
        let dim = lower.len();
        if dim > DIMENSIONS {
            return None;
        }
        let extents: Vec<f64> = lower.iter().zip(upper).map(|(a, b)| b - a).collect();
        let (periods, highest) = size(kernel, &extents, tolerance)?;
        let error = kernel.aliases(&extents, &periods) + kernel.tail(&periods, &highest);
        let frequencies = |(k, p): (&usize, &f64)| (0..=*k).map(|k| TAU * k as f64 / p).collect();
        let axes: Vec<Vec<f64>> = highest.iter().zip(&periods).map(frequencies).collect();
        let mut spectrum = kernel.spectrum_on(&axes);
        let volume: f64 = periods.iter().product();
        spectrum.iter_mut().for_each(|c| *c /= volume);
        let (tau, marginals) = expanded(&spectrum, &highest);
        let peak = marginals.first().map_or(spectrum[0], |marginal| marginal.iter().sum());
        let centre = lower.iter().zip(upper).map(|(a, b)| 0.5 * a + 0.5 * b).collect();
        Some(SpectralGrid { centre, periods, highest, tau, peak, marginals, error })
    }

    /// The grid of a·k, a ≥ 0.
    pub(super) fn times(mut self, a: f64) -> Self {
        self.tau.iter_mut().for_each(|tau| *tau *= a);
        self.peak *= a;
        self.marginals.iter_mut().flatten().for_each(|c| *c *= a);
        self.error *= a;
        self
    }

    /// A bound of |κ(x, y) − k(x, y)| over the box, rounding apart.
    pub fn kernel_error(&self) -> f64 {
        self.error
    }

    /// The number of real coordinates, ∏(2Kⱼ + 1).
    pub fn len(&self) -> usize {
        self.tau.len()
    }

    /// Always false: the constant function is there.
    pub fn is_empty(&self) -> bool {
        self.tau.is_empty()
    }
}

/// From the Fourier coefficients at the frequencies 0, …, Kⱼ to τ for all functions, and the marginals.
fn expanded(spectrum: &[f64], highest: &[usize]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut marginals: Vec<Vec<f64>> = highest.iter().map(|k| vec![0.0; k + 1]).collect();
    let mut tau = Vec::with_capacity(highest.iter().map(|k| 2 * k + 1).product());
    let Some((last, others)) = highest.split_last() else { return (spectrum.to_vec(), marginals) };
    // functions 2k − 1 and 2k of a coordinate have frequency k, which stands for −k too
    let mut index = vec![0; others.len()];
    loop {
        let (mut row, mut signs, mut first) = (0, 1.0, true);
        for (i, k) in index.iter().zip(others) {
            let frequency = usize::div_ceil(*i, 2);
            row = row * (k + 1) + frequency;
            signs *= if *i > 0 { 2.0 } else { 1.0 };
            first &= *i == 0 || *i % 2 == 1;
        }
        let row = &spectrum[row * (last + 1)..(row + 1) * (last + 1)];
        tau.push(signs * row[0]);
        for c in &row[1..] {
            tau.extend([2.0 * signs * c; 2]);
        }
        // each frequency once, not for cosine and sine
        if first {
            let sums = &mut marginals[others.len()];
            sums[0] += signs * row[0];
            sums[1..].iter_mut().zip(&row[1..]).for_each(|(sum, c)| *sum += 2.0 * signs * c);
            let all = signs * (row[0] + 2.0 * row[1..].iter().sum::<f64>());
            for (marginal, i) in marginals.iter_mut().zip(&index) {
                marginal[usize::div_ceil(*i, 2)] += all;
            }
        }
        let Some(j) = (0..others.len()).rev().find(|j| index[*j] < 2 * others[*j]) else { break };
        index[j] += 1;
        index[j + 1..].fill(0);
    }
    (tau, marginals)
}

/// Periods and highest frequencies, both the smallest of a geometric sequence that meet the bounds.
fn size(
    kernel: &(impl Spectral + ?Sized),
    extents: &[f64],
    tolerance: f64,
) -> Option<(Vec<f64>, Vec<usize>)> {
    let zero = vec![0.0; extents.len()];
    let (shortest, longest) = kernel.lengths();
    let allowed = 0.5 * tolerance * kernel.value(&zero, &zero);
    let periods = |reach: f64| extents.iter().map(|l| l + reach * longest).collect::<Vec<f64>>();
    let periods = periods(smallest_reach(|reach| kernel.aliases(extents, &periods(reach)) <= allowed)?);
    let exact = |reach: f64| periods.iter().map(move |p| (reach * p / (TAU * shortest)).ceil());
    let highest = |reach: f64| exact(reach).map(|k| k as usize).collect::<Vec<usize>>();
    let reach = smallest_reach(|reach| {
        let functions: f64 = exact(reach).map(|k| 2.0 * k + 1.0).product();
        // those that are too many end the search, as do periods that are not finite
        functions.is_nan() || functions > MOST as f64 || kernel.tail(&periods, &highest(reach)) <= allowed
    })?;
    let functions: f64 = exact(reach).map(|k| 2.0 * k + 1.0).product();
    (functions <= MOST as f64).then(|| (periods.clone(), highest(reach)))
}

/// The smallest of 1, 1.02, 1.02², … up to 100 that is enough, by bisection; none where 100 is not.
fn smallest_reach(enough: impl Fn(f64) -> bool) -> Option<f64> {
    const STEP: f64 = 1.02;
    const MOST_STEPS: i32 = 232;
    let (mut from, mut to) = (0, MOST_STEPS + 1);
    while from < to {
        let middle = i32::midpoint(from, to);
        if enough(STEP.powi(middle)) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    (from <= MOST_STEPS).then(|| STEP.powi(from))
}

impl Family for SpectralGrid {
    fn dim(&self) -> usize {
        self.centre.len()
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("measure", self.dim(), measures::Measure::dim(mu))?;
        let block = mu.len().div_ceil(BLOCKS).max(BLOCK).next_multiple_of(WIDTH);
        Ok(parallel::accumulate_blocks(mu.len(), block, self.len(), |rows, out| {
            let points = Packed::rows(mu.points(), rows.clone());
            let weights = pack_weights(&mu.weights()[rows]);
            let tables = &mut Tables::new(self);
            dispatch(Brackets { grid: self, points: &points, weights: &weights, tables, out });
        }))
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        Ok(pullback_blocks(x, ROWS, |rows, values, gradients| {
            let points = &Packed::rows(x, rows);
            let tables = &mut Tables::new(self);
            dispatch(PullBack { grid: self, points, coefficients: c, tables, values, gradients });
        }))
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim(), x.dim())?;
        let mut out = vec![0.0; x.len() * self.len()];
        // one point of weight one after the other: a bracket is a value
        parallel::fill_blocks(&mut out, self.len(), WIDTH, |rows, out| {
            let tables = &mut Tables::new(self);
            for (i, out) in rows.zip(out.chunks_exact_mut(self.len())) {
                let points = Packed::rows(x, i..i + 1);
                let weights = pack_weights(&[1.0]);
                dispatch(Brackets { grid: self, points: &points, weights: &weights, tables, out });
            }
        });
        Ok(out)
    }

    /// κ(x, x), a constant.
    fn diagonal(&self, x: &Points) -> Result<Pullback> {
        check_dim("points", self.dim(), x.dim())?;
        let values = vec![self.peak; x.len()];
        Ok(Pullback { values, gradients: Points::zeros(x.len(), x.dim()) })
    }
}
