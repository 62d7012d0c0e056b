//! Particles that interact (footnote 7): repulsion, Stein variational gradient descent, any force between pairs.
//!
//! Each is a [`Drift`] of the measure of the particles: integrate it with
//! [`AlongDrift`](crate::field::AlongDrift), descend along it with [`HeavyBall`](crate::descent::HeavyBall).

mod pairwise;
mod riesz;
mod svgd;
mod tree;

pub use pairwise::Pairwise;
pub use riesz::Riesz;
pub use svgd::{Bandwidth, Svgd};
pub use tree::RieszTree;

use measures::{Drift, Empirical, Points};

/// Particles whose velocities are computed by one thread at a time.
const BLOCK: usize = 64;

/// The sum of two drifts, such as a repulsion and a pull to the origin.
#[derive(Debug, Clone, Copy)]
pub struct Sum<A, B>(pub A, pub B);

impl<A: Drift, B: Drift> Drift for Sum<A, B> {
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        let mut sum = self.0.drift(mu)?;
        let other = self.1.drift(mu)?;
        measures::check_dim("second drift", sum.dim(), other.dim())?;
        sum.as_mut_slice().iter_mut().zip(other.as_slice()).for_each(|(a, b)| *a += b);
        Ok(sum)
    }
}

/// A drift that looks at each particle alone: `f(x, v)` writes the velocity at x.
#[derive(Debug, Clone, Copy)]
pub struct External<F>(pub F);

impl<F: Fn(&[f64], &mut [f64])> Drift for External<F> {
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        let mut out = Points::zeros(mu.len(), mu.points().dim());
        mu.points().rows().zip(out.rows_mut()).for_each(|(x, v)| (self.0)(x, v));
        Ok(out)
    }
}

/// The coordinates of the particles, one list a coordinate, so that inner loops run over particles.
fn columns(x: &Points) -> Vec<Vec<f64>> {
    (0..x.dim()).map(|c| x.column(c)).collect()
}

/// Writes Σ_j w_j φ(‖xᵢ − x_j‖²)(xᵢ − x_j) for every particle i into row i: fused, n² evaluations, no buffer of pairs. The
/// term j = i is left out.
fn radial_sums(mu: &Empirical, phi: impl Fn(f64) -> f64 + Sync + Send) -> Points {
    let (x, d) = (mu.points(), mu.points().dim());
    let (columns, weights) = (columns(x), mu.weights());
    let mut out = Points::zeros(x.len(), d);
    measures::parallel::fill_blocks(out.as_mut_slice(), d, BLOCK, |rows, chunk| {
        let mut force = vec![0.0; weights.len()];
        for (i, out) in rows.zip(chunk.chunks_exact_mut(d)) {
            force.fill(0.0);
            for column in &columns {
                let here = column[i];
                force.iter_mut().zip(column).for_each(|(r2, y)| *r2 += (here - y) * (here - y));
            }
            force[i] = 0.0;
            for (j, (f, w)) in force.iter_mut().zip(weights).enumerate() {
                *f = if j == i { 0.0 } else { w * phi(*f) };
            }
            for (out, column) in out.iter_mut().zip(&columns) {
                let here = column[i];
                *out = force.iter().zip(column).map(|(f, y)| f * (here - y)).sum();
            }
        }
    });
    out
}
