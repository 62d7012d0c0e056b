//! Flow matching between planar measures, by the protocol of Tong et al., *Simulation-free Schrödinger bridges via score and
//! flow matching*, arXiv 2307.03672: W₂ between generated and held-out points.

use super::best::{Best, Validation, forget};
use super::{cell, mean_and_spread};
use crate::context::{Budget, Context};
use crate::data::{self, Options};
use crate::failure::{Failure, Result};
use crate::report::{Cell, Claim, Report, Table};
use crate::runs::rows::{head, shuffled};
use crate::spec;
use divergences::Divergence;
use divergences::transport::Wasserstein;
use measures::{Empirical, Map, Points, Seed};
use models::methods::by_name;
use models::methods::flow::{CouplingConfig, FlowMatchingConfig};
use models::nets::{Activation, FieldConfig};
use models::optim::{Algorithm, OptimConfig};
use models::{Between, Data, Rule, SolverConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The protocol of the table sf2m.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sf2mConfig {
    /// Where paths start, instead of the published pairs: a file or a named set; needs target.
    pub source: Option<String>,
    /// Where paths end, instead of the published pairs: a file or a named set; needs source.
    pub target: Option<String>,
    /// How to read files, where they leave a choice.
    pub input: Options,
    /// Which points are paired.
    pub couplings: Vec<Pairing>,
    /// Points of each measure to compare with.
    #[schemars(range(min = 100))]
    pub n: usize,
    /// Points of each measure to train on; absent, as many of a file as to compare with, and a hundred times as many draws of
    /// a named set, so that hardly a step sees points that another saw. The authors' programs have 10000.
    #[schemars(range(min = 100))]
    pub train_points: Option<usize>,
    /// The seed of the points; absent, every run has points of its own.
    pub data_seed: Option<u64>,
    /// Looks at the loss on as many pairs as are compared, neither trained on nor compared with: the parameters measured are
    /// those of the least loss, as in the authors' programs with 100. With 0 they are the last ones.
    pub validations: u64,
    /// Passes of training, each of as many pairs as points are compared.
    #[schemars(range(min = 1))]
    pub epochs: u64,
    /// Pairs a step.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// Weight decay of AdamW; the published configuration has 1e-5.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Decay of the average of parameters that is measured; null, the parameters themselves are, as in the authors' programs.
    #[schemars(range(min = 0, max = 1))]
    pub ema: Option<f64>,
    /// Standard deviation of the noise on paths.
    #[schemars(range(min = 0))]
    pub sigma: f64,
    /// Steps of Euler's method that generate.
    #[schemars(range(min = 1))]
    pub euler_steps: usize,
}

impl Default for Sf2mConfig {
    fn default() -> Self {
        Sf2mConfig {
            source: None,
            target: None,
            input: Options::default(),
            couplings: vec![Pairing::Optimal, Pairing::Independent],
            n: 10_000,
            train_points: None,
            data_seed: None,
            validations: 0,
            epochs: 1000,
            batch: 512,
            weight_decay: 1e-5,
            ema: Some(0.999),
            sigma: 0.1,
            euler_steps: 100,
        }
    }
}

/// Which points are paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// By the optimal plan within a batch: OT-CFM.
    Optimal,
    /// Any with any: I-CFM.
    Independent,
}

impl Pairing {
    fn name(self) -> &'static str {
        match self {
            Pairing::Optimal => "OT-CFM",
            Pairing::Independent => "I-CFM",
        }
    }

    pub(super) fn coupling(self) -> CouplingConfig {
        match self {
            Pairing::Optimal => CouplingConfig::Optimal {},
            Pairing::Independent => CouplingConfig::Independent {},
        }
    }
}

/// Two measures, and the mean and standard deviation of W₂ that are published for them.
struct Pair {
    name: String,
    source: String,
    target: String,
    published: Vec<(Pairing, f64, f64)>,
}

/// The authors' moons, 7 (x − m)/s with one mean m and one deviation s for both coordinates: with means ½ and ¼ and variances
/// ¾ + σ² and 9/16 − 1/π + σ², σ = 0.1, m = 3/8 and s² = 0.507 + 1/64.
const MOONS: &str = "moons:noise=0.1,scale=9.68196,shift_x=-3.63074,shift_y=-3.63074";

fn pairs(config: &Sf2mConfig) -> Result<Vec<Pair>> {
    let own = match (&config.source, &config.target) {
        (Some(source), Some(target)) => Some((source.clone(), target.clone())),
        (None, None) => None,
        (Some(_), None) => return Err(spec::Error::Missing { key: "sf2m.target", example: "FILE" }.into()),
        (None, Some(_)) => return Err(spec::Error::Missing { key: "sf2m.source", example: "FILE" }.into()),
    };
    if let Some((source, target)) = own {
        return Ok(vec![Pair {
            name: format!("{source} → {target}"),
            source,
            target,
            published: Vec::new(),
        }]);
    }
    let pair = |name: &str, source: &str, target: &str, optimal: (f64, f64), independent: (f64, f64)| Pair {
        name: name.into(),
        source: source.into(),
        target: target.into(),
        published: vec![
            (Pairing::Optimal, optimal.0, optimal.1),
            (Pairing::Independent, independent.0, independent.1),
        ],
    };
    Ok(vec![
        pair("N → 8gaussians", "gaussian", "8gaussians:radius=5,sigma=1", (0.303, 0.043), (0.373, 0.103)),
        pair("moons → 8gaussians", MOONS, "8gaussians:radius=12,sigma=1.5", (0.601, 0.027), (1.557, 0.407)),
    ])
}

/// The figures of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Measured {
    w2: f64,
    /// The same by the last parameters.
    last: f64,
    /// The same with the points trained on, on both sides: what training left, without what the points leave open.
    seen: f64,
    /// W₂ between the points trained on and those compared with: two samples of one law.
    floor: f64,
    /// The steps behind the parameters that are measured.
    chosen: u64,
    steps: u64,
    seconds: f64,
    /// Where training diverged.
    diverged: Option<u64>,
}

/// Points to train on, points to compare with, and points to choose parameters by.
struct Split {
    train: Points,
    test: Points,
    validation: Points,
}

fn split(origin: &str, config: &Sf2mConfig, seed: Seed) -> Result<Split> {
    let looks = if config.validations > 0 { config.n } else { 0 };
    let draws = if data::is_named(origin) { DRAWS } else { 1 };
    let wanted = [config.train_points.unwrap_or(draws * config.n), config.n, looks];
    let total = wanted.iter().sum();
    let all = data::load(origin, &config.input, total, seed)?.points;
    // A file may have fewer rows: they are shared in the same proportion.
    let share = |part: usize| part.min((all.len() as u128 * part as u128 / total as u128) as usize);
    let [train, test, validation] = wanted.map(share);
    if train.min(test) < 2 {
        let why = "to train on some and compare with others";
        return Err(Failure::TooFewRows { what: origin.into(), got: all.len(), needed: 6, why });
    }
    // Rows of a file may be sorted.
    let order = shuffled(all.len(), seed.named("split"));
    let (train, rest) = order.split_at(train);
    let (test, rest) = rest.split_at(test);
    Ok(Split {
        train: all.select(train),
        test: all.select(test),
        validation: all.select(&rest[..validation]),
    })
}

/// How many times as many points of a named set are trained on as are compared, unless told otherwise.
const DRAWS: usize = 100;

const COLUMNS: [&str; 15] = [
    "pair",
    "method",
    "paper",
    "paper, spread",
    "ours",
    "ours, spread",
    "last parameters",
    "last, spread",
    "points trained on",
    "trained on, spread",
    "floor",
    "floor, spread",
    "runs",
    "seconds a run",
    "verdict",
];

pub(super) fn run(context: &mut Context<'_>, config: &Sf2mConfig, seeds: u64) -> Result<Report> {
    let mut report = Report::new(
        "Does flow matching come as near its target as published (arXiv 2307.03672, 2302.00482) when it is trained and measured by \
         the same protocol?",
    );
    let mut table = Table::new("sf2m", "W₂ between generated and held-out points, exact", &COLUMNS);
    for (p, pair) in pairs(config)?.iter().enumerate() {
        for &pairing in &config.couplings {
            let mut cells = Vec::new();
            for run in 0..seeds {
                let stem = format!("sf2m-{p}-{}-{run}", pairing.name().to_lowercase());
                cells.push(cell(context, &stem, || measure(context, config, pair, pairing, run, &stem))?);
                forget(context, &stem);
            }
            add(&mut report, &mut table, pair, pairing, &cells);
        }
    }
    report.table(table);
    report.note(format!(
        "MLP of three layers of 64 with SELU, AdamW at 0.001 with weight decay {}, {} passes of {} pairs in batches of {}, noise {} on paths, {} steps \
         of Euler's method. {} W₂ is exact, between the images of held-out starting points and held-out target points, {} of each, \
         and beside it between the images of as many starting points and target points trained on; the floor is W₂ between these and \
         those held out. Spreads are standard deviations over {seeds} runs, {}. A run is within the published figure when it is at \
         most two published standard deviations above it.",
        config.weight_decay,
        config.epochs,
        config.n,
        config.batch,
        config.sigma,
        config.euler_steps,
        measured(config),
        config.n,
        if config.data_seed.is_some() { "all on the same points" } else { "each with points of its own" }
    ));
    Ok(report)
}

/// Which parameters are measured, and on how many points they were trained.
fn measured(config: &Sf2mConfig) -> String {
    let average = config.ema.map_or_else(
        || "The parameters measured are no average".to_owned(),
        |decay| format!("The parameters measured are an average of decay {decay}"),
    );
    let looks = match config.validations {
        0 => ", the last of training".to_owned(),
        looks => format!(", of least loss among {looks} looks at {} other pairs", config.n),
    };
    let points = match config.train_points {
        Some(points) => format!("{points} points of each measure are trained on"),
        None => format!(
            "{} draws of a named set are trained on, or as many rows of a file as are compared",
            DRAWS * config.n
        ),
    };
    format!("{average}{looks}; {points}. The authors' programs take no average and train on 10000 points.")
}

fn measure(
    context: &Context<'_>,
    config: &Sf2mConfig,
    pair: &Pair,
    pairing: Pairing,
    run: u64,
    stem: &str,
) -> Result<Measured> {
    let number = context.seed_number().wrapping_add(run);
    let seed = Seed::new(config.data_seed.unwrap_or(number)).named("sf2m");
    let source = split(&pair.source, config, seed.named("source"))?;
    let target = split(&pair.target, config, seed.named("target"))?;
    let batch = config.batch.min(source.train.len()).min(target.train.len());
    let steps = config.epochs * source.test.len().min(target.test.len()).div_ceil(batch) as u64;
    let budget = Budget { steps, ema: config.ema, ..Budget::default() };
    let settings = FlowMatchingConfig {
        net: FieldConfig {
            widths: vec![64; 3],
            activation: Activation::Selu,
            time_features: 0,
            ..FieldConfig::default()
        },
        optim: OptimConfig {
            algorithm: Algorithm::Adamw,
            weight_decay: config.weight_decay,
            ..OptimConfig::default()
        },
        batch,
        coupling: pairing.coupling(),
        sigma: config.sigma,
        standardise: false,
        solver: SolverConfig {
            rule: Rule::Euler,
            steps: Some(config.euler_steps),
            ..SolverConfig::default()
        },
        ..FlowMatchingConfig::default()
    };
    let both = Between::new(Data::new(source.train.clone())?, Data::new(target.train.clone())?)?;
    let started = Instant::now();
    let validation = Validation::new(
        &source.validation,
        &target.validation,
        pairing,
        batch,
        config.sigma,
        seed.named("validation"),
    )?;
    let best = Best::new(context, stem, &validation);
    let settings = serde_json::to_value(settings).expect("settings are JSON");
    let mut stops: Vec<u64> = (1..config.validations).map(|k| k * steps / config.validations).collect();
    stops.dedup();
    let trained = context.train_in_stages(
        stem,
        (by_name("flow_matching")?, &settings),
        context.train_config(&budget, number),
        &both,
        &stops,
        |step, model| best.look(step, model),
    )?;
    let seconds = started.elapsed().as_secs_f64();
    context.check_stop()?;
    if config.validations > 0 {
        best.look(steps, &*trained.model)?;
    }
    let diverged = trained.diverged();
    let last = trained.model.map().expect("a flow is a map");
    let chosen = best.kept()?;
    let map = chosen.as_ref().map_or(last, |(model, _)| model as &dyn Map);
    let wasserstein = Wasserstein::new(2.0)?;
    let w2 = |a: Points, b: &Points| -> Result<f64> {
        Ok(wasserstein.value(&Empirical::uniform(a)?, &Empirical::uniform(b.clone())?)?)
    };
    let after = |map: &dyn Map, from: &Points, to: &Points| w2(map.apply(&head(from, to.len()))?, to);
    let seen = head(&target.train, target.test.len());
    let ours = after(map, &source.test, &target.test)?;
    Ok(Measured {
        w2: ours,
        last: if chosen.is_some() { after(last, &source.test, &target.test)? } else { ours },
        seen: after(map, &source.train, &seen)?,
        floor: w2(seen, &target.test)?,
        chosen: chosen.map_or(steps, |(_, look)| look.step),
        steps,
        seconds,
        diverged,
    })
}

fn add(report: &mut Report, table: &mut Table, pair: &Pair, pairing: Pairing, cells: &[Measured]) {
    let of = |figure: fn(&Measured) -> f64| mean_and_spread(&cells.iter().map(figure).collect::<Vec<_>>());
    let (ours, spread) = of(|c| c.w2);
    let (last, last_spread) = of(|c| c.last);
    let (seen, seen_spread) = of(|c| c.seen);
    let (floor, floor_spread) = of(|c| c.floor);
    let seconds = of(|c| c.seconds).0;
    for at in cells.iter().filter_map(|c| c.diverged) {
        report.note(format!("{}, {}: training diverged at step {at}.", pair.name, pairing.name()));
    }
    let published = pair.published.iter().find(|(p, ..)| *p == pairing);
    let verdict = published.map(|&(_, paper, deviation)| {
        let name = format!(
            "{}, {}: mean W₂, against the published {paper} + 2 × {deviation}",
            pair.name,
            pairing.name()
        );
        report.claim(Claim::at_most(name, ours, paper + 2.0 * deviation));
        match (ours - paper) / deviation {
            z if z < -2.0 => "better",
            z if z <= 2.0 => "within",
            _ => "worse",
        }
    });
    table.push(vec![
        pair.name.as_str().into(),
        pairing.name().into(),
        published.map(|p| p.1).into(),
        published.map(|p| p.2).into(),
        ours.into(),
        spread.into(),
        last.into(),
        last_spread.into(),
        seen.into(),
        seen_spread.into(),
        floor.into(),
        floor_spread.into(),
        cells.len().into(),
        seconds.into(),
        verdict.map_or(Cell::Empty(()), Cell::from),
    ]);
}
