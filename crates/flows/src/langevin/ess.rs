//! How many independent draws a chain is worth.

use crate::error::Result;

/// The effective size of a chain.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct EffectiveSize {
    /// The number of independent draws with the same variance of the mean, n/τ.
    pub size: f64,
    /// τ = 1 + 2 Σ_k ρ_k, the integrated autocorrelation time in steps of the chain.
    pub time: f64,
}

/// n / (1 + 2 Σ_k ρ_k) with Geyer's initial monotone sequence: sums of neighbouring autocovariances, which are positive and
/// decrease for a reversible chain, are summed while they do. A chain that never moves has size 1.
///
/// C. J. Geyer, *Practical Markov chain Monte Carlo*, Statist. Sci. 7 (1992), doi:10.1214/ss/1177011137.
///
/// # Errors
/// Fewer than four values, or one that is not finite.
pub fn effective_size(values: &[f64]) -> Result<EffectiveSize> {
    let n = values.len();
    if n < 4 {
        return Err(measures::Error::TooFew { what: "values of the chain", at_least: 4, got: n }.into());
    }
    measures::check_finite("values of the chain", values)?;
    let mean = values.iter().sum::<f64>() / n as f64;
    let covariance = |lag: usize| -> f64 {
        let pairs = values[..n - lag].iter().zip(&values[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64
    };
    let variance = covariance(0);
    if variance <= 0.0 {
        return Ok(EffectiveSize { size: 1.0, time: n as f64 });
    }
    let (mut sum, mut last) = (0.0, f64::INFINITY);
    for pair in 0..n / 2 {
        let gamma = covariance(2 * pair) + covariance(2 * pair + 1);
        if gamma <= 0.0 {
            break;
        }
        last = gamma.min(last);
        sum += last;
    }
    // Σ over pairs counts ρ₀ once: τ = 2 Σ Γ/γ₀ − 1, kept away from zero for chains that alternate.
    let time = (2.0 * sum / variance - 1.0).max(1.0 / (n as f64).ln());
    Ok(EffectiveSize { size: n as f64 / time, time })
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn an_autoregression_has_its_known_time() {
        let n = 200_000;
        for rho in [0.0, 0.5, 0.9, -0.4] {
            let mut rng = Seed::new(3).rng();
            let (mut x, mut values) = (0.0, Vec::with_capacity(n));
            for _ in 0..n {
                let z: f64 = StandardNormal.sample(&mut rng);
                x = rho * x + z;
                values.push(x);
            }
            let found = effective_size(&values).unwrap();
            let exact = (1.0 + rho) / (1.0 - rho);
            assert!((found.time / exact - 1.0).abs() < 0.1, "ρ = {rho}: {} for {exact}", found.time);
            assert!((found.size * found.time - n as f64).abs() < 1e-6);
        }
    }

    #[test]
    fn short_and_stuck_chains() {
        assert!(effective_size(&[1.0, 2.0, 3.0]).is_err());
        assert!(effective_size(&[1.0, f64::NAN, 3.0, 4.0]).is_err());
        assert_eq!(effective_size(&[2.0; 50]).unwrap().size, 1.0);
    }
}
