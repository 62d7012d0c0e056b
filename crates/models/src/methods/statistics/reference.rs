//! What objectives know of the target before training: its scale.

use crate::error::Result;
use crate::method::Setup;
use crate::scaler::Scaler;
use crate::source::{Source, overview};
use divergences::kernel::{self, Pairs};
use measures::Points;
use std::sync::OnceLock;

/// Points of the target that a [`Reference`] is made of.
const SIZE: usize = 2000;

/// A sample of the target in the coordinates the network works in, by which bandwidths and temperatures are chosen. The
/// median distance is measured when it is first asked for, and once: objectives that change from step to step ask often.
///
/// ```
/// use measures::Points;
/// use models::methods::statistics::Reference;
/// let reference = Reference::new(Points::from_line(vec![0.0, 1.0, 5.0]));
/// assert_eq!(reference.median_distance()?, 4.0); // of 1, 4, 5
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug)]
pub struct Reference {
    points: Points,
    median: OnceLock<f64>,
}

impl Reference {
    /// These points.
    pub fn new(points: Points) -> Self {
        Reference { points, median: OnceLock::new() }
    }

    /// 2000 points of a target, standardised.
    pub(crate) fn of(target: &dyn Source, scaler: &Scaler, setup: &Setup) -> Result<Self> {
        Ok(Reference::new(scaler.standardise(overview(target, SIZE, setup.seed.named("reference"))?)))
    }

    /// The points.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The dimension of the target.
    pub fn dim(&self) -> usize {
        self.points.dim()
    }

    /// [`median_distance`] of the points.
    ///
    /// # Errors
    /// As [`median_distance`].
    pub fn median_distance(&self) -> Result<f64> {
        if let Some(&known) = self.median.get() {
            return Ok(known);
        }
        let median = median_distance(&self.points)?;
        Ok(*self.median.get_or_init(|| median))
    }
}

/// The median distance within (1000 of) the points, the yardstick of bandwidths.
///
/// # Errors
/// There are fewer than two points, or half of all pairs coincide.
pub fn median_distance(x: &Points) -> Result<f64> {
    Ok(kernel::median_distance(x, &Points::zeros(0, x.dim()), Pairs::Among(1000))?)
}
