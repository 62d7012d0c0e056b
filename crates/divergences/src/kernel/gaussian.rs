//! The Gaussian kernel.

use super::{Properties, Radial, check_bandwidth};
use measures::Result;
use measures::lanes::{F64s, Lanes};

/// k(x, y) = exp(−‖x − y‖² / 2h²), with bandwidth h in the units of x.
///
/// Characteristic on ℝᵈ; its spectral measure is N(0, h⁻² I), so that the MMD is D₂ over e^{i⟨s,x⟩} with that τ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian {
    bandwidth: f64,
}

impl Gaussian {
    /// The kernel of bandwidth h.
    ///
    /// # Errors
    /// h is not positive, or so small or large that its square is no ordinary double.
    pub fn new(bandwidth: f64) -> Result<Self> {
        Ok(Gaussian { bandwidth: check_bandwidth(bandwidth)? })
    }

    /// The bandwidth h.
    pub fn bandwidth(&self) -> f64 {
        self.bandwidth
    }

    /// −log₂(e)/2h: k = 2^(c·r²/h).
    #[inline(always)]
    fn exponent(self) -> f64 {
        -0.5 * std::f64::consts::LOG2_E / self.bandwidth
    }
}

impl Radial for Gaussian {
    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L> {
        // divided by h twice: h² of a tiny or huge bandwidth would leave the range of doubles
        let scaled = r2 * F64s::splat(lanes, 1.0 / self.bandwidth);
        (scaled * F64s::splat(lanes, self.exponent())).exp2_nonpositive()
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let value = self.phi(lanes, r2);
        let inverse = 1.0 / self.bandwidth;
        (value, value * F64s::splat(lanes, -inverse) * F64s::splat(lanes, inverse))
    }

    fn steepness(&self) -> f64 {
        0.5 / self.bandwidth / self.bandwidth
    }

    fn radial_properties(&self) -> Properties {
        Properties {
            positive: true,
            conditional: false,
            characteristic: true,
            translation_invariant: true,
            rotation_invariant: true,
            homogeneity: None,
            smooth: true,
        }
    }
}
