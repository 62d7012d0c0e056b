//! Shared inputs of the benches.

use measures::{Empirical, Points, Sample, Seed, zoo};

/// X ~ N(0, I) and Y = 1.2·N(0, I) + 0.3, n points each in dimension d: the inputs of every comparison of speed.
///
/// # Panics
/// When n or d is zero.
pub fn pair(n: usize, d: usize) -> (Empirical, Empirical) {
    let normal = |seed: u64| zoo::Gaussian::standard(d).sample(n, &mut Seed::new(seed).rng());
    let mut y = normal(1);
    y.as_mut_slice().iter_mut().for_each(|y| *y = 1.2 * *y + 0.3);
    let uniform = |x: Points| Empirical::uniform(x).expect("points");
    (uniform(normal(0)), uniform(y))
}
