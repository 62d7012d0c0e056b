//! Passes over the Gibbs kernel e^{(fᵢ + gⱼ − c_ij)/ε}, row by row, in lanes and without storing it.
//!
//! Potentials are kept times log₂e/ε, so that a pass computes E_ij = 2^{uᵢ + vⱼ − κ c_ij} with κ = log₂e/ε. The potentials
//! of the last iteration serve as the reference of the logarithm: near the solution all exponents are moderate, and a row
//! or column that over- or underflows is done again from its own maximum.

use super::cost::NormPower;
use super::plan::dot;
use super::table::{Form, Side, Table, block as costs};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, chunks, chunks_mut, dispatch};
use measures::{Points, Result, parallel};
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of tasks a pass is cut into, whatever the number of threads: each holds sums for all columns.
const TASKS: usize = 16;
/// Pairs that are not worth a task of their own.
const FEW: usize = 1 << 12;
/// Rows that add to the columns together.
const GROUP: usize = 4;
/// Sums outside [1/SAFE, SAFE] are not trusted.
const SAFE: f64 = 1e280;

/// A table of costs at a temperature ε.
pub(crate) struct Gibbs<'a> {
    table: &'a Table<'a>,
    kappa: f64,
}

/// Rows of a task where there are `n` of `width` entries.
fn block(n: usize, width: usize) -> usize {
    n.div_ceil(TASKS).max(FEW / width.max(1))
}

/// Weights or potentials continued to whole lanes.
pub(crate) fn padded(values: &[f64], with: f64) -> Vec<f64> {
    let mut out = values.to_vec();
    out.resize(values.len().next_multiple_of(WIDTH), with);
    out
}

impl<'a> Gibbs<'a> {
    pub(crate) fn new(table: &'a Table<'a>, epsilon: f64) -> Self {
        Gibbs { table, kappa: std::f64::consts::LOG2_E / epsilon }
    }

    /// κ, by which potentials are multiplied.
    pub(crate) fn kappa(&self) -> f64 {
        self.kappa
    }

    /// The number of columns, without padding.
    pub(crate) fn columns(&self) -> usize {
        self.table.row_len(Side::Source)
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.table.rows(Side::Source)
    }

    /// c(xᵢ, yᵢ).
    pub(crate) fn own_cost(&self, i: usize) -> f64 {
        self.table.entry(i, i)
    }

    /// Σⱼ (bⱼ E_ij / sᵢ) c(xᵢ, yⱼ) for every row: the mean cost of the law of j given i.
    pub(crate) fn mean_costs(&self, u: &[f64], v: &[f64], b: &[f64], means: &mut [f64]) {
        self.conditionals(u, v, b, means, 1, |i, law, out| {
            let mut costs = vec![0.0; law.len()];
            self.table.fill(Side::Source, i, 0, &mut costs);
            out[0] = dot(law, &costs);
        });
    }

    /// One sweep of Sinkhorn's iteration over the rows, uᵢ ← uᵢ − log₂ Σⱼ bⱼ E_ij, after which every row has the mass it
    /// should; returns the column sums tⱼ = Σᵢ aᵢ E_ij that result, 1 where the column has too. `v` and `b` are padded, with
    /// −∞ and 0.
    pub(crate) fn sweep(&self, u: &mut [f64], v: &[f64], a: &[f64], b: &[f64]) -> Vec<f64> {
        let (n, width) = (u.len(), v.len());
        let old = &*u;
        let parts = parallel::map_blocks(n, block(n, width).next_multiple_of(GROUP), |rows| {
            let mut kernel = vec![0.0; GROUP * width];
            let mut columns = vec![0.0; width];
            let mut new = Vec::with_capacity(rows.len());
            for start in rows.clone().step_by(GROUP) {
                let group = start..(start + GROUP).min(rows.end);
                let mut shares = [0.0; GROUP];
                for (k, i) in group.clone().enumerate() {
                    let row = &mut kernel[k * width..(k + 1) * width];
                    let (base, log_sum) = match self.row(i, old[i], v, b, row) {
                        Some(log_sum) => (old[i], log_sum),
                        None => self.careful(Side::Source, i, v, b, row),
                    };
                    new.push(base - log_sum);
                    shares[k] = a[i] * exp2(-log_sum);
                }
                let used = group.len();
                dispatch(AddRows {
                    kernel: &kernel[..used * width],
                    shares: &shares[..used],
                    out: &mut columns,
                });
            }
            (new, columns)
        });
        let mut sums = vec![0.0; width];
        let mut rest = u;
        for (new, columns) in parts {
            let (rows, after) = rest.split_at_mut(new.len());
            rows.copy_from_slice(&new);
            rest = after;
            sums.iter_mut().zip(&columns).for_each(|(t, c)| *t += c);
        }
        sums
    }

    /// Σᵢ aᵢ E_ij Σₖ E_ik wₖ for every column j, with exact rows: what Newton's method needs. `v` and `weighted` are padded.
    pub(crate) fn product(&self, u: &[f64], v: &[f64], a: &[f64], weighted: &[f64]) -> Vec<f64> {
        let (n, width) = (u.len(), v.len());
        let len = self.table.row_len(Side::Source);
        let parts = parallel::map_blocks(n, block(n, width).next_multiple_of(GROUP), |rows| {
            let mut kernel = vec![0.0; GROUP * width];
            let mut columns = vec![0.0; width];
            for start in rows.clone().step_by(GROUP) {
                let group = start..(start + GROUP).min(rows.end);
                let mut shares = [0.0; GROUP];
                for (k, i) in group.clone().enumerate() {
                    let row = &mut kernel[k * width..(k + 1) * width];
                    self.table.fill(Side::Source, i, 0, &mut row[..len]);
                    shares[k] =
                        a[i] * dispatch(Row { costs: row, v, b: weighted, u: u[i], kappa: self.kappa });
                }
                let used = group.len();
                dispatch(AddRows {
                    kernel: &kernel[..used * width],
                    shares: &shares[..used],
                    out: &mut columns,
                });
            }
            columns
        });
        let mut sums = vec![0.0; width];
        for part in parts {
            sums.iter_mut().zip(&part).for_each(|(s, p)| *s += p);
        }
        sums
    }

    /// Calls `visit(i, law, out)` for every row i with the law bⱼ E_ij / sᵢ on the columns and row i of `out`, a buffer of
    /// rows of `width`. `v` and `b` are padded.
    pub(crate) fn conditionals(
        &self,
        u: &[f64],
        v: &[f64],
        b: &[f64],
        out: &mut [f64],
        width: usize,
        visit: impl Fn(usize, &[f64], &mut [f64]) + Sync + Send,
    ) {
        let m = self.table.row_len(Side::Source);
        parallel::fill_blocks(out, width, block(u.len(), v.len()), |rows, out| {
            let mut row = vec![0.0; v.len()];
            for (i, out) in rows.zip(out.chunks_exact_mut(width)) {
                let log_sum = match self.row(i, u[i], v, b, &mut row) {
                    Some(log_sum) => log_sum,
                    None => self.careful(Side::Source, i, v, b, &mut row).1,
                };
                let scale = exp2(-log_sum);
                row[..m].iter_mut().zip(b).for_each(|(p, b)| *p *= b * scale);
                visit(i, &row[..m], out);
            }
        });
    }

    /// Σⱼ (bⱼ E_ij / sᵢ) ∇ₓ c(xᵢ, yⱼ) for every row: the gradient of the soft c-transform at xᵢ.
    ///
    /// # Errors
    /// The cost has no gradient.
    pub(crate) fn gradients(&self, u: &[f64], v: &[f64], b: &[f64]) -> Result<Points> {
        let (x, y, cost) = self.table.parts();
        let d = x.dim();
        let mut out = Points::zeros(x.len(), d);
        if let Some(power) = cost.norm_power().filter(NormPower::is_squared_euclidean) {
            // 2s (x − the mean of y): the rows of y as columns make the means inner products.
            let factor = 2.0 * power.scale();
            let m = y.len();
            let columns: Vec<f64> = (0..d).flat_map(|k| padded(&y.column(k), 0.0)).collect();
            self.conditionals(u, v, b, out.as_mut_slice(), d, |i, law, out| {
                for (k, (o, x)) in out.iter_mut().zip(x.row(i)).enumerate() {
                    let column = &columns[k * v.len()..k * v.len() + m];
                    *o = factor * (x - dispatch(Dot(law, column)));
                }
            });
            return Ok(out);
        }
        if let Some(form) = self.table.form().filter(|form| form.is_euclidean())
            && self.distance_gradients(form, u, v, b, &mut out)
        {
            return Ok(out);
        }
        // Ask once whether there is a gradient; then the rows cannot fail.
        cost.add_gradient(x.row(0), y.row(0), 0.0, &mut vec![0.0; d])?;
        self.conditionals(u, v, b, out.as_mut_slice(), d, |i, law, out| {
            for (p, y) in law.iter().zip(y.rows()) {
                if *p > 0.0 && cost.add_gradient(x.row(i), y, *p, out).is_err() {
                    out.fill(f64::NAN);
                }
            }
        });
        out.check_finite("gradient of the cost")?;
        Ok(out)
    }

    /// [`Gibbs::gradients`] of a multiple of the distance, in one pass over the pairs; false where a row's sum is not safe.
    fn distance_gradients(&self, form: Form, u: &[f64], v: &[f64], b: &[f64], out: &mut Points) -> bool {
        let (x, d, columns) = (self.table.parts().0, out.dim(), self.table.target_columns());
        let safe = AtomicBool::new(true);
        parallel::fill_blocks(out.as_mut_slice(), d, block(u.len(), v.len()), |rows, out| {
            let mut factors = vec![0.0; v.len()];
            for (i, out) in rows.zip(out.chunks_exact_mut(d)) {
                let (point, factors) = (x.row(i), &mut factors);
                let sum =
                    dispatch(Pull { form, point, columns, u: u[i], v, b, kappa: self.kappa, factors, out });
                if !(sum > SAFE.recip() && sum < SAFE) {
                    safe.store(false, Ordering::Relaxed);
                }
            }
        });
        safe.into_inner()
    }

    /// Leaves E_i· in `row` and returns log₂ of its sum with weights b, if that is safe from over- and underflow.
    fn row(&self, i: usize, u: f64, v: &[f64], b: &[f64], row: &mut [f64]) -> Option<f64> {
        let len = self.table.row_len(Side::Source);
        self.table.fill(Side::Source, i, 0, &mut row[..len]);
        let sum = dispatch(Row { costs: row, v, b, u, kappa: self.kappa });
        (sum > SAFE.recip() && sum < SAFE).then(|| log2(sum))
    }

    /// The r that makes the largest of bⱼ > 0 terms of 2^{r + vⱼ − κc} one, and log₂ of their sum; the terms in `row`.
    fn careful(&self, side: Side, i: usize, v: &[f64], b: &[f64], row: &mut [f64]) -> (f64, f64) {
        let len = self.table.row_len(side);
        self.table.fill(side, i, 0, &mut row[..len]);
        let mut largest = f64::NEG_INFINITY;
        for j in 0..len {
            if b[j] > 0.0 {
                largest = largest.max(v[j] - self.kappa * row[j]);
            }
        }
        let sum = dispatch(Row { costs: row, v, b, u: -largest, kappa: self.kappa });
        (-largest, log2(sum))
    }

    /// The soft c-transform of the other side: −log₂ Σ 2^{v − κc} b for every row of `side`, from maxima, for any v.
    pub(crate) fn transform(&self, side: Side, v: &[f64], b: &[f64]) -> Vec<f64> {
        let n = self.table.rows(side);
        let parts = parallel::map_blocks(n, block(n, v.len()), |rows| {
            let mut row = vec![0.0; v.len()];
            rows.map(|i| {
                let (reference, log_sum) = self.careful(side, i, v, b, &mut row);
                reference - log_sum
            })
            .collect::<Vec<_>>()
        });
        parts.concat()
    }
}

impl Gibbs<'_> {
    /// For the kernel of a cloud with itself: sᵢ = Σⱼ aⱼ 2^{uᵢ + uⱼ − κ c_ij} as log₂ sᵢ, each pair computed once. `u` and
    /// `a` are padded.
    pub(crate) fn symmetric(&self, u: &[f64], a: &[f64]) -> Vec<f64> {
        let n = self.table.rows(Side::Source);
        let width = u.len();
        // Rows are cut into twice as many blocks as tasks; a short block goes with a long one.
        let block = n.div_ceil(2 * TASKS).next_multiple_of(GROUP);
        let count = n.div_ceil(block);
        let parts = parallel::map_blocks(count.div_ceil(2), 1, |task| {
            let mut kernel = vec![0.0; GROUP * width];
            let mut sums = vec![0.0; width];
            let (first, second) = (task.start, count - 1 - task.start);
            let both = if first == second { vec![first] } else { vec![first, second] };
            for rows in both.into_iter().map(|k| k * block..((k + 1) * block).min(n)) {
                for start in rows.clone().step_by(GROUP) {
                    let group = start..(start + GROUP).min(rows.end);
                    // All rows of a group start at the same whole chunk.
                    let skip = start / WIDTH * WIDTH;
                    let wide = width - skip;
                    let mut shares = [0.0; GROUP];
                    for (k, i) in group.clone().enumerate() {
                        let row = &mut kernel[k * wide..(k + 1) * wide];
                        row[n - skip..].fill(0.0);
                        self.table.fill(Side::Source, i, skip, &mut row[..n - skip]);
                        // Pairs that other rows have counted.
                        row[..i - skip].fill(f64::INFINITY);
                        sums[i] += dispatch(Row {
                            costs: row,
                            v: &u[skip..],
                            b: &a[skip..],
                            u: u[i],
                            kappa: self.kappa,
                        });
                        row[i - skip] = 0.0;
                        shares[k] = a[i];
                    }
                    let used = group.len();
                    let (kernel, shares) = (&kernel[..used * wide], &shares[..used]);
                    dispatch(AddRows { kernel, shares, out: &mut sums[skip..] });
                }
            }
            sums
        });
        let mut sums = vec![0.0; width];
        for part in parts {
            sums.iter_mut().zip(&part).for_each(|(s, p)| *s += p);
        }
        let mut row = vec![0.0; width];
        (0..n)
            .map(|i| {
                if sums[i] > SAFE.recip() && sums[i] < SAFE {
                    return log2(sums[i]);
                }
                let (base, log_sum) = self.careful(Side::Source, i, u, a, &mut row);
                log_sum + (u[i] - base)
            })
            .collect()
    }
}

/// E in place of the costs; returns Σ b E.
struct Row<'a> {
    costs: &'a mut [f64],
    v: &'a [f64],
    b: &'a [f64],
    u: f64,
    kappa: f64,
}

impl LaneOp for Row<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> f64 {
        let (u, kappa) = (F64s::splat(l, self.u), F64s::splat(l, self.kappa));
        let (row, _) = chunks_mut(self.costs);
        let ((v, _), (b, _)) = (chunks(self.v), chunks(self.b));
        let mut sum = F64s::splat(l, 0.0);
        for k in 0..row.len() {
            let exponent = F64s::load(l, &row[k]).neg_mul_add(kappa, F64s::load(l, &v[k]) + u);
            let value = exponent.exp2_nonpositive();
            value.store(&mut row[k]);
            sum = value.mul_add(F64s::load(l, &b[k]), sum);
        }
        sum.sum()
    }
}

/// Σⱼ pⱼ s (x − yⱼ)/‖x − yⱼ‖ for the law p ∝ b E, 0 where they meet; returns Σ b E.
struct Pull<'a> {
    form: Form,
    point: &'a [f64],
    columns: &'a [f64],
    u: f64,
    v: &'a [f64],
    b: &'a [f64],
    kappa: f64,
    /// What the differences are multiplied by, a buffer.
    factors: &'a mut [f64],
    out: &'a mut [f64],
}

impl LaneOp for Pull<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> f64 {
        let padded = self.v.len();
        let (u, kappa, zero) = (F64s::splat(l, self.u), F64s::splat(l, self.kappa), F64s::splat(l, 0.0));
        let ((v, _), (b, _), (factors, _)) = (chunks(self.v), chunks(self.b), chunks_mut(self.factors));
        let mut total = zero;
        for k in 0..v.len() {
            let cost = costs(l, self.form, self.point, self.columns, padded, k * WIDTH);
            let exponent = cost.neg_mul_add(kappa, F64s::load(l, &v[k]) + u);
            let mass = exponent.exp2_nonpositive() * F64s::load(l, &b[k]);
            total = total + mass;
            zero.if_less(cost, mass / cost, zero).store(&mut factors[k]);
        }
        let total = total.sum();
        // c = s‖x − y‖: s (x − y)/‖x − y‖ is s² (x − y)/c.
        let scale = self.form.scale * self.form.scale / total;
        for (k, out) in self.out.iter_mut().enumerate() {
            let (column, _) = chunks(&self.columns[k * padded..(k + 1) * padded]);
            let mut sum = zero;
            for (y, factor) in column.iter().zip(factors.iter()) {
                let difference = F64s::splat(l, self.point[k]) - F64s::load(l, y);
                sum = difference.mul_add(F64s::load(l, factor), sum);
            }
            *out = scale * sum.sum();
        }
        total
    }
}

/// out += Σ_k shares[k] · (row k of the kernel).
struct AddRows<'a> {
    kernel: &'a [f64],
    shares: &'a [f64],
    out: &'a mut [f64],
}

impl LaneOp for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let width = self.out.len();
        let (out, _) = chunks_mut(self.out);
        if self.shares.len() == GROUP {
            let share = [
                F64s::splat(l, self.shares[0]),
                F64s::splat(l, self.shares[1]),
                F64s::splat(l, self.shares[2]),
                F64s::splat(l, self.shares[3]),
            ];
            let (r0, _) = chunks(&self.kernel[..width]);
            let (r1, _) = chunks(&self.kernel[width..2 * width]);
            let (r2, _) = chunks(&self.kernel[2 * width..3 * width]);
            let (r3, _) = chunks(&self.kernel[3 * width..4 * width]);
            for j in 0..out.len() {
                let mut sum = F64s::load(l, &out[j]);
                sum = F64s::load(l, &r0[j]).mul_add(share[0], sum);
                sum = F64s::load(l, &r1[j]).mul_add(share[1], sum);
                sum = F64s::load(l, &r2[j]).mul_add(share[2], sum);
                sum = F64s::load(l, &r3[j]).mul_add(share[3], sum);
                sum.store(&mut out[j]);
            }
            return;
        }
        for k in 0..self.shares.len() {
            let share = F64s::splat(l, self.shares[k]);
            let (row, _) = chunks(&self.kernel[k * width..(k + 1) * width]);
            for j in 0..out.len() {
                F64s::load(l, &row[j]).mul_add(share, F64s::load(l, &out[j])).store(&mut out[j]);
            }
        }
    }
}

/// Σ a b, with the bits of the lanes.
struct Dot<'a>(&'a [f64], &'a [f64]);

impl LaneOp for Dot<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> f64 {
        let ((a, rest_a), (b, rest_b)) = (chunks(self.0), chunks(self.1));
        let mut sum = F64s::splat(l, 0.0);
        for k in 0..a.len() {
            sum = F64s::load(l, &a[k]).mul_add(F64s::load(l, &b[k]), sum);
        }
        let mut tail = 0.0;
        for k in 0..rest_a.len() {
            tail += rest_a[k] * rest_b[k];
        }
        sum.sum() + tail
    }
}

/// 2ˣ of one number, the same bits everywhere.
pub(crate) fn exp2(x: f64) -> f64 {
    dispatch(Exp2(x))
}

/// log₂ x of one number, the same bits everywhere.
pub(crate) fn log2(x: f64) -> f64 {
    dispatch(Log2(x))
}

struct Exp2(f64);

impl LaneOp for Exp2 {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> f64 {
        F64s::splat(l, self.0.min(1023.0)).exp2_nonpositive().to_array()[0]
    }
}

struct Log2(f64);

impl LaneOp for Log2 {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> f64 {
        (F64s::splat(l, self.0).ln() * F64s::splat(l, std::f64::consts::LOG2_E)).to_array()[0]
    }
}
