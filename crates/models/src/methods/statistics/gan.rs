//! Generative adversarial networks.

use crate::error::{Result, check_range};
use crate::generators::{Generator, MapConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::statistics::adversary::{
    Adversaries, Critic, Duel, Rule, input_gradient, mean_square_norm,
};
use crate::nets::{Activation, MlpConfig, Pass, square_penalty};
use crate::optim::OptimConfig;
use crate::source::Source;
use crate::tensor::scalar;
use measures::rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad_guard};

/// A map against a critic D that tells data y from generated points x (Goodfellow et al. 2014, arXiv 1406.2661), with
/// s(u) = log(1 + eᵘ):
///
/// - non-saturating: the critic minimises E s(−D(y)) + E s(D(x)), the map E s(−D(x));
/// - relativistic: the critic minimises E s(D(x) − D(y)) over pairs, the map E s(D(y) − D(x)).
///
/// Penalties (γ/2) E‖∇D‖² at data (R1, Mescheder et al. 2018, arXiv 1801.04406) and at generated points (R2) make descent
/// converge; relativistic with both is R3GAN (Huang et al. 2024, arXiv 2501.05441), the default.
pub struct Gan;

/// What critic and map minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GanLoss {
    /// Each point by itself, as in the first GANs.
    NonSaturating,
    /// A data point against a generated one.
    #[default]
    Relativistic,
}

/// Settings of `gan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GanConfig {
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
    /// What critic and map minimise.
    pub loss: GanLoss,
    /// γ of the penalty on the critic's gradient at data; 0 is none.
    pub r1: f64,
    /// γ of the penalty on the critic's gradient at generated points; 0 is none.
    pub r2: f64,
}

impl Default for GanConfig {
    fn default() -> Self {
        let optim = OptimConfig { lr: 5e-4, beta1: 0.0, beta2: 0.99, ..OptimConfig::default() };
        GanConfig {
            map: MapConfig::default(),
            critic: MlpConfig {
                widths: vec![128; 3],
                activation: Activation::LeakyRelu,
                ..MlpConfig::default()
            },
            critic_optim: OptimConfig { lr: 1e-3, ..optim.clone() },
            optim,
            batch: 256,
            critic_steps: 1,
            loss: GanLoss::default(),
            r1: 0.1,
            r2: 0.1,
        }
    }
}

impl GanConfig {
    fn rule(&self) -> GanRule {
        GanRule { loss: self.loss, r1: self.r1, r2: self.r2 }
    }

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

impl GanLoss {
    fn of_critic(self, real: &Tensor, fake: &Tensor) -> Tensor {
        match self {
            GanLoss::NonSaturating => mean_softplus(&-real) + mean_softplus(fake),
            GanLoss::Relativistic => mean_softplus(&(fake - real)),
        }
    }

    fn of_map(self, real: &Tensor, fake: &Tensor) -> Tensor {
        match self {
            GanLoss::NonSaturating => mean_softplus(&-fake),
            GanLoss::Relativistic => mean_softplus(&(real - fake)),
        }
    }
}

/// The derivatives of the losses in the critic's values, by s′(u) = 1/(1 + e⁻ᵘ); `share` is 1/n.
impl GanLoss {
    fn slopes_of_critic(self, real: &Tensor, fake: &Tensor, share: f64) -> (Tensor, Tensor) {
        match self {
            GanLoss::NonSaturating => ((-real).sigmoid() * -share, fake.sigmoid() * share),
            GanLoss::Relativistic => {
                let slope = (fake - real).sigmoid() * share;
                (-&slope, slope)
            }
        }
    }

    fn slope_of_map(self, real: &Tensor, fake: &Tensor, share: f64) -> Tensor {
        match self {
            GanLoss::NonSaturating => (-fake).sigmoid() * -share,
            GanLoss::Relativistic => (real - fake).sigmoid() * -share,
        }
    }
}

fn mean_softplus(u: &Tensor) -> Tensor {
    u.softplus().mean(u.kind())
}

impl Method for Gan {
    const NAME: &'static str = "gan";
    const ABOUT: &'static str =
        "generative adversarial network, relativistic with R1 and R2 by default (arXiv 2501.05441)";
    type Config = GanConfig;
    type State = Adversaries;

    fn init(config: &GanConfig, target: &dyn Source, setup: &Setup) -> Result<Adversaries> {
        config.rule().check()?;
        Adversaries::new(&config.duel(), 1, Gan::NAME, target, setup)
    }

    fn step(config: &GanConfig, s: &mut Adversaries, target: &dyn Source, at: &Moment) -> Result<f64> {
        if s.map.is_plain() && Pass::can_penalise(&s.critic.net) {
            return by_hand(config, s, target, at);
        }
        s.play(&config.rule(), (config.batch, config.critic_steps), target, at)
    }

    fn generator(_: &GanConfig, s: &Adversaries) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
}

/// A step without a graph, for critics whose penalties a pass can differentiate.
fn by_hand(config: &GanConfig, s: &mut Adversaries, target: &dyn Source, at: &Moment) -> Result<f64> {
    let _guard = no_grad_guard();
    let n = config.batch;
    let (rows, share) = (n as i64, 1.0 / n as f64);
    for k in 0..config.critic_steps {
        let (y, z) = (s.real(n, k, target, at)?, s.noise(n, k, at)?);
        let x = s.map.push(&z, &mut s.passes.map)?;
        // Both samples in one pass: twice the rows, half the calls.
        let both = Tensor::f_cat(&[y, x], 0)?;
        let said = s.passes.critic.forward(&s.critic.net, &s.critic.params, &both)?;
        let (real, fake) = (said.narrow(0, 0, rows), said.narrow(0, rows, rows));
        let loss = scalar(&config.loss.of_critic(&real, &fake))?;
        let (at_real, at_fake) = config.loss.slopes_of_critic(&real, &fake, share);
        let slopes = Tensor::f_cat(&[at_real, at_fake], 0)?;
        let gammas = [config.r1, config.r2].map(|gamma| real.full_like(gamma * share));
        let gradient = s.critic.adam.gradient();
        let penalty = if config.r1 == 0.0 && config.r2 == 0.0 {
            s.passes.critic.backward(&s.critic.net, &s.critic.params, &slopes, gradient, false)?;
            0.0
        } else {
            let gammas = Tensor::f_cat(&gammas, 0)?;
            let penalty = |g: &Tensor| square_penalty(g, &gammas);
            s.passes.critic.penalised_backward(&s.critic.net, &s.critic.params, &slopes, penalty, gradient)?
        };
        if !(loss + penalty).is_finite() {
            return Ok(f64::NAN);
        }
        s.critic.adam.descend(&mut s.critic.params, at.step, at.steps)?;
    }
    let k = config.critic_steps;
    let z = s.noise(n, k, at)?;
    let x = s.map.push(&z, &mut s.passes.map)?;
    let fake = s.passes.critic.forward(&s.critic.net, &s.critic.params, &x)?;
    let real = match config.loss {
        GanLoss::NonSaturating => fake.shallow_clone(),
        GanLoss::Relativistic => {
            let y = s.real(n, k, target, at)?;
            s.passes.other.forward(&s.critic.net, &s.critic.params, &y)?
        }
    };
    let loss = scalar(&config.loss.of_map(&real, &fake))?;
    if loss.is_finite() {
        s.descend_map(&config.loss.slope_of_map(&real, &fake, share), at)?;
    }
    Ok(loss)
}

/// The losses of a GAN with its penalties.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GanRule {
    pub(crate) loss: GanLoss,
    pub(crate) r1: f64,
    pub(crate) r2: f64,
}

impl Rule for GanRule {
    fn check(&self) -> Result<()> {
        check_range("r1", self.r1, 0.0.., "finite and not negative")?;
        check_range("r2", self.r2, 0.0.., "finite and not negative")
    }

    fn of_critic(
        &self,
        critic: &Critic,
        real: &Tensor,
        fake: &Tensor,
        _: &mut dyn Rng,
    ) -> Result<(Tensor, Option<f64>)> {
        let (real, real_penalty) = penalised(critic, real, self.r1)?;
        let (fake, fake_penalty) = penalised(critic, fake, self.r2)?;
        let mut loss = self.loss.of_critic(&real, &fake);
        for penalty in [real_penalty, fake_penalty].into_iter().flatten() {
            loss += penalty;
        }
        Ok((loss, None))
    }

    fn of_map(
        &self,
        critic: &Critic,
        fake: &Tensor,
        real: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let fake = critic.at(fake);
        let real = match self.loss {
            GanLoss::NonSaturating => fake.shallow_clone(),
            GanLoss::Relativistic => critic.at(&real()?),
        };
        Ok(self.loss.of_map(&real, &fake))
    }
}

/// D(x), and (γ/2) E‖∇D(x)‖² where γ is not zero.
fn penalised(critic: &Critic, x: &Tensor, gamma: f64) -> Result<(Tensor, Option<Tensor>)> {
    if gamma == 0.0 {
        return Ok((critic.at(x), None));
    }
    let (value, gradient) = input_gradient(|x| critic.at(x), x)?;
    Ok((value, Some(mean_square_norm(&gradient) * (0.5 * gamma))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Draws;
    use crate::tensor::values;
    use measures::{Seed, zoo::Gaussian};

    /// The same steps with a graph and without.
    #[test]
    fn steps_by_hand_are_those_of_automatic_differentiation() {
        let target = Draws::new(Gaussian::standard(2), "plane");
        for loss in [GanLoss::NonSaturating, GanLoss::Relativistic] {
            for (r1, r2) in [(0.3, 0.1), (0.0, 0.2), (0.0, 0.0)] {
                let critic = MlpConfig {
                    widths: vec![8, 8],
                    activation: Activation::LeakyRelu,
                    ..MlpConfig::default()
                };
                let config =
                    GanConfig { loss, r1, r2, critic, batch: 16, critic_steps: 2, ..GanConfig::default() };
                let setup = Setup { kind: tch::Kind::Double, device: tch::Device::Cpu, seed: Seed::new(3) };
                let mut ours = Gan::init(&config, &target, &setup).unwrap();
                let mut graph = Gan::init(&config, &target, &setup).unwrap();
                for step in 0..5 {
                    let at = Moment::new(step, 5, Seed::new(4));
                    let a = by_hand(&config, &mut ours, &target, &at).unwrap();
                    let b = graph
                        .play(&config.rule(), (config.batch, config.critic_steps), &target, &at)
                        .unwrap();
                    assert!((a - b).abs() < 1e-10, "{loss:?} {r1} {r2}: {a} {b}");
                }
                for (a, b) in
                    [(&ours.critic.params, &graph.critic.params), (&ours.map.params, &graph.map.params)]
                {
                    let (a, b) = (values(a.flat()).unwrap(), values(b.flat()).unwrap());
                    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-8), "{loss:?} {r1} {r2}");
                }
            }
        }
    }

    #[test]
    fn losses_are_the_formulas() {
        let (real, fake) = (Tensor::from_slice(&[1.0, -0.5]), Tensor::from_slice(&[0.25, 2.0]));
        let s = |u: f64| (1.0 + u.exp()).ln();
        let close = |t: Tensor, v: f64| assert!((scalar(&t).unwrap() - v).abs() < 1e-12);
        close(GanLoss::NonSaturating.of_critic(&real, &fake), 0.5 * (s(-1.0) + s(0.5) + s(0.25) + s(2.0)));
        close(GanLoss::NonSaturating.of_map(&real, &fake), 0.5 * (s(-0.25) + s(-2.0)));
        close(GanLoss::Relativistic.of_critic(&real, &fake), 0.5 * (s(-0.75) + s(2.5)));
        close(GanLoss::Relativistic.of_map(&real, &fake), 0.5 * (s(0.75) + s(-2.5)));
    }
}
