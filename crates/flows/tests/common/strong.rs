//! Observed orders of stochastic schemes, with intervals.
//!
//! A scheme and its reference see the same Brownian paths, whatever their steps; a slope is fitted in each of many
//! batches of paths, and the interval is that of the mean of the slopes.

#![allow(clippy::type_complexity, clippy::too_many_arguments)]

use super::checks::{Verdict, slope, verdict};
use flows::VelocityField;
use flows::field::Pointwise;
use flows::measures::{Estimate, Points, Seed};
use flows::sde::{Additive, Antithetic, BrownianTree, Diagonal, Equation, Noise, Scheme, Sde, Sra1};

pub(crate) const BATCHES: usize = 16;
pub(crate) const CELLS: usize = 4;

/// Coupled, nonlinear, not autonomous, with noise whose level moves.
pub(crate) fn drift() -> impl VelocityField + Sync {
    Pointwise::new(2, |t, x: &[f64], v: &mut [f64]| {
        v[0] = -x[0] + (2.0 * x[1]).sin() + t.cos();
        v[1] = 0.5 * x[0] - x[1] + (x[0] * x[1]).cos();
    })
}

pub(crate) fn additive() -> Additive<'static, impl VelocityField + Sync> {
    Additive::new(drift(), |t| 1.2 + 0.3 * (2.0 * t).sin())
}

/// Kloeden and Platen, (4.4.43): dX = ½X dt + √(X² + 1) dB has the solution sinh(W_t + arsinh X₀).
pub(crate) fn arsinh(
    rate: f64,
) -> Diagonal<impl VelocityField + Sync, impl Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync + Clone> {
    let drift = Pointwise::autonomous(2, move |x, v| v.iter_mut().zip(x).for_each(|(v, x)| *v = rate * x));
    Diagonal::new(drift, |_, x: &[f64], b: &mut [f64], db: &mut [f64]| {
        for ((x, b), db) in x.iter().zip(b).zip(db) {
            *b = (x * x + 1.0).sqrt();
            *db = x / *b;
        }
    })
}

pub(crate) fn start(n: usize) -> Points {
    Points::from_fn(n, 2, |i, x| (x[0], x[1]) = (0.5 + 0.001 * (i % 7) as f64, -0.3))
}

/// Strong errors are odd in the noise to leading order, weak ones are even: the mean over both signs has little noise left.
pub(crate) type Mirror = Antithetic<BrownianTree>;

pub(crate) fn noise(batch: usize) -> [Mirror; 2] {
    Antithetic::pair(BrownianTree::new(Seed::new(batch as u64), 0.0, 1.0, 2).unwrap().cells(CELLS).unwrap())
}

pub(crate) fn exact_arsinh(noise: &Mirror, n: usize) -> Points {
    let (w, _) = noise.noise().increment(0..n, 0.0, 1.0).unwrap();
    let x0 = start(n);
    let at = |i: usize, c: usize| (noise.sign() * w.row(i)[c] + x0.row(i)[c].asinh()).sinh();
    Points::from_fn(n, 2, |i, x| (0..2).for_each(|c| x[c] = at(i, c)))
}

pub(crate) fn fine_additive(noise: &Mirror, n: usize) -> Points {
    by_sra1(noise, n, 1_024)
}

pub(crate) fn by_sra1(noise: &Mirror, n: usize, steps: usize) -> Points {
    let sde = Sde::fixed(Sra1, steps).unwrap();
    sde.solve(&additive(), noise, &start(n), 0.0, 1.0).unwrap().finished().unwrap()
}

/// The slope of log `error` against log h in each batch, with its interval; the verdict is whether it is around the theory.
pub(crate) fn check_order<E: Equation<Points>>(
    what: &str,
    theory: f64,
    steps: &[usize],
    n: usize,
    make: impl Fn(usize) -> Sde<E, Box<dyn Scheme<E, Points>>>,
    equation: &E,
    reference: impl Fn(&Mirror, usize) -> Points,
    error: impl Fn(&[(Points, Points)]) -> f64,
) -> Verdict {
    check_order_on(what, theory, steps, n, make, equation, reference, error, |mirror| mirror)
}

/// The same for a scheme that sees the paths of the reference through `through`.
pub(crate) fn check_order_on<E: Equation<Points>, N: Noise<Points>>(
    what: &str,
    theory: f64,
    steps: &[usize],
    n: usize,
    make: impl Fn(usize) -> Sde<E, Box<dyn Scheme<E, Points>>>,
    equation: &E,
    reference: impl Fn(&Mirror, usize) -> Points,
    error: impl Fn(&[(Points, Points)]) -> f64,
    through: impl Fn(Mirror) -> N,
) -> Verdict {
    let h: Vec<f64> = steps.iter().map(|&s| -(s as f64).ln()).collect();
    let mut slopes = Vec::new();
    for batch in 0..BATCHES {
        let both = noise(batch);
        let exact = both.each_ref().map(|noise| reference(noise, n));
        let both = both.map(&through);
        let errors = steps.iter().map(|&s| {
            let end =
                |noise: &N| make(s).solve(equation, noise, &start(n), 0.0, 1.0).unwrap().finished().unwrap();
            error(&[(end(&both[0]), exact[0].clone()), (end(&both[1]), exact[1].clone())]).ln()
        });
        slopes.push(slope(&h, &errors.collect::<Vec<_>>()));
    }
    let order = Estimate::of_mean(&slopes).unwrap();
    let (low, high) = order.interval(0.999).unwrap();
    println!("{what:<44} {:.3} [{low:.3}, {high:.3}] for {theory}", order.value);
    // Whole runs with few, long steps; the quadrature below is sharp.
    let within = if what.ends_with("weak") { 0.45 } else { 0.15 };
    let good = low > theory - within && high < theory + within;
    verdict(what, good, format!("order in [{low:.3}, {high:.3}] for {theory}"))
}

pub(crate) fn strong(pairs: &[(Points, Points)]) -> f64 {
    let square = |(a, b): &(Points, Points)| -> f64 {
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64
    };
    (pairs.iter().map(square).sum::<f64>() / pairs.len() as f64).sqrt()
}

/// |E f(X_h) − E f(X)| for a smooth f, from paths in pairs.
pub(crate) fn weak(pairs: &[(Points, Points)]) -> f64 {
    let f = |x: &[f64]| (x[0] + 0.4).sin() + (0.7 * x[1]).cos() + x[0] / (1.0 + x[0] * x[0] + x[1] * x[1]);
    let gap = |(a, b): &(Points, Points)| {
        a.rows().zip(b.rows()).map(|(a, b)| f(a) - f(b)).sum::<f64>() / a.len() as f64
    };
    (pairs.iter().map(gap).sum::<f64>() / pairs.len() as f64).abs()
}

/// |E ‖X_h‖² − E ‖X‖²|, whose bias stands out of the noise that strong order ½ leaves.
pub(crate) fn weak_square(pairs: &[(Points, Points)]) -> f64 {
    let mean = |x: &Points| x.as_slice().iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    (pairs.iter().map(|(a, b)| mean(a) - mean(b)).sum::<f64>() / pairs.len() as f64).abs()
}

pub(crate) fn boxed<E: Equation<Points>>(
    scheme: impl Scheme<E, Points> + 'static,
    steps: usize,
) -> Sde<E, Box<dyn Scheme<E, Points>>> {
    Sde::fixed(Box::new(scheme) as Box<dyn Scheme<E, Points>>, steps).unwrap()
}
