//! φ-divergences of discrete measures, in closed form on their common atoms.

use super::Phi;
use crate::atoms::Atoms;
use crate::{Axioms, Divergence, Toward};
use measures::{Empirical, Error, Functional, Measure, Points, Result, Variation, centred};

/// D_φ(μ|ν) = Σ_x ν{x} φ(μ{x}/ν{x}) + φ′(∞) μ{ν = 0} of two discrete measures, exactly: atoms are matched where all
/// their coordinates are equal.
///
/// The value is +∞ where it is: KL and χ² when μ has an atom that ν lacks, reverse KL when ν has one that μ lacks. Two
/// samples of laws with densities share no atom, and the number says nothing about the laws: use an estimator for
/// samples instead.
///
/// The first variation is φ′(μ{x}/ν{x}) up to a constant. It is refused where it is infinite (KL at an atom of no weight,
/// for one) or where the value is. In the points a φ-divergence is piecewise constant: `d_points` is zero, which is the
/// derivative wherever no atom shares its place with another, and the field that would move particles is refused.
///
/// ```
/// use divergences::{Divergence, phi::{Phi, PhiDivergence}};
/// use measures::{Empirical, Points};
/// let on = |w: [f64; 2]| Empirical::weighted(Points::from_line(vec![0.0, 1.0]), w.to_vec());
/// let kl = PhiDivergence::new(Phi::Kl).value(&on([0.5, 0.5])?, &on([0.25, 0.75])?)?;
/// assert!((kl - 0.5 * (4.0f64 / 3.0).ln()).abs() < 1e-15);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhiDivergence {
    phi: Phi,
}

impl PhiDivergence {
    /// The divergence of the generator `phi`.
    pub fn new(phi: Phi) -> Self {
        PhiDivergence { phi }
    }

    /// φ.
    pub fn phi(&self) -> Phi {
        self.phi
    }

    fn of(self, atoms: &Atoms) -> f64 {
        // Each term is non-negative up to round-off, so the sum is too once that is cut off.
        atoms.masses().map(|(p, q)| self.phi.perspective(p, q)).sum::<f64>().max(0.0)
    }
}

/// Whether D_φ is symmetric, and p such that D_φ^p is a metric (Endres & Schindelin 2003, doi:10.1109/TIT.2003.813506,
/// for Jensen–Shannon).
pub(super) fn metric(phi: Phi) -> (bool, Option<f64>) {
    match phi {
        Phi::JensenShannon | Phi::SquaredHellinger => (true, Some(0.5)),
        Phi::TotalVariation => (true, Some(1.0)),
        Phi::Alpha(order) if order.value() == 0.5 => (true, Some(0.5)),
        _ => (false, None),
    }
}

impl Divergence for PhiDivergence {
    fn axioms(&self) -> Axioms {
        let (symmetry, triangle_power) = metric(self.phi);
        Axioms {
            non_negative: true,
            identity: true,
            separation: true,
            symmetry,
            triangle_power,
            permutation: true,
            atom_splitting: true,
            translation: true,
            rotation: true,
            scaling_degree: Some(0.0),
            convex: true,
            continuous_in_weights: true,
            ..Axioms::default()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.of(&Atoms::pool(mu, nu)?))
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let atoms = Atoms::pool(mu, nu)?;
        let value = self.of(&atoms);
        let potential: Vec<f64> =
            atoms.place.iter().map(|&at| self.phi.slope_at(atoms.mu[at], atoms.nu[at])).collect();
        if !value.is_finite() || potential.iter().any(|h| !h.is_finite()) {
            return Err(Error::Undefined {
                what: "the first variation of a φ-divergence",
                why: "it is infinite: one of the measures has an atom that the other lacks",
            });
        }
        Ok(Variation {
            value,
            d_points: Points::zeros(mu.len(), mu.dim()),
            d_weights: centred(potential, mu.weights()),
        })
    }

    fn gradient_field(&self, _: &Empirical, _: &Empirical) -> Result<Points> {
        Err(Error::Undefined {
            what: "the gradient field of a φ-divergence of discrete measures",
            why: "it is piecewise constant in the points and jumps where atoms meet",
        })
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::all;
    use super::*;
    use crate::testing::check_weights;

    fn line(x: &[f64], w: &[f64]) -> Empirical {
        Empirical::weighted(Points::from_line(x.to_vec()), w.to_vec()).unwrap()
    }

    #[test]
    fn by_hand_on_two_atoms() {
        let (mu, nu) = (line(&[0.0, 1.0], &[0.8, 0.2]), line(&[1.0, 0.0], &[0.5, 0.5]));
        let value = |phi| PhiDivergence::new(phi).value(&mu, &nu).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
        close(value(Phi::Kl), 0.8 * 1.6f64.ln() + 0.2 * 0.4f64.ln());
        close(value(Phi::ReverseKl), 0.5 * (0.625f64).ln() + 0.5 * 2.5f64.ln());
        close(value(Phi::ChiSquared), 2.0 * (0.09 + 0.09));
        close(value(Phi::SquaredHellinger), 1.0 - 0.4f64.sqrt() - 0.1f64.sqrt());
        close(value(Phi::TotalVariation), 0.3);
        let mixture = line(&[0.0, 1.0], &[0.65, 0.35]);
        let kl = |a: &Empirical| PhiDivergence::new(Phi::Kl).value(a, &mixture).unwrap();
        close(value(Phi::JensenShannon), 0.5 * kl(&mu) + 0.5 * kl(&nu));
        close(value(Phi::alpha(3.0).unwrap()), (4.0 * (0.512 + 0.008) - 1.0) / 6.0);
    }

    #[test]
    fn variations_in_the_weights() {
        let mu = line(&[0.0, 1.0, 2.0, 1.0], &[0.1, 0.2, 0.5, 0.2]);
        let nu = line(&[2.0, 1.0, 0.0], &[0.4, 0.3, 0.3]);
        for phi in all() {
            check_weights(&PhiDivergence::new(phi), &mu, &nu, 1e-6, 2e-8);
        }
    }

    #[test]
    fn mass_apart() {
        let (mu, nu) = (line(&[0.0, 1.0], &[0.5, 0.5]), line(&[1.0, 2.0], &[0.5, 0.5]));
        for phi in all() {
            let d = PhiDivergence::new(phi);
            let value = d.value(&mu, &nu).unwrap();
            assert_eq!(value, 0.5 * phi.recession() + 0.5 * phi.at_zero());
            assert_eq!(d.variation(&mu, &nu).is_ok(), value.is_finite());
            assert!(d.gradient_field(&mu, &nu).is_err());
        }
    }

    /// The data-processing inequality: merging atoms never increases a φ-divergence.
    #[test]
    fn merging_atoms_loses_information() {
        let fine = |w: [f64; 4]| line(&[0.0, 1.0, 2.0, 3.0], &w);
        let coarse = |w: [f64; 4]| line(&[0.0, 1.0], &[w[0] + w[1], w[2] + w[3]]);
        let (a, b) = ([0.1, 0.2, 0.3, 0.4], [0.3, 0.05, 0.5, 0.15]);
        for phi in all() {
            let d = PhiDivergence::new(phi);
            assert!(
                d.value(&coarse(a), &coarse(b)).unwrap() < d.value(&fine(a), &fine(b)).unwrap(),
                "{phi:?}"
            );
        }
    }
}
