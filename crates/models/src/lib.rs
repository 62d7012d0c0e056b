#![doc = include_str!("../README.md")]
// libtorch counts in i64, so every size crosses; and tensors are handles, which is cheap to pass by value.
#![allow(clippy::cast_possible_wrap, clippy::needless_pass_by_value)]

mod adjoint;
mod average;
pub mod bridge;
pub mod checkpoint;
mod condition;
mod error;
mod generators;
mod guard;
mod history;
mod labelled;
mod method;
pub mod methods;
mod mixed;
pub mod nets;
mod noise;
pub mod optim;
pub mod persist;
mod rows;
mod scaler;
mod source;
pub mod tangent;
pub mod tensor;
mod train;
pub mod twins;

pub use adjoint::{Backprop, Checkpoints};
pub use average::Average;
pub use condition::{Condition, MOST_LABELS};
pub use error::{Error, Result};
pub use generators::{
    Cells, ChainConfig, ConditionAbout, Decoder, DecoderAbout, Denoised, EnergyAbout, EnergyModel,
    ExponentialRule, FactorInput, FlowAbout, FlowModel, Generator, GuidanceConfig, Leap, LeapAbout,
    LeapModel, MapConfig, NormalisingAbout, NormalisingFlow, OneStep, Rule, SamplerConfig, SdeRule,
    SolverConfig, load,
};
pub use guard::{device, device_name, guard, set_threads};
pub use labelled::Labelled;
pub use method::{Method, Moment, Setup};
pub use mixed::Mixed;
pub use noise::{Law, Noise};
pub use persist::Persist;
pub use rows::{Rows, TensorField};
pub use scaler::Scaler;
pub use source::{Between, Data, Draws, Source, overview};
pub use tensor::Precision;
pub use train::{Event, Listener, Outcome, Status, TrainConfig, Trainer, Watch};

pub use tch;
