//! A map learned from a user's own data.

use super::compare::shuffled;
use super::method::Choice;
use super::pictures;
use super::training::bounded_by_rows;
use crate::context::{Budget, Context, Trained};
use crate::data::{self, LIMIT, Options, write_npy};
use crate::failure::{Failure, Result};
use crate::figure::number;
use crate::registry::Experiment;
use crate::report::{Claim, Report, Table};
use crate::spec;
use divergences::kernel::Gaussian;
use divergences::quality::memorisation;
use divergences::transport::{SlicedWasserstein, Wasserstein};
use divergences::{Divergence, Mmd, Statistic};
use measures::{Empirical, Points, Seed};
use models::methods::statistics::median_distance;
use models::{Data, Precision, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// How many times its floor the squared MMD to held-out data may be, at each bandwidth, for the claim to hold.
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
        let table = data::load(&origin, &config.input, config.n, seed.named("data"))?;
        let (train, test) = split(&origin, &table.points, config.test, seed.named("split"))?;
        let most = (LIMIT / 8) as usize / train.dim();
        if config.samples > most {
            let needs = format!("at most {most} in dimension {}", train.dim());
            return Err(spec::Error::value("samples", config.samples, needs).into());
        }
        let mut report = Report::new(format!(
            "A map φ from noise to {origin}: {} rows to train on and {} held out, in dimension {}.",
            train.len(),
            test.len(),
            train.dim()
        ));
        for key in bounded_by_rows(config.method.name()) {
            if config.method.at_most(key, train.len()) {
                report.note(format!(
                    "method.{key} was lowered to {}, the rows there are to train on.",
                    train.len()
                ));
            }
        }
        let trained = fit(context, &config, &train)?;
        let generated = trained.model.generate(config.samples.max(2), seed.named("samples"))?;
        context.check_stop()?;
        judge(&mut report, &config, &generated, &train, &test, seed.named("judge"))?;
        context.check_stop()?;
        remember(&mut report, &generated, &train, &test, seed.named("memorisation"))?;
        training(&mut report, &config, &trained);
        report.figure(pictures::clouds(
            "clouds",
            "Held-out data and samples",
            &table.columns,
            &[("held-out data", &test), ("samples", &generated)],
        ));
        let caption = "The loss as the method reports it, averaged over windows of steps.";
        report.figure(pictures::losses("loss", caption, &[("loss", &trained.history)], None));
        write_npy(&context.path("samples.npy"), &generated)?;
        trained.model.save(&context.path("model.safetensors"))?;
        report.artifact("model.safetensors", "the learned map, for the experiment sample");
        report.artifact("samples.npy", format!("{} points drawn from it, float64", generated.len()));
        Ok(report)
    }
}

/// Rows to train on and rows held out, drawn at random.
fn split(origin: &str, points: &Points, test: f64, seed: Seed) -> Result<(Points, Points)> {
    if points.len() < FEWEST {
        let why = "to hold some out";
        return Err(Failure::TooFewRows { what: origin.into(), got: points.len(), needed: FEWEST, why });
    }
    let order = shuffled(points.len(), seed);
    let held = ((points.len() as f64 * test).round() as usize).clamp(2, points.len() / 2);
    Ok((points.select(&order[held..]), points.select(&order[..held])))
}

fn fit(context: &Context<'_>, config: &LearnConfig, train: &Points) -> Result<Trained> {
    let budget = Budget {
        steps: config.steps,
        ema: config.ema,
        precision: config.precision,
        log_every: (config.steps / 200).clamp(1, 50),
        checkpoint_every: config.checkpoint_every,
        wall_seconds: config.wall_seconds,
    };
    let target = Data::new(train.clone())?;
    let settings = context.train_config(&budget, context.seed_number());
    context.train_by_name("train", config.method.method()?, config.method.settings(), settings, &target)
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
    let columns = ["distance", "settings", "to held-out data", "floor", "floor, highest", "times the floor"];
    let mut table = Table::new("held_out", "Distance to held-out data", &columns);
    let mut add = |name: &str, settings: String, rows: usize, divergence: &dyn Divergence| -> Result<f64> {
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
        ]);
        Ok(value / floor)
    };
    for factor in [1.0, 0.3, 0.1] {
        let bandwidth = factor * median;
        let settings = format!("Gaussian kernel, bandwidth {} = {factor} × median", number(bandwidth, 3));
        let ratio = add("MMD²", settings, rows, &Mmd::new(Gaussian::new(bandwidth)?, Statistic::Plugin))?;
        let name = format!("MMD² to held-out data over its floor, bandwidth {factor} × median distance");
        report.claim(Claim::at_most(name, ratio, config.tolerance));
    }
    let sliced = SlicedWasserstein::new(2.0, 200, seed.named("directions"))?;
    add("sliced W₂", "200 directions".into(), rows, &sliced)?;
    add("W₂", "exact".into(), rows.min(PLAN), &Wasserstein::new(2.0)?)?;
    report.table(table);
    report.note(format!(
        "Floors are means over {SPLITS} splits of the data into two disjoint parts of as many rows: what sampling alone makes of \
         two samples of one law. MMD² is the plug-in estimate, whose floor is positive."
    ));
    Ok(())
}

fn head(points: &Points, rows: usize) -> Points {
    points.select(&(0..rows.min(points.len())).collect::<Vec<_>>())
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
    let columns = ["quantity", "value", "without memorisation, from", "to"];
    let mut table =
        Table::new("memorisation", "Nearest neighbours: training rows against held-out rows", &columns);
    let (low, high) = found.null_ratio;
    let name = "median of distance to training rows / distance to held-out rows";
    table.push(vec![name.into(), found.median_ratio.into(), low.into(), high.into()]);
    let expected = found.expected_closer;
    let name = "share of samples nearer to a training row";
    table.push(vec![name.into(), found.closer.into(), expected.into(), expected.into()]);
    report.table(table);
    let name = "p-value of samples being nearer to training rows than chance allows";
    report.claim(Claim::at_least(name, found.p_value, 0.002));
    Ok(())
}

fn training(report: &mut Report, config: &LearnConfig, trained: &Trained) {
    let outcome = &trained.outcome;
    match outcome.status {
        Status::Diverged { at, restored } => {
            report.note(format!("Training diverged at step {at}; the model is that of step {restored}."));
            report.claim(Claim::at_least("steps before training diverged", at as f64, config.steps as f64));
        }
        Status::OutOfTime => {
            report.note(format!("The time was up after {} of {} steps.", outcome.step, config.steps));
        }
        _ => {}
    }
    let columns = ["method", "steps", "last loss", "seconds", "evaluations a sample"];
    let mut table = Table::new("training", "Training", &columns);
    table.push(vec![
        config.method.name().into(),
        outcome.step.into(),
        outcome.loss.into(),
        outcome.seconds.into(),
        trained.model.evaluations().into(),
    ]);
    report.table(table);
}
