//! Langevin dynamics: clouds of independent chains that forget where they began and sample a law from its score.
//!
//! Every row of a cloud is a chain. Noise comes from counter-based streams, one a step, so that chains are the same for
//! any number of threads and in any company.

mod baoab;
mod ess;
mod mala;
mod ula;

pub use baoab::Baoab;
pub use ess::{EffectiveSize, effective_size};
pub use mala::Mala;
pub use ula::Ula;

use crate::error::{Error, Result};
use crate::ode::Status;
use measures::{Density, Measure, Points, Score, check_dim};

/// Chains moved by one thread at a time.
const BLOCK: usize = 256;

/// A law ∝ e^{−E} known by an energy and its gradient, without its constant: `energy(x)` and `gradient(x, out)`.
///
/// Its [`Density::log_density`] is −E, off by the unknown constant; samplers need no more.
#[derive(Debug, Clone, Copy)]
pub struct Energy<F, G> {
    dim: usize,
    value: F,
    gradient: G,
}

impl<F: Fn(&[f64]) -> f64, G: Fn(&[f64], &mut [f64])> Energy<F, G> {
    /// The law of this energy on ℝ^`dim`.
    pub fn new(dim: usize, energy: F, gradient: G) -> Self {
        Energy { dim, value: energy, gradient }
    }
}

impl<F, G> Measure for Energy<F, G> {
    fn dim(&self) -> usize {
        self.dim
    }
}

impl<F: Fn(&[f64]) -> f64, G> Density for Energy<F, G> {
    fn log_density(&self, x: &Points) -> measures::Result<Vec<f64>> {
        check_dim("points", self.dim, x.dim())?;
        Ok(x.rows().map(|x| -(self.value)(x)).collect())
    }
}

impl<F, G: Fn(&[f64], &mut [f64])> Score for Energy<F, G> {
    fn score(&self, x: &Points) -> measures::Result<Points> {
        check_dim("points", self.dim, x.dim())?;
        let mut out = Points::zeros(x.len(), self.dim);
        for (x, out) in x.rows().zip(out.rows_mut()) {
            (self.gradient)(x, out);
            out.iter_mut().for_each(|g| *g = -*g);
        }
        Ok(out)
    }
}

/// What chains have become.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Chains {
    /// The last finite state of every chain, n×d.
    pub points: Points,
    /// The velocities that go with it, where the dynamics has them.
    pub velocities: Option<Points>,
    /// The part of its proposals that each chain accepted; one where nothing is ever rejected.
    pub acceptance: Vec<f64>,
    /// Finished, or NonFinite where a chain left the finite numbers: too long a step, or a score that is not defined.
    pub status: Vec<Status>,
    /// The states after every `every` steps, when kept.
    pub trace: Vec<Points>,
}

impl Chains {
    /// The mean acceptance of all chains.
    pub fn mean_acceptance(&self) -> f64 {
        self.acceptance.iter().sum::<f64>() / self.acceptance.len() as f64
    }

    /// The effective number of independent draws in the trace of `f`, summed over the chains.
    ///
    /// # Errors
    /// No trace of at least four states was kept, or f is not finite on it.
    pub fn effective_size(&self, f: impl Fn(&[f64]) -> f64) -> Result<f64> {
        let mut sum = 0.0;
        for i in 0..self.points.len() {
            let values: Vec<f64> = self.trace.iter().map(|x| f(x.row(i))).collect();
            sum += effective_size(&values)?.size;
        }
        Ok(sum)
    }
}

/// The start of chains: finite rows in the right dimension.
fn check_chains(target: &(impl Measure + ?Sized), x0: &Points, steps: usize) -> Result<()> {
    check_dim("chains", target.dim(), x0.dim())?;
    for (what, got) in [("chains", x0.len()), ("steps", steps)] {
        if got == 0 {
            return Err(measures::Error::TooFew { what, at_least: 1, got }.into());
        }
    }
    x0.check_finite("chains").map_err(Error::from)
}

/// What one block of chains hands back.
struct Part {
    points: Points,
    velocities: Option<Points>,
    accepted: Vec<usize>,
    status: Vec<Status>,
    trace: Vec<Points>,
}

/// Runs blocks of chains and joins them in order.
fn join(
    x0: &Points,
    steps: usize,
    work: impl Fn(std::ops::Range<usize>, Points) -> Result<Part> + Sync + Send,
) -> Result<Chains> {
    let parts = measures::parallel::map_blocks(x0.len(), BLOCK, |range| {
        let rows: Vec<usize> = range.clone().collect();
        work(range, x0.select(&rows))
    });
    let mut all: Option<Part> = None;
    for part in parts {
        let part = part?;
        all = Some(match all {
            None => part,
            Some(mut all) => {
                all.points = all.points.concat(&part.points)?;
                all.velocities = match (all.velocities, part.velocities) {
                    (Some(a), Some(b)) => Some(a.concat(&b)?),
                    _ => None,
                };
                all.accepted.extend(part.accepted);
                all.status.extend(part.status);
                for (a, b) in all.trace.iter_mut().zip(&part.trace) {
                    *a = a.concat(b)?;
                }
                all
            }
        });
    }
    let all = all.ok_or(measures::Error::TooFew { what: "chains", at_least: 1, got: 0 })?;
    let acceptance = all.accepted.iter().map(|&a| a as f64 / steps as f64).collect();
    let Part { points, velocities, status, trace, .. } = all;
    Ok(Chains { points, velocities, acceptance, status, trace })
}

/// The number itself when it is at least one.
fn at_least_one(steps: usize) -> Result<usize> {
    if steps == 0 {
        return Err(measures::Error::TooFew { what: "trace_every", at_least: 1, got: 0 }.into());
    }
    Ok(steps)
}
