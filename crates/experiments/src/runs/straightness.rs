//! How many steps a flow needs: the need to speed up inference.

use super::ground::Ground;
use super::training::{average, resolved};
use super::variant::Variant;
use super::yardstick::Figures;
use crate::cells::{self, Cell as WorkCell};
use crate::context::{Budget, Context};
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Mark, Panel};
use crate::registry::Experiment;
use crate::report::{Cell, Claim, Relation, Report, Table};
use crate::spec;
use measures::{Points, Seed};
use models::Precision;
use models::methods::by_name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Quality against the number of steps, method by method.
pub struct Straightness;

/// How much the study may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StraightnessBudget {
    /// One target, minutes.
    #[default]
    Quick,
    /// Three targets, an hour or two.
    Full,
}

/// Settings of [`Straightness`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StraightnessConfig {
    /// What the keys below stand for where they are null or empty: quick or full.
    pub budget: StraightnessBudget,
    /// Methods with settings, as flow_matching:coupling.kind=optimal;batch=256. None means flow matching with independent and with
    /// optimal pairs, and every method there is that straightens or shortens a flow.
    pub methods: Vec<String>,
    /// The targets.
    pub targets: Vec<String>,
    /// Runs of each method on each target.
    #[schemars(range(min = 1))]
    pub seeds: u64,
    /// Steps of training.
    #[schemars(range(min = 1))]
    pub steps: Option<u64>,
    /// Points generated, and points of the target they are compared with.
    #[schemars(range(min = 100))]
    pub n: Option<usize>,
    /// Numbers of steps in which models are solved; the last is taken for the exact solution.
    pub solve: Vec<usize>,
}

impl Default for StraightnessConfig {
    fn default() -> Self {
        StraightnessConfig {
            budget: StraightnessBudget::Quick,
            methods: Vec::new(),
            targets: Vec::new(),
            seeds: 2,
            steps: None,
            n: None,
            solve: vec![1, 2, 4, 8, 16, 32, 64],
        }
    }
}

/// What the others are compared with: pairs by chance.
const BASE: &str = "flow_matching:coupling.kind=independent";

/// What straightens or shortens a flow, where the registry has it: a method and the settings that make a contender of it.
const CONTENDERS: &[&str] = &[
    BASE,
    "flow_matching:coupling.kind=optimal",
    "rectified:rounds=1",
    "rectified:rounds=2",
    "rectified:rounds=3",
    "consistency",
    "mean_flow",
    "distill",
];

/// Independent samples of a target that make up its floor.
const FLOORS: u64 = 3;

/// What one trained model came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Found {
    /// Evaluations, figures, and the root mean square by which points differ from those of the finest solution, over that by
    /// which these differ from their mean.
    at: Vec<(u64, Figures, f64)>,
    seconds: f64,
}

enum Task<'a> {
    Floor { target: usize, run: u64 },
    Model { target: usize, variant: &'a Variant, run: u64 },
}

impl Experiment for Straightness {
    const NAME: &'static str = "straightness";
    const PAPER: &'static str = "section 4, speed of inference";
    const ABOUT: &'static str =
        "steps against quality: flow matching, optimal pairs, and what straightens or distils a flow";
    const SHARED: bool = true;
    type Config = StraightnessConfig;

    fn run(context: &mut Context<'_>, config: &StraightnessConfig) -> Result<Report> {
        if config.solve.is_empty() || config.solve.contains(&0) {
            return Err(spec::Error::value("solve", "a list", "numbers of at least 1").into());
        }
        let variants: Vec<Variant> = if config.methods.is_empty() {
            let known =
                CONTENDERS.iter().filter(|text| by_name(text.split(':').next().unwrap_or_default()).is_ok());
            // A contender whose settings have changed their names is left out rather than in the way of the others.
            known.filter_map(|text| Variant::parse(text).ok()).collect()
        } else {
            config.methods.iter().map(|text| Variant::parse(text)).collect::<Result<_>>()?
        };
        let quick = config.budget == StraightnessBudget::Quick;
        let usual: &[&str] = if quick {
            &["eight_gaussians"]
        } else {
            &["eight_gaussians", "moons:standardised=1", "checkerboard"]
        };
        let targets: Vec<String> = if config.targets.is_empty() {
            usual.iter().map(|name| (*name).to_owned()).collect()
        } else {
            config.targets.clone()
        };
        let (steps, n) = (
            config.steps.unwrap_or(if quick { 3000 } else { 20_000 }),
            config.n.unwrap_or(if quick { 1500 } else { 4000 }),
        );
        let grounds: Vec<Ground> = targets
            .iter()
            .map(|name| Ground::new(name, None, n, context.seed().named("ground")))
            .collect::<Result<_>>()?;
        let mut tasks = Vec::new();
        for target in 0..targets.len() {
            tasks.extend((0..FLOORS).map(|run| Task::Floor { target, run }));
            for variant in &variants {
                tasks.extend((0..config.seeds).map(|run| Task::Model { target, variant, run }));
            }
        }
        let found = cells::run(
            context,
            &tasks,
            |task| match task {
                Task::Floor { target, run } => format!("{}-floor-{run}", cells::plain(&targets[*target])),
                Task::Model { target, variant, run } => {
                    format!("{}-{}-{run}", cells::plain(&targets[*target]), cells::plain(&variant.label))
                }
            },
            |cell, task| match task {
                Task::Floor { target, run } => {
                    let x = grounds[*target].truth(context.seed().named("floor").child(*run));
                    Ok(Found { at: vec![(0, grounds[*target].figures(x)?, 0.0)], seconds: 0.0 })
                }
                Task::Model { target, variant, run } => {
                    let seed = context.seed_number().wrapping_add(*run);
                    model(cell, &grounds[*target], variant, steps, seed, &config.solve)
                }
            },
        )?;
        Ok(report(&targets, &variants, steps, &tasks, &found))
    }
}

fn model(
    cell: &WorkCell<'_>,
    ground: &Ground,
    variant: &Variant,
    steps: u64,
    seed: u64,
    solve: &[usize],
) -> Result<Found> {
    let (context, source) = (cell.context(), ground.source()?);
    let budget = Budget {
        steps,
        ema: Some(average(steps)),
        precision: Precision::Single,
        checkpoint_every: (steps / 4).max(1),
        ..Budget::default()
    };
    let trained =
        cell.train(variant.method, &variant.settings, context.train_config(&budget, seed), &*source)?;
    let noise = Seed::new(seed).named("generated");
    let mut solved: Vec<(u64, Points)> = Vec::new();
    for &count in solve {
        context.check_stop()?;
        if let Some(model) = resolved(context, cell.name(), &*trained.model, count)? {
            solved.push((model.evaluations(), model.generate(ground.n(), noise)?));
        }
    }
    if solved.is_empty() {
        // A map of one step has no other.
        solved.push((trained.model.evaluations(), trained.model.generate(ground.n(), noise)?));
    }
    let finest = solved.last().map_or_else(|| Points::zeros(0, 1), |(_, x)| x.clone());
    let at = solved
        .into_iter()
        .map(|(evaluations, x)| {
            let gap = apart(&x, &finest);
            Ok((evaluations, ground.figures(x)?, gap))
        })
        .collect::<Result<_>>()?;
    Ok(Found { at, seconds: trained.seconds })
}

/// √(E‖x − y‖² / E‖y − E y‖²) for points in the same order.
fn apart(x: &Points, y: &Points) -> f64 {
    let n = y.len() as f64;
    let mean: Vec<f64> = (0..y.dim()).map(|k| y.column(k).iter().sum::<f64>() / n).collect();
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let difference: f64 = x.rows().zip(y.rows()).map(|(a, b)| square(a, b)).sum();
    let spread: f64 = y.rows().map(|row| square(row, &mean)).sum();
    (difference / spread).sqrt()
}

/// What one method came to on one target: evaluations → (scores, gaps), over seeds.
type Curve = BTreeMap<u64, (Vec<f64>, Vec<f64>)>;

fn report(
    targets: &[String],
    variants: &[Variant],
    steps: u64,
    tasks: &[Task<'_>],
    found: &[cells::Outcome<Found>],
) -> Report {
    let mut report = Report::new(format!(
        "How many steps does a flow need? {} methods, {steps} steps of training each, solved in fewer and fewer steps.",
        variants.len()
    ));
    let columns = [
        "target",
        "method",
        "evaluations",
        "score",
        "distance to the finest solution",
        "training, s",
        "seeds",
    ];
    let mut table = Table::new("steps", "Quality by evaluations a sample", &columns);
    let mut panels = Vec::new();
    for (t, name) in targets.iter().enumerate() {
        let floors: Vec<Figures> = tasks
            .iter()
            .zip(found)
            .filter_map(|(task, outcome)| match task {
                Task::Floor { target, .. } if *target == t => Some(outcome.done()?.at[0].1),
                _ => None,
            })
            .collect();
        let floor = Figures::mean(&floors);
        let mut panel =
            Panel::new(name, Axis::log("network evaluations a sample"), Axis::log("score, 1 is the floor"));
        let mut curves: Vec<(&str, Curve)> = Vec::new();
        for (k, variant) in variants.iter().enumerate() {
            let (mut curve, mut seconds) = (Curve::new(), Vec::new());
            for (task, outcome) in tasks.iter().zip(found) {
                let Task::Model { target, variant: v, run } = task else { continue };
                if *target != t || v.label != variant.label {
                    continue;
                }
                if let Some(why) = outcome.failed() {
                    report.note(format!("{name}, {}, seed {run}: {why}", variant.label));
                }
                let Some(found) = outcome.done() else { continue };
                seconds.push(found.seconds);
                for (evaluations, figures, gap) in &found.at {
                    let entry = curve.entry(*evaluations).or_default();
                    entry.0.push(figures.over(&floor).worst());
                    entry.1.push(*gap);
                }
            }
            for (evaluations, (scores, gaps)) in &curve {
                table.push(vec![
                    name.as_str().into(),
                    variant.label.as_str().into(),
                    (*evaluations).into(),
                    Cell::over_runs(scores),
                    Cell::over_runs(gaps),
                    Cell::over_runs(&seconds),
                    scores.len().into(),
                ]);
            }
            let xy: Vec<(f64, f64)> = curve.iter().map(|(e, v)| ((*e).max(1) as f64, mean(&v.0))).collect();
            let (color, dash) = (Color::of_series(k), if k < 6 { Dash::Solid } else { Dash::Dashed });
            panel = panel.line(variant.label.as_str(), color, dash, xy.clone()).with(
                "",
                color,
                Mark::Dots { xy, radius: 3.0 },
            );
            curves.push((&variant.label, curve));
        }
        claims(&mut report, name, &curves);
        panels.push(panel.level("floor", Color::Grey, Dash::Dotted, 1.0));
    }
    let caption = "Mean over seeds of the largest of W₂ / floor and of the roots of MMD² / floor at three bandwidths, by the number of \
                   evaluations of Euler's method (or of the method's own steps).";
    report.figure(Figure::new("steps", "Quality against steps", caption, panels));
    report.table(table);
    report.note(
        "The distance to the finest solution is √(E‖x − y‖²/E‖y − E y‖²) between points that begin at the same noise: 0 at every \
         number of steps for a flow whose trajectories are straight and of constant speed.",
    );
    report
}

fn claims(report: &mut Report, target: &str, curves: &[(&str, Curve)]) {
    let curve = |label: &str| curves.iter().find(|(l, _)| *l == label).map(|(_, curve)| curve);
    let first = |curve: &Curve| curve.first_key_value().map(|(_, (scores, gaps))| (mean(scores), mean(gaps)));
    let Some((score, gap)) = curve(BASE).and_then(first) else { return };
    for (label, other) in curves.iter().filter(|(label, _)| *label != BASE) {
        let Some((s, g)) = first(other) else { continue };
        let name = format!("{target}: {label} over independent pairs, score at the fewest steps");
        report.claim(Claim::new(name, s / score, Relation::Below, 1.0));
        if label.contains("optimal") && gap > 0.0 {
            let name = format!(
                "{target}: {label} is straighter: distance of one step to the finest solution over that of independent pairs"
            );
            report.claim(Claim::new(name, g / gap, Relation::Below, 1.0));
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_the_same_place_are_not_apart() {
        let y = Points::from_rows(&[[0.0, 0.0], [2.0, 0.0]]);
        assert_eq!(apart(&y, &y), 0.0);
        // Everything on the mean differs by the whole spread.
        assert_eq!(apart(&Points::from_rows(&[[1.0, 0.0], [1.0, 0.0]]), &y), 1.0);
    }

    #[test]
    fn the_first_contenders_are_always_there() {
        assert!(CONTENDERS[..2].iter().all(|text| Variant::parse(text).is_ok()));
    }
}
