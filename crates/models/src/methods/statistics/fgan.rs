//! φ-divergences by their dual with a learned critic.

use crate::error::{Result, check_range};
use crate::generators::{Generator, MapConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::statistics::adversary::{
    Adversaries, Critic, Duel, Rule, input_gradient, mean_square_norm,
};
use crate::nets::{Activation, MlpConfig};
use crate::optim::OptimConfig;
use crate::source::Source;
use crate::tensor::scalar;
use divergences::phi::Phi;
use measures::rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;
use tch::Tensor;

/// A map against a critic V that maximises E φ′(e^{V(y)}) − E φ*(φ′(e^{V(x)})) over data y and generated x: a lower bound
/// on D_φ(μ₁ | φ_#ν) = ∫ φ(dμ₁/dφ_#ν), reached at V = log dμ₁/dφ_#ν (Nguyen, Wainwright and Jordan 2010,
/// arXiv 0809.0853; Nowozin, Cseke and Tomioka 2016, arXiv 1606.00709). The reported loss is the bound.
pub struct Fgan;

/// The φ of the divergence; between the target and the map's law, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PhiConfig {
    /// ∫ log(dμ₁/dν) dμ₁.
    Kl,
    /// The same with the arguments exchanged.
    ReverseKl,
    /// Jensen–Shannon, at most log 2: the divergence of the first GANs.
    #[default]
    JensenShannon,
    /// Pearson's χ².
    ChiSquared,
    /// The squared Hellinger distance, at most 1.
    SquaredHellinger,
}

impl PhiConfig {
    /// The native twin.
    pub fn phi(self) -> Phi {
        match self {
            PhiConfig::Kl => Phi::Kl,
            PhiConfig::ReverseKl => Phi::ReverseKl,
            PhiConfig::JensenShannon => Phi::JensenShannon,
            PhiConfig::ChiSquared => Phi::ChiSquared,
            PhiConfig::SquaredHellinger => Phi::SquaredHellinger,
        }
    }

    /// φ′(eᵛ).
    fn slope(self, v: &Tensor) -> Tensor {
        match self {
            PhiConfig::Kl => v.shallow_clone(),
            PhiConfig::ReverseKl => 1.0 - (-v).exp(),
            PhiConfig::JensenShannon => (LN_2 - (-v).softplus()) * 0.5,
            PhiConfig::ChiSquared => (v.exp() - 1.0) * 2.0,
            PhiConfig::SquaredHellinger => (1.0 - (v * -0.5).exp()) * 0.5,
        }
    }

    /// φ*(φ′(eᵛ)).
    fn conjugate(self, v: &Tensor) -> Tensor {
        match self {
            PhiConfig::Kl => v.exp() - 1.0,
            PhiConfig::ReverseKl => v.shallow_clone(),
            PhiConfig::JensenShannon => (v.softplus() - LN_2) * 0.5,
            PhiConfig::ChiSquared => (v * 2.0).exp() - 1.0,
            PhiConfig::SquaredHellinger => ((v * 0.5).exp() - 1.0) * 0.5,
        }
    }
}

/// Settings of `fgan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FganConfig {
    /// The map.
    pub map: MapConfig,
    /// The critic, from data to one number: the logarithm of a ratio of densities.
    pub critic: MlpConfig,
    /// The map's optimiser.
    pub optim: OptimConfig,
    /// The critic's optimiser.
    pub critic_optim: OptimConfig,
    /// Generated points, and target points, in each round.
    pub batch: usize,
    /// The critic's rounds before each step of the map.
    pub critic_steps: usize,
    /// The divergence.
    pub phi: PhiConfig,
    /// Whether the map minimises the bound itself, −E φ*, whose gradient vanishes where the critic is sure; else it
    /// maximises E φ′ at its own points, as Nowozin et al. do.
    pub saturating: bool,
    /// |V| is kept below this by a hyperbolic tangent: ratios beyond its exponential are not told apart.
    pub bound: f64,
    /// γ of the penalty (γ/2) E‖∇V‖² on the critic's gradient at data and at generated points; 0 is none.
    pub penalty: f64,
}

impl Default for FganConfig {
    fn default() -> Self {
        let optim = OptimConfig { lr: 5e-4, beta1: 0.0, beta2: 0.99, ..OptimConfig::default() };
        FganConfig {
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
            phi: PhiConfig::default(),
            saturating: false,
            bound: 10.0,
            penalty: 0.1,
        }
    }
}

impl FganConfig {
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

    fn rule(&self) -> FganRule {
        let FganConfig { phi, saturating, bound, penalty, .. } = *self;
        FganRule { phi, saturating, bound, penalty }
    }
}

/// The dual bound of a φ-divergence, and what the map does with the critic that reaches it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FganRule {
    pub(crate) phi: PhiConfig,
    pub(crate) saturating: bool,
    pub(crate) bound: f64,
    pub(crate) penalty: f64,
}

impl FganRule {
    fn bounded(&self, v: &Tensor) -> Tensor {
        (v / self.bound).tanh() * self.bound
    }
}

impl Rule for FganRule {
    fn check(&self) -> Result<()> {
        check_range("penalty", self.penalty, 0.0.., "finite and not negative")?;
        check_range("bound", self.bound, f64::MIN_POSITIVE.., "finite and positive")
    }

    fn of_critic(
        &self,
        critic: &Critic,
        real: &Tensor,
        fake: &Tensor,
        _: &mut dyn Rng,
    ) -> Result<(Tensor, Option<f64>)> {
        let values = |x: &Tensor| self.bounded(&critic.at(x));
        let (y, y_gradient) = input_gradient(values, real)?;
        let (x, x_gradient) = input_gradient(values, fake)?;
        let bound = self.phi.slope(&y).mean(y.kind()) - self.phi.conjugate(&x).mean(x.kind());
        let reached = scalar(&bound)?;
        let penalty = mean_square_norm(&y_gradient) + mean_square_norm(&x_gradient);
        Ok((penalty * (0.5 * self.penalty) - bound, Some(reached)))
    }

    fn of_map(
        &self,
        critic: &Critic,
        fake: &Tensor,
        _: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let v = self.bounded(&critic.at(fake));
        let gain = if self.saturating { self.phi.conjugate(&v) } else { self.phi.slope(&v) };
        Ok(-gain.mean(v.kind()))
    }
}

impl Method for Fgan {
    const NAME: &'static str = "fgan";
    const ABOUT: &'static str = "φ-divergence by its dual with a learned critic, f-GAN (arXiv 1606.00709)";
    type Config = FganConfig;
    type State = Adversaries;

    fn init(config: &FganConfig, target: &dyn Source, setup: &Setup) -> Result<Adversaries> {
        config.rule().check()?;
        Adversaries::new(&config.duel(), 1, Fgan::NAME, target, setup)
    }

    fn step(config: &FganConfig, s: &mut Adversaries, target: &dyn Source, at: &Moment) -> Result<f64> {
        s.play(&config.rule(), (config.batch, config.critic_steps), target, at)
    }

    fn generator(_: &FganConfig, s: &Adversaries) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;

    /// The tensors say what the native φ says.
    #[test]
    fn formulas_are_those_of_the_divergences() {
        let at: Vec<f64> = (-12..=12).map(|k| 0.25 * f64::from(k)).collect();
        let v = Tensor::from_slice(&at);
        for config in [
            PhiConfig::Kl,
            PhiConfig::ReverseKl,
            PhiConfig::JensenShannon,
            PhiConfig::ChiSquared,
            PhiConfig::SquaredHellinger,
        ] {
            let phi = config.phi();
            let (slope, conjugate) =
                (values(&config.slope(&v)).unwrap(), values(&config.conjugate(&v)).unwrap());
            for (i, &v) in at.iter().enumerate() {
                let exact = phi.slope(v.exp());
                assert!((slope[i] - exact).abs() < 1e-12 * (1.0 + exact.abs()), "{config:?} at {v}");
                let exact = phi.conjugate(exact);
                assert!((conjugate[i] - exact).abs() < 1e-9 * (1.0 + exact.abs()), "{config:?} at {v}");
            }
        }
    }
}
