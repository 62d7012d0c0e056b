//! What a method is: three pure steps on a state that can be walked.

use crate::error::Result;
use crate::generators::Generator;
use crate::persist::Persist;
use crate::source::Source;
use measures::Seed;
use measures::rand::rngs::ChaCha8Rng;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Device, Kind};

/// Where and in which precision a state is made, and the seed of its first parameters.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// The kind of all tensors.
    pub kind: Kind,
    /// The device of all tensors.
    pub device: Device,
    /// The seed of first parameters.
    pub seed: Seed,
}

/// The place of a step in its run. Whatever a step draws, it draws from streams numbered by the step, so that a resumed
/// run repeats an unbroken one.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The step, counted from 0.
    pub step: u64,
    /// The number of steps of the whole run.
    pub steps: u64,
    seed: Seed,
}

impl Moment {
    /// Step `step` of `steps` in the run of this seed.
    pub fn new(step: u64, steps: u64, seed: Seed) -> Self {
        Moment { step, steps, seed }
    }

    /// The first step of the same run, for what is drawn once.
    pub fn first(&self) -> Self {
        Moment { step: 0, ..*self }
    }

    /// The step before, or the first.
    pub fn previous(&self) -> Self {
        Moment { step: self.step.saturating_sub(1), ..*self }
    }

    /// This step's generator for one purpose; each purpose has its own.
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        self.seed.named(purpose).stream(self.step)
    }

    /// This step's seed for one purpose.
    pub fn seed(&self, purpose: &str) -> Seed {
        self.seed.named(purpose).child(self.step)
    }

    /// The part of the run that is behind, in [0, 1).
    pub fn progress(&self) -> f64 {
        self.step as f64 / self.steps.max(1) as f64
    }
}

/// A way to learn a map, as three steps; the [`Trainer`](crate::Trainer) owns the loop around them, so resume, averages,
/// logging and faults are written once.
pub trait Method {
    /// The method's name in configurations and files, the field's term.
    const NAME: &'static str;
    /// One line: what it minimises, and its source.
    const ABOUT: &'static str;
    /// Whether it learns to generate given a label or a vector; others refuse sources whose points come with one.
    const CONDITIONAL: bool = false;
    /// Its settings.
    type Config: Clone + Default + Serialize + DeserializeOwned + JsonSchema;
    /// Everything that changes during training.
    type State: Persist;

    /// The state before the first step.
    ///
    /// # Errors
    /// A setting is out of range, or does not fit the target; the field is named.
    fn init(config: &Self::Config, target: &dyn Source, setup: &Setup) -> Result<Self::State>;

    /// One step; returns the loss. All its randomness comes from `at`.
    ///
    /// # Errors
    /// The target has too few points, the training diverged, or libtorch refuses.
    fn step(config: &Self::Config, state: &mut Self::State, target: &dyn Source, at: &Moment) -> Result<f64>;

    /// The model as it stands, apart from further training.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    fn generator(config: &Self::Config, state: &Self::State) -> Result<Box<dyn Generator>>;
}
