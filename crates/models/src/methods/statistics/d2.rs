//! The mean formulation D₂ of eq. (3) as an objective: the paper's own, and its Figure 1.

use crate::error::{Error, Result, check_count, check_range};
use crate::generators::MapConfig;
use crate::method::Moment;
use crate::methods::statistics::{Fit, Matching, Objective, Reference};
use crate::optim::OptimConfig;
use divergences::family::{FourierLattice, RandomFrequencies};
use divergences::{Divergence, MeanIpm};
use measures::Points;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Descent on D₂(φ_#ν, μ₁)² = Σ_k τ_k |⟨f_k|φ_#ν − μ₁⟩|², eq. (3) of the paper, over functions f_k of period P or over
/// random frequencies. A finite family does not separate all measures: it
/// sees of the target what its functions see.
pub type D2 = Matching<D2Config>;

/// Which estimate of a squared distance a batch gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Without the diagonal, so that its expectation is the distance itself; it may be negative.
    #[default]
    Unbiased,
    /// The distance between the two batches, which their noise biases upwards.
    Plugin,
}

impl From<Statistic> for divergences::Statistic {
    fn from(statistic: Statistic) -> Self {
        match statistic {
            Statistic::Unbiased => divergences::Statistic::Unbiased,
            Statistic::Plugin => divergences::Statistic::Plugin,
        }
    }
}

/// The functions whose brackets are matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum FamilyConfig {
    /// x ↦ e^{2πi⟨k, x⟩/P} for integer vectors k ≠ 0 with |k_j| ≤ max, one of each pair ±k, τ uniform.
    Lattice {
        /// The largest |k_j|.
        max: u32,
        /// The period P of every coordinate, in the coordinates the network works in.
        #[serde(default = "one")]
        period: f64,
        /// The part of training over which frequencies come in, the low ones first; 0 has all from the start. Low
        /// frequencies shape the map as a whole, which high ones could fold.
        #[serde(default)]
        low_first: f64,
    },
    /// x ↦ e^{i⟨s, x⟩} with s drawn from N(0, h⁻² I), τ uniform: features of the Gaussian kernel of bandwidth h.
    Random {
        /// The number of frequencies a bandwidth.
        count: usize,
        /// The bandwidths h, as multiples of the median distance within the target.
        bandwidths: Vec<f64>,
        /// Whether every step draws its own frequencies; else one set serves the whole run.
        #[serde(default)]
        fresh: bool,
    },
}

fn one() -> f64 {
    1.0
}

impl Default for FamilyConfig {
    fn default() -> Self {
        FamilyConfig::Random { count: 64, bandwidths: vec![1.0, 0.3, 0.1], fresh: true }
    }
}

/// Settings of `d2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct D2Config {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// The functions whose brackets are matched, and their weights τ.
    pub family: FamilyConfig,
    /// Which estimate a batch gives.
    pub statistic: Statistic,
}

impl Default for D2Config {
    fn default() -> Self {
        D2Config {
            map: MapConfig::default(),
            optim: OptimConfig::default(),
            batch: 1024,
            target_batch: None,
            family: FamilyConfig::default(),
            statistic: Statistic::default(),
        }
    }
}

impl Objective for D2Config {
    const NAME: &'static str = "d2";
    const ABOUT: &'static str = "mean formulation D2 over a Fourier family, eq. (3) of the paper";

    fn fit(&self) -> Fit<'_> {
        Fit {
            map: &self.map,
            optim: &self.optim,
            batch: self.batch,
            target_batch: self.target_batch.unwrap_or(self.batch),
        }
    }

    fn divergence(&self, reference: &Reference, at: &Moment) -> Result<Box<dyn Divergence>> {
        let statistic = self.statistic.into();
        match &self.family {
            &FamilyConfig::Lattice { max, period, low_first } => {
                check_range("family.low_first", low_first, 0.0..=1.0, "between 0 and 1")?;
                let dim = reference.dim();
                let lattice = FourierLattice::cube(dim, highest(max, low_first, at))?;
                Ok(Box::new(MeanIpm::new(lattice.with_periods(&vec![period; dim])?, statistic)))
            }
            FamilyConfig::Random { count, bandwidths, fresh } => {
                check_count("family.count", *count)?;
                let at = if *fresh { *at } else { at.first() };
                let family = random(reference, *count, bandwidths, &at)?;
                Ok(Box::new(MeanIpm::new(family, statistic)))
            }
        }
    }

    fn changes(&self, at: &Moment) -> bool {
        match self.family {
            FamilyConfig::Lattice { max, low_first, .. } => {
                at.step > 0 && highest(max, low_first, at) != highest(max, low_first, &at.previous())
            }
            FamilyConfig::Random { fresh, .. } => fresh,
        }
    }
}

/// The highest frequency of a step: from 1 to `max` while the first part of training lasts.
fn highest(max: u32, low_first: f64, at: &Moment) -> u32 {
    if at.progress() >= low_first {
        return max;
    }
    (1 + (f64::from(max) * at.progress() / low_first) as u32).min(max)
}

/// `count` frequencies for each bandwidth, a multiple of the median distance within `reference`, τ uniform.
pub(super) fn random(
    reference: &Reference,
    count: usize,
    bandwidths: &[f64],
    at: &Moment,
) -> Result<RandomFrequencies> {
    if bandwidths.is_empty() {
        return Err(Error::setting("family.bandwidths", "[]", "at least one positive number"));
    }
    let median = reference.median_distance()?;
    let seed = at.seed("frequencies");
    let mut all: Option<Points> = None;
    for (i, multiple) in bandwidths.iter().enumerate() {
        let family =
            RandomFrequencies::gaussian(reference.dim(), multiple * median, count, seed.child(i as u64))?;
        all = Some(match all {
            None => family.frequencies().clone(),
            Some(before) => before.concat(family.frequencies())?,
        });
    }
    let all = all.unwrap_or_else(|| unreachable!("there is a bandwidth"));
    let tau = vec![1.0 / all.len() as f64; all.len()];
    Ok(RandomFrequencies::new(all, &tau)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;

    #[test]
    fn low_frequencies_come_first() {
        let family = FamilyConfig::Lattice { max: 4, period: 1.0, low_first: 0.5 };
        let config = D2Config { family, ..D2Config::default() };
        let at = |step| Moment::new(step, 80, Seed::new(0));
        let seen: Vec<u32> = (0..80).map(|s| highest(4, 0.5, &at(s))).collect();
        assert_eq!((seen[0], seen[9], seen[10], seen[39], seen[40], seen[79]), (1, 1, 2, 4, 4, 4));
        let changes: Vec<u64> = (0..80).filter(|&s| config.changes(&at(s))).collect();
        assert_eq!(changes, [10, 20, 30]);
        assert!((0..80).all(|s| highest(7, 0.0, &at(s)) == 7));
    }
}
