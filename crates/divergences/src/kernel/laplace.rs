//! The Laplace kernel of the ℓ¹ distance.

use super::pairs::{self, AbsoluteDistance, Profile};
use super::radial::constant_diagonal;
use super::{Kernel, Properties, check_bandwidth};
use measures::lanes::{F64s, Lanes};
use measures::{Points, Pullback, Result};

/// k(x, y) = exp(−Σⱼ |xⱼ − yⱼ| / h), the product over coordinates of one-dimensional exponential kernels.
///
/// Characteristic; not invariant under rotations (the isotropic e^{−‖x−y‖/ℓ} is [`Matern`](super::Matern) with ν = ½).
/// The gradient is zero in a coordinate in which the points agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Laplace {
    bandwidth: f64,
}

impl Laplace {
    /// The kernel of bandwidth h.
    ///
    /// # Errors
    /// h is not positive, or so small or large that its square is no ordinary double.
    pub fn new(bandwidth: f64) -> Result<Self> {
        Ok(Laplace { bandwidth: check_bandwidth(bandwidth)? })
    }

    /// The bandwidth h.
    pub fn bandwidth(&self) -> f64 {
        self.bandwidth
    }
}

impl Profile for Laplace {
    type Of = AbsoluteDistance;

    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, s: F64s<L>) -> F64s<L> {
        (s * F64s::splat(lanes, -self.bandwidth.recip())).exp_nonpositive()
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, s: F64s<L>) -> (F64s<L>, F64s<L>) {
        let value = self.phi(lanes, s);
        (value, value * F64s::splat(lanes, -self.bandwidth.recip()))
    }
}

impl Kernel for Laplace {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        pairs::one(self, absolute_distance(x, y)).0
    }

    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        let slope = pairs::one(self, absolute_distance(x, y)).1;
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = if x == y { 0.0 } else { slope * (x - y).signum() };
        }
    }

    fn properties(&self) -> Properties {
        Properties {
            positive: true,
            conditional: false,
            characteristic: true,
            translation_invariant: true,
            rotation_invariant: false,
            homogeneity: None,
            smooth: false,
        }
    }

    fn diagonal(&self, x: &Points) -> Pullback {
        constant_diagonal(1.0, x)
    }

    super::fused_sums!();
}

fn absolute_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).abs()).sum()
}
