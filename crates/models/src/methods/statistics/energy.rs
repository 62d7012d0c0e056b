//! The energy distance as an objective.

use crate::error::{Error, Result};
use crate::generators::MapConfig;
use crate::method::Moment;
use crate::methods::statistics::{Fit, Matching, Objective, Reference, Statistic};
use crate::optim::OptimConfig;
use crate::twins::Twin;
use divergences::kernel::Energy as Kernel;
use divergences::{Divergence, EnergyDistance, SlicedEnergy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Descent on 2E‖X − Y‖^s − E‖X − X′‖^s − E‖Y − Y′‖^s, X ~ φ_#ν, Y ~ μ₁: no bandwidth to choose. Székely and Rizzo 2013;
/// Bellemare et al. 2017, arXiv 1705.10743, for networks. Section 2 of the paper, whose kernel lost its sign.
///
/// On the line it is computed by sorting; in the plane, where few lines at equal angles will do, along lines that turn at every
/// step, the same in expectation; else over all pairs. See [`EnergyConfig::lines`].
pub type Energy = Matching<EnergyConfig>;

/// Settings of `energy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnergyConfig {
    /// The map.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Generated points a step.
    pub batch: usize,
    /// Target points a step; absent, as many as generated.
    pub target_batch: Option<usize>,
    /// The exponent s, inside (0, 2); small ones see shape, large ones means.
    pub exponent: f64,
    /// Which estimate a batch gives.
    pub statistic: Statistic,
    /// Lines that the distance with s = 1 is averaged over, drawn anew at every step: O(n log n) each, the same in
    /// expectation as the sum over pairs (Hertrich et al. 2024, arXiv 2305.11463). 0 sums over pairs; absent, 16 lines in the
    /// plane and pairs in space. Off the CPU it is pairs unless lines are given.
    pub lines: Option<usize>,
}

/// Lines in the plane, where the length of a pair along 16 of them is right to a third of a percent.
const LINES: usize = 16;

impl EnergyConfig {
    /// The lines in ℝ^`dim`; 0 where pairs are summed.
    fn lines_in(&self, dim: usize) -> Result<usize> {
        match self.lines {
            Some(lines) if lines > 0 && self.exponent != 1.0 => {
                let must = "0, or absent, where exponent is not 1: only |x − y| itself is summed along lines";
                Err(Error::setting("lines", lines as f64, must))
            }
            // One line is all of them, and sorted anyway.
            Some(_) if dim == 1 => Ok(0),
            Some(lines) => Ok(lines),
            None if dim == 2 && self.exponent == 1.0 => Ok(LINES),
            None => Ok(0),
        }
    }
}

impl Default for EnergyConfig {
    fn default() -> Self {
        EnergyConfig {
            map: MapConfig::default(),
            optim: OptimConfig::default(),
            batch: 512,
            target_batch: None,
            exponent: 1.0,
            statistic: Statistic::default(),
            lines: None,
        }
    }
}

impl Objective for EnergyConfig {
    const NAME: &'static str = "energy";
    const ABOUT: &'static str = "energy distance, MMD of the kernel -|x-y|^s (section 2; arXiv 1705.10743)";

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
        let lines = self.lines_in(reference.dim())?;
        Ok(if lines > 0 {
            Box::new(SlicedEnergy::new(statistic, lines, at.seed("lines"))?)
        } else if self.exponent == 1.0 {
            Box::new(EnergyDistance::new(statistic))
        } else {
            Box::new(divergences::Mmd::new(Kernel::new(self.exponent)?, statistic))
        })
    }

    fn twin(&self, _: &Reference) -> Result<Option<Twin>> {
        if self.lines.is_some_and(|lines| lines > 0) {
            return Ok(None);
        }
        Ok(Some(Twin::energy(Kernel::new(self.exponent)?, self.statistic.into())))
    }

    fn changes(&self, _: &Moment) -> bool {
        // New lines; in space, where there are none by default, making the divergence again costs nothing.
        self.exponent == 1.0 && self.lines != Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::zoo::Gaussian;
    use measures::{Empirical, Sample, Seed};

    #[test]
    fn lines_are_those_of_the_plane_unless_given() {
        let config = |lines, exponent| EnergyConfig { exponent, lines, ..EnergyConfig::default() };
        assert_eq!(config(None, 1.0).lines_in(2).unwrap(), LINES);
        assert_eq!((config(None, 1.0).lines_in(3).unwrap(), config(None, 1.5).lines_in(2).unwrap()), (0, 0));
        assert_eq!(
            (config(Some(0), 1.0).lines_in(2).unwrap(), config(Some(40), 1.0).lines_in(8).unwrap()),
            (0, 40)
        );
        let error = config(Some(4), 1.5).lines_in(2).unwrap_err().to_string();
        assert!(error.contains("lines") && error.contains("exponent"), "{error}");
    }

    /// One step's lines and all pairs agree within these bounds, and the lines turn from step to step.
    #[test]
    fn lines_and_pairs_agree() {
        let draw = |dim: usize, seed| Gaussian::standard(dim).sample(300, &mut Seed::new(seed).rng());
        for (dim, lines, bound) in [(1, Some(1), 0.0), (2, None, 0.02), (3, Some(64), 0.2)] {
            let reference = Reference::new(draw(dim, 1));
            let moved = draw(dim, 3).into_vec().into_iter().map(|v| v + 0.5).collect();
            let mu = Empirical::uniform(measures::Points::new(dim, moved).unwrap()).unwrap();
            let nu = Empirical::uniform(draw(dim, 2)).unwrap();
            let value = |lines, step| {
                let config = EnergyConfig { lines, ..EnergyConfig::default() };
                let divergence = config.divergence(&reference, &Moment::new(step, 9, Seed::new(3))).unwrap();
                divergence.value(&mu, &nu).unwrap()
            };
            let (pairs, first, next) = (value(Some(0), 0), value(lines, 0), value(lines, 1));
            assert!((first / pairs - 1.0).abs() <= bound, "{dim}: {first} for {pairs}");
            assert_eq!(first == next, dim == 1, "{dim}: {first} {next}");
        }
    }
}
