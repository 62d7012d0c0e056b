//! The schemes of eq. (5): strong and weak errors against steps, on one set of Brownian paths.

use super::IntegratorsConfig;
use super::ladder::Ladder;
use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::report::{Cell, Claim, Report, Table};
use flows::VelocityField;
use flows::field::Pointwise;
use flows::sde::{
    Additive, Antithetic, BrownianTree, Diagonal, Equation, EulerMaruyama, Ito, Milstein, Scheme, Sde, Shark,
    Sra1, StochasticHeun, Stratonovich,
};
use measures::Points;

/// Paths, and the same with their sign changed: strong errors are odd in the noise to leading order and weak ones are even, so
/// that the mean over both has little noise left.
type Paths = Antithetic<BrownianTree>;

/// What a scheme was seen to do.
struct Seen {
    strong: Ladder,
    weak: Ladder,
    /// Standard errors of the weak errors, rung by rung.
    noise: Vec<f64>,
}

/// What all schemes of one equation share: paths, start, and where the paths truly end for either sign.
struct Ground<'a> {
    paths: &'a [Paths; 2],
    start: Points,
    ends: [Points; 2],
    steps: &'a [usize],
}

fn drift() -> impl VelocityField + Sync {
    Pointwise::new(1, |t, x: &[f64], v: &mut [f64]| v[0] = (2.0 * x[0]).sin() - x[0] + t.cos())
}

fn additive() -> Additive<'static, impl VelocityField + Sync> {
    Additive::new(drift(), |t| 0.8 + 0.3 * (2.0 * t).sin())
}

/// dX = r X dt + √(X² + 1) dB: for r = ½ in Itô's sense and r = 0 in Stratonovich's the solution is sinh(B_t + arsinh X₀).
/// Kloeden and Platen, *Numerical Solution of Stochastic Differential Equations*, (4.4.43).
#[expect(clippy::type_complexity, reason = "closures have no names")]
fn diagonal(
    rate: f64,
) -> Diagonal<impl VelocityField + Sync, impl Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync + Clone> {
    let drift = Pointwise::autonomous(1, move |x: &[f64], v: &mut [f64]| v[0] = rate * x[0]);
    Diagonal::new(drift, |_, x: &[f64], b: &mut [f64], db: &mut [f64]| {
        b[0] = (x[0] * x[0] + 1.0).sqrt();
        db[0] = x[0] / b[0];
    })
}

fn end<E: Equation<Points>>(
    scheme: Box<dyn Scheme<E, Points>>,
    steps: usize,
    equation: &E,
    noise: &Paths,
    start: &Points,
) -> Result<Points> {
    Ok(Sde::fixed(scheme, steps)?.solve(equation, noise, start, 0.0, 1.0)?.finished()?)
}

impl Ground<'_> {
    fn see<E: Equation<Points>, C: Scheme<E, Points> + Copy + 'static>(
        &self,
        (name, strong, weak): (&'static str, f64, f64),
        scheme: C,
        equation: &E,
    ) -> Result<Seen> {
        let f = |x: f64| (x + 0.4).sin() + 0.3 * (1.7 * x).cos();
        let n = self.start.len() as f64;
        let mut seen = Seen {
            strong: Ladder { name, order: strong, rungs: Vec::new() },
            weak: Ladder { name, order: weak, rungs: Vec::new() },
            noise: Vec::new(),
        };
        for &steps in self.steps {
            let mut found = Vec::new();
            for (noise, exact) in self.paths.iter().zip(&self.ends) {
                found.push((end(Box::new(scheme), steps, equation, noise, &self.start)?, exact));
            }
            let pairs = |k: usize| found[k].0.as_slice().iter().zip(found[k].1.as_slice());
            let square: f64 = (0..2).map(|k| pairs(k).map(|(a, b)| (a - b).powi(2)).sum::<f64>()).sum();
            // The mean over both signs of f(X_h) − f(X), path by path.
            let gaps: Vec<f64> = pairs(0)
                .zip(pairs(1))
                .map(|((a, b), (c, d))| 0.5 * (f(*a) - f(*b) + f(*c) - f(*d)))
                .collect();
            let mean = gaps.iter().sum::<f64>() / n;
            let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0);
            seen.strong.rungs.push((steps as f64, (square / (2.0 * n)).sqrt()));
            seen.weak.rungs.push((steps as f64, mean.abs()));
            seen.noise.push((variance / n).sqrt());
        }
        Ok(seen)
    }
}

pub(super) fn study(report: &mut Report, context: &Context<'_>, config: &IntegratorsConfig) -> Result<()> {
    let mut stage = context.progress().stage("stochastic schemes", 8);
    let last = config.steps[config.steps.len() - 1];
    let tree = BrownianTree::new(context.seed().named("paths"), 0.0, 1.0, 1)?.cells(config.steps[0])?;
    let start = Points::from_line(vec![0.3; config.paths]);
    let paths = Antithetic::pair(tree);
    // Additive noise has no closed form here: the scheme of the highest order with eight times the steps stands for it.
    let equation = additive();
    let mut fine = Vec::new();
    for noise in &paths {
        fine.push(end(Box::new(Sra1), 8 * last, &equation, noise, &start)?);
    }
    let ends = [fine.remove(0), fine.remove(0)];
    let ground = Ground { paths: &paths, start, ends, steps: &config.steps };
    let mut all = Vec::new();
    let mut next = |seen: Seen, all: &mut Vec<Seen>| {
        all.push(seen);
        stage.at(all.len() as u64, None);
        context.check_stop()
    };
    next(ground.see(("Euler–Maruyama", 1.0, 1.0), EulerMaruyama, &equation)?, &mut all)?;
    next(ground.see(("stochastic Heun", 1.0, 2.0), StochasticHeun, &equation)?, &mut all)?;
    next(ground.see(("SRA1", 1.5, 2.0), Sra1, &equation)?, &mut all)?;
    next(ground.see(("ShARK", 1.5, 2.0), Shark, &equation)?, &mut all)?;

    let (w, _) = tree.increment(0..config.paths, 0.0, 1.0)?;
    let exact = |noise: &Paths| {
        let solution = |(w, x): (&f64, &f64)| (noise.sign() * w + x.asinh()).sinh();
        Points::from_line(w.as_slice().iter().zip(ground.start.as_slice()).map(solution).collect())
    };
    let ground = Ground { ends: paths.each_ref().map(exact), start: ground.start.clone(), ..ground };
    let (ito, stratonovich) = (Ito(diagonal(0.5)), Stratonovich(diagonal(0.0)));
    next(ground.see(("Euler–Maruyama, Itô", 0.5, 1.0), EulerMaruyama, &ito)?, &mut all)?;
    next(ground.see(("Milstein, Itô", 1.0, 1.0), Milstein, &ito)?, &mut all)?;
    next(ground.see(("Milstein, Stratonovich", 1.0, 1.0), Milstein, &stratonovich)?, &mut all)?;
    next(ground.see(("Heun, Stratonovich", 1.0, 1.0), StochasticHeun, &stratonovich)?, &mut all)?;
    drop(stage);

    for seen in &all {
        let order = seen.strong.order;
        let what = format!("{}: what the observed strong order falls short of {order}", seen.strong.name);
        report.claim(Claim::at_most(what, order - observed(seen), 0.2));
    }
    for seen in &all {
        let (found, of) = weakly(seen);
        if of < 3 {
            continue;
        }
        let order = seen.weak.order;
        let what = format!("{}: what the observed weak order falls short of {order}", seen.weak.name);
        report.claim(Claim::at_most(what, order - found, 0.4));
    }
    report.figure(figure(&all));
    report.table(table(&all));
    report.note(format!(
        "Stochastic schemes run on {} Brownian paths and on the same with their sign changed. Additive noise: dX = (sin 2X − X + cos t) dt + \
         (0.8 + 0.3 sin 2t) dB, against SRA1 with {} steps on the same paths. Noise that depends on the state: dX = √(X² + 1) ∘ dB, solved \
         by sinh(B_t + arsinh X₀). Strong errors are root mean squares over paths, weak ones |E f(X_h) − E f(X)| for f(x) = sin(x + 0.4) + \
         0.3 cos 1.7x; weak errors below three standard errors are not drawn and count for no order.",
        config.paths,
        8 * last
    ));
    Ok(())
}

fn observed(seen: &Seen) -> f64 {
    seen.strong.observed(seen.strong.rungs.len().min(4), f64::INFINITY, 0.0)
}

/// The weak rungs that stand out of their noise.
fn clear(seen: &Seen) -> Vec<(f64, f64)> {
    let rungs = seen.weak.rungs.iter().zip(&seen.noise);
    rungs.take_while(|((_, e), s)| *e > 3.0 * **s).map(|(rung, _)| *rung).collect()
}

/// The observed weak order, and of how many rungs.
fn weakly(seen: &Seen) -> (f64, usize) {
    let rungs = clear(seen);
    let count = rungs.len();
    // Steps that are too long do not show the leading term; of the others all count.
    let used = count.saturating_sub(1).clamp(count.min(3), 4);
    (Ladder { rungs, ..seen.weak.clone() }.observed(used.max(2), f64::INFINITY, 0.0), count)
}

fn figure(all: &[Seen]) -> Figure {
    let mut panels = Vec::new();
    for (title, part) in
        [("noise of its own level", &all[..4]), ("noise that depends on the state", &all[4..])]
    {
        let strong = Panel::new(format!("strong, {title}"), Axis::log("steps"), Axis::log("error"));
        let weak = Panel::new(format!("weak, {title}"), Axis::log("steps"), Axis::log("error"));
        let (mut strong, mut weak) = (strong, weak);
        for (k, seen) in part.iter().enumerate() {
            // One colour a scheme in both rows.
            let k = if std::ptr::eq(part.as_ptr(), all.as_ptr()) { k } else { [0, 4, 5, 1][k] };
            let dash = if seen.strong.name.contains("Strat") { Dash::Dashed } else { Dash::Solid };
            strong = strong.line(seen.strong.name, Color::of_series(k), dash, seen.strong.rungs.clone());
            weak = weak.line(seen.weak.name, Color::of_series(k), dash, clear(seen));
        }
        panels.extend([strong, weak]);
    }
    let caption = "Strong errors: how far a path ends from where its own noise leads. Weak errors: how far a mean is off. Slopes are orders.";
    Figure::new("sde-errors", "Errors of the schemes of eq. (5)", caption, panels).in_rows_of(2)
}

fn table(all: &[Seen]) -> Table {
    let columns = [
        "scheme",
        "strong order",
        "observed",
        "weak order",
        "observed",
        "steps",
        "strong error",
        "weak error",
    ];
    let mut table = Table::new("sde", "Stochastic schemes", &columns);
    for seen in all {
        let ((weak, of), middle) = (weakly(seen), seen.strong.rungs.len() / 2);
        table.push(vec![
            seen.strong.name.into(),
            seen.strong.order.into(),
            observed(seen).into(),
            seen.weak.order.into(),
            if of < 3 { Cell::Empty(()) } else { weak.into() },
            seen.strong.rungs[middle].0.into(),
            seen.strong.rungs[middle].1.into(),
            seen.weak.rungs[middle].1.into(),
        ]);
    }
    table
}
