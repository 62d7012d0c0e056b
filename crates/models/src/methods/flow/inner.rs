//! The loss that annealing keeps the same in all rounds: a divergence, or a learned critic.

use crate::error::{Error, Result, check_count};
use crate::methods::statistics::{FganRule, GanLoss, GanRule, Lipschitz, LossConfig, PhiConfig, Rule};
use crate::nets::{Activation, MlpConfig};
use crate::optim::OptimConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the map minimises; the settings mean what they mean in the method of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum ObjectiveConfig {
    /// A divergence between batches.
    Divergence {
        /// The divergence.
        #[serde(default)]
        loss: LossConfig,
    },
    /// The critic of `gan`: by default that of R3GAN (arXiv 2501.05441).
    Gan {
        /// The critic and how it learns.
        #[serde(default)]
        rival: RivalConfig,
        /// What critic and map minimise.
        #[serde(default)]
        loss: GanLoss,
        /// γ of the penalty on the critic's gradient at data; 0 is none.
        #[serde(default = "tenth")]
        r1: f64,
        /// γ of the penalty on the critic's gradient at generated points; 0 is none.
        #[serde(default = "tenth")]
        r2: f64,
    },
    /// The critic of `wgan`: by default with the gradient penalty (WGAN-GP, arXiv 1704.00028).
    Wgan {
        /// The critic and how it learns.
        #[serde(default = "of_wgan")]
        rival: RivalConfig,
        /// How the critic's slope is bounded.
        #[serde(default)]
        lipschitz: Lipschitz,
    },
    /// The critic of `fgan`.
    Fgan {
        /// The critic and how it learns.
        #[serde(default)]
        rival: RivalConfig,
        /// The divergence.
        #[serde(default)]
        phi: PhiConfig,
        /// γ of the penalty on the critic's gradient.
        #[serde(default = "tenth")]
        penalty: f64,
    },
}

fn tenth() -> f64 {
    0.1
}

fn of_wgan() -> RivalConfig {
    let rival = RivalConfig::default();
    RivalConfig { steps: 3, optim: OptimConfig { beta2: 0.9, ..rival.optim }, ..rival }
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        ObjectiveConfig::Divergence { loss: LossConfig::default() }
    }
}

impl From<LossConfig> for ObjectiveConfig {
    fn from(loss: LossConfig) -> Self {
        ObjectiveConfig::Divergence { loss }
    }
}

impl ObjectiveConfig {
    /// WGAN-GP.
    pub fn wgan_gp() -> Self {
        ObjectiveConfig::Wgan { rival: of_wgan(), lipschitz: Lipschitz::default() }
    }

    /// R3GAN: the relativistic loss with both penalties.
    pub fn r3gan() -> Self {
        let (rival, loss) = (RivalConfig::default(), GanLoss::Relativistic);
        ObjectiveConfig::Gan { rival, loss, r1: tenth(), r2: tenth() }
    }

    /// The critic and its rule, where there is one.
    pub(crate) fn rival(&self) -> Option<(&RivalConfig, Box<dyn Rule>)> {
        match self {
            ObjectiveConfig::Divergence { .. } => None,
            &ObjectiveConfig::Gan { ref rival, loss, r1, r2 } => {
                Some((rival, Box::new(GanRule { loss, r1, r2 })))
            }
            &ObjectiveConfig::Wgan { ref rival, lipschitz } => Some((rival, Box::new(lipschitz))),
            &ObjectiveConfig::Fgan { ref rival, phi, penalty } => {
                Some((rival, Box::new(FganRule { phi, saturating: false, bound: 10.0, penalty })))
            }
        }
    }

    /// The divergence with its kernel widened, where there is one.
    ///
    /// # Errors
    /// The kernel is to be widened, and there is none.
    pub(crate) fn widened(&self, factor: f64) -> Result<Option<LossConfig>> {
        match self {
            ObjectiveConfig::Divergence { loss } => loss.widened(factor).map(Some),
            _ if factor == 1.0 => Ok(None),
            _ => {
                Err(Error::setting("kernel", factor, "1 for a learned critic, which has no kernel to widen"))
            }
        }
    }
}

/// A learned critic and how it learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RivalConfig {
    /// The critic, from data to one number.
    pub net: MlpConfig,
    /// Its optimiser.
    pub optim: OptimConfig,
    /// Its rounds before each step of the map.
    pub steps: usize,
}

impl Default for RivalConfig {
    fn default() -> Self {
        RivalConfig {
            net: MlpConfig {
                widths: vec![128; 3],
                activation: Activation::LeakyRelu,
                ..MlpConfig::default()
            },
            optim: OptimConfig { lr: 1e-3, beta1: 0.0, beta2: 0.99, ..OptimConfig::default() },
            steps: 1,
        }
    }
}

impl RivalConfig {
    pub(crate) fn check(&self) -> Result<()> {
        check_count("objective.rival.steps", self.steps)
    }
}
