//! Two-sample tests by the maximum mean discrepancy and by the energy distance.

use super::forms::{Forms, Labels, quadratic_forms};
use super::{Relabelled, check_samples};
use crate::kernel::{Energy, Kernel};
use crate::permutation::{check_count, relabel};
use measures::{Error, Estimate, Points, Result, Seed};

/// The two-sample test by the unbiased MMD² of a kernel (Gretton, Borgwardt, Rasch, Schölkopf, Smola 2012,
/// JMLR 13:723), with p-value by `permutations` relabellings.
///
/// The statistic is Σ_{i≠j} k(xᵢ, xⱼ)/(n(n−1)) + Σ_{i≠j} k(yᵢ, yⱼ)/(m(m−1)) − 2 Σ k(xᵢ, yⱼ)/(nm); it may be negative. A kernel
/// whose bandwidth was chosen on the same points (the median heuristic on the *pooled* sample) keeps the test valid,
/// since relabelling does not change it. Each pair is evaluated once for all relabellings together and no more than
/// 64 MiB of kernel values exist at a time.
///
/// ```
/// use divergences::{kernel::Gaussian, test::mmd_test};
/// use measures::{Sample, Seed, zoo};
/// let seed = Seed::new(1);
/// let x = zoo::Gaussian::standard(2).sample(100, &mut seed.stream(0));
/// let y = zoo::Gaussian::isotropic(&[1.0, 0.0], 1.0)?.sample(80, &mut seed.stream(1));
/// assert!(mmd_test(&Gaussian::new(1.0)?, &x, &y, 999, seed)?.rejects(0.01));
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// The samples live in different dimensions, one has fewer than two points or one that is not finite, `permutations` is
/// zero, or the kernel overflows.
pub fn mmd_test(
    kernel: &(impl Kernel + ?Sized),
    x: &Points,
    y: &Points,
    permutations: usize,
    seed: Seed,
) -> Result<Relabelled> {
    check_samples(x, y, 2)?;
    check_count(permutations)?;
    let (first, pooled) = (x.len(), x.concat(y)?);
    let total = pooled.len();
    // Vector 0 is the labelling as it is, so that observed and relabelled statistics are rounded alike.
    let labels = Labels::new(total, permutations + 1, |b| match b {
        0 => (0..total).map(|i| i < first).collect(),
        _ => relabel(first, total, seed, b),
    });
    let forms = quadratic_forms(total, &labels, |rows| {
        let of: Vec<usize> = rows.clone().collect();
        let against: Vec<usize> = (rows.start..total).collect();
        kernel.matrix(&pooled.select(&of), &pooled.select(&against))
    })?;
    let (n, m) = (first as f64, (total - first) as f64);
    let Forms { quadratic, rows, along } = forms;
    let sum: f64 = rows.iter().sum();
    let statistic = |b: usize| {
        let (own, cross) = (quadratic[b], along[b] - quadratic[b]);
        let other = sum - own - 2.0 * cross;
        own / (n * (n - 1.0)) + other / (m * (m - 1.0)) - 2.0 * cross / (n * m)
    };
    let mut values: Vec<f64> = (0..=permutations).map(statistic).collect();
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        let must = "finite: the points are too large for the kernel";
        return Err(Error::Entry { what: "kernel statistic", index, value: values[index], must });
    }
    let observed = values.remove(0);
    // Sums of N² terms of this mean size, in another order for every labelling.
    let size = rows.iter().map(|r| r.abs()).sum::<f64>() / (total as f64 * total as f64);
    Ok(Relabelled::new(observed, values, 1e-13 * size))
}

/// The two-sample test by the energy distance 2E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖ in its unbiased form (Székely & Rizzo 2004,
/// InterStat 5): [`mmd_test`] with the kernel −‖x − y‖, which has no parameter to choose.
///
/// # Errors
/// As [`mmd_test`].
pub fn energy_test(x: &Points, y: &Points, permutations: usize, seed: Seed) -> Result<Relabelled> {
    mmd_test(&Energy::distance(), x, y, permutations, seed)
}

/// The unbiased MMD² of two samples with its standard error under μ ≠ ν, in memory linear in the points.
///
/// The standard error is that of the projection h(x) = m_μ(x) − m_ν(x) of the U-statistic, √(4 Var h(X)/n + 4 Var h(Y)/m):
/// the interval is one for MMD²(μ, ν) of the laws when they *differ*. When they are equal the projection vanishes, the
/// law of the statistic is another one, and the interval says nothing: ask [`mmd_test`] first.
///
/// # Errors
/// As [`mmd_test`].
pub fn mmd_estimate(kernel: &(impl Kernel + ?Sized), x: &Points, y: &Points) -> Result<Estimate> {
    check_samples(x, y, 2)?;
    let means = |from: &Points, at: &Points, own: bool| -> Vec<f64> {
        let free = (from.len() - usize::from(own)) as f64;
        let mut sums = kernel.potential(from, &vec![1.0 / free; from.len()], at);
        if own {
            let diagonal = kernel.diagonal(at).values;
            sums.iter_mut().zip(diagonal).for_each(|(s, k)| *s -= k / free);
        }
        sums
    };
    let witness = |at: &Points, other: &Points| -> Vec<f64> {
        let (own, cross) = (means(at, at, true), means(other, at, false));
        own.iter().zip(cross).map(|(o, c)| o - c).collect()
    };
    // E h(X) = ⟨m_μ − m_ν|μ⟩ and the same with the samples exchanged: their sum is the statistic.
    let (a, b) = (Estimate::of_mean(&witness(x, y))?, Estimate::of_mean(&witness(y, x))?);
    let error = 2.0 * a.standard_error.hypot(b.standard_error);
    Ok(Estimate::new(a.value + b.value, error, x.len() + y.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Gaussian;
    use crate::{Divergence, Mmd, Statistic};
    use measures::{Empirical, Sample, zoo};
    use statrs::distribution::{Binomial, DiscreteCDF};

    fn draw(mean: &[f64], n: usize, seed: Seed, stream: u64) -> Points {
        zoo::Gaussian::isotropic(mean, 1.0).unwrap().sample(n, &mut seed.stream(stream))
    }

    #[test]
    fn statistics_are_those_of_the_relabelled_samples() {
        let seed = Seed::new(4);
        let (x, y) = (draw(&[0.0, 0.0], 30, seed, 0), draw(&[0.3, 0.0], 41, seed, 1));
        let kernel = Gaussian::new(0.9).unwrap();
        let found = mmd_test(&kernel, &x, &y, 50, seed).unwrap();
        let mmd = Mmd::new(kernel, Statistic::Unbiased);
        let value = |x: Points, y: Points| {
            mmd.value(&Empirical::uniform(x).unwrap(), &Empirical::uniform(y).unwrap()).unwrap()
        };
        assert!((found.statistic - value(x.clone(), y.clone())).abs() < 1e-14);
        let pooled = x.concat(&y).unwrap();
        for b in [0, 17, 49] {
            let labels = relabel(30, 71, seed, b + 1);
            let pick = |side| (0..71).filter(|&i| labels[i] == side).collect::<Vec<_>>();
            let expected = value(pooled.select(&pick(true)), pooled.select(&pick(false)));
            assert!((found.null[b] - expected).abs() < 1e-14);
        }
        assert!((mmd_estimate(&kernel, &x, &y).unwrap().value - found.statistic).abs() < 1e-14);
    }

    /// The number of rejections under the hypothesis is at most binomial of the level.
    #[test]
    fn false_positives() {
        let (trials, level) = (1000, 0.05);
        let run = |test: &dyn Fn(&Points, &Points, Seed) -> Relabelled| {
            (0..trials)
                .filter(|&r| {
                    let seed = Seed::new(12).child(r);
                    test(&draw(&[0.0], 15, seed, 0), &draw(&[0.0], 20, seed, 1), seed.named("p"))
                        .rejects(level)
                })
                .count() as u64
        };
        let kernel = Gaussian::new(1.0).unwrap();
        let law = Binomial::new(level, trials).unwrap();
        for hits in [
            run(&|x, y, s| mmd_test(&kernel, x, y, 99, s).unwrap()),
            run(&|x, y, s| energy_test(x, y, 99, s).unwrap()),
        ] {
            // Both tails: with 99 relabellings the level is attained, and a test that never rejects is no test.
            assert!(law.sf(hits) > 1e-6 && law.cdf(hits) > 1e-6, "{hits}");
        }
    }

    #[test]
    fn intervals_under_the_alternative() {
        // MMD² of N(0,1) and N(1,1) at bandwidth 1 in closed form: 2/√3 (1 − e^{−1/6}).
        let exact = 2.0 / 3f64.sqrt() * (1.0 - (-1.0 / 6.0f64).exp());
        let kernel = Gaussian::new(1.0).unwrap();
        let covered = (0..400)
            .filter(|&r| {
                let seed = Seed::new(20).child(r);
                let (x, y) = (draw(&[0.0], 150, seed, 0), draw(&[1.0], 120, seed, 1));
                let (low, high) = mmd_estimate(&kernel, &x, &y).unwrap().interval(0.95).unwrap();
                low < exact && exact < high
            })
            .count() as u64;
        // Within two percent of its coverage, at level 1e-6.
        assert!(Binomial::new(0.93, 400).unwrap().cdf(covered) > 1e-6, "{covered}");
        assert!(Binomial::new(0.97, 400).unwrap().sf(covered) > 1e-6, "{covered}");
    }

    #[test]
    fn identical_points_and_bad_input() {
        let at = Points::zeros(5, 2);
        let found = energy_test(&at, &at, 19, Seed::new(0)).unwrap();
        assert_eq!((found.statistic, found.p_value), (0.0, 1.0));
        assert!(energy_test(&at, &at, 0, Seed::new(0)).is_err());
        assert!(energy_test(&at, &Points::zeros(1, 2), 9, Seed::new(0)).is_err());
        assert!(energy_test(&at, &Points::zeros(5, 3), 9, Seed::new(0)).is_err());
    }
}
