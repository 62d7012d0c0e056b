//! The maximum formulation D∞, eq. (2): over a finite family, over the unit ball of an RKHS, over pairs of functions.

mod conjugate;
mod kantorovich;
mod pairs;
mod rkhs;

pub use conjugate::Conjugate;
pub use kantorovich::Kantorovich;
pub use pairs::SupPairs;
pub use rkhs::RkhsBall;

use crate::divergence::{finite_field, finite_variation};
use crate::{Axioms, Divergence};
use measures::{
    Empirical, Error, Family, Functional, Measure, Points, Pullback, Result, Variation, check_dim,
};

/// D∞(μ, ν; F) = sup_{f ∈ F} ⟨f|μ − ν⟩ over a finite family, eq. (2), with its maximiser.
///
/// The functions are the real coordinates of the family with τ > 0: what τ does not see does not count. Unless the
/// family is closed under sign, D∞ is neither symmetric nor non-negative: [`SupIpm::new`] takes the family as it is, and
/// [`SupIpm::symmetric`] takes it with the negative of each function, which gives max |⟨f|μ − ν⟩|, a pseudo-metric.
/// It separates only what the functions tell apart.
///
/// The first variation is the maximiser (Danskin). Where several functions attain the maximum the derivative is
/// one-sided and the first of them in the order of the family is taken: descent may then alternate between them, the
/// cycles of footnote 3.
///
/// ```
/// use divergences::{Divergence, family::FourierLattice, sup_ipm::SupIpm};
/// use measures::{Empirical, Points};
/// let d = SupIpm::symmetric(FourierLattice::line(3)?)?;
/// let mu = Empirical::uniform(Points::from_line(vec![0.0, 0.25]))?;
/// let nu = Empirical::uniform(Points::from_line(vec![0.5, 0.75]))?;
/// let best = d.maximise(&mu, &nu)?;
/// assert!((best.value - 1.0).abs() < 1e-12);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SupIpm<F> {
    family: F,
    signs: bool,
}

/// The function that attains the maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Maximiser {
    /// D∞: the bracket of the maximiser.
    pub value: f64,
    /// Its number in the family (the first, where several attain the maximum).
    pub index: usize,
    /// 1, or −1 where the negative of the function of that number is meant.
    pub sign: f64,
}

impl<F: Family> SupIpm<F> {
    /// The supremum over the family as it is.
    ///
    /// # Errors
    /// τ is zero on every function.
    pub fn new(family: F) -> Result<Self> {
        check_family(&family)?;
        Ok(SupIpm { family, signs: false })
    }

    /// The supremum over the family and the negatives of its functions.
    ///
    /// # Errors
    /// As [`SupIpm::new`].
    pub fn symmetric(family: F) -> Result<Self> {
        Ok(SupIpm { signs: true, ..SupIpm::new(family)? })
    }

    /// F.
    pub fn family(&self) -> &F {
        &self.family
    }

    /// The maximiser with its value.
    ///
    /// # Errors
    /// The measures live in another dimension than the family, or a bracket is not finite.
    pub fn maximise(&self, mu: &Empirical, nu: &Empirical) -> Result<Maximiser> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        self.maximise_against(mu, &self.family.brackets(nu)?)
    }

    fn maximise_against(&self, mu: &Empirical, brackets: &[f64]) -> Result<Maximiser> {
        let gaps: Vec<f64> = self.family.brackets(mu)?.iter().zip(brackets).map(|(m, n)| m - n).collect();
        largest(&gaps, self.family.tau(), self.signs)
    }

    fn potential(&self, x: &Points, best: Maximiser) -> Result<Pullback> {
        self.family.pullback(x, &one_hot(self.family.tau().len(), best))
    }
}

fn check_family(family: &impl Family) -> Result<()> {
    if family.tau().iter().any(|t| *t > 0.0) {
        return Ok(());
    }
    Err(Error::TooFew { what: "functions with τ > 0", at_least: 1, got: 0 })
}

/// The largest of the gaps, or of their absolute values, where τ > 0.
fn largest(gaps: &[f64], tau: &[f64], signs: bool) -> Result<Maximiser> {
    let mut best = Maximiser { value: f64::NEG_INFINITY, index: 0, sign: 1.0 };
    for (index, (&gap, &tau)) in gaps.iter().zip(tau).enumerate() {
        if !gap.is_finite() {
            return Err(Error::Entry { what: "⟨f|μ − ν⟩", index, value: gap, must: "finite" });
        }
        let value = if signs { gap.abs() } else { gap };
        if tau > 0.0 && value > best.value {
            best = Maximiser { value, index, sign: if signs && gap < 0.0 { -1.0 } else { 1.0 } };
        }
    }
    Ok(best)
}

fn one_hot(k: usize, best: Maximiser) -> Vec<f64> {
    let mut c = vec![0.0; k];
    c[best.index] = best.sign;
    c
}

impl<F: Family> Divergence for SupIpm<F> {
    fn axioms(&self) -> Axioms {
        Axioms {
            non_negative: self.signs,
            identity: true,
            symmetry: self.signs,
            triangle_power: Some(1.0),
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
        Ok(Box::new(TowardBrackets { divergence: self, brackets: self.family.brackets(target)? }))
    }
}

/// μ ↦ D∞(μ, ν) with the brackets of ν computed once.
struct TowardBrackets<'a, F> {
    divergence: &'a SupIpm<F>,
    brackets: Vec<f64>,
}

impl<F: Family> Functional for TowardBrackets<'_, F> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        let best = self.divergence.maximise_against(mu, &self.brackets)?;
        let at = self.divergence.potential(mu.points(), best)?;
        finite_variation(Variation::from_potential(mu, best.value, at.values, at.gradients))
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        Ok(self.divergence.maximise_against(mu, &self.brackets)?.value)
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        let best = self.divergence.maximise_against(mu, &self.brackets)?;
        finite_field(self.divergence.potential(mu.points(), best)?.gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Listed, Pair, check_variation};
    use crate::total_variation::TotalVariation;

    fn line(x: &[f64], w: &[f64]) -> Empirical {
        Empirical::weighted(Points::from_line(x.to_vec()), w.to_vec()).unwrap()
    }

    /// sin x, −x/2, cos 2x.
    fn three() -> Listed {
        let list: Vec<Pair> = vec![
            Box::new(|x| (x[0].sin(), vec![x[0].cos()])),
            Box::new(|x| (-0.5 * x[0], vec![-0.5])),
            Box::new(|x| ((2.0 * x[0]).cos(), vec![-2.0 * (2.0 * x[0]).sin()])),
        ];
        Listed::new(1, list)
    }

    #[test]
    fn one_sided_and_symmetric() {
        let (mu, nu) = (line(&[1.0, 2.0], &[0.5, 0.5]), line(&[0.0, 0.5], &[0.25, 0.75]));
        let (plain, both) = (SupIpm::new(three()).unwrap(), SupIpm::symmetric(three()).unwrap());
        let gaps: Vec<f64> = [f64::sin, |x: f64| -0.5 * x, |x: f64| (2.0 * x).cos()]
            .iter()
            .map(|f| 0.5 * f(1.0) + 0.5 * f(2.0) - 0.25 * f(0.0) - 0.75 * f(0.5))
            .collect();
        let top = gaps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let there = plain.maximise(&mu, &nu).unwrap();
        assert!((there.value - top).abs() < 1e-15 && there.sign == 1.0);
        let back = plain.maximise(&nu, &mu).unwrap();
        assert!(back.value != there.value);
        let best = both.maximise(&mu, &nu).unwrap();
        assert_eq!(best.value, both.value(&nu, &mu).unwrap());
        assert_eq!((best.index, best.sign), (2, -1.0));
        // Two functions that both say −: the supremum is negative.
        let falling = Listed::new(1, vec![Box::new(|x: &[f64]| (-x[0], vec![-1.0])) as Pair]);
        assert!(SupIpm::new(falling).unwrap().value(&mu, &nu).unwrap() < 0.0);
    }

    #[test]
    fn variations() {
        let (mu, nu) = (line(&[1.0, 2.0, 0.3], &[0.5, 0.2, 0.3]), line(&[0.0, 0.5], &[0.25, 0.75]));
        for d in [SupIpm::new(three()).unwrap(), SupIpm::symmetric(three()).unwrap()] {
            check_variation(&d, &mu, &nu, 1e-5, 1e-8);
            check_variation(&d, &nu, &mu, 1e-5, 1e-8);
        }
    }

    /// Eq. (2) over all functions into [0, 1] is total variation: the extreme points are the indicators of sets.
    #[test]
    fn over_all_sets_it_is_total_variation() {
        let places = [0.0, 1.0, 2.0, 3.0];
        let indicators: Vec<Pair> = (0..16_u32)
            .map(|set| -> Pair {
                Box::new(move |x| {
                    let inside = places.iter().position(|p| *p == x[0]).is_some_and(|k| set >> k & 1 == 1);
                    (f64::from(u8::from(inside)), vec![0.0])
                })
            })
            .collect();
        let d = SupIpm::new(Listed::new(1, indicators)).unwrap();
        let mu = line(&[0.0, 1.0, 2.0, 1.0], &[0.1, 0.2, 0.3, 0.4]);
        let nu = line(&[3.0, 2.0, 1.0], &[0.45, 0.35, 0.2]);
        assert!((d.value(&mu, &nu).unwrap() - TotalVariation.value(&mu, &nu).unwrap()).abs() < 1e-15);
        // The maximiser is the set where μ is larger.
        assert_eq!(d.maximise(&mu, &nu).unwrap().index, 0b0011);
    }

    #[test]
    fn bad_families_and_dimensions() {
        assert!(matches!(SupIpm::new(Listed::new(1, vec![])), Err(Error::TooFew { .. })));
        let d = SupIpm::new(three()).unwrap();
        let plane = Empirical::dirac(&[0.0, 0.0]).unwrap();
        assert!(d.value(&plane, &plane).is_err() && d.toward(&plane).is_err());
    }
}
