//! What the planar sets along curves share: X = scale ∘ (c(T) + σ Z) + shift.

use super::door;
use super::gaussian::Gaussian;
use super::gaussian_mixture::GaussianMixture;
use crate::error::{Error, Result};
use crate::measure::Score;
use crate::points::Points;
use crate::quadrature::panels;
use nalgebra::{DMatrix, DVector};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use std::sync::OnceLock;

/// A parametrised planar curve, t in an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Curve {
    /// centre + radius (cos t, sin t).
    Arc { centre: [f64; 2], radius: f64 },
    /// (s₁ t cos t, s₂ t sin t).
    Spiral { scale: [f64; 2] },
    /// (sin t, sign(t) (cos t − 1)).
    Ess,
}

impl Curve {
    fn at(&self, t: f64) -> [f64; 2] {
        let (sin, cos) = t.sin_cos();
        match *self {
            Curve::Arc { centre, radius } => [centre[0] + radius * cos, centre[1] + radius * sin],
            Curve::Spiral { scale } => [scale[0] * t * cos, scale[1] * t * sin],
            Curve::Ess => [sin, t.signum() * (cos - 1.0)],
        }
    }

    /// The length of a piece of the curve, to about a per cent: it only sets the spacing of a quadrature.
    fn length(&self, a: f64, b: f64) -> f64 {
        let step = (b - a) / 1000.0;
        (0..1000)
            .map(|i| {
                let (p, q) = (self.at(a + step * i as f64), self.at(a + step * (i + 1) as f64));
                (p[0] - q[0]).hypot(p[1] - q[1])
            })
            .sum()
    }
}

/// How T is drawn from its interval (a, b).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Law {
    /// Uniform.
    Even,
    /// Density ∝ t on (0, b), T = b √U, which spreads points evenly along a spiral.
    Linear,
}

/// One curve with the law of its parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) curve: Curve,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) law: Law,
}

impl Piece {
    pub(crate) fn even(curve: Curve, from: f64, to: f64) -> Self {
        Piece { curve, from, to, law: Law::Even }
    }

    fn draw(&self, rng: &mut dyn Rng) -> [f64; 2] {
        let u: f64 = rng.random();
        self.curve.at(match self.law {
            Law::Even => self.from + (self.to - self.from) * u,
            Law::Linear => self.to * u.sqrt(),
        })
    }

    fn density(&self, t: f64) -> f64 {
        match self.law {
            Law::Even => 1.0 / (self.to - self.from),
            Law::Linear => 2.0 * t / (self.to * self.to),
        }
    }
}

/// Equally likely pieces of curve, with Gaussian noise and
/// a final scaling and shift.
#[derive(Debug, Clone)]
pub(crate) struct NoisyCurves {
    pieces: Vec<Piece>,
    noise: f64,
    jitter: f64,
    scale: [f64; 2],
    shift: [f64; 2],
    smooth: OnceLock<GaussianMixture>,
}

/// A quadrature of more nodes than this would be no help to anybody.
const MAX_NODES: usize = 1 << 16;

impl NoisyCurves {
    pub(crate) fn new(pieces: Vec<Piece>, noise: f64) -> Result<Self> {
        if !(noise.is_finite() && noise >= 0.0) {
            return Err(Error::Parameter { what: "noise", value: noise, must: "finite and not negative" });
        }
        Ok(NoisyCurves {
            pieces,
            noise,
            jitter: 0.0,
            scale: [1.0; 2],
            shift: [0.0; 2],
            smooth: OnceLock::new(),
        })
    }

    pub(crate) fn noise(&self) -> f64 {
        self.noise
    }

    /// Adds ±U, U uniform on [0, `jitter`)², with a plus on even pieces and a minus on odd ones.
    pub(crate) fn jittered(mut self, jitter: f64) -> Result<Self> {
        if !(0.0..=1e100).contains(&jitter) {
            return Err(Error::Parameter { what: "jitter", value: jitter, must: "between 0 and 1e100" });
        }
        self.jitter = jitter;
        self.smooth = OnceLock::new();
        Ok(self)
    }

    /// Composes with x ↦ scale ∘ x + shift.
    pub(crate) fn placed(mut self, scale: [f64; 2], shift: [f64; 2]) -> Result<Self> {
        for (what, values, zero_is_bad) in [("scale", scale, true), ("shift", shift, false)] {
            for (index, &value) in values.iter().enumerate() {
                if !value.is_finite() || value.abs() > 1e100 || (zero_is_bad && value.abs() < 1e-100) {
                    let must = if zero_is_bad {
                        "between 1e-100 and 1e100 in size"
                    } else {
                        "at most 1e100 in size"
                    };
                    return Err(Error::Entry { what, index, value, must });
                }
            }
        }
        for k in 0..2 {
            self.scale[k] *= scale[k];
            self.shift[k] = scale[k] * self.shift[k] + shift[k];
        }
        self.smooth = OnceLock::new();
        Ok(self)
    }

    pub(crate) fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, 2, |_, row| {
            let at = rng.random_range(0..self.pieces.len());
            let mut point = self.pieces[at].draw(rng);
            if self.jitter > 0.0 {
                let sign = if at.is_multiple_of(2) { self.jitter } else { -self.jitter };
                point.iter_mut().for_each(|x| *x += sign * rng.random::<f64>());
            }
            for k in 0..2 {
                let z: f64 = if self.noise > 0.0 { StandardNormal.sample(rng) } else { 0.0 };
                row[k] = self.scale[k] * (point[k] + self.noise * z) + self.shift[k];
            }
        })
    }

    /// The law as a mixture of Gaussians along the curves: the density is the integral ∫ N(x; c(t), σ²I) w(t) dt, here by
    /// Gauss–Legendre with 16 nodes on every stretch of three standard deviations, which is exact to about 1e-13.
    pub(crate) fn smooth(&self) -> Result<&GaussianMixture> {
        if let Some(mixture) = self.smooth.get() {
            return Ok(mixture);
        }
        let mixture = self.quadrature()?;
        Ok(self.smooth.get_or_init(|| mixture))
    }

    fn quadrature(&self) -> Result<GaussianMixture> {
        if self.noise == 0.0 {
            return Err(Error::Undefined {
                what: "the density",
                why: "without noise the law lives on a curve, which has no area",
            });
        }
        if self.jitter > 0.0 {
            return Err(Error::Undefined {
                what: "the density",
                why: "with box jitter on top of the noise no closed form is at hand",
            });
        }
        let too_fine = Error::Undefined {
            what: "the density",
            why: "the noise is so small against the length of the curve that quadrature needs over 65536 nodes",
        };
        let (mut weights, mut nodes) = (Vec::new(), Vec::new());
        for piece in &self.pieces {
            let stretches = piece.curve.length(piece.from, piece.to) / (3.0 * self.noise);
            if weights.len() as f64 + 16.0 * stretches > MAX_NODES as f64 {
                return Err(too_fine);
            }
            let count = (stretches.ceil() as usize).max(4);
            for (t, w) in panels(piece.from, piece.to, count) {
                let point = piece.curve.at(t);
                weights.push(w * piece.density(t));
                nodes.extend((0..2).map(|k| self.scale[k] * point[k] + self.shift[k]));
            }
        }
        let means = Points::new(2, nodes)?;
        if self.scale[0].abs() == self.scale[1].abs() {
            let sigmas = vec![self.noise * self.scale[0].abs(); weights.len()];
            return GaussianMixture::isotropic(weights, means, &sigmas);
        }
        let variances = self.scale.map(|s| (s * self.noise).powi(2));
        let covariance = DMatrix::from_diagonal(&DVector::from_row_slice(&variances));
        let components: Result<Vec<_>> =
            means.rows().map(|m| Gaussian::new(m.to_vec(), covariance.clone())).collect();
        GaussianMixture::new(weights, &components?)
    }

    pub(crate) fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        use crate::measure::Density;
        door(2, x)?;
        self.smooth()?.log_density(x)
    }

    pub(crate) fn score(&self, x: &Points) -> Result<Points> {
        door(2, x)?;
        self.smooth()?.score(x)
    }

    pub(crate) fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        super::door_pair(2, x, v)?;
        self.smooth()?.score_jvp(x, v)
    }
}

/// Implements the measure traits for a struct around [`NoisyCurves`], and its placing.
macro_rules! curve_set {
    ($name:ident) => {
        impl $name {
            /// The standard deviation σ of the noise, before scaling.
            pub fn noise(&self) -> f64 {
                self.curves.noise()
            }

            /// This law moved by x ↦ `scale` ∘ x + `shift`, after what was done to it before.
            ///
            /// # Errors
            /// A number is not finite or beyond 1e100 in size, or a scale is zero (below 1e-100 in size).
            pub fn placed(mut self, scale: [f64; 2], shift: [f64; 2]) -> crate::error::Result<Self> {
                self.curves = self.curves.placed(scale, shift)?;
                Ok(self)
            }
        }

        impl crate::measure::Measure for $name {
            fn dim(&self) -> usize {
                2
            }
        }

        impl crate::measure::Sample for $name {
            fn sample(&self, n: usize, rng: &mut dyn rand::Rng) -> crate::points::Points {
                self.curves.sample(n, rng)
            }
        }

        /// By quadrature along the curves, exact to about 1e-13; the first call prepares it.
        ///
        /// Without noise the law has no density, and with noise below about 1e-3 of the curve's length none that quadrature
        /// reaches: a typed refusal.
        impl crate::measure::Density for $name {
            fn log_density(&self, x: &crate::points::Points) -> crate::error::Result<Vec<f64>> {
                self.curves.log_density(x)
            }
        }

        /// By the same quadrature as the density.
        impl crate::measure::Score for $name {
            fn score(&self, x: &crate::points::Points) -> crate::error::Result<crate::points::Points> {
                self.curves.score(x)
            }

            fn score_jvp(
                &self,
                x: &crate::points::Points,
                v: &crate::points::Points,
            ) -> crate::error::Result<crate::points::Points> {
                self.curves.score_jvp(x, v)
            }
        }
    };
}
pub(crate) use curve_set;
