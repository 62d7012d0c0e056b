//! MMD GANs: the kernel looks through features that a critic learns.

use crate::bridge::bridged_pair;
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{Generator, MapConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::statistics::adversary::{Adversaries, Duel, input_gradient, mean_square_excess};
use crate::nets::{Activation, MlpConfig};
use crate::optim::OptimConfig;
use crate::source::Source;
use divergences::kernel::{Mixture, RationalQuadratic};
use divergences::{Mmd, Statistic};
use measures::rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// A map against a critic h with values in ℝᵏ: the critic maximises MMD²(h(x), h(y)), less a penalty
/// γ E(‖∇⟨ε, h⟩‖ − 1)² with ε uniform on {±1/√k}ᵏ, and the map minimises MMD². Li et al. 2017, arXiv 1705.08584; Bińkowski et al.
/// 2018, arXiv 1801.01401, from which the sum of rational quadratic kernels, and a penalty of this form on the witness function.
/// It holds the slope of the features near one: a penalty that only bounds it from above lets all features become constant once
/// the map is near its target, where MMD² gains less than the penalty takes. The reported loss is the MMD² the map sees.
pub struct MmdGan;

/// Settings of `mmd_gan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MmdGanConfig {
    /// The map.
    pub map: MapConfig,
    /// The critic, from data to features.
    pub critic: MlpConfig,
    /// The number of features.
    pub features: usize,
    /// The map's optimiser.
    pub optim: OptimConfig,
    /// The critic's optimiser.
    pub critic_optim: OptimConfig,
    /// Generated points, and target points, in each round.
    pub batch: usize,
    /// The critic's rounds before each step of the map.
    pub critic_steps: usize,
    /// The shapes a of the kernel Σ (1 + ‖u − v‖²/2a)^{−a} of the features, whose length scale is one: small ones reach far.
    pub shapes: Vec<f64>,
    /// γ of the penalty on the slope of the features.
    pub penalty: f64,
}

impl Default for MmdGanConfig {
    fn default() -> Self {
        let optim = OptimConfig { lr: 5e-4, beta1: 0.5, beta2: 0.9, ..OptimConfig::default() };
        MmdGanConfig {
            map: MapConfig::default(),
            critic: MlpConfig {
                widths: vec![64; 2],
                activation: Activation::LeakyRelu,
                ..MlpConfig::default()
            },
            features: 8,
            critic_optim: optim.clone(),
            optim,
            batch: 256,
            critic_steps: 1,
            shapes: vec![0.2, 1.0, 5.0],
            penalty: 1.0,
        }
    }
}

impl MmdGanConfig {
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

    fn mmd(&self) -> Result<Mmd<Mixture<RationalQuadratic>>> {
        if self.shapes.is_empty() {
            return Err(Error::setting("shapes", "[]", "at least one positive number"));
        }
        let kernel = |a: &f64| Ok((1.0, RationalQuadratic::new(*a, 1.0)?));
        let kernels = self.shapes.iter().map(kernel).collect::<Result<Vec<_>>>()?;
        Ok(Mmd::new(Mixture::new(kernels)?, Statistic::Unbiased))
    }
}

impl Method for MmdGan {
    const NAME: &'static str = "mmd_gan";
    const ABOUT: &'static str = "MMD through adversarially learned features (arXiv 1705.08584, 1801.01401)";
    type Config = MmdGanConfig;
    type State = Adversaries;

    fn init(config: &MmdGanConfig, target: &dyn Source, setup: &Setup) -> Result<Adversaries> {
        check_count("features", config.features)?;
        check_range("penalty", config.penalty, 0.0.., "finite and not negative")?;
        config.mmd()?;
        Adversaries::new(&config.duel(), config.features, MmdGan::NAME, target, setup)
    }

    fn step(config: &MmdGanConfig, s: &mut Adversaries, target: &dyn Source, at: &Moment) -> Result<f64> {
        let (n, mmd) = (config.batch, config.mmd()?);
        for k in 0..config.critic_steps {
            let (y, x) = (s.real(n, k, target, at)?, s.fake(n, k, at)?);
            let probe = signs(n, config.features, k, &y, at)?;
            let (real, real_gradient) = features(s, &y, &probe)?;
            let (fake, fake_gradient) = features(s, &x, &probe)?;
            let distance = bridged_pair(&mmd, &fake, &real)?;
            let slopes = mean_square_excess(&real_gradient) + mean_square_excess(&fake_gradient);
            let loss = slopes * config.penalty - distance.into_loss();
            if !s.step_critic(&loss, at)? {
                return Ok(f64::NAN);
            }
        }
        let k = config.critic_steps;
        let real = s.critic(&s.real(n, k, target, at)?);
        let fake = s.critic(&s.map.forward(&s.noise(n, k, at)?));
        s.step_map(&bridged_pair(&mmd, &fake, &real)?.into_loss(), at)
    }

    fn generator(_: &MmdGanConfig, s: &Adversaries) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
}

/// Random signs over √features, n×features: rows of length one.
fn signs(n: usize, features: usize, k: usize, like: &Tensor, at: &Moment) -> Result<Tensor> {
    let mut rng = at.seed("signs").stream(k as u64);
    let size = 1.0 / (features as f64).sqrt();
    let signs: Vec<f64> =
        (0..n * features).map(|_| if rng.random::<bool>() { size } else { -size }).collect();
    let flat = Tensor::f_from_slice(&signs)?.f_to_kind(like.kind())?.f_to_device(like.device())?;
    Ok(flat.f_view([n as i64, features as i64])?)
}

/// h(x), and the gradient of ⟨ε, h⟩ for random signs ε, whose mean square is that of a row of the Jacobian: one backward
/// pass for all features.
fn features(s: &Adversaries, x: &Tensor, signs: &Tensor) -> Result<(Tensor, Tensor)> {
    let (signed, gradient) = input_gradient(|x| s.critic(x) * signs, x)?;
    // ε is ±1/√k in every place.
    Ok((signed * signs * signs.size()[1] as f64, gradient))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::{Layout, Mlp, Params};
    use crate::tensor::{scalar, values};
    use measures::Seed;
    use tch::{Device, Kind};

    /// The mean over signs of ‖∇⟨ε, h⟩‖² is the squared norm of the Jacobian: over all eight signs, exactly.
    #[test]
    fn signs_measure_the_whole_jacobian() {
        let mut layout = Layout::default();
        let net =
            Mlp::new(&MlpConfig { widths: vec![5], ..MlpConfig::default() }, 2, 3, &mut layout).unwrap();
        let params = Params::init(layout, Seed::new(1), Kind::Double, Device::Cpu).unwrap();
        let x = Tensor::from_slice(&[0.4, -0.7]).view([1, 2]);
        let norm = |signs: [f64; 3]| {
            let signs = Tensor::from_slice(&signs).view([1, 3]);
            let (_, g) = input_gradient(|x| net.forward(&params, x) * &signs, &x).unwrap();
            scalar(&g.square().sum(Kind::Double)).unwrap()
        };
        let sign = |bit: u32| if bit == 0 { -1.0 } else { 1.0 };
        let all = (0..8u32).map(|k| norm([sign(k & 1), sign(k & 2), sign(k & 4)])).sum::<f64>() / 8.0;
        let rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let exact: f64 = rows.into_iter().map(norm).sum();
        assert!((all - exact).abs() < 1e-12);
        let at = Moment::new(0, 1, Seed::new(0));
        let drawn = values(&signs(4, 3, 0, &x, &at).unwrap()).unwrap();
        assert!(
            drawn.iter().all(|s| (s.abs() - 3f64.sqrt().recip()).abs() < 1e-15) && drawn.contains(&-drawn[0])
        );
    }
}
