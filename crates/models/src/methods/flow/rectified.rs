//! Rectified flow: straight paths, found by regressing on the pairs that an earlier flow makes.

use crate::error::{Result, check_count, check_range};
use crate::generators::{FlowAbout, FlowModel, Generator, Rule, SamplerConfig, SolverConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::rounds::{Place, Pool, Rounds, with_params};
use crate::methods::flow::{PathConfig, Prediction};
use crate::nets::FieldConfig;
use crate::noise::{Law, Noise};
use crate::optim::{OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::rand::RngExt;
use measures::{Points, Sample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The first round is flow matching on straight lines between independent pairs. Each further round (reflow) takes the pairs
/// (x₀, x₁) that the flow of the round before makes of x₀, and regresses on the lines between them: costs do not rise and paths
/// get straighter, so that few steps of a solver follow them. Liu, Gong and Liu 2023, *Flow straight and fast*, arXiv 2209.03003.
///
/// With a starting measure ([`Source::start`]) it carries that to the target, noise otherwise. What generates is the average of
/// the round at hand, whatever `ema` says.
pub struct Rectified;

/// Settings of `rectified`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RectifiedConfig {
    /// The network of the velocity.
    pub net: FieldConfig,
    /// The optimiser; its schedule begins again with every round.
    pub optim: OptimConfig,
    /// Pairs a step.
    pub batch: usize,
    /// Rounds of reflow after the first flow.
    pub rounds: usize,
    /// The part of the steps that the first flow takes; the rounds share the rest.
    pub first: f64,
    /// Pairs made for each round.
    pub pairs: usize,
    /// How those are made.
    pub pair_solver: SolverConfig,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
    /// How generation follows the velocity.
    pub solver: SolverConfig,
}

impl Default for RectifiedConfig {
    fn default() -> Self {
        RectifiedConfig {
            net: FieldConfig::default(),
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 512,
            rounds: 1,
            first: 0.6,
            pairs: 50_000,
            pair_solver: SolverConfig { steps: Some(25), ..SolverConfig::default() },
            standardise: true,
            solver: SolverConfig { rule: Rule::Midpoint, steps: Some(4), ..SolverConfig::default() },
        }
    }
}

/// The velocity, what passes between rounds, and the pairs of the round.
pub struct RectifiedState {
    model: FlowModel,
    rounds: Rounds,
    pool: Option<Pool>,
}

impl Method for Rectified {
    const NAME: &'static str = "rectified";
    const ABOUT: &'static str = "straight paths by reflow on the pairs of an earlier flow (arXiv 2209.03003)";
    type Config = RectifiedConfig;
    type State = RectifiedState;

    fn init(c: &RectifiedConfig, target: &dyn Source, setup: &Setup) -> Result<RectifiedState> {
        check_count("batch", c.batch)?;
        check_count("pairs", c.pairs)?;
        check_range("first", c.first, f64::MIN_POSITIVE..=1.0, "positive and at most 1")?;
        c.pair_solver.ode::<Points>()?;
        target.batch(c.batch, &mut setup.seed.rng())?;
        if let Some(start) = target.start() {
            start.batch(c.batch, &mut setup.seed.rng())?;
        }
        let scaler = Scaler::of(target, c.standardise, setup.seed.named("scaler"))?;
        // Both measures in the coordinates of the target, so that straight lines mean the same.
        let start = target.start().map(|_| scaler.clone());
        let about = FlowAbout {
            method: Rectified::NAME.to_owned(),
            net: c.net.clone(),
            path: PathConfig::Linear {},
            prediction: Prediction::Velocity,
            solver: c.solver,
            cut: 0.0,
            scaler,
            start,
            latent: None,
            sampler: SamplerConfig::Flow {},
            condition: None,
        };
        let model = FlowModel::new(about, setup)?;
        let rounds = Rounds::new(&c.optim, &model.params)?;
        Ok(RectifiedState { model, rounds, pool: None })
    }

    fn step(c: &RectifiedConfig, s: &mut RectifiedState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let place = Place::of(at, c.first, c.rounds);
        s.rounds.enter(&place, &c.optim, &mut s.model.params)?;
        let (x0, x1) = if place.round == 0 {
            let (x0, x1, _) = independent(&s.model, c.batch, target, at)?;
            (x0, x1)
        } else {
            let pool = match s.pool.take() {
                Some(pool) if pool.is_of(place.round) => pool,
                _ => {
                    let teacher = with_params(&s.model, s.rounds.teacher())?.with_solver(c.pair_solver)?;
                    Pool::new(&teacher, place.round, c.pairs, target, at.first().seed("pool"))?
                }
            };
            s.pool.insert(pool).draw(c.batch, at)
        };
        let (kind, device) = s.model.params.options();
        let tensor = |p: &Points| to_tensor(p, kind, device);
        let mut rng = at.rng("times");
        // One draw for the whole batch, spread evenly: every batch sees every stage, which lowers the variance.
        let first = rng.random::<f64>();
        let times: Vec<f64> = (0..c.batch).map(|i| (first + i as f64) / c.batch as f64).collect();
        let (x0, x1) = (tensor(&x0)?, tensor(&x1)?);
        let t = tensor(&Points::from_line(times.clone()))?;
        let v = &x1 - &x0;
        let loss = s.model.residual(&times, &(x0 + &v * t), &v)?;
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.rounds.step(&place, &mut s.model.params, &loss)?;
        }
        Ok(value)
    }

    fn generator(_: &RectifiedConfig, s: &RectifiedState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(with_params(&s.model, s.rounds.average())?.duplicate()?))
    }
}

/// `n` independent pairs in standard coordinates, and the conditions of their second points where there are some.
pub(crate) fn independent(
    model: &FlowModel,
    n: usize,
    target: &dyn Source,
    at: &Moment,
) -> Result<(Points, Points, Option<Points>)> {
    let about = model.about();
    let (x1, given) = target.batch_given(n, &mut at.rng("target"))?;
    let x1 = about.scaler.standardise(x1);
    let x0 = match (target.start(), &about.start) {
        (Some(start), Some(scaler)) => scaler.standardise(start.batch(n, &mut at.rng("noise"))?),
        _ => Noise::new(Law::Gaussian, x1.dim())?.sample(n, &mut at.rng("noise")),
    };
    Ok((x0, x1, given))
}

impl Persist for RectifiedState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("rounds", &mut self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Draws;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Map, Seed, zoo::GaussianMixture};

    fn config(rounds: usize) -> RectifiedConfig {
        RectifiedConfig {
            net: FieldConfig { widths: vec![48, 48], ..FieldConfig::default() },
            optim: OptimConfig { lr: 5e-3, ..RectifiedConfig::default().optim },
            batch: 256,
            pairs: 4000,
            rounds,
            first: if rounds == 0 { 1.0 } else { 0.5 },
            ..RectifiedConfig::default()
        }
    }

    /// Two modes: lines between independent pairs cross, so one Euler step of the first flow ends in the middle; after reflow
    /// it ends near where many steps do.
    #[test]
    fn reflow_straightens_paths() {
        let target =
            Draws::new(GaussianMixture::equal(Points::from_line(vec![-2.0, 2.0]), 0.2).unwrap(), "two");
        let bend = |rounds: usize, steps: u64| {
            let train = TrainConfig { steps, ..TrainConfig::default() };
            let mut run = Trainer::<Rectified>::new(config(rounds), train, &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            let s = run.state();
            let model = with_params(&s.model, s.rounds.average()).unwrap();
            let euler = |n| SolverConfig { rule: Rule::Euler, steps: Some(n), ..SolverConfig::default() };
            let z = Noise::new(Law::Gaussian, 1).unwrap().sample(500, &mut Seed::new(1).rng());
            let end = |n| model.with_solver(euler(n)).unwrap().apply(&z).unwrap();
            let (one, many) = (end(1), end(100));
            let near = many.rows().filter(|x| (x[0].abs() - 2.0).abs() < 0.8).count();
            assert!(near > 430, "{near} of 500 near a mode");
            let square = one.rows().zip(many.rows()).map(|(a, b)| (a[0] - b[0]).powi(2)).sum::<f64>();
            (square / 500.0).sqrt()
        };
        let (before, after) = (bend(0, 500), bend(1, 1000));
        assert!(after < 0.4 * before, "{before} {after}");
    }
}
