//! The trait every divergence implements, and how its first argument becomes a functional.

use crate::axioms::Axioms;
use measures::{Empirical, Error, Functional, Points, Result, Variation};

/// A way to compare two discrete measures.
///
/// `variation` differentiates in the *first* argument, the one that is moved or trained. The two may have different
/// numbers of atoms and any weights. Each implementation states what it returns: squared or not, V- or U-statistic.
pub trait Divergence {
    /// The axioms it satisfies; `tests/axioms.rs` holds it to them.
    fn axioms(&self) -> Axioms;

    /// D(μ, ν).
    ///
    /// # Errors
    /// The measures live in different dimensions, or the divergence is not defined for them.
    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64>;

    /// D(μ, ν) with its first variation in μ.
    ///
    /// # Errors
    /// As [`Divergence::value`]; where mathematics has no gradient.
    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation>;

    /// ∇(δD(·, ν)/δμ)(xᵢ), n×d, at atoms of weight zero too where it is defined. The default divides by the weights.
    ///
    /// # Errors
    /// As [`Divergence::variation`]; an atom of weight zero where the field is not defined.
    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        let mut field = self.variation(mu, nu)?.d_points;
        for (index, (row, &w)) in field.rows_mut().zip(mu.weights()).enumerate() {
            if w == 0.0 {
                return Err(Error::ZeroWeight { what: "divergence", index });
            }
            row.iter_mut().for_each(|g| *g /= w);
        }
        finite_field(field)
    }

    /// μ ↦ D(μ, `target`) as a functional. Implementations that can, compute what depends on the target alone once.
    ///
    /// # Errors
    /// The divergence is not defined for the target.
    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>>;
}

/// μ ↦ D(μ, target) with nothing cached: what [`Divergence::toward`] returns where there is nothing to cache.
pub struct Toward<'a, D: ?Sized> {
    divergence: &'a D,
    target: &'a Empirical,
}

impl<'a, D: Divergence + ?Sized> Toward<'a, D> {
    /// The functional D(·, `target`).
    pub fn new(divergence: &'a D, target: &'a Empirical) -> Self {
        Toward { divergence, target }
    }
}

impl<D: Divergence + ?Sized> Functional for Toward<'_, D> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        self.divergence.variation(mu, self.target)
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        self.divergence.value(mu, self.target)
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        self.divergence.gradient_field(mu, self.target)
    }
}

/// The value where it is a number: what overflowed is an error.
pub(crate) fn finite(value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    let must = "finite: the points, or functions of them, are too large";
    Err(Error::Parameter { what: "value of the divergence", value, must })
}

/// The variation where all of it is finite.
pub(crate) fn finite_variation(variation: Variation) -> Result<Variation> {
    finite(variation.value)?;
    variation.d_points.check_finite("gradient of the divergence")?;
    measures::check_finite("derivative in the weights", &variation.d_weights)?;
    Ok(variation)
}

/// The field where all of it is finite.
pub(crate) fn finite_field(field: Points) -> Result<Points> {
    field.check_finite("gradient of the divergence")?;
    Ok(field)
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<D: Divergence + ?Sized> Divergence for $pointer {
            fn axioms(&self) -> Axioms { (**self).axioms() }
            fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> { (**self).value(mu, nu) }
            fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
                (**self).variation(mu, nu)
            }
            fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
                (**self).gradient_field(mu, nu)
            }
            fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
                (**self).toward(target)
            }
        }
    )+};
}
forward!(&D, Box<D>);
