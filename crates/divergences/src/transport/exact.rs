//! Exact optimal transport for any cost, weights and sizes, by column generation around the network simplex.
//!
//! The solver works on a few candidate arcs an atom: the network simplex, or between equally many atoms of equal weight
//! shortest augmenting paths. Its potentials then price all n·m pairs, row by row, except for rows whose unlisted arcs are
//! known to cost more: arcs with fᵢ + gⱼ > c(xᵢ, yⱼ) join the candidates and the solver goes on from where it is. When none
//! is left, the potentials are feasible for the whole problem and prove the plan optimal. The first candidates are the
//! pairs with the smallest reduced costs: in few dimensions under the potentials of a coarser problem, solved in the same way,
//! in many under the least costs of the rows and columns. Memory is O(n + m).
//!
//! Squared cost between Gaussian clouds, one core with AVX-512, seconds of processor time: n = 1000, 2000, 5000 in 64
//! dimensions .02, .07, .3 and in the plane .03, .07, .3; n = 20,000 in the plane 3.2; n = 100,000 in the plane 49, with
//! 150 MB (the table of costs would have 80 GB).
//! Sources: Dantzig and Wolfe (1960) for column generation; Schmitzer, *A sparse multiscale algorithm for dense optimal
//! transport* (2016), doi:10.1007/s10851-016-0653-9, and Gerber and Maggioni, *Multiscale strategies for computing optimal
//! transport* (2017), for going from coarse to fine.

use super::assignment::Assignment;
use super::circle;
use super::coarse::coarsen;
use super::cost::Cost;
use super::line;
use super::merged::{Merged, split};
use super::network_simplex::{Arc, NetworkSimplex};
use super::plan::{Potentials, Status, Transport};
use super::pricing::Pricer;
use super::table::{Side, Table};
use super::unlisted::{CANDIDATES, Unlisted, each};
use measures::{Coupling, Empirical, Error, Measure, Points, Result, check_dim};
use std::collections::HashSet;

/// Up to this many pairs all arcs are candidates at once.
const ALL_PAIRS: usize = 1 << 12;

/// Above this dimension a coarser problem says too little to be worth its time: points of a group are as far from one another
/// as from all others.
const COARSE_UP_TO: usize = 8;

/// How often an assignment that its arcs do not allow gets more of them; then the simplex method takes over.
const WIDENINGS: usize = 8;

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

/// The assignment problem: the permutation j(i) of least Σᵢ c(xᵢ, y_{j(i)}) between equally many points, with the transport
/// between the uniform measures on them, which proves it; its value is the least mean cost.
///
/// ```
/// use divergences::transport::{NormPower, assignment};
/// use measures::Points;
/// let x = Points::from_rows(&[[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]]);
/// let y = Points::from_rows(&[[5.0, 4.0], [0.0, 1.0], [1.0, 1.0]]);
/// let (columns, transport) = assignment(&x, &y, &NormPower::squared_euclidean())?;
/// assert_eq!(columns, [1, 2, 0]);
/// assert_eq!(transport.value, 1.0);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// As [`Exact::solve`]; clouds of different sizes, an empty one, or coordinates that are not finite.
pub fn assignment(x: &Points, y: &Points, cost: &dyn Cost) -> Result<(Vec<usize>, Transport)> {
    measures::check_len("target points", x.len(), y.len())?;
    let (mu, nu) = (Empirical::uniform(x.clone())?, Empirical::uniform(y.clone())?);
    let transport = solve(&mu, &nu, cost)?;
    let mut columns = vec![usize::MAX; x.len()];
    transport.plan.entries().filter(|e| e.2 > 0.0).for_each(|(i, j, _)| columns[i] = j);
    Ok((columns, transport))
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
        // Atoms without mass have potentials too, so every cost must be a number.
        let table = Table::new(cost, mu.points(), nu.points());
        let largest = table.largest()?;
        // Sums of a few costs must be numbers too.
        line::check_finite_costs(8.0 * largest)?;
        let kept = |all: &[i64], at: &[usize]| at.iter().map(|&i| all[i]).collect();
        let x = Merged::new(&mu.points().select(&rows), kept(&masses.supply, &rows));
        let y = Merged::new(&nu.points().select(&columns), kept(&masses.demand, &columns));
        let solved = Problem::new(cost, &x, &y).optimise(largest, self.max_pivots);
        let entries: Vec<_> = split(&x, &y, &solved.plan)
            .into_iter()
            .map(|(i, j, units)| (rows[i], columns[j], units as f64 * masses.unit))
            .collect();
        let (f, g) = (x.spread(&solved.f), y.spread(&solved.g));
        let potentials = complete(&table, (&rows, &f), (&columns, &g)).balanced(mu.weights(), nu.weights());
        Ok(Transport {
            value: entries.iter().map(|&(i, j, mass)| mass * table.entry(i, j)).sum(),
            plan: Coupling::sparse(mu.len(), nu.len(), entries)?,
            dual: potentials.dual(mu.weights(), nu.weights()),
            potentials,
            violation: solved.violation,
            iterations: solved.steps,
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

/// A transportation problem whose atoms all have mass, and places of their own.
struct Problem<'a> {
    cost: &'a dyn Cost,
    x: &'a Points,
    supply: &'a [i64],
    y: &'a Points,
    demand: &'a [i64],
}

/// Where the solver got to.
struct Solved {
    /// The flows (i, j, units).
    plan: Vec<(usize, usize, i64)>,
    f: Vec<f64>,
    g: Vec<f64>,
    violation: f64,
    steps: usize,
    optimal: bool,
}

impl<'a> Problem<'a> {
    fn new(cost: &'a dyn Cost, x: &'a Merged, y: &'a Merged) -> Self {
        Problem { cost, x: &x.points, supply: &x.masses, y: &y.points, demand: &y.masses }
    }

    fn optimise(&self, largest: f64, max_pivots: usize) -> Solved {
        let table = Table::new(self.cost, self.x, self.y);
        let pricer = Pricer::new(&table);
        let tolerance = TOLERANCE * largest;
        let (mut arcs, mut unlisted) = if self.x.len().saturating_mul(self.y.len()) <= ALL_PAIRS {
            self.all_arcs(&table)
        } else {
            self.candidates(&pricer, largest, max_pivots)
        };
        let unit = self.supply[0];
        let is_assignment = self.x.len() == self.y.len()
            && self.supply.iter().chain(self.demand).all(|&mass| mass == unit)
            && max_pivots == usize::MAX;
        if is_assignment {
            let mut assignment = Assignment::new(unlisted.g.clone());
            assignment.extend(arcs.drain(..).map(|(arc, _)| arc));
            let mut widenings = 0;
            loop {
                if let Err(rows) = assignment.run() {
                    widenings += 1;
                    if widenings > WIDENINGS {
                        break;
                    }
                    let (f, g) = assignment.potentials();
                    let new = unlisted.widen(&pricer, &rows, f, g, |i, j| assignment.has(i, j));
                    assignment.extend(new);
                    continue;
                }
                let (f, g) = assignment.potentials();
                let (new, violation) = unlisted.price(&pricer, f, g, tolerance, |i, j| assignment.has(i, j));
                if new.is_empty() {
                    return Solved {
                        plan: assignment.pairs().map(|(i, j)| (i, j, unit)).collect(),
                        f: f.to_vec(),
                        g: g.to_vec(),
                        violation,
                        steps: assignment.steps(),
                        optimal: true,
                    };
                }
                assignment.extend(new.into_iter().map(|(arc, _)| arc));
            }
            let (f, g) = assignment.potentials();
            let reduced = |arc: Arc| (arc, arc.cost - f[arc.from as usize] - g[arc.to as usize]);
            arcs = assignment.arcs().map(reduced).collect();
        }
        let arcs = ascending(arcs);
        // More than half of the largest cost would do; the surplus keeps the comparison clear of round-off.
        let penalty = largest.max(f64::MIN_POSITIVE);
        let mut listed: HashSet<(u32, u32)> = arcs.iter().map(|arc| (arc.from, arc.to)).collect();
        let mut simplex = NetworkSimplex::new(self.supply, self.demand, arcs, penalty, tolerance);
        loop {
            let optimal = simplex.run(max_pivots);
            let (f, g) = (simplex.source_potentials(), simplex.target_potentials());
            let (new, violation) =
                unlisted.price(&pricer, &f, &g, tolerance, |i, j| listed.contains(&(i, j)));
            if new.is_empty() || !optimal {
                return Solved { plan: units(&simplex), f, g, violation, steps: simplex.pivots(), optimal };
            }
            listed.extend(new.iter().map(|(arc, _)| (arc.from, arc.to)));
            simplex.extend(ascending(new));
        }
    }

    /// All pairs; the potential of a column is its least cost.
    fn all_arcs(&self, table: &Table<'_>) -> (Vec<(Arc, f64)>, Unlisted) {
        let (n, m) = (self.x.len(), self.y.len());
        let mut arcs = Vec::with_capacity(n * m);
        let mut g = vec![f64::INFINITY; m];
        for from in 0..n {
            for to in 0..m {
                let cost = table.entry(from, to);
                g[to] = g[to].min(cost);
                arcs.push((Arc { from: from as u32, to: to as u32, cost }, cost));
            }
        }
        arcs.iter_mut().for_each(|(arc, reduced)| *reduced -= g[arc.to as usize]);
        (arcs, Unlisted { bounds: vec![f64::INFINITY; n], g })
    }

    /// The potential of the source atoms that a coarser problem suggests.
    fn coarse_guess(&self, largest: f64, max_pivots: usize) -> Vec<f64> {
        let means = self.cost.norm_power().is_some();
        let (x, supply) = coarsen(self.x, self.supply, means);
        let (y, demand) = coarsen(self.y, self.demand, means);
        let (x, y) = (Merged::new(&x, supply), Merged::new(&y, demand));
        let coarse = Problem::new(self.cost, &x, &y);
        let guess = coarse.optimise(largest, max_pivots);
        let between = Table::new(self.cost, self.x, coarse.y);
        Pricer::new(&between).transform(Side::Source, &guess.g)
    }

    /// The pairs of smallest reduced cost, a few for every atom, under potentials from a coarser problem, or from none.
    fn candidates(
        &self,
        pricer: &Pricer<'_>,
        largest: f64,
        max_pivots: usize,
    ) -> (Vec<(Arc, f64)>, Unlisted) {
        // f = the c-transform of the coarse g, then g = the c-transform of f: feasible, and one step better each.
        let f = if self.x.dim() > COARSE_UP_TO {
            vec![0.0; self.x.len()]
        } else {
            self.coarse_guess(largest, max_pivots)
        };
        let (n, m) = (self.x.len(), self.y.len());
        let (rows, columns): (Vec<u32>, Vec<u32>) = ((0..n as u32).collect(), (0..m as u32).collect());
        let zero = vec![0.0; n.max(m)];
        let of_columns = pricer.price(Side::Target, &columns, &zero[..m], &f, CANDIDATES, f64::INFINITY);
        let g: Vec<f64> = each(&of_columns).map(|list| list[0].1).collect();
        let of_rows = pricer.price(Side::Source, &rows, &zero[..n], &g, CANDIDATES + 1, f64::INFINITY);
        // What a row does not list is at least its last, which may go unlisted too.
        let mut arcs = Vec::with_capacity(of_rows.arcs.len() + of_columns.arcs.len());
        let mut bounds = Vec::with_capacity(n);
        let mut least = Vec::with_capacity(n);
        let mut starts = Vec::with_capacity(n);
        for list in each(&of_rows) {
            let complete = list.len() <= CANDIDATES;
            bounds.push(if complete { f64::INFINITY } else { list[CANDIDATES].1 });
            least.push(list[0].1);
            starts.push(arcs.len());
            arcs.extend(list.iter().take(CANDIDATES).map(|(arc, reduced)| (*arc, reduced - list[0].1)));
        }
        let of_rows = arcs.len();
        for (arc, _) in of_columns.arcs {
            let row = arc.from as usize;
            let end = starts.get(row + 1).map_or(of_rows, |next| *next);
            if arcs[starts[row]..end].iter().all(|(listed, _)| listed.to != arc.to) {
                arcs.push((arc, arc.cost - g[arc.to as usize] - least[row]));
            }
        }
        (arcs, Unlisted { bounds, g })
    }
}

/// Arcs by ascending reduced cost.
fn ascending(mut arcs: Vec<(Arc, f64)>) -> Vec<Arc> {
    arcs.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then((a.0.from, a.0.to).cmp(&(b.0.from, b.0.to))));
    arcs.into_iter().map(|(arc, _)| arc).collect()
}

/// The flows (i, j, units) of a simplex; whatever the pivot limit left without an arc is joined in order.
fn units(simplex: &NetworkSimplex) -> Vec<(usize, usize, i64)> {
    let mut plan: Vec<_> =
        simplex.flows().map(|(arc, units)| (arc.from as usize, arc.to as usize, units)).collect();
    let (mut sources, mut sinks) = simplex.stranded();
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

/// The potentials of all atoms: c-transforms at those without mass.
fn complete(
    table: &Table<'_>,
    (rows, f): (&[usize], &[f64]),
    (columns, g): (&[usize], &[f64]),
) -> Potentials {
    let (n, m) = (table.rows(Side::Source), table.rows(Side::Target));
    // An absent atom constrains no one: its potential on the other side is −∞ in the transform.
    let spread = |count: usize, at: &[usize], values: &[f64]| {
        let mut out = vec![f64::NEG_INFINITY; count];
        at.iter().zip(values).for_each(|(&i, v)| out[i] = *v);
        out
    };
    let mut source = spread(n, rows, f);
    let mut target = spread(m, columns, g);
    if rows.len() < n {
        let all = Pricer::new(table).transform(Side::Source, &target);
        source.iter_mut().zip(all).filter(|(f, _)| **f == f64::NEG_INFINITY).for_each(|(f, t)| *f = t);
    }
    if columns.len() < m {
        let all = Pricer::new(table).transform(Side::Target, &source);
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
    fn the_two_solvers_agree() {
        // A limit on the pivots, however large, asks for the simplex method.
        let simplex = Exact { max_pivots: usize::MAX - 1 };
        let mut rng = Seed::new(9).rng();
        for (n, d) in [(140, 1), (150, 2), (160, 5), (180, 40)] {
            let (mu, nu) = (cloud(n, d, 1, false), cloud(n, d, 2, false));
            // Most points in few places, so that the candidates of most atoms are the same.
            let mut crowd = || {
                let x = Points::from_fn(n, d, |i, row| {
                    row.fill(if i % 10 == 0 { rng.random::<f64>() } else { (i % 3) as f64 });
                });
                Empirical::uniform(x).unwrap()
            };
            let (crowd, other) = (crowd(), crowd());
            for (mu, nu) in [(&mu, &nu), (&crowd, &other), (&crowd, &nu), (&mu, &crowd)] {
                for c in [
                    NormPower::squared_euclidean(),
                    NormPower::euclidean(),
                    NormPower::new(1.0, 2.0).unwrap(),
                    NormPower::new(2.0, 3.0).unwrap(),
                ] {
                    let (one, two) = (solve(mu, nu, &c).unwrap(), simplex.solve(mu, nu, &c).unwrap());
                    assert!((one.value - two.value).abs() <= 1e-12 * (1.0 + two.value));
                    check_certificate(&one, mu, nu, &c, 1e-12);
                    let (columns, _) = assignment(mu.points(), nu.points(), &c).unwrap();
                    assert!(one.plan.entries().all(|(i, j, _)| columns[i] == j));
                }
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
        let unequal = assignment(mu.points(), cloud(4, 2, 1, false).points(), &c);
        assert!(matches!(unequal, Err(Error::Length { what: "target points", .. })));
    }
}
