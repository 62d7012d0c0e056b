//! The step all divergences share: draw noise and target, push the noise forward, go down the divergence between the two
//! samples. Which divergence it is, only the [`Objective`] knows.

use crate::bridge::value_and_gradient;
use crate::error::{Result, check_count};
use crate::generators::{Generator, MapConfig, OneStep};
use crate::method::{Method, Moment, Setup};
use crate::methods::statistics::Reference;
use crate::nets::Pass;
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::to_tensor;
use crate::twins::Twin;
use divergences::Divergence;
use measures::Empirical;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use tch::Device;

/// The settings all objectives share.
#[derive(Debug, Clone, Copy)]
pub struct Fit<'a> {
    /// The map.
    pub map: &'a MapConfig,
    /// The optimiser of its parameters.
    pub optim: &'a OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step.
    pub target_batch: usize,
}

/// A divergence as a training objective: the settings of one method, and how they make the divergence.
pub trait Objective: Clone + Default + Serialize + DeserializeOwned + JsonSchema {
    /// The method's name.
    const NAME: &'static str;
    /// One line: what it minimises, and its source.
    const ABOUT: &'static str;

    /// The settings all objectives share.
    fn fit(&self) -> Fit<'_>;

    /// The divergence for the step at hand, between measures in the coordinates the network works in. `reference` is a
    /// sample of the target, for bandwidths that follow the data. Called once at the start, and again at each step
    /// for which [`Objective::changes`] says so.
    ///
    /// # Errors
    /// A setting is out of range.
    fn divergence(&self, reference: &Reference, at: &Moment) -> Result<Box<dyn Divergence>>;

    /// The same divergence as tensors, for networks on another device than the CPU; none (the default) has the native one
    /// used everywhere. It must not change from step to step.
    ///
    /// # Errors
    /// A setting is out of range.
    fn twin(&self, reference: &Reference) -> Result<Option<Twin>> {
        let _ = reference;
        Ok(None)
    }

    /// Whether the divergence of this step differs from that of the step before.
    fn changes(&self, at: &Moment) -> bool {
        let _ = at;
        false
    }
}

/// Learns a one-step map φ by stochastic descent on D(φ_#ν, μ₁) between samples.
pub struct Matching<O>(PhantomData<O>);

/// A map, its optimiser, and the divergence at hand.
pub struct MatchingState {
    map: OneStep,
    adam: Adam,
    pass: Pass,
    reference: Reference,
    /// The divergence and the step it was made for; made again from the settings after a resume.
    divergence: Option<Box<dyn Divergence>>,
    /// What takes its place where the map is not on the CPU.
    twin: Option<Twin>,
}

impl MatchingState {
    /// The map.
    pub fn map(&self) -> &OneStep {
        &self.map
    }
}

impl<O: Objective> Method for Matching<O> {
    const NAME: &'static str = O::NAME;
    const ABOUT: &'static str = O::ABOUT;
    type Config = O;
    type State = MatchingState;

    fn init(config: &O, target: &dyn Source, setup: &Setup) -> Result<MatchingState> {
        let Fit { map, optim, batch, target_batch } = config.fit();
        check_count("batch", batch)?;
        check_count("target_batch", target_batch)?;
        let scaler = Scaler::of(target, map.standardise, setup.seed.named("scaler"))?;
        let reference = Reference::of(target, &scaler, setup)?;
        let map = OneStep::new(map, scaler, O::NAME, target, setup)?;
        let adam = Adam::new(optim, &map.params)?;
        // Settings that make no divergence are refused here, before anything runs.
        config.divergence(&reference, &Moment::new(0, 1, setup.seed))?;
        target.batch(target_batch, &mut setup.seed.rng())?;
        let twin = if setup.device == Device::Cpu { None } else { config.twin(&reference)? };
        Ok(MatchingState { map, adam, pass: Pass::default(), reference, divergence: None, twin })
    }

    fn step(config: &O, state: &mut MatchingState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let Fit { batch, target_batch, .. } = config.fit();
        let y = target.batch(target_batch, &mut at.rng("target"))?;
        let y = state.map.scaler().standardise(y);
        let z = state.map.draw(batch, &mut at.rng("noise"))?;
        if let Some(twin) = &state.twin {
            let x = state.map.forward(&z);
            let loss = twin.bridged(&x, &to_tensor(&y, x.kind(), x.device())?)?;
            if loss.value.is_finite() {
                state.adam.step(&mut state.map.params, &loss.surrogate, at.step, at.steps)?;
            }
            return Ok(loss.value);
        }
        let plain = state.map.is_plain();
        let x = if plain { state.map.push(&z, &mut state.pass)? } else { state.map.forward(&z) };
        let divergence = match state.divergence.take() {
            Some(known) if !config.changes(at) => known,
            _ => config.divergence(&state.reference, at)?,
        };
        let y = Empirical::uniform(y)?;
        let (value, slope) = value_and_gradient(&*state.divergence.insert(divergence).toward(&y)?, &x)?;
        if value.is_finite() && plain {
            state.map.pull(&slope, &mut state.pass, state.adam.gradient())?;
            state.adam.descend(&mut state.map.params, at.step, at.steps)?;
        } else if value.is_finite() {
            let surrogate = x.f_mul(&slope)?.f_sum(x.kind())?;
            state.adam.step(&mut state.map.params, &surrogate, at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &O, state: &MatchingState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(state.map.duplicate()?))
    }
}

impl Persist for MatchingState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("map", &mut self.map)?;
        v.part("adam", &mut self.adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::statistics::{EnergyConfig, MmdConfig, SinkhornConfig};
    use crate::source::Draws;
    use crate::tensor::values;
    use measures::{Seed, zoo::Gaussian};

    /// What runs on another device takes the same steps as what runs here: with the twin in place, training on the CPU
    /// moves the parameters as the native divergence does.
    fn same_steps<O: Objective>(config: O) {
        let target = Draws::new(Gaussian::diagonal(&[1.0, -2.0], &[1.0, 3.0]).unwrap(), "plane");
        let setup = Setup { kind: tch::Kind::Double, device: Device::Cpu, seed: Seed::new(7) };
        let run = |twin: bool| {
            let mut state = Matching::<O>::init(&config, &target, &setup).unwrap();
            assert!(state.twin.is_none());
            if twin {
                state.twin = config.twin(&state.reference).unwrap();
                assert!(state.twin.is_some(), "{}", O::NAME);
            }
            let step =
                |k| Matching::<O>::step(&config, &mut state, &target, &Moment::new(k, 9, Seed::new(3)));
            let losses: Vec<f64> = (0..3).map(step).map(Result::unwrap).collect();
            (losses, values(state.map.params.flat()).unwrap())
        };
        let ((a, p), (b, q)) = (run(false), run(true));
        let gap = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(gap(&a, &b) < 1e-9, "{}: {a:?} {b:?}", O::NAME);
        assert!(gap(&p, &q) < 1e-6, "{}: {:e}", O::NAME, gap(&p, &q));
    }

    #[test]
    fn twins_take_the_steps_of_the_native_divergences() {
        same_steps(MmdConfig { batch: 64, ..MmdConfig::default() });
        same_steps(EnergyConfig {
            batch: 64,
            target_batch: Some(50),
            lines: Some(0),
            ..EnergyConfig::default()
        });
        same_steps(SinkhornConfig {
            batch: 64,
            epsilon: 0.1,
            tolerance: 1e-12,
            sweeps: 2000,
            minibatch: None,
            map: MapConfig::default(),
            ..SinkhornConfig::default()
        });
    }
}
