//! The maximum mean discrepancy: the distance of mean embeddings in the space of a kernel.

use crate::axioms::Axioms;
use crate::divergence::Divergence;
use crate::family::{Nystrom, RandomFrequencies};
use crate::kernel::{Kernel, RandomFeatures};
use crate::mean_ipm::{MeanIpm, diagonal_sum, leave_out_diagonal};
use crate::statistic::{ATOMS_OF_MU, ATOMS_OF_NU, OffDiagonal, Statistic};
use measures::{Empirical, Error, Functional, Measure, Points, Pullback, Result, Seed, Variation, check_dim};

/// MMD²(μ, ν) = ΣΣ wᵢwⱼ k(xᵢ, xⱼ) + ΣΣ vᵢvⱼ k(yᵢ, yⱼ) − 2 ΣΣ wᵢvⱼ k(xᵢ, yⱼ), **squared** (Gretton et al., 2012).
///
/// [`Statistic::Plugin`] is the V-statistic, [`Statistic::Unbiased`] the U-statistic, which leaves i = j out of the first
/// two sums (and may be negative). Weights and sizes are free. Memory is linear in the number of points: sums are
/// fused over blocks, and symmetric ones evaluate each pair once.
///
/// ```
/// use divergences::{Divergence, Mmd, Statistic, kernel::Gaussian};
/// use divergences::measures::Empirical;
/// let mmd = Mmd::new(Gaussian::new(1.0)?, Statistic::Plugin);
/// let value = mmd.value(&Empirical::dirac(&[0.0])?, &Empirical::dirac(&[1.0])?)?;
/// assert!((value - 2.0 * (1.0 - (-0.5f64).exp())).abs() < 1e-15);
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Mmd<K> {
    kernel: K,
    statistic: Statistic,
}

impl<K: Kernel> Mmd<K> {
    /// The squared MMD of a kernel, by one of the two estimates.
    pub fn new(kernel: K, statistic: Statistic) -> Self {
        Mmd { kernel, statistic }
    }

    /// The kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Which estimate.
    pub fn statistic(&self) -> Statistic {
        self.statistic
    }

    /// The same distance with the kernel projected on the span of `landmarks` (Nyström): never more than the plug-in value,
    /// and equal to it when all atoms are landmarks; O((n + m)·|landmarks|) for the value and its variation.
    ///
    /// Landmarks are usually some of the points themselves, drawn without replacement.
    ///
    /// # Errors
    /// As [`Nystrom::new`].
    pub fn nystrom(self, landmarks: Points) -> Result<MeanIpm<Nystrom<K>>> {
        Ok(MeanIpm::new(Nystrom::new(self.kernel, landmarks)?, self.statistic))
    }

    /// ‖m_μ‖², with or without the diagonal.
    fn own(&self, what: &'static str, mu: &Empirical) -> Result<f64> {
        match self.statistic {
            Statistic::Plugin => Ok(self.kernel.energy(mu.points(), mu.weights())),
            Statistic::Unbiased => {
                let off = OffDiagonal::new(what, mu)?;
                Ok(off.form(
                    self.kernel.energy(mu.points(), mu.weights()),
                    diagonal_sum(mu, &self.kernel.diagonal(mu.points())),
                ))
            }
        }
    }

    fn value_from(&self, mu: &Empirical, nu: &Empirical, own_of_nu: f64) -> Result<f64> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        let own = self.own(ATOMS_OF_MU, mu)?;
        let cross = self.kernel.cross(mu.points(), mu.weights(), nu.points(), nu.weights());
        finite((own - cross) + (own_of_nu - cross))
    }

    /// The value, δF/δμ and its gradient at the points.
    fn potential(&self, mu: &Empirical, nu: &Empirical, own_of_nu: f64) -> Result<(f64, Pullback)> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        let off = match self.statistic {
            Statistic::Plugin => None,
            Statistic::Unbiased => Some(OffDiagonal::new(ATOMS_OF_MU, mu)?),
        };
        let scale = off.map_or(1.0, |off| 1.0 / off.rest);
        let mut out = self.kernel.embedding(mu.points(), mu.weights(), mu.points());
        let cross = self.kernel.embedding(nu.points(), nu.weights(), mu.points());
        let bracket = |values: &[f64]| values.iter().zip(mu.weights()).map(|(m, w)| m * w).sum::<f64>();
        let (mut own, cross_sum) = (bracket(&out.values), bracket(&cross.values));
        for (out, cross) in out.values.iter_mut().zip(&cross.values) {
            *out = 2.0 * (*out * scale - cross);
        }
        for (out, cross) in out.gradients.as_mut_slice().iter_mut().zip(cross.gradients.as_slice()) {
            *out = 2.0 * (*out * scale - cross);
        }
        if let Some(off) = off {
            let diagonal = self.kernel.diagonal(mu.points());
            own = off.form(own, diagonal_sum(mu, &diagonal));
            leave_out_diagonal(mu, &mut out, &diagonal, off, own);
        }
        out.gradients.check_finite("gradient of the MMD")?;
        Ok((finite((own - cross_sum) + (own_of_nu - cross_sum))?, out))
    }

    fn variation_from(&self, mu: &Empirical, nu: &Empirical, own_of_nu: f64) -> Result<Variation> {
        let (value, potential) = self.potential(mu, nu, own_of_nu)?;
        Ok(Variation::from_potential(mu, value, potential.values, potential.gradients))
    }
}

impl<K: RandomFeatures> Mmd<K> {
    /// The same distance by `count` random frequencies of the kernel: D₂² of eq. (3), whose mean over seeds is this MMD² and
    /// whose relative error is of the order of count^{−½}; O((n + m)·count·d) for the value and its variation.
    /// [`MeanIpm::over_frequencies`] has the error.
    ///
    /// ```
    /// use divergences::{Divergence, Mmd, Statistic, kernel::InverseMultiquadric};
    /// use divergences::measures::{Empirical, Points, Seed};
    /// let mmd = Mmd::new(InverseMultiquadric::new(1.0)?, Statistic::Plugin);
    /// let mu = Empirical::uniform(Points::from_line(vec![0.0, 1.0]))?;
    /// let nu = Empirical::uniform(Points::from_line(vec![2.0, 5.0]))?;
    /// let fast = mmd.random_features(1, 2000, Seed::new(1))?.over_frequencies(&mu, &nu)?;
    /// let (low, high) = fast.interval(0.9999)?;
    /// let exact = mmd.value(&mu, &nu)?;
    /// assert!(low < exact && exact < high);
    /// # Ok::<(), divergences::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`RandomFeatures::frequencies`].
    pub fn random_features(
        &self,
        dim: usize,
        count: usize,
        seed: Seed,
    ) -> Result<MeanIpm<RandomFrequencies>> {
        Ok(MeanIpm::new(self.kernel.frequencies(dim, count, seed)?, self.statistic))
    }
}

/// A sum of kernels may overflow (polynomial kernels, far points): an error, not a NaN.
fn finite(value: f64) -> Result<f64> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::Parameter {
            what: "sum of kernel values",
            value,
            must: "finite: the points are too large",
        })
    }
}

impl<K: Kernel> Divergence for Mmd<K> {
    /// As the kernel says; translations and rotations only where the kernel is invariant.
    fn axioms(&self) -> Axioms {
        let kernel = self.kernel.properties();
        let plugin = self.statistic == Statistic::Plugin;
        let exact = plugin && kernel.positive;
        Axioms {
            non_negative: exact,
            identity: plugin,
            separation: exact && kernel.characteristic,
            symmetry: true,
            triangle_power: exact.then_some(0.5),
            permutation: true,
            atom_splitting: plugin,
            translation: kernel.translation_invariant,
            rotation: kernel.rotation_invariant,
            scaling_degree: kernel.homogeneity,
            convex: exact,
            continuous_in_points: true,
            continuous_in_weights: true,
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        self.value_from(mu, nu, self.own(ATOMS_OF_NU, nu)?)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        self.variation_from(mu, nu, self.own(ATOMS_OF_NU, nu)?)
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        // the field does not depend on the target's own term
        Ok(self.potential(mu, nu, 0.0)?.1.gradients)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(TowardTarget { divergence: self, target, own: self.own(ATOMS_OF_NU, target)? }))
    }
}

/// MMD²(·, ν) with the term of ν alone at hand.
struct TowardTarget<'a, K> {
    divergence: &'a Mmd<K>,
    target: &'a Empirical,
    own: f64,
}

impl<K: Kernel> Functional for TowardTarget<'_, K> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        self.divergence.variation_from(mu, self.target, self.own)
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        self.divergence.value_from(mu, self.target, self.own)
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        self.divergence.gradient_field(mu, self.target)
    }
}
