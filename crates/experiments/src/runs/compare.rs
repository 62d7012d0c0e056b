//! Two samples, every divergence there is.

use super::distances::{self, Found, Pair};
use super::pictures;
use super::rows::shuffled;
use crate::context::Context;
use crate::data::{self, Options, Table};
use crate::failure::{Failure, Result};
use crate::registry::Experiment;
use crate::report::{self, Report};
use crate::spec;
use measures::{Empirical, Points, Seed};
use models::methods::statistics::median_distance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Two files or named sets, every divergence there is.
pub struct Compare;

/// Settings of [`Compare`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompareConfig {
    /// The first sample: a file (.npy, .npz, .csv, idx, each also in gzip) or a named set such as moons:noise=0.05.
    pub a: Option<String>,
    /// The second sample, the reference: a file or a named set.
    pub b: Option<String>,
    /// How to read the first file, where it leaves a choice.
    pub a_input: Options,
    /// How to read the second file, where it leaves a choice.
    pub b_input: Options,
    /// Points drawn of a named set.
    #[schemars(range(min = 4))]
    pub n: usize,
    /// The most rows of a sample that enter a divergence; more are thinned to so many, drawn without replacement. Most
    /// divergences cost their square.
    #[schemars(range(min = 24))]
    pub rows: usize,
}

impl Default for CompareConfig {
    fn default() -> Self {
        let input = Options::default();
        CompareConfig { a: None, b: None, a_input: input.clone(), b_input: input, n: 2000, rows: 10_000 }
    }
}

/// Every estimator must find enough neighbours.
const FEWEST: usize = 24;

impl Experiment for Compare {
    const NAME: &'static str = "compare";
    const PAPER: &'static str = "sections 2 and 3, your data";
    const ABOUT: &'static str = "two files or named sets, every divergence there is";
    type Config = CompareConfig;

    fn run(context: &mut Context<'_>, config: &CompareConfig) -> Result<Report> {
        let missing = |key| spec::Error::Missing { key, example: "FILE" };
        let (a_name, b_name) =
            (config.a.clone().ok_or_else(|| missing("a"))?, config.b.clone().ok_or_else(|| missing("b"))?);
        let seed = context.seed();
        let a = data::load(&a_name, &config.a_input, config.n, seed.named("a"))?;
        let b = data::load(&b_name, &config.b_input, config.n, seed.named("b"))?;
        check(&a_name, &a, &b_name, &b)?;
        let mut report = Report::new(format!(
            "How far apart are {a_name} ({} rows) and {b_name} ({} rows) in dimension {}?",
            a.points.len(),
            b.points.len(),
            a.points.dim()
        ));
        let (divergences, floors) = tables(context, &a.points, &b.points, config.rows)?;
        report.table(divergences);
        report.table(floors);
        report.note(format!(
            "The floor is the mean of the same quantity over {RELABELLINGS} random relabellings: all rows are pooled and dealt out \
             again into two samples of the same sizes, which is what sampling alone makes of one law. A value near its floor shows \
             no difference."
        ));
        report.note(
            "Standard errors are for the expectation of the estimator at these sizes, when the two laws differ; that of a p-value is \
             for the p-value of all relabellings. Seconds are those of the value alone.",
        );
        report.figure(pictures::clouds(
            "clouds",
            "The two samples",
            &b.columns,
            &[(&b_name, &b.points), (&a_name, &a.points)],
        ));
        Ok(report)
    }
}

fn check(a_name: &str, a: &Table, b_name: &str, b: &Table) -> Result<()> {
    if a.points.dim() != b.points.dim() {
        let (first, second) = (a_name.to_owned(), b_name.to_owned());
        return Err(Failure::Columns { first, a: a.points.dim(), second, b: b.points.dim() });
    }
    for (name, table) in [(a_name, a), (b_name, b)] {
        if table.points.len() < FEWEST {
            let why = "to compare";
            return Err(Failure::TooFewRows {
                what: name.into(),
                got: table.points.len(),
                needed: FEWEST,
                why,
            });
        }
    }
    Ok(())
}

/// Random relabellings behind a floor.
const RELABELLINGS: u64 = 4;

/// What was found, and beside it the floors.
fn tables(
    context: &Context<'_>,
    a: &Points,
    b: &Points,
    rows: usize,
) -> Result<(report::Table, report::Table)> {
    let columns = ["name", "settings", "value", "standard_error", "seconds"];
    let mut table = report::Table::new("divergences", "Every divergence there is", &columns);
    let columns = ["name", "settings", "value", "floor"];
    let mut beside =
        report::Table::new("floors", "Each value beside what sampling alone makes of one law", &columns);
    let seed = context.seed();
    let scale = median_distance(thinned(&a.concat(b)?, rows, seed.named("pooled"))?.points())?;
    let entries = distances::all(a.dim(), scale)?;
    let mut stage = context.progress().stage("compare", entries.len() as u64);
    for (k, entry) in entries.iter().enumerate() {
        context.check_stop()?;
        let most = entry.most.map_or(rows, |most| most.min(rows));
        let (x, y) = (thinned(a, most, seed.named("thin a"))?, thinned(b, most, seed.named("thin b"))?);
        let own = seed.named(&entry.name);
        let compute = |mu: &Empirical, nu: &Empirical| (entry.compute)(&Pair { mu, nu, seed: own, scale });
        let started = Instant::now();
        let found = compute(&x, &y);
        let seconds = started.elapsed().as_secs_f64();
        // A divergence may not exist for a pair (coinciding points have no density): the row says why.
        let mut row = |settings: String, value: Option<f64>, error: Option<f64>| {
            let name = entry.name.clone();
            table.push(vec![name.into(), settings.into(), value.into(), error.into(), seconds.into()]);
        };
        match found {
            Ok(found) => {
                let floors = if entry.floor {
                    floors(&x, &y, found.len(), seed.named("relabel"), compute)?
                } else {
                    vec![None; found.len()]
                };
                let error =
                    entry.error.as_ref().and_then(|error| error(&Pair { mu: &x, nu: &y, seed: own, scale }));
                let thin = (x.len(), y.len()) != (a.len(), b.len());
                for (one, floor) in found.into_iter().zip(floors) {
                    let kept =
                        if thin { format!("; {} and {} rows", x.len(), y.len()) } else { String::new() };
                    let infinite = if one.value == f64::INFINITY { "; infinite" } else { "" };
                    let settings = format!("{}{kept}{infinite}", one.settings);
                    let settings = settings.trim_start_matches("; ").to_owned();
                    let value = Some(one.value).filter(|v| v.is_finite());
                    row(settings.clone(), value, one.standard_error.or(error));
                    if entry.floor {
                        beside.push(vec![
                            entry.name.clone().into(),
                            settings.into(),
                            value.into(),
                            floor.into(),
                        ]);
                    }
                }
            }
            Err(error) => row(format!("not defined: {error}"), None, None),
        }
        stage.at(k as u64 + 1, None);
    }
    Ok((table, beside))
}

/// The mean of each quantity over relabellings of the pooled rows; none where one of them is not defined.
fn floors(
    x: &Empirical,
    y: &Empirical,
    count: usize,
    seed: Seed,
    compute: impl Fn(&Empirical, &Empirical) -> measures::Result<Vec<Found>>,
) -> Result<Vec<Option<f64>>> {
    let pooled = x.points().concat(y.points())?;
    let mut sums = vec![Some(0.0); count];
    for k in 0..RELABELLINGS {
        let order = shuffled(pooled.len(), seed.child(k));
        let part = |rows: &[usize]| Empirical::uniform(pooled.select(rows));
        let found = compute(&part(&order[..x.len()])?, &part(&order[x.len()..])?).unwrap_or_default();
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum = sum.zip(found.get(j)).map(|(sum, one)| sum + one.value / RELABELLINGS as f64);
        }
    }
    Ok(sums)
}

/// All rows, or so many drawn without replacement.
fn thinned(points: &Points, most: usize, seed: Seed) -> Result<Empirical> {
    if points.len() <= most {
        return Ok(Empirical::uniform(points.clone())?);
    }
    Ok(Empirical::uniform(points.select(&shuffled(points.len(), seed)[..most]))?)
}
