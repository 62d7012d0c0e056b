//! The likelihood of a continuous flow and its gradient through the steps of the solver, without a graph.

use crate::error::Result;
use crate::generators::{Divergence, FlowModel, SolverConfig};
use crate::nets::{Gradient, Jet, Mlp};
use crate::tensor::scalar;
use flows::ode::Tableau;
use tch::{Tensor, no_grad_guard};

/// The weights of what is added to the loss: d⁻¹ ∫ E‖v‖² dt and d⁻¹ ∫ E‖Dv‖² dt along the trajectories of the data, with the
/// Frobenius norm. Finlay et al. 2020, *How to train your neural ODE*, arXiv 2002.02798.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Penalties {
    pub(super) kinetic: f64,
    pub(super) jacobian: f64,
}

/// What one pass through the solver finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// The mean of log p over the points, in standard coordinates.
    pub(super) log_prob: f64,
    /// What is added to −log p.
    pub(super) penalty: f64,
}

/// One jet for every evaluation of the velocity in a solve, whose buffers are kept from step to step: forward along the steps
/// of a Runge–Kutta method, backward along the same steps by their discrete adjoint.
///
/// The logarithm of the determinant influences nothing, so its adjoint is a constant, and that of the point goes back by
/// λ ← λ + Σᵢ Ŷᵢ with Ŷᵢ = (∂(v, ∇·v)/∂Y)ᵀ (k̂ᵢ, h bᵢ ℓ̂) and k̂ᵢ = h bᵢ λ + h Σⱼ aⱼᵢ Ŷⱼ. It is no state of training.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    jets: Vec<Jet>,
}

/// Directions u, rows under rows for each (kn×d), and the factor of each in the divergence: Σ uᵀ Dv u times it.
struct Directions {
    rows: Tensor,
    factor: f64,
}

impl Directions {
    fn of(divergence: &Divergence, x: &Tensor) -> Result<Self> {
        let (n, d) = (x.size()[0], x.size()[1]);
        match divergence {
            Divergence::Exact => {
                let units = Tensor::f_eye(d, (x.kind(), x.device()))?;
                Ok(Directions { rows: units.f_repeat_interleave_self_int(n, 0, d * n)?, factor: 1.0 })
            }
            Divergence::Probes(probes) => {
                Ok(Directions { rows: Tensor::f_cat(probes, 0)?, factor: 1.0 / probes.len() as f64 })
            }
        }
    }
}

impl Sweep {
    /// The perceptron of a velocity and the method of a solver, where both are such that the sweep is written down for them:
    /// the network's answer is the velocity, and steps are of fixed length.
    pub(super) fn of<'m>(model: &'m FlowModel, solver: &SolverConfig) -> Option<(&'m Mlp, Tableau, usize)> {
        let net = model.perceptron().filter(|net| Jet::knows(net))?;
        Some((net, solver.rule.tableau(), solver.steps?))
    }

    /// The mean of log p over the rows of `x` (n×d, standard coordinates); the gradient of −log p with the penalties in the
    /// parameters is written over `gradient`, unless a value is not finite.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub(super) fn run(
        &mut self,
        model: &FlowModel,
        (net, rule, steps): (&Mlp, Tableau, usize),
        x: &Tensor,
        divergence: &Divergence,
        penalties: Penalties,
        gradient: &mut Gradient,
    ) -> Result<Found> {
        let _guard = no_grad_guard();
        let (n, d, kind) = (x.size()[0], x.size()[1], x.kind());
        let (end, start) = model.span();
        let h = (end - start) / steps as f64;
        let along = Directions::of(divergence, x)?;
        let column = |t: f64| Tensor::f_full([n, 1], t, (kind, x.device()));
        let tangents = {
            let zero = column(0.0)?;
            let first = model.field_input(&zero, x);
            let context = first.size()[1] - d;
            let still = along.rows.f_new_zeros([along.rows.size()[0], context], (kind, x.device()))?;
            Tensor::f_cat(&[&along.rows, &still], 1)?
        };
        self.jets.resize_with(steps * rule.b.len(), Jet::default);
        let share = 1.0 / (n * d) as f64;

        let (mut y, mut log_det, mut penalty) = (x.shallow_clone(), 0.0, 0.0);
        for step in 0..steps {
            let t = start + step as f64 * h;
            let mut slopes: Vec<Tensor> = Vec::with_capacity(rule.b.len());
            let mut next = y.shallow_clone();
            for (stage, (&node, &weight)) in rule.c.iter().zip(rule.b).enumerate() {
                let mut at = y.shallow_clone();
                for (slope, &a) in slopes.iter().zip(rule.a[stage]).filter(|(_, a)| **a != 0.0) {
                    at = at.f_add(&slope.f_mul_scalar(h * a)?)?;
                }
                let input = model.field_input(&column(t + node * h)?, &at);
                let jet = &mut self.jets[step * rule.b.len() + stage];
                let said =
                    jet.forward(net, &model.params, &Tensor::f_cat(&[&input, &tangents], 0)?, n as usize)?;
                let v = said.f_narrow(0, 0, n)?;
                if weight != 0.0 {
                    let moved = said.f_narrow(0, n, said.size()[0] - n)?;
                    log_det += h * weight * along.factor * dot(&moved, &along.rows)?;
                    let part = h.abs() * weight * share;
                    if penalties.kinetic > 0.0 {
                        penalty += part * penalties.kinetic * dot(&v, &v)?;
                    }
                    if penalties.jacobian > 0.0 {
                        penalty += part * penalties.jacobian * along.factor * dot(&moved, &moved)?;
                    }
                    next = next.f_add(&v.f_mul_scalar(h * weight)?)?;
                }
                slopes.push(v);
            }
            y = next;
        }
        let log_prob = scalar(&model.noise_log(&y).f_mean(kind)?)? + log_det / n as f64;
        let found = Found { log_prob, penalty };
        if !(log_prob + penalty).is_finite() {
            return Ok(found);
        }

        let sigma = model.schedule().sigma(end);
        let mut back = y.f_div_scalar(n as f64 * sigma * sigma)?;
        let mut add = false;
        for step in (0..steps).rev() {
            let mut pulled = rule
                .b
                .iter()
                .map(|b| back.f_mul_scalar(h * b))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            for stage in (0..rule.b.len()).rev() {
                let (weight, jet) = (rule.b[stage], &self.jets[step * rule.b.len() + stage]);
                let said = jet.said();
                let moved = said.f_narrow(0, n, said.size()[0] - n)?;
                let part = 2.0 * h.abs() * weight * share;
                let of_values = if penalties.kinetic > 0.0 {
                    pulled[stage].f_add(&said.f_narrow(0, 0, n)?.f_mul_scalar(part * penalties.kinetic)?)?
                } else {
                    pulled[stage].shallow_clone()
                };
                let mut of_moved = along.rows.f_mul_scalar(-h * weight * along.factor / n as f64)?;
                if penalties.jacobian > 0.0 {
                    let _ =
                        of_moved.f_add_(&moved.f_mul_scalar(part * penalties.jacobian * along.factor)?)?;
                }
                let d_out = Tensor::f_cat(&[of_values, of_moved], 0)?;
                let d_in = jet.backward(net, &model.params, &d_out, gradient, add)?;
                add = true;
                let of_point = d_in.f_narrow(0, 0, n)?.f_narrow(1, 0, d)?;
                for (pulled, &a) in pulled.iter_mut().zip(rule.a[stage]).filter(|(_, a)| **a != 0.0) {
                    *pulled = pulled.f_add(&of_point.f_mul_scalar(h * a)?)?;
                }
                back = back.f_add(&of_point)?;
            }
        }
        Ok(found)
    }
}

fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    scalar(&a.f_mul(b)?.f_sum(a.kind())?)
}
