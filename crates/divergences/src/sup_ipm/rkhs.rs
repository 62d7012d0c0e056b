//! The maximum formulation over the unit ball of a reproducing kernel Hilbert space, in closed form.

use crate::atoms::Atoms;
use crate::kernel::Kernel;
use crate::{Axioms, Divergence, Toward};
use measures::{Empirical, Error, Functional, Measure, Points, Pullback, Result, Variation, check_dim};

/// D∞(μ, ν; B_k) = sup { ⟨f|μ − ν⟩ : ‖f‖_k ≤ 1 }, eq. (2) over the unit ball of the space of a kernel: the maximum mean
/// discrepancy, **not squared** (Gretton, Borgwardt, Rasch, Schölkopf, Smola 2012, JMLR 13:723).
///
/// The maximiser is the witness f = (m_μ − m_ν)/‖m_μ − m_ν‖, m the mean embeddings, and the value is ‖m_μ − m_ν‖: the root
/// of the plug-in [`Mmd`](crate::Mmd). Atoms at one place are merged first, so that equal measures are at distance zero
/// exactly. For a conditionally positive kernel (the energy kernel) it is the ball of the functions modulo constants.
///
/// The first variation is the witness, with its gradient; at distance zero there is a cone, and it is refused.
///
/// ```
/// use divergences::{Divergence, Mmd, Statistic, kernel::Gaussian, sup_ipm::RkhsBall};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_line(vec![0.0, 1.0]))?;
/// let nu = Empirical::uniform(Points::from_line(vec![0.5, 3.0]))?;
/// let ball = RkhsBall::new(Gaussian::new(1.0)?)?;
/// let squared = Mmd::new(Gaussian::new(1.0)?, Statistic::Plugin).value(&mu, &nu)?;
/// assert!((ball.value(&mu, &nu)?.powi(2) - squared).abs() < 1e-15);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RkhsBall<K> {
    kernel: K,
}

impl<K: Kernel> RkhsBall<K> {
    /// The unit ball of the space of `kernel`.
    ///
    /// # Errors
    /// The kernel is not (conditionally) positive definite: there is no such space.
    pub fn new(kernel: K) -> Result<Self> {
        if !kernel.properties().positive {
            return Err(Error::NotPositiveDefinite { what: "kernel of an RKHS" });
        }
        Ok(RkhsBall { kernel })
    }

    /// k.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The maximiser at any points, with its gradient: positive where μ has more mass than ν, as the kernel sees it.
    ///
    /// # Errors
    /// The dimensions differ, or the distance is zero and any function of the ball is a maximiser.
    pub fn witness(&self, mu: &Empirical, nu: &Empirical, x: &Points) -> Result<Pullback> {
        check_dim("points", mu.dim(), x.dim())?;
        let signed = Signed::new(mu, nu)?;
        let norm = self.norm(&signed)?;
        self.witness_of(&signed, norm, x)
    }

    fn norm(&self, signed: &Signed) -> Result<f64> {
        let squared = self.kernel.energy(&signed.points, &signed.weights);
        if squared.is_finite() {
            // Non-negative in exact arithmetic.
            return Ok(squared.max(0.0).sqrt());
        }
        let must = "finite: the points are too large";
        Err(Error::Parameter { what: "sum of kernel values", value: squared, must })
    }

    fn witness_of(&self, signed: &Signed, norm: f64, x: &Points) -> Result<Pullback> {
        if norm == 0.0 {
            return Err(Error::Undefined {
                what: "the witness function",
                why: "the measures are at distance zero, where the distance has a cone",
            });
        }
        let mut at = self.kernel.embedding(&signed.points, &signed.weights, x);
        at.values.iter_mut().for_each(|v| *v /= norm);
        at.gradients.as_mut_slice().iter_mut().for_each(|v| *v /= norm);
        Ok(at)
    }

    fn potential(&self, mu: &Empirical, nu: &Empirical) -> Result<(f64, Pullback)> {
        let signed = Signed::new(mu, nu)?;
        let norm = self.norm(&signed)?;
        Ok((norm, self.witness_of(&signed, norm, mu.points())?))
    }
}

/// μ − ν on the places where it is not zero (one of them, of weight zero, where it is zero everywhere).
struct Signed {
    points: Points,
    weights: Vec<f64>,
}

impl Signed {
    fn new(mu: &Empirical, nu: &Empirical) -> Result<Self> {
        let atoms = Atoms::pool(mu, nu)?;
        let pooled = mu.points().concat(nu.points())?;
        let gaps: Vec<f64> = atoms.mu.iter().zip(&atoms.nu).map(|(p, q)| p - q).collect();
        let mut kept: Vec<usize> = (0..gaps.len()).filter(|&k| gaps[k] != 0.0).collect();
        if kept.is_empty() {
            kept.push(0);
        }
        let rows: Vec<usize> = kept.iter().map(|&k| atoms.first[k]).collect();
        Ok(Signed { points: pooled.select(&rows), weights: kept.iter().map(|&k| gaps[k]).collect() })
    }
}

impl<K: Kernel> Divergence for RkhsBall<K> {
    fn axioms(&self) -> Axioms {
        let kernel = self.kernel.properties();
        Axioms {
            non_negative: true,
            identity: true,
            separation: kernel.characteristic,
            symmetry: true,
            triangle_power: Some(1.0),
            permutation: true,
            atom_splitting: true,
            translation: kernel.translation_invariant,
            rotation: kernel.rotation_invariant,
            scaling_degree: kernel.homogeneity.map(|degree| 0.5 * degree),
            convex: true,
            continuous_in_points: true,
            continuous_in_weights: true,
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        self.norm(&Signed::new(mu, nu)?)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let (value, at) = self.potential(mu, nu)?;
        Ok(Variation::from_potential(mu, value, at.values, at.gradients))
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        Ok(self.potential(mu, nu)?.1.gradients)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Energy, Gaussian, Laplace};
    use crate::sup_ipm::SupIpm;
    use crate::testing::{Listed, Pair, check_variation};
    use measures::{Sample, Seed};

    fn clouds() -> (Empirical, Empirical) {
        let law = measures::zoo::Gaussian::standard(2);
        let draw = |n, seed| law.sample(n, &mut Seed::new(seed).rng());
        let weights = vec![0.1, 0.3, 0.2, 0.15, 0.25];
        (Empirical::weighted(draw(5, 1), weights).unwrap(), Empirical::uniform(draw(7, 2)).unwrap())
    }

    #[test]
    fn variations() {
        let (mu, nu) = clouds();
        check_variation(&RkhsBall::new(Gaussian::new(0.8).unwrap()).unwrap(), &mu, &nu, 1e-5, 1e-8);
        check_variation(&RkhsBall::new(Energy::distance()).unwrap(), &mu, &nu, 1e-5, 1e-8);
    }

    /// The witness attains the value; kernel functions k(a, ·), of norm one too, do no better.
    #[test]
    fn the_witness_attains_the_supremum() {
        let (mu, nu) = clouds();
        let kernel = Gaussian::new(0.8).unwrap();
        let ball = RkhsBall::new(kernel).unwrap();
        let value = ball.value(&mu, &nu).unwrap();
        let (m, n) = (mu.clone(), nu.clone());
        let witness: Pair = Box::new(move |x| {
            let at = ball.witness(&m, &n, &Points::new(2, x.to_vec()).unwrap()).unwrap();
            (at.values[0], at.gradients.row(0).to_vec())
        });
        let mut list: Vec<Pair> = vec![];
        for a in [[0.0, 0.0], [1.0, -1.0], [-0.5, 0.7]] {
            list.push(Box::new(move |x| (kernel.value(&a, x), vec![0.0, 0.0])));
        }
        list.push(witness);
        let best = SupIpm::symmetric(Listed::new(2, list)).unwrap().maximise(&mu, &nu).unwrap();
        assert_eq!(best.index, 3);
        assert!((best.value - value).abs() < 1e-14);
    }

    #[test]
    fn equal_measures_written_differently() {
        let (mu, _) = clouds();
        let ball = RkhsBall::new(Laplace::new(1.0).unwrap()).unwrap();
        let order = [4, 2, 0, 1, 3];
        let weights = order.iter().map(|&i| mu.weights()[i]).collect();
        let shuffled = Empirical::weighted(mu.points().select(&order), weights).unwrap();
        assert_eq!(ball.value(&mu, &shuffled).unwrap(), 0.0);
        assert!(matches!(ball.variation(&mu, &shuffled), Err(Error::Undefined { .. })));
        assert!(ball.value(&mu, &Empirical::dirac(&[0.0]).unwrap()).is_err());
    }
}
