//! The unadjusted Langevin algorithm.

use super::{Chains, Part, check_chains, join};
use crate::error::Result;
use crate::ode::Status;
use crate::sde::block_normals;
use measures::{Points, Score, Seed, check_positive};

/// X ← X + h ∇log p(X) + √(2h) Z: Euler–Maruyama steps of eq. (5). Its stationary law is p to order h only: for N(0, 1) it is
/// N(0, 1/(1 − h/2)). G. O. Roberts and R. L. Tweedie, *Exponential convergence of Langevin distributions and their discrete
/// approximations*, Bernoulli 2 (1996), doi:10.2307/3318418.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ula {
    step: f64,
    every: Option<usize>,
}

impl Ula {
    /// Steps of length h.
    ///
    /// # Errors
    /// h is not finite and positive.
    pub fn new(step: f64) -> Result<Self> {
        Ok(Ula { step: check_positive("step", step)?, every: None })
    }

    /// Keeps the states after every so many steps.
    ///
    /// # Errors
    /// `steps` is zero.
    pub fn trace_every(self, steps: usize) -> Result<Self> {
        Ok(Ula { every: Some(super::at_least_one(steps)?), ..self })
    }

    /// `steps` steps of every chain.
    ///
    /// # Errors
    /// No chain, no step, a chain that does not start from finite numbers in the dimension of the target, or a score
    /// that refuses.
    pub fn run(&self, target: &(impl Score + Sync), x0: &Points, steps: usize, seed: Seed) -> Result<Chains> {
        check_chains(target, x0, steps)?;
        let (drift, noise) = (self.step, (2.0 * self.step).sqrt());
        join(x0, steps, |rows, mut x| {
            let (n, d) = (x.len(), x.dim());
            let (mut status, mut accepted) = (vec![Status::Finished; n], vec![steps; n]);
            let (mut z, mut next, mut trace) = (Vec::new(), Vec::with_capacity(d), Vec::new());
            for k in 0..steps {
                let score = target.score(&x)?;
                block_normals(seed, k as u64, &rows, d, &mut z);
                for (i, row) in x.rows_mut().enumerate() {
                    if status[i] != Status::Finished {
                        continue;
                    }
                    let z = &z[i * d..(i + 1) * d];
                    next.clear();
                    next.extend(
                        row.iter().zip(score.row(i)).zip(z).map(|((x, s), z)| x + drift * s + noise * z),
                    );
                    if next.iter().all(|x| x.is_finite()) {
                        row.copy_from_slice(&next);
                    } else {
                        (status[i], accepted[i]) = (Status::NonFinite, k);
                    }
                }
                if self.every.is_some_and(|every| (k + 1) % every == 0) {
                    trace.push(x.clone());
                }
            }
            Ok(Part { points: x, velocities: None, accepted, status, trace })
        })
    }
}
