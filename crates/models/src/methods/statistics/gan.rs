//! Generative adversarial networks.

use crate::error::{Result, check_range};
use crate::generators::{Generator, MapConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::statistics::adversary::{
    Adversaries, Critic, Duel, Rule, input_gradient, mean_square_norm,
};
use crate::nets::{Activation, MlpConfig};
use crate::optim::OptimConfig;
use crate::source::Source;
use measures::rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

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
        s.play(&config.rule(), (config.batch, config.critic_steps), target, at)
    }

    fn generator(_: &GanConfig, s: &Adversaries) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
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
    use crate::tensor::scalar;

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
