//! Total variation of two densities, by Monte Carlo.

use crate::phi::{Phi, between_densities};
use measures::rand::Rng;
use measures::{Density, Estimate, Result, Sample};

/// TV(p, q) = ½ ∫ |p − q| by Monte Carlo, as the mean of |p − q|/(p + q) under (p + q)/2 with `n` draws from each.
///
/// The terms lie in [0, 1] and those of the two halves are independent: the estimate is unbiased, and its interval is
/// one for the total variation itself. See [`between_densities`] for the rest of the φ-divergences.
///
/// # Errors
/// The measures live in different dimensions, `n` is less than two, or a log-density is NaN or +∞.
///
/// ```
/// use divergences::total_variation::total_variation_between;
/// use measures::{Seed, zoo::Gaussian};
/// let (p, q) = (Gaussian::standard(1), Gaussian::isotropic(&[1.0], 1.0)?);
/// let found = total_variation_between(&p, &q, 10_000, &mut Seed::new(0).rng())?;
/// let (low, high) = found.interval(0.9999)?;
/// assert!(low < 0.38292 && 0.38292 < high);
/// # Ok::<(), measures::Error>(())
/// ```
pub fn total_variation_between<P, Q>(p: &P, q: &Q, n: usize, rng: &mut dyn Rng) -> Result<Estimate>
where
    P: Sample + Density + ?Sized,
    Q: Sample + Density + ?Sized,
{
    between_densities(Phi::TotalVariation, p, q, n, rng)
}
