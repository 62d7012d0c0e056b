//! Wasserstein GANs: the critic is kept Lipschitz, and its supremum is W₁.

use crate::error::{Result, check_range};
use crate::generators::{Generator, MapConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::statistics::adversary::{
    Adversaries, Critic, Duel, Rule, input_gradient, mean_square_excess, norms, round,
};
use crate::nets::{Activation, MlpConfig, Pass};
use crate::optim::OptimConfig;
use crate::source::Source;
use crate::tensor::scalar;
use measures::rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad_guard};

/// A map against a critic D of bounded slope: the critic maximises E D(y) − E D(x), whose supremum over 1-Lipschitz
/// functions is W₁ (Kantorovich and Rubinstein; section 2 of the paper), and the map maximises E D(x). Arjovsky, Chintala
/// and Bottou 2017, arXiv 1701.07875. The reported loss is E D(y) − E D(x).
pub struct Wgan;

/// How the critic's slope is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Lipschitz {
    /// Every parameter is kept inside [−bound, bound], as in the first WGAN.
    Clip {
        /// The bound.
        bound: f64,
    },
    /// weight · E(‖∇D‖ − 1)² at random points between data and generated points (Gulrajani et al. 2017, arXiv
    /// 1704.00028).
    Penalty {
        /// The weight.
        weight: f64,
    },
    /// Every weight matrix is divided by its largest singular value (Miyato et al. 2018, arXiv 1802.05957). The singular
    /// value is found afresh at every step by power iteration from a fixed start, so no state is carried on.
    Spectral {
        /// Sweeps of the power iteration.
        sweeps: usize,
    },
}

/// A tenth: in few dimensions larger weights flatten the critic inside the modes (8 Gaussians, docs/models.md).
impl Default for Lipschitz {
    fn default() -> Self {
        Lipschitz::Penalty { weight: 0.1 }
    }
}

/// Settings of `wgan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WganConfig {
    /// The map.
    pub map: MapConfig,
    /// The critic, from data to one number.
    pub critic: MlpConfig,
    /// The map's optimiser.
    pub optim: OptimConfig,
    /// The critic's optimiser.
    pub critic_optim: OptimConfig,
    /// Generated points, and target points, in each round.
    pub batch: usize,
    /// The critic's rounds before each step of the map.
    pub critic_steps: usize,
    /// How the critic's slope is bounded.
    pub lipschitz: Lipschitz,
}

impl Default for WganConfig {
    fn default() -> Self {
        let optim = OptimConfig { lr: 5e-4, beta1: 0.0, beta2: 0.9, ..OptimConfig::default() };
        WganConfig {
            map: MapConfig::default(),
            critic: MlpConfig {
                widths: vec![128; 3],
                activation: Activation::LeakyRelu,
                ..MlpConfig::default()
            },
            critic_optim: OptimConfig { lr: 1e-3, ..optim.clone() },
            optim,
            batch: 256,
            critic_steps: 3,
            lipschitz: Lipschitz::default(),
        }
    }
}

impl WganConfig {
    fn duel(&self) -> Duel<'_> {
        Duel {
            map: &self.map,
            critic: &self.critic,
            optim: &self.optim,
            critic_optim: &self.critic_optim,
            batch: self.batch,
            critic_steps: self.critic_steps,
        }
    }
}

impl Method for Wgan {
    const NAME: &'static str = "wgan";
    const ABOUT: &'static str =
        "Wasserstein GAN: clipping, gradient penalty or spectral norm (arXiv 1701.07875, 1704.00028)";
    type Config = WganConfig;
    type State = Adversaries;

    fn init(config: &WganConfig, target: &dyn Source, setup: &Setup) -> Result<Adversaries> {
        config.lipschitz.check()?;
        Adversaries::new(&config.duel(), 1, Wgan::NAME, target, setup)
    }

    fn step(config: &WganConfig, s: &mut Adversaries, target: &dyn Source, at: &Moment) -> Result<f64> {
        if s.map.is_plain() && config.lipschitz.is_known_to(&s.critic) {
            return by_hand(config, s, target, at);
        }
        s.play(&config.lipschitz, (config.batch, config.critic_steps), target, at)
    }

    fn generator(_: &WganConfig, s: &Adversaries) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
}

/// A step without a graph, for critics whose penalty a pass can differentiate.
fn by_hand(config: &WganConfig, s: &mut Adversaries, target: &dyn Source, at: &Moment) -> Result<f64> {
    let _guard = no_grad_guard();
    let (n, share) = (config.batch as i64, 1.0 / config.batch as f64);
    let mut distance = f64::NAN;
    for k in 0..config.critic_steps {
        let (y, z) = (s.real(config.batch, k, target, at)?, s.noise(config.batch, k, at)?);
        let x = s.map.push(&z, &mut s.passes.map)?;
        let mut points = vec![y.shallow_clone(), x.shallow_clone()];
        let mut slopes = vec![-share, share];
        let weight = match config.lipschitz {
            Lipschitz::Penalty { weight } => {
                points.push(between(&y, &x, &mut round(at, "between", k))?);
                slopes.push(0.0);
                weight
            }
            _ => 0.0,
        };
        // All points in one pass: more rows, fewer calls.
        let said = s.passes.critic.forward(&s.critic.net, &s.critic.params, &Tensor::f_cat(&points, 0)?)?;
        distance = scalar(&(mean(&said.narrow(0, 0, n)) - mean(&said.narrow(0, n, n))))?;
        let slopes: Vec<Tensor> =
            slopes.iter().map(|slope| Ok(y.narrow(1, 0, 1).f_full_like(*slope)?)).collect::<Result<_>>()?;
        let (slopes, gradient) = (Tensor::f_cat(&slopes, 0)?, s.critic.adam.gradient());
        let penalty = if points.len() == 2 {
            s.passes.critic.backward(&s.critic.net, &s.critic.params, &slopes, gradient, false)?;
            0.0
        } else {
            let penalty = |g: &Tensor| {
                let (value, last) = unit_penalty(&g.narrow(0, 2 * n, n), weight)?;
                let gradient = g.f_zeros_like()?;
                gradient.narrow(0, 2 * n, n).f_copy_(&last)?;
                Ok((value, gradient))
            };
            s.passes.critic.penalised_backward(&s.critic.net, &s.critic.params, &slopes, penalty, gradient)?
        };
        if !(distance + penalty).is_finite() {
            return Ok(f64::NAN);
        }
        s.critic.adam.descend(&mut s.critic.params, at.step, at.steps)?;
        config.lipschitz.after(&mut s.critic)?;
    }
    let z = s.noise(config.batch, config.critic_steps, at)?;
    let x = s.map.push(&z, &mut s.passes.map)?;
    let fake = s.passes.critic.forward(&s.critic.net, &s.critic.params, &x)?;
    if !scalar(&mean(&fake))?.is_finite() {
        return Ok(f64::NAN);
    }
    s.descend_map(&fake.full_like(-share), at)?;
    Ok(distance)
}

fn mean(x: &Tensor) -> Tensor {
    x.mean(x.kind())
}

impl Lipschitz {
    /// Whether a step can do without a graph.
    fn is_known_to(self, critic: &Critic) -> bool {
        match self {
            Lipschitz::Clip { .. } => true,
            Lipschitz::Penalty { .. } => Pass::can_penalise(&critic.net),
            Lipschitz::Spectral { .. } => false,
        }
    }

    fn criticise(self, critic: &Critic, x: &Tensor) -> Tensor {
        match self {
            Lipschitz::Spectral { sweeps } => {
                critic.reshaped(x, |weight| weight / largest_singular_value(weight, sweeps))
            }
            _ => critic.at(x),
        }
    }
}

impl Rule for Lipschitz {
    fn check(&self) -> Result<()> {
        match *self {
            Lipschitz::Clip { bound } => {
                check_range("lipschitz.bound", bound, f64::MIN_POSITIVE.., "finite and positive")
            }
            Lipschitz::Penalty { weight } => {
                check_range("lipschitz.weight", weight, 0.0.., "finite and not negative")
            }
            Lipschitz::Spectral { sweeps } => crate::error::check_count("lipschitz.sweeps", sweeps),
        }
    }

    fn of_critic(
        &self,
        critic: &Critic,
        real: &Tensor,
        fake: &Tensor,
        rng: &mut dyn Rng,
    ) -> Result<(Tensor, Option<f64>)> {
        let gap = mean(&self.criticise(critic, real)) - mean(&self.criticise(critic, fake));
        let distance = scalar(&gap)?;
        let mut loss = -gap;
        if let Lipschitz::Penalty { weight } = *self {
            loss += slope_penalty(critic, real, fake, rng)? * weight;
        }
        Ok((loss, Some(distance)))
    }

    fn of_map(
        &self,
        critic: &Critic,
        fake: &Tensor,
        _: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Tensor> {
        Ok(-mean(&self.criticise(critic, fake)))
    }

    fn after(&self, critic: &mut Critic) -> Result<()> {
        if let Lipschitz::Clip { bound } = *self {
            let _guard = no_grad_guard();
            let _ = critic.params_mut().flat_mut().f_clamp_(-bound, bound)?;
        }
        Ok(())
    }
}

/// σ(W) = uᵀWv with u and v by power iteration, as constants: differentiable in W.
fn largest_singular_value(w: &Tensor, sweeps: usize) -> Tensor {
    let (u, v) = {
        let _guard = no_grad_guard();
        let unit = |x: Tensor| &x / x.norm().clamp_min(1e-30);
        let mut v = unit(Tensor::ones([w.size()[1]], (w.kind(), w.device())));
        let mut u = unit(w.mv(&v));
        for _ in 0..sweeps {
            v = unit(w.tr().mv(&u));
            u = unit(w.mv(&v));
        }
        (u, v)
    };
    u.dot(&w.mv(&v)).clamp_min(1e-12)
}

/// Points between y and x, each at a random place of its line.
fn between(y: &Tensor, x: &Tensor, rng: &mut dyn Rng) -> Result<Tensor> {
    let parts: Vec<f64> = (0..y.size()[0]).map(|_| rng.random()).collect();
    let parts =
        Tensor::f_from_slice(&parts)?.f_to_kind(y.kind())?.f_to_device(y.device())?.f_view([-1, 1])?;
    Ok(x + (y - x) * parts)
}

/// E(‖∇D(x̂)‖ − 1)² at points x̂ between y and x.
fn slope_penalty(critic: &Critic, y: &Tensor, x: &Tensor, rng: &mut dyn Rng) -> Result<Tensor> {
    let (_, gradient) = input_gradient(|x| critic.at(x), &between(y, x, rng)?)?;
    Ok(mean_square_excess(&gradient))
}

/// weight · n⁻¹ Σ (‖gᵢ‖ − 1)² of slopes g, and its gradient 2 weight (1 − 1/‖gᵢ‖) gᵢ/n.
fn unit_penalty(g: &Tensor, weight: f64) -> Result<(f64, Tensor)> {
    let norms = norms(g);
    let excess = &norms - 1.0;
    let factors = (&excess / &norms) * (2.0 * weight / g.size()[0].max(1) as f64);
    Ok((weight * scalar(&mean(&excess.square()))?, g.f_mul(&factors)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Draws;
    use crate::tensor::values;
    use measures::{Seed, nalgebra::DMatrix, zoo::Gaussian};

    /// The same steps with a graph and without.
    #[test]
    fn steps_by_hand_are_those_of_automatic_differentiation() {
        let target = Draws::new(Gaussian::standard(2), "plane");
        for lipschitz in [Lipschitz::Penalty { weight: 0.7 }, Lipschitz::Clip { bound: 0.3 }] {
            let critic =
                MlpConfig { widths: vec![8, 8], activation: Activation::LeakyRelu, ..MlpConfig::default() };
            let config =
                WganConfig { lipschitz, critic, batch: 16, critic_steps: 2, ..WganConfig::default() };
            let setup = Setup { kind: tch::Kind::Double, device: tch::Device::Cpu, seed: Seed::new(3) };
            let mut ours = Wgan::init(&config, &target, &setup).unwrap();
            let mut graph = Wgan::init(&config, &target, &setup).unwrap();
            for step in 0..5 {
                let at = Moment::new(step, 5, Seed::new(4));
                let a = by_hand(&config, &mut ours, &target, &at).unwrap();
                let b = graph.play(&lipschitz, (config.batch, config.critic_steps), &target, &at).unwrap();
                assert!((a - b).abs() < 1e-10, "{lipschitz:?}: {a} {b}");
            }
            for (a, b) in [(&ours.critic.params, &graph.critic.params), (&ours.map.params, &graph.map.params)]
            {
                let (a, b) = (values(a.flat()).unwrap(), values(b.flat()).unwrap());
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-8), "{lipschitz:?}");
            }
        }
    }

    #[test]
    fn power_iteration_finds_the_norm_and_its_gradient() {
        let mut rng = Seed::new(3).rng();
        let entries: Vec<f64> = (0..12).map(|_| rng.random::<f64>() - 0.3).collect();
        let exact = |e: &[f64]| DMatrix::from_row_slice(4, 3, e).singular_values()[0];
        let w = Tensor::from_slice(&entries).view([4, 3]).set_requires_grad(true);
        let sigma = largest_singular_value(&w, 200);
        assert!((scalar(&sigma).unwrap() - exact(&entries)).abs() < 1e-12);
        sigma.backward();
        let gradient = values(&w.grad()).unwrap();
        for k in 0..12 {
            let at = |h: f64| {
                let mut e = entries.clone();
                e[k] += h;
                exact(&e)
            };
            assert!(((at(1e-6) - at(-1e-6)) / 2e-6 - gradient[k]).abs() < 1e-8);
        }
    }
}
