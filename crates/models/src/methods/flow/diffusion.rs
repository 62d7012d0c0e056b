//! Diffusion models: undo noise, step by step.

use crate::error::{Result, check_count};
use crate::generators::{ConditionAbout, FlowAbout, Generator, GuidanceConfig, SamplerConfig, SolverConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::path::{Coefficients, check_cut};
use crate::methods::flow::{FlowState, PathConfig, Prediction};
use crate::nets::FieldConfig;
use crate::noise::{Law, Noise};
use crate::optim::OptimConfig;
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::to_tensor;
use measures::Sample;
use measures::rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Learns, by regression at random times, what noise hides: from x_t = α(t) x₁ + σ(t) x₀ with x₀ ~ N(0, I) the mean of
/// the noise, of the data, or of a combination, each of which gives the score ∇log ρ_t and the velocity of the probability
/// flow. Ho, Jain and Abbeel 2020, arXiv 2006.11239; Song et al. 2021, arXiv 2011.13456.
///
/// The clock runs from noise at t = 0 to data at t = 1; diffusion time is τ = 1 − t.
pub struct Diffusion;

/// Settings of `diffusion`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiffusionConfig {
    /// The network.
    pub net: FieldConfig,
    /// The optimiser.
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
    /// How labels or vectors that come with the points are learned; without effect where none do.
    pub guidance: GuidanceConfig,
    /// How generation follows the probability flow.
    pub solver: SolverConfig,
    /// How noise becomes data: along the probability flow by `solver`, by an exponential integrator, or along the reverse
    /// diffusion.
    pub sampler: SamplerConfig,
}

impl Default for DiffusionConfig {
    fn default() -> Self {
        DiffusionConfig {
            net: FieldConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            path: PathConfig::VariancePreserving { first: 0.1, last: 20.0 },
            prediction: Prediction::Noise,
            cut: 1e-3,
            standardise: true,
            guidance: GuidanceConfig::default(),
            solver: SolverConfig::default(),
            sampler: SamplerConfig::default(),
        }
    }
}

impl Method for Diffusion {
    const NAME: &'static str = "diffusion";
    const ABOUT: &'static str =
        "denoising diffusion, variance preserving or exploding (arXiv 2006.11239, 2011.13456)";
    const CONDITIONAL: bool = true;
    type Config = DiffusionConfig;
    type State = FlowState;

    fn init(c: &DiffusionConfig, target: &dyn Source, setup: &Setup) -> Result<FlowState> {
        check_count("batch", c.batch)?;
        check_cut(c.cut)?;
        target.batch(c.batch, &mut setup.seed.rng())?;
        let about = FlowAbout {
            method: Diffusion::NAME.to_owned(),
            net: c.net.clone(),
            path: c.path,
            prediction: c.prediction,
            solver: c.solver,
            cut: c.cut,
            scaler: Scaler::of(target, c.standardise, setup.seed.named("scaler"))?,
            start: None,
            latent: None,
            sampler: c.sampler,
            condition: ConditionAbout::of(target.condition(), c.guidance)?,
        };
        let state = FlowState::new(about, &c.optim, setup)?;
        // Coefficients that the settings make infinite are refused before training, not in the middle of generation.
        let (model, (low, high)) = (&state.model, state.model.span());
        Coefficients::at(model.schedule(), &[low, high], setup.kind, setup.device)?.check(c.prediction)?;
        Ok(state)
    }

    fn step(c: &DiffusionConfig, s: &mut FlowState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let (kind, device) = s.model.params.options();
        let (x1, given) = target.batch_given(c.batch, &mut at.rng("target"))?;
        let told = s.model.lesson(given.as_ref(), at)?;
        let x1 = s.model.about().scaler.standardise(x1);
        let x0 = Noise::new(Law::Gaussian, x1.dim())?.sample(c.batch, &mut at.rng("noise"));
        let (x0, x1) = (to_tensor(&x0, kind, device)?, to_tensor(&x1, kind, device)?);
        let (low, high) = s.model.span();
        let mut rng = at.rng("times");
        // One draw for the whole batch, spread evenly: every batch sees every stage, which lowers the variance.
        let (first, n) = (rng.random::<f64>(), c.batch as f64);
        let time = |i: usize| low + (high - low) * ((first + i as f64) / n).min(1.0);
        let times: Vec<f64> = (0..c.batch).map(time).collect();
        let coefficients = Coefficients::at(s.model.schedule(), &times, kind, device)?;
        let x = &x1 * &coefficients.alpha + &x0 * &coefficients.sigma;
        let answer = coefficients.answer(c.prediction, &x0, &x1);
        let value = s.model.regress(&times, (&x, told.as_ref()), &answer, &mut s.pass, s.adam.gradient())?;
        if value.is_finite() {
            s.adam.descend(&mut s.model.params, at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &DiffusionConfig, s: &FlowState) -> Result<Box<dyn Generator>> {
        s.generator()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::{ExponentialRule, SdeRule};
    use crate::optim::Schedule;
    use crate::source::Draws;
    use crate::tensor::scalar;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Points, Seed, zoo::Gaussian};

    /// For Gaussian data everything is known: the velocity of the probability flow is linear.
    #[test]
    fn the_velocity_of_a_gaussian_is_learned_in_every_parameterisation() {
        let (mean, sd) = (1.0, 0.5);
        let target = Draws::new(Gaussian::isotropic(&[mean], sd).unwrap(), "line");
        for prediction in
            [Prediction::Noise, Prediction::Data, Prediction::V, Prediction::Velocity, Prediction::Score]
        {
            let net = FieldConfig { widths: vec![32, 32], ..FieldConfig::default() };
            let path = PathConfig::Trigonometric {};
            let cut = 0.02;
            let config = DiffusionConfig {
                net,
                path,
                prediction,
                cut,
                batch: 256,
                standardise: false,
                optim: OptimConfig {
                    lr: 5e-3,
                    schedule: Schedule::Cosine { floor: 0.0 },
                    ..OptimConfig::default()
                },
                ..DiffusionConfig::default()
            };
            let train = TrainConfig { steps: 1200, ema: Some(0.99), ..TrainConfig::default() };
            let mut run = Trainer::<Diffusion>::new(config, train, &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            let model = &run.state().model;
            let schedule = model.schedule();
            let mut worst: f64 = 0.0;
            for t in [0.2, 0.5, 0.8] {
                let (a, s) = (schedule.alpha(t), schedule.sigma(t));
                let (da, ds) = (schedule.d_alpha(t), schedule.d_sigma(t).unwrap());
                let variance = a * a * sd * sd + s * s;
                for u in [-1.0, 0.0, 1.0] {
                    let x = a * mean + u * variance.sqrt();
                    // E[α̇X₁ + σ̇X₀ | x] for Gaussians, by regression on x.
                    let exact = da * mean + (da * a * sd * sd + ds * s) / variance * (x - a * mean);
                    let z =
                        to_tensor(&Points::from_line(vec![x]), tch::Kind::Float, tch::Device::Cpu).unwrap();
                    let learned = scalar(&model.velocity(&[t], &z).unwrap().squeeze()).unwrap();
                    worst = worst.max((learned - exact).abs());
                }
            }
            assert!(worst < 0.15, "{prediction:?}: {worst}");
        }
    }

    /// On the paths of diffusions, by every prediction and every way to generate: the law of the data, which is known.
    #[test]
    fn every_path_prediction_and_sampler_finds_the_law() {
        let target = Draws::new(Gaussian::isotropic(&[1.0], 0.5).unwrap(), "line");
        let samplers = [
            SamplerConfig::Flow {},
            SamplerConfig::Exponential { rule: ExponentialRule::TwoM, steps: 15 },
            SamplerConfig::Exponential { rule: ExponentialRule::AdamsBashforth3, steps: 15 },
            SamplerConfig::Sde { scheme: SdeRule::EulerMaruyama, steps: 200, level: 1.0 },
            SamplerConfig::Sde { scheme: SdeRule::Heun, steps: 100, level: 1.0 },
            SamplerConfig::Sde { scheme: SdeRule::Sra1, steps: 100, level: 0.5 },
        ];
        let evaluations = [100, 15, 16, 200, 200, 200];
        for path in [
            PathConfig::VariancePreserving { first: 0.1, last: 20.0 },
            PathConfig::VarianceExploding { least: 0.01, most: 10.0 },
        ] {
            for prediction in
                [Prediction::Noise, Prediction::Data, Prediction::V, Prediction::Velocity, Prediction::Score]
            {
                let net = FieldConfig { widths: vec![32, 32], ..FieldConfig::default() };
                let schedule = Schedule::Cosine { floor: 0.0 };
                let optim = OptimConfig { lr: 5e-3, schedule, ..OptimConfig::default() };
                let (batch, cut) = (256, 0.01);
                let base = DiffusionConfig { net, optim, batch, path, prediction, cut, ..Default::default() };
                let train = TrainConfig { steps: 700, ema: Some(0.99), ..TrainConfig::default() };
                let mut run = Trainer::<Diffusion>::new(base, train, &target).unwrap();
                let _ = run.run(&mut Watch::default()).unwrap();
                for (sampler, evaluations) in samplers.into_iter().zip(evaluations) {
                    let model = run.state().model.with_sampler(sampler).unwrap();
                    assert_eq!(model.evaluations(), evaluations);
                    let x = model.generate(2000, Seed::new(1)).unwrap();
                    let mean = x.as_slice().iter().sum::<f64>() / 2000.0;
                    let variance = x.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2000.0;
                    let close = (mean - 1.0).abs() < 0.1 && (variance.sqrt() - 0.5).abs() < 0.08;
                    assert!(close, "{path:?} {prediction:?} {sampler:?}: {mean} {}", variance.sqrt());
                }
            }
        }
    }

    #[test]
    fn singular_settings_are_refused_at_the_start() {
        let target = Draws::new(Gaussian::standard(1), "line");
        let refuse = |path, prediction| {
            let config = DiffusionConfig { path, prediction, cut: 0.0, ..DiffusionConfig::default() };
            Trainer::<Diffusion>::new(config, TrainConfig::default(), &target).err().map(|e| e.to_string())
        };
        assert!(refuse(PathConfig::Linear {}, Prediction::Noise).unwrap().contains("cut"));
        assert!(refuse(PathConfig::Linear {}, Prediction::Data).unwrap().contains("cut"));
        assert!(refuse(PathConfig::Linear {}, Prediction::V).is_none());
        let sampled = |sampler, cut| {
            let path = PathConfig::Linear {};
            let config =
                DiffusionConfig { path, prediction: Prediction::V, cut, sampler, ..Default::default() };
            Trainer::<Diffusion>::new(config, TrainConfig::default(), &target).err().map(|e| e.to_string())
        };
        let sde = |level| SamplerConfig::Sde { scheme: SdeRule::Heun, steps: 10, level };
        assert!(sampled(sde(1.0), 0.0).unwrap().starts_with("cut = 0: must be larger"));
        assert!(sampled(sde(-1.0), 0.01).unwrap().starts_with("sampler.level = -1"));
        assert!(sampled(sde(1.0), 0.01).is_none());
        let exponential = |steps| SamplerConfig::Exponential { rule: ExponentialRule::Ddim, steps };
        assert!(sampled(exponential(4), 0.0).unwrap().starts_with("cut = 0: must be larger"));
        assert!(sampled(exponential(0), 0.01).unwrap().starts_with("sampler.steps = 0"));
    }
}
