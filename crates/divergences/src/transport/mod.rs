//! Optimal transport: moving one measure onto another at the least cost, exactly, with entropy, along lines.
//!
//! The problem between μ = Σ aᵢ δ(xᵢ) and ν = Σ bⱼ δ(yⱼ) for a ground cost c is
//!
//! ```text
//! W_c(μ, ν) = min { Σ_ij π_ij c(xᵢ, yⱼ) : π ≥ 0 with marginals a and b }
//!           = max { Σᵢ aᵢ fᵢ + Σⱼ bⱼ gⱼ : fᵢ + gⱼ ≤ c(xᵢ, yⱼ) },
//! ```
//!
//! the Kantorovich pairs of the generalised duality D∞(·; J) of section 2. Every solver returns both sides, a plan and
//! potentials, with what separates them: the duality gap of an exact solution, the marginal error of an entropic one.
//!
//! | solver | problem | cost | memory |
//! |---|---|---|---|
//! | [`mod@line`] | one dimension, \|x − y\|^p, p ≥ 1 | O(n log n) | O(n) |
//! | [`mod@circle`] | one dimension, the shorter way round, p ≥ 1 | O((n + m) log) | O(n + m) |
//! | [`solve`], [`fn@assignment`] | any cost, weights and sizes, exactly | pricing O(n m) a round | O(n + m) |
//! | [`Sinkhorn`] | entropic, any cost, weights and sizes, to a marginal error | O(n m) a sweep | O(n + m) |
//! | [`Unbalanced`] | entropic, marginals held by a penalty | O(n m) an iteration | O(n + m) |
//! | [`SinkhornDivergence`] | the same without its bias, with gradient | O(n m + n² + m²) a sweep | O(n + m) |
//! | [`MinibatchEnergy`] | entropic, its energy distance between minibatches of s points | O((n + m) s) a sweep | O(n + m) |
//! | [`GaussianTransport`] | Gaussians, squared cost, with the Monge map | O(d³) | O(d²) |
//! | [`SlicedWasserstein`] | mean over L directions of the same | O(L n (d + log n)) | O(n d) |

mod area;
mod assignment;
mod cholesky;
pub mod circle;
mod coarse;
mod cost;
mod exact;
mod gaussian;
mod gibbs;
pub mod line;
mod max_sliced;
mod merged;
mod minibatch_energy;
mod mixing;
mod network_simplex;
mod newton;
mod path_energy;
mod periodic;
mod plan;
mod pricing;
mod registered;
mod sieve;
mod sinkhorn;
mod sinkhorn_divergence;
mod sliced;
mod small;
mod staircase;
mod table;
#[cfg(test)]
mod test_support;
mod unbalanced;
mod unlisted;
mod wasserstein;
mod with_itself;

pub use crate::slices::{directions, spread_directions};
pub(crate) use cost::bounding_box;
pub use cost::{Cost, Custom, NormPower};
pub use exact::{Exact, assignment, solve};
pub use gaussian::GaussianTransport;
pub use max_sliced::{MaxSliced, Slice};
pub use minibatch_energy::MinibatchEnergy;
pub use path_energy::path_energy;
pub use periodic::Periodic;
pub(crate) use plan::dot;
pub use plan::{Potentials, Status, Transport};
pub(crate) use registered::registered;
pub use sinkhorn::{Entropic, Sinkhorn, mean_cost};
pub use sinkhorn_divergence::{Debiased, SinkhornDivergence};
pub use sliced::SlicedWasserstein;
pub(crate) use staircase::Ranked;
pub use unbalanced::{Unbalanced, UnbalancedTransport};
pub use wasserstein::Wasserstein;
