//! What an experiment is given besides its configuration: seed, device, folder, progress, and training that can be
//! interrupted and taken up again.

use crate::failure::{Failure, Result};
use crate::progress::Progress;
use measures::Seed;
use models::methods::{AnyMethod, Training};
use models::{Event, Generator, Method, Outcome, Precision, Source, Status, TrainConfig, Trainer, Watch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The surroundings of a run.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) seed: u64,
    pub(crate) device: String,
    pub(crate) threads: usize,
    pub(crate) dir: &'a Path,
    pub(crate) progress: Progress,
    pub(crate) stop: &'a AtomicBool,
}

/// How long to train, and what is kept meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Steps of the optimiser.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// Decay of the moving average of parameters that generates; null generates with the last parameters.
    pub ema: Option<f64>,
    /// Arithmetic of the network.
    pub precision: Precision,
    /// Steps over which the reported loss is averaged.
    #[schemars(range(min = 1))]
    pub log_every: u64,
    /// Steps between two checkpoints.
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
    /// Training ends after so many seconds even if steps are left; null sets no limit.
    pub wall_seconds: Option<f64>,
}

impl Default for Budget {
    fn default() -> Self {
        let TrainConfig { steps, ema, precision, log_every, checkpoint_every, wall_seconds, .. } =
            TrainConfig::default();
        Budget { steps, ema, precision, log_every, checkpoint_every, wall_seconds }
    }
}

/// A trained model with how it came about.
pub struct Trained {
    /// The model.
    pub model: Box<dyn Generator>,
    /// Steps done and mean loss of each window.
    pub history: Vec<(u64, f64)>,
    /// How training ended.
    pub outcome: Outcome,
}

impl Context<'_> {
    /// The seed of everything random in the run.
    pub fn seed(&self) -> Seed {
        Seed::new(self.seed)
    }

    /// The number the seed was made of.
    pub fn seed_number(&self) -> u64 {
        self.seed
    }

    /// A file of the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where progress is told.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The settings of a training run of this context.
    pub fn train_config(&self, budget: &Budget, seed: u64) -> TrainConfig {
        let Budget { steps, ema, precision, log_every, checkpoint_every, wall_seconds } = budget.clone();
        let (threads, device) = (self.threads, self.device.clone());
        TrainConfig {
            steps,
            seed,
            ema,
            threads,
            device,
            precision,
            log_every,
            checkpoint_every,
            wall_seconds,
        }
    }

    /// Ends the run here when the user asked for it.
    ///
    /// # Errors
    /// [`Failure::Interrupted`].
    pub fn check_stop(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// Trains a method, or goes on where the checkpoint `name` of an interrupted run stands. The result is the same, bit
    /// for bit, however often the run was killed.
    ///
    /// # Errors
    /// A setting is out of range, the checkpoint is of other data or damaged, the folder cannot be written, or the user
    /// stopped the run: then the checkpoint is on disk.
    pub fn train<M: Method>(
        &self,
        name: &str,
        config: M::Config,
        train: TrainConfig,
        target: &dyn Source,
    ) -> Result<Trained> {
        let checkpoint = self.checkpoint(name);
        let trainer: Box<dyn Training + '_> = if checkpoint.exists() {
            Box::new(Trainer::<M>::resume(&checkpoint, target)?)
        } else {
            Box::new(Trainer::<M>::new(config, train, target)?)
        };
        self.go_on(name, trainer)
    }

    /// [`Context::train`] for a method that is known by name.
    ///
    /// # Errors
    /// As [`Context::train`].
    pub fn train_by_name(
        &self,
        name: &str,
        method: &dyn AnyMethod,
        settings: &Value,
        train: TrainConfig,
        target: &dyn Source,
    ) -> Result<Trained> {
        let checkpoint = self.checkpoint(name);
        let trainer = if checkpoint.exists() {
            method.resume(&checkpoint, target)?
        } else {
            method.start(settings, train, target)?
        };
        self.go_on(name, trainer)
    }

    fn checkpoint(&self, name: &str) -> PathBuf {
        self.path(&format!("checkpoint-{name}.safetensors"))
    }

    fn go_on(&self, name: &str, mut trainer: Box<dyn Training + '_>) -> Result<Trained> {
        let mut stage = self.progress.stage(name, trainer.train_config().steps);
        stage.at(trainer.step(), None);
        let on_event = |event: Event<'_>| {
            if let Event::Progress { step, loss, .. } = event {
                stage.at(step, Some(loss));
            }
        };
        let mut watch = Watch {
            checkpoint: Some(self.checkpoint(name)),
            stop: Some(self.stop),
            on_event: Some(Box::new(on_event)),
        };
        let outcome = trainer.run(&mut watch)?;
        if outcome.status == Status::Interrupted {
            return Err(Failure::Interrupted);
        }
        Ok(Trained { model: trainer.generator()?, history: trainer.history(), outcome })
    }
}
