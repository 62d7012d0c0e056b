//! The sliced Wasserstein distance as an objective.

use crate::error::Result;
use crate::generators::MapConfig;
use crate::method::Moment;
use crate::methods::statistics::{Fit, Matching, Objective, Reference};
use crate::optim::OptimConfig;
use divergences::Divergence;
use divergences::transport::SlicedWasserstein;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Descent on SW_p(φ_#ν, μ₁)ᵖ, transport along random lines: Deshpande, Zhang and Schwing 2018, arXiv 1803.11188. The map may
/// jump between cells of the noise (`map.cells`, 0 for the continuous map of the paper and for noise of another dimension than
/// the data).
pub type Sliced = Matching<SlicedConfig>;

/// Settings of `sliced`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlicedConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// The order p ≥ 1 of the distance.
    pub power: f64,
    /// Directions a step.
    pub directions: usize,
    /// Whether every step draws its own directions; else one set serves the whole run.
    pub fresh_directions: bool,
}

impl Default for SlicedConfig {
    fn default() -> Self {
        SlicedConfig {
            // A continuous map leaves bridges between modes, on which lines see little mass.
            map: MapConfig { cells: 256, ..MapConfig::default() },
            optim: OptimConfig::default(),
            batch: 512,
            target_batch: None,
            power: 2.0,
            directions: 16,
            fresh_directions: true,
        }
    }
}

impl Objective for SlicedConfig {
    const NAME: &'static str = "sliced";
    const ABOUT: &'static str = "sliced Wasserstein distance over random directions (arXiv 1803.11188)";

    fn fit(&self) -> Fit<'_> {
        Fit {
            map: &self.map,
            optim: &self.optim,
            batch: self.batch,
            target_batch: self.target_batch.unwrap_or(self.batch),
        }
    }

    fn divergence(&self, _: &Reference, at: &Moment) -> Result<Box<dyn Divergence>> {
        let at = if self.fresh_directions { *at } else { at.first() };
        Ok(Box::new(SlicedWasserstein::new(self.power, self.directions, at.seed("directions"))?.powered()))
    }

    fn changes(&self, _: &Moment) -> bool {
        self.fresh_directions
    }
}
