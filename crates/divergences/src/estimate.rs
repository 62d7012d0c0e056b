//! Intervals from first variations: the delta method for any symmetric divergence.

use crate::Divergence;
use measures::{Empirical, Error, Estimate, Result};

/// D(μ, ν) of two samples with the standard error that its first variations tell,
///
/// √(Var_μ(δD/δμ)/n + Var_ν(δD/δν)/m),
///
/// the delta method of von Mises (1947; van der Vaart 1998, *Asymptotic Statistics*, chapter 20): to first order D of a sample
/// deviates from D of its law by the mean of the influence function δD/δμ over the sample. D must be symmetric, so that the
/// variation in the second measure is that in the first with the arguments exchanged.
///
/// **What the interval is for:** the expectation of D at these sample sizes, when the laws *differ*. For transport costs that
/// is the theorem of del Barrio & Loubes 2019 (doi:10.1214/18-AOP1275; general costs: del Barrio, González-Sanz, Loubes 2024,
/// doi:10.1214/22-AIHP1356), for Sinkhorn divergences of Mena & Niles-Weed 2019 (arXiv:1905.11882). The bias, which for
/// Wasserstein distances is of the order n^{−1/d}, is not in it. For equal laws the first variation vanishes, the standard
/// error is too small, and the interval says nothing: test equality first.
///
/// Weighted samples are taken as independent draws, each term weighted by its wᵢ.
///
/// ```
/// use divergences::{estimate::by_variation, transport::Wasserstein};
/// use measures::{Empirical, Sample, Seed, zoo::Gaussian};
/// let x = Gaussian::standard(1).sample(400, &mut Seed::new(1).rng());
/// let y = Gaussian::isotropic(&[2.0], 1.0)?.sample(300, &mut Seed::new(2).rng());
/// let (mu, nu) = (Empirical::uniform(x)?, Empirical::uniform(y)?);
/// let found = by_variation(&Wasserstein::new(2.0)?.powered(), &mu, &nu)?;
/// // W₂² = 4; to first order its error is that of twice the means, 4·√(1/400 + 1/300).
/// assert!((found.standard_error - 4.0 * (1.0f64 / 400.0 + 1.0 / 300.0).sqrt()).abs() < 0.03);
/// # Ok::<(), divergences::Error>(())
/// ```
///
/// # Errors
/// The divergence is not symmetric, is not defined for the measures, or its variation vanishes or does not exist there (equal
/// measures).
pub fn by_variation(
    divergence: &(impl Divergence + ?Sized),
    mu: &Empirical,
    nu: &Empirical,
) -> Result<Estimate> {
    if !divergence.axioms().symmetry {
        return Err(Error::Undefined {
            what: "a standard error by the first variation",
            why: "the divergence is not symmetric, and its variation in the second measure is not known",
        });
    }
    let (first, second) = (divergence.variation(mu, nu)?, divergence.variation(nu, mu)?);
    let error = spread(mu, &first.d_weights).hypot(spread(nu, &second.d_weights));
    if error == 0.0 {
        return Err(Error::Undefined {
            what: "a standard error by the first variation",
            why: "the variation vanishes: the measures are equal as far as the divergence sees",
        });
    }
    Ok(Estimate::new(first.value, error, mu.len() + nu.len()))
}

/// The standard error of ⟨h|μ⟩ for a centred h: √(n/(n−1) Σ wᵢ² hᵢ²).
fn spread(mu: &Empirical, h: &[f64]) -> f64 {
    let n = mu.len() as f64;
    if mu.len() == 1 {
        return f64::INFINITY;
    }
    let squares: f64 = h.iter().zip(mu.weights()).map(|(h, w)| (w * h).powi(2)).sum();
    (squares * n / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Gaussian as GaussianKernel;
    use crate::phi::{Phi, PhiDivergence};
    use crate::test::mmd_estimate;
    use crate::transport::{NormPower, SinkhornDivergence, SlicedWasserstein, Wasserstein};
    use crate::{EnergyDistance, Mmd, Statistic};
    use measures::{Points, Sample, Seed, zoo::Gaussian};
    use statrs::distribution::{Binomial, DiscreteCDF};

    fn draw(shift: f64, n: usize, seed: Seed) -> Empirical {
        let x = Gaussian::isotropic(&[shift, 0.0], 1.0).unwrap().sample(n, &mut seed.rng());
        Empirical::uniform(x).unwrap()
    }

    /// Nine in ten intervals hold the mean over all runs, for laws that differ.
    #[test]
    fn intervals_cover_the_expectation_for_different_laws() {
        let trials = 200;
        let sinkhorn = SinkhornDivergence::new(1.0, NormPower::half_squared_euclidean()).unwrap();
        let all: Vec<(&str, Box<dyn Divergence>)> = vec![
            ("energy", Box::new(EnergyDistance::new(Statistic::Plugin))),
            ("MMD", Box::new(Mmd::new(GaussianKernel::new(1.0).unwrap(), Statistic::Unbiased))),
            ("W1", Box::new(Wasserstein::new(1.0).unwrap())),
            ("W2, squared", Box::new(Wasserstein::new(2.0).unwrap().powered())),
            ("sliced W2", Box::new(SlicedWasserstein::new(2.0, 12, Seed::new(1)).unwrap())),
            ("Sinkhorn", Box::new(sinkhorn)),
        ];
        for (name, divergence) in &all {
            let found: Vec<Estimate> = (0..trials)
                .map(|r| {
                    let seed = Seed::new(40).child(r);
                    let (mu, nu) = (draw(0.0, 50, seed.named("x")), draw(1.5, 40, seed.named("y")));
                    by_variation(divergence, &mu, &nu).unwrap()
                })
                .collect();
            let mean = found.iter().map(|e| e.value).sum::<f64>() / trials as f64;
            let holds = |e: &&Estimate| {
                let (low, high) = e.interval(0.9).unwrap();
                low < mean && mean < high
            };
            let covered = found.iter().filter(holds).count() as u64;
            assert!(Binomial::new(0.85, trials).unwrap().cdf(covered) > 1e-6, "{name}: {covered}");
            assert!(Binomial::new(0.95, trials).unwrap().sf(covered) > 1e-6, "{name}: {covered}");
        }
    }

    #[test]
    fn it_is_the_projection_of_the_unbiased_statistic() {
        let (mu, nu) = (draw(0.0, 300, Seed::new(1)), draw(1.0, 250, Seed::new(2)));
        let kernel = GaussianKernel::new(1.0).unwrap();
        let known = mmd_estimate(&kernel, mu.points(), nu.points()).unwrap();
        let found = by_variation(&Mmd::new(kernel, Statistic::Unbiased), &mu, &nu).unwrap();
        assert!((found.value - known.value).abs() < 1e-14);
        assert!((found.standard_error / known.standard_error - 1.0).abs() < 0.02);
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        let (mu, nu) = (draw(0.0, 5, Seed::new(1)), draw(1.0, 5, Seed::new(2)));
        assert!(by_variation(&PhiDivergence::new(Phi::Kl), &mu, &nu).is_err());
        let at = Empirical::uniform(Points::zeros(3, 2)).unwrap();
        assert!(by_variation(&Wasserstein::new(2.0).unwrap(), &at, &at).is_err());
        let one = Empirical::dirac(&[0.0, 0.0]).unwrap();
        let found = by_variation(&EnergyDistance::new(Statistic::Plugin), &one, &nu).unwrap();
        assert_eq!(found.standard_error, f64::INFINITY);
    }
}
