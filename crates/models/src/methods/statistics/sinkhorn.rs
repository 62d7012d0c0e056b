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

/// Descent on entropic transport less its bias. By default both are measured between minibatches of a batch, with the distance
/// ‖x − y‖ for the cost: their energy distance (Salimans et al. 2018, arXiv 1803.05573). Without minibatches
/// (`minibatch = null`) it is the Sinkhorn divergence S_ε(φ_#ν, μ₁) of the batch for the cost ½‖x − y‖² (Genevay, Peyré and
/// Cuturi 2018, arXiv 1706.00292; Feydy et al. 2019, arXiv 1810.08278). The map may jump between cells of the noise (`map.cells`, 0
/// for the continuous map of the papers and for noise of another dimension than the data).
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
    /// Points of a minibatch at most. Transport between minibatches of one law, for the cost ‖x − y‖, stands for the bias of
    /// that between minibatches of both: no bias at any size ([`MinibatchEnergy`]), at a cost that grows with the batch and not
    /// with its square. Computed on the CPU, wherever the network is. Absent: of the batch with itself, for the cost
    /// ½‖x − y‖²: the divergence of the two samples, which draws the points of a small batch together
    /// ([`SinkhornDivergence`]).
    pub minibatch: Option<usize>,
}

impl Default for SinkhornConfig {
    fn default() -> Self {
        SinkhornConfig {
            // The plans of small batches blur a continuous map.
            map: MapConfig { cells: 256, ..MapConfig::default() },
            optim: OptimConfig::default(),
            batch: 512,
            target_batch: None,
            epsilon: 0.03,
            tolerance: 1e-2,
            sweeps: 200,
            minibatch: Some(32),
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
        let (cost, iteration) = (self.cost(), self.iteration(reference)?);
        Ok(match self.minibatch {
            Some(size) => {
                check_count("minibatch", size)?;
                Box::new(MinibatchEnergy::with_settings(size, iteration, cost)?)
            }
            None => Box::new(SinkhornDivergence::with_settings(iteration, cost)),
        })
    }

    fn twin(&self, reference: &Reference) -> Result<Option<Twin>> {
        match self.minibatch {
            Some(_) => Ok(None),
            None => Ok(Some(Twin::sinkhorn(self.iteration(reference)?)?)),
        }
    }
}

impl SinkhornConfig {
    fn cost(&self) -> NormPower {
        match self.minibatch {
            Some(_) => NormPower::euclidean(),
            None => NormPower::half_squared_euclidean(),
        }
    }

    /// The iteration for data whose scale `reference` shows.
    fn iteration(&self, reference: &Reference) -> Result<Iteration> {
        check_range("epsilon", self.epsilon, f64::MIN_POSITIVE.., "finite and positive")?;
        check_range("tolerance", self.tolerance, f64::MIN_POSITIVE.., "finite and positive")?;
        check_count("sweeps", self.sweeps)?;
        let cost = self.cost();
        let target = Empirical::uniform(reference.points().clone())?;
        let epsilon = self.epsilon * mean_cost(&target, &target, &cost)?;
        Ok(Iteration::new(epsilon)?.tolerance(self.tolerance).max_iterations(self.sweeps))
    }
}
