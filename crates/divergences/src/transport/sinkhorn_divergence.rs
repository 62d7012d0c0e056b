//! The Sinkhorn divergence: entropic transport with its bias taken off.

use super::cost::Cost;
use super::plan::Status;
use super::sinkhorn::{Entropic, Sinkhorn};
use super::with_itself;
use crate::{Axioms, Divergence};
use measures::{Empirical, Error, Functional, Points, Result, Variation, centred};
use std::sync::{Mutex, PoisonError};

/// S_ε(μ, ν) = OT_ε(μ, ν) − ½ OT_ε(μ, μ) − ½ OT_ε(ν, ν), with OT_ε as in [`Sinkhorn`]: converged dual values, entropy
/// relative to μ ⊗ ν.
///
/// It goes from W_c at ε → 0 to the energy-like ½ MMD² with kernel −c at ε → ∞. When e^{−c/ε} is a positive definite
/// universal kernel, as for ‖x − y‖_q^p with p ≤ q ≤ 2, it is non-negative, zero only at μ = ν and convex in each argument;
/// the triangle inequality fails. The cost must be symmetric.
///
/// The first variation in μ is f_{μν} − f_{μμ}, the difference of the potentials, and its gradient the difference of two
/// means of ∇ₓ c, so that steepest descent for c = ½‖x − y‖² moves a point by Σⱼ π^{μν}_ij yⱼ/aᵢ − Σⱼ π^{μμ}_ij xⱼ/aᵢ.
/// Sources: Genevay, Peyré and Cuturi (2018), arXiv:1706.00292; Feydy et al., *Interpolating between optimal transport and
/// MMD using Sinkhorn divergences* (2019), arXiv:1810.08278.
///
/// ```
/// use divergences::{Divergence, transport::{NormPower, SinkhornDivergence}};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_rows(&[[0.0, 0.0], [1.0, 0.5]]))?;
/// let nu = Empirical::uniform(Points::from_rows(&[[0.0, 2.0], [1.0, 2.5]]))?;
/// let s = SinkhornDivergence::new(0.5, NormPower::squared_euclidean())?;
/// assert_eq!(s.value(&mu, &mu)?, 0.0);
/// assert!((s.value(&mu, &nu)? - 4.0).abs() < 1e-9); // a translation costs its square, whatever ε
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SinkhornDivergence<C> {
    sinkhorn: Sinkhorn,
    cost: C,
}

/// A Sinkhorn divergence with the transports it is made of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Debiased {
    /// S_ε(μ, ν).
    pub value: f64,
    /// OT_ε(μ, ν).
    pub cross: Entropic,
    /// OT_ε(μ, μ), its potential twice.
    pub source: Entropic,
    /// OT_ε(ν, ν), its potential twice.
    pub target: Entropic,
    /// The largest marginal error of the three.
    pub marginal_error: f64,
    /// [`Status::Converged`] if all three are, else how the worst ended.
    pub status: Status,
}

impl<C: Cost> SinkhornDivergence<C> {
    /// The divergence at temperature `epsilon` (in the unit of the cost) for a symmetric cost, with the default settings
    /// of [`Sinkhorn::new`].
    ///
    /// # Errors
    /// `epsilon` is not finite and positive.
    pub fn new(epsilon: f64, cost: C) -> Result<Self> {
        Ok(SinkhornDivergence { sinkhorn: Sinkhorn::new(epsilon)?, cost })
    }

    /// The divergence with these settings of the iteration, used for all three terms.
    pub fn with_settings(sinkhorn: Sinkhorn, cost: C) -> Self {
        SinkhornDivergence { sinkhorn, cost }
    }

    /// The settings.
    pub fn settings(&self) -> &Sinkhorn {
        &self.sinkhorn
    }

    /// All three transports, converged or not: the status says.
    ///
    /// # Errors
    /// As [`Sinkhorn::solve`]; a cost that is not symmetric.
    pub fn solve(&self, mu: &Empirical, nu: &Empirical) -> Result<Debiased> {
        self.check_symmetric(mu, nu)?;
        let target = self.with_itself(nu, None)?;
        self.assemble(mu, nu, target, &Warm::default())
    }

    fn assemble(&self, mu: &Empirical, nu: &Empirical, target: Entropic, warm: &Warm) -> Result<Debiased> {
        if mu == nu {
            // The same problem three times: no difference of round-offs.
            let source = target.clone();
            let (error, status) = (target.marginal_error, target.status);
            return Ok(Debiased {
                value: 0.0,
                cross: target.clone(),
                source,
                target,
                marginal_error: error,
                status,
            });
        }
        let start = |known: &Option<Vec<f64>>, len: usize| known.clone().filter(|p| p.len() == len);
        let cross = self.sinkhorn.solve_from(mu, nu, &self.cost, start(&warm.target, nu.len()).as_deref())?;
        let source = self.with_itself(mu, start(&warm.source, mu.len()).as_deref())?;
        let terms = [&cross, &source, &target];
        let marginal_error = terms.iter().map(|t| t.marginal_error).fold(0.0, f64::max);
        let worst = |status: Status| terms.iter().any(|t| t.status == status);
        let status = [Status::IterationLimit, Status::Stalled]
            .into_iter()
            .find(|s| worst(*s))
            .unwrap_or(Status::Converged);
        let value = cross.value - 0.5 * source.value - 0.5 * target.value;
        Ok(Debiased { value, cross, source, target, marginal_error, status })
    }

    fn with_itself(&self, mu: &Empirical, start: Option<&[f64]>) -> Result<Entropic> {
        with_itself::solve(&self.sinkhorn, &self.cost, mu, start)
    }

    fn variation_of(&self, mu: &Empirical, nu: &Empirical, all: &Debiased) -> Result<Variation> {
        let field = self.field(mu, nu, all)?;
        let difference = all.cross.potentials.source.iter().zip(&all.source.potentials.source);
        let potential: Vec<f64> = difference.map(|(f, own)| f - own).collect();
        let mut d_points = field;
        d_points.rows_mut().zip(mu.weights()).for_each(|(row, w)| row.iter_mut().for_each(|g| *g *= w));
        Ok(Variation { value: all.value, d_points, d_weights: centred(potential, mu.weights()) })
    }

    /// ∇(f_{μν} − f_{μμ}) at the atoms of μ.
    fn field(&self, mu: &Empirical, nu: &Empirical, all: &Debiased) -> Result<Points> {
        if mu == nu {
            return Ok(Points::zeros(mu.len(), mu.points().dim()));
        }
        let mut field = all.cross.gradients(mu, nu, &self.cost)?;
        let own = all.source.gradients(mu, mu, &self.cost)?;
        field.as_mut_slice().iter_mut().zip(own.as_slice()).for_each(|(g, own)| *g -= own);
        Ok(field)
    }

    fn converged(all: Debiased) -> Result<Debiased> {
        all.status.within_limit("Sinkhorn divergence to the tolerance asked for")?;
        Ok(all)
    }

    fn check_symmetric(&self, mu: &Empirical, nu: &Empirical) -> Result<()> {
        measures::check_dim("target measure", mu.points().dim(), nu.points().dim())?;
        if self.cost.norm_power().is_some() {
            return Ok(());
        }
        let (x, y) = (mu.points(), nu.points());
        for k in 0..64 {
            let (a, b) = (x.row(k * 7 % x.len()), y.row(k * 5 % y.len()));
            let (there, back) = (self.cost.cost(a, b), self.cost.cost(b, a));
            if (there - back).abs() > 1e-9 * (there.abs() + back.abs()) {
                return Err(Error::Undefined {
                    what: "Sinkhorn divergence",
                    why: "the cost is not symmetric, c(x, y) ≠ c(y, x)",
                });
            }
        }
        Ok(())
    }
}

impl<C: Cost> Divergence for SinkhornDivergence<C> {
    fn axioms(&self) -> Axioms {
        let general = Axioms { identity: true, permutation: true, atom_splitting: true, ..Axioms::default() };
        let Some(cost) = self.cost.norm_power() else { return general };
        // e^{−‖x‖_q^p} is positive definite for p ≤ q ≤ 2 (Schoenberg).
        let definite = cost.norm() <= 2.0 && cost.power() <= cost.norm();
        Axioms {
            non_negative: definite,
            separation: definite,
            convex: definite,
            symmetry: true,
            translation: true,
            rotation: cost.norm() == 2.0,
            continuous_in_points: true,
            continuous_in_weights: true,
            ..general
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(Self::converged(self.solve(mu, nu)?)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        self.variation_of(mu, nu, &Self::converged(self.solve(mu, nu)?)?)
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        self.field(mu, nu, &Self::converged(self.solve(mu, nu)?)?)
    }

    /// Solves OT_ε(ν, ν) once, and starts each call from the potentials of the last one: values of different histories
    /// agree to the tolerance of the settings, not to the last bit.
    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        let own = self.with_itself(target, None)?;
        Ok(Box::new(TowardSinkhorn { divergence: self, target, own, warm: Mutex::default() }))
    }
}

/// Potentials of the last call.
#[derive(Debug, Clone, Default)]
struct Warm {
    source: Option<Vec<f64>>,
    target: Option<Vec<f64>>,
}

struct TowardSinkhorn<'a, C> {
    divergence: &'a SinkhornDivergence<C>,
    target: &'a Empirical,
    own: Entropic,
    warm: Mutex<Warm>,
}

impl<C: Cost> TowardSinkhorn<'_, C> {
    fn solve(&self, mu: &Empirical) -> Result<Debiased> {
        self.divergence.check_symmetric(mu, self.target)?;
        let warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = self.divergence.assemble(mu, self.target, self.own.clone(), &warm)?;
        let all = SinkhornDivergence::<C>::converged(all)?;
        *self.warm.lock().unwrap_or_else(PoisonError::into_inner) = Warm {
            source: Some(all.source.potentials.source.clone()),
            target: Some(all.cross.potentials.target.clone()),
        };
        Ok(all)
    }
}

impl<C: Cost> Functional for TowardSinkhorn<'_, C> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        self.divergence.variation_of(mu, self.target, &self.solve(mu)?)
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        Ok(self.solve(mu)?.value)
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        self.divergence.field(mu, self.target, &self.solve(mu)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::*;
    use crate::transport::{Custom, NormPower, Wasserstein};

    fn tight<C: Cost>(epsilon: f64, cost: C) -> SinkhornDivergence<C> {
        SinkhornDivergence::with_settings(Sinkhorn::new(epsilon).unwrap().tolerance(1e-11), cost)
    }

    #[test]
    fn the_term_with_itself_is_the_transport_with_itself() {
        for (n, weighted) in [(1, false), (5, true), (130, true), (300, false)] {
            let mu = cloud(n, 2, 1, weighted);
            let s = tight(0.3, NormPower::squared_euclidean());
            let own = s.with_itself(&mu, None).unwrap();
            let two = s.sinkhorn.solve(&mu, &mu, &s.cost).unwrap();
            assert!((own.value - two.value).abs() < 1e-10, "{} and {}", own.value, two.value);
            assert!(own.status.is_converged());
            let (f, g) = (&own.potentials.source, &own.potentials.target);
            assert!(f.iter().zip(g).all(|(f, g)| (f - g).abs() < 1e-7));
        }
    }

    #[test]
    fn translations_limits_and_identity() {
        let mu = cloud(40, 2, 1, true);
        let nu = mu.with_points(moved(mu.points(), &[1.0, 2.0])).unwrap();
        let c = NormPower::squared_euclidean();
        for epsilon in [0.05, 1.0, 30.0] {
            // The error of the value is of second order in the tolerance, but some modes at small ε are very slow.
            let s = SinkhornDivergence::new(epsilon, c).unwrap();
            assert!((s.value(&mu, &nu).unwrap() - 5.0).abs() < 1e-7);
            assert_eq!(s.value(&mu, &mu).unwrap(), 0.0);
        }
        // ε → 0 is W_c; ε → ∞ is ⟨c|μ ⊗ ν⟩ − ½⟨c|μ ⊗ μ⟩ − ½⟨c|ν ⊗ ν⟩.
        let nu = cloud(30, 2, 2, true);
        let w = Wasserstein::with_cost(c).value(&mu, &nu).unwrap();
        let cold = SinkhornDivergence::new(2e-3, c).unwrap().value(&mu, &nu).unwrap();
        assert!((cold - w).abs() < 4e-3, "{cold} and {w}");
        let mean = |a: &Empirical, b: &Empirical| crate::transport::mean_cost(a, b, &c).unwrap();
        let energy = mean(&mu, &nu) - 0.5 * mean(&mu, &mu) - 0.5 * mean(&nu, &nu);
        assert!((tight(1e6, c).value(&mu, &nu).unwrap() - energy).abs() < 1e-4);
    }

    #[test]
    fn variations_match_finite_differences() {
        let (mu, nu) = (cloud(6, 2, 1, true), cloud(7, 2, 2, true));
        for c in [
            NormPower::squared_euclidean(),
            NormPower::half_squared_euclidean(),
            NormPower::euclidean(),
            NormPower::new(1.5, 1.2).unwrap(),
        ] {
            check_variation(&tight(0.3, c), &mu, &nu, 1e-6);
        }
        let own = Custom::new(|x: &[f64], y: &[f64]| (x[0] - y[0]).cosh() + (x[1] - y[1]).powi(2))
            .with_gradient(|x, y, scale, out| {
                out[0] += scale * (x[0] - y[0]).sinh();
                out[1] += scale * 2.0 * (x[1] - y[1]);
            });
        check_variation(&tight(0.5, own), &mu, &nu, 1e-6);
    }

    #[test]
    fn descent_moves_by_the_difference_of_two_means() {
        let (mu, nu) = (cloud(12, 3, 1, false), cloud(15, 3, 2, false));
        let c = NormPower::half_squared_euclidean();
        let s = tight(0.4, c);
        let all = s.solve(&mu, &nu).unwrap();
        let to = all.cross.plan(&mu, &nu, &c).unwrap().barycentric_map(nu.points()).unwrap();
        let own = all.source.plan(&mu, &mu, &c).unwrap().barycentric_map(mu.points()).unwrap();
        let field = s.gradient_field(&mu, &nu).unwrap();
        for k in 0..36 {
            let drift = to.as_slice()[k] - own.as_slice()[k];
            assert!((drift + field.as_slice()[k]).abs() < 1e-9);
        }
    }

    #[test]
    fn warm_potentials_agree_to_the_tolerance() {
        let (mu, nu) = (cloud(60, 2, 1, false), cloud(50, 2, 2, true));
        let s = tight(0.2, NormPower::squared_euclidean());
        let toward = s.toward(&nu).unwrap();
        for shift in 0..4 {
            let mu = mu.with_points(moved(mu.points(), &[0.01 * f64::from(shift), 0.0])).unwrap();
            let (cold, warm) = (s.variation(&mu, &nu).unwrap(), toward.variation(&mu).unwrap());
            assert!((cold.value - warm.value).abs() < 1e-11);
            let apart =
                |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart(cold.d_points.as_slice(), warm.d_points.as_slice()) < 1e-9);
            assert!(apart(&cold.d_weights, &warm.d_weights) < 1e-8);
        }
    }

    #[test]
    fn probes_duplicates_and_refusals() {
        let x = Points::from_rows(&[[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.3, 0.4]]);
        let mu = Empirical::weighted(x, vec![0.25, 0.25, 0.5, 0.0]).unwrap();
        let nu = cloud(9, 2, 2, true);
        let s = tight(0.3, NormPower::squared_euclidean());
        let field = s.gradient_field(&mu, &nu).unwrap();
        for k in 0..2 {
            let at = |h: f64| {
                let mut x = mu.points().clone();
                x.row_mut(3)[k] += h;
                s.variation(&mu.with_points(x).unwrap(), &nu).unwrap().d_weights[3]
            };
            assert!(((at(1e-5) - at(-1e-5)) / 2e-5 - field.row(3)[k]).abs() < 1e-6);
        }
        let lopsided = tight(0.3, Custom::new(|x: &[f64], y: &[f64]| x[0] - 2.0 * y[1]));
        assert!(matches!(lopsided.value(&mu, &nu), Err(Error::Undefined { .. })));
        let short = SinkhornDivergence::with_settings(
            Sinkhorn::new(0.01).unwrap().max_iterations(2),
            NormPower::squared_euclidean(),
        );
        assert!(matches!(short.value(&mu, &nu), Err(Error::Undefined { .. })));
        assert_eq!(short.solve(&mu, &nu).unwrap().status, Status::IterationLimit);
    }
}
