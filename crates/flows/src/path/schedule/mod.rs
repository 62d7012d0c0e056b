//! Schedules: how much data and how much noise at each time.

mod cosine;
mod custom;
mod linear;
mod ornstein_uhlenbeck;
mod trigonometric;
mod variance_exploding;
mod variance_preserving;

pub use cosine::Cosine;
pub use custom::{Custom, Noised};
pub use linear::Linear;
pub use ornstein_uhlenbeck::OrnsteinUhlenbeck;
pub use trigonometric::Trigonometric;
pub use variance_exploding::VarianceExploding;
pub use variance_preserving::VariancePreserving;

use crate::error::{Error, Result};

/// The coefficients of a path x_t = α(t) x₁ + σ(t) x₀ between data x₁ and noise x₀.
///
/// The second coefficient is given by its square, because σ̇ is often infinite where σ vanishes while σσ̇ is not. Unless
/// a schedule says otherwise its clock is t: noise at t = 0, data at t = 1.
pub trait Schedule: Sync {
    /// The name, as tables print it.
    fn name(&self) -> &'static str;

    /// The time of noise and the time of data, in this order.
    fn span(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    /// α(t).
    fn alpha(&self, t: f64) -> f64;

    /// α̇(t).
    fn d_alpha(&self, t: f64) -> f64;

    /// σ²(t).
    fn variance(&self, t: f64) -> f64;

    /// dσ²/dt = 2σσ̇.
    fn d_variance(&self, t: f64) -> f64;

    /// σ(t).
    fn sigma(&self, t: f64) -> f64 {
        self.variance(t).sqrt()
    }

    /// σ̇(t).
    ///
    /// # Errors
    /// σ(t) = 0 while σσ̇ is not: there σ̇ is infinite.
    fn d_sigma(&self, t: f64) -> Result<f64> {
        let slope = 0.5 * self.d_variance(t) / self.sigma(t);
        if slope.is_finite() {
            Ok(slope)
        } else {
            Err(Error::Singular { what: "dσ/dt", t, why: "σ vanishes; stop short of it, or use σσ̇" })
        }
    }

    /// The coefficients (f, g²) of the diffusion dX = f(t) X dt + g(t) dB that noises data along this path, as functions
    /// of this clock but run from the time of data to the time of noise: f = −|dt| d log α, g² = |dσ²/dt − 2 (α̇/α) σ²|.
    ///
    /// # Errors
    /// α(t) = 0: no diffusion forgets its start in finite time.
    fn noising(&self, t: f64) -> Result<(f64, f64)> {
        let (noise, data) = self.span();
        let direction = if noise > data { 1.0 } else { -1.0 };
        let rate = self.d_alpha(t) / self.alpha(t);
        if !rate.is_finite() {
            return Err(Error::Singular { what: "dα/dt / α", t, why: "α vanishes; start beyond it" });
        }
        let square = direction * (self.d_variance(t) - 2.0 * rate * self.variance(t));
        Ok((direction * rate, square.max(0.0)))
    }

    /// log(α²/σ²), the logarithm of the signal-to-noise ratio; infinite at the ends.
    fn log_snr(&self, t: f64) -> f64 {
        2.0 * self.alpha(t).ln() - self.variance(t).ln()
    }
}

impl<S: Schedule + ?Sized> Schedule for &S {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn span(&self) -> (f64, f64) {
        (**self).span()
    }
    fn alpha(&self, t: f64) -> f64 {
        (**self).alpha(t)
    }
    fn d_alpha(&self, t: f64) -> f64 {
        (**self).d_alpha(t)
    }
    fn variance(&self, t: f64) -> f64 {
        (**self).variance(t)
    }
    fn d_variance(&self, t: f64) -> f64 {
        (**self).d_variance(t)
    }
}

/// `Ok` when t lies between the two ends of the schedule.
pub(crate) fn check_time(schedule: &(impl Schedule + ?Sized), t: f64) -> Result<()> {
    let (a, b) = schedule.span();
    let (low, high) = (a.min(b), a.max(b));
    if t >= low && t <= high { Ok(()) } else { Err(Error::Time { what: "t", t, low, high }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(Box<dyn Schedule>, f64, f64)> {
        let vp = VariancePreserving::new(0.1, 20.0).unwrap();
        vec![
            (Box::new(OrnsteinUhlenbeck), 0.05, 4.0),
            (Box::new(vp), 0.0, 0.999),
            (Box::new(VarianceExploding::new(0.01, 50.0).unwrap()), 0.0, 1.0),
            (Box::new(Linear), 0.0, 1.0),
            (Box::new(Trigonometric), 0.0, 1.0),
            (Box::new(Cosine::default()), 0.0, 0.999),
            (Box::new(Noised::new(Linear, 0.7).unwrap()), 0.0, 1.0),
            (Box::new(Custom::new((0.0, 1.0), |t| (t * t, 2.0 * t), |t| (1.0 - t, -1.0)).unwrap()), 0.0, 1.0),
        ]
    }

    #[test]
    fn derivatives_are_those_of_the_coefficients() {
        for (schedule, low, high) in all() {
            for k in 1..20 {
                let t = low + (high - low) * f64::from(k) / 20.0;
                let h = 1e-6 * t;
                let slope = |f: &dyn Fn(f64) -> f64| (f(t + h) - f(t - h)) / (2.0 * h);
                let (a, v) = (slope(&|t| schedule.alpha(t)), slope(&|t| schedule.variance(t)));
                let scale = schedule.d_variance(t).abs().max(1.0);
                assert!((a - schedule.d_alpha(t)).abs() < 1e-7, "{} at {t}", schedule.name());
                assert!((v - schedule.d_variance(t)).abs() < 1e-7 * scale, "{} at {t}", schedule.name());
                let sigma = slope(&|t| schedule.sigma(t));
                assert!(
                    (sigma - schedule.d_sigma(t).unwrap()).abs() < 1e-6 * scale,
                    "{} at {t}",
                    schedule.name()
                );
            }
        }
    }

    #[test]
    fn ends_are_noise_and_data() {
        for (schedule, ..) in all() {
            let (noise, data) = schedule.span();
            let snr = |t: f64| schedule.alpha(t) / schedule.sigma(t);
            let noise = if noise.is_finite() { noise } else { 30.0 };
            assert!(snr(noise) < 0.03 && snr(data) > 60.0, "{}", schedule.name());
        }
        assert!(check_time(&Linear, 1.1).is_err() && check_time(&OrnsteinUhlenbeck, 1.1).is_ok());
    }

    #[test]
    fn the_noising_diffusion_has_the_marginals_of_the_path() {
        // d/dτ of mean and variance in the direction of noise: ṁ = f m, V̇ = 2 f V + g².
        for (schedule, low, high) in all() {
            let (noise, data) = schedule.span();
            let sign = (noise - data).signum();
            for t in [0.3, 0.6, 0.9].map(|u| low + u * (high - low)) {
                let (f, g2) = schedule.noising(t).unwrap();
                assert!((sign * schedule.d_alpha(t) - f * schedule.alpha(t)).abs() < 1e-12);
                let growth = 2.0 * f * schedule.variance(t) + g2;
                assert!(
                    (sign * schedule.d_variance(t) - growth).abs() < 1e-9 * growth.abs().max(1.0),
                    "{}",
                    schedule.name()
                );
            }
        }
        let (f, g2) = OrnsteinUhlenbeck.noising(0.7).unwrap();
        assert!((f + 1.0).abs() < 1e-15 && (g2 - 2.0).abs() < 1e-14);
        assert!(matches!(Linear.noising(0.0), Err(Error::Singular { .. })));
        assert!(matches!(OrnsteinUhlenbeck.d_sigma(0.0), Err(Error::Singular { .. })));
    }

    #[test]
    fn bad_schedules_are_refused() {
        assert!(VariancePreserving::new(0.0, 1.0).is_err() && VariancePreserving::new(2.0, 1.0).is_err());
        assert!(VarianceExploding::new(1.0, 0.5).is_err() && Cosine::new(-0.1).is_err());
        assert!(Noised::new(Linear, -1.0).is_err());
        assert!(Custom::new((1.0, 1.0), |t| (t, 1.0), |t| (1.0 - t, -1.0)).is_err());
        // A derivative that is not one.
        assert!(Custom::new((0.0, 1.0), |t| (t * t, 1.0), |t| (1.0 - t, -1.0)).is_err());
    }
}
