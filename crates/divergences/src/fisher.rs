//! The Fisher divergence of a sample from a density known by its score.

use crate::divergence::{finite, finite_field, finite_variation};
use measures::{
    Empirical, Functional, Measure, Points, Result, Score, Variation, check_dim, check_positive, parallel,
};

/// F(μ ‖ p) = ∫ ‖∇log q − ∇log p‖² dμ, where q = μ ∗ N(0, h²I) is the kernel density estimate of the sample μ.
///
/// A sample has no score of its own; smoothing it with bandwidth h gives one. The value is that of the estimate: at fixed h
/// it tends to the Fisher divergence of the *smoothed* law under μ, not to zero when μ is p, unless h → 0 with n. It is
/// the rate at which Kullback–Leibler divergence falls along Langevin dynamics. Time O(n²d), no n×n memory; the gradient
/// in the points needs [`Score::score_jvp`].
///
/// ```
/// use divergences::FisherDivergence;
/// use divergences::measures::{Empirical, Functional, zoo::Gaussian};
/// let fisher = FisherDivergence::new(Gaussian::standard(1), 0.5)?;
/// // one atom is the mode of its own estimate: what is left is the score of the target
/// assert_eq!(fisher.value(&Empirical::dirac(&[3.0])?)?, 9.0);
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FisherDivergence<S> {
    score: S,
    bandwidth: f64,
}

/// What the density estimate gives at every atom.
struct Smoothed {
    /// log of the largest term and the sum of the others relative to it: the density is e^shift · mass.
    shift: Vec<f64>,
    mass: Vec<f64>,
    /// ∇log q − ∇log p.
    difference: Points,
    /// ∇log q.
    own: Points,
}

impl<S: Score> FisherDivergence<S> {
    /// The divergence from a target known by its score, with bandwidth h of the density estimate.
    ///
    /// # Errors
    /// The bandwidth is not positive and finite.
    pub fn new(score: S, bandwidth: f64) -> Result<Self> {
        Ok(FisherDivergence { score, bandwidth: check_positive("bandwidth", bandwidth)? })
    }

    fn smoothed(&self, mu: &Empirical) -> Result<Smoothed> {
        check_dim("measure", self.score.dim(), mu.dim())?;
        let target = self.score.score(mu.points())?;
        target.check_finite("score of the target")?;
        let (x, w, dim) = (mu.points(), mu.weights(), mu.dim());
        let (h, h2) = (self.bandwidth, self.bandwidth * self.bandwidth);
        let mut joined = vec![0.0; mu.len() * (dim + 2)];
        parallel::fill_blocks(&mut joined, dim + 2, BLOCK, |rows, out| {
            for (i, out) in rows.zip(out.chunks_exact_mut(dim + 2)) {
                // relative to the largest term, so that an isolated atom of weight zero has a score too
                let exponent = |j: usize| exponent(x.row(i), x.row(j), h);
                let live = || (0..w.len()).filter(|j| w[*j] > 0.0);
                let shift = live().map(exponent).fold(f64::NEG_INFINITY, f64::max);
                let (head, mean) = out.split_at_mut(2);
                head[0] = shift;
                for j in live() {
                    let term = w[j] * (exponent(j) - shift).exp();
                    head[1] += term;
                    for (mean, (xj, xi)) in mean.iter_mut().zip(x.row(j).iter().zip(x.row(i))) {
                        *mean += term * (xj - xi);
                    }
                }
                mean.iter_mut().for_each(|m| *m /= head[1] * h2);
            }
        });
        let own =
            Points::from_fn(mu.len(), dim, |i, row| row.copy_from_slice(&joined[i * (dim + 2) + 2..][..dim]));
        let mut difference = own.clone();
        difference.as_mut_slice().iter_mut().zip(target.as_slice()).for_each(|(d, s)| *d -= s);
        difference.check_finite("score of the density estimate")?;
        let column = |c: usize| joined.iter().skip(c).step_by(dim + 2).copied().collect();
        Ok(Smoothed { shift: column(0), mass: column(1), difference, own })
    }

    /// δF/δμ(z) = ‖g(z)‖² + 2Σᵢ wᵢ gᵢ·((z − xᵢ)/h² − uᵢ) k(xᵢ, z)/q(xᵢ), with g = u − s, u = ∇log q; and its gradient.
    fn potential(&self, mu: &Empirical) -> Result<(f64, Vec<f64>, Points)> {
        let at = self.smoothed(mu)?;
        let (x, w, dim) = (mu.points(), mu.weights(), mu.dim());
        let (h, h2) = (self.bandwidth, self.bandwidth * self.bandwidth);
        let through_score = self.score.score_jvp(x, &at.difference)?;
        let mut joined = vec![0.0; mu.len() * (dim + 1)];
        parallel::fill_blocks(&mut joined, dim + 1, BLOCK, |rows, out| {
            for (l, out) in rows.zip(out.chunks_exact_mut(dim + 1)) {
                let (g, u) = (at.difference.row(l), at.own.row(l));
                let (value, gradient) = out.split_at_mut(1);
                value[0] = dot(g, g);
                // ∇‖g‖² = 2(∇²log q − ∇²log p)g, and ∇²log q·g = Σ pⱼδⱼ(δⱼ·g)/h⁴ − g/h² − u(u·g)
                let ug = dot(u, g);
                for c in 0..dim {
                    gradient[c] = 2.0 * (-g[c] / h2 - u[c] * ug - through_score.row(l)[c]);
                }
                for i in 0..w.len() {
                    if w[i] == 0.0 {
                        continue;
                    }
                    let exponent = exponent(x.row(l), x.row(i), h);
                    let share = w[i] * (exponent - at.shift[l]).exp() / at.mass[l];
                    let along_g: f64 = (0..dim).map(|c| (x.row(i)[c] - x.row(l)[c]) * g[c]).sum();
                    // k(xᵢ, z)/q(xᵢ), with wᵢ
                    let ratio = 2.0 * w[i] * (exponent - at.shift[i]).exp() / at.mass[i];
                    let gi = at.difference.row(i);
                    let ui = at.own.row(i);
                    let pull: f64 =
                        (0..dim).map(|c| gi[c] * ((x.row(l)[c] - x.row(i)[c]) / h2 - ui[c])).sum();
                    value[0] += ratio * pull;
                    for c in 0..dim {
                        let away = x.row(i)[c] - x.row(l)[c];
                        gradient[c] += 2.0 * share * along_g * away / (h2 * h2);
                        gradient[c] += ratio * (gi[c] + pull * away) / h2;
                    }
                }
            }
        });
        let gradients =
            Points::from_fn(mu.len(), dim, |i, row| row.copy_from_slice(&joined[i * (dim + 1) + 1..][..dim]));
        Ok((mean_square(mu, &at), joined.iter().step_by(dim + 1).copied().collect(), gradients))
    }
}

/// Σ wᵢ‖gᵢ‖².
fn mean_square(mu: &Empirical, at: &Smoothed) -> f64 {
    mu.weights().iter().zip(at.difference.rows()).map(|(w, g)| w * dot(g, g)).sum()
}

/// log of exp(−‖x − y‖²/2h²).
fn exponent(x: &[f64], y: &[f64], h: f64) -> f64 {
    let r2: f64 = x.iter().zip(y).map(|(x, y)| ((x - y) / h).powi(2)).sum();
    -0.5 * r2
}

/// Rows a block: every row is O(n).
const BLOCK: usize = 32;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl<S: Score> Functional for FisherDivergence<S> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        let (value, potential, gradients) = self.potential(mu)?;
        finite_variation(Variation::from_potential(mu, value, potential, gradients))
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        finite(mean_square(mu, &self.smoothed(mu)?))
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        finite_field(self.potential(mu)?.2)
    }
}
