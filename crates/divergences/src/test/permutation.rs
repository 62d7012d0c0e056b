//! The two-sample test by any divergence.

use super::{Relabelled, check_samples};
use crate::Divergence;
use crate::permutation::{check_count, relabel};
use crate::transport::{NormPower, SinkhornDivergence};
use measures::parallel::map_blocks;
use measures::{Empirical, Error, Points, Result, Seed};

/// The two-sample test whose statistic is `divergence`.value(x, y), with p-value by `permutations` relabellings: one
/// value for each, in parallel.
///
/// For the Sinkhorn divergence, a Wasserstein or a sliced distance, the Fréchet distance, D₂, a dual … A statistic that
/// is itself random must keep its draws fixed, as those here do. MMD and energy have [`mmd_test`](super::mmd_test) and
/// [`energy_test`](super::energy_test), which share the work between relabellings.
///
/// ```
/// use divergences::{test::permutation_test, transport::{NormPower, SinkhornDivergence}};
/// use measures::{Sample, Seed, zoo::Gaussian};
/// let seed = Seed::new(1);
/// let x = Gaussian::standard(1).sample(30, &mut seed.stream(0));
/// let y = Gaussian::isotropic(&[2.0], 1.0)?.sample(30, &mut seed.stream(1));
/// let sinkhorn = SinkhornDivergence::new(0.5, NormPower::half_squared_euclidean())?;
/// assert!(permutation_test(&sinkhorn, &x, &y, 99, seed)?.rejects(0.01));
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// The samples live in different dimensions, one is empty or not finite, `permutations` is zero; the divergence fails on
/// a relabelling or returns NaN there.
pub fn permutation_test(
    divergence: &(impl Divergence + Sync + ?Sized),
    x: &Points,
    y: &Points,
    permutations: usize,
    seed: Seed,
) -> Result<Relabelled> {
    check_samples(x, y, 1)?;
    check_count(permutations)?;
    let (first, pooled) = (x.len(), x.concat(y)?);
    let value = |labels: &[bool]| -> Result<f64> {
        let side = |of: bool| {
            let rows: Vec<usize> = (0..pooled.len()).filter(|&i| labels[i] == of).collect();
            Empirical::uniform(pooled.select(&rows))
        };
        let value = divergence.value(&side(true)?, &side(false)?)?;
        if value.is_nan() {
            return Err(Error::Parameter { what: "statistic of a relabelling", value, must: "a number" });
        }
        Ok(value)
    };
    let observed = value(&(0..pooled.len()).map(|i| i < first).collect::<Vec<_>>())?;
    let drawn = map_blocks(permutations, 1, |range| {
        range.map(|b| value(&relabel(first, pooled.len(), seed, b + 1))).collect::<Vec<_>>()
    });
    let null = drawn.into_iter().flatten().collect::<Result<Vec<f64>>>()?;
    let size = if observed.is_finite() { observed.abs() } else { 0.0 };
    Ok(Relabelled::new(observed, null, 1e-12 * size))
}

/// The two-sample test by the Sinkhorn divergence of the cost ‖x − y‖² at temperature `epsilon`: [`permutation_test`] with
/// [`SinkhornDivergence`].
///
/// ε sets what is seen: far below the squared distances it is nearly W₂², far above them half the energy distance of the
/// cost, the squared difference of the means. A tenth of the median squared distance of the *pooled* points is a fair choice that keeps the
/// test valid.
///
/// # Errors
/// As [`permutation_test`]; ε is not positive, or too small for the cost.
pub fn sinkhorn_test(
    epsilon: f64,
    x: &Points,
    y: &Points,
    permutations: usize,
    seed: Seed,
) -> Result<Relabelled> {
    let divergence = SinkhornDivergence::new(epsilon, NormPower::squared_euclidean())?;
    permutation_test(&divergence, x, y, permutations, seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Energy;
    use crate::test::energy_test;
    use crate::{Mmd, Statistic};
    use measures::{Sample, zoo::Gaussian};
    use statrs::distribution::{Binomial, DiscreteCDF};

    fn draw(n: usize, seed: Seed, stream: u64) -> Points {
        Gaussian::standard(1).sample(n, &mut seed.stream(stream))
    }

    #[test]
    fn the_same_relabellings_as_the_test_with_shared_work() {
        let seed = Seed::new(2);
        let (x, y) = (draw(12, seed, 0), draw(9, seed, 1));
        let one =
            permutation_test(&Mmd::new(Energy::distance(), Statistic::Unbiased), &x, &y, 60, seed).unwrap();
        let shared = energy_test(&x, &y, 60, seed).unwrap();
        assert_eq!(one.p_value, shared.p_value);
        for (a, b) in one.null.iter().zip(&shared.null) {
            assert!((a - b).abs() < 1e-13);
        }
    }

    #[test]
    fn false_positives_of_the_sinkhorn_test() {
        let trials = 200;
        let hits = (0..trials)
            .filter(|&r| {
                let seed = Seed::new(3).child(r);
                sinkhorn_test(1.0, &draw(6, seed, 0), &draw(7, seed, 1), 19, seed.named("p"))
                    .unwrap()
                    .rejects(0.1)
            })
            .count() as u64;
        let law = Binomial::new(0.1, trials).unwrap();
        assert!(law.sf(hits) > 1e-6 && law.cdf(hits) > 1e-6, "{hits}");
    }
}
