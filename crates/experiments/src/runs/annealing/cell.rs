//! One cell: a map trained one way, looked at along its training.

use super::super::ground::Ground;
use super::super::training::{average, resolved};
use super::super::yardstick::Figures;
use super::arms::Shared;
use crate::cells::Cell;
use crate::context::Budget;
use crate::failure::Result;
use divergences::Divergence;
use divergences::transport::Wasserstein;
use measures::zoo::Gaussian;
use measures::{Empirical, Points, Sample, Seed};
use models::methods::AnyMethod;
use models::{Generator, Precision, TrainConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a cell came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    /// Figures of the final map; of a flow, by the number of evaluations.
    pub(super) figures: Vec<(u64, Figures)>,
    pub(super) stages: Vec<Stage>,
    pub(super) seconds: f64,
    pub(super) diverged: Option<u64>,
}

/// A look at the map on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stage {
    /// The part of the steps behind.
    pub(super) progress: f64,
    /// The time t of the paper's path at that moment: 0 is noise, 1 is data.
    pub(super) t: f64,
    /// The loss at the last step that was told of.
    pub(super) loss: Option<f64>,
    /// W₂ to the data.
    pub(super) to_data: f64,
    /// W₂ to ρ_t.
    pub(super) to_path: f64,
    /// Some of its points, in the plane.
    pub(super) cloud: Vec<[f32; 2]>,
}

/// Points of a look on the way: exact transport between them.
const LOOKED: usize = 400;
/// Points of a frame.
const FRAME: usize = 300;

/// A training run of the study.
pub(super) struct Trial<'a> {
    pub(super) method: &'a dyn AnyMethod,
    pub(super) settings: Value,
    pub(super) steps: u64,
    pub(super) seed: u64,
    pub(super) looks: u64,
}

impl Trial<'_> {
    fn train(&self, cell: &Cell<'_>) -> TrainConfig {
        let budget = Budget {
            steps: self.steps,
            ema: Some(average(self.steps)),
            precision: Precision::Single,
            log_every: (self.steps / 100).clamp(1, 50),
            checkpoint_every: self.steps,
            wall_seconds: None,
        };
        cell.context().train_config(&budget, self.seed)
    }
}

/// Trains a one-step map with looks on the way.
pub(super) fn annealed(
    cell: &Cell<'_>,
    ground: &Ground,
    trial: &Trial<'_>,
    shared: &Shared,
) -> Result<Found> {
    let (context, source) = (cell.context(), ground.source()?);
    let mut stages: Vec<Stage> = cell.noted().unwrap_or_default();
    let stops: Vec<u64> = (1..trial.looks).map(|k| k * trial.steps / trial.looks).collect();
    let looker = Looker { ground, shared, seed: Seed::new(trial.seed).named("looks"), steps: trial.steps };
    let trained = context.train_in_stages(
        cell.name(),
        (trial.method, &trial.settings),
        trial.train(cell),
        &*source,
        &stops,
        |step, model| {
            stages.retain(|stage| stage.progress < step as f64 / trial.steps as f64);
            stages.push(looker.look(step, model)?);
            cell.note(&stages)
        },
    )?;
    context.check_stop()?;
    stages.push(looker.look(trial.steps, &*trained.model)?);
    for stage in &mut stages {
        let step = (stage.progress * trial.steps as f64).round() as u64;
        stage.loss = trained.history.iter().rev().find(|(at, _)| *at <= step).map(|(_, loss)| *loss);
    }
    let x = trained.model.generate(ground.n(), Seed::new(trial.seed).named("generated"))?;
    let diverged = trained.diverged();
    Ok(Found { figures: vec![(1, ground.figures(x)?)], stages, seconds: trained.seconds, diverged })
}

/// Trains a model that is solved in steps, and measures it at each number of them.
pub(super) fn solved(cell: &Cell<'_>, ground: &Ground, trial: &Trial<'_>, steps: &[usize]) -> Result<Found> {
    let (context, source) = (cell.context(), ground.source()?);
    let trained = cell.train(trial.method, &trial.settings, trial.train(cell), &*source)?;
    let mut figures = Vec::new();
    for &count in steps {
        context.check_stop()?;
        let model = resolved(context, cell.name(), &*trained.model, count)?;
        let Some(model) = model else { continue };
        let x = model.generate(ground.n(), Seed::new(trial.seed).named("generated"))?;
        figures.push((model.evaluations(), ground.figures(x)?));
    }
    if figures.is_empty() {
        let x = trained.model.generate(ground.n(), Seed::new(trial.seed).named("generated"))?;
        figures.push((trained.model.evaluations(), ground.figures(x)?));
    }
    let diverged = trained.diverged();
    Ok(Found { figures, stages: Vec::new(), seconds: trained.seconds, diverged })
}

struct Looker<'a> {
    ground: &'a Ground,
    shared: &'a Shared,
    seed: Seed,
    steps: u64,
}

impl Looker<'_> {
    /// The time of the forward order after so much of the run.
    fn time(&self, progress: f64) -> f64 {
        let annealing = 1.0 - self.shared.last_round;
        if annealing <= 0.0 { 1.0 } else { (progress / annealing).min(1.0) }
    }

    fn look(&self, step: u64, model: &dyn Generator) -> Result<Stage> {
        let progress = step as f64 / self.steps as f64;
        let t = self.time(progress);
        let n = LOOKED.min(self.ground.n());
        let x = model.generate(n, self.seed.named("map"))?;
        let cloud = if x.dim() == 2 {
            x.rows().take(FRAME).map(|row| [row[0] as f32, row[1] as f32]).collect()
        } else {
            Vec::new()
        };
        let data = self.ground.reference().select(&(0..n).collect::<Vec<_>>());
        let path = noised(&data, self.ground.reference(), t, self.seed.named("path"));
        let mu = Empirical::uniform(x)?;
        let distance =
            |y: Points| -> Result<f64> { Ok(Wasserstein::new(2.0)?.value(&mu, &Empirical::uniform(y)?)?) };
        Ok(Stage { progress, t, loss: None, to_data: distance(data)?, to_path: distance(path)?, cloud })
    }
}

/// Draws of ρ_t, the law of α X₁ + σ X₀ in coordinates of mean 0 and variance 1, α = sin ½πt, σ = cos ½πt, taken back to those
/// of the data.
fn noised(data: &Points, all: &Points, t: f64, seed: Seed) -> Points {
    let (alpha, sigma) = (0.5 * std::f64::consts::PI * t).sin_cos();
    let noise = Gaussian::standard(data.dim()).sample(data.len(), &mut seed.rng());
    let moments: Vec<(f64, f64)> = (0..all.dim())
        .map(|k| {
            let column = all.column(k);
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / column.len() as f64;
            (mean, variance.sqrt())
        })
        .collect();
    Points::from_fn(data.len(), data.dim(), |i, row| {
        for (k, v) in row.iter_mut().enumerate() {
            let (mean, sd) = moments[k];
            *v = mean + alpha * (data.row(i)[k] - mean) + sigma * sd * noise.row(i)[k];
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_goes_from_noise_of_the_same_moments_to_the_data() {
        let data = Gaussian::isotropic(&[3.0, -1.0], 0.5).unwrap().sample(4000, &mut Seed::new(1).rng());
        let end = noised(&data, &data, 1.0, Seed::new(2));
        let apart = end.rows().zip(data.rows()).map(|(a, b)| (a[0] - b[0]).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-12, "{apart}");
        let start = noised(&data, &data, 0.0, Seed::new(2));
        let mean = start.column(0).iter().sum::<f64>() / 4000.0;
        // Five standard errors of the mean of 4,000 draws.
        assert!((mean - 3.0).abs() < 5.0 * 0.5 / 4000f64.sqrt(), "{mean}");
        assert!(start.row(0) != data.row(0));
    }
}
