//! Statistics matching, section 2 of the paper: the map's law and the target must act alike on test functions.

mod matching;
mod sliced;

pub use matching::{Fit, Matching, MatchingState, Objective};
pub use sliced::{Sliced, SlicedConfig};
