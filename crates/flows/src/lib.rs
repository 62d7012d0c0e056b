#![doc = include_str!("../README.md")]

mod error;
pub mod field;
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
