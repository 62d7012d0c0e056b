//! The answer, with intervals, also where it is no.

use super::arms::{Arm, Objective};
use super::cell::{Found, Stage};
use super::identity::Line;
use super::{Plan, Task, figures};
use crate::cells::Outcome;
use crate::figure::{Animation, Axis, Color, Dash, Figure, Mark, Panel, number};
use crate::report::{Cell, Claim, Relation, Report, Table};
use crate::runs::ground::Ground;
use crate::runs::yardstick::Figures;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::collections::BTreeMap;

/// A ratio with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio {
    value: f64,
    low: f64,
    high: f64,
    pairs: usize,
}

impl Ratio {
    /// The geometric mean of ratios of which the logarithms are given, by Student's law; none of fewer than two.
    fn of(logs: &[f64]) -> Option<Self> {
        let n = logs.len() as f64;
        if logs.len() < 2 || logs.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mean = logs.iter().sum::<f64>() / n;
        let error = (logs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        let quantile = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
        let half = quantile * error;
        Some(Ratio {
            value: mean.exp(),
            low: (mean - half).exp(),
            high: (mean + half).exp(),
            pairs: logs.len(),
        })
    }

    fn verdict(&self) -> &'static str {
        if self.high < 1.0 {
            "better"
        } else if self.low > 1.0 {
            "worse"
        } else {
            "no difference shown"
        }
    }

    fn answer(&self) -> &'static str {
        match self.verdict() {
            "better" => "yes, it helps",
            "worse" => "no, it does harm",
            _ => "no, no difference is shown",
        }
    }

    fn text(&self) -> String {
        format!("{} [{}, {}]", number(self.value, 3), number(self.low, 3), number(self.high, 3))
    }
}

/// Scores by what they are of.
struct Scores<'a> {
    plan: &'a Plan,
    floors: Vec<Figures>,
    maps: BTreeMap<(usize, &'static str, &'static str, u64), f64>,
}

impl<'a> Scores<'a> {
    fn new(plan: &'a Plan, tasks: &[Task], found: &[Outcome<Found>]) -> Self {
        let of_target = |wanted: usize| -> Vec<Figures> {
            let floors = tasks.iter().zip(found).filter_map(|(task, outcome)| match task {
                Task::Floor { target, .. } if *target == wanted => Some(figures(outcome)?.figures[0].1),
                _ => None,
            });
            floors.collect()
        };
        let floors: Vec<Figures> = (0..plan.targets.len()).map(|t| Figures::mean(&of_target(t))).collect();
        let mut maps = BTreeMap::new();
        for (task, outcome) in tasks.iter().zip(found) {
            if let (Task::Map { target, objective, arm, run }, Some(found)) = (task, figures(outcome)) {
                let score = found.figures[0].1.over(&floors[*target]).worst();
                maps.insert((*target, objective.name(), arm.name(), *run), score);
            }
        }
        Scores { plan, floors, maps }
    }

    fn of(&self, target: usize, objective: Objective, arm: Arm) -> Vec<f64> {
        let get = |run| self.maps.get(&(target, objective.name(), arm.name(), run)).copied();
        (0..self.plan.seeds).filter_map(get).collect()
    }

    /// log(score of `arm` / score of `other`), seed by seed, where both are there.
    fn pairs(&self, target: usize, objective: Objective, arm: Arm, other: Arm) -> Vec<(u64, f64)> {
        let get = |arm: Arm, run| self.maps.get(&(target, objective.name(), arm.name(), run));
        let pair = |run| Some((run, (get(arm, run)? / get(other, run)?).ln()));
        (0..self.plan.seeds).filter_map(pair).collect()
    }

    /// Over all targets and losses that have both arms.
    fn pooled(&self, arm: Arm, other: Arm) -> Option<Ratio> {
        self.pooled_over(arm, other, |_, _| true)
    }

    /// Over those targets and losses that have both arms and are wanted: one mean a seed, so that the interval is over seeds,
    /// for these targets and losses.
    fn pooled_over(&self, arm: Arm, other: Arm, wanted: impl Fn(usize, Objective) -> bool) -> Option<Ratio> {
        let mut sums: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
        for target in 0..self.plan.targets.len() {
            for &objective in self.plan.losses(target) {
                if !wanted(target, objective) {
                    continue;
                }
                for (run, log) in self.pairs(target, objective, arm, other) {
                    let sum = sums.entry(run).or_default();
                    *sum = (sum.0 + log, sum.1 + 1);
                }
            }
        }
        let most = sums.values().map(|s| s.1).max()?;
        // A seed of which cells are missing would weigh other losses than the others do.
        let means: Vec<f64> = sums.values().filter(|s| s.1 == most).map(|s| s.0 / s.1 as f64).collect();
        Ratio::of(&means)
    }
}

pub(super) fn report(
    plan: &Plan,
    grounds: &[Ground],
    tasks: &[Task],
    found: &[Outcome<Found>],
    identity: &[Line],
) -> Report {
    let scores = Scores::new(plan, tasks, found);
    let mut report = Report::new(format!(
        "A one-step map is trained by {} losses against {} targets{}. Does it end nearer to the target when the target begins as noise \
         and sharpens round by round, as the paper asks, than when it is trained against the data from the start? {} seeds, {} steps, \
         batches of {}.",
        plan.objectives.len(),
        plan.whole,
        further(plan),
        plan.seeds,
        plan.steps,
        plan.shared.batch
    ));
    claims(&mut report, &scores, tasks, found, identity);
    report.figure(forest(&scores));
    report.figure(along(plan, tasks, found));
    report.figure(flow_figure(&scores, tasks, found));
    if let Some(animation) = animation(plan, grounds, tasks, found) {
        report.animation(animation);
    }
    report.table(pooled_table(&scores).leading());
    report.table(parts_table(&scores).leading());
    report.table(pairs_table(&scores));
    report.table(scores_table(&scores, tasks, found));
    report.table(flow_table(&scores, tasks, found));
    report.table(stages_table(plan, tasks, found));
    report.table(identity_table(identity));
    for (task, outcome) in tasks.iter().zip(found) {
        if let Some(why) = outcome.failed() {
            report.note(format!("{}: {why}", task.name(&plan.targets)));
        } else if let Some(at) = outcome.done().and_then(|found| found.diverged) {
            report.note(format!("{}: training diverged at step {at}.", task.name(&plan.targets)));
        }
    }
    report.note(
        "The score is the largest of W₂ / floor and of the roots of MMD² / floor at three bandwidths; 1 is a perfect map. Ratios are \
         geometric means over seeds of the score of an arm over that of another with the same seed, hence the same first \
         parameters; intervals are 95% by Student's law over seeds, for these targets and losses and no others. The budget is one in \
         steps and batch; a learned critic's own steps, and what a loss costs, come on top and are told in seconds.",
    );
    report.note(
        "Every interval is by itself: of twenty comparisons that differ in nothing, one is expected to be told better or worse. The \
         tables tell how many there are.",
    );
    report
}

/// The targets that have fewer losses, as a part of the question.
fn further(plan: &Plan) -> String {
    let more = &plan.targets[plan.whole..];
    if more.is_empty() {
        return String::new();
    }
    let losses: Vec<&str> = plan.few.iter().map(|objective| objective.name()).collect();
    format!(" and by {} of them ({}) against {}", losses.len(), losses.join(", "), more.join(", "))
}

fn claims(
    report: &mut Report,
    scores: &Scores<'_>,
    tasks: &[Task],
    found: &[Outcome<Found>],
    identity: &[Line],
) {
    let target = scores.pooled(Arm::Target, Arm::None);
    report.note(match target {
        Some(ratio) => format!(
            "The answer for this budget: annealing the target multiplies the score of training without annealing by {} over all targets \
             and losses: {}.",
            ratio.text(),
            ratio.answer()
        ),
        None => "There is no answer yet: too few cells of the arms none and target have figures.".into(),
    });
    if scores.plan.targets.len() > 1 {
        for (t, name) in scores.plan.targets.iter().enumerate() {
            if let Some(ratio) = scores.pooled_over(Arm::Target, Arm::None, |target, _| target == t) {
                report.note(format!(
                    "On {name} by itself the factor is {}: {}.",
                    ratio.text(),
                    ratio.answer()
                ));
            }
        }
    }
    let mut upper = |name: &str, arm: Arm, other: Arm| {
        if let Some(ratio) = scores.pooled(arm, other) {
            report.claim(Claim::new(name, ratio.high, Relation::Below, 1.0));
        }
    };
    upper("annealing the target beats none (score ratio, upper end of its interval)", Arm::Target, Arm::None);
    upper("annealing the target beats the same rounds reversed (upper end)", Arm::Target, Arm::Reversed);
    upper("annealing the target beats the same rounds shuffled (upper end)", Arm::Target, Arm::Shuffled);
    upper("annealing the kernel beats none (upper end)", Arm::Kernel, Arm::None);
    if let Some((one, flow)) = scores.against_flow(tasks, found) {
        report.claim(Claim::at_most(
            "best annealed one-step map over flow matching with the most steps (score, geometric mean over targets)",
            one / flow,
            1.0,
        ));
    }
    let worst = identity.iter().map(Line::z).fold(0.0, f64::max);
    report.claim(Claim::at_most(
        "noise on both sides is kernel annealing (largest difference in standard errors)",
        worst,
        5.0,
    ));
    let missing = found.iter().filter(|outcome| figures(outcome).is_none()).count();
    report.claim(Claim::at_most("cells without figures", missing as f64, 0.0));
}

/// A method, by evaluations: its scores on one target.
type Curve = BTreeMap<u64, Vec<f64>>;

impl Scores<'_> {
    fn curves(
        &self,
        tasks: &[Task],
        found: &[Outcome<Found>],
        wanted: usize,
    ) -> BTreeMap<&'static str, Curve> {
        let mut curves: BTreeMap<&'static str, Curve> = BTreeMap::new();
        for (task, outcome) in tasks.iter().zip(found) {
            let (Task::Flow { target, method, .. }, Some(found)) = (task, figures(outcome)) else { continue };
            if *target != wanted {
                continue;
            }
            for (evaluations, figures) in &found.figures {
                let score = figures.over(&self.floors[wanted]).worst();
                curves.entry(method.name()).or_default().entry(*evaluations).or_default().push(score);
            }
        }
        curves
    }

    /// Geometric means over targets: the best loss with its target annealed, and flow matching at its most steps.
    fn against_flow(&self, tasks: &[Task], found: &[Outcome<Found>]) -> Option<(f64, f64)> {
        let (mut one, mut flow) = (Vec::new(), Vec::new());
        for target in 0..self.plan.targets.len() {
            let best =
                self.plan.losses(target).iter().filter_map(|&o| geometric(&self.of(target, o, Arm::Target)));
            one.push(best.fold(f64::INFINITY, f64::min));
            let curves = self.curves(tasks, found, target);
            flow.push(geometric(curves.get("flow_matching")?.values().next_back()?)?);
        }
        Some((geometric(&one)?, geometric(&flow)?)).filter(|(a, b)| a.is_finite() && b.is_finite())
    }
}

fn geometric(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some((values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp())
}

const COMPARED: [(Arm, Arm); 8] = [
    (Arm::Target, Arm::None),
    (Arm::Kernel, Arm::None),
    (Arm::TargetAndKernel, Arm::None),
    (Arm::Reversed, Arm::None),
    (Arm::Shuffled, Arm::None),
    (Arm::BothSides, Arm::None),
    (Arm::Target, Arm::Reversed),
    (Arm::Target, Arm::Shuffled),
];

fn ratio_cells(ratio: Option<Ratio>) -> Vec<Cell> {
    match ratio {
        Some(r) => vec![r.value.into(), r.low.into(), r.high.into(), r.pairs.into(), r.verdict().into()],
        None => vec![Cell::Empty(()), Cell::Empty(()), Cell::Empty(()), 0_usize.into(), "not known".into()],
    }
}

fn pooled_table(scores: &Scores<'_>) -> Table {
    let columns = ["arm", "against", "ratio of scores", "from", "to", "seeds", "the arm is"];
    let mut table = Table::new("answer", "The answer: all targets and losses together", &columns);
    for (arm, other) in COMPARED {
        if scores.plan.arms.contains(&arm) && scores.plan.arms.contains(&other) {
            let mut row = vec![Cell::from(arm.name()), other.name().into()];
            row.extend(ratio_cells(scores.pooled(arm, other)));
            table.push(row);
        }
    }
    table
}

/// What the answer is made of: each target by itself over its losses, and each loss over its targets.
fn parts_table(scores: &Scores<'_>) -> Table {
    let columns = ["over", "arm", "against", "ratio of scores", "from", "to", "seeds", "the arm is"];
    let mut table = Table::new("parts", "The answer, target by target and loss by loss", &columns);
    let plan = scores.plan;
    let compared = COMPARED.into_iter().filter(|(arm, other)| *other == Arm::None && plan.arms.contains(arm));
    for (arm, other) in compared {
        let mut add = |over: String, ratio: Option<Ratio>| {
            let mut row = vec![Cell::from(over), arm.name().into(), other.name().into()];
            row.extend(ratio_cells(ratio));
            table.push(row);
        };
        for (t, name) in plan.targets.iter().enumerate() {
            let losses = plan.losses(t).iter().filter(|objective| objective.takes(arm)).count();
            let over = format!("{name}, {losses} loss{}", if losses == 1 { "" } else { "es" });
            add(over, scores.pooled_over(arm, other, |target, _| target == t));
        }
        for &objective in plan.objectives.iter().filter(|objective| objective.takes(arm)) {
            let targets = (0..plan.targets.len()).filter(|t| plan.losses(*t).contains(&objective)).count();
            let over =
                format!("{}, {targets} target{}", objective.name(), if targets == 1 { "" } else { "s" });
            add(over, scores.pooled_over(arm, other, |_, o| o == objective));
        }
    }
    table
}

fn pairs_table(scores: &Scores<'_>) -> Table {
    let columns =
        ["target", "loss", "arm", "against", "ratio of scores", "from", "to", "seeds", "the arm is"];
    let mut table = Table::new("pairs", "The answer, loss by loss", &columns);
    for (t, name) in scores.plan.targets.iter().enumerate() {
        for &objective in scores.plan.losses(t) {
            for (arm, other) in COMPARED {
                let there = scores.plan.arms.contains(&arm) && scores.plan.arms.contains(&other);
                if !there || !objective.takes(arm) {
                    continue;
                }
                let logs: Vec<f64> = scores.pairs(t, objective, arm, other).iter().map(|p| p.1).collect();
                let mut row: Vec<Cell> = vec![
                    name.as_str().into(),
                    objective.name().into(),
                    arm.name().into(),
                    other.name().into(),
                ];
                row.extend(ratio_cells(Ratio::of(&logs)));
                table.push(row);
            }
        }
    }
    table
}

fn scores_table(scores: &Scores<'_>, tasks: &[Task], found: &[Outcome<Found>]) -> Table {
    let columns = ["target", "loss", "arm", "score", "W₂", "W₂ / floor", "training, s", "seeds", "missing"];
    let mut table = Table::new("scores", "Every arm of every loss", &columns);
    for (t, name) in scores.plan.targets.iter().enumerate() {
        for &objective in scores.plan.losses(t) {
            for &arm in scores.plan.arms.iter().filter(|arm| objective.takes(**arm)) {
                let cells: Vec<&Outcome<Found>> = tasks
                    .iter()
                    .zip(found)
                    .filter_map(|(task, outcome)| match task {
                        Task::Map { target, objective: o, arm: a, .. }
                            if (*target, *o, *a) == (t, objective, arm) =>
                        {
                            Some(outcome)
                        }
                        _ => None,
                    })
                    .collect();
                let done: Vec<&Found> = cells.iter().filter_map(|outcome| figures(outcome)).collect();
                let w2: Vec<f64> = done.iter().map(|f| f.figures[0].1.w2).collect();
                let over: Vec<f64> = w2.iter().map(|w| w / scores.floors[t].w2).collect();
                table.push(vec![
                    name.as_str().into(),
                    objective.name().into(),
                    arm.name().into(),
                    Cell::over_runs(&scores.of(t, objective, arm)),
                    Cell::over_runs(&w2),
                    Cell::over_runs(&over),
                    Cell::over_runs(&done.iter().map(|f| f.seconds).collect::<Vec<_>>()),
                    done.len().into(),
                    (cells.len() - done.len()).into(),
                ]);
            }
        }
    }
    table
}

fn flow_table(scores: &Scores<'_>, tasks: &[Task], found: &[Outcome<Found>]) -> Table {
    let columns = ["target", "method", "evaluations", "score", "seeds"];
    let mut table = Table::new("flows", "The same budget spent on a flow, by evaluations a sample", &columns);
    for (t, name) in scores.plan.targets.iter().enumerate() {
        for (method, curve) in scores.curves(tasks, found, t) {
            for (evaluations, values) in curve {
                let row = vec![
                    name.as_str().into(),
                    method.into(),
                    evaluations.into(),
                    Cell::over_runs(&values),
                    values.len().into(),
                ];
                table.push(row);
            }
        }
    }
    table
}

/// Loss and distances on the way: means over seeds at each look.
fn stages_table(plan: &Plan, tasks: &[Task], found: &[Outcome<Found>]) -> Table {
    let columns = [
        "target",
        "loss",
        "arm",
        "part of the steps",
        "t of the path",
        "value of the loss",
        "W₂ to the data",
        "W₂ to ρ_t",
    ];
    let mut table = Table::new("stages", "Along training: loss and W₂, means over seeds", &columns);
    for (t, name) in plan.targets.iter().enumerate() {
        for &objective in plan.losses(t) {
            for &arm in plan.arms.iter().filter(|arm| objective.takes(**arm)) {
                for stage in mean_stages(tasks, found, (t, objective, arm)) {
                    table.push(vec![
                        name.as_str().into(),
                        objective.name().into(),
                        arm.name().into(),
                        stage.progress.into(),
                        stage.t.into(),
                        stage.loss.into(),
                        stage.to_data.into(),
                        stage.to_path.into(),
                    ]);
                }
            }
        }
    }
    table
}

fn identity_table(lines: &[Line]) -> Table {
    let columns = [
        "t",
        "MMD², noise on both sides",
        "standard error",
        "MMD², smoothed kernel",
        "difference, in standard errors",
    ];
    let mut table = Table::new("identity", "Noise on both sides is kernel annealing", &columns);
    for line in lines {
        let z = line.z();
        table.push(vec![
            line.t.into(),
            line.noised.into(),
            line.error.into(),
            line.smoothed.into(),
            z.into(),
        ]);
    }
    table
}

/// The ratios with their intervals, one panel a target.
fn forest(scores: &Scores<'_>) -> Figure {
    let plan = scores.plan;
    let mut panels = Vec::new();
    for (t, name) in plan.targets.iter().enumerate() {
        let losses = plan.losses(t);
        let count = losses.len() as f64;
        let x = Axis::log("score over that of no annealing");
        let y = Axis::new("").bare().over(0.2, count + 0.8);
        let (mut left, mut right) = (1.0_f64, 1.0_f64);
        let arms: Vec<Arm> = plan.arms.iter().copied().filter(|arm| *arm != Arm::None).collect();
        let mut drawn = Vec::new();
        for (k, &objective) in losses.iter().enumerate() {
            for (j, &arm) in arms.iter().enumerate() {
                let logs: Vec<f64> = scores.pairs(t, objective, arm, Arm::None).iter().map(|p| p.1).collect();
                let Some(ratio) = Ratio::of(&logs) else { continue };
                let y = count - k as f64 + 0.35 - 0.7 * (j as f64 + 0.5) / arms.len() as f64;
                drawn.push((arm.name(), Color::of_series(j), ratio, y));
                (left, right) = (left.min(ratio.low), right.max(ratio.high));
            }
        }
        // Names stand to the left of everything, on a third of the panel's width.
        let first = left * (left / right).sqrt();
        let mut panel = Panel::new(name, x.over(first, right * (right / left).powf(0.03)), y);
        for (arm, color, ratio, y) in drawn {
            let interval = vec![(ratio.low, y), (ratio.high, y)];
            panel = panel.with("", color, Mark::Line { xy: interval, dash: Dash::Solid, width: 1.5 }).with(
                arm,
                color,
                Mark::Dots { xy: vec![(ratio.value, y)], radius: 3.0 },
            );
        }
        let names = losses
            .iter()
            .enumerate()
            .map(|(k, o)| (first * (right / left).powf(0.02), count - k as f64, o.name().to_owned()));
        panel = panel.line("no difference", Color::Grey, Dash::Dotted, vec![(1.0, 0.2), (1.0, count + 0.8)]);
        panels.push(panel.labels(names.collect()));
    }
    let caption = "Geometric mean over seeds of the score of each arm over that of training without annealing with the same seed, with its 95% \
                   interval. To the left of the line annealing helps.";
    Figure::new("ratios", "Does annealing help?", caption, panels).in_rows_of(2)
}

/// W₂ to the data along training, one panel a target and loss.
fn along(plan: &Plan, tasks: &[Task], found: &[Outcome<Found>]) -> Figure {
    let mut panels = Vec::new();
    for (t, name) in plan.targets.iter().enumerate() {
        for &objective in plan.losses(t) {
            let mut panel = Panel::new(
                format!("{name}, {}", objective.name()),
                Axis::new("part of the steps"),
                Axis::log("W₂"),
            );
            for (j, &arm) in plan.arms.iter().enumerate().filter(|(_, arm)| objective.takes(**arm)) {
                let mean = mean_stages(tasks, found, (t, objective, arm));
                let label = if arm == Arm::None { "none".to_owned() } else { arm.name().to_owned() };
                let dash = if arm == Arm::None { Dash::Dashed } else { Dash::Solid };
                let color = if arm == Arm::None { Color::Ink } else { Color::of_series(j.saturating_sub(1)) };
                panel =
                    panel.line(label, color, dash, mean.iter().map(|s| (s.progress, s.to_data)).collect());
                if arm == Arm::Target {
                    panel = panel.line(
                        "target, W₂ to ρ_t",
                        color,
                        Dash::Dotted,
                        mean.iter().map(|s| (s.progress, s.to_path)).collect(),
                    );
                }
            }
            panels.push(panel);
        }
    }
    let caption = "W₂ between the map's points and the data, mean over seeds, along training; dotted for the arm target: W₂ to the noised data \
                   of that moment, which the map is trained against.";
    Figure::new("along", "W₂ along training", caption, panels).in_rows_of(3)
}

/// The looks at the maps of one target, loss and arm: means over seeds, without clouds.
fn mean_stages(tasks: &[Task], found: &[Outcome<Found>], wanted: (usize, Objective, Arm)) -> Vec<Stage> {
    let mut looks: BTreeMap<u64, Vec<&Stage>> = BTreeMap::new();
    for (task, outcome) in tasks.iter().zip(found) {
        let Task::Map { target, objective, arm, .. } = task else { continue };
        if (*target, *objective, *arm) == wanted {
            for stage in figures(outcome).into_iter().flat_map(|found| &found.stages) {
                looks.entry(stage.progress.to_bits()).or_default().push(stage);
            }
        }
    }
    let mean = |looks: Vec<&Stage>| {
        let of = |value: fn(&Stage) -> f64| looks.iter().map(|s| value(s)).sum::<f64>() / looks.len() as f64;
        let losses: Vec<f64> = looks.iter().filter_map(|s| s.loss).collect();
        let loss = Some(losses.iter().sum::<f64>() / losses.len() as f64).filter(|loss| loss.is_finite());
        Stage {
            progress: looks[0].progress,
            t: looks[0].t,
            loss,
            to_data: of(|s| s.to_data),
            to_path: of(|s| s.to_path),
            cloud: Vec::new(),
        }
    };
    looks.into_values().map(mean).collect()
}

fn flow_figure(scores: &Scores<'_>, tasks: &[Task], found: &[Outcome<Found>]) -> Figure {
    let mut panels = Vec::new();
    for (t, name) in scores.plan.targets.iter().enumerate() {
        let mut panel =
            Panel::new(name, Axis::log("network evaluations a sample"), Axis::log("score, 1 is the floor"));
        for (k, (method, curve)) in scores.curves(tasks, found, t).into_iter().enumerate() {
            let xy: Vec<(f64, f64)> = curve
                .iter()
                .filter_map(|(e, values)| Some(((*e).max(1) as f64, geometric(values)?)))
                .collect();
            let color = Color::of_series(k);
            panel = panel.line(method, color, Dash::Solid, xy.clone()).with(
                "",
                color,
                Mark::Dots { xy, radius: 3.0 },
            );
        }
        for (arm, color) in [(Arm::None, Color::Ink), (Arm::Target, Color::Green)] {
            let maps: Vec<(f64, f64)> = scores
                .plan
                .losses(t)
                .iter()
                .filter_map(|&o| Some((1.0, geometric(&scores.of(t, o, arm))?)))
                .collect();
            let label = format!("one-step maps, {}", arm.name());
            panel = panel.with(label, color, Mark::Dots { xy: maps, radius: 3.0 });
        }
        panels.push(panel.level("floor", Color::Grey, Dash::Dotted, 1.0));
    }
    let caption = "Flow matching with the same steps and batch, solved by Euler's method in 1 to 100 steps, and what distils it where there is such \
                   a method, beside the one-step maps of every loss without annealing and with the target annealed.";
    Figure::new("flows", "Against a flow with the same budget", caption, panels).in_rows_of(2)
}

/// The first map in the plane whose target was annealed, look by look.
fn animation(plan: &Plan, grounds: &[Ground], tasks: &[Task], found: &[Outcome<Found>]) -> Option<Animation> {
    let shown = tasks.iter().zip(found).find_map(|(task, outcome)| match task {
        Task::Map { target, objective, arm: Arm::Target, .. } if grounds[*target].dim() == 2 => {
            figures(outcome).map(|found| (*target, *objective, found))
        }
        _ => None,
    });
    let (target, objective, found) = shown?;
    let pairs =
        |cloud: &[[f32; 2]]| cloud.iter().map(|p| (f64::from(p[0]), f64::from(p[1]))).collect::<Vec<_>>();
    let frames =
        found.stages.iter().map(|stage| (format!("t = {:.2}", stage.t), pairs(&stage.cloud))).collect();
    let behind = grounds[target].reference().rows().take(600).map(|row| (row[0], row[1])).collect();
    let title = format!("A map that follows ρ_t: {}, {}", plan.targets[target], objective.name());
    Some(
        Animation::new(
            "following",
            title,
            "The map's points at each look; behind them the data.",
            (Axis::new("x0"), Axis::new("x1")),
            frames,
        )
        .behind("data", Color::Blue, behind),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_student() {
        // Mean ln 2 and spread such that the half width is t₀.₉₇₅(3)·s/2 = 3.182446·s/2.
        let logs = [0.1, -0.1, 0.1, -0.1].map(|d| 2f64.ln() + d);
        let ratio = Ratio::of(&logs).unwrap();
        let half = 3.182_446_305 * (0.04f64 / 3.0).sqrt() / 2.0;
        assert!((ratio.value - 2.0).abs() < 1e-12);
        assert!((ratio.low - 2.0 * (-half).exp()).abs() < 1e-6, "{ratio:?}");
        assert_eq!(ratio.verdict(), "worse");
        assert_eq!(Ratio::of(&[-1.0, -1.1, -0.9]).unwrap().verdict(), "better");
        assert_eq!(Ratio::of(&[-1.0, 1.0]).unwrap().verdict(), "no difference shown");
        assert!(Ratio::of(&[1.0]).is_none() && Ratio::of(&[1.0, f64::NAN]).is_none());
    }
}
