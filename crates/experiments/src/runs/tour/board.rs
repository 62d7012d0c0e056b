//! Leaderboards: one line a method, the floor first, and the pictures that go with them.

use super::super::ground::{Covered, Ground};
use super::super::yardstick::Figures;
use super::measure::Measured;
use crate::cells::Outcome;
use crate::figure::{Axis, Color, Dash, Figure, Panel, number};
use crate::report::{Cell, Table};
use std::collections::BTreeMap;

/// The lines of one target.
pub(super) struct Board<'a> {
    pub(super) name: &'a str,
    ground: &'a Ground,
    pub(super) floor: Figures,
    pub(super) floor_line: Line<'a>,
    pub(super) lines: Vec<Line<'a>>,
}

/// One method on one target.
pub(super) struct Line<'a> {
    pub(super) method: &'a str,
    cells: Vec<(u64, &'a Measured)>,
    failed: Vec<String>,
    scores: Vec<f64>,
}

impl<'a> Line<'a> {
    pub(super) fn new(method: &'a str, cells: &[(u64, &'a Outcome<Measured>)], floor: &Figures) -> Self {
        let failed =
            cells.iter().filter_map(|(run, cell)| Some(format!("seed {run}: {}", cell.failed()?))).collect();
        let cells: Vec<_> = cells.iter().filter_map(|(run, cell)| Some((*run, cell.done()?))).collect();
        Line::of(method, cells, failed, floor)
    }

    fn of(method: &'a str, cells: Vec<(u64, &'a Measured)>, failed: Vec<String>, floor: &Figures) -> Self {
        let scores = cells.iter().map(|(_, m)| m.scores.figures.over(floor).worst()).collect();
        Line { method, cells, failed, scores }
    }

    /// Cells with figures.
    pub(super) fn count(&self) -> usize {
        self.cells.len()
    }

    /// The mean score, where there is one.
    pub(super) fn score(&self) -> Option<f64> {
        mean(&self.scores).filter(|score| score.is_finite())
    }

    pub(super) fn evaluations(&self) -> Option<f64> {
        mean(&self.each(|m| m.evaluations as f64))
    }

    pub(super) fn micros(&self) -> Option<f64> {
        mean(&self.each(|m| m.micros))
    }

    fn each(&self, of: impl Fn(&Measured) -> f64) -> Vec<f64> {
        self.cells.iter().map(|(_, m)| of(m)).collect()
    }

    fn some(&self, of: impl Fn(&Measured) -> Option<f64>) -> Vec<f64> {
        self.cells.iter().filter_map(|(_, m)| of(m)).collect()
    }

    fn row(&self) -> Vec<Cell> {
        let modes = |of: fn(Covered) -> f64| Cell::over_runs(&self.some(|m| m.scores.modes.map(of)));
        let figures = |k: usize| Cell::over_runs(&self.each(|m| m.scores.figures.mmd2[k]));
        let mut remarks = self.failed.clone();
        for (run, m) in &self.cells {
            remarks.extend(m.diverged.map(|at| format!("seed {run}: training diverged at step {at}")));
        }
        vec![
            self.method.into(),
            Cell::over_runs(&self.scores),
            Cell::over_runs(&self.each(|m| m.scores.figures.w2)),
            figures(0),
            figures(1),
            figures(2),
            Cell::over_runs(&self.each(|m| m.scores.sliced)),
            Cell::over_runs(&self.each(|m| m.scores.energy)),
            modes(|c| c.found as f64),
            modes(|c| c.good),
            Cell::over_runs(&self.each(|m| m.scores.precision)),
            Cell::over_runs(&self.each(|m| m.scores.recall)),
            Cell::over_runs(&self.some(|m| m.nll.map(|n| n.0))),
            Cell::over_runs(&self.some(|m| m.scores.copied.map(|c| c.ratio))),
            Cell::over_runs(&self.some(|m| m.scores.copied.map(|c| c.p))),
            Cell::over_runs(&self.each(|m| m.evaluations as f64)),
            Cell::over_runs(&self.each(|m| m.micros)),
            Cell::over_runs(&self.each(|m| m.seconds)),
            Cell::over_runs(&self.each(|m| m.steps as f64)),
            Cell::over_runs(&self.each(|m| m.parameters as f64)),
            self.cells.len().into(),
            remarks.join("; ").into(),
        ]
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() { None } else { Some(values.iter().sum::<f64>() / values.len() as f64) }
}

const COLUMNS: [&str; 22] = [
    "method",
    "score",
    "W₂",
    "MMD² × 1",
    "MMD² × 0.3",
    "MMD² × 0.1",
    "sliced W₂",
    "energy",
    "modes",
    "good",
    "precision",
    "recall",
    "NLL, nats",
    "copying",
    "p of copying",
    "evaluations",
    "µs a sample",
    "training, s",
    "steps",
    "parameters",
    "seeds",
    "remarks",
];

const FLOOR: &str = "(the target itself)";

impl<'a> Board<'a> {
    pub(super) fn new(ground: &'a Ground, floors: &[&'a Measured]) -> Self {
        let figures: Vec<Figures> = floors.iter().map(|m| m.scores.figures).collect();
        let floor = Figures::mean(&figures);
        let cells = floors.iter().enumerate().map(|(run, m)| (run as u64, *m)).collect();
        let floor_line = Line::of(FLOOR, cells, Vec::new(), &floor);
        Board { name: &ground.name, ground, floor, floor_line, lines: Vec::new() }
    }

    /// The best first, those without figures last.
    pub(super) fn rank(&mut self) {
        let key = |line: &Line<'_>| line.score().unwrap_or(f64::INFINITY);
        self.lines.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.method.cmp(b.method)));
    }

    fn plain(&self) -> String {
        crate::cells::plain(self.name)
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(
            &format!("leaderboard-{}", self.plain()),
            format!("Leaderboard: {}", self.name),
            &COLUMNS,
        );
        table.push(self.floor_line.row());
        self.lines.iter().for_each(|line| table.push(line.row()));
        table
    }

    /// (µs a sample, score, method), by time.
    fn places(&self) -> Vec<(f64, f64, &str)> {
        let mut places: Vec<_> =
            self.lines.iter().filter_map(|line| Some((line.micros()?, line.score()?, line.method))).collect();
        places.sort_by(|a, b| a.0.total_cmp(&b.0));
        places
    }

    /// The methods that no other beats in both.
    fn front(&self) -> Vec<(f64, f64, &str)> {
        let mut best = f64::INFINITY;
        let better = |place: &(f64, f64, &str)| {
            let is = place.1 < best;
            best = best.min(place.1);
            is
        };
        self.places().into_iter().filter(better).collect()
    }

    /// Samples of every method, the best first.
    pub(super) fn clouds(&self) -> Option<Figure> {
        if self.ground.dim() < 2 || self.ground.law.is_none() {
            return None;
        }
        let pairs =
            |cloud: &[[f32; 2]]| cloud.iter().map(|p| (f64::from(p[0]), f64::from(p[1]))).collect::<Vec<_>>();
        let truth = pairs(&self.floor_line.cells.first()?.1.cloud);
        let limits = |of: fn(&(f64, f64)) -> f64| {
            let (low, high) = truth
                .iter()
                .map(of)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            let room = 0.12 * (high - low);
            (low - room, high + room)
        };
        let (across, along) = (limits(|p| p.0), limits(|p| p.1));
        let panel = |title: String, color: Color, xy: Vec<(f64, f64)>| {
            let (x, y) = (Axis::new("").over(across.0, across.1), Axis::new("").over(along.0, along.1));
            Panel::new(title, x, y).equal().small().dots("", color, xy)
        };
        let mut panels = vec![panel("the target".into(), Color::Blue, truth.clone())];
        for line in &self.lines {
            let Some((_, first)) = line.cells.first() else { continue };
            let title = format!("{} ({})", line.method, number(line.score().unwrap_or(f64::NAN), 3));
            panels.push(panel(title, Color::Orange, pairs(&first.cloud)));
        }
        let caption = "Points of the target and of every method with its first seed, the best score first; the score is in brackets.";
        Some(
            Figure::new(
                format!("samples-{}", self.plain()),
                format!("Samples: {}", self.name),
                caption,
                panels,
            )
            .in_rows_of(6),
        )
    }
}

/// Quality against the time of a sample, one panel a target.
pub(super) fn pareto(boards: &[Board<'_>]) -> Figure {
    let group = |evaluations: f64| match evaluations {
        e if e <= 1.0 => 0,
        e if e < 20.0 => 1,
        _ => 2,
    };
    let names = ["one evaluation", "2 to 19 evaluations", "20 evaluations and more"];
    let mut panels = Vec::new();
    for board in boards {
        let mut panel = Panel::new(board.name, Axis::log("µs a sample"), Axis::log("score, 1 is the floor"));
        let front = board.front();
        let stairs = front.windows(2).flat_map(|w| [(w[0].0, w[0].1), (w[1].0, w[0].1)]);
        let stairs: Vec<_> = stairs.chain(front.last().map(|p| (p.0, p.1))).collect();
        panel = panel.line("Pareto front", Color::Grey, Dash::Solid, stairs);
        for (k, name) in names.iter().enumerate() {
            let xy: Vec<(f64, f64)> = board
                .lines
                .iter()
                .filter(|line| line.evaluations().is_some_and(|e| group(e) == k))
                .filter_map(|line| Some((line.micros()?, line.score()?)))
                .collect();
            if !xy.is_empty() {
                panel = panel.dots(*name, Color::of_series(k), xy);
            }
        }
        panel = panel.level("floor", Color::Grey, Dash::Dotted, 1.0);
        // Names of the front come first: where two would overlap, the later one is left out.
        let mut named: Vec<(f64, f64, String)> = front.iter().map(|p| (p.0, p.1, p.2.to_owned())).collect();
        let others = board.places().into_iter().filter(|p| !front.iter().any(|f| f.2 == p.2));
        named.extend(others.map(|p| (p.0, p.1, p.2.to_owned())));
        panels.push(panel.labels(named));
    }
    let caption = "Each dot is a method: to the left is faster, below is better. No method beats one on the front in both. A name that \
                   would lie over another is left out; the leaderboards have them all.";
    Figure::new("pareto", "Quality against the time of a sample", caption, panels).in_rows_of(2)
}

/// What one method came to over all targets.
#[derive(Default)]
struct Sum<'a> {
    ranks: Vec<f64>,
    logs: Vec<f64>,
    near: usize,
    front: usize,
    lines: Vec<&'a Line<'a>>,
}

/// All targets together.
pub(super) fn overall(boards: &[Board<'_>]) -> Table {
    let columns = [
        "method",
        "mean rank",
        "geometric mean of scores",
        "targets within 2 floors",
        "targets",
        "on the front",
        "evaluations",
        "µs a sample",
        "training, s",
    ];
    let mut sums: BTreeMap<&str, Sum<'_>> = BTreeMap::new();
    for board in boards {
        let front = board.front();
        for (rank, line) in board.lines.iter().enumerate() {
            let sum = sums.entry(line.method).or_default();
            sum.ranks.push(1.0 + rank as f64);
            if let Some(score) = line.score() {
                sum.logs.push(score.ln());
                sum.near += usize::from(score <= 2.0);
                sum.lines.push(line);
            }
            sum.front += usize::from(front.iter().any(|place| place.2 == line.method));
        }
    }
    let mut all: Vec<(&str, Sum<'_>)> = sums.into_iter().collect();
    let key = |sum: &Sum<'_>| mean(&sum.ranks).unwrap_or(f64::INFINITY);
    all.sort_by(|a, b| key(&a.1).total_cmp(&key(&b.1)));
    let mut table = Table::new("overall", "All targets together", &columns);
    for (method, sum) in &all {
        let all = |values: Vec<Option<f64>>| mean(&values.into_iter().flatten().collect::<Vec<_>>());
        table.push(vec![
            (*method).into(),
            mean(&sum.ranks).into(),
            mean(&sum.logs).map(f64::exp).into(),
            sum.near.into(),
            sum.lines.len().into(),
            sum.front.into(),
            all(sum.lines.iter().map(|l| l.evaluations()).collect()).into(),
            all(sum.lines.iter().map(|l| l.micros()).collect()).into(),
            all(sum.lines.iter().map(|l| mean(&l.each(|m| m.seconds))).collect()).into(),
        ]);
    }
    table
}

/// Every cell with all digits, for those who go on with the numbers.
pub(super) fn cells(boards: &[Board<'_>]) -> Table {
    let columns = [
        "target",
        "method",
        "seed",
        "score",
        "w2",
        "mmd2_1",
        "mmd2_03",
        "mmd2_01",
        "sliced",
        "energy",
        "modes",
        "good",
        "reverse_kl",
        "precision",
        "recall",
        "nll",
        "nll_se",
        "copying",
        "p_copying",
        "evaluations",
        "micros",
        "seconds",
        "cell_seconds",
        "steps",
        "parameters",
    ];
    let mut table = Table::new("cells", "Every cell", &columns);
    for board in boards {
        for line in std::iter::once(&board.floor_line).chain(&board.lines) {
            for ((run, m), score) in line.cells.iter().zip(&line.scores) {
                let s = &m.scores;
                table.push(vec![
                    board.name.into(),
                    line.method.into(),
                    (*run).into(),
                    (*score).into(),
                    s.figures.w2.into(),
                    s.figures.mmd2[0].into(),
                    s.figures.mmd2[1].into(),
                    s.figures.mmd2[2].into(),
                    s.sliced.into(),
                    s.energy.into(),
                    s.modes.map(|c| c.found).into(),
                    s.modes.map(|c| c.good).into(),
                    s.modes.map(|c| c.reverse_kl).into(),
                    s.precision.into(),
                    s.recall.into(),
                    m.nll.map(|n| n.0).into(),
                    m.nll.map(|n| n.1).into(),
                    s.copied.map(|c| c.ratio).into(),
                    s.copied.map(|c| c.p).into(),
                    m.evaluations.into(),
                    m.micros.into(),
                    m.seconds.into(),
                    m.whole.into(),
                    m.steps.into(),
                    m.parameters.into(),
                ]);
            }
        }
    }
    table
}
