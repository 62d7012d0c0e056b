//! Which points of two measures are paired: the coupling whose paths a flow method learns from.

use crate::error::{Result, check_range};
use divergences::transport::{NormPower, Sinkhorn, mean_cost, solve};
use flows::path::Pairs;
use measures::{Coupling, Empirical, Points, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which points are paired. Pairs of a plan within a batch straighten the paths: Tong et al. 2024, arXiv 2302.00482; Pooladian
/// et al. 2023, arXiv 2304.14772.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum CouplingConfig {
    /// Any with any.
    Independent {},
    /// Drawn from the optimal plan for ½‖x₀ − x₁‖² within batches.
    Optimal {},
    /// Drawn from the entropic plan for that cost within batches: straighter than independent pairs, and faster to find
    /// than the optimal plan.
    Entropic {
        /// The temperature as a multiple of the mean cost between the two batches.
        epsilon: f64,
    },
    /// Drawn from the entropic plan of temperature σ² for that cost within batches, and joined by Brownian bridges of variance
    /// σ² a unit of time instead of lines: the Schrödinger bridge between the two measures, whose score is learned as well
    /// (SF²M). The path must be linear.
    Schrodinger {
        /// The standard deviation of the reference Brownian motion, in standard coordinates.
        sigma: f64,
    },
}

impl Default for CouplingConfig {
    fn default() -> Self {
        CouplingConfig::Optimal {}
    }
}

impl CouplingConfig {
    /// `Ok` when the numbers make sense.
    pub(crate) fn check(&self) -> Result<()> {
        match *self {
            CouplingConfig::Independent {} | CouplingConfig::Optimal {} => Ok(()),
            CouplingConfig::Entropic { epsilon } => {
                check_range("coupling.epsilon", epsilon, f64::MIN_POSITIVE.., "finite and positive")
            }
            CouplingConfig::Schrodinger { sigma } => {
                check_range("coupling.sigma", sigma, f64::MIN_POSITIVE.., "finite and positive")
            }
        }
    }

    /// As many pairs as rows of `x0` and `x1` (n×d both), by a plan between every `batch` consecutive rows of them.
    ///
    /// # Errors
    /// The shapes differ, or a plan cannot be found.
    pub fn pairs(&self, x0: Points, x1: Points, batch: usize, seed: Seed) -> Result<Pairs> {
        Ok(match *self {
            CouplingConfig::Independent {} => Pairs::aligned(x0, x1)?,
            CouplingConfig::Optimal {} => Pairs::minibatch(&x0, &x1, batch, optimal, seed)?,
            CouplingConfig::Entropic { epsilon } => {
                Pairs::minibatch(&x0, &x1, batch, |a, b| entropic(|mean| epsilon * mean, a, b), seed)?
            }
            CouplingConfig::Schrodinger { sigma } => {
                Pairs::minibatch(&x0, &x1, batch, |a, b| entropic(|_| sigma * sigma, a, b), seed)?
            }
        })
    }
}

fn optimal(x0: &Points, x1: &Points) -> measures::Result<Coupling> {
    let (mu, nu) = (Empirical::uniform(x0.clone())?, Empirical::uniform(x1.clone())?);
    Ok(solve(&mu, &nu, &NormPower::half_squared_euclidean())?.plan)
}

/// The entropic plan, with a temperature that may depend on the mean cost.
fn entropic(temperature: impl Fn(f64) -> f64, x0: &Points, x1: &Points) -> measures::Result<Coupling> {
    let (mu, nu) = (Empirical::uniform(x0.clone())?, Empirical::uniform(x1.clone())?);
    let cost = NormPower::half_squared_euclidean();
    Sinkhorn::new(temperature(mean_cost(&mu, &nu, &cost)?))?
        .tolerance(1e-3)
        .max_iterations(500)
        .solve(&mu, &nu, &cost)?
        .plan(&mu, &nu, &cost)
}
