//! Kernels that decay as powers: the inverse multiquadric and the rational quadratic.

use super::{Properties, Radial, check_bandwidth};
use measures::lanes::{F64s, Lanes};
use measures::{Error, Result, check_positive};

/// The inverse multiquadric (1 + ‖x − y‖²/c²)^{−½}, with length c.
///
/// Its slow decay is what lets a kernel Stein discrepancy see mass that escapes (Gorham and Mackey, 2017). Characteristic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InverseMultiquadric {
    length: f64,
}

impl InverseMultiquadric {
    /// The kernel of length c.
    ///
    /// # Errors
    /// The length is not positive, or so small or large that its square is no ordinary double.
    pub fn new(length: f64) -> Result<Self> {
        Ok(InverseMultiquadric { length: check_bandwidth(length)? })
    }

    /// The length c.
    pub fn length(&self) -> f64 {
        self.length
    }
}

impl Radial for InverseMultiquadric {
    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L> {
        let one = F64s::splat(lanes, 1.0);
        one / r2.mul_add(F64s::splat(lanes, (self.length * self.length).recip()), one).sqrt()
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let value = self.phi(lanes, r2);
        let scale = F64s::splat(lanes, -(self.length * self.length).recip());
        (value, value * value * value * scale)
    }

    fn steepness(&self) -> f64 {
        0.5 / self.length / self.length
    }

    fn radial_properties(&self) -> Properties {
        bounded()
    }
}

/// The rational quadratic (1 + ‖x − y‖²/(2αℓ²))^{−α}: a mixture of Gaussian kernels over bandwidths, with length ℓ and
/// α > 0 that says how wide (Rasmussen and Williams, 2006, eq. 4.19). Characteristic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RationalQuadratic {
    alpha: f64,
    length: f64,
}

impl RationalQuadratic {
    /// The kernel of exponent α and length ℓ.
    ///
    /// # Errors
    /// α is not positive and finite, or ℓ not positive, or 2αℓ² no ordinary double.
    pub fn new(alpha: f64, length: f64) -> Result<Self> {
        let alpha = check_positive("alpha", alpha)?;
        let length = check_bandwidth(length)?;
        if (1e-300..=1e300).contains(&(2.0 * alpha * length * length)) {
            Ok(RationalQuadratic { alpha, length })
        } else {
            Err(Error::Parameter { what: "alpha", value: alpha, must: "of ordinary size for the length" })
        }
    }

    /// The exponent α.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The length ℓ.
    pub fn length(&self) -> f64 {
        self.length
    }

    #[inline(always)]
    fn scale(self) -> f64 {
        (2.0 * self.alpha * self.length * self.length).recip()
    }

    /// 1 + r²/(2αℓ²) and its power −α.
    #[inline(always)]
    fn base_and_power<L: Lanes>(self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let base = r2.mul_add(F64s::splat(lanes, self.scale()), F64s::splat(lanes, 1.0));
        (base, (base.ln() * F64s::splat(lanes, -self.alpha)).exp_nonpositive())
    }
}

impl Radial for RationalQuadratic {
    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L> {
        self.base_and_power(lanes, r2).1
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let (base, value) = self.base_and_power(lanes, r2);
        let scale = F64s::splat(lanes, -2.0 * self.alpha * self.scale());
        (value, value / base * scale)
    }

    fn steepness(&self) -> f64 {
        0.5 / self.length / self.length
    }

    fn radial_properties(&self) -> Properties {
        bounded()
    }
}

fn bounded() -> Properties {
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
