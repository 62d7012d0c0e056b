//! Two interleaving half circles.

use super::curves::{Curve, NoisyCurves, Piece, curve_set};
use crate::error::Result;
use std::f64::consts::{FRAC_1_PI, PI};

/// Two moons: (cos T, sin T) or (1 − cos T, ½ − sin T), each with probability ½, T uniform on (0, π), plus N(0, σ² I).
///
/// Source: scikit-learn, `datasets.make_moons`, which splits the sample evenly and spaces T evenly; here both are drawn.
///
/// ```
/// use measures::{Sample, Seed, zoo::Moons};
/// // Noise .1, standardised, times 7.
/// let moons = Moons::new(0.1)?.standardised()?.placed([7.0, 7.0], [0.0, 0.0])?;
/// assert_eq!(moons.sample(5, &mut Seed::new(0).rng()).len(), 5);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Moons {
    pub(super) curves: NoisyCurves,
    mean: [f64; 2],
    deviation: [f64; 2],
}

impl Moons {
    /// Moons with noise of standard deviation `noise`.
    ///
    /// # Errors
    /// The noise is negative or not finite.
    pub fn new(noise: f64) -> Result<Self> {
        let upper = Curve::Arc { centre: [0.0, 0.0], radius: 1.0 };
        // (1 − cos T, ½ − sin T) is the circle about (1, ½) at the angle T + π.
        let lower = Curve::Arc { centre: [1.0, 0.5], radius: 1.0 };
        let pieces = vec![Piece::even(upper, 0.0, PI), Piece::even(lower, PI, 2.0 * PI)];
        Ok(Moons {
            curves: NoisyCurves::new(pieces, noise)?,
            mean: [0.5, 0.25],
            // Var = E[x²] − mean²: 1 − ¼, and (5/4 − 2/π)/2 − 1/16.
            deviation: [(0.75 + noise * noise).sqrt(), (0.5625 - FRAC_1_PI + noise * noise).sqrt()],
        })
    }

    /// torchcfm's moons: noise .2, then 3x − 1. Source: Tong et al. (2024), arXiv:2302.00482, `sample_moons`.
    pub fn torchcfm() -> Self {
        Moons::new(0.2).and_then(|m| m.placed([3.0; 2], [-1.0; 2])).expect("valid constants")
    }

    /// FFJORD's moons: noise .1, then 2x + (−1, −.2). Source: Grathwohl et al. (2019), arXiv:1810.01367.
    pub fn ffjord() -> Self {
        Moons::new(0.1).and_then(|m| m.placed([2.0; 2], [-1.0, -0.2])).expect("valid constants")
    }

    /// The law of (x − mean)/(standard deviation), both those of the population *before* any placing: mean (½, ¼),
    /// variances ¾ + σ² and 9/16 − 1/π + σ². Call it first.
    ///
    /// # Errors
    /// Never for valid moons.
    pub fn standardised(self) -> Result<Self> {
        let (mean, deviation) = (self.mean, self.deviation);
        self.placed(
            [1.0 / deviation[0], 1.0 / deviation[1]],
            [-mean[0] / deviation[0], -mean[1] / deviation[1]],
        )
    }
}

curve_set!(Moons);
