//! What a measure can do: be sampled, give its density, give its score.

use crate::error::{Error, Result};
use crate::points::Points;
use rand::Rng;

/// A probability measure μ on ℝᵈ, known by at least one of [`Sample`], [`Density`], [`Score`].
pub trait Measure {
    /// The dimension d of the space it lives in.
    fn dim(&self) -> usize;
}

/// A measure that can be drawn from.
pub trait Sample: Measure {
    /// n independent points X₁, …, X_n ~ μ, n×d.
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points;
}

/// A measure with a density p with respect to the Lebesgue measure of its space.
pub trait Density: Measure {
    /// log p(xᵢ) for every row, in nats; −∞ outside the support.
    ///
    /// # Errors
    /// The points live in another dimension.
    fn log_density(&self, x: &Points) -> Result<Vec<f64>>;

    /// The differential entropy −E[log p(X)] in nats, where a closed form is known.
    fn entropy(&self) -> Option<f64> {
        None
    }
}

/// A measure whose score ∇log p is known, possibly without the normalising constant of p.
///
/// Kernel Stein discrepancies, Langevin dynamics and energy models need no more than this.
pub trait Score: Measure {
    /// ∇log p(xᵢ) for every row, n×d.
    ///
    /// # Errors
    /// The points live in another dimension.
    fn score(&self, x: &Points) -> Result<Points>;

    /// The Hessian–vector products ∇²log p(xᵢ) vᵢ for every row, n×d.
    ///
    /// # Errors
    /// The shapes differ, or the measure does not know its Hessian (the default).
    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        let _ = (x, v);
        Err(Error::Undefined {
            what: "score_jvp",
            why: "this measure gives its score but not the derivative of it",
        })
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<M: Measure + ?Sized> Measure for $pointer {
            fn dim(&self) -> usize { (**self).dim() }
        }
        impl<M: Sample + ?Sized> Sample for $pointer {
            fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points { (**self).sample(n, rng) }
        }
        impl<M: Density + ?Sized> Density for $pointer {
            fn log_density(&self, x: &Points) -> Result<Vec<f64>> { (**self).log_density(x) }
            fn entropy(&self) -> Option<f64> { (**self).entropy() }
        }
        impl<M: Score + ?Sized> Score for $pointer {
            fn score(&self, x: &Points) -> Result<Points> { (**self).score(x) }
            fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> { (**self).score_jvp(x, v) }
        }
    )+};
}
forward!(&M, Box<M>, std::sync::Arc<M>);
