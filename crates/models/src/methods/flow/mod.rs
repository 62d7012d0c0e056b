//! Maps from flows, section 4 of the paper: learn a velocity, a score or a denoiser along a path of measures, then follow it.

mod annealed;
mod annealing;
mod consistency;
mod coupling;
mod diffusion;
mod distill;
mod drift;
pub mod drifts;
mod flow_matching;
mod inner;
mod interpolant;
pub(crate) mod latent;
mod mean_flow;
pub(crate) mod path;
mod rectified;
mod rounds;
mod state;

pub use annealed::{Annealed, AnnealedConfig, AnnealedState};
pub use annealing::{NoisedSide, Pace, RoundOrder};
pub use consistency::{Consistency, ConsistencyConfig, ConsistencyMode, ConsistencyState};
pub use coupling::CouplingConfig;
pub use diffusion::{Diffusion, DiffusionConfig};
pub use distill::{Distill, DistillConfig, DistillMode, DistillState, GuidedConfig};
pub use drift::{Drift, DriftConfig, DriftState, DriftingConfig};
pub use flow_matching::{FlowMatching, FlowMatchingConfig};
pub use inner::{ObjectiveConfig, RivalConfig};
pub use interpolant::{Interpolant, InterpolantConfig};
pub use mean_flow::{MeanFlow, MeanFlowConfig, MeanFlowState, MeanRule};
pub use path::{PathConfig, Prediction};
pub use rectified::{Rectified, RectifiedConfig, RectifiedState};
pub use state::FlowState;
