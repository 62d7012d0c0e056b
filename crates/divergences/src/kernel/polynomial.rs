//! Polynomial kernels.

use super::pairs::{self, InnerProduct, Profile};
use super::{Kernel, Properties};
use measures::lanes::{F64s, Lanes};
use measures::{Error, Result};

/// k(x, y) = (γ⟨x, y⟩ + c)^p, with integer degree p ≥ 1, scale γ > 0 and constant c ≥ 0.
///
/// Its MMD compares moments up to degree p (all of them when c > 0) and nothing else: not characteristic. Unbounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Polynomial {
    degree: u32,
    scale: f64,
    constant: f64,
}

impl Polynomial {
    /// The kernel of degree p, scale γ and constant c.
    ///
    /// # Errors
    /// The degree is 0 or above 64, the scale not positive and finite, the constant negative or not finite.
    pub fn new(degree: u32, scale: f64, constant: f64) -> Result<Self> {
        if !(1..=64).contains(&degree) {
            return Err(Error::Parameter {
                what: "degree",
                value: f64::from(degree),
                must: "between 1 and 64",
            });
        }
        measures::check_positive("scale", scale)?;
        if !(constant.is_finite() && constant >= 0.0) {
            return Err(Error::Parameter {
                what: "constant",
                value: constant,
                must: "finite and not negative",
            });
        }
        Ok(Polynomial { degree, scale, constant })
    }

    #[inline(always)]
    fn base<L: Lanes>(self, lanes: L, s: F64s<L>) -> F64s<L> {
        s.mul_add(F64s::splat(lanes, self.scale), F64s::splat(lanes, self.constant))
    }
}

/// baseᵖ by repeated multiplication.
#[inline(always)]
fn power<L: Lanes>(lanes: L, base: F64s<L>, p: u32) -> F64s<L> {
    let mut value = F64s::splat(lanes, 1.0);
    for _ in 0..p {
        value = value * base;
    }
    value
}

impl Profile for Polynomial {
    type Of = InnerProduct;

    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, s: F64s<L>) -> F64s<L> {
        power(lanes, self.base(lanes, s), self.degree)
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, s: F64s<L>) -> (F64s<L>, F64s<L>) {
        let base = self.base(lanes, s);
        let lower = power(lanes, base, self.degree - 1);
        (lower * base, lower * F64s::splat(lanes, f64::from(self.degree) * self.scale))
    }
}

impl Kernel for Polynomial {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        pairs::one(self, inner_product(x, y)).0
    }

    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        let slope = pairs::one(self, inner_product(x, y)).1;
        out.iter_mut().zip(y).for_each(|(out, y)| *out = slope * y);
    }

    fn properties(&self) -> Properties {
        Properties {
            positive: true,
            conditional: false,
            characteristic: false,
            translation_invariant: false,
            rotation_invariant: true,
            homogeneity: (self.constant == 0.0).then(|| 2.0 * f64::from(self.degree)),
            smooth: true,
        }
    }

    super::fused_sums!();
}

fn inner_product(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).fold(0.0, |sum, (x, y)| x.mul_add(*y, sum))
}
