//! A target as studies need it: what to train on, what to compare with, what is known of its law, and every figure by which a
//! sample is judged.

use super::rows::{head, shuffled};
use super::yardstick::{Figures, Yardstick};
use crate::data::{self, Options, named_set};
use crate::failure::{Failure, Result};
use divergences::quality::{Modes, memorisation, precision_recall};
use divergences::transport::SlicedWasserstein;
use divergences::{Divergence, EnergyDistance, Statistic};
use measures::zoo::Target;
use measures::{Empirical, Measure, Points, Seed};
use models::{Data, Generator, Source};
use serde::{Deserialize, Serialize};

/// Draws of a target, for training.
pub(super) struct Endless<'a> {
    pub(super) target: &'a dyn Target,
    pub(super) name: &'a str,
}

impl Source for Endless<'_> {
    fn dim(&self) -> usize {
        Measure::dim(self.target)
    }
    fn len(&self) -> Option<usize> {
        None
    }
    fn batch(&self, n: usize, rng: &mut dyn measures::rand::Rng) -> models::Result<Points> {
        Ok(self.target.sample(n, rng))
    }
    fn fingerprint(&self) -> String {
        format!("draws of {}", self.name)
    }
}

/// A target.
pub(super) struct Ground {
    pub(super) name: String,
    /// Its law, where it is more than the rows of a file.
    pub(super) law: Option<Box<dyn Target>>,
    /// The rows to train on; none where draws never end.
    rows: Option<Points>,
    yardstick: Yardstick,
}

/// The part of a file's rows that is trained on; the others are compared with.
const TRAINED: f64 = 0.6;
/// Neighbours behind precision and recall.
const NEIGHBOURS: usize = 3;
/// Directions of the sliced distance.
const DIRECTIONS: usize = 200;
/// Relabellings of the memorisation check.
const RELABELLINGS: usize = 199;
/// Generated points of the memorisation check.
const COPIES: usize = 1000;
/// Fewer points than this are not compared.
const FEWEST: usize = 100;

impl Ground {
    /// A named set, of which `rows` are drawn to train on (none: it is drawn from for ever) and `n` to compare with; or a file,
    /// whose rows are parted.
    ///
    /// # Errors
    /// There is neither, or too few rows.
    pub(super) fn new(name: &str, rows: Option<usize>, n: usize, seed: Seed) -> Result<Self> {
        let seed = seed.named(name);
        if let Ok(law) = named_set(name) {
            let draw = |n: usize, what: &str| law.sample(n, &mut seed.named(what).rng());
            let yardstick = Yardstick::against(draw(n, "reference"))?;
            let rows = rows.map(|rows| draw(rows, "rows"));
            return Ok(Ground { name: name.into(), law: Some(law), rows, yardstick });
        }
        let points = data::load(name, &Options::default(), n, seed)?.points;
        let order = shuffled(points.len(), seed.named("split"));
        let cut = (points.len() as f64 * TRAINED).round() as usize;
        let (train, rest) = order.split_at(cut);
        let (train, rest) = (&train[..rows.unwrap_or(cut).min(cut)], &rest[..n.min(rest.len())]);
        if rest.len() < FEWEST || train.len() < FEWEST {
            let why = "to train on most of them and compare with the others";
            return Err(Failure::TooFewRows {
                what: name.into(),
                got: points.len(),
                needed: 3 * FEWEST,
                why,
            });
        }
        let yardstick = Yardstick::against(points.select(rest))?;
        Ok(Ground { name: name.into(), law: None, rows: Some(points.select(train)), yardstick })
    }

    pub(super) fn dim(&self) -> usize {
        self.yardstick.reference().dim()
    }

    /// The points that samples are compared with.
    pub(super) fn reference(&self) -> &Points {
        self.yardstick.reference().points()
    }

    /// As many generated points as it is compared with.
    pub(super) fn n(&self) -> usize {
        self.reference().len()
    }

    /// The rows trained on; none where draws never end.
    pub(super) fn trained_on(&self) -> Option<&Points> {
        self.rows.as_ref()
    }

    /// What to train on.
    pub(super) fn source(&self) -> Result<Box<dyn Source + '_>> {
        match (&self.rows, &self.law) {
            (Some(rows), _) => Ok(Box::new(Data::new(rows.clone())?)),
            (None, Some(law)) => Ok(Box::new(Endless { target: &**law, name: &self.name })),
            (None, None) => unreachable!("a file has rows"),
        }
    }

    /// A sample of the target itself, independent of what it is compared with: what a perfect model would generate.
    pub(super) fn truth(&self, seed: Seed) -> Points {
        match (&self.law, &self.rows) {
            (Some(law), _) => law.sample(self.n(), &mut seed.rng()),
            (None, Some(rows)) => {
                let order = shuffled(rows.len(), seed);
                rows.select(&order[..self.n().min(rows.len())])
            }
            (None, None) => unreachable!("a file has rows"),
        }
    }

    /// W₂ and MMD² of a sample.
    ///
    /// # Errors
    /// A coordinate is not finite.
    pub(super) fn figures(&self, x: Points) -> Result<Figures> {
        self.yardstick.measure(&Empirical::uniform(x)?)
    }

    /// Every figure of a sample.
    ///
    /// # Errors
    /// A coordinate is not finite.
    pub(super) fn score(&self, x: Points, seed: Seed) -> Result<Scores> {
        let reference = self.yardstick.reference();
        let copied = match &self.rows {
            Some(rows) => {
                let some = head(&x, COPIES);
                let found = memorisation(&some, rows, self.reference(), RELABELLINGS, seed.named("copies"))?;
                Some(Copied { ratio: found.median_ratio, null: found.null_ratio, p: found.p_value })
            }
            None => None,
        };
        let mu = Empirical::uniform(x)?;
        let figures = self.yardstick.measure(&mu)?;
        let sliced = SlicedWasserstein::new(2.0, DIRECTIONS, Seed::new(0).named("directions"))?;
        let near = precision_recall(&mu, reference, NEIGHBOURS)?;
        let modes = match self.law.as_ref().and_then(|law| law.modes()) {
            Some(mixture) if mixture.components() > 1 => {
                let modes =
                    Modes::weighted(mixture.means().clone(), mixture.sigmas(), mixture.weights().to_vec())?;
                let found = modes.assess(&mu)?;
                let (reverse_kl, good) = (found.reverse_kl, found.good.value);
                Some(Covered { found: found.covered, all: modes.len(), good, reverse_kl })
            }
            _ => None,
        };
        Ok(Scores {
            figures,
            sliced: sliced.value(&mu, reference)?,
            energy: EnergyDistance::new(Statistic::Plugin).value(&mu, reference)?,
            precision: near.precision.value,
            recall: near.recall.value,
            modes,
            copied,
        })
    }

    /// −E log p on the points compared with, in nats, with its standard error, where the model has a density.
    pub(super) fn nll(&self, model: &dyn Generator) -> Option<(f64, f64)> {
        mean_of(&model.log_density(self.reference()).ok()?)
    }

    /// The same of the target: an estimate of its entropy.
    pub(super) fn entropy(&self) -> Option<(f64, f64)> {
        let density = self.law.as_ref()?.as_density()?;
        mean_of(&density.log_density(self.reference()).ok()?)
    }
}

fn mean_of(log_density: &[f64]) -> Option<(f64, f64)> {
    let n = log_density.len() as f64;
    let mean = -log_density.iter().sum::<f64>() / n;
    let variance = log_density.iter().map(|v| (v + mean).powi(2)).sum::<f64>() / (n - 1.0);
    Some((mean, (variance / n).sqrt())).filter(|(m, e)| m.is_finite() && e.is_finite())
}

/// Every figure of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Scores {
    /// W₂ and MMD².
    pub(super) figures: Figures,
    /// Sliced W₂.
    pub(super) sliced: f64,
    /// Energy distance.
    pub(super) energy: f64,
    pub(super) precision: f64,
    pub(super) recall: f64,
    /// Where the target has modes.
    pub(super) modes: Option<Covered>,
    /// Where a finite number of rows was trained on.
    pub(super) copied: Option<Copied>,
}

/// Modes covered and the share of good samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Covered {
    pub(super) found: usize,
    pub(super) all: usize,
    pub(super) good: f64,
    pub(super) reverse_kl: f64,
}

/// Whether samples are nearer to the rows trained on than to others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Copied {
    /// The median of distance to rows trained on over distance to others.
    pub(super) ratio: f64,
    /// Where it lies without memorisation, 95%.
    pub(super) null: (f64, f64),
    /// p-value.
    pub(super) p: f64,
}
