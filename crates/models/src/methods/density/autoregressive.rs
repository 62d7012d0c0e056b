//! Masked autoregressive flows.

use crate::methods::density::{Flow, Likelihood};
use crate::nets::{Activation, BijectionConfig, Conditioning, Transformer};
use crate::optim::{OptimConfig, Schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `autoregressive`: coordinate i goes through a function whose parameters depend on all coordinates before
/// it, by masked networks, the order reversed from layer to layer. With affine functions it is MAF (Papamakarios, Pavlakou
/// and Murray 2017, arXiv 1705.07057), whose layers stretch and shift and so leave bridges between modes; with monotone
/// rational-quadratic splines, the default, RQ-NSF (AR) (Durkan et al. 2019, arXiv 1906.04032). A sample costs d evaluations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AutoregressiveConfig {
    /// The number of layers.
    pub layers: usize,
    /// Neurons in each hidden layer of the masked network of a layer.
    pub widths: Vec<usize>,
    /// The non-linearity of these networks.
    pub activation: Activation,
    /// The function each coordinate goes through.
    pub transformer: Transformer,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for AutoregressiveConfig {
    fn default() -> Self {
        AutoregressiveConfig {
            layers: 3,
            widths: vec![64; 2],
            activation: Activation::default(),
            transformer: Transformer::spline(),
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 512,
            standardise: true,
        }
    }
}

impl Flow for AutoregressiveConfig {
    const NAME: &'static str = "autoregressive";
    const ABOUT: &'static str = "maximum likelihood with masked autoregressive layers of splines or affine maps, MAF (arXiv 1705.07057, 1906.04032)";

    fn likelihood(&self) -> Likelihood<'_> {
        Likelihood { optim: &self.optim, batch: self.batch, standardise: self.standardise }
    }

    fn bijection(&self) -> BijectionConfig {
        BijectionConfig {
            conditioning: Conditioning::Autoregressive,
            transformer: self.transformer,
            layers: self.layers,
            widths: self.widths.clone(),
            activation: self.activation,
        }
    }
}
