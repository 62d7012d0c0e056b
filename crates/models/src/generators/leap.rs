//! Networks that leap: from one time of a path straight to a later one, or to the data.

use crate::checkpoint::{Header, Record};
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{Generator, file_of, in_blocks, read_body, stored};
use crate::guard::guard;
use crate::method::Setup;
use crate::nets::{FieldConfig, FieldNet, Layout, Mlp, Params, frequencies};
use crate::noise::{Law, Noise};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::tensor::{to_points, to_tensor};
use measures::{Map, Points, Sample, Seed};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::{Device, Tensor, no_grad_guard};

/// A network whose answer at one time takes a point all the way to another.
#[derive(Debug)]
pub struct LeapModel {
    net: FieldNet,
    /// The network's parameters.
    pub params: Params,
    about: LeapAbout,
}

/// What a leaping model is, besides its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeapAbout {
    /// The method that trained it.
    pub method: String,
    /// The network.
    pub net: FieldConfig,
    /// What the network says.
    pub leap: Leap,
    /// Leaps a sample takes.
    pub steps: usize,
    /// Between data and standard coordinates.
    pub scaler: Scaler,
}

/// What a leaping network says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Leap {
    /// f(x, σ), the point of the data at the end of the probability flow through x at noise σ; f(x, σ_least) = x. Further steps
    /// noise the point again and leap again.
    Consistency {
        /// The noise that counts as none.
        least: f64,
        /// The noise at which the data are lost.
        most: f64,
    },
    /// u(x, t, r), the mean velocity from time t to time r along the flow through x: x + (r − t) u is where it leads.
    Mean {},
}

/// The exponent of the times of noise, arXiv 2206.00364.
const RHO: f64 = 7.0;

/// The noise at the part `u` of the way from the least to the most: equal steps in σ^{1/7}.
pub(crate) fn noise_at(u: f64, least: f64, most: f64) -> f64 {
    let (a, b) = (least.powf(1.0 / RHO), most.powf(1.0 / RHO));
    (a + u * (b - a)).powf(RHO)
}

/// The part of the way at which a noise is: what [`noise_at`] undoes.
pub(crate) fn part_at(sigma: f64, least: f64, most: f64) -> f64 {
    let [s, a, b] = [sigma, least, most].map(|v| v.powf(1.0 / RHO));
    (s - a) / (b - a)
}

impl LeapModel {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "leap";

    /// A model with first parameters drawn from `setup.seed`.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(about: LeapAbout, setup: &Setup) -> Result<Self> {
        let (net, layout) = network(&about)?;
        let params = Params::init(layout, setup.seed.named("leap"), setup.kind, setup.device)?;
        Ok(LeapModel { net, params, about })
    }

    /// What the model is, besides its parameters.
    pub fn about(&self) -> &LeapAbout {
        &self.about
    }

    /// f(x, σ) for rows of `x` (n×d), `sigma` n×1, by the given parameters: c_skip x + c_out F(c_in x, ¼ log σ) with coefficients
    /// that make it the identity at the least noise (data of variance 1).
    pub(crate) fn consistent(&self, params: &Params, sigma: &Tensor, x: &Tensor, least: f64) -> Tensor {
        let (skip, out) = boundary(sigma, least);
        x * skip + self.raw(params, sigma, x) * out
    }

    /// F(c_in x, ¼ log σ).
    pub(crate) fn raw(&self, params: &Params, sigma: &Tensor, x: &Tensor) -> Tensor {
        let scaled = x * (sigma.square() + 1.0).rsqrt();
        self.net.forward(params, &(sigma.log() * 0.25), &scaled, None)
    }

    /// u(x, t, r), `t` and `r` n×1.
    pub(crate) fn mean_velocity(&self, t: &Tensor, r: &Tensor, x: &Tensor) -> Tensor {
        self.net.forward(&self.params, t, x, Some(&self.stretch(t, r)))
    }

    /// The perceptron of u, where it is one, and what it sees of x, t and r.
    pub(crate) fn mean_input(&self, t: &Tensor, r: &Tensor, x: &Tensor) -> Option<(&Mlp, Tensor)> {
        Some((self.net.perceptron()?, self.net.input(t, x, Some(&self.stretch(t, r)))))
    }

    /// The derivative of that input as t runs, r stands and x moves with the velocity `v`.
    pub(crate) fn mean_input_along(&self, t: &Tensor, r: &Tensor, v: &Tensor) -> Tensor {
        let mut along = vec![t.ones_like() * -1.0];
        let features = self.about.net.time_features;
        if features > 0 {
            let speeds = frequencies(features, t);
            let angles = (r - t) * &speeds;
            along.extend([-(angles.cos() * &speeds), angles.sin() * speeds]);
        }
        self.net.input_along(t, (&t.ones_like(), v, Some(&Tensor::cat(&along, 1))))
    }

    /// What the network is told of the stretch from `t` to `r`: its length, and sines and cosines of it.
    fn stretch(&self, t: &Tensor, r: &Tensor) -> Tensor {
        let length = r - t;
        let mut told = vec![length.shallow_clone()];
        if self.about.net.time_features > 0 {
            let angles = length * frequencies(self.about.net.time_features, t);
            told.extend([angles.sin(), angles.cos()]);
        }
        Tensor::cat(&told, 1)
    }

    /// A copy with parameters of its own, on the CPU, ready to generate.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn duplicate(&self) -> Result<Self> {
        let mut params = self.params.duplicate()?;
        params.to_device(Device::Cpu)?;
        Ok(LeapModel { net: self.net.clone(), params, about: self.about.clone() })
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        let about: LeapAbout = read_body(header, path)?;
        about.scaler.check(about.scaler.dim())?;
        let (net, layout) = network(&about)?;
        let params = stored(record, "params", layout, path)?;
        Ok(LeapModel { net, params, about })
    }

    fn gaussian(&self, n: usize, seed: Seed) -> Result<Points> {
        Ok(Noise::new(Law::Gaussian, self.about.scaler.dim())?.sample(n, &mut seed.rng()))
    }

    /// From noise N(0, I) to data; `seed` for what is noised again on the way.
    fn evaluate(&self, z: &Points, seed: Seed) -> Result<Points> {
        guard(|| {
            let _guard = no_grad_guard();
            let (kind, device) = self.params.options();
            let (steps, n) = (self.about.steps, z.len() as i64);
            let full = |v: f64| Tensor::full([n, 1], v, (kind, device));
            let mut x = to_tensor(z, kind, device)?;
            match self.about.leap {
                Leap::Consistency { least, most } => {
                    x = self.consistent(&self.params, &full(most), &(x * most), least);
                    for k in 1..steps {
                        let sigma = noise_at(1.0 - k as f64 / steps as f64, least, most);
                        let noise = to_tensor(&self.gaussian(z.len(), seed.child(k as u64))?, kind, device)?;
                        let noised = x + noise * (sigma * sigma - least * least).sqrt();
                        x = self.consistent(&self.params, &full(sigma), &noised, least);
                    }
                }
                Leap::Mean {} => {
                    for k in 0..steps {
                        let (t, r) = (k as f64 / steps as f64, (k + 1) as f64 / steps as f64);
                        x = &x + self.mean_velocity(&full(t), &full(r), &x) / steps as f64;
                    }
                }
            }
            Ok(self.about.scaler.restore(to_points(&x)?))
        })
    }
}

/// c_skip and c_out at the noises `sigma`.
pub(crate) fn boundary(sigma: &Tensor, least: f64) -> (Tensor, Tensor) {
    let above = sigma - least;
    ((above.square() + 1.0).reciprocal(), above * (sigma.square() + 1.0).rsqrt())
}

fn network(about: &LeapAbout) -> Result<(FieldNet, Layout)> {
    check_count("steps", about.steps)?;
    let (mut layout, d) = (Layout::default(), about.scaler.dim());
    let condition = match about.leap {
        Leap::Consistency { least, most } => {
            check_range("sigma_least", least, f64::MIN_POSITIVE.., "finite and positive")?;
            if !(most.is_finite() && most > least) {
                return Err(Error::setting("sigma_most", most, "finite and more than sigma_least"));
            }
            0
        }
        Leap::Mean {} => 1 + 2 * about.net.time_features,
    };
    let net = FieldNet::new(&about.net, d, condition, d, &mut layout)?;
    Ok((net, layout))
}

impl Persist for LeapModel {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.params("params", &mut self.params, Role::Map)
    }
}

impl Map for LeapModel {
    fn dim_in(&self) -> usize {
        self.about.scaler.dim()
    }

    fn dim_out(&self) -> usize {
        self.about.scaler.dim()
    }

    /// Noise N(0, I) to data; what is noised again on the way is so from a fixed seed.
    fn apply(&self, z: &Points) -> measures::Result<Points> {
        measures::check_dim("points", self.dim_in(), z.dim())?;
        let why = "libtorch refused to evaluate the network";
        self.evaluate(z, Seed::new(0)).map_err(|_| measures::Error::Undefined { what: "the map", why })
    }
}

impl Generator for LeapModel {
    fn dim(&self) -> usize {
        self.about.scaler.dim()
    }

    fn evaluations(&self) -> u64 {
        self.about.steps as u64
    }

    fn generate(&self, n: usize, seed: Seed) -> Result<Points> {
        in_blocks(n, self.about.scaler.dim(), seed, |rows, seed| {
            self.evaluate(&self.gaussian(rows, seed)?, seed.named("again"))
        })
    }

    fn map(&self) -> Option<&dyn Map> {
        Some(self)
    }

    fn to_file(&self) -> Result<(Header, Record)> {
        file_of(LeapModel::NAME, &self.about, &self.params)
    }
}
