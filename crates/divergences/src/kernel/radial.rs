//! Kernels of the distance alone, evaluated on eight lanes.

use super::pairs::{self, Profile, SquaredDistance};
use super::{Kernel, Properties};
use measures::lanes::{F64s, Lanes};
use measures::{Points, Pullback};

/// k(x, y) = φ(‖x − y‖²) as a function of the squared distance, on eight lanes.
///
/// Implementations are `#[inline(always)]`; see `measures::lanes`.
pub trait Radial: Clone + Send + Sync {
    /// φ(r²) for r² ≥ 0, which may be +∞.
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L>;

    /// (φ(r²), 2φ′(r²)): ∇ₓk = 2φ′(r²)·(x − y). Finite at r = 0: where φ′ is infinite, the slope is 0 there.
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>);

    /// A bound of |φ′(r²)| over all r², or infinity where there is none. With one, and in many dimensions, squared distances
    /// are taken from inner products where their rounding cannot matter.
    fn steepness(&self) -> f64 {
        f64::INFINITY
    }

    /// Whether a relative error of r² makes one of φ(r²) that is no larger, as for powers of r up to the second. In many
    /// dimensions the values of such kernels are summed over squared distances from inner products, of which those that are
    /// too small for it are computed again.
    fn forgives_relative_errors(&self) -> bool {
        false
    }

    /// What the kernel tells about an MMD made of it.
    fn radial_properties(&self) -> Properties;
}

impl<R: Radial> Profile for R {
    type Of = SquaredDistance;

    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, s: F64s<L>) -> F64s<L> {
        Radial::phi(self, lanes, s)
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, s: F64s<L>) -> (F64s<L>, F64s<L>) {
        Radial::phi_and_slope(self, lanes, s)
    }

    fn steepness(&self) -> f64 {
        Radial::steepness(self)
    }

    fn forgives_relative_errors(&self) -> bool {
        Radial::forgives_relative_errors(self)
    }
}

impl<R: Radial> Kernel for R {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        pairs::one(self, squared_distance(x, y)).0
    }

    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        let slope = pairs::one(self, squared_distance(x, y)).1;
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = slope * (x - y);
        }
    }

    fn properties(&self) -> Properties {
        self.radial_properties()
    }

    /// φ(0), a constant.
    fn diagonal(&self, x: &Points) -> Pullback {
        constant_diagonal(pairs::one(self, 0.0).0, x)
    }

    super::fused_sums!();
}

/// A diagonal that is the same number everywhere.
pub(crate) fn constant_diagonal(value: f64, x: &Points) -> Pullback {
    Pullback { values: vec![value; x.len()], gradients: Points::zeros(x.len(), x.dim()) }
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).fold(0.0, |sum, (x, y)| (x - y).mul_add(x - y, sum))
}
