//! Special functions the zoo needs: the normal distribution function in the log domain, and modified Bessel functions.

use crate::quadrature::panels;
use libm::{erf, erfc};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI, TAU};

/// log Φ(z), to about 1e-14 relative for every z.
pub(crate) fn log_ndtr(z: f64) -> f64 {
    if z > -20.0 {
        return (0.5 * erfc(-z * FRAC_1_SQRT_2)).ln();
    }
    // Φ(z) = φ(z)/|z| (1 − 1/z² + 3/z⁴ − 15/z⁶ + …); nine terms leave 1e-17 at |z| = 20.
    let square = z * z;
    if square.is_infinite() {
        return f64::NEG_INFINITY;
    }
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 0..9 {
        term *= -f64::from(2 * k + 1) / square;
        sum += term;
    }
    -0.5 * square - (-z).ln() - 0.5 * TAU.ln() + sum.ln()
}

/// log(Φ(b) − Φ(a)) for a < b, without cancellation: infinite bounds are welcome.
pub(crate) fn log_ndtr_between(a: f64, b: f64) -> f64 {
    if a > 0.0 {
        return log_ndtr_between(-b, -a);
    }
    let reach = (b - a) * b.abs().max(1.0);
    if reach < 1.0 {
        // Narrow: the quadrature of the density, with its largest value taken out.
        let top = 0.5 * a.abs().min(b.abs()).powi(2);
        let top = if b >= 0.0 { 0.0 } else { top };
        let sum: f64 = panels(a, b, 1).map(|(t, w)| w * (top - 0.5 * t * t).exp()).sum();
        return sum.ln() - top - 0.5 * TAU.ln();
    }
    if b >= 0.0 {
        return (0.5 * (erf(b * FRAC_1_SQRT_2) - erf(a * FRAC_1_SQRT_2))).ln();
    }
    let (low, high) = (log_ndtr(a), log_ndtr(b));
    high + (-(low - high).exp()).ln_1p()
}

/// log(I₀(x) e^{−x}) for x ≥ 0.
fn log_i0e(x: f64) -> f64 {
    if x < 30.0 {
        // Σ (x²/4)^k / k!²: every term is positive.
        let (quarter, mut term, mut sum, mut k) = (0.25 * x * x, 1.0, 1.0, 1.0);
        while term > 1e-17 * sum {
            term *= quarter / (k * k);
            sum += term;
            k += 1.0;
        }
        return sum.ln() - x;
    }
    // (2πx)^{−½} Σ ∏ (2j−1)² / (k! (8x)^k), summed up to its smallest term.
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..40 {
        let next = term * f64::from((2 * k - 1) * (2 * k - 1)) / (f64::from(8 * k) * x);
        if next >= term || next < 1e-17 {
            break;
        }
        term = next;
        sum += term;
    }
    sum.ln() - 0.5 * (TAU * x).ln()
}

/// log(I_{½}(x) e^{−x} √(2x/π)…) as log(sinh(x)/x · e^{−x}) = log((1 − e^{−2x})/(2x)), which is 0 − x at x = 0.
fn log_sinhc_e(x: f64) -> f64 {
    if x < 1e-4 { (x * x / 6.0).ln_1p() - x } else { (-(-2.0 * x).exp_m1()).ln() - LN_2 - x.ln() }
}

/// The ratios I_{ν+1}(x)/I_ν(x) for ν = `low`, `low` + 1, …, `low` + `count` − 1, x ≥ 0.
///
/// Downward recurrence r_{ν−1} = 1/(2ν/x + r_ν), which contracts errors by r² a step, started high enough above the orders
/// wanted from the bound of Amos (1974), DOI 10.1090/S0025-5718-1974-0333287-7, that is itself within 1/ν².
fn bessel_ratios(low: f64, count: usize, x: f64) -> Vec<f64> {
    let mut out = vec![0.0; count];
    if x == 0.0 {
        return out;
    }
    if x > 1e9 {
        // The leading terms of the asymptotic series; the next is of order ν⁴/x³ and far below rounding.
        for (k, out) in out.iter_mut().enumerate() {
            let nu = low + k as f64;
            let a = (2.0 * nu + 1.0) / (2.0 * x);
            *out = (1.0 - a + (4.0 * nu * nu - 1.0) / (8.0 * x * x)).max(0.0);
        }
        return out;
    }
    let extra = (7.0 * x.sqrt()).ceil() as usize + 30;
    let top = low + (count + extra) as f64;
    let mut ratio = x / (top + 0.5 + (top + 1.5).hypot(x));
    for k in (0..count + extra).rev() {
        // From order low + k + 1 to order low + k.
        ratio = 1.0 / (2.0 * (low + k as f64 + 1.0) / x + ratio);
        if k < count {
            out[k] = ratio;
        }
    }
    out
}

/// A_d(κ) = I_{d/2}(κ)/I_{d/2−1}(κ), the mean resultant length of the von Mises–Fisher law on the sphere of ℝᵈ, κ ≥ 0.
pub(crate) fn resultant_length(dim: usize, kappa: f64) -> f64 {
    if dim == 1 {
        return kappa.tanh();
    }
    bessel_ratios(0.5 * dim as f64 - 1.0, 1, kappa)[0]
}

/// A_d(κ)/κ, which is 1/d at κ = 0.
pub(crate) fn resultant_slope(dim: usize, kappa: f64) -> f64 {
    let d = dim as f64;
    if kappa < 1e-4 {
        1.0 / d - kappa * kappa / (d * d * (d + 2.0))
    } else {
        resultant_length(dim, kappa) / kappa
    }
}

/// log E[e^{κ⟨u,U⟩}] − κ for U uniform on the unit sphere of ℝᵈ: log(Γ(d/2) (2/κ)^{d/2−1} I_{d/2−1}(κ)) − κ, κ ≥ 0.
///
/// In the plane this is log(I₀(κ)e^{−κ}), in space log(sinh κ/κ · e^{−κ}); higher dimensions climb from there by ratios.
pub(crate) fn log_sphere_mgf(dim: usize, kappa: f64) -> f64 {
    if dim == 1 {
        return (-2.0 * kappa).exp().ln_1p() - LN_2;
    }
    if kappa == 0.0 {
        return 0.0;
    }
    let (start, mut nu) =
        if dim.is_multiple_of(2) { (log_i0e(kappa), 0.0) } else { (log_sinhc_e(kappa), 0.5) };
    let steps = (dim - 2) / 2;
    // Each step multiplies Γ(ν+1)(2/κ)^ν I_ν by (ν + 1)(2/κ) r_ν.
    bessel_ratios(nu, steps, kappa).into_iter().fold(start, |sum, ratio| {
        nu += 1.0;
        sum + (2.0 * nu / kappa * ratio).ln()
    })
}

/// log of the area of the unit sphere of ℝᵈ, 2π^{d/2}/Γ(d/2).
pub(crate) fn log_sphere_area(dim: usize) -> f64 {
    let half = 0.5 * dim as f64;
    LN_2 + half * PI.ln() - ln_gamma(half)
}

/// The standard normal quantile Φ⁻¹(u), u in (0, 1), to about 1e-15.
pub(crate) fn ndtri(u: f64) -> f64 {
    if u > 0.5 {
        // 1 − u is exact here, so the upper half is the mirror of the lower.
        return -ndtri(1.0 - u);
    }
    let start = -std::f64::consts::SQRT_2 * statrs::function::erf::erfc_inv(2.0 * u);
    // The start is good to ten digits; one step of Halley's method on Φ(z) = u brings the rest.
    let error = (0.5 * erfc(-start * FRAC_1_SQRT_2) - u) * (0.5 * start * start).exp() * TAU.sqrt();
    if error.is_finite() { start - error / (1.0 + 0.5 * start * error) } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} is not {b}");
    }

    #[test]
    fn normal_tails() {
        // mpmath: log(ncdf(z))
        near(log_ndtr(0.0), -LN_2, 1e-15);
        near(log_ndtr(-5.0), -15.064_998_393_988_727, 1e-14);
        near(log_ndtr(-19.999), -203.897_106_116_797_04, 1e-14);
        near(log_ndtr(-20.0), -203.917_155_371_097_26, 1e-15);
        near(log_ndtr(-20.5), -214.066_728_963_263_8, 1e-15);
        near(log_ndtr(-40.0), -804.608_442_013_753_8, 1e-14);
        near(log_ndtr_between(-1.0, 1.0), 0.682_689_492_137_085_9f64.ln(), 1e-15);
        near(log_ndtr_between(f64::NEG_INFINITY, 0.0), -LN_2, 1e-15);
        for (a, b) in
            [(-3.0, -2.0), (2.0, 3.0), (-30.0, -29.9), (29.0, 31.0), (0.1, 0.2), (-0.3, 0.4), (-5.0, -4.7)]
        {
            let sum: f64 =
                panels(a, b, 200).map(|(t, w)| w * (0.5 * (a * a).min(b * b) - 0.5 * t * t).exp()).sum();
            near(log_ndtr_between(a, b), sum.ln() - 0.5 * (a * a).min(b * b) - 0.5 * TAU.ln(), 1e-12);
        }
        near(ndtri(0.975), 1.959_963_984_540_054_2, 1e-15);
        near(ndtri(0.3), -0.524_400_512_708_040_8, 1e-15);
        near(ndtri(1e-10), -6.361_340_902_404_056, 1e-15);
        near(ndtri(1e-300), -37.047_096_299_361_2, 1e-15);
    }

    #[test]
    fn bessel_functions_against_their_integrals() {
        // E[e^{κ cos}] over the sphere of ℝᵈ is ∫ e^{κ t} (1 − t²)^{(d−3)/2} dt, normalised; with t = cos a it is smooth.
        for dim in [2, 3, 4, 5, 9, 20, 101] {
            for kappa in [1e-6, 0.1, 1.0, 7.0, 29.9, 30.1, 300.0, 5000.0] {
                let power = dim as f64 - 2.0;
                let rule: Vec<_> = panels(0.0, PI, 400).collect();
                let shape = |a: f64| if power == 0.0 { 1.0 } else { (power * a.sin().ln()).exp() };
                let norm: f64 = rule.iter().map(|(a, w)| w * shape(*a)).sum();
                let tilted = |f: fn(f64) -> f64| -> f64 {
                    rule.iter().map(|(a, w)| w * shape(*a) * f(*a) * (kappa * (a.cos() - 1.0)).exp()).sum()
                };
                let moment = tilted(|_| 1.0);
                near(log_sphere_mgf(dim, kappa), (moment / norm).ln(), 1e-12);
                near(resultant_length(dim, kappa), tilted(f64::cos) / moment, 1e-12);
                near(resultant_slope(dim, kappa) * kappa, tilted(f64::cos) / moment, 1e-12);
            }
        }
        near(resultant_length(3, 1e10), 1.0 - 1e-10, 1e-16);
        near(log_sphere_mgf(3, 1e12), -(2e12f64).ln(), 1e-15);
        near(log_sphere_area(2), TAU.ln(), 1e-15);
        near(log_sphere_area(3), (4.0 * PI).ln(), 1e-15);
        near(resultant_length(1, 0.3), 0.3f64.tanh(), 0.0);
    }
}
