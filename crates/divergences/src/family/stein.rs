//! The image of a Stein operator (the paper's footnote 2): functions whose mean under p is known to vanish.

use super::RandomFrequencies;
use measures::{Empirical, Family, Measure, Points, Pullback, Result, Score, check_dim, check_pullback};

/// The functions A_p(f_k e_j) = f_k ∂_j log p + ∂_j f_k, for the real coordinates f_k of complex exponentials and the unit
/// vectors e_j, K·d in number (j runs fastest), with the τ of f_k.
///
/// E_p[A_p g] = 0 when boundary terms vanish (do not use uniform, truncated or Dirichlet targets), so that D₂² between a
/// sample and p over this family is Σ τ ⟨A_p g|μ⟩², with no sample of p: the squared kernel Stein discrepancy of the
/// kernel Σ τ f⊗f. Gradients need [`Score::score_jvp`].
#[derive(Debug, Clone)]
pub struct SteinImage<S> {
    score: S,
    base: RandomFrequencies,
    tau: Vec<f64>,
}

impl<S: Score> SteinImage<S> {
    /// The image of complex exponentials under the Langevin–Stein operator of a score.
    ///
    /// # Errors
    /// The frequencies live in another dimension than the score.
    pub fn new(score: S, base: RandomFrequencies) -> Result<Self> {
        check_dim("frequencies", score.dim(), base.dim())?;
        let tau = base.tau().iter().flat_map(|t| std::iter::repeat_n(*t, score.dim())).collect();
        Ok(SteinImage { score, base, tau })
    }

    /// (f_k, θ_k) at a point: the exponentials' real coordinates cos, sin, and the index of their frequency.
    fn base_values(&self, x: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(2 * self.base.len());
        for s in self.base.frequencies().rows() {
            let angle: f64 = s.iter().zip(x).map(|(s, x)| s * x).sum();
            out.extend([angle.cos(), angle.sin()]);
        }
        out
    }

    /// Writes all functions at a point with score `s`.
    fn evaluate(&self, x: &[f64], s: &[f64], out: &mut [f64]) {
        let d = x.len();
        let f = self.base_values(x);
        for (k, frequency) in self.base.frequencies().rows().enumerate() {
            let (cos, sin) = (f[2 * k], f[2 * k + 1]);
            for j in 0..d {
                out[2 * k * d + j] = cos * s[j] - sin * frequency[j];
                out[(2 * k + 1) * d + j] = sin * s[j] + cos * frequency[j];
            }
        }
    }
}

impl<S: Score> Family for SteinImage<S> {
    fn dim(&self) -> usize {
        self.score.dim()
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("measure", self.dim(), mu.dim())?;
        let scores = self.score.score(mu.points())?;
        let mut sums = vec![0.0; self.tau.len()];
        let mut values = vec![0.0; self.tau.len()];
        for (i, w) in mu.weights().iter().enumerate().filter(|(_, w)| **w > 0.0) {
            self.evaluate(mu.points().row(i), scores.row(i), &mut values);
            sums.iter_mut().zip(&values).for_each(|(sum, v)| *sum += w * v);
        }
        Ok(sums)
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        let d = x.dim();
        let scores = self.score.score(x)?;
        let mut values = vec![0.0; x.len()];
        let mut explicit = Points::zeros(x.len(), d);
        // v_j = Σ_k c_kj f_k: what the score is multiplied by, so that its derivative adds ∇²log p · v
        let mut through = Points::zeros(x.len(), d);
        let mut row = vec![0.0; self.tau.len()];
        for i in 0..x.len() {
            let (point, s) = (x.row(i), scores.row(i));
            self.evaluate(point, s, &mut row);
            values[i] = row.iter().zip(c).map(|(f, c)| f * c).sum();
            let f = self.base_values(point);
            for (k, frequency) in self.base.frequencies().rows().enumerate() {
                let (cos, sin) = (f[2 * k], f[2 * k + 1]);
                // the derivative by the angle of all functions of this frequency, times the frequency
                let mut slope = 0.0;
                for j in 0..d {
                    let (a, b) = (c[2 * k * d + j], c[(2 * k + 1) * d + j]);
                    slope += a * (-sin * s[j] - cos * frequency[j]) + b * (cos * s[j] - sin * frequency[j]);
                    through.row_mut(i)[j] += a * cos + b * sin;
                }
                explicit.row_mut(i).iter_mut().zip(frequency).for_each(|(g, s)| *g += slope * s);
            }
        }
        let through_score = self.score.score_jvp(x, &through)?;
        explicit.as_mut_slice().iter_mut().zip(through_score.as_slice()).for_each(|(g, s)| *g += s);
        Ok(Pullback { values, gradients: explicit })
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim(), x.dim())?;
        let scores = self.score.score(x)?;
        let mut out = vec![0.0; x.len() * self.tau.len()];
        for (i, out) in out.chunks_exact_mut(self.tau.len()).enumerate() {
            self.evaluate(x.row(i), scores.row(i), out);
        }
        Ok(out)
    }
}
