//! Stochastic interpolants: a path with latent noise, whose velocity and score are learned side by side.

use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{FlowAbout, Generator, SamplerConfig, SdeRule, SolverConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::latent::{descend, residuals};
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

/// Learns, along x_t = α(t) x₁ + σ(t) x₀ + γ(t) z with γ = a√(t(1 − t)) and latent noise z ~ N(0, I), the mean velocity
/// E[ẋ_t | x_t] and the denoiser E[z | x_t], which is −γ∇log ρ_t. Generation follows the flow dX = v dt, or for any ε ≥ 0 the
/// diffusion dX = (v + ε∇log ρ) dt + √(2ε) dB, with the same laws ρ_t. Albergo, Boffi and Vanden-Eijnden 2023, *Stochastic
/// interpolants*, arXiv 2303.08797.
///
/// With a starting measure ([`Source::start`]) it joins that and the target, noise and target otherwise. The pairs are
/// independent: the score is then that of the path whatever the two measures are, and no noise need be Gaussian but z.
pub struct Interpolant;

/// Settings of `interpolant`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InterpolantConfig {
    /// Each of the two networks.
    pub net: FieldConfig,
    /// The optimiser of both.
    pub optim: OptimConfig,
    /// Pairs a step.
    pub batch: usize,
    /// The path between the points of a pair, without its latent noise.
    pub path: PathConfig,
    /// The amplitude a of the latent noise, in standard coordinates.
    pub amplitude: f64,
    /// Whether the networks work on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
    /// How generation follows the flow.
    pub solver: SolverConfig,
    /// How noise becomes data: along the flow by `solver`, or along a diffusion, whose ε at level 1 is ½a².
    pub sampler: SamplerConfig,
}

impl Default for InterpolantConfig {
    fn default() -> Self {
        InterpolantConfig {
            net: FieldConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            path: PathConfig::Trigonometric {},
            amplitude: 1.0,
            standardise: true,
            solver: SolverConfig::default(),
            sampler: SamplerConfig::Sde { scheme: SdeRule::Heun, steps: 100, level: 1.0 },
        }
    }
}

impl Method for Interpolant {
    const NAME: &'static str = "interpolant";
    const ABOUT: &'static str =
        "velocity and denoiser of a path with latent noise, followed as flow or diffusion (arXiv 2303.08797)";
    type Config = InterpolantConfig;
    type State = FlowState;

    fn init(c: &InterpolantConfig, target: &dyn Source, setup: &Setup) -> Result<FlowState> {
        check_count("batch", c.batch)?;
        check_range("amplitude", c.amplitude, f64::MIN_POSITIVE.., "finite and positive")?;
        if let PathConfig::VarianceExploding { .. } | PathConfig::VariancePreserving { .. } = c.path {
            let must = "linear, trigonometric or cosine: a path whose two ends are the two measures";
            return Err(Error::choice("path", &c.path, must));
        }
        target.batch(c.batch, &mut setup.seed.rng())?;
        if let Some(start) = target.start() {
            start.batch(c.batch, &mut setup.seed.rng())?;
        }
        let scaler = Scaler::of(target, c.standardise, setup.seed.named("scaler"))?;
        // Both measures in the coordinates of the target, so that straight lines mean the same.
        let start = target.start().map(|_| scaler.clone());
        let about = FlowAbout {
            method: Interpolant::NAME.to_owned(),
            net: c.net.clone(),
            path: c.path,
            prediction: Prediction::Velocity,
            solver: c.solver,
            cut: 0.0,
            scaler,
            start,
            latent: Some(c.amplitude),
            sampler: c.sampler,
            condition: None,
        };
        FlowState::new(about, &c.optim, setup)
    }

    fn step(c: &InterpolantConfig, s: &mut FlowState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let (kind, device) = s.model.params.options();
        let (scaler, n) = (&s.model.about().scaler, c.batch);
        let x1 = scaler.standardise(target.batch(n, &mut at.rng("target"))?);
        let gaussian = Noise::new(Law::Gaussian, x1.dim())?;
        let normal = |purpose: &str| gaussian.sample(n, &mut at.rng(purpose));
        let x0 = match target.start() {
            Some(start) => scaler.standardise(start.batch(n, &mut at.rng("noise"))?),
            None => normal("noise"),
        };
        let z = to_tensor(&normal("latent"), kind, device)?;
        let (x0, x1) = (to_tensor(&x0, kind, device)?, to_tensor(&x1, kind, device)?);
        // One draw for the whole batch, spread evenly: every batch sees every stage, which lowers the variance.
        let first = at.rng("times").random::<f64>();
        let times: Vec<f64> = (0..n).map(|i| (first + i as f64) / n as f64).collect();
        let (slope, noise) = residuals(&s.model, &times, &x0, &x1, &z)?;
        descend(&mut s.model, (&mut s.adam, &mut s.denoiser_adam), (&slope, &noise), at)
    }

    fn generator(_: &InterpolantConfig, s: &FlowState) -> Result<Box<dyn Generator>> {
        s.generator()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::load;
    use crate::optim::Schedule;
    use crate::source::{Between, Draws};
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Points, Seed, zoo::Gaussian, zoo::GaussianMixture};

    fn quick() -> InterpolantConfig {
        InterpolantConfig {
            net: FieldConfig { widths: vec![48, 48], ..FieldConfig::default() },
            optim: OptimConfig {
                lr: 5e-3,
                schedule: Schedule::Cosine { floor: 0.0 },
                ..OptimConfig::default()
            },
            batch: 256,
            ..InterpolantConfig::default()
        }
    }

    /// Between two measures neither of which is Gaussian noise: flow and diffusion, at any level, end in the same law.
    #[test]
    fn flow_and_diffusions_end_in_the_target() {
        let start = GaussianMixture::equal(Points::from_line(vec![-1.0, 1.0]), 0.2).unwrap();
        let target = Gaussian::isotropic(&[3.0], 0.5).unwrap();
        let both = Between::new(Draws::new(start.clone(), "two"), Draws::new(target, "one")).unwrap();
        let train = TrainConfig { steps: 700, ema: Some(0.99), ..TrainConfig::default() };
        let mut run = Trainer::<Interpolant>::new(quick(), train, &both).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        let x0 = start.sample(3000, &mut Seed::new(2).rng());
        let sde = |level| SamplerConfig::Sde { scheme: SdeRule::Heun, steps: 100, level };
        for (sampler, evaluations) in
            [(SamplerConfig::Flow {}, 200), (sde(1.0), 400), (sde(0.5), 400), (sde(2.0), 400)]
        {
            let model = run.state().model.with_sampler(sampler).unwrap();
            assert_eq!(model.evaluations(), evaluations);
            let x = model.sample_from(&x0, Seed::new(3)).unwrap();
            let mean = x.as_slice().iter().sum::<f64>() / 3000.0;
            let sd = (x.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3000.0).sqrt();
            assert!((mean - 3.0).abs() < 0.08 && (sd - 0.5).abs() < 0.08, "{sampler:?}: {mean} {sd}");
        }
    }

    #[test]
    fn saved_models_have_both_networks() {
        let target = Draws::new(Gaussian::standard(2), "plane");
        let train = TrainConfig { steps: 3, ..TrainConfig::default() };
        let mut run = Trainer::<Interpolant>::new(quick(), train, &target).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        let model = run.generator().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        model.save(&path).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.generate(50, Seed::new(1)).unwrap(), model.generate(50, Seed::new(1)).unwrap());
        // Other noise on the way, other points.
        assert_ne!(loaded.generate(50, Seed::new(2)).unwrap(), model.generate(50, Seed::new(1)).unwrap());
        let refuse =
            |c| Trainer::<Interpolant>::new(c, TrainConfig::default(), &target).err().unwrap().to_string();
        assert!(refuse(InterpolantConfig { amplitude: 0.0, ..quick() }).starts_with("amplitude = 0"));
        let path = PathConfig::VarianceExploding { least: 0.01, most: 10.0 };
        assert!(refuse(InterpolantConfig { path, ..quick() }).contains("must be linear"));
        let sampler = SamplerConfig::Exponential { rule: crate::ExponentialRule::Ddim, steps: 5 };
        assert!(refuse(InterpolantConfig { sampler, ..quick() }).starts_with("sampler = Exponential"));
    }
}
