//! Mean velocities: a network that knows where the flow leads over any stretch of time.

use crate::error::{Result, check_count, check_range};
use crate::generators::{Generator, Leap, LeapAbout, LeapModel};
use crate::method::{Method, Moment, Setup};
use crate::nets::FieldConfig;
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
use tch::Tensor;

/// Learns the mean velocity u(x, t, r) = (r − t)⁻¹ ∫_t^r v_τ(x_τ) dτ along the flow of x_t = (1 − t) x₀ + t x₁, so that one
/// evaluation takes noise at t = 0 to data at r = 1. Differentiating (r − t) u in t along the flow gives the identity
/// u = v + (r − t)(∂_t u + v·∂_x u), on whose right side, held fixed and with the velocity x₁ − x₀ of the pair for v, u is
/// regressed. Geng et al. 2025, *Mean flows for one-step generative modeling*, arXiv 2505.13447, whose clock runs the other way.
pub struct MeanFlow;

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
    /// The part of the pairs with r > t; the others learn the velocity itself.
    pub apart: f64,
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
            apart: 0.75,
            time_mean: -0.4,
            time_spread: None,
            power: 0.0,
            steps: 1,
            standardise: true,
        }
    }
}

/// Added to squared errors in their weight.
const FLOOR: f64 = 1e-3;

/// The mean velocity and its optimiser.
pub struct MeanFlowState {
    model: LeapModel,
    adam: Adam,
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
    (if apart { a.min(b) } else { a }, if apart { a.max(b) } else { a })
}

impl Method for MeanFlow {
    const NAME: &'static str = "mean_flow";
    const ABOUT: &'static str =
        "mean velocities over stretches of time: one evaluation a sample (arXiv 2505.13447)";
    type Config = MeanFlowConfig;
    type State = MeanFlowState;

    fn init(c: &MeanFlowConfig, target: &dyn Source, setup: &Setup) -> Result<MeanFlowState> {
        check_count("batch", c.batch)?;
        check_range("apart", c.apart, 0.0..=1.0, "between 0 and 1")?;
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
        Ok(MeanFlowState { model, adam })
    }

    fn step(c: &MeanFlowConfig, s: &mut MeanFlowState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let (kind, device) = s.model.params.options();
        let x1 = s.model.about().scaler.standardise(target.batch(c.batch, &mut at.rng("target"))?);
        let x0 = Noise::new(Law::Gaussian, x1.dim())?.sample(c.batch, &mut at.rng("noise"));
        let mut rng = at.rng("times");
        let (t, r): (Vec<f64>, Vec<f64>) = (0..c.batch).map(|_| times(c, &mut rng)).unzip();
        let tensor = |p: &Points| to_tensor(p, kind, device);
        let (x0, x1) = (tensor(&x0)?, tensor(&x1)?);
        let (t, r) = (tensor(&Points::from_line(t))?, tensor(&Points::from_line(r))?);
        let v = &x1 - &x0;
        let x = &x0 + &v * &t;
        // Along the flow t runs and r stands.
        let f = |y: &[Tensor]| Ok(s.model.mean_velocity(&y[0], &r, &y[1]));
        let (u, slope) = jvp(f, &[&t, &x], &[&t.ones_like(), &v])?;
        let error = (u - (v + slope * (&r - &t))).square().sum_dim_intlist(1, false, kind);
        let value = scalar(&error.mean(kind))?;
        if value.is_finite() {
            let weight = (error.detach() + FLOOR).pow_tensor_scalar(-c.power);
            s.adam.step(&mut s.model.params, &(error * weight).mean(kind), at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &MeanFlowConfig, s: &MeanFlowState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.model.duplicate()?))
    }
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
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};

    /// The flow to a Gaussian is linear, and known: four leaps find it, and one is on its way there. Over the whole of time the
    /// mean velocity is learned last, from the shorter stretches, and its map is too narrow until then.
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
        for (steps, within) in [(1, 0.45), (4, 0.1)] {
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
        let c = MeanFlowConfig { apart: 0.25, ..MeanFlowConfig::default() };
        let mut rng = Seed::new(1).rng();
        let all: Vec<(f64, f64)> = (0..10_000).map(|_| times(&c, &mut rng)).collect();
        assert!(all.iter().all(|(t, r)| 0.0 < *t && t <= r && *r < 1.0));
        let apart = all.iter().filter(|(t, r)| t < r).count() as f64;
        assert!((apart - 2500.0).abs() < 5.0 * (10_000f64 * 0.25 * 0.75).sqrt());
    }
}
