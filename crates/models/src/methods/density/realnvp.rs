//! RealNVP: coupling layers of affine functions.

use crate::methods::density::{Flow, Likelihood};
use crate::nets::{Activation, BijectionConfig, Conditioning, Transformer};
use crate::optim::{OptimConfig, Schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `realnvp`: half of the coordinates are scaled and shifted by functions of the other half, in turn. Dinh,
/// Sohl-Dickstein and Bengio 2017, arXiv 1605.08803.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RealNvpConfig {
    /// The number of coupling layers.
    pub layers: usize,
    /// Neurons in each hidden layer of the network of a coupling layer.
    pub widths: Vec<usize>,
    /// The non-linearity of these networks.
    pub activation: Activation,
    /// The largest logarithm of a factor in one layer.
    pub bound: f64,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for RealNvpConfig {
    fn default() -> Self {
        RealNvpConfig {
            layers: 8,
            widths: vec![64; 2],
            activation: Activation::Relu,
            bound: 3.0,
            optim: OptimConfig {
                lr: 3e-3,
                schedule: Schedule::Cosine { floor: 0.01 },
                ..OptimConfig::default()
            },
            batch: 512,
            standardise: true,
        }
    }
}

impl Flow for RealNvpConfig {
    const NAME: &'static str = "realnvp";
    const ABOUT: &'static str = "maximum likelihood with affine coupling layers (arXiv 1605.08803)";

    fn likelihood(&self) -> Likelihood<'_> {
        Likelihood { optim: &self.optim, batch: self.batch, standardise: self.standardise }
    }

    fn bijection(&self) -> BijectionConfig {
        BijectionConfig {
            conditioning: Conditioning::Coupling,
            transformer: Transformer::Affine { bound: self.bound },
            layers: self.layers,
            widths: self.widths.clone(),
            activation: self.activation,
        }
    }
}
