//! The zoo: every sampler against its density, every density against one, every score against differences.

mod common;
mod mixture;
mod plane;
