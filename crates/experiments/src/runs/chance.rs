//! What sampling alone may make of the squared MMD between two samples of one law.

use super::rows::head;
use crate::failure::Result;
use divergences::kernel::Kernel;
use measures::Points;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Points from which the moments are taken; their products cost the cube of it.
const POINTS: usize = 500;
/// From so many degrees of freedom on χ² is as good as normal.
const MANY: f64 = 1e6;

/// The multiple of its mean that the plug-in squared MMD of two equally large samples of one law exceeds with probability
/// `alpha`; `points` are a sample of that law.
///
/// n·MMD²/2 tends to Σ λ_l Z_l², λ the eigenvalues of the centred kernel k̃: few of them at wide bandwidths, where the figure
/// scatters as χ² with one or two degrees of freedom does, many at narrow ones (Gretton et al. 2012, JMLR 13:723, theorem
/// 12). The χ² of the same mean, variance and skewness stands for it (Hall 1983; Buckley and Eagleson 1988), with
/// Σ λ = E k̃(X, X), Σ λ² = E k̃(X, Y)² and Σ λ³ = E k̃(X, Y) k̃(Y, Z) k̃(Z, X) over different points.
pub(super) fn multiple_by_chance(kernel: &impl Kernel, points: &Points, alpha: f64) -> Result<f64> {
    let some = head(points, POINTS);
    let n = some.len();
    let mut k = kernel.matrix(&some, &some)?;
    let means: Vec<f64> = k.chunks(n).map(|row| row.iter().sum::<f64>() / n as f64).collect();
    let mean = means.iter().sum::<f64>() / n as f64;
    for (i, row) in k.chunks_mut(n).enumerate() {
        row.iter_mut().zip(&means).for_each(|(v, m)| *v += mean - means[i] - m);
    }
    let first = (0..n).map(|i| std::mem::take(&mut k[i * n + i])).sum::<f64>();
    let (mut second, mut third) = (0.0, 0.0);
    for (i, row) in k.chunks(n).enumerate() {
        for (j, other) in k.chunks(n).enumerate().take(i) {
            let through: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            second += 2.0 * row[j] * row[j];
            third += 2.0 * row[j] * through;
        }
    }
    let n = n as f64;
    let (first, second, third) = (first / n, second / (n * (n - 1.0)), third / (n * (n - 1.0) * (n - 2.0)));
    let freedom = (second.powi(3) / third.powi(2)).min(MANY);
    let quantile = ChiSquared::new(freedom).map_or(freedom, |law| law.inverse_cdf(1.0 - alpha));
    Ok(1.0 + (second / freedom).sqrt() * (quantile - freedom) / first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use divergences::kernel::Gaussian;
    use divergences::{Divergence, Mmd, Statistic};
    use measures::zoo::GaussianMixture;
    use measures::{Empirical, Sample, Seed};
    use statrs::distribution::{Binomial, DiscreteCDF};

    /// How often samples of one law are as far apart as is said: within a binomial law's tails of 1e-6, the moments being
    /// those of one sample.
    #[test]
    fn chance_exceeds_the_multiple_as_often_as_it_should() {
        let law = GaussianMixture::eight_gaussians();
        let draw = |stream| law.sample(200, &mut Seed::new(31).stream(stream));
        for bandwidth in [5.0, 1.5, 0.5] {
            let kernel = Gaussian::new(bandwidth).unwrap();
            let mmd = Mmd::new(kernel, Statistic::Plugin);
            let values: Vec<f64> = (0..2000)
                .map(|k| {
                    let side = |stream| Empirical::uniform(draw(stream)).unwrap();
                    mmd.value(&side(2 * k), &side(2 * k + 1)).unwrap()
                })
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let many = law.sample(500, &mut Seed::new(32).rng());
            for alpha in [0.1, 0.01] {
                let multiple = multiple_by_chance(&kernel, &many, alpha).unwrap();
                let beyond = values.iter().filter(|v| **v > multiple * mean).count() as u64;
                // A fifth less to a quarter more, for the approximation and for the sample of the moments.
                let binomial = |p: f64| Binomial::new(p, values.len() as u64).unwrap();
                let least = binomial(0.8 * alpha).inverse_cdf(5e-7);
                let most = binomial(1.25 * alpha).inverse_cdf(1.0 - 5e-7);
                assert!((least..=most).contains(&beyond), "{bandwidth}, {alpha}: {beyond}");
            }
        }
    }
}
