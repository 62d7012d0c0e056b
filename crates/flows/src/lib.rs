#![doc = include_str!("../README.md")]

pub mod descent;
mod error;
pub mod exponential;
pub mod field;
pub mod grid;
pub mod interaction;
pub mod lanes;
pub mod langevin;
pub mod likelihood;
pub mod ode;
pub mod path;
pub mod sde;
mod state;

pub use error::{Error, FieldError, Result};
pub use field::VelocityField;
pub use ode::{Controller, Dense, Ode, Status, Stepper, Trajectory};
pub use state::{Clock, State};

pub use measures;
