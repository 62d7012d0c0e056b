//! The distance kernel of the energy distance.

use super::{Properties, Radial};
use measures::lanes::{F64s, Lanes};
use measures::{Error, Result};

/// k(x, y) = −‖x − y‖^s for an exponent 0 < s < 2: conditionally positive definite, so that its squared MMD is a squared
/// metric, 2E‖X−Y‖^s − E‖X−X′‖^s − E‖Y−Y′‖^s (Székely and Rizzo, 2013; the sign is lost in the paper's section 2).
///
/// At s = 2 the MMD would be 2‖E X − E Y‖², which sees nothing but means. It has no length scale: homogeneous of degree s.
/// The gradient at coinciding points is taken as zero, which for s ≤ 1 is the mean over directions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Energy {
    exponent: f64,
}

impl Energy {
    /// The kernel −‖x − y‖^s.
    ///
    /// # Errors
    /// s is not inside (0, 2).
    pub fn new(exponent: f64) -> Result<Self> {
        if exponent > 0.0 && exponent < 2.0 {
            Ok(Energy { exponent })
        } else {
            Err(Error::Parameter { what: "exponent", value: exponent, must: "inside (0, 2)" })
        }
    }

    /// −‖x − y‖, the kernel of the energy distance proper.
    pub fn distance() -> Self {
        Energy { exponent: 1.0 }
    }

    /// The exponent s.
    pub fn exponent(&self) -> f64 {
        self.exponent
    }

    /// r^s.
    #[inline(always)]
    fn power<L: Lanes>(self, lanes: L, r2: F64s<L>) -> F64s<L> {
        if self.exponent == 1.0 {
            r2.sqrt()
        } else {
            (r2.ln() * F64s::splat(lanes, 0.5 * self.exponent)).exp()
        }
    }
}

impl Radial for Energy {
    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L> {
        -self.power(lanes, r2)
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let zero = F64s::splat(lanes, 0.0);
        let power = self.power(lanes, r2);
        let slope = if self.exponent == 1.0 {
            F64s::splat(lanes, -1.0) / power
        } else {
            power / r2 * F64s::splat(lanes, -self.exponent)
        };
        (-power, F64s::splat(lanes, f64::MIN_POSITIVE).if_less(r2, slope, zero))
    }

    /// r^s has the relative error s/2 < 1 times that of r².
    fn forgives_relative_errors(&self) -> bool {
        true
    }

    fn radial_properties(&self) -> Properties {
        Properties {
            positive: true,
            conditional: true,
            characteristic: true,
            translation_invariant: true,
            rotation_invariant: true,
            homogeneity: Some(self.exponent),
            smooth: self.exponent > 1.0,
        }
    }
}
