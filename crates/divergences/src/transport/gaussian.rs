//! Optimal transport between Gaussians, in closed form.
//!
//! For N(m₀, Σ₀) and N(m₁, Σ₁) and the squared Euclidean cost
//!
//! ```text
//! W₂² = ‖m₀ − m₁‖² + tr(Σ₀ + Σ₁ − 2 (Σ₀^½ Σ₁ Σ₀^½)^½),      T(x) = m₁ + A (x − m₀),
//! A = Σ₀^−½ (Σ₀^½ Σ₁ Σ₀^½)^½ Σ₀^−½,
//! ```
//!
//! the Bures distance of the covariances and the Monge map, the gradient of a convex function. Sources: Dowson and Landau
//! (1982), doi:10.1016/0047-259X(82)90077-X; Gelbrich (1990); Peyré and Cuturi (2019), remark 2.31,
//! doi:10.1561/2200000073.

use measures::nalgebra::{DMatrix, DVector, SymmetricEigen};
use measures::zoo::Gaussian;
use measures::{Affine, Error, Measure, Points, Result, check_dim};

/// The optimal transport from one Gaussian to another.
///
/// ```
/// use divergences::transport::GaussianTransport;
/// use measures::zoo::Gaussian;
/// let transport = GaussianTransport::new(&Gaussian::standard(2), &Gaussian::isotropic(&[3.0, 4.0], 2.0)?)?;
/// // ‖m‖² + d (σ₀ − σ₁)²
/// assert!((transport.value - 27.0).abs() < 1e-12);
/// assert!((transport.map.matrix()[(0, 0)] - 2.0).abs() < 1e-12);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use]
pub struct GaussianTransport {
    /// W₂², the squared distance.
    pub value: f64,
    /// The Monge map T(x) = m₁ + A (x − m₀).
    pub map: Affine,
    /// ∂W₂²/∂m₀ = 2 (m₀ − m₁).
    pub d_mean: Vec<f64>,
    /// ∂W₂²/∂Σ₀ = I − A, symmetric: the derivative along a symmetric H is tr((I − A) H).
    pub d_covariance: DMatrix<f64>,
    /// ‖A Σ₀ A − Σ₁‖ / ‖Σ₁‖: how well the map carries one covariance to the other, the certificate of the solution.
    pub residual: f64,
    source: Gaussian,
}

impl GaussianTransport {
    /// The transport from `source` to `target`.
    ///
    /// # Errors
    /// The dimensions differ, or a covariance is too ill-conditioned for its root to be inverted.
    pub fn new(source: &Gaussian, target: &Gaussian) -> Result<Self> {
        check_dim("target Gaussian", source.dim(), target.dim())?;
        let (s0, s1) = (source.covariance(), target.covariance());
        let spectrum = SymmetricEigen::new(s0.clone());
        if spectrum.eigenvalues.iter().any(|v| *v <= 0.0) {
            return Err(Error::NotPositiveDefinite { what: "source covariance" });
        }
        let (root, inverse) = (function(&spectrum, f64::sqrt), function(&spectrum, |v| v.sqrt().recip()));
        let middle = SymmetricEigen::new(symmetric(&(&root * s1 * &root)));
        // Round-off may push the least eigenvalues of a product below zero.
        let middle = function(&middle, |v| v.max(0.0).sqrt());
        let a = symmetric(&(&inverse * middle * &inverse));
        let (m0, m1) = (DVector::from_column_slice(source.mean()), DVector::from_column_slice(target.mean()));
        let difference = &m0 - &m1;
        let d_covariance = DMatrix::identity(source.dim(), source.dim()) - &a;
        // The traces cancel between close covariances; tr((I − A) Σ₀ (I − A)) is the same number as a sum of squares.
        let value = difference.norm_squared() + (&d_covariance * &root).norm_squared();
        if !value.is_finite() {
            let must = "finite: the Gaussians are too far apart or too wide";
            return Err(measures::Error::Parameter { what: "squared distance", value, must });
        }
        let residual = (&a * s0 * &a - s1).norm() / s1.norm();
        let offset = &m1 - &a * &m0;
        Ok(GaussianTransport {
            value,
            map: Affine::new(a, offset.as_slice().to_vec())?,
            d_mean: (difference * 2.0).as_slice().to_vec(),
            d_covariance,
            residual,
            source: source.clone(),
        })
    }

    /// W₂, the distance.
    pub fn distance(&self) -> f64 {
        self.value.sqrt()
    }

    /// The Kantorovich potential f(x) = ‖x − m₀‖² − (x − m₀)ᵀA(x − m₀) + 2⟨m₀ − m₁|x − m₀⟩ + constant, of gradient
    /// 2(x − T(x)), at every row. The constant makes its mean under the source W₂²/2; the potential of the transport back
    /// is its partner g.
    ///
    /// # Errors
    /// The points live in another dimension.
    pub fn potential(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.source.dim(), x.dim())?;
        let mean = DVector::from_column_slice(self.source.mean());
        let spread = (&self.d_covariance * self.source.covariance()).trace();
        let slope = DVector::from_column_slice(&self.d_mean);
        let deviations = x.rows().map(|row| DVector::from_column_slice(row) - &mean);
        Ok(deviations
            .map(|v| v.dot(&(&self.d_covariance * &v)) + slope.dot(&v) + 0.5 * self.value - spread)
            .collect())
    }

    /// The law on the way at time t ∈ [0, 1], that of (1 − t) X + t T(X): the geodesic of W₂ from the source at t = 0 to
    /// the target at t = 1.
    ///
    /// # Errors
    /// t outside [0, 1].
    pub fn geodesic(&self, t: f64) -> Result<Gaussian> {
        if !(0.0..=1.0).contains(&t) {
            return Err(Error::Parameter { what: "t", value: t, must: "between 0 and 1" });
        }
        let step = DMatrix::identity(self.source.dim(), self.source.dim()) - &self.d_covariance * t;
        let covariance = symmetric(&(&step * self.source.covariance() * &step));
        let mean = self.source.mean().iter().zip(&self.d_mean).map(|(m, d)| m - 0.5 * t * d).collect();
        Gaussian::new(mean, covariance)
    }
}

/// V f(Λ) Vᵀ.
fn function(spectrum: &SymmetricEigen<f64, measures::nalgebra::Dyn>, f: impl Fn(f64) -> f64) -> DMatrix<f64> {
    let scaled = DMatrix::from_diagonal(&spectrum.eigenvalues.map(f));
    symmetric(&(&spectrum.eigenvectors * scaled * spectrum.eigenvectors.transpose()))
}

/// The symmetric part, which round-off leaves of a matrix that should be symmetric.
fn symmetric(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    (matrix + matrix.transpose()) * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Map, Sample, Seed};

    fn pair(d: usize) -> (Gaussian, Gaussian) {
        let gaussian = |seed: u64| {
            let draw = Gaussian::standard(d).sample(d + 1, &mut Seed::new(seed).rng());
            let factor = draw.matrix().columns(0, d).into_owned();
            let covariance = symmetric(&(&factor * factor.transpose())) + DMatrix::identity(d, d) * 0.3;
            Gaussian::new(draw.row(d).to_vec(), covariance).unwrap()
        };
        (gaussian(1), gaussian(2))
    }

    #[test]
    fn the_map_carries_one_to_the_other_and_pays_the_distance() {
        for d in [1, 2, 5, 20] {
            let (source, target) = pair(d);
            let there = GaussianTransport::new(&source, &target).unwrap();
            let back = GaussianTransport::new(&target, &source).unwrap();
            assert!(there.residual < 1e-12, "{}", there.residual);
            assert!((there.value - back.value).abs() < 1e-11 * there.value);
            let x = source.sample(50, &mut Seed::new(3).rng());
            let y = there.map.apply(&x).unwrap();
            let home = back.map.apply(&y).unwrap();
            let (f, g) = (there.potential(&x).unwrap(), back.potential(&y).unwrap());
            for i in 0..50 {
                let cost: f64 = x.row(i).iter().zip(y.row(i)).map(|(x, y)| (x - y).powi(2)).sum();
                assert!((f[i] + g[i] - cost).abs() < 1e-9 * (1.0 + cost), "complementary slackness");
                assert!(home.row(i).iter().zip(x.row(i)).all(|(a, b)| (a - b).abs() < 1e-8));
                for j in 0..50 {
                    let cost: f64 = x.row(i).iter().zip(y.row(j)).map(|(x, y)| (x - y).powi(2)).sum();
                    assert!(f[i] + g[j] <= cost + 1e-9 * (1.0 + cost), "feasibility");
                }
            }
        }
    }

    #[test]
    fn commuting_covariances_and_geodesics() {
        let a = Gaussian::diagonal(&[0.0, 1.0], &[1.0, 3.0]).unwrap();
        let b = Gaussian::diagonal(&[2.0, 1.0], &[0.5, 4.0]).unwrap();
        let t = GaussianTransport::new(&a, &b).unwrap();
        assert!((t.value - (4.0 + 0.25 + 1.0)).abs() < 1e-13);
        for s in [0.0, 0.3, 1.0] {
            let part = GaussianTransport::new(&a, &t.geodesic(s).unwrap()).unwrap();
            assert!((part.distance() - s * t.distance()).abs() < 1e-7);
        }
        // Close Gaussians keep their digits.
        let near = Gaussian::diagonal(&[0.0, 1.0], &[1.0 + 1e-7, 3.0]).unwrap();
        assert!((GaussianTransport::new(&a, &near).unwrap().value / 1e-14 - 1.0).abs() < 1e-5);
        assert_eq!(GaussianTransport::new(&a, &a).unwrap().d_mean, [0.0, 0.0]);
    }

    #[test]
    fn gradients_match_finite_differences() {
        let (source, target) = pair(3);
        let t = GaussianTransport::new(&source, &target).unwrap();
        let at = |mean: Vec<f64>, covariance: DMatrix<f64>| {
            GaussianTransport::new(&Gaussian::new(mean, covariance).unwrap(), &target).unwrap().value
        };
        let h = 1e-5;
        for i in 0..3 {
            let moved = |step: f64| {
                let mut mean = source.mean().to_vec();
                mean[i] += step;
                at(mean, source.covariance().clone())
            };
            assert!(((moved(h) - moved(-h)) / (2.0 * h) - t.d_mean[i]).abs() < 1e-7);
            for j in 0..=i {
                let bent = |step: f64| {
                    let mut covariance = source.covariance().clone();
                    covariance[(i, j)] += step;
                    if i != j {
                        covariance[(j, i)] += step;
                    }
                    at(source.mean().to_vec(), covariance)
                };
                let want = t.d_covariance[(i, j)] * if i == j { 1.0 } else { 2.0 };
                assert!(((bent(h) - bent(-h)) / (2.0 * h) - want).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        let (one, two) = (Gaussian::standard(1), Gaussian::standard(2));
        assert!(matches!(GaussianTransport::new(&one, &two), Err(Error::Dimension { .. })));
        let t = GaussianTransport::new(&one, &one).unwrap();
        assert!(t.geodesic(1.5).is_err() && t.geodesic(f64::NAN).is_err());
        assert!(t.potential(&Points::zeros(1, 2)).is_err());
    }
}
