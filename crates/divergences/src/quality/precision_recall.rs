//! Improved precision and recall (Kynkäänniemi, Karras, Laine, Lehtinen, Aila 2019, arXiv:1904.06991).

use super::{Balls, weighted_mean};
use measures::{Empirical, Estimate, Result};

/// What [`precision_recall`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct PrecisionRecall {
    /// The share of generated mass inside the estimated support of the data, in [0, 1]: fidelity.
    pub precision: Estimate,
    /// The share of data mass inside the estimated support of the generated sample, in [0, 1]: coverage.
    pub recall: Estimate,
}

/// Improved precision and recall: the support of each sample is estimated by the union of the closed balls around its
/// atoms that reach to their k-th nearest other atom, and each sample is asked how much of it lies in the support of
/// the other:
///
/// precision = ⟨1\[x ∈ ∪ᵢ B(yᵢ, NN_k(yᵢ))\] | generated⟩, recall the same with the samples exchanged.
///
/// The published choice is k = 3. Balls belong to the atoms of positive weight; weights only average. One outlier of
/// the data makes a large ball, in which anything counts as precise:
/// [`density_coverage`](super::density_coverage) is steadier. Both numbers are close to one but below it for two
/// samples of the same law; compare with that.
///
/// The standard errors are those of the share given the other sample's balls; they leave out how the balls would vary.
/// There is no first variation: the value is piecewise constant in the points.
///
/// # Errors
/// The samples live in different dimensions, `k` is zero, or a sample has no more than `k` atoms of positive weight.
///
/// ```
/// use divergences::quality::precision_recall;
/// use measures::{Empirical, Points};
/// let data = Empirical::uniform(Points::from_line(vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0]))?;
/// let one_mode = Empirical::uniform(Points::from_line(vec![0.5, 1.0, 1.5, 2.0]))?;
/// let found = precision_recall(&one_mode, &data, 1)?;
/// assert_eq!((found.precision.value, found.recall.value), (1.0, 0.5));
/// # Ok::<(), measures::Error>(())
/// ```
pub fn precision_recall(generated: &Empirical, data: &Empirical, k: usize) -> Result<PrecisionRecall> {
    let balls = Balls::new(generated, data, k)?;
    let share = |of: &Empirical, within: &crate::neighbours::NearestNeighbours| -> Result<Estimate> {
        let radii = within.query_self(k)?.last_squared();
        let inside: Vec<f64> = within
            .balls_containing(of.points(), &radii)?
            .into_iter()
            .map(|count| f64::from(u8::from(count > 0)))
            .collect();
        Ok(weighted_mean(&inside, of))
    };
    Ok(PrecisionRecall {
        precision: share(&balls.generated, &balls.near_data)?,
        recall: share(&balls.data, &balls.near_generated)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Error, Points, Sample, Seed, zoo::Gaussian};

    #[test]
    fn a_sample_against_itself_is_perfect_and_far_apart_is_nothing() {
        let x = Empirical::uniform(Gaussian::standard(3).sample(200, &mut Seed::new(0).rng())).unwrap();
        let same = precision_recall(&x, &x, 3).unwrap();
        assert_eq!((same.precision.value, same.recall.value), (1.0, 1.0));
        let shifted = Points::from_fn(200, 3, |i, row| {
            row.iter_mut().zip(x.points().row(i)).for_each(|(r, v)| *r = v + 1e3);
        });
        let far = precision_recall(&x, &Empirical::uniform(shifted).unwrap(), 3).unwrap();
        assert_eq!((far.precision.value, far.recall.value), (0.0, 0.0));
    }

    #[test]
    fn atoms_of_no_weight_do_not_exist() {
        let data = Empirical::uniform(Points::from_line(vec![0.0, 1.0, 2.5])).unwrap();
        let plain = Empirical::uniform(Points::from_line(vec![0.1, 0.2, 9.0])).unwrap();
        let ghost = Empirical::weighted(
            Points::from_line(vec![0.1, 50.0, 0.2, 9.0]),
            vec![1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0],
        )
        .unwrap();
        assert_eq!(precision_recall(&plain, &data, 1).unwrap(), precision_recall(&ghost, &data, 1).unwrap());
    }

    #[test]
    fn too_few_atoms_are_named() {
        let x = Empirical::uniform(Points::from_line(vec![0.0, 1.0])).unwrap();
        let err = precision_recall(&x, &x, 2).unwrap_err();
        assert_eq!(err, Error::TooFew { what: "generated atoms", at_least: 3, got: 2 });
        assert!(precision_recall(&x, &x, 0).is_err());
        assert!(precision_recall(&x, &Empirical::dirac(&[0.0, 0.0]).unwrap(), 1).is_err());
    }
}
