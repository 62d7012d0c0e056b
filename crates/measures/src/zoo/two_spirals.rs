//! Two spirals that wind about each other.

use super::curves::{Curve, Law, NoisyCurves, Piece, curve_set};
use crate::error::{Error, Result, check_positive};
use std::f64::consts::PI;

/// Two spirals, ±(−T cos T, T sin T) each with probability ½, T = b √U with U uniform on (0, 1) so that points spread
/// evenly, plus N(0, σ² I).
///
/// FFJORD's set has b = 3π (one and a half turns), divides by 3 and then adds N(0, .1² I); it also shifts each point by
/// ±U[0, ½)² before the division, a blur that is only added to the first spiral and subtracted from the second. That
/// jitter is left out here, where the law then has a density; [`TwoSpirals::ffjord`] has the other numbers.
#[derive(Debug, Clone)]
pub struct TwoSpirals {
    pub(super) curves: NoisyCurves,
    turns: f64,
}

impl TwoSpirals {
    /// Spirals of `turns` turns (b = 2π · `turns`) with noise of standard deviation `noise`.
    ///
    /// # Errors
    /// The number of turns is not finite and positive or above 1000, or the noise is negative or not finite.
    pub fn new(turns: f64, noise: f64) -> Result<Self> {
        check_positive("turns", turns)?;
        if turns > 1000.0 {
            return Err(Error::Parameter { what: "turns", value: turns, must: "at most 1000" });
        }
        let end = 2.0 * PI * turns;
        let spiral = |scale| Piece { curve: Curve::Spiral { scale }, from: 0.0, to: end, law: Law::Linear };
        let pieces = vec![spiral([-1.0, 1.0]), spiral([1.0, -1.0])];
        Ok(TwoSpirals { curves: NoisyCurves::new(pieces, noise)?, turns })
    }

    /// FFJORD's spirals without the jitter: 1.5 turns, noise .3, then x/3. Source: Grathwohl et al. (2019), arXiv:1810.01367,
    /// `toy_data.inf_train_gen("2spirals")`.
    pub fn ffjord() -> Self {
        TwoSpirals::new(1.5, 0.3).and_then(|s| s.placed([1.0 / 3.0; 2], [0.0; 2])).expect("valid constants")
    }

    /// The number of turns.
    pub fn turns(&self) -> f64 {
        self.turns
    }
}

curve_set!(TwoSpirals);
