//! The maximum mean discrepancy as an objective.

use crate::error::{Error, Result};
use crate::generators::MapConfig;
use crate::method::Moment;
use crate::methods::statistics::{Fit, Matching, Objective, Reference, Statistic};
use crate::optim::OptimConfig;
use crate::twins::Twin;
use divergences::kernel::{Gaussian, Mixture};
use divergences::{Divergence, SpectralMmd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Descent on MMD(φ_#ν, μ₁)² with a mean of Gaussian kernels: generative moment matching (Li, Swersky and Zemel 2015,
/// arXiv 1502.02761; Dziugaite, Roy and Ghahramani 2015, arXiv 1505.03906).
pub type Mmd = Matching<MmdConfig>;

/// Settings of `mmd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MmdConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// The bandwidths h of the kernels exp(−‖x−y‖²/2h²), as multiples of the median distance within the target; wide
    /// ones pull from afar, narrow ones see shape.
    pub bandwidths: Vec<f64>,
    /// Which estimate a batch gives.
    pub statistic: Statistic,
}

impl Default for MmdConfig {
    fn default() -> Self {
        MmdConfig {
            map: MapConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            target_batch: None,
            bandwidths: vec![1.0, 0.3, 0.1],
            statistic: Statistic::default(),
        }
    }
}

/// The error of the kernel, of its value at 0, where a grid of frequencies is cheaper than pairs: networks are of single
/// precision.
const TOLERANCE: f64 = 1e-8;

impl MmdConfig {
    /// The bandwidths for data whose scale `reference` shows.
    fn widths(&self, reference: &Reference) -> Result<Vec<f64>> {
        if self.bandwidths.is_empty() {
            return Err(Error::setting("bandwidths", "[]", "at least one positive number"));
        }
        let median = reference.median_distance()?;
        Ok(self.bandwidths.iter().map(|multiple| multiple * median).collect())
    }
}

impl Objective for MmdConfig {
    const NAME: &'static str = "mmd";
    const ABOUT: &'static str = "maximum mean discrepancy with Gaussian kernels, GMMN (arXiv 1502.02761)";

    fn fit(&self) -> Fit<'_> {
        Fit {
            map: &self.map,
            optim: &self.optim,
            batch: self.batch,
            target_batch: self.target_batch.unwrap_or(self.batch),
        }
    }

    fn divergence(&self, reference: &Reference, _: &Moment) -> Result<Box<dyn Divergence>> {
        let kernel = Mixture::of_bandwidths(&self.widths(reference)?)?;
        Ok(Box::new(SpectralMmd::new(kernel, self.statistic.into()).with_tolerance(TOLERANCE)?))
    }

    fn twin(&self, reference: &Reference) -> Result<Option<Twin>> {
        let kernels = self.widths(reference)?.into_iter().map(Gaussian::new);
        let kernels = kernels.collect::<measures::Result<Vec<_>>>()?;
        Ok(Some(Twin::mmd(&kernels, self.statistic.into())?))
    }
}
