//! Clouds and checks that the tests of the solvers share.

use crate::Divergence;
use crate::transport::{Cost, Status, Transport};
use measures::{Empirical, Points, Sample, Seed, zoo::Gaussian};
use rand::RngExt;

/// n points of N(shift, I), shift = .3 for odd seeds, with random weights or uniform.
pub(crate) fn cloud(n: usize, d: usize, seed: u64, weighted: bool) -> Empirical {
    let mut rng = Seed::new(seed).rng();
    let mean = vec![0.3 * (seed % 2) as f64; d];
    let x = Gaussian::isotropic(&mean, 1.0).unwrap().sample(n, &mut rng);
    if !weighted {
        return Empirical::uniform(x).unwrap();
    }
    Empirical::normalised(x, (0..n).map(|_| 0.1 + rng.random::<f64>()).collect()).unwrap()
}

/// The points moved by one vector.
pub(crate) fn moved(x: &Points, by: &[f64]) -> Points {
    Points::from_fn(x.len(), x.dim(), |i, row| {
        row.iter_mut().zip(x.row(i)).zip(by).for_each(|((o, x), b)| *o = x + b);
    })
}

/// Compares the variation with central differences: every coordinate of every point, and mixtures with each atom.
pub(crate) fn check_variation(d: &dyn Divergence, mu: &Empirical, nu: &Empirical, tolerance: f64) {
    check_points(d, mu, nu, tolerance);
    check_weights(d, mu, nu, tolerance);
}

/// The half of [`check_variation`] for the points: transport between equal weights is not differentiable in these.
pub(crate) fn check_points(d: &dyn Divergence, mu: &Empirical, nu: &Empirical, tolerance: f64) {
    let v = d.variation(mu, nu).unwrap();
    let value = d.value(mu, nu).unwrap();
    assert!((v.value - value).abs() <= 1e-9 * (1.0 + value.abs()), "{} and {value}", v.value);
    let h = 1e-5;
    for k in 0..mu.points().as_slice().len() {
        let at = |step: f64| {
            let mut x = mu.points().clone();
            x.as_mut_slice()[k] += step;
            d.value(&mu.with_points(x).unwrap(), nu).unwrap()
        };
        let slope = (at(h) - at(-h)) / (2.0 * h);
        let got = v.d_points.as_slice()[k];
        assert!((slope - got).abs() <= tolerance * (1.0 + slope.abs()), "coordinate {k}: {slope} and {got}");
    }
}

/// The other half, for the weights.
pub(crate) fn check_weights(d: &dyn Divergence, mu: &Empirical, nu: &Empirical, tolerance: f64) {
    let v = d.variation(mu, nu).unwrap();
    let h = 1e-5;
    let mean: f64 = v.d_weights.iter().zip(mu.weights()).map(|(h, w)| h * w).sum();
    assert!(mean.abs() < 1e-10, "potential of mean {mean}");
    for i in 0..mu.len() {
        let at = |step: f64| {
            let w = mu.weights().iter().enumerate();
            let w = w.map(|(k, w)| (1.0 - step) * w + if k == i { step } else { 0.0 }).collect();
            d.value(&Empirical::weighted(mu.points().clone(), w).unwrap(), nu).unwrap()
        };
        let slope = (at(h) - at(-h)) / (2.0 * h);
        let got = v.d_weights[i];
        assert!((slope - got).abs() <= tolerance * (1.0 + slope.abs()), "weight {i}: {slope} and {got}");
    }
}

/// Proves a transport from its parts: marginals, feasibility over all pairs, complementary slackness, the gap.
pub(crate) fn check_certificate(
    t: &Transport,
    mu: &Empirical,
    nu: &Empirical,
    cost: &dyn Cost,
    tolerance: f64,
) {
    assert_eq!(t.status, Status::Converged);
    assert!(t.plan.couples(mu, nu, 1e-12).unwrap());
    assert!(t.plan.entries().count() < mu.len() + nu.len());
    let c = |i: usize, j: usize| cost.cost(mu.points().row(i), nu.points().row(j));
    let (f, g) = (&t.potentials.source, &t.potentials.target);
    let (mut largest, mut worst) = (0.0f64, 0.0f64);
    for i in 0..mu.len() {
        for j in 0..nu.len() {
            largest = largest.max(c(i, j).abs());
            worst = worst.max(f[i] + g[j] - c(i, j));
        }
    }
    let tolerance = tolerance * largest.max(f64::MIN_POSITIVE);
    assert!(worst <= tolerance, "a pair is violated by {worst}");
    assert!((worst - t.violation).abs() <= tolerance, "{worst} violated, {} reported", t.violation);
    for (i, j, mass) in t.plan.entries() {
        assert!((f[i] + g[j] - c(i, j)).abs() <= tolerance, "slack on ({i}, {j}) of mass {mass}");
    }
    assert!(t.gap().abs() <= tolerance, "gap {}", t.gap());
    let value: f64 = t.plan.entries().map(|(i, j, mass)| mass * c(i, j)).sum();
    assert!((value - t.value).abs() <= tolerance);
}
