//! Memorisation: are generated points nearer to the training set than to held-out data?

use crate::neighbours::{NearestNeighbours, Neighbours};
use crate::permutation;
use measures::parallel::map_blocks;
use measures::{Error, Points, Result, Seed, check_dim};

/// Nearest neighbours kept of each generated point, in units of 1 / (the share of the smaller set): a relabelling that
/// needs to look farther, about three in ten thousand, is searched in full.
const DEPTH: f64 = 8.0;

/// What [`memorisation`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Memorisation {
    /// d(x, train) / (d(x, train) + d(x, held-out)) of every generated point x, in [0, 1]: 0 is a copy of a training
    /// point, ½ is as near to both sets (or on a point of both).
    pub scores: Vec<f64>,
    /// The median of d(x, train) / d(x, held-out) over the generated points: +∞ when half of them lie on held-out data.
    pub median_ratio: f64,
    /// The 2.5% and 97.5% points of the median ratio over the relabellings: where it would lie without memorisation.
    pub null_ratio: (f64, f64),
    /// The share of generated points nearer to the training set, ties counted half, in [0, 1].
    pub closer: f64,
    /// The expectation of that share without memorisation, n_train / (n_train + n_held-out).
    pub expected_closer: f64,
    /// p-value of the mean score against relabellings, one-sided: small when generated points are nearer to the
    /// training set than chance allows.
    pub p_value: f64,
    /// The number of relabellings behind it; the p-value is at least 1/(1 + permutations).
    pub permutations: usize,
}

/// The ratio of the distances of each generated point to its nearest training and its nearest held-out point, with an
/// exact permutation test.
///
/// If the generator learnt nothing but the law of the data, training and held-out points are exchangeable given the
/// generated ones. So the labels "train" and "held-out" are shuffled over the union of both, with the generated points
/// fixed, and the p-value (1 + #{shuffled mean score ≤ observed}) / (1 + B) is valid in finite samples, for sets of
/// different sizes, and however much the generated points depend on one another. A sign test over generated points
/// would not be: all of them share the same two sets. Held-out data that chose the stopping time are not exchangeable.
///
/// # Errors
/// The sets live in different dimensions, one is empty, a coordinate is not finite, or `permutations` is zero.
///
/// ```
/// use divergences::quality::memorisation;
/// use measures::{Sample, Seed, zoo::Gaussian};
/// let (law, seed) = (Gaussian::standard(2), Seed::new(1));
/// let [train, held_out, fresh] = [0, 1, 2].map(|i| law.sample(200, &mut seed.stream(i)));
/// assert!(memorisation(&fresh, &train, &held_out, 999, seed)?.p_value > 0.01);
/// let copied = memorisation(&train, &train, &held_out, 999, seed)?;
/// assert_eq!((copied.median_ratio, copied.p_value), (0.0, 0.001));
/// # Ok::<(), measures::Error>(())
/// ```
pub fn memorisation(
    generated: &Points,
    train: &Points,
    held_out: &Points,
    permutations: usize,
    seed: Seed,
) -> Result<Memorisation> {
    permutation::check_count(permutations)?;
    check_dim("training points", generated.dim(), train.dim())?;
    check_dim("held-out points", generated.dim(), held_out.dim())?;
    for (what, points) in
        [("generated points", generated), ("training points", train), ("held-out points", held_out)]
    {
        if points.is_empty() {
            return Err(Error::TooFew { what, at_least: 1, got: 0 });
        }
    }
    let (first, pooled) = (train.len(), train.concat(held_out)?);
    let total = pooled.len();
    let least_share = first.min(total - first) as f64 / total as f64;
    let depth = ((DEPTH / least_share).ceil() as usize).min(total);
    let near = NearestNeighbours::new(pooled.clone())?.query(generated, depth)?;
    let union = Union { generated, pooled: &pooled, near: &near };

    let labels: Vec<bool> = (0..total).map(|j| j < first).collect();
    let scores = union.scores(&labels);
    let null: Vec<(f64, f64)> = map_blocks(permutations, 8, |range| {
        range
            .map(|b| {
                let drawn = union.scores(&permutation::relabel(first, total, seed, b));
                (mean(&drawn), median(drawn))
            })
            .collect::<Vec<_>>()
    })
    .concat();
    let (means, mut medians): (Vec<f64>, Vec<f64>) = null.into_iter().map(|(m, d)| (-m, d)).unzip();
    medians.sort_by(f64::total_cmp);
    let quantile = |q: f64| ratio(medians[((q * permutations as f64) as usize).min(permutations - 1)]);
    let closer = |s: &f64| {
        if *s < 0.5 {
            1.0
        } else if *s == 0.5 {
            0.5
        } else {
            0.0
        }
    };
    Ok(Memorisation {
        median_ratio: ratio(median(scores.clone())),
        null_ratio: (quantile(0.025), quantile(0.975)),
        closer: scores.iter().map(closer).sum::<f64>() / scores.len() as f64,
        expected_closer: first as f64 / total as f64,
        p_value: permutation::p_value(-mean(&scores), &means),
        permutations,
        scores,
    })
}

struct Union<'a> {
    generated: &'a Points,
    pooled: &'a Points,
    near: &'a Neighbours,
}

impl Union<'_> {
    /// The score of every generated point when `labels` says which pooled points are the training set.
    fn scores(&self, labels: &[bool]) -> Vec<f64> {
        (0..self.generated.len())
            .map(|i| score(self.nearest(i, labels, true), self.nearest(i, labels, false)))
            .collect()
    }

    /// The distance of generated point i to the nearest pooled point of the given label.
    fn nearest(&self, i: usize, labels: &[bool], label: bool) -> f64 {
        let listed = self.near.indices(i).iter().position(|&j| labels[j] == label);
        let squared = listed.map_or_else(
            || {
                let x = self.generated.row(i);
                self.pooled
                    .rows()
                    .zip(labels)
                    .filter(|(_, l)| **l == label)
                    .map(|(y, _)| crate::neighbours::squared_distance(x, y))
                    .fold(f64::INFINITY, f64::min)
            },
            |at| self.near.squared(i)[at],
        );
        squared.sqrt()
    }
}

fn score(to_train: f64, to_held_out: f64) -> f64 {
    if to_train == to_held_out { 0.5 } else { 1.0 / (1.0 + to_held_out / to_train) }
}

fn ratio(score: f64) -> f64 {
    score / (1.0 - score)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    0.5 * (values[(n - 1) / 2] + values[n / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, zoo::Gaussian};
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn by_hand() {
        let line = |v: &[f64]| Points::from_line(v.to_vec());
        let found =
            memorisation(&line(&[0.0, 1.0, 5.0]), &line(&[0.0, 4.0]), &line(&[3.0]), 99, Seed::new(0))
                .unwrap();
        assert_eq!(found.scores, [0.0, 1.0 / 3.0, 1.0 / 3.0]);
        assert!((found.median_ratio - 0.5).abs() < 1e-15);
        assert_eq!((found.closer, found.expected_closer), (1.0, 2.0 / 3.0));
        // Three relabellings are possible; held-out = {3} gives the least mean score, so p tends to 1/3.
        assert!((found.p_value - 1.0 / 3.0).abs() < 0.2, "{}", found.p_value);
    }

    #[test]
    fn false_positives_are_controlled_though_the_sets_differ_in_size() {
        let (law, trials) = (Gaussian::standard(2), 600);
        let rejections = (0..trials)
            .filter(|&r| {
                let mut rng = Seed::new(6).stream(r);
                let [train, held, fresh] = [40, 12, 60].map(|n| law.sample(n, &mut rng));
                memorisation(&fresh, &train, &held, 19, Seed::new(r)).unwrap().p_value <= 0.05
            })
            .count() as u64;
        assert!(Binomial::new(0.05, trials).unwrap().sf(rejections) > 1e-6, "{rejections}");
    }

    #[test]
    fn near_copies_are_caught_and_the_listing_depth_does_not_matter() {
        let law = Gaussian::standard(2);
        let [train, held, noise] = [0, 1, 2].map(|i| law.sample(150, &mut Seed::new(3).stream(i)));
        let near = Points::from_fn(150, 2, |i, row| {
            row.iter_mut().enumerate().for_each(|(k, r)| *r = train.row(i)[k] + 0.02 * noise.row(i)[k]);
        });
        let found = memorisation(&near, &train, &held, 199, Seed::new(1)).unwrap();
        assert_eq!(found.p_value, 1.0 / 200.0);
        let (low, high) = found.null_ratio;
        assert!(found.median_ratio < 0.5 * low && low < 1.0 && high > 1.0, "{low} {high}");
        // One held-out point: the list covers everything; all but the full search must agree with the definition.
        let one = held.select(&[0]);
        let few = memorisation(&near, &train, &one, 9, Seed::new(1)).unwrap();
        let brute: Vec<f64> = near
            .rows()
            .map(|x| {
                let to = |set: &Points| {
                    set.rows()
                        .map(|y| crate::neighbours::squared_distance(x, y))
                        .fold(f64::INFINITY, f64::min)
                        .sqrt()
                };
                score(to(&train), to(&one))
            })
            .collect();
        assert_eq!(few.scores, brute);
    }

    #[test]
    fn one_place_and_bad_sets() {
        let at = Points::zeros(5, 2);
        let found = memorisation(&at, &at, &at, 9, Seed::new(0)).unwrap();
        assert_eq!((found.median_ratio, found.closer, found.p_value), (1.0, 0.5, 1.0));
        assert!(memorisation(&at, &at, &at, 0, Seed::new(0)).is_err());
        assert!(memorisation(&at, &at, &Points::zeros(1, 3), 9, Seed::new(0)).is_err());
        assert!(memorisation(&at, &Points::new(2, vec![]).unwrap(), &at, 9, Seed::new(0)).is_err());
    }
}
