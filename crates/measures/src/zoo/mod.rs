//! Named measures, each with its exact parameters.

mod gaussian;

pub use gaussian::Gaussian;
