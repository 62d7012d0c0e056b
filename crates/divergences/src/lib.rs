#![doc = include_str!("../README.md")]

mod axioms;
mod divergence;
pub mod transport;

pub use axioms::Axioms;
pub use divergence::{Divergence, Toward};
pub use measures;
pub use measures::{Error, Result};
