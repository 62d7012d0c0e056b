//! A divergence as a setting, for methods that take any.

use crate::error::Result;
use crate::method::Moment;
use crate::methods::statistics::{EnergyConfig, MmdConfig, Objective, SinkhornConfig, SlicedConfig};
use crate::twins::Twin;
use divergences::Divergence;
use measures::Points;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A divergence between the map's law and the target; the settings mean what they mean in the method of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum LossConfig {
    /// The energy distance.
    Energy {
        /// The exponent s, inside (0, 2).
        #[serde(default = "one")]
        exponent: f64,
    },
    /// The squared MMD with Gaussian kernels, unbiased.
    Mmd {
        /// Bandwidths, as multiples of the median distance within the target.
        #[serde(default = "three_bandwidths")]
        bandwidths: Vec<f64>,
    },
    /// The Sinkhorn divergence for the cost ½‖x − y‖².
    Sinkhorn {
        /// The temperature as a multiple of the mean cost within the target.
        #[serde(default = "hundredth")]
        epsilon: f64,
    },
    /// The sliced Wasserstein distance of order 2, squared, along new directions at every step.
    Sliced {
        /// Directions a step.
        #[serde(default = "thirty_two")]
        directions: usize,
    },
}

fn one() -> f64 {
    1.0
}
fn three_bandwidths() -> Vec<f64> {
    vec![1.0, 0.3, 0.1]
}
fn hundredth() -> f64 {
    0.01
}
fn thirty_two() -> usize {
    32
}

impl Default for LossConfig {
    fn default() -> Self {
        LossConfig::Energy { exponent: one() }
    }
}

impl LossConfig {
    /// The divergence for the step at hand, as [`Objective::divergence`].
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn divergence(&self, reference: &Points, at: &Moment) -> Result<Box<dyn Divergence>> {
        match self {
            &LossConfig::Energy { exponent } => {
                EnergyConfig { exponent, ..EnergyConfig::default() }.divergence(reference, at)
            }
            LossConfig::Mmd { bandwidths } => {
                MmdConfig { bandwidths: bandwidths.clone(), ..MmdConfig::default() }.divergence(reference, at)
            }
            &LossConfig::Sinkhorn { epsilon } => {
                SinkhornConfig { epsilon, ..SinkhornConfig::default() }.divergence(reference, at)
            }
            &LossConfig::Sliced { directions } => {
                SlicedConfig { directions, ..SlicedConfig::default() }.divergence(reference, at)
            }
        }
    }

    /// The same as tensors, as [`Objective::twin`].
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn twin(&self, reference: &Points) -> Result<Option<Twin>> {
        match self {
            &LossConfig::Energy { exponent } => {
                EnergyConfig { exponent, ..EnergyConfig::default() }.twin(reference)
            }
            LossConfig::Mmd { bandwidths } => {
                MmdConfig { bandwidths: bandwidths.clone(), ..MmdConfig::default() }.twin(reference)
            }
            &LossConfig::Sinkhorn { epsilon } => {
                SinkhornConfig { epsilon, ..SinkhornConfig::default() }.twin(reference)
            }
            LossConfig::Sliced { .. } => Ok(None),
        }
    }

    /// Whether the divergence of this step differs from that of the step before.
    pub fn changes(&self) -> bool {
        matches!(self, LossConfig::Sliced { .. })
    }
}
