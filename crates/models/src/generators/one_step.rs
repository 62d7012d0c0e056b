//! φ_#ν with φ a network: one evaluation a sample.

use crate::checkpoint::{Header, Record};
use crate::error::Result;
use crate::generators::{Generator, file_of, in_blocks, read_body, stored};
use crate::guard::guard;
use crate::method::Setup;
use crate::nets::{Layout, Mlp, MlpConfig, Params};
use crate::noise::{Law, Noise};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::tensor::{to_points, to_tensor};
use measures::rand::Rng;
use measures::{Map, Measure, Points, Sample, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::{Device, Tensor, no_grad_guard};

/// A one-step map φ from noise to data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MapConfig {
    /// The dimension of the noise; absent, that of the data.
    pub latent_dim: Option<usize>,
    /// The law of a coordinate of the noise.
    pub noise: Law,
    /// The network.
    pub net: MlpConfig,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for MapConfig {
    fn default() -> Self {
        MapConfig { latent_dim: None, noise: Law::default(), net: MlpConfig::default(), standardise: true }
    }
}

/// A one-step map with its parameters: what is trained, and what generates afterwards.
///
/// As a [`Map`] it takes noise to data: φ(z) in the coordinates of the data.
#[derive(Debug)]
pub struct OneStep {
    net: Mlp,
    /// The network's parameters.
    pub params: Params,
    noise: Noise,
    scaler: Scaler,
    about: About,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    method: String,
    dim: usize,
    noise: Noise,
    net: MlpConfig,
    scaler: Scaler,
}

impl OneStep {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "one_step";

    /// A map with first parameters drawn from `setup.seed`; `method` is remembered in the model's file.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(config: &MapConfig, scaler: Scaler, method: &str, setup: &Setup) -> Result<Self> {
        let dim = scaler.dim();
        let noise = Noise::new(config.noise, config.latent_dim.unwrap_or(dim))?;
        let about = About { method: method.into(), dim, noise, net: config.net.clone(), scaler };
        let (net, layout) = about.network()?;
        let params = Params::init(layout, setup.seed.named("map"), setup.kind, setup.device)?;
        Ok(OneStep { net, params, noise, scaler: about.scaler.clone(), about })
    }

    /// n draws of noise, n×k, as a tensor.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn draw(&self, n: usize, rng: &mut dyn Rng) -> Result<Tensor> {
        let (kind, device) = self.params.options();
        to_tensor(&self.noise.sample(n, rng), kind, device)
    }

    /// φ(z) in standard coordinates, within the graph of automatic differentiation.
    pub fn forward(&self, z: &Tensor) -> Tensor {
        self.net.forward(&self.params, z)
    }

    /// The noise ν.
    pub fn noise(&self) -> &Noise {
        &self.noise
    }

    /// The scaler between data and standard coordinates.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// A copy with parameters of its own, on the CPU: a generator that further training does not change.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn duplicate(&self) -> Result<Self> {
        let mut params = self.params.duplicate()?;
        params.to_device(Device::Cpu)?;
        let (net, noise) = (self.net.clone(), self.noise);
        Ok(OneStep { net, params, noise, scaler: self.scaler.clone(), about: self.about.clone() })
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        let about: About = read_body(header, path)?;
        about.scaler.check(about.dim)?;
        let (net, layout) = about.network()?;
        let params = stored(record, "params", layout, path)?;
        Ok(OneStep { net, params, noise: about.noise, scaler: about.scaler.clone(), about })
    }

    fn evaluate(&self, z: &Points) -> Result<Points> {
        guard(|| {
            let _guard = no_grad_guard();
            let (kind, device) = self.params.options();
            let out = self.forward(&to_tensor(z, kind, device)?);
            Ok(self.scaler.restore(to_points(&out)?))
        })
    }
}

impl About {
    fn network(&self) -> Result<(Mlp, Layout)> {
        let mut layout = Layout::default();
        let net = Mlp::new(&self.net, self.noise.dim(), self.dim, &mut layout)?;
        Ok((net, layout))
    }
}

impl Persist for OneStep {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.params("params", &mut self.params, Role::Map)
    }
}

impl Map for OneStep {
    fn dim_in(&self) -> usize {
        self.noise.dim()
    }

    fn dim_out(&self) -> usize {
        self.scaler.dim()
    }

    fn apply(&self, z: &Points) -> measures::Result<Points> {
        measures::check_dim("points", self.dim_in(), z.dim())?;
        let why = "libtorch refused to evaluate the network";
        self.evaluate(z).map_err(|_| measures::Error::Undefined { what: "the map", why })
    }
}

impl Generator for OneStep {
    fn dim(&self) -> usize {
        self.scaler.dim()
    }

    fn evaluations(&self) -> u64 {
        1
    }

    fn generate(&self, n: usize, seed: Seed) -> Result<Points> {
        in_blocks(n, self.scaler.dim(), seed, |rows, seed| {
            self.evaluate(&self.noise.sample(rows, &mut seed.rng()))
        })
    }

    fn map(&self) -> Option<&dyn Map> {
        Some(self)
    }

    fn to_file(&self) -> Result<(Header, Record)> {
        file_of(OneStep::NAME, &self.about, &self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Array;
    use crate::error::Error;
    use crate::generators::{BLOCK, load};
    use tch::Kind;

    fn model(kind: Kind) -> OneStep {
        let config = MapConfig { latent_dim: Some(1), ..MapConfig::default() };
        let data = Points::from_rows(&[[0.0, 10.0], [2.0, 30.0]]);
        let setup = Setup { kind, device: Device::Cpu, seed: Seed::new(3) };
        OneStep::new(&config, Scaler::fit(&data).unwrap(), "test", &setup).unwrap()
    }

    #[test]
    fn saved_models_generate_the_same_points() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        for kind in [Kind::Float, Kind::Double] {
            let model = model(kind);
            model.save(&path).unwrap();
            let loaded = load(&path).unwrap();
            let x = model.generate(100, Seed::new(1)).unwrap();
            assert_eq!(loaded.generate(100, Seed::new(1)).unwrap(), x);
            assert_eq!((x.len(), x.dim(), loaded.evaluations()), (100, 2, 1));
            assert!(matches!(loaded.log_density(&x), Err(Error::Undefined { .. })));
        }
        // a damaged file is refused by name
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path).err().unwrap().to_string();
        assert!(error.contains("model.safetensors: damaged"), "{error}");
    }

    #[test]
    fn samples_are_prefixes_of_larger_ones_and_follow_the_map() {
        let model = model(Kind::Double);
        let large = model.generate(BLOCK + 5, Seed::new(2)).unwrap();
        let small = model.generate(7, Seed::new(2)).unwrap();
        assert!((0..7).all(|i| {
            let pairs = small.row(i).iter().zip(large.row(i));
            pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-12)
        }));
        let z = model.noise().sample(7, &mut Seed::new(2).child(0).rng());
        assert_eq!(model.map().unwrap().apply(&z).unwrap(), small);
        assert!(model.map().unwrap().apply(&Points::zeros(1, 2)).is_err());
    }

    #[test]
    fn a_file_of_another_shape_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let (header, mut record) = model(Kind::Float).to_file().unwrap();
        record.insert("params", Array::of_tensor(&Tensor::zeros([5], (Kind::Float, Device::Cpu))).unwrap());
        crate::checkpoint::write(&path, &header, &record).unwrap();
        assert!(load(&path).err().unwrap().to_string().contains("flat parameters"));
    }
}
