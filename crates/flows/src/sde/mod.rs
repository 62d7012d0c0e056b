//! Stochastic differential equations: eq. (5), dX = −U_t(X) dt + √2 dB, and its relatives.
//!
//! The calculus and the kind of noise of an equation are in its type; a [`Scheme`] takes the equations it converges for.
//! Noise comes from a [`Noise`]: [`WhiteNoise`] where speed counts, [`BrownianTree`] where refinements and re-runs must
//! see the same path; [`Antithetic`] pairs every path with its mirror image.

mod antithetic;
mod bridge;
mod equation;
mod family;
mod noise;
mod normal;
mod ornstein_uhlenbeck;
mod scheme;
mod solve;
mod tree;

pub(crate) use normal::block_normals;

pub use antithetic::Antithetic;
pub use equation::{Additive, Corrected, Diagonal, Equation, Ito, Stratonovich};
pub use family::{Direction, FamilyDrift, family, reverse};
pub use noise::{Noise, Walk, WhiteNoise};
pub use ornstein_uhlenbeck::OrnsteinUhlenbeckProcess;
pub use scheme::{EulerMaruyama, Milstein, Room, Scheme, Shark, Sra1, Step, StochasticHeun};
pub use solve::Sde;
pub use tree::BrownianTree;
