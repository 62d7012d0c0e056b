//! Which rows of a sample are looked at.

use measures::rand::seq::SliceRandom;
use measures::{Points, Seed};

/// The first rows, `most` of them or all.
pub(super) fn head(points: &Points, most: usize) -> Points {
    points.select(&(0..points.len().min(most)).collect::<Vec<_>>())
}

/// 0, 1, …, n − 1 in random order.
pub(super) fn shuffled(n: usize, seed: Seed) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut seed.rng());
    order
}
