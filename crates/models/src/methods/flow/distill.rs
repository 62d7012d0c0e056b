//! Distillation: a student that takes few steps learns from a teacher that takes many.

use crate::bridge::regression;
use crate::condition::Condition;
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{
    ConditionAbout, FactorInput, FlowAbout, FlowModel, Generator, GuidanceConfig, Guide, SamplerConfig,
    SolverConfig,
};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::path::{Coefficients, check_cut};
use crate::methods::flow::rectified::independent;
use crate::methods::flow::rounds::{Place, Pool, Rounds, with_params};
use crate::methods::flow::{PathConfig, Prediction};
use crate::nets::{FieldConfig, Params};
use crate::optim::{OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::Points;
use measures::rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tch::{Tensor, no_grad, no_grad_guard};

/// A teacher along a path, trained in the first part of the run or loaded from a file, and a student of the same shape that
/// reaches the data in few jumps (DDIM steps, which on straight paths are Euler's).
///
/// *Progressive*: round by round the student learns to do in one jump what the teacher of the round does in two, and becomes
/// the teacher of the next: Salimans and Ho 2022, arXiv 2202.00512. *Direct*: the student learns by regression where the
/// teacher's flow leads from the noise, in one jump: Luhman and Luhman 2021, arXiv 2101.02388.
///
/// *Guided*: where points come with labels or vectors, the teacher learns them with classifier-free guidance, and before jumps
/// are halved there is a round in which the student, told the factor g, learns to say in one evaluation what the teacher
/// combines of two, f(x, ∅) + g (f(x, c) − f(x, ∅)): Meng et al. 2023, arXiv 2210.03142. It then takes c and g as inputs, and few
/// jumps.
///
/// What generates is the average of the round at hand, whatever `ema` says.
pub struct Distill;

/// How the student learns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum DistillMode {
    /// To halve the number of jumps, round by round.
    Progressive {
        /// The number of jumps at the end.
        #[serde(default = "two")]
        steps: usize,
        /// The number of times the number of jumps is halved.
        #[serde(default = "five")]
        rounds: usize,
    },
    /// To reach in one jump the point where the teacher's flow ends.
    Direct {
        /// Pairs of noise and that point, made once.
        #[serde(default = "many")]
        pairs: usize,
    },
}

fn two() -> usize {
    2
}
fn five() -> usize {
    5
}
fn many() -> usize {
    50_000
}

impl Default for DistillMode {
    fn default() -> Self {
        DistillMode::Progressive { steps: two(), rounds: five() }
    }
}

/// How guidance goes into the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuidedConfig {
    /// The share of points whose condition is hidden in training.
    pub hidden: f64,
    /// The factor g of generation where none is asked for, between `least` and `most`.
    pub factor: f64,
    /// The least factor that is learned; 0 ignores the condition, 1 is the conditional law.
    pub least: f64,
    /// The largest factor that is learned; the same as `least` for a student of one factor.
    pub most: f64,
}

impl Default for GuidedConfig {
    fn default() -> Self {
        GuidedConfig { hidden: 0.1, factor: 1.0, least: 0.0, most: 4.0 }
    }
}

impl GuidedConfig {
    /// The conditioning of a model whose network takes the factor, where points come with `condition`.
    fn about(&self, condition: Option<&Condition>) -> Result<Option<ConditionAbout>> {
        let inside = FactorInput { least: self.least, most: self.most, learned: false };
        let guidance = GuidanceConfig { hidden: self.hidden, factor: self.factor };
        inside.check()?;
        check_range(
            "guidance.factor",
            self.factor,
            self.least..=self.most,
            "between guidance.least and .most",
        )?;
        if self.hidden == 0.0 && (self.least != 1.0 || self.most != 1.0) {
            let must = "positive: who never goes without a condition has nothing to guide away from";
            return Err(Error::setting("guidance.hidden", self.hidden, must));
        }
        let about = ConditionAbout::of(condition, guidance)?;
        Ok(about.map(|about| ConditionAbout { inside: Some(inside), ..about }))
    }
}

/// Settings of `distill`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillConfig {
    /// The file of a saved model along a path (of `flow_matching`, `diffusion`, `rectified`), which then is the teacher, and says what
    /// net, path, prediction, cut and standardisation are; absent, a teacher is trained first.
    pub teacher: Option<PathBuf>,
    /// The part of the steps in which the teacher is trained, where none is loaded.
    pub first: f64,
    /// How the student learns.
    pub mode: DistillMode,
    /// The network of teacher and student.
    pub net: FieldConfig,
    /// The optimiser; its schedule begins again with every round.
    pub optim: OptimConfig,
    /// Points a step.
    pub batch: usize,
    /// How much data and how much noise at each time.
    pub path: PathConfig,
    /// What the network says.
    pub prediction: Prediction,
    /// Distance kept from both ends of the path, where coefficients are infinite.
    pub cut: f64,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
    /// How guidance goes into the network; without effect where no labels or vectors come with the points. Of a loaded teacher
    /// `hidden` is the teacher's.
    pub guidance: GuidedConfig,
    /// How the teacher's flow is followed, for direct regression.
    pub solver: SolverConfig,
}

impl Default for DistillConfig {
    fn default() -> Self {
        DistillConfig {
            teacher: None,
            first: 0.7,
            mode: DistillMode::default(),
            net: FieldConfig::default(),
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 1024,
            path: PathConfig::Linear {},
            prediction: Prediction::Velocity,
            cut: 0.0,
            standardise: true,
            guidance: GuidedConfig::default(),
            solver: SolverConfig::default(),
        }
    }
}

/// What is done in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// The teacher is trained.
    Teach,
    /// The student learns to combine two answers of the teacher in one.
    Combine,
    /// The student learns to do in one of so many jumps what its teacher does in two.
    Halve(usize),
    /// The student learns to reach the end of the teacher's flow in one jump.
    Direct(usize),
}

impl DistillConfig {
    /// The part of the run in which the teacher is trained, and the number of rounds after it.
    fn parts(&self, guided: bool) -> (f64, usize) {
        let rounds = match self.mode {
            DistillMode::Progressive { rounds, .. } => rounds + usize::from(guided),
            DistillMode::Direct { .. } => 1,
        };
        (if self.teacher.is_some() { 0.0 } else { self.first }, rounds)
    }

    fn task(&self, round: u64, guided: bool) -> Task {
        let before = u64::from(guided);
        match self.mode {
            _ if round == 0 => Task::Teach,
            DistillMode::Progressive { .. } if round <= before => Task::Combine,
            DistillMode::Progressive { steps, rounds } => {
                Task::Halve(steps << (rounds as u64).saturating_sub(round - before))
            }
            DistillMode::Direct { pairs } => Task::Direct(pairs),
        }
    }
}

/// The student, what passes between rounds, and the pairs of direct regression.
pub struct DistillState {
    model: FlowModel,
    rounds: Rounds,
    pool: Option<Pool>,
}

impl Method for Distill {
    const NAME: &'static str = "distill";
    const ABOUT: &'static str =
        "few steps from many: progressive, guided or direct distillation (arXiv 2202.00512, 2210.03142)";
    const CONDITIONAL: bool = true;
    type Config = DistillConfig;
    type State = DistillState;

    fn init(c: &DistillConfig, target: &dyn Source, setup: &Setup) -> Result<DistillState> {
        check_count("batch", c.batch)?;
        match c.mode {
            DistillMode::Progressive { steps, rounds } => {
                check_count("mode.steps", steps)?;
                check_count("mode.rounds", rounds)?;
                if rounds > MOST_ROUNDS {
                    return Err(Error::setting("mode.rounds", rounds, format!("at most {MOST_ROUNDS}")));
                }
            }
            DistillMode::Direct { .. } if target.condition().is_some() => {
                let must = "progressive, where points come with labels or vectors";
                return Err(Error::setting("mode", "direct", must));
            }
            DistillMode::Direct { pairs } => check_count("mode.pairs", pairs)?,
        }
        check_range("first", c.first, f64::MIN_POSITIVE..1.0, "positive and less than 1")?;
        target.batch(c.batch, &mut setup.seed.rng())?;
        if let Some(start) = target.start() {
            start.batch(c.batch, &mut setup.seed.rng())?;
        }
        let model = match &c.teacher {
            Some(path) => load(c, path, target, setup)?,
            None => fresh(c, target, setup)?,
        };
        let model = model.with_solver(c.solver)?;
        let rounds = Rounds::new(&c.optim, &model.params)?;
        Ok(DistillState { model, rounds, pool: None })
    }

    fn step(c: &DistillConfig, s: &mut DistillState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let guided = s.model.about().condition.is_some();
        let (first, rounds) = c.parts(guided);
        let place = Place::of(at, first, rounds);
        s.rounds.enter(&place, &c.optim, &mut s.model.params)?;
        let loss = match c.task(place.round, guided) {
            Task::Teach => teach(c, &s.model, target, at)?,
            Task::Combine => {
                let teacher = with_params(&s.model, s.rounds.teacher())?;
                combine(c, &s.model, &teacher, target, at)?
            }
            Task::Halve(jumps) => {
                let teacher = with_params(&s.model, s.rounds.teacher())?;
                halve(c, &s.model, &teacher, jumps, target, at)?
            }
            Task::Direct(pairs) => {
                let pool = match s.pool.take() {
                    Some(pool) if pool.is_of(place.round) => pool,
                    _ => {
                        let teacher = with_params(&s.model, s.rounds.teacher())?;
                        Pool::new(&teacher, place.round, pairs, target, at.first().seed("pool"))?
                    }
                };
                direct(&s.model, s.pool.insert(pool).draw(c.batch, at))?
            }
        };
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.rounds.step(&place, &mut s.model.params, &loss)?;
        }
        Ok(value)
    }

    fn generator(c: &DistillConfig, s: &DistillState) -> Result<Box<dyn Generator>> {
        let (round, guided) = (s.rounds.round(), s.model.about().condition.is_some());
        let model = with_params(&s.model, s.rounds.average())?;
        // Before there is a student, the teacher as it stands; a student of its answers follows the flow as it does.
        let (model, sampler) = match c.task(round, guided) {
            Task::Teach => (model, SamplerConfig::Flow {}),
            Task::Combine => (model.guided_inside(), SamplerConfig::Flow {}),
            Task::Halve(steps) => (model.guided_inside(), SamplerConfig::Jumps { steps }),
            Task::Direct(_) => (model, SamplerConfig::Jumps { steps: 1 }),
        };
        Ok(Box::new(model.with_sampler(sampler)?))
    }
}

/// 2²⁰ jumps are a flow already.
const MOST_ROUNDS: usize = 20;

/// The saved model as teacher of this target.
fn load(c: &DistillConfig, path: &std::path::Path, target: &dyn Source, setup: &Setup) -> Result<FlowModel> {
    let shown = path.display();
    let refuse = |must: &str| Err(Error::setting("teacher", shown.to_string(), must));
    let loaded = FlowModel::load(path)?;
    if loaded.dim() != target.dim() {
        return refuse(&format!("a model in dimension {}, that of the data", target.dim()));
    }
    if loaded.latent().is_some() {
        return refuse("a model of one network: without latent noise");
    }
    if loaded.about().start.is_some() != target.start().is_some() {
        return refuse("a model that starts where this target's paths do");
    }
    let condition = match (&loaded.about().condition, target.condition()) {
        (None, None) => None,
        (Some(known), Some(condition))
            if (known.condition.classes(), known.condition.dim())
                == (condition.classes(), condition.dim()) =>
        {
            if known.inside.is_some() {
                return refuse("a model whose guidance combines two answers: this one was distilled before");
            }
            let guidance = GuidedConfig { hidden: known.guidance.hidden, ..c.guidance };
            guidance.about(Some(&known.condition))?
        }
        _ => {
            return refuse(
                "a model that knows labels or vectors as they come with the data, or none as they do",
            );
        }
    };
    let about = FlowAbout { method: Distill::NAME.to_owned(), condition, ..loaded.about().clone() };
    let model = FlowModel::new(FlowAbout { sampler: SamplerConfig::Flow {}, ..about }, setup)?;
    widen(&loaded.params, &model.params)?;
    Ok(model)
}

/// Writes parameters over those of a network that may see one number more, the last of its inputs, which does not count yet.
fn widen(from: &Params, to: &Params) -> Result<()> {
    let _guard = no_grad_guard();
    for (from, to) in from.leaves().iter().zip(to.leaves()) {
        let (rows, of) = (from.size()[0], to.size()[0]);
        to.f_narrow(0, 0, rows)?.f_copy_(from)?;
        if rows < of {
            let _ = to.f_narrow(0, rows, of - rows)?.f_zero_()?;
        }
    }
    Ok(())
}

fn fresh(c: &DistillConfig, target: &dyn Source, setup: &Setup) -> Result<FlowModel> {
    check_cut(c.cut)?;
    let scaler = Scaler::of(target, c.standardise, setup.seed.named("scaler"))?;
    let start = target.start().map(|_| scaler.clone());
    let about = FlowAbout {
        method: Distill::NAME.to_owned(),
        net: c.net.clone(),
        path: c.path,
        prediction: c.prediction,
        solver: c.solver,
        cut: c.cut,
        scaler,
        start,
        latent: None,
        sampler: SamplerConfig::Flow {},
        condition: c.guidance.about(target.condition())?,
    };
    let model = FlowModel::new(about, setup)?;
    let (low, high) = model.span();
    Coefficients::at(model.schedule(), &[low, high], setup.kind, setup.device)?.check(c.prediction)?;
    Ok(model)
}

/// Points of a path at times spread evenly over it, and the pairs they lie between.
struct Stages {
    times: Vec<f64>,
    path: Coefficients,
    x0: Tensor,
    x1: Tensor,
    x: Tensor,
    given: Option<Points>,
}

impl Stages {
    fn draw(c: &DistillConfig, model: &FlowModel, target: &dyn Source, at: &Moment) -> Result<Self> {
        let (kind, device) = model.params.options();
        let (x0, x1, given) = independent(model, c.batch, target, at)?;
        let (x0, x1) = (to_tensor(&x0, kind, device)?, to_tensor(&x1, kind, device)?);
        let (low, high) = model.span();
        let first = at.rng("times").random::<f64>();
        let time = |i: usize| low + (high - low) * ((first + i as f64) / c.batch as f64).min(1.0);
        let times: Vec<f64> = (0..c.batch).map(time).collect();
        let path = Coefficients::at(model.schedule(), &times, kind, device)?;
        let x = &x1 * &path.alpha + &x0 * &path.sigma;
        Ok(Stages { times, path, x0, x1, x, given })
    }
}

/// Denoising along the path, as `diffusion` does it.
fn teach(c: &DistillConfig, model: &FlowModel, target: &dyn Source, at: &Moment) -> Result<Tensor> {
    let Stages { times, path, x0, x1, x, given } = Stages::draw(c, model, target, at)?;
    let told = model.lesson(given.as_ref(), at)?;
    let _asked = told.map(|told| model.asking(Guide::plain(told)));
    model.residual(&times, &x, &path.answer(model.about().prediction, &x0, &x1))
}

/// One answer of the student, told the factor, against two of the teacher combined by it.
fn combine(
    c: &DistillConfig,
    student: &FlowModel,
    teacher: &FlowModel,
    target: &dyn Source,
    at: &Moment,
) -> Result<Tensor> {
    let Stages { times, x, given, .. } = Stages::draw(c, student, target, at)?;
    let both = guided(student, given.as_ref(), at)?;
    let _asked =
        both.map(|[of_teacher, of_student]| (teacher.asking(of_teacher), student.asking(of_student)));
    let answer = no_grad(|| teacher.forward(&times, &x))?;
    student.residual(&times, &x, &answer)
}

/// What a teacher that combines two answers and a student are asked for about points with these conditions.
fn guided(model: &FlowModel, given: Option<&Points>, at: &Moment) -> Result<Option<[Guide; 2]>> {
    let (Some(about), Some(given)) = (&model.about().condition, given) else { return Ok(None) };
    about.guided_lesson(given, &mut at.rng("guidance"), model.params.options()).map(Some)
}

/// One jump of the student against two of the teacher.
fn halve(
    c: &DistillConfig,
    student: &FlowModel,
    teacher: &FlowModel,
    jumps: usize,
    target: &dyn Source,
    at: &Moment,
) -> Result<Tensor> {
    let (kind, device) = student.params.options();
    let (x0, x1, given) = independent(student, c.batch, target, at)?;
    let (x0, x1) = (to_tensor(&x0, kind, device)?, to_tensor(&x1, kind, device)?);
    // The teacher of this round is a student of one before: it takes the factor as well.
    let both = guided(student, given.as_ref(), at)?;
    let _asked = both.map(|[_, told]| (teacher.asking(told.copy()), student.asking(told)));
    let (low, high) = student.span();
    let mut rng = at.rng("times");
    // Times in halves of a jump: from an even one over an odd one to the next even one.
    let half = (high - low) / (2 * jumps) as f64;
    let starts: Vec<u64> = (0..c.batch).map(|_| 2 * rng.random_range(0..jumps as u64)).collect();
    let times =
        |ahead: u64| -> Vec<f64> { starts.iter().map(|&k| low + (k + ahead) as f64 * half).collect() };
    let (from, over, to) = (times(0), times(1), times(2));
    let here = Coefficients::at(student.schedule(), &from, kind, device)?;
    let x = &x1 * &here.alpha + &x0 * &here.sigma;
    let answer = {
        let _guard = no_grad_guard();
        let reached = teacher.jump(&from, &over, &x)?;
        let reached = teacher.jump(&over, &to, &reached)?;
        // The ends (x₀, x₁) whose line in (α, σ) runs from x to the point reached.
        let (alpha, sigma) = student.coefficients(&to)?;
        let ratio = &sigma / &here.sigma;
        let x1 = (&reached - &x * &ratio) / (alpha - &ratio * &here.alpha);
        let x0 = (&x - &x1 * &here.alpha) / &here.sigma;
        here.answer(student.about().prediction, &x0, &x1)
    };
    student.residual(&from, &x, &answer)
}

/// One jump from noise against the end of the teacher's flow.
fn direct(student: &FlowModel, (x0, x1): (Points, Points)) -> Result<Tensor> {
    let (kind, device) = student.params.options();
    let (low, high) = student.span();
    let n = x0.len();
    let (x0, x1) = (to_tensor(&x0, kind, device)?, to_tensor(&x1, kind, device)?);
    regression(&student.jump(&vec![low; n], &vec![high; n], &x0)?, &x1)
}

impl Persist for DistillState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("rounds", &mut self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::flow::{FlowMatching, FlowMatchingConfig};
    use crate::source::Draws;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};

    const MEAN: f64 = 1.0;
    const SD: f64 = 0.5;

    fn target() -> Draws<Gaussian> {
        Draws::new(Gaussian::isotropic(&[MEAN], SD).unwrap(), "line")
    }

    fn config(mode: DistillMode) -> DistillConfig {
        DistillConfig {
            net: FieldConfig { widths: vec![32, 32], ..FieldConfig::default() },
            optim: OptimConfig { lr: 5e-3, ..DistillConfig::default().optim },
            batch: 256,
            standardise: false,
            mode,
            ..DistillConfig::default()
        }
    }

    /// The flow to a Gaussian is linear: the model must take z to mean + sd z, up to the teacher's own steps.
    fn worst(model: &dyn Generator) -> f64 {
        let z = Points::from_line(vec![-1.5, -0.5, 0.0, 1.0, 2.0]);
        let x = model.map().unwrap().apply(&z).unwrap();
        x.rows().zip(z.rows()).map(|(x, z)| (x[0] - MEAN - SD * z[0]).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn students_reach_where_the_teacher_leads() {
        let train = TrainConfig { steps: 1600, ..TrainConfig::default() };
        let halving = |steps| DistillMode::Progressive { steps, rounds: 3 };
        let smooth = DistillConfig {
            path: PathConfig::VariancePreserving { first: 0.1, last: 20.0 },
            prediction: Prediction::V,
            cut: 1e-3,
            ..config(halving(2))
        };
        let runs = [
            (config(halving(2)), 2, 0.15),
            (smooth, 2, 0.3),
            (config(DistillMode::Direct { pairs: 2000 }), 1, 0.1),
        ];
        for (config, jumps, most) in runs {
            let mode = config.mode;
            let target = target();
            let mut run = Trainer::<Distill>::new(config, train.clone(), &target).unwrap();
            // Before there is a student, the teacher generates.
            let _ = run.run_to(600, &mut Watch::default()).unwrap();
            assert_eq!(run.generator().unwrap().evaluations(), 100);
            let _ = run.run(&mut Watch::default()).unwrap();
            let model = run.generator().unwrap();
            assert_eq!(model.evaluations(), jumps);
            assert!(worst(&*model) < most, "{mode:?}: {}", worst(&*model));
            assert!(matches!(model.log_density(&Points::zeros(1, 1)), Err(Error::Undefined { .. })));
        }
    }

    #[test]
    fn a_saved_teacher_is_learned_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("teacher.safetensors");
        let net = FieldConfig { widths: vec![24, 24], ..FieldConfig::default() };
        let teacher = FlowMatchingConfig { net, batch: 256, ..FlowMatchingConfig::default() };
        let train = TrainConfig { steps: 500, ema: Some(0.99), ..TrainConfig::default() };
        let target = target();
        let mut run = Trainer::<FlowMatching>::new(teacher, train.clone(), &target).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        run.generator().unwrap().save(&path).unwrap();
        let teacher = Some(path.clone());
        let student = DistillConfig { teacher, ..config(DistillMode::Direct { pairs: 2000 }) };
        let mut run = Trainer::<Distill>::new(student.clone(), train, &target).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        let model = run.generator().unwrap();
        let seed = Seed::new(2);
        let gap = |x: Points, y: Points| {
            let square = x.as_slice().iter().zip(y.as_slice()).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            (square / x.as_slice().len() as f64).sqrt()
        };
        let led = FlowModel::load(&path).unwrap().generate(500, seed).unwrap();
        let found = gap(led, model.generate(500, seed).unwrap());
        assert!(found < 0.05, "{found}");
        let refuse = |c: DistillConfig, target: &dyn Source| {
            Trainer::<Distill>::new(c, TrainConfig::default(), target).err().unwrap().to_string()
        };
        let plane = Draws::new(Gaussian::standard(2), "plane");
        assert!(refuse(student.clone(), &plane).contains("a model in dimension 2"));
        let missing = DistillConfig { teacher: Some(folder.path().join("none")), ..student };
        assert!(refuse(missing, &target).contains("none: cannot"));
        let bad = config(DistillMode::Progressive { steps: 0, rounds: 1 });
        assert!(refuse(bad, &target).starts_with("mode.steps = 0"));
    }
}
