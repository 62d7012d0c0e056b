//! The transport divergences for the registry.

use super::{MaxSliced, SlicedWasserstein, Wasserstein};
use crate::registry::Registered;
use measures::{Result, Seed};

/// The divergences of this module that are exact.
pub(crate) fn registered() -> Result<Vec<Registered>> {
    let seed = Seed::new(0).named("registry");
    let taxi = Wasserstein::with_norm(1.0, 1.0)?;
    Ok(vec![
        Registered::new("W1", Wasserstein::new(1.0)?),
        Registered::new("W2", Wasserstein::new(2.0)?),
        Registered::new("W2, squared", Wasserstein::new(2.0)?.powered()),
        Registered::new("W1 of the taxi distance", taxi),
        Registered::new("sliced W1", SlicedWasserstein::new(1.0, 16, seed)?).without_probes(),
        Registered::new("sliced W2", SlicedWasserstein::new(2.0, 16, seed)?).without_probes(),
        Registered::new("max-sliced W2", MaxSliced::new(2.0, 8, seed)?)
            .without_gradient_in_points()
            .without_gradient_in_weights(),
    ])
}
