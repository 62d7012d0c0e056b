//! Maximum likelihood for bijective networks: what differs between methods is the layers.

use crate::error::{Error, Result, check_count};
use crate::generators::{Generator, NormalisingAbout, NormalisingFlow};
use crate::method::{Method, Moment, Setup};
use crate::nets::{BijectionConfig, Transformer};
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;

/// The settings that all methods of maximum likelihood share.
#[derive(Debug, Clone, Copy)]
pub struct Likelihood<'a> {
    /// The optimiser.
    pub optim: &'a OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

/// The settings of a method whose map is a [`NormalisingFlow`], and how they make the layers.
pub trait Flow: Clone + Default + Serialize + DeserializeOwned + JsonSchema {
    /// The method's name.
    const NAME: &'static str;
    /// One line with the source.
    const ABOUT: &'static str;

    /// The settings all share.
    fn likelihood(&self) -> Likelihood<'_>;

    /// The layers.
    fn bijection(&self) -> BijectionConfig;
}

/// Ascent on E log p(X), X ~ μ₁, with p the density of φ_#N(0, I) by eq. (4): descent on KL(μ₁ | φ_#N) up to the entropy of
/// μ₁. The reported loss is −E log p in nats, in the coordinates of the data.
pub struct MaximumLikelihood<F>(PhantomData<fn() -> F>);

/// The flow and its optimiser.
pub struct LikelihoodState {
    flow: NormalisingFlow,
    adam: Adam,
}

impl<F: Flow> Method for MaximumLikelihood<F> {
    const NAME: &'static str = F::NAME;
    const ABOUT: &'static str = F::ABOUT;
    type Config = F;
    type State = LikelihoodState;

    fn init(c: &F, target: &dyn Source, setup: &Setup) -> Result<LikelihoodState> {
        let Likelihood { optim, batch, standardise } = c.likelihood();
        check_count("batch", batch)?;
        target.batch(batch, &mut setup.seed.rng())?;
        let bijection = c.bijection();
        if target.dim() == 1 && matches!(bijection.transformer, Transformer::Affine { .. }) {
            let must = "at least 2: on a line affine layers make Gaussians only; use the method spline";
            return Err(Error::setting("dimension of the data", 1, must));
        }
        let scaler = Scaler::of(target, standardise, setup.seed.named("scaler"))?;
        let about = NormalisingAbout { method: F::NAME.to_owned(), bijection, scaler };
        let flow = NormalisingFlow::new(about, setup)?;
        let adam = Adam::new(optim, &flow.params)?;
        Ok(LikelihoodState { flow, adam })
    }

    fn step(c: &F, s: &mut LikelihoodState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let scaler = &s.flow.about().scaler;
        let x = scaler.standardise(target.batch(c.likelihood().batch, &mut at.rng("target"))?);
        let volume = scaler.log_volume();
        let (kind, device) = s.flow.params.options();
        let loss = -s.flow.log_prob(&to_tensor(&x, kind, device)?).mean(kind);
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.adam.step(&mut s.flow.params, &loss, at.step, at.steps)?;
        }
        Ok(value + volume)
    }

    fn generator(_: &F, s: &LikelihoodState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.flow.duplicate()?))
    }
}

impl Persist for LikelihoodState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("flow", &mut self.flow)?;
        v.part("adam", &mut self.adam)
    }
}
