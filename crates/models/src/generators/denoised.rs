//! A law with a density, and one denoising step after it: for targets that have none.

use crate::checkpoint::{Header, Record};
use crate::error::Result;
use crate::generators::{
    Generator, NormalisingAbout, NormalisingFlow, file_of, in_blocks, read_body, stored,
};
use crate::guard::guard;
use crate::method::Setup;
use crate::nets::{Layout, Mlp, MlpConfig, Params};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::tensor::{to_points, to_tensor};
use measures::{Diffeo, Map, Points, Seed};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::{Device, Tensor, no_grad_guard};

/// D(X̃) with X̃ from a normalising flow that learned the noised target μ₁ * N(0, σ²), and D(x̃) ≈ E[X | X̃ = x̃] a network.
#[derive(Debug)]
pub struct Denoised {
    pub(crate) flow: NormalisingFlow,
    net: Mlp,
    /// The denoiser's parameters.
    pub(crate) params: Params,
    about: DenoisedAbout,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DenoisedAbout {
    pub(crate) method: String,
    /// σ, in standard coordinates.
    pub(crate) sigma: f64,
    pub(crate) denoiser: MlpConfig,
    pub(crate) flow: NormalisingAbout,
}

impl Denoised {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "denoised";

    pub(crate) fn new(about: DenoisedAbout, setup: &Setup) -> Result<Self> {
        let flow = NormalisingFlow::new(about.flow.clone(), setup)?;
        let (net, layout) = about.network()?;
        let params = Params::init(layout, setup.seed.named("denoiser"), setup.kind, setup.device)?;
        Ok(Denoised { flow, net, params, about })
    }

    /// D at the rows of `x`, both in standard coordinates.
    pub(crate) fn denoise(&self, x: &Tensor) -> Tensor {
        self.net.forward(&self.params, x)
    }

    /// The noised law.
    pub fn noised(&self) -> &NormalisingFlow {
        &self.flow
    }

    pub(crate) fn scaler(&self) -> &Scaler {
        &self.about.flow.scaler
    }

    pub(crate) fn duplicate(&self) -> Result<Self> {
        let mut params = self.params.duplicate()?;
        params.to_device(Device::Cpu)?;
        let flow = self.flow.duplicate()?;
        Ok(Denoised { flow, net: self.net.clone(), params, about: self.about.clone() })
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        let about: DenoisedAbout = read_body(header, path)?;
        let flow = NormalisingFlow::restore(about.flow.clone(), &record.under("flow"), path)?;
        let (net, layout) = about.network()?;
        let params = stored(record, "params", layout, path)?;
        Ok(Denoised { flow, net, params, about })
    }

    fn finish(&self, x: &Points) -> Result<Points> {
        guard(|| {
            let _guard = no_grad_guard();
            let (kind, device) = self.params.options();
            let x = to_tensor(&self.scaler().standardise(x.clone()), kind, device)?;
            Ok(self.scaler().restore(to_points(&self.denoise(&x))?))
        })
    }
}

impl DenoisedAbout {
    fn network(&self) -> Result<(Mlp, Layout)> {
        let (mut layout, d) = (Layout::default(), self.flow.scaler.dim());
        let net = Mlp::new(&self.denoiser, d, d, &mut layout)?;
        Ok((net, layout))
    }
}

impl Persist for Denoised {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("flow", &mut self.flow)?;
        v.params("denoiser", &mut self.params, Role::Map)
    }
}

impl Map for Denoised {
    fn dim_in(&self) -> usize {
        self.scaler().dim()
    }

    fn dim_out(&self) -> usize {
        self.scaler().dim()
    }

    fn apply(&self, z: &Points) -> measures::Result<Points> {
        let noised = self.flow.apply_with_log_det(z)?.0;
        let why = "libtorch refused to evaluate the network";
        self.finish(&noised).map_err(|_| measures::Error::Undefined { what: "the denoiser", why })
    }
}

impl Generator for Denoised {
    fn dim(&self) -> usize {
        self.scaler().dim()
    }

    fn evaluations(&self) -> u64 {
        self.flow.evaluations() + 1
    }

    fn generate(&self, n: usize, seed: Seed) -> Result<Points> {
        // The flow makes its points in the same blocks, so that a larger sample begins with a smaller one.
        let noised = self.flow.generate(n, seed)?;
        let mut done = 0;
        in_blocks(n, self.scaler().dim(), seed, |rows, _| {
            let block = noised.select(&(done..done + rows).collect::<Vec<_>>());
            done += rows;
            self.finish(&block)
        })
    }

    fn map(&self) -> Option<&dyn Map> {
        Some(self)
    }

    fn to_file(&self) -> Result<(Header, Record)> {
        let (header, mut record) = file_of(Denoised::NAME, &self.about, &self.params)?;
        record.insert_under("flow", self.flow.to_file()?.1);
        Ok((header, record))
    }
}
