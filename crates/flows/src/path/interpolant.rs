//! Interpolants: where a pair of points is at time t, and how fast it moves.

use super::schedule::{Schedule, check_time};
use crate::error::{Error, Result};
use crate::state::Clock;
use measures::{Points, Seed, check_dim, check_len, parallel};
use rand_distr::{Distribution, StandardNormal};

/// A curve I(t, x₀, x₁) between two points, noise x₀ and data x₁, with its velocity.
///
/// Every [`Schedule`] is one, α(t) x₁ + σ(t) x₀; other curves come from closures through [`Curve`].
pub trait Interpolation: Sync {
    /// Writes I(t, x₀, x₁) into `point` and ∂_t I into `velocity`.
    ///
    /// # Errors
    /// t is outside the curve, or the velocity is singular there.
    fn at(&self, t: f64, x0: &[f64], x1: &[f64], point: &mut [f64], velocity: &mut [f64]) -> Result<()>;

    /// The times of x₀ and of x₁.
    fn ends(&self) -> (f64, f64);
}

impl<S: Schedule> Interpolation for S {
    fn at(&self, t: f64, x0: &[f64], x1: &[f64], point: &mut [f64], velocity: &mut [f64]) -> Result<()> {
        check_time(self, t)?;
        let (alpha, d_alpha) = (self.alpha(t), self.d_alpha(t));
        let (sigma, d_sigma) = (self.sigma(t), self.d_sigma(t)?);
        for (((p, v), x0), x1) in point.iter_mut().zip(velocity).zip(x0).zip(x1) {
            *p = alpha * x1 + sigma * x0;
            *v = d_alpha * x1 + d_sigma * x0;
        }
        Ok(())
    }

    fn ends(&self) -> (f64, f64) {
        self.span()
    }
}

/// A curve on t ∈ [0, 1] from a closure `f(t, x₀, x₁, point, velocity)` that writes both.
#[derive(Debug, Clone, Copy)]
pub struct Curve<F>(pub F);

impl<F: Fn(f64, &[f64], &[f64], &mut [f64], &mut [f64]) + Sync> Interpolation for Curve<F> {
    fn at(&self, t: f64, x0: &[f64], x1: &[f64], point: &mut [f64], velocity: &mut [f64]) -> Result<()> {
        if !(0.0..=1.0).contains(&t) {
            return Err(Error::Time { what: "t", t, low: 0.0, high: 1.0 });
        }
        (self.0)(t, x0, x1, point, velocity);
        Ok(())
    }

    fn ends(&self) -> (f64, f64) {
        (0.0, 1.0)
    }
}

/// The stochastic interpolant x_t = I(t, x₀, x₁) + γ(t) z with latent noise z ~ N(0, I), γ(t) = a √(u(1 − u)) at the part u
/// of the way.
///
/// The velocity of its law is E[∂_t I + γ̇ z | x_t], its score −E[z | x_t]/γ: what regression learns from
/// [`Interpolant::draw`]. Albergo, Boffi and Vanden-Eijnden, *Stochastic interpolants*, arXiv:2303.08797.
///
/// ```
/// use flows::{Clock, path::{Interpolant, Linear}};
/// use measures::{Points, Seed};
/// let (x0, x1) = (Points::from_line(vec![0.0]), Points::from_line(vec![2.0]));
/// let draw = Interpolant::new(Linear).draw(Clock::Shared(0.25), &x0, &x1, Seed::new(0))?;
/// assert_eq!((draw.x.row(0)[0], draw.velocity.row(0)[0]), (0.5, 2.0));
/// # Ok::<(), flows::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Interpolant<I> {
    curve: I,
    amplitude: f64,
}

/// Draws of an interpolant, one a pair.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Draw {
    /// x_t, n×d.
    pub x: Points,
    /// ∂_t I + γ̇ z, n×d: its mean given x_t is the velocity of the law.
    pub velocity: Points,
    /// z, n×d: zero without latent noise.
    pub noise: Points,
    /// γ(t), one a row.
    pub gamma: Vec<f64>,
}

impl<I: Interpolation> Interpolant<I> {
    /// The interpolant along this curve, without latent noise.
    pub fn new(curve: I) -> Self {
        Interpolant { curve, amplitude: 0.0 }
    }

    /// The same with latent noise of amplitude a.
    ///
    /// # Errors
    /// The amplitude is negative or not finite, or the curve never ends.
    pub fn with_latent(self, amplitude: f64) -> Result<Self> {
        if !(amplitude.is_finite() && amplitude >= 0.0) {
            let must = "finite and not negative";
            return Err(measures::Error::Parameter { what: "amplitude", value: amplitude, must }.into());
        }
        let (a, b) = self.curve.ends();
        if !(a.is_finite() && b.is_finite()) {
            let (what, why) = ("latent noise", "the curve never ends");
            return Err(measures::Error::Undefined { what, why }.into());
        }
        Ok(Interpolant { amplitude, ..self })
    }

    /// γ(t) and γ̇(t).
    ///
    /// # Errors
    /// t is an end, where γ̇ is infinite.
    fn gamma(&self, t: f64) -> Result<(f64, f64)> {
        if self.amplitude == 0.0 {
            return Ok((0.0, 0.0));
        }
        let (from, to) = self.curve.ends();
        let u = (t - from) / (to - from);
        let root = (u * (1.0 - u)).sqrt();
        let slope = self.amplitude * (0.5 - u) / root / (to - from);
        if !slope.is_finite() {
            return Err(Error::Singular {
                what: "dγ/dt",
                t,
                why: "latent noise begins and ends like √t; keep away",
            });
        }
        Ok((self.amplitude * root, slope))
    }

    /// The interpolants of the pairs (x₀ᵢ, x₁ᵢ) at the given times, with latent noise from stream i of the seed.
    ///
    /// # Errors
    /// The shapes differ, there is another number of times than pairs, or a time is outside the curve or at an end where
    /// a velocity is infinite.
    pub fn draw(&self, t: Clock<'_>, x0: &Points, x1: &Points, seed: Seed) -> Result<Draw> {
        check_dim("x1", x0.dim(), x1.dim())?;
        check_len("x1", x0.len(), x1.len())?;
        t.check(x0.len())?;
        let (n, d) = (x0.len(), x0.dim());
        let blocks = parallel::map_blocks(n, 1024, |range| {
            let mut rows = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let (mut point, mut velocity) = (vec![0.0; d], vec![0.0; d]);
            for i in range {
                let (gamma, slope) = self.gamma(t.at(i))?;
                self.curve.at(t.at(i), x0.row(i), x1.row(i), &mut point, &mut velocity)?;
                let mut rng = seed.stream(i as u64);
                for c in 0..d {
                    let z: f64 = if self.amplitude > 0.0 { StandardNormal.sample(&mut rng) } else { 0.0 };
                    rows.0.push(point[c] + gamma * z);
                    rows.1.push(velocity[c] + slope * z);
                    rows.2.push(z);
                }
                rows.3.push(gamma);
            }
            Ok::<_, Error>(rows)
        });
        let mut all = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for block in blocks {
            let block = block?;
            all.0.extend(block.0);
            all.1.extend(block.1);
            all.2.extend(block.2);
            all.3.extend(block.3);
        }
        let points = |coords| Points::from_raw(d, coords);
        Ok(Draw { x: points(all.0), velocity: points(all.1), noise: points(all.2), gamma: all.3 })
    }
}
