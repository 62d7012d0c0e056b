//! What a conditional model is asked for, and how strongly.

use crate::condition::Condition;
use crate::error::{Error, Result, check_range};
use crate::tensor::to_tensor;
use measures::rand::{Rng, RngExt};
use measures::{Points, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// How a model is trained given conditions, and asked for them afterwards: classifier-free guidance (Ho and Salimans 2022,
/// arXiv 2207.12598).
///
/// In training the condition is hidden from the network now and then, so that it learns f(x, ∅) beside f(x, c). Generation
/// follows f(x, ∅) + g (f(x, c) − f(x, ∅)); g = 1 + w in the paper's letters. All that networks here predict, velocity, noise,
/// data and score, are affine in one another at the same point, so it does not matter which of them is combined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuidanceConfig {
    /// The share of points whose condition is hidden in training; 0 learns nothing to guide away from.
    pub hidden: f64,
    /// The factor g of generation: 0 ignores the condition, 1 is the conditional law, more is more typical and less varied.
    pub factor: f64,
}

impl Default for GuidanceConfig {
    fn default() -> Self {
        GuidanceConfig { hidden: 0.1, factor: 1.0 }
    }
}

impl GuidanceConfig {
    pub(crate) fn check(&self) -> Result<()> {
        check_range("guidance.hidden", self.hidden, 0.0..1.0, "at least 0 and less than 1")?;
        self.factor(None).map(drop)
    }

    /// The factor asked for, or this one.
    fn factor(&self, asked: Option<f64>) -> Result<f64> {
        let factor = asked.unwrap_or(self.factor);
        check_range("guidance", factor, 0.0.., "finite and not negative")?;
        if factor != 1.0 && self.hidden == 0.0 {
            let must = "1: the model never learned to go without its condition (guidance.hidden = 0)";
            return Err(Error::setting("guidance", factor, must));
        }
        Ok(factor)
    }
}

/// What a conditional model remembers: the kind of its conditions, and how it was trained with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionAbout {
    /// The kind of condition.
    pub condition: Condition,
    /// How it was trained, and generates.
    pub guidance: GuidanceConfig,
}

impl ConditionAbout {
    /// The conditioning of a source, where its points come with conditions.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn of(condition: Option<&Condition>, guidance: GuidanceConfig) -> Result<Option<Self>> {
        guidance.check()?;
        Ok(condition.map(|condition| ConditionAbout { condition: condition.clone(), guidance }))
    }

    /// Refuses what no training could leave: it came from a file.
    pub(crate) fn check(&self) -> Result<()> {
        self.guidance.check()?;
        self.condition.check_shape()
    }

    /// What the network is told in training about points with these conditions, hidden now and then.
    pub(crate) fn lesson(
        &self,
        given: &Points,
        rng: &mut dyn Rng,
        options: (Kind, Device),
    ) -> Result<Tensor> {
        let hidden: Vec<bool> =
            (0..given.len()).map(|_| rng.random::<f64>() < self.guidance.hidden).collect();
        let told = self.condition.encode(Some(given), given.len(), |i| hidden[i]);
        to_tensor(&told, options.0, options.1)
    }

    /// What the network is told about n points when nothing is asked for.
    pub(crate) fn nothing(&self, n: usize, options: (Kind, Device)) -> Result<Tensor> {
        to_tensor(&self.condition.encode(None, n, |_| true), options.0, options.1)
    }

    /// The request of these conditions.
    pub(crate) fn guide(
        &self,
        given: &Points,
        factor: Option<f64>,
        options: (Kind, Device),
    ) -> Result<Guide> {
        self.condition.check(given)?;
        let factor = self.guidance.factor(factor)?;
        let told =
            to_tensor(&self.condition.encode(Some(given), given.len(), |_| false), options.0, options.1)?;
        Ok(Guide { told, factor })
    }

    /// Labels drawn as often as the data had them; none where conditions are vectors, of which no law is known.
    pub(crate) fn draw(&self, n: usize, seed: Seed) -> Option<Points> {
        let Condition::Label { shares } = &self.condition else { return None };
        let mut rng = seed.rng();
        let label = |_| {
            let mut left = rng.random::<f64>();
            let drawn = shares.iter().position(|share| {
                left -= share;
                left < 0.0
            });
            // Shares may sum to a little less than one.
            drawn.unwrap_or_else(|| shares.iter().rposition(|s| *s > 0.0).unwrap_or(0)) as f64
        };
        Some(Points::from_line((0..n).map(label).collect()))
    }
}

/// What a network is told about every row, and the factor of guidance.
#[derive(Debug)]
pub(crate) struct Guide {
    told: Tensor,
    factor: f64,
}

impl Guide {
    /// f(∅) + g (f(c) − f(∅)), where `f` answers for rows that are told what its argument says; `twice` puts the rows of a
    /// tensor under themselves, so that both answers come from one evaluation.
    pub(crate) fn follow(
        &self,
        nothing: impl FnOnce() -> Result<Tensor>,
        f: impl FnOnce(&Tensor, bool) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if self.factor == 1.0 {
            return f(&self.told, false);
        }
        let both = f(&Tensor::f_cat(&[&self.told, &nothing()?], 0)?, true)?;
        let n = self.told.size()[0];
        let (given, free) = (both.f_narrow(0, 0, n)?, both.f_narrow(0, n, n)?);
        Ok(free.f_lerp(&given, self.factor)?)
    }
}
