//! Two-sample tests by nearest neighbours in the pooled sample.

use super::{Relabelled, check_samples};
use crate::neighbours::{NearestNeighbours, Neighbours};
use crate::permutation::{check_count, relabel};
use measures::parallel::map_blocks;
use measures::{Points, Result, Seed};

/// The nearest-neighbour test: the share, among the k nearest neighbours of all pooled points, of those with the label of
/// the point itself (Schilling 1986, doi:10.1080/01621459.1986.10478337; Henze 1988, doi:10.1214/aos/1176350835).
///
/// About ((n/N)² + (m/N)²) for one law, 1 for laws that are apart. The neighbours are found once; a relabelling costs N·k.
///
/// # Errors
/// The samples live in different dimensions, one is empty or not finite, `k` is zero or at least the pooled number of
/// points, or `permutations` is zero.
pub fn neighbour_test(
    x: &Points,
    y: &Points,
    k: usize,
    permutations: usize,
    seed: Seed,
) -> Result<Relabelled> {
    relabelled(x, y, k, permutations, seed, |near, labels| {
        let same = |i: usize| near.indices(i).iter().filter(|&&j| labels[j] == labels[i]).count();
        (0..labels.len()).map(same).sum::<usize>() as f64 / (k * labels.len()) as f64
    })
}

/// The classifier two-sample test with a k-nearest-neighbour classifier (Lopez-Paz & Oquab 2017, arXiv:1610.06545): each
/// pooled point is classified by the votes of its k nearest others, each vote weighted by the inverse size of its
/// sample, and the statistic is the mean of the accuracies on the two samples, in \[0, 1\].
///
/// ½ on average for one law, whatever the sizes (ties count half; leaving the point itself out tilts it a little below).
/// Unlike the binomial test on a held-out half, relabelling uses every point twice and stays exact.
///
/// ```
/// use divergences::test::classifier_test;
/// use measures::{Sample, Seed, zoo::Gaussian};
/// let seed = Seed::new(1);
/// let x = Gaussian::standard(2).sample(60, &mut seed.stream(0));
/// let y = Gaussian::isotropic(&[3.0, 0.0], 1.0)?.sample(90, &mut seed.stream(1));
/// let found = classifier_test(&x, &y, 5, 199, seed)?;
/// assert!(found.statistic > 0.8 && found.rejects(0.01));
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// As [`neighbour_test`].
pub fn classifier_test(
    x: &Points,
    y: &Points,
    k: usize,
    permutations: usize,
    seed: Seed,
) -> Result<Relabelled> {
    let (n, m) = (x.len() as f64, y.len() as f64);
    relabelled(x, y, k, permutations, seed, |near, labels| {
        let mut right = [0.0, 0.0];
        for (i, &label) in labels.iter().enumerate() {
            let first = near.indices(i).iter().filter(|&&j| labels[j]).count() as f64;
            // first/n against (k − first)/m, in whole numbers so that ties are exact.
            let lead = first * m - (k as f64 - first) * n;
            let lead = if label { lead } else { -lead };
            right[usize::from(label)] += if lead > 0.0 {
                1.0
            } else if lead == 0.0 {
                0.5
            } else {
                0.0
            };
        }
        0.5 * (right[1] / n + right[0] / m)
    })
}

fn relabelled(
    x: &Points,
    y: &Points,
    k: usize,
    permutations: usize,
    seed: Seed,
    statistic: impl Fn(&Neighbours, &[bool]) -> f64 + Sync + Send,
) -> Result<Relabelled> {
    check_samples(x, y, 1)?;
    check_count(permutations)?;
    let (first, total) = (x.len(), x.len() + y.len());
    let near = NearestNeighbours::new(x.concat(y)?)?.query_self(k)?;
    let observed = statistic(&near, &(0..total).map(|i| i < first).collect::<Vec<_>>());
    let null = map_blocks(permutations, 8, |range| {
        range.map(|b| statistic(&near, &relabel(first, total, seed, b + 1))).collect::<Vec<_>>()
    })
    .concat();
    Ok(Relabelled::new(observed, null, 1e-12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, zoo::Gaussian};
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn by_hand() {
        let (x, y) = (Points::from_line(vec![0.0, 1.0, 10.0]), Points::from_line(vec![2.1, 9.5]));
        // Nearest: 0→1, 1→0, 10→9.5, 2.1→1, 9.5→10: two of five agree.
        let found = neighbour_test(&x, &y, 1, 9, Seed::new(0)).unwrap();
        assert!((found.statistic - 0.4).abs() < 1e-15);
        let found = classifier_test(&x, &y, 1, 9, Seed::new(0)).unwrap();
        assert!((found.statistic - 0.5 * (2.0 / 3.0 + 0.0)).abs() < 1e-15);
    }

    #[test]
    fn false_positives_and_power() {
        let draw = |shift: f64, n, seed: Seed, stream| {
            Gaussian::isotropic(&[shift, 0.0], 1.0).unwrap().sample(n, &mut seed.stream(stream))
        };
        let trials = 500;
        for test in [neighbour_test, classifier_test] {
            let hits = |shift: f64| {
                (0..trials)
                    .filter(|&r| {
                        let seed = Seed::new(9).child(r);
                        let (x, y) = (draw(0.0, 20, seed, 0), draw(shift, 25, seed, 1));
                        test(&x, &y, 3, 39, seed.named("p")).unwrap().rejects(0.05)
                    })
                    .count() as u64
            };
            let law = Binomial::new(0.05, trials).unwrap();
            // Statistics on a lattice tie, and ties are counted against the claim: below the level is right too.
            assert!(law.sf(hits(0.0)) > 1e-6);
            assert!(hits(2.0) > trials * 3 / 4);
        }
    }

    #[test]
    fn bad_input() {
        let x = Points::zeros(3, 1);
        assert!(neighbour_test(&x, &x, 0, 9, Seed::new(0)).is_err());
        assert!(neighbour_test(&x, &x, 6, 9, Seed::new(0)).is_err());
        assert!(classifier_test(&x, &x, 1, 0, Seed::new(0)).is_err());
        assert!(classifier_test(&x, &Points::zeros(2, 2), 1, 9, Seed::new(0)).is_err());
    }
}
