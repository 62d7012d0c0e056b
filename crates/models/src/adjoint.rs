//! Gradients through a solve in memory that grows with the square root of its steps.

use crate::error::Result;
use crate::generators::SolverConfig;
use crate::rows::Rows;
use flows::ode::{Event, Ode, Tableau};
use flows::{State, VelocityField};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use tch::{Tensor, no_grad, with_grad};

/// How a gradient goes back through the steps of a solver. Both ways are the derivative of the discrete solution, equal to
/// round-off; they differ in memory and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backprop {
    /// The graph of all steps is kept: every velocity is evaluated once, memory grows with the number of steps.
    #[default]
    Whole,
    /// About √steps states are kept, and the steps between two of them are done again on the way back: every velocity is
    /// evaluated twice, memory grows with the square root of the number of steps.
    Checkpoints,
}

/// A solve of dχ_t = v_t(χ_t) dt whose end can be pulled back to its start and to the parameters of the velocity: the
/// discrete adjoint, with checkpoints.
///
/// The steps are done without a graph, and the states of about √steps of them are kept. [`Checkpoints::pull_back`] then
/// goes from the last stretch to the first: it does the steps of the stretch again, now within a graph, multiplies the
/// gradient at its end through, and drops the graph. No more than one stretch of about √steps steps is in memory.
/// A. Griewank, *Achieving logarithmic growth of temporal and spatial complexity in reverse automatic differentiation*,
/// Optimization Methods and Software 1 (1992), doi:10.1080/10556789208805505, whose simplest schedule this is; Chen et al.
/// 2016, arXiv 1604.06174.
///
/// Steps that follow the error are chosen on the way forward and are constants on the way back.
///
/// ```
/// use models::{Backprop, Checkpoints, Rule, SolverConfig, TensorField, tch::{Kind, Tensor}};
/// let a = Tensor::from_slice(&[0.7]).set_requires_grad(true);
/// let field = TensorField::new(|_, x| Ok(x * -&a));
/// let x0 = Tensor::from_slice(&[1.0, 2.0]).view([2, 1]);
/// let solver = SolverConfig { rule: Rule::DormandPrince, steps: Some(400), ..SolverConfig::default() };
/// let run = Checkpoints::solve(&solver, &field, &x0, 0.0, 1.0)?;
/// assert_eq!(run.kept(), 20);
/// let loss = run.loss(&x0, &[&a], |end| Ok(end.sum(Kind::Double)))?;
/// loss.backward();
/// assert!((a.grad().double_value(&[0]) + 3.0 * (-0.7f64).exp()).abs() < 1e-10);
/// # Ok::<(), models::Error>(())
/// ```
pub struct Checkpoints<'f, F: ?Sized> {
    field: &'f F,
    rule: Tableau,
    track: Track,
    end: Tensor,
}

/// What is kept of the way forward.
struct Track {
    /// The times at which steps begin, and the last end.
    mesh: Vec<f64>,
    /// The number of the step that begins at each kept state, and the state.
    kept: Vec<(usize, Rows)>,
    /// Steps between kept states where their number is known beforehand.
    stride: Option<usize>,
}

impl Track {
    fn see(&mut self, t: f64, x: &Rows) {
        let k = self.mesh.len();
        self.mesh.push(t);
        let keep = match self.stride {
            Some(stride) => k.is_multiple_of(stride),
            // Stretches of 1, 2, 3, … steps: of n steps about √2n are kept, and no stretch is longer than that.
            None => self.kept.last().is_none_or(|(last, _)| k - last >= self.kept.len()),
        };
        if keep {
            self.kept.push((k, x.clone()));
        }
    }
}

impl<'f, F: VelocityField<Rows> + ?Sized> Checkpoints<'f, F> {
    /// Carries the rows of `x0` from `t0` to `t1` by the steps of `solver`, without a graph.
    ///
    /// # Errors
    /// As [`Ode::solve_batch`]; a row does not reach the end.
    pub fn solve(solver: &SolverConfig, field: &'f F, x0: &Tensor, t0: f64, t1: f64) -> Result<Self> {
        let stride = solver.steps.map(|steps| steps.isqrt().max(1));
        let track = Mutex::new(Track { mesh: Vec::new(), kept: Vec::new(), stride });
        let start = Rows::new(x0.f_detach()?)?;
        let end = {
            // An event that never happens is asked for its value at the start and at the end of every step that counts.
            let watch = Event::batched(|t, x: &Rows| {
                let mut track = track.lock().unwrap_or_else(PoisonError::into_inner);
                track.see(t.at(0), x);
                vec![1.0; x.rows()]
            });
            let ode = solver.ode()?.event(watch);
            no_grad(|| ode.solve_batch(field, &start, t0, t1))?.finished()?.into_tensor()
        };
        let track = track.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Checkpoints { field, rule: solver.rule.tableau(), track, end })
    }

    /// The end, outside any graph.
    pub fn end(&self) -> &Tensor {
        &self.end
    }

    /// The steps that were done.
    pub fn steps(&self) -> usize {
        self.track.mesh.len() - 1
    }

    /// The states that are kept, the start among them.
    pub fn kept(&self) -> usize {
        self.track.kept.iter().filter(|(k, _)| *k < self.steps()).count()
    }

    /// With the gradient of a scalar in the end, n×d, that in the start, n×d, and in each of `leaves`, on which the
    /// velocity depends: Jᵀ `d_end` for the Jacobian J of the discrete solution. A leaf the velocity does not depend on has
    /// gradient zero.
    ///
    /// # Errors
    /// `d_end` has another shape than the end, a leaf does not take part in automatic differentiation, or libtorch refuses.
    pub fn pull_back(&self, d_end: &Tensor, leaves: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        if d_end.size() != self.end.size() {
            let expected = format!("{:?}", self.end.size());
            return Err(crate::Error::Shape { what: "d_end", expected, got: d_end.size() });
        }
        let mut gradient = d_end.f_detach()?;
        let mut in_leaves = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            in_leaves.push(leaf.f_zeros_like()?.f_detach()?);
        }
        let mesh = &self.track.mesh;
        let mut until = self.steps();
        for (from, state) in self.track.kept.iter().rev().filter(|(from, _)| *from < self.steps()) {
            let start = state.tensor().f_detach()?.f_set_requires_grad(true)?;
            let stretch = Ode::on_mesh(self.rule, mesh[*from..=until].to_vec())?;
            let parts = with_grad(|| {
                let start = Rows::new(start.shallow_clone())?;
                let end = stretch.solve_batch(self.field, &start, mesh[*from], mesh[until])?.finished()?;
                let along = end.tensor().f_mul(&gradient)?.f_sum(gradient.kind())?;
                let mut inputs = vec![start.tensor()];
                inputs.extend(leaves);
                Ok::<_, crate::Error>(Tensor::f_run_backward(&[along], &inputs, false, false)?)
            })?;
            no_grad(|| {
                let mut parts = parts.into_iter();
                gradient = parts.next().filter(Tensor::defined).unwrap_or_else(|| start.zeros_like());
                for (sum, part) in in_leaves.iter_mut().zip(parts).filter(|(_, part)| part.defined()) {
                    *sum = sum.f_add(&part)?;
                }
                Ok::<_, crate::Error>(())
            })?;
            until = *from;
        }
        Ok((gradient, in_leaves))
    }

    /// `loss` of the end as a scalar that back-propagates into `x0` (the start that was given), into `leaves`, and into
    /// whatever else `loss` depends on: ℓ + ⟨x₀, g⟩ − stop(⟨x₀, g⟩) + … with the gradients g of [`Checkpoints::pull_back`].
    ///
    /// # Errors
    /// As [`Checkpoints::pull_back`]; `loss` fails or does not depend on the end.
    pub fn loss(
        &self,
        x0: &Tensor,
        leaves: &[&Tensor],
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let end = self.end.f_detach()?.f_set_requires_grad(true)?;
        let value = loss(&end)?;
        let d_end = Tensor::f_run_backward(&[&value], &[&end], true, false)?.remove(0);
        let (d_start, d_leaves) = self.pull_back(&d_end, leaves)?;
        let kind = value.kind();
        let mut along = x0.f_mul(&d_start)?.f_sum(kind)?;
        for (leaf, gradient) in leaves.iter().zip(&d_leaves) {
            along = along.f_add(&leaf.f_mul(gradient)?.f_sum(kind)?)?;
        }
        let stopped = along.f_detach()?;
        Ok(value.f_add(&along.f_sub(&stopped)?)?)
    }
}
