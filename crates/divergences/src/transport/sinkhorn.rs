//! Entropic optimal transport by Sinkhorn's iteration, in the log domain, accelerated, from coarse to fine.
//!
//! ```text
//! OT_ε(μ, ν) = min_π ⟨c|π⟩ + ε KL(π | μ ⊗ ν) = max_{f,g} ⟨f|μ⟩ + ⟨g|ν⟩ − ε ⟨e^{(f ⊕ g − c)/ε} − 1|μ ⊗ ν⟩
//! ```
//!
//! with the plan π_ij = aᵢ bⱼ e^{(fᵢ + gⱼ − c_ij)/ε}. A sweep gives all rows the mass they should have, then all columns;
//! the sequence of column potentials is accelerated by Anderson mixing, which does what over-relaxation with the best
//! factor would, and more; where that is slow, a step of Newton's method comes between. Potentials start from a coarser pair
//! of clouds, on the coarsest from a sequence of falling temperatures, and between few atoms from scalings of a stored
//! kernel (`small.rs`); otherwise no n×m array is stored. Sources: Cuturi, *Sinkhorn distances* (2013), arXiv:1306.0895;
//! Peyré and Cuturi, *Computational optimal transport* (2019), chapter 4, doi:10.1561/2200000073; Lehmann, von Renesse,
//! Sambale and Uschmajew, *A note on overrelaxation in the Sinkhorn algorithm* (2022), arXiv:2012.12562, for the linear
//! theory.

use super::coarse::coarsen;
use super::cost::Cost;
use super::exact::whole;
use super::gibbs::{Gibbs, log2, padded};
use super::mixing::Mixing;
use super::newton::{is_direct, light};
use super::plan::{Potentials, Status, dot};
use super::small::Small;
use super::table::{Side, Table};
use measures::{Coupling, Empirical, Error, Measure, Points, Result, check_dim, check_positive, parallel};

/// Sinkhorn's iteration with its settings.
///
/// ```
/// use divergences::transport::{NormPower, Sinkhorn};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_rows(&[[0.0, 0.0], [1.0, 0.0]]))?;
/// let nu = Empirical::uniform(Points::from_rows(&[[0.0, 1.0], [1.0, 1.0]]))?;
/// let entropic = Sinkhorn::new(0.01)?.solve(&mu, &nu, &NormPower::squared_euclidean())?;
/// assert!(entropic.status.is_converged() && entropic.marginal_error <= 1e-6);
/// // The plan is almost the permutation, whose entropy relative to μ ⊗ ν is log 2.
/// assert!((entropic.value - (1.0 + 0.01 * 2f64.ln())).abs() < 1e-9);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Sinkhorn {
    /// ε, in the unit of the cost.
    pub epsilon: f64,
    /// The ℓ¹ distance of the marginals of the plan from the weights, both sides added up, at which to stop.
    pub tolerance: f64,
    /// Passes over the finest pair of clouds after which to give up with [`Status::IterationLimit`].
    pub max_iterations: usize,
}

/// Entropic transport with its certificate, the marginal error.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Entropic {
    /// OT_ε: the dual value at the potentials, a lower bound of the optimum, entropy relative to μ ⊗ ν included. Its error
    /// is of second order in the marginal error.
    pub value: f64,
    /// f and g: f is the first variation of OT_ε in μ, up to a constant.
    pub potentials: Potentials,
    /// ε.
    pub epsilon: f64,
    /// Σᵢ |Σⱼ π_ij − aᵢ| + Σⱼ |Σᵢ π_ij − bⱼ| of the plan that the potentials give; its rows are exact.
    pub marginal_error: f64,
    /// Passes over the finest pair of clouds, sweeps and products of Newton's method together.
    pub iterations: usize,
    /// Whether the tolerance was reached; [`Status::Stalled`] when round-off, of relative size 10⁻¹⁶ max c/ε, forbids it.
    pub status: Status,
}

/// ε below this fraction of the largest cost leaves no digit of the plan.
const LEAST_EPSILON: f64 = 1e-12;

/// Passes after which progress is judged: an error not below this fraction of what it was calls for Newton's method.
const SLOW: usize = 40;
const SLOW_GAIN: f64 = 0.1;
/// The same where Newton's direction costs next to nothing.
const QUICK: usize = 8;
/// Marginal error below which Newton's method may be trusted with a large problem.
const NEWTON_BELOW: f64 = 1e-5;
/// How often a step of Newton's method is halved before it is given up.
const HALVINGS: usize = 20;

/// Up to this many pairs a problem is solved without a coarser one.
const DIRECT: usize = 1 << 16;

/// The largest dense plan that is written out, in entries.
const LARGEST_PLAN: usize = 1 << 28;

impl Sinkhorn {
    /// The iteration at temperature `epsilon`, to a marginal error of 1e-6 within 10,000 sweeps.
    ///
    /// # Errors
    /// `epsilon` is not finite and positive.
    pub fn new(epsilon: f64) -> Result<Self> {
        check_positive("epsilon", epsilon)?;
        Ok(Sinkhorn { epsilon, tolerance: 1e-6, max_iterations: 10_000 })
    }

    /// The same to another marginal error.
    pub fn tolerance(self, tolerance: f64) -> Self {
        Sinkhorn { tolerance, ..self }
    }

    /// The same with another limit of sweeps.
    pub fn max_iterations(self, max_iterations: usize) -> Self {
        Sinkhorn { max_iterations, ..self }
    }

    /// OT_ε between μ and ν.
    ///
    /// # Errors
    /// The measures live in different dimensions; a cost is NaN or infinite; ε or the tolerance is not finite and positive;
    /// ε is below 10⁻¹² of the largest cost, where double precision cannot hold a plan ([`solve`](super::solve) is for
    /// that). An ε that small but legal is slow: the number of sweeps grows like max c/ε, less with mixing.
    pub fn solve(&self, mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<Entropic> {
        self.solve_from(mu, nu, cost, None)
    }

    /// As [`Sinkhorn::solve`], started from a potential g on the atoms of ν, such as an earlier solution has for similar μ.
    ///
    /// # Errors
    /// As [`Sinkhorn::solve`]; a start that has not one finite number an atom of ν.
    pub fn solve_from(
        &self,
        mu: &Empirical,
        nu: &Empirical,
        cost: &dyn Cost,
        start: Option<&[f64]>,
    ) -> Result<Entropic> {
        check_dim("target measure", mu.dim(), nu.dim())?;
        let table = Table::new(cost, mu.points(), nu.points());
        let largest = table.largest()?;
        self.check(largest)?;
        if let Some(g) = start {
            measures::check_len("start", nu.len(), g.len())?;
            measures::check_finite("start", g)?;
        }
        let problem =
            Problem { cost, x: mu.points(), a: mu.weights(), y: nu.points(), b: nu.weights(), largest };
        Ok(problem.solve(&table, self, start))
    }

    /// `Ok` when the settings make sense for costs up to `largest`.
    pub(crate) fn check(&self, largest: f64) -> Result<()> {
        check_positive("epsilon", self.epsilon)?;
        check_positive("tolerance", self.tolerance)?;
        if self.epsilon < 1e-300 {
            let must = "at least 1e-300: rescale the cost";
            return Err(Error::Parameter { what: "epsilon", value: self.epsilon, must });
        }
        if self.epsilon < LEAST_EPSILON * largest {
            let must = "at least 1e-12 of the largest cost; use the exact solver below";
            return Err(Error::Parameter { what: "epsilon", value: self.epsilon, must });
        }
        Ok(())
    }

    /// The marginal error that round-off allows.
    pub(crate) fn floor(&self, largest: f64) -> f64 {
        4.0 * f64::EPSILON * (largest / self.epsilon + 8.0)
    }
}

/// The mean cost Σ aᵢ bⱼ c(xᵢ, yⱼ) between two measures: a scale for ε. O(n m).
///
/// # Errors
/// The measures live in different dimensions, or a cost is not finite.
pub fn mean_cost(mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<f64> {
    check_dim("target measure", mu.dim(), nu.dim())?;
    let table = Table::new(cost, mu.points(), nu.points());
    table.largest()?;
    Ok(parallel::sum_blocks(mu.len(), 64, |rows| {
        let mut row = vec![0.0; nu.len()];
        rows.map(|i| {
            table.fill(Side::Source, i, 0, &mut row);
            mu.weights()[i] * dot(&row, nu.weights())
        })
        .sum()
    }))
}

struct Problem<'a> {
    cost: &'a dyn Cost,
    x: &'a Points,
    a: &'a [f64],
    y: &'a Points,
    b: &'a [f64],
    largest: f64,
}

impl Problem<'_> {
    fn solve(&self, table: &Table<'_>, settings: &Sinkhorn, start: Option<&[f64]>) -> Entropic {
        let mut iteration = Iteration::new(table, self.a, self.b, settings.epsilon);
        let floor = settings.floor(self.largest);
        let (tolerance, limit) = (settings.tolerance.max(floor), settings.max_iterations);
        let mut scaled = None;
        match start {
            Some(g) => iteration.start_from(g),
            None if self.x.len().saturating_mul(self.y.len()) <= DIRECT => {
                scaled = self.scale(&mut iteration, settings.epsilon, tolerance, limit);
                if scaled.is_none() {
                    self.anneal(&mut iteration, settings);
                }
            }
            None => iteration.v = self.coarse_start(settings, &iteration.gibbs),
        }
        let (mut error, mut iterations) = scaled.unwrap_or((f64::INFINITY, 0));
        if error > tolerance {
            let (reached, passes) = iteration.run(tolerance, limit - iterations);
            (error, iterations) = (reached, iterations + passes);
        }
        let status = if error <= settings.tolerance {
            Status::Converged
        } else if error <= floor {
            Status::Stalled
        } else {
            Status::IterationLimit
        };
        iteration.finish(error, iterations, status)
    }

    /// Potentials by scalings of a stored kernel where there are few atoms: the marginal error reached, and the sweeps at
    /// the last temperature, at most half of `limit`.
    fn scale(
        &self,
        iteration: &mut Iteration<'_, '_>,
        epsilon: f64,
        tolerance: f64,
        limit: usize,
    ) -> Option<(f64, usize)> {
        if limit < 2 {
            return None;
        }
        let mut small = Small::new(iteration.table, self.a, self.b)?;
        // What is slow by scalings is left to Newton's method.
        let ended = small.run(self.largest, epsilon, tolerance, limit / 2)?;
        small.potentials(&mut iteration.u, &mut iteration.v[..self.b.len()]);
        iteration.mass = ended.mass;
        Some((ended.error, ended.sweeps))
    }

    /// Falling temperatures, each roughly solved, down to the one asked for.
    fn anneal(&self, iteration: &mut Iteration<'_, '_>, settings: &Sinkhorn) {
        let mut epsilon = 0.25 * self.largest;
        while epsilon > 2.0 * settings.epsilon {
            iteration.cool(epsilon);
            iteration.run(1e-5, 200);
            epsilon *= 0.5;
        }
        iteration.cool(settings.epsilon);
    }

    /// v from the solution for a coarser pair of clouds.
    fn coarse_start(&self, settings: &Sinkhorn, gibbs: &Gibbs<'_>) -> Vec<f64> {
        let means = self.cost.norm_power().is_some();
        let smaller = |points: &Points, weights: &[f64]| {
            let units = whole(weights);
            let loaded: Vec<usize> = (0..units.len()).filter(|&i| units[i] > 0).collect();
            let masses: Vec<i64> = loaded.iter().map(|&i| units[i]).collect();
            let (points, units) = coarsen(&points.select(&loaded), &masses, means);
            let total: f64 = units.iter().map(|u| *u as f64).sum();
            (points, units.into_iter().map(|u| u as f64 / total).collect::<Vec<_>>())
        };
        let ((x, a), (y, b)) = (smaller(self.x, self.a), smaller(self.y, self.b));
        let coarse = Problem { cost: self.cost, x: &x, a: &a, y: &y, b: &b, largest: self.largest };
        let rough = Sinkhorn { tolerance: settings.tolerance.max(1e-4), max_iterations: 1000, ..*settings };
        let solved = coarse.solve(&Table::new(self.cost, &x, &y), &rough, None);
        // g on the fine atoms: the soft c-transform of the coarse f.
        let table = Table::new(self.cost, &x, self.y);
        let u: Vec<f64> = solved.potentials.source.iter().map(|f| f * gibbs.kappa()).collect();
        let between = Gibbs::new(&table, settings.epsilon);
        let v = between.transform(Side::Target, &padded(&u, f64::NEG_INFINITY), &padded(&a, 0.0));
        padded(&v, f64::NEG_INFINITY)
    }
}

/// The state of the iteration.
struct Iteration<'t, 'a> {
    table: &'t Table<'t>,
    gibbs: Gibbs<'t>,
    epsilon: f64,
    a: &'a [f64],
    /// Padded, as are v and b.
    b: Vec<f64>,
    u: Vec<f64>,
    v: Vec<f64>,
    /// Σ bⱼ tⱼ of the last sweep: the mass of the plan.
    mass: f64,
}

impl<'t, 'a> Iteration<'t, 'a> {
    fn new(table: &'t Table<'t>, a: &'a [f64], b: &[f64], epsilon: f64) -> Self {
        Iteration {
            table,
            gibbs: Gibbs::new(table, epsilon),
            epsilon,
            a,
            b: padded(b, 0.0),
            u: vec![0.0; a.len()],
            v: padded(&vec![0.0; b.len()], f64::NEG_INFINITY),
            mass: 1.0,
        }
    }

    fn start_from(&mut self, g: &[f64]) {
        let v: Vec<f64> = g.iter().map(|g| g * self.gibbs.kappa()).collect();
        self.v = padded(&v, f64::NEG_INFINITY);
    }

    /// Keeps the potentials and changes the temperature.
    fn cool(&mut self, epsilon: f64) {
        let ratio = self.epsilon / epsilon;
        self.u.iter_mut().chain(&mut self.v).for_each(|p| *p *= ratio);
        self.epsilon = epsilon;
        self.gibbs = Gibbs::new(self.table, epsilon);
    }

    /// Iterates until the marginal error is below `tolerance` or `limit` passes are done; returns both.
    fn run(&mut self, tolerance: f64, limit: usize) -> (f64, usize) {
        let m = self.table.row_len(Side::Source);
        let is_small = self.a.len().saturating_mul(m) <= DIRECT;
        // Where Newton's direction is cheap it is not worth while to wait for the iteration.
        let patience = if is_small && is_direct(m) { QUICK } else { SLOW };
        let light = light(&self.b[..m]);
        let mut weights = self.b[..m].to_vec();
        light.iter().for_each(|&j| weights[j] = 0.0);
        let mut mixing = Mixing::default();
        let mut columns = self.gibbs.sweep(&mut self.u, &self.v, self.a, &self.b);
        let (mut done, mut mark, mut mark_error) = (1, 1, f64::INFINITY);
        loop {
            let error = self.error(&columns);
            if error <= tolerance || done >= limit {
                self.mass = dot(&columns, &self.b);
                return (error, done);
            }
            if done >= mark + patience {
                let is_slow = error > SLOW_GAIN * mark_error && (error < NEWTON_BELOW || is_small);
                (mark, mark_error) = (done, error);
                if is_slow {
                    done += self.newton(&mut columns, limit - done);
                    mixing = Mixing::default();
                    // As long as Newton's steps pay off, go on with them.
                    mark =
                        if self.error(&columns) < 0.5 * error { done.saturating_sub(patience) } else { done };
                    mark_error = error;
                    continue;
                }
            }
            let step = self.correction(&columns);
            let merit = self.merit();
            let alone: Vec<f64> = light.iter().map(|&j| self.v[j] + step[j]).collect();
            mixing.advance(&mut self.v[..m], step, &weights, merit, error);
            light.iter().zip(alone).for_each(|(&j, v)| self.v[j] = v);
            columns = self.gibbs.sweep(&mut self.u, &self.v, self.a, &self.b);
            done += 1;
        }
    }

    fn error(&self, columns: &[f64]) -> f64 {
        columns.iter().zip(&self.b).map(|(t, b)| b * (t - 1.0).abs()).sum()
    }

    /// The dual value in units of ε, which every plain step raises: with exact rows the mass of the plan is one.
    fn merit(&self) -> f64 {
        let m = self.table.row_len(Side::Source);
        (dot(&self.u, self.a) + dot(&self.v[..m], &self.b[..m])) * std::f64::consts::LN_2
    }

    /// A step in Newton's direction, halved until the dual rises or the error falls; returns the passes it cost.
    fn newton(&mut self, columns: &mut Vec<f64>, limit: usize) -> usize {
        let (merit, error) = (self.merit(), self.error(columns));
        let (mut step, mut passes) =
            super::newton::direction(&self.gibbs, &self.u, &self.v, self.a, &self.b, columns);
        let (u, v) = (self.u.clone(), self.v.clone());
        // Newton's method overshoots where a column has hardly any mass; light ones are done by their own equation.
        if step.iter().all(|s| *s == 0.0) {
            return passes;
        }
        let plain = self.correction(columns);
        light(&self.b[..plain.len()]).into_iter().for_each(|j| step[j] = plain[j] * std::f64::consts::LN_2);
        let mut length = std::f64::consts::LOG2_E;
        for _ in 0..HALVINGS {
            if passes >= limit {
                break;
            }
            self.v.iter_mut().zip(v.iter().zip(&step)).for_each(|(new, (v, s))| *new = v + length * s);
            let sums = self.gibbs.sweep(&mut self.u, &self.v, self.a, &self.b);
            passes += 1;
            if self.merit() > merit || self.error(&sums) < 0.5 * error {
                *columns = sums;
                return passes;
            }
            length *= 0.5;
        }
        (self.u, self.v) = (u, v);
        passes
    }

    /// −log₂ tⱼ, by which Sinkhorn's iteration changes vⱼ.
    fn correction(&self, columns: &[f64]) -> Vec<f64> {
        let m = self.table.row_len(Side::Source);
        let safe = |t: f64| t > 1e-280 && t < 1e280;
        if columns[..m].iter().all(|&t| safe(t)) {
            return columns[..m].iter().map(|&t| -log2(t)).collect();
        }
        // Some column is out of reach of the old reference: solve its equation from its own maximum.
        let u = padded(&self.u, f64::NEG_INFINITY);
        let fresh = self.gibbs.transform(Side::Target, &u, &padded(self.a, 0.0));
        let columns = columns.iter().zip(fresh.iter().zip(&self.v));
        columns.map(|(&t, (fresh, v))| if safe(t) { -log2(t) } else { fresh - v }).collect()
    }

    fn finish(self, marginal_error: f64, iterations: usize, status: Status) -> Entropic {
        let m = self.table.row_len(Side::Source);
        let unit = self.gibbs.kappa().recip();
        let source: Vec<f64> = self.u.iter().map(|u| u * unit).collect();
        let target: Vec<f64> = self.v[..m].iter().map(|v| v * unit).collect();
        let b = &self.b[..m];
        let potentials = Potentials { source, target }.balanced(self.a, b);
        let value = potentials.dual(self.a, b) - self.epsilon * (self.mass - 1.0);
        Entropic { value, potentials, epsilon: self.epsilon, marginal_error, iterations, status }
    }
}

impl Entropic {
    /// The plan as a dense coupling, π_ij = aᵢ bⱼ e^{(fᵢ + gⱼ − c_ij)/ε}, rows scaled to their weights.
    ///
    /// # Errors
    /// Other measures than were solved for (by size or dimension), or more than 2²⁸ entries: then use
    /// [`Entropic::barycentric_map`], which needs no plan.
    pub fn plan(&self, mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<Coupling> {
        self.check_measures(mu, nu)?;
        let (n, m) = (mu.len(), nu.len());
        let entries = n.saturating_mul(m);
        if entries > LARGEST_PLAN {
            return Err(Error::TooMany {
                what: "entries of the plan",
                limit: LARGEST_PLAN,
                requested: entries,
            });
        }
        let mut mass = vec![0.0; entries];
        self.conditionals(mu, nu, cost, &mut mass, m, |i, row, out| {
            out.iter_mut().zip(row).for_each(|(o, p)| *o = mu.weights()[i] * p);
        });
        Coupling::dense(n, m, mass)
    }

    /// ⟨c|π⟩, the cost of the plan without the entropy.
    ///
    /// # Errors
    /// Other measures than were solved for.
    pub fn transport_cost(&self, mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<f64> {
        self.check_measures(mu, nu)?;
        let table = Table::new(cost, mu.points(), nu.points());
        let gibbs = Gibbs::new(&table, self.epsilon);
        let scaled = |p: &[f64]| p.iter().map(|p| p * gibbs.kappa()).collect::<Vec<_>>();
        let v = padded(&scaled(&self.potentials.target), f64::NEG_INFINITY);
        let mut means = vec![0.0; mu.len()];
        gibbs.mean_costs(&scaled(&self.potentials.source), &v, &padded(nu.weights(), 0.0), &mut means);
        Ok(dot(&means, mu.weights()))
    }

    /// The mean Σⱼ π_ij yⱼ / aᵢ of where each atom of μ goes, n×d, without storing the plan.
    ///
    /// # Errors
    /// Other measures than were solved for.
    pub fn barycentric_map(&self, mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<Points> {
        self.check_measures(mu, nu)?;
        let mut out = Points::zeros(mu.len(), nu.dim());
        self.conditionals(mu, nu, cost, out.as_mut_slice(), nu.dim(), |_, row, out| {
            for (p, y) in row.iter().zip(nu.points().rows()) {
                out.iter_mut().zip(y).for_each(|(o, y)| *o += p * y);
            }
        });
        Ok(out)
    }

    /// The same transport from ν to μ.
    pub(crate) fn mirrored(self) -> Self {
        let Potentials { source, target } = self.potentials;
        Entropic { potentials: Potentials { source: target, target: source }, ..self }
    }

    /// ∇f at the atoms of μ, n×d: the mean of ∇ₓ c over where each atom goes.
    pub(crate) fn gradients(&self, mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Result<Points> {
        let table = Table::new(cost, mu.points(), nu.points());
        let gibbs = Gibbs::new(&table, self.epsilon);
        let scaled = |p: &[f64]| p.iter().map(|p| p * gibbs.kappa()).collect::<Vec<_>>();
        let v = padded(&scaled(&self.potentials.target), f64::NEG_INFINITY);
        gibbs.gradients(&scaled(&self.potentials.source), &v, &padded(nu.weights(), 0.0))
    }

    /// Calls `visit(i, row, out)` with the law π_i· / aᵢ of where atom i goes and row i of a buffer of rows of `width`.
    fn conditionals(
        &self,
        mu: &Empirical,
        nu: &Empirical,
        cost: &dyn Cost,
        out: &mut [f64],
        width: usize,
        visit: impl Fn(usize, &[f64], &mut [f64]) + Sync + Send,
    ) {
        let table = Table::new(cost, mu.points(), nu.points());
        let gibbs = Gibbs::new(&table, self.epsilon);
        let scaled = |p: &[f64]| p.iter().map(|p| p * gibbs.kappa()).collect::<Vec<_>>();
        let v = padded(&scaled(&self.potentials.target), f64::NEG_INFINITY);
        let u = scaled(&self.potentials.source);
        gibbs.conditionals(&u, &v, &padded(nu.weights(), 0.0), out, width, visit);
    }

    fn check_measures(&self, mu: &Empirical, nu: &Empirical) -> Result<()> {
        check_dim("target measure", mu.dim(), nu.dim())?;
        measures::check_len("source atoms", self.potentials.source.len(), mu.len())?;
        measures::check_len("target atoms", self.potentials.target.len(), nu.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::{cloud, moved};
    use crate::transport::{Custom, NormPower, solve};

    /// ⟨c|π⟩ + ε KL(π | μ ⊗ ν) from the plan itself.
    fn primal(e: &Entropic, mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> f64 {
        let plan = e.plan(mu, nu, cost).unwrap();
        let (a, b) = (mu.weights(), nu.weights());
        plan.entries()
            .filter(|e| e.2 > 0.0)
            .map(|(i, j, p)| {
                p * cost.cost(mu.points().row(i), nu.points().row(j))
                    + e.epsilon * p * (p / (a[i] * b[j])).ln()
            })
            .sum()
    }

    #[test]
    fn value_plan_and_marginals_agree() {
        for (n, m, d, weighted) in
            [(1, 1, 2, false), (1, 9, 1, true), (40, 25, 2, true), (300, 340, 3, false)]
        {
            let (mu, nu) = (cloud(n, d, 1, weighted), cloud(m, d, 2, weighted));
            for cost in
                [NormPower::squared_euclidean(), NormPower::euclidean(), NormPower::new(1.5, 1.0).unwrap()]
            {
                let epsilon = 0.05 * mean_cost(&mu, &nu, &cost).unwrap();
                let e = Sinkhorn::new(epsilon).unwrap().tolerance(1e-10).solve(&mu, &nu, &cost).unwrap();
                assert_eq!(e.status, Status::Converged);
                let plan = e.plan(&mu, &nu, &cost).unwrap();
                assert!(plan.couples(&mu, &nu, 1e-9).unwrap());
                assert!((e.value - primal(&e, &mu, &nu, &cost)).abs() < 1e-8 * (1.0 + e.value.abs()));
                let linear = plan.cost(mu.points(), nu.points(), |x, y| cost.cost(x, y)).unwrap();
                assert!((linear - e.transport_cost(&mu, &nu, &cost).unwrap()).abs() < 1e-12 * (1.0 + linear));
                let (one, other) =
                    (plan.barycentric_map(nu.points()).unwrap(), e.barycentric_map(&mu, &nu, &cost).unwrap());
                assert!(one.as_slice().iter().zip(other.as_slice()).all(|(a, b)| (a - b).abs() < 1e-12));
            }
        }
    }

    #[test]
    fn between_the_exact_cost_and_the_independent_coupling() {
        let (mu, nu) = (cloud(150, 2, 1, true), cloud(130, 2, 2, true));
        let c = NormPower::squared_euclidean();
        let (exact, mean) = (solve(&mu, &nu, &c).unwrap().value, mean_cost(&mu, &nu, &c).unwrap());
        let mut last = exact;
        let largest = Table::new(&c, mu.points(), nu.points()).largest().unwrap();
        for epsilon in [1e-4 * largest, 1e-3 * largest, 0.1, 1.0, 10.0, 1e6] {
            let e = Sinkhorn::new(epsilon).unwrap().solve(&mu, &nu, &c).unwrap();
            assert_eq!(
                e.status,
                Status::Converged,
                "ε {epsilon}: {} after {}",
                e.marginal_error,
                e.iterations
            );
            // OT_ε grows with ε; at most the entropy of the weights is added to the exact cost.
            assert!(e.value >= last - 1e-6 && e.value <= mean + 1e-9 && e.value <= exact + epsilon * 5.0);
            assert!(e.potentials.source.iter().chain(&e.potentials.target).all(|p| p.is_finite()));
            last = e.value;
        }
        assert!((last - mean).abs() < 1e-5);
    }

    #[test]
    fn atoms_without_mass_duplicates_and_far_clouds() {
        let c = NormPower::squared_euclidean();
        let x = Points::from_rows(&[[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [5.0, 5.0]]);
        let mu = Empirical::weighted(x, vec![0.25, 0.25, 0.5, 0.0]).unwrap();
        let nu = mu.with_points(moved(mu.points(), &[1e3, 0.0])).unwrap();
        for epsilon in [1e-1, 1e2, 1e5] {
            let e = Sinkhorn::new(epsilon).unwrap().tolerance(1e-9).solve(&mu, &nu, &c).unwrap();
            assert_eq!(e.status, Status::Converged);
            assert!(e.plan(&mu, &nu, &c).unwrap().couples(&mu, &nu, 1e-8).unwrap());
            assert!(e.potentials.source.iter().chain(&e.potentials.target).all(|p| p.is_finite()));
        }
        // The potential of the massless atom is the soft c-transform there.
        let e = Sinkhorn::new(1.0).unwrap().tolerance(1e-12).solve(&mu, &mu, &c).unwrap();
        let sum: f64 = (0..3)
            .map(|j| {
                let cost = c.cost(&[5.0, 5.0], mu.points().row(j));
                mu.weights()[j] * (e.potentials.target[j] - cost).exp()
            })
            .sum();
        assert!((e.potentials.source[3] + sum.ln()).abs() < 1e-10);
    }

    #[test]
    fn a_start_shortens_the_way_and_limits_are_honest() {
        let (mu, nu) = (cloud(400, 2, 1, false), cloud(400, 2, 2, false));
        let c = NormPower::squared_euclidean();
        let sinkhorn = Sinkhorn::new(0.05).unwrap();
        let e = sinkhorn.solve(&mu, &nu, &c).unwrap();
        let again = sinkhorn.solve_from(&mu, &nu, &c, Some(&e.potentials.target)).unwrap();
        assert!(again.iterations <= 2 && e.iterations > 5, "{} then {}", e.iterations, again.iterations);
        assert!((e.value - again.value).abs() < 1e-9);
        let short = sinkhorn.max_iterations(3).solve(&mu, &nu, &c).unwrap();
        assert_eq!((short.status, short.iterations), (Status::IterationLimit, 3));
        // Any pair of potentials gives a lower bound.
        assert!(short.marginal_error > 1e-6 && short.value <= e.value + 1e-12);
        let vain = sinkhorn.tolerance(1e-30).solve(&mu, &nu, &c).unwrap();
        assert_eq!(vain.status, Status::Stalled);
        assert!(vain.marginal_error < 1e-11);
    }

    /// Between few atoms too, whatever share of the passes is left to Newton's method.
    #[test]
    fn few_atoms_keep_to_the_limit() {
        let (mu, nu) = (cloud(40, 2, 1, false), cloud(40, 2, 2, false));
        let c = NormPower::euclidean();
        let sinkhorn = Sinkhorn::new(1e-3).unwrap().tolerance(1e-10);
        for limit in 1..=5 {
            let short = sinkhorn.max_iterations(limit).solve(&mu, &nu, &c).unwrap();
            assert_eq!((short.status, short.iterations), (Status::IterationLimit, limit));
        }
        let e = sinkhorn.solve(&mu, &nu, &c).unwrap();
        assert!(
            e.status == Status::Converged && e.plan(&mu, &nu, &c).unwrap().couples(&mu, &nu, 1e-10).unwrap()
        );
    }

    #[test]
    fn atoms_of_next_to_no_weight_cost_no_passes() {
        // Two heavy atoms a side and two that weigh 5e-12: what mixing does to the potentials of these must not matter.
        let measure = |seed: u64| {
            let x = cloud(4, 2, seed, false).points().clone();
            Empirical::weighted(x, vec![0.7 - 5e-12, 0.3 - 5e-12, 5e-12, 5e-12]).unwrap()
        };
        for seed in 0..40 {
            let (mu, nu) = (measure(2 * seed), measure(2 * seed + 1));
            for epsilon in [0.03, 0.3, 1.0, 10.0] {
                let s = Sinkhorn::new(epsilon).unwrap().tolerance(1e-10);
                for (mu, nu) in [(&mu, &nu), (&nu, &mu)] {
                    let e = s.solve(mu, nu, &NormPower::squared_euclidean()).unwrap();
                    assert_eq!(e.status, Status::Converged);
                    assert!(e.iterations < 400, "{} passes at ε {epsilon}, seed {seed}", e.iterations);
                }
            }
        }
    }

    #[test]
    fn a_users_own_cost() {
        let (mu, nu) = (cloud(300, 2, 1, true), cloud(280, 2, 2, true));
        let c = Custom::new(|x: &[f64], y: &[f64]| (x[0] * y[1] - x[1] * y[0]).sin() - 0.3 * x[0]);
        let e = Sinkhorn::new(0.05).unwrap().tolerance(1e-9).solve(&mu, &nu, &c).unwrap();
        assert!(e.plan(&mu, &nu, &c).unwrap().couples(&mu, &nu, 1e-8).unwrap());
        assert!((e.value - primal(&e, &mu, &nu, &c)).abs() < 1e-8);
    }

    #[test]
    fn bad_settings_are_named() {
        let (mu, nu) = (cloud(4, 2, 1, true), cloud(3, 2, 2, true));
        let c = NormPower::squared_euclidean();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Sinkhorn::new(bad), Err(Error::Parameter { what: "epsilon", .. })));
            let sinkhorn = Sinkhorn::new(1.0).unwrap().tolerance(bad);
            assert!(matches!(sinkhorn.solve(&mu, &nu, &c), Err(Error::Parameter { what: "tolerance", .. })));
        }
        let tiny = Sinkhorn::new(1e-14).unwrap().solve(&mu, &nu, &c);
        assert!(matches!(tiny, Err(Error::Parameter { what: "epsilon", .. })));
        let sinkhorn = Sinkhorn::new(1.0).unwrap();
        assert!(sinkhorn.solve_from(&mu, &nu, &c, Some(&[0.0])).is_err());
        assert!(sinkhorn.solve_from(&mu, &nu, &c, Some(&[0.0, f64::NAN, 0.0])).is_err());
        assert!(sinkhorn.solve(&mu, &cloud(3, 3, 1, true), &c).is_err());
        let e = sinkhorn.solve(&mu, &nu, &c).unwrap();
        assert!(matches!(e.plan(&nu, &mu, &c), Err(Error::Length { .. })));
    }
}
