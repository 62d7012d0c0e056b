//! What calls of this crate return, for the judge; and measures to trouble them with.

use crate::judge::Answer;
use divergences::measures::{Empirical, Points, Pullback, Seed, Variation};
use divergences::transport::{Entropic, Transport, UnbalancedTransport};
use rand::RngExt;

/// Numbers of which none may be infinite either.
pub(crate) struct Finite(pub(crate) Vec<f64>);

impl Answer for Finite {
    fn has_nan(&self) -> bool {
        self.0.iter().any(|v| !v.is_finite())
    }
}
impl Answer for Variation {
    fn has_nan(&self) -> bool {
        !self.value.is_finite() || self.d_points.check_finite("d_points").is_err() || !finite(&self.d_weights)
    }
}
impl Answer for Pullback {
    fn has_nan(&self) -> bool {
        !finite(&self.values) || self.gradients.check_finite("gradients").is_err()
    }
}
impl Answer for Transport {
    /// A plan that does not move all mass is no answer either.
    fn has_nan(&self) -> bool {
        let mass: f64 = self.plan.entries().map(|e| e.2).sum();
        !finite(&[self.value, self.dual, self.violation])
            || !finite(&self.potentials.source)
            || !finite(&self.potentials.target)
            || (mass - 1.0).abs() > 1e-9
    }
}
impl Answer for Entropic {
    fn has_nan(&self) -> bool {
        !finite(&[self.value, self.marginal_error])
            || !finite(&self.potentials.source)
            || !finite(&self.potentials.target)
    }
}
impl Answer for UnbalancedTransport {
    fn has_nan(&self) -> bool {
        !finite(&[self.value, self.primal, self.mass, self.transport_cost])
    }
}

fn finite(values: &[f64]) -> bool {
    values.iter().all(|v| v.is_finite())
}

/// Whether a measure of this name is so extreme that a refusal is as right as an answer.
pub(crate) fn extreme(name: &str) -> bool {
    ["tiny", "denormal", "far", "very far", "beyond", "light atoms"].contains(&name)
}

/// Measures that break things: alone, copies, far, near, in a line, light and weightless atoms.
pub(crate) fn odd_measures(dim: usize) -> Vec<(&'static str, Empirical)> {
    let mut rng = Seed::new(dim as u64).rng();
    let mut random = |n: usize, scale: f64, shift: f64| {
        Points::from_fn(n, dim, |_, row| row.fill_with(|| scale * (rng.random::<f64>() - 0.5) + shift))
    };
    let uniform = |x: Points| Empirical::uniform(x).unwrap();
    let plain = random(6, 2.0, 0.0);
    let with = |w: Vec<f64>| Empirical::normalised(plain.clone(), w).unwrap();
    vec![
        ("one point", uniform(random(1, 1.0, 0.3))),
        ("copies", uniform(Points::zeros(5, dim))),
        ("copies and others", uniform(Points::zeros(5, dim).concat(&random(3, 1.0, 0.0)).unwrap())),
        ("plain", uniform(plain.clone())),
        ("a line", uniform(Points::from_fn(7, dim, |i, row| row.fill(i as f64 / 7.0)))),
        ("near", uniform(random(5, 1e-12, 1.0))),
        ("tiny", uniform(random(5, 1e-160, 0.0))),
        ("denormal", uniform(random(4, 1e-310, 0.0))),
        ("far", uniform(random(5, 1.0, 1e8))),
        ("very far", uniform(random(4, 1e120, 0.0))),
        ("beyond", uniform(random(4, 1e300, 0.0))),
        ("light atoms", with(vec![1.0, 1e-13, 1e-300, 1.0, 1e-9, 0.5])),
        ("weightless atoms", with(vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.5])),
    ]
}
