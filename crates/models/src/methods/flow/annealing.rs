//! What is annealed, in which order, and when the next round begins.

use crate::error::{Error, Result, check_count, check_range};
use crate::method::Moment;
use divergences::kernel::{Mixture, Pairs, median_distance};
use divergences::test::mmd_test;
use measures::rand::RngExt;
use measures::{Points, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which points are noised to the level of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoisedSide {
    /// None: every round is against the data themselves.
    None,
    /// The data: the map follows ρ_t, from noise to data.
    #[default]
    Target,
    /// The data and the map's points alike: the map aims at the data in every round, and in expectation the loss is the
    /// same with a smoothed kernel.
    Both,
}

/// The order in which the times of the rounds come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RoundOrder {
    /// From noise to data.
    #[default]
    Forward,
    /// From data to noise: a control, which sees the same targets as long.
    Reversed,
    /// In an order drawn once from the seed: another control.
    Shuffled,
}

impl RoundOrder {
    /// The times k/rounds, k < rounds, in this order.
    pub(crate) fn times(self, rounds: usize, seed: Seed) -> Vec<f64> {
        let mut times: Vec<f64> = (0..rounds).map(|k| k as f64 / rounds as f64).collect();
        match self {
            RoundOrder::Forward => {}
            RoundOrder::Reversed => times.reverse(),
            RoundOrder::Shuffled => {
                let mut rng = seed.rng();
                for k in (1..rounds).rev() {
                    times.swap(k, rng.random_range(0..=k));
                }
            }
        }
        times
    }
}

/// When the next round begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Pace {
    /// Every round has the same number of steps.
    Fixed {},
    /// When a two-sample test no longer tells the map's points from those of ρ_t: the permutation test by MMD² with Gaussian
    /// kernels at the pooled median distance × {1, 0.3, 0.1}, whose p-value is then above `level`. What is left of the
    /// steps once all rounds are done goes to the data themselves; so do the steps of the last round, however far the
    /// rounds have come.
    Test {
        /// The p-value above which a round is done.
        #[serde(default = "twentieth")]
        level: f64,
        /// Points of either side that are compared; at most the rows of the data.
        #[serde(default = "three_hundred")]
        points: usize,
        /// Relabellings.
        #[serde(default = "ninety_nine")]
        permutations: usize,
        /// Steps between two tests.
        #[serde(default = "hundred")]
        every: u64,
        /// The most steps of a round; absent, it lasts until the test is passed.
        #[serde(default)]
        at_most: Option<u64>,
    },
}

fn twentieth() -> f64 {
    0.05
}
fn three_hundred() -> usize {
    300
}
fn ninety_nine() -> usize {
    99
}
fn hundred() -> u64 {
    100
}

impl Default for Pace {
    fn default() -> Self {
        Pace::Fixed {}
    }
}

impl Pace {
    /// The pace of a two-sample test with its default settings.
    pub fn test() -> Self {
        let (level, points, permutations, every) = (twentieth(), three_hundred(), ninety_nine(), hundred());
        Pace::Test { level, points, permutations, every, at_most: None }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let Pace::Test { level, points, permutations, every, at_most } = *self else { return Ok(()) };
        check_range("pace.level", level, 0.0..1.0, "at least 0 and less than 1")?;
        check_count("pace.permutations", permutations)?;
        check_count("pace.every", every as usize)?;
        if points < 2 {
            return Err(Error::setting("pace.points", points, "at least 2"));
        }
        match at_most {
            Some(0) => Err(Error::setting("pace.at_most", 0, "at least 1")),
            _ => Ok(()),
        }
    }
}

/// Whether the pooled points can be told apart at this level.
pub(crate) fn told_apart(
    x: &Points,
    y: &Points,
    permutations: usize,
    level: f64,
    at: &Moment,
) -> Result<bool> {
    // The bandwidth is that of the pooled sample, which relabelling does not change: the test stays valid.
    let median = median_distance(x, y, Pairs::Among(1000))?;
    let kernel = Mixture::of_bandwidths(&[median, 0.3 * median, 0.1 * median])?;
    Ok(mmd_test(&kernel, x, y, permutations, at.seed("relabellings"))?.p_value <= level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, zoo::Gaussian};

    #[test]
    fn orders_have_the_same_times() {
        let seed = Seed::new(3);
        let forward = RoundOrder::Forward.times(8, seed);
        assert_eq!(forward[..3], [0.0, 0.125, 0.25]);
        for order in [RoundOrder::Reversed, RoundOrder::Shuffled] {
            let mut times = order.times(8, seed);
            assert_ne!(times, forward);
            times.sort_by(f64::total_cmp);
            assert_eq!(times, forward);
        }
        assert_eq!(RoundOrder::Reversed.times(8, seed)[0], 0.875);
        assert_ne!(RoundOrder::Shuffled.times(8, seed), RoundOrder::Shuffled.times(8, Seed::new(4)));
    }

    #[test]
    fn the_test_tells_apart_what_differs() {
        let draw = |mean: f64, k| {
            Gaussian::isotropic(&[mean, 0.0], 1.0).unwrap().sample(300, &mut Seed::new(8).stream(k))
        };
        let at = Moment::new(0, 1, Seed::new(1));
        assert!(told_apart(&draw(0.0, 0), &draw(0.5, 1), 99, 0.05, &at).unwrap());
        // One fixed pair of samples of one law; the test errs on a twentieth of such pairs.
        assert!(!told_apart(&draw(0.0, 2), &draw(0.0, 3), 99, 0.05, &at).unwrap());
    }

    #[test]
    fn paces_out_of_range_are_named() {
        let pace =
            |level, points, every, at_most| Pace::Test { level, points, permutations: 99, every, at_most };
        for (bad, field) in [
            (pace(1.0, 300, 100, None), "pace.level"),
            (pace(0.05, 1, 100, None), "pace.points"),
            (pace(0.05, 300, 0, None), "pace.every"),
            (pace(0.05, 300, 100, Some(0)), "pace.at_most"),
        ] {
            assert!(bad.check().unwrap_err().to_string().contains(field));
        }
        Pace::test().check().unwrap();
    }
}
