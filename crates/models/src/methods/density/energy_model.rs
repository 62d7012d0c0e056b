//! Energy-based models.

use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{ChainConfig, EnergyAbout, EnergyModel, Generator};
use crate::method::{Method, Moment, Setup};
use crate::nets::MlpConfig;
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::rand::RngExt;
use measures::{Points, Sample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Learns E with p ∝ e^{−E}, the constant unknown, and samples it by Langevin chains.
///
/// - Contrastive divergence: the gradient of −E log p is E∇E(data) − E∇E(model), with chains of k steps for the model, from
///   the data (Hinton 2002, doi:10.1162/089976602760128018) or kept from step to step (persistent: Tieleman 2008,
///   doi:10.1145/1390156.1390290; Du and Mordatch 2019, arXiv 1903.08689).
/// - Denoising score matching: −∇E(x + σε) ≈ −ε/σ in the mean square (Vincent 2011, doi:10.1162/NECO_a_00142); learns the
///   law of the noised data.
/// - Sliced score matching: E vᵀ∇(vᵀs) + ½‖s‖² with s = −∇E and random signs v (Song et al. 2019, arXiv 1905.07088).
pub struct EnergyBased;

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum EnergyObjective {
    /// Contrastive divergence.
    Contrastive {
        /// Steps k of the chains at every step of training.
        #[serde(default = "chain_steps")]
        steps: usize,
        /// Length of a step of the chains. Unadjusted it must be short beside the square of the finest scale of the data: what
        /// a chain blurs, the energy learns to be sharper than the data.
        #[serde(default = "chain_step")]
        step: f64,
        /// Whether steps are accepted or rejected by Metropolis's rule (MALA), so that chains follow the law of the energy
        /// itself, however long their steps.
        #[serde(default = "yes")]
        adjusted: bool,
        /// Whether chains go on from step to step of training; else they start from data.
        #[serde(default = "yes")]
        persistent: bool,
        /// The part of persistent chains that starts anew from noise at every step.
        #[serde(default = "restart")]
        restart: f64,
        /// Weight of the mean square of both energies, which keeps them from drifting off.
        #[serde(default = "penalty")]
        penalty: f64,
    },
    /// Denoising score matching.
    Denoising {
        /// Standard deviation of the noise, in units of standardised data.
        sigma: f64,
    },
    /// Sliced score matching.
    Sliced {
        /// Directions v a point and step.
        directions: usize,
    },
}

fn chain_steps() -> usize {
    20
}
fn chain_step() -> f64 {
    0.003
}
fn yes() -> bool {
    true
}
fn restart() -> f64 {
    0.02
}
fn penalty() -> f64 {
    1e-3
}

impl Default for EnergyObjective {
    fn default() -> Self {
        EnergyObjective::Denoising { sigma: 0.1 }
    }
}

/// Settings of `energy_model`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnergyModelConfig {
    /// The network f of the energy f(x) + ½‖x‖²; smooth non-linearities suit its gradient.
    pub net: MlpConfig,
    /// What is minimised.
    pub objective: EnergyObjective,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Target points a step, and chains.
    pub batch: usize,
    /// How the trained model is sampled.
    pub sampler: ChainConfig,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for EnergyModelConfig {
    fn default() -> Self {
        EnergyModelConfig {
            net: MlpConfig { widths: vec![128; 3], ..MlpConfig::default() },
            objective: EnergyObjective::default(),
            optim: OptimConfig {
                clip: Some(10.0),
                schedule: Schedule::Cosine { floor: 0.01 },
                ..OptimConfig::default()
            },
            batch: 1024,
            sampler: ChainConfig::default(),
            standardise: true,
        }
    }
}

/// The energy, its optimiser, and persistent chains.
pub struct EnergyState {
    model: EnergyModel,
    adam: Adam,
    chains: Points,
}

impl Method for EnergyBased {
    const NAME: &'static str = "energy_model";
    const ABOUT: &'static str = "energy by contrastive divergence or score matching, sampled by Langevin chains (arXiv 1903.08689, 1905.07088)";
    type Config = EnergyModelConfig;
    type State = EnergyState;

    fn init(c: &EnergyModelConfig, target: &dyn Source, setup: &Setup) -> Result<EnergyState> {
        check_count("batch", c.batch)?;
        match c.objective {
            EnergyObjective::Contrastive { steps, step, restart, penalty, .. } => {
                check_count("objective.steps", steps)?;
                check_range("objective.step", step, f64::MIN_POSITIVE.., "finite and positive")?;
                check_range("objective.restart", restart, 0.0..=1.0, "between 0 and 1")?;
                check_range("objective.penalty", penalty, 0.0.., "finite and not negative")?;
            }
            EnergyObjective::Denoising { sigma } => {
                check_range("objective.sigma", sigma, f64::MIN_POSITIVE.., "finite and positive")?;
            }
            EnergyObjective::Sliced { directions } => check_count("objective.directions", directions)?,
        }
        target.batch(c.batch, &mut setup.seed.rng())?;
        let about = EnergyAbout {
            method: EnergyBased::NAME.to_owned(),
            net: c.net.clone(),
            sampler: c.sampler,
            scaler: Scaler::of(target, c.standardise, setup.seed.named("scaler"))?,
        };
        let model = EnergyModel::new(about, setup)?;
        let adam = Adam::new(&c.optim, &model.params)?;
        let chains = model.start(c.batch, setup.seed.named("chains"))?;
        Ok(EnergyState { model, adam, chains })
    }

    fn step(c: &EnergyModelConfig, s: &mut EnergyState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let x = s.model.about().scaler.standardise(target.batch(c.batch, &mut at.rng("target"))?);
        let (kind, device) = s.model.params.options();
        let data = to_tensor(&x, kind, device)?;
        let loss = match c.objective {
            EnergyObjective::Contrastive { steps, step, adjusted, persistent, restart, penalty } => {
                let start = if persistent { s.refreshed(restart, at)? } else { x };
                let sampler = ChainConfig { steps, step, adjusted };
                s.chains = s.model.chains(&start, &sampler, at.seed("chains"))?;
                let model = to_tensor(&s.chains, kind, device)?;
                let (low, high) = (s.model.energy(&data), s.model.energy(&model));
                low.mean(kind) - high.mean(kind)
                    + (low.square().mean(kind) + high.square().mean(kind)) * penalty
            }
            EnergyObjective::Denoising { sigma } => {
                let noise = Noise::new(Law::Gaussian, x.dim())?.sample(c.batch, &mut at.rng("noise"));
                let noise = to_tensor(&noise, kind, device)?;
                let (_, score) = scored(&s.model, &(data + &noise * sigma))?;
                (score * sigma + noise).square().sum_dim_intlist(1, false, kind).mean(kind)
            }
            EnergyObjective::Sliced { directions } => {
                let mut rng = at.rng("directions");
                let mut sign = || if rng.random::<bool>() { 1.0 } else { -1.0 };
                let (point, score) = scored(&s.model, &data)?;
                let mut loss = score.square().sum_dim_intlist(1, false, kind).mean(kind) * 0.5;
                for _ in 0..directions {
                    let v =
                        Points::from_fn(c.batch, x.dim(), |_, row| row.iter_mut().for_each(|v| *v = sign()));
                    let v = to_tensor(&v, kind, device)?;
                    let along = (&score * &v).sum(kind);
                    let change = Tensor::f_run_backward(&[along], &[&point], true, true)?.remove(0);
                    loss += (change * v).sum_dim_intlist(1, false, kind).mean(kind) / directions as f64;
                }
                loss
            }
        };
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.adam.step(&mut s.model.params, &loss, at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &EnergyModelConfig, s: &EnergyState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.model.duplicate()?))
    }
}

/// The points as a leaf, and −∇E there, differentiable in both the points and the parameters.
fn scored(model: &EnergyModel, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let x = x.f_detach()?.f_set_requires_grad(true)?;
    let energy = model.energy(&x).f_sum(x.kind())?;
    let gradient = Tensor::f_run_backward(&[energy], &[&x], true, true)?.remove(0);
    Ok((x, -gradient))
}

impl EnergyState {
    /// The persistent chains, a part of them back at the start.
    fn refreshed(&self, part: f64, at: &Moment) -> Result<Points> {
        let fresh = self.model.start(self.chains.len(), at.seed("fresh"))?;
        let (mut rng, mut chains) = (at.rng("restart"), self.chains.clone());
        for (row, fresh) in chains.rows_mut().zip(fresh.rows()) {
            if rng.random::<f64>() < part {
                row.copy_from_slice(fresh);
            }
        }
        Ok(chains)
    }
}

impl Persist for EnergyState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("adam", &mut self.adam)?;
        let (rows, dim) = (self.chains.len(), self.chains.dim());
        v.points("chains", &mut self.chains)?;
        if self.chains.len() == rows {
            Ok(())
        } else {
            let must = format!("{rows} of dimension {dim}");
            Err(Error::setting("chains", self.chains.len(), must))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Draws;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};

    /// Every objective finds mean and variance of a Gaussian (of the noised one where noise is added).
    #[test]
    fn a_gaussian_is_learned_by_every_objective() {
        let (mean, sd) = ([0.6, -0.4], 0.7);
        let target = Draws::new(Gaussian::isotropic(&mean, sd).unwrap(), "plane");
        let cd = |adjusted, persistent| EnergyObjective::Contrastive {
            steps: 5,
            step: 0.05,
            adjusted,
            persistent,
            restart: 0.02,
            penalty: 1e-3,
        };
        for (objective, blur, slack) in [
            (cd(false, true), 0.0, 0.15),
            (cd(true, true), 0.0, 0.15),
            (cd(false, false), 0.0, 0.15),
            (EnergyObjective::Denoising { sigma: 0.3 }, 0.3, 0.1),
            (EnergyObjective::Sliced { directions: 1 }, 0.0, 0.1),
        ] {
            let config = EnergyModelConfig {
                net: MlpConfig { widths: vec![32, 32], ..MlpConfig::default() },
                objective,
                batch: 128,
                standardise: false,
                optim: OptimConfig {
                    lr: 5e-3,
                    schedule: Schedule::Cosine { floor: 0.0 },
                    ..OptimConfig::default()
                },
                sampler: ChainConfig { steps: 100, step: 0.2, adjusted: true },
            };
            let train = TrainConfig { steps: 400, ema: Some(0.98), ..TrainConfig::default() };
            let mut run = Trainer::<EnergyBased>::new(config, train, &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            let x = run.generator().unwrap().generate(2000, Seed::new(1)).unwrap();
            let variance: f64 = sd * sd + blur * blur;
            for k in 0..2 {
                let column = x.column(k);
                let m = column.iter().sum::<f64>() / 2000.0;
                let v = column.iter().map(|x| (x - m).powi(2)).sum::<f64>() / 2000.0;
                assert!((m - mean[k]).abs() < slack, "{objective:?}: mean {m}");
                assert!((v.sqrt() - variance.sqrt()).abs() < slack, "{objective:?}: spread {}", v.sqrt());
            }
        }
    }
}
