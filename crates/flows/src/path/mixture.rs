//! The path from Gaussian noise to a mixture of Gaussians, with everything about it in closed form.

use super::schedule::{Schedule, check_time};
use crate::error::{FieldError, Result};
use crate::field::{JacobianTrace, Jvp, TimeScore, VelocityField, check};
use crate::state::Clock;
use measures::nalgebra::SymmetricEigen;
use measures::zoo::{Gaussian, GaussianMixture};
use measures::{Measure, Points, check_len};
use std::f64::consts::TAU;

/// The path ρ_t, law of α(t) X₁ + σ(t) X₀ with X₁ a mixture of Gaussians and X₀ ~ N(0, I) apart from it: for the
/// Ornstein–Uhlenbeck schedule the law of eq. (5), for the linear one that of flow matching.
///
/// ρ_t is the mixture of N(α m_k, α² Σ_k + σ² I), so its density, its score, the velocity v_t(x) = E[α̇ X₁ + σ̇ X₀ | x] that
/// carries it through eq. (6), and the divergence of that velocity are sums over components. Times are checked: outside
/// the span of the schedule there is no path.
///
/// ```
/// use flows::{Clock, VelocityField, path::{Linear, MixturePath}};
/// use measures::{Points, zoo::GaussianMixture};
/// let path = MixturePath::new(Linear, &GaussianMixture::ring(8, 4.0, 0.3)?)?;
/// let (z, mut v) = (Points::from_rows(&[[0.5, 0.1]]), Points::zeros(1, 2));
/// // At t = 0 the velocity of the straight path leads to the mean of the data.
/// path.velocity(Clock::Shared(0.0), &z, &mut v)?;
/// assert!((v.row(0)[0] + 0.5).abs() < 1e-12 && (v.row(0)[1] + 0.1).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MixturePath<S> {
    schedule: S,
    target: GaussianMixture,
    dim: usize,
    components: Vec<Component>,
}

/// A component in the axes of its covariance.
#[derive(Debug, Clone)]
struct Component {
    log_weight: f64,
    mean: Vec<f64>,
    /// The variances along the axes.
    variances: Vec<f64>,
    /// The axes as rows, d×d; none when they are those of the coordinates.
    axes: Option<Vec<f64>>,
}

/// The coefficients of the path at a time.
#[derive(Debug, Clone, Copy)]
struct At {
    alpha: f64,
    d_alpha: f64,
    variance: f64,
    /// σσ̇.
    half_rate: f64,
}

/// Room for the sums over components at one point.
struct Room {
    /// log(w_k p_k), then the responsibilities r_k.
    r: Vec<f64>,
    /// The deviation from each mean along the axes of its component, K×d.
    q: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl<S: Schedule> MixturePath<S> {
    /// The path of this schedule to this mixture.
    ///
    /// # Errors
    /// Never for a mixture that `measures` has made; a covariance that is not finite would be refused.
    pub fn new(schedule: S, target: &GaussianMixture) -> Result<Self> {
        let dim = target.dim();
        let mut components = Vec::with_capacity(target.components());
        for (k, weight) in target.weights().iter().enumerate() {
            let covariance = target.covariance(k)?;
            measures::check_finite("covariance", covariance.as_slice())?;
            let off = (0..dim).any(|i| (0..dim).any(|j| i != j && covariance[(i, j)] != 0.0));
            let (variances, axes) = if off {
                let eigen = SymmetricEigen::new(covariance);
                // Column-major columns are the rows of the transpose.
                (eigen.eigenvalues.as_slice().to_vec(), Some(eigen.eigenvectors.as_slice().to_vec()))
            } else {
                (covariance.diagonal().as_slice().to_vec(), None)
            };
            let mean = target.means().row(k).to_vec();
            components.push(Component { log_weight: weight.ln(), mean, variances, axes });
        }
        Ok(MixturePath { schedule, target: target.clone(), dim, components })
    }

    /// The path of this schedule to one Gaussian.
    ///
    /// # Errors
    /// As [`MixturePath::new`].
    pub fn to_gaussian(schedule: S, target: &Gaussian) -> Result<Self> {
        Self::new(schedule, &GaussianMixture::new(vec![1.0], std::slice::from_ref(target))?)
    }

    /// The schedule.
    pub fn schedule(&self) -> &S {
        &self.schedule
    }

    /// The law of the data, ρ at the data end.
    pub fn target(&self) -> &GaussianMixture {
        &self.target
    }

    /// The law ρ_t itself, with its samples, density and score.
    ///
    /// # Errors
    /// t is outside the span of the schedule.
    pub fn law(&self, t: f64) -> Result<GaussianMixture> {
        check_time(&self.schedule, t)?;
        Ok(self.target.noised(self.schedule.alpha(t), self.schedule.sigma(t))?)
    }

    /// log r_t(xᵢ) for every row.
    ///
    /// # Errors
    /// The points live in another dimension, or a time is outside the span of the schedule.
    pub fn log_density(&self, t: Clock<'_>, x: &Points) -> Result<Vec<f64>, FieldError> {
        let mut out = Vec::with_capacity(x.len());
        self.each(t, x, |path, at, x, room| out.push(path.weigh(at, x, room)))?;
        Ok(out)
    }

    /// The posterior mean E[X₁ | x_t = xᵢ] for every row: what a denoiser learns.
    ///
    /// # Errors
    /// As [`MixturePath::log_density`].
    pub fn denoised(&self, t: Clock<'_>, x: &Points) -> Result<Points, FieldError> {
        let mut out = Points::zeros(x.len(), x.dim());
        let mut rows = out.rows_mut();
        self.each(t, x, |path, at, x, room| {
            path.weigh(at, x, room);
            // The velocity for α̇ = 1, σ̇ = 0.
            let only = At { d_alpha: 1.0, half_rate: 0.0, ..at };
            path.add_velocity(only, room, rows.next().expect("a row for each point"));
        })?;
        Ok(out)
    }

    fn at(&self, t: f64) -> At {
        At {
            alpha: self.schedule.alpha(t),
            d_alpha: self.schedule.d_alpha(t),
            variance: self.schedule.variance(t),
            half_rate: 0.5 * self.schedule.d_variance(t),
        }
    }

    fn each(
        &self,
        t: Clock<'_>,
        x: &Points,
        mut row: impl FnMut(&Self, At, &[f64], &mut Room),
    ) -> Result<(), FieldError> {
        check(self.dim, t, x, x)?;
        let k = self.components.len();
        let zeros = |n| vec![0.0; n];
        let mut room = Room { r: zeros(k), q: zeros(k * self.dim), a: zeros(self.dim), b: zeros(self.dim) };
        match t {
            Clock::Shared(t) => {
                check_time(&self.schedule, t)?;
                let at = self.at(t);
                x.rows().for_each(|x| row(self, at, x, &mut room));
            }
            Clock::Each(times) => {
                for (x, &t) in x.rows().zip(times) {
                    check_time(&self.schedule, t)?;
                    row(self, self.at(t), x, &mut room);
                }
            }
        }
        Ok(())
    }

    /// Leaves responsibilities and deviations in `room`; returns log r_t(x).
    fn weigh(&self, at: At, x: &[f64], room: &mut Room) -> f64 {
        let d = self.dim;
        let mut largest = f64::NEG_INFINITY;
        for (k, component) in self.components.iter().enumerate() {
            let q = &mut room.q[k * d..(k + 1) * d];
            match &component.axes {
                None => {
                    q.iter_mut().zip(x).zip(&component.mean).for_each(|((q, x), m)| *q = x - at.alpha * m);
                }
                Some(axes) => {
                    room.a
                        .iter_mut()
                        .zip(x)
                        .zip(&component.mean)
                        .for_each(|((a, x), m)| *a = x - at.alpha * m);
                    for (q, axis) in q.iter_mut().zip(axes.chunks_exact(d)) {
                        *q = axis.iter().zip(&room.a).map(|(e, a)| e * a).sum();
                    }
                }
            }
            let mut log = component.log_weight - 0.5 * d as f64 * TAU.ln();
            let mut product = 1.0f64;
            for (q, variance) in q.iter().zip(&component.variances) {
                let v = at.alpha * at.alpha * variance + at.variance;
                log -= 0.5 * q * q / v;
                product *= v;
            }
            // One logarithm where the product of the variances can be held in a number.
            log -= 0.5 * if product.is_normal() { product.ln() } else { log_det(component, at) };
            room.r[k] = log;
            largest = largest.max(log);
        }
        if !largest.is_finite() {
            // Nothing left to compare: the point is NaN, or infinitely far.
            room.r.fill(f64::NAN);
            return if x.iter().any(|x| x.is_nan()) { f64::NAN } else { largest };
        }
        let mut sum = 0.0;
        for r in &mut room.r {
            *r = (*r - largest).exp();
            sum += *r;
        }
        room.r.iter_mut().for_each(|r| *r /= sum);
        largest + sum.ln()
    }

    /// Adds Σ_k `weights`_k (c + Q diag(f) q_k) to `out`: `f` maps the variance along an axis, and `centre` multiplies m_k.
    fn add(&self, weights: &[f64], q: &[f64], centre: f64, f: impl Fn(f64) -> f64, out: &mut [f64]) {
        let d = self.dim;
        for ((component, w), q) in self.components.iter().zip(weights).zip(q.chunks_exact(d)) {
            if centre != 0.0 {
                out.iter_mut().zip(&component.mean).for_each(|(out, m)| *out += w * centre * m);
            }
            match &component.axes {
                None => {
                    let terms = q.iter().zip(&component.variances);
                    out.iter_mut().zip(terms).for_each(|(out, (q, v))| *out += w * f(*v) * q);
                }
                Some(axes) => {
                    for ((q, v), axis) in q.iter().zip(&component.variances).zip(axes.chunks_exact(d)) {
                        let scale = w * f(*v) * q;
                        out.iter_mut().zip(axis).for_each(|(out, e)| *out += scale * e);
                    }
                }
            }
        }
    }

    fn add_velocity(&self, at: At, room: &Room, out: &mut [f64]) {
        let gain =
            |v: f64| (at.d_alpha * at.alpha * v + at.half_rate) / (at.alpha * at.alpha * v + at.variance);
        self.add(&room.r, &room.q, at.d_alpha, gain, out);
    }

    fn add_score(&self, at: At, room: &Room, out: &mut [f64]) {
        self.add(&room.r, &room.q, 0.0, |v| -1.0 / (at.alpha * at.alpha * v + at.variance), out);
    }

    /// The velocity u_k and the score s_k of component k alone, from the deviations in `room`.
    fn alone(&self, k: usize, at: At, room: &Room, velocity: &mut [f64], score: &mut [f64]) {
        let (d, component) = (self.dim, &self.components[k]);
        let q = &room.q[k * d..(k + 1) * d];
        velocity.iter_mut().zip(&component.mean).for_each(|(u, m)| *u = at.d_alpha * m);
        score.fill(0.0);
        for (c, (q, v)) in q.iter().zip(&component.variances).enumerate() {
            let total = at.alpha * at.alpha * v + at.variance;
            let gain = (at.d_alpha * at.alpha * v + at.half_rate) / total * q;
            match &component.axes {
                None => {
                    velocity[c] += gain;
                    score[c] -= q / total;
                }
                Some(axes) => {
                    let axis = &axes[c * d..(c + 1) * d];
                    velocity.iter_mut().zip(axis).for_each(|(u, e)| *u += gain * e);
                    score.iter_mut().zip(axis).for_each(|(s, e)| *s -= q / total * e);
                }
            }
        }
    }

    /// Q diag(f) Qᵀ w for component k, added to `out`.
    fn apply(&self, k: usize, w: &[f64], scale: f64, f: impl Fn(f64) -> f64, out: &mut [f64]) {
        let (d, component) = (self.dim, &self.components[k]);
        match &component.axes {
            None => {
                for ((out, w), v) in out.iter_mut().zip(w).zip(&component.variances) {
                    *out += scale * f(*v) * w;
                }
            }
            Some(axes) => {
                for (axis, v) in axes.chunks_exact(d).zip(&component.variances) {
                    let along: f64 = axis.iter().zip(w).map(|(e, w)| e * w).sum();
                    out.iter_mut().zip(axis).for_each(|(out, e)| *out += scale * f(*v) * along * e);
                }
            }
        }
    }
}

/// log det(α²Σ_k + σ²I).
fn log_det(component: &Component, at: At) -> f64 {
    component.variances.iter().map(|v| (at.alpha * at.alpha * v + at.variance).ln()).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl<S: Schedule> VelocityField for MixturePath<S> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.dim, t, x, out)?;
        let mut rows = out.rows_mut();
        self.each(t, x, |path, at, x, room| {
            path.weigh(at, x, room);
            let out = rows.next().expect("a row for each point");
            out.fill(0.0);
            path.add_velocity(at, room, out);
        })
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl<S: Schedule> TimeScore for MixturePath<S> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn score(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.dim, t, x, out)?;
        let mut rows = out.rows_mut();
        self.each(t, x, |path, at, x, room| {
            path.weigh(at, x, room);
            let out = rows.next().expect("a row for each point");
            out.fill(0.0);
            path.add_score(at, room, out);
        })
    }

    fn score_jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.dim, t, v, out)?;
        check_len("directions", x.len(), v.len())?;
        let mut rows = out.rows_mut().zip(v.rows());
        let (mut u, mut s, mut mean) = (vec![0.0; self.dim], vec![0.0; self.dim], vec![0.0; self.dim]);
        self.each(t, x, |path, at, x, room| {
            path.weigh(at, x, room);
            let (out, v) = rows.next().expect("a row for each point");
            out.fill(0.0);
            mean.fill(0.0);
            path.add_score(at, room, &mut mean);
            // Σ r_k ((s_k·v) s_k − P_k v) − (s·v) s.
            for k in 0..path.components.len() {
                path.alone(k, at, room, &mut u, &mut s);
                let (r, along) = (room.r[k], dot(&s, v));
                out.iter_mut().zip(&s).for_each(|(out, s)| *out += r * along * s);
                path.apply(k, v, -r, |l| 1.0 / (at.alpha * at.alpha * l + at.variance), out);
            }
            let along = dot(&mean, v);
            out.iter_mut().zip(&mean).for_each(|(out, s)| *out -= along * s);
        })
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl<S: Schedule> Jvp for MixturePath<S> {
    fn jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.dim, t, v, out)?;
        check_len("directions", x.len(), v.len())?;
        let mut rows = out.rows_mut().zip(v.rows());
        let (mut u, mut s, mut mean) = (vec![0.0; self.dim], vec![0.0; self.dim], vec![0.0; self.dim]);
        self.each(t, x, |path, at, x, room| {
            path.weigh(at, x, room);
            let (out, w) = rows.next().expect("a row for each point");
            out.fill(0.0);
            mean.fill(0.0);
            path.add_score(at, room, &mut mean);
            // Σ r_k (A_k w + ((s_k − s)·w) u_k).
            for k in 0..path.components.len() {
                path.alone(k, at, room, &mut u, &mut s);
                let (r, along) = (room.r[k], dot(&s, w) - dot(&mean, w));
                out.iter_mut().zip(&u).for_each(|(out, u)| *out += r * along * u);
                let gain = |l: f64| {
                    (at.d_alpha * at.alpha * l + at.half_rate) / (at.alpha * at.alpha * l + at.variance)
                };
                path.apply(k, w, r, gain, out);
            }
        })
    }
}

impl<S: Schedule> JacobianTrace for MixturePath<S> {
    fn trace(&self, t: Clock<'_>, x: &Points, _: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        check_len("divergences", x.len(), out.len())?;
        let mut rows = out.iter_mut();
        let (mut u, mut s) = (vec![0.0; self.dim], vec![0.0; self.dim]);
        self.each(t, x, |path, at, x, room| {
            path.weigh(at, x, room);
            let mut mean = std::mem::take(&mut room.b);
            mean.fill(0.0);
            path.add_score(at, room, &mut mean);
            // Σ r_k (tr A_k + (s_k − s)·u_k).
            let mut sum = 0.0;
            for (k, component) in path.components.iter().enumerate() {
                path.alone(k, at, room, &mut u, &mut s);
                let gains = component.variances.iter().map(|l| {
                    (at.d_alpha * at.alpha * l + at.half_rate) / (at.alpha * at.alpha * l + at.variance)
                });
                sum += room.r[k] * (gains.sum::<f64>() + dot(&s, &u) - dot(&mean, &u));
            }
            room.b = mean;
            *rows.next().expect("a row for each point") = sum;
        })
    }
}
