//! Mixtures of isotropic Gaussians on lanes: the score of one, and the velocity of the path to one.

use super::LaneField;
use crate::error::Result;
use crate::path::{Linear, OrnsteinUhlenbeck, Schedule, Trigonometric, VariancePreserving};
use measures::lanes::{Real, Scalar};
use measures::zoo::GaussianMixture;
use measures::{Measure, check_dim};
use std::f64::consts::LOG2_E;

/// A table in both precisions.
#[derive(Debug, Clone)]
struct Table {
    double: Vec<f64>,
    single: Vec<f32>,
}

impl Table {
    fn new(double: Vec<f64>) -> Self {
        let single = double.iter().map(|x| *x as f32).collect();
        Table { double, single }
    }

    #[inline(always)]
    fn of<S: Scalar>(&self) -> &[S] {
        S::pick(&self.double, &self.single)
    }
}

/// Weights and variances of the components, which must be isotropic.
fn components(mixture: &GaussianMixture, dim: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    check_dim("mixture", dim, mixture.dim())?;
    let mut variances = Vec::with_capacity(mixture.components());
    for k in 0..mixture.components() {
        let covariance = mixture.covariance(k)?;
        let v = covariance[(0, 0)];
        let same = |i: usize, j: usize| covariance[(i, j)] == if i == j { v } else { 0.0 };
        if !(0..dim).all(|i| (0..dim).all(|j| same(i, j))) {
            let why = "its components must be isotropic; the general solver takes any mixture";
            return Err(measures::Error::Undefined { what: "mixture on lanes", why }.into());
        }
        variances.push(v);
    }
    Ok((mixture.weights().to_vec(), variances))
}

/// The field c·∇log p of a mixture p of isotropic Gaussians on ℝᴰ, the same at all times.
///
/// Exponents are kept in base two, where the exponential is cheapest, and found twice: that costs less than keeping them.
#[derive(Debug, Clone)]
pub struct MixtureScore<const D: usize> {
    /// Component by component: D means, −log₂e/(2σ²), log₂ of weight and normalisation, c/σ².
    table: Table,
}

impl<const D: usize> MixtureScore<D> {
    const ROW: usize = D + 3;

    /// c·∇log p.
    ///
    /// # Errors
    /// The mixture lives in another dimension, has a component that is not isotropic, or c is not finite.
    pub fn new(mixture: &GaussianMixture, c: f64) -> Result<Self> {
        if !c.is_finite() {
            return Err(measures::Error::Parameter { what: "c", value: c, must: "finite" }.into());
        }
        let (weights, variances) = components(mixture, D)?;
        let mut table = Vec::with_capacity(Self::ROW * weights.len());
        for (k, (w, v)) in weights.iter().zip(&variances).enumerate() {
            table.extend_from_slice(mixture.means().row(k));
            table.extend([-0.5 * LOG2_E / v, w.log2() - 0.5 * D as f64 * v.log2(), c / v]);
        }
        Ok(MixtureScore { table: Table::new(table) })
    }
}

impl<const D: usize> LaneField<D> for MixtureScore<D> {
    #[inline(always)]
    fn velocity<R: Real>(&self, t: R, x: &[R; D]) -> [R; D] {
        let rows = self.table.of::<R::Scalar>();
        let mut top = t.num(f64::NEG_INFINITY);
        for row in rows.chunks_exact(D + 3) {
            top = exponent(x, row).max(top);
        }
        let (mut total, mut sums) = (t.num(0.0), *x);
        for c in 0..D {
            sums[c] = t.num(0.0);
        }
        for row in rows.chunks_exact(D + 3) {
            let w = (exponent(x, row) - top).exp2_nonpositive();
            total = total + w;
            let a = w * t.of(row[D + 2]);
            for c in 0..D {
                sums[c] = a.mul_add(t.of(row[c]) - x[c], sums[c]);
            }
        }
        let inverse = t.num(1.0) / total;
        for c in 0..D {
            sums[c] = sums[c] * inverse;
        }
        sums
    }
}

/// log₂ of a weighted density, up to a constant of all components.
#[inline(always)]
fn exponent<R: Real, const D: usize>(x: &[R; D], row: &[R::Scalar]) -> R {
    let d = x[0] - x[0].of(row[0]);
    let mut square = d * d;
    for c in 1..D {
        let d = x[c] - x[c].of(row[c]);
        square = d.mul_add(d, square);
    }
    square.mul_add(square.of(row[D]), square.of(row[D + 1]))
}

/// A [`Schedule`] whose coefficients are a formula over lanes.
pub trait LaneSchedule: Schedule {
    /// α, α̇, σ² and σσ̇ at t.
    fn coefficients<R: Real>(&self, t: R) -> [R; 4];
}

impl LaneSchedule for Linear {
    #[inline(always)]
    fn coefficients<R: Real>(&self, t: R) -> [R; 4] {
        let (one, rest) = (t.num(1.0), t.num(1.0) - t);
        [t, one, rest * rest, -rest]
    }
}

impl LaneSchedule for OrnsteinUhlenbeck {
    #[inline(always)]
    fn coefficients<R: Real>(&self, t: R) -> [R; 4] {
        let alpha = (-t).exp();
        let square = alpha * alpha;
        [alpha, -alpha, t.num(1.0) - square, square]
    }
}

impl LaneSchedule for Trigonometric {
    #[inline(always)]
    fn coefficients<R: Real>(&self, t: R) -> [R; 4] {
        let (sin, cos) = (t * t.num(0.25)).sin_cos_turns();
        let rate = t.num(std::f64::consts::FRAC_PI_2);
        [sin, rate * cos, cos * cos, -(rate * cos * sin)]
    }
}

impl LaneSchedule for VariancePreserving {
    #[inline(always)]
    fn coefficients<R: Real>(&self, t: R) -> [R; 4] {
        let (first, last) = self.betas();
        let tau = t.num(1.0) - t;
        let growth = t.num(0.5 * (last - first));
        let alpha = (-(tau * growth.mul_add(tau, t.num(first))) * t.num(0.5)).exp();
        let (rate, square) = (growth.mul_add(tau, t.num(0.5 * first)), alpha * alpha);
        [alpha, rate * alpha, t.num(1.0) - square, -(rate * square)]
    }
}

/// The velocity of a [`MixturePath`](crate::path::MixturePath) to a mixture of isotropic Gaussians on ℝᴰ: with
/// v_k = α²σ_k² + σ² the mean of α̇ m_k + (α̇ασ_k² + σσ̇)/v_k (x − α m_k) over the components that x may come from. NaN at
/// times outside the span of the schedule.
#[derive(Debug, Clone)]
pub struct MixtureFlow<const D: usize, S> {
    schedule: S,
    /// Component by component: D means, σ_k², log₂ of the weight.
    table: Table,
    /// All have one variance, so that what depends on it is found once.
    same: bool,
    low: f64,
    high: f64,
}

/// What a component of one variance has at one time: 1/v_k times −½ log₂e, −½ D log₂ v_k, the gain.
#[derive(Clone, Copy)]
struct Part<R> {
    slope: R,
    log: R,
    gain: R,
}

impl<const D: usize, S: LaneSchedule> MixtureFlow<D, S> {
    /// The velocity of the path of this schedule to this mixture.
    ///
    /// # Errors
    /// The mixture lives in another dimension, or has a component that is not isotropic.
    pub fn new(schedule: S, mixture: &GaussianMixture) -> Result<Self> {
        let (weights, variances) = components(mixture, D)?;
        let same = variances.iter().all(|v| *v == variances[0]);
        let mut table = Vec::with_capacity((D + 2) * weights.len());
        for (k, (w, v)) in weights.iter().zip(&variances).enumerate() {
            table.extend_from_slice(mixture.means().row(k));
            table.extend([*v, w.log2()]);
        }
        let (a, b) = schedule.span();
        Ok(MixtureFlow { schedule, table: Table::new(table), same, low: a.min(b), high: a.max(b) })
    }
}

#[inline(always)]
fn part<R: Real, const D: usize>(at: &[R; 4], variance: R::Scalar) -> Part<R> {
    let [alpha, d_alpha, noise, rate] = *at;
    let own = alpha * alpha.of(variance);
    let v = alpha.mul_add(own, noise);
    let inverse = v.num(1.0) / v;
    Part {
        slope: inverse * v.num(-0.5 * LOG2_E),
        log: v.ln() * v.num(-0.5 * LOG2_E * D as f64),
        gain: d_alpha.mul_add(own, rate) * inverse,
    }
}

#[inline(always)]
fn deviation<R: Real, const D: usize>(x: &[R; D], alpha: R, row: &[R::Scalar]) -> ([R; D], R) {
    let mut q = *x;
    let mut square = alpha.num(0.0);
    for c in 0..D {
        q[c] = alpha.neg_mul_add(alpha.of(row[c]), x[c]);
        square = q[c].mul_add(q[c], square);
    }
    (q, square)
}

impl<const D: usize, S: LaneSchedule> LaneField<D> for MixtureFlow<D, S> {
    #[inline(always)]
    fn velocity<R: Real>(&self, t: R, x: &[R; D]) -> [R; D] {
        let rows = self.table.of::<R::Scalar>();
        let at = self.schedule.coefficients(t);
        let first = part::<R, D>(&at, rows[D]);
        let mut top = t.num(f64::NEG_INFINITY);
        for row in rows.chunks_exact(D + 2) {
            let part = if self.same { first } else { part::<R, D>(&at, row[D]) };
            let (_, square) = deviation(x, at[0], row);
            top = square.mul_add(part.slope, part.log + t.of(row[D + 1])).max(top);
        }
        let (mut total, mut sums) = (t.num(0.0), *x);
        for c in 0..D {
            sums[c] = t.num(0.0);
        }
        for row in rows.chunks_exact(D + 2) {
            let part = if self.same { first } else { part::<R, D>(&at, row[D]) };
            let (q, square) = deviation(x, at[0], row);
            let log = square.mul_add(part.slope, part.log + t.of(row[D + 1]));
            let w = (log - top).exp2_nonpositive();
            total = total + w;
            for c in 0..D {
                let own = q[c].mul_add(part.gain, at[1] * t.of(row[c]));
                sums[c] = w.mul_add(own, sums[c]);
            }
        }
        // Outside the span there is no path.
        let (one, nan) = (t.num(1.0), t.num(f64::NAN));
        let inverse = t.if_less(t.num(self.low), nan, t.num(self.high).if_less(t, nan, one)) / total;
        for c in 0..D {
            sums[c] = sums[c] * inverse;
        }
        sums
    }
}
