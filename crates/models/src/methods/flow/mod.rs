//! Maps from flows, section 4 of the paper: learn a velocity, a score or a denoiser along a path of measures, then follow it.

mod annealed;
mod annealing;
mod diffusion;
mod drift;
pub mod drifts;
mod flow_matching;
mod inner;
mod interpolant;
pub(crate) mod latent;
pub(crate) mod path;

pub use annealed::{Annealed, AnnealedConfig, AnnealedState};
pub use annealing::{NoisedSide, Pace, RoundOrder};
pub use diffusion::{Diffusion, DiffusionConfig, DiffusionState};
pub use drift::{Drift, DriftConfig, DriftState, DriftingConfig};
pub use flow_matching::{CouplingConfig, FlowMatching, FlowMatchingConfig, FlowMatchingState};
pub use inner::{ObjectiveConfig, RivalConfig};
pub use interpolant::{Interpolant, InterpolantConfig, InterpolantState};
pub use path::{PathConfig, Prediction};
