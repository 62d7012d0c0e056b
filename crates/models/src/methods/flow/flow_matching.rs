//! Flow matching: regress a velocity on the velocities of paths between pairs.

use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{ConditionAbout, FlowAbout, Generator, GuidanceConfig, SamplerConfig, SolverConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::latent::{descend, residuals};
use crate::methods::flow::{CouplingConfig, FlowState, PathConfig, Prediction, path::check_cut};
use crate::nets::FieldConfig;
use crate::noise::{Law, Noise};
use crate::optim::OptimConfig;
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::to_tensor;
use flows::Clock;
use flows::path::{Interpolant, Pairs};
use measures::rand::RngExt;
use measures::{Points, Sample, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Learns v by minimising E‖v_t(x_t) − ẋ_t‖² over pairs (x₀, x₁) and times t, where x_t = α(t) x₁ + σ(t) x₀ (plus a
/// constant noise): its minimiser E[ẋ_t | x_t] is the velocity that carries the law of x_t through eq. (6).
///
/// Independent pairs: Lipman et al. 2023, arXiv 2210.02747; Albergo and Vanden-Eijnden 2023, arXiv 2209.15571. Pairs of a
/// plan within a batch straighten the paths (OT-CFM): Tong et al. 2024, arXiv 2302.00482; Pooladian et al. 2023,
/// arXiv 2304.14772. With a starting measure ([`Source::start`]) it carries that to the target, noise otherwise.
///
/// With pairs of the Schrödinger bridge, x_t = (1 − t)x₀ + t x₁ + σ√(t(1 − t)) z, a second network learns E\[z | x_t\], hence the
/// score, and the bridge can be followed as the flow v or as the diffusion dX = (v + ½σ²∇log ρ) dt + σ dB: Tong et al. 2023,
/// *Simulation-free Schrödinger bridges via score and flow matching*, arXiv 2307.03672.
pub struct FlowMatching;

/// Settings of `flow_matching`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlowMatchingConfig {
    /// The network of the velocity.
    pub net: FieldConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Pairs a step.
    pub batch: usize,
    /// The path between the points of a pair.
    pub path: PathConfig,
    /// Which points are paired.
    pub coupling: CouplingConfig,
    /// Points of each measure between which a plan is found; absent, as many as pairs a step.
    pub coupling_batch: Option<usize>,
    /// Standard deviation of a constant noise on x_t.
    pub sigma: f64,
    /// Distance kept from both ends of the path.
    pub cut: f64,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
    /// How labels or vectors that come with the points are learned; without effect where none do.
    pub guidance: GuidanceConfig,
    /// How generation follows the velocity.
    pub solver: SolverConfig,
    /// How noise becomes data: along the flow by `solver`, or, where the score is known (independent pairs with noise, or the
    /// Schrödinger bridge), by an exponential integrator or along a diffusion.
    pub sampler: SamplerConfig,
}

impl Default for FlowMatchingConfig {
    fn default() -> Self {
        FlowMatchingConfig {
            net: FieldConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            path: PathConfig::default(),
            coupling: CouplingConfig::default(),
            coupling_batch: None,
            sigma: 0.0,
            cut: 0.0,
            standardise: true,
            guidance: GuidanceConfig::default(),
            solver: SolverConfig::default(),
            sampler: SamplerConfig::default(),
        }
    }
}

impl FlowMatchingConfig {
    /// σ of the Schrödinger bridge, where that is what is learned.
    fn bridge(&self) -> Option<f64> {
        match self.coupling {
            CouplingConfig::Schrodinger { sigma } => Some(sigma),
            _ => None,
        }
    }

    fn check(&self, target: &dyn Source) -> Result<()> {
        check_count("batch", self.batch)?;
        check_count("coupling_batch", self.coupling_batch.unwrap_or(1))?;
        check_range("sigma", self.sigma, 0.0.., "finite and not negative")?;
        check_cut(self.cut)?;
        self.coupling.check()?;
        match self.coupling {
            CouplingConfig::Schrodinger { .. } => {
                if self.path != (PathConfig::Linear {}) {
                    let must = "linear: Brownian bridges lie about straight lines";
                    return Err(Error::choice("path", &self.path, must));
                }
                if self.sigma > 0.0 {
                    let must = "0: the bridge has a noise of its own, coupling.sigma";
                    return Err(Error::setting("sigma", self.sigma, must));
                }
            }
            CouplingConfig::Independent {} if self.sigma == 0.0 && target.start().is_none() => {}
            _ if self.sampler.needs_score() => {
                let must = "flow: only independent pairs with noise (sigma = 0), and coupling = schrodinger, have a score";
                return Err(Error::choice("sampler", &self.sampler, must));
            }
            _ => {}
        }
        if matches!(self.path, PathConfig::VarianceExploding { .. }) && target.start().is_some() {
            let must = "a path that ends in its starting measure: linear, trigonometric, cosine, variance_preserving";
            return Err(Error::setting("path", "variance_exploding", must));
        }
        Ok(())
    }
}

impl Method for FlowMatching {
    const NAME: &'static str = "flow_matching";
    const ABOUT: &'static str =
        "velocity of straight or curved paths between coupled pairs (arXiv 2210.02747, 2302.00482)";
    const CONDITIONAL: bool = true;
    type Config = FlowMatchingConfig;
    type State = FlowState;

    fn init(c: &FlowMatchingConfig, target: &dyn Source, setup: &Setup) -> Result<FlowState> {
        c.check(target)?;
        let vectors = target.condition().is_some_and(|condition| condition.classes().is_none());
        if vectors && !matches!(c.coupling, CouplingConfig::Independent {}) {
            let must = "independent, where points come with vectors: a plan would tie the noise to them";
            return Err(Error::choice("coupling", &c.coupling, must));
        }
        if c.bridge().is_some() && target.condition().is_some() {
            let must = "independent, optimal or entropic, where points come with labels";
            return Err(Error::choice("coupling", &c.coupling, must));
        }
        let scaler = Scaler::of(target, c.standardise, setup.seed.named("scaler"))?;
        // Both measures in the coordinates of the target, so that distances, and straight lines, mean the same.
        let start = target.start().map(|_| scaler.clone());
        target.batch(c.batch, &mut setup.seed.rng())?;
        if let Some(start) = target.start() {
            start.batch(c.batch, &mut setup.seed.rng())?;
        }
        let about = FlowAbout {
            method: FlowMatching::NAME.to_owned(),
            net: c.net.clone(),
            path: c.path,
            prediction: Prediction::Velocity,
            solver: c.solver,
            cut: c.cut,
            scaler,
            start,
            latent: c.bridge(),
            sampler: c.sampler,
            condition: ConditionAbout::of(target.condition(), c.guidance)?,
        };
        FlowState::new(about, &c.optim, setup)
    }

    fn step(c: &FlowMatchingConfig, s: &mut FlowState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let (pairs, given) = pairs(c, s.model.about(), target, at)?;
        let told = s.model.lesson(given.as_ref(), at)?;
        let (low, high) = s.model.span();
        let mut rng = at.rng("times");
        let times: Vec<f64> = (0..c.batch).map(|_| low + (high - low) * rng.random::<f64>()).collect();
        let (kind, device) = s.model.params.options();
        let tensor = |p: &Points| to_tensor(p, kind, device);
        if c.bridge().is_some() {
            let z = Noise::new(Law::Gaussian, pairs.x0.dim())?.sample(c.batch, &mut at.rng("latent"));
            let (slope, noise) =
                residuals(&s.model, &times, &tensor(&pairs.x0)?, &tensor(&pairs.x1)?, &tensor(&z)?)?;
            return descend(&mut s.model, (&mut s.adam, &mut s.denoiser_adam), (&slope, &noise), at);
        }
        let interpolant = Interpolant::new(s.model.schedule());
        let mut draw = interpolant.draw(Clock::Each(&times), &pairs.x0, &pairs.x1, at.seed("latent"))?;
        if c.sigma > 0.0 {
            let noise = Noise::new(Law::Gaussian, draw.x.dim())?.sample(c.batch, &mut at.rng("blur"));
            let x = draw.x.as_mut_slice().iter_mut().zip(noise.as_slice());
            x.for_each(|(x, z)| *x += c.sigma * z);
        }
        let (x, velocity) = (tensor(&draw.x)?, tensor(&draw.velocity)?);
        let value =
            s.model.regress(&times, (&x, told.as_ref()), &velocity, &mut s.pass, s.adam.gradient())?;
        if value.is_finite() {
            s.adam.descend(&mut s.model.params, at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &FlowMatchingConfig, s: &FlowState) -> Result<Box<dyn Generator>> {
        s.generator()
    }
}

/// `batch` pairs in standard coordinates, and the conditions of their second points.
///
/// A plan over the whole batch would tie the noise to the condition, and generation, which begins with noise that knows of
/// none, would begin elsewhere. So plans are found among the points of each label by itself.
fn pairs(
    c: &FlowMatchingConfig,
    about: &FlowAbout,
    target: &dyn Source,
    at: &Moment,
) -> Result<(Pairs, Option<Points>)> {
    let group = match c.coupling {
        CouplingConfig::Independent {} => c.batch,
        _ => c.coupling_batch.unwrap_or(c.batch),
    };
    // Whole groups, so that every plan is between the same number of points.
    let n = c.batch.next_multiple_of(group.min(c.batch)).max(group);
    let (x1, given) = target.batch_given(n.min(target.len().unwrap_or(n)), &mut at.rng("target"))?;
    let (n, x1) = (x1.len(), about.scaler.standardise(x1));
    let x0 = match (target.start(), &about.start) {
        (Some(start), Some(scaler)) => scaler.standardise(start.batch(n, &mut at.rng("noise"))?),
        _ => Noise::new(Law::Gaussian, about.scaler.dim())?.sample(n, &mut at.rng("noise")),
    };
    let seed = at.seed("pairs");
    let (mut pairs, mut given) = match given {
        Some(given) if !matches!(c.coupling, CouplingConfig::Independent {}) => {
            let (pairs, given) = by_label(&x0, &x1, &given, |x0, x1, label| {
                c.coupling.pairs(x0, x1, group, seed.child(label))
            })?;
            // In the order of the labels until here: the first pairs of a larger batch must not be of the first labels.
            let rows = shuffled(n, seed.named("order"));
            (Pairs::aligned(pairs.x0.select(&rows), pairs.x1.select(&rows))?, Some(given.select(&rows)))
        }
        given => (c.coupling.pairs(x0, x1, group, seed)?, given),
    };
    if n > c.batch {
        let rows: Vec<usize> = (0..c.batch).collect();
        pairs.x0 = pairs.x0.select(&rows);
        pairs.x1 = pairs.x1.select(&rows);
        given = given.map(|given| given.select(&rows));
    }
    Ok((pairs, given))
}

/// Pairs found among the points of each label by itself, in the order of the labels.
fn by_label(
    x0: &Points,
    x1: &Points,
    given: &Points,
    couple: impl Fn(Points, Points, u64) -> Result<Pairs>,
) -> Result<(Pairs, Points)> {
    let mut rows_of = BTreeMap::<u64, Vec<usize>>::new();
    for (i, label) in given.rows().enumerate() {
        rows_of.entry(label[0] as u64).or_default().push(i);
    }
    let (mut first, mut second, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (label, rows) in rows_of {
        let pairs = couple(x0.select(&rows), x1.select(&rows), label)?;
        labels.extend(std::iter::repeat_n(label as f64, pairs.x0.len()));
        first.extend(pairs.x0.into_vec());
        second.extend(pairs.x1.into_vec());
    }
    let joined = Pairs::aligned(Points::from_raw(x0.dim(), first), Points::from_raw(x1.dim(), second))?;
    Ok((joined, Points::from_line(labels)))
}

/// 0, 1, …, n − 1 in random order.
fn shuffled(n: usize, seed: Seed) -> Vec<usize> {
    let (mut order, mut rng): (Vec<usize>, _) = ((0..n).collect(), seed.rng());
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i as u64) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::SdeRule;
    use crate::methods::flow::latent::Latent;
    use crate::optim::Schedule;
    use crate::source::{Between, Draws};
    use crate::tensor::to_points;
    use crate::train::{TrainConfig, Trainer, Watch};
    use flows::VelocityField;
    use flows::field::TimeScore;
    use flows::path::GaussianBridge;
    use measures::{Map, zoo::Gaussian};

    /// Between two Gaussians that differ by a shift, paired by the plan, the velocity is the shift.
    #[test]
    fn a_shift_is_learned_and_inverted() {
        let start = Draws::new(Gaussian::isotropic(&[-3.0, 0.0], 0.5).unwrap(), "start");
        let target = Draws::new(Gaussian::isotropic(&[1.0, 2.0], 0.5).unwrap(), "end");
        let both = Between::new(start, target).unwrap();
        let config = FlowMatchingConfig { batch: 128, standardise: false, ..FlowMatchingConfig::default() };
        let train = TrainConfig { steps: 300, ema: None, ..TrainConfig::default() };
        let mut run = Trainer::<FlowMatching>::new(config, train, &both).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        let model = run.generator().unwrap();
        let z = Points::from_rows(&[[-3.0, 0.0], [-3.4, 0.3], [-2.7, -0.2]]);
        let x = model.map().unwrap().apply(&z).unwrap();
        for (x, z) in x.rows().zip(z.rows()) {
            assert!((x[0] - z[0] - 4.0).abs() < 0.25 && (x[1] - z[1] - 2.0).abs() < 0.25, "{x:?} {z:?}");
        }
        assert!(matches!(model.generate(1, Seed::new(0)), Err(Error::Undefined { .. })));
        assert_eq!(model.evaluations(), 100);
    }

    /// Between two Gaussians the Schrödinger bridge is known: its velocity, its score, and how far its ends hang together.
    #[test]
    fn the_bridge_between_gaussians_is_found() {
        let (from, to) =
            (Gaussian::isotropic(&[-1.0], 1.0).unwrap(), Gaussian::isotropic(&[1.0], 0.5).unwrap());
        let sigma = 0.8;
        let exact = GaussianBridge::new(&from, &to, sigma * sigma).unwrap();
        let both = Between::new(Draws::new(from.clone(), "start"), Draws::new(to, "end")).unwrap();
        let config = FlowMatchingConfig {
            net: FieldConfig { widths: vec![32, 32], ..FieldConfig::default() },
            optim: OptimConfig {
                lr: 5e-3,
                schedule: Schedule::Cosine { floor: 0.0 },
                ..OptimConfig::default()
            },
            batch: 256,
            coupling: CouplingConfig::Schrodinger { sigma },
            standardise: false,
            sampler: SamplerConfig::Sde { scheme: SdeRule::Heun, steps: 100, level: 1.0 },
            ..FlowMatchingConfig::default()
        };
        let train = TrainConfig { steps: 700, ema: Some(0.99), ..TrainConfig::default() };
        let mut run = Trainer::<FlowMatching>::new(config.clone(), train, &both).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        let model = &run.state().model;
        let (mut v_gap, mut s_gap) = (0.0f64, 0.0f64);
        for u in [0.2, 0.5, 0.8] {
            let t = Latent::time(u);
            let law = exact.law(t).unwrap();
            let sd = law.covariance()[(0, 0)].sqrt();
            let x = Points::from_line([-1.0, 0.0, 1.0].map(|z| law.mean()[0] + z * sd).to_vec());
            let (mut v, mut s) = (x.clone(), x.clone());
            exact.velocity(Clock::Shared(t), &x, &mut v).unwrap();
            TimeScore::score(&exact, Clock::Shared(t), &x, &mut s).unwrap();
            let x = to_tensor(&x, tch::Kind::Float, tch::Device::Cpu).unwrap();
            let (ours, score) = (model.velocity(&[u; 3], &x).unwrap(), model.score(&[u; 3], &x).unwrap());
            let (ours, score) = (to_points(&ours).unwrap(), to_points(&score).unwrap());
            for i in 0..3 {
                v_gap = v_gap.max((ours.row(i)[0] - v.row(i)[0] * Latent::rate(u)).abs());
                s_gap = s_gap.max((score.row(i)[0] - s.row(i)[0]).abs() * sd);
            }
        }
        assert!(v_gap < 0.3 && s_gap < 0.2, "{v_gap} {s_gap}");
        // The flow and the diffusion end in the same law; only the diffusion has the plan of the bridge.
        let x0 = from.sample(4000, &mut Seed::new(4).rng());
        let moments = |x1: &Points| {
            let mean = |f: &dyn Fn(usize) -> f64| (0..4000).map(f).sum::<f64>() / 4000.0;
            let (a, b) = (mean(&|i| x0.row(i)[0]), mean(&|i| x1.row(i)[0]));
            let cross = mean(&|i| (x0.row(i)[0] - a) * (x1.row(i)[0] - b));
            (b, mean(&|i| (x1.row(i)[0] - b).powi(2)).sqrt(), cross)
        };
        let (mean, sd, cross) = moments(&model.sample_from(&x0, Seed::new(5)).unwrap());
        assert!((mean - 1.0).abs() < 0.08 && (sd - 0.5).abs() < 0.06, "{mean} {sd}");
        assert!(
            (cross - exact.cross_covariance()[(0, 0)]).abs() < 0.08,
            "{cross} {:?}",
            exact.cross_covariance()
        );
        let (mean, sd, cross) = moments(&model.apply(&x0).unwrap());
        assert!((mean - 1.0).abs() < 0.08 && (sd - 0.5).abs() < 0.06, "{mean} {sd}");
        assert!((cross - 0.5).abs() < 0.08, "{cross}");
        let refuse = |c: FlowMatchingConfig| {
            Trainer::<FlowMatching>::new(c, TrainConfig::default(), &both).err().unwrap().to_string()
        };
        let error = refuse(FlowMatchingConfig { coupling: CouplingConfig::Optimal {}, ..config.clone() });
        assert!(error.starts_with("sampler = sde: must be "), "{error}");
        let error = refuse(FlowMatchingConfig { path: PathConfig::Trigonometric {}, ..config.clone() });
        assert!(error.starts_with("path = trigonometric: must be "), "{error}");
        let error =
            refuse(FlowMatchingConfig { coupling: CouplingConfig::Schrodinger { sigma: 0.0 }, ..config });
        assert!(error.starts_with("coupling.sigma = 0"), "{error}");
    }

    #[test]
    fn plans_may_be_larger_or_smaller_than_batches() {
        let target = Draws::new(Gaussian::standard(2), "plane");
        let setup = Setup { kind: tch::Kind::Float, device: tch::Device::Cpu, seed: Seed::new(0) };
        for (batch, coupling_batch) in [(64, None), (64, Some(16)), (64, Some(256)), (60, Some(16))] {
            let c = FlowMatchingConfig { batch, coupling_batch, ..FlowMatchingConfig::default() };
            let s = FlowMatching::init(&c, &target, &setup).unwrap();
            let at = Moment::new(3, 10, Seed::new(1));
            let (found, _) = pairs(&c, s.model.about(), &target, &at).unwrap();
            assert_eq!((found.x0.len(), found.x1.len()), (batch, batch));
            let distance = |p: &Pairs| -> f64 {
                p.x0.rows().zip(p.x1.rows()).map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sum()
            };
            let free = FlowMatchingConfig { coupling: CouplingConfig::Independent {}, ..c };
            let (independent, _) = pairs(&free, s.model.about(), &target, &at).unwrap();
            assert!(distance(&found) < 0.5 * distance(&independent));
            let soft = FlowMatchingConfig { coupling: CouplingConfig::Entropic { epsilon: 0.05 }, ..free };
            let (entropic, _) = pairs(&soft, s.model.about(), &target, &at).unwrap();
            assert!(distance(&entropic) < 0.7 * distance(&independent));
        }
    }
}
