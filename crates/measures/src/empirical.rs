//! Weighted clouds of points: the measure every divergence of samples works on.

use crate::error::{Error, Result, check_len};
use crate::measure::{Measure, Sample};
use crate::points::Points;
use rand::{Rng, RngExt};

/// How far a sum of weights may be from one before it is refused.
const WEIGHT_TOLERANCE: f64 = 1e-9;

/// The discrete measure Σᵢ wᵢ δ(xᵢ), with wᵢ ≥ 0 and Σᵢ wᵢ = 1, validated once and for all in its constructors.
///
/// ```
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_line(vec![0.0, 1.0]))?;
/// assert_eq!(mu.weights(), &[0.5, 0.5]);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Empirical {
    points: Points,
    weights: Vec<f64>,
    is_uniform: bool,
}

impl Empirical {
    /// The empirical measure n⁻¹ Σᵢ δ(xᵢ).
    ///
    /// # Errors
    /// There is no point, or a coordinate is not finite.
    pub fn uniform(points: Points) -> Result<Self> {
        check_points(&points)?;
        let n = points.len();
        Ok(Empirical { points, weights: vec![1.0 / n as f64; n], is_uniform: true })
    }

    /// The weighted measure Σᵢ wᵢ δ(xᵢ); the weights must sum to one within 1e-9 and are rescaled to do so to round-off.
    ///
    /// # Errors
    /// No point, a coordinate that is not finite, another number of weights than points, a weight that is negative,
    /// NaN or infinite (its index is named), or a sum other than one.
    pub fn weighted(points: Points, weights: Vec<f64>) -> Result<Self> {
        let sum = check_weights(&points, &weights)?;
        if (sum - 1.0).abs() > WEIGHT_TOLERANCE {
            return Err(Error::WeightSum { what: "weights", sum });
        }
        Ok(Empirical { points, weights, is_uniform: false }.rescaled(sum))
    }

    /// As [`Empirical::weighted`] for weights of any positive sum, which are divided by it.
    ///
    /// # Errors
    /// As [`Empirical::weighted`]; the sum must be positive and finite.
    pub fn normalised(points: Points, weights: Vec<f64>) -> Result<Self> {
        let sum = check_weights(&points, &weights)?;
        if !(sum.is_finite() && sum > 0.0) {
            return Err(Error::WeightSum { what: "weights", sum });
        }
        Ok(Empirical { points, weights, is_uniform: false }.rescaled(sum))
    }

    /// The Dirac mass δ(x).
    ///
    /// # Errors
    /// `x` is empty or not finite.
    pub fn dirac(x: &[f64]) -> Result<Self> {
        Empirical::uniform(Points::new(x.len(), x.to_vec())?)
    }

    fn rescaled(mut self, sum: f64) -> Self {
        if sum != 1.0 {
            self.weights.iter_mut().for_each(|w| *w /= sum);
        }
        let first = self.weights[0];
        self.is_uniform = self.weights.iter().all(|&w| w == first);
        self
    }

    /// The points, n×d.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The weights, non-negative, of sum one.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Whether all weights are the same number, so that a faster unweighted path may be taken.
    pub fn is_uniform(&self) -> bool {
        self.is_uniform
    }

    /// The number of atoms n.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Always false: a probability measure has an atom. Here because of the convention that `len` has a companion.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The points and the weights.
    pub fn into_parts(self) -> (Points, Vec<f64>) {
        (self.points, self.weights)
    }

    /// The mean Σᵢ wᵢ xᵢ.
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim()];
        for (row, w) in self.points.rows().zip(&self.weights) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += w * x);
        }
        mean
    }

    /// Σᵢ wᵢ², the collision probability of two independent draws; its inverse is the effective sample size.
    pub fn collision(&self) -> f64 {
        self.weights.iter().map(|w| w * w).sum()
    }

    /// The measure moved to other points with the same weights.
    ///
    /// # Errors
    /// Another number of points, or one that is not finite.
    pub fn with_points(&self, points: Points) -> Result<Self> {
        check_len("points", self.len(), points.len())?;
        check_points(&points)?;
        Ok(Empirical { points, weights: self.weights.clone(), is_uniform: self.is_uniform })
    }
}

impl Measure for Empirical {
    fn dim(&self) -> usize {
        self.points.dim()
    }
}

impl Sample for Empirical {
    /// Draws atoms with replacement, by inverting the distribution function of the weights.
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        if self.is_uniform {
            let picks: Vec<usize> = (0..n).map(|_| rng.random_range(0..self.len())).collect();
            return self.points.select(&picks);
        }
        let cumulative = cumulative(&self.weights);
        let picks: Vec<usize> = (0..n).map(|_| pick(&cumulative, rng.random())).collect();
        self.points.select(&picks)
    }
}

/// The running sums of weights, w₀, w₀+w₁, ….
pub(crate) fn cumulative(weights: &[f64]) -> Vec<f64> {
    weights
        .iter()
        .scan(0.0, |sum, w| {
            *sum += w;
            Some(*sum)
        })
        .collect()
}

/// The first index whose running sum exceeds u times the total: atoms of weight zero are never picked.
pub(crate) fn pick(cumulative: &[f64], u: f64) -> usize {
    let total = cumulative[cumulative.len() - 1];
    let target = u * total;
    cumulative.partition_point(|&c| c <= target).min(cumulative.partition_point(|&c| c < total))
}

fn check_points(points: &Points) -> Result<()> {
    if points.is_empty() {
        return Err(Error::TooFew { what: "points", at_least: 1, got: 0 });
    }
    points.check_finite("points")
}

fn check_weights(points: &Points, weights: &[f64]) -> Result<f64> {
    check_points(points)?;
    check_len("weights", points.len(), weights.len())?;
    match weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        Some(index) => Err(Error::Entry {
            what: "weights",
            index,
            value: weights[index],
            must: "finite and not negative",
        }),
        None => Ok(weights.iter().sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn line(values: &[f64]) -> Points {
        Points::from_line(values.to_vec())
    }

    #[test]
    fn bad_weights_are_named() {
        let bad = |w: &[f64]| Empirical::weighted(line(&[0.0, 1.0]), w.to_vec()).unwrap_err();
        assert!(matches!(bad(&[0.5]), Error::Length { .. }));
        assert!(matches!(bad(&[1.5, -0.5]), Error::Entry { index: 1, .. }));
        assert!(matches!(bad(&[f64::NAN, 1.0]), Error::Entry { index: 0, .. }));
        assert!(matches!(bad(&[0.5, 0.4]), Error::WeightSum { .. }));
        assert!(matches!(Empirical::normalised(line(&[0.0]), vec![0.0]), Err(Error::WeightSum { .. })));
        assert!(matches!(Empirical::uniform(line(&[])), Err(Error::TooFew { .. })));
        assert!(matches!(
            Empirical::uniform(line(&[0.0, f64::INFINITY])),
            Err(Error::NonFinite { row: 1, .. })
        ));
    }

    #[test]
    fn sampling_follows_the_weights_and_skips_empty_atoms() {
        let mu = Empirical::weighted(line(&[0.0, 1.0, 2.0, 3.0]), vec![0.0, 0.25, 0.75, 0.0]).unwrap();
        let n = 40_000;
        let x = mu.sample(n, &mut Seed::new(1).rng());
        let ones = x.column(0).iter().filter(|&&v| v == 1.0).count() as f64;
        assert!(x.column(0).iter().all(|&v| v == 1.0 || v == 2.0));
        // five standard deviations of a binomial count
        assert!((ones - 0.25 * n as f64).abs() < 5.0 * (n as f64 * 0.25 * 0.75).sqrt());
        assert_eq!(pick(&cumulative(&[0.0, 1.0, 0.0]), 1.0 - f64::EPSILON), 1);
        assert_eq!(pick(&cumulative(&[0.0, 1.0, 0.0]), 0.0), 1);
    }
}
