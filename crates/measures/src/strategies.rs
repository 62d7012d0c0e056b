//! Strategies of proptest for points and measures, with the cases that break things: weights of zero, duplicated points, one point,
//! clusters far apart.
//!
//! ```
//! use measures::{Measure, strategies};
//! use proptest::prelude::*;
//! proptest!(|(mu in strategies::empirical(1..=5, 2))| {
//!     prop_assert_eq!(mu.dim(), 2);
//!     prop_assert!((mu.weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
//! });
//! ```

use crate::empirical::Empirical;
use crate::points::Points;
use proptest::collection::vec;
use proptest::prelude::*;
use std::ops::RangeInclusive;

/// A coordinate: mostly of order one, sometimes a round number, so that coordinates of different points coincide.
pub fn coordinate() -> impl Strategy<Value = f64> {
    prop_oneof![6 => -2.0..2.0f64, 2 => (-2i32..=2).prop_map(f64::from), 1 => -50.0..50.0f64]
}

/// n points of ℝ^`dim`, n from `sizes`: independent ones, and sometimes with some rows repeated exactly.
///
/// # Panics
/// When `dim` is zero or `sizes` is empty.
pub fn points(sizes: RangeInclusive<usize>, dim: usize) -> impl Strategy<Value = Points> {
    assert!(dim > 0 && !sizes.is_empty(), "points in ℝ^{dim}, {sizes:?} of them");
    sizes
        .prop_flat_map(move |n| {
            let coords = vec(coordinate(), n * dim);
            // Row i is a copy of row `copies[i]` where that comes before it; three times out of four none is.
            let copies = prop_oneof![3 => Just(Vec::new()), 1 => vec(0..n.max(1), n)];
            (coords, copies)
        })
        .prop_map(move |(mut coords, copies)| {
            for (i, from) in copies.into_iter().enumerate().filter(|(i, from)| from < i) {
                coords.copy_within(from * dim..(from + 1) * dim, i * dim);
            }
            Points::from_raw(dim, coords)
        })
}

/// `n` weights of sum one: equal, uneven, with zeros among them, or nearly all on one.
///
/// # Panics
/// When `n` is zero.
pub fn weights(n: usize) -> impl Strategy<Value = Vec<f64>> {
    assert!(n > 0, "a probability vector has an entry");
    let uneven = vec(0.05..1.0f64, n);
    let sparse = (vec(prop_oneof![Just(0.0), 0.05..1.0f64], n), 0..n).prop_map(|(mut w, kept)| {
        // One entry at least has weight.
        w[kept] = w[kept].max(0.5);
        w
    });
    let spiked = (vec(1e-12..1e-6f64, n), 0..n).prop_map(|(mut w, top)| {
        w[top] = 1.0;
        w
    });
    prop_oneof![Just(vec![1.0; n]), uneven, sparse, spiked].prop_map(|mut w| {
        let sum: f64 = w.iter().sum();
        w.iter_mut().for_each(|w| *w /= sum);
        w
    })
}

/// A discrete measure on n atoms of ℝ^`dim`, n from `sizes`, with any [`weights`] on any [`points`].
///
/// # Panics
/// When `dim` is zero, or `sizes` is empty or starts at zero.
pub fn empirical(sizes: RangeInclusive<usize>, dim: usize) -> impl Strategy<Value = Empirical> {
    assert!(*sizes.start() > 0, "a probability measure has an atom");
    points(sizes, dim).prop_flat_map(|x| {
        let n = x.len();
        prop_oneof![
            1 => Just(x.clone()).prop_map(|x| Empirical::uniform(x).expect("finite points")),
            3 => (Just(x), weights(n)).prop_map(|(x, w)| Empirical::normalised(x, w).expect("a valid measure")),
        ]
    })
}

/// Two measures in one space, of different sizes and weights.
///
/// # Panics
/// As [`empirical`].
pub fn pair(sizes: RangeInclusive<usize>, dim: usize) -> impl Strategy<Value = (Empirical, Empirical)> {
    (empirical(sizes.clone(), dim), empirical(sizes, dim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    #[test]
    fn the_awkward_cases_come_up() {
        let mut runner = TestRunner::deterministic();
        let strategy = empirical(1..=6, 2);
        let (mut zeros, mut twins, mut single, mut uniform, mut spikes) = (0, 0, 0, 0, 0);
        for _ in 0..400 {
            let mu = strategy.new_tree(&mut runner).unwrap().current();
            zeros += usize::from(mu.weights().contains(&0.0));
            single += usize::from(mu.len() == 1);
            uniform += usize::from(mu.is_uniform() && mu.len() > 1);
            spikes += usize::from(mu.len() > 1 && mu.weights().iter().any(|w| *w > 0.999));
            let rows: Vec<&[f64]> = mu.points().rows().collect();
            twins += usize::from((0..rows.len()).any(|i| rows[..i].contains(&rows[i])));
        }
        for (what, count) in
            [("zeros", zeros), ("twins", twins), ("single", single), ("uniform", uniform), ("spikes", spikes)]
        {
            assert!(count > 10, "{what}: {count} of 400");
        }
    }
}
