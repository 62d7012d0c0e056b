//! Matching characteristic functions.

use crate::error::{Result, check_count};
use crate::generators::MapConfig;
use crate::method::Moment;
use crate::methods::statistics::{Fit, Matching, Objective, Reference, Statistic, d2::random};
use crate::optim::OptimConfig;
use divergences::{Divergence, MeanIpm};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Descent on ∫ |E e^{i⟨s, φ(Z)⟩} − E e^{i⟨s, Y⟩}|² τ(ds), τ a mixture of Gaussians from which every step draws its own
/// frequencies: so all of ℝᵈ is covered in expectation, and the objective separates all measures, which the finite family
/// of one step does not. Section 2 of the paper; Ansari, Scarlett and Soh 2020, arXiv 1909.07425, for networks.
pub type Characteristic = Matching<CharacteristicConfig>;

/// Settings of `characteristic`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CharacteristicConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// Frequencies a step, for each bandwidth.
    pub frequencies: usize,
    /// Frequencies are drawn from N(0, h⁻² I), h these multiples of the median distance within the target.
    pub bandwidths: Vec<f64>,
    /// Which estimate a batch gives.
    pub statistic: Statistic,
}

impl Default for CharacteristicConfig {
    fn default() -> Self {
        CharacteristicConfig {
            map: MapConfig::default(),
            optim: OptimConfig::default(),
            batch: 1024,
            target_batch: None,
            frequencies: 64,
            bandwidths: vec![1.0, 0.3, 0.1],
            statistic: Statistic::default(),
        }
    }
}

impl Objective for CharacteristicConfig {
    const NAME: &'static str = "characteristic";
    const ABOUT: &'static str =
        "characteristic functions at ever new frequencies (section 2; arXiv 1909.07425)";

    fn fit(&self) -> Fit<'_> {
        Fit {
            map: &self.map,
            optim: &self.optim,
            batch: self.batch,
            target_batch: self.target_batch.unwrap_or(self.batch),
        }
    }

    fn divergence(&self, reference: &Reference, at: &Moment) -> Result<Box<dyn Divergence>> {
        check_count("frequencies", self.frequencies)?;
        let family = random(reference, self.frequencies, &self.bandwidths, at)?;
        Ok(Box::new(MeanIpm::new(family, self.statistic.into())))
    }

    fn changes(&self, _: &Moment) -> bool {
        true
    }
}
