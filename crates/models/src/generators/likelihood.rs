//! Densities carried along a learned velocity, within the graph of automatic differentiation or outside it.

use crate::error::{Error, Result};
use crate::generators::normalising::standard_normal;
use crate::generators::{BLOCK, FlowModel};
use crate::guard::guard;
use crate::tensor::{to_points, to_tensor, values};
use flows::ode::Ode;
use flows::{Clock, FieldError, State, VelocityField};
use measures::{Diffeo, Points};
use tch::{Kind, Tensor};

/// Points x (n×d) with a number each (n) that changes along with them.
#[derive(Debug)]
pub(crate) struct Carried {
    x: Tensor,
    log: Tensor,
}

/// How ∇·v is found.
#[derive(Debug)]
pub(crate) enum Divergence {
    /// Σ ∂v_k/∂x_k by d vector–Jacobian products.
    Exact,
    /// The mean of uᵀ Dv u over the probes u, each n×d: Hutchinson's estimate, which along one solve keeps its probes.
    Probes(Vec<Tensor>),
}

impl Clone for Carried {
    fn clone(&self) -> Self {
        Carried { x: self.x.shallow_clone(), log: self.log.shallow_clone() }
    }
}

impl Carried {
    /// A clock's numbers as a factor on rows: n×1 and n.
    fn factors(&self, a: Clock<'_>) -> (Tensor, Tensor) {
        let options = (self.x.kind(), self.x.device());
        let flat = match a {
            Clock::Shared(a) => Tensor::full([1], a, options),
            Clock::Each(a) => Tensor::from_slice(a).to_kind(options.0).to_device(options.1),
        };
        (flat.view([-1, 1]), flat)
    }

    fn rows_of(rows: &[usize]) -> Tensor {
        Tensor::from_slice(&rows.iter().map(|&i| i as i64).collect::<Vec<_>>())
    }
}

/// What is computed is bound anew and never written in place: a graph may still need the storage.
impl State for Carried {
    fn rows(&self) -> usize {
        self.x.size()[0] as usize
    }

    fn axpy(&mut self, a: Clock<'_>, x: &Self) {
        let (column, flat) = self.factors(a);
        self.x = &self.x + &x.x * column;
        self.log = &self.log + &x.log * flat;
    }

    fn select(&self, rows: &[usize]) -> Self {
        let rows = Carried::rows_of(rows).to_device(self.x.device());
        Carried { x: self.x.index_select(0, &rows), log: self.log.index_select(0, &rows) }
    }

    fn scatter(&mut self, rows: &[usize], from: &Self) {
        let rows = Carried::rows_of(rows).to_device(self.x.device());
        self.x = self.x.index_copy(0, &rows, &from.x);
        self.log = self.log.index_copy(0, &rows, &from.log);
    }

    fn error_rows(&self, y0: &Self, y1: &Self, rtol: f64, atol: f64) -> Vec<f64> {
        let joined = |s: &Self| Tensor::cat(&[&s.x, &s.log.unsqueeze(1)], 1).detach();
        let scale = joined(y0).abs().maximum(&joined(y1).abs()) * rtol + atol;
        let rows = (joined(self) / scale).square().mean_dim(1, false, Kind::Double).sqrt();
        values(&rows).unwrap_or_else(|_| vec![f64::NAN; self.rows()])
    }

    fn finite_rows(&self) -> Vec<bool> {
        let sums = self.x.detach().sum_dim_intlist(1, false, Kind::Double) + self.log.detach();
        values(&sums).map_or_else(|_| vec![false; self.rows()], |v| v.iter().map(|v| v.is_finite()).collect())
    }

    fn all_finite(&self) -> bool {
        let sum = self.x.detach().sum(Kind::Double) + self.log.detach().sum(Kind::Double);
        sum.double_value(&[]).is_finite()
    }

    fn combine(&mut self, y: Option<&Self>, h: Clock<'_>, terms: &[(f64, &Self)]) {
        let like = y.unwrap_or_else(|| terms[0].1);
        let (column, flat) = like.factors(h);
        let sum = |part: fn(&Carried) -> &Tensor| {
            let mut sum: Option<Tensor> = None;
            for &(a, x) in terms.iter().filter(|(a, _)| *a != 0.0) {
                let term = part(x) * a;
                sum = Some(match sum {
                    Some(sum) => sum + term,
                    None => term,
                });
            }
            sum.unwrap_or_else(|| part(like).zeros_like())
        };
        let (mut x, mut log) = (sum(|s| &s.x) * column, sum(|s| &s.log) * flat);
        if let Some(y) = y {
            x = &y.x + x;
            log = &y.log + log;
        }
        *self = Carried { x, log };
    }
}

/// dx = v dt, dℓ = ∇·v dt.
struct Carrying<'a> {
    model: &'a FlowModel,
    divergence: &'a Divergence,
    /// Whether the result is differentiated again, in the parameters.
    graph: bool,
}

impl VelocityField<Carried> for Carrying<'_> {
    fn velocity(&self, t: Clock<'_>, y: &Carried, out: &mut Carried) -> Result<(), FieldError> {
        let times: Vec<f64> = (0..y.rows()).map(|i| t.at(i)).collect();
        let x = if self.graph && y.x.requires_grad() {
            y.x.shallow_clone()
        } else {
            y.x.f_detach()?.f_set_requires_grad(true)?
        };
        let v = self.model.velocity(&times, &x)?;
        let back = |output: Tensor| -> Result<Tensor> {
            Ok(Tensor::f_run_backward(&[output], &[&x], true, self.graph)?.remove(0))
        };
        let kind = v.kind();
        let mut trace = y.log.zeros_like();
        match self.divergence {
            Divergence::Exact => {
                for k in 0..x.size()[1] {
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
        *out = if self.graph {
            Carried { x: v, log: trace }
        } else {
            Carried { x: v.detach(), log: trace.detach() }
        };
        Ok(())
    }
}

impl FlowModel {
    /// log p(x) for the rows of `x` (n×d), in standard coordinates: the points go back along the velocity to the noise, and
    /// log p₁(x) = log p₀(z) − ∫ ∇·v dt (theorem 1 of arXiv 1806.07366).
    ///
    /// With `graph` the result can be differentiated in the parameters, through the steps of the solver.
    pub(crate) fn log_prob(
        &self,
        x: &Tensor,
        ode: &Ode<'_, Carried>,
        divergence: &Divergence,
        graph: bool,
    ) -> Result<Tensor> {
        let x = x.f_detach()?.f_set_requires_grad(true)?;
        let log = x.new_zeros([x.size()[0]], (x.kind(), x.device()));
        let (from, to) = self.span();
        let field = Carrying { model: self, divergence, graph };
        let Carried { x: z, log } = ode.solve_batch(&field, &Carried { x, log }, to, from)?.finished()?;
        let sigma = self.schedule().sigma(from);
        Ok(standard_normal(&(z / sigma)) - sigma.ln() * self.dim() as f64 + log)
    }

    /// As [`FlowModel::log_prob`] for points in the coordinates of the data, by the solver of generation.
    pub(crate) fn log_density_of(&self, x: &Points) -> Result<Vec<f64>> {
        measures::check_dim("points", self.dim(), x.dim())?;
        if self.about().start.is_some() {
            let why = "this model starts from data, whose density is not known";
            return Err(Error::Undefined { what: "log_density", why });
        }
        let (kind, device) = self.params.options();
        let volume = self.about().scaler.log_volume();
        let ode = self.about().solver.ode()?;
        let blocks = blocks(&self.about().scaler.standardise(x.clone()), |block| {
            values(&self.log_prob(&to_tensor(block, kind, device)?, &ode, &Divergence::Exact, false)?)
        })?;
        Ok(blocks.into_iter().flatten().map(|log| log - volume).collect())
    }

    /// Points of standard coordinates carried from noise to data or back, and the logarithm of the determinant of that map.
    fn carry_with_log_det(&self, x: &Points, backward: bool) -> Result<(Points, Vec<f64>)> {
        let (kind, device) = self.params.options();
        let (from, to) = self.span();
        let (from, to) = if backward { (to, from) } else { (from, to) };
        let ode = self.about().solver.ode()?;
        let field = Carrying { model: self, divergence: &Divergence::Exact, graph: false };
        let parts = blocks(x, |block| {
            let x = to_tensor(block, kind, device)?;
            let log = x.f_new_zeros([x.size()[0]], (kind, device))?;
            let end = ode.solve_batch(&field, &Carried { x, log }, from, to)?.finished()?;
            Ok((to_points(&end.x)?.into_vec(), values(&end.log)?))
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
