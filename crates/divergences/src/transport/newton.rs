//! Newton's direction for entropic transport, by conjugate gradients: for the slow modes that nearly separate parts of a
//! problem give Sinkhorn's iteration.
//!
//! With the rows eliminated the dual is a concave function of the column potentials v (in units of ε) of gradient b − b∘t
//! and Hessian −(diag(b∘t) − Pᵀ diag(a) P), where P_ij is the law of j given i. A product with it is one pass over the
//! kernel, as much as a sweep. Source: Brauer, Clason, Lorenz and Wirth, *A Sinkhorn–Newton method for entropic optimal
//! transport* (2017), arXiv:1710.06635.

use super::gibbs::Gibbs;
use super::plan::dot;

/// Products that one direction may cost.
const PRODUCTS: usize = 200;

/// The direction in which to move v (padded, in units of ε), and the passes over the kernel that it cost. `u` must make the
/// rows exact and `columns` be the sums t that it leaves.
pub(crate) fn direction(
    gibbs: &Gibbs<'_>,
    u: &[f64],
    v: &[f64],
    a: &[f64],
    b: &[f64],
    columns: &[f64],
) -> (Vec<f64>, usize) {
    let width = v.len();
    let diagonal: Vec<f64> = b.iter().zip(columns).map(|(b, t)| b * t).collect();
    let mut residual: Vec<f64> = b.iter().zip(&diagonal).map(|(b, d)| b - d).collect();
    let precondition = |r: &[f64]| -> Vec<f64> {
        r.iter().zip(&diagonal).map(|(r, d)| if *d > 0.0 { r / d } else { 0.0 }).collect()
    };
    let mut solution = vec![0.0; width];
    let mut scaled = precondition(&residual);
    let mut search = scaled.clone();
    let mut energy = dot(&residual, &scaled);
    // Superlinear convergence needs the accuracy to follow the residual.
    let goal = energy * f64::min(1e-4, energy.max(1e-16));
    let mut products = 0;
    while products < PRODUCTS && energy > goal && energy > 0.0 {
        let weighted: Vec<f64> = search.iter().zip(b).map(|(q, b)| q * b).collect();
        let spread = gibbs.product(u, v, a, &weighted);
        products += 1;
        let image: Vec<f64> = (0..width).map(|j| diagonal[j] * search[j] - b[j] * spread[j]).collect();
        let curvature = dot(&search, &image);
        // The constant direction, or round-off.
        if curvature <= 1e-15 * search.iter().zip(&diagonal).map(|(q, d)| d * q * q).sum::<f64>() {
            break;
        }
        let step = energy / curvature;
        for j in 0..width {
            solution[j] += step * search[j];
            residual[j] -= step * image[j];
        }
        scaled = precondition(&residual);
        let next = dot(&residual, &scaled);
        let ratio = next / energy;
        energy = next;
        search.iter_mut().zip(&scaled).for_each(|(q, s)| *q = s + ratio * *q);
    }
    (solution, products)
}
