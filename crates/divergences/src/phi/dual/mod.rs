//! φ-divergences by duality: the supremum over critics that are linear in a family of test functions.

mod newton;
mod sides;

pub use newton::Status;

use super::Phi;
use crate::{Axioms, Divergence, Toward};
use measures::{
    Empirical, Error, Estimate, Family, Functional, Measure, Points, Pullback, Result, Variation, check_dim,
};
use newton::{Problem, Table};
use sides::Sides;

/// How a critic f depends on the coefficients c of a family, u = c₀ + Σ_k c_k f_k.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Critic {
    /// f = u, as in the generalised duality of section 2. Where φ′(∞) is finite, f must stay below it on the atoms of
    /// both measures.
    #[default]
    Linear,
    /// f = φ′(eᵘ): u is a model of log(dμ/dν), and f is in the domain of φ* whatever u is. Concave in u, and so offered,
    /// for KL, reverse KL, Jensen–Shannon (logistic regression), Hellinger and 0 < α < 1.
    LogRatio,
}

impl Critic {
    /// Whether the dual is concave in the coefficients for this φ.
    pub fn suits(self, phi: Phi) -> bool {
        match (self, phi) {
            (Critic::LogRatio, Phi::ChiSquared | Phi::TotalVariation) => false,
            (Critic::LogRatio, Phi::Alpha(order)) => order.value() > 0.0 && order.value() < 1.0,
            _ => true,
        }
    }
}

/// A φ-divergence restricted to critics that are linear in a [`Family`],
///
/// D(μ|ν) = sup_c ⟨f_c|μ⟩ − ⟨φ*∘f_c|ν⟩ − (λ/2) Σ_k c_k²,
///
/// the generalised D∞(μ, ν; J) of section 2 over J = {(f_c, φ*∘f_c)}. A constant c₀ is always among the functions and is
/// not penalised. It is at most D_φ and equal to it when log(dμ/dν) (for [`Critic::LogRatio`]) or φ′(dμ/dν) (for
/// [`Critic::Linear`]) is in the span. For KL the maximiser is that of the Donsker–Varadhan formula too, with the same
/// value (Nguyen, Wainwright, Jordan 2010, doi:10.1109/TIT.2010.2068870; f-GAN: Nowozin, Cseke, Tomioka 2016,
/// arXiv:1606.00709).
///
/// The supremum is found by Newton's method, with logarithmic barriers where the domain of φ* ends, and comes with an
/// upper bound from the primal problem. On samples that a function of the family separates it is +∞ for KL, reverse KL,
/// χ² and α ≥ 1: then the value is that, the status [`Status::Unbounded`], and the remedy is a ridge λ > 0 or a smaller
/// family. On samples it also overfits: [`DualOptimum::evaluate`] it on held-out points.
///
/// The first variation is f_c at the maximiser (envelope theorem), with its gradient.
#[derive(Debug, Clone)]
pub struct DualPhi<F> {
    phi: Phi,
    critic: Critic,
    family: F,
    ridge: f64,
    tolerance: f64,
    max_iterations: usize,
}

/// The maximiser of a dual problem, with its certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use]
pub struct DualOptimum<'a, F> {
    family: &'a F,
    sides: Sides,
    /// The largest value of u over the atoms, below which critics are clipped on other points.
    ceiling: f64,
    /// The slope of the supremum in u at each atom of μ of positive weight.
    slopes: Vec<f64>,
    /// The value at the coefficients, a lower bound on the supremum; +∞ when unbounded.
    pub value: f64,
    /// An upper bound on the supremum, from densities that match the integrals of the family up to `residual`.
    pub upper: f64,
    /// The largest mismatch of those integrals, each relative to the largest value of its function.
    pub residual: f64,
    /// How the search ended.
    pub status: Status,
    /// Newton steps taken.
    pub iterations: usize,
    /// c₁, …, c_K.
    pub coefficients: Vec<f64>,
    /// c₀.
    pub constant: f64,
}

/// More numbers than this in the table of function values are refused (eight gigabytes).
const TABLE: usize = 1 << 30;

impl<F: Family> DualPhi<F> {
    /// The dual of `phi` over linear critics of `family`.
    pub fn new(phi: Phi, family: F) -> Self {
        DualPhi { phi, critic: Critic::Linear, family, ridge: 0.0, tolerance: 1e-9, max_iterations: 500 }
    }

    /// The same with critics of another form.
    ///
    /// # Errors
    /// The dual is not concave in the coefficients for this φ.
    pub fn with_critic(self, critic: Critic) -> Result<Self> {
        if !critic.suits(self.phi) {
            return Err(Error::Undefined {
                what: "a log-ratio critic",
                why: "for this φ the dual is not concave in log-ratios; use Critic::Linear",
            });
        }
        Ok(DualPhi { critic, ..self })
    }

    /// The same with the penalty (λ/2) Σ_k c_k², λ = `ridge` ≥ 0 (default 0), which keeps the maximiser finite.
    ///
    /// # Errors
    /// The ridge is negative or not finite.
    pub fn with_ridge(self, ridge: f64) -> Result<Self> {
        if !(ridge.is_finite() && ridge >= 0.0) {
            return Err(Error::Parameter { what: "ridge", value: ridge, must: "finite and not negative" });
        }
        Ok(DualPhi { ridge, ..self })
    }

    /// The same with another tolerance on the gap between value and upper bound, relative to max(1, |value|) (default
    /// 1e-9), and another largest number of Newton steps (default 500).
    ///
    /// # Errors
    /// The tolerance is not finite and positive, or no step is allowed.
    pub fn with_accuracy(self, tolerance: f64, max_iterations: usize) -> Result<Self> {
        measures::check_positive("tolerance", tolerance)?;
        if max_iterations == 0 {
            return Err(Error::TooFew { what: "iterations", at_least: 1, got: 0 });
        }
        Ok(DualPhi { tolerance, max_iterations, ..self })
    }

    /// φ.
    pub fn phi(&self) -> Phi {
        self.phi
    }

    /// The family.
    pub fn family(&self) -> &F {
        &self.family
    }

    /// Finds the supremum.
    ///
    /// # Errors
    /// A measure lives in another dimension than the family, a function takes a value that is not finite at an atom,
    /// or the table of values would not fit in memory.
    pub fn maximise(&self, mu: &Empirical, nu: &Empirical) -> Result<DualOptimum<'_, F>> {
        check_dim("first measure", self.family.dim(), mu.dim())?;
        check_dim("second measure", self.family.dim(), nu.dim())?;
        let (first, second) = (self.table(mu)?, self.table(nu)?);
        let mut scale = vec![f64::MIN_POSITIVE; first.width];
        for row in [&first, &second].iter().flat_map(|t| t.rows.chunks_exact(t.width)) {
            scale.iter_mut().zip(row).for_each(|(s, f)| *s = s.max(f.abs()));
        }
        let sides = Sides { phi: self.phi, critic: self.critic, barrier: 0.0 };
        let problem = Problem {
            first: &first,
            second: &second,
            scale: &scale,
            ridge: self.ridge,
            tolerance: self.tolerance,
            max_iterations: self.max_iterations,
        };
        let mut found = problem.solve(sides);
        let atoms = [first.apply(&found.c), second.apply(&found.c)];
        let end = self.phi.recession() * (1.0 - 1e-12);
        let ceiling = atoms.iter().flatten().fold(f64::NEG_INFINITY, |most, u| most.max(*u)).min(end);
        let constant = found.c.pop().unwrap_or(0.0);
        Ok(DualOptimum {
            family: &self.family,
            sides,
            ceiling,
            slopes: found.bound.slopes,
            value: found.lower,
            upper: found.bound.upper,
            residual: found.bound.residual,
            status: found.status,
            iterations: found.iterations,
            coefficients: found.c,
            constant,
        })
    }

    /// The values of the family and the constant at the atoms of positive weight.
    fn table(&self, mu: &Empirical) -> Result<Table> {
        let kept: Vec<usize> = (0..mu.len()).filter(|&i| mu.weights()[i] > 0.0).collect();
        let k = self.family.tau().len();
        let requested = kept.len().saturating_mul(k + 1);
        if requested > TABLE {
            return Err(Error::TooMany {
                what: "values of the family at the atoms",
                limit: TABLE,
                requested,
            });
        }
        let values = self.family.values(&mu.points().select(&kept))?;
        if let Some(at) = values.iter().position(|f| !f.is_finite()) {
            return Err(Error::NonFinite {
                what: "values of the family (atom, function)",
                row: kept[at / k],
                column: at % k,
                value: values[at],
            });
        }
        let mut rows = Vec::with_capacity(requested);
        for i in 0..kept.len() {
            rows.extend_from_slice(&values[i * k..(i + 1) * k]);
            rows.push(1.0);
        }
        Ok(Table { width: k + 1, rows, weights: kept.iter().map(|&i| mu.weights()[i]).collect() })
    }
}

impl<F: Family> DualOptimum<'_, F> {
    /// u = c₀ + Σ_k c_k f_k at any points, with its gradient.
    fn linear(&self, x: &Points) -> Result<Pullback> {
        let mut at = self.family.pullback(x, &self.coefficients)?;
        at.values.iter_mut().for_each(|u| *u += self.constant);
        Ok(at)
    }

    /// u where the critic uses it: for linear critics of bounded domain clipped at the largest value on the atoms, so
    /// that the critic stays in the domain of φ* on any point.
    fn clip(&self, u: f64) -> f64 {
        if self.sides.has_barrier() { u.min(self.ceiling) } else { u }
    }

    /// The critic f at any points, n values.
    ///
    /// # Errors
    /// The points live in another dimension; the supremum is not attained.
    pub fn critic(&self, x: &Points) -> Result<Vec<f64>> {
        self.check_attained()?;
        Ok(self.linear(x)?.values.into_iter().map(|u| self.sides.exact_first(self.clip(u))).collect())
    }

    /// The ratio dμ/dν that the critic stands for, φ*′(f), at any points.
    ///
    /// # Errors
    /// As [`DualOptimum::critic`].
    pub fn ratio(&self, x: &Points) -> Result<Vec<f64>> {
        Ok(self.critic(x)?.into_iter().map(|f| self.sides.phi.conjugate_slope(f)).collect())
    }

    /// ⟨f|μ⟩ − ⟨φ*∘f|ν⟩ at *other* samples of the two laws: an unbiased estimate of a lower bound on D_φ of the laws
    /// when these points had no part in the maximisation. The interval is one for that lower bound.
    ///
    /// # Errors
    /// The measures live in another dimension; the supremum is not attained.
    pub fn evaluate(&self, mu: &Empirical, nu: &Empirical) -> Result<Estimate> {
        self.check_attained()?;
        let first = self.critic(mu.points())?;
        let second: Vec<f64> = self
            .linear(nu.points())?
            .values
            .into_iter()
            .map(|v| self.sides.exact_second(self.clip(v)))
            .collect();
        let [a, b] = [mean(&first, mu), mean(&second, nu)];
        Ok(Estimate::new(a.value - b.value, a.standard_error.hypot(b.standard_error), mu.len() + nu.len()))
    }

    /// ⟨f|μ⟩ − log⟨eᶠ|ν⟩ at any samples: the Donsker–Varadhan bound on KL at this critic, never below
    /// [`DualOptimum::evaluate`] for KL. The standard error is to first order, and the logarithm biases it upwards.
    ///
    /// # Errors
    /// As [`DualOptimum::evaluate`].
    pub fn donsker_varadhan(&self, mu: &Empirical, nu: &Empirical) -> Result<Estimate> {
        let (first, second) = (self.critic(mu.points())?, self.critic(nu.points())?);
        let largest = second.iter().fold(f64::NEG_INFINITY, |most, f| most.max(*f));
        let a = mean(&first, mu);
        let b = mean(&second.iter().map(|f| (f - largest).exp()).collect::<Vec<_>>(), nu);
        let error = a.standard_error.hypot(b.standard_error / b.value);
        Ok(Estimate::new(a.value - b.value.ln() - largest, error, mu.len() + nu.len()))
    }

    fn check_attained(&self) -> Result<()> {
        match self.status {
            Status::Unbounded | Status::Separated => Err(Error::Undefined {
                what: "the critic",
                why: "a function of the family separates the samples and the supremum is not attained; use a ridge",
            }),
            _ => Ok(()),
        }
    }

    /// δD/δμ at the atoms of the μ it was maximised for, with its gradient.
    fn potential(&self, mu: &Empirical) -> Result<Pullback> {
        self.check_attained()?;
        let mut at = self.linear(mu.points())?;
        // Where a bound on f is active its multiplier takes a share of the slope: the primal knows how much.
        let mut slopes = self.slopes.iter();
        for ((u, row), w) in at.values.iter_mut().zip(at.gradients.rows_mut()).zip(mu.weights()) {
            let known = if *w > 0.0 { slopes.next().copied() } else { None };
            let slope = known.unwrap_or_else(|| self.sides.exact_slope(*u));
            row.iter_mut().for_each(|g| *g *= slope);
            *u = self.sides.exact_first(self.clip(*u));
        }
        Ok(at)
    }
}

/// ⟨f|μ⟩ with its standard error.
fn mean(values: &[f64], mu: &Empirical) -> Estimate {
    let n = mu.len();
    let mean: f64 = values.iter().zip(mu.weights()).map(|(v, w)| v * w).sum();
    let squares: f64 = values.iter().zip(mu.weights()).map(|(v, w)| (w * (v - mean)).powi(2)).sum();
    let error = if n == 1 { f64::INFINITY } else { (squares * n as f64 / (n - 1) as f64).sqrt() };
    Estimate::new(mean, error, n)
}

impl<F: Family> Divergence for DualPhi<F> {
    fn axioms(&self) -> Axioms {
        let symmetric = self.critic == Critic::LogRatio && super::discrete::metric(self.phi).0;
        // Where φ′(∞) bounds a linear critic, an atom of however little weight is one more bound.
        let bounded = self.critic == Critic::Linear && self.phi.recession().is_finite();
        Axioms {
            non_negative: true,
            identity: true,
            symmetry: symmetric,
            permutation: true,
            atom_splitting: true,
            convex: true,
            continuous_in_points: self.ridge > 0.0,
            continuous_in_weights: self.ridge > 0.0 && !bounded,
            ..Axioms::default()
        }
    }

    /// The value of [`DualPhi::maximise`]: +∞ when unbounded, and a lower bound within its stated gap otherwise.
    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.maximise(mu, nu)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let optimum = self.maximise(mu, nu)?;
        let at = optimum.potential(mu)?;
        Ok(Variation::from_potential(mu, optimum.value, at.values, at.gradients))
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        Ok(self.maximise(mu, nu)?.potential(mu)?.gradients)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        check_dim("second measure", self.family.dim(), target.dim())?;
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests;
