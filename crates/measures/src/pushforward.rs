//! φ_#ν: the law of φ(Z) for Z ~ ν.

use crate::error::{Result, check_dim};
use crate::map::{Diffeo, Map, SmoothDiffeo};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use rand::Rng;

/// The pushforward φ_#ν of a base measure ν by a map φ: ⟨f|φ_#ν⟩ = E[f(φ(Z))].
///
/// It samples when ν does; it has the density p(x) = p_ν(φ⁻¹(x)) |det D(φ⁻¹)(x)| of eq. (4) when φ is a [`Diffeo`] and
/// ν has one; it has a score when φ is a [`SmoothDiffeo`] and ν has one.
///
/// ```
/// use measures::{Affine, Density, Points, Pushforward, zoo::Gaussian};
/// let wide = Pushforward::new(Affine::diagonal(&[2.0], vec![1.0])?, Gaussian::standard(1))?;
/// let direct = Gaussian::isotropic(&[1.0], 2.0)?;
/// let x = Points::from_line(vec![0.3]);
/// assert!((wide.log_density(&x)?[0] - direct.log_density(&x)?[0]).abs() < 1e-14);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pushforward<M, B> {
    map: M,
    base: B,
}

impl<M: Map, B: Measure> Pushforward<M, B> {
    /// The law of `map`(Z), Z ~ `base`.
    ///
    /// # Errors
    /// The base does not live where the map is defined.
    pub fn new(map: M, base: B) -> Result<Self> {
        check_dim("domain of the map", base.dim(), map.dim_in())?;
        Ok(Pushforward { map, base })
    }

    /// φ.
    pub fn map(&self) -> &M {
        &self.map
    }

    /// ν.
    pub fn base(&self) -> &B {
        &self.base
    }
}

impl<M: Map, B: Measure> Measure for Pushforward<M, B> {
    fn dim(&self) -> usize {
        self.map.dim_out()
    }
}

impl<M: Map, B: Sample> Sample for Pushforward<M, B> {
    /// # Panics
    /// When the map breaks its own contract and refuses points of its own domain.
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        self.map.apply(&self.base.sample(n, rng)).expect("a map takes points of its domain")
    }
}

impl<M: Diffeo, B: Density> Density for Pushforward<M, B> {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        let (z, log_det) = self.map.inverse_with_log_det(x)?;
        let base = self.base.log_density(&z)?;
        // Outside the image the log-determinant is −∞, and so is the sum unless the base density is infinite.
        Ok(base.iter().zip(&log_det).map(|(p, j)| if *j == f64::NEG_INFINITY { *j } else { p + j }).collect())
    }
}

impl<M: SmoothDiffeo, B: Score> Score for Pushforward<M, B> {
    fn score(&self, x: &Points) -> Result<Points> {
        let (z, _) = self.map.inverse_with_log_det(x)?;
        self.map.pull_score(x, &z, &self.base.score(&z)?)
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        let (z, _) = self.map.inverse_with_log_det(x)?;
        self.map.pull_score_jvp(x, &z, v, &self.base)
    }
}
