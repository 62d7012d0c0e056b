//! One model of one data set: its training, and what a report says of it whatever the data are.

use super::method::Choice;
use super::pictures;
use crate::context::{Budget, Context, Trained};
use crate::failure::Result;
use crate::report::{Claim, Report, Table};
use divergences::quality::Memorisation;
use models::{Source, Status};

/// Trains the method of choice, or goes on where that was interrupted. The loss is averaged over some two hundred windows,
/// as many as a figure can show.
///
/// # Errors
/// As [`Context::train_by_name`].
pub(super) fn fit(
    context: &Context<'_>,
    method: &Choice,
    budget: &Budget,
    target: &dyn Source,
) -> Result<Trained> {
    let budget = Budget { log_every: (budget.steps / 200).clamp(1, 50), ..budget.clone() };
    let train = context.train_config(&budget, context.seed_number());
    context.train_by_name("train", method.method()?, method.settings(), train, target)
}

/// How training went; where it diverged, a claim that fails.
pub(super) fn training(report: &mut Report, method: &Choice, steps: u64, trained: &Trained) {
    let outcome = &trained.outcome;
    match outcome.status {
        Status::Diverged { at, restored } => {
            report.note(format!("Training diverged at step {at}; the model is that of step {restored}."));
            report.claim(Claim::at_least("steps before training diverged", at as f64, steps as f64));
        }
        Status::OutOfTime => {
            report.note(format!("The time was up after {} of {steps} steps.", outcome.step));
        }
        _ => {}
    }
    let columns = ["method", "steps", "last loss", "seconds", "evaluations a sample"];
    let mut table = Table::new("training", "Training", &columns);
    table.push(vec![
        method.name().into(),
        outcome.step.into(),
        outcome.loss.into(),
        outcome.seconds.into(),
        trained.model.evaluations().into(),
    ]);
    report.table(table);
}

/// The loss along training.
pub(super) fn losses(report: &mut Report, trained: &Trained) {
    let caption = "The loss as the method reports it, averaged over windows of steps.";
    report.figure(pictures::losses("loss", caption, &[("loss", &trained.history)], None));
}

/// Whether samples are nearer to what was trained on than to what was held out, `rows` being what the data consist of.
pub(super) fn memorisation(report: &mut Report, rows: &str, found: &Memorisation) {
    let columns = ["quantity", "value", "without memorisation, from", "to"];
    let title = format!("Nearest neighbours: training {rows} against held-out {rows}");
    let mut table = Table::new("memorisation", title, &columns);
    let (low, high) = found.null_ratio;
    let name = format!("median of distance to training {rows} / distance to held-out {rows}");
    table.push(vec![name.into(), found.median_ratio.into(), low.into(), high.into()]);
    let (closer, expected) = (found.closer, found.expected_closer);
    let name = format!("share of samples nearer to training than to held-out {rows}");
    table.push(vec![name.into(), closer.into(), expected.into(), expected.into()]);
    report.table(table);
}
