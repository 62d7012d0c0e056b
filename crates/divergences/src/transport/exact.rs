//! Exact optimal transport for any cost, weights and sizes, by column generation around the network simplex.
//!
//! The simplex works on a few candidate arcs an atom. Its potentials then price all n·m pairs, row by row: arcs with
//! fᵢ + gⱼ > c(xᵢ, yⱼ) join the candidates and the simplex goes on from the tree it has. When none is left, the potentials
//! are feasible for the whole problem and prove the plan optimal. The first candidates are the pairs with the smallest
//! reduced costs under the potentials of a coarser problem, solved in the same way. Memory is O(n + m).
//! Sources: Dantzig and Wolfe (1960) for column generation; Schmitzer, *A sparse multiscale algorithm for dense optimal
//! transport* (2016), doi:10.1007/s10851-016-0653-9, and Gerber and Maggioni, *Multiscale strategies for computing optimal
//! transport* (2017), for going from coarse to fine.

use super::circle;
use super::coarse::coarsen;
use super::cost::Cost;
use super::line;
use super::network_simplex::{Arc, NetworkSimplex};
use super::plan::{Potentials, Status, Transport};
use super::pricing::price;
use super::table::{Side, Table};
use measures::{Coupling, Empirical, Error, Measure, Points, Result, check_dim};

/// Up to this many pairs all arcs are candidates at once.
const ALL_PAIRS: usize = 1 << 14;

/// Candidates an atom gets from the potentials of the coarser problem.
const CANDIDATES: usize = 8;

/// Violated arcs an atom adds in a round of pricing.
const ADDED: usize = 3;

/// Reduced costs within this fraction of the largest cost count as zero: some hundred times round-off.
const TOLERANCE: f64 = 1e-14;

/// The exact solver with its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Exact {
    /// The number of pivots after which the solver stops short of the optimum with [`Status::IterationLimit`]. The plan
    /// is a coupling then too, and the gap says how good.
    pub max_pivots: usize,
}

impl Default for Exact {
    fn default() -> Self {
        Exact { max_pivots: usize::MAX }
    }
}

/// The optimal plan between μ and ν for the cost c, with its potentials and its certificate: see [`Exact::solve`].
///
/// ```
/// use divergences::transport::{NormPower, solve};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_rows(&[[0.0, 0.0], [1.0, 0.0]]))?;
/// let nu = Empirical::uniform(Points::from_rows(&[[1.0, 1.0], [0.0, 1.0], [0.5, 1.0]]))?;
/// let transport = solve(&mu, &nu, &NormPower::squared_euclidean())?;
/// assert!((transport.value - (1.0 + 0.25 / 3.0)).abs() < 1e-15);
/// assert!(transport.gap() < 1e-14);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// As [`Exact::solve`].
pub fn solve(mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<Transport> {
    Exact::default().solve(mu, nu, cost)
}

impl Exact {
    /// The optimal plan between μ and ν for the cost c.
    ///
    /// On the line, for |x − y|^p with p ≥ 1, this is [`line::solve`], and for a [`Periodic`](super::Periodic) cost
    /// [`circle::solve`](super::circle::solve). Masses are rounded to whole multiples of 2⁻⁶¹ (none
    /// are when both measures are uniform), so that flows are exact. The potentials of atoms without mass are the
    /// c-transforms, the largest that are feasible.
    ///
    /// # Errors
    /// The measures live in different dimensions, or a cost is NaN or infinite (its row and column are named).
    pub fn solve(&self, mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<Transport> {
        check_dim("target measure", mu.dim(), nu.dim())?;
        for (what, measure) in [("source atoms", mu), ("target atoms", nu)] {
            let limit = (u32::MAX / 4) as usize;
            if measure.len() > limit {
                return Err(Error::TooMany { what, limit, requested: measure.len() });
            }
        }
        if mu.dim() == 1
            && let Some(power) = cost.norm_power()
            && power.power() >= 1.0
        {
            return line::solve_scaled(mu, nu, power);
        }
        if mu.dim() == 1
            && let Some(periodic) = cost.periodic()
        {
            return circle::solve_scaled(mu, nu, &periodic);
        }
        let masses = Masses::new(mu, nu);
        let (rows, columns) = (loaded(&masses.supply), loaded(&masses.demand));
        let problem = Problem {
            cost,
            x: mu.points().select(&rows),
            supply: rows.iter().map(|&i| masses.supply[i]).collect(),
            y: nu.points().select(&columns),
            demand: columns.iter().map(|&j| masses.demand[j]).collect(),
        };
        // Atoms without mass have potentials too, so every cost must be a number.
        let largest = Table::new(cost, mu.points(), nu.points()).largest()?;
        let solved = problem.optimise(largest, self.max_pivots);
        let entries: Vec<_> = solved
            .plan()
            .into_iter()
            .map(|(i, j, units)| (rows[i], columns[j], units as f64 * masses.unit))
            .collect();
        let table = Table::new(cost, mu.points(), nu.points());
        let potentials = complete(&table, &rows, &columns, &solved).balanced(mu.weights(), nu.weights());
        Ok(Transport {
            value: entries.iter().map(|&(i, j, mass)| mass * table.entry(i, j)).sum(),
            plan: Coupling::sparse(mu.len(), nu.len(), entries)?,
            dual: potentials.dual(mu.weights(), nu.weights()),
            potentials,
            violation: solved.violation,
            iterations: solved.simplex.pivots(),
            status: if solved.optimal { Status::Converged } else { Status::IterationLimit },
        })
    }
}

/// The weights as whole numbers with the same sum on both sides.
pub(crate) struct Masses {
    pub(crate) supply: Vec<i64>,
    pub(crate) demand: Vec<i64>,
    /// The mass of one unit.
    pub(crate) unit: f64,
}

impl Masses {
    pub(crate) fn new(mu: &Empirical, nu: &Empirical) -> Self {
        if mu.is_uniform() && nu.is_uniform() {
            // Sizes are far below 2³², which was checked.
            let (n, m) = (mu.len() as u32, nu.len() as u32);
            let common = gcd(n, m);
            return Masses {
                supply: vec![i64::from(m / common); mu.len()],
                demand: vec![i64::from(n / common); nu.len()],
                unit: f64::from(common) / (f64::from(n) * f64::from(m)),
            };
        }
        Masses { supply: whole(mu.weights()), demand: whole(nu.weights()), unit: 1.0 / TOTAL as f64 }
    }
}

/// The units that weights are divided into when they are not uniform.
const TOTAL: i64 = 1 << 61;

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Weights as whole numbers that sum to [`TOTAL`]; the heaviest atom takes the rounding of the others.
pub(crate) fn whole(weights: &[f64]) -> Vec<i64> {
    let mut units: Vec<i64> = weights.iter().map(|w| (w * TOTAL as f64).round() as i64).collect();
    let heaviest = (0..units.len()).max_by_key(|&i| (units[i], std::cmp::Reverse(i))).unwrap_or(0);
    units[heaviest] += TOTAL - units.iter().sum::<i64>();
    units
}

/// The atoms that have mass.
pub(crate) fn loaded(masses: &[i64]) -> Vec<usize> {
    (0..masses.len()).filter(|&i| masses[i] > 0).collect()
}

/// A transportation problem whose atoms all have mass.
struct Problem<'a> {
    cost: &'a dyn Cost,
    x: Points,
    supply: Vec<i64>,
    y: Points,
    demand: Vec<i64>,
}

/// Where the solver got to.
struct Solved {
    simplex: NetworkSimplex,
    f: Vec<f64>,
    g: Vec<f64>,
    violation: f64,
    optimal: bool,
}

impl Problem<'_> {
    fn optimise(&self, largest: f64, max_pivots: usize) -> Solved {
        let table = Table::new(self.cost, &self.x, &self.y);
        let (n, m) = (self.x.len(), self.y.len());
        let tolerance = TOLERANCE * largest;
        let start = if n.saturating_mul(m) <= ALL_PAIRS {
            let zero = |count| vec![0.0; count];
            price(&table, Side::Source, &zero(n), &zero(m), m, f64::INFINITY).arcs
        } else {
            self.candidates(&table, largest, max_pivots)
        };
        let arcs = ascending(start);
        // More than half of the largest cost would do; the surplus keeps the comparison clear of round-off.
        let mut simplex =
            NetworkSimplex::new(&self.supply, &self.demand, arcs, largest.max(f64::MIN_POSITIVE), tolerance);
        loop {
            let finished = simplex.run(max_pivots);
            let (f, g) = (simplex.source_potentials(), simplex.target_potentials());
            let rows = price(&table, Side::Source, &f, &g, ADDED, -tolerance);
            let violation = f.iter().zip(&rows.transform).map(|(f, t)| f - t).fold(0.0, f64::max);
            if rows.arcs.is_empty() || !finished {
                return Solved { simplex, f, g, violation, optimal: finished };
            }
            let columns = price(&table, Side::Target, &g, &f, ADDED, -tolerance);
            let mut new = rows.arcs;
            new.extend(columns.arcs);
            simplex.extend(ascending(new));
        }
    }

    /// The pairs of smallest reduced cost, a few for every atom, under the potentials of a coarser problem.
    fn candidates(&self, table: &Table<'_>, largest: f64, max_pivots: usize) -> Vec<(Arc, f64)> {
        let means = self.cost.norm_power().is_some();
        let (x, supply) = coarsen(&self.x, &self.supply, means);
        let (y, demand) = coarsen(&self.y, &self.demand, means);
        let coarse = Problem { cost: self.cost, x, supply, y, demand };
        let guess = coarse.optimise(largest, max_pivots);
        // f = the c-transform of the coarse g, then g = the c-transform of f: feasible, and one step better each.
        let f = transform(&Table::new(self.cost, &self.x, &coarse.y), Side::Source, &guess.g);
        let columns = price(table, Side::Target, &vec![0.0; self.y.len()], &f, CANDIDATES, f64::INFINITY);
        let g = columns.transform;
        let rows = price(table, Side::Source, &f, &g, CANDIDATES, f64::INFINITY);
        let mut arcs = rows.arcs;
        arcs.extend(columns.arcs);
        for (arc, reduced) in &mut arcs {
            *reduced = arc.cost - rows.transform[arc.from as usize] - g[arc.to as usize];
        }
        arcs
    }
}

/// The c-transform of `other` at every row of `side`.
fn transform(table: &Table<'_>, side: Side, other: &[f64]) -> Vec<f64> {
    price(table, side, &vec![0.0; table.rows(side)], other, 1, f64::NEG_INFINITY).transform
}

/// Arcs by ascending reduced cost, each once.
fn ascending(mut arcs: Vec<(Arc, f64)>) -> Vec<Arc> {
    arcs.sort_unstable_by_key(|(arc, _)| (arc.from, arc.to));
    arcs.dedup_by_key(|(arc, _)| (arc.from, arc.to));
    arcs.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then((a.0.from, a.0.to).cmp(&(b.0.from, b.0.to))));
    arcs.into_iter().map(|(arc, _)| arc).collect()
}

impl Solved {
    /// The flows (i, j, units); whatever the pivot limit left without an arc is joined in order.
    fn plan(&self) -> Vec<(usize, usize, i64)> {
        let mut plan: Vec<_> =
            self.simplex.flows().map(|(arc, units)| (arc.from as usize, arc.to as usize, units)).collect();
        let (mut sources, mut sinks) = self.simplex.stranded();
        while let (Some((i, left_i)), Some((j, left_j))) = (sources.pop(), sinks.pop()) {
            let units = left_i.min(left_j);
            plan.push((i, j, units));
            if left_i > units {
                sources.push((i, left_i - units));
            }
            if left_j > units {
                sinks.push((j, left_j - units));
            }
        }
        plan
    }
}

/// The potentials of all atoms: c-transforms at those without mass.
fn complete(table: &Table<'_>, rows: &[usize], columns: &[usize], solved: &Solved) -> Potentials {
    let (n, m) = (table.rows(Side::Source), table.rows(Side::Target));
    // An absent atom constrains no one: its potential on the other side is −∞ in the transform.
    let spread = |count: usize, at: &[usize], values: &[f64]| {
        let mut out = vec![f64::NEG_INFINITY; count];
        at.iter().zip(values).for_each(|(&i, v)| out[i] = *v);
        out
    };
    let mut source = spread(n, rows, &solved.f);
    let mut target = spread(m, columns, &solved.g);
    if rows.len() < n {
        let all = transform(table, Side::Source, &target);
        source.iter_mut().zip(all).filter(|(f, _)| **f == f64::NEG_INFINITY).for_each(|(f, t)| *f = t);
    }
    if columns.len() < m {
        let all = transform(table, Side::Target, &source);
        target.iter_mut().zip(all).filter(|(g, _)| **g == f64::NEG_INFINITY).for_each(|(g, t)| *g = t);
    }
    Potentials { source, target }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::{check_certificate, cloud, moved};
    use crate::transport::{Custom, NormPower};
    use measures::Seed;
    use rand::RngExt;

    /// The least cost over all permutations, by exhaustion.
    fn least_over_permutations(cost: &dyn Fn(usize, usize) -> f64, used: &mut Vec<usize>, n: usize) -> f64 {
        let i = used.len();
        if i == n {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for j in 0..n {
            if !used.contains(&j) {
                used.push(j);
                least = least.min(cost(i, j) + least_over_permutations(cost, used, n));
                used.pop();
            }
        }
        least
    }

    #[test]
    fn small_problems_match_exhaustion() {
        for seed in 0..30 {
            let n = 1 + seed as usize % 7;
            let (mu, nu) = (cloud(n, 2, seed, false), cloud(n, 2, seed + 99, false));
            for power in [0.5, 1.0, 2.0] {
                let c = NormPower::new(2.0, power).unwrap();
                let pair = |i: usize, j: usize| c.cost(mu.points().row(i), nu.points().row(j));
                let want = least_over_permutations(&pair, &mut Vec::new(), n) / n as f64;
                let t = solve(&mu, &nu, &c).unwrap();
                assert!((t.value - want).abs() < 1e-14 * (1.0 + want), "{} and {want}", t.value);
                check_certificate(&t, &mu, &nu, &c, 1e-13);
            }
        }
    }

    #[test]
    fn weights_and_sizes_are_certified() {
        for (n, m, d) in [(1, 1, 2), (1, 7, 3), (9, 1, 2), (30, 50, 2), (300, 200, 2), (200, 300, 5)] {
            for weighted in [false, true] {
                let (mu, nu) = (cloud(n, d, 3, weighted), cloud(m, d, 4, weighted));
                for c in [
                    NormPower::squared_euclidean(),
                    NormPower::euclidean(),
                    NormPower::new(1.0, 1.0).unwrap(),
                    NormPower::new(f64::INFINITY, 3.0).unwrap(),
                    NormPower::new(2.0, 0.5).unwrap(),
                ] {
                    check_certificate(&solve(&mu, &nu, &c).unwrap(), &mu, &nu, &c, 1e-12);
                }
            }
        }
    }

    #[test]
    fn the_line_embedded_in_the_plane_is_the_line() {
        for (n, m, weighted) in [(40, 40, false), (170, 110, true), (64, 256, false)] {
            let (mu, nu) = (cloud(n, 1, 5, weighted), cloud(m, 1, 6, weighted));
            let lift = |mu: &Empirical| {
                let x = Points::from_fn(mu.len(), 2, |i, row| {
                    (row[0], row[1]) = (0.6 * mu.points().row(i)[0], 0.8 * mu.points().row(i)[0]);
                });
                mu.with_points(x).unwrap()
            };
            for p in [1.0, 2.0, 2.5] {
                let c = NormPower::new(2.0, p).unwrap();
                let (flat, line) =
                    (solve(&lift(&mu), &lift(&nu), &c).unwrap(), line::solve(&mu, &nu, p).unwrap());
                assert!((flat.value - line.value).abs() < 1e-12 * (1.0 + line.value));
            }
        }
    }

    #[test]
    fn translations_and_identities() {
        let mu = cloud(400, 3, 7, true);
        let by = [3.0, -1.0, 0.5];
        let nu = mu.with_points(moved(mu.points(), &by)).unwrap();
        let t = solve(&mu, &nu, &NormPower::squared_euclidean()).unwrap();
        assert!((t.value - 10.25).abs() < 1e-11);
        let same = solve(&mu, &mu, &NormPower::euclidean()).unwrap();
        assert_eq!(same.value, 0.0);
        assert!(same.gap() < 1e-13);
    }

    #[test]
    fn duplicates_and_atoms_without_mass() {
        let mut rng = Seed::new(1).rng();
        for round in 0..20 {
            let mut draw = |n: usize| {
                let x = Points::from_fn(n, 2, |_, row| row.fill_with(|| (rng.random::<f64>() * 3.0).floor()));
                let mut w: Vec<f64> = (0..n).map(|_| (rng.random::<f64>() * 3.0).floor()).collect();
                w[round % n] = 1.0;
                Empirical::normalised(x, w).unwrap()
            };
            let (mu, nu) = (draw(60), draw(45));
            for c in [NormPower::squared_euclidean(), NormPower::euclidean()] {
                check_certificate(&solve(&mu, &nu, &c).unwrap(), &mu, &nu, &c, 1e-13);
            }
        }
    }

    #[test]
    fn a_users_own_cost() {
        let (mu, nu) = (cloud(150, 2, 1, true), cloud(140, 2, 2, true));
        let c = Custom::new(|x, y| (x[0] * y[1] - x[1] * y[0]).sin() - 0.3 * x[0]);
        check_certificate(&solve(&mu, &nu, &c).unwrap(), &mu, &nu, &c, 1e-13);
        let bad = Custom::new(|x, _| if x[0] > 0.0 { f64::NAN } else { 0.0 });
        assert!(matches!(solve(&mu, &nu, &bad), Err(Error::NonFinite { what: "cost", .. })));
    }

    #[test]
    fn a_pivot_limit_still_gives_a_coupling_and_an_honest_gap() {
        let (mu, nu) = (cloud(300, 2, 1, true), cloud(200, 2, 2, false));
        let c = NormPower::squared_euclidean();
        let best = solve(&mu, &nu, &c).unwrap();
        let t = Exact { max_pivots: 20 }.solve(&mu, &nu, &c).unwrap();
        assert_eq!(t.status, Status::IterationLimit);
        assert!(t.plan.couples(&mu, &nu, 1e-12).unwrap());
        assert!(t.value > best.value && t.value - t.gap() <= best.value);
    }

    #[test]
    fn bad_input_is_named() {
        let (mu, nu) = (cloud(3, 2, 1, true), cloud(3, 3, 2, true));
        let c = NormPower::squared_euclidean();
        assert!(matches!(solve(&mu, &nu, &c), Err(Error::Dimension { what: "target measure", .. })));
        let far = Empirical::dirac(&[1e300, 0.0]).unwrap();
        assert!(matches!(solve(&mu, &far, &c), Err(Error::Parameter { what: "largest ground cost", .. })));
    }
}
