//! The schemes of eq. (7): fixed steps, steps that follow the error, exponential integrators, and stiff particles.

use super::IntegratorsConfig;
use super::ladder::Ladder;
use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::report::{Cell, Claim, Report, Table};
use flows::exponential::{self, Extrapolation, log_snr_mesh};
use flows::field::Pointwise;
use flows::ode::{BOGACKI_SHAMPINE, DOP853, DORMAND_PRINCE, METHODS, Ode, TSITOURAS, Tableau};
use flows::path::{MixturePath, Trigonometric, VariancePreserving};
use measures::zoo::{Gaussian, GaussianMixture};
use measures::{Points, Sample, Seed};

const ADAPTIVE: [Tableau; 4] = [BOGACKI_SHAMPINE, DORMAND_PRINCE, TSITOURAS, DOP853];
/// Errors above round-off.
const FLOOR: f64 = 2e-13;

pub(super) fn study(report: &mut Report, context: &Context<'_>, config: &IntegratorsConfig) -> Result<()> {
    let target = GaussianMixture::ring(8, 2.0, 0.5)?;
    let path = MixturePath::new(Trigonometric, &target)?;
    let z = Gaussian::standard(2).sample(config.particles, &mut context.seed().named("noise").rng());
    let exact = Ode::fixed(DOP853, 3000)?.solve(&path, &z, 0.0, 1.0)?.finished()?;
    let total = (METHODS.len() + ADAPTIVE.len() + 1) as u64;
    let mut stage = context.progress().stage("ordinary schemes", total);
    let (mut fixed, mut adaptive) = (Vec::new(), Vec::new());
    for method in METHODS {
        context.check_stop()?;
        fixed.push(by_fixed_steps(method, config.evaluations, &path, &z, &exact)?);
        stage.at(fixed.len() as u64, None);
    }
    for method in ADAPTIVE {
        context.check_stop()?;
        adaptive.push(by_tolerance(method, &config.tolerances, &path, &z, &exact)?);
        stage.at((fixed.len() + adaptive.len()) as u64, None);
    }
    let noised = diffusion(config.evaluations, &z, &target)?;
    drop(stage);

    for ladder in fixed.iter().chain(&noised[..4]) {
        let what = format!("{}: what the observed order falls short of {}", ladder.name, ladder.order);
        report.claim(Claim::at_most(what, ladder.order - order_of(ladder), 0.25));
    }
    report.figure(figure(&fixed, &adaptive));
    report.figure(exponential_figure(&noised));
    report.table(table(&fixed, &adaptive));
    stiff(report, config.particles)?;
    report.note(
        "The problem of the first figure is the probability flow of the path sin(πt/2) X₁ + cos(πt/2) X₀ from N(0, I) to eight Gaussians \
         on a ring of radius 2, σ = 0.5, in closed form; errors are root mean squares over the cloud against 3000 steps of DOP853.",
    );
    Ok(())
}

/// The order seen where the leading term rules: at errors the smaller the higher the order, of which round-off leaves the
/// highest few.
fn order_of(ladder: &Ladder) -> f64 {
    let (count, ceiling) = match ladder.order as u32 {
        0 | 1 => (4, 5e-2),
        2 => (4, 5e-3),
        3 | 4 => (4, 1e-3),
        5 => (4, 1e-4),
        _ => (3, 1e-6),
    };
    ladder.observed(count, ceiling, FLOOR)
}

fn rms(a: &Points, b: &Points) -> f64 {
    let sum: f64 = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).powi(2)).sum();
    (sum / a.len() as f64).sqrt()
}

/// Numbers of steps from a few to `most`, by a factor of 2^{1/2}.
fn counts(most: usize) -> impl Iterator<Item = usize> {
    let mut last = 0;
    (2..60)
        .map(|k| 2f64.powf(0.5 * f64::from(k)).round() as usize)
        .take_while(move |n| *n <= most)
        .filter(move |n| std::mem::replace(&mut last, *n) != *n)
}

fn by_fixed_steps(
    method: Tableau,
    evaluations: usize,
    path: &MixturePath<Trigonometric>,
    z: &Points,
    exact: &Points,
) -> Result<Ladder> {
    // FSAL methods share the last stage of a step with the next.
    let each = method.stages() - usize::from(method.fsal);
    let mut rungs = Vec::new();
    for n in counts(evaluations / each) {
        let run = Ode::fixed(method, n)?.solve(path, z, 0.0, 1.0)?;
        let cost = run.total().evaluations as f64 / z.len() as f64;
        rungs.push((cost, rms(&run.finished()?, exact)));
    }
    Ok(Ladder { name: method.name, order: f64::from(method.order), rungs })
}

fn by_tolerance(
    method: Tableau,
    tolerances: &[f64],
    path: &MixturePath<Trigonometric>,
    z: &Points,
    exact: &Points,
) -> Result<Ladder> {
    let mut rungs = Vec::new();
    for &tolerance in tolerances {
        let run = Ode::adaptive(method, tolerance, tolerance)?.solve(path, z, 0.0, 1.0)?;
        let cost = run.total().evaluations as f64 / z.len() as f64;
        rungs.push((cost, rms(&run.finished()?, exact)));
    }
    Ok(Ladder { name: method.name, order: f64::from(method.order), rungs })
}

/// Exponential integrators and a plain one along the variance preserving diffusion, on meshes equal in log(α/σ).
fn diffusion(most: usize, z: &Points, target: &GaussianMixture) -> Result<Vec<Ladder>> {
    let schedule = VariancePreserving::default();
    let path = MixturePath::new(schedule, target)?;
    let (from, to) = (1e-3, 1.0 - 1e-3);
    let exact = Ode::adaptive(DOP853, 1e-13, 1e-13)?.solve(&path, z, from, to)?.finished()?;
    let rules = [
        ("DDIM", Extrapolation::Ddim),
        ("DPM-Solver++(2M)", Extrapolation::TwoM),
        ("exponential Adams–Bashforth 2", Extrapolation::AdamsBashforth2),
        ("exponential Adams–Bashforth 3", Extrapolation::AdamsBashforth3),
    ];
    let mut ladders = Vec::new();
    for (name, rule) in rules {
        let mut rungs = Vec::new();
        for n in counts(most.min(1024)) {
            let mesh = log_snr_mesh(&schedule, from, to, n)?;
            let run = exponential::solve(rule, &schedule, &path, z, &mesh)?;
            let cost = run.total().evaluations as f64 / z.len() as f64;
            rungs.push((cost, rms(&run.finished()?, &exact)));
        }
        ladders.push(Ladder { name, order: f64::from(rule.order()), rungs });
    }
    for method in [flows::ode::HEUN, DORMAND_PRINCE] {
        let mut rungs = Vec::new();
        let each = method.stages() - usize::from(method.fsal);
        for n in counts(most.min(1024) / each) {
            let mesh = log_snr_mesh(&schedule, from, to, n)?;
            let run = Ode::on_mesh(method, mesh)?.solve(&path, z, from, to)?;
            let cost = run.total().evaluations as f64 / z.len() as f64;
            rungs.push((cost, rms(&run.finished()?, &exact)));
        }
        ladders.push(Ladder { name: method.name, order: f64::from(method.order), rungs });
    }
    Ok(ladders)
}

fn figure(fixed: &[Ladder], adaptive: &[Ladder]) -> Figure {
    let axes = || (Axis::log("evaluations a particle"), Axis::log("error").over(1e-14, 3.0));
    let (x, y) = axes();
    let mut left = Panel::new("fixed steps", x, y);
    for (k, ladder) in fixed.iter().enumerate() {
        let dash = if k < Color::SERIES.len() { Dash::Solid } else { Dash::Dashed };
        left = left.line(ladder.name, Color::of_series(k), dash, ladder.rungs.clone());
    }
    let (x, y) = axes();
    let mut right = Panel::new("steps that follow the error", x, y);
    for ladder in adaptive {
        let k = fixed.iter().position(|f| f.name == ladder.name).unwrap_or(0);
        let dash = if k < Color::SERIES.len() { Dash::Solid } else { Dash::Dashed };
        right = right.line(ladder.name, Color::of_series(k), dash, ladder.rungs.clone());
    }
    let caption = "Root mean square error at t = 1 against evaluations of the velocity, each particle with steps of its own on the \
                   right. Slopes are orders; round-off ends them at 1e-14.";
    Figure::new(
        "ode-errors",
        "Error against evaluations, every scheme of eq. (7)",
        caption,
        vec![left, right],
    )
}

fn exponential_figure(ladders: &[Ladder]) -> Figure {
    let panel = Panel::new("", Axis::log("evaluations a particle"), Axis::log("error"));
    let panel = ladders.iter().enumerate().fold(panel, |panel, (k, ladder)| {
        let dash = if k < 4 { Dash::Solid } else { Dash::Dashed };
        panel.line(ladder.name, Color::of_series(k), dash, ladder.rungs.clone())
    });
    let caption = "Along the variance preserving diffusion (β from 0.1 to 20) to the ring of eight Gaussians, on meshes equal in \
                   log(α/σ). Solid: integrators that solve the linear part exactly, one evaluation a step. Dashed: plain ones.";
    Figure::new("exponential-errors", "Exponential integrators on a diffusion", caption, vec![panel])
}

fn table(fixed: &[Ladder], adaptive: &[Ladder]) -> Table {
    let columns = ["scheme", "steps", "order", "observed", "to 1e-2", "to 1e-4", "to 1e-6", "to 1e-9"];
    let mut table = Table::new("costs", "Evaluations a particle to reach an error", &columns);
    for (ladders, steps) in [(fixed, "fixed"), (adaptive, "adaptive")] {
        for ladder in ladders {
            let observed = if steps == "fixed" { order_of(ladder).into() } else { Cell::Empty(()) };
            let mut row = vec![ladder.name.into(), steps.into(), ladder.order.into(), observed];
            let cost = |error: f64| Cell::from(ladder.cost_of(error).map(f64::round));
            row.extend([1e-2, 1e-4, 1e-6, 1e-9].map(cost));
            table.push(row);
        }
    }
    table
}

/// A cloud of which one particle in a hundred is a hundred times stiffer: steps of its own cost each particle what it
/// needs, shared steps cost all what the worst needs.
fn stiff(report: &mut Report, particles: usize) -> Result<()> {
    let n = particles.max(100);
    // The second coordinate is the rate of the first.
    let field =
        Pointwise::autonomous(2, |x: &[f64], v: &mut [f64]| (v[0], v[1]) = (-x[1] * (x[0] - 1.0), 0.0));
    let cloud = Points::from_fn(n, 2, |i, row| {
        (row[0], row[1]) = (2.0 + i as f64 / n as f64, if i % 100 == 0 { 100.0 } else { 1.0 });
    });
    let cost = |shared: bool| -> Result<f64> {
        let ode = Ode::adaptive(TSITOURAS, 1e-6, 1e-8)?;
        let ode = if shared { ode.shared() } else { ode };
        let run = ode.solve(&field, &cloud, 0.0, 3.0)?;
        let evaluations = run.total().evaluations as f64 / n as f64;
        run.finished()?;
        Ok(evaluations)
    };
    let (own, shared) = (cost(false)?, cost(true)?);
    report.claim(Claim::at_least(
        "one particle in a hundred a hundred times stiffer: evaluations with shared steps over those with steps of their own",
        shared / own,
        3.0,
    ));
    let mut table = Table::new(
        "stiff",
        "A cloud with one stiff particle in a hundred",
        &["steps", "evaluations a particle"],
    );
    table.push(vec!["of their own".into(), own.into()]);
    table.push(vec!["shared".into(), shared.into()]);
    report.table(table);
    Ok(())
}

/// The noise of a picture: the same for all who draw it.
pub(super) fn noise(n: usize, seed: Seed) -> Points {
    Gaussian::standard(2).sample(n, &mut seed.named("noise").rng())
}
