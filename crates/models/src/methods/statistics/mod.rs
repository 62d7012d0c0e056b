//! Statistics matching, section 2 of the paper: the map's law and the target must act alike on test functions.

mod adversary;
mod characteristic;
mod d2;
mod energy;
mod fgan;
mod gan;
mod loss;
mod matching;
mod mmd;
mod mmd_gan;
mod reference;
mod sinkhorn;
mod sliced;
mod transport;
mod wgan;

pub use adversary::Adversaries;
pub(crate) use adversary::{Critic, Rule, round};
pub use characteristic::{Characteristic, CharacteristicConfig};
pub use d2::{D2, D2Config, FamilyConfig, Statistic};
pub use energy::{Energy, EnergyConfig};
pub(crate) use fgan::FganRule;
pub use fgan::{Fgan, FganConfig, PhiConfig};
pub(crate) use gan::GanRule;
pub use gan::{Gan, GanConfig, GanLoss};
pub use loss::LossConfig;
pub use matching::{Fit, Matching, MatchingState, Objective};
pub use mmd::{Mmd, MmdConfig};
pub use mmd_gan::{MmdGan, MmdGanConfig};
pub use reference::{Reference, median_distance};
pub use sinkhorn::{Sinkhorn, SinkhornConfig};
pub use sliced::{Sliced, SlicedConfig};
pub use transport::{Transport, TransportConfig, TransportState};
pub use wgan::{Lipschitz, Wgan, WganConfig};
