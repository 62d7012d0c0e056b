//! The generalised maximum formulation over a finite list of pairs.

use super::{Maximiser, check_family, largest, one_hot};
use crate::divergence::{finite_field, finite_variation};
use crate::{Axioms, Divergence};
use measures::{
    Empirical, Family, Functional, Measure, Points, Pullback, Result, Variation, check_dim, check_len,
};

/// D∞(μ, ν; J) = max_k ⟨f_k|μ⟩ − ⟨g_k|ν⟩ over finitely many pairs (f_k, g_k), the generalised duality of section 2.
///
/// What it is depends on the pairs alone. (f, f) gives the plain D∞; (f, φ*∘f) a lower bound on a φ-divergence;
/// pairs with f(x) − g(y) ≤ c(x, y) one on optimal transport. Pairs with g ≥ f everywhere give values ≤ 0 at μ = ν.
/// Of the axioms only convexity, the order of the atoms and their splitting are certain.
///
/// The first variation is f_k at the maximising pair, the first where several attain the maximum.
#[derive(Debug, Clone)]
pub struct SupPairs<F, G> {
    first: F,
    second: G,
}

impl<F: Family, G: Family> SupPairs<F, G> {
    /// The pairs of functions of equal number in two families; those with τ = 0 in the first are left out.
    ///
    /// # Errors
    /// The families live in different dimensions or differ in length, or τ is zero on all of the first.
    pub fn new(first: F, second: G) -> Result<Self> {
        check_dim("second family", first.dim(), second.dim())?;
        check_len("second family", first.tau().len(), second.tau().len())?;
        check_family(&first)?;
        Ok(SupPairs { first, second })
    }

    /// The maximising pair with its value.
    ///
    /// # Errors
    /// The measures live in another dimension, or a bracket is not finite.
    pub fn maximise(&self, mu: &Empirical, nu: &Empirical) -> Result<Maximiser> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        self.maximise_against(mu, &self.second.brackets(nu)?)
    }

    fn maximise_against(&self, mu: &Empirical, brackets: &[f64]) -> Result<Maximiser> {
        let gaps: Vec<f64> = self.first.brackets(mu)?.iter().zip(brackets).map(|(f, g)| f - g).collect();
        largest(&gaps, self.first.tau(), false)
    }
}

impl<F: Family, G: Family> Divergence for SupPairs<F, G> {
    fn axioms(&self) -> Axioms {
        Axioms {
            permutation: true,
            atom_splitting: true,
            convex: true,
            continuous_in_points: true,
            continuous_in_weights: true,
            ..Axioms::default()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.maximise(mu, nu)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        self.toward(nu)?.variation(mu)
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        self.toward(nu)?.gradient_field(mu)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(TowardPairs { divergence: self, brackets: self.second.brackets(target)? }))
    }
}

struct TowardPairs<'a, F, G> {
    divergence: &'a SupPairs<F, G>,
    brackets: Vec<f64>,
}

impl<F: Family, G: Family> TowardPairs<'_, F, G> {
    fn potential(&self, mu: &Empirical) -> Result<(Maximiser, Pullback)> {
        let best = self.divergence.maximise_against(mu, &self.brackets)?;
        let family = &self.divergence.first;
        Ok((best, family.pullback(mu.points(), &one_hot(family.tau().len(), best))?))
    }
}

impl<F: Family, G: Family> Functional for TowardPairs<'_, F, G> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        let (best, at) = self.potential(mu)?;
        finite_variation(Variation::from_potential(mu, best.value, at.values, at.gradients))
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        Ok(self.divergence.maximise_against(mu, &self.brackets)?.value)
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        finite_field(self.potential(mu)?.1.gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SupIpm;
    use super::*;
    use crate::phi::{Phi, PhiDivergence};
    use crate::testing::{Listed, Pair, check_variation};

    fn scaled(slopes: &'static [f64], g: fn(f64) -> f64, dg: fn(f64) -> f64) -> Listed {
        let list: Vec<Pair> = slopes
            .iter()
            .map(|&a| -> Pair { Box::new(move |x| (g(a * x[0]), vec![a * dg(a * x[0])])) })
            .collect();
        Listed::new(1, list)
    }

    #[test]
    fn equal_pairs_are_the_plain_supremum_and_conjugate_pairs_bound_kl() {
        let slopes = &[-1.0, -0.4, 0.0, 0.5, 1.5];
        let identity = || scaled(slopes, |v| v, |_| 1.0);
        let mu = Empirical::uniform(Points::from_line(vec![0.0, 1.0, 1.0])).unwrap();
        let nu = Empirical::uniform(Points::from_line(vec![0.0, 0.0, 1.0])).unwrap();
        let plain = SupIpm::new(identity()).unwrap().value(&mu, &nu).unwrap();
        assert_eq!(SupPairs::new(identity(), identity()).unwrap().value(&mu, &nu).unwrap(), plain);
        let kl = SupPairs::new(identity(), scaled(slopes, f64::exp_m1, f64::exp)).unwrap();
        let exact = PhiDivergence::new(Phi::Kl).value(&mu, &nu).unwrap();
        let bound = kl.value(&mu, &nu).unwrap();
        assert!(bound > 0.0 && bound <= exact, "{bound} {exact}");
        check_variation(&kl, &mu, &nu, 1e-5, 1e-8);
        assert!(SupPairs::new(identity(), scaled(&[1.0], |v| v, |_| 1.0)).is_err());
    }
}
