//! Optimal transport on the circle, exactly.
//!
//! On a circle of length L the cost d(x, y)^p of the shorter way round, p ≥ 1, is that of the line once the circle is cut
//! open at the right place: an optimal plan couples the quantiles of μ with those of ν shifted by some α,
//!
//! ```text
//! W_p(μ, ν)^p = min_α ∫₀¹ |F⁻¹(u) − G⁻¹(u − α)|^p du,
//! ```
//!
//! where F⁻¹ and G⁻¹ are continued by F⁻¹(u + 1) = F⁻¹(u) + L. The integral is convex in α and linear between the
//! differences of levels of F and G, which are whole numbers once masses are: bisection on its slope finds the least one
//! with a slope that is not negative, in O((n + m) log) steps. The potential f then rises from atom to atom between the
//! two slopes of its equation, left and right of α, mixed so that it closes. Source: Delon, Salomon and Sobolevski, *Fast
//! transport optimization for Monge costs on the circle* (2010), arXiv:0902.3527.

use super::cost::{Cost, NormPower};
use super::exact::{Masses, loaded};
use super::line::{check_finite_costs, check_line};
use super::periodic::Periodic;
use super::plan::{Potentials, Status, Transport};
use measures::{Coupling, Empirical, Result, parallel};

/// W_p between two measures on the circle of length `period`, given by coordinates in any turn, in the unit of those.
///
/// ```
/// use divergences::transport::circle;
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_line(vec![0.05, 0.95]))?;
/// let nu = Empirical::uniform(Points::from_line(vec![0.0, 0.9]))?;
/// assert!((circle::distance(&mu, &nu, 1.0, 1.0)? - 0.05).abs() < 1e-15);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// As [`solve`].
pub fn distance(mu: &Empirical, nu: &Empirical, p: f64, period: f64) -> Result<f64> {
    Ok(solve(mu, nu, p, period)?.value.max(0.0).powf(p.recip()))
}

/// The optimal plan on the circle of length `period` for the cost d(x, y)^p, with its potentials; `value` is W_p^p.
///
/// The plan has at most n + m − 1 entries. The gap of the result is round-off.
///
/// # Errors
/// A measure that does not live in dimension 1, p that is not in [1, ∞), a period that is not finite and positive, or
/// costs that overflow.
pub fn solve(mu: &Empirical, nu: &Empirical, p: f64, period: f64) -> Result<Transport> {
    check_line(mu, nu)?;
    solve_scaled(mu, nu, &Periodic::new(p, period)?)
}

/// As [`solve`] for a cost that has been checked.
pub(crate) fn solve_scaled(mu: &Empirical, nu: &Empirical, cost: &Periodic) -> Result<Transport> {
    let power = cost.of_lengths();
    check_finite_costs(power.of_length(2.0 * cost.period()))?;
    let masses = Masses::new(mu, nu);
    let (x, y) = (Turn::new(mu, &masses.supply, cost.period()), Turn::new(nu, &masses.demand, cost.period()));
    let pair = Pair { x: &x, y: &y, power };
    let alpha = pair.best_shift();
    let (f, g, violation) = pair.potentials(alpha);
    let mut entries = Vec::with_capacity(x.at.len() + y.at.len());
    pair.cells(alpha, |i, j, units| {
        entries.push((x.index[i], y.index[j.index], units as f64 * masses.unit));
    });
    let distance = |i: usize, j: usize| cost.cost(mu.points().row(i), nu.points().row(j));
    let value = entries.iter().map(|&(i, j, mass)| mass * distance(i, j)).sum();
    // Atoms without mass have the c-transform, the largest potential that is feasible.
    let mut source = spread(mu.len(), &x.index, &f);
    let mut target = spread(nu.len(), &y.index, &g);
    fill(&mut source, &target, &distance);
    fill(&mut target, &source, &|j, i| distance(i, j));
    let potentials = Potentials { source, target }.balanced(mu.weights(), nu.weights());
    Ok(Transport {
        value,
        plan: Coupling::sparse(mu.len(), nu.len(), entries)?,
        dual: potentials.dual(mu.weights(), nu.weights()),
        potentials,
        violation,
        iterations: 0,
        status: Status::Converged,
    })
}

/// Values at some of `count` places; −∞, which constrains no one, at the others.
fn spread(count: usize, at: &[usize], values: &[f64]) -> Vec<f64> {
    let mut out = vec![f64::NEG_INFINITY; count];
    at.iter().zip(values).for_each(|(&i, v)| out[i] = *v);
    out
}

/// minⱼ c − otherⱼ where a value is missing.
fn fill(values: &mut [f64], other: &[f64], cost: &(impl Fn(usize, usize) -> f64 + Sync)) {
    if values.iter().all(|v| v.is_finite()) {
        return;
    }
    parallel::fill_blocks(values, 1, 64, |rows, out| {
        for (i, out) in rows.zip(out).filter(|(_, v)| !v.is_finite()) {
            *out = other.iter().enumerate().map(|(j, o)| cost(i, j) - o).fold(f64::INFINITY, f64::min);
        }
    });
}

/// The atoms with mass in ascending order within one turn.
struct Turn {
    at: Vec<f64>,
    /// The mass up to and with each atom.
    level: Vec<i64>,
    index: Vec<usize>,
    period: f64,
}

impl Turn {
    fn new(mu: &Empirical, masses: &[i64], period: f64) -> Self {
        let place = |i: usize| {
            let at = mu.points().row(i)[0].rem_euclid(period);
            // A tiny negative number is rounded up to the period itself.
            if at < period { at } else { 0.0 }
        };
        let kept = loaded(masses);
        let places: Vec<f64> = kept.iter().map(|&i| place(i)).collect();
        let order = crate::radix::order(&places);
        let index: Vec<usize> = order.iter().map(|&k| kept[k]).collect();
        let mut total = 0;
        let level = index.iter().map(|&i| {
            total += masses[i];
            total
        });
        Turn { at: order.iter().map(|&k| places[k]).collect(), level: level.collect(), index, period }
    }

    fn total(&self) -> i64 {
        self.level[self.level.len() - 1]
    }

    /// The atom, after as many turns, whose mass lies on the levels just below `level` (or with `above`, just above).
    fn find(&self, level: i64, above: bool) -> Place {
        let total = self.total();
        let turn = if above { level.div_euclid(total) } else { (level - 1).div_euclid(total) };
        let within = level - turn * total;
        let index = self.level.partition_point(|&l| if above { l <= within } else { l < within });
        Place { index, turn }
    }

    fn next(&self, place: Place) -> Place {
        if place.index + 1 < self.at.len() {
            Place { index: place.index + 1, ..place }
        } else {
            Place { index: 0, turn: place.turn + 1 }
        }
    }

    /// The level at which the mass of an atom ends.
    fn end(&self, place: Place) -> i64 {
        self.level[place.index] + place.turn * self.total()
    }

    fn coordinate(&self, place: Place) -> f64 {
        self.at[place.index] + place.turn as f64 * self.period
    }
}

/// An atom on the universal cover of the circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    index: usize,
    turn: i64,
}

struct Pair<'a> {
    x: &'a Turn,
    y: &'a Turn,
    power: NormPower,
}

impl Pair<'_> {
    fn cost(&self, x: f64, y: f64) -> f64 {
        self.power.of_length((x - y).abs())
    }

    /// Calls `visit(i, j, k)` for every i with the atoms j and k of ν just below and just above where the mass of xᵢ ends
    /// and that of its successor begins, when ν is shifted by α. They differ where two ends meet.
    fn boundaries(&self, alpha: i64, mut visit: impl FnMut(usize, Place, Place)) {
        let mut j = self.y.find(self.x.level[0] - alpha, false);
        for (i, level) in self.x.level.iter().enumerate() {
            let level = level - alpha;
            while self.y.end(j) < level {
                j = self.y.next(j);
            }
            visit(i, j, if self.y.end(j) == level { self.y.next(j) } else { j });
        }
    }

    /// The coordinates of xᵢ and its successor.
    fn step(&self, i: usize) -> (f64, f64) {
        let x = self.x;
        (x.at[i], if i + 1 < x.at.len() { x.at[i + 1] } else { x.at[0] + x.period })
    }

    /// The derivative of the cost in α, to the right, times the mass of a unit.
    fn slope(&self, alpha: i64) -> f64 {
        let mut slope = 0.0;
        self.boundaries(alpha, |i, j, _| {
            let (x, next) = self.step(i);
            let y = self.y.coordinate(j);
            slope += self.cost(next, y) - self.cost(x, y);
        });
        slope
    }

    /// The least α with a slope that is not negative: there the cost is least. Beyond a whole turn all ways are longer.
    fn best_shift(&self) -> i64 {
        let (mut low, mut high) = (-self.x.total(), self.x.total());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.slope(middle) >= 0.0 {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        high
    }

    /// The cells (i, j, units) of the plan.
    fn cells(&self, alpha: i64, mut visit: impl FnMut(usize, Place, i64)) {
        let mut at = -alpha;
        let mut j = self.y.find(at, true);
        for (i, level) in self.x.level.iter().enumerate() {
            let end = level - alpha;
            while at < end {
                let until = self.y.end(j).min(end);
                visit(i, j, until - at);
                at = until;
                if self.y.end(j) == at {
                    j = self.y.next(j);
                }
            }
        }
    }

    /// f, g, and the largest f + g − c. The array of costs on the cover is Monge, so that the largest is found where the
    /// staircase of the plan turns.
    fn potentials(&self, alpha: i64) -> (Vec<f64>, Vec<f64>, f64) {
        let (n, m) = (self.x.at.len(), self.y.at.len());
        // How much f may rise from each atom to the next: between what the atoms above and below the boundary say.
        let mut bounds = Vec::with_capacity(n);
        self.boundaries(alpha, |i, below, above| {
            let (x, next) = self.step(i);
            let rise = |place: Place| {
                let y = self.y.coordinate(place);
                self.cost(next, y) - self.cost(x, y)
            };
            bounds.push((rise(above), rise(below)));
        });
        let (least, most) = bounds.iter().fold((0.0, 0.0), |(l, m), b| (l + b.0, m + b.1));
        // Once round the circle f must come back to where it was.
        let share = if most > least { (most / (most - least)).clamp(0.0, 1.0) } else { 0.5 };
        let mut f = vec![0.0; n];
        for i in 1..n {
            f[i] = f[i - 1] + share * bounds[i - 1].0 + (1.0 - share) * bounds[i - 1].1;
        }
        let mut g = vec![f64::NAN; m];
        self.cells(alpha, |i, j, _| {
            if g[j.index].is_nan() {
                g[j.index] = self.cost(self.x.at[i], self.y.coordinate(j)) - f[i];
            }
        });
        let mut violation = 0.0f64;
        self.boundaries(alpha, |i, below, above| {
            let (x, next) = self.step(i);
            for (f, x) in [(f[i], x), (f[(i + 1) % n], next)] {
                for place in [below, above] {
                    let cost = self.cost(x, self.y.coordinate(place));
                    violation = violation.max(f + g[place.index] - cost);
                }
            }
        });
        (f, g, violation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::{check_certificate, check_points, check_weights};
    use crate::transport::{Custom, Exact, Wasserstein, line};
    use measures::{Error, Points, Seed};
    use rand::RngExt;

    const PERIOD: f64 = 2.5;

    /// Atoms within a few turns; halves of them doubled, some of weight zero, when weighted.
    fn random(n: usize, seed: u64, weighted: bool, ties: bool) -> Empirical {
        let mut rng = Seed::new(seed).rng();
        let place = |v: f64| if ties { (v * 8.0).floor() / 8.0 } else { v } * 3.0 * PERIOD - PERIOD;
        let x = Points::from_line((0..n).map(|_| place(rng.random())).collect());
        if !weighted {
            return Empirical::uniform(x).unwrap();
        }
        let mut w: Vec<f64> = (0..n).map(|_| (rng.random::<f64>() * 4.0).floor()).collect();
        w[0] = 1.0;
        Empirical::normalised(x, w).unwrap()
    }

    #[test]
    fn it_is_the_general_solver_and_certified() {
        for seed in 0..80 {
            let (n, m) = (1 + seed as usize % 9, 1 + seed as usize * 5 % 13);
            let m = if seed % 4 == 0 { n } else { m };
            let mu = random(n, seed, seed % 3 == 0, seed % 5 == 0);
            let nu = random(m, seed + 1000, seed % 2 == 0, seed % 5 == 0);
            for p in [1.0, 1.5, 2.0, 4.0] {
                let cost = Periodic::new(p, PERIOD).unwrap();
                let t = solve(&mu, &nu, p, PERIOD).unwrap();
                assert!(t.violation < 1e-13 && t.gap().abs() < 1e-12, "{} {}", t.violation, t.gap());
                let own = Custom::new(move |x, y| cost.cost(x, y));
                let general = Exact::default().solve(&mu, &nu, &own).unwrap();
                assert!((t.value - general.value).abs() < 1e-12, "{} and {}", t.value, general.value);
                let (f, g) = (&t.potentials.source, &t.potentials.target);
                let mut worst = 0.0f64;
                for i in 0..n {
                    for j in 0..m {
                        let c = cost.cost(mu.points().row(i), nu.points().row(j));
                        worst = worst.max(f[i] + g[j] - c);
                    }
                }
                assert!(worst < 1e-12, "seed {seed}, p {p}: {worst}");
                assert!(t.plan.couples(&mu, &nu, 1e-14).unwrap());
            }
        }
    }

    #[test]
    fn large_problems_are_certified() {
        for (n, m) in [(1000, 1000), (700, 1200)] {
            let (mu, nu) = (random(n, 1, n != m, false), random(m, 2, false, false));
            let t = solve(&mu, &nu, 2.0, PERIOD).unwrap();
            check_certificate(&t, &mu, &nu, &Periodic::new(2.0, PERIOD).unwrap(), 1e-11);
        }
    }

    #[test]
    fn short_arcs_are_intervals_and_turns_do_not_matter() {
        let mu = random(40, 3, true, false);
        let short = |mu: &Empirical, by: f64| {
            let x = mu.points().as_slice().iter().map(|v| 0.05 * v + by).collect();
            mu.with_points(Points::from_line(x)).unwrap()
        };
        let (a, b) = (short(&mu, 0.3), short(&random(30, 4, true, false), 0.4));
        for p in [1.0, 2.0, 3.0] {
            let flat = line::distance(&a, &b, p).unwrap();
            for turns in [0.0, 1.0, -3.0] {
                let x = b.points().as_slice().iter().map(|v| v + turns * PERIOD).collect();
                let b = b.with_points(Points::from_line(x)).unwrap();
                assert!((distance(&a, &b, p, PERIOD).unwrap() - flat).abs() < 1e-12);
            }
        }
        // A rotation by less than half a turn of atoms at distance one turn in all.
        let even = Points::from_line((0..10).map(|i| 0.1 * f64::from(i)).collect());
        let mu = Empirical::uniform(even.clone()).unwrap();
        let turned = Points::from_line(even.as_slice().iter().map(|v| v + 0.33).collect());
        let nu = Empirical::uniform(turned).unwrap();
        assert!((distance(&mu, &nu, 2.0, 1.0).unwrap() - 0.03).abs() < 1e-12);
    }

    #[test]
    fn variations_match_finite_differences() {
        for p in [1.0, 2.0, 2.5] {
            let w = Wasserstein::on_circle(p, PERIOD).unwrap();
            let (mu, nu) = (random(6, 7, false, false), random(6, 8, false, false));
            check_points(&w, &mu, &nu, 1e-6);
            let mut rng = Seed::new(3).rng();
            let w6 = (0..6).map(|_| 0.2 + rng.random::<f64>()).collect();
            let mu = Empirical::normalised(mu.points().clone(), w6).unwrap();
            check_points(&w, &mu, &nu, 1e-6);
            check_weights(&w, &mu, &nu, 1e-6);
        }
    }

    #[test]
    fn bad_arguments_are_named() {
        let mu = random(3, 0, false, false);
        let flat = Empirical::dirac(&[0.0, 0.0]).unwrap();
        assert!(matches!(distance(&mu, &mu, 0.5, 1.0), Err(Error::Parameter { what: "p", .. })));
        assert!(matches!(distance(&mu, &mu, f64::NAN, 1.0), Err(Error::Parameter { what: "p", .. })));
        for period in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(distance(&mu, &mu, 1.0, period), Err(Error::Parameter { what: "period", .. })));
        }
        assert!(matches!(distance(&mu, &flat, 1.0, 1.0), Err(Error::Dimension { .. })));
        assert!(distance(&mu, &mu, 2.0, 1e200).is_err());
        let far = Empirical::dirac(&[1e300]).unwrap();
        assert!(distance(&mu, &far, 2.0, 1.0).unwrap() <= 0.5);
    }
}
