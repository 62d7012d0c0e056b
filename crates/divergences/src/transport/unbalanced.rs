//! Unbalanced entropic transport: mass may be made and destroyed, at a price.

use super::cost::Cost;
use super::gibbs::{Gibbs, exp2, log2, padded};
use super::mixing::Mixing;
use super::plan::{Potentials, Status, dot};
use super::sinkhorn::Sinkhorn;
use super::table::{Side, Table};
use crate::{Axioms, Divergence, Toward};
use measures::{Empirical, Error, Functional, Measure, Points, Result, Variation, check_dim, check_positive};
use std::f64::consts::{LN_2, LOG2_E};

/// Entropic transport whose marginals are only held near μ and ν, by a factor ρ of their relative entropy,
///
/// ```text
/// UOT(μ, ν) = min_{π ≥ 0} ⟨c|π⟩ + ε KL(π | μ ⊗ ν) + ρ KL(π₁ | μ) + ρ KL(π₂ | ν)
///           = max_{f,g} −ρ ⟨e^{−f/ρ} − 1|μ⟩ − ρ ⟨e^{−g/ρ} − 1|ν⟩ − ε ⟨e^{(f ⊕ g − c)/ε} − 1|μ ⊗ ν⟩,
/// ```
///
/// KL(p | q) = Σ p log(p/q) − p + q, π_ij = aᵢ bⱼ e^{(fᵢ + gⱼ − c_ij)/ε}. Mass is moved over distances where the cost is below
/// about 2ρ and otherwise destroyed here and made there; ρ → ∞ is [`Sinkhorn`].
///
/// The iteration f ← λ T g, g ← λ T f with λ = ρ/(ρ + ε) and the soft c-transform T runs in the log domain. Between the
/// steps the best constant moves from g to f, without which it would need order ρ/ε passes, and it is accelerated by
/// Anderson mixing. The first variation in μ is (ρ + ε)(1 − e^{−f/ρ}). Sources: Chizat, Peyré, Schmitzer and Vialard,
/// *Scaling algorithms for unbalanced optimal transport problems* (2018), arXiv:1607.05816; Séjourné, Vialard and Peyré,
/// *Faster unbalanced optimal transport* (2022), arXiv:2201.00730, for the constant.
///
/// ```
/// use divergences::transport::{NormPower, Unbalanced};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_rows(&[[0.0, 0.0], [9.0, 0.0]]))?;
/// let nu = Empirical::uniform(Points::from_rows(&[[0.0, 0.5], [0.0, 9.0]]))?;
/// let u = Unbalanced::new(0.01, 1.0, NormPower::squared_euclidean())?.solve(&mu, &nu)?;
/// assert!(u.status.is_converged() && u.gap() < 1e-7);
/// assert!(u.mass > 0.4 && u.mass < 0.5); // the far atoms are not transported
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unbalanced<C> {
    settings: Sinkhorn,
    penalty: f64,
    cost: C,
}

/// Unbalanced transport with its certificate, the duality gap.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct UnbalancedTransport {
    /// The dual value, a lower bound of the optimum.
    pub value: f64,
    /// The value of the plan that the potentials give: an upper bound.
    pub primal: f64,
    /// f and g.
    pub potentials: Potentials,
    /// The marginals π₁ and π₂ of the plan, n and m masses.
    pub marginals: (Vec<f64>, Vec<f64>),
    /// The mass that is transported.
    pub mass: f64,
    /// ⟨c|π⟩, the cost of the plan alone.
    pub transport_cost: f64,
    /// Σⱼ |Σᵢ π_ij − bⱼ e^{−gⱼ/ρ}|, zero at the optimum; the rows have Σⱼ π_ij = aᵢ e^{−fᵢ/ρ} exactly. The gap is of second
    /// order in it.
    pub marginal_error: f64,
    /// Iterations, of two passes over all pairs each.
    pub iterations: usize,
    /// Whether the marginal error is within the tolerance; [`Status::Stalled`] when round-off forbids it.
    pub status: Status,
}

impl UnbalancedTransport {
    /// `primal − value`, which bounds the error of both.
    pub fn gap(&self) -> f64 {
        self.primal - self.value
    }
}

impl<C: Cost> Unbalanced<C> {
    /// The problem at temperature `epsilon` with the penalty ρ = `penalty` on the marginals, both in the unit of the
    /// cost; solved to a marginal error of 1e-6 within 10,000 iterations.
    ///
    /// # Errors
    /// ε or ρ that is not finite and positive.
    pub fn new(epsilon: f64, penalty: f64, cost: C) -> Result<Self> {
        Ok(Unbalanced {
            settings: Sinkhorn::new(epsilon)?,
            penalty: check_positive("penalty", penalty)?,
            cost,
        })
    }

    /// The same to another marginal error, within another number of iterations.
    pub fn with_limits(self, tolerance: f64, max_iterations: usize) -> Self {
        Unbalanced { settings: self.settings.tolerance(tolerance).max_iterations(max_iterations), ..self }
    }

    /// The best plan, as its potentials and marginals.
    ///
    /// # Errors
    /// The measures live in different dimensions; a cost is NaN or infinite; the tolerance is not finite and positive; ε is
    /// below 10⁻¹² of the largest cost; ε, ρ and the costs are so far apart that their ratios overflow.
    pub fn solve(&self, mu: &Empirical, nu: &Empirical) -> Result<UnbalancedTransport> {
        check_dim("target measure", mu.dim(), nu.dim())?;
        let table = Table::new(&self.cost, mu.points(), nu.points());
        let largest = table.largest()?;
        self.settings.check(largest)?;
        let mut state = State::new(self, &table, mu.weights(), nu.weights());
        let mut mixing = Mixing::default();
        let floor = self.settings.floor(largest);
        let mut iterations = 1;
        loop {
            let (value, primal) = state.values();
            let error = state.error();
            let status = if error <= self.settings.tolerance {
                Some(Status::Converged)
            } else if error <= floor {
                Some(Status::Stalled)
            } else {
                (iterations >= self.settings.max_iterations).then_some(Status::IterationLimit)
            };
            if let Some(status) = status {
                let solved = state.finish(value, primal, error, iterations, status);
                let numbers = [solved.value, solved.primal, solved.mass, solved.transport_cost];
                if let Some(value) = numbers.into_iter().find(|v| !v.is_finite()) {
                    let must = "finite: epsilon and the penalty are too far apart, or too far from the costs";
                    return Err(Error::Parameter { what: "unbalanced transport", value, must });
                }
                return Ok(solved);
            }
            let m = nu.len();
            let step: Vec<f64> = (0..m).map(|j| state.next[j] - state.v[j]).collect();
            mixing.advance(&mut state.v[..m], step, nu.weights(), value / self.settings.epsilon, error);
            state.pass();
            iterations += 1;
        }
    }

    fn converged(&self, mu: &Empirical, nu: &Empirical) -> Result<UnbalancedTransport> {
        let solved = self.solve(mu, nu)?;
        solved.status.within_limit("unbalanced transport to the marginal error asked for")?;
        Ok(solved)
    }

    /// ∇ of the potential at the atoms of μ, times the share of each that is transported.
    fn field(&self, mu: &Empirical, nu: &Empirical, solved: &UnbalancedTransport) -> Result<Points> {
        let table = Table::new(&self.cost, mu.points(), nu.points());
        let gibbs = Gibbs::new(&table, self.settings.epsilon);
        let scaled = |p: &[f64]| p.iter().map(|p| p * gibbs.kappa()).collect::<Vec<_>>();
        let v = padded(&scaled(&solved.potentials.target), f64::NEG_INFINITY);
        let b = padded(nu.weights(), 0.0);
        let mut field = gibbs.gradients(&scaled(&solved.potentials.source), &v, &b)?;
        for (row, f) in field.rows_mut().zip(&solved.potentials.source) {
            let share = exp2(-f / self.penalty * LOG2_E);
            row.iter_mut().for_each(|g| *g *= share);
        }
        Ok(field)
    }
}

/// Potentials times κ = log₂e/ε; u is exact for v, `next` what the iteration makes of v. All three padded or not as the
/// passes want them.
struct State<'t> {
    gibbs: Gibbs<'t>,
    epsilon: f64,
    penalty: f64,
    /// ρ/(ρ + ε).
    lambda: f64,
    a: Vec<f64>,
    b: Vec<f64>,
    u: Vec<f64>,
    v: Vec<f64>,
    /// The soft c-transform of u.
    transform: Vec<f64>,
    next: Vec<f64>,
}

impl<'t> State<'t> {
    fn new<C>(problem: &Unbalanced<C>, table: &'t Table<'t>, a: &[f64], b: &[f64]) -> Self {
        let (epsilon, penalty) = (problem.settings.epsilon, problem.penalty);
        let mut state = State {
            gibbs: Gibbs::new(table, epsilon),
            epsilon,
            penalty,
            lambda: penalty / (penalty + epsilon),
            a: padded(a, 0.0),
            b: padded(b, 0.0),
            u: Vec::new(),
            v: padded(&vec![0.0; b.len()], f64::NEG_INFINITY),
            transform: Vec::new(),
            next: Vec::new(),
        };
        state.pass();
        state
    }

    /// From v: the u that is best for it, and the v that is best for that u after the best constant has moved.
    fn pass(&mut self) {
        let scale = |t: Vec<f64>, lambda: f64| t.into_iter().map(|t| lambda * t).collect::<Vec<_>>();
        let u = scale(self.gibbs.transform(Side::Source, &self.v, &self.b), self.lambda);
        self.u = padded(&u, f64::NEG_INFINITY);
        self.transform = self.gibbs.transform(Side::Target, &self.u, &self.a);
        self.next = scale(self.transform.clone(), self.lambda);
        // f + t, g − t with t = (ρ/2) log(⟨e^{−f/ρ}|μ⟩ / ⟨e^{−g/ρ}|ν⟩): the part of t that the next u does not undo.
        let shift = 0.5 * (self.log_mass(&self.u, &self.a) - self.log_mass(&self.next, &self.b));
        let shift = shift * self.penalty / self.epsilon;
        self.next.iter_mut().for_each(|v| *v -= shift);
    }

    /// log₂ Σ w e^{−p/ρ} of a potential times κ.
    fn log_mass(&self, p: &[f64], w: &[f64]) -> f64 {
        let ratio = self.epsilon / self.penalty;
        let loaded = || p.iter().zip(w).filter(|(_, w)| **w > 0.0);
        let largest = loaded().map(|(p, _)| -ratio * p).fold(f64::NEG_INFINITY, f64::max);
        largest + log2(loaded().map(|(p, w)| w * exp2(-ratio * p - largest)).sum())
    }

    /// The masses wᵢ e^{−pᵢ/ρ}.
    fn kept(&self, p: &[f64], w: &[f64]) -> Vec<f64> {
        let ratio = self.epsilon / self.penalty;
        p.iter().zip(w).map(|(p, w)| if *w > 0.0 { w * exp2(-ratio * p) } else { 0.0 }).collect()
    }

    /// The marginals of the plan: since u is exact for v the first is e^{−f/ρ} μ.
    fn marginals(&self) -> (Vec<f64>, Vec<f64>) {
        let columns = self.v.iter().zip(&self.transform).zip(&self.b);
        let second = columns.map(|((v, t), b)| if *b > 0.0 { b * exp2(v - t) } else { 0.0 }).collect();
        (self.kept(&self.u, &self.a), second)
    }

    /// How far the second marginal is from the one that suits g.
    fn error(&self) -> f64 {
        let kept = self.kept(&self.v, &self.b);
        self.marginals().1.iter().zip(&kept).map(|(p, q)| (p - q).abs()).sum()
    }

    /// The dual value and that of the plan.
    fn values(&self) -> (f64, f64) {
        let (first, second) = self.marginals();
        let (m, n) = (self.transform.len(), first.len());
        let mass: f64 = second[..m].iter().sum();
        let rho = self.penalty;
        let kept: f64 = self.kept(&self.v[..m], &self.b).iter().sum();
        let entropy = -self.epsilon * (mass - 1.0);
        let dual = -rho * (first.iter().sum::<f64>() - 1.0) - rho * (kept - 1.0) + entropy;
        // ⟨c|π⟩ + ε KL(π | μ ⊗ ν) = ⟨f|π₁⟩ + ⟨g|π₂⟩ − ε (|π| − 1), and KL of each marginal.
        let unit = self.epsilon * LN_2;
        let inner = |p: &[f64], q: &[f64]| -> f64 {
            p.iter().zip(q).filter(|(_, q)| **q > 0.0).map(|(p, q)| p * q).sum::<f64>() * unit
        };
        let kl = |p: &[f64], q: &[f64]| -> f64 {
            p.iter().zip(q).map(|(p, q)| if *p > 0.0 { p * (p / q).ln() - p + q } else { *q }).sum()
        };
        let linear = inner(&self.u[..n], &first) + inner(&self.v[..m], &second[..m]);
        let primal = linear + entropy + rho * (kl(&first, &self.a[..n]) + kl(&second[..m], &self.b[..m]));
        (dual, primal)
    }

    fn finish(
        self,
        value: f64,
        primal: f64,
        marginal_error: f64,
        iterations: usize,
        status: Status,
    ) -> UnbalancedTransport {
        let (mut first, mut second) = self.marginals();
        let m = self.transform.len();
        let n = self.gibbs.rows();
        first.truncate(n);
        second.truncate(m);
        let mut means = vec![0.0; n];
        self.gibbs.mean_costs(&self.u[..n], &self.v, &self.b, &mut means);
        let unit = self.gibbs.kappa().recip();
        let scaled = |p: &[f64]| p.iter().map(|p| p * unit).collect();
        UnbalancedTransport {
            value,
            primal,
            potentials: Potentials { source: scaled(&self.u[..n]), target: scaled(&self.v[..m]) },
            mass: first.iter().sum(),
            transport_cost: dot(&means, &first),
            marginals: (first, second),
            marginal_error,
            iterations,
            status,
        }
    }
}

impl<C: Cost> Divergence for Unbalanced<C> {
    fn axioms(&self) -> Axioms {
        let general = Axioms { permutation: true, atom_splitting: true, convex: true, ..Axioms::default() };
        let Some(cost) = self.cost.norm_power() else { return general };
        Axioms {
            non_negative: true,
            symmetry: true,
            translation: true,
            rotation: cost.norm() == 2.0,
            continuous_in_points: true,
            continuous_in_weights: true,
            ..general
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.converged(mu, nu)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let solved = self.converged(mu, nu)?;
        let (rho, epsilon) = (self.penalty, self.settings.epsilon);
        let potential = solved.potentials.source.iter().map(|f| -(rho + epsilon) * (-f / rho).exp_m1());
        let potential: Vec<f64> = potential.collect();
        let field = self.field(mu, nu, &solved)?;
        Ok(Variation::from_potential(mu, solved.value, potential, field))
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        self.field(mu, nu, &self.converged(mu, nu)?)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::NormPower;
    use crate::transport::test_support::{check_variation, cloud};

    #[test]
    fn a_large_penalty_is_balanced_transport() {
        let (mu, nu) = (cloud(50, 2, 1, true), cloud(40, 2, 2, true));
        let c = NormPower::squared_euclidean();
        let balanced = Sinkhorn::new(0.2).unwrap().tolerance(1e-10).solve(&mu, &nu, &c).unwrap();
        let mut last = f64::INFINITY;
        for penalty in [1e1, 1e3, 1e5, 1e7] {
            let u =
                Unbalanced::new(0.2, penalty, c).unwrap().with_limits(1e-10, 2000).solve(&mu, &nu).unwrap();
            let apart = balanced.value - u.value;
            // UOT grows with ρ to the balanced value, at the rate 1/ρ.
            assert!(apart > -1e-8 * penalty.max(1.0).sqrt() && apart < 0.2 * last, "ρ {penalty}: {apart}");
            assert!(apart < 50.0 / penalty + 1e-6, "ρ {penalty}: {apart}");
            assert!(u.iterations < 300, "{} iterations at ρ {penalty}", u.iterations);
            last = apart.max(1e-6);
        }
    }

    #[test]
    fn the_gap_certifies_and_the_plan_has_these_marginals() {
        for (n, m, epsilon, penalty) in [(1, 1, 1.0, 1.0), (30, 50, 0.05, 0.3), (200, 150, 0.5, 20.0)] {
            let (mu, nu) = (cloud(n, 2, 1, true), cloud(m, 2, 2, true));
            let c = NormPower::squared_euclidean();
            let u = Unbalanced::new(epsilon, penalty, c).unwrap().with_limits(1e-11, 5000);
            let u = u.solve(&mu, &nu).unwrap();
            assert!(u.gap().abs() < 1e-10, "{}", u.gap());
            let kl = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() - p + q } else { q };
            let (mut rows, mut columns) = (vec![0.0; n], vec![0.0; m]);
            let (mut linear, mut entropy) = (0.0, 0.0);
            for i in 0..n {
                for j in 0..m {
                    let cost = c.cost(mu.points().row(i), nu.points().row(j));
                    let product = mu.weights()[i] * nu.weights()[j];
                    let exponent = (u.potentials.source[i] + u.potentials.target[j] - cost) / epsilon;
                    let p = product * exponent.exp();
                    rows[i] += p;
                    columns[j] += p;
                    linear += p * cost;
                    entropy += kl(p, product);
                }
            }
            let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10);
            assert!(close(&rows, &u.marginals.0) && close(&columns, &u.marginals.1));
            assert!((linear - u.transport_cost).abs() < 1e-10);
            let sides: f64 = rows.iter().zip(mu.weights()).map(|(p, q)| kl(*p, *q)).sum::<f64>()
                + columns.iter().zip(nu.weights()).map(|(p, q)| kl(*p, *q)).sum::<f64>();
            let primal = linear + epsilon * entropy + penalty * sides;
            assert!((primal - u.primal).abs() < 1e-9, "{primal} and {}", u.primal);
        }
    }

    #[test]
    fn two_atoms_have_a_closed_form() {
        // One pair: π = e^{−c/(ε + 2ρ)}, and the value (ε + 2ρ)(1 − π).
        let (mu, nu) = (Empirical::dirac(&[0.0]).unwrap(), Empirical::dirac(&[1.5]).unwrap());
        for (epsilon, rho) in [(0.1, 1.0), (3.0, 0.2), (1e-3, 5.0)] {
            let u = Unbalanced::new(epsilon, rho, NormPower::squared_euclidean()).unwrap();
            let u = u.with_limits(1e-11, 1000).solve(&mu, &nu).unwrap();
            let total = epsilon + 2.0 * rho;
            let pi = (-2.25 / total).exp();
            assert!((u.mass - pi).abs() < 1e-10 && (u.value - total * (1.0 - pi)).abs() < 1e-10);
        }
    }

    #[test]
    fn variations_match_finite_differences() {
        let (mu, nu) = (cloud(6, 2, 1, true), cloud(7, 2, 2, true));
        for c in [NormPower::squared_euclidean(), NormPower::euclidean()] {
            for penalty in [0.3, 4.0] {
                let u = Unbalanced::new(0.3, penalty, c).unwrap().with_limits(1e-11, 2000);
                check_variation(&u, &mu, &nu, 1e-6);
            }
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let c = NormPower::squared_euclidean();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Unbalanced::new(bad, 1.0, c), Err(Error::Parameter { what: "epsilon", .. })));
            assert!(matches!(Unbalanced::new(1.0, bad, c), Err(Error::Parameter { what: "penalty", .. })));
        }
        let (mu, nu) = (cloud(4, 2, 1, true), cloud(3, 3, 2, true));
        let u = Unbalanced::new(1.0, 1.0, c).unwrap();
        assert!(matches!(u.solve(&mu, &nu), Err(Error::Dimension { .. })));
        let far = Empirical::dirac(&[1e9, 0.0]).unwrap();
        assert!(matches!(u.solve(&mu, &far), Err(Error::Parameter { what: "epsilon", .. })));
        let short = u.with_limits(1e-12, 1);
        assert!(matches!(short.value(&mu, &cloud(3, 2, 2, true)), Err(Error::Undefined { .. })));
    }
}
