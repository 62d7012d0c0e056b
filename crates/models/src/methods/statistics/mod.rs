//! Statistics matching, section 2 of the paper: the map's law and the target must act alike on test functions.

mod adversary;
mod bandwidth;
mod characteristic;
mod d2;
mod gan;
mod matching;
mod mmd;
mod sliced;
mod sum;
mod transport;

pub use adversary::Adversaries;
pub use bandwidth::median_distance;
pub use characteristic::{Characteristic, CharacteristicConfig};
pub use d2::{D2, D2Config, FamilyConfig, Statistic};
pub use gan::{Gan, GanConfig, GanLoss};
pub use matching::{Fit, Matching, MatchingState, Objective};
pub use mmd::{Mmd, MmdConfig};
pub use sliced::{Sliced, SlicedConfig};
pub use sum::Sum;
pub use transport::{Transport, TransportConfig, TransportState};
