//! The zoo: every sampler against its density, every density against one, every score against differences.

mod common;
mod laws;
mod manifolds;
mod mixture;
mod plane;
