//! The paper's own proposal: one map, one loss, data that sharpen round by round.

use crate::bridge::bridged;
use crate::error::{Result, check_count, check_range};
use crate::generators::{Generator, MapConfig, OneStep};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::PathConfig;
use crate::methods::statistics::LossConfig;
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::{Source, overview};
use crate::tensor::to_tensor;
use crate::twins::Twin;
use divergences::Divergence;
use flows::path::Schedule;
use measures::{Empirical, Points, Sample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Device;

/// Fine-tunes a one-step map φ round by round against ρ_t, the law of α(t) X₁ + σ(t) X₀ with X₀ ~ N(0, I), by one and the
/// same loss, t going from noise at 0 to data at 1 ("From network to optimization architecture", section 4 of the paper,
/// whose t runs the other way).
///
/// With `both_sides` the map always aims at the data themselves, and its points are noised as the data are before the two
/// are compared: in expectation that is the same loss with a smoothed kernel.
pub struct Annealed;

/// Settings of `annealed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealedConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// The loss, the same in every round.
    pub loss: LossConfig,
    /// How noise gives way to data.
    pub path: PathConfig,
    /// Rounds before the last one, which is against the data themselves.
    pub rounds: usize,
    /// The part of the steps that the last round takes.
    pub last_round: f64,
    /// Whether the map's points are noised like the data, instead of following ρ_t.
    pub both_sides: bool,
}

impl Default for AnnealedConfig {
    fn default() -> Self {
        AnnealedConfig {
            map: MapConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            target_batch: None,
            loss: LossConfig::default(),
            path: PathConfig::Trigonometric {},
            rounds: 20,
            last_round: 0.4,
            both_sides: false,
        }
    }
}

impl AnnealedConfig {
    /// The time of the round that a step belongs to.
    fn time(&self, at: &Moment) -> f64 {
        let annealing = 1.0 - self.last_round;
        if annealing <= 0.0 || at.progress() >= annealing {
            return 1.0;
        }
        // A hair more than exact, so that the first step of a round is not rounded into the one before.
        (at.progress() * self.rounds as f64 / annealing + 1e-9).floor() / self.rounds as f64
    }
}

/// A map, its optimiser, and the divergence at hand.
pub struct AnnealedState {
    map: OneStep,
    adam: Adam,
    reference: Points,
    schedule: Box<dyn Schedule + Send>,
    divergence: Option<Box<dyn Divergence>>,
    /// What takes its place where the map is not on the CPU.
    twin: Option<Twin>,
}

/// Points by which bandwidths are chosen.
const REFERENCE: usize = 2000;

impl Method for Annealed {
    const NAME: &'static str = "annealed";
    const ABOUT: &'static str =
        "one map fine-tuned against ever less noisy data by one loss (section 4 of the paper)";
    type Config = AnnealedConfig;
    type State = AnnealedState;

    fn init(c: &AnnealedConfig, target: &dyn Source, setup: &Setup) -> Result<AnnealedState> {
        check_count("batch", c.batch)?;
        check_count("rounds", c.rounds)?;
        check_range("last_round", c.last_round, 0.0..=1.0, "between 0 and 1")?;
        let scaler = Scaler::of(target, c.map.standardise, setup.seed.named("scaler"))?;
        let reference = scaler.standardise(overview(target, REFERENCE, setup.seed.named("reference"))?);
        let map = OneStep::new(&c.map, scaler, Annealed::NAME, setup)?;
        let adam = Adam::new(&c.optim, &map.params)?;
        c.loss.divergence(&reference, &Moment::new(0, 1, setup.seed))?;
        target.batch(c.target_batch.unwrap_or(c.batch), &mut setup.seed.rng())?;
        let twin = if setup.device == Device::Cpu { None } else { c.loss.twin(&reference)? };
        Ok(AnnealedState { map, adam, reference, schedule: c.path.schedule()?, divergence: None, twin })
    }

    fn step(c: &AnnealedConfig, s: &mut AnnealedState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let t = c.time(at);
        let (alpha, sigma) = (s.schedule.alpha(t), s.schedule.sigma(t));
        let blur = |mut x: Points, purpose: &str| -> Result<Points> {
            let noise = Noise::new(Law::Gaussian, x.dim())?.sample(x.len(), &mut at.rng(purpose));
            let pairs = x.as_mut_slice().iter_mut().zip(noise.as_slice());
            pairs.for_each(|(x, z)| *x = alpha * *x + sigma * z);
            Ok(x)
        };
        let n = c.target_batch.unwrap_or(c.batch);
        let y = s.map.scaler().standardise(target.batch(n, &mut at.rng("target"))?);
        let y = blur(y, "target noise")?;
        let mut x = s.map.forward(&s.map.draw(c.batch, &mut at.rng("noise"))?);
        if c.both_sides {
            let (kind, device) = s.map.params.options();
            let noise = blur(Points::zeros(c.batch, y.dim()), "generated noise")?;
            x = x * alpha + to_tensor(&noise, kind, device)?;
        }
        let loss = if let Some(twin) = &s.twin {
            twin.bridged(&x, &to_tensor(&y, x.kind(), x.device())?)?
        } else {
            let divergence = match s.divergence.take() {
                Some(known) if !c.loss.changes() => known,
                _ => c.loss.divergence(&s.reference, at)?,
            };
            bridged(&*s.divergence.insert(divergence).toward(&Empirical::uniform(y)?)?, &x)?
        };
        if loss.value.is_finite() {
            s.adam.step(&mut s.map.params, &loss.surrogate, at.step, at.steps)?;
        }
        Ok(loss.value)
    }

    fn generator(_: &AnnealedConfig, s: &AnnealedState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
}

impl Persist for AnnealedState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("map", &mut self.map)?;
        v.part("adam", &mut self.adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Draws;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};

    #[test]
    fn rounds_go_from_noise_to_data() {
        let c = AnnealedConfig { rounds: 4, last_round: 0.2, ..AnnealedConfig::default() };
        let times: Vec<f64> = (0..10).map(|k| c.time(&Moment::new(k, 10, Seed::new(0)))).collect();
        assert_eq!(times, [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0]);
        let never = AnnealedConfig { last_round: 1.0, ..c };
        assert_eq!(never.time(&Moment::new(0, 10, Seed::new(0))), 1.0);
    }

    /// Halfway, the map's law is ρ_t when one side is noised, and the data's when both are.
    #[test]
    fn one_side_follows_the_path_and_both_sides_aim_at_the_data() {
        let target = Draws::new(Gaussian::isotropic(&[4.0], 0.1).unwrap(), "far");
        let mean = |both_sides| {
            let c = AnnealedConfig {
                map: MapConfig { standardise: false, ..MapConfig::default() },
                optim: OptimConfig { lr: 5e-3, ..OptimConfig::default() },
                batch: 128,
                rounds: 2,
                last_round: 0.0,
                both_sides,
                ..AnnealedConfig::default()
            };
            let train = TrainConfig { steps: 600, ema: None, ..TrainConfig::default() };
            let mut run = Trainer::<Annealed>::new(c, train, &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            let x = run.generator().unwrap().generate(2000, Seed::new(1)).unwrap();
            x.as_slice().iter().sum::<f64>() / 2000.0
        };
        // The last round is at t = ½, where the trigonometric path has α = 2^{−½}.
        assert!((mean(false) - 4.0 * 0.5f64.sqrt()).abs() < 0.25);
        assert!((mean(true) - 4.0).abs() < 0.35);
    }
}
