//! Families of test functions with their measure τ: what the mean and the sup formulation are made of.

mod frequencies;
mod lattice;

pub use frequencies::RandomFrequencies;
pub use lattice::FourierLattice;

use measures::{Error, Result};

/// Checks τ, one number a function: as many as functions, finite and not negative.
pub(crate) fn check_tau(functions: usize, tau: &[f64]) -> Result<()> {
    measures::check_len("tau", functions, tau.len())?;
    match tau.iter().position(|t| !(t.is_finite() && *t >= 0.0)) {
        None => Ok(()),
        Some(index) => {
            Err(Error::Entry { what: "tau", index, value: tau[index], must: "finite and not negative" })
        }
    }
}

/// Each entry twice: τ of complex functions as τ of their real and imaginary parts.
pub(crate) fn doubled(tau: &[f64]) -> Vec<f64> {
    tau.iter().flat_map(|t| [*t, *t]).collect()
}
