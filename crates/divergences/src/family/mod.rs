//! Families of test functions with their measure τ: what the mean and the sup formulation are made of.

mod bumps;
mod exponentials;
mod frequencies;
mod functions;
mod lattice;
mod nystrom;
mod pointwise;
mod polynomials;
pub(crate) mod powers;
mod ridge;
mod stein;

pub use bumps::Bumps;
pub use exponentials::Exponentials;
pub use frequencies::RandomFrequencies;
pub use functions::Functions;
pub use lattice::FourierLattice;
pub use nystrom::Nystrom;
pub use polynomials::{Hermite, Monomials};
pub use ridge::{Activation, Ridge};
pub use stein::SteinImage;

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
