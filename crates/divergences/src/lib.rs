#![doc = include_str!("../README.md")]

mod axioms;
mod divergence;
pub mod neighbours;
mod permutation;
pub mod quality;
#[cfg(test)]
mod testing;
pub mod transport;

pub use axioms::Axioms;
pub use divergence::{Divergence, Toward};
pub use measures;
pub use measures::{Error, Result};
