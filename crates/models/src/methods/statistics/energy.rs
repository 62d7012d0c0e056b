//! The energy distance as an objective.

use crate::error::Result;
use crate::generators::MapConfig;
use crate::method::Moment;
use crate::methods::statistics::{Fit, Matching, Objective, Reference, Statistic};
use crate::optim::OptimConfig;
use crate::twins::Twin;
use divergences::Divergence;
use divergences::kernel::Energy as Kernel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Descent on 2E‖X − Y‖^s − E‖X − X′‖^s − E‖Y − Y′‖^s, X ~ φ_#ν, Y ~ μ₁: no bandwidth to choose. Székely and Rizzo 2013;
/// Bellemare et al. 2017, arXiv 1705.10743, for networks. Section 2 of the paper, whose kernel lost its sign.
pub type Energy = Matching<EnergyConfig>;

/// Settings of `energy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnergyConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// The exponent s, inside (0, 2); small ones see shape, large ones means.
    pub exponent: f64,
    /// Which estimate a batch gives.
    pub statistic: Statistic,
}

impl Default for EnergyConfig {
    fn default() -> Self {
        EnergyConfig {
            map: MapConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            target_batch: None,
            exponent: 1.0,
            statistic: Statistic::default(),
        }
    }
}

impl Objective for EnergyConfig {
    const NAME: &'static str = "energy";
    const ABOUT: &'static str = "energy distance, MMD of the kernel -|x-y|^s (section 2; arXiv 1705.10743)";

    fn fit(&self) -> Fit<'_> {
        Fit {
            map: &self.map,
            optim: &self.optim,
            batch: self.batch,
            target_batch: self.target_batch.unwrap_or(self.batch),
        }
    }

    fn divergence(&self, _: &Reference, _: &Moment) -> Result<Box<dyn Divergence>> {
        let kernel = Kernel::new(self.exponent)?;
        Ok(Box::new(divergences::Mmd::new(kernel, self.statistic.into())))
    }

    fn twin(&self, _: &Reference) -> Result<Option<Twin>> {
        Ok(Some(Twin::energy(Kernel::new(self.exponent)?, self.statistic.into())))
    }
}
