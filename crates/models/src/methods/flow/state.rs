//! What changes while a network along a path is trained.

use crate::error::Result;
use crate::generators::{FlowAbout, FlowModel, Generator};
use crate::method::Setup;
use crate::nets::Pass;
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Visitor};

/// A model along a path and its optimiser, and that of the second network, which says the latent noise, where there is one.
pub struct FlowState {
    pub(super) model: FlowModel,
    pub(super) adam: Adam,
    pub(super) denoiser_adam: Option<Adam>,
    pub(super) pass: Pass,
}

impl FlowState {
    /// Before the first step.
    ///
    /// # Errors
    /// A setting is out of range.
    pub(super) fn new(about: FlowAbout, optim: &OptimConfig, setup: &Setup) -> Result<Self> {
        let model = FlowModel::new(about, setup)?;
        let adam = Adam::new(optim, &model.params)?;
        let denoiser_adam = model.denoiser.as_ref().map(|params| Adam::new(optim, params)).transpose()?;
        Ok(FlowState { model, adam, denoiser_adam, pass: Pass::default() })
    }

    /// The model as it stands.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub(super) fn generator(&self) -> Result<Box<dyn Generator>> {
        Ok(Box::new(self.model.duplicate()?))
    }
}

impl Persist for FlowState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("adam", &mut self.adam)?;
        match &mut self.denoiser_adam {
            Some(adam) => v.part("denoiser_adam", adam),
            None => Ok(()),
        }
    }
}
