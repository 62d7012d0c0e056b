//! The methods, one a file, named by the field's terms; and their registry, for those who know a method by name only.

pub mod density;
pub mod flow;
mod registry;
pub mod statistics;

pub use registry::{AnyMethod, Training, all, by_name, resume};
