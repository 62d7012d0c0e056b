//! The transport divergences for the registry.

use super::{
    MaxSliced, MinibatchEnergy, NormPower, Sinkhorn, SinkhornDivergence, SlicedWasserstein, Unbalanced,
    Wasserstein,
};
use crate::registry::Registered;
use measures::{Result, Seed};

/// The divergences of this module, for distances near `scale`.
pub(crate) fn registered(scale: f64) -> Result<Vec<Registered>> {
    let seed = Seed::new(0).named("registry");
    let area = scale * scale;
    let taxi = Wasserstein::with_norm(1.0, 1.0)?;
    Ok(vec![
        Registered::new("W1", Wasserstein::new(1.0)?),
        Registered::new("W2", Wasserstein::new(2.0)?),
        Registered::new("W2, squared", Wasserstein::new(2.0)?.powered()),
        Registered::new("W1 of the taxi distance", taxi),
        Registered::new("Sinkhorn divergence", sinkhorn(4.0 * area, NormPower::squared_euclidean())?),
        // Where ε or ρ is small the potential at a probe bends within weights far below the steps of the tests.
        Registered::new("Sinkhorn divergence, cold", sinkhorn(0.25 * area, NormPower::squared_euclidean())?)
            .without_probes(),
        Registered::new(
            "Sinkhorn divergence of the distance",
            sinkhorn(4.0 * scale, NormPower::euclidean())?,
        ),
        // An atom that gets weight, however little, is dealt out and moves the others to other minibatches.
        Registered::new("minibatch energy distance", {
            let settings = Sinkhorn::new(4.0 * area)?.tolerance(1e-10);
            MinibatchEnergy::with_settings(3, settings, NormPower::squared_euclidean())?
        })
        .without_probes(),
        Registered::new("unbalanced transport", {
            Unbalanced::new(area, area, NormPower::squared_euclidean())?.with_limits(1e-11, 10_000)
        })
        .without_probes(),
        Registered::new("W2 on the torus", Wasserstein::on_circle(2.0, 10.0 * scale)?),
        Registered::new("sliced W1", SlicedWasserstein::new(1.0, 16, seed)?).without_probes(),
        Registered::new("sliced W2", SlicedWasserstein::new(2.0, 16, seed)?).without_probes(),
        Registered::new("max-sliced W2", MaxSliced::new(2.0, 8, seed)?)
            .without_gradient_in_points()
            .without_gradient_in_weights(),
    ])
}

/// To a marginal error at which gradients are good to nine digits.
fn sinkhorn(epsilon: f64, cost: NormPower) -> Result<SinkhornDivergence<NormPower>> {
    Ok(SinkhornDivergence::with_settings(Sinkhorn::new(epsilon)?.tolerance(1e-10), cost))
}
