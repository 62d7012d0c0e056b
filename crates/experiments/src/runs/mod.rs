//! The experiments, one a file.

mod atlas;
mod bars;
mod compare;
mod distances;
mod fig1;
mod guarantees;
mod integrators;
mod learn;
mod method;
mod ot_latent;
mod pictures;
mod reproduce;
mod repulsion;
mod saddle;
mod sample;
mod spectrum;
mod two_sample;

pub use atlas::{Atlas, AtlasConfig};
pub use bars::{Bars, BarsConfig};
pub use compare::{Compare, CompareConfig};
pub use fig1::{Fig1, Fig1Config};
pub use guarantees::{Guarantees, GuaranteesConfig};
pub use integrators::{Integrators, IntegratorsConfig};
pub use learn::{Learn, LearnConfig};
pub use method::Choice;
pub use ot_latent::{OtLatent, OtLatentConfig};
pub use reproduce::{PublishedTable, Reproduce, ReproduceConfig};
pub use repulsion::{Repulsion, RepulsionConfig};
pub use saddle::{Saddle, SaddleConfig};
pub use sample::{Format, Sample, SampleConfig};
pub use spectrum::{Spectrum, SpectrumConfig};
pub use two_sample::{TwoSample, TwoSampleConfig};
