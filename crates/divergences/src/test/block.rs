//! The two-sample test by blocks: linear or nearly linear time, no relabelling.

use crate::BlockMmd;
use crate::kernel::Kernel;
use measures::{Empirical, Estimate, Points, Result};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The outcome of a test whose statistic is normal in the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Asymptotic {
    /// The statistic with its standard error, and the number of blocks behind it. **What the interval is for:** MMD² of the
    /// two laws, whether or not they are equal.
    pub statistic: Estimate,
    /// The one-sided p-value by Student's law with a degree of freedom less than there are blocks: valid in the limit of many
    /// blocks, and in practice below its level, since the statistic of a block is skewed to the right.
    pub p_value: f64,
}

impl Asymptotic {
    /// Whether the hypothesis is rejected at level α: p ≤ α.
    pub fn rejects(&self, alpha: f64) -> bool {
        self.p_value <= alpha
    }
}

/// The two-sample test by the mean of the unbiased MMD² over blocks (Zaremba, Gretton, Blaschko 2013, arXiv:1307.1954; with
/// [`BlockMmd::linear`] the linear-time test of Gretton et al. 2012, JMLR 13:723), against Student's law.
///
/// For samples too large for [`mmd_test`](super::mmd_test), whose power at one size it does not have. The points must be in
/// random order, and the bandwidth must not be chosen on them.
///
/// ```
/// use divergences::{BlockMmd, kernel::Gaussian, test::block_test};
/// use measures::{Sample, Seed, zoo};
/// let x = zoo::Gaussian::standard(2).sample(20_000, &mut Seed::new(1).rng());
/// let y = zoo::Gaussian::isotropic(&[0.2, 0.0], 1.0)?.sample(20_000, &mut Seed::new(2).rng());
/// let found = block_test(&BlockMmd::new(Gaussian::new(1.0)?, 200)?, &x, &y)?;
/// assert!(found.rejects(0.001));
/// # Ok::<(), divergences::Error>(())
/// ```
///
/// # Errors
/// The samples live in different dimensions or one has fewer than four points (two blocks) or one that is not finite; the
/// kernel overflows.
pub fn block_test<K: Kernel>(statistic: &BlockMmd<K>, x: &Points, y: &Points) -> Result<Asymptotic> {
    super::check_samples(x, y, 4)?;
    let found = statistic.estimate(&Empirical::uniform(x.clone())?, &Empirical::uniform(y.clone())?)?;
    if found.n < 2 {
        return Err(measures::Error::TooFew { what: "blocks", at_least: 2, got: found.n });
    }
    let p_value = if found.standard_error > 0.0 {
        let law = StudentsT::new(0.0, 1.0, (found.n - 1) as f64).expect("degrees of freedom are positive");
        law.sf(found.value / found.standard_error)
    } else {
        // All blocks agree to the last digit.
        f64::from(u8::from(found.value <= 0.0))
    };
    Ok(Asymptotic { statistic: found, p_value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Gaussian;
    use measures::{Sample, Seed, zoo};
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn false_positives_and_power() {
        let (trials, level) = (1000, 0.05);
        let draw = |shift: f64, n, seed: Seed| {
            zoo::Gaussian::isotropic(&[shift, 0.0], 1.0).unwrap().sample(n, &mut seed.rng())
        };
        let kernel = Gaussian::new(1.0).unwrap();
        for test in [BlockMmd::linear(kernel), BlockMmd::new(kernel, 20).unwrap()] {
            let hits = |shift: f64| {
                (0..trials)
                    .filter(|&r| {
                        let seed = Seed::new(60).child(r);
                        let (x, y) = (draw(0.0, 200, seed.named("x")), draw(shift, 240, seed.named("y")));
                        block_test(&test, &x, &y).unwrap().rejects(level)
                    })
                    .count() as u64
            };
            let alarms = hits(0.0);
            // Not above the level, and not a test that never rejects.
            assert!(Binomial::new(level, trials).unwrap().sf(alarms) > 1e-6, "{alarms}");
            assert!(Binomial::new(0.015, trials).unwrap().cdf(alarms) > 1e-6, "{alarms}");
            assert!(hits(1.5) > trials * 9 / 10);
        }
    }

    #[test]
    fn equal_blocks_and_bad_input() {
        let test = BlockMmd::linear(Gaussian::new(1.0).unwrap());
        let (at, off) = (Points::zeros(8, 1), Points::from_line(vec![1.0; 8]));
        assert_eq!(block_test(&test, &at, &at).unwrap().p_value, 1.0);
        assert_eq!(block_test(&test, &at, &off).unwrap().p_value, 0.0);
        assert!(block_test(&test, &at, &Points::zeros(3, 1)).is_err());
        assert!(block_test(&test, &at, &Points::zeros(8, 2)).is_err());
        assert!(block_test(&BlockMmd::new(Gaussian::new(1.0).unwrap(), 1).unwrap(), &at, &at).is_err());
    }
}
