//! Functionals of a measure with their first variation, and the drifts that move particles along it.

use crate::empirical::Empirical;
use crate::error::{Error, Result};
use crate::points::Points;

/// The value of a functional F at μ = Σ wᵢ δ(xᵢ), and its first variation there.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Variation {
    /// F(μ).
    pub value: f64,
    /// ∂F/∂xᵢ = wᵢ ∇(δF/δμ)(xᵢ), n×d.
    pub d_points: Points,
    /// (δF/δμ)(xᵢ), fixed by Σ wᵢ d_weightsᵢ = 0: the derivative along mixtures, dF(μ + ε(ν−μ)) = ε ⟨δF/δμ|ν⟩.
    pub d_weights: Vec<f64>,
}

impl Variation {
    /// The variation of a functional whose first variation h is known at the points with its gradient: weights the
    /// gradients and centres h.
    pub fn from_potential(mu: &Empirical, value: f64, potential: Vec<f64>, gradients: Points) -> Self {
        let mut d_points = gradients;
        d_points.rows_mut().zip(mu.weights()).for_each(|(row, w)| row.iter_mut().for_each(|g| *g *= w));
        Variation { value, d_points, d_weights: centred(potential, mu.weights()) }
    }

    /// a · this variation, as for the functional a·F.
    pub fn scaled(mut self, a: f64) -> Self {
        self.value *= a;
        self.d_points.as_mut_slice().iter_mut().for_each(|g| *g *= a);
        self.d_weights.iter_mut().for_each(|g| *g *= a);
        self
    }
}

/// `potential` less its mean under the weights, so that Σ wᵢ hᵢ = 0.
pub fn centred(mut potential: Vec<f64>, weights: &[f64]) -> Vec<f64> {
    let mean: f64 = potential.iter().zip(weights).map(|(h, w)| h * w).sum();
    potential.iter_mut().for_each(|h| *h -= mean);
    potential
}

/// A differentiable function of a discrete measure.
pub trait Functional {
    /// F(μ) with its first variation.
    ///
    /// # Errors
    /// μ lives in another dimension, or the functional is not differentiable there.
    fn variation(&self, mu: &Empirical) -> Result<Variation>;

    /// F(μ) alone.
    ///
    /// # Errors
    /// As [`Functional::variation`].
    fn value(&self, mu: &Empirical) -> Result<f64> {
        Ok(self.variation(mu)?.value)
    }

    /// ∇(δF/δμ)(xᵢ), n×d: the field whose negative is the drift of steepest descent. The default divides
    /// `d_points` by the weights; functionals with a smooth potential give it at atoms of weight zero too.
    ///
    /// # Errors
    /// As [`Functional::variation`]; an atom of weight zero where the field is not defined.
    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        let mut field = self.variation(mu)?.d_points;
        for (index, (row, &w)) in field.rows_mut().zip(mu.weights()).enumerate() {
            if w == 0.0 {
                return Err(Error::ZeroWeight { what: "functional", index });
            }
            row.iter_mut().for_each(|g| *g /= w);
        }
        Ok(field)
    }
}

/// A rule that says where each atom of a measure should move.
pub trait Drift {
    /// The velocity of every atom, n×d.
    ///
    /// # Errors
    /// The measure lives in another dimension, or the drift is not defined there.
    fn drift(&self, mu: &Empirical) -> Result<Points>;
}

/// Steepest descent of a functional in the Wasserstein geometry: vᵢ = −∇(δF/δμ)(xᵢ) = −d_pointsᵢ / wᵢ.
///
/// A wrapper and not a blanket implementation, which would shut out `Box<dyn Drift>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steepest<F>(pub F);

impl<F: Functional> Drift for Steepest<F> {
    fn drift(&self, mu: &Empirical) -> Result<Points> {
        let mut field = self.0.gradient_field(mu)?;
        field.as_mut_slice().iter_mut().for_each(|v| *v = -*v);
        Ok(field)
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<F: Functional + ?Sized> Functional for $pointer {
            fn variation(&self, mu: &Empirical) -> Result<Variation> { (**self).variation(mu) }
            fn value(&self, mu: &Empirical) -> Result<f64> { (**self).value(mu) }
            fn gradient_field(&self, mu: &Empirical) -> Result<Points> { (**self).gradient_field(mu) }
        }
        impl<F: Drift + ?Sized> Drift for $pointer {
            fn drift(&self, mu: &Empirical) -> Result<Points> { (**self).drift(mu) }
        }
    )+};
}
forward!(&F, Box<F>);
