//! What an experiment is given besides its configuration: seed, device, folder, progress, and training that can be
//! interrupted and taken up again.

use crate::events::EventFile;
use crate::failure::{Failure, Result};
use crate::files::WriteError;
use crate::progress::Progress;
use measures::Seed;
use models::methods::{AnyMethod, Training};
use models::{Event, Generator, Method, Outcome, Precision, Source, Status, TrainConfig, Trainer, Watch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The surroundings of a run.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) seed: u64,
    pub(crate) device: String,
    pub(crate) threads: usize,
    /// Cells of a study that are worked on side by side.
    pub(crate) jobs: usize,
    /// Whether training also writes event files for TensorBoard.
    pub(crate) tensorboard: bool,
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
    /// Seconds of training in all, those before an interruption included as far as they were kept.
    pub seconds: f64,
}

impl Trained {
    /// The step at which training diverged, if it did.
    pub fn diverged(&self) -> Option<u64> {
        match self.outcome.status {
            Status::Diverged { at, .. } => Some(at),
            _ => None,
        }
    }
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

    /// Cells of a study that are worked on side by side.
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// The settings of a training run of this context. Jobs that run side by side share the threads.
    pub fn train_config(&self, budget: &Budget, seed: u64) -> TrainConfig {
        let Budget { steps, ema, precision, log_every, checkpoint_every, wall_seconds } = budget.clone();
        let (threads, device) = ((self.threads / self.jobs.max(1)).max(1), self.device.clone());
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

    /// Whether a checkpoint of this name is there.
    pub fn begun(&self, name: &str) -> bool {
        self.checkpoint(name).exists()
    }

    /// Removes the checkpoint of a training run that is no longer needed.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self, name: &str) -> Result<()> {
        for path in [self.checkpoint(name), self.clock(name)] {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(WriteError::at(&path)(e).into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn checkpoint(&self, name: &str) -> PathBuf {
        self.path(&format!("checkpoint-{name}.safetensors"))
    }

    /// Where the seconds behind a checkpoint are kept: they are no part of what is trained.
    fn clock(&self, name: &str) -> PathBuf {
        self.path(&format!("checkpoint-{name}.seconds"))
    }

    fn go_on(&self, name: &str, mut trainer: Box<dyn Training + '_>) -> Result<Trained> {
        let steps = trainer.train_config().steps;
        let before = self.before(name, &*trainer);
        let outcome = self.drive(name, &mut *trainer, steps, before)?;
        let seconds = before + outcome.seconds;
        Ok(Trained { model: trainer.generator()?, history: trainer.history(), outcome, seconds })
    }

    /// The seconds that were spent on the steps behind a checkpoint.
    fn before(&self, name: &str, trainer: &dyn Training) -> f64 {
        let kept = || std::fs::read_to_string(self.clock(name)).ok()?.trim().parse::<f64>().ok();
        kept().filter(|s| trainer.step() > 0 && s.is_finite() && *s >= 0.0).unwrap_or(0.0)
    }

    /// Trains until `until` steps are done, told of and kept on disk.
    fn drive(&self, name: &str, trainer: &mut dyn Training, until: u64, before: f64) -> Result<Outcome> {
        let mut stage = self.progress.stage(name, trainer.train_config().steps);
        stage.at(trainer.step(), None);
        let mut events = if self.tensorboard { Some(EventFile::create(self.dir, name)?) } else { None };
        let (clock, started) = (self.clock(name), Instant::now());
        let on_event = |event: Event<'_>| match event {
            Event::Progress { step, loss, .. } => {
                stage.at(step, Some(loss));
                if let Some(file) = &mut events {
                    file.scalar("loss", step, loss);
                }
            }
            Event::Saved { .. } => {
                // Seconds are told and decide nothing: a clock that cannot be written stops nothing.
                let _ = std::fs::write(&clock, format!("{}", before + started.elapsed().as_secs_f64()));
            }
            _ => {}
        };
        let mut watch = Watch {
            checkpoint: Some(self.checkpoint(name)),
            stop: Some(self.stop),
            on_event: Some(Box::new(on_event)),
        };
        let outcome = trainer.run_to(until, &mut watch)?;
        if outcome.status == Status::Interrupted {
            return Err(Failure::Interrupted);
        }
        Ok(outcome)
    }

    /// Trains as [`Context::train_by_name`] and stops on the way: after each number of steps in `stops` (ascending) `at` is
    /// given the model as it stands. A resumed run is not asked again about stops that are behind its checkpoint.
    ///
    /// # Errors
    /// As [`Context::train_by_name`], or `at` fails.
    pub fn train_in_stages(
        &self,
        name: &str,
        (method, settings): (&dyn AnyMethod, &Value),
        train: TrainConfig,
        target: &dyn Source,
        stops: &[u64],
        mut at: impl FnMut(u64, &dyn Generator) -> Result<()>,
    ) -> Result<Trained> {
        let checkpoint = self.checkpoint(name);
        let mut trainer = if checkpoint.exists() {
            method.resume(&checkpoint, target)?
        } else {
            method.start(settings, train, target)?
        };
        let mut seconds = self.before(name, &*trainer);
        let steps = trainer.train_config().steps;
        for &stop in stops.iter().filter(|stop| **stop < steps) {
            if stop < trainer.step() {
                continue;
            }
            let outcome = self.drive(name, &mut *trainer, stop, seconds)?;
            seconds += outcome.seconds;
            if outcome.status != Status::Paused {
                return Ok(Trained {
                    model: trainer.generator()?,
                    history: trainer.history(),
                    outcome,
                    seconds,
                });
            }
            at(stop, &*trainer.generator()?)?;
        }
        let outcome = self.drive(name, &mut *trainer, steps, seconds)?;
        seconds += outcome.seconds;
        Ok(Trained { model: trainer.generator()?, history: trainer.history(), outcome, seconds })
    }

    /// A context in a folder of its own, silent.
    #[cfg(test)]
    pub(crate) fn for_tests<'a>(dir: &'a Path, stop: &'a AtomicBool) -> Context<'a> {
        Context {
            seed: 0,
            device: "cpu".into(),
            threads: 1,
            jobs: 1,
            tensorboard: false,
            dir,
            progress: Progress::new(crate::progress::Log::None),
            stop,
        }
    }
}
