//! Neural spline flows: coupling layers of rational-quadratic splines.

use crate::methods::density::{Flow, Likelihood};
use crate::nets::{Activation, BijectionConfig, Conditioning, Transformer};
use crate::optim::{OptimConfig, Schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `spline`: half of the coordinates go through monotone rational-quadratic splines whose knots are functions
/// of the other half, in turn. Durkan, Bekasov, Murray and Papamakarios 2019, arXiv 1906.04032.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplineConfig {
    /// The number of coupling layers.
    pub layers: usize,
    /// Neurons in each hidden layer of the network of a coupling layer.
    pub widths: Vec<usize>,
    /// The non-linearity of these networks.
    pub activation: Activation,
    /// Bins of each spline.
    pub bins: usize,
    /// Half the length of the interval of the splines, in units of standardised data; outside they are the identity.
    pub tail: f64,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for SplineConfig {
    fn default() -> Self {
        SplineConfig {
            layers: 4,
            widths: vec![64; 2],
            activation: Activation::default(),
            bins: 12,
            tail: 4.0,
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 512,
            standardise: true,
        }
    }
}

impl Flow for SplineConfig {
    const NAME: &'static str = "spline";
    const ABOUT: &'static str =
        "maximum likelihood with coupling layers of rational-quadratic splines (arXiv 1906.04032)";

    fn likelihood(&self) -> Likelihood<'_> {
        Likelihood { optim: &self.optim, batch: self.batch, standardise: self.standardise }
    }

    fn bijection(&self) -> BijectionConfig {
        BijectionConfig {
            conditioning: Conditioning::Coupling,
            transformer: Transformer::Spline { bins: self.bins, tail: self.tail },
            layers: self.layers,
            widths: self.widths.clone(),
            activation: self.activation,
        }
    }
}
