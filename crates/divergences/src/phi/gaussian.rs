//! φ-divergences of two Gaussians in closed form.

use super::{Order, Phi};
use measures::nalgebra::DVector;
use measures::{Error, Measure, Result, check_dim, zoo::Gaussian};
use statrs::function::erf::erf;
use std::f64::consts::SQRT_2;

/// D_φ(p|q) of p = N(m, Σ) and q = N(m′, Σ′), from the eigenvalues λ of Σ in the metric of Σ′ and the difference δ of
/// the means in that frame, where q is N(0, I) and p is N(δ, diag λ):
///
/// - KL = ½ Σ (λᵢ − 1 − log λᵢ + δᵢ²), and the same with the arguments exchanged for reverse KL;
/// - ∫ p^α q^{1−α} = Π λᵢ^{(1−α)/2} sᵢ^{−½} exp(−½ α(1−α) Σ δᵢ²/sᵢ), sᵢ = (1−α)λᵢ + α, for Hellinger, χ² and α; infinite
///   when some sᵢ ≤ 0 (Gil, Alajaji, Linder 2013, doi:10.1016/j.ins.2013.06.018);
/// - total variation = erf(‖δ‖/√8) for equal covariances, and on the line in general.
///
/// # Errors
/// The dimensions differ; there is no closed form (Jensen–Shannon, and total variation for unequal covariances off the
/// line): see [`between_densities`](super::between_densities).
///
/// ```
/// use divergences::phi::{Phi, between_gaussians};
/// use measures::zoo::Gaussian;
/// let (p, q) = (Gaussian::standard(3), Gaussian::isotropic(&[1.0, 0.0, 0.0], 1.0)?);
/// assert!((between_gaussians(Phi::Kl, &p, &q)? - 0.5).abs() < 1e-15);
/// # Ok::<(), measures::Error>(())
/// ```
pub fn between_gaussians(phi: Phi, p: &Gaussian, q: &Gaussian) -> Result<f64> {
    check_dim("second Gaussian", p.dim(), q.dim())?;
    match phi {
        Phi::ReverseKl => between_gaussians(Phi::Kl, q, p),
        Phi::Kl => {
            let terms = frame(p, q)?;
            let sum: f64 = terms.iter().map(|t| t.excess - t.excess.ln_1p() + t.shift * t.shift).sum();
            Ok((0.5 * sum).max(0.0))
        }
        Phi::SquaredHellinger => Ok(-log_affinity(p, q, 0.5)?.exp_m1()),
        Phi::ChiSquared => Ok(log_affinity(p, q, 2.0)?.exp_m1()),
        Phi::Alpha(Order(a)) => {
            let log = log_affinity(p, q, a)?;
            Ok((log.exp_m1() / (a * (a - 1.0))).max(0.0))
        }
        Phi::TotalVariation => total_variation(p, q),
        Phi::JensenShannon => Err(Error::Undefined {
            what: "a closed form of the Jensen–Shannon divergence of two Gaussians",
            why: "a mixture of them has no closed entropy; use between_densities",
        }),
    }
}

/// One coordinate of the frame in which q is standard: λ − 1 and δ.
struct Term {
    excess: f64,
    shift: f64,
}

fn frame(p: &Gaussian, q: &Gaussian) -> Result<Vec<Term>> {
    let l = q.factor();
    let singular = Error::Singular { what: "covariance" };
    // L⁻¹(Σ − Σ′)L⁻ᵀ: its eigenvalues are λ − 1 without cancellation when the two are close.
    let gap = p.covariance() - q.covariance();
    let half = l.solve_lower_triangular(&gap).ok_or(singular.clone())?;
    let whole = l.solve_lower_triangular(&half.transpose()).ok_or(singular.clone())?;
    let eigen = ((&whole + whole.transpose()) * 0.5).symmetric_eigen();
    let shift = DVector::from_fn(p.dim(), |k, _| p.mean()[k] - q.mean()[k]);
    let shift = eigen.eigenvectors.transpose() * l.solve_lower_triangular(&shift).ok_or(singular)?;
    let terms = eigen.eigenvalues.iter().zip(shift.iter());
    Ok(terms.map(|(&excess, &shift)| Term { excess: excess.max(f64::EPSILON - 1.0), shift }).collect())
}

/// log ∫ p^α q^{1−α}, +∞ where the integral diverges.
fn log_affinity(p: &Gaussian, q: &Gaussian, a: f64) -> Result<f64> {
    let mut log = 0.0;
    for Term { excess, shift } in frame(p, q)? {
        let spread = (1.0 - a) * excess; // s − 1
        if spread <= -1.0 {
            return Ok(f64::INFINITY);
        }
        log += 0.5 * (1.0 - a) * excess.ln_1p() - 0.5 * spread.ln_1p();
        log -= 0.5 * a * (1.0 - a) * shift * shift / (1.0 + spread);
    }
    Ok(log)
}

fn total_variation(p: &Gaussian, q: &Gaussian) -> Result<f64> {
    let terms = frame(p, q)?;
    if terms.iter().all(|t| t.excess.abs() <= 1e-14) {
        let shift = terms.iter().map(|t| t.shift * t.shift).sum::<f64>().sqrt();
        return Ok(erf(shift / (2.0 * SQRT_2)));
    }
    if let [Term { excess, shift }] = terms[..] {
        if shift.abs() > 1e100 {
            // Squares overflow, and no mass is common.
            return Ok(1.0);
        }
        // log(p/q) = ½x² − ½(x − δ)²/λ − ½ log λ changes sign at the roots of (λ−1)x² + 2δx − δ² − λ log λ.
        let lambda = 1.0 + excess;
        let c = -(shift * shift + lambda * excess.ln_1p());
        let root = (shift * shift - excess * c).sqrt();
        // Both roots without cancellation.
        let b = if shift >= 0.0 { shift + root } else { shift - root };
        let (x, y) = (-b / excess, -c / b);
        let mass = |mean: f64, sd: f64| {
            let cdf = |at: f64| 0.5 * erf((at - mean) / (sd * SQRT_2));
            (cdf(y) - cdf(x)).abs()
        };
        return Ok((mass(0.0, 1.0) - mass(shift, lambda.sqrt())).abs());
    }
    Err(Error::Undefined {
        what: "a closed form of the total variation of two Gaussians",
        why: "their covariances differ off the line; use between_densities",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::nalgebra::DMatrix;
    use measures::{Density, Points};

    /// Simpson's rule on [−25, 25].
    fn by_quadrature(phi: Phi, p: &Gaussian, q: &Gaussian) -> f64 {
        let n = 60_000;
        let h = 50.0 / f64::from(n);
        let x = Points::from_line((0..=n).map(|k| -25.0 + h * f64::from(k)).collect());
        let (a, b) = (p.log_density(&x).unwrap(), q.log_density(&x).unwrap());
        let weight =
            |k: usize| if k == 0 || k == n as usize { 1.0 } else { f64::from(2 + 2 * (k as u32 % 2)) };
        (0..a.len()).map(|k| weight(k) * phi.perspective(a[k].exp(), b[k].exp())).sum::<f64>() * h / 3.0
    }

    #[test]
    fn quadrature_on_the_line() {
        let law = |m: f64, s: f64| Gaussian::isotropic(&[m], s).unwrap();
        for (p, q) in [
            (law(0.0, 1.0), law(0.7, 1.3)),
            (law(0.7, 1.3), law(0.0, 1.0)),
            (law(-0.5, 0.9), law(0.2, 0.9)),
            (law(0.0, 1.2), law(0.0, 1.0)),
        ] {
            for phi in super::super::tests::all() {
                let Ok(closed) = between_gaussians(phi, &p, &q) else {
                    assert_eq!(phi, Phi::JensenShannon);
                    continue;
                };
                if closed.is_infinite() {
                    continue;
                }
                let expected = by_quadrature(phi, &p, &q);
                assert!((closed - expected).abs() < 1e-7 * (1.0 + expected), "{phi:?} {closed} {expected}");
            }
        }
        // χ² is infinite when q's tails are too thin.
        assert_eq!(
            between_gaussians(Phi::ChiSquared, &law(0.0, 1.5), &law(0.0, 1.0)).unwrap(),
            f64::INFINITY
        );
    }

    #[test]
    fn correlated_covariances() {
        let s = DMatrix::from_row_slice(2, 2, &[2.0, 0.6, 0.6, 1.0]);
        let t = DMatrix::from_row_slice(2, 2, &[1.0, -0.3, -0.3, 1.5]);
        let p = Gaussian::new(vec![0.5, -1.0], s.clone()).unwrap();
        let q = Gaussian::new(vec![0.0, 0.2], t.clone()).unwrap();
        let shift = DVector::from_vec(vec![0.5, -1.2]);
        let inverse = t.clone().try_inverse().unwrap();
        let kl = 0.5
            * ((&inverse * &s).trace() - 2.0
                + (shift.transpose() * &inverse * &shift)[0]
                + (t.determinant() / s.determinant()).ln());
        assert!((between_gaussians(Phi::Kl, &p, &q).unwrap() - kl).abs() < 1e-14);
        let middle = (&s + &t) * 0.5;
        let bc = (s.determinant() * t.determinant()).powf(0.25) / middle.determinant().sqrt()
            * (-0.125 * (shift.transpose() * middle.try_inverse().unwrap() * &shift)[0]).exp();
        let hellinger = between_gaussians(Phi::SquaredHellinger, &p, &q).unwrap();
        assert!((hellinger - (1.0 - bc)).abs() < 1e-14);
        assert!(between_gaussians(Phi::TotalVariation, &p, &q).is_err());
        for phi in [Phi::Kl, Phi::ChiSquared, Phi::SquaredHellinger, Phi::TotalVariation] {
            assert_eq!(between_gaussians(phi, &p, &p).unwrap(), 0.0);
        }
    }

    #[test]
    fn close_gaussians_keep_their_digits() {
        // KL(N(0, 1 + ε) | N(0, 1)) = ε²/4 − ε³/6 + …
        let e = 1e-6;
        let p = Gaussian::new(vec![0.0], DMatrix::from_element(1, 1, 1.0 + e)).unwrap();
        let kl = between_gaussians(Phi::Kl, &p, &Gaussian::standard(1)).unwrap();
        assert!((kl / (0.25 * e * e) - 1.0).abs() < 1e-5, "{kl:e}");
    }
}
