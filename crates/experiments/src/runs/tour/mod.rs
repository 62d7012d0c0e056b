//! All methods on the same ground: the tour of the paper's title.

mod board;
mod measure;

use super::ground::Ground;
use super::training::suited;
use crate::cells::{self, Outcome};
use crate::context::Context;
use crate::failure::Result;
use crate::registry::Experiment;
use crate::report::{Claim, Relation, Report};
use crate::spec;
use board::{Board, Line};
use measure::{Measured, measured};
use models::methods::{AnyMethod, all, by_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Trains every method on every target and ranks what they generate.
pub struct Tour;

/// How much a tour may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TourBudget {
    /// Two targets, some four minutes on two cores.
    Quick,
    /// Nine targets, two hours on two cores.
    #[default]
    Full,
}

/// Settings of [`Tour`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TourConfig {
    /// What the keys below stand for where they are null or empty: quick or full.
    pub budget: TourBudget,
    /// The methods; none means every one there is.
    pub methods: Vec<String>,
    /// The targets: named sets such as moons:noise=0.05, or files of points.
    pub targets: Vec<String>,
    /// Runs of a method on a target, each with a seed of its own.
    #[schemars(range(min = 1))]
    pub seeds: Option<u64>,
    /// The methods with more runs.
    pub headline: Vec<String>,
    /// Runs of those.
    #[schemars(range(min = 1))]
    pub headline_seeds: Option<u64>,
    /// Steps of every method: the equal budget.
    #[schemars(range(min = 1))]
    pub steps: Option<u64>,
    /// Seconds of training that a cell may take: a method whose steps are slow is given fewer, as many as fit by a short
    /// trial beforehand. 0 sets no limit; with very many steps this is the equal budget by the clock.
    #[schemars(range(min = 0))]
    pub seconds: Option<f64>,
    /// Rows of each named target to train on; 0 draws new ones for ever, and then nothing can be copied.
    pub rows: Option<usize>,
    /// Points generated, and points of the target they are compared with.
    #[schemars(range(min = 100))]
    pub n: Option<usize>,
    /// Independent samples of the target that make up the floor.
    #[schemars(range(min = 1))]
    pub floors: u64,
}

impl Default for TourConfig {
    fn default() -> Self {
        // One or more of every section of the paper, and what came after it.
        let headline = [
            "mmd",
            "sinkhorn",
            "transport",
            "gan",
            "spline",
            "vae",
            "flow_matching",
            "diffusion",
            "annealed",
            "drift",
        ];
        TourConfig {
            budget: TourBudget::Full,
            methods: Vec::new(),
            targets: Vec::new(),
            seeds: None,
            headline: headline.map(str::to_owned).to_vec(),
            headline_seeds: None,
            steps: None,
            seconds: None,
            rows: None,
            n: None,
            floors: 5,
        }
    }
}

/// The same with nothing left open.
struct Plan {
    targets: Vec<String>,
    seeds: u64,
    headline_seeds: u64,
    steps: u64,
    seconds: f64,
    rows: Option<usize>,
    n: usize,
}

const QUICK: [&str; 2] = ["eight_gaussians", "moons:standardised=1"];
const FULL: [&str; 9] = [
    "eight_gaussians",
    "grid_gaussians",
    "moons:standardised=1",
    "checkerboard",
    "swiss_roll",
    "two_spirals",
    "cross_polytope:dim=16",
    "circle",
    "digits",
];

impl TourConfig {
    fn plan(&self) -> Result<Plan> {
        let quick = self.budget == TourBudget::Quick;
        let usual: &[&str] = if quick { &QUICK } else { &FULL };
        let targets = if self.targets.is_empty() {
            usual.iter().map(|name| (*name).to_owned()).collect()
        } else {
            self.targets.clone()
        };
        let seconds = self.seconds.unwrap_or(if quick { 8.0 } else { 20.0 });
        if !(seconds.is_finite() && seconds >= 0.0) {
            return Err(spec::Error::value("seconds", seconds, "finite and not negative").into());
        }
        let rows = self.rows.unwrap_or(if quick { 5000 } else { 10_000 });
        Ok(Plan {
            targets,
            seeds: self.seeds.unwrap_or(1),
            headline_seeds: self.headline_seeds.unwrap_or(if quick { 1 } else { 5 }),
            steps: self.steps.unwrap_or(if quick { 2000 } else { 10_000 }),
            seconds,
            rows: Some(rows).filter(|rows| *rows > 0),
            n: self.n.unwrap_or(if quick { 1500 } else { 4000 }),
        })
    }
}

/// What is done in one cell.
enum Task<'a> {
    /// A sample of the target itself.
    Floor { ground: usize, run: u64 },
    /// A method trained with a seed.
    Method { ground: usize, method: &'static dyn AnyMethod, settings: &'a Value, run: u64 },
}

impl Experiment for Tour {
    const NAME: &'static str = "tour";
    const PAPER: &'static str = "the whole paper";
    const ABOUT: &'static str = "every method on every target with one budget: a leaderboard, and quality against the time of a sample";
    const SHARED: bool = true;
    type Config = TourConfig;

    fn run(context: &mut Context<'_>, config: &TourConfig) -> Result<Report> {
        let plan = config.plan()?;
        let methods: Vec<&'static dyn AnyMethod> = if config.methods.is_empty() {
            all().to_vec()
        } else {
            config.methods.iter().map(|name| by_name(name)).collect::<models::Result<_>>()?
        };
        for name in &config.headline {
            by_name(name)?;
        }
        let grounds: Vec<Ground> = plan
            .targets
            .iter()
            .map(|name| Ground::new(name, plan.rows, plan.n, context.seed().named("ground")))
            .collect::<Result<_>>()?;
        let settings: Vec<Vec<Value>> =
            grounds.iter().map(|g| methods.iter().map(|m| suited(*m, g.trained_on())).collect()).collect();
        let tasks = tasks(config, &plan, &methods, &settings);

        let found = cells::run(
            context,
            &tasks,
            |task| match task {
                Task::Floor { ground, run } => {
                    format!("{}-floor-{run}", cells::plain(&grounds[*ground].name))
                }
                Task::Method { ground, method, run, .. } => {
                    format!("{}-{}-{run}", cells::plain(&grounds[*ground].name), method.name())
                }
            },
            |cell, task| match task {
                Task::Floor { ground, run } => {
                    Measured::of_target(&grounds[*ground], context.seed().child(*run))
                }
                Task::Method { ground, method, settings, run } => {
                    let seed = context.seed_number().wrapping_add(*run);
                    measured(cell, &grounds[*ground], (*method, settings), plan.steps, plan.seconds, seed)
                }
            },
        )?;
        Ok(report(&plan, &methods, &grounds, &tasks, &found))
    }
}

fn tasks<'a>(
    config: &TourConfig,
    plan: &Plan,
    methods: &[&'static dyn AnyMethod],
    settings: &'a [Vec<Value>],
) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    for (ground, settings) in settings.iter().enumerate() {
        tasks.extend((0..config.floors).map(|run| Task::Floor { ground, run }));
        for (method, settings) in methods.iter().zip(settings) {
            let headline = config.headline.iter().any(|name| name == method.name());
            let seeds = if headline { plan.headline_seeds.max(plan.seeds) } else { plan.seeds };
            tasks.extend((0..seeds).map(|run| Task::Method { ground, method: *method, settings, run }));
        }
    }
    tasks
}

fn report(
    plan: &Plan,
    methods: &[&'static dyn AnyMethod],
    grounds: &[Ground],
    tasks: &[Task<'_>],
    found: &[Outcome<Measured>],
) -> Report {
    let mut report = Report::new(format!(
        "How near do {} methods come to {} targets with one budget ({} steps{}), and what does a sample cost?",
        methods.len(),
        grounds.len(),
        plan.steps,
        if plan.seconds > 0.0 {
            format!(", fewer where they would take more than {} s", plan.seconds)
        } else {
            String::new()
        }
    ));
    let mut boards = Vec::new();
    for (g, ground) in grounds.iter().enumerate() {
        let floors: Vec<&Measured> = tasks
            .iter()
            .zip(found)
            .filter_map(|(task, cell)| match task {
                Task::Floor { ground, .. } if *ground == g => cell.done(),
                _ => None,
            })
            .collect();
        let mut board = Board::new(ground, &floors);
        for method in methods {
            let cells = tasks.iter().zip(found).filter_map(|(task, cell)| match task {
                Task::Method { ground, method: m, run, .. } if *ground == g && m.name() == method.name() => {
                    Some((*run, cell))
                }
                _ => None,
            });
            board.lines.push(Line::new(method.name(), &cells.collect::<Vec<_>>(), &board.floor));
        }
        board.rank();
        boards.push(board);
    }
    claims(&mut report, &boards);
    if boards.len() > 1 {
        report.table(board::overall(&boards).leading());
    }
    report.figure(board::pareto(&boards));
    for board in &boards {
        report.table(board.table().leading());
    }
    for board in &boards {
        if let Some(figure) = board.clouds() {
            report.figure(figure);
        }
    }
    report.table(board::cells(&boards));
    let sum = |of: fn(&Measured) -> f64| found.iter().filter_map(|cell| cell.done()).map(of).sum::<f64>();
    let (trained, whole) = (sum(|m| m.seconds), sum(|m| m.whole));
    report.note(format!(
        "The score is the largest of W₂ / floor and of the roots of MMD² / floor at three bandwidths (the median distance within \
         the target × 1, 0.3, 0.1), the floor being the mean of {} further samples of the target: 1 is a perfect model. Each \
         figure compares {} points with {} of the target. Values after ± are standard deviations over seeds.",
        boards.first().map_or(0, |b| b.floor_line.count()),
        plan.n,
        plan.n
    ));
    report.note(format!(
        "All cells took {whole:.0} s of work, {trained:.0} s of it training. Times are of the wall clock and of the machine below; cells that ran side by side share it. \
         Copying is the median of distance to the rows trained on over distance to other rows, with the p-value of the \
         hypothesis that it is no smaller than chance allows."
    ));
    report
}

/// What the paper says of its three perspectives, as far as a leaderboard can say it.
fn claims(report: &mut Report, boards: &[Board<'_>]) {
    let lines = || boards.iter().flat_map(|board| &board.lines);
    let missing = lines().filter(|line| line.score().is_none()).count();
    report.claim(Claim::at_most("methods without figures, over all targets", missing as f64, 0.0));
    for board in boards {
        let best = |few: bool| {
            let lines =
                board.lines.iter().filter(move |line| line.evaluations().is_some_and(|e| (e <= 1.0) == few));
            lines.filter_map(Line::score).fold(f64::INFINITY, f64::min)
        };
        let (one, many) = (best(true), best(false));
        if one.is_finite() && many.is_finite() {
            report.claim(Claim::at_most(
                format!(
                    "{}: best score with one evaluation over the best with more (both worlds at once)",
                    board.name
                ),
                one / many,
                1.5,
            ));
        }
    }
    let median = |few: bool| {
        let chosen = lines()
            .filter(move |line| line.evaluations().is_some_and(|e| if few { e <= 1.0 } else { e >= 20.0 }));
        let mut times: Vec<f64> = chosen.filter_map(Line::micros).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    if let (Some(one), Some(many)) = (median(true), median(false)) {
        report.claim(Claim::new(
            "median time of a sample by 20 evaluations and more over that by one (simulation is slow)",
            many / one,
            Relation::Above,
            3.0,
        ));
    }
}
