//! Which solver follows a learned velocity.

use crate::error::{Error, Result};
use flows::ode::{self, Ode, Tableau};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Runge–Kutta method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// Order 1, one evaluation a step.
    Euler,
    /// Order 2, two evaluations a step.
    Midpoint,
    /// Order 2, two evaluations a step.
    Heun,
    /// The classical method of order 4, four evaluations a step.
    Rk4,
    /// Order 3 with an error estimate.
    BogackiShampine,
    /// Order 5 with an error estimate.
    DormandPrince,
    /// Order 5 with an error estimate.
    Tsitouras,
    /// Order 8 with an error estimate.
    Dop853,
}

impl Rule {
    pub(crate) fn tableau(self) -> Tableau {
        match self {
            Rule::Euler => ode::EULER,
            Rule::Midpoint => ode::MIDPOINT,
            Rule::Heun => ode::HEUN,
            Rule::Rk4 => ode::RK4,
            Rule::BogackiShampine => ode::BOGACKI_SHAMPINE,
            Rule::DormandPrince => ode::DORMAND_PRINCE,
            Rule::Tsitouras => ode::TSITOURAS,
            Rule::Dop853 => ode::DOP853,
        }
    }
}

/// How the ordinary differential equation of a learned velocity is solved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SolverConfig {
    /// The Runge–Kutta method.
    pub rule: Rule,
    /// The number of equal steps; absent, steps follow the error estimate.
    pub steps: Option<usize>,
    /// Relative tolerance of adaptive steps.
    pub rtol: f64,
    /// Absolute tolerance of adaptive steps.
    pub atol: f64,
}

impl Default for SolverConfig {
    fn default() -> Self {
        SolverConfig { rule: Rule::Midpoint, steps: Some(50), rtol: 1e-4, atol: 1e-4 }
    }
}

impl SolverConfig {
    /// The solver.
    ///
    /// # Errors
    /// No step, a tolerance out of range, or adaptive steps of a method without an error estimate.
    pub fn ode<S: flows::State>(&self) -> Result<Ode<'static, S>> {
        match self.steps {
            Some(0) => Err(Error::setting("solver.steps", 0, "at least 1")),
            Some(steps) => Ok(Ode::fixed(self.rule.tableau(), steps)?),
            // One step for all rows: a network is evaluated on the whole batch at once.
            None => Ok(Ode::adaptive(self.rule.tableau(), self.rtol, self.atol)?.shared()),
        }
    }

    /// Evaluations of the field when steps are fixed.
    pub fn evaluations(&self) -> Option<u64> {
        let stages = match self.rule {
            Rule::Euler => 1,
            Rule::Midpoint | Rule::Heun => 2,
            Rule::Rk4 => 4,
            // An adaptive rule on fixed steps is counted where it runs.
            _ => return None,
        };
        Some(self.steps? as u64 * stages)
    }
}
