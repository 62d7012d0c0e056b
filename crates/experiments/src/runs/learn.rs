//! A map learned from a user's own data.

use super::chance::multiple_by_chance;
use super::fit;
use super::given::{self, Given};
use super::method::Choice;
use super::neighbours::agreement;
use super::pictures;
use super::rows::{head, shuffled};
use super::training::bounded_by_rows;
use crate::context::{Budget, Context};
use crate::data::{self, LIMIT, NpyRows, Options, Table as Rows, column_names, write_npy};
use crate::failure::{Failure, Result};
use crate::figure::number;
use crate::registry::Experiment;
use crate::report::{Claim, Report, Table};
use crate::spec;
use divergences::kernel::Gaussian;
use divergences::quality::memorisation;
use divergences::transport::{SlicedWasserstein, Wasserstein};
use divergences::{Divergence, Mmd, Statistic};
use measures::rand::RngExt;
use measures::{Empirical, Points, Seed};
use models::methods::statistics::median_distance;
use models::{Precision, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Learns a map from noise to the points of a file.
pub struct Learn;

/// Settings of [`Learn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LearnConfig {
    /// The data, n×d: a file (.npy, .npz, .csv, idx, each also in gzip) or a named set such as moons:noise=0.05.
    pub data: Option<String>,
    /// How to read the file, where it leaves a choice.
    pub input: Options,
    /// The column that holds the label of each row, 0, 1, …, by name or by number: the model then draws what is asked for.
    pub label: Option<String>,
    /// The columns that the others are to be drawn given: continuous conditions, by name or by number.
    pub conditions: Vec<String>,
    /// Whether rows of an .npy file are read when they are needed, so that it may be larger than memory; null does that for
    /// files beyond 2 GiB of numbers.
    pub stream: Option<bool>,
    /// Points drawn of a named set.
    #[schemars(range(min = 20))]
    pub n: usize,
    /// What is minimised, and its settings.
    pub method: Choice,
    /// Steps of the optimiser.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// The part of the rows that is held out for judging.
    #[schemars(range(min = 0.01, max = 0.5))]
    pub test: f64,
    /// Points written to samples.npy.
    #[schemars(range(min = 1))]
    pub samples: usize,
    /// How many times its floor the squared MMD to held-out data may be, at each bandwidth, for the claim to hold; where
    /// chance alone makes more of two samples of one law once in a million times, so may this be.
    #[schemars(range(min = 1))]
    pub tolerance: f64,
    /// Decay of the moving average of parameters that generates; null generates with the last parameters.
    pub ema: Option<f64>,
    /// Arithmetic of the network.
    pub precision: Precision,
    /// Steps between two checkpoints.
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
    /// Training ends after so many seconds even if steps are left; null sets no limit.
    pub wall_seconds: Option<f64>,
}

impl Default for LearnConfig {
    fn default() -> Self {
        let Budget { ema, precision, checkpoint_every, wall_seconds, .. } = Budget::default();
        LearnConfig {
            data: None,
            input: Options::default(),
            label: None,
            conditions: Vec::new(),
            stream: None,
            n: 10_000,
            method: Choice::new("d2").expect("the default method exists"),
            steps: 3000,
            test: 0.2,
            samples: 10_000,
            tolerance: 2.0,
            ema,
            precision,
            checkpoint_every,
            wall_seconds,
        }
    }
}

/// Fewer rows than this leave nothing to hold out.
const FEWEST: usize = 20;
/// Rows that are compared: the squared MMD costs their square.
const MOST: usize = 5000;
/// Rows between which exact transport is solved.
const PLAN: usize = 2000;
/// Splits of the data by which the floor is measured.
const SPLITS: u64 = 20;
/// How often the distance of two samples of the data may be judged too large.
const ALPHA: f64 = 1e-6;
/// Relabellings of the memorisation check.
const RELABELLINGS: usize = 999;
/// Generated points of the memorisation check.
const COPIES: usize = 2000;

impl Experiment for Learn {
    const NAME: &'static str = "learn";
    const PAPER: &'static str = "sections 2 to 4, your data";
    const ABOUT: &'static str =
        "a map from noise to the points of a file, saved, sampled and judged on held-out rows";
    type Config = LearnConfig;

    fn run(context: &mut Context<'_>, config: &LearnConfig) -> Result<Report> {
        let mut config = config.clone();
        let missing = spec::Error::Missing { key: "data", example: "FILE" };
        let origin = config.data.clone().ok_or(missing)?;
        let seed = context.seed();
        let Split { source, train, test, columns, given, held } = prepare(context, &config, &origin)?;
        let rows = source.len().unwrap_or(train.len());
        let most = (LIMIT / 8) as usize / train.dim();
        if config.samples > most {
            let needs = format!("at most {most} in dimension {}", train.dim());
            return Err(spec::Error::value("samples", config.samples, needs).into());
        }
        let mut report = Report::new(format!(
            "A map φ from noise to {origin}: {rows} rows to train on and {} held out, in dimension {}.",
            test.len(),
            train.dim()
        ));
        for key in bounded_by_rows(config.method.name()) {
            if config.method.at_most(key, rows) {
                report.note(format!("method.{key} was lowered to {rows}, the rows there are to train on."));
            }
        }
        if rows > train.len() {
            report.note(format!(
                "Rows are read from the file when they are needed. Samples are judged beside {} of those trained on.",
                train.len()
            ));
        }
        let budget = Budget {
            steps: config.steps,
            ema: config.ema,
            precision: config.precision,
            checkpoint_every: config.checkpoint_every,
            wall_seconds: config.wall_seconds,
            ..Budget::default()
        };
        let trained = fit::fit(context, &config.method, &budget, &*source)?;
        let n = config.samples.max(2);
        let generated = match given.points() {
            None => trained.model.generate(n, seed.named("samples"))?,
            // What is asked for occurs as often as in the data.
            Some(all) => {
                let picked = with_replacement(n, all.len(), seed.named("conditions"));
                let asked = all.select(&picked);
                let generated = trained.model.generate_given(&asked, None, seed.named("samples"))?;
                show_labels(
                    &mut report,
                    (&generated, &given.select(&picked)),
                    (&train, &given),
                    (&test, &held),
                );
                write_npy(&context.path("conditions.npy"), &asked)?;
                report.artifact("conditions.npy", "what each point of samples.npy was drawn given, float64");
                generated
            }
        };
        context.check_stop()?;
        judge(&mut report, &config, &generated, &train, &test, seed.named("judge"))?;
        context.check_stop()?;
        remember(&mut report, &generated, &train, &test, seed.named("memorisation"))?;
        fit::training(&mut report, &config.method, config.steps, &trained);
        report.figure(pictures::clouds(
            "clouds",
            "Held-out data and samples",
            &columns,
            &[("held-out data", &test), ("samples", &generated)],
        ));
        fit::losses(&mut report, &trained);
        write_npy(&context.path("samples.npy"), &generated)?;
        trained.model.save(&context.path("model.safetensors"))?;
        report.artifact("model.safetensors", "the learned map, for the experiment sample");
        report.artifact("samples.npy", format!("{} points drawn from it, float64", generated.len()));
        Ok(report)
    }
}

/// What is trained on, and what is held out.
struct Split {
    source: Box<dyn Source>,
    /// Rows trained on: all, or some of very many.
    train: Points,
    test: Points,
    columns: Vec<String>,
    /// What comes with `train`, and with `test`.
    given: Given,
    held: Given,
}

/// Reads the data and holds rows out.
fn prepare(context: &Context<'_>, config: &LearnConfig, origin: &str) -> Result<Split> {
    let seed = context.seed();
    let conditional = config.label.is_some() || !config.conditions.is_empty();
    if config.stream.unwrap_or_else(|| !conditional && is_large(Path::new(origin))) {
        if conditional || config.input != Options::default() {
            let why =
                "stream: rows are read from the file whole; label, conditions and input need stream=false";
            return Err(Failure::Usage(why.into()));
        }
        return streamed(config, origin, seed);
    }
    let table = data::load(origin, &config.input, config.n, seed.named("data"))?;
    let (Rows { points, columns, .. }, all) =
        given::part(table, config.label.as_deref(), &config.conditions)?;
    let (first, last) = split(origin, points.len(), config.test, seed.named("split"))?;
    let (train, test) = (points.select(&first), points.select(&last));
    let (given, held) = (all.select(&first), all.select(&last));
    Ok(Split { source: given.source(train.clone())?, train, test, columns, given, held })
}

/// More numbers than this, as double precision, are not read into memory unasked.
const LARGE: u64 = 2 << 30;

/// Whether the path is an .npy file with very many numbers. What is wrong with the file is told when it is read.
fn is_large(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.len() > LARGE / 8)
        && NpyRows::open(path)
            .is_ok_and(|rows| (rows.len().unwrap_or(0) as u64).saturating_mul(8 * rows.dim() as u64) > LARGE)
}

fn streamed(config: &LearnConfig, origin: &str, seed: Seed) -> Result<Split> {
    let mut source = NpyRows::open(Path::new(origin))?;
    let rows = source.len().unwrap_or(0);
    if rows < FEWEST {
        let why = "to hold some out";
        return Err(Failure::TooFewRows { what: origin.into(), got: rows, needed: FEWEST, why });
    }
    let held = ((rows as f64 * config.test).round() as usize).clamp(2, rows / 2).min(JUDGED);
    let test = source.hold_out(held, seed.named("split"))?;
    let train = source.batch(JUDGED.min(rows - held), &mut seed.named("overview").rng())?;
    let columns = column_names(train.dim());
    let (given, held) = (Given::Nothing, Given::Nothing);
    Ok(Split { source: Box::new(source), train, test, columns, given, held })
}

/// Rows of a very large file that samples are judged by.
const JUDGED: usize = 10_000;

/// `n` numbers below `among`, each drawn by itself.
fn with_replacement(n: usize, among: usize, seed: Seed) -> Vec<usize> {
    let mut rng = seed.rng();
    (0..n).map(|_| rng.random_range(0..among as u64) as usize).collect()
}

/// How often a sample looks like what was asked for: its nearest training row has its label.
fn show_labels(
    report: &mut Report,
    (generated, asked): (&Points, &Given),
    (train, known): (&Points, &Given),
    (test, held): (&Points, &Given),
) {
    let (Given::Labels(asked), Given::Labels(known), Given::Labels(held)) = (asked, known, held) else {
        return;
    };
    let rows = |labels: &[usize]| labels[..labels.len().min(COPIES)].to_vec();
    let (train, known) = (head(train, MOST), &known[..known.len().min(MOST)]);
    let ours = agreement(&head(generated, COPIES), &rows(asked), &train, known);
    let real = agreement(&head(test, COPIES), &rows(held), &train, known);
    let columns = ["rows", "nearest training row has their label"];
    let mut table = Table::new("labels", "Labels by nearest neighbours", &columns);
    table.push(vec!["samples".into(), ours.into()]);
    table.push(vec!["held-out rows".into(), real.into()]);
    report.table(table);
    let name =
        "share of samples whose nearest training row has the label asked for, over that of held-out rows";
    report.claim(Claim::at_least(name, ours / real, 0.9));
}

/// Numbers of rows to train on and of rows held out, drawn at random.
fn split(origin: &str, rows: usize, test: f64, seed: Seed) -> Result<(Vec<usize>, Vec<usize>)> {
    if rows < FEWEST {
        let why = "to hold some out";
        return Err(Failure::TooFewRows { what: origin.into(), got: rows, needed: FEWEST, why });
    }
    let order = shuffled(rows, seed);
    let held = ((rows as f64 * test).round() as usize).clamp(2, rows / 2);
    Ok((order[held..].to_vec(), order[..held].to_vec()))
}

/// The distances between generated and held-out points, each beside its floor: the same between two independent parts of
/// the data of that size, over several splits.
fn judge(
    report: &mut Report,
    config: &LearnConfig,
    generated: &Points,
    train: &Points,
    test: &Points,
    seed: Seed,
) -> Result<()> {
    let all = test.concat(train)?;
    let rows = test.len().min(MOST).min(generated.len());
    let reference = Empirical::uniform(head(test, rows))?;
    let sample = Empirical::uniform(head(generated, rows))?;
    let median = median_distance(&all)?;
    let columns = [
        "distance",
        "settings",
        "to held-out data",
        "floor",
        "floor, highest",
        "times the floor",
        "by chance",
    ];
    let mut table = Table::new("held_out", "Distance to held-out data", &columns);
    let mut add = |name: &str,
                   settings: String,
                   rows: usize,
                   divergence: &dyn Divergence,
                   chance: Option<f64>|
     -> Result<f64> {
        let thin = |mu: &Empirical| Empirical::uniform(head(mu.points(), rows));
        let value = divergence.value(&thin(&sample)?, &thin(&reference)?)?;
        let mut floors = Vec::new();
        for k in 0..SPLITS {
            let order = shuffled(all.len(), seed.child(k));
            let part = |from: usize| Empirical::uniform(all.select(&order[from..from + rows]));
            floors.push(divergence.value(&part(0)?, &part(rows)?)?);
        }
        let floor = floors.iter().sum::<f64>() / floors.len() as f64;
        let highest = floors.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let settings = format!("{settings}; {rows} rows");
        table.push(vec![
            name.into(),
            settings.into(),
            value.into(),
            floor.into(),
            highest.into(),
            (value / floor).into(),
            chance.into(),
        ]);
        Ok(value / floor)
    };
    for factor in [1.0, 0.3, 0.1] {
        let bandwidth = factor * median;
        let settings = format!("Gaussian kernel, bandwidth {} = {factor} × median", number(bandwidth, 3));
        let kernel = Gaussian::new(bandwidth)?;
        let chance = multiple_by_chance(&kernel, &all, ALPHA)?;
        let ratio = add("MMD²", settings, rows, &Mmd::new(kernel, Statistic::Plugin), Some(chance))?;
        let name = format!("MMD² to held-out data over its floor, bandwidth {factor} × median distance");
        report.claim(Claim::at_most(name, ratio, config.tolerance.max(chance)));
    }
    let sliced = SlicedWasserstein::new(2.0, 200, seed.named("directions"))?;
    add("sliced W₂", "200 directions".into(), rows, &sliced, None)?;
    add("W₂", "exact".into(), rows.min(PLAN), &Wasserstein::new(2.0)?, None)?;
    report.table(table);
    report.note(format!(
        "Floors are means over {SPLITS} splits of the data into two disjoint parts of as many rows: what sampling alone makes of \
         two samples of one law. MMD² is the plug-in estimate, whose floor is positive; \"by chance\" is the multiple of it that such \
         samples exceed once in a million times."
    ));
    Ok(())
}

/// Whether samples are nearer to the rows trained on than to those held out.
fn remember(
    report: &mut Report,
    generated: &Points,
    train: &Points,
    test: &Points,
    seed: Seed,
) -> Result<()> {
    let found = memorisation(&head(generated, COPIES), train, test, RELABELLINGS, seed)?;
    fit::memorisation(report, "rows", &found);
    let name = "p-value of samples being nearer to training rows than chance allows";
    report.claim(Claim::at_least(name, found.p_value, 0.002));
    Ok(())
}
