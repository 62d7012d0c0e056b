//! Nyström features: a kernel projected on the span of landmarks.

use crate::kernel::Kernel;
use measures::nalgebra::{DMatrix, SymmetricEigen};
use measures::{Empirical, Error, Family, Measure, Points, Pullback, Result, check_dim, check_pullback};

/// The features φ(x) = Λ^{−½}Uᵀ k(Z, x) of landmarks Z, where k(Z, Z) = UΛUᵀ, with τ = 1: their kernel Σ φ(x)φ(y) is
/// the projection of k on the span of k(z, ·), z ∈ Z (Williams and Seeger, 2001), so that `MeanIpm` over this family is the
/// MMD² of the projected mean embeddings, never more than the MMD², in O((n + m)·|Z|·d).
///
/// Directions whose eigenvalue is below |Z|·ε·λ_max are dropped, so coinciding landmarks do no harm.
pub struct Nystrom<K> {
    kernel: K,
    landmarks: Points,
    /// Λ^{−½}Uᵀ, one feature a row.
    projection: DMatrix<f64>,
    tau: Vec<f64>,
}

impl<K: Kernel> Nystrom<K> {
    /// The features of a kernel at landmarks.
    ///
    /// # Errors
    /// There is no landmark, one is not finite, there are more than 4096 (the eigenvalue problem is cubic in their number),
    /// or the kernel is not positive definite.
    pub fn new(kernel: K, landmarks: Points) -> Result<Self> {
        let m = landmarks.len();
        if m == 0 {
            return Err(Error::TooFew { what: "landmarks", at_least: 1, got: 0 });
        }
        if m > 4096 {
            return Err(Error::TooMany { what: "landmarks", limit: 4096, requested: m });
        }
        landmarks.check_finite("landmarks")?;
        if kernel.properties().conditional {
            return Err(Error::NotPositiveDefinite { what: "kernel of the landmarks" });
        }
        let gram = DMatrix::from_vec(m, m, kernel.matrix(&landmarks, &landmarks)?);
        let eigen = SymmetricEigen::new(gram);
        let largest = eigen.eigenvalues.iter().copied().fold(0.0, f64::max);
        let kept: Vec<usize> =
            (0..m).filter(|i| eigen.eigenvalues[*i] > m as f64 * f64::EPSILON * largest).collect();
        if kept.is_empty() {
            return Err(Error::NotPositiveDefinite { what: "kernel of the landmarks" });
        }
        let projection = DMatrix::from_fn(kept.len(), m, |a, i| {
            eigen.eigenvectors[(i, kept[a])] / eigen.eigenvalues[kept[a]].sqrt()
        });
        let tau = vec![1.0; kept.len()];
        Ok(Nystrom { kernel, landmarks, projection, tau })
    }

    /// The number of features, at most that of the landmarks.
    pub fn len(&self) -> usize {
        self.tau.len()
    }

    /// Always false: there is a feature.
    pub fn is_empty(&self) -> bool {
        self.tau.is_empty()
    }
}

impl<K: Kernel> Family for Nystrom<K> {
    fn dim(&self) -> usize {
        self.landmarks.dim()
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("measure", self.dim(), mu.dim())?;
        let potential = self.kernel.potential(mu.points(), mu.weights(), &self.landmarks);
        Ok((&self.projection * DMatrix::from_vec(potential.len(), 1, potential)).data.into())
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        let weights: Vec<f64> =
            self.projection.tr_mul(&DMatrix::from_column_slice(c.len(), 1, c)).data.into();
        Ok(self.kernel.embedding(&self.landmarks, &weights, x))
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim(), x.dim())?;
        // the n×m table, read as its m×n transpose by columns
        let table = DMatrix::from_vec(self.landmarks.len(), x.len(), self.kernel.matrix(x, &self.landmarks)?);
        Ok((&self.projection * table).data.into())
    }
}
