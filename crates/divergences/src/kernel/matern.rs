//! The Matérn kernels of half-integer smoothness.

use super::{Properties, Radial, check_bandwidth};
use measures::lanes::{F64s, Lanes};
use measures::{Error, Result};

/// The Matérn kernel of smoothness ν ∈ {½, 3/2, 5/2} and length ℓ, with a = √(2ν)·‖x − y‖/ℓ:
///
/// - ν = ½: e^{−a} (the exponential, or isotropic Laplace, kernel), with a kink at 0;
/// - ν = 3/2: (1 + a) e^{−a};
/// - ν = 5/2: (1 + a + a²/3) e^{−a}.
///
/// The convention of Rasmussen and Williams (2006), eq. 4.14. Its spectral measure is Student's t with 2ν degrees of
/// freedom and scale 1/ℓ. Characteristic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matern {
    smoothness: Smoothness,
    length: f64,
}

/// The smoothness of a [`Matern`] kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smoothness {
    /// ν = ½: continuous, not differentiable at 0.
    Half,
    /// ν = 3/2: once differentiable.
    ThreeHalves,
    /// ν = 5/2: twice differentiable.
    FiveHalves,
}

impl Smoothness {
    /// ν.
    pub fn nu(self) -> f64 {
        match self {
            Smoothness::Half => 0.5,
            Smoothness::ThreeHalves => 1.5,
            Smoothness::FiveHalves => 2.5,
        }
    }

    /// The smoothness of a number.
    ///
    /// # Errors
    /// It is not 0.5, 1.5 or 2.5.
    pub fn from_nu(nu: f64) -> Result<Self> {
        [Smoothness::Half, Smoothness::ThreeHalves, Smoothness::FiveHalves]
            .into_iter()
            .find(|s| s.nu() == nu)
            .ok_or(Error::Parameter { what: "smoothness", value: nu, must: "0.5, 1.5 or 2.5" })
    }
}

impl Matern {
    /// The kernel of a smoothness and a length ℓ.
    ///
    /// # Errors
    /// The length is not positive, or so small or large that its square is no ordinary double.
    pub fn new(smoothness: Smoothness, length: f64) -> Result<Self> {
        Ok(Matern { smoothness, length: check_bandwidth(length)? })
    }

    /// The smoothness ν.
    pub fn smoothness(&self) -> Smoothness {
        self.smoothness
    }

    /// The length ℓ.
    pub fn length(&self) -> f64 {
        self.length
    }

    /// √(2ν)/ℓ.
    #[inline(always)]
    fn rate(self) -> f64 {
        (2.0 * self.smoothness.nu()).sqrt() / self.length
    }
}

impl Radial for Matern {
    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L> {
        let a = r2.sqrt() * F64s::splat(lanes, self.rate());
        let decay = (-a).exp_nonpositive();
        let one = F64s::splat(lanes, 1.0);
        match self.smoothness {
            Smoothness::Half => decay,
            Smoothness::ThreeHalves => vanishing(decay, a + one),
            Smoothness::FiveHalves => {
                vanishing(decay, a.mul_add(F64s::splat(lanes, 1.0 / 3.0), one).mul_add(a, one))
            }
        }
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let rate = self.rate();
        let a = r2.sqrt() * F64s::splat(lanes, rate);
        let decay = (-a).exp_nonpositive();
        let (zero, one) = (F64s::splat(lanes, 0.0), F64s::splat(lanes, 1.0));
        // the slope is φ'(r)/r, with dφ/da = −e^{−a}, −a e^{−a} and −(a/3)(1 + a) e^{−a}
        let scaled = decay * F64s::splat(lanes, -rate) * F64s::splat(lanes, rate);
        match self.smoothness {
            Smoothness::Half => (decay, zero.if_less(a, scaled / a, zero)),
            Smoothness::ThreeHalves => (vanishing(decay, a + one), scaled),
            Smoothness::FiveHalves => {
                let third = F64s::splat(lanes, 1.0 / 3.0);
                let value = vanishing(decay, a.mul_add(third, one).mul_add(a, one));
                (value, vanishing(scaled, a.mul_add(third, third)))
            }
        }
    }

    fn radial_properties(&self) -> Properties {
        Properties {
            positive: true,
            conditional: false,
            characteristic: true,
            translation_invariant: true,
            rotation_invariant: true,
            homogeneity: None,
            smooth: self.smoothness != Smoothness::Half,
        }
    }
}

/// decay · factor, which is 0 where the decay is, though the factor may be infinite there.
#[inline(always)]
fn vanishing<L: Lanes>(decay: F64s<L>, factor: F64s<L>) -> F64s<L> {
    factor.min(F64s::splat(decay.lanes(), f64::MAX)) * decay
}
