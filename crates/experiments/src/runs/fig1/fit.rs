//! Training on D₂ with a factor on the first parameters.

use divergences::family::FourierLattice;
use divergences::{Divergence, MeanIpm, Statistic};
use measures::Empirical;
use models::bridge::bridged;
use models::optim::{Adam, OptimConfig};
use models::persist::Visitor;
use models::tch::no_grad;
use models::{Generator, MapConfig, Method, Moment, OneStep, Persist, Result, Scaler, Setup, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stochastic descent on the unbiased D₂² between batches of φ(Z) and of the target, without any scaling of the data:
/// the family has period one on [0, 1].
pub(super) struct MatchUniform;

/// Settings of [`MatchUniform`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FitConfig {
    /// The map.
    pub(super) map: MapConfig,
    /// The optimiser.
    pub(super) optim: OptimConfig,
    /// Draws of noise, and of the target, a step.
    pub(super) batch: usize,
    /// The number of frequencies.
    pub(super) frequencies: u32,
    /// The factor on all first parameters.
    pub(super) gain: f64,
}

pub(super) struct State {
    map: OneStep,
    adam: Adam,
}

impl Persist for State {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("map", &mut self.map)?;
        v.part("adam", &mut self.adam)
    }
}

impl Method for MatchUniform {
    const NAME: &'static str = "fig1";
    const ABOUT: &'static str = "D₂ over the first frequencies, to the uniform law on [0, 1]";
    type Config = FitConfig;
    type State = State;

    fn init(config: &FitConfig, target: &dyn Source, setup: &Setup) -> Result<State> {
        let mut map = OneStep::new(&config.map, Scaler::identity(target.dim()), Self::NAME, target, setup)?;
        no_grad(|| map.params.flat_mut().f_mul_scalar_(config.gain).map(drop))?;
        let adam = Adam::new(&config.optim, &map.params)?;
        Ok(State { map, adam })
    }

    /// The loss told is the plug-in D₂², which is positive and has the floor 2/batch; its gradient is that of the unbiased
    /// one up to the factor (batch − 1)/batch on what the map alone contributes.
    fn step(config: &FitConfig, state: &mut State, target: &dyn Source, at: &Moment) -> Result<f64> {
        let family = FourierLattice::line(config.frequencies)?;
        let y = Empirical::uniform(target.batch(config.batch, &mut at.rng("target"))?)?;
        let x = state.map.forward(&state.map.draw(config.batch, &mut at.rng("noise"))?);
        let loss = bridged(&*MeanIpm::new(family, Statistic::Unbiased).toward(&y)?, &x)?;
        if loss.value.is_finite() {
            state.adam.step(&mut state.map.params, &loss.surrogate, at.step, at.steps)?;
        }
        // |f| = 1 for every f of the family, so that the plug-in value is a fixed line in the unbiased one but for the
        // brackets of each sample with itself; at equal sizes the difference is 2/batch to first order.
        Ok(loss.value + 2.0 / config.batch as f64)
    }

    fn generator(_: &FitConfig, state: &State) -> Result<Box<dyn Generator>> {
        Ok(Box::new(state.map.duplicate()?))
    }
}
