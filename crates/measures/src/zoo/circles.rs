//! Two concentric circles.

use super::curves::{Curve, NoisyCurves, Piece, curve_set};
use crate::error::{Error, Result};
use std::f64::consts::TAU;

/// Two circles about the origin, of radius 1 and `factor`, each with probability ½, uniform in the angle, plus N(0, σ² I).
///
/// Source: scikit-learn, `datasets.make_circles`, which splits the sample evenly and spaces the angles evenly; here both
/// are drawn.
#[derive(Debug, Clone)]
pub struct Circles {
    pub(super) curves: NoisyCurves,
    factor: f64,
}

impl Circles {
    /// Circles of radius 1 and `factor` with noise of standard deviation `noise`.
    ///
    /// # Errors
    /// The factor is not inside (0, 1), or the noise is negative or not finite.
    pub fn new(factor: f64, noise: f64) -> Result<Self> {
        if !(factor > 0.0 && factor < 1.0) {
            return Err(Error::Parameter { what: "factor", value: factor, must: "inside (0, 1)" });
        }
        let circle = |radius| Piece::even(Curve::Arc { centre: [0.0; 2], radius }, 0.0, TAU);
        Ok(Circles { curves: NoisyCurves::new(vec![circle(1.0), circle(factor)], noise)?, factor })
    }

    /// FFJORD's circles: factor ½, noise .08, then 3x. Source: Grathwohl et al. (2019), arXiv:1810.01367.
    pub fn ffjord() -> Self {
        Circles::new(0.5, 0.08).and_then(|c| c.placed([3.0; 2], [0.0; 2])).expect("valid constants")
    }

    /// The radius of the inner circle, before scaling.
    pub fn factor(&self) -> f64 {
        self.factor
    }
}

curve_set!(Circles);
