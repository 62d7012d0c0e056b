//! The second halves φ*∘f of the pairs of a φ-divergence.

use super::SupPairs;
use crate::phi::Phi;
use measures::{Empirical, Error, Family, Measure, Points, Pullback, Result, check_dim, check_pullback};

/// The functions φ*∘f_k of a family f_k, with its τ: what stands against ν in the generalised duality of section 2.
#[derive(Debug, Clone)]
pub struct Conjugate<F> {
    phi: Phi,
    family: F,
}

impl<F: Family> Conjugate<F> {
    /// φ*∘f for the functions f of `family`.
    pub fn new(phi: Phi, family: F) -> Self {
        Conjugate { phi, family }
    }
}

impl<F: Family + Clone> SupPairs<F, Conjugate<F>> {
    /// max_k ⟨f_k|μ⟩ − ⟨φ*∘f_k|ν⟩ over the functions of a family: a lower bound on D_φ(μ|ν) by critics from a list, each of
    /// which must stay in the domain of φ* (f ≤ φ′(∞)) on the atoms of ν. [`DualPhi`](crate::phi::DualPhi) takes the supremum
    /// over their *span* instead.
    ///
    /// ```
    /// use divergences::{Divergence, family::{Activation, Ridge}, phi::Phi, sup_ipm::SupPairs};
    /// use measures::{Empirical, Points, Seed};
    /// let neurons = Ridge::random(Activation::Tanh, 1, 1.0, 64, Seed::new(1))?;
    /// let kl = SupPairs::of_phi(Phi::Kl, neurons)?;
    /// let mu = Empirical::uniform(Points::from_line(vec![0.0, 1.0, 1.0]))?;
    /// let nu = Empirical::uniform(Points::from_line(vec![0.0, 0.0, 1.0]))?;
    /// let bound = kl.value(&mu, &nu)?; // of KL(μ|ν) = ⅓ log 2
    /// assert!(bound > 0.0 && bound < 2f64.ln() / 3.0);
    /// # Ok::<(), measures::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SupPairs::new`].
    pub fn of_phi(phi: Phi, family: F) -> Result<Self> {
        SupPairs::new(family.clone(), Conjugate::new(phi, family))
    }
}

impl<F: Family> Conjugate<F> {
    /// φ*(f_k(xᵢ)) row by row; a value outside the domain is an error that names the point.
    fn table(&self, x: &Points) -> Result<Vec<f64>> {
        let mut values = self.family.values(x)?;
        let k = self.family.tau().len();
        for (at, v) in values.iter_mut().enumerate() {
            let inside = self.phi.conjugate(*v);
            if !inside.is_finite() {
                let must = "in the domain of φ*, that is at most φ′(∞)";
                return Err(Error::Entry {
                    what: "critic at a point of the second measure",
                    index: at / k,
                    value: *v,
                    must,
                });
            }
            *v = inside;
        }
        Ok(values)
    }
}

impl<F: Family> Family for Conjugate<F> {
    fn dim(&self) -> usize {
        self.family.dim()
    }

    fn tau(&self) -> &[f64] {
        self.family.tau()
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("measure", self.dim(), mu.dim())?;
        let mut sums = vec![0.0; self.tau().len()];
        for (x, w) in mu.points().rows().zip(mu.weights()).filter(|(_, w)| **w > 0.0) {
            let values = self.table(&Points::new(x.len(), x.to_vec())?)?;
            sums.iter_mut().zip(&values).for_each(|(s, f)| *s += w * f);
        }
        Ok(sums)
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        let mut out = Pullback { values: vec![0.0; x.len()], gradients: Points::zeros(x.len(), x.dim()) };
        for i in 0..x.len() {
            let at = x.select(&[i]);
            let slopes: Vec<f64> = self
                .family
                .values(&at)?
                .iter()
                .zip(c)
                .map(|(f, c)| c * self.phi.conjugate_slope(*f))
                .collect();
            out.values[i] = self.table(&at)?.iter().zip(c).map(|(f, c)| c * f).sum();
            let gradient = self.family.pullback(&at, &slopes)?.gradients;
            out.gradients.row_mut(i).copy_from_slice(gradient.row(0));
        }
        Ok(out)
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim(), x.dim())?;
        self.table(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Divergence;
    use crate::family::{Activation, Ridge};
    use crate::phi::PhiDivergence;
    use crate::testing::check_variation;
    use measures::Seed;

    #[test]
    fn lower_bounds_of_every_divergence() {
        let neurons = |scale| Ridge::random(Activation::Tanh, 1, scale, 40, Seed::new(3)).unwrap();
        let mu = Empirical::weighted(Points::from_line(vec![0.0, 1.0, 2.0]), vec![0.2, 0.3, 0.5]).unwrap();
        let nu = Empirical::weighted(Points::from_line(vec![0.0, 1.0, 2.0]), vec![0.4, 0.4, 0.2]).unwrap();
        // tanh reaches 1, beyond φ′(∞) of some: those are refused, not infinite.
        for phi in
            [Phi::Kl, Phi::ReverseKl, Phi::ChiSquared, Phi::alpha(0.3).unwrap(), Phi::alpha(1.5).unwrap()]
        {
            let d = SupPairs::of_phi(phi, neurons(1.0)).unwrap();
            let (bound, exact) =
                (d.value(&mu, &nu).unwrap(), PhiDivergence::new(phi).value(&mu, &nu).unwrap());
            assert!(bound > 0.0 && bound <= exact, "{phi:?}: {bound} {exact}");
            check_variation(&d, &mu, &nu, 1e-5, 1e-8);
        }
        let outside = SupPairs::of_phi(Phi::JensenShannon, neurons(0.05)).unwrap();
        assert!(matches!(outside.value(&mu, &nu), Err(Error::Entry { .. })));
    }

    #[test]
    fn values_brackets_and_slopes() {
        let family =
            Conjugate::new(Phi::Kl, Ridge::random(Activation::Tanh, 2, 1.0, 5, Seed::new(1)).unwrap());
        let x = Points::from_rows(&[[0.1, -0.3], [0.7, 0.4]]);
        let mu = Empirical::uniform(x.clone()).unwrap();
        let (table, brackets) = (family.values(&x).unwrap(), family.brackets(&mu).unwrap());
        let c = [0.3, -0.2, 0.5, 1.0, -0.7];
        let at = |x: &Points| family.pullback(x, &c).unwrap();
        for k in 0..5 {
            assert!((brackets[k] - 0.5 * (table[k] + table[5 + k])).abs() < 1e-15);
        }
        for j in 0..2 {
            let moved = |h: f64| {
                let mut x = x.clone();
                x.row_mut(1)[j] += h;
                at(&x).values[1]
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - at(&x).gradients.row(1)[j]).abs() < 1e-9);
        }
    }
}
