//! Total variation: on common atoms exactly, on the cells of a grid, and between two densities by Monte Carlo.
//!
//! TV(μ, ν) = max_A |μ(A) − ν(A)| = ½ Σ |μ − ν| = D∞(μ, ν; [0, 1]^𝒳), in [0, 1]: eq. (2) with all functions that take
//! values in [0, 1]. Some authors leave out the ½.

mod density;
mod histogram;

pub use density::total_variation_between;
pub use histogram::{Grid, HistogramTotalVariation};

use crate::atoms::Atoms;
use crate::{Axioms, Divergence, Toward};
use measures::{Empirical, Error, Functional, Points, Result, Variation, centred};

/// The total variation of two discrete measures, ½ Σ_x |μ{x} − ν{x}|, exactly: atoms are matched where all their
/// coordinates are equal.
///
/// Two samples of laws with densities have no atom in common and total variation 1; compare them on a
/// [`HistogramTotalVariation`], or their densities with [`total_variation_between`].
///
/// The first variation in the weights is ½ sign(μ{x} − ν{x}) up to a constant; where the two masses are equal the
/// derivative is one-sided and the middle of its range, 0, is returned. In the points the total variation is piecewise
/// constant: `d_points` is zero, which is the derivative wherever no atom shares its place with another, and the
/// *field* that would move particles is refused, since following it leads nowhere.
///
/// ```
/// use divergences::{Divergence, total_variation::TotalVariation};
/// use measures::{Empirical, Points};
/// let mu = Empirical::weighted(Points::from_line(vec![0.0, 1.0]), vec![0.25, 0.75])?;
/// let nu = Empirical::weighted(Points::from_line(vec![1.0, 2.0]), vec![0.5, 0.5])?;
/// assert_eq!(TotalVariation.value(&mu, &nu)?, 0.5);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TotalVariation;

impl Divergence for TotalVariation {
    fn axioms(&self) -> Axioms {
        Axioms {
            separation: true,
            translation: true,
            rotation: true,
            scaling_degree: Some(0.0),
            ..of_cells()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(value(&Atoms::pool(mu, nu)?))
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        Ok(variation(mu, &Atoms::pool(mu, nu)?))
    }

    fn gradient_field(&self, _: &Empirical, _: &Empirical) -> Result<Points> {
        Err(no_field())
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

/// What holds for total variation on any partition of the space.
fn of_cells() -> Axioms {
    Axioms {
        non_negative: true,
        identity: true,
        symmetry: true,
        triangle_power: Some(1.0),
        permutation: true,
        atom_splitting: true,
        convex: true,
        continuous_in_weights: true,
        ..Axioms::default()
    }
}

fn no_field() -> Error {
    Error::Undefined {
        what: "the gradient field of total variation",
        why: "it is piecewise constant in the points and jumps where atoms meet",
    }
}

fn value(atoms: &Atoms) -> f64 {
    let sum: f64 = atoms.masses().map(|(p, q)| (p - q).abs()).sum();
    (0.5 * sum).min(1.0)
}

fn variation(mu: &Empirical, atoms: &Atoms) -> Variation {
    use measures::Measure;
    let potential = atoms
        .place
        .iter()
        .map(|&at| {
            let gap = atoms.mu[at] - atoms.nu[at];
            if gap == 0.0 { 0.0 } else { 0.5 * gap.signum() }
        })
        .collect();
    Variation {
        value: value(atoms),
        d_points: Points::zeros(mu.len(), mu.dim()),
        d_weights: centred(potential, mu.weights()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_weights;

    fn line(x: &[f64], w: &[f64]) -> Empirical {
        Empirical::weighted(Points::from_line(x.to_vec()), w.to_vec()).unwrap()
    }

    /// The maximum over every set of atoms: the definition.
    #[test]
    fn the_largest_difference_over_all_sets() {
        let mu = line(&[0.0, 1.0, 2.0, 3.0, 1.0], &[0.1, 0.2, 0.3, 0.15, 0.25]);
        let nu = line(&[3.0, 2.0, 1.0, 5.0], &[0.4, 0.1, 0.3, 0.2]);
        let places = [0.0, 1.0, 2.0, 3.0, 5.0];
        let mass = |m: &Empirical, set: u32| -> f64 {
            let atoms = m.points().as_slice().iter().zip(m.weights());
            let inside = |x: f64| places.iter().position(|p| *p == x).is_some_and(|k| set >> k & 1 == 1);
            atoms.filter(|(x, _)| inside(**x)).map(|(_, w)| w).sum()
        };
        let largest = (0..32).map(|set| (mass(&mu, set) - mass(&nu, set)).abs()).fold(0.0, f64::max);
        assert!((TotalVariation.value(&mu, &nu).unwrap() - largest).abs() < 1e-15);
    }

    #[test]
    fn variation_in_the_weights() {
        let mu = line(&[0.0, 1.0, 2.0, 7.0], &[0.1, 0.2, 0.6, 0.1]);
        let nu = line(&[2.0, 1.0, 5.0], &[0.4, 0.5, 0.1]);
        check_weights(&TotalVariation, &mu, &nu, 1e-6, 1e-9);
        assert!(TotalVariation.gradient_field(&mu, &nu).is_err());
        assert!(TotalVariation.toward(&nu).unwrap().gradient_field(&mu).is_err());
        assert!(TotalVariation.value(&mu, &Empirical::dirac(&[0.0, 0.0]).unwrap()).is_err());
    }

    #[test]
    fn apart_and_equal() {
        let mu = line(&[0.0, 1.0, 2.0], &[0.1, 0.2, 0.7]);
        assert_eq!(TotalVariation.value(&mu, &mu).unwrap(), 0.0);
        assert_eq!(TotalVariation.value(&mu, &line(&[4.0, 5.0], &[0.3, 0.7])).unwrap(), 1.0);
    }
}
