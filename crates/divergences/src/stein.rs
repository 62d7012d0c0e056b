//! Kernel Stein discrepancies: a sample against a density known by its score.

use crate::kernel::{Gaussian, InverseMultiquadric, Radial, check_table};
use crate::mean_ipm::{diagonal_sum, leave_out_diagonal};
use crate::packed::{Packed, ROWS, pack_weights};
use crate::statistic::{ATOMS_OF_MU, OffDiagonal, Statistic};
use crate::transport::bounding_box;
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{
    Empirical, Error, Functional, Measure, Points, Pullback, Result, Score, Variation, check_dim, parallel,
};
use std::ops::Range;

/// A kernel φ(r²) with three derivatives, which the Stein operator and the gradient of its discrepancy need.
pub trait SteinKernel: Radial {
    /// φ, 2φ′, 4φ″ and 8φ‴ at r²: each is the slope of the one before.
    fn jets<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> [F64s<L>; 4];
}

impl SteinKernel for Gaussian {
    #[inline(always)]
    fn jets<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> [F64s<L>; 4] {
        let rate = F64s::splat(lanes, -(self.bandwidth() * self.bandwidth()).recip());
        let first = self.phi(lanes, r2);
        let second = first * rate;
        let third = second * rate;
        [first, second, third, third * rate]
    }
}

impl SteinKernel for InverseMultiquadric {
    #[inline(always)]
    fn jets<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> [F64s<L>; 4] {
        let value = self.phi(lanes, r2);
        // φ² / c² is 1 / (c² + r²): every derivative brings that factor and an odd number
        let factor = value * value * F64s::splat(lanes, (self.length() * self.length()).recip());
        let second = -(value * factor);
        let third = second * factor * F64s::splat(lanes, -3.0);
        [value, second, third, third * factor * F64s::splat(lanes, -5.0)]
    }
}

/// KSD²(μ ‖ p) = ΣΣ wᵢwⱼ k₀(xᵢ, xⱼ), **squared**, with the Stein kernel of p's score s = ∇log p,
///
/// k₀(x, y) = k s(x)·s(y) + s(x)·∇_y k + s(y)·∇ₓk + ∇ₓ·∇_y k
///
/// (Liu, Lee and Jordan, 2016; Chwialkowski, Strathmann and Gretton, 2016). It needs no normalising constant and no sample
/// of p, and equals the MMD² of k₀ between μ and the *population* p, because E_p k₀(x, ·) = 0. That holds when boundary
/// terms vanish: do not use it with uniform, truncated or Dirichlet targets. With a Gaussian kernel it does not see mass
/// escape in dimension 3 and more; the inverse multiquadric does (Gorham and Mackey, 2017).
///
/// [`Statistic::Plugin`] is the V-statistic (never negative), [`Statistic::Unbiased`] leaves i = j out. The gradient in
/// the points needs ∇²log p, that is [`Score::score_jvp`]: a score without one gives values and the derivative in the
/// weights by [`KernelStein::potential`], and refuses the rest.
///
/// ```
/// use divergences::{KernelStein, Statistic, kernel::InverseMultiquadric};
/// use divergences::measures::{Empirical, Functional, zoo::Gaussian};
/// let ksd = KernelStein::new(Gaussian::standard(1), InverseMultiquadric::new(1.0)?, Statistic::Plugin);
/// let (at_mode, in_tail) = (Empirical::dirac(&[0.0])?, Empirical::dirac(&[3.0])?);
/// assert_eq!(ksd.value(&at_mode)?, 1.0); // k₀(0, 0) = ∇ₓ·∇_y k
/// assert_eq!(ksd.value(&in_tail)?, 10.0);
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct KernelStein<S, K> {
    score: S,
    kernel: K,
    statistic: Statistic,
}

/// Points with their scores, packed.
struct Scored {
    points: Packed,
    scores: Packed,
    weights: Vec<[f64; WIDTH]>,
    linear: Option<Linear>,
}

/// Scores −c(x − m), those of an isotropic Gaussian law: every statistic of a pair is one of its distance then.
struct Linear {
    rate: f64,
    /// c²‖x − m‖²/2, packed.
    halves: Vec<[f64; WIDTH]>,
}

impl Linear {
    /// Scores that are of this kind to round-off.
    fn new(points: &Points, scores: &Points) -> Option<Self> {
        // The coordinate and the two points that tell the rate best.
        let (low, high) = bounding_box(points, points);
        let width = |k: &usize| high[*k] - low[*k];
        let axis = (0..points.dim()).max_by(|a, b| width(a).total_cmp(&width(b)))?;
        let at = |value: f64| points.rows().position(|x| x[axis] == value);
        let (a, b) = (at(low[axis])?, at(high[axis])?);
        let rate = -(scores.row(b)[axis] - scores.row(a)[axis]) / width(&axis);
        if !rate.is_normal() {
            return None;
        }
        let mean: Vec<f64> = points.row(a).iter().zip(scores.row(a)).map(|(x, s)| x + s / rate).collect();
        let fits = |(x, s): (&[f64], &[f64])| {
            x.iter().zip(s).zip(&mean).all(|((x, s), m)| {
                (s + rate * (x - m)).abs() <= 16.0 * f64::EPSILON * rate.abs() * (x.abs() + m.abs())
            })
        };
        if !points.rows().zip(scores.rows()).all(fits) {
            return None;
        }
        let half = |s: &[f64]| 0.5 * s.iter().map(|s| s * s).sum::<f64>();
        Some(Linear { rate, halves: pack_weights(&scores.rows().map(half).collect::<Vec<_>>()) })
    }
}

impl<S: Score, K: SteinKernel> KernelStein<S, K> {
    /// The discrepancy from a target known by its score.
    pub fn new(score: S, kernel: K, statistic: Statistic) -> Self {
        KernelStein { score, kernel, statistic }
    }

    /// Which estimate.
    pub fn statistic(&self) -> Statistic {
        self.statistic
    }

    fn scores(&self, mu: &Empirical) -> Result<Points> {
        check_dim("measure", self.score.dim(), mu.dim())?;
        let scores = self.score.score(mu.points())?;
        scores.check_finite("score of the target")?;
        Ok(scores)
    }

    fn scored(mu: &Empirical, scores: &Points) -> Scored {
        Scored {
            points: Packed::new(mu.points()),
            scores: Packed::new(scores),
            weights: pack_weights(mu.weights()),
            linear: Linear::new(mu.points(), scores),
        }
    }

    /// k₀(x, x) = φ(0)‖s‖² − d·2φ′(0), with half its gradient φ(0)∇²log p·s where asked for.
    fn diagonal(&self, mu: &Empirical, scores: &Points, gradients: bool) -> Result<Pullback> {
        let [value, slope] = dispatch(AtZero(&self.kernel));
        let dim = mu.dim() as f64;
        let values =
            scores.rows().map(|s| value * s.iter().map(|s| s * s).sum::<f64>() - dim * slope).collect();
        let gradients = if gradients {
            let mut gradients = self.score.score_jvp(mu.points(), scores)?;
            gradients.as_mut_slice().iter_mut().for_each(|g| *g *= 2.0 * value);
            gradients
        } else {
            Points::zeros(mu.len(), mu.dim())
        };
        Ok(Pullback { values, gradients })
    }

    /// ΣΣ wᵢwⱼ k₀, each pair once.
    fn energy(&self, mu: &Empirical, scores: &Points) -> f64 {
        let all = Self::scored(mu, scores);
        let kernel = &self.kernel;
        let block = (mu.len() / 64).clamp(4 * WIDTH, ROWS).next_multiple_of(WIDTH);
        parallel::sum_blocks(mu.len(), block, |rows| {
            let (start, end) = (rows.start / WIDTH, rows.end.div_ceil(WIDTH));
            let sum = |y: Range<usize>| {
                let mut values = vec![[0.0; WIDTH]; end - start];
                dispatch(Sums { kernel, all: &all, x: start..end, y, values: &mut values });
                let weights = &mu.weights()[rows.clone()];
                weights.iter().zip(values.as_flattened()).map(|(w, v)| w * v).sum::<f64>()
            };
            sum(start..end) + 2.0 * sum(end..all.points.len())
        })
    }

    /// δKSD²/δμ at the points, up to a constant: 2Σⱼ wⱼ k₀(xᵢ, xⱼ) for the V-statistic. It needs the score alone.
    ///
    /// # Errors
    /// The measure lives in another dimension, a score is not finite, or there is no pair for the U-statistic.
    pub fn potential(&self, mu: &Empirical) -> Result<Vec<f64>> {
        let scores = self.scores(mu)?;
        let all = Self::scored(mu, &scores);
        let kernel = &self.kernel;
        let mut values = vec![0.0; mu.len()];
        parallel::fill_blocks(&mut values, 1, ROWS, |rows, out| {
            let x = rows.start / WIDTH..rows.end.div_ceil(WIDTH);
            let mut values = vec![[0.0; WIDTH]; x.len()];
            dispatch(Sums { kernel, all: &all, x, y: 0..all.points.len(), values: &mut values });
            out.copy_from_slice(&values.as_flattened()[..out.len()]);
        });
        let gradients = Points::zeros(mu.len(), mu.dim());
        Ok(self.finish(mu, &scores, Pullback { values, gradients }, false)?.1.values)
    }

    /// From Σⱼ wⱼk₀(xᵢ, xⱼ) and its gradient in xᵢ to the value and the potential.
    fn finish(
        &self,
        mu: &Empirical,
        scores: &Points,
        mut sums: Pullback,
        gradients: bool,
    ) -> Result<(f64, Pullback)> {
        let full: f64 = sums.values.iter().zip(mu.weights()).map(|(m, w)| m * w).sum();
        let off = match self.statistic {
            Statistic::Plugin => None,
            Statistic::Unbiased => Some(OffDiagonal::new(ATOMS_OF_MU, mu)?),
        };
        let scale = 2.0 * off.map_or(1.0, |off| off.rest.recip());
        sums.values.iter_mut().for_each(|v| *v *= scale);
        sums.gradients.as_mut_slice().iter_mut().for_each(|v| *v *= scale);
        let mut value = full;
        if let Some(off) = off {
            let diagonal = self.diagonal(mu, scores, gradients)?;
            value = off.form(full, diagonal_sum(mu, &diagonal));
            leave_out_diagonal(mu, &mut sums, &diagonal, off, value);
        }
        Ok((finite(value)?, sums))
    }

    fn full(&self, mu: &Empirical) -> Result<(f64, Pullback)> {
        let scores = self.scores(mu)?;
        let all = Self::scored(mu, &scores);
        let dim = mu.dim();
        let width = 2 * dim + 1;
        let kernel = &self.kernel;
        let mut joined = vec![0.0; mu.len() * width];
        parallel::fill_blocks(&mut joined, width, ROWS, |rows, out| {
            let x = rows.start / WIDTH..rows.end.div_ceil(WIDTH);
            let mut sums = vec![[0.0; WIDTH]; x.len() * width];
            dispatch(GradientSums { kernel, all: &all, x, dim, sums: &mut sums });
            for (i, row) in out.chunks_exact_mut(width).enumerate() {
                for (c, out) in row.iter_mut().enumerate() {
                    *out = sums[i / WIDTH * width + c][i % WIDTH];
                }
            }
        });
        let part = |from: usize| {
            Points::from_fn(mu.len(), dim, |i, row| row.copy_from_slice(&joined[i * width + from..][..dim]))
        };
        // what reaches x through its score: ∇²log p(x) · Σⱼ wⱼ ∂k₀/∂s(x)
        let mut gradients = part(1);
        let through_score = self.score.score_jvp(mu.points(), &part(1 + dim))?;
        let rows = gradients.as_mut_slice().iter_mut();
        rows.zip(through_score.as_slice()).for_each(|(g, s)| *g += s);
        let values = joined.iter().step_by(width).copied().collect();
        let out = self.finish(mu, &scores, Pullback { values, gradients }, true)?;
        out.1.gradients.check_finite("gradient of the Stein discrepancy")?;
        Ok(out)
    }

    /// The n×n table k₀(xᵢ, xⱼ), row-major: for tests that reweight the pairs.
    ///
    /// # Errors
    /// The points live in another dimension, a score is not finite, or the table has more than 2²⁷ entries (a gigabyte).
    pub fn matrix(&self, points: &Points) -> Result<Vec<f64>> {
        check_table("entries of the table", points.len(), points.len())?;
        let table = self.packed(points)?.strip(&self.kernel, 0..points.len());
        match table.iter().find(|v| !v.is_finite()) {
            None => Ok(table),
            Some(v) => finite(*v).map(|_| table),
        }
    }

    /// The points with their scores, ready for [`ScoredPoints::strip`].
    pub(crate) fn packed(&self, points: &Points) -> Result<ScoredPoints> {
        let mu = Empirical::uniform(points.clone())?;
        let scores = self.scores(&mu)?;
        Ok(ScoredPoints { len: points.len(), points: Packed::new(points), scores: Packed::new(&scores) })
    }

    pub(crate) fn kernel(&self) -> &K {
        &self.kernel
    }
}

/// Points with their scores, packed: what a table of the Stein kernel is made of.
pub(crate) struct ScoredPoints {
    len: usize,
    points: Packed,
    scores: Packed,
}

impl ScoredPoints {
    /// Rows i of the table k₀(xᵢ, xⱼ) in a range that starts at a multiple of eight, columns from its start on.
    pub(crate) fn strip<K: SteinKernel>(&self, kernel: &K, rows: Range<usize>) -> Vec<f64> {
        let (first, width) = (rows.start / WIDTH, self.len - rows.start);
        let mut out = vec![0.0; rows.len() * width];
        let all = (&self.points, &self.scores);
        parallel::fill_blocks(&mut out, width.max(1), WIDTH, |rows, out| {
            dispatch(Table { kernel, all, row: first + rows.start / WIDTH, first, width, out });
        });
        out
    }
}

fn finite(value: f64) -> Result<f64> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::Parameter {
            what: "Stein discrepancy",
            value,
            must: "finite: points or scores are too large",
        })
    }
}

impl<S: Score, K: SteinKernel> Functional for KernelStein<S, K> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        let (value, potential) = self.full(mu)?;
        Ok(Variation::from_potential(mu, value, potential.values, potential.gradients))
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        let scores = self.scores(mu)?;
        let full = self.energy(mu, &scores);
        match self.statistic {
            Statistic::Plugin => finite(full),
            Statistic::Unbiased => {
                let off = OffDiagonal::new(ATOMS_OF_MU, mu)?;
                finite(off.form(full, diagonal_sum(mu, &self.diagonal(mu, &scores, false)?)))
            }
        }
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        Ok(self.full(mu)?.1.gradients)
    }
}

/// φ(0) and 2φ′(0).
struct AtZero<'a, K>(&'a K);

impl<K: SteinKernel> LaneOp for AtZero<'_, K> {
    type Output = [f64; 2];
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> [f64; 2] {
        let jets = self.0.jets(lanes, F64s::splat(lanes, 0.0));
        [jets[0].to_array()[0], jets[1].to_array()[0]]
    }
}

/// ‖δ‖², s·s′ and (s′ − s)·δ with δ = x − y, for the eight points x of a group and the broadcast point t of another.
#[inline(always)]
fn products<L: Lanes>(
    lanes: L,
    x: (&[[f64; WIDTH]], &[[f64; WIDTH]]),
    y: (&[[f64; WIDTH]], &[[f64; WIDTH]]),
) -> [[F64s<L>; 3]; WIDTH] {
    let mut sums = [[F64s::splat(lanes, 0.0); 3]; WIDTH];
    for c in 0..x.0.len().min(x.1.len()).min(y.0.len()).min(y.1.len()) {
        let (point, score) = (F64s::load(lanes, &x.0[c]), F64s::load(lanes, &x.1[c]));
        for t in 0..WIDTH {
            let difference = point - F64s::splat(lanes, y.0[c][t]);
            let other = F64s::splat(lanes, y.1[c][t]);
            let [r2, inner, along] = sums[t];
            sums[t] = [
                difference.mul_add(difference, r2),
                score.mul_add(other, inner),
                (other - score).mul_add(difference, along),
            ];
        }
    }
    sums
}

/// As [`products`] for scores −c(x − m): (s′ − s)·δ = c‖δ‖² and s·s′ = c²(‖x − m‖² + ‖y − m‖² − ‖δ‖²)/2.
#[inline(always)]
fn products_of_distances<L: Lanes>(
    lanes: L,
    (x, y): (&[[f64; WIDTH]], &[[f64; WIDTH]]),
    rate: f64,
    (own, other): (&[f64; WIDTH], &[f64; WIDTH]),
) -> [[F64s<L>; 3]; WIDTH] {
    let zero = F64s::splat(lanes, 0.0);
    let mut squares = [zero; WIDTH];
    for c in 0..x.len().min(y.len()) {
        let point = F64s::load(lanes, &x[c]);
        for t in 0..WIDTH {
            let difference = point - F64s::splat(lanes, y[c][t]);
            squares[t] = difference.mul_add(difference, squares[t]);
        }
    }
    let own = F64s::load(lanes, own);
    let (rate, half) = (F64s::splat(lanes, rate), F64s::splat(lanes, 0.5 * rate * rate));
    let mut out = [[zero; 3]; WIDTH];
    for t in 0..WIDTH {
        let inner = squares[t].neg_mul_add(half, own + F64s::splat(lanes, other[t]));
        out[t] = [squares[t], inner, squares[t] * rate];
    }
    out
}

/// k₀ = φ s·s′ + φ₁ ((s′ − s)·δ − d) − φ₂ r².
#[inline(always)]
fn stein<L: Lanes>(jets: &[F64s<L>; 4], [r2, inner, along]: [F64s<L>; 3], dim: F64s<L>) -> F64s<L> {
    jets[2].neg_mul_add(r2, jets[0].mul_add(inner, jets[1] * (along - dim)))
}

struct Sums<'a, K> {
    kernel: &'a K,
    all: &'a Scored,
    x: Range<usize>,
    y: Range<usize>,
    values: &'a mut [[f64; WIDTH]],
}

impl<K: SteinKernel> LaneOp for Sums<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (points, scores) = (&self.all.points, &self.all.scores);
        for (g, out) in self.x.zip(self.values) {
            let x = (points.group(g), scores.group(g));
            let dim = F64s::splat(lanes, x.0.len() as f64);
            let mut total = F64s::load(lanes, out);
            for h in self.y.clone() {
                let products = match &self.all.linear {
                    Some(linear) => {
                        let halves = (&linear.halves[g], &linear.halves[h]);
                        products_of_distances(lanes, (x.0, points.group(h)), linear.rate, halves)
                    }
                    None => products(lanes, x, (points.group(h), scores.group(h))),
                };
                for t in 0..WIDTH {
                    let jets = self.kernel.jets(lanes, products[t][0]);
                    let w = F64s::splat(lanes, self.all.weights[h][t]);
                    total = w.mul_add(stein(&jets, products[t], dim), total);
                }
            }
            total.store(out);
        }
    }
}

/// Σⱼ wⱼk₀, its gradient in x at fixed score, and its derivative in the score: 1 + d + d numbers a point.
struct GradientSums<'a, K> {
    kernel: &'a K,
    all: &'a Scored,
    x: Range<usize>,
    dim: usize,
    sums: &'a mut [[f64; WIDTH]],
}

impl<K: SteinKernel> LaneOp for GradientSums<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (points, scores) = (&self.all.points, &self.all.scores);
        let dim = F64s::splat(lanes, self.dim as f64);
        let dim_and_two = F64s::splat(lanes, self.dim as f64 + 2.0);
        for (g, out) in self.x.zip(self.sums.chunks_exact_mut(2 * self.dim + 1)) {
            let (x, s) = (points.group(g), scores.group(g));
            let (value, rest) = out.split_at_mut(1);
            let (gradient, by_score) = rest.split_at_mut(self.dim);
            let mut total = F64s::load(lanes, &value[0]);
            for h in 0..points.len() {
                let (y, other) = (points.group(h), scores.group(h));
                let products = products(lanes, (x, s), (y, other));
                // the factors of δ and of s′ − s in the gradient, and of s′ in the derivative by the score
                let mut factors = [[F64s::splat(lanes, 0.0); 3]; WIDTH];
                for t in 0..WIDTH {
                    let [r2, inner, along] = products[t];
                    let jets = self.kernel.jets(lanes, r2);
                    let w = F64s::splat(lanes, self.all.weights[h][t]);
                    total = w.mul_add(stein(&jets, products[t], dim), total);
                    let alpha = jets[1].mul_add(inner, jets[2] * (along - dim_and_two));
                    let alpha = jets[3].neg_mul_add(r2, alpha);
                    factors[t] = [w * alpha, w * jets[1], w * jets[0]];
                }
                for c in 0..self.dim {
                    let (point, score) = (F64s::load(lanes, &x[c]), F64s::load(lanes, &s[c]));
                    let mut sum = F64s::load(lanes, &gradient[c]);
                    let mut by = F64s::load(lanes, &by_score[c]);
                    for t in 0..WIDTH {
                        let [alpha, beta, gamma] = factors[t];
                        let difference = point - F64s::splat(lanes, y[c][t]);
                        let other = F64s::splat(lanes, other[c][t]);
                        sum = alpha.mul_add(difference, beta.mul_add(other - score, sum));
                        by = gamma.mul_add(other, beta.neg_mul_add(difference, by));
                    }
                    sum.store(&mut gradient[c]);
                    by.store(&mut by_score[c]);
                }
            }
            total.store(&mut value[0]);
        }
    }
}

/// Eight rows of the table, those of a group, from the columns of group `first` on; lanes are columns.
struct Table<'a, K> {
    kernel: &'a K,
    all: (&'a Packed, &'a Packed),
    row: usize,
    first: usize,
    width: usize,
    out: &'a mut [f64],
}

impl<K: SteinKernel> LaneOp for Table<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (points, scores) = self.all;
        let rows = (points.group(self.row), scores.group(self.row));
        let dim = F64s::splat(lanes, rows.0.len() as f64);
        for g in self.first..points.len() {
            // k₀ is symmetric: the rows of the table are broadcast
            let products = products(lanes, (points.group(g), scores.group(g)), rows);
            for (t, row) in self.out.chunks_exact_mut(self.width).enumerate() {
                let jets = self.kernel.jets(lanes, products[t][0]);
                let values = stein(&jets, products[t], dim).to_array();
                let row = &mut row[(g - self.first) * WIDTH..];
                let columns = row.len().min(WIDTH);
                row[..columns].copy_from_slice(&values[..columns]);
            }
        }
    }
}
