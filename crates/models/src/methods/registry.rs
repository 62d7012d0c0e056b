//! Methods by name: configurations as JSON, runs behind one trait.

use crate::checkpoint::{self, Content};
use crate::error::{Error, Result};
use crate::generators::Generator;
use crate::method::Method;
use crate::methods::{density, flow, statistics};
use crate::source::Source;
use crate::train::{Outcome, TrainConfig, Trainer, Watch};
use serde_json::Value;
use std::marker::PhantomData;
use std::path::Path;

/// A method whose types are hidden.
///
/// ```
/// let method = models::methods::by_name("sliced")?;
/// assert_eq!(method.default_config()["directions"], 16);
/// # Ok::<(), models::Error>(())
/// ```
pub trait AnyMethod: Sync {
    /// The method's name.
    fn name(&self) -> &'static str;

    /// One line: what it minimises, and its source.
    fn about(&self) -> &'static str;

    /// The default settings, as JSON.
    fn default_config(&self) -> Value;

    /// The JSON schema of the settings, with the meaning of every key.
    fn schema(&self) -> schemars::Schema;

    /// Refuses settings that cannot be read: an unknown key, a wrong type.
    ///
    /// # Errors
    /// [`Error::Config`], whose message names the key.
    fn check(&self, config: &Value) -> Result<()>;

    /// A run that has not begun.
    ///
    /// # Errors
    /// As [`AnyMethod::check`]; a setting is out of range; the target does not fit.
    fn start<'a>(
        &self,
        config: &Value,
        train: TrainConfig,
        target: &'a dyn Source,
    ) -> Result<Box<dyn Training + 'a>>;

    /// The run of a checkpoint.
    ///
    /// # Errors
    /// As [`Trainer::resume`].
    fn resume<'a>(&self, path: &Path, target: &'a dyn Source) -> Result<Box<dyn Training + 'a>>;
}

/// A run of some method.
pub trait Training {
    /// The method's name.
    fn method(&self) -> &'static str;

    /// The method's settings, as JSON.
    fn config(&self) -> Value;

    /// The run's settings.
    fn train_config(&self) -> &TrainConfig;

    /// The steps that are done.
    fn step(&self) -> u64;

    /// The steps done and the mean loss of each window of `log_every` steps.
    fn history(&self) -> Vec<(u64, f64)>;

    /// Trains until `until` steps are done (at most the run's), or something stops it.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    fn run_to(&mut self, until: u64, watch: &mut Watch<'_>) -> Result<Outcome>;

    /// Trains to the last step, or until something stops it.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    fn run(&mut self, watch: &mut Watch<'_>) -> Result<Outcome> {
        self.run_to(self.train_config().steps, watch)
    }

    /// The model as it stands.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    fn generator(&mut self) -> Result<Box<dyn Generator>>;
}

impl<M: Method> Training for Trainer<'_, M> {
    fn method(&self) -> &'static str {
        M::NAME
    }
    fn config(&self) -> Value {
        serde_json::to_value(Trainer::config(self)).unwrap_or_default()
    }
    fn train_config(&self) -> &TrainConfig {
        Trainer::train_config(self)
    }
    fn step(&self) -> u64 {
        Trainer::step(self)
    }
    fn history(&self) -> Vec<(u64, f64)> {
        Trainer::history(self)
    }
    fn run_to(&mut self, until: u64, watch: &mut Watch<'_>) -> Result<Outcome> {
        Trainer::run_to(self, until, watch)
    }
    fn generator(&mut self) -> Result<Box<dyn Generator>> {
        Trainer::generator(self)
    }
}

struct Of<M>(PhantomData<fn() -> M>);

impl<M: Method> Of<M> {
    const fn new() -> Self {
        Of(PhantomData)
    }

    fn parse(config: &Value) -> Result<M::Config> {
        serde_json::from_value(config.clone())
            .map_err(|e| Error::Config { what: M::NAME, why: e.to_string() })
    }
}

impl<M: Method + 'static> AnyMethod for Of<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }
    fn about(&self) -> &'static str {
        M::ABOUT
    }
    fn default_config(&self) -> Value {
        serde_json::to_value(M::Config::default()).unwrap_or_default()
    }
    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(M::Config)
    }
    fn check(&self, config: &Value) -> Result<()> {
        Of::<M>::parse(config).map(drop)
    }
    fn start<'a>(
        &self,
        config: &Value,
        train: TrainConfig,
        target: &'a dyn Source,
    ) -> Result<Box<dyn Training + 'a>> {
        Ok(Box::new(Trainer::<M>::new(Of::<M>::parse(config)?, train, target)?))
    }
    fn resume<'a>(&self, path: &Path, target: &'a dyn Source) -> Result<Box<dyn Training + 'a>> {
        Ok(Box::new(Trainer::<M>::resume(path, target)?))
    }
}

/// Every method there is.
pub fn all() -> &'static [&'static dyn AnyMethod] {
    static ALL: &[&dyn AnyMethod] = &[
        &Of::<statistics::D2>::new(),
        &Of::<statistics::Characteristic>::new(),
        &Of::<statistics::Mmd>::new(),
        &Of::<statistics::Energy>::new(),
        &Of::<statistics::Sinkhorn>::new(),
        &Of::<statistics::Sliced>::new(),
        &Of::<statistics::Transport>::new(),
        &Of::<statistics::Fgan>::new(),
        &Of::<statistics::Gan>::new(),
        &Of::<statistics::Wgan>::new(),
        &Of::<statistics::MmdGan>::new(),
        &Of::<density::RealNvp>::new(),
        &Of::<density::Spline>::new(),
        &Of::<density::Autoregressive>::new(),
        &Of::<density::Cnf>::new(),
        &Of::<density::Vae>::new(),
        &Of::<density::Iwae>::new(),
        &Of::<density::EnergyBased>::new(),
        &Of::<density::NoiseDenoise>::new(),
        &Of::<flow::FlowMatching>::new(),
        &Of::<flow::Diffusion>::new(),
        &Of::<flow::Interpolant>::new(),
        &Of::<flow::Rectified>::new(),
        &Of::<flow::Distill>::new(),
        &Of::<flow::Consistency>::new(),
        &Of::<flow::MeanFlow>::new(),
        &Of::<flow::Annealed>::new(),
        &Of::<flow::Drift>::new(),
    ];
    ALL
}

/// The method of a name.
///
/// # Errors
/// [`Error::Unknown`], with the names there are.
pub fn by_name(name: &str) -> Result<&'static dyn AnyMethod> {
    all().iter().copied().find(|m| m.name() == name).ok_or_else(|| Error::Unknown {
        what: "method",
        name: name.to_owned(),
        known: all().iter().map(|m| m.name()).collect::<Vec<_>>().join(", "),
    })
}

/// The run of a checkpoint, whatever its method.
///
/// # Errors
/// As [`Trainer::resume`], or the method is not known.
pub fn resume<'a>(path: &Path, target: &'a dyn Source) -> Result<Box<dyn Training + 'a>> {
    let (header, _) = checkpoint::read(path)?;
    header.expect(path, Content::Checkpoint, None)?;
    by_name(&header.name)?.resume(path, target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_unique_and_described() {
        let mut names: Vec<_> = all().iter().map(|m| m.name()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        let error = by_name("gann").err().unwrap().to_string();
        assert!(error.starts_with("method \"gann\" is not known; there are: "), "{error}");
    }

    #[test]
    fn every_key_of_every_method_is_described_and_unknown_ones_are_refused() {
        for method in all() {
            let schema = method.schema();
            let properties = schema.get("properties").and_then(Value::as_object).unwrap();
            let defaults = method.default_config();
            for key in defaults.as_object().unwrap().keys() {
                let described = properties[key].get("description").is_some();
                assert!(described, "{}: {key} has no description", method.name());
            }
            method.check(&defaults).unwrap();
            let error = method.check(&json!({"no_such_key": 1})).unwrap_err().to_string();
            assert!(error.contains(method.name()) && error.contains("no_such_key"), "{error}");
        }
    }
}
