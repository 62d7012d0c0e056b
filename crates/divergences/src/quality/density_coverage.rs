//! Density and coverage (Naeem, Oh, Uh, Choi, Yoo 2020, arXiv:2002.09797).

use super::{Balls, weighted_mean};
use measures::{Empirical, Estimate, Result};

/// What [`density_coverage`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct DensityCoverage {
    /// How many data balls a generated point lies in, over k: 1 on average for a sample of the law of the data, and
    /// more than 1 for a sample that crowds where the data are dense.
    pub density: Estimate,
    /// The share of data mass whose ball holds a generated point, in [0, 1].
    pub coverage: Estimate,
    /// The expected coverage of an independent, equally weighted sample of the law of the data: the number to compare
    /// `coverage` with.
    pub expected_coverage: f64,
}

/// Density and coverage: closed balls around the data atoms that reach to their k-th nearest other data atom,
///
/// density = ⟨#{i : x ∈ B(yᵢ, NN_k(yᵢ))} | generated⟩ / k, coverage = ⟨1\[some generated x ∈ B(y, NN_k(y))\] | data⟩.
///
/// Only the data get balls, so that outliers of the generated sample cost nothing and outliers of the data count once.
/// For N data and M generated points of one continuous law the expected density is 1 and the expected coverage
/// 1 − Π_{j=0}^{k−1} (N − 1 − j)/(M + N − 1 − j), whatever the law and the dimension: of the M + N − 1 other points, the
/// k nearest to y must all be data for it to be uncovered. The published choice is k = 5.
///
/// The standard errors are those of the mean given the balls. There is no first variation: the value is piecewise
/// constant in the points.
///
/// # Errors
/// The samples live in different dimensions, `k` is zero, or a sample has no more than `k` atoms of positive weight.
///
/// ```
/// use divergences::quality::density_coverage;
/// use measures::{Empirical, Points};
/// let data = Empirical::uniform(Points::from_line(vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0]))?;
/// let one_mode = Empirical::uniform(Points::from_line(vec![0.9, 1.0, 1.1]))?;
/// let found = density_coverage(&one_mode, &data, 1)?;
/// assert_eq!(found.coverage.value, 0.5);
/// # Ok::<(), measures::Error>(())
/// ```
pub fn density_coverage(generated: &Empirical, data: &Empirical, k: usize) -> Result<DensityCoverage> {
    let Balls { generated, data, near_generated, near_data } = Balls::new(generated, data, k)?;
    let radii = near_data.query_self(k)?.last_squared();
    let counts: Vec<f64> = near_data
        .balls_containing(generated.points(), &radii)?
        .into_iter()
        .map(|count| count as f64 / k as f64)
        .collect();
    let nearest = near_generated.query(data.points(), 1)?.last_squared();
    let covered: Vec<f64> =
        nearest.iter().zip(&radii).map(|(near, radius)| f64::from(u8::from(near <= radius))).collect();
    let (n, m) = (data.len() as f64, generated.len() as f64);
    let missed: f64 = (0..k).map(|j| (n - 1.0 - j as f64) / (m + n - 1.0 - j as f64)).product();
    Ok(DensityCoverage {
        density: weighted_mean(&counts, &generated),
        coverage: weighted_mean(&covered, &data),
        expected_coverage: 1.0 - missed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, Seed, zoo::Gaussian};

    /// The two expectations hold for every law; averaged over repetitions they must come out within five standard
    /// errors (two-sided level 6e-7 each).
    #[test]
    fn one_law_has_density_one_and_the_stated_coverage() {
        let (repetitions, n, m, k) = (200, 60, 90, 3);
        for dim in [1, 4] {
            let law = Gaussian::standard(dim);
            let (mut densities, mut coverages, mut expected) = (vec![], vec![], 0.0);
            for r in 0..repetitions {
                let mut rng = Seed::new(dim as u64).stream(r);
                let data = Empirical::uniform(law.sample(n, &mut rng)).unwrap();
                let generated = Empirical::uniform(law.sample(m, &mut rng)).unwrap();
                let found = density_coverage(&generated, &data, k).unwrap();
                densities.push(found.density.value);
                coverages.push(found.coverage.value);
                expected = found.expected_coverage;
            }
            for (draws, expectation) in [(densities, 1.0), (coverages, expected)] {
                let e = Estimate::of_mean(&draws).unwrap();
                assert!((e.value - expectation).abs() < 5.0 * e.standard_error, "{e:?} {expectation}");
            }
        }
    }

    #[test]
    fn a_sample_against_itself() {
        let x = Empirical::uniform(Gaussian::standard(2).sample(100, &mut Seed::new(3).rng())).unwrap();
        let found = density_coverage(&x, &x, 5).unwrap();
        // Every ball holds its own centre and its k neighbours: (k + 1)/k on average, exactly.
        assert!((found.density.value - 1.2).abs() < 1e-12);
        assert_eq!(found.coverage.value, 1.0);
    }
}
