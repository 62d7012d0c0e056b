//! The one training loop.

use crate::average::Average;
use crate::checkpoint::{self, Content, Header, Record};
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::Generator;
use crate::guard::{device, guard, set_threads};
use crate::history::History;
use crate::method::{Method, Moment, Setup};
use crate::persist::{CheckFinite, Load, Persist, Save};
use crate::source::Source;
use crate::tensor::Precision;
use measures::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The settings of a run that do not depend on the method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The number of steps.
    pub steps: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// Decay of the moving average of parameters that generates; absent, the parameters themselves do.
    pub ema: Option<f64>,
    /// Threads of libtorch. Small networks are fastest on one; results repeat for a fixed number only.
    pub threads: usize,
    /// cpu or cuda:N.
    pub device: String,
    /// single or double.
    pub precision: Precision,
    /// Steps over which the reported loss is averaged.
    pub log_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Training stops with a checkpoint after so many seconds; absent, it goes on to the last step.
    pub wall_seconds: Option<f64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            steps: 2000,
            seed: 0,
            ema: Some(0.999),
            threads: 1,
            device: "cpu".to_owned(),
            precision: Precision::Single,
            log_every: 50,
            checkpoint_every: 1000,
            wall_seconds: None,
        }
    }
}

impl TrainConfig {
    fn check(&self) -> Result<()> {
        check_count("log_every", self.log_every as usize)?;
        check_count("checkpoint_every", self.checkpoint_every as usize)?;
        if let Some(seconds) = self.wall_seconds {
            check_range("wall_seconds", seconds, 0.0.., "finite and not negative")?;
        }
        if let Some(decay) = self.ema {
            check_range("ema", decay, 0.0..1.0, "at least 0 and less than 1")?;
        }
        Ok(())
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// All steps are done.
    Finished,
    /// The step asked for is reached, and it was not the last.
    Paused,
    /// The stop flag was set.
    Interrupted,
    /// The time is up.
    OutOfTime,
    /// The loss or the state was not finite; the last good state is restored.
    Diverged {
        /// The step at which it was found, counted from 0.
        at: u64,
        /// The steps behind the state that is restored.
        restored: u64,
    },
}

/// What a run has come to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The steps that are done.
    pub step: u64,
    /// The loss of the last window of `log_every` steps, if there was one.
    pub loss: Option<f64>,
    /// Seconds this call took.
    pub seconds: f64,
}

/// What happens during a run, for a progress bar or a log.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A window of `log_every` steps is done.
    Progress {
        /// The steps done.
        step: u64,
        /// The steps of the run.
        steps: u64,
        /// The mean loss of the window.
        loss: f64,
        /// Seconds since the call.
        seconds: f64,
    },
    /// A checkpoint is on disk.
    Saved {
        /// The steps done.
        step: u64,
        /// The file.
        path: &'a Path,
    },
}

/// What is called at every event.
pub type Listener<'a> = Box<dyn FnMut(Event<'_>) + 'a>;

/// How a run is watched: where checkpoints go, what stops it, who is told.
#[derive(Default)]
pub struct Watch<'a> {
    /// The checkpoint's file, replaced atomically each time.
    pub checkpoint: Option<PathBuf>,
    /// When this is set, the run ends after the step at hand and leaves a checkpoint.
    pub stop: Option<&'a AtomicBool>,
    /// Called at every event; the library prints nothing itself.
    pub on_event: Option<Listener<'a>>,
}

impl Watch<'_> {
    fn tell(&mut self, event: Event<'_>) {
        if let Some(call) = &mut self.on_event {
            call(event);
        }
    }
}

/// A run of a method: its state, its average, its history.
pub struct Trainer<'a, M: Method> {
    config: M::Config,
    train: TrainConfig,
    target: &'a dyn Source,
    state: M::State,
    average: Option<Average>,
    history: History,
    step: u64,
    seed: Seed,
    good: (u64, Record),
}

impl<'a, M: Method> Trainer<'a, M> {
    /// A run that has not begun.
    ///
    /// # Errors
    /// A setting is out of range, the device is not there, or the target does not fit.
    pub fn new(config: M::Config, train: TrainConfig, target: &'a dyn Source) -> Result<Self> {
        train.check()?;
        if target.condition().is_some() && !M::CONDITIONAL {
            let must = "one that takes labels or conditions: flow_matching, diffusion, distill";
            return Err(Error::setting("method", M::NAME, must));
        }
        set_threads(train.threads)?;
        let seed = Seed::new(train.seed);
        let device = device(&train.device)?;
        let setup = Setup { kind: train.precision.kind(), device, seed: seed.named("parameters") };
        let mut state = guard(|| M::init(&config, target, &setup))?;
        let average = train.ema.map(|decay| Average::new(decay, &mut state)).transpose()?;
        let history = History::new(train.log_every);
        let seed = seed.named("steps");
        let mut trainer = Trainer {
            config,
            train,
            target,
            state,
            average,
            history,
            step: 0,
            seed,
            good: Default::default(),
        };
        trainer.good = (0, Save::of(&mut trainer)?);
        Ok(trainer)
    }

    /// The run of a checkpoint, where it stopped, with the number of threads it had.
    ///
    /// # Errors
    /// The file is damaged, foreign or of another method; the target is not the one the run was started with.
    pub fn resume(path: &Path, target: &'a dyn Source) -> Result<Self> {
        let (header, record) = checkpoint::read(path)?;
        header.expect(path, Content::Checkpoint, Some(M::NAME))?;
        let body: Body<M::Config> = serde_json::from_value(header.body)
            .map_err(|e| Error::damaged(path, format!("its configuration: {e}")))?;
        let found = target.fingerprint();
        if body.target != found {
            let (found, expected) = (format!("a run on {}", body.target), format!("one on {found}"));
            return Err(Error::Mismatch { path: path.to_owned(), found, expected });
        }
        let mut trainer = Trainer::new(body.config, body.train, target)?;
        trainer.restore(body.step, &record, path)?;
        trainer.good = (body.step, record);
        checkpoint::remove_partials(path);
        Ok(trainer)
    }

    fn restore(&mut self, step: u64, record: &Record, path: &Path) -> Result<()> {
        Load::into(self, record, path)?;
        self.step = step;
        Ok(())
    }

    /// The method's settings.
    pub fn config(&self) -> &M::Config {
        &self.config
    }

    /// The run's settings.
    pub fn train_config(&self) -> &TrainConfig {
        &self.train
    }

    /// The steps that are done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The steps done and the mean loss of each window of `log_every` steps.
    pub fn history(&self) -> Vec<(u64, f64)> {
        self.history.windows()
    }

    /// The state.
    pub fn state(&self) -> &M::State {
        &self.state
    }

    /// Trains to the last step, or until something stops it.
    ///
    /// # Errors
    /// A step or a checkpoint fails; what was on disk before is left as it was.
    pub fn run(&mut self, watch: &mut Watch<'_>) -> Result<Outcome> {
        self.run_to(self.train.steps, watch)
    }

    /// Trains until `until` steps are done (at most the run's), or something stops it.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run_to(&mut self, until: u64, watch: &mut Watch<'_>) -> Result<Outcome> {
        set_threads(self.train.threads)?;
        let (started, until) = (Instant::now(), until.min(self.train.steps));
        let status = loop {
            if self.step >= until {
                break if self.step >= self.train.steps { Status::Finished } else { Status::Paused };
            }
            if watch.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                break Status::Interrupted;
            }
            if self.train.wall_seconds.is_some_and(|most| started.elapsed().as_secs_f64() >= most) {
                break Status::OutOfTime;
            }
            if !self.advance()? {
                break self.recover()?;
            }
            if self.step.is_multiple_of(self.train.log_every) {
                let (step, steps) = (self.step, self.train.steps);
                let loss = self.history.last().unwrap_or(f64::NAN);
                watch.tell(Event::Progress { step, steps, loss, seconds: started.elapsed().as_secs_f64() });
            }
            if self.step.is_multiple_of(self.train.checkpoint_every)
                && self.step < until
                && !self.keep(watch)?
            {
                break self.recover()?;
            }
        };
        let status = match status {
            diverged @ Status::Diverged { .. } => diverged,
            status if self.keep(watch)? => status,
            _ => self.recover()?,
        };
        let seconds = started.elapsed().as_secs_f64();
        Ok(Outcome { status, step: self.step, loss: self.history.last(), seconds })
    }

    /// One step; false when it diverged.
    fn advance(&mut self) -> Result<bool> {
        let at = Moment::new(self.step, self.train.steps, self.seed);
        let loss = match guard(|| M::step(&self.config, &mut self.state, self.target, &at)) {
            Ok(loss) if loss.is_finite() => loss,
            Ok(_) => return Ok(false),
            Err(e) if e.is_divergence() => return Ok(false),
            Err(e) => return Err(e),
        };
        if let Some(average) = &mut self.average {
            guard(|| average.update(&mut self.state))?;
        }
        self.history.push(loss);
        self.step += 1;
        Ok(true)
    }

    /// Keeps the present state as the last good one, on disk too; false when it is not finite.
    fn keep(&mut self, watch: &mut Watch<'_>) -> Result<bool> {
        match self.visit(&mut CheckFinite) {
            Ok(()) => {}
            Err(e) if e.is_divergence() => return Ok(false),
            Err(e) => return Err(e),
        }
        self.good = (self.step, Save::of(self)?);
        if let Some(path) = watch.checkpoint.clone() {
            self.write(&path)?;
            watch.tell(Event::Saved { step: self.step, path: &path });
        }
        Ok(true)
    }

    /// Goes back to the last good state.
    fn recover(&mut self) -> Result<Status> {
        let at = self.step;
        let (restored, record) = std::mem::take(&mut self.good);
        self.restore(restored, &record, Path::new("the last good state"))?;
        self.good = (restored, record);
        Ok(Status::Diverged { at, restored })
    }

    fn write(&self, path: &Path) -> Result<()> {
        let body = json!({
            "config": self.config,
            "train": self.train,
            "step": self.step,
            "target": self.target.fingerprint(),
        });
        checkpoint::write(path, &Header::new(Content::Checkpoint, M::NAME, body), &self.good.1)
    }

    /// The model as it stands: with averaged parameters where the run averages them.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn generator(&mut self) -> Result<Box<dyn Generator>> {
        let Some(average) = &mut self.average else {
            return guard(|| M::generator(&self.config, &self.state));
        };
        average.swap(&mut self.state)?;
        let generator = guard(|| M::generator(&self.config, &self.state));
        average.swap(&mut self.state)?;
        generator
    }
}

impl<M: Method> Persist for Trainer<'_, M> {
    fn visit(&mut self, v: &mut dyn crate::persist::Visitor) -> Result<()> {
        v.part("state", &mut self.state)?;
        if let Some(average) = &mut self.average {
            v.part("average", average)?;
        }
        v.part("history", &mut self.history)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<C> {
    config: C,
    train: TrainConfig,
    step: u64,
    target: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::{MapConfig, OneStep};
    use crate::optim::{Adam, OptimConfig};
    use crate::persist::Visitor;
    use crate::scaler::Scaler;
    use crate::source::{Data, Draws};
    use crate::tensor::scalar;
    use measures::{Points, zoo::Gaussian};

    /// Regresses a map on the linear one z ↦ 2z + 1, and blows up at a step of choice.
    struct Toy;

    #[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct ToyConfig {
        optim: OptimConfig,
        bad_loss_at: Option<u64>,
        bad_state_at: Option<u64>,
        refuse_at: Option<u64>,
    }

    struct ToyState(OneStep, Adam);

    impl Persist for ToyState {
        fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
            v.part("map", &mut self.0)?;
            v.part("adam", &mut self.1)
        }
    }

    impl Method for Toy {
        const NAME: &'static str = "toy";
        const ABOUT: &'static str = "regression";
        type Config = ToyConfig;
        type State = ToyState;

        fn init(c: &ToyConfig, target: &dyn Source, setup: &Setup) -> Result<ToyState> {
            let map =
                OneStep::new(&MapConfig::default(), Scaler::identity(target.dim()), "toy", target, setup)?;
            let adam = Adam::new(&c.optim, &map.params)?;
            Ok(ToyState(map, adam))
        }

        fn step(c: &ToyConfig, s: &mut ToyState, _: &dyn Source, at: &Moment) -> Result<f64> {
            let z = s.0.draw(64, &mut at.rng("noise"))?;
            if c.refuse_at == Some(at.step) {
                let _ = z.matmul(&z);
            }
            let loss = crate::bridge::regression(&s.0.forward(&z), &(&z * 2.0 + 1.0))?;
            s.1.step(&mut s.0.params, &loss, at.step, at.steps)?;
            if c.bad_state_at == Some(at.step) {
                let _ = s.0.params.flat_mut().fill_(f64::NAN);
                return Ok(0.0);
            }
            if c.bad_loss_at == Some(at.step) { Ok(f64::INFINITY) } else { scalar(&loss) }
        }

        fn generator(_: &ToyConfig, s: &ToyState) -> Result<Box<dyn Generator>> {
            Ok(Box::new(s.0.duplicate()?))
        }
    }

    fn target() -> Draws<Gaussian> {
        Draws::new(Gaussian::standard(2), "plane")
    }

    fn train(steps: u64) -> TrainConfig {
        TrainConfig { steps, log_every: 7, checkpoint_every: 20, ..TrainConfig::default() }
    }

    fn files() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.safetensors"), dir.path().join("b.safetensors"));
        (dir, a, b)
    }

    fn watch(path: &Path) -> Watch<'static> {
        Watch { checkpoint: Some(path.to_owned()), ..Watch::default() }
    }

    #[test]
    fn a_resumed_run_ends_in_the_bytes_of_an_unbroken_one() {
        let (_dir, a, b) = files();
        let target = target();
        let new = || Trainer::<Toy>::new(ToyConfig::default(), train(60), &target).unwrap();
        let mut whole = new();
        assert_eq!(whole.run(&mut watch(&a)).unwrap().status, Status::Finished);
        // stopped in the middle of a window, resumed twice
        assert_eq!(new().run_to(17, &mut watch(&b)).unwrap().status, Status::Paused);
        let stop = AtomicBool::new(false);
        let mut broken = Trainer::<Toy>::resume(&b, &target).unwrap();
        assert_eq!(broken.step(), 17);
        {
            let on_event = |event: Event<'_>| {
                if matches!(event, Event::Progress { step: 35, .. }) {
                    stop.store(true, Ordering::Relaxed);
                }
            };
            let mut watch = Watch { stop: Some(&stop), on_event: Some(Box::new(on_event)), ..watch(&b) };
            let outcome = broken.run(&mut watch).unwrap();
            assert_eq!((outcome.status, outcome.step), (Status::Interrupted, 35));
        }
        let mut resumed = Trainer::<Toy>::resume(&b, &target).unwrap();
        let outcome = resumed.run(&mut watch(&b)).unwrap();
        assert_eq!((outcome.status, outcome.step), (Status::Finished, 60));
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        assert_eq!(whole.history(), resumed.history());
        assert_eq!(whole.history().len(), 8);
        let sample = |t: &mut Trainer<'_, Toy>| t.generator().unwrap().generate(5, Seed::new(0)).unwrap();
        assert_eq!(sample(&mut whole), sample(&mut resumed));
    }

    #[test]
    fn divergence_goes_back_to_the_last_good_state() {
        let (_dir, a, b) = files();
        let target = target();
        let clean =
            Trainer::<Toy>::new(ToyConfig::default(), train(40), &target).unwrap().run(&mut watch(&a));
        assert_eq!(clean.unwrap().status, Status::Finished);
        let bad_loss = ToyConfig { bad_loss_at: Some(47), ..ToyConfig::default() };
        let bad_state = ToyConfig { bad_state_at: Some(47), ..ToyConfig::default() };
        for (config, at) in [(bad_loss, 47), (bad_state, 48)] {
            let mut trainer = Trainer::<Toy>::new(config, train(100), &target).unwrap();
            let outcome = trainer.run(&mut watch(&b)).unwrap();
            assert_eq!(outcome.status, Status::Diverged { at, restored: 40 });
            let (_, good) = checkpoint::read(&a).unwrap();
            let (_, kept) = checkpoint::read(&b).unwrap();
            assert_eq!(kept, good);
            assert_eq!(Save::of(&mut trainer).unwrap(), good);
        }
        // a state that is bad when a checkpoint is due is not written over the good one
        let config = ToyConfig { bad_state_at: Some(59), ..ToyConfig::default() };
        let outcome = Trainer::<Toy>::new(config, train(100), &target).unwrap().run(&mut watch(&b)).unwrap();
        assert_eq!(outcome.status, Status::Diverged { at: 60, restored: 40 });
        assert_eq!(checkpoint::read(&b).unwrap().1, checkpoint::read(&a).unwrap().1);
    }

    #[test]
    fn refusals_of_libtorch_are_errors_and_keep_the_checkpoint() {
        let (_dir, a, _) = files();
        let target = target();
        let config = ToyConfig { refuse_at: Some(30), ..ToyConfig::default() };
        let error =
            Trainer::<Toy>::new(config, train(100), &target).unwrap().run(&mut watch(&a)).unwrap_err();
        assert!(matches!(error, Error::Torch { .. }), "{error}");
        assert_eq!(Trainer::<Toy>::resume(&a, &target).unwrap().step(), 20);
    }

    #[test]
    fn time_runs_out() {
        let target = target();
        let config = TrainConfig { wall_seconds: Some(0.05), ..train(u64::MAX) };
        let mut trainer = Trainer::<Toy>::new(ToyConfig::default(), config, &target).unwrap();
        let outcome = trainer.run(&mut Watch::default()).unwrap();
        assert_eq!(outcome.status, Status::OutOfTime);
        assert!(outcome.step > 0 && outcome.seconds < 5.0);
    }

    #[test]
    fn checkpoints_of_something_else_are_refused() {
        let (dir, a, b) = files();
        let target = target();
        let mut trainer = Trainer::<Toy>::new(ToyConfig::default(), train(3), &target).unwrap();
        let _ = trainer.run(&mut watch(&a)).unwrap();
        let refusal = |target: &dyn Source, path: &Path| {
            Trainer::<Toy>::resume(path, target).err().unwrap().to_string()
        };
        let other = Data::new(Points::zeros(5, 2)).unwrap();
        assert!(
            refusal(&other, &a).contains("holds a run on plane in dimension 2"),
            "{}",
            refusal(&other, &a)
        );
        trainer.generator().unwrap().save(&b).unwrap();
        assert!(refusal(&target, &b).contains("holds a trained model (one_step), where a checkpoint of toy"));
        assert!(crate::load(&a).err().unwrap().to_string().contains("holds a checkpoint of toy"));
        // a method whose state has other entries
        let (header, mut record) = checkpoint::read(&a).unwrap();
        record.insert("state.more", crate::checkpoint::Array::of_counter(1));
        checkpoint::write(&b, &header, &record).unwrap();
        assert!(refusal(&target, &b).contains("damaged"), "{}", refusal(&target, &b));
        // a folder that is not there: refused, and the run is still in memory
        let mut gone = watch(&dir.path().join("no/folder.safetensors"));
        assert!(matches!(trainer.run(&mut gone), Err(Error::Io { .. })));
        assert_eq!(trainer.step(), 3);
    }

    #[test]
    fn bad_settings_are_named() {
        let target = target();
        let refusal =
            |train| Trainer::<Toy>::new(ToyConfig::default(), train, &target).err().unwrap().to_string();
        assert!(refusal(TrainConfig { ema: Some(1.5), ..train(1) }).starts_with("ema = 1.5"));
        assert!(refusal(TrainConfig { threads: 0, ..train(1) }).starts_with("threads = 0"));
        assert!(refusal(TrainConfig { log_every: 0, ..train(1) }).starts_with("log_every = 0"));
        assert!(refusal(TrainConfig { device: "tpu".into(), ..train(1) }).starts_with("device = tpu"));
        let unknown = serde_json::from_value::<TrainConfig>(json!({"stepps": 5})).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `stepps`") && unknown.contains("`steps`"), "{unknown}");
    }
}
