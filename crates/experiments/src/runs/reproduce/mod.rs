//! Published tables, run again by the protocol they state.

mod best;
mod pacgan;
mod sf2m;

use crate::context::Context;
use crate::failure::Result;
use crate::files::{WriteError, write_atomic};
use crate::registry::Experiment;
use crate::report::Report;
use pacgan::PacganConfig;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sf2m::Sf2mConfig;

/// Runs the protocol of a published table and holds what comes out beside what was published.
pub struct Reproduce;

/// The published tables that are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublishedTable {
    /// Flow matching between planar measures: W₂ of the SF²M protocol (arXiv 2307.03672).
    #[default]
    Sf2m,
    /// One-step maps onto mixtures: modes, good points and reverse KL of PacGAN's protocol (arXiv 1712.04086).
    Pacgan,
}

/// Settings of [`Reproduce`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReproduceConfig {
    /// The table.
    pub table: PublishedTable,
    /// Runs of every row, each with a seed of its own.
    #[schemars(range(min = 1))]
    pub seeds: u64,
    /// The protocol of the table sf2m.
    pub sf2m: Sf2mConfig,
    /// The protocol of the table pacgan.
    pub pacgan: PacganConfig,
}

impl Default for ReproduceConfig {
    fn default() -> Self {
        ReproduceConfig {
            table: PublishedTable::default(),
            seeds: 5,
            sf2m: Sf2mConfig::default(),
            pacgan: PacganConfig::default(),
        }
    }
}

impl Experiment for Reproduce {
    const NAME: &'static str = "reproduce";
    const PAPER: &'static str = "sections 2 to 4";
    const ABOUT: &'static str = "a published table by its own protocol: paper, ours, spread, floor, verdict";
    type Config = ReproduceConfig;

    fn run(context: &mut Context<'_>, config: &ReproduceConfig) -> Result<Report> {
        match config.table {
            PublishedTable::Sf2m => sf2m::run(context, &config.sf2m, config.seeds),
            PublishedTable::Pacgan => pacgan::run(context, &config.pacgan, config.seeds),
        }
    }
}

/// What is found once and kept in a file of its own, so that an interrupted run goes on with the next cell. The checkpoint of a
/// training run of the same stem is not needed after it.
fn cell<T: Serialize + DeserializeOwned>(
    context: &Context<'_>,
    stem: &str,
    find: impl FnOnce() -> Result<T>,
) -> Result<T> {
    context.check_stop()?;
    let path = context.path(&format!("cell-{stem}.json"));
    let kept = || -> Option<T> { serde_json::from_slice(&std::fs::read(&path).ok()?).ok() };
    if let Some(cell) = kept() {
        return Ok(cell);
    }
    let found = find()?;
    let json = serde_json::to_vec(&found).expect("figures are JSON");
    write_atomic(&path, |file| file.write_all(&json))?;
    let checkpoint = context.path(&format!("checkpoint-{stem}.safetensors"));
    if checkpoint.exists() {
        std::fs::remove_file(&checkpoint).map_err(WriteError::at(&checkpoint))?;
    }
    // What a resumed run reads is what this one goes on with, to the last digit.
    Ok(kept().unwrap_or(found))
}

/// The mean of some figures and their standard deviation (zero for one of them).
fn mean_and_spread(figures: &[f64]) -> (f64, f64) {
    let n = figures.len() as f64;
    let mean = figures.iter().sum::<f64>() / n;
    if figures.len() < 2 {
        return (mean, 0.0);
    }
    let square: f64 = figures.iter().map(|f| (f - mean).powi(2)).sum();
    (mean, (square / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_those_of_a_sample() {
        assert_eq!(mean_and_spread(&[2.0]), (2.0, 0.0));
        assert_eq!(mean_and_spread(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
    }
}
