//! The squared MMD as the paper's mean formulation D₂ on a grid of frequencies: linear in the number of points.

mod grid;
mod grids;
mod nufft;
mod spectrum;
mod sweep;

pub use grid::SpectralGrid;
pub use spectrum::Spectral;

use crate::axioms::Axioms;
use crate::divergence::{Divergence, Toward};
use crate::mean_ipm::MeanIpm;
use crate::mmd::Mmd;
use crate::statistic::Statistic;
use crate::transport::bounding_box;
use grids::SpectralGrids;
use measures::{Empirical, Error, Family, Functional, Measure, Points, Result, Variation, check_dim};
use nufft::Plan;

/// MMD² of a kernel that decays fast in space and frequency, by the trapezoidal rule in eq. (3).
///
/// The MMD of a translation-invariant kernel is D₂ over x ↦ e^{i⟨ω,x⟩} with its spectral density for τ. On an equispaced
/// grid of frequencies that integral is, by Poisson's summation formula, the MMD of the *periodic* kernel: exact but for the
/// copies of the kernel one period away and the frequencies beyond the grid, both of which fall like e^{−t²/2} for a
/// Gaussian. In two dimensions some 1500 real functions give round-off for 10⁴ points spread over seven bandwidths, at a
/// cost that is linear in the number of points where the direct sum over pairs is quadratic.
///
/// The brackets of all functions and the pull-back are nonuniform Fourier transforms: few functions are summed one by one, in
/// points × functions operations; many by spreading the points to a fine grid with a window and a discrete Fourier transform
/// of it, in points + functions^{1+1/d}, with an error of the window that is bounded as the others are. For each grid the
/// cheaper way is taken.
///
/// The grid grows like (diameter/bandwidth)ᵈ; a sum of kernels has a grid for each of its terms
/// ([`Spectral::grids`]). Where it would cost more than the pairs (few points, small bandwidths, more
/// than three dimensions) the direct sum is taken, as [`Approach`] says; values agree within [`SpectralValue::bound`]. Like
/// [`Mmd`] it is **squared**, and [`Statistic::Unbiased`] may be negative.
///
/// ```
/// use divergences::{Divergence, Mmd, SpectralMmd, Statistic, kernel::Gaussian};
/// use divergences::measures::{Empirical, Sample, Seed, zoo};
/// let sample = |seed| Empirical::uniform(zoo::Gaussian::standard(2).sample(2000, &mut Seed::new(seed).rng()));
/// let (mu, nu) = (sample(0)?, sample(1)?);
/// let kernel = Gaussian::new(1.0)?;
/// let fast = SpectralMmd::new(kernel, Statistic::Plugin).estimate(&mu, &nu)?;
/// let exact = Mmd::new(kernel, Statistic::Plugin).value(&mu, &nu)?;
/// assert!(fast.functions > 0 && fast.bound < 1e-12 && (fast.value - exact).abs() < 1e-14);
/// # Ok::<(), divergences::Error>(())
/// ```
///
/// Source: eq. (3); L. N. Trefethen and J. A. C. Weideman, *The exponentially convergent trapezoidal rule*, SIAM Review
/// 56 (2014), doi:10.1137/130932132; the transform D. Potts and G. Steidl, *Fast summation at nonequispaced knots by NFFTs*,
/// SIAM J. Sci. Comput. 24 (2003), doi:10.1137/S1064827502400984.
#[derive(Debug, Clone, Copy)]
pub struct SpectralMmd<K> {
    direct: Mmd<K>,
    tolerance: f64,
    approach: Approach,
}

/// How a [`SpectralMmd`] is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Approach {
    /// By the grid where it has fewer operations than the sum over pairs, else by that sum.
    #[default]
    Cheaper,
    /// By the grid wherever there is one: in up to three dimensions, with up to 2¹⁷ functions.
    Grid,
}

/// A value with what it stands on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct SpectralValue {
    /// MMD², as [`Mmd`] defines it.
    pub value: f64,
    /// A bound of the error, known before the points were summed: four times that of the kernel (‖μ − ν‖ ≤ 2 in total
    /// variation), as much of that of the windows of the transforms, and an allowance for rounding.
    pub bound: f64,
    /// The number of real functions of all grids; 0 where the direct sum was taken.
    pub functions: usize,
}

/// The error of the kernel, in units of k(0).
const TOLERANCE: f64 = 1e-15;

/// The part of the tolerance that windows may add; below one, because it is relative to the peak of the periodic kernel.
const WINDOW: f64 = 0.9;

/// The error of a sine or cosine of the recurrence.
const TABLE_ERROR: f64 = 1e-14;

/// Cost of a pair beside its coordinates, in operations on lanes: the exponential and the sum.
const PAIR: f64 = 14.0;

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Value,
    Gradient,
}

impl<K: Spectral> SpectralMmd<K> {
    /// The squared MMD of a kernel, by one of the two estimates, with a grid that is exact to round-off.
    pub fn new(kernel: K, statistic: Statistic) -> Self {
        SpectralMmd { direct: Mmd::new(kernel, statistic), tolerance: TOLERANCE, approach: Approach::Cheaper }
    }

    /// With a smaller grid, that gives the kernel within `tolerance`·k(0) (default 1e-15); the windows of a transform may add
    /// as much again.
    ///
    /// # Errors
    /// The tolerance is not between 1e-16 and 0.1.
    pub fn with_tolerance(mut self, tolerance: f64) -> Result<Self> {
        if !(1e-16..=0.1).contains(&tolerance) {
            let must = "between 1e-16 and 0.1";
            return Err(Error::Parameter { what: "tolerance", value: tolerance, must });
        }
        self.tolerance = tolerance;
        Ok(self)
    }

    /// By another approach than the cheaper one.
    pub fn by(mut self, approach: Approach) -> Self {
        self.approach = approach;
        self
    }

    /// The value with a bound of its error.
    ///
    /// # Errors
    /// As [`Divergence::value`].
    pub fn estimate(&self, mu: &Empirical, nu: &Empirical) -> Result<SpectralValue> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        let Some(d2) = self.grids(mu, nu, Wanted::Value) else {
            let zero = vec![0.0; mu.dim()];
            let peak = self.direct.kernel().value(&zero, &zero);
            let n = (mu.len() + nu.len()) as f64;
            let bound = 4.0 * peak * n * f64::EPSILON;
            return Ok(SpectralValue { value: self.direct.value(mu, nu)?, bound, functions: 0 });
        };
        let grids = d2.family();
        let bracket = TABLE_ERROR * mu.dim() as f64 + grids.rounding();
        // the squares of the brackets of one measure, less the exact diagonal, are divided by 1 − Σ wᵢ²
        let share = |mu: &Empirical| match self.direct.statistic() {
            Statistic::Plugin => 1.0,
            Statistic::Unbiased => 1.0 / (1.0 - mu.weights().iter().map(|w| w * w).sum::<f64>()),
        };
        let windows = (2.0 + share(mu) + share(nu)) * grids.window_error();
        Ok(SpectralValue {
            value: d2.value(mu, nu)?,
            bound: 4.0 * grids.kernel_error() + windows + 8.0 * bracket * grids.peak(),
            functions: grids.tau().len(),
        })
    }

    /// D₂ on the grids for these measures, where that is the approach.
    fn grids(&self, mu: &Empirical, nu: &Empirical, wanted: Wanted) -> Option<MeanIpm<SpectralGrids>> {
        let dim = mu.dim();
        if dim > grid::DIMENSIONS {
            return None;
        }
        let (lower, upper) = bounding_box(mu.points(), nu.points());
        let grids = self.direct.kernel().grids(&lower, &upper, self.tolerance)?;
        let (n, m, d) = (mu.len() as f64, nu.len() as f64, dim as f64);
        let interpolated = if wanted == Wanted::Gradient { n } else { 0.0 };
        let ways = grids.iter().map(|grid| {
            let functions = grid.len() as f64;
            let rows = grid.highest.iter().sum::<usize>() as f64;
            let swept = (n + m) * (functions + 10.0 * rows) + 2.0 * interpolated * functions;
            match Plan::cheapest(grid, WINDOW * self.tolerance, (n + m, interpolated)) {
                Some((plan, cost)) if cost < swept => (Some(plan), cost),
                _ => (None, swept),
            }
        });
        let (plans, costs): (Vec<_>, Vec<_>) = ways.unzip();
        let pair = PAIR * grids.len() as f64;
        let by_pairs = match wanted {
            Wanted::Value => (0.5 * n * n + n * m + 0.5 * m * m) * (d + pair),
            Wanted::Gradient => (n * n + n * m + 0.5 * m * m) * (2.0 * d + pair),
        };
        let take = self.approach == Approach::Grid || costs.iter().sum::<f64>() <= by_pairs;
        take.then(|| {
            let grids = SpectralGrids::new(grids, &plans, mu.len().max(nu.len()));
            MeanIpm::new(grids, self.direct.statistic())
        })
    }
}

impl<K: Spectral> Divergence for SpectralMmd<K> {
    /// Those of the direct sum; in floating point within the bound.
    fn axioms(&self) -> Axioms {
        self.direct.axioms()
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.estimate(mu, nu)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        match self.grids(mu, nu, Wanted::Gradient) {
            Some(d2) => d2.variation(mu, nu),
            None => self.direct.variation(mu, nu),
        }
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        match self.grids(mu, nu, Wanted::Gradient) {
            Some(d2) => d2.gradient_field(mu, nu),
            None => self.direct.gradient_field(mu, nu),
        }
    }

    /// The grid depends on where the points are, so that nothing is kept of the target.
    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}
