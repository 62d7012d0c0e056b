//! A divergence as a setting, for methods that take any.

use crate::error::{Error, Result};
use crate::method::Moment;
use crate::methods::statistics::{
    CharacteristicConfig, D2Config, EnergyConfig, FamilyConfig, MmdConfig, Objective, Reference,
    SinkhornConfig, SlicedConfig,
};
use crate::twins::Twin;
use divergences::Divergence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A divergence between the map's law and the target; the settings mean what they mean in the method of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum LossConfig {
    /// The mean formulation D₂ of eq. (3), squared, unbiased.
    D2 {
        /// The functions whose brackets are matched.
        #[serde(default)]
        family: FamilyConfig,
    },
    /// Characteristic functions at frequencies drawn anew at every step.
    Characteristic {
        /// Frequencies a step, for each bandwidth.
        #[serde(default = "sixty_four")]
        frequencies: usize,
        /// Frequencies are drawn from N(0, h⁻² I), h these multiples of the median distance within the target.
        #[serde(default = "three_bandwidths")]
        bandwidths: Vec<f64>,
    },
    /// The energy distance; along lines that turn at every step where `energy` does so by default.
    Energy {
        /// The exponent s, inside (0, 2).
        #[serde(default = "one")]
        exponent: f64,
    },
    /// The squared MMD with Gaussian kernels, unbiased.
    Mmd {
        /// Bandwidths, as multiples of the median distance within the target.
        #[serde(default = "three_bandwidths")]
        bandwidths: Vec<f64>,
    },
    /// The Sinkhorn divergence for the cost ½‖x − y‖².
    Sinkhorn {
        /// The temperature as a multiple of the mean cost within the target.
        #[serde(default = "hundredth")]
        epsilon: f64,
    },
    /// The sliced Wasserstein distance of order 2, squared, along new directions at every step.
    Sliced {
        /// Directions a step.
        #[serde(default = "thirty_two")]
        directions: usize,
    },
}

fn one() -> f64 {
    1.0
}
fn three_bandwidths() -> Vec<f64> {
    vec![1.0, 0.3, 0.1]
}
fn hundredth() -> f64 {
    0.01
}
fn thirty_two() -> usize {
    32
}
fn sixty_four() -> usize {
    64
}

impl Default for LossConfig {
    fn default() -> Self {
        LossConfig::Energy { exponent: one() }
    }
}

impl LossConfig {
    /// The squared MMD with three Gaussian kernels, wide to narrow.
    pub fn mmd() -> Self {
        LossConfig::Mmd { bandwidths: three_bandwidths() }
    }

    /// The divergence for the step at hand, as [`Objective::divergence`].
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn divergence(&self, reference: &Reference, at: &Moment) -> Result<Box<dyn Divergence>> {
        match self {
            LossConfig::D2 { family } => {
                D2Config { family: family.clone(), ..D2Config::default() }.divergence(reference, at)
            }
            LossConfig::Characteristic { frequencies, bandwidths } => {
                let (frequencies, bandwidths) = (*frequencies, bandwidths.clone());
                CharacteristicConfig { frequencies, bandwidths, ..CharacteristicConfig::default() }
                    .divergence(reference, at)
            }
            &LossConfig::Energy { exponent } => {
                EnergyConfig { exponent, ..EnergyConfig::default() }.divergence(reference, at)
            }
            LossConfig::Mmd { bandwidths } => {
                MmdConfig { bandwidths: bandwidths.clone(), ..MmdConfig::default() }.divergence(reference, at)
            }
            &LossConfig::Sinkhorn { epsilon } => whole(epsilon).divergence(reference, at),
            &LossConfig::Sliced { directions } => {
                SlicedConfig { directions, ..SlicedConfig::default() }.divergence(reference, at)
            }
        }
    }

    /// The same as tensors, as [`Objective::twin`].
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn twin(&self, reference: &Reference) -> Result<Option<Twin>> {
        match self {
            &LossConfig::Energy { exponent } => {
                EnergyConfig { exponent, ..EnergyConfig::default() }.twin(reference)
            }
            LossConfig::Mmd { bandwidths } => {
                MmdConfig { bandwidths: bandwidths.clone(), ..MmdConfig::default() }.twin(reference)
            }
            &LossConfig::Sinkhorn { epsilon } => whole(epsilon).twin(reference),
            LossConfig::D2 { .. } | LossConfig::Characteristic { .. } | LossConfig::Sliced { .. } => Ok(None),
        }
    }

    /// Whether the divergence of this step differs from that of the step before.
    pub fn changes(&self, at: &Moment) -> bool {
        match self {
            LossConfig::D2 { family } => {
                D2Config { family: family.clone(), ..D2Config::default() }.changes(at)
            }
            LossConfig::Characteristic { .. } | LossConfig::Sliced { .. } => true,
            &LossConfig::Energy { exponent } => {
                EnergyConfig { exponent, ..EnergyConfig::default() }.changes(at)
            }
            LossConfig::Mmd { .. } | LossConfig::Sinkhorn { .. } => false,
        }
    }

    /// The same divergence with a kernel `factor` ≥ 1 times as wide: bandwidths and periods are multiplied by it, the
    /// temperature of the Sinkhorn divergence, a square of a length, by its square. The energy distance has no length; its
    /// exponent s goes to 2 − (2 − s)/factor, toward 2, at which it sees means alone.
    ///
    /// # Errors
    /// The sliced distance has nothing to widen.
    pub fn widened(&self, factor: f64) -> Result<Self> {
        let mut wide = self.clone();
        let times = |all: &mut Vec<f64>| all.iter_mut().for_each(|h| *h *= factor);
        match &mut wide {
            LossConfig::D2 { family: FamilyConfig::Random { bandwidths, .. } }
            | LossConfig::Characteristic { bandwidths, .. }
            | LossConfig::Mmd { bandwidths } => times(bandwidths),
            LossConfig::D2 { family: FamilyConfig::Lattice { period, .. } } => *period *= factor,
            LossConfig::Energy { exponent } => *exponent = 2.0 - (2.0 - *exponent) / factor,
            LossConfig::Sinkhorn { epsilon } => *epsilon *= factor * factor,
            LossConfig::Sliced { .. } if factor == 1.0 => {}
            LossConfig::Sliced { .. } => {
                let must = "1 for the sliced distance, which has no kernel to widen";
                return Err(Error::setting("kernel", factor, must));
            }
        }
        Ok(wide)
    }
}

/// The Sinkhorn divergence of two samples.
fn whole(epsilon: f64) -> SinkhornConfig {
    SinkhornConfig { epsilon, tolerance: 1e-3, minibatch: None, ..SinkhornConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_widened_by_their_lengths() {
        let wide = |loss: LossConfig| loss.widened(2.0).unwrap();
        assert_eq!(wide(LossConfig::Energy { exponent: 1.0 }), LossConfig::Energy { exponent: 1.5 });
        assert_eq!(wide(LossConfig::Sinkhorn { epsilon: 0.01 }), LossConfig::Sinkhorn { epsilon: 0.04 });
        assert_eq!(
            wide(LossConfig::Mmd { bandwidths: vec![1.0, 0.1] }),
            LossConfig::Mmd { bandwidths: vec![2.0, 0.2] }
        );
        let family = |period| FamilyConfig::Lattice { max: 3, period, low_first: 0.0 };
        assert_eq!(wide(LossConfig::D2 { family: family(1.0) }), LossConfig::D2 { family: family(2.0) });
        let sliced = LossConfig::Sliced { directions: 8 };
        assert_eq!(sliced.widened(1.0).unwrap(), sliced);
        assert!(sliced.widened(2.0).unwrap_err().to_string().contains("sliced"));
    }
}
