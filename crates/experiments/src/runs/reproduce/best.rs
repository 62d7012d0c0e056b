//! The parameters of least validation loss among those a training run passes through.

use super::sf2m::Pairing;
use crate::context::Context;
use crate::failure::Result;
use crate::files::{WriteError, write_atomic};
use measures::rand::RngExt;
use measures::zoo::Gaussian;
use measures::{Points, Sample, Seed};
use models::tch::{Device, Kind, Tensor, no_grad};
use models::tensor::to_tensor;
use models::{FlowModel, Generator};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Pairs that are not trained on, with times and noise that are the same at every look, so that looks differ by the
/// parameters alone.
pub(super) struct Validation {
    times: Vec<f64>,
    /// x_t = (1 − t) x₀ + t x₁ + σ ε.
    at: Tensor,
    /// x₁ − x₀.
    velocity: Tensor,
}

impl Validation {
    /// As many pairs as both measures have points, paired as in training.
    pub(super) fn new(
        source: &Points,
        target: &Points,
        pairing: Pairing,
        batch: usize,
        sigma: f64,
        seed: Seed,
    ) -> Result<Self> {
        let rows: Vec<usize> = (0..source.len().min(target.len())).collect();
        let (x0, x1) = (source.select(&rows), target.select(&rows));
        let pairs = pairing.coupling().pairs(x0, x1, batch, seed.named("pairs"))?;
        let mut rng = seed.named("times").rng();
        let times: Vec<f64> = rows.iter().map(|_| rng.random()).collect();
        let noise = Gaussian::standard(pairs.x0.dim()).sample(rows.len(), &mut seed.named("noise").rng());
        let at = Points::from_fn(rows.len(), pairs.x0.dim(), |i, x| {
            let (x0, x1, noise) = (pairs.x0.row(i), pairs.x1.row(i), noise.row(i));
            for (k, x) in x.iter_mut().enumerate() {
                *x = (1.0 - times[i]) * x0[k] + times[i] * x1[k] + sigma * noise[k];
            }
        });
        let velocity = Points::from_fn(rows.len(), pairs.x0.dim(), |i, v| {
            v.iter_mut().zip(pairs.x1.row(i)).zip(pairs.x0.row(i)).for_each(|((v, x1), x0)| *v = x1 - x0);
        });
        let tensor = |points: &Points| to_tensor(points, Kind::Float, Device::Cpu);
        Ok(Validation { times, at: tensor(&at)?, velocity: tensor(&velocity)? })
    }

    /// The mean squared error of the velocity.
    fn loss(&self, model: &FlowModel) -> Result<f64> {
        no_grad(|| {
            let error = model.velocity(&self.times, &self.at)? - &self.velocity;
            Ok(error.square().mean(Kind::Double).double_value(&[]))
        })
    }
}

/// The best model so far, kept on disk: a run that was interrupted goes on with it.
pub(super) struct Best<'a> {
    validation: &'a Validation,
    model: PathBuf,
    candidate: PathBuf,
    record: PathBuf,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) step: u64,
    pub(super) loss: f64,
}

impl<'a> Best<'a> {
    pub(super) fn new(context: &Context<'_>, stem: &str, validation: &'a Validation) -> Self {
        let [model, candidate, record] = files(context, stem);
        Best { validation, model, candidate, record }
    }

    /// Looks at the parameters after `step` steps.
    pub(super) fn look(&self, step: u64, model: &dyn Generator) -> Result<()> {
        model.save(&self.candidate)?;
        let loss = self.validation.loss(&FlowModel::load(&self.candidate)?)?;
        // A look that an interruption had repeated finds the loss it found before.
        if loss.is_finite() && self.found().is_none_or(|best| loss < best.loss) {
            std::fs::rename(&self.candidate, &self.model).map_err(WriteError::at(&self.model))?;
            let look = serde_json::to_vec(&Look { step, loss }).expect("a look is JSON");
            write_atomic(&self.record, |file| file.write_all(&look))?;
        }
        Ok(())
    }

    fn found(&self) -> Option<Look> {
        serde_json::from_slice(&std::fs::read(&self.record).ok()?).ok()
    }

    /// The best model with the steps it was trained for; none where no look found a finite loss.
    pub(super) fn kept(&self) -> Result<Option<(FlowModel, Look)>> {
        self.found().map(|look| Ok((FlowModel::load(&self.model)?, look))).transpose()
    }
}

/// The best model, the one looked at, and what is known of the best.
fn files(context: &Context<'_>, stem: &str) -> [PathBuf; 3] {
    ["best-{}.safetensors", "candidate-{}.safetensors", "best-{}.json"]
        .map(|name| context.path(&name.replace("{}", stem)))
}

/// Removes the files of a run whose figures are kept: not before, or a run killed in between would choose among fewer looks.
pub(super) fn forget(context: &Context<'_>, stem: &str) {
    for path in files(context, stem) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::methods::flow::{FlowMatching, FlowMatchingConfig};
    use models::{Between, Data, TrainConfig, Trainer, Watch};
    use std::sync::atomic::AtomicBool;

    #[test]
    fn the_parameters_of_least_loss_are_kept_whatever_comes_after_them() {
        let dir = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let context = Context::for_tests(dir.path(), &stop);
        let cloud = |mean: f64, seed: u64| {
            let law = Gaussian::isotropic(&[mean, 0.0], 0.5).unwrap();
            law.sample(200, &mut Seed::new(seed).rng())
        };
        let data = |mean, seed| Data::new(cloud(mean, seed)).unwrap();
        let both = Between::new(data(0.0, 1), data(4.0, 2)).unwrap();
        let config = FlowMatchingConfig { batch: 64, standardise: false, ..FlowMatchingConfig::default() };
        let train = TrainConfig { steps: 60, ema: None, ..TrainConfig::default() };
        let mut trainer = Trainer::<FlowMatching>::new(config, train, &both).unwrap();
        let mut models = Vec::new();
        for step in [0, 60, 20] {
            if step < trainer.step() {
                trainer =
                    Trainer::new(trainer.config().clone(), trainer.train_config().clone(), &both).unwrap();
            }
            let _ = trainer.run_to(step, &mut Watch::default()).unwrap();
            models.push((step, trainer.generator().unwrap()));
        }

        let (source, target) = (cloud(0.0, 3), cloud(4.0, 4));
        for pairing in [Pairing::Independent, Pairing::Optimal] {
            let validation = Validation::new(&source, &target, pairing, 50, 0.1, Seed::new(5)).unwrap();
            let path = dir.path().join("one.safetensors");
            let losses: Vec<f64> = models
                .iter()
                .map(|(_, model)| {
                    model.save(&path).unwrap();
                    validation.loss(&FlowModel::load(&path).unwrap()).unwrap()
                })
                .collect();
            assert!(losses[1] < losses[2] && losses[2] < losses[0], "{losses:?}");
            let best = || Best::new(&context, "stem", &validation);
            // Each look by a process of its own, as after interruptions.
            models.iter().for_each(|(step, model)| best().look(*step, &**model).unwrap());
            let (model, look) = best().kept().unwrap().unwrap();
            assert_eq!((look.step, look.loss), (60, losses[1]));
            assert_eq!(validation.loss(&model).unwrap(), losses[1]);
            forget(&context, "stem");
            assert!(best().kept().unwrap().is_none());
        }
    }
}
