//! Newton's direction for entropic transport, by conjugate gradients: for the slow modes that nearly separate parts of a
//! problem give Sinkhorn's iteration; directly where there are few columns.
//!
//! With the rows eliminated the dual is a concave function of the column potentials v (in units of ε) of gradient b − b∘t
//! and Hessian −(diag(b∘t) − Pᵀ diag(a) P), where P_ij is the law of j given i. A product with it is one pass over the
//! kernel, as much as a sweep. Source: Brauer, Clason, Lorenz and Wirth, *A Sinkhorn–Newton method for entropic optimal
//! transport* (2017), arXiv:1710.06635.

use super::cholesky;
use super::gibbs::Gibbs;
use super::plan::dot;

/// Up to this many columns the system is solved directly.
const DENSE: usize = 96;

/// Atoms that weigh at most this much together have no say in the potentials of the others.
const LIGHT: f64 = 1e-8;

/// The longest step, in units of ε.
const REACH: f64 = 30.0;

/// Whether problems of this many columns are solved directly: one direction costs less than ten passes.
pub(crate) fn is_direct(columns: usize) -> bool {
    columns <= DENSE
}

/// The lightest atoms, of at most [`LIGHT`] together. What the marginal error sees of them is nothing, so an acceleration
/// that minimises it may do anything to their potentials: each takes its soft c-transform instead.
pub(crate) fn light(weights: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..weights.len()).filter(|&j| weights[j] <= LIGHT).collect();
    order.sort_by(|&i, &j| weights[i].total_cmp(&weights[j]).then(i.cmp(&j)));
    let mut total = 0.0;
    let count = order.iter().take_while(|&&j| {
        total += weights[j];
        total <= LIGHT
    });
    let count = count.count();
    order.truncate(count);
    order
}

/// Solves (D + M) δ = r for a symmetric M by rows, scaled to a unit diagonal D so that light atoms are as exact as heavy
/// ones; none where r and D vanish.
pub(crate) fn scaled_solve(diagonal: &[f64], matrix: &mut [f64], residual: &[f64]) -> Option<Vec<f64>> {
    let n = diagonal.len();
    let inverse: Vec<f64> = diagonal.iter().map(|d| if *d > 0.0 { d.sqrt().recip() } else { 0.0 }).collect();
    for (i, row) in matrix.chunks_exact_mut(n).enumerate() {
        row.iter_mut().zip(&inverse).for_each(|(m, s)| *m *= inverse[i] * s);
        row[i] += 1.0 + 1e-13;
    }
    let mut solution: Vec<f64> = residual.iter().zip(&inverse).map(|(r, s)| r * s).collect();
    let solved = cholesky::solve(matrix, &mut solution);
    solution.iter_mut().zip(&inverse).for_each(|(x, s)| *x *= s);
    // Far from the solution only the direction is to be trusted.
    let longest = solution.iter().fold(0.0, |longest: f64, x| longest.max(x.abs()));
    if longest > REACH {
        solution.iter_mut().for_each(|x| *x *= REACH / longest);
    }
    (solved && solution.iter().all(|x| x.is_finite())).then_some(solution)
}

/// As [`direction`] for few columns, the Hessian written out: the direction, which is zero where none can be found.
fn dense(
    gibbs: &Gibbs<'_>,
    u: &[f64],
    v: &[f64],
    a: &[f64],
    b: &[f64],
    columns: &[f64],
    m: usize,
) -> Vec<f64> {
    let mut laws = vec![0.0; u.len() * m];
    gibbs.conditionals(u, v, b, &mut laws, m, |_, law, out| out.copy_from_slice(law));
    let diagonal: Vec<f64> = (0..m).map(|j| b[j] * columns[j]).collect();
    let total: f64 = diagonal.iter().sum();
    // Constants are in the kernel of the Hessian; the rank-one term fixes them at no change of the rest.
    let mut matrix: Vec<f64> = (0..m * m).map(|k| diagonal[k / m] / total * diagonal[k % m]).collect();
    for (law, a) in laws.chunks_exact(m).zip(a) {
        for (row, p) in matrix.chunks_exact_mut(m).zip(law) {
            let scale = a * p;
            row.iter_mut().zip(law).for_each(|(h, q)| *h -= scale * q);
        }
    }
    let residual: Vec<f64> = (0..m).map(|j| b[j] - diagonal[j]).collect();
    let mut step = scaled_solve(&diagonal, &mut matrix, &residual).unwrap_or_else(|| vec![0.0; m]);
    step.resize(v.len(), 0.0);
    step
}

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
    let m = gibbs.columns();
    if is_direct(m) {
        return (dense(gibbs, u, v, a, b, columns, m), 1);
    }
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
