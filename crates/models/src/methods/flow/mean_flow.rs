//! Mean velocities: a network that knows where the flow leads over any stretch of time.

use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{Generator, Leap, LeapAbout, LeapModel};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::CouplingConfig;
use crate::nets::{FieldConfig, Jet};
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tangent::jvp;
use crate::tensor::{scalar, to_tensor};
use measures::rand::{Rng, RngExt};
use measures::{Points, Sample};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

/// Learns the mean velocity u(x, t, r) = (r − t)⁻¹ ∫_t^r v_τ(x_τ) dτ along the flow of x_t = (1 − t) x₀ + t x₁, so that one
/// evaluation takes noise at t = 0 to data at r = 1. Differentiating (r − t) u in t along the flow gives the identity
/// u = v + (r − t)(∂_t u + v·∂_x u), on whose right side, held fixed and with the velocity x₁ − x₀ of the pair for the first v, u
/// is regressed. Geng et al. 2025, *Mean flows for one-step generative modeling*, arXiv 2505.13447, whose clock runs the other
/// way. Pairs of a plan within a batch ([`CouplingConfig`]) bend the flow less, so that one leap has less to bridge. What
/// stands for the second v, or that long stretches are learned from two shorter ones instead, is [`MeanRule`].
pub struct MeanFlow;

/// What the mean velocity over a stretch of time is regressed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeanRule {
    /// The identity, with the derivative of u along the velocity x₁ − x₀ of the pair (arXiv 2505.13447). It is right in the mean
    /// and noisy: the same point lies on many lines.
    Conditional,
    /// The identity, with the derivative of u along the network's own velocity u(x, t, t). Geng et al. 2025, *Improved mean flows*,
    /// arXiv 2512.02012, eq. (12).
    Marginal,
    /// (r − t) u(x, t, r) = (s − t) u(x, t, s) + (r − s) u(x_s, s, r) at a random s between, with x_s = x + (s − t) u(x, t, s) and the
    /// right side held fixed; the velocity of the pair teaches stretches of length zero alone. Guo et al. 2025, *SplitMeanFlow*,
    /// arXiv 2507.16884.
    Split,
}

/// Settings of `mean_flow`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MeanFlowConfig {
    /// The network.
    pub net: FieldConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Pairs a step.
    pub batch: usize,
    /// Which points are paired: independent, optimal or entropic.
    pub coupling: CouplingConfig,
    /// Points of each measure between which a plan is found; absent, as many as pairs a step.
    pub coupling_batch: Option<usize>,
    /// What u is regressed on.
    pub rule: MeanRule,
    /// The part of the pairs with r > t; the others learn the velocity itself.
    pub apart: f64,
    /// The part of those that takes one whole leap of generation, from k/steps to (k + 1)/steps; absent, a quarter for `split` and
    /// none for the other rules, which run away with it.
    pub whole: Option<f64>,
    /// Times are 1/(1 + e^ξ) with ξ ~ N(mean, spread²): the mean. Positive is nearer to noise.
    pub time_mean: f64,
    /// The spread; absent, times are uniform.
    pub time_spread: Option<f64>,
    /// Errors count with weight (‖error‖² + 0.001)^−power: 0 is the plain square. Images are trained with 1, where all errors are
    /// of one size; in few dimensions that draws the mean velocity toward the likeliest one.
    pub power: f64,
    /// Leaps a sample takes.
    pub steps: usize,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for MeanFlowConfig {
    fn default() -> Self {
        MeanFlowConfig {
            net: FieldConfig::default(),
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 512,
            coupling: CouplingConfig::Optimal {},
            coupling_batch: Some(64),
            rule: MeanRule::Split,
            apart: 0.75,
            whole: None,
            time_mean: -0.4,
            time_spread: None,
            power: 0.0,
            steps: 1,
            standardise: true,
        }
    }
}

impl MeanFlowConfig {
    fn whole(&self) -> f64 {
        self.whole.unwrap_or(if self.rule == MeanRule::Split { 0.25 } else { 0.0 })
    }
}

/// Added to squared errors in their weight.
const FLOOR: f64 = 1e-3;

/// The mean velocity and its optimiser.
pub struct MeanFlowState {
    model: LeapModel,
    adam: Adam,
    jet: Jet,
}

/// A time t and a later one r, the same where the pair learns the velocity.
fn times(c: &MeanFlowConfig, rng: &mut dyn Rng) -> (f64, f64) {
    let mut draw = || match c.time_spread {
        Some(spread) => {
            let z: f64 = StandardNormal.sample(rng);
            1.0 / (1.0 + (c.time_mean + spread * z).exp())
        }
        None => rng.random(),
    };
    let (a, b) = (draw(), draw());
    let apart = rng.random::<f64>() < c.apart;
    if apart && rng.random::<f64>() < c.whole() {
        let k = rng.random_range(0..c.steps as u64) as f64;
        return (k / c.steps as f64, (k + 1.0) / c.steps as f64);
    }
    (if apart { a.min(b) } else { a }, if apart { a.max(b) } else { a })
}

/// The mean velocity over the stretches of a batch, from those over their two parts; the velocity `v` of the pairs where a
/// stretch has length zero. The place between is drawn from `rng`.
fn split(
    model: &LeapModel,
    (t, r): (&Tensor, &Tensor),
    x: &Tensor,
    v: &Tensor,
    rng: &mut dyn Rng,
) -> Result<Tensor> {
    let (kind, device) = model.params.options();
    let part = Points::from_line((0..x.size()[0]).map(|_| rng.random()).collect());
    let part = to_tensor(&part, kind, device)?;
    no_grad(|| {
        let s = t + (r - t) * &part;
        let first = model.mean_velocity(t, &s, x);
        let second = model.mean_velocity(&s, r, &(x + (&s - t) * &first));
        // first + (1 − part)(second − first)
        Ok(second.f_lerp_tensor(&first, &part)?.f_where_self(&r.f_gt_tensor(t)?, v)?)
    })
}

impl Method for MeanFlow {
    const NAME: &'static str = "mean_flow";
    const ABOUT: &'static str =
        "mean velocities over stretches of time: one evaluation a sample (arXiv 2505.13447, 2507.16884)";
    type Config = MeanFlowConfig;
    type State = MeanFlowState;

    fn init(c: &MeanFlowConfig, target: &dyn Source, setup: &Setup) -> Result<MeanFlowState> {
        check_count("batch", c.batch)?;
        check_count("coupling_batch", c.coupling_batch.unwrap_or(1))?;
        c.coupling.check()?;
        if matches!(c.coupling, CouplingConfig::Schrodinger { .. }) {
            let must = "independent, optimal or entropic: the mean velocity is that along lines";
            return Err(Error::choice("coupling", &c.coupling, must));
        }
        check_range("apart", c.apart, 0.0..=1.0, "between 0 and 1")?;
        check_range("whole", c.whole(), 0.0..=1.0, "between 0 and 1")?;
        check_range("time_mean", c.time_mean, .., "finite")?;
        if let Some(spread) = c.time_spread {
            check_range("time_spread", spread, f64::MIN_POSITIVE.., "finite and positive")?;
        }
        check_range("power", c.power, 0.0.., "finite and not negative")?;
        target.batch(c.batch, &mut setup.seed.rng())?;
        let about = LeapAbout {
            method: MeanFlow::NAME.to_owned(),
            net: c.net.clone(),
            leap: Leap::Mean {},
            steps: c.steps,
            scaler: Scaler::of(target, c.standardise, setup.seed.named("scaler"))?,
        };
        let model = LeapModel::new(about, setup)?;
        let adam = Adam::new(&c.optim, &model.params)?;
        Ok(MeanFlowState { model, adam, jet: Jet::default() })
    }

    fn step(c: &MeanFlowConfig, s: &mut MeanFlowState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let lesson = lesson(c, s, target, at)?;
        match s.model.mean_input(&lesson.t, &lesson.r, &lesson.x) {
            Some((net, input)) => {
                let n = c.batch as i64;
                let input = match &lesson.answer {
                    Answer::Along(velocity) => {
                        let along = s.model.mean_input_along(&lesson.t, &lesson.r, velocity);
                        Tensor::f_cat(&[&input, &along], 0)?
                    }
                    Answer::Known(_) => input,
                };
                let said = s.jet.forward(net, &s.model.params, &input, c.batch)?;
                let (value, d_out) = no_grad(|| {
                    let slope = (said.size()[0] > n).then(|| said.narrow(0, n, n));
                    let gap = said.f_narrow(0, 0, n)? - lesson.answer(slope.as_ref());
                    let (error, weight) = weighted(&gap, c.power);
                    Ok::<_, crate::Error>((
                        scalar(&error.mean(error.kind()))?,
                        gap * weight * (2.0 / n as f64),
                    ))
                })?;
                if value.is_finite() {
                    let _ = s.jet.backward(net, &s.model.params, &d_out, s.adam.gradient(), false)?;
                    s.adam.descend(&mut s.model.params, at.step, at.steps)?;
                }
                Ok(value)
            }
            None => by_graph(c, s, &lesson, at),
        }
    }

    fn generator(_: &MeanFlowConfig, s: &MeanFlowState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.model.duplicate()?))
    }
}

/// The stretches of a step, where they begin, and what u is regressed on.
struct Lesson {
    t: Tensor,
    r: Tensor,
    x: Tensor,
    /// x₁ − x₀.
    v: Tensor,
    answer: Answer,
}

enum Answer {
    /// v + (r − t) times the derivative of u along this velocity.
    Along(Tensor),
    /// What is known before u is asked.
    Known(Tensor),
}

impl Lesson {
    /// The answer, given the derivative of u where that takes part.
    fn answer(&self, slope: Option<&Tensor>) -> Tensor {
        match (&self.answer, slope) {
            (Answer::Known(answer), _) => answer.shallow_clone(),
            (_, Some(slope)) => &self.v + slope * (&self.r - &self.t),
            (_, None) => self.v.shallow_clone(),
        }
    }
}

fn lesson(c: &MeanFlowConfig, s: &MeanFlowState, target: &dyn Source, at: &Moment) -> Result<Lesson> {
    let (kind, device) = s.model.params.options();
    let x1 = s.model.about().scaler.standardise(target.batch(c.batch, &mut at.rng("target"))?);
    let x0 = Noise::new(Law::Gaussian, x1.dim())?.sample(c.batch, &mut at.rng("noise"));
    let mut rng = at.rng("times");
    let (t, r): (Vec<f64>, Vec<f64>) = (0..c.batch).map(|_| times(c, &mut rng)).unzip();
    let tensor = |p: &Points| to_tensor(p, kind, device);
    let group = c.coupling_batch.unwrap_or(c.batch);
    let pairs = c.coupling.pairs(x0, x1, group, at.seed("pairs"))?;
    let (x0, x1) = (tensor(&pairs.x0)?, tensor(&pairs.x1)?);
    let (t, r) = (tensor(&Points::from_line(t))?, tensor(&Points::from_line(r))?);
    let v = x1 - &x0;
    let x = x0 + &v * &t;
    let answer = match c.rule {
        MeanRule::Conditional => Answer::Along(v.shallow_clone()),
        MeanRule::Marginal => Answer::Along(no_grad(|| s.model.mean_velocity(&t, &t, &x))),
        MeanRule::Split => Answer::Known(split(&s.model, (&t, &r), &x, &v, &mut at.rng("between"))?),
    };
    Ok(Lesson { t, r, x, v, answer })
}

/// The squared errors, n×1, and their weights.
fn weighted(gap: &Tensor, power: f64) -> (Tensor, Tensor) {
    let error = gap.square().sum_dim_intlist(1, true, gap.kind());
    let weight = (error.detach() + FLOOR).pow_tensor_scalar(-power);
    (error, weight)
}

/// The step by automatic differentiation, for any network.
fn by_graph(c: &MeanFlowConfig, s: &mut MeanFlowState, lesson: &Lesson, at: &Moment) -> Result<f64> {
    let Lesson { t, r, x, .. } = lesson;
    let gap = match &lesson.answer {
        Answer::Along(velocity) => {
            // Along the flow t runs and r stands.
            let f = |y: &[Tensor]| Ok(s.model.mean_velocity(&y[0], r, &y[1]));
            let (u, slope) = jvp(f, &[t, x], &[&t.ones_like(), velocity])?;
            u - lesson.answer(Some(&slope))
        }
        Answer::Known(answer) => s.model.mean_velocity(t, r, x) - answer,
    };
    let (error, weight) = weighted(&gap, c.power);
    let value = scalar(&error.mean(error.kind()))?;
    if value.is_finite() {
        s.adam.step(&mut s.model.params, &(error * weight).mean(gap.kind()), at.step, at.steps)?;
    }
    Ok(value)
}

impl Persist for MeanFlowState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("adam", &mut self.adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::load;
    use crate::source::Draws;
    use crate::tensor::values;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};
    use tch::{Device, Kind};

    /// A perceptron's step without a graph has the gradient of the step with one, whatever the rule.
    #[test]
    fn steps_without_a_graph_are_those_with_one() {
        let target = Draws::new(Gaussian::isotropic(&[1.0, 0.0], 0.5).unwrap(), "plane");
        for rule in [MeanRule::Conditional, MeanRule::Marginal, MeanRule::Split] {
            for power in [0.0, 0.5] {
                let net = FieldConfig { widths: vec![8, 8], ..FieldConfig::default() };
                let c = MeanFlowConfig { net, rule, power, batch: 16, ..MeanFlowConfig::default() };
                let setup = Setup { kind: Kind::Double, device: Device::Cpu, seed: Seed::new(3) };
                let at = Moment::new(0, 10, Seed::new(4));
                let after = |graph: bool| {
                    let mut s = MeanFlow::init(&c, &target, &setup).unwrap();
                    let value = if graph {
                        let lesson = lesson(&c, &s, &target, &at).unwrap();
                        by_graph(&c, &mut s, &lesson, &at).unwrap()
                    } else {
                        MeanFlow::step(&c, &mut s, &target, &at).unwrap()
                    };
                    (value, values(s.adam.mean()).unwrap())
                };
                let ((a, ours), (b, expected)) = (after(false), after(true));
                let scale = expected.iter().fold(0.0f64, |m, g| m.max(g.abs()));
                let gap = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!((a - b).abs() < 1e-12 && gap < 1e-12 * scale, "{rule:?} {power}: {gap:e} of {scale}");
            }
        }
    }

    /// The flow to a Gaussian is linear, and known: one leap finds it, and so do four. (Over the whole of time the identity's two
    /// rules are slow: there one leap has a standard deviation of .31 and .34 for .5 after as many steps.)
    #[test]
    fn one_leap_is_the_map_of_the_flow() {
        let (mean, sd) = (1.0, 0.5);
        let target = Draws::new(Gaussian::isotropic(&[mean], sd).unwrap(), "line");
        let config = MeanFlowConfig {
            net: FieldConfig { widths: vec![32, 32], ..FieldConfig::default() },
            optim: OptimConfig { lr: 5e-3, ..MeanFlowConfig::default().optim },
            batch: 256,
            standardise: false,
            ..MeanFlowConfig::default()
        };
        let train = TrainConfig { steps: 4000, ema: Some(0.99), ..TrainConfig::default() };
        for (steps, within) in [(1, 0.15), (4, 0.1)] {
            let config = MeanFlowConfig { steps, ..config.clone() };
            let mut run = Trainer::<MeanFlow>::new(config, train.clone(), &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            let model = run.generator().unwrap();
            assert_eq!(model.evaluations(), steps as u64);
            let z = Points::from_line(vec![-1.5, -0.5, 0.0, 1.0, 2.0]);
            let x = model.map().unwrap().apply(&z).unwrap();
            for (x, z) in x.rows().zip(z.rows()) {
                assert!((x[0] - (mean + sd * z[0])).abs() < within, "{steps}: {x:?} from {z:?}");
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.safetensors");
            model.save(&path).unwrap();
            let loaded = load(&path).unwrap();
            assert_eq!(loaded.generate(9, Seed::new(1)).unwrap(), model.generate(9, Seed::new(1)).unwrap());
        }
    }

    #[test]
    fn times_are_in_order_and_as_often_apart_as_asked() {
        let c = MeanFlowConfig { apart: 0.25, whole: Some(0.0), ..MeanFlowConfig::default() };
        let mut rng = Seed::new(1).rng();
        let all: Vec<(f64, f64)> = (0..10_000).map(|_| times(&c, &mut rng)).collect();
        assert!(all.iter().all(|(t, r)| 0.0 < *t && t <= r && *r < 1.0));
        let apart = all.iter().filter(|(t, r)| t < r).count() as f64;
        assert!((apart - 2500.0).abs() < 5.0 * (10_000f64 * 0.25 * 0.75).sqrt());
    }

    /// The better the plan the shorter the paths; bridges, which are no lines, are refused.
    #[test]
    fn the_coupling_straightens_what_is_learned_and_bridges_are_refused() {
        let target = Draws::new(Gaussian::isotropic(&[3.0, 0.0], 0.5).unwrap(), "plane");
        let setup = Setup { kind: Kind::Double, device: Device::Cpu, seed: Seed::new(3) };
        let at = Moment::new(0, 10, Seed::new(4));
        // The mean square of x₁ − x₀ is least for the optimal plan.
        let length = |coupling| {
            let c = MeanFlowConfig {
                coupling,
                coupling_batch: Some(32),
                batch: 64,
                standardise: false,
                ..MeanFlowConfig::default()
            };
            let s = MeanFlow::init(&c, &target, &setup).unwrap();
            scalar(&lesson(&c, &s, &target, &at).unwrap().v.square().mean(Kind::Double)).unwrap()
        };
        let (optimal, entropic) =
            (length(CouplingConfig::Optimal {}), length(CouplingConfig::Entropic { epsilon: 0.1 }));
        let independent = length(CouplingConfig::Independent {});
        assert!(optimal < entropic && entropic < independent, "{optimal} {entropic} {independent}");
        let c = MeanFlowConfig {
            coupling: CouplingConfig::Schrodinger { sigma: 1.0 },
            ..MeanFlowConfig::default()
        };
        let error = MeanFlow::init(&c, &target, &setup).err().unwrap().to_string();
        assert!(error.starts_with("coupling = "), "{error}");
        let c = MeanFlowConfig { coupling_batch: Some(0), ..MeanFlowConfig::default() };
        assert!(
            MeanFlow::init(&c, &target, &setup).err().unwrap().to_string().starts_with("coupling_batch = 0")
        );
    }
}
