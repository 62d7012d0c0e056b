//! Consistency models: a network that says the same end point all along a trajectory of the probability flow.

use crate::bridge::regression;
use crate::error::{Result, check_count, check_range};
use crate::generators::{Generator, Leap, LeapAbout, LeapModel, boundary, noise_at, part_at};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::rounds::{Place, Rounds, overwrite};
use crate::nets::{FieldConfig, Params};
use crate::noise::{Law, Noise};
use crate::optim::{OptimConfig, Schedule};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::rand::Rng;
use measures::{Points, Sample};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad_guard};

/// Learns f(x, σ), the end of the probability flow through x at noise σ (x = x₁ + σz), from f(x, σ_least) = x and from f
/// being the same at neighbouring noises σ_i < σ_{i+1} of one trajectory: the answer at σ_{i+1} is pulled to the one at σ_i, held
/// fixed, in the distance √(‖·‖² + c²) − c with weight 1/(σ_{i+1} − σ_i). One evaluation then takes noise to data.
///
/// *Training* takes x₁ + σ_i z for the neighbour of x₁ + σ_{i+1} z, on a mesh that gets finer: Song et al. 2023, arXiv 2303.01469,
/// in the improved form of Song and Dhariwal 2024, arXiv 2310.14189. *Distillation* takes a step of Heun's method along the
/// flow of a denoiser, which is trained in the first part of the run.
///
/// What generates is an average of the method's own, whatever `ema` says.
pub struct Consistency;

/// Where the neighbour on a trajectory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum ConsistencyMode {
    /// From the same data and noise.
    Training {
        /// Stretches of noise at first.
        #[serde(default = "ten")]
        first_levels: usize,
        /// Stretches of noise at last: they double again and again until then.
        #[serde(default = "many")]
        last_levels: usize,
    },
    /// From a step along the flow of a teacher.
    Distillation {
        /// The part of the run in which the teacher is trained.
        #[serde(default = "half")]
        first: f64,
        /// Stretches of noise.
        #[serde(default = "forty")]
        levels: usize,
        /// Decay of the average of the student whose answers are held fixed; 0 is the student itself.
        #[serde(default = "following")]
        decay: f64,
    },
}

fn ten() -> usize {
    10
}
fn many() -> usize {
    1280
}
fn half() -> f64 {
    0.5
}
fn forty() -> usize {
    40
}
fn following() -> f64 {
    0.95
}

/// Distillation, which comes nearer in as many steps (docs/models.md).
impl Default for ConsistencyMode {
    fn default() -> Self {
        ConsistencyMode::Distillation { first: half(), levels: forty(), decay: following() }
    }
}

/// Settings of `consistency`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsistencyConfig {
    /// The network.
    pub net: FieldConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Points a step.
    pub batch: usize,
    /// Where the neighbour on a trajectory comes from.
    pub mode: ConsistencyMode,
    /// The noise that counts as none, in units of standardised data.
    pub sigma_least: f64,
    /// The noise at which the data are lost.
    pub sigma_most: f64,
    /// Noises are drawn with log σ ~ N(mean, spread²): the mean.
    pub noise_mean: f64,
    /// The spread.
    pub noise_spread: f64,
    /// c of the distance √(‖·‖² + c²) − c; absent, 0.00054 √d.
    pub huber: Option<f64>,
    /// Evaluations a sample takes: after each but the last, the point is noised again.
    pub steps: usize,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for ConsistencyConfig {
    fn default() -> Self {
        ConsistencyConfig {
            net: FieldConfig::default(),
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 512,
            mode: ConsistencyMode::default(),
            sigma_least: 0.005,
            sigma_most: 10.0,
            noise_mean: -1.1,
            noise_spread: 2.0,
            huber: None,
            steps: 2,
            standardise: true,
        }
    }
}

impl ConsistencyConfig {
    fn check(&self) -> Result<()> {
        check_count("batch", self.batch)?;
        match self.mode {
            ConsistencyMode::Training { first_levels, last_levels } => {
                check_count("mode.first_levels", first_levels)?;
                check_count("mode.last_levels", last_levels)?;
            }
            ConsistencyMode::Distillation { first, levels, decay } => {
                check_range("mode.first", first, f64::MIN_POSITIVE..1.0, "positive and less than 1")?;
                check_count("mode.levels", levels)?;
                check_range("mode.decay", decay, 0.0..1.0, "at least 0 and less than 1")?;
            }
        }
        // The law of the noise must meet the range it is cut to.
        let range = (self.sigma_least.ln() - 1.0)..=(self.sigma_most.ln() + 1.0);
        check_range(
            "noise_mean",
            self.noise_mean,
            range,
            "between the logarithms of the least and the most noise",
        )?;
        check_range("noise_spread", self.noise_spread, f64::MIN_POSITIVE.., "finite and positive")?;
        if let Some(c) = self.huber {
            check_range("huber", c, 0.0.., "finite and not negative")?;
        }
        Ok(())
    }

    fn place(&self, at: &Moment) -> Place {
        match self.mode {
            ConsistencyMode::Training { .. } => Place::of(at, 0.0, 1),
            ConsistencyMode::Distillation { first, .. } => Place::of(at, first, 1),
        }
    }

    /// The stretches that noises are parted into.
    fn levels(&self, at: &Moment) -> usize {
        match self.mode {
            ConsistencyMode::Training { first_levels, last_levels } => {
                let doublings = (last_levels as f64 / first_levels as f64).max(1.0).log2().floor();
                let times = (at.progress() * (doublings + 1.0)).floor();
                ((first_levels as f64 * times.exp2()) as usize).clamp(1, last_levels.max(first_levels))
            }
            ConsistencyMode::Distillation { levels, .. } => levels,
        }
    }

    /// A noise from the law cut to its range.
    fn noise(&self, rng: &mut dyn Rng) -> f64 {
        loop {
            let z: f64 = StandardNormal.sample(rng);
            let sigma = (self.noise_mean + self.noise_spread * z).exp();
            if (self.sigma_least..self.sigma_most).contains(&sigma) {
                return sigma;
            }
        }
    }

    /// The ends of the stretch that a noise falls into: the law of a stretch is what the cut law gives it.
    fn stretch(&self, levels: usize, rng: &mut dyn Rng) -> (f64, f64) {
        let (least, most) = (self.sigma_least, self.sigma_most);
        let u = part_at(self.noise(rng), least, most);
        let k = ((u * levels as f64).floor() as usize).min(levels - 1);
        let at = |k: usize| noise_at(k as f64 / levels as f64, least, most);
        (at(k), at(k + 1))
    }
}

/// The network, what passes between teacher and student, and the student's average whose answers are held fixed.
pub struct ConsistencyState {
    model: LeapModel,
    rounds: Rounds,
    held: Params,
}

impl Method for Consistency {
    const NAME: &'static str = "consistency";
    const ABOUT: &'static str =
        "one end point all along a trajectory: consistency training or distillation (arXiv 2310.14189)";
    type Config = ConsistencyConfig;
    type State = ConsistencyState;

    fn init(c: &ConsistencyConfig, target: &dyn Source, setup: &Setup) -> Result<ConsistencyState> {
        target.batch(c.batch.max(1), &mut setup.seed.rng())?;
        let about = LeapAbout {
            method: Consistency::NAME.to_owned(),
            net: c.net.clone(),
            leap: Leap::Consistency { least: c.sigma_least, most: c.sigma_most },
            steps: c.steps,
            scaler: Scaler::of(target, c.standardise, setup.seed.named("scaler"))?,
        };
        let model = LeapModel::new(about, setup)?;
        c.check()?;
        let (rounds, held) = (Rounds::new(&c.optim, &model.params)?, model.params.duplicate()?);
        Ok(ConsistencyState { model, rounds, held })
    }

    fn step(
        c: &ConsistencyConfig,
        s: &mut ConsistencyState,
        target: &dyn Source,
        at: &Moment,
    ) -> Result<f64> {
        let place = c.place(at);
        if s.rounds.enter(&place, &c.optim, &mut s.model.params)? {
            overwrite(&mut s.held, &s.model.params)?;
        }
        let (kind, device) = s.model.params.options();
        let x1 = s.model.about().scaler.standardise(target.batch(c.batch, &mut at.rng("target"))?);
        let z = Noise::new(Law::Gaussian, x1.dim())?.sample(c.batch, &mut at.rng("noise"));
        let (x1, z) = (to_tensor(&x1, kind, device)?, to_tensor(&z, kind, device)?);
        let column = |values: Vec<f64>| to_tensor(&Points::from_line(values), kind, device);
        let mut rng = at.rng("levels");
        if place.round == 0 {
            let sigma = column((0..c.batch).map(|_| c.noise(&mut rng)).collect())?;
            let loss = denoising(&s.model, &sigma, &x1, &z)?;
            return Ok(descend(s, &place, &loss)?.0);
        }
        let levels = c.levels(at);
        let (low, high): (Vec<f64>, Vec<f64>) = (0..c.batch).map(|_| c.stretch(levels, &mut rng)).unzip();
        let weight = column(low.iter().zip(&high).map(|(a, b)| 1.0 / (b - a)).collect())?;
        let (low, high) = (column(low)?, column(high)?);
        let x = &x1 + &z * &high;
        let held = {
            let _guard = no_grad_guard();
            let (neighbour, params) = match c.mode {
                ConsistencyMode::Training { .. } => (x1 + z * &low, &s.model.params),
                ConsistencyMode::Distillation { .. } => {
                    (heun(&s.model, s.rounds.teacher(), &x, &high, &low), &s.held)
                }
            };
            s.model.consistent(params, &low, &neighbour, c.sigma_least)
        };
        let said = s.model.consistent(&s.model.params, &high, &x, c.sigma_least);
        let c_huber = c.huber.unwrap_or(0.000_54 * (s.model.about().scaler.dim() as f64).sqrt());
        let square = (said - held).square().sum_dim_intlist(1, true, kind);
        let loss = (((square + c_huber * c_huber + TINY).sqrt() - c_huber) * weight).mean(kind);
        let (value, done) = descend(s, &place, &loss)?;
        if let (true, ConsistencyMode::Distillation { decay, .. }) = (done, c.mode) {
            let _guard = no_grad_guard();
            let _ = s.held.flat_mut().f_lerp_(s.model.params.flat(), 1.0 - decay)?;
        }
        Ok(value)
    }

    fn generator(_: &ConsistencyConfig, s: &ConsistencyState) -> Result<Box<dyn Generator>> {
        let mut model = s.model.duplicate()?;
        overwrite(&mut model.params, s.rounds.average())?;
        Ok(Box::new(model))
    }
}

/// Keeps the root differentiable where a point is met exactly.
const TINY: f64 = 1e-12;

/// A step down the loss, unless it is not finite: its value, and whether it was.
fn descend(s: &mut ConsistencyState, place: &Place, loss: &Tensor) -> Result<(f64, bool)> {
    let value = scalar(loss)?;
    if value.is_finite() {
        s.rounds.step(place, &mut s.model.params, loss)?;
    }
    Ok((value, value.is_finite()))
}

/// The teacher's regression: the network's own answer F against (x₁ − c_skip x)/c_out, of size one at every noise
/// (Karras et al. 2022, arXiv 2206.00364).
fn denoising(model: &LeapModel, sigma: &Tensor, x1: &Tensor, z: &Tensor) -> Result<Tensor> {
    let x = x1 + z * sigma;
    let (skip, out) = boundary(sigma, 0.0);
    regression(&model.raw(&model.params, sigma, &x), &((x1 - &x * skip) / out))
}

/// A step of Heun's method along dx/dσ = (x − D(x, σ))/σ.
fn heun(model: &LeapModel, teacher: &Params, x: &Tensor, from: &Tensor, to: &Tensor) -> Tensor {
    let slope = |sigma: &Tensor, x: &Tensor| (x - model.consistent(teacher, sigma, x, 0.0)) / sigma;
    let h = to - from;
    let first = slope(from, x);
    let second = slope(to, &(x + &first * &h));
    x + (first + second) * h * 0.5
}

impl Persist for ConsistencyState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("rounds", &mut self.rounds)?;
        v.params("held", &mut self.held, Role::Auxiliary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::load;
    use crate::source::Draws;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};

    #[test]
    fn levels_double_up_to_the_last() {
        let mode = ConsistencyMode::Training { first_levels: ten(), last_levels: many() };
        let c = ConsistencyConfig { mode, ..ConsistencyConfig::default() };
        let levels = |step| c.levels(&Moment::new(step, 8000, Seed::new(0)));
        assert_eq!([0, 999, 1000, 2000, 6999, 7000, 7999].map(levels), [10, 10, 20, 40, 640, 1280, 1280]);
        // A distillation has the same levels throughout.
        let distilled = ConsistencyConfig::default();
        assert!([0, 7999].iter().all(|step| distilled.levels(&Moment::new(*step, 8000, Seed::new(0))) == 40));
        let mut rng = Seed::new(1).rng();
        for _ in 0..1000 {
            let (low, high) = c.stretch(20, &mut rng);
            assert!(c.sigma_least * 0.999 <= low && low < high && high <= c.sigma_most * 1.001);
        }
    }

    /// The flow to a Gaussian is linear: the end of the trajectory through σ_most z is mean + sd z, nearly. Distillation takes its
    /// teacher from the same run.
    #[test]
    fn training_and_distillation_find_the_map_of_the_flow() {
        let (mean, sd) = (1.0, 0.5);
        let target = Draws::new(Gaussian::isotropic(&[mean], sd).unwrap(), "line");
        let modes = [
            ConsistencyMode::Training { first_levels: 10, last_levels: 160 },
            ConsistencyMode::Distillation { first: 0.5, levels: 20, decay: 0.9 },
        ];
        for mode in modes {
            let config = ConsistencyConfig {
                net: FieldConfig { widths: vec![32, 32], ..FieldConfig::default() },
                optim: OptimConfig { lr: 3e-3, ..ConsistencyConfig::default().optim },
                batch: 256,
                mode,
                steps: 1,
                ..ConsistencyConfig::default()
            };
            let train = TrainConfig { steps: 1500, ..TrainConfig::default() };
            let mut run = Trainer::<Consistency>::new(config, train, &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            let model = run.generator().unwrap();
            assert_eq!(model.evaluations(), 1);
            let z = Points::from_line(vec![-1.5, -0.5, 0.0, 1.0, 2.0]);
            let x = model.map().unwrap().apply(&z).unwrap();
            for (x, z) in x.rows().zip(z.rows()) {
                assert!((x[0] - (mean + sd * z[0])).abs() < 0.15, "{mode:?}: {x:?} from {z:?}");
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.safetensors");
            model.save(&path).unwrap();
            let loaded = load(&path).unwrap();
            assert_eq!(loaded.generate(9, Seed::new(1)).unwrap(), model.generate(9, Seed::new(1)).unwrap());
        }
    }

    /// Whatever the parameters, the least noise is left alone.
    #[test]
    fn the_end_of_a_trajectory_is_itself() {
        let target = Draws::new(Gaussian::standard(2), "plane");
        let config = ConsistencyConfig::default();
        let run = Trainer::<Consistency>::new(config, TrainConfig::default(), &target).unwrap();
        let model = &run.state().model;
        let x = Tensor::from_slice(&[0.3f32, -2.0]).view([1, 2]);
        let least = Tensor::from_slice(&[0.005f32]).view([1, 1]);
        let end = model.consistent(&model.params, &least, &x, 0.005);
        assert!(scalar(&(end - x).abs().max()).unwrap() < 1e-6);
        let refuse =
            |c| Trainer::<Consistency>::new(c, TrainConfig::default(), &target).err().unwrap().to_string();
        let bad = ConsistencyConfig { sigma_most: 0.001, ..ConsistencyConfig::default() };
        assert!(refuse(bad).starts_with("sigma_most = 0.001"));
        let bad = ConsistencyConfig { steps: 0, ..ConsistencyConfig::default() };
        assert!(refuse(bad).starts_with("steps = 0"));
        let bad = ConsistencyConfig { noise_mean: 9.0, ..ConsistencyConfig::default() };
        assert!(refuse(bad).starts_with("noise_mean = 9"));
    }
}
