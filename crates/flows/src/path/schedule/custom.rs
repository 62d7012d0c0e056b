//! Schedules from closures, and schedules with latent noise on top.

use super::Schedule;
use crate::error::{Error, Result};

/// A schedule from two closures that give (α, α̇) and (σ, σ̇) at a time.
pub struct Custom<A, S> {
    span: (f64, f64),
    alpha: A,
    sigma: S,
}

impl<A, S> Custom<A, S>
where
    A: Fn(f64) -> (f64, f64) + Sync,
    S: Fn(f64) -> (f64, f64) + Sync,
{
    /// The schedule of these coefficients between the time of noise and the time of data.
    ///
    /// # Errors
    /// The two times are equal or not finite; or, at one of nine times inside, a coefficient is not finite or its
    /// derivative is not the one given (within a relative 1e-3).
    pub fn new(span: (f64, f64), alpha: A, sigma: S) -> Result<Self> {
        let (noise, data) = span;
        for (what, value) in [("time of noise", noise), ("time of data", data)] {
            if !value.is_finite() {
                return Err(measures::Error::Parameter { what, value, must: "finite" }.into());
            }
        }
        if noise == data {
            return Err(Error::EmptyInterval { t: noise });
        }
        for k in 1..10 {
            let t = noise + (data - noise) * f64::from(k) / 10.0;
            let h = 1e-5 * (data - noise).abs();
            let ends = [
                ("dα/dt", alpha(t - h), alpha(t), alpha(t + h)),
                ("dσ/dt", sigma(t - h), sigma(t), sigma(t + h)),
            ];
            for (what, before, here, after) in ends {
                let slope = (after.0 - before.0) / (2.0 * h);
                if !(here.0.is_finite() && (here.1 - slope).abs() <= 1e-3 * slope.abs().max(1.0)) {
                    let must = "finite, and the derivative of its coefficient";
                    return Err(measures::Error::Parameter { what, value: here.1, must }.into());
                }
            }
        }
        Ok(Custom { span, alpha, sigma })
    }
}

impl<A, S> Schedule for Custom<A, S>
where
    A: Fn(f64) -> (f64, f64) + Sync,
    S: Fn(f64) -> (f64, f64) + Sync,
{
    fn name(&self) -> &'static str {
        "custom"
    }

    fn span(&self) -> (f64, f64) {
        self.span
    }

    fn alpha(&self, t: f64) -> f64 {
        (self.alpha)(t).0
    }

    fn d_alpha(&self, t: f64) -> f64 {
        (self.alpha)(t).1
    }

    fn variance(&self, t: f64) -> f64 {
        (self.sigma)(t).0.powi(2)
    }

    fn d_variance(&self, t: f64) -> f64 {
        let (sigma, slope) = (self.sigma)(t);
        2.0 * sigma * slope
    }
}

/// A schedule with latent noise of variance γ²(t) = a² u(1 − u) on top, u the part of the way from noise to data: the
/// schedule of the stochastic interpolant α x₁ + σ x₀ + γ z when x₀ and z are standard normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noised<S> {
    inner: S,
    amplitude: f64,
}

impl<S: Schedule> Noised<S> {
    /// Latent noise of amplitude a.
    ///
    /// # Errors
    /// The amplitude is negative or not finite, or the schedule has an infinite span.
    pub fn new(inner: S, amplitude: f64) -> Result<Self> {
        if !(amplitude.is_finite() && amplitude >= 0.0) {
            let must = "finite and not negative";
            return Err(measures::Error::Parameter { what: "amplitude", value: amplitude, must }.into());
        }
        let (noise, data) = inner.span();
        if !(noise.is_finite() && data.is_finite()) {
            let (what, why) = ("latent noise", "the schedule never ends");
            return Err(measures::Error::Undefined { what, why }.into());
        }
        Ok(Noised { inner, amplitude })
    }

    /// γ²(t) and its derivative.
    pub(crate) fn latent(&self, t: f64) -> (f64, f64) {
        let (noise, data) = self.inner.span();
        let (u, a2) = ((t - noise) / (data - noise), self.amplitude.powi(2));
        (a2 * u * (1.0 - u), a2 * (1.0 - 2.0 * u) / (data - noise))
    }

    /// The schedule without the noise.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Schedule> Schedule for Noised<S> {
    fn name(&self) -> &'static str {
        "with latent noise"
    }

    fn span(&self) -> (f64, f64) {
        self.inner.span()
    }

    fn alpha(&self, t: f64) -> f64 {
        self.inner.alpha(t)
    }

    fn d_alpha(&self, t: f64) -> f64 {
        self.inner.d_alpha(t)
    }

    fn variance(&self, t: f64) -> f64 {
        self.inner.variance(t) + self.latent(t).0
    }

    fn d_variance(&self, t: f64) -> f64 {
        self.inner.d_variance(t) + self.latent(t).1
    }
}
