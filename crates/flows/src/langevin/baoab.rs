//! Underdamped Langevin dynamics by the BAOAB splitting.

use super::{Chains, Part, check_chains, join};
use crate::error::Result;
use crate::ode::Status;
use crate::sde::block_normals;
use measures::{Points, Score, Seed, check_dim, check_len, check_positive};

/// dX = V dt, dV = (∇log p(X) − γV) dt + √(2γ) dB, split in kicks (B), drifts (A) and an exact Ornstein–Uhlenbeck step (O):
/// weak order 2, one score a step, and for a Gaussian p the law of X is exact at any stable step.
///
/// B. Leimkuhler and C. Matthews, *Rational construction of stochastic numerical methods for molecular sampling*, Appl.
/// Math. Res. eXpress (2013), doi:10.1093/amrx/abs010.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baoab {
    step: f64,
    friction: f64,
    every: Option<usize>,
}

impl Baoab {
    /// Steps of length h with friction γ.
    ///
    /// # Errors
    /// h or γ is not finite and positive.
    pub fn new(step: f64, friction: f64) -> Result<Self> {
        let (step, friction) = (check_positive("step", step)?, check_positive("friction", friction)?);
        Ok(Baoab { step, friction, every: None })
    }

    /// Keeps the states after every so many steps.
    ///
    /// # Errors
    /// `steps` is zero.
    pub fn trace_every(self, steps: usize) -> Result<Self> {
        Ok(Baoab { every: Some(super::at_least_one(steps)?), ..self })
    }

    /// `steps` steps of every chain from `x0` with the given velocities, or with fresh ones from N(0, I).
    ///
    /// # Errors
    /// As [`Ula::run`](super::Ula::run); velocities of another shape.
    pub fn run(
        &self,
        target: &(impl Score + Sync),
        x0: &Points,
        velocities: Option<&Points>,
        steps: usize,
        seed: Seed,
    ) -> Result<Chains> {
        check_chains(target, x0, steps)?;
        if let Some(v) = velocities {
            check_dim("velocities", x0.dim(), v.dim())?;
            check_len("velocities", x0.len(), v.len())?;
            v.check_finite("velocities")?;
        }
        let half = 0.5 * self.step;
        let keep = (-self.friction * self.step).exp();
        let noise = (-(-2.0 * self.friction * self.step).exp_m1()).sqrt();
        join(x0, steps, |rows, mut x| {
            let (n, d) = (x.len(), x.dim());
            let mut z = Vec::new();
            let mut v = if let Some(v) = velocities {
                v.select(&rows.clone().collect::<Vec<_>>())
            } else {
                block_normals(seed.named("velocity"), 0, &rows, d, &mut z);
                Points::from_raw(d, z.clone())
            };
            let mut score = target.score(&x)?;
            let (mut status, mut accepted, mut trace) =
                (vec![Status::Finished; n], vec![steps; n], Vec::new());
            for k in 0..steps {
                let (before_x, before_v) = (x.clone(), v.clone());
                block_normals(seed, k as u64, &rows, d, &mut z);
                let move_on = |((x, v), (s, z)): ((&mut f64, &mut f64), (&f64, &f64))| {
                    *v += half * s;
                    *x += half * *v;
                    *v = keep * *v + noise * z;
                    *x += half * *v;
                };
                let state = x.as_mut_slice().iter_mut().zip(v.as_mut_slice());
                state.zip(score.as_slice().iter().zip(&z)).for_each(move_on);
                score = target.score(&x)?;
                v.as_mut_slice().iter_mut().zip(score.as_slice()).for_each(|(v, s)| *v += half * s);
                for i in 0..n {
                    let good = x.row(i).iter().chain(v.row(i)).all(|y| y.is_finite());
                    if !good && status[i] == Status::Finished {
                        (status[i], accepted[i]) = (Status::NonFinite, k);
                    }
                    if status[i] != Status::Finished {
                        x.row_mut(i).copy_from_slice(before_x.row(i));
                        v.row_mut(i).copy_from_slice(before_v.row(i));
                    }
                }
                if self.every.is_some_and(|every| (k + 1) % every == 0) {
                    trace.push(x.clone());
                }
            }
            Ok(Part { points: x, velocities: Some(v), accepted, status, trace })
        })
    }
}
