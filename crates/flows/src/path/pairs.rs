//! Couplings of noise and data: which x₀ goes with which x₁.

use crate::error::Result;
use measures::{Coupling, Points, Seed, check_dim, check_len, parallel};
use rand::RngExt;

/// Pairs of points (x₀ᵢ, x₁ᵢ).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pairs {
    /// The first of each pair, n×d.
    pub x0: Points,
    /// The second of each pair, n×d.
    pub x1: Points,
}

impl Pairs {
    /// Row i with row i.
    ///
    /// # Errors
    /// The shapes differ.
    pub fn aligned(x0: Points, x1: Points) -> Result<Self> {
        check_dim("x1", x0.dim(), x1.dim())?;
        check_len("x1", x0.len(), x1.len())?;
        Ok(Pairs { x0, x1 })
    }

    /// n independent pairs of rows drawn with replacement: the coupling a ⊗ b.
    ///
    /// # Errors
    /// The dimensions differ, or one of the clouds is empty.
    pub fn independent(x0: &Points, x1: &Points, n: usize, seed: Seed) -> Result<Self> {
        check_dim("x1", x0.dim(), x1.dim())?;
        for (what, points) in [("x0", x0), ("x1", x1)] {
            if points.is_empty() {
                return Err(measures::Error::TooFew { what, at_least: 1, got: 0 }.into());
            }
        }
        let mut rng = seed.rng();
        let (i, j): (Vec<_>, Vec<_>) =
            (0..n).map(|_| (rng.random_range(0..x0.len()), rng.random_range(0..x1.len()))).unzip();
        Ok(Pairs { x0: x0.select(&i), x1: x1.select(&j) })
    }

    /// n independent pairs drawn from a plan.
    ///
    /// # Errors
    /// The dimensions differ, or the plan is for clouds of other sizes.
    pub fn from_plan(x0: &Points, x1: &Points, plan: &Coupling, n: usize, seed: Seed) -> Result<Self> {
        check_dim("x1", x0.dim(), x1.dim())?;
        check_len("x0", plan.shape().0, x0.len())?;
        check_len("x1", plan.shape().1, x1.len())?;
        let (i, j): (Vec<_>, Vec<_>) = plan.sample_pairs(n, &mut seed.rng()).into_iter().unzip();
        Ok(Pairs { x0: x0.select(&i), x1: x1.select(&j) })
    }

    /// Batches of consecutive rows, each paired by the plan that `couple` finds between its two halves, as in minibatch
    /// optimal transport; as many pairs as rows. Batch b draws from child b of the seed. Tong et al., *Improving and
    /// generalizing flow-based generative models with minibatch optimal transport*, arXiv:2302.00482.
    ///
    /// # Errors
    /// The shapes differ, a batch of no row is asked for, `couple` fails, or its plan has another shape.
    pub fn minibatch(
        x0: &Points,
        x1: &Points,
        batch: usize,
        couple: impl Fn(&Points, &Points) -> measures::Result<Coupling> + Sync + Send,
        seed: Seed,
    ) -> Result<Self> {
        check_dim("x1", x0.dim(), x1.dim())?;
        check_len("x1", x0.len(), x1.len())?;
        if batch == 0 {
            return Err(measures::Error::TooFew { what: "batch", at_least: 1, got: 0 }.into());
        }
        let parts = parallel::map_blocks(x0.len(), batch, |range| {
            let rows: Vec<usize> = range.clone().collect();
            let (a, b) = (x0.select(&rows), x1.select(&rows));
            Self::from_plan(&a, &b, &couple(&a, &b)?, rows.len(), seed.child((range.start / batch) as u64))
        });
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for part in parts {
            let part = part?;
            first.extend(part.x0.into_vec());
            second.extend(part.x1.into_vec());
        }
        Ok(Pairs { x0: Points::from_raw(x0.dim(), first), x1: Points::from_raw(x1.dim(), second) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize, shift: f64) -> Points {
        Points::from_fn(n, 1, |i, x| x[0] = i as f64 + shift)
    }

    #[test]
    fn pairs_follow_their_coupling() {
        let (x0, x1) = (line(6, 0.0), line(6, 0.5));
        let reverse = Coupling::permutation(&[5, 4, 3, 2, 1, 0]).unwrap();
        let pairs = Pairs::from_plan(&x0, &x1, &reverse, 200, Seed::new(1)).unwrap();
        assert!(pairs.x0.as_slice().iter().zip(pairs.x1.as_slice()).all(|(a, b)| a + b == 5.5));
        let near = |a: &Points, _: &Points| Coupling::permutation(&(0..a.len()).rev().collect::<Vec<_>>());
        let pairs = Pairs::minibatch(&x0, &x1, 4, near, Seed::new(1)).unwrap();
        assert_eq!(pairs.x0.len(), 6);
        for i in 0..6 {
            let sum = pairs.x0.row(i)[0] + pairs.x1.row(i)[0];
            assert_eq!(sum, if i < 4 { 3.5 } else { 9.5 });
        }
        let free = Pairs::independent(&x0, &x1, 4_000, Seed::new(2)).unwrap();
        let same =
            free.x0.as_slice().iter().zip(free.x1.as_slice()).filter(|(a, b)| **b == **a + 0.5).count();
        assert!((same as f64 - 4_000.0 / 6.0).abs() < 5.0 * (4_000.0f64 * 5.0 / 36.0).sqrt());
    }

    #[test]
    fn clouds_of_other_shapes_are_refused() {
        let plan = Coupling::permutation(&[0, 1]).unwrap();
        assert!(Pairs::from_plan(&line(3, 0.0), &line(2, 0.0), &plan, 1, Seed::new(0)).is_err());
        assert!(Pairs::aligned(line(3, 0.0), line(2, 0.0)).is_err());
        assert!(Pairs::independent(&Points::zeros(0, 1), &line(1, 0.0), 1, Seed::new(0)).is_err());
        let never = |_: &Points, _: &Points| Coupling::permutation(&[0]);
        assert!(Pairs::minibatch(&line(2, 0.0), &line(2, 0.0), 0, never, Seed::new(0)).is_err());
        assert!(Pairs::minibatch(&line(2, 0.0), &line(2, 0.0), 2, never, Seed::new(0)).is_err());
    }
}
