//! What all learned test functions share: a critic beside the map, steps of each in turn, penalties on its gradient.

use crate::error::{Result, check_count};
use crate::generators::{MapConfig, OneStep};
use crate::method::{Moment, Setup};
use crate::nets::{Layout, Mlp, MlpConfig, Params, Pass};
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Role, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::rand::Rng;
use tch::{Tensor, no_grad_guard};

/// A map and a critic, each with its optimiser.
pub struct Adversaries {
    pub(super) map: OneStep,
    pub(super) map_adam: Adam,
    pub(super) critic: Critic,
    /// Buffers of passes without a graph.
    pub(super) passes: Passes,
}

/// One pass for the map, and two for the critic, so that a second sample leaves the first as it is.
#[derive(Debug, Default)]
pub(super) struct Passes {
    pub(super) map: Pass,
    pub(super) critic: Pass,
    pub(super) other: Pass,
}

/// A learned test function with its optimiser.
pub(crate) struct Critic {
    pub(super) net: Mlp,
    pub(super) params: Params,
    pub(super) adam: Adam,
}

/// What critic and map minimise: the part of an adversarial method that does not know where its samples come from.
pub(crate) trait Rule {
    /// Refuses settings out of range.
    fn check(&self) -> Result<()>;

    /// The critic's loss at data and generated points, and the value to report unless it is the map's loss; `rng` serves
    /// penalties at random places.
    fn of_critic(
        &self,
        critic: &Critic,
        real: &Tensor,
        fake: &Tensor,
        rng: &mut dyn Rng,
    ) -> Result<(Tensor, Option<f64>)>;

    /// The map's loss at generated points; `real` draws data where the loss compares with them.
    fn of_map(
        &self,
        critic: &Critic,
        fake: &Tensor,
        real: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Tensor>;

    /// What is done to the critic's parameters after each of its steps.
    fn after(&self, critic: &mut Critic) -> Result<()> {
        let _ = critic;
        Ok(())
    }
}

impl Critic {
    /// A critic of points in dimension `dim` with `features` values.
    pub(crate) fn new(
        net: &MlpConfig,
        optim: &OptimConfig,
        (dim, features): (usize, usize),
        setup: &Setup,
    ) -> Result<Self> {
        let mut layout = Layout::default();
        let net = Mlp::new(net, dim, features, &mut layout)?;
        let params = Params::init(layout, setup.seed.named("critic"), setup.kind, setup.device)?;
        let adam = Adam::new(optim, &params)?;
        Ok(Critic { net, params, adam })
    }

    pub(crate) fn at(&self, x: &Tensor) -> Tensor {
        self.net.forward(&self.params, x)
    }

    /// As [`Critic::at`] with every weight matrix replaced by `reshape` of it.
    pub(super) fn reshaped(&self, x: &Tensor, reshape: impl Fn(&Tensor) -> Tensor) -> Tensor {
        self.net.forward_with(&self.params, x, reshape)
    }

    pub(super) fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    /// Goes down `loss` in the critic's parameters; false when the loss is not finite, and nothing is changed.
    pub(crate) fn step(&mut self, loss: &Tensor, at: &Moment) -> Result<bool> {
        if !scalar(loss)?.is_finite() {
            return Ok(false);
        }
        self.adam.step(&mut self.params, loss, at.step, at.steps)?;
        Ok(true)
    }
}

impl Persist for Critic {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.params("critic", &mut self.params, Role::Auxiliary)?;
        v.part("critic_adam", &mut self.adam)
    }
}

/// The settings all adversarial methods share.
pub(super) struct Duel<'a> {
    pub(super) map: &'a MapConfig,
    pub(super) critic: &'a MlpConfig,
    pub(super) optim: &'a OptimConfig,
    pub(super) critic_optim: &'a OptimConfig,
    pub(super) batch: usize,
    pub(super) critic_steps: usize,
}

impl Adversaries {
    /// The map, and a critic with `features` values.
    pub(super) fn new(
        duel: &Duel<'_>,
        features: usize,
        method: &str,
        target: &dyn Source,
        setup: &Setup,
    ) -> Result<Self> {
        check_count("batch", duel.batch)?;
        check_count("critic_steps", duel.critic_steps)?;
        let scaler = Scaler::of(target, duel.map.standardise, setup.seed.named("scaler"))?;
        let map = OneStep::new(duel.map, scaler, method, target, setup)?;
        let critic = Critic::new(duel.critic, duel.critic_optim, (target.dim(), features), setup)?;
        let map_adam = Adam::new(duel.optim, &map.params)?;
        target.batch(duel.batch, &mut setup.seed.rng())?;
        Ok(Adversaries { map, map_adam, critic, passes: Passes::default() })
    }

    /// Target points for round `k` of a step, in standard coordinates.
    pub(super) fn real(&self, n: usize, k: usize, target: &dyn Source, at: &Moment) -> Result<Tensor> {
        let y = target.batch(n, &mut round(at, "target", k))?;
        let (kind, device) = self.map.params.options();
        to_tensor(&self.map.scaler().standardise(y), kind, device)
    }

    /// Noise for round `k` of a step.
    pub(super) fn noise(&self, n: usize, k: usize, at: &Moment) -> Result<Tensor> {
        self.map.draw(n, &mut round(at, "noise", k))
    }

    /// Generated points that the critic learns from: no gradient reaches the map.
    pub(super) fn fake(&self, n: usize, k: usize, at: &Moment) -> Result<Tensor> {
        let _guard = no_grad_guard();
        Ok(self.map.forward(&self.noise(n, k, at)?))
    }

    pub(super) fn critic(&self, x: &Tensor) -> Tensor {
        self.critic.at(x)
    }

    /// Goes down `loss` in the critic's parameters; false when the loss is not finite, and nothing is changed.
    pub(super) fn step_critic(&mut self, loss: &Tensor, at: &Moment) -> Result<bool> {
        self.critic.step(loss, at)
    }

    /// `critic_steps` rounds of the critic, then one step of the map, by a rule; the value the rule reports.
    pub(super) fn play(
        &mut self,
        rule: &dyn Rule,
        (n, critic_steps): (usize, usize),
        target: &dyn Source,
        at: &Moment,
    ) -> Result<f64> {
        let mut reported = None;
        for k in 0..critic_steps {
            let (y, x) = (self.real(n, k, target, at)?, self.fake(n, k, at)?);
            let (loss, value) = rule.of_critic(&self.critic, &y, &x, &mut round(at, "between", k))?;
            if !self.step_critic(&loss, at)? {
                return Ok(f64::NAN);
            }
            rule.after(&mut self.critic)?;
            reported = value;
        }
        let k = critic_steps;
        let fake = self.map.forward(&self.noise(n, k, at)?);
        let loss = rule.of_map(&self.critic, &fake, &mut || self.real(n, k, target, at))?;
        let value = self.step_map(&loss, at)?;
        Ok(reported.filter(|_| value.is_finite()).unwrap_or(value))
    }

    /// Goes down a loss in the map's parameters, without a graph, from its slopes in what the critic said at the map's points:
    /// the last passes of both were at those.
    pub(super) fn descend_map(&mut self, slopes: &Tensor, at: &Moment) -> Result<()> {
        let slopes = self.passes.critic.input_gradient(&self.critic.net, &self.critic.params, slopes)?;
        self.map.pull(&slopes, &mut self.passes.map, self.map_adam.gradient())?;
        self.map_adam.descend(&mut self.map.params, at.step, at.steps)
    }

    /// Goes down `loss` in the map's parameters and returns its value; nothing is changed when it is not finite.
    pub(super) fn step_map(&mut self, loss: &Tensor, at: &Moment) -> Result<f64> {
        let value = scalar(loss)?;
        if value.is_finite() {
            self.map_adam.step(&mut self.map.params, loss, at.step, at.steps)?;
        }
        Ok(value)
    }
}

/// A generator for one purpose in round `k` of a step.
pub(crate) fn round(at: &Moment, purpose: &str, k: usize) -> measures::rand::rngs::ChaCha8Rng {
    at.seed(purpose).stream(k as u64)
}

/// ∇ₓ f(x) for the rows of `x`, n×d, itself differentiable in the parameters of f; and f(x). The rows must not interact
/// in f.
pub(super) fn input_gradient(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let x = x.f_detach()?.f_set_requires_grad(true)?;
    let value = f(&x);
    let gradient = Tensor::f_run_backward(&[value.f_sum(value.kind())?], &[&x], true, true)?;
    Ok((value, gradient.into_iter().next().unwrap_or_else(|| unreachable!("one input, one gradient"))))
}

/// ‖g‖ of every row, n×1. The norm has no derivative at 0; a tiny constant under the root gives it one.
pub(super) fn norms(g: &Tensor) -> Tensor {
    (g.square().sum_dim_intlist(1, true, g.kind()) + 1e-12).sqrt()
}

/// The mean over rows of (‖g‖ − 1)².
pub(super) fn mean_square_excess(g: &Tensor) -> Tensor {
    (norms(g) - 1.0).square().mean(g.kind())
}

/// The mean over rows of the squared norm.
pub(super) fn mean_square_norm(g: &Tensor) -> Tensor {
    g.square().sum(g.kind()) / g.size()[0].max(1) as f64
}

impl Persist for Adversaries {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("map", &mut self.map)?;
        v.part("map_adam", &mut self.map_adam)?;
        self.critic.visit(v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;
    use measures::Seed;
    use tch::{Device, Kind};

    /// The gradient penalty is differentiated twice: against finite differences in the critic's parameters.
    #[test]
    fn penalties_on_gradients_are_differentiable() {
        let mut layout = Layout::default();
        let config = MlpConfig { widths: vec![4, 3], ..MlpConfig::default() };
        let net = Mlp::new(&config, 2, 1, &mut layout).unwrap();
        let mut params = Params::init(layout, Seed::new(2), Kind::Double, Device::Cpu).unwrap();
        let x = Tensor::from_slice(&[0.3, -1.1, 0.7, 0.2, 1.0, 1.0]).view([3, 2]);
        let penalty = |p: &Params| {
            let (_, g) = input_gradient(|x| net.forward(p, x), &x).unwrap();
            mean_square_norm(&g)
        };
        let gradient = values(&params.gradient(&penalty(&params), false).unwrap()).unwrap();
        for k in 0..gradient.len() {
            let mut at = |shift: f64| {
                {
                    let _guard = no_grad_guard();
                    let _ = params.flat_mut().get(k as i64).g_add_scalar_(shift);
                }
                let value = scalar(&penalty(&params)).unwrap();
                let _guard = no_grad_guard();
                let _ = params.flat_mut().get(k as i64).g_add_scalar_(-shift);
                value
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((difference - gradient[k]).abs() < 1e-7, "{k}: {difference} {}", gradient[k]);
        }
    }
}
