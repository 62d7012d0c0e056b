//! Trained models: what they can do, and how they are saved and loaded.

pub(crate) mod cells;
mod decoder;
mod denoised;
mod energy;
mod flow;
mod guide;
mod leap;
mod likelihood;
mod normalising;
mod one_step;
mod sampler;
mod solver;

pub use cells::Cells;
pub use decoder::{Decoder, DecoderAbout};
pub use denoised::Denoised;
pub(crate) use denoised::DenoisedAbout;
pub use energy::{ChainConfig, EnergyAbout, EnergyModel};
pub use flow::{FlowAbout, FlowModel};
pub(crate) use guide::Guide;
pub use guide::{ConditionAbout, FactorInput, GuidanceConfig};
pub use leap::{Leap, LeapAbout, LeapModel};
pub(crate) use leap::{boundary, noise_at, part_at};
pub(crate) use likelihood::Divergence;
pub use normalising::{NormalisingAbout, NormalisingFlow};
pub use one_step::{MapConfig, OneStep};
pub use sampler::{ExponentialRule, SamplerConfig, SdeRule};
pub use solver::{Rule, SolverConfig};

use crate::checkpoint::{self, Array, Content, Header, Record};
use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::nets::{Layout, Params};
use measures::{Map, Points, Seed};
use std::path::Path;
use std::sync::Arc;

/// A trained model.
///
/// Generators can be sent to another thread and not shared between threads: tensors of libtorch are so.
pub trait Generator: Send {
    /// The dimension d of what it generates.
    fn dim(&self) -> usize;

    /// The number of network evaluations a sample costs.
    fn evaluations(&self) -> u64;

    /// n points, n×d, in the coordinates of the data. The same seed gives the same points, and a larger n begins with
    /// the points of a smaller one (to rounding: libtorch multiplies matrices of other shapes in another order).
    ///
    /// # Errors
    /// libtorch refuses, or the model produces NaN or infinities.
    fn generate(&self, n: usize, seed: Seed) -> Result<Points>;

    /// What it can be asked for, for models trained with a label or a vector a point.
    fn condition(&self) -> Option<&Condition> {
        None
    }

    /// One point for every row of `given`, each drawn given that row; `guidance` (the model's own when absent) is the factor
    /// by which the condition counts, 1 being the conditional law itself. The same seed begins with the same noise, whatever
    /// is asked for.
    ///
    /// # Errors
    /// The model takes no condition (the default), or none like this: a label it does not know, a vector of another
    /// dimension; the guidance is negative.
    fn generate_given(&self, given: &Points, guidance: Option<f64>, seed: Seed) -> Result<Points> {
        let _ = (given, guidance, seed);
        let why = "this model was trained without labels or conditions";
        Err(Error::Undefined { what: "generation given a condition", why })
    }

    /// log p(xᵢ) for every row, in nats and in the coordinates of the data, for models that have a density.
    ///
    /// # Errors
    /// The model has none (the default), or the points live in another dimension.
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        let _ = x;
        Err(Error::Undefined {
            what: "log_density",
            why: "this model generates but has no tractable density",
        })
    }

    /// The map itself, from noise to data, for models that are one.
    fn map(&self) -> Option<&dyn Map> {
        None
    }

    /// Header and tensors of the model's file.
    ///
    /// # Errors
    /// libtorch refuses the copy.
    fn to_file(&self) -> Result<(Header, Record)>;

    /// Writes the model, atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    fn save(&self, path: &Path) -> Result<()> {
        let (header, record) = self.to_file()?;
        checkpoint::write(path, &header, &record)
    }
}

/// The types of generator, as files name them.
const KINDS: &[&str] = &[
    OneStep::NAME,
    FlowModel::NAME,
    LeapModel::NAME,
    NormalisingFlow::NAME,
    Decoder::NAME,
    EnergyModel::NAME,
    Denoised::NAME,
];

/// Loads a model that any method saved, in any session.
///
/// # Errors
/// The file cannot be read, is damaged or foreign, or holds something else than a model.
pub fn load(path: &Path) -> Result<Box<dyn Generator>> {
    let (header, record) = checkpoint::read(path)?;
    header.expect(path, Content::Generator, None)?;
    match header.name.as_str() {
        OneStep::NAME => Ok(Box::new(OneStep::from_file(&header, &record, path)?)),
        FlowModel::NAME => Ok(Box::new(FlowModel::from_file(&header, &record, path)?)),
        LeapModel::NAME => Ok(Box::new(LeapModel::from_file(&header, &record, path)?)),
        NormalisingFlow::NAME => Ok(Box::new(NormalisingFlow::from_file(&header, &record, path)?)),
        Denoised::NAME => Ok(Box::new(Denoised::from_file(&header, &record, path)?)),
        EnergyModel::NAME => Ok(Box::new(EnergyModel::from_file(&header, &record, path)?)),
        Decoder::NAME => Ok(Box::new(Decoder::from_file(&header, &record, path)?)),
        other => Err(Error::Mismatch {
            path: path.to_owned(),
            found: format!("a model of type {other:?}"),
            expected: format!("one of {}", KINDS.join(", ")),
        }),
    }
}

/// The body of a model's header, read as a configuration.
pub(crate) fn read_body<T: serde::de::DeserializeOwned>(header: &Header, path: &Path) -> Result<T> {
    serde_json::from_value(header.body.clone())
        .map_err(|e| Error::damaged(path, format!("its configuration: {e}")))
}

/// Header and tensors of a model with one set of parameters, as [`stored`] reads them.
pub(crate) fn file_of(
    name: &str,
    about: &impl serde::Serialize,
    params: &Params,
) -> Result<(Header, Record)> {
    let body =
        serde_json::to_value(about).map_err(|e| Error::Config { what: "the model", why: e.to_string() })?;
    let mut record = Record::default();
    record.insert("params", Array::of_tensor(params.flat())?);
    Ok((Header::new(Content::Generator, name, body), record))
}

/// The parameters that a model's file holds under `name`.
pub(crate) fn stored(record: &Record, name: &str, layout: Layout, path: &Path) -> Result<Params> {
    let flat = record.get(name).ok_or_else(|| Error::damaged(path, format!("it has no {name}")))?;
    Params::new(Arc::new(layout), flat.to_tensor()?)
}

/// Rows generated at a time: bounds memory, and makes a larger sample begin with a smaller one.
pub(crate) const BLOCK: usize = 8192;

/// n points made in blocks, each from its own stream: `make(rows, block seed)`.
pub(crate) fn in_blocks(
    n: usize,
    dim: usize,
    seed: Seed,
    mut make: impl FnMut(usize, Seed) -> Result<Points>,
) -> Result<Points> {
    let mut coords = Vec::with_capacity(n.saturating_mul(dim).min(1 << 27));
    for (block, start) in (0..n).step_by(BLOCK).enumerate() {
        let rows = BLOCK.min(n - start);
        coords.extend(make(rows, seed.child(block as u64))?.into_vec());
    }
    let points = Points::from_raw(dim, coords);
    points.check_finite("generated").map_err(|_| Error::NonFinite { what: "what the model generates" })?;
    Ok(points)
}
