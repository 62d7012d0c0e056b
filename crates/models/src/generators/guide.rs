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
    /// Where the network takes the factor of guidance as an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<FactorInput>,
}

/// The factor of guidance as an input of the network, whose one answer is then the combination of two: guided distillation
/// (Meng et al. 2023, *On distillation of guided diffusion models*, arXiv 2210.03142).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorInput {
    /// The least factor it was trained with.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// Whether it has learned to; a network that has not is told 0, and two of its answers are combined.
    pub learned: bool,
}

impl FactorInput {
    /// Refuses factors out of range.
    pub(crate) fn check(&self) -> Result<()> {
        check_range("guidance.least", self.least, 0.0.., "finite and not negative")?;
        check_range("guidance.most", self.most, self.least.., "finite and at least guidance.least")
    }

    /// What the network sees of a factor: from −1 to 1.
    fn standard(&self, factor: f64) -> f64 {
        let half = 0.5 * (self.most - self.least);
        if half > 0.0 { (factor - self.least) / half - 1.0 } else { 0.0 }
    }
}

impl ConditionAbout {
    /// The conditioning of a source, where its points come with conditions.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn of(condition: Option<&Condition>, guidance: GuidanceConfig) -> Result<Option<Self>> {
        guidance.check()?;
        Ok(condition.map(|condition| ConditionAbout { condition: condition.clone(), guidance, inside: None }))
    }

    /// The dimension of what the network is told.
    pub(crate) fn told_dim(&self) -> usize {
        self.condition.encoded_dim() + usize::from(self.inside.is_some())
    }

    /// What the network is told about n rows, with factors of guidance where it has learned to take them.
    fn encode(
        &self,
        given: Option<&Points>,
        n: usize,
        hidden: impl Fn(usize) -> bool,
        factor: impl Fn(usize) -> Option<f64>,
    ) -> Points {
        let told = self.condition.encode(given, n, hidden);
        let Some(inside) = &self.inside else { return told };
        let last = told.dim();
        Points::from_fn(n, last + 1, |i, out| {
            out[..last].copy_from_slice(told.row(i));
            out[last] = factor(i).map_or(0.0, |factor| inside.standard(factor));
        })
    }

    /// Refuses what no training could leave: it came from a file.
    pub(crate) fn check(&self) -> Result<()> {
        self.guidance.check()?;
        self.inside.as_ref().map_or(Ok(()), FactorInput::check)?;
        self.condition.check_shape()
    }

    /// What the network is told in training about points with these conditions, hidden now and then.
    pub(crate) fn lesson(
        &self,
        given: &Points,
        rng: &mut dyn Rng,
        options: (Kind, Device),
    ) -> Result<Tensor> {
        let hidden = self.hidden(given.len(), rng);
        to_tensor(&self.encode(Some(given), given.len(), |i| hidden[i], |_| None), options.0, options.1)
    }

    /// Which rows hide their condition.
    fn hidden(&self, n: usize, rng: &mut dyn Rng) -> Vec<bool> {
        (0..n).map(|_| rng.random::<f64>() < self.guidance.hidden).collect()
    }

    /// What a teacher and its student are asked for in a step of guided distillation about points with these conditions: the
    /// same factors, drawn uniformly, by which the teacher combines two answers and which the student is told. A condition that
    /// is hidden leaves nothing to combine, and the student learns f(x, ∅) of it.
    pub(crate) fn guided_lesson(
        &self,
        given: &Points,
        rng: &mut dyn Rng,
        options: (Kind, Device),
    ) -> Result<[Guide; 2]> {
        let why = "the network does not take the factor of guidance";
        let inside = self.inside.ok_or(Error::Undefined { what: "guided distillation", why })?;
        let (n, hidden) = (given.len(), self.hidden(given.len(), rng));
        let draw = |_| inside.least + (inside.most - inside.least) * rng.random::<f64>();
        let factors: Vec<f64> = (0..n).map(draw).collect();
        let told = |factor: &dyn Fn(usize) -> Option<f64>| {
            to_tensor(&self.encode(Some(given), n, |i| hidden[i], factor), options.0, options.1)
        };
        let student = Guide { told: told(&|i| Some(factors[i]))?, factor: Factor::One };
        let teacher = told(&|_| None)?;
        let factor = to_tensor(&Points::from_line(factors), options.0, options.1)?;
        Ok([Guide { told: teacher, factor: Factor::Each(factor) }, student])
    }

    /// What the network is told about n points when nothing is asked for.
    pub(crate) fn nothing(&self, n: usize, options: (Kind, Device)) -> Result<Tensor> {
        to_tensor(&self.encode(None, n, |_| true, |_| None), options.0, options.1)
    }

    /// The request of these conditions.
    pub(crate) fn guide(
        &self,
        given: &Points,
        factor: Option<f64>,
        options: (Kind, Device),
    ) -> Result<Guide> {
        self.condition.check(given)?;
        let n = given.len();
        let told = |factor: Option<f64>| {
            to_tensor(&self.encode(Some(given), n, |_| false, |_| factor), options.0, options.1)
        };
        if let Some(FactorInput { least, most, learned: true }) = self.inside {
            let factor = factor.unwrap_or(self.guidance.factor);
            let must = format!("between {least} and {most}, which this distilled model was trained for");
            check_range("guidance", factor, least..=most, &must)?;
            return Ok(Guide { told: told(Some(factor))?, factor: Factor::One });
        }
        let factor = match self.guidance.factor(factor)? {
            1.0 => Factor::One,
            factor => Factor::All(factor),
        };
        Ok(Guide { told: told(None)?, factor })
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
    factor: Factor,
}

#[derive(Debug)]
enum Factor {
    /// There is nothing to combine: one answer.
    One,
    /// The same for all rows.
    All(f64),
    /// One a row, n×1.
    Each(Tensor),
}

impl Guide {
    /// The same request.
    pub(crate) fn copy(&self) -> Self {
        let factor = match &self.factor {
            Factor::One => Factor::One,
            Factor::All(factor) => Factor::All(*factor),
            Factor::Each(factors) => Factor::Each(factors.shallow_clone()),
        };
        Guide { told: self.told.shallow_clone(), factor }
    }

    /// What these rows are told, and nothing to combine.
    pub(crate) fn plain(told: Tensor) -> Self {
        Guide { told, factor: Factor::One }
    }

    /// f(∅) + g (f(c) − f(∅)), where `f` answers for rows that are told what its argument says; `twice` puts the rows of a
    /// tensor under themselves, so that both answers come from one evaluation.
    pub(crate) fn follow(
        &self,
        nothing: impl FnOnce() -> Result<Tensor>,
        f: impl FnOnce(&Tensor, bool) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if let Factor::One = self.factor {
            return f(&self.told, false);
        }
        let both = f(&Tensor::f_cat(&[&self.told, &nothing()?], 0)?, true)?;
        let n = self.told.size()[0];
        let (given, free) = (both.f_narrow(0, 0, n)?, both.f_narrow(0, n, n)?);
        Ok(match &self.factor {
            Factor::Each(factors) => free.f_lerp_tensor(&given, factors)?,
            Factor::All(factor) => free.f_lerp(&given, *factor)?,
            Factor::One => given,
        })
    }
}
