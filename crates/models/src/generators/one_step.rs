//! φ_#ν with φ a network: one evaluation a sample.

use crate::checkpoint::{Header, Record};
use crate::error::{Error, Result};
use crate::generators::cells::{self, Cells};
use crate::generators::{Generator, file_of, in_blocks, read_body, stored};
use crate::guard::guard;
use crate::method::Setup;
use crate::nets::{Gradient, Init, Layout, Mlp, MlpConfig, Params, Pass};
use crate::noise::{Law, Noise};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::source::{Source, overview};
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
    /// Clusters of the data for each of which the noise has a cell of its own, from one to the next of which the map may
    /// jump ([`Cells`]); at least as many as the data have separate parts. With 0 the map is continuous. Noise and data
    /// must have one dimension. Fewer where a cluster would have fewer than 48 rows.
    pub cells: usize,
}

impl Default for MapConfig {
    fn default() -> Self {
        MapConfig {
            latent_dim: None,
            noise: Law::default(),
            net: MlpConfig::default(),
            standardise: true,
            cells: 0,
        }
    }
}

/// A one-step map with its parameters: what is trained, and what generates afterwards.
///
/// As a [`Map`] it takes noise to data: φ(z) in the coordinates of the data.
///
/// Where the noise is cut into [`Cells`], φ(z) = c_k + r_k · net((z − ζ_k)/s_k, code of k) in the cell k of z, with c_k and r_k
/// the centre and radius of the cell's cluster of data, ζ_k and s_k those of the noise in the cell.
#[derive(Debug)]
pub struct OneStep {
    net: Mlp,
    cut: Option<Cut>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cells: Option<Cells>,
}

/// The cells as tensors, and the parameter that holds their codes.
#[derive(Debug)]
struct Cut {
    cells: Cells,
    codes: usize,
    /// d×K
    centres_across: Tensor,
    offsets: Tensor,
    /// K×d, K×1
    centres: Tensor,
    radii: Tensor,
    noise_centres: Tensor,
    noise_scales: Tensor,
}

impl Cut {
    fn new(cells: Cells, codes: usize, params: &Params) -> Result<Self> {
        let (kind, device) = params.options();
        let (n, d) = (cells.len() as i64, cells.dim() as i64);
        let tensor = |list: &[f64], shape: [i64; 2]| -> Result<Tensor> {
            Ok(Tensor::f_from_slice(list)?.f_view(shape)?.f_to_kind(kind)?.f_to_device(device)?)
        };
        let centres = tensor(&cells.centres, [n, d])?;
        let scales: Vec<f64> = cells.noise_radii.iter().map(|r| 1.0 / r).collect();
        Ok(Cut {
            codes,
            centres_across: centres.f_tr()?.f_contiguous()?,
            offsets: tensor(&cells.offsets, [1, n])?,
            centres,
            radii: tensor(&cells.radii, [n, 1])?,
            noise_centres: tensor(&cells.noise_centres, [n, d])?,
            noise_scales: tensor(&scales, [n, 1])?,
            cells,
        })
    }

    fn forward(&self, net: &Mlp, params: &Params, z: &Tensor) -> Tensor {
        let cell = (z.matmul(&self.centres_across) + &self.offsets).argmax(1, false);
        let of = |table: &Tensor| table.index_select(0, &cell);
        let local = (z - of(&self.noise_centres)) * of(&self.noise_scales);
        let inside = net.forward(params, &Tensor::cat(&[local, of(params.leaf(self.codes))], 1));
        of(&self.centres) + inside * of(&self.radii)
    }
}

impl OneStep {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "one_step";

    /// A map with first parameters drawn from `setup.seed`; `method` is remembered in the model's file, and `target` is
    /// looked at where the noise is to be cut into cells.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(
        config: &MapConfig,
        scaler: Scaler,
        method: &str,
        target: &dyn Source,
        setup: &Setup,
    ) -> Result<Self> {
        let dim = scaler.dim();
        let noise = Noise::new(config.noise, config.latent_dim.unwrap_or(dim))?;
        let cells = match config.cells {
            0 => None,
            count => {
                let seed = setup.seed.named("cells");
                let data = scaler.standardise(overview(target, cells::POINTS, seed.named("data"))?);
                Some(Cells::new(count, &data, &noise, seed)?)
            }
        };
        let about = About { method: method.into(), dim, noise, net: config.net.clone(), scaler, cells };
        let (net, codes, layout) = about.network()?;
        let params = Params::init(layout, setup.seed.named("map"), setup.kind, setup.device)?;
        OneStep::of(about, net, codes, params)
    }

    fn of(about: About, net: Mlp, codes: Option<usize>, params: Params) -> Result<Self> {
        let cut = match (&about.cells, codes) {
            (Some(cells), Some(codes)) => Some(Cut::new(cells.clone(), codes, &params)?),
            _ => None,
        };
        Ok(OneStep { net, cut, params, noise: about.noise, scaler: about.scaler.clone(), about })
    }

    /// The cells of the noise, where it is cut.
    pub fn cells(&self) -> Option<&Cells> {
        self.cut.as_ref().map(|cut| &cut.cells)
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
        match &self.cut {
            None => self.net.forward(&self.params, z),
            Some(cut) => cut.forward(&self.net, &self.params, z),
        }
    }

    /// Whether the map is its network alone, without cells, so that [`OneStep::push`] and [`OneStep::pull`] know it.
    pub fn is_plain(&self) -> bool {
        self.cut.is_none()
    }

    /// φ(z) of a plain map in standard coordinates without a graph; `pass` remembers what [`OneStep::pull`] needs.
    ///
    /// # Errors
    /// libtorch refuses the shapes.
    pub fn push(&self, z: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        pass.forward(&self.net, &self.params, z)
    }

    /// The gradient of a loss in the parameters, written over `gradient`, from its gradient in the points that
    /// [`OneStep::push`] made last with this `pass`.
    ///
    /// # Errors
    /// libtorch refuses the shapes.
    pub fn pull(&self, d_points: &Tensor, pass: &mut Pass, gradient: &mut Gradient) -> Result<()> {
        pass.backward(&self.net, &self.params, d_points, gradient, false)
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
        OneStep::of(self.about.clone(), self.net.clone(), self.cut.as_ref().map(|cut| cut.codes), params)
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        let about: About = read_body(header, path)?;
        about.scaler.check(about.dim)?;
        if let Some(cells) = &about.cells {
            cells.check(about.dim).map_err(|e| Error::damaged(path, e.to_string()))?;
        }
        let (net, codes, layout) = about.network()?;
        let params = stored(record, "params", layout, path)?;
        OneStep::of(about, net, codes, params)
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
    /// The network, the parameter that holds the codes of cells, and the layout.
    fn network(&self) -> Result<(Mlp, Option<usize>, Layout)> {
        let mut layout = Layout::default();
        let code = self.cells.as_ref().map_or(0, |cells| cells.code);
        let net = Mlp::new(&self.net, self.noise.dim() + code, self.dim, &mut layout)?;
        let codes = self.cells.as_ref().map(|c| layout.push("codes", &[c.len(), code], Init::Normal(1.0)));
        Ok((net, codes, layout))
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
    use crate::generators::{BLOCK, load};
    use crate::source::Data;
    use tch::Kind;

    fn model(kind: Kind) -> OneStep {
        let config = MapConfig { latent_dim: Some(1), ..MapConfig::default() };
        of_config(&config, kind)
    }

    fn of_config(config: &MapConfig, kind: Kind) -> OneStep {
        // Two clusters, of 48 rows each.
        let corners = Points::from_rows(&[[0.0, 10.0], [2.0, 30.0], [0.1, 11.0], [2.1, 31.0]]);
        let data = corners.select(&[0, 1, 2, 3].repeat(24));
        let setup = Setup { kind, device: Device::Cpu, seed: Seed::new(3) };
        let scaler = Scaler::fit(&data).unwrap();
        OneStep::new(config, scaler, "test", &Data::new(data).unwrap(), &setup).unwrap()
    }

    /// A map with cells jumps from cluster to cluster, each getting its share, and is saved with its cells.
    #[test]
    fn cells_are_part_of_the_map() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let model = of_config(&MapConfig { cells: 2, ..MapConfig::default() }, Kind::Float);
        let x = model.generate(4000, Seed::new(1)).unwrap();
        let first = x.rows().filter(|x| (x[0] - 0.05).abs() < 0.4).count();
        let second = x.rows().filter(|x| (x[0] - 2.05).abs() < 0.4).count();
        assert!(first + second == 4000 && (1800..2200).contains(&first), "{first} {second}");
        model.save(&path).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.generate(4000, Seed::new(1)).unwrap(), x);
        assert_eq!(model.duplicate().unwrap().generate(4000, Seed::new(1)).unwrap(), x);
        // cells that do not fit together are refused by the file's name
        let (mut header, record) = model.to_file().unwrap();
        header.body["cells"]["offsets"] = serde_json::json!([1.0]);
        crate::checkpoint::write(&path, &header, &record).unwrap();
        let error = load(&path).err().unwrap().to_string();
        assert!(error.contains("model.safetensors: damaged") && error.contains("cells"), "{error}");
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
