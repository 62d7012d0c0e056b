//! Kernels that decay fast in space and in frequency, with bounds of what a grid of frequencies leaves out.

use super::SpectralGrid;
use crate::kernel::{Gaussian, Kernel, Mixture};
use std::f64::consts::{PI, TAU};

/// A kernel k(x, y) = k(x − y) with a spectral density κ̂ ≥ 0, both of which decay so fast that a grid of frequencies gives
/// the kernel to round-off:
///
/// k(r) = (2π)⁻ᵈ ∫ κ̂(ω) cos⟨ω, r⟩ dω,  Σ_m k(r + mP) = Σ_k κ̂(2πk/P)/∏Pⱼ · cos(2π Σ kⱼrⱼ/Pⱼ)  (Poisson's summation formula).
///
/// Matérn and Laplace kernels decay algebraically in frequency, inverse multiquadrics in space: they are no such kernels. Their
/// frequencies can be drawn: [`RandomFeatures`](crate::kernel::RandomFeatures).
pub trait Spectral: Kernel {
    /// κ̂(ω), which depends on |ω₁|, …, |ω_d| only.
    fn spectrum(&self, omega: &[f64]) -> f64;

    /// κ̂ at all vectors of one frequency a coordinate from `axes`, the last coordinate fastest. A product over the coordinates
    /// has a quicker way than the one by one of the default.
    fn spectrum_on(&self, axes: &[Vec<f64>]) -> Vec<f64> {
        let count: usize = axes.iter().map(Vec::len).product();
        let mut omega = vec![0.0; axes.len()];
        let at = |mut i: usize| {
            for (omega, axis) in omega.iter_mut().zip(axes).rev() {
                *omega = axis[i % axis.len()];
                i /= axis.len();
            }
            self.spectrum(&omega)
        };
        (0..count).map(at).collect()
    }

    /// A bound of Σ_{m≠0} |k(r + mP)| over all r with |rⱼ| ≤ Lⱼ, the `extents`, for `periods` Pⱼ > Lⱼ.
    fn aliases(&self, extents: &[f64], periods: &[f64]) -> f64;

    /// A bound of Σ κ̂(2πk/P)/∏Pⱼ over all integer vectors k with |kⱼ| > Kⱼ for some j, where K is `highest`.
    fn tail(&self, periods: &[f64], highest: &[usize]) -> f64;

    /// The smallest and the largest length on which the kernel varies: where the search for a grid begins.
    fn lengths(&self) -> (f64, f64);

    /// Grids whose sum is the kernel within `tolerance`·k(0) on the box from `lower` to `upper`, at least one: a kernel with
    /// terms on several lengths has fewer functions with a grid for each, because the longest length sets a grid's period and
    /// the shortest its highest frequency. None where [`SpectralGrid::new`] has none.
    fn grids(&self, lower: &[f64], upper: &[f64], tolerance: f64) -> Option<Vec<SpectralGrid>> {
        Some(vec![SpectralGrid::new(self, lower, upper, tolerance)?])
    }
}

/// e^{−r²/2h²} and its Fourier series on one coordinate, with bandwidth h.
#[derive(Clone, Copy)]
struct Bell(f64);

impl Bell {
    /// Σ_{m≥1} e^{−(q + (m−1)P)²/2h²} for a gap q > 0: the squares grow by 2qP a step at least.
    fn beyond(self, gap: f64, period: f64) -> f64 {
        let (gap, period) = (gap / self.0, period / self.0);
        (-0.5 * gap * gap).exp() / -(-gap * period).exp_m1()
    }

    /// The aliases at |r| ≤ L on both sides.
    fn aliases(self, extent: f64, period: f64) -> f64 {
        2.0 * self.beyond(period - extent, period)
    }

    /// Σ_{|k|>K} of the coefficients h√2π/P · e^{−(2πkh/P)²/2}.
    fn tail(self, period: f64, highest: usize) -> f64 {
        let step = TAU * self.0 / period;
        let first = (highest + 1) as f64 * step;
        let sum = (-0.5 * first * first).exp() / -(-first * step).exp_m1();
        2.0 * TAU.sqrt() * self.0 / period * sum
    }
}

impl Spectral for Gaussian {
    fn spectrum(&self, omega: &[f64]) -> f64 {
        let h = self.bandwidth();
        omega.iter().map(|w| (2.0 * PI).sqrt() * h * (-0.5 * (h * w) * (h * w)).exp()).product()
    }

    fn spectrum_on(&self, axes: &[Vec<f64>]) -> Vec<f64> {
        axes.iter().fold(vec![1.0], |front, axis| {
            let factors: Vec<f64> = axis.iter().map(|w| self.spectrum(&[*w])).collect();
            front.iter().flat_map(|front| factors.iter().map(move |f| front * f)).collect()
        })
    }

    /// ∏(1 + aⱼ) − 1: each factor of the periodic kernel is at most 1 + aⱼ, the kernel itself at most one.
    fn aliases(&self, extents: &[f64], periods: &[f64]) -> f64 {
        let bell = Bell(self.bandwidth());
        extents.iter().zip(periods).map(|(l, p)| bell.aliases(*l, *p).ln_1p()).sum::<f64>().exp_m1()
    }

    /// Σⱼ bⱼ ∏ᵢ Sᵢ: one coordinate beyond Kⱼ, the others anywhere; S is the sum of all coefficients.
    fn tail(&self, periods: &[f64], highest: &[usize]) -> f64 {
        let bell = Bell(self.bandwidth());
        let all = |p: &f64| 1.0 + bell.aliases(0.0, *p);
        periods.iter().zip(highest).map(|(p, k)| bell.tail(*p, *k) / all(p)).sum::<f64>()
            * periods.iter().map(all).product::<f64>()
    }

    fn lengths(&self) -> (f64, f64) {
        (self.bandwidth(), self.bandwidth())
    }
}

impl Spectral for Mixture<Gaussian> {
    fn spectrum(&self, omega: &[f64]) -> f64 {
        self.terms().iter().map(|(a, k)| a * k.spectrum(omega)).sum()
    }

    fn aliases(&self, extents: &[f64], periods: &[f64]) -> f64 {
        self.terms().iter().map(|(a, k)| a * k.aliases(extents, periods)).sum()
    }

    fn tail(&self, periods: &[f64], highest: &[usize]) -> f64 {
        self.terms().iter().map(|(a, k)| a * k.tail(periods, highest)).sum()
    }

    fn lengths(&self) -> (f64, f64) {
        let all = self.terms().iter().map(|(_, k)| k.bandwidth());
        (all.clone().fold(f64::INFINITY, f64::min), all.fold(0.0, f64::max))
    }

    /// A grid for each term.
    fn grids(&self, lower: &[f64], upper: &[f64], tolerance: f64) -> Option<Vec<SpectralGrid>> {
        let grid = |(a, k): &(f64, Gaussian)| Some(SpectralGrid::new(k, lower, upper, tolerance)?.times(*a));
        self.terms().iter().map(grid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of the truncated series at the corner and inside the box, against the two bounds.
    #[test]
    fn the_bounds_hold_and_are_not_idle() {
        let kernel = Mixture::of_bandwidths(&[0.5, 1.2]).unwrap();
        let (extents, periods, highest) = ([3.0, 2.0], [7.0, 6.5], [6, 5]);
        let (alias, tail) = (kernel.aliases(&extents, &periods), Spectral::tail(&kernel, &periods, &highest));
        let mut worst = 0.0f64;
        for (x, y) in [(0.0, 0.0), (3.0, 2.0), (-3.0, 2.0), (1.3, -0.4), (3.0, 0.0), (0.2, 1.9)] {
            let mut series = 0.0;
            for i in -6i32..=6 {
                for j in -5i32..=5 {
                    let omega = [TAU * f64::from(i) / periods[0], TAU * f64::from(j) / periods[1]];
                    let c = kernel.spectrum(&omega) / (periods[0] * periods[1]);
                    series += c * (omega[0] * x + omega[1] * y).cos();
                }
            }
            let error = (series - kernel.value(&[x, y], &[0.0, 0.0])).abs();
            assert!(error <= alias + tail, "{x}, {y}: {error} above {alias} + {tail}");
            worst = worst.max(error);
        }
        assert!(worst > 0.05 * (alias + tail), "{worst} far below {alias} + {tail}");
        assert!(alias > 1e-5 && tail > 1e-5, "the test shows both: {alias}, {tail}");
    }
}
