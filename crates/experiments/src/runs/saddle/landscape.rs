//! Uniform laws on a few intervals of total length ½, and what every divergence makes of two of them, in closed form.

use statrs::function::erf::erf;
use std::f64::consts::{PI, SQRT_2};

/// The density wherever it is not zero.
const DENSITY: f64 = 2.0;

/// The uniform law on disjoint intervals of total length ½.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Law(Vec<(f64, f64)>);

impl Law {
    /// μ₁ of footnote 3, uniform on (0, ¼) ∪ (¾, 1).
    pub(super) fn target() -> Self {
        Law(vec![(0.0, 0.25), (0.75, 1.0)])
    }

    /// μ_a, uniform on (a, a + ½); on the circle the arc from a goes on at 0 where it passes 1.
    pub(super) fn arc(a: f64) -> Self {
        let a = a.rem_euclid(1.0);
        if a <= 0.5 { Law(vec![(a, a + 0.5)]) } else { Law(vec![(0.0, a - 0.5), (a, 1.0)]) }
    }

    /// The mass in (low, high).
    pub(super) fn mass(&self, low: f64, high: f64) -> f64 {
        DENSITY * self.0.iter().map(|&(a, b)| (b.min(high) - a.max(low)).max(0.0)).sum::<f64>()
    }

    /// n atoms of mass 1/n in the middle of as many equal parts, n even.
    pub(super) fn atoms(&self, n: usize) -> Vec<f64> {
        let step = 0.5 / n as f64;
        let at = |k: usize| {
            let mut s = (k as f64 + 0.5) * step;
            for &(a, b) in &self.0 {
                if s < b - a {
                    return a + s;
                }
                s -= b - a;
            }
            self.0[self.0.len() - 1].1
        };
        (0..n).map(at).collect()
    }

    /// ∬ g″(x − y) μ(dx) ν(dy) for an even g: each pair of intervals (a, c), (b, d) gives g(c−b) − g(a−b) − g(c−d) + g(a−d).
    fn double(&self, other: &Law, g: impl Fn(f64) -> f64) -> f64 {
        let mut sum = 0.0;
        for &(a, c) in &self.0 {
            for &(b, d) in &other.0 {
                sum += g(c - b) - g(a - b) - g(c - d) + g(a - d);
            }
        }
        DENSITY * DENSITY * sum
    }

    /// ⟨e^{2πikx}|μ⟩.
    pub(super) fn bracket(&self, k: u32) -> [f64; 2] {
        let w = 2.0 * PI * f64::from(k);
        let sum = |f: &dyn Fn(f64) -> f64| self.0.iter().map(|&(a, b)| f(b) - f(a)).sum::<f64>();
        [DENSITY / w * sum(&|x| (w * x).sin()), -DENSITY / w * sum(&|x| (w * x).cos())]
    }
}

/// max |μ(A) − ν(A)| = 1 − (common mass).
pub(super) fn total_variation(mu: &Law, nu: &Law) -> f64 {
    1.0 - mu.0.iter().map(|&(a, b)| nu.mass(a, b)).sum::<f64>()
}

/// 2E|X − Y| − E|X − X′| − E|Y − Y′|.
pub(super) fn energy(mu: &Law, nu: &Law) -> f64 {
    squared(mu, nu, |z| -z.abs().powi(3) / 6.0)
}

/// MMD² of the kernel e^{−z²/(2h²)}.
pub(super) fn gaussian_mmd(mu: &Law, nu: &Law, h: f64) -> f64 {
    // The second antiderivative of the kernel that is even.
    squared(mu, nu, |z| {
        h * h * (-0.5 * (z / h).powi(2)).exp() + z * h * (0.5 * PI).sqrt() * erf(z / (h * SQRT_2))
    })
}

fn squared(mu: &Law, nu: &Law, g: impl Fn(f64) -> f64 + Copy) -> f64 {
    mu.double(mu, g) + nu.double(nu, g) - 2.0 * mu.double(nu, g)
}

/// D₂² of eq. (3) over e^{2πikx}, k = 1, …, K, with τ uniform.
pub(super) fn mean_squared(mu: &Law, nu: &Law, frequencies: u32) -> f64 {
    let term = |k| {
        let (p, q) = (mu.bracket(k), nu.bracket(k));
        (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2)
    };
    (1..=frequencies).map(term).sum::<f64>() / f64::from(frequencies)
}

/// W_p^p between μ_a, a ∈ [0, ½], and the target of footnote 3: one half of the mass moves by a, the other by ½ − a.
pub(super) fn transport(a: f64, p: i32) -> f64 {
    0.5 * (a.powi(p) + (0.5 - a).powi(p))
}

/// A divergence over a.
pub(super) struct Landscape {
    pub(super) name: String,
    /// Where its largest value over a should be, if anywhere alone.
    pub(super) largest_at: Option<f64>,
    /// Where its smallest value should be.
    pub(super) smallest_at: Option<f64>,
    pub(super) value: Box<dyn Fn(f64) -> f64>,
}

impl Landscape {
    fn new(
        name: impl Into<String>,
        largest_at: Option<f64>,
        smallest_at: Option<f64>,
        value: impl Fn(f64) -> f64 + 'static,
    ) -> Self {
        Landscape { name: name.into(), largest_at, smallest_at, value: Box::new(value) }
    }
}

/// The landscapes a ↦ D(μ_a, μ₁) on [0, ½]: all symmetric about ¼.
pub(super) fn all(bandwidths: &[f64], frequencies: u32) -> Vec<Landscape> {
    let middle = Some(0.25);
    let mut all = vec![
        Landscape::new("total variation", middle, None, |a| total_variation(&Law::arc(a), &Law::target())),
        Landscape::new("Jensen–Shannon", middle, None, |a| {
            2f64.ln() * total_variation(&Law::arc(a), &Law::target())
        }),
    ];
    for &h in bandwidths {
        all.push(Landscape::new(
            format!("MMD², Gaussian, h = {}", crate::figure::number(h, 3)),
            middle,
            None,
            move |a| gaussian_mmd(&Law::arc(a), &Law::target(), h),
        ));
    }
    all.push(Landscape::new(format!("D₂², {frequencies} frequencies"), middle, None, move |a| {
        mean_squared(&Law::arc(a), &Law::target(), frequencies)
    }));
    all.push(Landscape::new("energy distance", None, middle, |a| energy(&Law::arc(a), &Law::target())));
    all.push(Landscape::new("W₁", None, None, |a| transport(a, 1)));
    all.push(Landscape::new("W₂²", None, middle, |a| transport(a, 2)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_have_mass_one_and_equal_laws_no_distance() {
        for a in [0.0, 0.1, 0.25, 0.5, 0.6, 0.75, 0.9] {
            let law = Law::arc(a);
            assert!((law.mass(0.0, 1.0) - 1.0).abs() < 1e-15);
            assert!(energy(&law, &law).abs() < 1e-15 && total_variation(&law, &law).abs() < 1e-15);
        }
        // On the circle the target is one of the arcs.
        assert!(total_variation(&Law::arc(0.75), &Law::target()).abs() < 1e-15);
        assert!(gaussian_mmd(&Law::arc(0.75), &Law::target(), 0.1).abs() < 1e-14);
    }

    #[test]
    fn the_closed_forms_of_the_footnote() {
        for a in [0.0, 0.07, 0.25, 0.4, 0.5] {
            let tv = total_variation(&Law::arc(a), &Law::target());
            assert!((tv - (1.0 - 2.0 * (a - 0.25f64).abs())).abs() < 1e-14);
            // 2 ∫ (F − G)² by a fine sum.
            let n = 200_000;
            let (mu, nu, target) = (Law::arc(a), Law::target(), 1.0 / f64::from(n));
            let term = |k: i32| {
                let x = (f64::from(k) + 0.5) * target;
                (mu.mass(0.0, x) - nu.mass(0.0, x)).powi(2)
            };
            let sum = 2.0 * target * (0..n).map(term).sum::<f64>();
            assert!((energy(&mu, &nu) - sum).abs() < 1e-9);
        }
    }
}
