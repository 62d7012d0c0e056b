//! Labels by nearest neighbours.

use measures::Points;
use rayon::prelude::*;

/// The row of `among` that is nearest to each row of `points`, and its squared distance.
pub(super) fn nearest(points: &Points, among: &Points) -> Vec<(usize, f64)> {
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let find = |i: usize| {
        let x = points.row(i);
        let distances = among.rows().map(|y| square(x, y)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
    };
    (0..points.len()).into_par_iter().map(find).collect()
}

/// The share of points whose nearest neighbour among `known` has their label.
pub(super) fn agreement(points: &Points, labels: &[usize], known: &Points, known_labels: &[usize]) -> f64 {
    let found = nearest(points, known);
    let right = found.iter().zip(labels).filter(|((row, _), label)| known_labels[*row] == **label).count();
    right as f64 / points.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_found_and_counted() {
        let known = Points::from_rows(&[[0.0, 0.0], [10.0, 0.0]]);
        let points = Points::from_rows(&[[1.0, 0.0], [9.0, 1.0], [4.0, 3.0]]);
        assert_eq!(nearest(&points, &known), [(0, 1.0), (1, 2.0), (0, 25.0)]);
        assert_eq!(agreement(&points, &[0, 1, 1], &known, &[0, 1]), 2.0 / 3.0);
    }
}
