//! Entropic transport of a measure with itself: one potential, and each pair of atoms computed once.
//!
//! The iteration is f ← f + ½ (T f − f), T the soft c-transform, accelerated by Anderson mixing; where that is slow and
//! there are few atoms, steps of Newton's method for the dual value at (f, f) come between. Source of the averaged
//! iteration: Feydy et al. (2019), arXiv:1810.08278, section 3.

use super::cost::Cost;
use super::gibbs::{Gibbs, exp2, log2, padded};
use super::mixing::Mixing;
use super::newton::{is_direct, light, scaled_solve};
use super::plan::{Potentials, Status, dot};
use super::sinkhorn::{Entropic, Sinkhorn};
use super::table::Table;
use measures::{Empirical, Result};
use std::f64::consts::{LN_2, LOG2_E};

/// Passes after which progress is judged where Newton's method is at hand: the error must have become a tenth.
const PATIENCE: usize = 8;
const GAIN: f64 = 0.1;
/// How often a step of Newton's method is halved before it is given up.
const HALVINGS: usize = 12;

/// OT_ε(μ, μ) for a symmetric cost, perhaps from a potential known for a similar measure.
///
/// # Errors
/// As [`Sinkhorn::solve`].
pub(crate) fn solve(
    settings: &Sinkhorn,
    cost: &dyn Cost,
    mu: &Empirical,
    start: Option<&[f64]>,
) -> Result<Entropic> {
    let table = Table::new(cost, mu.points(), mu.points());
    let largest = table.largest()?;
    settings.check(largest)?;
    let mut iteration = Iteration::new(Gibbs::new(&table, settings.epsilon), mu.weights(), start);
    let floor = settings.floor(largest);
    let iterations = iteration.run(settings.tolerance.max(floor), settings.max_iterations);
    let error = iteration.error();
    let status = if error <= settings.tolerance {
        Status::Converged
    } else if error <= floor {
        Status::Stalled
    } else {
        Status::IterationLimit
    };
    Ok(iteration.finish(settings.epsilon, iterations, status))
}

/// The state of the iteration: u in units of ε/log₂e, and what it gives.
struct Iteration<'t> {
    gibbs: Gibbs<'t>,
    /// The weights and the potential, padded.
    a: Vec<f64>,
    u: Vec<f64>,
    n: usize,
    /// log₂ of sᵢ = Σⱼ aⱼ e^{(fᵢ + fⱼ − c_ij)/ε}, which are one at the solution, and sᵢ.
    logs: Vec<f64>,
    sums: Vec<f64>,
}

impl<'t> Iteration<'t> {
    fn new(gibbs: Gibbs<'t>, weights: &[f64], start: Option<&[f64]>) -> Self {
        let n = weights.len();
        let mut u = vec![0.0; n];
        if let Some(start) = start {
            u.iter_mut().zip(start).for_each(|(u, f)| *u = f * gibbs.kappa());
        }
        let u = padded(&u, f64::NEG_INFINITY);
        let mut iteration =
            Iteration { gibbs, a: padded(weights, 0.0), u, n, logs: Vec::new(), sums: Vec::new() };
        iteration.pass();
        iteration
    }

    fn pass(&mut self) {
        self.logs = self.gibbs.symmetric(&self.u, &self.a);
        self.sums = self.logs.iter().map(|&l| exp2(l)).collect();
    }

    /// The ℓ¹ distance of the marginals from the weights, both sides added up.
    fn error(&self) -> f64 {
        2.0 * self.sums.iter().zip(&self.a).map(|(s, a)| a * (s - 1.0).abs()).sum::<f64>()
    }

    /// The dual value at (f, f), in units of ε.
    fn merit(&self) -> f64 {
        let a = &self.a[..self.n];
        2.0 * LN_2 * dot(&self.u[..self.n], a) - (dot(&self.sums, a) - 1.0)
    }

    /// The change of uᵢ that makes sᵢ one if the others stay: with z = 2^change it is own·z² + rest·z = 1, and far from
    /// all others a light atom is its own nearest neighbour.
    fn alone(&self, i: usize) -> f64 {
        let own = self.a[i] * exp2(2.0 * self.u[i] - self.gibbs.kappa() * self.gibbs.own_cost(i));
        let rest = (self.sums[i] - own).max(0.0);
        let change = 1.0 - log2(rest + (rest * rest + 4.0 * own).sqrt());
        if change.is_finite() { change } else { -0.5 * self.logs[i] }
    }

    /// Iterates until the error is below `tolerance` or `limit` passes are done; returns these.
    fn run(&mut self, tolerance: f64, limit: usize) -> usize {
        let n = self.n;
        let light = light(&self.a[..n]);
        let mut weights = self.a[..n].to_vec();
        light.iter().for_each(|&i| weights[i] = 0.0);
        let mut mixing = Mixing::default();
        let (mut done, mut mark, mut mark_error) = (1, 1, f64::INFINITY);
        loop {
            let error = self.error();
            if error <= tolerance || done >= limit {
                return done;
            }
            if is_direct(n) && done >= mark + PATIENCE {
                let slow = error > GAIN * mark_error;
                (mark, mark_error) = (done, error);
                if slow {
                    done += self.newton(&light, limit - done);
                    mixing = Mixing::default();
                    // As long as Newton's steps pay off, go on with them.
                    mark = if self.error() < 0.5 * error { done.saturating_sub(PATIENCE) } else { done };
                    mark_error = error;
                    continue;
                }
            }
            let merit = self.merit();
            let step: Vec<f64> = self.logs.iter().map(|l| -0.5 * l).collect();
            let alone: Vec<f64> = light.iter().map(|&i| self.u[i] + self.alone(i)).collect();
            mixing.advance(&mut self.u[..n], step, &weights, merit, error);
            light.iter().zip(alone).for_each(|(&i, u)| self.u[i] = u);
            self.pass();
            done += 1;
        }
    }

    /// A step of Newton's method, halved until the dual rises or the error falls; returns the passes it cost.
    fn newton(&mut self, light: &[usize], limit: usize) -> usize {
        let n = self.n;
        let (merit, error) = (self.merit(), self.error());
        // The plan's row i is aᵢ sᵢ times the law of j given i.
        let mut plan = vec![0.0; n * n];
        self.gibbs.conditionals(&self.u[..n], &self.u, &self.a, &mut plan, n, |_, law, out| {
            out.copy_from_slice(law);
        });
        let diagonal: Vec<f64> = self.sums.iter().zip(&self.a).map(|(s, a)| s * a).collect();
        for (row, d) in plan.chunks_exact_mut(n).zip(&diagonal) {
            row.iter_mut().for_each(|p| *p *= d);
        }
        let residual: Vec<f64> = diagonal.iter().zip(&self.a).map(|(d, a)| a - d).collect();
        let Some(mut step) = scaled_solve(&diagonal, &mut plan, &residual) else { return 1 };
        light.iter().for_each(|&i| step[i] = self.alone(i) * LN_2);
        let before = (self.u.clone(), self.logs.clone(), self.sums.clone());
        let (mut length, mut passes) = (LOG2_E, 1);
        for _ in 0..HALVINGS {
            if passes >= limit {
                break;
            }
            let moved = before.0.iter().zip(&step);
            self.u.iter_mut().zip(moved).for_each(|(u, (old, s))| *u = old + length * s);
            self.pass();
            passes += 1;
            if self.merit() > merit || self.error() < 0.5 * error {
                return passes;
            }
            length *= 0.5;
        }
        (self.u, self.logs, self.sums) = before;
        passes
    }

    fn finish(self, epsilon: f64, iterations: usize, status: Status) -> Entropic {
        let (unit, n) = (self.gibbs.kappa().recip(), self.n);
        // T f, which is defined at atoms of weight zero too and is the better half of the pair (T f, f).
        let source: Vec<f64> = self.u.iter().zip(&self.logs).map(|(u, l)| (u - l) * unit).collect();
        let target: Vec<f64> = self.u[..n].iter().map(|u| u * unit).collect();
        let value = 2.0 * dot(&target, &self.a[..n]) - epsilon * (dot(&self.sums, &self.a[..n]) - 1.0);
        let (marginal_error, potentials) = (self.error(), Potentials { source, target });
        Entropic { value, potentials, epsilon, marginal_error, iterations, status }
    }
}
