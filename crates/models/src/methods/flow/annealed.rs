//! The paper's own proposal: one map, one loss, data that sharpen round by round.

use crate::bridge::bridged;
use crate::error::{Result, check_count, check_range};
use crate::generators::{Generator, MapConfig, OneStep};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::PathConfig;
use crate::methods::flow::annealing::{NoisedSide, Pace, RoundOrder, told_apart};
use crate::methods::flow::inner::{ObjectiveConfig, RivalConfig};
use crate::methods::statistics::{Critic, LossConfig, Reference, Rule, round};
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::{Source, overview};
use crate::tensor::{scalar, to_finite_points, to_tensor};
use crate::twins::Twin;
use divergences::Divergence;
use flows::path::Schedule;
use measures::rand::rngs::ChaCha8Rng;
use measures::{Empirical, Points, Sample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad_guard};

/// Fine-tunes a one-step map φ round by round against ρ_t, the law of α(t) X₁ + σ(t) X₀ with X₀ ~ N(0, I), by one and the
/// same loss, t going from noise at 0 to data at 1 ("From network to optimization architecture", section 4 of the paper,
/// whose t runs the other way).
///
/// What is annealed has names of its own. `noise` says which points are noised: the data alone, so that the map follows ρ_t;
/// data and map alike, so that the map aims at the data all along and in expectation meets a smoothed kernel; or none.
/// `kernel` widens the kernel of the divergence itself. The rounds follow each other at a fixed pace, or as a two-sample
/// test allows; two other orders are there as controls.
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
    /// What the map minimises, the same in every round.
    pub objective: ObjectiveConfig,
    /// How noise gives way to data.
    pub path: PathConfig,
    /// Which points are noised to the level of the round.
    pub noise: NoisedSide,
    /// How many times as wide the divergence's kernel is at t = 0 as it is at t = 1, geometric in between; 1 does not anneal
    /// the kernel.
    pub kernel: f64,
    /// Rounds before the last one, which is against the data themselves.
    pub rounds: usize,
    /// The order of the rounds before the last one.
    pub order: RoundOrder,
    /// When the next round begins.
    pub pace: Pace,
    /// The part of the steps that the last round takes.
    pub last_round: f64,
}

impl Default for AnnealedConfig {
    fn default() -> Self {
        AnnealedConfig {
            map: MapConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            target_batch: None,
            objective: LossConfig::mmd().into(),
            path: PathConfig::Trigonometric {},
            noise: NoisedSide::default(),
            kernel: 1.0,
            rounds: 20,
            order: RoundOrder::default(),
            pace: Pace::default(),
            last_round: 0.4,
        }
    }
}

impl AnnealedConfig {
    /// Whether the last round, against the data themselves, has begun whatever the pace.
    fn ends(&self, at: &Moment) -> bool {
        at.progress() >= 1.0 - self.last_round
    }

    /// The round of a step at the fixed pace: `rounds` and more is the last one.
    fn round(&self, at: &Moment) -> usize {
        if self.ends(at) {
            return self.rounds;
        }
        // A hair more than exact, so that the first step of a round is not rounded into the one before.
        (at.progress() * self.rounds as f64 / (1.0 - self.last_round) + 1e-9).floor() as usize
    }
}

/// A map, its optimiser, the divergence or the critic at hand, and how far the rounds have come.
pub struct AnnealedState {
    map: OneStep,
    adam: Adam,
    critic: Option<Critic>,
    reference: Reference,
    schedule: Box<dyn Schedule + Send>,
    /// The times of the rounds, in their order.
    times: Vec<f64>,
    /// Rounds behind.
    round: u64,
    /// The step at which the present round began.
    began: u64,
    /// The divergence, with the widening of its kernel; made again from the settings after a resume.
    divergence: Option<(f64, Box<dyn Divergence>)>,
    /// What takes its place where the map is not on the CPU.
    twin: Option<(f64, Twin)>,
}

impl AnnealedState {
    /// The time t of the present round: 0 is noise, 1 is data.
    pub fn time(&self) -> f64 {
        self.times.get(self.round as usize).copied().unwrap_or(1.0)
    }

    /// The map.
    pub fn map(&self) -> &OneStep {
        &self.map
    }

    /// How points are noised at the time of the round.
    fn blur(&self) -> Blur {
        let t = self.time();
        Blur { alpha: self.schedule.alpha(t), sigma: self.schedule.sigma(t) }
    }

    /// Target points of the round, for one purpose.
    fn real(
        &self,
        c: &AnnealedConfig,
        n: usize,
        target: &dyn Source,
        rng: &mut ChaCha8Rng,
    ) -> Result<Points> {
        let y = self.map.scaler().standardise(target.batch(n, rng)?);
        if c.noise == NoisedSide::None { Ok(y) } else { self.blur().points(y, rng) }
    }

    /// The map's points as the loss sees them.
    fn fake(&self, c: &AnnealedConfig, n: usize, rng: &mut ChaCha8Rng) -> Result<Tensor> {
        let x = self.map.forward(&self.map.draw(n, rng)?);
        if c.noise != NoisedSide::Both {
            return Ok(x);
        }
        let (blur, (kind, device)) = (self.blur(), self.map.params.options());
        let noise = blur.points(Points::zeros(n, self.map.scaler().dim()), rng)?;
        Ok(x * blur.alpha + to_tensor(&noise, kind, device)?)
    }

    /// Goes to the next round where it is time.
    fn advance(&mut self, c: &AnnealedConfig, target: &dyn Source, at: &Moment) -> Result<()> {
        let last = c.rounds as u64;
        if c.ends(at) {
            self.round = last;
        }
        match c.pace {
            Pace::Fixed {} => self.round = c.round(at) as u64,
            Pace::Test { level, points, permutations, every, at_most } if self.round < last => {
                let lasted = at.step.saturating_sub(self.began);
                if lasted == 0 || !(lasted.is_multiple_of(every) || at_most == Some(lasted)) {
                    return Ok(());
                }
                if at_most.is_none_or(|most| lasted < most) {
                    let n = target.len().map_or(points, |rows| points.min(rows));
                    let y = self.real(c, n, target, &mut at.rng("tested target"))?;
                    let x = {
                        let _guard = no_grad_guard();
                        to_finite_points(&self.fake(c, n, &mut at.rng("tested"))?, "the generated sample")?
                    };
                    if told_apart(&x, &y, permutations, level, at)? {
                        return Ok(());
                    }
                }
                (self.round, self.began) = (self.round + 1, at.step);
            }
            Pace::Test { .. } => {}
        }
        Ok(())
    }
}

/// x ↦ αx + σz with fresh z ~ N(0, I).
#[derive(Debug, Clone, Copy)]
struct Blur {
    alpha: f64,
    sigma: f64,
}

impl Blur {
    fn points(self, mut x: Points, rng: &mut ChaCha8Rng) -> Result<Points> {
        let noise = Noise::new(Law::Gaussian, x.dim())?.sample(x.len(), rng);
        let pairs = x.as_mut_slice().iter_mut().zip(noise.as_slice());
        pairs.for_each(|(x, z)| *x = self.alpha * *x + self.sigma * z);
        Ok(x)
    }
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
        check_range("kernel", c.kernel, 1.0.., "finite and at least 1")?;
        c.pace.check()?;
        let scaler = Scaler::of(target, c.map.standardise, setup.seed.named("scaler"))?;
        let overview = overview(target, REFERENCE, setup.seed.named("reference"))?;
        let reference = Reference::new(scaler.standardise(overview));
        let map = OneStep::new(&c.map, scaler, Annealed::NAME, target, setup)?;
        let adam = Adam::new(&c.optim, &map.params)?;
        // Settings that make no divergence are refused here, before anything runs.
        for widening in [1.0, c.kernel] {
            if let Some(loss) = c.objective.widened(widening)? {
                loss.divergence(&reference, &Moment::new(0, 1, setup.seed))?;
            }
        }
        let critic = match c.objective.rival() {
            None => None,
            Some((rival, rule)) => {
                rival.check()?;
                rule.check()?;
                Some(Critic::new(&rival.net, &rival.optim, (target.dim(), 1), setup)?)
            }
        };
        target.batch(c.target_batch.unwrap_or(c.batch), &mut setup.seed.rng())?;
        let times = c.order.times(c.rounds, setup.seed.named("order"));
        let schedule = c.path.schedule()?;
        Ok(AnnealedState {
            map,
            adam,
            critic,
            reference,
            schedule,
            times,
            round: 0,
            began: 0,
            divergence: None,
            twin: None,
        })
    }

    fn step(c: &AnnealedConfig, s: &mut AnnealedState, target: &dyn Source, at: &Moment) -> Result<f64> {
        s.advance(c, target, at)?;
        match c.objective.rival() {
            None => descend(c, s, target, at),
            Some((rival, rule)) => play(c, s, (rival, &*rule), target, at),
        }
    }

    fn generator(_: &AnnealedConfig, s: &AnnealedState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
}

/// A step down the divergence of the round.
fn descend(c: &AnnealedConfig, s: &mut AnnealedState, target: &dyn Source, at: &Moment) -> Result<f64> {
    let y = s.real(c, c.target_batch.unwrap_or(c.batch), target, &mut at.rng("target"))?;
    let x = s.fake(c, c.batch, &mut at.rng("noise"))?;
    let widening = c.kernel.powf(1.0 - s.time());
    let Some(loss) = c.objective.widened(widening)? else {
        unreachable!("an objective without a critic is a divergence");
    };
    if s.twin.as_ref().is_none_or(|(width, _)| *width != widening) && x.device() != Device::Cpu {
        s.twin = loss.twin(&s.reference)?.map(|twin| (widening, twin));
    }
    let loss = if let Some((_, twin)) = &s.twin {
        twin.bridged(&x, &to_tensor(&y, x.kind(), x.device())?)?
    } else {
        let divergence = match s.divergence.take() {
            Some((width, known)) if width == widening && !loss.changes(at) => known,
            _ => loss.divergence(&s.reference, at)?,
        };
        let (_, divergence) = s.divergence.insert((widening, divergence));
        bridged(&*divergence.toward(&Empirical::uniform(y)?)?, &x)?
    };
    if loss.value.is_finite() {
        s.adam.step(&mut s.map.params, &loss.surrogate, at.step, at.steps)?;
    }
    Ok(loss.value)
}

/// The critic's rounds, then a step of the map against it.
fn play(
    c: &AnnealedConfig,
    s: &mut AnnealedState,
    (rival, rule): (&RivalConfig, &dyn Rule),
    target: &dyn Source,
    at: &Moment,
) -> Result<f64> {
    let Some(mut critic) = s.critic.take() else { unreachable!("made with the state") };
    let (kind, device) = s.map.params.options();
    let real = |s: &AnnealedState, k: usize| -> Result<Tensor> {
        let n = c.target_batch.unwrap_or(c.batch);
        to_tensor(&s.real(c, n, target, &mut round(at, "target", k))?, kind, device)
    };
    let mut turn = || -> Result<f64> {
        let mut reported = None;
        for k in 0..rival.steps {
            let fake = {
                let _guard = no_grad_guard();
                s.fake(c, c.batch, &mut round(at, "noise", k))?
            };
            let (loss, value) = rule.of_critic(&critic, &real(s, k)?, &fake, &mut round(at, "between", k))?;
            if !critic.step(&loss, at)? {
                return Ok(f64::NAN);
            }
            rule.after(&mut critic)?;
            reported = value;
        }
        let fake = s.fake(c, c.batch, &mut round(at, "noise", rival.steps))?;
        let loss = rule.of_map(&critic, &fake, &mut || real(s, rival.steps))?;
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.adam.step(&mut s.map.params, &loss, at.step, at.steps)?;
        }
        Ok(reported.filter(|_| value.is_finite()).unwrap_or(value))
    };
    let value = turn();
    s.critic = Some(critic);
    value
}

impl Persist for AnnealedState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("map", &mut self.map)?;
        v.part("adam", &mut self.adam)?;
        v.counter("round", &mut self.round)?;
        v.counter("began", &mut self.began)?;
        match &mut self.critic {
            Some(critic) => v.part("rival", critic),
            None => Ok(()),
        }
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
        let rounds: Vec<usize> = (0..10).map(|k| c.round(&Moment::new(k, 10, Seed::new(0)))).collect();
        assert_eq!(rounds, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
        let never = AnnealedConfig { last_round: 1.0, ..c };
        assert_eq!(never.round(&Moment::new(0, 10, Seed::new(0))), 4);
    }

    fn far() -> Draws<Gaussian> {
        Draws::new(Gaussian::isotropic(&[4.0], 0.1).unwrap(), "far")
    }

    /// A loss that sees a target however far it is.
    fn far_reaching() -> AnnealedConfig {
        let objective = LossConfig::Energy { exponent: 1.0 }.into();
        AnnealedConfig { objective, ..AnnealedConfig::default() }
    }

    fn quick(c: AnnealedConfig) -> AnnealedConfig {
        AnnealedConfig {
            map: MapConfig { standardise: false, ..MapConfig::default() },
            optim: OptimConfig { lr: 5e-3, ..OptimConfig::default() },
            batch: 64,
            ..c
        }
    }

    fn mean_after(c: AnnealedConfig, steps: u64) -> f64 {
        let target = far();
        // An average over some twenty steps: the last parameters alone swing about where they are going.
        let train = TrainConfig { steps, ema: Some(0.95), ..TrainConfig::default() };
        let mut run = Trainer::<Annealed>::new(quick(c), train, &target).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        let x = run.generator().unwrap().generate(2000, Seed::new(1)).unwrap();
        x.as_slice().iter().sum::<f64>() / 2000.0
    }

    /// Halfway, the map's law is ρ_t when one side is noised, and the data's when both are.
    #[test]
    fn one_side_follows_the_path_and_both_sides_aim_at_the_data() {
        let mean =
            |noise| mean_after(AnnealedConfig { rounds: 2, last_round: 0.0, noise, ..far_reaching() }, 600);
        // The last round is at t = ½, where the trigonometric path has α = 2^{−½}.
        assert!((mean(NoisedSide::Target) - 4.0 * 0.5f64.sqrt()).abs() < 0.25);
        assert!((mean(NoisedSide::Both) - 4.0).abs() < 0.35);
        assert!((mean(NoisedSide::None) - 4.0).abs() < 0.35);
    }

    #[test]
    fn reversed_rounds_end_at_noise_unless_a_last_round_follows() {
        let mean = |last_round| {
            let order = RoundOrder::Reversed;
            mean_after(AnnealedConfig { rounds: 2, last_round, order, ..far_reaching() }, 600)
        };
        assert!(mean(0.0).abs() < 0.25);
        assert!((mean(0.5) - 4.0).abs() < 0.35);
    }

    /// Every kind of objective brings the map along the rounds to the data.
    #[test]
    fn every_objective_is_annealed() {
        let objectives: [ObjectiveConfig; 4] = [
            // A loss that reaches far: in so few steps a bounded kernel may lose sight of a target that moves on.
            LossConfig::Energy { exponent: 1.0 }.into(),
            ObjectiveConfig::r3gan(),
            ObjectiveConfig::wgan_gp(),
            ObjectiveConfig::Fgan {
                rival: RivalConfig::default(),
                phi: crate::methods::statistics::PhiConfig::JensenShannon,
                penalty: 0.1,
            },
        ];
        for objective in objectives {
            let c = AnnealedConfig { objective: objective.clone(), rounds: 5, ..AnnealedConfig::default() };
            // Map and critic circle around each other, at a constant learning rate for ever.
            let within = if matches!(objective, ObjectiveConfig::Divergence { .. }) { 0.6 } else { 1.5 };
            let mean = mean_after(c, 300);
            assert!((mean - 4.0).abs() < within, "{objective:?}: {mean}");
        }
    }

    #[test]
    fn a_test_sets_the_pace() {
        let target = far();
        let rounds_after = |pace: Pace, lr: f64| {
            let c = quick(AnnealedConfig { rounds: 50, last_round: 0.0, pace, ..AnnealedConfig::default() });
            let c = AnnealedConfig { optim: OptimConfig { lr, ..c.optim.clone() }, ..c };
            let train = TrainConfig { steps: 600, ema: None, ..TrainConfig::default() };
            let mut run = Trainer::<Annealed>::new(c, train, &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            run.state().round
        };
        let pace = |level, at_most| Pace::Test { level, points: 60, permutations: 99, every: 20, at_most };
        let (quick, never) = (rounds_after(pace(0.01, None), 5e-3), rounds_after(pace(0.01, None), 0.0));
        assert!(quick >= 3, "{quick}");
        // A map that does not learn is told apart for ever, unless a round may not last so long.
        assert_eq!(never, 0);
        assert_eq!(rounds_after(pace(0.01, Some(30)), 0.0), 19);
    }

    /// The rounds behind and the critic are part of the state: a run that is taken up ends in the same bytes.
    #[test]
    fn interrupted_rounds_go_on_where_they_were() {
        let target = far();
        let pace = Pace::Test { level: 0.01, points: 60, permutations: 19, every: 4, at_most: Some(10) };
        let objective = ObjectiveConfig::wgan_gp();
        let c = quick(AnnealedConfig { objective, pace, rounds: 8, ..AnnealedConfig::default() });
        let train = TrainConfig { steps: 60, ..TrainConfig::default() };
        let path = tempfile::tempdir().unwrap();
        let path = path.path().join("run.safetensors");
        let mut whole = Trainer::<Annealed>::new(c.clone(), train.clone(), &target).unwrap();
        let _ = whole.run(&mut Watch::default()).unwrap();
        let mut broken = Trainer::<Annealed>::new(c, train, &target).unwrap();
        let mut watch = Watch { checkpoint: Some(path.clone()), ..Watch::default() };
        let _ = broken.run_to(27, &mut watch).unwrap();
        assert!(broken.state().round > 0 && broken.state().time() < 1.0);
        let mut again = Trainer::<Annealed>::resume(&path, &target).unwrap();
        let _ = again.run(&mut Watch::default()).unwrap();
        let points =
            |run: &mut Trainer<'_, Annealed>| run.generator().unwrap().generate(50, Seed::new(1)).unwrap();
        assert_eq!(points(&mut again), points(&mut whole));
        assert_eq!((again.state().round, again.state().began), (whole.state().round, whole.state().began));
    }

    #[test]
    fn kernels_that_are_not_there_are_not_widened() {
        let target = far();
        for objective in [ObjectiveConfig::r3gan(), LossConfig::Sliced { directions: 4 }.into()] {
            let c = AnnealedConfig { objective, kernel: 3.0, ..AnnealedConfig::default() };
            let error = Trainer::<Annealed>::new(c, TrainConfig::default(), &target).err().unwrap();
            assert!(error.to_string().contains("no kernel to widen"), "{error}");
        }
    }
}
