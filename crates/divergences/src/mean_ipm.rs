//! The mean formulation D₂ of eq. (3): the τ-average of the squared differences of brackets.

use crate::axioms::Axioms;
use crate::divergence::{Divergence, finite, finite_field, finite_variation};
use crate::family::RandomFrequencies;
use crate::statistic::{ATOMS_OF_MU, ATOMS_OF_NU, OffDiagonal, Statistic};
use measures::{
    Empirical, Estimate, Family, Functional, Measure, Points, Pullback, Result, Variation, check_dim,
    check_finite,
};

/// D₂(μ, ν)² = Σ_k τ_k (⟨f_k|μ⟩ − ⟨f_k|ν⟩)², eq. (3) of the paper over a finite family; **squared**.
///
/// It equals the squared MMD of the kernel κ(x, y) = Σ τ_k f_k(x) f_k(y). A finite family cannot separate all measures:
/// this is a pseudo-metric (squared). [`Statistic::Unbiased`] estimates |⟨f|μ⟩|² by E[f(X₁) conj f(X₂)] over pairs
/// of different atoms, which takes κ(xᵢ, xᵢ) = [`Family::diagonal`] away.
///
/// Cost: one pass over the points for the value, a second for the gradient; no n×K memory.
///
/// ```
/// use divergences::{Divergence, MeanIpm, Statistic, family::FourierLattice};
/// use divergences::measures::{Empirical, Points};
/// let d2 = MeanIpm::new(FourierLattice::line(1)?, Statistic::Plugin);
/// let mu = Empirical::dirac(&[0.0])?;
/// let nu = Empirical::dirac(&[0.5])?;
/// assert!((d2.value(&mu, &nu)? - 4.0).abs() < 1e-15); // |1 − e^{iπ}|²
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MeanIpm<F> {
    family: F,
    statistic: Statistic,
}

impl<F: Family> MeanIpm<F> {
    /// D₂² over a family, by one of the two estimates.
    pub fn new(family: F, statistic: Statistic) -> Self {
        MeanIpm { family, statistic }
    }

    /// The family.
    pub fn family(&self) -> &F {
        &self.family
    }

    /// Which estimate.
    pub fn statistic(&self) -> Statistic {
        self.statistic
    }

    fn target(&self, nu: &Empirical) -> Result<Target> {
        check_dim("second measure", self.family.dim(), nu.dim())?;
        let brackets = self.family.brackets(nu)?;
        check_finite("brackets of the second measure", &brackets)?;
        let square = self.square(&brackets);
        let own = match self.statistic {
            Statistic::Plugin => square,
            Statistic::Unbiased => OffDiagonal::new(ATOMS_OF_NU, nu)?
                .form(square, diagonal_sum(nu, &self.family.diagonal(nu.points())?)),
        };
        Ok(Target { brackets, own })
    }

    fn square(&self, brackets: &[f64]) -> f64 {
        self.family.tau().iter().zip(brackets).map(|(t, b)| t * b * b).sum()
    }

    fn own_brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("first measure", self.family.dim(), mu.dim())?;
        let brackets = self.family.brackets(mu)?;
        check_finite("brackets of the first measure", &brackets)?;
        Ok(brackets)
    }

    fn value_from(&self, mu: &Empirical, a: &[f64], target: &Target) -> Result<f64> {
        let tau = self.family.tau();
        match self.statistic {
            Statistic::Plugin => {
                finite(tau.iter().zip(a).zip(&target.brackets).map(|((t, a), b)| t * (a - b) * (a - b)).sum())
            }
            Statistic::Unbiased => {
                let off = OffDiagonal::new(ATOMS_OF_MU, mu)?;
                let diagonal = diagonal_sum(mu, &self.family.diagonal(mu.points())?);
                finite(self.off_diagonal_value(a, target, off, diagonal))
            }
        }
    }

    fn off_diagonal_value(&self, a: &[f64], target: &Target, off: OffDiagonal, diagonal: f64) -> f64 {
        let tau = self.family.tau();
        let cross: f64 = tau.iter().zip(a).zip(&target.brackets).map(|((t, a), b)| t * a * b).sum();
        off.form(self.square(a), diagonal) + target.own - 2.0 * cross
    }

    /// The value, δF/δμ and ∇δF/δμ at the points.
    fn potential(&self, mu: &Empirical, target: &Target) -> Result<(f64, Pullback)> {
        let a = self.own_brackets(mu)?;
        let tau = self.family.tau();
        match self.statistic {
            Statistic::Plugin => {
                let value = self.value_from(mu, &a, target)?;
                let c: Vec<f64> =
                    tau.iter().zip(&a).zip(&target.brackets).map(|((t, a), b)| 2.0 * t * (a - b)).collect();
                Ok((value, self.family.pullback(mu.points(), &c)?))
            }
            Statistic::Unbiased => {
                // F = (A − Σ wᵢ²κᵢᵢ)/(1 − Σ wᵢ²) + const − 2⟨a, b⟩, differentiated in wᵢ and, by wᵢ, in xᵢ
                let off = OffDiagonal::new(ATOMS_OF_MU, mu)?;
                let diagonal = self.family.diagonal(mu.points())?;
                let sum = diagonal_sum(mu, &diagonal);
                let form = off.form(self.square(&a), sum);
                let value = self.off_diagonal_value(&a, target, off, sum);
                let c: Vec<f64> = tau
                    .iter()
                    .zip(&a)
                    .zip(&target.brackets)
                    .map(|((t, a), b)| 2.0 * t * (a / off.rest - b))
                    .collect();
                let mut out = self.family.pullback(mu.points(), &c)?;
                leave_out_diagonal(mu, &mut out, &diagonal, off, form);
                Ok((value, out))
            }
        }
    }

    fn variation_from(&self, mu: &Empirical, target: &Target) -> Result<Variation> {
        let (value, potential) = self.potential(mu, target)?;
        finite_variation(Variation::from_potential(mu, value, potential.values, potential.gradients))
    }
}

impl MeanIpm<RandomFrequencies> {
    /// The value with the standard error that comes from drawing K frequencies and not all: it is the mean over k of
    /// K τ_k |⟨f_k|μ⟩ − ⟨f_k|ν⟩|² (less the diagonals, for the unbiased statistic).
    ///
    /// **What the interval is for:** D₂² of *these two samples* under the law the frequencies were drawn from (their
    /// MMD², or their energy distance for the stable weight), whatever the laws of the samples.
    ///
    /// # Errors
    /// As [`Divergence::value`].
    pub fn over_frequencies(&self, mu: &Empirical, nu: &Empirical) -> Result<Estimate> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        let (a, b) = (self.own_brackets(mu)?, self.own_brackets(nu)?);
        let value = self.value_from(mu, &a, &self.target(nu)?)?;
        let (own_mu, own_nu) = match self.statistic {
            Statistic::Plugin => (None, None),
            Statistic::Unbiased => {
                (Some(OffDiagonal::new(ATOMS_OF_MU, mu)?), Some(OffDiagonal::new(ATOMS_OF_NU, nu)?))
            }
        };
        // |f| = 1, so that the diagonal of one frequency is Σ wᵢ² = 1 − rest
        let square = |at: &[f64], off: Option<OffDiagonal>| {
            let full = at[0] * at[0] + at[1] * at[1];
            off.map_or(full, |off| off.form(full, 1.0 - off.rest))
        };
        let count = self.family.len();
        let terms: Vec<f64> = a
            .chunks_exact(2)
            .zip(b.chunks_exact(2))
            .zip(self.family.weights())
            .map(|((a, b), t)| {
                let cross = a[0] * b[0] + a[1] * b[1];
                count as f64 * t * (square(a, own_mu) + square(b, own_nu) - 2.0 * cross)
            })
            .collect();
        Ok(Estimate::new(value, Estimate::of_mean(&terms)?.standard_error, count))
    }
}

/// Σ wᵢ² κ(xᵢ, xᵢ).
pub(crate) fn diagonal_sum(mu: &Empirical, diagonal: &Pullback) -> f64 {
    mu.weights().iter().zip(&diagonal.values).map(|(w, k)| w * w * k).sum()
}

/// Adds to a potential what the diagonal and the normalisation 1 − Σ wᵢ² contribute:
/// ∂/∂wᵢ of the form is (… − 2wᵢκᵢᵢ + 2wᵢ·form)/rest, and its gradient in xᵢ by wᵢ is (… − wᵢ∇κᵢᵢ)/rest.
pub(crate) fn leave_out_diagonal(
    mu: &Empirical,
    potential: &mut Pullback,
    diagonal: &Pullback,
    off: OffDiagonal,
    form: f64,
) {
    for (i, w) in mu.weights().iter().enumerate() {
        potential.values[i] += 2.0 * w * (form - diagonal.values[i]) / off.rest;
        let gradient = diagonal.gradients.row(i);
        potential.gradients.row_mut(i).iter_mut().zip(gradient).for_each(|(out, g)| *out -= w * g / off.rest);
    }
}

/// What depends on the second measure alone.
struct Target {
    brackets: Vec<f64>,
    own: f64,
}

impl<F: Family> Divergence for MeanIpm<F> {
    /// What holds for every finite family; translations, rotations and scalings it does not survive in general.
    fn axioms(&self) -> Axioms {
        let plugin = self.statistic == Statistic::Plugin;
        Axioms {
            non_negative: plugin,
            identity: plugin,
            symmetry: true,
            triangle_power: plugin.then_some(0.5),
            permutation: true,
            atom_splitting: plugin,
            convex: plugin,
            continuous_in_points: true,
            continuous_in_weights: true,
            ..Axioms::default()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        let target = self.target(nu)?;
        self.value_from(mu, &self.own_brackets(mu)?, &target)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        self.variation_from(mu, &self.target(nu)?)
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        finite_field(self.potential(mu, &self.target(nu)?)?.1.gradients)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(TowardTarget { divergence: self, target: self.target(target)? }))
    }
}

/// D₂²(·, ν) with the brackets of ν at hand.
struct TowardTarget<'a, F> {
    divergence: &'a MeanIpm<F>,
    target: Target,
}

impl<F: Family> Functional for TowardTarget<'_, F> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        self.divergence.variation_from(mu, &self.target)
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        self.divergence.value_from(mu, &self.divergence.own_brackets(mu)?, &self.target)
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        finite_field(self.divergence.potential(mu, &self.target)?.1.gradients)
    }
}
