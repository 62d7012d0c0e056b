//! Footnote 3: the generator that can only be uniform on (a, a + ½), against every adversary.
//!
//! Two things meet in the footnote. The model is misspecified: no μ_a is μ₁, and which a is best depends on the
//! divergence; the total variation even has its *largest* value in the middle. And the players answer in turns, which
//! never ends. The same arcs on the circle are a model that does contain μ₁, which tells the two apart.

mod draw;
mod landscape;
mod play;

use crate::context::Context;
use crate::failure::Result;
use crate::figure::number;
use crate::registry::Experiment;
use crate::report::{Claim, Relation, Report, Table};
use crate::spec;
use divergences::kernel::Gaussian;
use divergences::total_variation::{Grid, HistogramTotalVariation};
use divergences::transport::Wasserstein;
use divergences::{Divergence, EnergyDistance, MeanIpm, Mmd, Statistic, family::FourierLattice};
use landscape::{Landscape, Law};
use measures::{Empirical, Points};
use play::{Critic, Ground, TIES};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The paper's footnote 3.
pub struct Saddle;

/// Settings of [`Saddle`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SaddleConfig {
    /// Values of a in [0, ½] at which landscapes are taken, one of them ¼: one more than a multiple of four.
    #[schemars(range(min = 5))]
    pub grid: usize,
    /// Bandwidths of the Gaussian kernel.
    pub bandwidths: Vec<f64>,
    /// Frequencies of D₂.
    #[schemars(range(min = 1, max = 1000))]
    pub frequencies: u32,
    /// Rounds of alternating best responses.
    #[schemars(range(min = 4))]
    pub rounds: usize,
    /// Cells on which the adversary's function is constant: a multiple of four.
    #[schemars(range(min = 8))]
    pub cells: usize,
    /// Step sizes of gradient descent–ascent.
    pub steps: Vec<f64>,
    /// How long gradient descent–ascent goes on: steps times their size.
    pub time: f64,
    /// Where descent and descent–ascent begin: a in (0, ½), not ¼.
    pub start: f64,
    /// Atoms of each law when a landscape is checked against the general implementation.
    #[schemars(range(min = 8))]
    pub atoms: usize,
}

impl Default for SaddleConfig {
    fn default() -> Self {
        SaddleConfig {
            grid: 401,
            bandwidths: vec![0.03, 0.1, 0.3],
            frequencies: 10,
            rounds: 1000,
            cells: 400,
            steps: vec![0.2, 0.1, 0.05, 0.02, 0.01],
            time: 60.0,
            start: 0.1,
            atoms: 2000,
        }
    }
}

impl SaddleConfig {
    fn check(&self) -> Result<()> {
        let wrong = |key: &str, got: String, needs: &str| Err(spec::Error::value(key, got, needs).into());
        if !(self.grid - 1).is_multiple_of(4) {
            return wrong("grid", self.grid.to_string(), "one more than a multiple of four");
        }
        if !self.cells.is_multiple_of(4) {
            return wrong("cells", self.cells.to_string(), "a multiple of four");
        }
        if !self.atoms.is_multiple_of(2) {
            return wrong("atoms", self.atoms.to_string(), "an even number");
        }
        let positive = |v: &f64| v.is_finite() && *v > 0.0;
        for (key, list) in [("bandwidths", &self.bandwidths), ("steps", &self.steps)] {
            if list.is_empty() || !list.iter().all(positive) {
                return wrong(key, format!("{list:?}"), "one positive number or more");
            }
        }
        if !positive(&self.time) || self.steps.iter().any(|s| self.time / s > 1e6) {
            return wrong(
                "time",
                self.time.to_string(),
                "a positive number, at most a million times the smallest step",
            );
        }
        if !(self.start > 0.0 && self.start < 0.5) || self.start == 0.25 {
            return wrong("start", self.start.to_string(), "a number inside (0, 0.5) other than 0.25");
        }
        Ok(())
    }
}

impl Experiment for Saddle {
    const NAME: &'static str = "saddle";
    const PAPER: &'static str = "section 2, footnote 3";
    const ABOUT: &'static str = "a game without a saddle point: landscapes, best responses, descent–ascent";
    type Config = SaddleConfig;

    fn run(context: &mut Context<'_>, config: &SaddleConfig) -> Result<Report> {
        config.check()?;
        let mut report = Report::new(
            "Let μ₁ be uniform on (0, ¼) ∪ (¾, 1) and the model μ_a uniform on (a, a + ½). Which a does each divergence \
             prefer, and which does play between a generator and an adversary find?",
        );
        let landscapes = landscape::all(&config.bandwidths, config.frequencies);
        shapes(&mut report, config, &landscapes)?;
        context.check_stop()?;
        turns(&mut report, config);
        exact(&mut report, config);
        context.check_stop()?;
        let runs = simultaneous(&mut report, config);
        report.figure(draw::landscapes(config, &landscapes));
        report.figure(draw::turns(config));
        report.figure(draw::paths(config, &runs));
        notes(&mut report);
        Ok(report)
    }
}

fn parameters(config: &SaddleConfig) -> Vec<f64> {
    (0..config.grid).map(|k| 0.5 * k as f64 / (config.grid - 1) as f64).collect()
}

/// Where each landscape is high and low, and whether the general implementations agree with the closed forms.
fn shapes(report: &mut Report, config: &SaddleConfig, landscapes: &[Landscape]) -> Result<()> {
    let grid = parameters(config);
    let columns = [
        "divergence",
        "at 0",
        "at 1/4",
        "smallest",
        "smallest at",
        "largest",
        "largest at",
        "library differs by",
    ];
    let mut table = Table::new("landscapes", "Landscapes over a in [0, ½]", &columns);
    let (mut worst, mut off_largest, mut off_smallest, mut least) = (0.0f64, 0.0f64, 0.0f64, f64::INFINITY);
    let mut flat = f64::NAN;
    for landscape in landscapes {
        let values: Vec<f64> = grid.iter().map(|&a| (landscape.value)(a)).collect();
        let order = |better: fn(f64, f64) -> bool| {
            (0..grid.len()).fold(0, |best, k| if better(values[k], values[best]) { k } else { best })
        };
        let (low, high) = (order(|a, b| a < b), order(|a, b| a > b));
        if let Some(at) = landscape.largest_at {
            off_largest = off_largest.max((grid[high] - at).abs());
        }
        if let Some(at) = landscape.smallest_at {
            off_smallest = off_smallest.max((grid[low] - at).abs());
        }
        least = least.min(values[low] / values[high]);
        if landscape.name == "W₁" {
            flat = values[high] - values[low];
        }
        let differs = differs(landscape, config)?;
        worst = worst.max(differs.unwrap_or(0.0));
        table.push(vec![
            landscape.name.as_str().into(),
            values[0].into(),
            (landscape.value)(0.25).into(),
            values[low].into(),
            grid[low].into(),
            values[high].into(),
            grid[high].into(),
            differs.into(),
        ]);
    }
    report.claim(Claim::at_most(
        "TV, Jensen–Shannon, MMD and D₂ are largest at a = ¼: how far their largest values lie from there",
        off_largest,
        0.0,
    ));
    report.claim(Claim::at_most(
        "energy distance and W₂ are smallest at a = ¼: how far their smallest values lie from there",
        off_smallest,
        0.0,
    ));
    report.claim(Claim::at_most("W₁ is ¼ for every a: largest minus smallest", flat, 1e-15));
    report.claim(Claim::new(
        "the model is misspecified: smallest value of any divergence, as a part of its largest",
        least,
        Relation::Above,
        0.01,
    ));
    report.claim(Claim::at_most("closed forms against the general implementation on atoms", worst, 1e-4));
    report.table(table);
    Ok(())
}

/// The largest difference between the closed form and the implementation for any two samples, on atoms in place of the laws.
fn differs(landscape: &Landscape, config: &SaddleConfig) -> Result<Option<f64>> {
    let name = landscape.name.as_str();
    let divergence: Box<dyn Divergence> = if name == "total variation" {
        Box::new(HistogramTotalVariation::new(Grid::cubes(1, 0.0125)?))
    } else if let Some(h) =
        config.bandwidths.iter().find(|&&h| name.ends_with(&format!("h = {}", number(h, 3))))
    {
        Box::new(Mmd::new(Gaussian::new(*h)?, Statistic::Plugin))
    } else if name.starts_with('D') {
        Box::new(MeanIpm::new(FourierLattice::line(config.frequencies)?, Statistic::Plugin))
    } else if name == "energy distance" {
        Box::new(EnergyDistance::new(Statistic::Plugin))
    } else if name == "W₁" {
        Box::new(Wasserstein::new(1.0)?)
    } else if name == "W₂²" {
        Box::new(Wasserstein::new(2.0)?.powered())
    } else {
        return Ok(None);
    };
    let target = Empirical::uniform(Points::from_line(Law::target().atoms(config.atoms)))?;
    let mut worst = 0.0f64;
    // Parameters on the edges of the histogram's cells.
    for a in [0.0, 0.1, 0.2, 0.25, 0.375, 0.5] {
        let mu = Empirical::uniform(Points::from_line(Law::arc(a).atoms(config.atoms)))?;
        worst = worst.max((divergence.value(&mu, &target)? - (landscape.value)(a)).abs());
    }
    Ok(Some(worst))
}

/// Best responses in turns.
fn turns(report: &mut Report, config: &SaddleConfig) {
    let starts = config.cells / 2 + 1;
    let moves = |path: &[f64]| path.windows(2).map(|w| (w[1] - w[0]).abs()).fold(f64::INFINITY, f64::min);
    let mut least = f64::INFINITY;
    for start in 0..starts {
        for tie in TIES {
            let path = play::best_responses(Ground::Line, start, tie, config.cells, config.rounds);
            // The first answer may be shorter than the cycle.
            least = least.min(moves(&path[1..]));
        }
    }
    report.claim(Claim::at_least(
        format!(
            "best responses in turns go from end to end for ever: shortest move of the generator in {} rounds, from {starts} starts, \
             each with f = 0, ½ and 1 on ties",
            config.rounds
        ),
        least,
        0.5,
    ));
    let last = |tie: f64| {
        let path = play::best_responses(Ground::Circle, config.cells / 8, tie, config.cells, config.rounds);
        (moves(&path[1..]), Ground::Circle.distance_to_rest(path[path.len() - 1]))
    };
    report.claim(Claim::at_least(
        "with a solution (circle), best responses still cycle when f = 1 on ties: shortest move",
        last(1.0).0,
        0.5,
    ));
    report.claim(Claim::at_most(
        "with a solution (circle), they end in it when f = 0 on ties: distance to it",
        last(0.0).1,
        1e-12,
    ));
}

/// Descent on the value against the exact adversary.
fn exact(report: &mut Report, config: &SaddleConfig) {
    let step = 0.01;
    let ends = |ground: Ground| {
        (1..40).filter(|k| *k != 20).map(|k| f64::from(k) / 80.0).fold(0.0f64, |worst, start| {
            let path = play::descend(ground, start, step, 400);
            worst.max(ground.distance_to_rest(path[path.len() - 1]))
        })
    };
    report.claim(Claim::at_most(
        "descent on TV with the exact inner maximum stops at a = 0 or ½: distance from there, worst of 38 starts",
        ends(Ground::Line),
        1e-12,
    ));
    report.claim(Claim::at_most(
        "with a solution (circle), the same descent ends in it, to within a step: distance, worst of 38 starts",
        ends(Ground::Circle),
        2.0 * step,
    ));
    let stays = play::descend(Ground::Line, 0.25, step, 400)[400] - 0.25;
    report.claim(Claim::at_most(
        "a = ¼, where TV is largest, is the one start that descent does not leave: distance moved",
        stays.abs(),
        0.0,
    ));
    let worst = config.steps.iter().map(|&s| (play::measured_growth(s) / play::growth(s) - 1.0).abs());
    report.claim(Claim::at_most(
        "near the solution, the circle of descent–ascent against the sine grows by √(1 + 16η²) a step: relative error over the step sizes",
        worst.fold(0.0, f64::max),
        1e-3,
    ));
}

/// A run of gradient descent–ascent.
pub(super) struct Played {
    ground: Ground,
    critic: &'static str,
    step: f64,
    path: Vec<f64>,
    /// The largest distance to where it should rest, over the last tenth.
    away: f64,
    /// The distance between the outermost parameters of the second half.
    swing: f64,
}

fn simultaneous(report: &mut Report, config: &SaddleConfig) -> Vec<Played> {
    let mut runs = Vec::new();
    for ground in [Ground::Line, Ground::Circle] {
        for critic in [Critic::Cells(vec![0.5; config.cells]), Critic::Wave([0.0; 2]), Critic::Sine(0.0)] {
            for &step in &config.steps {
                let count = (config.time / step) as usize;
                // On the circle from as far beside the solution as the footnote's start lies from its end.
                let start = if ground == Ground::Line { config.start } else { 0.75 + config.start };
                let path = play::descend_ascend(ground, critic.clone(), start, step, count);
                let tail = &path[path.len() - path.len() / 10 - 1..];
                let away = tail.iter().map(|&a| ground.distance_to_rest(a)).fold(0.0, f64::max);
                let swing = play::swing(&path[path.len() / 2..]);
                runs.push(Played { ground, critic: critic.words(), step, path, away, swing });
            }
        }
    }
    let columns =
        ["game", "adversary", "step", "steps", "last a", "farthest from rest", "over step", "swing"];
    let mut table = Table::new("descent-ascent", "Simultaneous gradient descent–ascent", &columns);
    for run in &runs {
        table.push(vec![
            run.ground.words().into(),
            run.critic.into(),
            run.step.into(),
            (run.path.len() - 1).into(),
            run.path[run.path.len() - 1].into(),
            run.away.into(),
            (run.away / run.step).into(),
            run.swing.into(),
        ]);
    }
    report.table(table);
    let of = |ground, critic: &Critic| {
        let words = critic.words();
        runs.iter().filter(move |r| r.ground == ground && r.critic == words)
    };
    let (cells, wave, sine) = (Critic::Cells(Vec::new()), Critic::Wave([0.0; 2]), Critic::Sine(0.0));
    report.claim(Claim::at_most(
        "footnote 3: descent–ascent comes to rest at a = 0 or ½ for every step size and the adversaries that see a: distance from there",
        of(Ground::Line, &cells).chain(of(Ground::Line, &wave)).map(|r| r.away).fold(0.0, f64::max),
        1e-12,
    ));
    report.claim(Claim::at_least(
        "with a solution, descent–ascent against the sine circles it for ever: swing over the second half, least over step sizes",
        of(Ground::Circle, &sine).map(|r| r.swing).fold(f64::INFINITY, f64::min),
        0.25,
    ));
    report.claim(Claim::at_most(
        "with a solution, against cosine and sine it comes to rest there: distance at the end, worst over step sizes",
        of(Ground::Circle, &wave).map(|r| r.away).fold(0.0, f64::max),
        1e-6,
    ));
    report.claim(Claim::at_most(
        "with a solution, against all functions into [0, 1] it comes as close as its step allows: distance over step, worst",
        of(Ground::Circle, &cells).map(|r| r.away / r.step).fold(0.0, f64::max),
        4.0,
    ));
    runs
}

fn notes(report: &mut Report) {
    report.note(
        "The generator minimises sup_f ⟨f|μ_a − μ₁⟩, eq. (2): it flees from where f is large. The footnote has it run towards \
         1_(½,1); with the sign of (2) it runs to (0, ½) instead, and the story is the same with the ends exchanged.",
    );
    report.note(
        "The adversary's best response is not unique: where both densities are equal any value of f is as good. In the footnote's \
         game the cycle does not depend on it. On the circle, where μ_¾ = μ₁, it does: f = 1 on ties drives the generator half a \
         turn away each time, f = 0 on ties lets it step into the solution. Responses in turns are the culprit, and so is the \
         choice on ties; the value sup_f itself has no cycle to offer.",
    );
    report.note(
        "Gradient steps on both sides need not cycle. Near the solution of the circle the generator and the weight of the sine turn \
         round each other, and explicit steps spiral out. The weight of the cosine, which vanishes there to first order, adds up \
         every error there has been, always with one sign: it grows until it pulls the generator back, and play comes to rest. An \
         adversary free to be any function does the same up to the length of a step.",
    );
    report.note(
        "What misspecification does: TV, Jensen–Shannon, MMD and D₂ are largest at a = ¼, where the energy distance and W₂ are \
         smallest, and W₁ does not care. No divergence is wrong; when no μ_a is μ₁ the question is what one is willing to get \
         wrong. On the circle every one of them is zero at one and the same a.",
    );
}
