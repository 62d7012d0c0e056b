//! Noise in, density, noise out: for targets on a manifold, which have no density.

use crate::bridge::regression;
use crate::error::{Result, check_count, check_range};
use crate::generators::{Denoised, DenoisedAbout, Generator, NormalisingAbout};
use crate::method::{Method, Moment, Setup};
use crate::nets::{BijectionConfig, MlpConfig, Skip};
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::Sample;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Learns μ′₁ = μ₁ * N(0, σ²I), which has a density whatever μ₁ is, by maximum likelihood with a normalising flow; and a
/// denoiser D by regression, E‖D(X + σε) − X‖², whose minimiser is E[X | X + σε] = x̃ + σ²∇log p′(x̃) (Tweedie's formula,
/// Efron 2011, doi:10.1198/jasa.2011.tm11181). Samples of the flow, denoised once, are near μ₁: what section 3 of the
/// paper proposes for targets without a density, and the first of the many steps of diffusion. The reported loss is
/// −E log p′ in nats, in the coordinates of the data.
pub struct NoiseDenoise;

/// Settings of `noise_denoise`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseDenoiseConfig {
    /// Standard deviation of the noise, in units of standardised data.
    pub sigma: f64,
    /// The layers of the flow.
    pub flow: BijectionConfig,
    /// The denoiser.
    pub denoiser: MlpConfig,
    /// The optimiser of both.
    pub optim: OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// Whether the networks work on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for NoiseDenoiseConfig {
    fn default() -> Self {
        NoiseDenoiseConfig {
            sigma: 0.1,
            flow: BijectionConfig::default(),
            denoiser: MlpConfig {
                widths: vec![128; 3],
                skip: Skip::Identity,
                last_scale: 0.1,
                ..MlpConfig::default()
            },
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 512,
            standardise: true,
        }
    }
}

/// Flow and denoiser, each with its optimiser.
pub struct NoiseDenoiseState {
    model: Denoised,
    flow_adam: Adam,
    denoiser_adam: Adam,
}

impl Method for NoiseDenoise {
    const NAME: &'static str = "noise_denoise";
    const ABOUT: &'static str =
        "density of the noised target, then one denoising step: targets without density (section 3)";
    type Config = NoiseDenoiseConfig;
    type State = NoiseDenoiseState;

    fn init(c: &NoiseDenoiseConfig, target: &dyn Source, setup: &Setup) -> Result<NoiseDenoiseState> {
        check_count("batch", c.batch)?;
        check_range("sigma", c.sigma, f64::MIN_POSITIVE.., "finite and positive")?;
        target.batch(c.batch, &mut setup.seed.rng())?;
        let scaler = Scaler::of(target, c.standardise, setup.seed.named("scaler"))?;
        let method = NoiseDenoise::NAME.to_owned();
        let flow = NormalisingAbout { method: method.clone(), bijection: c.flow.clone(), scaler };
        let about = DenoisedAbout { method, sigma: c.sigma, denoiser: c.denoiser.clone(), flow };
        let model = Denoised::new(about, setup)?;
        let flow_adam = Adam::new(&c.optim, &model.flow.params)?;
        let denoiser_adam = Adam::new(&c.optim, &model.params)?;
        Ok(NoiseDenoiseState { model, flow_adam, denoiser_adam })
    }

    fn step(
        c: &NoiseDenoiseConfig,
        s: &mut NoiseDenoiseState,
        target: &dyn Source,
        at: &Moment,
    ) -> Result<f64> {
        let (kind, device) = s.model.params.options();
        let x = s.model.scaler().standardise(target.batch(c.batch, &mut at.rng("target"))?);
        let volume = s.model.scaler().log_volume();
        let noise = Noise::new(Law::Gaussian, x.dim())?.sample(c.batch, &mut at.rng("noise"));
        let x = to_tensor(&x, kind, device)?;
        let noised = &x + to_tensor(&noise, kind, device)? * c.sigma;
        let loss = -s.model.flow.log_prob(&noised).mean(kind);
        let value = scalar(&loss)?;
        let residual = regression(&s.model.denoise(&noised), &x)?;
        if !(value.is_finite() && scalar(&residual)?.is_finite()) {
            return Ok(f64::NAN);
        }
        s.flow_adam.step(&mut s.model.flow.params, &loss, at.step, at.steps)?;
        s.denoiser_adam.step(&mut s.model.params, &residual, at.step, at.steps)?;
        Ok(value + volume)
    }

    fn generator(_: &NoiseDenoiseConfig, s: &NoiseDenoiseState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.model.duplicate()?))
    }
}

impl Persist for NoiseDenoiseState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("flow_adam", &mut self.flow_adam)?;
        v.part("denoiser_adam", &mut self.denoiser_adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::load;
    use crate::source::Draws;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::UniformSphere};

    /// A circle has no density: the noised one is learned, and one step brings its points nearer to the circle.
    #[test]
    fn a_circle_is_found_from_the_noised_one() {
        let target = Draws::new(UniformSphere::new(vec![0.0, 0.0], 1.0).unwrap(), "circle");
        let config = NoiseDenoiseConfig {
            sigma: 0.3,
            batch: 256,
            optim: OptimConfig { lr: 3e-3, ..NoiseDenoiseConfig::default().optim },
            ..NoiseDenoiseConfig::default()
        };
        let train = TrainConfig { steps: 250, ema: Some(0.98), ..TrainConfig::default() };
        let mut run = Trainer::<NoiseDenoise>::new(config, train, &target).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        let model = run.generator().unwrap();
        let spread = |x: &measures::Points| {
            let square = |row: &[f64]| (row[0].hypot(row[1]) - 1.0).powi(2);
            (x.rows().map(square).sum::<f64>() / x.len() as f64).sqrt()
        };
        let seed = Seed::new(3);
        let x = model.generate(2000, seed).unwrap();
        let noised = run.state().model.noised().generate(2000, seed).unwrap();
        assert!(spread(&x) < 0.7 * spread(&noised), "{} {}", spread(&x), spread(&noised));
        assert_eq!(model.evaluations(), 2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        model.save(&path).unwrap();
        assert_eq!(load(&path).unwrap().generate(2000, seed).unwrap(), x);
    }
}
