//! What divergences are scaled by.

use crate::error::Result;
use crate::methods::statistics::median_distance;
use measures::Points;
use std::sync::OnceLock;

/// A large sample of the target, n×d in the coordinates the network works in, by which an objective chooses its lengths.
///
/// An objective that draws its test functions anew at every step asks for the median distance at every step. The sample
/// stays the same, so the median is found once: among 1000 points it costs tens of milliseconds, a step itself a few.
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
    /// The sample.
    pub fn new(points: Points) -> Self {
        Reference { points, median: OnceLock::new() }
    }

    /// The points, n×d.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// [`median_distance`] of the points.
    ///
    /// # Errors
    /// There are fewer than two points, or half of all pairs coincide.
    pub fn median_distance(&self) -> Result<f64> {
        if let Some(known) = self.median.get() {
            return Ok(*known);
        }
        let median = median_distance(&self.points)?;
        Ok(*self.median.get_or_init(|| median))
    }
}
