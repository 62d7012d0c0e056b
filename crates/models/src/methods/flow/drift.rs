//! Moving the pushforward during training: regress the map on where its points should drift.

use crate::bridge::bridged_drift;
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{Generator, MapConfig, OneStep};
use crate::method::{Method, Moment, Setup};
use crate::methods::flow::drifts::{NormalisedKernel, ScoreDifference};
use crate::methods::statistics::{LossConfig, Reference};
use crate::optim::{Adam, OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::{Source, overview};
use crate::tensor::scalar;
use divergences::Divergence;
use measures::{Empirical, Steepest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Regresses φ(z) on stop(φ(z) + ηV), V a drift of the batch toward data: the network follows a flow of measures that runs
/// in training time, and generation stays one step. Section 4 of the paper; drifting models, arXiv 2602.04770.
pub struct Drift;

/// Where generated points should move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum DriftConfig {
    /// Along steepest descent of a divergence. With the Sinkhorn divergence this is the Sinkhorn drift,
    /// Σ P^{xy} y − Σ P^{xx} x for each point (arXiv 2603.12366).
    Descent {
        /// The divergence.
        loss: LossConfig,
    },
    /// h² times the difference of the scores of kernel density estimates of data and of generated points, h going
    /// geometrically from the first bandwidth to the last (annealing as in arXiv 2603.09936).
    ScoreDifference {
        /// The first bandwidth, as a multiple of the median distance within the target.
        first: f64,
        /// The last.
        last: f64,
    },
    /// The doubly normalised kernel field (arXiv 2602.04770).
    Kernel {
        /// Bandwidths τ, as multiples of the median distance within the target.
        bandwidths: Vec<f64>,
        /// Whether the field of each τ is scaled to unit root mean square before they are added.
        #[serde(default)]
        unit: bool,
    },
}

impl Default for DriftConfig {
    fn default() -> Self {
        DriftConfig::Descent { loss: LossConfig::mmd() }
    }
}

/// Settings of `drift`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DriftingConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// Where generated points should move.
    pub drift: DriftConfig,
    /// The step η along the drift.
    pub eta: f64,
}

impl Default for DriftingConfig {
    fn default() -> Self {
        DriftingConfig {
            map: MapConfig::default(),
            optim: OptimConfig { schedule: Schedule::Cosine { floor: 0.0 }, ..OptimConfig::default() },
            batch: 512,
            target_batch: None,
            drift: DriftConfig::default(),
            eta: 1.0,
        }
    }
}

/// A map and its optimiser.
pub struct DriftState {
    map: OneStep,
    adam: Adam,
    reference: Reference,
    median: f64,
    /// The divergence to descend, made again from the settings after a resume.
    divergence: Option<Box<dyn Divergence>>,
}

/// Points by which bandwidths are chosen.
const REFERENCE: usize = 2000;

impl Method for Drift {
    const NAME: &'static str = "drift";
    const ABOUT: &'static str =
        "regression on the map's own points, moved along a drift (arXiv 2602.04770, 2603.12366)";
    type Config = DriftingConfig;
    type State = DriftState;

    fn init(c: &DriftingConfig, target: &dyn Source, setup: &Setup) -> Result<DriftState> {
        check_count("batch", c.batch)?;
        check_range("eta", c.eta, f64::MIN_POSITIVE.., "finite and positive")?;
        let scaler = Scaler::of(target, c.map.standardise, setup.seed.named("scaler"))?;
        let overview = overview(target, REFERENCE, setup.seed.named("reference"))?;
        let reference = Reference::new(scaler.standardise(overview));
        match &c.drift {
            DriftConfig::Descent { loss } => {
                loss.divergence(&reference, &Moment::new(0, 1, setup.seed))?;
            }
            &DriftConfig::ScoreDifference { first, last } => {
                check_range("drift.first", first, f64::MIN_POSITIVE.., "finite and positive")?;
                check_range("drift.last", last, f64::MIN_POSITIVE.., "finite and positive")?;
            }
            DriftConfig::Kernel { bandwidths, .. } => {
                if bandwidths.is_empty() || !bandwidths.iter().all(|b| b.is_finite() && *b > 0.0) {
                    let found = format!("{bandwidths:?}");
                    return Err(Error::setting("drift.bandwidths", found, "positive numbers, at least one"));
                }
            }
        }
        let median = reference.median_distance()?;
        let map = OneStep::new(&c.map, scaler, Drift::NAME, target, setup)?;
        let adam = Adam::new(&c.optim, &map.params)?;
        target.batch(c.target_batch.unwrap_or(c.batch), &mut setup.seed.rng())?;
        Ok(DriftState { map, adam, reference, median, divergence: None })
    }

    fn step(c: &DriftingConfig, s: &mut DriftState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let n = c.target_batch.unwrap_or(c.batch);
        let y = s.map.scaler().standardise(target.batch(n, &mut at.rng("target"))?);
        let x = s.map.forward(&s.map.draw(c.batch, &mut at.rng("noise"))?);
        let loss = match &c.drift {
            DriftConfig::Descent { loss } => {
                let divergence = match s.divergence.take() {
                    Some(known) if !loss.changes(at) => known,
                    _ => loss.divergence(&s.reference, at)?,
                };
                let divergence = s.divergence.insert(divergence);
                let y = Empirical::uniform(y)?;
                bridged_drift(&Steepest(divergence.toward(&y)?), &x, c.eta)?
            }
            &DriftConfig::ScoreDifference { first, last } => {
                let h = s.median * first * (last / first).powf(at.progress());
                bridged_drift(&ScoreDifference::new(&y, h)?, &x, c.eta)?
            }
            DriftConfig::Kernel { bandwidths, unit } => {
                let taus: Vec<f64> = bandwidths.iter().map(|b| b * s.median).collect();
                bridged_drift(&NormalisedKernel::new(&y, &taus, *unit)?, &x, c.eta)?
            }
        };
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.adam.step(&mut s.map.params, &loss, at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &DriftingConfig, s: &DriftState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.map.duplicate()?))
    }
}

impl Persist for DriftState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("map", &mut self.map)?;
        v.part("adam", &mut self.adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Draws;
    use crate::train::{TrainConfig, Trainer, Watch};
    use measures::{Seed, zoo::Gaussian};

    /// Every kind of drift brings a map to a Gaussian far away.
    #[test]
    fn every_drift_reaches_its_target() {
        let target = Draws::new(Gaussian::isotropic(&[2.0, -1.0], 0.5).unwrap(), "far");
        let drifts = [
            (DriftConfig::default(), 1.0),
            (DriftConfig::Descent { loss: LossConfig::Sinkhorn { epsilon: 0.01 } }, 1.0),
            (DriftConfig::Descent { loss: LossConfig::Energy { exponent: 1.0 } }, 0.5),
            (DriftConfig::ScoreDifference { first: 2.0, last: 0.5 }, 0.5),
            (DriftConfig::Kernel { bandwidths: vec![0.5, 2.0], unit: false }, 1.0),
        ];
        for (drift, eta) in drifts {
            let map = MapConfig { standardise: false, ..MapConfig::default() };
            let optim = OptimConfig { lr: 5e-3, ..OptimConfig::default() };
            let config = DriftingConfig {
                map,
                optim,
                drift: drift.clone(),
                eta,
                batch: 64,
                ..DriftingConfig::default()
            };
            let train = TrainConfig { steps: 300, ema: Some(0.98), ..TrainConfig::default() };
            let mut run = Trainer::<Drift>::new(config, train, &target).unwrap();
            let _ = run.run(&mut Watch::default()).unwrap();
            let x = run.generator().unwrap().generate(1000, Seed::new(1)).unwrap();
            let mean = Empirical::uniform(x).unwrap().mean();
            assert!((mean[0] - 2.0).abs() < 0.2 && (mean[1] + 1.0).abs() < 0.2, "{drift:?}: {mean:?}");
        }
    }
}
