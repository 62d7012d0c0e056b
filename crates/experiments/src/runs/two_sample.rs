//! Power of two-sample tests, beside their rate of false alarms.

use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::registry::Experiment;
use crate::report::{Claim, Report, Table};
use crate::spec;
use divergences::MeanIpm;
use divergences::Statistic;
use divergences::family::RandomFrequencies;
use divergences::kernel::{Gaussian, Pairs, median_distance};
use divergences::quality::Frechet;
use divergences::test::{
    Relabelled, classifier_test, energy_test, mmd_test, neighbour_test, permutation_test,
};
use divergences::transport::{NormPower, SinkhornDivergence, SlicedWasserstein};
use measures::parallel::map_blocks;
use measures::{Points, Sample as _, Seed, zoo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

/// Power of every two-sample test against sample size and dimension.
pub struct TwoSample;

/// Settings of [`TwoSample`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TwoSampleConfig {
    /// Dimensions.
    pub dims: Vec<usize>,
    /// Sizes of both samples, ascending.
    pub sizes: Vec<usize>,
    /// Pairs of samples for every dimension, size and alternative.
    #[schemars(range(min = 10, max = 100_000))]
    pub trials: usize,
    /// Relabellings of each test.
    #[schemars(range(min = 19, max = 100_000))]
    pub permutations: usize,
    /// The level α: a test rejects when its p-value is at most this.
    pub level: f64,
    /// The alternative "location": the mean of the first coordinate.
    pub shift: f64,
    /// The alternative "scale": the standard deviation of the first coordinate.
    pub scale: f64,
    /// The alternative "shape": the first coordinate is ½N(−m, 1 − m²) + ½N(m, 1 − m²), of mean 0 and variance 1.
    pub modes: f64,
    /// Also test by the Sinkhorn divergence, which solves a transport problem a relabelling and takes minutes.
    pub sinkhorn: bool,
}

impl Default for TwoSampleConfig {
    fn default() -> Self {
        TwoSampleConfig {
            dims: vec![1, 4, 16],
            sizes: vec![25, 50, 100, 200],
            trials: 100,
            permutations: 99,
            level: 0.05,
            shift: 0.5,
            scale: 1.7,
            modes: 0.9,
            sinkhorn: false,
        }
    }
}

impl TwoSampleConfig {
    fn check(&self) -> Result<()> {
        let wrong = |key: &str, got: String, needs: &str| Err(spec::Error::value(key, got, needs).into());
        if self.dims.is_empty() || self.dims.contains(&0) {
            return wrong("dims", format!("{:?}", self.dims), "one dimension or more, each at least 1");
        }
        if self.sizes.len() < 2
            || self.sizes.iter().any(|&n| n < 10)
            || !self.sizes.is_sorted_by(|a, b| a < b)
        {
            return wrong(
                "sizes",
                format!("{:?}", self.sizes),
                "two sizes or more, ascending, each at least 10",
            );
        }
        if !(self.level * (self.permutations + 1) as f64 >= 1.0 && self.level < 1.0) {
            let needs = "below 1 and at least 1/(permutations + 1), the smallest p-value there is";
            return wrong("level", self.level.to_string(), needs);
        }
        if !(self.modes > 0.0 && self.modes < 1.0) {
            return wrong("modes", self.modes.to_string(), "inside (0, 1)");
        }
        if !(self.scale.is_finite() && self.scale > 0.0 && self.shift.is_finite()) {
            return wrong("scale", self.scale.to_string(), "finite and positive, and shift finite");
        }
        Ok(())
    }
}

/// What the second sample is drawn from; the first is always N(0, I).
const ALTERNATIVES: [&str; 4] = ["equal", "location", "scale", "shape"];

fn draw(config: &TwoSampleConfig, alternative: &str, n: usize, dim: usize, seed: Seed) -> Points {
    let mut x = zoo::Gaussian::standard(dim).sample(n, &mut seed.stream(0));
    let side = zoo::Gaussian::standard(1).sample(n, &mut seed.stream(1));
    for (row, side) in x.rows_mut().zip(side.rows()) {
        match alternative {
            "location" => row[0] += config.shift,
            "scale" => row[0] *= config.scale,
            "shape" => {
                row[0] =
                    config.modes * side[0].signum() + (1.0 - config.modes * config.modes).sqrt() * row[0];
            }
            _ => {}
        }
    }
    x
}

type Run = fn(&Points, &Points, usize, Seed) -> measures::Result<Relabelled>;

fn tests(sinkhorn: bool) -> Vec<(&'static str, Run)> {
    let mut all: Vec<(&'static str, Run)> = vec![
        ("energy", energy_test),
        ("MMD, median h", |x, y, b, seed| mmd_test(&Gaussian::new(bandwidth(x, y)?)?, x, y, b, seed)),
        ("MMD, 0.3 median h", |x, y, b, seed| {
            mmd_test(&Gaussian::new(0.3 * bandwidth(x, y)?)?, x, y, b, seed)
        }),
        ("5 nearest neighbours", |x, y, b, seed| neighbour_test(x, y, 5, b, seed)),
        ("5-NN classifier", |x, y, b, seed| classifier_test(x, y, 5, b, seed)),
        ("sliced W₂", |x, y, b, seed| {
            permutation_test(&SlicedWasserstein::new(2.0, 20, seed.named("directions"))?, x, y, b, seed)
        }),
        ("D₂, 40 frequencies", |x, y, b, seed| {
            let family =
                RandomFrequencies::gaussian(x.dim(), bandwidth(x, y)?, 40, seed.named("frequencies"))?;
            permutation_test(&MeanIpm::new(family, Statistic::Plugin), x, y, b, seed)
        }),
        ("Fréchet", |x, y, b, seed| permutation_test(&Frechet, x, y, b, seed)),
    ];
    if sinkhorn {
        all.push(("Sinkhorn", |x, y, b, seed| {
            let epsilon = 0.1 * bandwidth(x, y)?.powi(2);
            permutation_test(
                &SinkhornDivergence::new(epsilon, NormPower::squared_euclidean())?,
                x,
                y,
                b,
                seed,
            )
        }));
    }
    all
}

/// The median distance of the pooled sample, which relabelling does not change.
fn bandwidth(x: &Points, y: &Points) -> measures::Result<f64> {
    median_distance(x, y, Pairs::All)
}

/// One dimension, size and alternative: rejections of every test.
struct Cell {
    alternative: &'static str,
    dim: usize,
    n: usize,
    rejections: Vec<usize>,
}

impl Experiment for TwoSample {
    const NAME: &'static str = "two_sample";
    const PAPER: &'static str = "section 2";
    const ABOUT: &'static str =
        "power of every two-sample test against sample size and dimension, at controlled false alarms";
    type Config = TwoSampleConfig;

    fn run(context: &mut Context<'_>, config: &TwoSampleConfig) -> Result<Report> {
        config.check()?;
        let tests = tests(config.sinkhorn);
        let mut cells = Vec::new();
        let total = ALTERNATIVES.len() * config.dims.len() * config.sizes.len();
        let mut stage = context.progress().stage("cells", total as u64);
        for (a, &alternative) in ALTERNATIVES.iter().enumerate() {
            for &dim in &config.dims {
                for &n in &config.sizes {
                    context.check_stop()?;
                    let seed = context.seed().child(a as u64).child(dim as u64).child(n as u64);
                    let rejections = rejections(config, &tests, alternative, dim, n, seed)?;
                    cells.push(Cell { alternative, dim, n, rejections });
                    stage.at(cells.len() as u64, None);
                }
            }
        }
        drop(stage);
        let mut report = Report::new(format!(
            "Two samples of n points in dimension d are given: how often does each test see that their laws differ, when it is \
             wrong about equal laws in at most {} of 100 cases?",
            crate::figure::number(100.0 * config.level, 3)
        ));
        judge(&mut report, config, &tests, &cells)?;
        report.figure(figure(config, &tests, &cells));
        report.table(table(config, &tests, &cells));
        report.note(format!(
            "Each point of a curve is the part of {} pairs of samples that were rejected, each test by {} relabellings; one standard \
             error is at most {}. Under equal laws p-values by relabelling are valid in every dimension and at every size, which is \
             what the first panel and the first claim check.",
            config.trials,
            config.permutations,
            crate::figure::number(0.5 / (config.trials as f64).sqrt(), 2)
        ));
        report.note(
            "No test is best. The energy distance and the MMD of the median bandwidth look at location first; a shorter bandwidth sees \
             the shape that leaves mean and variance alone; the Fréchet distance, which knows two moments, cannot. All lose power with \
             the dimension when one coordinate of many differs.",
        );
        Ok(report)
    }
}

fn rejections(
    config: &TwoSampleConfig,
    tests: &[(&'static str, Run)],
    alternative: &str,
    dim: usize,
    n: usize,
    seed: Seed,
) -> Result<Vec<usize>> {
    let outcomes = map_blocks(config.trials, 1, |trials| {
        let mut hits = vec![0; tests.len()];
        for trial in trials {
            let seed = seed.child(trial as u64);
            let x = draw(config, "equal", n, dim, seed.named("first"));
            let y = draw(config, alternative, n, dim, seed.named("second"));
            for (hit, (_, test)) in hits.iter_mut().zip(tests) {
                *hit += usize::from(
                    test(&x, &y, config.permutations, seed.named("labels"))?.rejects(config.level),
                );
            }
        }
        Ok::<_, measures::Error>(hits)
    });
    let mut sums = vec![0; tests.len()];
    for hits in outcomes {
        let hits: Vec<usize> = hits?;
        sums.iter_mut().zip(hits).for_each(|(s, h)| *s += h);
    }
    Ok(sums)
}

fn power(
    config: &TwoSampleConfig,
    cells: &[Cell],
    alternative: &str,
    dim: usize,
    n: usize,
    test: usize,
) -> f64 {
    let of = |c: &&Cell| c.alternative == alternative && c.dim == dim && c.n == n;
    cells.iter().find(of).map_or(f64::NAN, |c| c.rejections[test] as f64 / config.trials as f64)
}

fn judge(
    report: &mut Report,
    config: &TwoSampleConfig,
    tests: &[(&'static str, Run)],
    cells: &[Cell],
) -> Result<()> {
    let equal: Vec<&Cell> = cells.iter().filter(|c| c.alternative == "equal").collect();
    let pairs = (equal.len() * config.trials) as u64;
    let law = Binomial::new(config.level, pairs)
        .map_err(|_| spec::Error::value("level", config.level, "a probability"))?;
    let alarms = |t: usize| equal.iter().map(|c| c.rejections[t] as u64).sum::<u64>();
    // P(as many or more) if the rate were the level itself.
    let chance = |t: usize| match alarms(t) {
        0 => 1.0,
        hits => law.sf(hits - 1),
    };
    report.claim(Claim::at_least(
        format!(
            "false alarms: chance of as many at rate {}, least over the tests ({pairs} pairs of equal laws)",
            config.level
        ),
        (0..tests.len()).map(chance).fold(1.0, f64::min),
        1e-6,
    ));
    let index = |name: &str| tests.iter().position(|(n, _)| *n == name).expect("the test is listed");
    let (least, most) = (config.sizes[0], config.sizes[config.sizes.len() - 1]);
    let (low, high) = (config.dims[0], config.dims[config.dims.len() - 1]);
    let at = |alternative, dim, n, name| power(config, cells, alternative, dim, n, index(name));
    report.claim(Claim::at_least(
        format!("energy distance against a shift by {} in dimension {low}, n = {most}: power", config.shift),
        at("location", low, most, "energy"),
        0.9,
    ));
    report.claim(Claim::at_least(
        format!(
            "MMD with 0.3 of the median bandwidth against two modes in dimension {low}, n = {most}: power"
        ),
        at("shape", low, most, "MMD, 0.3 median h"),
        0.9,
    ));
    let noise = 5.0 * (config.level * (1.0 - config.level) / config.trials as f64).sqrt();
    report.claim(Claim::at_most(
        format!("Fréchet distance, blind to shape beyond two moments, against two modes in dimension {low}, n = {most}: power"),
        at("shape", low, most, "Fréchet"),
        config.level + noise,
    ));
    // Power grows with the sample, in sum over the alternatives and dimensions.
    let sum = |n: usize, t: usize| {
        let of = ALTERNATIVES[1..].iter().flat_map(|a| config.dims.iter().map(move |&d| (*a, d)));
        of.map(|(a, d)| power(config, cells, a, d, n, t)).sum::<f64>()
    };
    report.claim(Claim::at_least(
        format!("power at n = {most} less power at n = {least}, mean over alternatives and dimensions, least over the tests"),
        (0..tests.len())
            .map(|t| (sum(most, t) - sum(least, t)) / (3 * config.dims.len()) as f64)
            .fold(f64::INFINITY, f64::min),
        0.0,
    ));
    if high > low {
        let mean = |d: usize| {
            (0..tests.len()).map(|t| power(config, cells, "location", d, most, t)).sum::<f64>()
                / tests.len() as f64
        };
        report.claim(Claim::at_least(
            format!("a shift of one coordinate is harder to see in dimension {high} than in {low}: mean power lost at n = {most}"),
            mean(low) - mean(high),
            0.0,
        ));
    }
    Ok(())
}

fn figure(config: &TwoSampleConfig, tests: &[(&'static str, Run)], cells: &[Cell]) -> Figure {
    let mut panels = Vec::new();
    for alternative in ALTERNATIVES {
        for &dim in &config.dims {
            let mut panel = Panel::new(
                format!("{alternative}, d = {dim}"),
                Axis::log("n"),
                Axis::new("rejected").over(0.0, if alternative == "equal" { 0.3 } else { 1.02 }),
            )
            .level("level α", Color::Grey, Dash::Dotted, config.level);
            for (t, (name, _)) in tests.iter().enumerate() {
                let xy =
                    config.sizes.iter().map(|&n| (n as f64, power(config, cells, alternative, dim, n, t)));
                // Six colours, then again in dashes.
                let dash = if t < Color::SERIES.len() { Dash::Solid } else { Dash::Dashed };
                panel = panel.line(*name, Color::of_series(t), dash, xy.collect());
            }
            panels.push(panel);
        }
    }
    let caption = format!(
        "The part of pairs of samples rejected at level {}. Equal laws: N(0, I) twice, where no curve should stay above the level. \
         Location, scale and shape change the first coordinate alone.",
        config.level
    );
    Figure::new("power", "Power", caption, panels).in_rows_of(config.dims.len().min(4))
}

fn table(config: &TwoSampleConfig, tests: &[(&'static str, Run)], cells: &[Cell]) -> Table {
    let mut table = Table::new(
        "power-table",
        "All cells",
        &["alternative", "d", "n", "test", "rejected", "standard error"],
    );
    for cell in cells {
        for ((name, _), &hits) in tests.iter().zip(&cell.rejections) {
            let p = hits as f64 / config.trials as f64;
            let error = (p * (1.0 - p) / config.trials as f64).sqrt();
            table.push(vec![
                cell.alternative.into(),
                cell.dim.into(),
                cell.n.into(),
                (*name).into(),
                p.into(),
                error.into(),
            ]);
        }
    }
    table
}
