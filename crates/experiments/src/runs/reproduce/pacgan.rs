//! Mode counts by the protocol of Lin et al., *PacGAN: the power of two samples in generative adversarial networks*,
//! arXiv 1712.04086, with what keeps them honest: a mode that is found must also have its share and its width.

use super::{cell, mean_and_spread};
use crate::context::{Budget, Context};
use crate::failure::Result;
use crate::report::{Cell, Claim, Relation, Report, Table};
use crate::runs::Choice;
use measures::zoo::GaussianMixture;
use measures::{Points, Sample, Seed};
use models::Draws;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The protocol of the table pacgan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PacganConfig {
    /// The method.
    pub method: Choice,
    /// Steps of training.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// The mixtures.
    pub mixtures: Vec<Mixture>,
    /// Points that are generated and counted.
    #[schemars(range(min = 100))]
    pub n: usize,
    /// Points by which the width of every mode is measured: among those that are counted, a mode has too few.
    #[schemars(range(min = 1000))]
    pub width_points: usize,
    /// Samples of the mixture itself whose mean figures are the floor.
    #[schemars(range(min = 1))]
    pub floors: u64,
}

impl Default for PacganConfig {
    fn default() -> Self {
        PacganConfig {
            method: Choice::new("transport").expect("there is such a method"),
            steps: 8000,
            mixtures: vec![Mixture::Ring, Mixture::Grid],
            n: 2500,
            width_points: 50_000,
            floors: 20,
        }
    }
}

/// A mixture of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mixture {
    /// Eight modes on the unit circle, σ = 0.01.
    Ring,
    /// 5×5 modes of spacing 2, σ = 0.05.
    Grid,
}

impl Mixture {
    fn name(self) -> &'static str {
        match self {
            Mixture::Ring => "ring",
            Mixture::Grid => "grid",
        }
    }

    fn law(self) -> GaussianMixture {
        match self {
            Mixture::Ring => GaussianMixture::ring_pacgan(),
            Mixture::Grid => GaussianMixture::grid_25(),
        }
    }

    /// The best published modes, part of good points, and reverse KL where it is known.
    fn published(self) -> (f64, f64, Option<f64>) {
        match self {
            Mixture::Ring => (7.9, 0.956, None),
            Mixture::Grid => (24.8, 0.936, Some(0.04)),
        }
    }
}

/// A point is good within so many σ of its nearest mode, as published.
const REACH: f64 = 3.0;

/// What a sample is counted to have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Counts {
    /// Modes that are the nearest of a good point.
    modes: f64,
    /// The part of points that are good.
    good: f64,
    /// KL of the law of nearest modes from the uniform one, over all points.
    reverse_kl: f64,
    /// The least share of a mode, as a multiple of 1/K.
    least_share: f64,
}

/// The figures of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Measured {
    counts: Counts,
    /// The standard deviation within the narrowest and the widest mode, over σ.
    widths: (f64, f64),
    seconds: f64,
    /// Where training diverged.
    diverged: Option<u64>,
}

/// The nearest mode of every point, and the squared distance to it in units of σ².
fn nearest(x: &Points, law: &GaussianMixture) -> Vec<(usize, f64)> {
    let means = law.means();
    let sigma = law.sigmas()[0];
    let one = |x: &[f64]| {
        let squared = |k: usize| x.iter().zip(means.row(k)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let all = (0..means.len()).map(|k| (k, squared(k) / (sigma * sigma)));
        all.min_by(|a, b| a.1.total_cmp(&b.1)).expect("a mixture has a mode")
    };
    x.rows().map(one).collect()
}

fn count(x: &Points, law: &GaussianMixture) -> Counts {
    let (k, n) = (law.components(), x.len() as f64);
    let (mut all, mut good) = (vec![0.0; k], vec![0.0; k]);
    for (mode, square) in nearest(x, law) {
        all[mode] += 1.0 / n;
        if square < REACH * REACH {
            good[mode] += 1.0 / n;
        }
    }
    let kl = |share: &f64| if *share > 0.0 { share * (share * k as f64).ln() } else { 0.0 };
    Counts {
        modes: good.iter().filter(|g| **g > 0.0).count() as f64,
        good: good.iter().sum(),
        reverse_kl: all.iter().map(kl).sum(),
        least_share: all.iter().copied().fold(f64::INFINITY, f64::min) * k as f64,
    }
}

/// ½E‖X‖² of a standard Gaussian in the plane that is known to lie within the reach: what cutting off its tail leaves of its
/// variance.
fn kept_variance() -> f64 {
    let tail = (-0.5 * REACH * REACH).exp();
    1.0 - 0.5 * REACH * REACH * tail / (1.0 - tail)
}

/// The standard deviation within the narrowest and the widest mode, over σ: of good points, since one bad point weighs more
/// than a hundred good ones, and corrected for what that cuts off. A mode without a good point has the width zero.
fn widths(x: &Points, law: &GaussianMixture) -> (f64, f64) {
    let mut sums = vec![(0.0, 0.0); law.components()];
    for (mode, square) in nearest(x, law) {
        if square < REACH * REACH {
            sums[mode] = (sums[mode].0 + 1.0, sums[mode].1 + square);
        }
    }
    let width = |&(n, sum): &(f64, f64)| {
        if n > 0.0 { (sum / (n * x.dim() as f64 * kept_variance())).sqrt() } else { 0.0 }
    };
    let all = sums.iter().map(width);
    (all.clone().fold(f64::INFINITY, f64::min), all.fold(0.0, f64::max))
}

fn measure(
    context: &Context<'_>,
    config: &PacganConfig,
    mixture: Mixture,
    run: u64,
    stem: &str,
) -> Result<Measured> {
    let (law, number) = (mixture.law(), context.seed_number().wrapping_add(run));
    let source = Draws::new(law.clone(), mixture.name());
    let budget = Budget { steps: config.steps, ema: Some(0.999), ..Budget::default() };
    let train = context.train_config(&budget, number);
    let started = Instant::now();
    let method = config.method.method()?;
    let trained = context.train_by_name(stem, method, config.method.settings(), train, &source)?;
    let seconds = started.elapsed().as_secs_f64();
    let diverged = trained.diverged();
    let seed = Seed::new(number).named("pacgan");
    let counts = count(&trained.model.generate(config.n, seed.named("counted"))?, &law);
    let widths = widths(&trained.model.generate(config.width_points, seed.named("widths"))?, &law);
    Ok(Measured { counts, widths, seconds, diverged })
}

/// The mean figures of samples of the mixture itself.
fn floor(config: &PacganConfig, law: &GaussianMixture, seed: Seed) -> Counts {
    let draw = |k: u64| count(&law.sample(config.n, &mut seed.stream(k)), law);
    let all: Vec<Counts> = (0..config.floors).map(draw).collect();
    let of = |figure: fn(&Counts) -> f64| mean_and_spread(&all.iter().map(figure).collect::<Vec<_>>()).0;
    Counts {
        modes: of(|c| c.modes),
        good: of(|c| c.good),
        reverse_kl: of(|c| c.reverse_kl),
        least_share: of(|c| c.least_share),
    }
}

const COLUMNS: [&str; 10] =
    ["mixture", "figure", "paper", "ours", "ours, spread", "least", "most", "floor", "bar", "verdict"];

pub(super) fn run(context: &mut Context<'_>, config: &PacganConfig, seeds: u64) -> Result<Report> {
    let mut report = Report::new(format!(
        "Does one step of {} find every mode of the mixtures on which mode collapse is counted (arXiv 1712.04086), each with its \
         share and its width?",
        config.method.name()
    ));
    let mut table = Table::new(
        "pacgan",
        format!("{} points, {seeds} runs of {}", config.n, config.method.name()),
        &COLUMNS,
    );
    for &mixture in &config.mixtures {
        let mut cells = Vec::new();
        for run in 0..seeds {
            let stem = format!("pacgan-{}-{}-{run}", mixture.name(), config.method.name());
            cells.push(cell(context, &stem, || measure(context, config, mixture, run, &stem))?);
        }
        let floor = floor(config, &mixture.law(), context.seed().named("floor").named(mixture.name()));
        add(&mut report, &mut table, config, mixture, &cells, &floor);
    }
    report.table(table);
    report.note(format!(
        "A point is good within 3σ of its nearest mode; a mode is found when a good point is nearest to it; reverse KL is that of the \
         law of nearest modes, over all points, from the uniform one. The floor is the mean of the same figures over {} samples of the \
         mixture. Modes, good points and shares are counted among {} points. Widths are standard deviations of good points within \
         a mode over σ, corrected for what lies beyond 3σ, among {} points. Every run is held to its bar, not their mean. Counts alone \
         are weak: uniform noise over the grid finds most modes evenly, points at the modes are all good.",
        config.floors, config.n, config.width_points
    ));
    Ok(report)
}

fn add(
    report: &mut Report,
    table: &mut Table,
    config: &PacganConfig,
    mixture: Mixture,
    cells: &[Measured],
    floor: &Counts,
) {
    let name = mixture.name();
    for at in cells.iter().filter_map(|c| c.diverged) {
        report.note(format!("{name}: training diverged at step {at}."));
    }
    let modes = mixture.law().components() as f64;
    let (paper_modes, paper_good, paper_kl) = mixture.published();
    // The part of a Gaussian in the plane within the reach, and three standard errors of a count of it.
    let natural = 1.0 - (-0.5 * REACH * REACH).exp();
    let most_good = natural + 3.0 * (natural * (1.0 - natural) / config.n as f64).sqrt();
    let mut row = |figure: &str,
                   of: fn(&Measured) -> f64,
                   paper: Option<f64>,
                   floor: Option<f64>,
                   bars: &[(Relation, f64)]| {
        let all: Vec<f64> = cells.iter().map(of).collect();
        let (ours, spread) = mean_and_spread(&all);
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut holds = true;
        for &(relation, bound) in bars {
            let (which, value) =
                if relation == Relation::AtLeast { ("least", least) } else { ("most", most) };
            let claim =
                Claim::new(format!("{name}: {figure}, the {which} of all runs"), value, relation, bound);
            holds &= claim.holds;
            report.claim(claim);
        }
        let bar: Vec<String> = bars.iter().map(|(r, b)| format!("{} {b:.4}", r.sign())).collect();
        table.push(vec![
            name.into(),
            figure.into(),
            paper.into(),
            ours.into(),
            spread.into(),
            least.into(),
            most.into(),
            floor.into(),
            Cell::from(bar.join(", ")),
            if holds { "holds" } else { "falls short" }.into(),
        ]);
    };
    let (least, most) = (Relation::AtLeast, Relation::AtMost);
    row("modes", |c| c.counts.modes, Some(paper_modes), Some(floor.modes), &[(least, modes)]);
    row("good", |c| c.counts.good, Some(paper_good), Some(floor.good), &[(least, 0.97), (most, most_good)]);
    let kl = floor.reverse_kl + 0.005;
    row("reverse KL", |c| c.counts.reverse_kl, paper_kl, Some(floor.reverse_kl), &[(most, kl)]);
    row("least share × K", |c| c.counts.least_share, None, Some(floor.least_share), &[(least, 0.5)]);
    row("narrowest width / σ", |c| c.widths.0, None, Some(1.0), &[(least, 0.9)]);
    row("widest width / σ", |c| c.widths.1, None, Some(1.0), &[(most, 1.1)]);
    row("seconds a run", |c| c.seconds, None, None, &[]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::rand::RngExt;

    /// The mixture itself passes; what only looks like it is seen through by one figure or another.
    #[test]
    fn figures_tell_the_mixture_from_what_resembles_it() {
        let law = GaussianMixture::grid_25();
        let mut rng = Seed::new(5).rng();
        let truth = count(&law.sample(2500, &mut rng), &law);
        assert_eq!(truth.modes, 25.0);
        assert!((truth.good - 0.9889).abs() < 0.009 && truth.reverse_kl < 0.0125 && truth.least_share > 0.5);
        let (narrow, wide) = widths(&law.sample(50_000, &mut rng), &law);
        assert!(0.94 < narrow && wide < 1.06, "{narrow} {wide}");
        // Uniform noise is even, and bad.
        let noise = Points::from_fn(2500, 2, |_, row| row.fill_with(|| 10.0 * rng.random::<f64>() - 5.0));
        let noise = count(&noise, &law);
        assert!(noise.modes > 15.0 && noise.reverse_kl < 0.015 && noise.good < 0.02);
        // Points at the modes are good, and have no width.
        assert_eq!(widths(law.means(), &law), (0.0, 0.0));
        // One mode lost, the rest kept.
        let kept: Vec<usize> = (0..24).collect();
        let lost = GaussianMixture::equal(law.means().select(&kept), 0.05).unwrap();
        let lost = count(&lost.sample(2500, &mut rng), &law);
        assert_eq!((lost.modes, lost.least_share), (24.0, 0.0));
        assert!((lost.reverse_kl - (25.0f64 / 24.0).ln()).abs() < 0.01);
    }
}
