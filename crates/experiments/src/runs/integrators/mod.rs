//! Eqs. (5) and (7): what every integrator of `flows` costs and gives, and a cloud that moves along ρ_t.

mod clouds;
mod ladder;
mod ordinary;
mod stochastic;

use crate::context::Context;
use crate::failure::Result;
use crate::registry::Experiment;
use crate::report::Report;
use crate::spec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Errors against evaluations for every scheme, orders as claims, and the cloud along its path.
pub struct Integrators;

/// Settings of [`Integrators`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IntegratorsConfig {
    /// Particles that the deterministic schemes carry.
    #[schemars(range(min = 10, max = 100_000))]
    pub particles: usize,
    /// The largest number of evaluations a particle for fixed steps.
    #[schemars(range(min = 200, max = 100_000))]
    pub evaluations: usize,
    /// Tolerances of adaptive steps, relative and absolute, descending.
    pub tolerances: Vec<f64>,
    /// Brownian paths for the stochastic schemes, each used with both signs.
    #[schemars(range(min = 1000, max = 10_000_000))]
    pub paths: usize,
    /// Numbers of steps of the stochastic schemes, powers of two, ascending.
    pub steps: Vec<usize>,
    /// Particles of the cloud that is drawn.
    #[schemars(range(min = 100, max = 4000))]
    pub cloud: usize,
}

impl Default for IntegratorsConfig {
    fn default() -> Self {
        IntegratorsConfig {
            particles: 200,
            evaluations: 2000,
            tolerances: (4..=24).map(|k| 10f64.powf(-0.5 * f64::from(k))).collect(),
            paths: 50_000,
            steps: vec![4, 8, 16, 32, 64, 128],
            cloud: 1500,
        }
    }
}

impl IntegratorsConfig {
    fn check(&self) -> Result<()> {
        let falls = self.tolerances.windows(2).all(|w| w[1] < w[0]);
        if self.tolerances.is_empty() || !falls || self.tolerances.iter().any(|t| !(1e-13..=0.1).contains(t))
        {
            let needs = "one number or more, descending, each from 1e-13 to 0.1";
            return Err(spec::Error::value("tolerances", format!("{:?}", self.tolerances), needs).into());
        }
        let rises = self.steps.windows(2).all(|w| w[1] > w[0]);
        let sound = |s: &usize| s.is_power_of_two() && (2..=1024).contains(s);
        if self.steps.len() < 3 || !rises || !self.steps.iter().all(sound) {
            let needs = "three numbers or more, ascending, each a power of two from 2 to 1024";
            return Err(spec::Error::value("steps", format!("{:?}", self.steps), needs).into());
        }
        Ok(())
    }
}

impl Experiment for Integrators {
    const NAME: &'static str = "integrators";
    const PAPER: &'static str = "section 4, eqs. (5) to (7)";
    const ABOUT: &'static str =
        "every integrator's error against its cost, observed orders, and a cloud moving along its path";
    type Config = IntegratorsConfig;

    fn run(context: &mut Context<'_>, config: &IntegratorsConfig) -> Result<Report> {
        config.check()?;
        let mut report = Report::new(
            "Eqs. (5) and (7) move noise to data. What does each integrator cost for an accuracy asked for, is it of the order its \
             source says, and do the particles arrive with the law of the data?",
        );
        ordinary::study(&mut report, context, config)?;
        context.check_stop()?;
        stochastic::study(&mut report, context, config)?;
        context.check_stop()?;
        clouds::study(&mut report, context, config)?;
        Ok(report)
    }
}
