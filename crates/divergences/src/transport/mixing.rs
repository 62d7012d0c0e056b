//! Anderson mixing: faster convergence of a fixed-point iteration x ← x + r(x) from its last few iterates.
//!
//! The next iterate is Σ αₖ (xₖ + rₖ) with Σ αₖ = 1 such that ‖Σ αₖ rₖ‖ is least. Near the solution of Sinkhorn's iteration,
//! whose linearisation is symmetric, this converges like conjugate gradients: at the rate of over-relaxation with the best
//! factor, without having to know it, and faster once slow modes are seen. Sources: Anderson (1965),
//! doi:10.1145/321296.321305; Walker and Ni, *Anderson acceleration for fixed-point iterations* (2011),
//! doi:10.1137/10078356X.

use super::cholesky;
use std::collections::VecDeque;

/// Iterates remembered.
const DEPTH: usize = 12;

/// Coefficients beyond this are made of round-off.
const WILD: f64 = 1e4;

/// The error that excuses a loss of merit, as a fraction of the least so far: alternating excuses would be a cycle.
const RECORD: f64 = 0.95;

/// A history that has brought nothing for so many iterates is forgotten: round-off has spoilt its differences.
const PATIENCE: usize = 2 * DEPTH;

/// The memory of an iteration whose plain steps climb a concave function, its merit. A mixed iterate that neither climbs nor
/// has a distinctly smaller error than any before is taken back, so that convergence is never lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mixing {
    history: VecDeque<Iterate>,
    merit: f64,
    /// The least error since the history was last empty.
    record: f64,
    /// The least error so far and the iterates since.
    best: Option<(f64, usize)>,
    /// Whether the iterate now asked about came from mixing.
    mixed: bool,
}

#[derive(Debug, Clone)]
struct Iterate {
    point: Vec<f64>,
    step: Vec<f64>,
}

impl Mixing {
    /// Replaces x by the next iterate, given the plain step r(x), the weights of the norm, and the merit and the error
    /// at x. What has no weight has no say, and its new value is of no use.
    pub(crate) fn advance(&mut self, x: &mut [f64], step: Vec<f64>, weights: &[f64], merit: f64, error: f64) {
        let round_off = 1e-13 * (1.0 + merit.abs());
        if self.mixed && !(merit >= self.merit - round_off || error < RECORD * self.record) {
            // Back to the last iterate, and from there the plain step, which climbs.
            self.mixed = false;
            if let Some(last) = self.history.back() {
                x.iter_mut().zip(last.point.iter().zip(&last.step)).for_each(|(x, (p, r))| *x = p + r);
            }
            // What is further away than the last iterate has misled.
            let keep = self.history.len().saturating_sub(2);
            self.history.drain(..keep);
            return;
        }
        self.merit = merit;
        self.record = if self.history.is_empty() { error } else { self.record.min(error) };
        self.best = match self.best {
            Some((best, since)) if error >= best => Some((best, since + 1)),
            _ => Some((error, 0)),
        };
        if self.best.is_some_and(|(_, since)| since >= PATIENCE) {
            self.history.clear();
            self.best = None;
        }
        let point = x.to_vec();
        x.iter_mut().zip(&step).for_each(|(x, r)| *x += r);
        // x_new + r_new − Σ γₖ ((x_new − xₖ) + (r_new − rₖ)), γ the least-squares solution of Σ γₖ (r_new − rₖ) ≈ r_new.
        // One direction less than there are coordinates: constants make no difference to a potential.
        let depth = weights.iter().filter(|w| **w > 0.0).count().saturating_sub(1).min(DEPTH);
        let surplus = self.history.len().saturating_sub(depth);
        self.history.drain(..surplus);
        let differences: Vec<Vec<f64>> =
            self.history.iter().map(|old| step.iter().zip(&old.step).map(|(r, s)| r - s).collect()).collect();
        for ((gamma, old), difference) in
            least_squares(&differences, &step, weights).into_iter().zip(&self.history).zip(&differences)
        {
            for (k, x) in x.iter_mut().enumerate() {
                *x -= gamma * ((point[k] - old.point[k]) + difference[k]);
            }
        }
        self.mixed = !self.history.is_empty();
        if self.history.len() == DEPTH {
            self.history.pop_front();
        }
        self.history.push_back(Iterate { point, step });
    }
}

/// γ with Σ γₖ vₖ nearest to `target` in the weighted norm, slightly regularised; zeros if the vectors are useless.
fn least_squares(vectors: &[Vec<f64>], target: &[f64], weights: &[f64]) -> Vec<f64> {
    let n = vectors.len();
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).zip(weights).map(|((a, b), w)| a * b * w).sum::<f64>();
    let mut gram = vec![0.0; n * n];
    let mut solution: Vec<f64> = vectors.iter().map(|v| inner(v, target)).collect();
    for i in 0..n {
        for j in 0..=i {
            gram[i * n + j] = inner(&vectors[i], &vectors[j]);
        }
    }
    let ridge = 1e-13 * (0..n).map(|i| gram[i * n + i]).sum::<f64>();
    (0..n).for_each(|i| gram[i * n + i] += ridge);
    let solved = cholesky::solve(&mut gram, &mut solution);
    if !solved || solution.iter().any(|g| g.is_nan() || g.abs() > WILD) {
        solution.fill(0.0);
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_iteration_is_solved_in_as_many_steps_as_it_has_modes() {
        // x ← x + (c − (1 − θ) x) mode by mode, slowest rate .999.
        let theta = [0.999, 0.99, 0.9, 0.5, 0.1, 0.0];
        let mut x = vec![0.0; 6];
        let mut mixing = Mixing::default();
        for _ in 0..8 {
            let step: Vec<f64> = x.iter().zip(&theta).map(|(x, t)| 1.0 - (1.0 - t) * x).collect();
            mixing.advance(&mut x, step, &[1.0; 6], 0.0, 0.0);
        }
        assert!(x.iter().zip(&theta).all(|(x, t)| (x * (1.0 - t) - 1.0).abs() < 1e-6), "{x:?}");
    }
}
