//! The Metropolis-adjusted Langevin algorithm.

use super::{Chains, Part, check_chains, join};
use crate::error::Result;
use crate::ode::Status;
use crate::sde::block_normals;
use measures::{Density, Points, Score, Seed, check_positive};

/// Proposals of [`Ula`](super::Ula), accepted with probability min(1, p(y) q(x|y) / (p(x) q(y|x))): its stationary law is p
/// exactly. In high dimension an acceptance near 0.574 is best.
///
/// J. Besag, comment in J. R. Statist. Soc. B 56 (1994); G. O. Roberts and J. S. Rosenthal, *Optimal scaling of discrete
/// approximations to Langevin diffusions*, J. R. Statist. Soc. B 60 (1998), doi:10.1111/1467-9868.00123.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mala {
    step: f64,
    every: Option<usize>,
}

impl Mala {
    /// Steps of length h.
    ///
    /// # Errors
    /// h is not finite and positive.
    pub fn new(step: f64) -> Result<Self> {
        Ok(Mala { step: check_positive("step", step)?, every: None })
    }

    /// Keeps the states after every so many steps.
    ///
    /// # Errors
    /// `steps` is zero.
    pub fn trace_every(self, steps: usize) -> Result<Self> {
        Ok(Mala { every: Some(super::at_least_one(steps)?), ..self })
    }

    /// `steps` steps of every chain. A proposal at which density or score is not finite is rejected.
    ///
    /// # Errors
    /// As [`Ula::run`](super::Ula::run).
    pub fn run(
        &self,
        target: &(impl Density + Score + Sync),
        x0: &Points,
        steps: usize,
        seed: Seed,
    ) -> Result<Chains> {
        check_chains(target, x0, steps)?;
        let h = self.step;
        let (moves, verdicts) = (seed.named("proposal"), seed.named("acceptance"));
        join(x0, steps, |rows, mut x| {
            let (n, d) = (x.len(), x.dim());
            let mut score = target.score(&x)?;
            let mut log = target.log_density(&x)?;
            let start = |i: usize| log[i].is_finite() && score.row(i).iter().all(|s| s.is_finite());
            let status: Vec<Status> =
                (0..n).map(|i| if start(i) { Status::Finished } else { Status::NonFinite }).collect();
            let (mut z, mut pair, mut trace) = (Vec::new(), Vec::new(), Vec::new());
            let mut accepted = vec![0; n];
            for k in 0..steps {
                block_normals(moves, k as u64, &rows, d, &mut z);
                block_normals(verdicts, k as u64, &rows, 2, &mut pair);
                let propose = |i: usize, y: &mut [f64]| {
                    for (c, y) in y.iter_mut().enumerate() {
                        *y = x.row(i)[c] + h * score.row(i)[c] + (2.0 * h).sqrt() * z[i * d + c];
                    }
                };
                let y = Points::from_fn(n, d, propose);
                let (y_score, y_log) = (target.score(&y)?, target.log_density(&y)?);
                for i in 0..n {
                    // log q(x|y) − log q(y|x): the squares of the noise there and back, over 4h.
                    let there: f64 = z[i * d..(i + 1) * d].iter().map(|z| 2.0 * h * z * z).sum();
                    let back = |c: usize| (x.row(i)[c] - y.row(i)[c] - h * y_score.row(i)[c]).powi(2);
                    let ratio = y_log[i] - log[i] + (there - (0..d).map(back).sum::<f64>()) / (4.0 * h);
                    // ½(z₁² + z₂²) is the −log of a uniform number.
                    let threshold = -0.5 * (pair[2 * i].powi(2) + pair[2 * i + 1].powi(2));
                    // A comparison with NaN is false: what is not finite is rejected.
                    if status[i] == Status::Finished && ratio >= threshold && ratio < f64::INFINITY {
                        x.row_mut(i).copy_from_slice(y.row(i));
                        score.row_mut(i).copy_from_slice(y_score.row(i));
                        log[i] = y_log[i];
                        accepted[i] += 1;
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
