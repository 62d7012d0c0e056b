//! Named measures, each with its exact parameters.
//!
//! [`named`] builds one by name, [`NAMES`] lists them; everything can also be built from its own type.

mod banana;
mod catalogue;
mod checkerboard;
mod circles;
mod curves;
mod dirichlet;
mod funnel;
mod gaussian;
mod gaussian_mixture;
mod laplace;
mod layouts;
mod manifold;
mod mixture;
mod mixture_lanes;
mod moons;
mod named;
mod pinwheel;
mod product;
mod sphere;
mod student_t;
mod swiss_roll;
mod truncated;
mod two_spirals;
mod uniform_box;
mod von_mises;

pub use banana::Banana;
pub use catalogue::NAMES;
pub use checkerboard::Checkerboard;
pub use circles::Circles;
pub use dirichlet::{Dirichlet, SimplexChart};
pub use funnel::Funnel;
pub use gaussian::Gaussian;
pub use gaussian_mixture::GaussianMixture;
pub use laplace::Laplace;
pub use manifold::{CircleChart, Noised, SphereChart, SurfaceDensity};
pub use mixture::Mixture;
pub use moons::Moons;
pub use named::{Named, Spec, Target, named};
pub use pinwheel::Pinwheel;
pub use product::{Independent, Product};
pub use sphere::{NoisedSphere, UniformBall, UniformSphere};
pub use student_t::StudentT;
pub use swiss_roll::{SCurve, SwissRoll};
pub use truncated::{Truncated, TruncatedGaussian};
pub use two_spirals::TwoSpirals;
pub use uniform_box::UniformBox;
pub use von_mises::VonMises;

use crate::error::{Error, Result, check_dim, check_len};
use crate::map::Affine;
use crate::measure::Measure;
use crate::points::Points;
use crate::pushforward::Pushforward;
use nalgebra::DMatrix;

/// The law of A X + b, X ~ `base`: it samples, has a density, a score and its derivative where the base does.
///
/// ```
/// use measures::{Measure, nalgebra::DMatrix, zoo::{UniformBox, affine_image}};
/// let sheared = affine_image(UniformBox::unit(2)?, DMatrix::from_row_slice(2, 2, &[1.0, 1.0, 0.0, 1.0]), vec![0.0; 2])?;
/// assert_eq!(sheared.dim(), 2);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// The matrix is not square or not invertible, the offset has another length, an entry is not finite, or the base lives in
/// another dimension.
pub fn affine_image<B: Measure>(
    base: B,
    matrix: DMatrix<f64>,
    offset: Vec<f64>,
) -> Result<Pushforward<Affine, B>> {
    Pushforward::new(Affine::new(matrix, offset)?, base)
}

/// Points that a density is asked about must live in its space and be finite.
pub(crate) fn door(dim: usize, x: &Points) -> Result<()> {
    check_dim("points", dim, x.dim())?;
    x.check_finite("points")
}

/// A score that overflowed into NaN is not returned: the point is named.
pub(crate) fn representable(x: &Points, out: Points) -> Result<Points> {
    match out.rows().position(|row| row.iter().any(|v| v.is_nan())) {
        None => Ok(out),
        Some(index) => {
            let value = x.row(index).iter().fold(0.0f64, |a, v| if v.abs() > a.abs() { *v } else { a });
            Err(Error::Entry {
                what: "points",
                index,
                value,
                must: "near enough for a score that does not overflow",
            })
        }
    }
}

/// The same for points with a direction each.
pub(crate) fn door_pair(dim: usize, x: &Points, v: &Points) -> Result<()> {
    door(dim, x)?;
    check_dim("directions", dim, v.dim())?;
    check_len("directions", x.len(), v.len())?;
    v.check_finite("directions")
}

/// `count` weights, none negative, divided by their sum.
pub(crate) fn normalised_weights(mut weights: Vec<f64>, count: usize) -> Result<Vec<f64>> {
    if count == 0 {
        return Err(Error::TooFew { what: "components", at_least: 1, got: 0 });
    }
    check_len("weights", count, weights.len())?;
    if let Some(index) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(Error::Entry {
            what: "weights",
            index,
            value: weights[index],
            must: "finite and not negative",
        });
    }
    let sum: f64 = weights.iter().sum();
    if !(sum.is_finite() && sum > 0.0) {
        return Err(Error::WeightSum { what: "weights", sum });
    }
    weights.iter_mut().for_each(|w| *w /= sum);
    Ok(weights)
}
