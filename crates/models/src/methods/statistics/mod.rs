//! Statistics matching, section 2 of the paper: the map's law and the target must act alike on test functions.

mod adversary;
mod bandwidth;
mod gan;
mod matching;
mod sliced;
mod sum;
mod transport;

pub use adversary::Adversaries;
pub use bandwidth::median_distance;
pub use gan::{Gan, GanConfig, GanLoss};
pub use matching::{Fit, Matching, MatchingState, Objective};
pub use sliced::{Sliced, SlicedConfig};
pub use sum::Sum;
pub use transport::{Transport, TransportConfig, TransportState};
