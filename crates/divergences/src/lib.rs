#![doc = include_str!("../README.md")]

mod atoms;
mod axioms;
mod divergence;
pub mod neighbours;
mod permutation;
pub mod phi;
pub mod quality;
#[cfg(test)]
mod testing;
pub mod total_variation;
pub mod transport;

pub use axioms::Axioms;
pub use divergence::{Divergence, Toward};
pub use measures;
pub use measures::{Error, Result};
