//! What studies that train many methods share: settings, budgets, clocks.

use crate::context::Context;
use crate::failure::Result;
use measures::{Points, Seed};
use models::methods::AnyMethod;
use models::{Generator, Source, TrainConfig, Watch, checkpoint};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The decay of the moving average: over the last twentieth of the run, and no more than a thousand steps.
pub(super) fn average(steps: u64) -> f64 {
    (1.0 - 20.0 / steps as f64).clamp(0.0, 0.999)
}

/// The counts among a method's settings that cannot be more than the rows there are.
pub(super) fn bounded_by_rows(method: &str) -> &'static [&'static str] {
    match method {
        // Pairs of noise and rows; elsewhere they are made of noise alone.
        "transport" => &["batch", "target_batch", "pairs"],
        _ => &["batch", "target_batch"],
    }
}

/// The default settings of a method, with no batch larger than the rows there are, and data as they are where a column of them
/// is constant and has no scale: in images, corners that nothing is drawn on.
pub(super) fn suited(method: &dyn AnyMethod, rows: Option<&Points>) -> Value {
    let mut settings = method.default_config();
    if let Some(rows) = rows {
        let constant = |k: usize| rows.rows().all(|row| row[k] == rows.row(0)[k]);
        if (0..rows.dim()).any(constant) {
            leave_as_is(&mut settings);
        }
        let rows = rows.len();
        for key in bounded_by_rows(method.name()) {
            match settings.get_mut(*key) {
                Some(value) if value.as_u64().is_some_and(|count| count > rows as u64) => {
                    *value = json!(rows);
                }
                _ => {}
            }
        }
    }
    settings
}

/// Turns standardisation off wherever the settings have it.
fn leave_as_is(settings: &mut Value) {
    for (key, value) in settings.as_object_mut().into_iter().flatten() {
        if key == "standardise" {
            *value = json!(false);
        } else {
            leave_as_is(value);
        }
    }
}

/// Steps of a trial at most, and how long it lasts.
const TRIAL: (u64, Duration) = (40, Duration::from_millis(700));

/// How many steps fit into so many seconds, by a trial.
pub(super) fn affordable(
    method: &dyn AnyMethod,
    settings: &Value,
    train: TrainConfig,
    source: &dyn Source,
    seconds: f64,
) -> Result<u64> {
    let mut trainer = method.start(settings, train, source)?;
    // The first steps of a process touch memory and load kernels.
    let _ = trainer.run_to(2, &mut Watch::default())?;
    let started = Instant::now();
    let mut steps = 0;
    while steps < TRIAL.0 && started.elapsed() < TRIAL.1 {
        let more = if steps < 4 { 1 } else { 6 };
        let _ = trainer.run_to(2 + steps + more, &mut Watch::default())?;
        steps += more;
    }
    let one = started.elapsed().as_secs_f64() / steps as f64;
    Ok(((seconds / one) as u64).max(50))
}

/// n points, and the microseconds that one takes: the best of up to three calls.
pub(super) fn timed(model: &dyn Generator, n: usize, seed: Seed) -> Result<(Points, f64)> {
    let begun = Instant::now();
    let x = model.generate(n, seed)?;
    let mut best = begun.elapsed();
    for _ in 0..2 {
        if begun.elapsed() > Duration::from_secs(2) {
            break;
        }
        let started = Instant::now();
        let _ = model.generate(n, seed)?;
        best = best.min(started.elapsed());
    }
    Ok((x, best.as_secs_f64() * 1e6 / n as f64))
}

/// A copy of a model that is solved in steps, with so many evaluations a sample: Euler's method for a velocity, or the
/// model's own few steps. None where a model has no number of steps to choose.
///
/// # Errors
/// The folder cannot be written, or libtorch refuses the memory.
pub(super) fn resolved(
    context: &Context<'_>,
    name: &str,
    model: &dyn Generator,
    steps: usize,
) -> Result<Option<Box<dyn Generator>>> {
    let (mut header, record) = model.to_file()?;
    let Some(body) = header.body.as_object_mut() else { return Ok(None) };
    // A model that does not follow its velocity by a solver, as one that jumps, keeps its own number of steps.
    if body.get("sampler").and_then(|sampler| sampler.get("kind")).is_some_and(|kind| kind != "flow") {
        return Ok(None);
    }
    if let Some(solver @ Value::Object(_)) = body.get_mut("solver") {
        solver["rule"] = json!("euler");
        solver["steps"] = json!(steps);
    } else if let Some(own) = body.get_mut("steps").filter(|own| own.is_u64()) {
        *own = json!(steps);
    } else {
        return Ok(None);
    }
    let path = context.path(&format!("{name}.solved.safetensors"));
    checkpoint::write(&path, &header, &record)?;
    let model = models::load(&path);
    let _ = std::fs::remove_file(&path);
    Ok(Some(model?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::{Data, methods::all};

    /// Data with a column that does not vary, of fewer rows than batches have, are what every method can be started on.
    #[test]
    fn every_method_starts_on_what_its_settings_are_suited_to() {
        let rows =
            Points::from_fn(90, 3, |i, row| row.copy_from_slice(&[(i as f64).sin(), 0.0, (i as f64).cos()]));
        for method in all() {
            let settings = suited(*method, Some(&rows));
            assert!(!settings.to_string().contains("\"standardise\":true"), "{}: {settings}", method.name());
            let source = Data::new(rows.clone()).unwrap();
            let train = TrainConfig { steps: 2, ..TrainConfig::default() };
            if let Err(error) = method.start(&settings, train, &source) {
                panic!("{}: {error}", method.name());
            }
        }
    }
}
