//! Points from a saved model.

use super::pictures;
use crate::context::Context;
use crate::data::{LIMIT, column_names, write_csv, write_npy};
use crate::failure::{Failure, Result};
use crate::registry::Experiment;
use crate::report::{Report, Table};
use crate::spec;
use measures::Points;
use models::Generator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Instant;

/// Draws n points from a saved model into a file.
pub struct Sample;

/// The format of a file of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An n×d array of float64, as numpy writes it.
    #[default]
    Npy,
    /// Comma-separated text with a header.
    Csv,
}

/// Settings of [`Sample`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SampleConfig {
    /// The model: the model.safetensors of an earlier run.
    pub model: Option<PathBuf>,
    /// Points to draw.
    #[schemars(range(min = 1))]
    pub n: usize,
    /// The label to draw, for a model that was trained with labels; null draws labels as often as the data had them.
    pub class: Option<usize>,
    /// The vector to draw points given, for a model that was trained with one.
    pub given: Vec<f64>,
    /// The factor of guidance toward the condition; null takes that of the model, 1 is none.
    pub guidance: Option<f64>,
    /// The format of the file.
    pub format: Format,
    /// The file; null writes samples.npy or samples.csv beside the report. A file that is there is not overwritten.
    pub to: Option<PathBuf>,
}

impl Default for SampleConfig {
    fn default() -> Self {
        SampleConfig {
            model: None,
            n: 1000,
            class: None,
            given: Vec::new(),
            guidance: None,
            format: Format::Npy,
            to: None,
        }
    }
}

impl Experiment for Sample {
    const NAME: &'static str = "sample";
    const PAPER: &'static str = "your data";
    const ABOUT: &'static str = "n points from a saved model into .npy or .csv";
    type Config = SampleConfig;

    fn run(context: &mut Context<'_>, config: &SampleConfig) -> Result<Report> {
        let missing = spec::Error::Missing { key: "model", example: "DIR/model.safetensors" };
        let path = config.model.as_ref().ok_or(missing)?;
        let model = models::load(path)?;
        let most = (LIMIT / 8) as usize / model.dim().max(1);
        if config.n > most {
            let needs = format!("at most {most} for a model in dimension {}", model.dim());
            return Err(spec::Error::value("n", config.n, needs).into());
        }
        let name = match config.format {
            Format::Npy => "samples.npy",
            Format::Csv => "samples.csv",
        };
        let to = config.to.clone().unwrap_or_else(|| context.path(name));
        if to.exists() {
            return Err(Failure::Usage(format!("{}: is there already and is not overwritten", to.display())));
        }
        let started = Instant::now();
        let seed = context.seed().named("samples");
        let points = match conditions(config, &*model)? {
            Some(given) => model.generate_given(&given, config.guidance, seed)?,
            None => model.generate(config.n, seed)?,
        };
        let seconds = started.elapsed().as_secs_f64();
        context.check_stop()?;
        let columns = column_names(points.dim());
        match config.format {
            Format::Npy => write_npy(&to, &points)?,
            Format::Csv => write_csv(&to, &columns, &points)?,
        }
        let mut report = Report::new(format!("{} points from {}.", config.n, path.display()));
        let about = format!("{} points in dimension {}", points.len(), points.dim());
        match &config.to {
            Some(to) => report.note(format!("Written to {}: {about}.", to.display())),
            None => report.artifact(name, about),
        };
        let mut table =
            Table::new("cost", "What a sample costs", &["points", "evaluations a point", "µs a point"]);
        table.push(vec![
            config.n.into(),
            model.evaluations().into(),
            (seconds / config.n as f64 * 1e6).into(),
        ]);
        report.table(table);
        report.figure(pictures::clouds("samples", "Samples", &columns, &[("samples", &points)]));
        Ok(report)
    }
}

/// What every point is drawn given; none draws as the model does by itself.
fn conditions(config: &SampleConfig, model: &dyn Generator) -> Result<Option<Points>> {
    let same = |row: &[f64]| Some(Points::from_fn(config.n, row.len(), |_, out| out.copy_from_slice(row)));
    match (config.class, config.given.as_slice()) {
        (None, []) if config.guidance.is_some() => {
            let why = "guidance: toward what? set class=K, or given=[...] for a model trained with vectors";
            Err(Failure::Usage(why.into()))
        }
        (None, []) => Ok(None),
        (Some(_), [_, ..]) => Err(Failure::Usage("class and given: a model takes one or the other".into())),
        (Some(_), []) if model.condition().is_some_and(|c| c.classes().is_none()) => {
            Err(Failure::Usage("class: this model was trained with vectors; set given=[...]".into()))
        }
        (None, [_, ..]) if model.condition().is_some_and(|c| c.classes().is_some()) => {
            Err(Failure::Usage("given: this model was trained with labels; set class=K".into()))
        }
        (Some(class), []) => Ok(same(&[class as f64])),
        (None, given) => Ok(same(given)),
    }
}
