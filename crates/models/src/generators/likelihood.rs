//! Densities carried along a learned velocity, within the graph of automatic differentiation or outside it.

use crate::adjoint::{Backprop, Checkpoints};
use crate::error::{Error, Result};
use crate::generators::normalising::standard_normal;
use crate::generators::{BLOCK, FlowModel, SolverConfig};
use crate::guard::guard;
use crate::rows::Rows;
use crate::tensor::{to_points, to_tensor, values};
use flows::ode::Ode;
use flows::{Clock, FieldError, State, VelocityField};
use measures::{Diffeo, Points};
use tch::{Kind, Tensor, with_grad};

/// How ∇·v is found.
#[derive(Debug)]
pub(crate) enum Divergence {
    /// Σ ∂v_k/∂x_k by d vector–Jacobian products.
    Exact,
    /// The mean of uᵀ Dv u over the probes u, each n×d: Hutchinson's estimate, which along one solve keeps its probes.
    Probes(Vec<Tensor>),
}

/// dx = v dt, dℓ = ∇·v dt for rows (x, ℓ), n×(d+1). A state that is part of a graph gets a velocity that is.
struct Carrying<'a> {
    model: &'a FlowModel,
    divergence: &'a Divergence,
}

impl VelocityField<Rows> for Carrying<'_> {
    fn velocity(&self, t: Clock<'_>, y: &Rows, out: &mut Rows) -> Result<(), FieldError> {
        let times: Vec<f64> = (0..y.rows()).map(|i| t.at(i)).collect();
        let graph = y.tensor().requires_grad();
        // The divergence needs a graph of its own, also where the solve keeps none.
        let rate = with_grad(|| self.rate(&times, y.tensor(), graph))?;
        *out = Rows::new(if graph { rate } else { rate.f_detach()? })?;
        Ok(())
    }
}

impl Carrying<'_> {
    fn rate(&self, times: &[f64], y: &Tensor, graph: bool) -> Result<Tensor> {
        let (kind, _) = self.model.params.options();
        let d = y.size()[1] - 1;
        let x = y.f_narrow(1, 0, d)?;
        // The state may be of double precision where the network is of single.
        let x = (if graph { x } else { x.f_detach()?.f_set_requires_grad(true)? }).f_to_kind(kind)?;
        let v = self.model.velocity(times, &x)?;
        let back = |output: Tensor| -> Result<Tensor> {
            Ok(Tensor::f_run_backward(&[output], &[&x], true, graph)?.remove(0))
        };
        let mut trace = y.f_new_zeros([y.size()[0]], (kind, y.device()))?;
        match self.divergence {
            Divergence::Exact => {
                for k in 0..d {
                    trace += back(v.select(1, k).sum(kind))?.select(1, k);
                }
            }
            Divergence::Probes(probes) => {
                for u in probes {
                    let product = back((&v * u).sum(kind))? * u;
                    trace += product.sum_dim_intlist(1, false, kind) / probes.len() as f64;
                }
            }
        }
        Ok(Tensor::f_cat(&[v, trace.f_unsqueeze(1)?], 1)?.f_to_kind(y.kind())?)
    }
}

/// Points with the number zero each: n×(d+1).
fn with_zero(x: &Tensor) -> Result<Tensor> {
    let zero = x.f_new_zeros([x.size()[0], 1], (x.kind(), x.device()))?;
    Ok(Tensor::f_cat(&[x, &zero], 1)?)
}

impl FlowModel {
    /// log p(x) from where (x, 0) was carried to, n×(d+1).
    fn log_prob_at(&self, end: &Tensor) -> Result<Tensor> {
        let d = self.dim() as i64;
        let (z, log) = (end.f_narrow(1, 0, d)?, end.f_select(1, d)?);
        Ok(self.noise_log(&z) + log)
    }

    /// The logarithm of the density of the noise where the path begins, at the rows of `z`.
    pub(crate) fn noise_log(&self, z: &Tensor) -> Tensor {
        let sigma = self.schedule().sigma(self.span().0);
        standard_normal(&(z / sigma)) - sigma.ln() * self.dim() as f64
    }

    /// log p(x) for the rows of `x` (n×d), in standard coordinates: the points go back along the velocity to the noise, and
    /// log p₁(x) = log p₀(z) − ∫ ∇·v dt (theorem 1 of arXiv 1806.07366).
    ///
    /// With `graph` the result can be differentiated in the parameters, through the steps of the solver.
    pub(crate) fn log_prob(
        &self,
        x: &Tensor,
        ode: &Ode<'_, Rows>,
        divergence: &Divergence,
        graph: bool,
    ) -> Result<Tensor> {
        let start = Rows::new(with_zero(x)?.f_detach()?.f_set_requires_grad(graph)?)?;
        let (from, to) = self.span();
        let end = ode.solve_batch(&Carrying { model: self, divergence }, &start, to, from)?.finished()?;
        self.log_prob_at(end.tensor())
    }

    /// The mean of log p(x) over the rows of `x` (n×d), in standard coordinates, to be differentiated in the parameters.
    pub(crate) fn mean_log_prob(
        &self,
        x: &Tensor,
        solver: &SolverConfig,
        divergence: &Divergence,
        backprop: Backprop,
    ) -> Result<Tensor> {
        match backprop {
            Backprop::Whole => Ok(self.log_prob(x, &solver.ode()?, divergence, true)?.f_mean(x.kind())?),
            Backprop::Checkpoints => {
                let (from, to) = self.span();
                let (field, start) = (Carrying { model: self, divergence }, with_zero(x)?);
                let leaves: Vec<&Tensor> = self.params.leaves().iter().collect();
                Checkpoints::solve(solver, &field, &start, to, from)?
                    .loss(&start, &leaves, |end| Ok(self.log_prob_at(end)?.f_mean(x.kind())?))
            }
        }
    }

    /// As [`FlowModel::log_prob`] for points in the coordinates of the data, by the solver of generation.
    pub(crate) fn log_density_of(&self, x: &Points) -> Result<Vec<f64>> {
        measures::check_dim("points", self.dim(), x.dim())?;
        if self.about().start.is_some() {
            let why = "this model starts from data, whose density is not known";
            return Err(Error::Undefined { what: "log_density", why });
        }
        let (_, device) = self.params.options();
        let volume = self.about().scaler.log_volume();
        let ode = self.about().solver.ode()?;
        let blocks = blocks(&self.about().scaler.standardise(x.clone()), |block| {
            values(&self.log_prob(
                &to_tensor(block, Kind::Double, device)?,
                &ode,
                &Divergence::Exact,
                false,
            )?)
        })?;
        Ok(blocks.into_iter().flatten().map(|log| log - volume).collect())
    }

    /// Points of standard coordinates carried from noise to data or back, and the logarithm of the determinant of that map.
    fn carry_with_log_det(&self, x: &Points, backward: bool) -> Result<(Points, Vec<f64>)> {
        let (_, device) = self.params.options();
        let (from, to) = self.span();
        let (from, to) = if backward { (to, from) } else { (from, to) };
        let ode = self.about().solver.ode()?;
        let field = Carrying { model: self, divergence: &Divergence::Exact };
        let d = x.dim() as i64;
        let parts = blocks(x, |block| {
            let start = Rows::new(with_zero(&to_tensor(block, Kind::Double, device)?)?)?;
            let end = ode.solve_batch(&field, &start, from, to)?.finished()?.into_tensor();
            Ok((to_points(&end.f_narrow(1, 0, d)?)?.into_vec(), values(&end.f_select(1, d)?)?))
        })?;
        let (coords, logs): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Ok((Points::from_raw(x.dim(), coords.concat()), logs.concat()))
    }
}

/// Works through the rows in blocks that bound memory.
fn blocks<T>(x: &Points, work: impl Fn(&Points) -> Result<T>) -> Result<Vec<T>> {
    let block = |start: usize| {
        let rows: Vec<usize> = (start..(start + BLOCK).min(x.len())).collect();
        guard(|| work(&x.select(&rows)))
    };
    (0..x.len()).step_by(BLOCK).map(block).collect()
}

/// From noise to data; the starting points of a model that starts from a measure are in that measure's coordinates.
impl Diffeo for FlowModel {
    fn apply_with_log_det(&self, z: &Points) -> measures::Result<(Points, Vec<f64>)> {
        measures::check_dim("points", self.dim(), z.dim())?;
        let (about, mut volume) = (self.about(), self.about().scaler.log_volume());
        let mut z = z.clone();
        if let Some(start) = &about.start {
            z = start.standardise(z);
            volume -= start.log_volume();
        }
        let (x, mut log_det) = solved(self.carry_with_log_det(&z, false))?;
        log_det.iter_mut().for_each(|l| *l += volume);
        Ok((about.scaler.restore(x), log_det))
    }

    fn inverse_with_log_det(&self, x: &Points) -> measures::Result<(Points, Vec<f64>)> {
        measures::check_dim("points", self.dim(), x.dim())?;
        let (about, mut volume) = (self.about(), self.about().scaler.log_volume());
        let (mut z, mut log_det) =
            solved(self.carry_with_log_det(&about.scaler.standardise(x.clone()), true))?;
        if let Some(start) = &about.start {
            z = start.restore(z);
            volume -= start.log_volume();
        }
        log_det.iter_mut().for_each(|l| *l -= volume);
        Ok((z, log_det))
    }
}

fn solved<T>(result: Result<T>) -> measures::Result<T> {
    let why = "the solver could not follow the learned velocity";
    result.map_err(|_| measures::Error::Undefined { what: "the map", why })
}
