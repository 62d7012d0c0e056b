//! Every method on the same targets, each figure beside its floor.

mod impostors;

use super::ground::Endless;
use super::recipes::{Recipe, STRICT};
use super::variant::lay;
use super::yardstick::{Bar, Figures, MULTIPLES, Yardstick};
use crate::cells;
use crate::context::{Budget, Context};
use crate::data::named_set;
use crate::failure::Result;
use crate::registry::Experiment;
use crate::report::{Cell, Claim, Report, Table};
use measures::zoo::Target;
use measures::{Empirical, Seed};
use models::methods::{AnyMethod, all, by_name};
use models::{Generator, Precision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Trains methods on named targets and holds what they generate against bars.
pub struct Bars;

/// Settings of [`Bars`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BarsConfig {
    /// The methods; none means every one there is.
    pub methods: Vec<String>,
    /// The targets: named sets such as moons:noise=0.05.
    pub targets: Vec<String>,
    /// Runs of each method on each target, each with a seed of its own.
    #[schemars(range(min = 1))]
    pub seeds: u64,
    /// Points generated, and points of the target they are compared with.
    #[schemars(range(min = 100))]
    pub n: usize,
    /// Independent samples of the target whose mean distance to the reference is the floor.
    #[schemars(range(min = 1))]
    pub floors: usize,
    /// Steps of every method; null gives each method its own number.
    pub steps: Option<u64>,
    /// Settings laid over the default ones of every method: a path of keys, =, a value in JSON, as optim.lr=0.002. Commas part
    /// settings; give a list in JSON where a value holds one.
    pub set: Vec<String>,
    /// Whether laws that resemble the target and are not it are measured too, to show that the bars refuse them.
    pub impostors: bool,
}

impl Default for BarsConfig {
    fn default() -> Self {
        BarsConfig {
            methods: Vec::new(),
            targets: vec!["eight_gaussians".into(), "moons:standardised=1".into()],
            seeds: 1,
            n: 10_000,
            floors: 3,
            steps: None,
            set: Vec::new(),
            impostors: true,
        }
    }
}

/// What is known of one method on one target with one seed once it is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Measured {
    /// None where nothing could be generated.
    figures: Option<Figures>,
    steps: u64,
    seconds: f64,
    evaluations: u64,
    /// Where training diverged.
    diverged: Option<u64>,
    /// Why there are no figures though training ended.
    failed: Option<String>,
    /// E log(p*/p) in nats with its standard error, where both densities are known.
    gap: Option<(f64, f64)>,
}

impl Experiment for Bars {
    const NAME: &'static str = "bars";
    const PAPER: &'static str = "sections 2 to 4";
    const ABOUT: &'static str = "every method on the same targets: MMD² and exact W₂, each beside its floor";
    const SHARED: bool = true;
    type Config = BarsConfig;

    fn run(context: &mut Context<'_>, config: &BarsConfig) -> Result<Report> {
        let methods = chosen(config)?;
        let mut report = Report::new(format!(
            "How near do {} methods come to {}? {} points against {}, each figure over the same between independent samples of the \
             target.",
            methods.len(),
            config.targets.join(" and "),
            config.n,
            config.n
        ));
        for name in &config.targets {
            let target = named_set(name)?;
            let (rule, floor) =
                Yardstick::with_floor(&*target, config.n, config.floors, context.seed().named(name))?;
            if let (true, Some(modes)) = (config.impostors, target.modes()) {
                let mut table = Table::new("impostors", format!("{name}: laws that are not it"), &RATIOS);
                for (what, x) in impostors::all(modes, config.n, context.seed().named("impostors"))? {
                    let over = rule.measure(&Empirical::uniform(x)?)?.over(&floor);
                    report.claim(Claim::new(
                        format!("{name}: the strict bar refuses {what} (largest figure over its bar)"),
                        excess(&over, STRICT),
                        crate::report::Relation::Above,
                        1.0,
                    ));
                    let mut row = vec![Cell::from(what)];
                    row.extend(ratios(&over));
                    table.push(row);
                }
                report.table(table);
            }
            let mut table = Table::new("methods", name.as_str(), &COLUMNS);
            let source = Endless { target: &*target, name };
            let places: Vec<Place<'_>> = methods
                .iter()
                .flat_map(|(method, settings)| {
                    (0..config.seeds).map(move |run| Place { method: *method, settings, run })
                })
                .collect();
            let plain = cells::plain(name);
            let found = cells::run(
                context,
                &places,
                |place| format!("{plain}-{}-{}", place.method.name(), place.run),
                |cell, place| measured(cell, config, &source, &rule, place),
            )?;
            for (place, cell) in places.iter().zip(&found) {
                add(&mut report, &mut table, name, place, &floor, cell);
            }
            report.table(table);
        }
        report.note(format!(
            "MMD² is the plug-in estimate with Gaussian kernels of bandwidth {MULTIPLES:?} times the median distance within the \
             target; W₂ is exact. Floors are means over {} independent samples of the target. The bar for MMD², a square, is the \
             square of the bar for W₂.",
            config.floors
        ));
        Ok(report)
    }
}

const RATIOS: [&str; 5] =
    ["law", "W₂ / floor", "MMD² / floor, wide", "MMD² / floor, 0.3", "MMD² / floor, 0.1"];
const COLUMNS: [&str; 15] = [
    "method",
    "seed",
    "W₂",
    "W₂ floor",
    "W₂ / floor",
    "bar",
    "MMD² / floor, wide",
    "MMD² / floor, 0.3",
    "MMD² / floor, 0.1",
    "verdict",
    "gap to the entropy, nats",
    "its standard error",
    "evaluations",
    "steps",
    "seconds",
];

fn ratios(over: &Figures) -> Vec<Cell> {
    let mut cells = vec![Cell::from(over.w2)];
    cells.extend(over.mmd2.map(Cell::from));
    cells
}

/// The largest figure over its bar: at most one when the bar holds.
fn excess(over: &Figures, bar: Bar) -> f64 {
    let worse = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
    over.mmd2.iter().map(|m| m / bar.mmd2).fold(over.w2 / bar.w2, worse)
}

type Chosen = (&'static dyn AnyMethod, Value);

/// The methods with their settings, checked before anything is trained.
fn chosen(config: &BarsConfig) -> Result<Vec<Chosen>> {
    let methods: Vec<&'static dyn AnyMethod> = if config.methods.is_empty() {
        all().to_vec()
    } else {
        config.methods.iter().map(|name| by_name(name)).collect::<models::Result<_>>()?
    };
    let mut chosen = Vec::new();
    for method in methods {
        let mut settings = method.default_config();
        for set in &config.set {
            lay(&mut settings, set)?;
        }
        method.check(&settings)?;
        chosen.push((method, settings));
    }
    Ok(chosen)
}

/// One method with one seed.
struct Place<'a> {
    method: &'static dyn AnyMethod,
    settings: &'a Value,
    run: u64,
}

/// Trains for a cell and measures what came of it.
fn measured(
    cell: &cells::Cell<'_>,
    config: &BarsConfig,
    source: &Endless<'_>,
    rule: &Yardstick,
    place: &Place<'_>,
) -> Result<Measured> {
    let context = cell.context();
    let budget = Budget {
        steps: config.steps.unwrap_or(Recipe::of(place.method.name()).steps),
        ema: Some(0.999),
        precision: Precision::Single,
        ..Budget::default()
    };
    let seed = context.seed_number().wrapping_add(place.run);
    let train = context.train_config(&budget, seed);
    let trained = cell.train(place.method, place.settings, train, source)?;
    let mut found = Measured {
        figures: None,
        steps: budget.steps,
        seconds: trained.seconds,
        evaluations: trained.model.evaluations(),
        diverged: trained.diverged(),
        failed: None,
        gap: None,
    };
    let seed = Seed::new(seed).named("generated");
    match trained.model.generate(config.n, seed) {
        Ok(x) => found.figures = Some(rule.measure(&Empirical::uniform(x)?)?),
        Err(e) => found.failed = Some(e.to_string()),
    }
    found.gap = gap(&*trained.model, source.target, config.n, seed.named("test"))?;
    Ok(found)
}

/// E log(p*/p) on fresh points of the target with its standard error: the loss of the model less the entropy.
fn gap(model: &dyn Generator, target: &dyn Target, n: usize, seed: Seed) -> Result<Option<(f64, f64)>> {
    let Some(density) = target.as_density() else { return Ok(None) };
    let x = target.sample(n, &mut seed.rng());
    let Ok(ours) = model.log_density(&x) else { return Ok(None) };
    let gaps: Vec<f64> = density.log_density(&x)?.iter().zip(ours).map(|(t, o)| t - o).collect();
    let mean = gaps.iter().sum::<f64>() / n as f64;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n as f64;
    Ok(Some((mean, (variance / n as f64).sqrt())))
}

fn add(
    report: &mut Report,
    table: &mut Table,
    target: &str,
    place: &Place<'_>,
    floor: &Figures,
    cell: &cells::Outcome<Measured>,
) {
    let (method, run) = (place.method.name(), place.run);
    let bar = Recipe::of(method).bar;
    let found = cell.done();
    let figures = found.and_then(|m| m.figures).unwrap_or(Figures { w2: f64::NAN, mmd2: [f64::NAN; 3] });
    let over = figures.over(floor);
    if let Some(why) = cell.failed().or(found.and_then(|m| m.failed.as_deref())) {
        report.note(format!("{target}, {method}, run {run}: {why}"));
    }
    if let Some(at) = found.and_then(|m| m.diverged) {
        report.note(format!("{target}, {method}, run {run}: training diverged at step {at}."));
    }
    let name = format!("{target}, {method}, run {run}: largest figure over its bar ({}× the floor)", bar.w2);
    report.claim(Claim::at_most(name, excess(&over, bar), 1.0));
    let gap = found.and_then(|m| m.gap);
    table.push(vec![
        method.into(),
        run.into(),
        figures.w2.into(),
        floor.w2.into(),
        over.w2.into(),
        bar.w2.into(),
        over.mmd2[0].into(),
        over.mmd2[1].into(),
        over.mmd2[2].into(),
        if bar.holds(&over) { "holds" } else { "falls short" }.into(),
        gap.map(|g| g.0).into(),
        gap.map(|g| g.1).into(),
        found.map(|m| m.evaluations).into(),
        found.map(|m| m.steps).into(),
        found.map(|m| m.seconds).into(),
    ]);
}
