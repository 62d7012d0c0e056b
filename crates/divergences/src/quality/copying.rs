//! Data copying: are generated points nearer to the training set than fresh data are?

use crate::neighbours::NearestNeighbours;
use measures::{Error, Points, Result, check_dim};
use statrs::distribution::{ContinuousCDF, Normal};

/// What [`data_copying`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct DataCopying {
    /// The share of pairs (held-out, generated) in which the generated point is farther from the training set, ties
    /// counted half, in [0, 1]: ½ is right, less is copying, more is missing the data.
    pub farther: f64,
    /// The Mann–Whitney statistic in standard deviations of its null law, with the correction for ties.
    pub z: f64,
    /// One-sided p-value against copying: small when generated points are too near.
    pub p_copying: f64,
    /// One-sided p-value against missing the data: small when generated points are too far.
    pub p_missing: f64,
}

/// The three-sample test of data copying (Meehan, Chaudhuri, Dasgupta 2020, arXiv:2004.05675), over the whole space:
/// the distances d(x, train) of generated points are compared with those of held-out data by the Mann–Whitney test.
///
/// If the generator has the law of the data and saw nothing but its law, then generated and held-out points are
/// independent draws of one law whatever the training set, so the test holds given that set. The p-values are normal
/// approximations, to be trusted from about twenty points a side; the normal law is reached from below in the tails.
/// A generator may copy in one region and miss another, and the two may cancel; split the space and test each part.
///
/// # Errors
/// The sets live in different dimensions, one is empty, or a coordinate is not finite.
///
/// ```
/// use divergences::quality::data_copying;
/// use measures::{Sample, Seed, zoo::Gaussian};
/// let (law, seed) = (Gaussian::standard(2), Seed::new(1));
/// let train = law.sample(500, &mut seed.stream(0));
/// let held_out = law.sample(500, &mut seed.stream(1));
/// let fresh = law.sample(500, &mut seed.stream(2));
/// assert!(data_copying(&fresh, &train, &held_out)?.p_copying > 1e-3);
/// assert!(data_copying(&train, &train, &held_out)?.p_copying < 1e-6);
/// # Ok::<(), measures::Error>(())
/// ```
pub fn data_copying(generated: &Points, train: &Points, held_out: &Points) -> Result<DataCopying> {
    check_dim("training points", generated.dim(), train.dim())?;
    check_dim("held-out points", generated.dim(), held_out.dim())?;
    for (what, points) in [("generated points", generated), ("held-out points", held_out)] {
        if points.is_empty() {
            return Err(Error::TooFew { what, at_least: 1, got: 0 });
        }
    }
    let near = NearestNeighbours::new(train.clone())?;
    let ours = near.query(generated, 1)?.last_squared();
    let fresh = near.query(held_out, 1)?.last_squared();
    Ok(mann_whitney(&ours, &fresh))
}

fn mann_whitney(ours: &[f64], fresh: &[f64]) -> DataCopying {
    let mut pooled: Vec<(f64, bool)> =
        ours.iter().map(|&v| (v, true)).chain(fresh.iter().map(|&v| (v, false))).collect();
    pooled.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0);
    for group in pooled.chunk_by(|a, b| a.0 == b.0) {
        let t = group.len() as f64;
        let rank = before as f64 + 0.5 * (t + 1.0);
        rank_sum += rank * group.iter().filter(|g| g.1).count() as f64;
        ties += t * t * t - t;
        before += group.len();
    }
    let (m, n, total) = (ours.len() as f64, fresh.len() as f64, pooled.len() as f64);
    let u = rank_sum - 0.5 * m * (m + 1.0);
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    // All distances equal: no evidence either way.
    let z = if variance > 0.0 { (u - 0.5 * m * n) / variance.sqrt() } else { 0.0 };
    let normal = Normal::standard();
    DataCopying { farther: u / (m * n), z, p_copying: normal.cdf(z), p_missing: normal.cdf(-z) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, Seed, zoo::Gaussian};
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn mann_whitney_by_hand() {
        // ours 1, 2, 4; fresh 2, 3: pairs where ours is larger 0 + .5 + 2 of 6; z from the formula with one tie of two.
        let found = mann_whitney(&[1.0, 2.0, 4.0], &[2.0, 3.0]);
        assert!((found.farther - 2.5 / 6.0).abs() < 1e-15);
        let variance = 6.0 / 12.0 * (6.0 - 6.0 / 20.0);
        assert!((found.z - (2.5 - 3.0) / f64::sqrt(variance)).abs() < 1e-15);
        assert_eq!(mann_whitney(&[0.0; 4], &[0.0; 7]).z, 0.0);
    }

    #[test]
    fn false_positives_are_as_many_as_promised() {
        let (law, trials, level) = (Gaussian::standard(2), 2000, 0.05);
        let rejections = (0..trials)
            .filter(|&r| {
                let mut rng = Seed::new(5).stream(r);
                let [train, held, fresh] = [30, 40, 50].map(|n| law.sample(n, &mut rng));
                data_copying(&fresh, &train, &held).unwrap().p_copying <= level
            })
            .count() as u64;
        // The rate may exceed the level by the error of the normal approximation, well under one percent here.
        let law = Binomial::new(level + 0.01, trials).unwrap();
        assert!(law.sf(rejections) > 1e-6, "{rejections}");
    }

    #[test]
    fn copies_and_strangers_are_told_apart() {
        let law = Gaussian::standard(3);
        let [train, held] = [0, 1].map(|i| law.sample(300, &mut Seed::new(8).stream(i)));
        let copy = data_copying(&train, &train, &held).unwrap();
        assert!(copy.farther == 0.0 && copy.p_copying < 1e-6);
        let wide = Gaussian::isotropic(&[0.0; 3], 3.0).unwrap().sample(300, &mut Seed::new(9).rng());
        let far = data_copying(&wide, &train, &held).unwrap();
        assert!(far.p_missing < 1e-6 && far.p_copying > 0.999);
        assert!(data_copying(&Points::new(3, vec![]).unwrap(), &train, &held).is_err());
        assert!(data_copying(&Points::zeros(1, 2), &train, &held).is_err());
    }
}
