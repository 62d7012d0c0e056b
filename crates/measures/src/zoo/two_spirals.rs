//! Two spirals that wind about each other.

use super::curves::{Curve, Law, NoisyCurves, Piece, curve_set};
use crate::error::{Error, Result, check_positive};
use std::f64::consts::PI;

/// Two spirals, ±(−T cos T, T sin T) each with probability ½, T = b √U with U uniform on (0, 1) so that points spread
/// evenly, plus N(0, σ² I).
///
/// FFJORD's set has b = 3π (one and a half turns); each point of the first spiral is then shifted by a jitter U, uniform on
/// [0, ½)², and each of the second by −U; all is divided by 3, and N(0, .1² I) added. The jitter leaves no density in closed
/// form, so it is an option, [`TwoSpirals::jittered`].
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

    /// The same with ±U added before the noise, U uniform on [0, `jitter`)². There is no density then.
    ///
    /// # Errors
    /// The jitter is negative, not finite, or above 1e100.
    pub fn jittered(mut self, jitter: f64) -> Result<Self> {
        self.curves = self.curves.jittered(jitter)?;
        Ok(self)
    }

    /// FFJORD's spirals: 1.5 turns, noise .3, jitter .5, then x/3. Source: Grathwohl et al. (2019), arXiv:1810.01367,
    /// `toy_data.inf_train_gen("2spirals")`.
    pub fn ffjord() -> Self {
        TwoSpirals::smooth().jittered(0.5).expect("a valid constant")
    }

    /// FFJORD's spirals without the jitter: 1.5 turns, noise .3, then x/3. This one has a density.
    pub fn smooth() -> Self {
        TwoSpirals::new(1.5, 0.3).and_then(|s| s.placed([1.0 / 3.0; 2], [0.0; 2])).expect("valid constants")
    }

    /// The number of turns.
    pub fn turns(&self) -> f64 {
        self.turns
    }
}

curve_set!(TwoSpirals);
