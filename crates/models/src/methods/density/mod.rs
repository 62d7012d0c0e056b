//! Density methods, section 3 of the paper: the map's law has a density, or a bound on one, that is maximised at the data.

mod autoencoder;
mod autoregressive;
mod cnf;
mod energy_model;
mod iwae;
mod likelihood;
mod noise_denoise;
mod realnvp;
mod spline;
mod sweep;
mod vae;

pub use autoencoder::Autoencoder;
pub use autoregressive::AutoregressiveConfig;
pub use cnf::{Cnf, CnfConfig, CnfState, TraceConfig};
pub use energy_model::{EnergyBased, EnergyModelConfig, EnergyObjective, EnergyState};
pub use iwae::{Iwae, IwaeConfig};
pub use likelihood::{Flow, Likelihood, LikelihoodState, MaximumLikelihood};
pub use noise_denoise::{NoiseDenoise, NoiseDenoiseConfig, NoiseDenoiseState};
pub use realnvp::RealNvpConfig;
pub use spline::SplineConfig;
pub use vae::{Vae, VaeConfig};

/// Affine coupling layers.
pub type RealNvp = MaximumLikelihood<RealNvpConfig>;
/// Coupling layers of rational-quadratic splines.
pub type Spline = MaximumLikelihood<SplineConfig>;
/// Autoregressive layers.
pub type Autoregressive = MaximumLikelihood<AutoregressiveConfig>;
