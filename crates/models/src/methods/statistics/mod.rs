//! Statistics matching, section 2 of the paper: the map's law and the target must act alike on test functions.

mod matching;

pub use matching::{Fit, Matching, MatchingState, Objective};
