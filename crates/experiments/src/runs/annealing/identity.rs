//! Noise on both sides is kernel annealing: with x ↦ αx + σz on either side, the squared MMD of Gaussian kernel h has as its
//! expectation over the noise the squared MMD of the points themselves with the kernel
//! (h²/(h² + 2σ²))^{d/2} exp(−α²‖x − y‖²/(2(h² + 2σ²))).

use crate::failure::Result;
use divergences::kernel::Gaussian as Kernel;
use divergences::{Divergence, Mmd, Statistic};
use measures::zoo::{Gaussian, GaussianMixture};
use measures::{Empirical, Points, Sample, Seed};

/// One line of the check.
pub(super) struct Line {
    pub(super) t: f64,
    /// The mean over draws of noise, unbiased estimate.
    pub(super) noised: f64,
    /// Its standard error.
    pub(super) error: f64,
    /// The closed form.
    pub(super) smoothed: f64,
}

impl Line {
    /// The difference in standard errors.
    pub(super) fn z(&self) -> f64 {
        (self.noised - self.smoothed).abs() / self.error
    }
}

/// Points on either side, and draws of noise.
const POINTS: usize = 200;
const DRAWS: u64 = 400;
/// The bandwidth.
const WIDTH: f64 = 0.4;

/// The check at several times, on fixed points of two laws in the plane.
pub(super) fn check(seed: Seed) -> Result<Vec<Line>> {
    let data = GaussianMixture::ring(8, 1.0, 0.1)?.sample(POINTS, &mut seed.named("data").rng());
    let map = Gaussian::standard(2).sample(POINTS, &mut seed.named("map").rng());
    let value = |x: Points, y: Points, width: f64| -> Result<f64> {
        let mmd = Mmd::new(Kernel::new(width)?, Statistic::Unbiased);
        Ok(mmd.value(&Empirical::uniform(x)?, &Empirical::uniform(y)?)?)
    };
    let mut lines = Vec::new();
    for t in [0.25, 0.5, 0.75] {
        let (alpha, sigma) = (0.5 * std::f64::consts::PI * t).sin_cos();
        let wide = WIDTH.powi(2) + 2.0 * sigma * sigma;
        // In the plane the amplitude's exponent d/2 is one.
        let smoothed = WIDTH.powi(2) / wide * value(map.clone(), data.clone(), wide.sqrt() / alpha)?;
        let blur = |x: &Points, seed: Seed| {
            let noise = Gaussian::standard(2).sample(x.len(), &mut seed.rng());
            Points::from_fn(x.len(), 2, |i, row| {
                row.iter_mut()
                    .enumerate()
                    .for_each(|(k, v)| *v = alpha * x.row(i)[k] + sigma * noise.row(i)[k]);
            })
        };
        let draw = |k: u64| {
            let seed = seed.child(k);
            value(blur(&map, seed.named("left")), blur(&data, seed.named("right")), WIDTH)
        };
        let values: Vec<f64> = (0..DRAWS).map(draw).collect::<Result<_>>()?;
        let mean = values.iter().sum::<f64>() / DRAWS as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
        lines.push(Line { t, noised: mean, error: (variance / DRAWS as f64).sqrt(), smoothed });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A two-sided normal of level 1e-6 is within 4.9 standard errors; three are looked at.
    #[test]
    fn noise_on_both_sides_is_a_smoothed_kernel() {
        let lines = check(Seed::new(4)).unwrap();
        let largest = lines.iter().fold(0.0_f64, |m, line| m.max(line.smoothed));
        for line in lines {
            let (found, expected) = (line.noised, line.smoothed);
            assert!(line.z() < 5.2, "t = {}: {found} against {expected} ± {}", line.t, line.error);
            // Near noise the two laws are alike and the value itself is small.
            assert!(20.0 * line.error < largest, "t = {}: ± {} tells nothing", line.t, line.error);
        }
    }
}
