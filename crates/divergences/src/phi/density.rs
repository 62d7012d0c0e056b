//! φ-divergences of two densities that can be sampled, by Monte Carlo.

use super::{Order, Phi, sigmoid, softplus};
use measures::rand::Rng;
use measures::{Density, Error, Estimate, Result, Sample, check_dim};
use std::f64::consts::LN_2;

/// D_φ(p|q) = E_m\[2 φ(r)/(1 + r)\], r = p/q, m = (p + q)/2, by Monte Carlo with `n` draws from each of p and q.
///
/// Sampling the mixture sees the tails of both, so that each term is as bounded as φ allows: between 0 and
/// 2 max(φ(0), φ′(∞)). The estimate is unbiased and never negative; its interval is one for D_φ itself. Its variance is
/// finite for total variation, Hellinger, Jensen–Shannon and α in (0, 1) always, for KL and reverse KL when
/// log²(p/q) is integrable, and for χ² and α > 1 only when p³/q² (p^{2α−1}/q^{2α−2}) is: in heavy tails do not trust the
/// interval.
///
/// # Errors
/// The measures live in different dimensions, `n` is less than two, or a log-density is NaN or +∞, or −∞ at a draw of
/// its own law.
pub fn between_densities<P, Q>(phi: Phi, p: &P, q: &Q, n: usize, rng: &mut dyn Rng) -> Result<Estimate>
where
    P: Sample + Density + ?Sized,
    Q: Sample + Density + ?Sized,
{
    check_dim("second density", p.dim(), q.dim())?;
    if n < 2 {
        return Err(Error::TooFew { what: "draws n", at_least: 2, got: n });
    }
    let (x, y) = (p.sample(n, rng), q.sample(n, rng));
    let terms = |at: &measures::Points, own_is_p: bool| -> Result<Vec<f64>> {
        let (a, b) = (p.log_density(at)?, q.log_density(at)?);
        for (what, values, own) in [("log p", &a, own_is_p), ("log q", &b, !own_is_p)] {
            let bad = |v: &f64| v.is_nan() || *v == f64::INFINITY || (own && *v == f64::NEG_INFINITY);
            if let Some(index) = values.iter().position(bad) {
                let must = "finite at draws of its own law, and below +∞ at the other's";
                return Err(Error::Entry { what, index, value: values[index], must });
            }
        }
        Ok(a.iter().zip(&b).map(|(a, b)| phi.balanced(a - b)).collect())
    };
    let halves = [terms(&x, true)?, terms(&y, false)?];
    if halves.iter().flatten().any(|t| !t.is_finite()) {
        // An infinite price was met with positive probability: the divergence is infinite.
        return Ok(Estimate::new(f64::INFINITY, 0.0, 2 * n));
    }
    let [a, b] = [Estimate::of_mean(&halves[0])?, Estimate::of_mean(&halves[1])?];
    Ok(Estimate::new(0.5 * (a.value + b.value), 0.5 * a.standard_error.hypot(b.standard_error), 2 * n))
}

impl Phi {
    /// 2 φ(r)/(1 + r) at log r.
    fn balanced(self, log_ratio: f64) -> f64 {
        let l = log_ratio;
        if l == f64::INFINITY {
            return 2.0 * self.recession();
        }
        if l == f64::NEG_INFINITY {
            return 2.0 * self.at_zero();
        }
        let value = match self {
            Phi::Kl => 2.0 * (l * sigmoid(l) - (0.5 * l).tanh()),
            Phi::ReverseKl => 2.0 * ((0.5 * l).tanh() - l * sigmoid(-l)),
            Phi::JensenShannon => LN_2 + l * sigmoid(l) - softplus(l),
            Phi::ChiSquared => 2.0 * l.exp_m1() * (0.5 * l).tanh(),
            Phi::SquaredHellinger => 1.0 - 1.0 / (0.5 * l).cosh(),
            Phi::TotalVariation => (0.5 * l.abs()).tanh(),
            Phi::Alpha(Order(a)) => {
                let power = (a * l - softplus(l)).exp();
                2.0 * (power - a * sigmoid(l) + (a - 1.0) * sigmoid(-l)) / (a * (a - 1.0))
            }
        };
        value.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::between_gaussians;
    use super::super::tests::all;
    use super::*;
    use measures::{Measure, Points, Seed, zoo::Gaussian};

    #[test]
    fn the_balanced_generator() {
        for phi in all() {
            for t in [1e-3, 0.4, 1.0, 1.7, 60.0f64] {
                let expected = 2.0 * phi.value(t) / (1.0 + t);
                // The plain formula loses digits as α nears 0 and 1; the Monte Carlo error is far above that.
                assert!((phi.balanced(t.ln()) - expected).abs() < 1e-7 * (1.0 + expected), "{phi:?} {t}");
            }
        }
    }

    #[test]
    fn closed_forms_of_gaussians_lie_in_the_interval() {
        let p = Gaussian::diagonal(&[0.0, 0.3], &[1.0, 0.8]).unwrap();
        let q = Gaussian::diagonal(&[0.4, 0.0], &[1.1, 1.0]).unwrap();
        for (i, phi) in all().into_iter().enumerate() {
            let Ok(exact) = between_gaussians(phi, &p, &q) else { continue };
            let found = between_densities(phi, &p, &q, 40_000, &mut Seed::new(3).stream(i as u64)).unwrap();
            assert!((found.value - exact).abs() < 5.0 * found.standard_error, "{phi:?} {found:?} {exact}");
        }
    }

    /// The uniform law on [0, a].
    struct Uniform(f64);

    impl Measure for Uniform {
        fn dim(&self) -> usize {
            1
        }
    }

    impl Sample for Uniform {
        fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
            use measures::rand::RngExt;
            Points::from_line((0..n).map(|_| self.0 * rng.random::<f64>()).collect())
        }
    }

    impl Density for Uniform {
        fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
            Ok(x.rows().map(|r| if r[0] <= self.0 { -self.0.ln() } else { f64::NEG_INFINITY }).collect())
        }
    }

    #[test]
    fn supports_that_differ() {
        let found = |phi, p, q| {
            between_densities(phi, &Uniform(p), &Uniform(q), 20_000, &mut Seed::new(1).rng()).unwrap()
        };
        let tv = found(Phi::TotalVariation, 1.0, 2.0);
        assert!((tv.value - 0.5).abs() < 5.0 * tv.standard_error);
        let kl = found(Phi::Kl, 1.0, 2.0);
        assert!((kl.value - LN_2).abs() < 5.0 * kl.standard_error);
        assert_eq!(found(Phi::Kl, 2.0, 1.0).value, f64::INFINITY);
        assert!(
            between_densities(Phi::Kl, &Uniform(1.0), &Uniform(1.0), 1, &mut Seed::new(1).rng()).is_err()
        );
        assert!(
            between_densities(Phi::Kl, &Uniform(1.0), &Gaussian::standard(2), 5, &mut Seed::new(1).rng())
                .is_err()
        );
    }
}
