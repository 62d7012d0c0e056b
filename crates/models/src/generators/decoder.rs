//! A decoder: latent noise through a network, plus noise on the data.

use crate::checkpoint::{Header, Record};
use crate::error::{Result, check_count, check_range};
use crate::generators::{Generator, file_of, in_blocks, read_body, stored};
use crate::guard::guard;
use crate::method::Setup;
use crate::nets::{Init, Layout, Mlp, MlpConfig, Params};
use crate::noise::{Law, Noise};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::tensor::{to_points, to_tensor};
use measures::{Map, Points, Sample, Seed};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::Path;
use tch::{Device, Tensor, no_grad_guard};

/// The smallest logarithm of a standard deviation: below, points of a finite data set have unbounded likelihood.
const LEAST: f64 = -6.0;

/// The law of f(Z) + σ ⊙ ε with Z ~ N(0, I_k) and ε ~ N(0, I_d), f a network, σ a standard deviation for each coordinate.
///
/// As a [`Map`] it takes (z, ε) of ℝ^{k+d} to data, or z alone when generation leaves the noise out.
#[derive(Debug)]
pub struct Decoder {
    net: Mlp,
    log_sigma: usize,
    /// The network's parameters, and log σ.
    pub params: Params,
    about: DecoderAbout,
}

/// What a decoder is, besides its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderAbout {
    /// The method that trained it.
    pub method: String,
    /// k.
    pub latent: usize,
    /// The network f.
    pub net: MlpConfig,
    /// The first value of σ, in standard coordinates.
    pub sigma: f64,
    /// Whether generation adds the noise σ ⊙ ε.
    pub noisy: bool,
    /// Between data and standard coordinates.
    pub scaler: Scaler,
}

impl DecoderAbout {
    fn network(&self) -> Result<(Mlp, usize, Layout)> {
        check_count("latent_dim", self.latent)?;
        check_range("sigma", self.sigma, f64::MIN_POSITIVE.., "finite and positive")?;
        let (mut layout, d) = (Layout::default(), self.scaler.dim());
        let net = Mlp::new(&self.net, self.latent, d, &mut layout)?;
        let log_sigma = layout.push("log_sigma", &[d], Init::Constant(self.sigma.ln()));
        Ok((net, log_sigma, layout))
    }
}

impl Decoder {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "decoder";

    /// A decoder with first parameters drawn from `setup.seed`.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(about: DecoderAbout, setup: &Setup) -> Result<Self> {
        let (net, log_sigma, layout) = about.network()?;
        let params = Params::init(layout, setup.seed.named("decoder"), setup.kind, setup.device)?;
        Ok(Decoder { net, log_sigma, params, about })
    }

    /// What the decoder is, besides its parameters.
    pub fn about(&self) -> &DecoderAbout {
        &self.about
    }

    /// f(z) in standard coordinates, n×k to n×d.
    pub fn mean(&self, z: &Tensor) -> Tensor {
        self.net.forward(&self.params, z)
    }

    /// log σ, d numbers.
    pub fn log_sigma(&self) -> Tensor {
        self.params.leaf(self.log_sigma).clamp_min(LEAST)
    }

    /// log N(x; f(z), diag σ²) along the last dimension, for x that is broadcast against f(z).
    pub fn log_likelihood(&self, x: &Tensor, mean: &Tensor) -> Tensor {
        let log_sigma = self.log_sigma();
        let scaled = (x - mean) * (-&log_sigma).exp();
        let constant = 0.5 * self.about.scaler.dim() as f64 * TAU.ln();
        (scaled.square() * -0.5 - log_sigma).sum_dim_intlist(-1, false, x.kind()) - constant
    }

    /// A copy with parameters of its own, on the CPU.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn duplicate(&self) -> Result<Self> {
        let mut params = self.params.duplicate()?;
        params.to_device(Device::Cpu)?;
        Ok(Decoder { net: self.net.clone(), log_sigma: self.log_sigma, params, about: self.about.clone() })
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        let about: DecoderAbout = read_body(header, path)?;
        about.scaler.check(about.scaler.dim())?;
        let (net, log_sigma, layout) = about.network()?;
        let params = stored(record, "params", layout, path)?;
        Ok(Decoder { net, log_sigma, params, about })
    }

    fn evaluate(&self, noise: &Points) -> Result<Points> {
        guard(|| {
            let _guard = no_grad_guard();
            let (kind, device) = self.params.options();
            let noise = to_tensor(noise, kind, device)?;
            let k = self.about.latent as i64;
            let mut x = self.mean(&noise.narrow(1, 0, k));
            if self.about.noisy {
                x += noise.narrow(1, k, self.about.scaler.dim() as i64) * self.log_sigma().exp();
            }
            Ok(self.about.scaler.restore(to_points(&x)?))
        })
    }
}

impl Persist for Decoder {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.params("params", &mut self.params, Role::Map)
    }
}

impl Map for Decoder {
    fn dim_in(&self) -> usize {
        self.about.latent + if self.about.noisy { self.about.scaler.dim() } else { 0 }
    }

    fn dim_out(&self) -> usize {
        self.about.scaler.dim()
    }

    fn apply(&self, z: &Points) -> measures::Result<Points> {
        measures::check_dim("points", self.dim_in(), z.dim())?;
        let why = "libtorch refused to evaluate the network";
        self.evaluate(z).map_err(|_| measures::Error::Undefined { what: "the decoder", why })
    }
}

impl Generator for Decoder {
    fn dim(&self) -> usize {
        self.about.scaler.dim()
    }

    fn evaluations(&self) -> u64 {
        1
    }

    fn generate(&self, n: usize, seed: Seed) -> Result<Points> {
        let noise = Noise::new(Law::Gaussian, self.dim_in())?;
        in_blocks(n, self.about.scaler.dim(), seed, |rows, seed| {
            self.evaluate(&noise.sample(rows, &mut seed.rng()))
        })
    }

    fn map(&self) -> Option<&dyn Map> {
        Some(self)
    }

    fn to_file(&self) -> Result<(Header, Record)> {
        file_of(Decoder::NAME, &self.about, &self.params)
    }
}
