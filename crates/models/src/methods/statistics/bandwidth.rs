//! Length scales that follow the data.

use crate::error::{Error, Result};
use measures::Points;

/// Points among which distances are measured: half a million pairs.
const POINTS: usize = 1000;

/// The median distance between two of (the first 1000 of) the points, the usual yardstick of bandwidths.
///
/// # Errors
/// There are fewer than two points, or half of all pairs coincide.
pub fn median_distance(x: &Points) -> Result<f64> {
    let n = x.len().min(POINTS);
    if n < 2 {
        return Err(
            measures::Error::TooFew { what: "points for a median distance", at_least: 2, got: n }.into()
        );
    }
    let mut squares = Vec::with_capacity(n * (n - 1) / 2);
    for i in 1..n {
        let a = x.row(i);
        squares.extend((0..i).map(|j| a.iter().zip(x.row(j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>()));
    }
    let middle = squares.len() / 2;
    let (_, median, _) = squares.select_nth_unstable_by(middle, f64::total_cmp);
    if *median > 0.0 && median.is_finite() {
        Ok(median.sqrt())
    } else {
        Err(Error::setting(
            "median distance of the data",
            median.sqrt(),
            "positive: half of all pairs coincide",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_exact_and_duplicates_refused() {
        // distances 1, 3, 2 between 0, 1, 3
        assert_eq!(median_distance(&Points::from_line(vec![0.0, 1.0, 3.0])).unwrap(), 2.0);
        assert!(median_distance(&Points::from_line(vec![1.0; 5])).is_err());
        assert!(median_distance(&Points::from_line(vec![1.0])).is_err());
    }
}
