//! The importance-weighted autoencoder.

use crate::error::{Result, check_count};
use crate::generators::{DecoderAbout, Generator};
use crate::method::{Method, Moment, Setup};
use crate::methods::density::autoencoder::{Autoencoder, Parts, log_mean};
use crate::nets::MlpConfig;
use crate::optim::{OptimConfig, Schedule};
use crate::scaler::Scaler;
use crate::source::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ascent on E log ((1/k) Σ p(x, zᵢ)/q(zᵢ|x)) with k draws zᵢ of q(·|x): a bound on log p(x) that rises with k and is the
/// evidence lower bound for k = 1 (Burda, Grosse and Salakhutdinov 2016, arXiv 1509.00519). The reported loss is minus the
/// bound, in nats and in the coordinates of the data.
pub struct Iwae;

/// Settings of `iwae`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IwaeConfig {
    /// The network from latent noise to the mean of the data.
    pub decoder: MlpConfig,
    /// The network from data to mean and scale of the latent noise.
    pub encoder: MlpConfig,
    /// The dimension of the latent noise; absent, that of the data.
    pub latent_dim: Option<usize>,
    /// The first standard deviation of data about their mean, in units of standardised data; it is learned.
    pub sigma: f64,
    /// The number k of weights for each point.
    pub samples: usize,
    /// Whether generation adds the noise of p(x|z), or gives its mean.
    pub noisy: bool,
    /// The optimiser of both networks.
    pub optim: OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// Whether the networks work on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for IwaeConfig {
    fn default() -> Self {
        let net = MlpConfig { widths: vec![128; 3], ..MlpConfig::default() };
        IwaeConfig {
            decoder: net.clone(),
            encoder: net,
            latent_dim: None,
            sigma: 0.5,
            samples: 8,
            noisy: true,
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.01 }, ..OptimConfig::default() },
            batch: 256,
            standardise: true,
        }
    }
}

impl Method for Iwae {
    const NAME: &'static str = "iwae";
    const ABOUT: &'static str =
        "importance-weighted autoencoder: a tighter evidence bound (arXiv 1509.00519)";
    type Config = IwaeConfig;
    type State = Autoencoder;

    fn init(c: &IwaeConfig, target: &dyn Source, setup: &Setup) -> Result<Autoencoder> {
        check_count("samples", c.samples)?;
        let about = DecoderAbout {
            method: Iwae::NAME.to_owned(),
            latent: c.latent_dim.unwrap_or(target.dim()),
            net: c.decoder.clone(),
            sigma: c.sigma,
            noisy: c.noisy,
            scaler: Scaler::of(target, c.standardise, setup.seed.named("scaler"))?,
        };
        let parts = Parts { encoder: &c.encoder, optim: &c.optim, batch: c.batch };
        Autoencoder::new(&parts, about, target, setup)
    }

    fn step(c: &IwaeConfig, s: &mut Autoencoder, target: &dyn Source, at: &Moment) -> Result<f64> {
        let (x, noise) = s.draw(c.samples, c.batch, target, at)?;
        let bound = log_mean(&s.log_weights(&x, &noise));
        s.ascend(&bound, &c.optim, at)
    }

    fn generator(_: &IwaeConfig, s: &Autoencoder) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.decoder.duplicate()?))
    }
}
