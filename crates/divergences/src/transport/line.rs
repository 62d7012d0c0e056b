//! Optimal transport on the line, exactly, by sorting.
//!
//! For c(x, y) = |x − y|^p with p ≥ 1 the monotone coupling is optimal: it joins equal quantiles, so that
//!
//! ```text
//! W_p(μ, ν)^p = ∫₀¹ |F⁻¹(u) − G⁻¹(u)|^p du,        W_∞ = sup_u |F⁻¹(u) − G⁻¹(u)|,
//! ```
//!
//! and W₁ = ∫ |F − G|. The cost table of sorted points is a Monge array, for which the north-west corner rule is optimal
//! (Hoffman 1963); the potentials are read off its staircase of cells. Source: Santambrogio, *Optimal Transport for
//! Applied Mathematicians* (2015), chapter 2.

use super::area;
use super::cost::NormPower;
use super::plan::{Potentials, Status, Transport};
use super::staircase::{Ranked, climb};
use measures::{Coupling, Empirical, Error, Measure, Result, check_dim, check_positive, parallel};

/// W_p(μ, ν) on the line, for any p ∈ [1, ∞] (`f64::INFINITY` gives W_∞), in the unit of the points.
///
/// ```
/// use divergences::transport::line;
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_line(vec![0.0, 2.0]))?;
/// let nu = Empirical::weighted(Points::from_line(vec![1.0, 5.0]), vec![0.75, 0.25])?;
/// assert_eq!(line::distance(&mu, &nu, 1.0)?, 0.5 * 1.0 + 0.25 * 1.0 + 0.25 * 3.0);
/// assert_eq!(line::distance(&mu, &nu, f64::INFINITY)?, 3.0);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// A measure that does not live in dimension 1, or p < 1.
pub fn distance(mu: &Empirical, nu: &Empirical, p: f64) -> Result<f64> {
    check_line(mu, nu)?;
    if p != f64::INFINITY {
        check_power(p)?;
    }
    if p == 1.0
        && let Some(area) = area::between(mu, nu)
    {
        return Ok(area);
    }
    let ranked = parallel::map_blocks(2, 1, |side| match side.start {
        0 => Ranked::values_of(mu, nu.is_uniform()),
        _ => Ranked::values_of(nu, mu.is_uniform()),
    });
    Ok(ranked[0].distance(&ranked[1], p))
}

/// The optimal plan for the cost |x − y|^p with its potentials; `value` is W_p^p.
///
/// The plan has at most n + m − 1 entries. The gap of the result is round-off.
///
/// # Errors
/// A measure that does not live in dimension 1, p that is not in [1, ∞), or costs that overflow.
pub fn solve(mu: &Empirical, nu: &Empirical, p: f64) -> Result<Transport> {
    check_line(mu, nu)?;
    check_power(p)?;
    solve_scaled(mu, nu, NormPower::new(2.0, p)?)
}

/// As [`solve`], for a cost of power at least one with any norm (they agree on the line) and scale.
pub(crate) fn solve_scaled(mu: &Empirical, nu: &Empirical, cost: NormPower) -> Result<Transport> {
    let (x, y) = (Ranked::of(mu), Ranked::of(nu));
    check_finite_costs(cost.of_length(x.farthest(&y)))?;
    let climbed = climb(&x, &y, cost);
    let potentials = Potentials { source: climbed.f, target: climbed.g }.balanced(mu.weights(), nu.weights());
    let entries =
        climbed.cells.into_iter().filter(|e| e.2 > 0.0).map(|(i, j, mass, _)| (i, j, mass)).collect();
    Ok(Transport {
        value: climbed.value,
        plan: Coupling::sparse(mu.len(), nu.len(), entries)?,
        dual: potentials.dual(mu.weights(), nu.weights()),
        potentials,
        violation: climbed.violation,
        iterations: 0,
        status: Status::Converged,
    })
}

pub(crate) fn check_line(mu: &Empirical, nu: &Empirical) -> Result<()> {
    check_dim("source measure", 1, mu.dim())?;
    check_dim("target measure", 1, nu.dim())
}

/// `Ok` when p is a power for which the monotone coupling is optimal.
pub(crate) fn check_power(p: f64) -> Result<()> {
    if check_positive("p", p)? >= 1.0 {
        Ok(())
    } else {
        Err(Error::Parameter { what: "p", value: p, must: "at least 1" })
    }
}

/// `Ok` when the largest cost of a problem is a number.
pub(crate) fn check_finite_costs(largest: f64) -> Result<()> {
    if largest.is_finite() {
        Ok(())
    } else {
        let must = "finite: the points are too far apart for this power, rescale them";
        Err(Error::Parameter { what: "largest ground cost", value: largest, must })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Cost;
    use measures::{Points, Seed};
    use rand::RngExt;

    fn random(n: usize, seed: u64, weighted: bool) -> Empirical {
        let mut rng = Seed::new(seed).rng();
        // Halves make ties between points, and zero weights are drawn on purpose.
        let x = Points::from_line((0..n).map(|_| (rng.random::<f64>() * 9.0).round() * 0.5).collect());
        if !weighted {
            return Empirical::uniform(x).unwrap();
        }
        let mut w: Vec<f64> = (0..n).map(|_| (rng.random::<f64>() * 4.0).floor()).collect();
        w[0] = 1.0;
        Empirical::normalised(x, w).unwrap()
    }

    #[test]
    fn potentials_certify_the_plan() {
        for seed in 0..60 {
            let (n, m) = (1 + seed as usize % 7, 1 + seed as usize * 3 % 11);
            let (mu, nu) = (random(n, seed, seed % 3 == 0), random(m, seed + 1000, seed % 2 == 0));
            for p in [1.0, 1.5, 2.0, 3.0] {
                let t = solve(&mu, &nu, p).unwrap();
                let c = NormPower::new(2.0, p).unwrap();
                assert!(t.plan.couples(&mu, &nu, 1e-14).unwrap());
                assert!(t.gap().abs() < 1e-12, "gap {}", t.gap());
                assert!(t.plan.entries().count() < n + m);
                assert!((t.value.powf(p.recip()) - distance(&mu, &nu, p).unwrap()).abs() < 1e-12);
                let mut worst = 0.0f64;
                for i in 0..n {
                    for j in 0..m {
                        let cost = c.cost(mu.points().row(i), nu.points().row(j));
                        worst = worst.max(t.potentials.source[i] + t.potentials.target[j] - cost);
                    }
                }
                assert!(worst < 1e-12 && (worst - t.violation).abs() < 1e-12);
                for (i, j, _) in t.plan.entries() {
                    let cost = c.cost(mu.points().row(i), nu.points().row(j));
                    assert!((t.potentials.source[i] + t.potentials.target[j] - cost).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn closed_forms() {
        let x = Points::from_line((0..1000).map(|i| f64::from(i) / 7.0).collect());
        let moved = Points::from_line(x.as_slice().iter().map(|v| v + 2.5).collect());
        let (mu, nu) = (Empirical::uniform(x).unwrap(), Empirical::uniform(moved).unwrap());
        for p in [1.0, 1.3, 2.0, 7.0, 100.0, f64::INFINITY] {
            assert!((distance(&mu, &nu, p).unwrap() - 2.5).abs() < 1e-11, "p {p}");
            assert_eq!(distance(&mu, &mu, p).unwrap(), 0.0);
        }
        // W₁ between a Dirac and anything is the mean distance; W_∞ the largest.
        let dirac = Empirical::dirac(&[3.0]).unwrap();
        let mean = mu.points().as_slice().iter().map(|v| (v - 3.0).abs()).sum::<f64>() / 1000.0;
        assert!((distance(&mu, &dirac, 1.0).unwrap() - mean).abs() < 1e-12);
        assert_eq!(distance(&mu, &dirac, f64::INFINITY).unwrap(), 999.0 / 7.0 - 3.0);
    }

    #[test]
    fn w1_is_the_area_between_the_distribution_functions() {
        for seed in 0..20 {
            let (mu, nu) = (random(13, seed, true), random(8, seed + 50, true));
            let mut all: Vec<(f64, f64)> = Vec::new();
            all.extend(mu.points().as_slice().iter().copied().zip(mu.weights().iter().copied()));
            all.extend(nu.points().as_slice().iter().copied().zip(nu.weights().iter().map(|w| -w)));
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut area, mut difference) = (0.0, 0.0f64);
            for pair in all.windows(2) {
                difference += pair[0].1;
                area += difference.abs() * (pair[1].0 - pair[0].0);
            }
            assert!((distance(&mu, &nu, 1.0).unwrap() - area).abs() < 1e-13);
        }
    }

    #[test]
    fn bad_arguments_are_named() {
        let (mu, flat) = (random(3, 0, false), Empirical::dirac(&[0.0, 0.0]).unwrap());
        assert!(matches!(distance(&mu, &mu, 0.5), Err(Error::Parameter { what: "p", .. })));
        assert!(matches!(distance(&mu, &mu, f64::NAN), Err(Error::Parameter { what: "p", .. })));
        assert!(matches!(solve(&mu, &mu, f64::INFINITY), Err(Error::Parameter { what: "p", .. })));
        assert!(matches!(distance(&mu, &flat, 1.0), Err(Error::Dimension { what: "target measure", .. })));
        let far = Empirical::dirac(&[1e200]).unwrap();
        assert!(matches!(solve(&mu, &far, 2.0), Err(Error::Parameter { .. })));
        assert!((distance(&mu, &far, 2.0).unwrap() / 1e200 - 1.0).abs() < 1e-12);
    }
}
