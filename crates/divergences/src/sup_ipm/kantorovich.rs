//! Kantorovich pairs (f, fᶜ) over a finite family of potentials.

use super::{Maximiser, check_family, largest, one_hot};
use crate::divergence::finite_variation;
use crate::transport::Cost;
use crate::{Axioms, Divergence, Toward};
use measures::parallel::map_blocks;
use measures::{
    Empirical, Error, Family, Functional, Measure, Points, Result, Variation, centred, check_dim,
};

/// D∞(μ, ν; J) = max_k ⟨f_k|μ⟩ + ⟨f_kᶜ|ν⟩ over a finite family, fᶜ(y) = min_x c(x, y) − f(x) over the atoms of μ of
/// positive weight: the Kantorovich pairs of section 2 (whose g is −fᶜ), restricted to a list of first potentials.
///
/// Every pair satisfies f(x) + fᶜ(y) ≤ c(x, y) on the atoms, so the value is a lower bound on the transport cost W_c, and
/// it is W_c when the family holds an optimal potential. [`transport::solve`](crate::transport::solve) finds that
/// optimum itself; this is for potentials of a given form (a network's, say, or the solver's own, as a certificate).
///
/// Cost O(n m) a function. The first variation follows the maximising pair and, for each y, the atom that attains the
/// minimum, the first where several do.
#[derive(Debug, Clone)]
pub struct Kantorovich<C, F> {
    cost: C,
    family: F,
}

impl<C: Cost, F: Family> Kantorovich<C, F> {
    /// The pairs of the functions of `family` with τ > 0 under `cost`.
    ///
    /// # Errors
    /// τ is zero on every function.
    pub fn new(cost: C, family: F) -> Result<Self> {
        check_family(&family)?;
        Ok(Kantorovich { cost, family })
    }

    /// The maximising pair with its value.
    ///
    /// # Errors
    /// A measure lives in another dimension than the family, or a value is not finite.
    pub fn maximise(&self, mu: &Empirical, nu: &Empirical) -> Result<Maximiser> {
        check_dim("first measure", self.family.dim(), mu.dim())?;
        check_dim("second measure", mu.dim(), nu.dim())?;
        let k = self.family.tau().len();
        let values = self.family.values(mu.points())?;
        let mut gaps = self.family.brackets(mu)?;
        for (index, gap) in gaps.iter_mut().enumerate() {
            let f: Vec<f64> = values.iter().skip(index).step_by(k).copied().collect();
            if let Some(at) = f.iter().position(|f| !f.is_finite()) {
                return Err(Error::NonFinite {
                    what: "values of the family (atom, function)",
                    row: at,
                    column: index,
                    value: f[at],
                });
            }
            let transform = self.transform(mu, &f, nu.points());
            *gap += transform.iter().zip(nu.weights()).map(|((_, g), w)| g * w).sum::<f64>();
        }
        largest(&gaps, self.family.tau(), false)
    }

    /// For every y the atom of positive weight that attains min_x c(x, y) − f(x), and that minimum.
    fn transform(&self, mu: &Empirical, f: &[f64], y: &Points) -> Vec<(usize, f64)> {
        let cost = &self.cost;
        let one = |y: &[f64]| {
            let atoms = mu.points().rows().zip(f).zip(mu.weights()).enumerate();
            atoms.filter(|(_, (_, w))| **w > 0.0).fold((0, f64::INFINITY), |best, (i, ((x, f), _))| {
                let at = cost.cost(x, y) - f;
                if at < best.1 { (i, at) } else { best }
            })
        };
        map_blocks(y.len(), 64, |rows| rows.map(|j| one(y.row(j))).collect::<Vec<_>>()).concat()
    }
}

impl<C: Cost, F: Family> Divergence for Kantorovich<C, F> {
    fn axioms(&self) -> Axioms {
        Axioms { permutation: true, atom_splitting: true, continuous_in_points: true, ..Axioms::default() }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.maximise(mu, nu)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let best = self.maximise(mu, nu)?;
        let c = one_hot(self.family.tau().len(), best);
        let at = self.family.pullback(mu.points(), &c)?;
        // How much of ν each atom of μ serves.
        let mut served = vec![0.0; mu.len()];
        let mut d_points = Points::zeros(mu.len(), mu.dim());
        let transform = self.transform(mu, &at.values, nu.points());
        for ((&(i, _), y), &w) in transform.iter().zip(nu.points().rows()).zip(nu.weights()) {
            served[i] += w;
            self.cost.add_gradient(mu.points().row(i), y, w, d_points.row_mut(i))?;
        }
        for i in 0..mu.len() {
            let excess = mu.weights()[i] - served[i];
            d_points.row_mut(i).iter_mut().zip(at.gradients.row(i)).for_each(|(d, g)| *d += excess * g);
        }
        let d_weights = centred(at.values, mu.weights());
        finite_variation(Variation { value: best.value, d_points, d_weights })
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        check_dim("second measure", self.family.dim(), target.dim())?;
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Listed, Pair, check_variation};
    use crate::transport::NormPower;
    use measures::{Sample, Seed, zoo::Gaussian};

    fn clouds() -> (Empirical, Empirical) {
        let x = Gaussian::standard(2).sample(12, &mut Seed::new(1).rng());
        let y = Gaussian::isotropic(&[1.0, 0.5], 0.7).unwrap().sample(9, &mut Seed::new(2).rng());
        (Empirical::uniform(x).unwrap(), Empirical::uniform(y).unwrap())
    }

    fn linear(slopes: &[[f64; 2]]) -> Vec<Pair> {
        slopes
            .iter()
            .map(|&[a, b]| -> Pair { Box::new(move |x| (a * x[0] + b * x[1], vec![a, b])) })
            .collect()
    }

    #[test]
    fn a_lower_bound_that_the_optimal_potential_attains() {
        let (mu, nu) = clouds();
        let cost = NormPower::squared_euclidean();
        let exact = crate::transport::solve(&mu, &nu, &cost).unwrap();
        let guess = Kantorovich::new(cost, Listed::new(2, linear(&[[0.0, 0.0], [-2.0, -1.0]]))).unwrap();
        let bound = guess.value(&mu, &nu).unwrap();
        assert!(bound > 0.0 && bound < exact.value);
        // The solver's own potential, looked up by place.
        let (points, source) = (mu.points().clone(), exact.potentials.source.clone());
        let own: Pair = Box::new(move |x| {
            let at = points.rows().position(|row| row == x).expect("asked at atoms only");
            (source[at], vec![0.0, 0.0])
        });
        let mut list = linear(&[[0.0, 0.0]]);
        list.push(own);
        let certified = Kantorovich::new(cost, Listed::new(2, list)).unwrap().maximise(&mu, &nu).unwrap();
        assert_eq!(certified.index, 1);
        assert!((certified.value - exact.value).abs() < 1e-12);
    }

    #[test]
    fn variation() {
        let (mu, nu) = clouds();
        let weights: Vec<f64> = (0..12).map(|i| f64::from(i + 1) / 78.0).collect();
        let mu = Empirical::weighted(mu.points().clone(), weights).unwrap();
        let d = Kantorovich::new(
            NormPower::squared_euclidean(),
            Listed::new(2, linear(&[[0.3, 0.0], [-2.0, -1.0], [-1.0, -1.0]])),
        )
        .unwrap();
        check_variation(&d, &mu, &nu, 1e-6, 1e-7);
    }
}
