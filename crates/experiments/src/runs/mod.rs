//! The experiments, one a file.

mod bars;
mod compare;
mod distances;
mod fig1;
mod learn;
mod method;
mod pictures;
mod sample;

pub use bars::{Bars, BarsConfig};
pub use compare::{Compare, CompareConfig};
pub use fig1::{Fig1, Fig1Config};
pub use learn::{Learn, LearnConfig};
pub use method::Choice;
pub use sample::{Format, Sample, SampleConfig};
