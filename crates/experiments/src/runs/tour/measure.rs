//! One cell of the tour: a method trained on a target, and every figure of what it generates.

use super::super::ground::{Copied, Ground, Scores};
use super::super::training::{affordable, average, timed};
use crate::cells::Cell;
use crate::context::Budget;
use crate::failure::{Failure, Result};
use measures::Seed;
use models::Precision;
use models::methods::AnyMethod;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Instant;

/// What is known of a cell once it is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::runs) struct Measured {
    pub(in crate::runs) scores: Scores,
    /// −E log p with its standard error, where there is a density.
    pub(in crate::runs) nll: Option<(f64, f64)>,
    /// Network evaluations a sample.
    pub(in crate::runs) evaluations: u64,
    /// Microseconds a sample.
    pub(in crate::runs) micros: f64,
    /// Seconds of training.
    pub(in crate::runs) seconds: f64,
    /// Seconds of the whole cell, trial and measuring included; of a cell that was interrupted, since it was taken up again.
    pub(in crate::runs) whole: f64,
    /// Steps that were done.
    pub(in crate::runs) steps: u64,
    pub(in crate::runs) parameters: u64,
    /// Where training diverged.
    pub(in crate::runs) diverged: Option<u64>,
    /// The first two coordinates of some points, for pictures.
    pub(in crate::runs) cloud: Vec<[f32; 2]>,
}

/// Points of a picture.
const SHOWN: usize = 500;

impl Measured {
    /// A sample of the target itself.
    pub(in crate::runs) fn of_target(ground: &Ground, seed: Seed) -> Result<Self> {
        let started = Instant::now();
        let x = ground.truth(seed.named("truth"));
        let micros = started.elapsed().as_secs_f64() * 1e6 / x.len() as f64;
        let cloud = cloud(&x);
        let mut scores = ground.score(x, seed)?;
        if ground.law.is_none() {
            // The floor of a file is made of the rows trained on.
            scores.copied = None::<Copied>;
        }
        let nll = ground.entropy();
        Ok(Measured {
            scores,
            nll,
            evaluations: 0,
            micros,
            seconds: 0.0,
            whole: started.elapsed().as_secs_f64(),
            steps: 0,
            parameters: 0,
            diverged: None,
            cloud,
        })
    }
}

fn cloud(x: &measures::Points) -> Vec<[f32; 2]> {
    if x.dim() < 2 {
        return Vec::new();
    }
    x.rows().take(SHOWN).map(|row| [row[0] as f32, row[1] as f32]).collect()
}

/// Trains a method on a target for so many steps, or fewer where they would take more than `seconds` (0: no limit), and
/// measures what it generates.
pub(in crate::runs) fn measured(
    cell: &Cell<'_>,
    ground: &Ground,
    (method, settings): (&dyn AnyMethod, &Value),
    steps: u64,
    seconds: f64,
    seed: u64,
) -> Result<Measured> {
    let started = Instant::now();
    let (context, source) = (cell.context(), ground.source()?);
    let config = |steps: u64| {
        let budget = Budget {
            steps,
            ema: Some(average(steps)),
            precision: Precision::Single,
            log_every: 50,
            checkpoint_every: (steps / 4).max(1),
            wall_seconds: None,
        };
        context.train_config(&budget, seed)
    };
    // A resumed cell goes on with the steps that it was given at first.
    let steps = match cell.noted::<u64>() {
        Some(noted) => noted,
        None if seconds > 0.0 && !context.begun(cell.name()) => {
            let steps = affordable(method, settings, config(steps), &*source, seconds)?.min(steps);
            cell.note(&steps)?;
            steps
        }
        None => steps,
    };
    let trained = cell.train(method, settings, config(steps), &*source)?;
    context.check_stop()?;
    let model = &*trained.model;
    let seed = Seed::new(seed);
    let (x, micros) = timed(model, ground.n(), seed.named("generated"))?;
    if let Some(row) = x.rows().position(|row| row.iter().any(|v| !v.is_finite())) {
        return Err(Failure::Usage(format!("generated point {row} is not finite")));
    }
    let cloud = cloud(&x);
    let diverged = trained.diverged();
    let (scores, nll) = (ground.score(x, seed.named("score"))?, ground.nll(model));
    Ok(Measured {
        scores,
        nll,
        evaluations: model.evaluations(),
        micros,
        seconds: trained.seconds,
        whole: started.elapsed().as_secs_f64(),
        steps: trained.outcome.step,
        parameters: model.to_file().map_or(0, |(_, record)| record.numbers() as u64),
        diverged,
        cloud,
    })
}
