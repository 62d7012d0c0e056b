//! Two discrete measures on their common atoms: what every divergence of densities needs, exactly.

use measures::{Empirical, Measure, Points, Result, check_dim};
use std::cmp::Ordering;

/// The distinct places of two measures, with the mass of each there.
///
/// Two atoms are at one place when all coordinates are equal (0 and −0 are). Places are in lexicographic order.
pub(crate) struct Atoms {
    /// The mass of μ at each place.
    pub(crate) mu: Vec<f64>,
    /// The mass of ν at each place.
    pub(crate) nu: Vec<f64>,
    /// The place of each atom of μ.
    pub(crate) place: Vec<usize>,
    /// Which of the pooled atoms (μ's first, then ν's) is the first at each place.
    pub(crate) first: Vec<usize>,
}

impl Atoms {
    /// Pools the atoms of two measures of one dimension.
    pub(crate) fn pool(mu: &Empirical, nu: &Empirical) -> Result<Self> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        Ok(Atoms::of_rows(mu.points(), mu.weights(), nu.points(), nu.weights()))
    }

    /// Pools rows that stand for the atoms (themselves, or the cells they lie in).
    pub(crate) fn of_rows(x: &Points, a: &[f64], y: &Points, b: &[f64]) -> Self {
        let n = x.len();
        let row = |i: usize| if i < n { x.row(i) } else { y.row(i - n) };
        let mut order: Vec<usize> = (0..n + y.len()).collect();
        // Ties by index, so that masses are added in a fixed order.
        order.sort_unstable_by(|&i, &j| compare(row(i), row(j)).then(i.cmp(&j)));
        let mut atoms = Atoms { mu: vec![], nu: vec![], place: vec![0; n], first: vec![] };
        for (at, &i) in order.iter().enumerate() {
            if at == 0 || row(order[at - 1]) != row(i) {
                atoms.first.push(i);
                atoms.mu.push(0.0);
                atoms.nu.push(0.0);
            }
            let place = atoms.mu.len() - 1;
            if i < n {
                atoms.mu[place] += a[i];
                atoms.place[i] = place;
            } else {
                atoms.nu[place] += b[i - n];
            }
        }
        atoms
    }

    /// The masses of both at each place where one of them has any.
    pub(crate) fn masses(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.mu.iter().copied().zip(self.nu.iter().copied()).filter(|&(p, q)| p > 0.0 || q > 0.0)
    }
}

fn compare(x: &[f64], y: &[f64]) -> Ordering {
    let unequal = x.iter().zip(y).find(|(x, y)| x != y);
    // Coordinates are finite, so what is not equal is ordered.
    unequal.map_or(Ordering::Equal, |(x, y)| if x < y { Ordering::Less } else { Ordering::Greater })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_places_are_one() {
        let mu = Empirical::weighted(
            Points::from_rows(&[[0.0, 1.0], [2.0, 0.0], [-0.0, 1.0]]),
            vec![0.25, 0.5, 0.25],
        )
        .unwrap();
        let nu = Empirical::uniform(Points::from_rows(&[[2.0, 0.0], [2.0, 1.0]])).unwrap();
        let atoms = Atoms::pool(&mu, &nu).unwrap();
        assert_eq!(atoms.mu, [0.5, 0.5, 0.0]);
        assert_eq!(atoms.nu, [0.0, 0.5, 0.5]);
        assert_eq!(atoms.place, [0, 1, 0]);
        assert_eq!(atoms.first, [0, 1, 4]);
    }
}
