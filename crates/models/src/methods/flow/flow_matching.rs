//! Flow matching: regress a velocity on the velocities of paths between pairs.

use crate::bridge::regression;
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{FlowAbout, FlowModel, Generator, SolverConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::{PathConfig, Prediction, path::check_cut};
use crate::nets::FieldConfig;
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use divergences::transport::{NormPower, Sinkhorn, mean_cost, solve};
use flows::Clock;
use flows::path::{Interpolant, Pairs};
use measures::rand::RngExt;
use measures::{Coupling, Empirical, Points, Sample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Learns v by minimising E‖v_t(x_t) − ẋ_t‖² over pairs (x₀, x₁) and times t, where x_t = α(t) x₁ + σ(t) x₀ (plus a
/// constant noise): its minimiser E[ẋ_t | x_t] is the velocity that carries the law of x_t through eq. (6).
///
/// Independent pairs: Lipman et al. 2023, arXiv 2210.02747; Albergo and Vanden-Eijnden 2023, arXiv 2209.15571. Pairs of a
/// plan within a batch straighten the paths (OT-CFM): Tong et al. 2024, arXiv 2302.00482; Pooladian et al. 2023,
/// arXiv 2304.14772. With a starting measure ([`Source::start`]) it carries that to the target, noise otherwise.
pub struct FlowMatching;

/// Which x₀ goes with which x₁.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum CouplingConfig {
    /// Any with any.
    Independent {},
    /// Drawn from the optimal plan for ½‖x₀ − x₁‖² within batches.
    Optimal {},
    /// Drawn from the entropic plan for that cost within batches: straighter than independent pairs, and faster to find
    /// than the optimal plan.
    Entropic {
        /// The temperature as a multiple of the mean cost between the two batches.
        epsilon: f64,
    },
}

impl Default for CouplingConfig {
    fn default() -> Self {
        CouplingConfig::Optimal {}
    }
}

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
    /// How generation follows the velocity.
    pub solver: SolverConfig,
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
            solver: SolverConfig::default(),
        }
    }
}

/// The velocity and its optimiser.
pub struct FlowMatchingState {
    model: FlowModel,
    adam: Adam,
}

impl Method for FlowMatching {
    const NAME: &'static str = "flow_matching";
    const ABOUT: &'static str =
        "velocity of straight or curved paths between coupled pairs (arXiv 2210.02747, 2302.00482)";
    type Config = FlowMatchingConfig;
    type State = FlowMatchingState;

    fn init(c: &FlowMatchingConfig, target: &dyn Source, setup: &Setup) -> Result<FlowMatchingState> {
        check_count("batch", c.batch)?;
        check_count("coupling_batch", c.coupling_batch.unwrap_or(1))?;
        check_range("sigma", c.sigma, 0.0.., "finite and not negative")?;
        check_cut(c.cut)?;
        if let CouplingConfig::Entropic { epsilon } = c.coupling {
            check_range("coupling.epsilon", epsilon, f64::MIN_POSITIVE.., "finite and positive")?;
        }
        if matches!(c.path, PathConfig::VarianceExploding { .. }) && target.start().is_some() {
            let must = "a path that ends in its starting measure: linear, trigonometric, cosine, variance_preserving";
            return Err(Error::setting("path", "variance_exploding", must));
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
        };
        let model = FlowModel::new(about, setup)?;
        let adam = Adam::new(&c.optim, &model.params)?;
        Ok(FlowMatchingState { model, adam })
    }

    fn step(
        c: &FlowMatchingConfig,
        s: &mut FlowMatchingState,
        target: &dyn Source,
        at: &Moment,
    ) -> Result<f64> {
        let pairs = pairs(c, s.model.about(), target, at)?;
        let (low, high) = s.model.span();
        let mut rng = at.rng("times");
        let times: Vec<f64> = (0..c.batch).map(|_| low + (high - low) * rng.random::<f64>()).collect();
        let interpolant = Interpolant::new(s.model.schedule());
        let mut draw = interpolant.draw(Clock::Each(&times), &pairs.x0, &pairs.x1, at.seed("latent"))?;
        if c.sigma > 0.0 {
            let noise = Noise::new(Law::Gaussian, draw.x.dim())?.sample(c.batch, &mut at.rng("blur"));
            let x = draw.x.as_mut_slice().iter_mut().zip(noise.as_slice());
            x.for_each(|(x, z)| *x += c.sigma * z);
        }
        let (kind, device) = s.model.params.options();
        let tensor = |p: &Points| to_tensor(p, kind, device);
        let said = s.model.forward(&times, &tensor(&draw.x)?)?;
        let loss = regression(&said, &tensor(&draw.velocity)?)?;
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.adam.step(&mut s.model.params, &loss, at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &FlowMatchingConfig, s: &FlowMatchingState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.model.duplicate()?))
    }
}

/// `batch` pairs in standard coordinates.
fn pairs(c: &FlowMatchingConfig, about: &FlowAbout, target: &dyn Source, at: &Moment) -> Result<Pairs> {
    let group = match c.coupling {
        CouplingConfig::Independent {} => c.batch,
        CouplingConfig::Optimal {} | CouplingConfig::Entropic { .. } => c.coupling_batch.unwrap_or(c.batch),
    };
    // Whole groups, so that every plan is between the same number of points.
    let n = c.batch.next_multiple_of(group.min(c.batch)).max(group);
    let x1 = about.scaler.standardise(target.batch(n.min(target.len().unwrap_or(n)), &mut at.rng("target"))?);
    let n = x1.len();
    let x0 = match (target.start(), &about.start) {
        (Some(start), Some(scaler)) => scaler.standardise(start.batch(n, &mut at.rng("noise"))?),
        _ => Noise::new(Law::Gaussian, about.scaler.dim())?.sample(n, &mut at.rng("noise")),
    };
    let mut pairs = match c.coupling {
        CouplingConfig::Independent {} => Pairs::aligned(x0, x1)?,
        CouplingConfig::Optimal {} => Pairs::minibatch(&x0, &x1, group, optimal, at.seed("pairs"))?,
        CouplingConfig::Entropic { epsilon } => {
            let couple = |a: &Points, b: &Points| entropic(epsilon, a, b);
            Pairs::minibatch(&x0, &x1, group, couple, at.seed("pairs"))?
        }
    };
    if n > c.batch {
        let rows: Vec<usize> = (0..c.batch).collect();
        pairs.x0 = pairs.x0.select(&rows);
        pairs.x1 = pairs.x1.select(&rows);
    }
    Ok(pairs)
}

fn optimal(x0: &Points, x1: &Points) -> measures::Result<Coupling> {
    let (mu, nu) = (Empirical::uniform(x0.clone())?, Empirical::uniform(x1.clone())?);
    Ok(solve(&mu, &nu, &NormPower::half_squared_euclidean())?.plan)
}

fn entropic(epsilon: f64, x0: &Points, x1: &Points) -> measures::Result<Coupling> {
    let (mu, nu) = (Empirical::uniform(x0.clone())?, Empirical::uniform(x1.clone())?);
    let cost = NormPower::half_squared_euclidean();
    let temperature = epsilon * mean_cost(&mu, &nu, &cost)?;
    Sinkhorn::new(temperature)?
        .tolerance(1e-3)
        .max_iterations(500)
        .solve(&mu, &nu, &cost)?
        .plan(&mu, &nu, &cost)
}

impl Persist for FlowMatchingState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("adam", &mut self.adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Between, Draws};
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};

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

    #[test]
    fn plans_may_be_larger_or_smaller_than_batches() {
        let target = Draws::new(Gaussian::standard(2), "plane");
        let setup = Setup { kind: tch::Kind::Float, device: tch::Device::Cpu, seed: Seed::new(0) };
        for (batch, coupling_batch) in [(64, None), (64, Some(16)), (64, Some(256)), (60, Some(16))] {
            let c = FlowMatchingConfig { batch, coupling_batch, ..FlowMatchingConfig::default() };
            let s = FlowMatching::init(&c, &target, &setup).unwrap();
            let at = Moment::new(3, 10, Seed::new(1));
            let found = pairs(&c, s.model.about(), &target, &at).unwrap();
            assert_eq!((found.x0.len(), found.x1.len()), (batch, batch));
            let distance = |p: &Pairs| -> f64 {
                p.x0.rows().zip(p.x1.rows()).map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sum()
            };
            let free = FlowMatchingConfig { coupling: CouplingConfig::Independent {}, ..c };
            let independent = pairs(&free, s.model.about(), &target, &at).unwrap();
            assert!(distance(&found) < 0.5 * distance(&independent));
            let soft = FlowMatchingConfig { coupling: CouplingConfig::Entropic { epsilon: 0.05 }, ..free };
            let entropic = pairs(&soft, s.model.about(), &target, &at).unwrap();
            assert!(distance(&entropic) < 0.7 * distance(&independent));
        }
    }
}
