//! Section 2, "Guarantees": D² is convex in μ, and where that ends to help.

use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::registry::Experiment;
use crate::report::{Claim, Relation, Report, Table};
use divergences::kernel::Gaussian;
use divergences::transport::Wasserstein;
use divergences::{Divergence, EnergyDistance, MeanIpm, Mmd, Statistic, family::FourierLattice};
use flows::descent::Descent;
use measures::nalgebra::{Matrix3, SymmetricEigen};
use measures::rand::RngExt as _;
use measures::{Empirical, Points, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the guarantee of section 2 holds and where it ends.
pub struct Guarantees;

/// Settings of [`Guarantees`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuaranteesConfig {
    /// Random triples of measures on which convexity is checked.
    #[schemars(range(min = 1, max = 100_000))]
    pub trials: usize,
    /// Steps of mirror descent on the weights.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub steps: usize,
    /// Particles on the line that descend the energy distance.
    #[schemars(range(min = 2, max = 2000))]
    pub particles: usize,
    /// Starts of three particles that descend the MMD.
    #[schemars(range(min = 10, max = 10_000))]
    pub starts: usize,
}

impl Default for GuaranteesConfig {
    fn default() -> Self {
        GuaranteesConfig { trials: 200, steps: 4000, particles: 40, starts: 200 }
    }
}

impl Experiment for Guarantees {
    const NAME: &'static str = "guarantees";
    const PAPER: &'static str = "section 2, guarantees";
    const ABOUT: &'static str =
        "D² is convex in μ, yet particles and parameters stall: where the guarantee ends";
    type Config = GuaranteesConfig;

    fn run(context: &mut Context<'_>, config: &GuaranteesConfig) -> Result<Report> {
        let mut report = Report::new(
            "Section 2: μ ↦ D(μ, μ₁) has a unique local minimum, μ = μ₁, reachable through gradient descent. For which descent is that \
             true?",
        );
        convexity(&mut report, config, context.seed())?;
        context.check_stop()?;
        let mirror = weights(&mut report, config)?;
        context.check_stop()?;
        line(&mut report, config)?;
        let stuck = particles(&mut report, config, context)?;
        context.check_stop()?;
        parameters(&mut report)?;
        report.figure(draw(&mirror, &stuck)?);
        report.figure(draw_parameters());
        report.note(
            "The statement is about mixtures (1 − s)μ + sν, along which D² is convex, exactly quadratic for MMD and D₂. Descent in the \
             weights of fixed atoms follows that geometry and reaches the minimum at the rate mirror descent promises.",
        );
        report.note(
            "Moving particles, or the parameters of a map, is another geometry, in which D² is not convex. The local minimum below is \
             strict: its Hessian is positive definite, so gradient descent in the positions stays in it, although mixing the smallest \
             part of the target into the same measure lowers D² at the rate −2D². On the line the energy distance happens to be convex \
             in the sorted positions as well, and particles always arrive.",
        );
        Ok(report)
    }
}

fn empirical(x: Vec<f64>) -> Result<Empirical> {
    Ok(Empirical::uniform(Points::from_line(x))?)
}

/// (1 − s)μ + sν.
fn mix(mu: &Empirical, nu: &Empirical, s: f64) -> Result<Empirical> {
    let weights =
        mu.weights().iter().map(|w| (1.0 - s) * w).chain(nu.weights().iter().map(|w| s * w)).collect();
    Ok(Empirical::weighted(mu.points().concat(nu.points())?, weights)?)
}

fn convexity(report: &mut Report, config: &GuaranteesConfig, seed: Seed) -> Result<()> {
    let gaussian = Mmd::new(Gaussian::new(0.3)?, Statistic::Plugin);
    let energy = EnergyDistance::new(Statistic::Plugin);
    let mean = MeanIpm::new(FourierLattice::line(10)?, Statistic::Plugin);
    let transport = Wasserstein::new(1.0)?;
    let squares: [(&str, &dyn Divergence); 3] = [("MMD²", &gaussian), ("energy", &energy), ("D₂²", &mean)];
    let mut rng = seed.named("convexity").rng();
    let mut cloud = |n: usize| empirical((0..n).map(|_| rng.random::<f64>()).collect());
    let (mut identity, mut chord, mut smallest) = (0.0f64, f64::NEG_INFINITY, f64::INFINITY);
    for trial in 0..config.trials {
        let (mu, nu, target) = (cloud(3 + trial % 5)?, cloud(4)?, cloud(6)?);
        let s = 0.1 + 0.8 * (trial as f64 / config.trials as f64);
        let mixed = mix(&mu, &nu, s)?;
        for (_, d) in squares {
            let ends = (1.0 - s) * d.value(&mu, &target)? + s * d.value(&nu, &target)?;
            let gain = s * (1.0 - s) * d.value(&mu, &nu)?;
            identity = identity.max((d.value(&mixed, &target)? - ends + gain).abs());
            smallest = smallest.min(gain);
        }
        let ends = (1.0 - s) * transport.value(&mu, &target)? + s * transport.value(&nu, &target)?;
        chord = chord.max(transport.value(&mixed, &target)? - ends);
    }
    report.claim(Claim::at_most(
        "MMD², energy and D₂² along mixtures: D²((1−s)μ + sν) = (1−s)D²(μ) + sD²(ν) − s(1−s)D²(μ, ν), largest error",
        identity,
        1e-12,
    ));
    report.claim(Claim::at_least(
        "their curvature D²(μ, ν) along mixtures is not negative: smallest s(1−s)D²(μ, ν)",
        smallest,
        0.0,
    ));
    report.claim(Claim::at_most(
        "W₁, a supremum (2), is convex along mixtures: largest rise above the chord",
        chord,
        1e-12,
    ));
    Ok(())
}

/// D² along mirror descent, and the bound KL(w*|w⁰)/(ηT).
struct Mirror {
    values: Vec<f64>,
    bound: Vec<f64>,
}

fn weights(report: &mut Report, config: &GuaranteesConfig) -> Result<Mirror> {
    // The target sits on eight of 41 atoms; the start is uniform on all.
    let atoms: Vec<f64> = (0..41).map(|k| f64::from(k) / 40.0).collect();
    let on: Vec<usize> = (0..8).map(|k| 5 * k + 1).collect();
    let target = empirical(on.iter().map(|&k| atoms[k]).collect())?;
    let mmd = Mmd::new(Gaussian::new(0.1)?, Statistic::Plugin);
    let toward = mmd.toward(&target)?;
    // ‖D²‖ is 2-smooth for ‖·‖₁ because k ≤ 1, so the step ½ makes mirror descent monotone with this bound.
    let (eta, divergence) = (0.5, (41.0f64 / 8.0).ln());
    let mut mu = empirical(atoms)?;
    let (mut values, mut bound, mut rise) = (Vec::new(), Vec::new(), f64::NEG_INFINITY);
    for step in 0..=config.steps {
        let variation = toward.variation(&mu)?;
        if let Some(last) = values.last() {
            rise = rise.max(variation.value - last);
        }
        values.push(variation.value);
        bound.push(if step == 0 { f64::NAN } else { divergence / (eta * step as f64) });
        let moved =
            mu.weights().iter().zip(&variation.d_weights).map(|(w, h)| w * (-eta * h).exp()).collect();
        mu = Empirical::normalised(mu.points().clone(), moved)?;
    }
    let over = values.iter().zip(&bound).skip(1).map(|(v, b)| v / b).fold(0.0, f64::max);
    report.claim(Claim::at_most(
        "mirror descent on the weights: D² over its bound KL(w*|w⁰)/(ηT), largest",
        over,
        1.0,
    ));
    report.claim(Claim::at_most("it falls at every step: largest rise", rise, 1e-15));
    let last = values[values.len() - 1];
    report.claim(Claim::at_most(
        format!("D² after {} steps, as a part of its start", config.steps),
        last / values[0],
        1e-2,
    ));
    Ok(Mirror { values, bound })
}

/// On the line the energy distance is convex in the sorted positions: particles arrive from anywhere.
fn line(report: &mut Report, config: &GuaranteesConfig) -> Result<()> {
    let n = config.particles;
    // A fine sample of the uniform law; its n-point quantiles are the best there is: D² = 1/(6n²).
    let fine = 50 * n;
    let target = empirical((0..fine).map(|k| (k as f64 + 0.5) / fine as f64).collect())?;
    let energy = EnergyDistance::new(Statistic::Plugin);
    let toward = energy.toward(&target)?;
    let best = toward.value(&empirical((0..n).map(|k| (k as f64 + 0.5) / n as f64).collect())?)?;
    let mut worst = 0.0f64;
    // Far to one side, spread too wide, and nearly in one place.
    for start in [(3.0, 0.01), (-4.0, 9.0), (0.5, 1e-6)] {
        let x = (0..n).map(|k| start.0 + start.1 * k as f64 / n as f64).collect();
        let found = Descent::new(0.1, 5000, 1e-9)?.run(&toward, &empirical(x)?)?;
        let last = found.values[found.values.len() - 1];
        worst = worst.max(last / best - 1.0);
    }
    report.claim(Claim::at_most(
        format!("{n} particles descend the energy distance on the line: excess over the best {n} points, as a part, worst of 3 starts"),
        worst,
        0.02,
    ));
    Ok(())
}

/// The three modes of the target, two of them close, far from the third in bandwidths.
const MODES: [f64; 3] = [-5.0, 5.0, 6.0];

/// Where three particles stall.
struct Stuck {
    /// The strict local minimum.
    at: Vec<f64>,
    /// The values at which random starts ended.
    ends: Vec<f64>,
}

fn particles(report: &mut Report, config: &GuaranteesConfig, context: &Context<'_>) -> Result<Stuck> {
    let target = empirical(MODES.to_vec())?;
    let mmd = Mmd::new(Gaussian::new(1.0)?, Statistic::Plugin);
    let toward = mmd.toward(&target)?;
    let descent = Descent::new(1.0, 20_000, 1e-13)?;
    // Two particles on the mode of one, one on the modes of two.
    let found = descent.run(&toward, &empirical(vec![-5.5, -4.5, 5.5])?)?;
    let value = found.values[found.values.len() - 1];
    let at = found.measure.points().column(0);
    let gradient =
        |x: &[f64]| -> Result<Vec<f64>> { Ok(toward.variation(&empirical(x.to_vec())?)?.d_points.column(0)) };
    let h = 1e-5;
    let mut hessian = Matrix3::zeros();
    for k in 0..3 {
        let (mut above, mut below) = (at.clone(), at.clone());
        above[k] += h;
        below[k] -= h;
        let (above, below) = (gradient(&above)?, gradient(&below)?);
        for i in 0..3 {
            hessian[(i, k)] = (above[i] - below[i]) / (2.0 * h);
        }
    }
    let hessian = (hessian + hessian.transpose()) * 0.5;
    let least = SymmetricEigen::new(hessian).eigenvalues.min();
    let slope = gradient(&at)?.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    report.claim(Claim::at_most("three particles stall: gradient of MMD² where they do", slope, 1e-7));
    report.claim(Claim::new(
        "the Hessian there is positive definite: least eigenvalue",
        least,
        Relation::Above,
        1e-3,
    ));
    report.claim(Claim::at_least(
        "yet the target, with as many atoms, has MMD² = 0: its value where they stall",
        value,
        0.01,
    ));
    // The derivative along the mixture towards the target.
    let variation = toward.variation(&mix(&empirical(at.clone())?, &target, 0.0)?)?;
    let slope: f64 = variation.d_weights[3..].iter().sum::<f64>() / 3.0
        - variation.d_weights[..3].iter().sum::<f64>() / 3.0;
    report.claim(Claim::at_most(
        "and mixing in the target would lower it: derivative over −2 MMD², difference from 1",
        (slope / (-2.0 * value) - 1.0).abs(),
        1e-9,
    ));
    let mut table = Table::new(
        "stalls",
        "Three particles against three modes",
        &["starts that end at", "starts", "part"],
    );
    let mut ends = Vec::new();
    let mut stage = context.progress().stage("starts", config.starts as u64);
    for k in 0..config.starts {
        context.check_stop()?;
        let mut rng = context.seed().named("starts").stream(k as u64);
        let x = (0..3).map(|_| -7.0 + 15.0 * rng.random::<f64>()).collect();
        let run = Descent::new(1.0, 3000, 1e-7)?.run(&toward, &empirical(x)?)?;
        ends.push(run.values[run.values.len() - 1]);
        stage.at(k as u64 + 1, None);
    }
    drop(stage);
    let arrived = ends.iter().filter(|v| **v < 1e-6).count();
    for (name, count) in [("the target (MMD² below 10⁻⁶)", arrived), ("elsewhere", ends.len() - arrived)]
    {
        table.push(vec![name.into(), count.into(), (count as f64 / ends.len() as f64).into()]);
    }
    report.claim(Claim::new(
        format!("of {} random starts, part that does not reach the target", ends.len()),
        1.0 - arrived as f64 / ends.len() as f64,
        Relation::Above,
        0.2,
    ));
    report.table(table);
    Ok(Stuck { at, ends })
}

/// A well-specified model of one parameter, N(θ, s²) against N(3, s²), under the kernel of bandwidth h: MMD² in closed form.
fn location(theta: f64, s: f64, h: f64) -> (f64, f64) {
    let v = h * h + 2.0 * s * s;
    let (amplitude, z) = ((h * h / v).sqrt(), theta - 3.0);
    let cross = amplitude * (-z * z / (2.0 * v)).exp();
    (2.0 * amplitude - 2.0 * cross, 2.0 * cross * z / v)
}

fn parameters(report: &mut Report) -> Result<()> {
    let (s, h) = (0.1, 0.1);
    let (value, slope) = location(0.0, s, h);
    report.claim(Claim::at_most(
        "one parameter: N(θ, 0.1²) against N(3, 0.1²), h = 0.1, is flat far away: |dMMD²/dθ| at θ = 0",
        slope.abs(),
        1e-50,
    ));
    report.claim(Claim::at_least(
        "while MMD² there, as a part of the largest there is",
        value / (2.0 * (h * h / (h * h + 2.0 * s * s)).sqrt()),
        0.99,
    ));
    // The closed form against the implementation, on quantiles.
    let quantiles = |mean: f64| {
        let normal = statrs::distribution::Normal::new(mean, s).expect("s is positive");
        let at =
            |k: usize| statrs::distribution::ContinuousCDF::inverse_cdf(&normal, (k as f64 + 0.5) / 2000.0);
        empirical((0..2000).map(at).collect())
    };
    let mmd = Mmd::new(Gaussian::new(h)?, Statistic::Plugin);
    let found = mmd.value(&quantiles(2.8)?, &quantiles(3.0)?)?;
    report.claim(Claim::at_most(
        "the closed form against the implementation at θ = 2.8",
        (found - location(2.8, s, h).0).abs(),
        1e-3,
    ));
    Ok(())
}

fn draw(mirror: &Mirror, stuck: &Stuck) -> Result<Figure> {
    let steps = |v: &[f64]| v.iter().enumerate().skip(1).map(|(k, v)| (k as f64, *v)).collect::<Vec<_>>();
    let weights = Panel::new("weights: mirror descent", Axis::log("step"), Axis::log("D²"))
        .line("MMD²", Color::Blue, Dash::Solid, steps(&mirror.values))
        .line("bound", Color::Grey, Dash::Dotted, steps(&mirror.bound));
    // MMD² over the place of one particle, the others where they stall.
    let target = empirical(MODES.to_vec())?;
    let mmd = Mmd::new(Gaussian::new(1.0)?, Statistic::Plugin);
    let mut landscape = Vec::new();
    for k in 0..=300 {
        let x = -8.0 + 17.0 * f64::from(k) / 300.0;
        landscape.push((x, mmd.value(&empirical(vec![x, stuck.at[1], stuck.at[2]])?, &target)?));
    }
    let here = mmd.value(&empirical(stuck.at.clone())?, &target)?;
    let positions = Panel::new("positions: one particle moved", Axis::new("its place"), Axis::new("MMD²"))
        .line("MMD²", Color::Blue, Dash::Solid, landscape)
        .dots("where it stalls", Color::Orange, vec![(stuck.at[0], here)]);
    let mut ends = stuck.ends.clone();
    ends.sort_by(f64::total_cmp);
    let count = ends.len() as f64;
    let sorted = ends.iter().enumerate().map(|(k, v)| (k as f64 / count, v.max(1e-16))).collect();
    let spread = Panel::new("where random starts end", Axis::new("part of the starts"), Axis::log("MMD²"))
        .line("MMD² at the end", Color::Orange, Dash::Solid, sorted);
    let caption = "Left: in the weights the minimum is reached, faster than the bound. Middle: the same divergence over the place of one of \
                   three particles, with a barrier between it and the mode that has none. Right: the values at which descent from \
                   random places ends.";
    Ok(Figure::new("stall", "Weights arrive, positions stall", caption, vec![weights, positions, spread]))
}

fn draw_parameters() -> Figure {
    let grid = |f: &dyn Fn(f64) -> f64| {
        (0..=600).map(|k| f64::from(k) / 100.0).map(|t| (t, f(t))).collect::<Vec<_>>()
    };
    let mut panel = Panel::new("", Axis::new("θ"), Axis::new("MMD² as a part of its largest"));
    for (k, h) in [0.1, 0.5, 2.0].into_iter().enumerate() {
        let most = 2.0 * (h * h / (h * h + 0.02f64)).sqrt();
        panel = panel.line(
            format!("h = {h}"),
            Color::of_series(k),
            Dash::Solid,
            grid(&|t| location(t, 0.1, h).0 / most),
        );
    }
    let caption = "MMD² between N(θ, 0.1²) and N(3, 0.1²) over the one parameter of a model that contains the target. The minimum is unique and \
                   the loss convex in μ; as a function of θ it is flat where the bandwidth does not reach.";
    Figure::new("parameter", "One parameter", caption, vec![panel])
}
