//! The Swiss roll and the S-curve, seen from the side.

use super::curves::{Curve, NoisyCurves, Piece, curve_set};
use crate::error::Result;
use std::f64::consts::PI;

/// The Swiss roll in the plane: (T cos T, T sin T), T uniform on (3π/2, 9π/2), plus N(0, σ² I).
///
/// Source: scikit-learn, `datasets.make_swiss_roll`, its first and third coordinate.
#[derive(Debug, Clone)]
pub struct SwissRoll {
    pub(super) curves: NoisyCurves,
}

impl SwissRoll {
    /// A roll with noise of standard deviation `noise`.
    ///
    /// # Errors
    /// The noise is negative or not finite.
    pub fn new(noise: f64) -> Result<Self> {
        let piece = Piece::even(Curve::Spiral { scale: [1.0, 1.0] }, 1.5 * PI, 4.5 * PI);
        Ok(SwissRoll { curves: NoisyCurves::new(vec![piece], noise)? })
    }

    /// FFJORD's roll: noise 1, then x/5. Source: Grathwohl et al. (2019), arXiv:1810.01367.
    pub fn ffjord() -> Self {
        SwissRoll::new(1.0).and_then(|s| s.placed([0.2; 2], [0.0; 2])).expect("valid constants")
    }
}

curve_set!(SwissRoll);

/// The S-curve in the plane: (sin T, sign(T)(cos T − 1)), T uniform on (−3π/2, 3π/2), plus N(0, σ² I).
///
/// Source: scikit-learn, `datasets.make_s_curve`, its first and third coordinate.
#[derive(Debug, Clone)]
pub struct SCurve {
    pub(super) curves: NoisyCurves,
}

impl SCurve {
    /// An S with noise of standard deviation `noise`.
    ///
    /// # Errors
    /// The noise is negative or not finite.
    pub fn new(noise: f64) -> Result<Self> {
        // Two pieces, since the curvature jumps where they meet.
        let pieces = vec![Piece::even(Curve::Ess, -1.5 * PI, 0.0), Piece::even(Curve::Ess, 0.0, 1.5 * PI)];
        Ok(SCurve { curves: NoisyCurves::new(pieces, noise)? })
    }

    /// The S-curve of Schrödinger-bridge toy problems: noise .05, no scaling (scikit-learn's default has no noise at all).
    pub fn thin() -> Self {
        SCurve::new(0.05).expect("a valid constant")
    }
}

curve_set!(SCurve);
