//! What the statistical and numerical tests share.

use measures::{Density, Points, Sample, Score, Seed};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The level of every statistical test: with fixed seeds a failure is a bug and not bad luck.
pub(crate) const ALPHA: f64 = 1e-6;

/// 16-point Gauss–Legendre on (−1, 1), written by Newton's iteration so as not to share the crate's table.
pub(crate) fn legendre(n: usize) -> Vec<(f64, f64)> {
    (0..n)
        .map(|i| {
            let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
            let mut slope = 0.0;
            for _ in 0..100 {
                let (mut p, mut before) = (1.0, 0.0);
                for k in 0..n {
                    let next = ((2 * k + 1) as f64 * x * p - k as f64 * before) / (k + 1) as f64;
                    (before, p) = (p, next);
                }
                slope = n as f64 * (x * p - before) / (x * x - 1.0);
                x -= p / slope;
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

/// Nodes and weights on (a, b) cut into equal panels of 16 nodes.
pub(crate) fn line_rule(a: f64, b: f64, panels: usize) -> Vec<(f64, f64)> {
    let base = legendre(16);
    let half = 0.5 * (b - a) / panels as f64;
    (0..panels)
        .flat_map(|p| {
            let middle = a + half * (2 * p + 1) as f64;
            base.iter().map(move |(x, w)| (middle + half * x, half * w)).collect::<Vec<_>>()
        })
        .collect()
}

/// ∫ p over a box of ℝᵈ, d ≤ 3, with the same number of panels along every side.
pub(crate) fn mass(p: &(impl Density + ?Sized), low: &[f64], high: &[f64], panels: usize) -> f64 {
    let rules: Vec<_> = low.iter().zip(high).map(|(a, b)| line_rule(*a, *b, panels)).collect();
    let total: usize = rules.iter().map(Vec::len).product();
    let mut weights = vec![1.0; total];
    let x = Points::from_fn(total, low.len(), |mut i, row| {
        let at = i;
        for (x, rule) in row.iter_mut().zip(&rules) {
            let (node, w) = rule[i % rule.len()];
            i /= rule.len();
            *x = node;
            weights[at] *= w;
        }
    });
    p.log_density(&x).unwrap().iter().zip(&weights).map(|(l, w)| w * l.exp()).sum()
}

/// Kolmogorov–Smirnov: the largest distance of the empirical distribution function to `cdf` is below the
/// Dvoretzky–Kiefer–Wolfowitz–Massart bound of level [`ALPHA`].
pub(crate) fn assert_ks(what: &str, mut values: Vec<f64>, cdf: impl Fn(f64) -> f64) {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let worst = values.iter().enumerate().fold(0.0f64, |worst, (i, &v)| {
        let f = cdf(v);
        worst.max((f - i as f64 / n).abs()).max(((i + 1) as f64 / n - f).abs())
    });
    let bound = ((2.0 / ALPHA).ln() / (2.0 * n)).sqrt();
    assert!(worst < bound, "{what}: distance {worst} to the distribution function, {bound} allowed");
}

/// Pearson's χ² of `n` draws on a grid of cells of the plane against the density's mass in each; what lies outside the grid is one more
/// cell. Cells of fewer than eight expected points are merged into it. Returns the mass of the grid.
pub(crate) fn assert_plane_fit(
    what: &str,
    law: &(impl Sample + Density + ?Sized),
    low: [f64; 2],
    high: [f64; 2],
    cells: usize,
) -> f64 {
    let n = 100_000;
    let x = law.sample(n, &mut Seed::new(11).named(what).rng());
    let side = [(high[0] - low[0]) / cells as f64, (high[1] - low[1]) / cells as f64];
    let mut counts = vec![0.0; cells * cells];
    for row in x.rows() {
        let cell: Vec<f64> = (0..2).map(|k| ((row[k] - low[k]) / side[k]).floor()).collect();
        if cell.iter().all(|c| *c >= 0.0 && *c < cells as f64) {
            counts[cell[0] as usize * cells + cell[1] as usize] += 1.0;
        }
    }
    let (mut statistic, mut degrees, mut rest_seen, mut rest, mut total) =
        (0.0, 0.0, n as f64, n as f64, 0.0);
    for i in 0..cells {
        for j in 0..cells {
            let corner = [low[0] + side[0] * i as f64, low[1] + side[1] * j as f64];
            let expected = n as f64 * mass(law, &corner, &[corner[0] + side[0], corner[1] + side[1]], 1);
            total += expected / n as f64;
            if expected >= 8.0 {
                let seen = counts[i * cells + j];
                statistic += (seen - expected).powi(2) / expected;
                degrees += 1.0;
                rest_seen -= seen;
                rest -= expected;
            }
        }
    }
    assert!(degrees > 10.0, "{what}: too few cells with mass");
    if rest >= 8.0 {
        statistic += (rest_seen - rest).powi(2) / rest;
    } else {
        assert!(rest > -1e-6 * n as f64, "{what}: the density integrates to more than one");
        assert!(rest_seen < 60.0, "{what}: {rest_seen} draws where {rest} are expected");
        degrees -= 1.0;
    }
    let bound = ChiSquared::new(degrees).unwrap().inverse_cdf(1.0 - ALPHA);
    assert!(statistic < bound, "{what}: chi-squared {statistic} with {degrees} degrees, {bound} allowed");
    total
}

/// The score against central differences of the log-density, relative to 1 + |score|.
pub(crate) fn assert_score(what: &str, law: &(impl Density + Score + ?Sized), x: &Points, tolerance: f64) {
    let score = law.score(x).unwrap();
    let h = 1e-5;
    for k in 0..x.dim() {
        let moved = |sign: f64| {
            let mut y = x.clone();
            y.rows_mut().for_each(|row| row[k] += sign * h);
            law.log_density(&y).unwrap()
        };
        let (up, down) = (moved(1.0), moved(-1.0));
        for i in 0..x.len() {
            let numeric = (up[i] - down[i]) / (2.0 * h);
            let exact = score.row(i)[k];
            assert!(
                (numeric - exact).abs() <= tolerance * (1.0 + exact.abs()),
                "{what}: score {exact} but differences give {numeric} at {:?}, coordinate {k}",
                x.row(i)
            );
        }
    }
}

/// The derivative of the score against central differences of the score along a direction that changes from point to point.
pub(crate) fn assert_jvp(what: &str, law: &(impl Score + ?Sized), x: &Points, tolerance: f64) {
    let v = Points::from_fn(x.len(), x.dim(), |i, row| {
        row.iter_mut().enumerate().for_each(|(k, v)| *v = (1.7 * i as f64 + 0.9 * k as f64).sin());
    });
    let jvp = law.score_jvp(x, &v).unwrap();
    let h = 1e-5;
    let moved = |sign: f64| {
        let mut y = x.clone();
        y.as_mut_slice().iter_mut().zip(v.as_slice()).for_each(|(y, v)| *y += sign * h * v);
        law.score(&y).unwrap()
    };
    let (up, down) = (moved(1.0), moved(-1.0));
    for (k, exact) in jvp.as_slice().iter().enumerate() {
        let numeric = (up.as_slice()[k] - down.as_slice()[k]) / (2.0 * h);
        assert!(
            (numeric - exact).abs() <= tolerance * (1.0 + exact.abs()),
            "{what}: Hessian–vector product {exact} but differences give {numeric} at {:?}",
            x.row(k / x.dim())
        );
    }
}

/// The differential entropy against −mean(log p) of `n` draws: within five standard errors (and a hair for constants).
pub(crate) fn assert_entropy(what: &str, law: &(impl Sample + Density + ?Sized), n: usize) {
    let x = law.sample(n, &mut Seed::new(12).named(what).rng());
    let draws: Vec<f64> = law.log_density(&x).unwrap().iter().map(|l| -l).collect();
    let estimate = measures::Estimate::of_mean(&draws).unwrap();
    let exact = law.entropy().unwrap_or_else(|| panic!("{what}: no entropy"));
    assert!(
        (exact - estimate.value).abs() <= 5.0 * estimate.standard_error + 1e-12,
        "{what}: entropy {exact}, Monte Carlo {} ± {}",
        estimate.value,
        estimate.standard_error
    );
}

/// The normal distribution function.
pub(crate) fn phi(z: f64) -> f64 {
    0.5 * statrs::function::erf::erfc(-z / std::f64::consts::SQRT_2)
}
