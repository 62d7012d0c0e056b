//! The Sinkhorn divergence as an objective.

use crate::error::{Result, check_count, check_range};
use crate::generators::MapConfig;
use crate::method::Moment;
use crate::methods::statistics::{Fit, Matching, Objective, Reference};
use crate::optim::OptimConfig;
use crate::twins::Twin;
use divergences::Divergence;
use divergences::transport::{
    MinibatchEnergy, NormPower, Sinkhorn as Iteration, SinkhornDivergence, mean_cost,
};
use measures::Empirical;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Descent on the Sinkhorn divergence S_ε(φ_#ν, μ₁) for the cost ½‖x − y‖²: entropic transport less its bias (Genevay,
/// Peyré and Cuturi 2018, arXiv 1706.00292; Feydy et al. 2019, arXiv 1810.08278). The bias is measured between halves of a
/// batch (Salimans et al. 2018, arXiv 1803.05573) or, as in the former papers, of the batch with itself (`within`). The map
/// may jump between cells of the noise (`map.cells`, 0 for the continuous map of the papers and for noise of another
/// dimension than the data).
pub type Sinkhorn = Matching<SinkhornConfig>;

/// Settings of `sinkhorn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SinkhornConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// The temperature ε as a multiple of the mean cost within the target.
    pub epsilon: f64,
    /// The marginal error at which the iteration stops.
    pub tolerance: f64,
    /// The sweeps after which it stops in any case.
    pub sweeps: usize,
    /// Which transport within the generated points and within the target is taken off.
    pub within: Within,
}

/// Which transport within a sample stands for the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// Between halves of the batch, all of which are compared with halves of the target: no bias at any size
    /// ([`MinibatchEnergy`]).
    Halves,
    /// Of the batch with itself: the divergence of the two samples, which draws the points of a mode together
    /// ([`SinkhornDivergence`]).
    Whole,
}

impl Default for SinkhornConfig {
    fn default() -> Self {
        SinkhornConfig {
            // The plans of small batches blur a continuous map.
            map: MapConfig { cells: 256, ..MapConfig::default() },
            optim: OptimConfig::default(),
            batch: 128,
            target_batch: None,
            epsilon: 0.01,
            tolerance: 1e-3,
            sweeps: 200,
            within: Within::Halves,
        }
    }
}

impl Objective for SinkhornConfig {
    const NAME: &'static str = "sinkhorn";
    const ABOUT: &'static str =
        "Sinkhorn divergence, debiased entropic transport (arXiv 1706.00292, 1810.08278)";

    fn fit(&self) -> Fit<'_> {
        Fit {
            map: &self.map,
            optim: &self.optim,
            batch: self.batch,
            target_batch: self.target_batch.unwrap_or(self.batch),
        }
    }

    fn divergence(&self, reference: &Reference, _: &Moment) -> Result<Box<dyn Divergence>> {
        let cost = NormPower::half_squared_euclidean();
        let iteration = self.iteration(reference)?;
        Ok(match self.within {
            Within::Halves => Box::new(MinibatchEnergy::with_settings(iteration, cost)),
            Within::Whole => Box::new(SinkhornDivergence::with_settings(iteration, cost)),
        })
    }

    fn twin(&self, reference: &Reference) -> Result<Option<Twin>> {
        let iteration = self.iteration(reference)?;
        Ok(Some(match self.within {
            Within::Halves => Twin::minibatch_energy(iteration)?,
            Within::Whole => Twin::sinkhorn(iteration)?,
        }))
    }
}

impl SinkhornConfig {
    /// The iteration for data whose scale `reference` shows.
    fn iteration(&self, reference: &Reference) -> Result<Iteration> {
        check_range("epsilon", self.epsilon, f64::MIN_POSITIVE.., "finite and positive")?;
        check_range("tolerance", self.tolerance, f64::MIN_POSITIVE.., "finite and positive")?;
        check_count("sweeps", self.sweeps)?;
        let cost = NormPower::half_squared_euclidean();
        let target = Empirical::uniform(reference.points().clone())?;
        let epsilon = self.epsilon * mean_cost(&target, &target, &cost)?;
        Ok(Iteration::new(epsilon)?.tolerance(self.tolerance).max_iterations(self.sweeps))
    }
}
