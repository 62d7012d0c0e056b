//! Every registered variation against finite differences: in the points, in the weights, and at probes of weight zero.

use divergences::measures::{Empirical, Points, Seed};
use divergences::{Divergence, Registered, registry};
use rand::RngExt;

/// Step of the differences; their error is of the order of 1e-16 over it and, where four values make a slope, of its
/// fourth power, which the high frequencies of the stable law need.
const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 2e-8;

/// f′(0) by the central difference of fourth order.
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    (8.0 * (f(STEP) - f(-STEP)) - (f(2.0 * STEP) - f(-2.0 * STEP))) / (12.0 * STEP)
}

fn sample(n: usize, entry: &Registered, dim: usize, seed: u64) -> Empirical {
    let mut rng = Seed::new(seed).rng();
    let points = Points::from_fn(n, dim, |i, row| {
        row.iter_mut().for_each(|x| {
            *x = if entry.common_atoms {
                // five places, and the first of them twice where there are six atoms
                (i % 5) as f64
            } else if entry.shared_atoms {
                f64::from(rng.random_range(0..3)) - 1.0
            } else {
                4.0 * rng.random::<f64>() - 2.0
            };
        });
    });
    let weights = (0..n).map(|_| 0.2 + rng.random::<f64>()).collect();
    Empirical::normalised(points, weights).unwrap()
}

fn shifted(mu: &Empirical, i: usize, c: usize, h: f64) -> Empirical {
    let mut points = mu.points().clone();
    points.row_mut(i)[c] += h;
    mu.with_points(points).unwrap()
}

/// (1 − h)·μ + h·δ(xᵢ), h of either sign.
fn reweighted(mu: &Empirical, i: usize, h: f64) -> Empirical {
    let mut weights: Vec<f64> = mu.weights().iter().map(|w| (1.0 - h) * w).collect();
    weights[i] += h;
    Empirical::weighted(mu.points().clone(), weights).unwrap()
}

fn with_probe(mu: &Empirical, at: &[f64]) -> Empirical {
    let points = mu.points().concat(&Points::new(at.len(), at.to_vec()).unwrap()).unwrap();
    let mut weights = mu.weights().to_vec();
    weights.push(0.0);
    Empirical::weighted(points, weights).unwrap()
}

fn assert_close(name: &str, what: &str, got: f64, expected: f64) {
    assert!(
        (got - expected).abs() <= TOLERANCE * (1.0 + expected.abs()),
        "{name}: {what} is {got}, not {expected}"
    );
}

fn each(test: impl Fn(&Registered, &Empirical, &Empirical)) {
    for dim in [1, 2, 3] {
        for entry in registry(dim, 1.0).unwrap() {
            for seed in 0..3 {
                test(&entry, &sample(6, &entry, dim, 2 * seed), &sample(5, &entry, dim, 2 * seed + 1));
            }
        }
    }
}

#[test]
fn the_value_of_the_variation_is_the_value() {
    each(|entry, mu, nu| {
        if entry.gradient_in_points || entry.gradient_in_weights {
            let value = entry.divergence.value(mu, nu).unwrap();
            let variation = entry.divergence.variation(mu, nu).unwrap();
            assert_close(&entry.name, "value of the variation", variation.value, value);
            let mean: f64 = variation.d_weights.iter().zip(mu.weights()).map(|(d, w)| d * w).sum();
            assert_close(&entry.name, "mean of d_weights", mean, 0.0);
        }
    });
}

#[test]
fn moving_a_point() {
    each(|entry, mu, nu| {
        if !entry.gradient_in_points {
            return;
        }
        let d: &dyn Divergence = &entry.divergence;
        let variation = d.variation(mu, nu).unwrap();
        let field = d.gradient_field(mu, nu).unwrap();
        for i in 0..mu.len() {
            for c in 0..mu.points().dim() {
                let slope = slope(|h| d.value(&shifted(mu, i, c, h), nu).unwrap());
                assert_close(&entry.name, "d_points", variation.d_points.row(i)[c], slope);
                assert_close(&entry.name, "w · gradient_field", mu.weights()[i] * field.row(i)[c], slope);
            }
        }
    });
}

#[test]
fn moving_weight() {
    each(|entry, mu, nu| {
        if !entry.gradient_in_weights {
            return;
        }
        let variation = entry.divergence.variation(mu, nu).unwrap();
        for i in 0..mu.len() {
            let up = entry.divergence.value(&reweighted(mu, i, STEP), nu).unwrap();
            let down = entry.divergence.value(&reweighted(mu, i, -STEP), nu).unwrap();
            assert_close(&entry.name, "d_weights", variation.d_weights[i], (up - down) / (2.0 * STEP));
        }
    });
}

/// d_weights at an atom of weight zero is the potential there; its slope as the probe moves is the gradient field.
#[test]
fn moving_a_probe_of_weight_zero() {
    each(|entry, mu, nu| {
        if !entry.probes {
            return;
        }
        let d: &dyn Divergence = &entry.divergence;
        let at: Vec<f64> = (0..mu.points().dim()).map(|c| 0.3 - 0.7 * c as f64).collect();
        let potential = |at: &[f64]| *d.variation(&with_probe(mu, at), nu).unwrap().d_weights.last().unwrap();
        let probed = with_probe(mu, &at);
        let field = d.gradient_field(&probed, nu).unwrap();
        for c in 0..at.len() {
            let slope = slope(|h| {
                let mut near = at.clone();
                near[c] += h;
                potential(&near)
            });
            assert_close(&entry.name, "gradient field at a probe", field.row(mu.len())[c], slope);
        }
        let up = d.value(&reweighted(&probed, mu.len(), STEP), nu).unwrap();
        let at_zero = d.value(mu, nu).unwrap();
        let further = d.value(&reweighted(&probed, mu.len(), 2.0 * STEP), nu).unwrap();
        // one-sided, of second order: weight cannot be taken from a probe
        let slope = (4.0 * up - 3.0 * at_zero - further) / (2.0 * STEP);
        assert_close(&entry.name, "potential at a probe", potential(&at), slope);
    });
}

/// A target with its terms at hand gives what the divergence gives.
#[test]
fn toward_a_target() {
    each(|entry, mu, nu| {
        let toward = entry.divergence.toward(nu).unwrap();
        let value = entry.divergence.value(mu, nu).unwrap();
        assert_close(&entry.name, "value toward", toward.value(mu).unwrap(), value);
        if entry.gradient_in_points && entry.gradient_in_weights {
            let (a, b) = (toward.variation(mu).unwrap(), entry.divergence.variation(mu, nu).unwrap());
            for (a, b) in a.d_points.as_slice().iter().zip(b.d_points.as_slice()) {
                assert_close(&entry.name, "d_points toward", *a, *b);
            }
            for (a, b) in a.d_weights.iter().zip(&b.d_weights) {
                assert_close(&entry.name, "d_weights toward", *a, *b);
            }
        }
    });
}
