//! Any radial force between pairs.

use super::radial_sums;
use measures::{Drift, Empirical, Points};

/// v(xᵢ) = Σ_{j≠i} w_j φ(‖xᵢ − x_j‖²)(xᵢ − x_j): φ > 0 repels, φ < 0 attracts. Cost O(n²), without a buffer of pairs.
///
/// It is the drift of ½ΣΣ wᵢ w_j W(xᵢ − x_j) with ∇W(z) = −φ(‖z‖²) z.
#[derive(Debug, Clone, Copy)]
pub struct Pairwise<F>(pub F);

impl<F: Fn(f64) -> f64 + Sync + Send> Drift for Pairwise<F> {
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        Ok(radial_sums(mu, &self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forces_are_summed_with_their_weights() {
        let x = Points::from_rows(&[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]);
        let mu = Empirical::weighted(x, vec![0.5, 0.25, 0.25]).unwrap();
        let v = Pairwise(|r2: f64| 1.0 / r2).drift(&mu).unwrap();
        assert_eq!(v.row(0), [-0.25, -0.125]);
        // Momentum is conserved: Σ wᵢ vᵢ = 0.
        let sum: f64 = v.rows().zip(mu.weights()).map(|(v, w)| w * v[0]).sum();
        assert!(sum.abs() < 1e-16);
        // Two particles in one place have no direction to go.
        let double = Empirical::uniform(Points::from_rows(&[[1.0, 1.0], [1.0, 1.0]])).unwrap();
        assert_eq!(Pairwise(|_| 1.0).drift(&double).unwrap().as_slice(), [0.0; 4]);
    }
}
