//! φ-divergences: closed forms, estimators from samples, and their duals.
//!
//! For a convex φ on \[0, ∞) with φ(1) = 0 and φ′(1) = 0,
//!
//! ```text
//! D_φ(μ|ν) = ∫ φ(dμ/dν) dν + φ′(∞) μ^⊥(𝒳)
//!          = sup { ⟨f|μ⟩ − ⟨φ*∘f|ν⟩ : f in the domain of φ* },
//! ```
//!
//! μ^⊥ the part of μ that is singular to ν and φ′(∞) = lim φ(t)/t: the generalised D∞(·; J) of section 2 over the pairs
//! J = {(f, φ*∘f)} (Csiszár 1967; Nguyen, Wainwright, Jordan 2010, doi:10.1109/TIT.2010.2068870; Polyanskiy & Wu,
//! *Information Theory*, theorem 7.24).
//!
//! | | φ(t) | φ*(s) | φ′(∞) | value |
//! |---|---|---|---|---|
//! | [`Phi::Kl`] | t log t − t + 1 | eˢ − 1 | ∞ | ∫ log(dμ/dν) dμ |
//! | [`Phi::ReverseKl`] | −log t + t − 1 | −log(1 − s) | 1 | ∫ log(dν/dμ) dν |
//! | [`Phi::JensenShannon`] | ½ (t log t − (1+t) log((1+t)/2)) | −½ log(2 − e²ˢ) | ½ log 2 | ½ KL(μ\|m) + ½ KL(ν\|m), m = (μ+ν)/2 |
//! | [`Phi::ChiSquared`] | (t − 1)² | s + s²/4, −1 below −2 | ∞ | ∫ (dμ/dν − 1)² dν |
//! | [`Phi::SquaredHellinger`] | ½ (√t − 1)² | s/(1 − 2s) | ½ | 1 − ∫ √(μν) |
//! | [`Phi::TotalVariation`] | ½ \|t − 1\| | max(s, −½) | ½ | max_A \|μ(A) − ν(A)\| |
//! | [`Phi::alpha`] | (t^α − αt + α − 1)/(α(α − 1)) | ((1 + (α−1)s)^{α/(α−1)} − 1)/α | 1/(1−α) or ∞ | (∫ μ^α ν^{1−α} − 1)/(α(α − 1)) |
//!
//! Logarithms are natural: values in nats where they are informations.

mod density;
mod discrete;
mod dual;
mod gaussian;
mod nearest;

pub use density::between_densities;
pub use discrete::PhiDivergence;
pub use dual::{Critic, DualOptimum, DualPhi, Status};
pub use gaussian::between_gaussians;
pub use nearest::{entropy_from_sample, from_samples, relative_entropy_gradient};

use measures::{Error, Result};
use std::f64::consts::LN_2;

/// A φ-divergence, by its generator φ.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Phi {
    /// Kullback–Leibler, KL(μ|ν) = ∫ log(dμ/dν) dμ.
    Kl,
    /// Kullback–Leibler with its arguments exchanged, KL(ν|μ).
    ReverseKl,
    /// Jensen–Shannon, in \[0, log 2\].
    JensenShannon,
    /// Pearson's χ².
    ChiSquared,
    /// Squared Hellinger distance with the factor ½, in \[0, 1\].
    SquaredHellinger,
    /// Total variation with the factor ½, in \[0, 1\].
    TotalVariation,
    /// The α-divergence; made by [`Phi::alpha`].
    Alpha(Order),
}

/// The order α of an α-divergence: finite, neither 0 nor 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order(f64);

impl Order {
    /// α.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Phi {
    /// The α-divergence (∫ μ^α ν^{1−α} − 1)/(α(α − 1)): KL at α = 1, reverse KL at 0, 4 × squared Hellinger at ½,
    /// χ²/2 at 2.
    ///
    /// # Errors
    /// α is not finite.
    pub fn alpha(alpha: f64) -> Result<Self> {
        if !alpha.is_finite() {
            return Err(Error::Parameter { what: "alpha", value: alpha, must: "finite" });
        }
        Ok(match alpha {
            0.0 => Phi::ReverseKl,
            1.0 => Phi::Kl,
            _ => Phi::Alpha(Order(alpha)),
        })
    }

    /// φ(0), which may be +∞: the price of a ν-atom that μ misses.
    pub fn at_zero(self) -> f64 {
        match self {
            Phi::Kl | Phi::ChiSquared => 1.0,
            Phi::ReverseKl => f64::INFINITY,
            Phi::JensenShannon => 0.5 * LN_2,
            Phi::SquaredHellinger | Phi::TotalVariation => 0.5,
            Phi::Alpha(Order(a)) => {
                if a > 0.0 {
                    1.0 / a
                } else {
                    f64::INFINITY
                }
            }
        }
    }

    /// φ′(∞) = lim φ(t)/t, which may be +∞: the price of mass of μ where ν has none, and the end of the domain of φ*.
    pub fn recession(self) -> f64 {
        match self {
            Phi::Kl | Phi::ChiSquared => f64::INFINITY,
            Phi::ReverseKl => 1.0,
            Phi::JensenShannon => 0.5 * LN_2,
            Phi::SquaredHellinger | Phi::TotalVariation => 0.5,
            Phi::Alpha(Order(a)) => {
                if a < 1.0 {
                    1.0 / (1.0 - a)
                } else {
                    f64::INFINITY
                }
            }
        }
    }

    /// φ(t) for t ≥ 0.
    pub fn value(self, t: f64) -> f64 {
        self.perspective(t, 1.0)
    }

    /// φ′(t) for t > 0; 0 at the kink of total variation.
    pub fn slope(self, t: f64) -> f64 {
        self.slope_at(t, 1.0)
    }

    /// The perspective q φ(p/q) of two masses, with its limits at p = 0 and q = 0: one term of a discrete divergence.
    ///
    /// +∞ for a negative mass, outside the domain of φ.
    pub fn perspective(self, p: f64, q: f64) -> f64 {
        if p < 0.0 || q < 0.0 {
            return f64::INFINITY;
        }
        if q == 0.0 {
            return if p == 0.0 { 0.0 } else { p * self.recession() };
        }
        if p == 0.0 {
            return q * self.at_zero();
        }
        match self {
            Phi::Kl => p * (p.ln() - q.ln()) - (p - q),
            Phi::ReverseKl => Phi::Kl.perspective(q, p),
            Phi::JensenShannon => {
                let m = 0.5 * (p + q);
                0.5 * (p * (p / m).ln() + q * (q / m).ln())
            }
            Phi::ChiSquared => (p - q) * ((p - q) / q),
            Phi::SquaredHellinger => 0.5 * (p.sqrt() - q.sqrt()).powi(2),
            Phi::TotalVariation => 0.5 * (p - q).abs(),
            Phi::Alpha(Order(a)) => {
                let log_ratio = p.ln() - q.ln();
                // Two forms of one number, each without cancellation at one of the limits α → 0 and α → 1.
                if a < 0.5 {
                    (q * (a * log_ratio).exp_m1() / a - (p - q)) / (a - 1.0)
                } else {
                    (p * ((a - 1.0) * log_ratio).exp_m1() / (a - 1.0) - (p - q)) / a
                }
            }
        }
    }

    /// φ′(p/q), with its limits φ′(0) and φ′(∞): the first variation of a discrete divergence.
    pub(crate) fn slope_at(self, p: f64, q: f64) -> f64 {
        if q == 0.0 {
            return self.recession();
        }
        let log_ratio = p.ln() - q.ln();
        match self {
            Phi::Kl => log_ratio,
            Phi::ReverseKl => -(-log_ratio).exp_m1(),
            Phi::JensenShannon => 0.5 * (LN_2 - softplus(-log_ratio)),
            Phi::ChiSquared => 2.0 * ((p - q) / q),
            Phi::SquaredHellinger => -0.5 * (-0.5 * log_ratio).exp_m1(),
            Phi::TotalVariation => {
                if p == q {
                    0.0
                } else {
                    0.5 * (p - q).signum()
                }
            }
            Phi::Alpha(Order(a)) => ((a - 1.0) * log_ratio).exp_m1() / (a - 1.0),
        }
    }

    /// φ*(s) = sup { st − φ(t) : t ≥ 0 }: +∞ beyond φ′(∞).
    pub fn conjugate(self, s: f64) -> f64 {
        if s > self.recession() {
            return f64::INFINITY;
        }
        match self {
            Phi::Kl => s.exp_m1(),
            Phi::ReverseKl => -(-s).ln_1p(),
            Phi::JensenShannon => -0.5 * (-(2.0 * s).exp_m1()).ln_1p(),
            Phi::ChiSquared => {
                if s < -2.0 {
                    -1.0
                } else {
                    s + 0.25 * s * s
                }
            }
            Phi::SquaredHellinger => {
                if s == f64::NEG_INFINITY {
                    -0.5
                } else {
                    s / (1.0 - 2.0 * s)
                }
            }
            Phi::TotalVariation => s.max(-0.5),
            Phi::Alpha(Order(a)) => {
                if (a - 1.0) * s <= -1.0 {
                    // Beyond the slope at zero when α > 1, at the end of the domain when α < 1.
                    return if a > 1.0 { -1.0 / a } else { self.at_domain_end() };
                }
                (a / (a - 1.0) * ((a - 1.0) * s).ln_1p()).exp_m1() / a
            }
        }
    }

    /// φ*(φ′(∞)) for α < 1: lim (t^α − 1)/α.
    fn at_domain_end(self) -> f64 {
        match self {
            Phi::Alpha(Order(a)) if a < 0.0 => -1.0 / a,
            _ => f64::INFINITY,
        }
    }

    /// φ*′(s), the ratio t at which φ′(t) = s: what a critic says the ratio dμ/dν is. At the kink of total variation
    /// the larger of the slopes, 1.
    pub fn conjugate_slope(self, s: f64) -> f64 {
        match self {
            Phi::Kl => s.exp(),
            Phi::ReverseKl => 1.0 / (1.0 - s),
            Phi::JensenShannon => {
                let e = (2.0 * s).exp();
                e / (1.0 - (2.0 * s).exp_m1())
            }
            Phi::ChiSquared => (1.0 + 0.5 * s).max(0.0),
            Phi::SquaredHellinger => (1.0 - 2.0 * s).powi(-2),
            Phi::TotalVariation => f64::from(u8::from(s >= -0.5)),
            Phi::Alpha(Order(a)) => {
                let base = (a - 1.0) * s;
                if base <= -1.0 {
                    if a > 1.0 { 0.0 } else { f64::INFINITY }
                } else {
                    (base.ln_1p() / (a - 1.0)).exp()
                }
            }
        }
    }

    /// φ*″(s); zero for total variation.
    pub fn conjugate_curvature(self, s: f64) -> f64 {
        match self {
            Phi::Kl => s.exp(),
            Phi::ReverseKl => (1.0 - s).powi(-2),
            Phi::JensenShannon => {
                let rest = 1.0 - (2.0 * s).exp_m1();
                4.0 * (2.0 * s).exp() / (rest * rest)
            }
            Phi::ChiSquared => {
                if s < -2.0 {
                    0.0
                } else {
                    0.5
                }
            }
            Phi::SquaredHellinger => 4.0 * (1.0 - 2.0 * s).powi(-3),
            Phi::TotalVariation => 0.0,
            Phi::Alpha(Order(a)) => {
                let base = (a - 1.0) * s;
                if base <= -1.0 { 0.0 } else { (base.ln_1p() * (2.0 - a) / (a - 1.0)).exp() }
            }
        }
    }
}

/// log(1 + eˣ).
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// 1/(1 + e⁻ˣ).
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn all() -> Vec<Phi> {
        let mut phis = vec![
            Phi::Kl,
            Phi::ReverseKl,
            Phi::JensenShannon,
            Phi::ChiSquared,
            Phi::SquaredHellinger,
            Phi::TotalVariation,
        ];
        phis.extend([-1.0, -1e-7, 0.3, 0.5, 1.0 + 1e-7, 1.5, 2.0, 3.0].map(|a| Phi::alpha(a).unwrap()));
        phis
    }

    #[test]
    fn generators_are_normalised_and_convex() {
        for phi in all() {
            assert_eq!(phi.value(1.0), 0.0, "{phi:?}");
            assert_eq!(phi.slope(1.0), 0.0, "{phi:?}");
            let ts: Vec<f64> = (1..200).map(|k| 0.05 * f64::from(k)).collect();
            for w in ts.windows(3) {
                assert!(
                    phi.value(w[1]) <= 0.5 * (phi.value(w[0]) + phi.value(w[2])) + 1e-14,
                    "{phi:?} at {}",
                    w[1]
                );
            }
            // The limits at both ends.
            if phi.at_zero().is_finite() {
                assert!((phi.value(1e-40) - phi.at_zero()).abs() < 1e-10, "{phi:?}");
            } else {
                assert!(phi.value(1e-14) > 30.0);
            }
            if phi.recession().is_finite() {
                assert!((phi.value(1e40) / 1e40 - phi.recession()).abs() < 1e-10, "{phi:?}");
            } else {
                assert!(phi.value(1e14) / 1e14 > 30.0, "{phi:?}");
            }
        }
    }

    #[test]
    fn slopes_are_derivatives() {
        for phi in all() {
            for t in [0.1, 0.7, 1.3, 5.0] {
                let h = 1e-6 * t;
                let slope = (phi.value(t + h) - phi.value(t - h)) / (2.0 * h);
                assert!((slope - phi.slope(t)).abs() < 1e-7, "{phi:?} at {t}");
            }
            for s in [-1.9, -0.4, 0.05, 0.2] {
                let h = 1e-5;
                let slope = (phi.conjugate(s + h) - phi.conjugate(s - h)) / (2.0 * h);
                assert!((slope - phi.conjugate_slope(s)).abs() < 1e-7, "{phi:?} at {s}");
                let bend = (phi.conjugate_slope(s + h) - phi.conjugate_slope(s - h)) / (2.0 * h);
                assert!((bend - phi.conjugate_curvature(s)).abs() < 1e-6, "{phi:?} at {s}");
            }
        }
    }

    #[test]
    fn conjugates_are_suprema() {
        for phi in all() {
            for s in [-3.0, -1.0, -0.3, 0.0, 0.2, 0.3] {
                let best = (0..400_000)
                    .map(|k| f64::from(k) * 1e-4)
                    .map(|t| s * t - phi.value(t))
                    .fold(f64::NEG_INFINITY, f64::max);
                let claimed = phi.conjugate(s);
                assert!((claimed - best).abs() < 1e-6, "{phi:?} at {s}: {claimed}, {best}");
            }
            // Fenchel–Young holds with equality at s = φ′(t).
            for t in [0.2, 1.0, 2.5] {
                let s = phi.slope(t);
                assert!((phi.conjugate(s) + phi.value(t) - s * t).abs() < 1e-12, "{phi:?} at {t}");
            }
            assert_eq!(phi.conjugate(phi.recession() + 1.0), f64::INFINITY);
        }
    }

    #[test]
    fn the_orders_between() {
        let near = |a: Phi, b: Phi, factor: f64, tolerance: f64| {
            for t in [0.0, 1e-3, 0.5, 2.0, 40.0] {
                let (a, b) = (a.value(t), factor * b.value(t));
                assert!(a == b || (a - b).abs() <= tolerance * b.abs(), "{t}: {a} {b}");
            }
        };
        let alpha = |a: f64| Phi::alpha(a).unwrap();
        near(alpha(0.5), Phi::SquaredHellinger, 4.0, 1e-13);
        near(alpha(2.0), Phi::ChiSquared, 0.5, 1e-13);
        near(alpha(1.0 + 1e-10), Phi::Kl, 1.0, 1e-8);
        near(alpha(1.0), Phi::Kl, 1.0, 0.0);
        near(alpha(0.0), Phi::ReverseKl, 1.0, 0.0);
        assert!(Phi::alpha(f64::NAN).is_err());
    }
}
