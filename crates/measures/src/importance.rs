//! Brackets under one law from draws of another: importance weights w = p/q, with the effective sample size that says how
//! far to trust them.

use crate::bracket::TestFunction;
use crate::empirical::Empirical;
use crate::error::{Error, Result, check_dim, check_len};
use crate::estimate::Estimate;
use crate::measure::{Density, Sample};
use crate::points::Points;
use rand::Rng;

/// How the weights are turned into an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Weighting {
    /// Σ wᵢ f(xᵢ)/Σ wᵢ. Needs the target only up to a constant; biased by O(1/n), with the standard error of the delta
    /// method, (Σ w̄ᵢ² (f(xᵢ) − estimate)²)^½ for w̄ = w/Σw.
    #[default]
    SelfNormalised,
    /// n⁻¹ Σ wᵢ f(xᵢ). Unbiased; needs both densities normalised.
    Plain,
}

/// An importance-weighted estimate and how well the proposal covered the target.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Weighted {
    /// The estimate with its standard error. It is honest only when the effective sample size is large: weights that miss the target's
    /// mass altogether cannot know it.
    pub estimate: Estimate,
    /// (Σ w)²/Σ w², between 1 and n: the number of equally weighted draws the weights are worth (Kong 1992).
    pub effective_sample_size: f64,
    /// The largest share of the total that one draw has; near one, the estimate hangs on a single point.
    pub largest_share: f64,
    /// log of n⁻¹ Σ w: of the target's normalising constant when the proposal is normalised.
    pub log_normaliser: f64,
}

/// ⟨f|p⟩ from `n` draws of `proposal`, `log_target` being log p at the points, up to a constant when self-normalised.
///
/// ```
/// use measures::{Density, Function, Seed, Weighting, importance_bracket, zoo::{Gaussian, StudentT}};
/// // E[X²] = 4 under N(0, 4), from Student draws, whose tails are heavier.
/// let (target, proposal) = (Gaussian::isotropic(&[0.0], 2.0)?, StudentT::standard(1, 3.0)?);
/// let square = Function::new(1, |x| x[0] * x[0], |x, g| g[0] = 2.0 * x[0]);
/// let log_target = |x: &_| target.log_density(x);
/// let rng = &mut Seed::new(0).rng();
/// let e = importance_bracket(&square, log_target, &proposal, 50_000, Weighting::SelfNormalised, rng)?;
/// assert!((e.estimate.value - 4.0).abs() < 5.0 * e.estimate.standard_error);
/// assert!(e.effective_sample_size > 5_000.0);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// n is zero; f lives in another dimension; a weight is NaN or infinite, or every weight is zero; f is not finite at a draw of
/// positive weight (the draw is named); or an error of the densities themselves.
pub fn importance_bracket(
    f: &(impl TestFunction + ?Sized),
    log_target: impl FnOnce(&Points) -> Result<Vec<f64>>,
    proposal: &(impl Sample + Density + ?Sized),
    n: usize,
    weighting: Weighting,
    rng: &mut dyn Rng,
) -> Result<Weighted> {
    check_dim("test function", proposal.dim(), f.dim())?;
    let (x, log_weights) = weigh(log_target, proposal, n, rng)?;
    estimate(&f.values(&x)?, &log_weights, weighting)
}

/// The importance-weighted cloud Σ w̄ᵢ δ(xᵢ) ≈ p from `n` draws of `proposal`, with log of n⁻¹ Σ w, an estimate of the
/// logarithm of the target's normalising constant.
///
/// # Errors
/// As [`importance_bracket`] where it is about weights.
pub fn importance_sample(
    log_target: impl FnOnce(&Points) -> Result<Vec<f64>>,
    proposal: &(impl Sample + Density + ?Sized),
    n: usize,
    rng: &mut dyn Rng,
) -> Result<(Empirical, f64)> {
    let (x, log_weights) = weigh(log_target, proposal, n, rng)?;
    let (weights, top) = scaled(&log_weights)?;
    let log_normaliser = top + (weights.iter().sum::<f64>() / n as f64).ln();
    Ok((Empirical::normalised(x, weights)?, log_normaliser))
}

/// The estimate from values f(xᵢ) and log-weights that are at hand already.
///
/// # Errors
/// The lengths differ or are zero; otherwise as [`importance_bracket`].
pub fn importance_estimate(values: &[f64], log_weights: &[f64], weighting: Weighting) -> Result<Weighted> {
    estimate(values, log_weights, weighting)
}

fn weigh(
    log_target: impl FnOnce(&Points) -> Result<Vec<f64>>,
    proposal: &(impl Sample + Density + ?Sized),
    n: usize,
    rng: &mut dyn Rng,
) -> Result<(Points, Vec<f64>)> {
    if n == 0 {
        return Err(Error::TooFew { what: "draws", at_least: 1, got: 0 });
    }
    let x = proposal.sample(n, rng);
    let mut log_weights = log_target(&x)?;
    check_len("log-densities of the target", n, log_weights.len())?;
    let log_proposal = proposal.log_density(&x)?;
    for (w, q) in log_weights.iter_mut().zip(&log_proposal) {
        *w -= q;
    }
    Ok((x, log_weights))
}

/// Weights divided by the largest, and its logarithm.
fn scaled(log_weights: &[f64]) -> Result<(Vec<f64>, f64)> {
    if log_weights.is_empty() {
        return Err(Error::TooFew { what: "draws", at_least: 1, got: 0 });
    }
    if let Some(index) = log_weights.iter().position(|w| w.is_nan() || *w == f64::INFINITY) {
        let value = log_weights[index];
        return Err(Error::Entry { what: "log-weights", index, value, must: "a number below infinity" });
    }
    let top = log_weights.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    if top == f64::NEG_INFINITY {
        return Err(Error::WeightSum { what: "importance weights", sum: 0.0 });
    }
    Ok((log_weights.iter().map(|w| (w - top).exp()).collect(), top))
}

fn estimate(values: &[f64], log_weights: &[f64], weighting: Weighting) -> Result<Weighted> {
    check_len("values of f", log_weights.len(), values.len())?;
    let (weights, top) = scaled(log_weights)?;
    for (index, (value, weight)) in values.iter().zip(&weights).enumerate() {
        if *weight > 0.0 && !value.is_finite() {
            return Err(Error::Entry { what: "f(x)", index, value: *value, must: "finite" });
        }
    }
    let n = values.len();
    let total: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let term = |v: &f64, w: &f64| if *w > 0.0 { v * w } else { 0.0 };
    let estimate = match weighting {
        Weighting::SelfNormalised => {
            let value = values.iter().zip(&weights).map(|(v, w)| term(v, w)).sum::<f64>() / total;
            let spread: f64 = values
                .iter()
                .zip(&weights)
                .map(|(v, w)| if *w > 0.0 { (w / total * (v - value)).powi(2) } else { 0.0 })
                .sum();
            let standard_error = if n == 1 { f64::INFINITY } else { spread.sqrt() };
            Estimate::new(value, standard_error, n)
        }
        Weighting::Plain => {
            let scale = top.exp();
            let terms: Vec<f64> = values.iter().zip(&weights).map(|(v, w)| term(v, w) * scale).collect();
            Estimate::of_mean(&terms)?
        }
    };
    if !estimate.value.is_finite() {
        return Err(Error::Parameter { what: "weighted sum of f", value: estimate.value, must: "finite" });
    }
    Ok(Weighted {
        estimate,
        effective_sample_size: total * total / squares,
        largest_share: 1.0 / total,
        log_normaliser: top + (total / n as f64).ln(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bracket::Function;
    use crate::seed::Seed;
    use crate::zoo::{Gaussian, UniformBox};

    #[test]
    fn both_weightings_cover_the_truth_and_the_normaliser_is_found() {
        let proposal = Gaussian::isotropic(&[0.5, 0.0], 1.6).unwrap();
        let target = Gaussian::diagonal(&[0.0, 0.3], &[1.0, 0.5]).unwrap();
        let f = Function::new(2, |x| x[0] * x[0] + x[1], |_, _| {});
        let truth = 1.3;
        let (mut plain, mut own) = (0, 0);
        for run in 0..400 {
            let log = |x: &Points| target.log_density(x);
            let get = |w| importance_bracket(&f, log, &proposal, 500, w, &mut Seed::new(run).rng()).unwrap();
            let covers = |w: Weighted| {
                let (low, high) = w.estimate.interval(0.9).unwrap();
                usize::from(low < truth && truth < high)
            };
            plain += covers(get(Weighting::Plain));
            own += covers(get(Weighting::SelfNormalised));
        }
        // 400 intervals of coverage .9: mean 360, five standard deviations 30.
        assert!((330..=390).contains(&plain) && (325..=390).contains(&own), "{plain} {own}");
        let shifted = |x: &Points| Ok(target.log_density(x)?.iter().map(|l| l + 700.0).collect());
        let (cloud, log_normaliser) =
            importance_sample(shifted, &proposal, 100_000, &mut Seed::new(1).rng()).unwrap();
        assert!((log_normaliser - 700.0).abs() < 0.05);
        assert!((cloud.mean()[1] - 0.3).abs() < 0.02 && cloud.mean()[0].abs() < 0.04);
    }

    #[test]
    fn the_effective_sample_size_counts_equal_weights() {
        let w = importance_estimate(
            &[1.0, 3.0, f64::NAN],
            &[-5.0, -5.0, f64::NEG_INFINITY],
            Weighting::default(),
        );
        let w = w.unwrap();
        assert_eq!((w.estimate.value, w.effective_sample_size, w.largest_share), (2.0, 2.0, 0.5));
        let same = Gaussian::standard(2);
        let (_, log) =
            importance_sample(|x| same.log_density(x), &same, 100, &mut Seed::new(0).rng()).unwrap();
        assert_eq!(log, 0.0);
    }

    #[test]
    fn useless_weights_are_refused() {
        let bad = |v: &[f64], w: &[f64]| importance_estimate(v, w, Weighting::Plain).unwrap_err();
        assert!(matches!(bad(&[], &[]), Error::TooFew { .. }));
        assert!(matches!(bad(&[1.0], &[]), Error::Length { .. }));
        assert!(matches!(bad(&[1.0], &[f64::NAN]), Error::Entry { .. }));
        assert!(matches!(bad(&[1.0], &[f64::INFINITY]), Error::Entry { .. }));
        assert!(matches!(bad(&[1.0], &[f64::NEG_INFINITY]), Error::WeightSum { .. }));
        assert!(matches!(bad(&[f64::NAN, 1.0], &[0.0, 0.0]), Error::Entry { what: "f(x)", index: 0, .. }));
        // A target that lives elsewhere.
        let away = UniformBox::new(vec![1e3], vec![2e3]).unwrap();
        let result =
            importance_sample(|x| away.log_density(x), &Gaussian::standard(1), 100, &mut Seed::new(0).rng());
        assert!(matches!(result, Err(Error::WeightSum { .. })));
    }
}
