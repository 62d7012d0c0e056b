//! Monotone functions of one variable whose parameters a network gives.

use super::spline;
use crate::error::{Result, check_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// The increasing function that each coordinate goes through, from data to noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Transformer {
    /// x ↦ eˢ x + t, with s kept inside (−`bound`, `bound`) by a hyperbolic tangent.
    Affine {
        /// The largest |s|.
        #[serde(default = "bound")]
        bound: f64,
    },
    /// A rational-quadratic spline on [−`tail`, `tail`], the identity outside (arXiv 1906.04032).
    Spline {
        /// Bins of the spline.
        #[serde(default = "bins")]
        bins: usize,
        /// Half the length of the interval, in units of standardised data.
        #[serde(default = "tail")]
        tail: f64,
    },
}

fn bound() -> f64 {
    3.0
}
fn bins() -> usize {
    12
}
fn tail() -> f64 {
    4.0
}

impl Transformer {
    /// The affine function with its default bound.
    pub fn affine() -> Self {
        Transformer::Affine { bound: bound() }
    }

    /// The spline with its default bins.
    pub fn spline() -> Self {
        Transformer::Spline { bins: bins(), tail: tail() }
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            Transformer::Affine { bound } => {
                check_range("transformer.bound", bound, f64::MIN_POSITIVE.., "finite and positive")
            }
            Transformer::Spline { bins, tail } => {
                check_range("transformer.tail", tail, f64::MIN_POSITIVE.., "finite and positive")?;
                check_range("transformer.bins", bins as f64, 2.0..=256.0, "between 2 and 256")
            }
        }
    }

    /// Free parameters a coordinate.
    pub(super) fn parameters(self) -> usize {
        match self {
            Transformer::Affine { .. } => 2,
            Transformer::Spline { bins, .. } => spline::parameters(bins),
        }
    }

    /// Data to noise: the values and the logarithms of the slopes, n×m, for `raw` of n×m×p.
    pub(super) fn pull(self, x: &Tensor, raw: &Tensor) -> (Tensor, Tensor) {
        match self {
            Transformer::Affine { bound } => {
                let (s, t) = affine(raw, bound);
                (x * s.exp() + t, s)
            }
            Transformer::Spline { bins, tail } => spline::forward(x, raw, bins, tail),
        }
    }

    /// Noise to data: the inverse, with the logarithms of its slopes.
    pub(super) fn push(self, z: &Tensor, raw: &Tensor) -> (Tensor, Tensor) {
        match self {
            Transformer::Affine { bound } => {
                let (s, t) = affine(raw, bound);
                ((z - t) * (-&s).exp(), -s)
            }
            Transformer::Spline { bins, tail } => spline::inverse(z, raw, bins, tail),
        }
    }
}

fn affine(raw: &Tensor, bound: f64) -> (Tensor, Tensor) {
    let s = (raw.select(-1, 0) / bound).tanh() * bound;
    (s, raw.select(-1, 1))
}
