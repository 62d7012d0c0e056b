#![doc = include_str!("../README.md")]

mod atoms;
mod axioms;
mod block;
#[cfg(feature = "proptest")]
pub mod check;
mod divergence;
mod energy;
pub mod estimate;
pub mod family;
mod fisher;
pub mod kernel;
mod mean_ipm;
mod merge;
mod mmd;
pub mod neighbours;
mod packed;
mod permutation;
pub mod phi;
pub mod quality;
mod radix;
mod registry;
mod sliced_energy;
mod slices;
mod spectral;
mod statistic;
mod stein;
pub mod sup_ipm;
mod svd;
pub mod test;
#[cfg(test)]
mod testing;
pub mod total_variation;
pub mod transport;

pub use axioms::Axioms;
pub use block::BlockMmd;
pub use divergence::{Divergence, Toward};
pub use energy::EnergyDistance;
pub use fisher::FisherDivergence;
pub use mean_ipm::MeanIpm;
pub use measures;
pub use measures::{Error, Result};
pub use mmd::Mmd;
pub use registry::{Registered, registry};
pub use sliced_energy::SlicedEnergy;
pub use spectral::{Approach, Spectral, SpectralGrid, SpectralMmd, SpectralValue};
pub use statistic::Statistic;
pub use stein::{KernelStein, SteinKernel};

/// The example in the README of the workspace, compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
