//! The Fourier family of eq. (3) on a lattice of integer vectors.

use super::powers::{powers, product};
use super::{check_tau, doubled};
use crate::packed::{Packed, ROWS, accumulator_block, pack_weights, pullback_blocks};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{
    Empirical, Error, Family, Measure, Points, Pullback, Result, check_dim, check_len, check_positive,
    check_pullback, parallel,
};
use std::f64::consts::TAU;

/// The functions x ↦ e^{2πi Σ_j k_j x_j / P_j}, k in a finite set of integer vectors, with weights τ_k.
///
/// Periodic with period P_j in coordinate j: measures that differ by whole periods are not told apart, and finitely many
/// k never separate all measures. The powers of e^{2πi x_j/P_j} are made once a point by the addition theorem,
/// restarted from an exact sine and cosine every sixteen steps (error below 1e-14 at any k), so that a function costs a
/// few multiplications and no sine. Real coordinates are cos, sin, cos, sin, …, each pair with the same τ.
///
/// ```
/// use divergences::family::FourierLattice;
/// use divergences::measures::{Empirical, Family, Points};
/// // the family of the paper's Figure 1: e^{2πikx}, k = 1, …, 10, with uniform τ
/// let family = FourierLattice::line(10)?;
/// let mu = Empirical::uniform(Points::from_line(vec![0.0, 0.25, 0.5, 0.75]))?;
/// let b = family.brackets(&mu)?;
/// assert!(b[0].abs() < 1e-15 && (b[6] - 1.0).abs() < 1e-15); // k = 1 vanishes, k = 4 does not
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FourierLattice {
    dim: usize,
    periods: Vec<f64>,
    tau: Vec<f64>,
    /// The non-zero coordinates of every k, one function after the other.
    factors: Vec<Factor>,
    /// Where the factors of function k end.
    ends: Vec<usize>,
    /// Where the powers of coordinate j start in the table of powers; the last entry is its length.
    starts: Vec<usize>,
}

/// One non-zero coordinate of an integer vector.
#[derive(Debug, Clone, Copy)]
struct Factor {
    coordinate: usize,
    power: usize,
    negative: bool,
}

/// The largest |k_j|: the table of powers is that long.
const MAX_FREQUENCY: u32 = 1 << 16;

impl FourierLattice {
    /// The family of the given integer vectors, of period one and uniform τ = 1/K.
    ///
    /// # Errors
    /// No vector, vectors of different or zero length, or an entry beyond ±65536.
    pub fn new(frequencies: &[Vec<i32>]) -> Result<Self> {
        let Some(first) = frequencies.first() else {
            return Err(Error::TooFew { what: "frequencies", at_least: 1, got: 0 });
        };
        let dim = first.len();
        if dim == 0 {
            return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
        }
        let mut highest = vec![0; dim];
        let (mut factors, mut ends) = (Vec::new(), Vec::new());
        for vector in frequencies {
            check_len("frequency vector", dim, vector.len())?;
            for (coordinate, k) in vector.iter().enumerate().filter(|(_, k)| **k != 0) {
                if k.unsigned_abs() > MAX_FREQUENCY {
                    let value = f64::from(*k);
                    return Err(Error::Parameter {
                        what: "frequency",
                        value,
                        must: "between −65536 and 65536",
                    });
                }
                let power = k.unsigned_abs() as usize;
                highest[coordinate] = power.max(highest[coordinate]);
                factors.push(Factor { coordinate, power, negative: *k < 0 });
            }
            ends.push(factors.len());
        }
        let mut starts = vec![0];
        for h in highest {
            starts.push(starts[starts.len() - 1] + h);
        }
        let tau = vec![1.0 / frequencies.len() as f64; 2 * frequencies.len()];
        Ok(FourierLattice { dim, periods: vec![1.0; dim], tau, factors, ends, starts })
    }

    /// k = 1, …, `max` in one dimension, the paper's {e^{2πikx}, k ∈ \[max\]}: its [0, 1] to our period one.
    ///
    /// # Errors
    /// `max` is zero or beyond 65536.
    pub fn line(max: u32) -> Result<Self> {
        check_max(max)?;
        FourierLattice::new(&(1..=max as i32).map(|k| vec![k]).collect::<Vec<_>>())
    }

    /// All k ≠ 0 with |k_j| ≤ `max`, one of each pair ±k: the other has the conjugate bracket, and adds nothing.
    ///
    /// # Errors
    /// `dim` or `max` is zero, or there are more than 2²⁴ vectors.
    pub fn cube(dim: usize, max: u32) -> Result<Self> {
        check_max(max)?;
        if dim == 0 {
            return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
        }
        let side = 2 * max as usize + 1;
        let limit = 1 << 24;
        let total = u32::try_from(dim).ok().and_then(|d| side.checked_pow(d)).unwrap_or(usize::MAX);
        if total / 2 > limit {
            return Err(Error::TooMany { what: "frequencies", limit, requested: total / 2 });
        }
        // The digits of c in base 2·max+1, less max; the middle one is zero and the upper half one of each pair.
        let vector = |mut c: usize| -> Vec<i32> {
            let mut k = vec![0; dim];
            for k in k.iter_mut().rev() {
                *k = (c % side) as i32 - max as i32;
                c /= side;
            }
            k
        };
        FourierLattice::new(&(total / 2 + 1..total).map(vector).collect::<Vec<_>>())
    }

    /// The same functions with other weights, one a function.
    ///
    /// # Errors
    /// Another number of weights than functions, or one that is negative or not finite.
    pub fn with_tau(mut self, tau: &[f64]) -> Result<Self> {
        check_tau(self.ends.len(), tau)?;
        self.tau = doubled(tau);
        Ok(self)
    }

    /// The same integer vectors with period P_j in coordinate j.
    ///
    /// # Errors
    /// Another number of periods than coordinates, or one that is not positive and finite.
    pub fn with_periods(mut self, periods: &[f64]) -> Result<Self> {
        check_len("periods", self.dim, periods.len())?;
        for p in periods {
            check_positive("period", *p)?;
        }
        self.periods = periods.to_vec();
        Ok(self)
    }

    /// The number of complex functions, K; there are 2K real coordinates.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Always false: a family has a function.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn factors_of(&self, k: usize) -> &[Factor] {
        let start = if k == 0 { 0 } else { self.ends[k - 1] };
        &self.factors[start..self.ends[k]]
    }

    fn table(&self) -> Vec<[[f64; WIDTH]; 2]> {
        vec![[[0.0; WIDTH]; 2]; self.starts[self.dim]]
    }

    /// Fills the table with e^{2πi m x_j/P_j}, m = 1, …, for eight points: entry `starts[j] + m − 1`.
    #[inline(always)]
    fn powers<L: Lanes>(&self, lanes: L, x: &[[f64; WIDTH]], table: &mut [[[f64; WIDTH]; 2]]) {
        for j in 0..self.dim {
            let t = F64s::load(lanes, &x[j]) / F64s::splat(lanes, self.periods[j]);
            powers(lanes, t, &mut table[self.starts[j]..self.starts[j + 1]]);
        }
    }

    /// (cos, sin) of function k at the eight points of the table.
    #[inline(always)]
    fn function<L: Lanes>(&self, lanes: L, k: usize, table: &[[[f64; WIDTH]; 2]]) -> (F64s<L>, F64s<L>) {
        let mut value = (F64s::splat(lanes, 1.0), F64s::splat(lanes, 0.0));
        for (i, factor) in self.factors_of(k).iter().enumerate() {
            let [c, s] = &table[self.starts[factor.coordinate] + factor.power - 1];
            let (c, mut s) = (F64s::load(lanes, c), F64s::load(lanes, s));
            if factor.negative {
                s = -s;
            }
            value = if i == 0 { (c, s) } else { product(value, (c, s)) };
        }
        value
    }
}

fn check_max(max: u32) -> Result<()> {
    if (1..=MAX_FREQUENCY).contains(&max) {
        Ok(())
    } else {
        Err(Error::Parameter { what: "max", value: f64::from(max), must: "between 1 and 65536" })
    }
}

struct Brackets<'a> {
    family: &'a FourierLattice,
    points: &'a Packed,
    weights: &'a [[f64; WIDTH]],
    table: &'a mut [[[f64; WIDTH]; 2]],
    sums: &'a mut [[[f64; WIDTH]; 2]],
}

impl LaneOp for Brackets<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for g in 0..self.points.len() {
            self.family.powers(lanes, self.points.group(g), self.table);
            let w = F64s::load(lanes, &self.weights[g]);
            for (k, [cos_sum, sin_sum]) in self.sums.iter_mut().enumerate() {
                let (c, s) = self.family.function(lanes, k, self.table);
                w.mul_add(c, F64s::load(lanes, cos_sum)).store(cos_sum);
                w.mul_add(s, F64s::load(lanes, sin_sum)).store(sin_sum);
            }
        }
    }
}

/// Lane sums, in the fixed order of [`F64s::sum`].
struct LaneSums<'a>(&'a [[[f64; WIDTH]; 2]], &'a mut [f64]);

impl LaneOp for LaneSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (pair, out) in self.0.iter().zip(self.1.chunks_exact_mut(2)) {
            out[0] += F64s::load(lanes, &pair[0]).sum();
            out[1] += F64s::load(lanes, &pair[1]).sum();
        }
    }
}

struct PullBack<'a> {
    family: &'a FourierLattice,
    points: &'a Packed,
    coefficients: &'a [f64],
    table: &'a mut [[[f64; WIDTH]; 2]],
    values: &'a mut [[f64; WIDTH]],
    gradients: &'a mut [[f64; WIDTH]],
}

impl LaneOp for PullBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let family = self.family;
        for g in 0..self.points.len() {
            family.powers(lanes, self.points.group(g), self.table);
            let gradient = &mut self.gradients[g * family.dim..(g + 1) * family.dim];
            let mut h = F64s::splat(lanes, 0.0);
            for (k, pair) in self.coefficients.chunks_exact(2).enumerate() {
                let (cos, sin) = family.function(lanes, k, self.table);
                let (a, b) = (F64s::splat(lanes, pair[0]), F64s::splat(lanes, pair[1]));
                h = a.mul_add(cos, b.mul_add(sin, h));
                let slope = a.neg_mul_add(sin, b * cos);
                for factor in family.factors_of(k) {
                    let power = if factor.negative { -(factor.power as f64) } else { factor.power as f64 };
                    let out = &mut gradient[factor.coordinate];
                    slope.mul_add(F64s::splat(lanes, power), F64s::load(lanes, out)).store(out);
                }
            }
            h.store(&mut self.values[g]);
        }
    }
}

impl Family for FourierLattice {
    fn dim(&self) -> usize {
        self.dim
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("measure", self.dim, mu.dim())?;
        let parts = parallel::map_blocks(mu.len(), accumulator_block(mu.len()), |rows| {
            let points = Packed::rows(mu.points(), rows.clone());
            let weights = pack_weights(&mu.weights()[rows]);
            let mut sums = vec![[[0.0; WIDTH]; 2]; self.len()];
            let table = &mut self.table();
            dispatch(Brackets { family: self, points: &points, weights: &weights, table, sums: &mut sums });
            let mut out = vec![0.0; self.tau.len()];
            dispatch(LaneSums(&sums, &mut out));
            out
        });
        let mut out = vec![0.0; self.tau.len()];
        for part in parts {
            out.iter_mut().zip(part).for_each(|(out, part)| *out += part);
        }
        Ok(out)
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        Ok(pullback_blocks(x, ROWS, |rows, values, gradients| {
            let points = &Packed::rows(x, rows);
            let table = &mut self.table();
            dispatch(PullBack { family: self, points, coefficients: c, table, values, gradients });
            for (i, g) in gradients.iter_mut().enumerate() {
                let scale = TAU / self.periods[i % self.dim];
                g.iter_mut().for_each(|g| *g *= scale);
            }
        }))
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim, x.dim())?;
        let width = self.tau.len();
        let mut out = vec![0.0; x.len() * width];
        parallel::fill_blocks(&mut out, width, ROWS, |rows, out| {
            let points = Packed::rows(x, rows);
            dispatch(Values { family: self, points: &points, table: &mut self.table(), out });
        });
        Ok(out)
    }

    /// κ(x, x) = Σ τ, a constant.
    fn diagonal(&self, x: &Points) -> Result<Pullback> {
        check_dim("points", self.dim, x.dim())?;
        let sum = self.tau.iter().step_by(2).sum();
        Ok(Pullback { values: vec![sum; x.len()], gradients: Points::zeros(x.len(), x.dim()) })
    }
}

struct Values<'a> {
    family: &'a FourierLattice,
    points: &'a Packed,
    table: &'a mut [[[f64; WIDTH]; 2]],
    out: &'a mut [f64],
}

impl LaneOp for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let width = 2 * self.family.len();
        for (g, rows) in self.out.chunks_mut(WIDTH * width).enumerate() {
            self.family.powers(lanes, self.points.group(g), self.table);
            for k in 0..self.family.len() {
                let (c, s) = self.family.function(lanes, k, self.table);
                let (c, s) = (c.to_array(), s.to_array());
                for (lane, row) in rows.chunks_exact_mut(width).enumerate() {
                    row[2 * k] = c[lane];
                    row[2 * k + 1] = s[lane];
                }
            }
        }
    }
}
