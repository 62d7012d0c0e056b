//! A normalising flow: a bijective network, whose density eq. (4) gives in closed form.

use crate::checkpoint::{self, Content, Header, Record};
use crate::error::Result;
use crate::generators::{Generator, file_of, in_blocks, read_body, stored};
use crate::guard::guard;
use crate::method::Setup;
use crate::nets::{Bijection, BijectionConfig, Layout, Params};
use crate::noise::{Law, Noise};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::tensor::{to_points, to_tensor, values};
use measures::{Density, Diffeo, Map, Measure, Points, Sample, Score, Seed};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// φ_#N(0, I) with φ a stack of invertible layers: sampled through φ, and log p(x) = log p_z(φ⁻¹(x)) + log|det Dφ⁻¹(x)|,
/// eq. (4).
///
/// It is a [`Generator`], a [`Diffeo`] from noise to data in the coordinates of the data, a [`Density`] and a [`Score`].
#[derive(Debug)]
pub struct NormalisingFlow {
    bijection: Bijection,
    /// The parameters of all layers.
    pub params: Params,
    about: NormalisingAbout,
}

/// What a normalising flow is, besides its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalisingAbout {
    /// The method that trained it.
    pub method: String,
    /// The layers.
    pub bijection: BijectionConfig,
    /// Between data and standard coordinates.
    pub scaler: Scaler,
}

impl NormalisingFlow {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "normalising_flow";

    /// A flow with first parameters drawn from `setup.seed`.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(about: NormalisingAbout, setup: &Setup) -> Result<Self> {
        let mut layout = Layout::default();
        let bijection = Bijection::new(&about.bijection, about.scaler.dim(), &mut layout)?;
        let params = Params::init(layout, setup.seed.named("bijection"), setup.kind, setup.device)?;
        Ok(NormalisingFlow { bijection, params, about })
    }

    /// Loads a model that a method with this map saved.
    ///
    /// # Errors
    /// As [`load`](crate::load()); the file holds a model of another type.
    pub fn load(path: &Path) -> Result<Self> {
        let (header, record) = checkpoint::read(path)?;
        header.expect(path, Content::Generator, Some(NormalisingFlow::NAME))?;
        NormalisingFlow::from_file(&header, &record, path)
    }

    /// What the flow is, besides its parameters.
    pub fn about(&self) -> &NormalisingAbout {
        &self.about
    }

    /// log p(x) in nats for the rows of `x` (n×d), both in standard coordinates, within the graph of automatic
    /// differentiation.
    pub fn log_prob(&self, x: &Tensor) -> Tensor {
        let (z, log_det) = self.bijection.pull(&self.params, x);
        standard_normal(&z) + log_det
    }

    /// Points of standard coordinates made from the noise `z`, n×d.
    pub fn push(&self, z: &Tensor) -> Tensor {
        self.bijection.push(&self.params, z).0
    }

    /// A copy with parameters of its own, on the CPU.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn duplicate(&self) -> Result<Self> {
        let mut params = self.params.duplicate()?;
        params.to_device(Device::Cpu)?;
        Ok(NormalisingFlow { bijection: self.bijection.clone(), params, about: self.about.clone() })
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        NormalisingFlow::restore(read_body(header, path)?, record, path)
    }

    /// The flow of what its file holds.
    pub(crate) fn restore(about: NormalisingAbout, record: &Record, path: &Path) -> Result<Self> {
        about.scaler.check(about.scaler.dim())?;
        let mut layout = Layout::default();
        let bijection = Bijection::new(&about.bijection, about.scaler.dim(), &mut layout)?;
        let params = stored(record, "params", layout, path)?;
        Ok(NormalisingFlow { bijection, params, about })
    }

    /// Runs the layers on points, without gradients, the points in double precision: two directions that round in single
    /// precision drift apart where the map is steep.
    fn through(
        &self,
        x: &Points,
        layers: impl Fn(&Bijection, &Params, &Tensor) -> (Tensor, Tensor),
    ) -> Result<(Points, Vec<f64>)> {
        guard(|| {
            let _guard = no_grad_guard();
            let x = to_tensor(x, Kind::Double, self.params.options().1)?;
            let (y, log_det) = layers(&self.bijection, &self.params, &x);
            Ok((to_points(&y)?, values(&log_det)?))
        })
    }

    fn down(&self, x: &Points) -> Result<(Points, Vec<f64>)> {
        let x = self.about.scaler.standardise(x.clone());
        let (z, mut log_det) = self.through(&x, Bijection::pull)?;
        let volume = self.about.scaler.log_volume();
        log_det.iter_mut().for_each(|l| *l -= volume);
        Ok((z, log_det))
    }

    fn up(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        let (x, mut log_det) = self.through(z, Bijection::push)?;
        let volume = self.about.scaler.log_volume();
        log_det.iter_mut().for_each(|l| *l += volume);
        Ok((self.about.scaler.restore(x), log_det))
    }

    fn noise(&self) -> Result<Noise> {
        Noise::new(Law::Gaussian, self.about.scaler.dim())
    }
}

/// log N(z; 0, I) for the rows of `z`.
pub(crate) fn standard_normal(z: &Tensor) -> Tensor {
    let constant = 0.5 * z.size()[1] as f64 * TAU.ln();
    z.square().sum_dim_intlist(1, false, z.kind()) * -0.5 - constant
}

fn refused<T>(result: Result<T>) -> measures::Result<T> {
    let why = "libtorch refused to evaluate the network";
    result.map_err(|_| measures::Error::Undefined { what: "the normalising flow", why })
}

impl Persist for NormalisingFlow {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.params("params", &mut self.params, Role::Map)
    }
}

impl Map for NormalisingFlow {
    fn dim_in(&self) -> usize {
        self.about.scaler.dim()
    }

    fn dim_out(&self) -> usize {
        self.about.scaler.dim()
    }

    fn apply(&self, z: &Points) -> measures::Result<Points> {
        Ok(self.apply_with_log_det(z)?.0)
    }
}

impl Diffeo for NormalisingFlow {
    fn apply_with_log_det(&self, z: &Points) -> measures::Result<(Points, Vec<f64>)> {
        measures::check_dim("points", self.dim_in(), z.dim())?;
        refused(self.up(z))
    }

    fn inverse_with_log_det(&self, x: &Points) -> measures::Result<(Points, Vec<f64>)> {
        measures::check_dim("points", self.dim_in(), x.dim())?;
        refused(self.down(x))
    }
}

impl Measure for NormalisingFlow {
    fn dim(&self) -> usize {
        self.about.scaler.dim()
    }
}

impl Density for NormalisingFlow {
    fn log_density(&self, x: &Points) -> measures::Result<Vec<f64>> {
        let (z, mut log) = self.inverse_with_log_det(x)?;
        let base = refused(self.noise())?.log_density(&z)?;
        log.iter_mut().zip(base).for_each(|(l, b)| *l += b);
        Ok(log)
    }
}

impl Score for NormalisingFlow {
    /// ∇log p by automatic differentiation.
    fn score(&self, x: &Points) -> measures::Result<Points> {
        measures::check_dim("points", self.dim_in(), x.dim())?;
        refused(guard(|| {
            let (kind, device) = self.params.options();
            let x = to_tensor(&self.about.scaler.standardise(x.clone()), kind, device)?;
            let x = x.f_set_requires_grad(true)?;
            let log = self.log_prob(&x).f_sum(kind)?;
            let gradient = Tensor::f_run_backward(&[log], &[&x], false, false)?;
            Ok(self.about.scaler.rescale(to_points(&gradient[0])?))
        }))
    }
}

impl Generator for NormalisingFlow {
    fn dim(&self) -> usize {
        self.about.scaler.dim()
    }

    fn evaluations(&self) -> u64 {
        self.bijection.passes() as u64
    }

    fn generate(&self, n: usize, seed: Seed) -> Result<Points> {
        let noise = self.noise()?;
        in_blocks(n, Generator::dim(self), seed, |rows, seed| {
            Ok(self.up(&noise.sample(rows, &mut seed.rng()))?.0)
        })
    }

    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        Ok(Density::log_density(self, x)?)
    }

    fn map(&self) -> Option<&dyn Map> {
        Some(self)
    }

    fn to_file(&self) -> Result<(Header, Record)> {
        file_of(NormalisingFlow::NAME, &self.about, &self.params)
    }
}
