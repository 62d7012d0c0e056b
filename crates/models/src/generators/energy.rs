//! A law known by its energy, sampled by Langevin chains.

use crate::checkpoint::{Header, Record};
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{Generator, file_of, in_blocks, read_body, stored};
use crate::guard::{guard, set_threads};
use crate::method::Setup;
use crate::nets::{Layout, Mlp, MlpConfig, Params, Pass};
use crate::noise::{Law, Noise};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::tensor::{to_points, to_tensor, values};
use flows::langevin::{Mala, Ula};
use measures::{Density, Measure, Points, Sample, Score, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tch::{Device, Tensor, no_grad_guard};

/// The chains that sample an energy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// Steps of every chain, which starts from N(0, I) in standard coordinates.
    pub steps: usize,
    /// The length h of a step.
    pub step: f64,
    /// Whether steps are accepted or rejected by Metropolis's rule (MALA), so that they leave the law exactly as it is.
    pub adjusted: bool,
}

impl Default for ChainConfig {
    fn default() -> Self {
        ChainConfig { steps: 400, step: 0.005, adjusted: true }
    }
}

impl ChainConfig {
    pub(crate) fn check(&self) -> Result<()> {
        check_count("sampler.steps", self.steps)?;
        check_range("sampler.step", self.step, f64::MIN_POSITIVE.., "finite and positive")
    }
}

/// p(x) ∝ e^{−E(x)} with E(x) = f(x) + ½‖x‖² in standard coordinates, f a network: far away it is a Gaussian, whatever f is.
#[derive(Debug)]
pub struct EnergyModel {
    net: Mlp,
    /// The network's parameters.
    pub params: Params,
    about: EnergyAbout,
}

/// What an energy is, besides its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyAbout {
    /// The method that trained it.
    pub method: String,
    /// The network f.
    pub net: MlpConfig,
    /// How it is sampled.
    pub sampler: ChainConfig,
    /// Between data and standard coordinates.
    pub scaler: Scaler,
}

impl EnergyModel {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "energy";

    /// An energy with first parameters drawn from `setup.seed`.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(about: EnergyAbout, setup: &Setup) -> Result<Self> {
        about.sampler.check()?;
        let mut layout = Layout::default();
        let net = Mlp::new(&about.net, about.scaler.dim(), 1, &mut layout)?;
        let params = Params::init(layout, setup.seed.named("energy"), setup.kind, setup.device)?;
        Ok(EnergyModel { net, params, about })
    }

    /// What the energy is, besides its parameters.
    pub fn about(&self) -> &EnergyAbout {
        &self.about
    }

    /// E at the rows of `x` (n×d, standard coordinates): n numbers.
    pub fn energy(&self, x: &Tensor) -> Tensor {
        self.net.forward(&self.params, x).squeeze_dim(1)
            + x.square().sum_dim_intlist(1, false, x.kind()) * 0.5
    }

    /// A copy with parameters of its own, on the CPU.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn duplicate(&self) -> Result<Self> {
        let mut params = self.params.duplicate()?;
        params.to_device(Device::Cpu)?;
        Ok(EnergyModel { net: self.net.clone(), params, about: self.about.clone() })
    }

    /// Moves chains from `x0` (standard coordinates) by `config.steps` steps.
    ///
    /// # Errors
    /// A chain left the finite numbers.
    pub(crate) fn chains(&self, x0: &Points, config: &ChainConfig, seed: Seed) -> Result<Points> {
        let law = EnergyLaw::new(self)?;
        let chains = if config.adjusted {
            Mala::new(config.step)?.run(&law, x0, config.steps, seed)?
        } else {
            Ula::new(config.step)?.run(&law, x0, config.steps, seed)?
        };
        if chains.status.iter().all(|status| *status == flows::ode::Status::Finished) {
            Ok(chains.points)
        } else {
            Err(Error::NonFinite { what: "a chain of the energy model (a shorter step may help)" })
        }
    }

    /// Where chains start.
    pub(crate) fn start(&self, n: usize, seed: Seed) -> Result<Points> {
        Ok(Noise::new(Law::Gaussian, self.about.scaler.dim())?.sample(n, &mut seed.rng()))
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        let about: EnergyAbout = read_body(header, path)?;
        about.scaler.check(about.scaler.dim())?;
        about.sampler.check()?;
        let mut layout = Layout::default();
        let net = Mlp::new(&about.net, about.scaler.dim(), 1, &mut layout)?;
        let params = stored(record, "params", layout, path)?;
        Ok(EnergyModel { net, params, about })
    }
}

/// The law as samplers ask for it. Tensors cannot be shared between threads, so one at a time evaluates the network; each
/// thread is told how many threads of libtorch to use, which is a setting of its own for every thread.
struct EnergyLaw {
    model: Mutex<(EnergyModel, Pass)>,
    dim: usize,
    threads: usize,
}

impl EnergyLaw {
    fn new(model: &EnergyModel) -> Result<Self> {
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let (net, params, about) = (model.net.clone(), model.params.duplicate()?, model.about.clone());
        let dim = about.scaler.dim();
        Ok(EnergyLaw {
            model: Mutex::new((EnergyModel { net, params, about }, Pass::default())),
            dim,
            threads,
        })
    }

    fn with<T>(
        &self,
        x: &Points,
        work: impl Fn(&EnergyModel, &mut Pass, &Tensor) -> Result<T>,
    ) -> measures::Result<T> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let (model, pass) = &mut *model;
        let result = guard(|| {
            set_threads(self.threads)?;
            let (kind, device) = model.params.options();
            work(model, pass, &to_tensor(x, kind, device)?)
        });
        let why = "libtorch refused to evaluate the network";
        result.map_err(|_| measures::Error::Undefined { what: "the energy", why })
    }
}

impl Measure for EnergyLaw {
    fn dim(&self) -> usize {
        self.dim
    }
}

impl Density for EnergyLaw {
    fn log_density(&self, x: &Points) -> measures::Result<Vec<f64>> {
        self.with(x, |model, _, x| {
            let _guard = no_grad_guard();
            values(&-model.energy(x))
        })
    }
}

impl Score for EnergyLaw {
    fn score(&self, x: &Points) -> measures::Result<Points> {
        self.with(x, |model, pass, x| {
            let said = pass.forward(&model.net, &model.params, x)?;
            let mut slope = pass.input_gradient(&model.net, &model.params, &said.f_ones_like()?)?;
            to_points(&slope.f_add_(x)?.f_neg_()?)
        })
    }
}

impl Persist for EnergyModel {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.params("params", &mut self.params, Role::Map)
    }
}

impl Generator for EnergyModel {
    fn dim(&self) -> usize {
        self.about.scaler.dim()
    }

    /// Evaluations of the energy with its gradient.
    fn evaluations(&self) -> u64 {
        self.about.sampler.steps as u64
    }

    fn generate(&self, n: usize, seed: Seed) -> Result<Points> {
        in_blocks(n, self.about.scaler.dim(), seed, |rows, seed| {
            let start = self.start(rows, seed.named("start"))?;
            Ok(self.about.scaler.restore(self.chains(&start, &self.about.sampler, seed.named("chains"))?))
        })
    }

    fn to_file(&self) -> Result<(Header, Record)> {
        file_of(EnergyModel::NAME, &self.about, &self.params)
    }
}
