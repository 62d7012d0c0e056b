//! The variational autoencoder.

use crate::error::{Result, check_range};
use crate::generators::{DecoderAbout, Generator};
use crate::method::{Method, Moment, Setup};
use crate::methods::density::autoencoder::{Autoencoder, Parts};
use crate::nets::MlpConfig;
use crate::optim::{OptimConfig, Schedule};
use crate::scaler::Scaler;
use crate::source::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ascent on the evidence lower bound E_q log p(x|z) − β KL(q(z|x) | N(0, I)) ≤ log p(x), with p(x|z) = N(f(z), diag σ²) and
/// q(z|x) a Gaussian with diagonal covariance that an encoder gives (Kingma and Welling 2014, arXiv 1312.6114; β other
/// than 1: Higgins et al. 2017). The decoder pushes N(0, I) to the data. The reported loss is minus the bound, in nats and
/// in the coordinates of the data.
pub struct Vae;

/// Settings of `vae`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VaeConfig {
    /// The network from latent noise to the mean of the data.
    pub decoder: MlpConfig,
    /// The network from data to mean and scale of the latent noise.
    pub encoder: MlpConfig,
    /// The dimension of the latent noise; absent, that of the data.
    pub latent_dim: Option<usize>,
    /// The first standard deviation of data about their mean, in units of standardised data; it is learned.
    pub sigma: f64,
    /// The weight β of the divergence between q(z|x) and N(0, I).
    pub beta: f64,
    /// Whether generation adds the noise of p(x|z), or gives its mean.
    pub noisy: bool,
    /// The optimiser of both networks.
    pub optim: OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// Whether the networks work on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for VaeConfig {
    fn default() -> Self {
        let net = MlpConfig { widths: vec![128; 3], ..MlpConfig::default() };
        VaeConfig {
            decoder: net.clone(),
            encoder: net,
            latent_dim: None,
            sigma: 0.5,
            beta: 1.0,
            noisy: true,
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 512,
            standardise: true,
        }
    }
}

impl Method for Vae {
    const NAME: &'static str = "vae";
    const ABOUT: &'static str = "variational autoencoder: the evidence lower bound (arXiv 1312.6114)";
    type Config = VaeConfig;
    type State = Autoencoder;

    fn init(c: &VaeConfig, target: &dyn Source, setup: &Setup) -> Result<Autoencoder> {
        check_range("beta", c.beta, 0.0.., "finite and not negative")?;
        let about = DecoderAbout {
            method: Vae::NAME.to_owned(),
            latent: c.latent_dim.unwrap_or(target.dim()),
            net: c.decoder.clone(),
            sigma: c.sigma,
            noisy: c.noisy,
            scaler: Scaler::of(target, c.standardise, setup.seed.named("scaler"))?,
        };
        let parts = Parts { encoder: &c.encoder, optim: &c.optim, batch: c.batch };
        Autoencoder::new(&parts, about, target, setup)
    }

    fn step(c: &VaeConfig, s: &mut Autoencoder, target: &dyn Source, at: &Moment) -> Result<f64> {
        let (x, noise) = s.draw(1, c.batch, target, at)?;
        let bound = s.elbo(&x, &noise, c.beta);
        s.ascend(&bound, &c.optim, at)
    }

    fn generator(_: &VaeConfig, s: &Autoencoder) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.decoder.duplicate()?))
    }
}
