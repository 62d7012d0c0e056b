//! The inner loops of a Gaussian mixture, eight points at a time: exponents, responsibilities, score and Hessian–vector
//! product without a buffer of n×K numbers and without an allocation a point.

use super::gaussian_mixture::{GaussianMixture, Shape};
use crate::lanes::{F64s, LaneOp, Lanes, WIDTH};
use crate::measure::Measure;

/// Eight numbers, one a point.
type Eight = [f64; WIDTH];

/// What to compute.
pub(super) enum Want<'a> {
    /// log p, one number a point.
    Density,
    /// ∇log p, d numbers a point.
    Score,
    /// ∇²log p · v for the rows of v, d numbers a point.
    Jvp(&'a [f64]),
}

/// Evaluates rows `x` into `out`. Points at which every component underflows even in the log domain are left NaN: the
/// caller answers those.
pub(super) struct Evaluate<'a> {
    pub(super) mixture: &'a GaussianMixture,
    pub(super) want: Want<'a>,
    pub(super) x: &'a [f64],
    pub(super) out: &'a mut [f64],
}

/// Eight points: their coordinates, and room for what is known of them.
struct Room {
    /// d numbers each: coordinates, directions, score, result, deviation from one mean.
    x: Vec<Eight>,
    v: Vec<Eight>,
    score: Vec<Eight>,
    out: Vec<Eight>,
    deviation: Vec<Eight>,
    /// K: exponents, then weights e^{exponent − top}.
    weights: Vec<Eight>,
    /// K·d whitened deviations, for full covariances.
    whitened: Vec<Eight>,
}

impl LaneOp for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Evaluate { mixture, want, x, out } = self;
        let (d, k) = (mixture.dim(), mixture.components());
        let zero = [0.0; WIDTH];
        let full = matches!(mixture.shape, Shape::Full { .. });
        let mut room = Room {
            x: vec![zero; d],
            v: vec![zero; d],
            score: vec![zero; d],
            out: vec![zero; d],
            deviation: vec![zero; d],
            weights: vec![zero; k],
            whitened: vec![zero; if full { k * d } else { 0 }],
        };
        let width = if matches!(want, Want::Density) { 1 } else { d };
        for (group, (x, out)) in x.chunks(WIDTH * d).zip(out.chunks_mut(WIDTH * width)).enumerate() {
            gather(x, &mut room.x);
            let top = exponents(lanes, mixture, &mut room);
            let total = weights(lanes, top, &mut room.weights);
            match want {
                Want::Density => {
                    let log = (top + total.ln()).to_array();
                    out.copy_from_slice(&log[..out.len()]);
                }
                Want::Score => {
                    score(lanes, mixture, total, &mut room);
                    scatter(&room.score, out);
                }
                Want::Jvp(v) => {
                    gather(&v[group * WIDTH * d..][..x.len()], &mut room.v);
                    score(lanes, mixture, total, &mut room);
                    jvp(lanes, mixture, total, &mut room);
                    scatter(&room.out, out);
                }
            }
        }
    }
}

/// Rows to coordinates of eight; the last row stands in for those that are missing.
#[inline(always)]
fn gather(rows: &[f64], out: &mut [Eight]) {
    let d = out.len();
    let n = rows.len() / d;
    for lane in 0..WIDTH {
        let row = &rows[lane.min(n - 1) * d..][..d];
        for (out, x) in out.iter_mut().zip(row) {
            out[lane] = *x;
        }
    }
}

#[inline(always)]
fn scatter(columns: &[Eight], rows: &mut [f64]) {
    for (lane, row) in rows.chunks_exact_mut(columns.len()).enumerate() {
        for (out, column) in row.iter_mut().zip(columns) {
            *out = column[lane];
        }
    }
}

/// log w_k p_k into the room for weights; returns the largest of each lane.
#[inline(always)]
fn exponents<L: Lanes>(lanes: L, mixture: &GaussianMixture, room: &mut Room) -> F64s<L> {
    let half = F64s::splat(lanes, -0.5);
    let mut top = F64s::splat(lanes, f64::NEG_INFINITY);
    let d = room.x.len();
    for (k, mean) in mixture.means().rows().enumerate() {
        let mut squares = F64s::splat(lanes, 0.0);
        let scale = F64s::splat(lanes, mixture.log_scale[k]);
        let exponent = match &mixture.shape {
            Shape::Isotropic { precision, .. } => {
                for (x, m) in room.x.iter().zip(mean) {
                    let y = F64s::load(lanes, x) - F64s::splat(lanes, *m);
                    squares = y.mul_add(y, squares);
                }
                squares.mul_add(half * F64s::splat(lanes, precision[k]), scale)
            }
            Shape::Full { whiten, .. } => {
                for ((y, x), m) in room.deviation.iter_mut().zip(&room.x).zip(mean) {
                    (F64s::load(lanes, x) - F64s::splat(lanes, *m)).store(y);
                }
                let w = &whiten[k * d * d..][..d * d];
                for (i, out) in room.whitened[k * d..][..d].iter_mut().enumerate() {
                    let mut y = F64s::splat(lanes, 0.0);
                    for (w, x) in w[i * d..=i * d + i].iter().zip(&room.deviation) {
                        y = F64s::load(lanes, x).mul_add(F64s::splat(lanes, *w), y);
                    }
                    y.store(out);
                    squares = y.mul_add(y, squares);
                }
                squares.mul_add(half, scale)
            }
        };
        exponent.store(&mut room.weights[k]);
        top = exponent.max(top);
    }
    top
}

/// Exponents to e^{exponent − top}; returns their sum.
#[inline(always)]
fn weights<L: Lanes>(lanes: L, top: F64s<L>, weights: &mut [Eight]) -> F64s<L> {
    let mut total = F64s::splat(lanes, 0.0);
    for weight in weights {
        let w = (F64s::load(lanes, weight) - top).exp_nonpositive();
        w.store(weight);
        total = total + w;
    }
    total
}

/// Σ_k weight_k s_k / total.
#[inline(always)]
fn score<L: Lanes>(lanes: L, mixture: &GaussianMixture, total: F64s<L>, room: &mut Room) {
    let d = room.x.len();
    room.score.fill([0.0; WIDTH]);
    for (k, mean) in mixture.means().rows().enumerate() {
        let weight = F64s::load(lanes, &room.weights[k]);
        match &mixture.shape {
            Shape::Isotropic { precision, .. } => {
                let a = weight * F64s::splat(lanes, precision[k]);
                for ((s, x), m) in room.score.iter_mut().zip(&room.x).zip(mean) {
                    let y = F64s::splat(lanes, *m) - F64s::load(lanes, x);
                    a.mul_add(y, F64s::load(lanes, s)).store(s);
                }
            }
            Shape::Full { whiten, .. } => {
                // −Wᵀ y, row by row of the lower triangle.
                let w = &whiten[k * d * d..][..d * d];
                for (i, y) in room.whitened[k * d..][..d].iter().enumerate() {
                    let a = weight * F64s::load(lanes, y);
                    for (s, w) in room.score.iter_mut().zip(&w[i * d..=i * d + i]) {
                        a.neg_mul_add(F64s::splat(lanes, *w), F64s::load(lanes, s)).store(s);
                    }
                }
            }
        }
    }
    let inverse = F64s::splat(lanes, 1.0) / total;
    for s in &mut room.score {
        (F64s::load(lanes, s) * inverse).store(s);
    }
}

/// Σ_k weight_k ((s_k − s)⟨s_k − s, v⟩ − Σ_k⁻¹ v) / total.
#[inline(always)]
fn jvp<L: Lanes>(lanes: L, mixture: &GaussianMixture, total: F64s<L>, room: &mut Room) {
    let d = room.x.len();
    let inverse = F64s::splat(lanes, 1.0) / total;
    room.out.fill([0.0; WIDTH]);
    for (k, mean) in mixture.means().rows().enumerate() {
        let r = F64s::load(lanes, &room.weights[k]) * inverse;
        // s_k − s into the room for deviations.
        match &mixture.shape {
            Shape::Isotropic { precision, .. } => {
                let p = F64s::splat(lanes, precision[k]);
                for (((out, x), m), s) in room.deviation.iter_mut().zip(&room.x).zip(mean).zip(&room.score) {
                    let y = F64s::splat(lanes, *m) - F64s::load(lanes, x);
                    (p * y - F64s::load(lanes, s)).store(out);
                }
                let a = r * p;
                for (out, v) in room.out.iter_mut().zip(&room.v) {
                    a.neg_mul_add(F64s::load(lanes, v), F64s::load(lanes, out)).store(out);
                }
            }
            Shape::Full { whiten, .. } => {
                let w = &whiten[k * d * d..][..d * d];
                for (out, s) in room.deviation.iter_mut().zip(&room.score) {
                    (-F64s::load(lanes, s)).store(out);
                }
                for i in 0..d {
                    let row = &w[i * d..=i * d + i];
                    let y = F64s::load(lanes, &room.whitened[k * d + i]);
                    let mut along = F64s::splat(lanes, 0.0);
                    for ((out, v), w) in room.deviation.iter_mut().zip(&room.v).zip(row) {
                        let w = F64s::splat(lanes, *w);
                        y.neg_mul_add(w, F64s::load(lanes, out)).store(out);
                        along = w.mul_add(F64s::load(lanes, v), along);
                    }
                    // Σ_k⁻¹ v = Wᵀ W v.
                    let a = r * along;
                    for (out, w) in room.out.iter_mut().zip(row) {
                        a.neg_mul_add(F64s::splat(lanes, *w), F64s::load(lanes, out)).store(out);
                    }
                }
            }
        }
        let mut along = F64s::splat(lanes, 0.0);
        for (y, v) in room.deviation.iter().zip(&room.v) {
            along = F64s::load(lanes, y).mul_add(F64s::load(lanes, v), along);
        }
        let a = r * along;
        for (out, y) in room.out.iter_mut().zip(&room.deviation) {
            a.mul_add(F64s::load(lanes, y), F64s::load(lanes, out)).store(out);
        }
    }
}
