//! How good a map from N(0, 1) to the uniform law is, by the three numbers of the claims.

use super::{Fig1Config, values};
use crate::failure::Result;
use divergences::family::FourierLattice;
use measures::{Empirical, Family, Points, Seed};
use models::Generator;
use statrs::distribution::{ContinuousCDF, Normal};
use std::f64::consts::PI;

/// Which monotone solution a map is closer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Φ.
    Rising,
    /// 1 − Φ.
    Falling,
}

impl Way {
    pub(super) fn words(self) -> &'static str {
        match self {
            Way::Rising => "the distribution function",
            Way::Falling => "the reflection of the distribution function",
        }
    }

    /// The solution's value at z.
    pub(super) fn truth(self, z: f64) -> f64 {
        let normal = Normal::standard();
        match self {
            Way::Rising => normal.cdf(z),
            Way::Falling => normal.sf(z),
        }
    }
}

/// The numbers of a map.
#[derive(Debug, Clone)]
pub(super) struct Judgement {
    pub(super) way: Way,
    /// The largest difference to that solution on [−2.5, 2.5].
    pub(super) distance: f64,
    /// D₂² to the uniform law, without the bias of the sample.
    pub(super) d2: f64,
    /// Wasserstein-1 of the sample to the uniform law.
    pub(super) w1: f64,
    /// The number of frequencies of D₂.
    pub(super) frequencies: u32,
    /// Some of the values φ(Z), for a histogram.
    pub(super) sample: Vec<f64>,
}

/// Nodes on [−2.5, 2.5].
const NODES: usize = 2001;
/// Values kept for the histogram.
const KEPT: usize = 100_000;

pub(super) fn judge(model: &dyn Generator, config: &Fig1Config, seed: Seed) -> Result<Judgement> {
    let nodes: Vec<f64> = (0..NODES).map(|k| -2.5 + 5.0 * k as f64 / (NODES - 1) as f64).collect();
    let at_nodes = values(model, nodes.clone())?;
    let distance = |way: Way| {
        let gaps = nodes.iter().zip(&at_nodes).map(|(z, v)| (v - way.truth(*z)).abs());
        gaps.fold(0.0, f64::max)
    };
    let (rising, falling) = (distance(Way::Rising), distance(Way::Falling));
    let (way, distance) = if rising <= falling { (Way::Rising, rising) } else { (Way::Falling, falling) };
    let fresh = model.generate(config.fresh, seed)?.into_vec();
    let sample = fresh[..fresh.len().min(KEPT)].to_vec();
    let (d2, w1) = (unbiased(config.frequencies, &fresh)?, to_uniform(fresh));
    Ok(Judgement { way, distance, d2, w1, frequencies: config.frequencies, sample })
}

/// D₂² between the law of a sample and the uniform one, whose brackets with the family vanish: (n |b|² − 1)/(n − 1) on
/// average over the frequencies.
fn unbiased(frequencies: u32, x: &[f64]) -> Result<f64> {
    let n = x.len() as f64;
    Ok((n * plug_in(frequencies, x)? - 1.0) / (n - 1.0))
}

fn plug_in(frequencies: u32, x: &[f64]) -> Result<f64> {
    let family = FourierLattice::line(frequencies)?;
    let brackets = family.brackets(&Empirical::uniform(Points::from_line(x.to_vec()))?)?;
    Ok(brackets.iter().zip(family.tau()).map(|(b, tau)| tau * b * b).sum())
}

/// W₁ between a sample and the uniform law on [0, 1]: ∫ |F⁻¹(u) − u| du over the quantile function of the sample, exactly.
fn to_uniform(mut x: Vec<f64>) -> f64 {
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    // The integral of |x − u| from a to b.
    let piece = |x: f64, a: f64, b: f64| {
        let half = |u: f64| 0.5 * (u - x) * (u - x).abs();
        half(b) - half(a)
    };
    x.iter().enumerate().map(|(i, v)| piece(*v, i as f64 / n, (i as f64 + 1.0) / n)).sum()
}

/// The density 1 + cos 2π(K+1)x, which the first K frequencies do not tell from the uniform one, by its quantiles.
pub(super) fn unseen(frequencies: u32) -> Result<Judgement> {
    const QUANTILES: usize = 20_000;
    let omega = 2.0 * PI * (f64::from(frequencies) + 1.0);
    let quantile = |u: f64| {
        // x + sin(ωx)/ω rises, and lies within 1/ω of x.
        let (mut low, mut high) = ((u - 1.0 / omega).max(0.0), (u + 1.0 / omega).min(1.0));
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if middle + (omega * middle).sin() / omega < u { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    };
    let sample: Vec<f64> = (0..QUANTILES).map(|i| quantile((i as f64 + 0.5) / QUANTILES as f64)).collect();
    let d2 = plug_in(frequencies, &sample)?;
    Ok(Judgement {
        way: Way::Rising,
        distance: f64::NAN,
        d2,
        w1: to_uniform(sample.clone()),
        frequencies,
        sample,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_to_the_uniform_law_in_closed_form() {
        // One atom at a: ∫|a − u| du = (a² + (1 − a)²)/2.
        for a in [0.0, 0.3, 0.5, 1.0] {
            assert!((to_uniform(vec![a]) - 0.5 * (a * a + (1.0 - a) * (1.0 - a))).abs() < 1e-15);
        }
        // Midpoints of n cells: n · 2 · (1/2n)²/2 = 1/4n.
        let midpoints: Vec<f64> = (0..100).map(|i| (f64::from(i) + 0.5) / 100.0).collect();
        assert!((to_uniform(midpoints) - 0.0025).abs() < 1e-15);
    }

    #[test]
    fn ten_frequencies_do_not_separate() {
        let lost = unseen(10).unwrap();
        assert!(lost.d2 < 1e-9, "{}", lost.d2);
        // ∫ |sin 22πx| / 22π dx = 1/(11π²)
        assert!((lost.w1 - 1.0 / (11.0 * PI * PI)).abs() < 1e-4, "{}", lost.w1);
        // Eleven do.
        assert!((plug_in(11, &lost.sample).unwrap() - 0.25 / 11.0).abs() < 1e-4);
    }

    #[test]
    fn the_unbiased_estimate_is_about_zero_for_the_uniform_law() {
        use measures::{Sample, zoo::UniformBox};
        let uniform = UniformBox::new(vec![0.0], vec![1.0]).unwrap();
        let x = uniform.sample(100_000, &mut Seed::new(4).rng()).into_vec();
        // K |b|² n is a sum of K exponentials: six standard deviations of their mean, 6/√10 · 1/n.
        assert!(unbiased(10, &x).unwrap().abs() < 6.0 / 10f64.sqrt() / 1e5);
    }
}
