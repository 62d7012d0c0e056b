//! The experiments there are, by name.

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::folder::Sharing;
use crate::report::Report;
use crate::{runs, spec};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// A named experiment.
///
/// Its configuration type is all that describes it: defaults, keys, types, ranges and meanings are read off the type.
pub trait Experiment {
    /// The name on the command line.
    const NAME: &'static str;
    /// The part of the paper it is about, or what it is for.
    const PAPER: &'static str;
    /// One line: what it shows.
    const ABOUT: &'static str;
    /// Whether several processes may work on one run: then all of its work is done in [`cells`](crate::cells).
    const SHARED: bool = false;
    /// Its settings.
    type Config: Serialize + DeserializeOwned + JsonSchema + Default;

    /// Runs it.
    ///
    /// # Errors
    /// The input is bad, something cannot be written, or the user stopped the run.
    fn run(context: &mut Context<'_>, config: &Self::Config) -> Result<Report>;
}

type Run = fn(&mut Context<'_>, Value) -> Result<Report>;

/// An experiment whose type is forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// The part of the paper.
    pub paper: &'static str,
    /// One line.
    pub about: &'static str,
    /// Who may work on one run of it.
    pub sharing: Sharing,
    schema: fn() -> Value,
    defaults: fn() -> Value,
    complete: fn(Value) -> Result<Value, spec::Error>,
    run: Run,
}

impl Entry {
    fn of<E: Experiment>() -> Self {
        Entry {
            name: E::NAME,
            paper: E::PAPER,
            about: E::ABOUT,
            sharing: if E::SHARED { Sharing::Together } else { Sharing::Alone },
            schema: spec::schema_of::<E::Config>,
            defaults: spec::default_of::<E::Config>,
            complete: |value| {
                let config: E::Config = spec::decode(value)?;
                Ok(serde_json::to_value(config).expect("a configuration is JSON"))
            },
            run: |context, config| E::run(context, &spec::decode::<E::Config>(config)?),
        }
    }

    /// The configuration as it is when nothing is set.
    pub fn defaults(&self) -> Value {
        (self.defaults)()
    }

    /// The whole configuration that a file and the arguments of `--set` make of the defaults.
    ///
    /// # Errors
    /// As [`spec::resolve`].
    pub fn resolve(&self, file: Option<&Path>, sets: &[String]) -> Result<Value> {
        let value = spec::resolve_value(&(self.schema)(), self.defaults(), file, sets)?;
        Ok((self.complete)(value)?)
    }

    /// Every key with its value in `config`, its meaning and its type, as text.
    pub fn describe(&self, config: &Value) -> String {
        let keys = spec::keys(&(self.schema)(), config);
        format!("{} — {} ({})\n\n{}", self.name, self.about, self.paper, spec::describe(&keys))
    }

    /// Runs it with a configuration that was checked.
    ///
    /// # Errors
    /// As [`Experiment::run`].
    pub fn run(&self, context: &mut Context<'_>, config: Value) -> Result<Report> {
        (self.run)(context, config)
    }
}

/// All experiments, in the order in which they are listed.
pub fn all() -> Vec<Entry> {
    vec![
        Entry::of::<runs::Fig1>(),
        Entry::of::<runs::Guarantees>(),
        Entry::of::<runs::Saddle>(),
        Entry::of::<runs::Atlas>(),
        Entry::of::<runs::TwoSample>(),
        Entry::of::<runs::Repulsion>(),
        Entry::of::<runs::OtLatent>(),
        Entry::of::<runs::Spectrum>(),
        Entry::of::<runs::Integrators>(),
        Entry::of::<runs::DigitImages>(),
        Entry::of::<runs::Learn>(),
        Entry::of::<runs::Sample>(),
        Entry::of::<runs::Compare>(),
        Entry::of::<runs::Bars>(),
        Entry::of::<runs::Reproduce>(),
        Entry::of::<runs::Tour>(),
        Entry::of::<runs::Annealing>(),
        Entry::of::<runs::Straightness>(),
        Entry::of::<runs::Manifold>(),
    ]
}

/// The experiment of a name.
///
/// # Errors
/// There is none; the message lists the near ones.
pub fn find(name: &str) -> Result<Entry> {
    let all = all();
    all.iter().find(|entry| entry.name == name).copied().ok_or_else(|| Failure::UnknownExperiment {
        name: crate::data::printable(name),
        hint: spec::hint(name, all.iter().map(|entry| entry.name)),
    })
}

/// One line an experiment.
pub fn list() -> String {
    let all = all();
    let width = all.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let paper = all.iter().map(|entry| entry.paper.chars().count()).max().unwrap_or(0);
    let line = |e: &Entry| format!("{:<width$}  {:<paper$}  {}", e.name, e.paper, e.about);
    all.iter().map(line).collect::<Vec<_>>().join("\n") + "\n"
}
