//! The singular value decomposition of a square matrix by one-sided Jacobi rotations.
//!
//! Pairs of columns are rotated until all are orthogonal (Hestenes 1958, doi:10.1137/0106005): slower than
//! bidiagonalisation and accurate on every matrix, those of low rank and with zero rows too, where nalgebra's (0.35)
//! may return factors whose product is another matrix.

use measures::nalgebra::{DMatrix, DVector};

/// A = U diag(values) Vᵀ with U and V orthogonal, d×d, and values ≥ 0 in no order.
pub(crate) struct Svd {
    pub(crate) u: DMatrix<f64>,
    pub(crate) values: DVector<f64>,
    pub(crate) v: DMatrix<f64>,
}

/// Sweeps over all pairs; ten suffice for any matrix met so far.
const SWEEPS: usize = 60;

impl Svd {
    /// The decomposition of a square matrix of finite entries.
    pub(crate) fn new(matrix: DMatrix<f64>) -> Self {
        let d = matrix.ncols();
        // Entries near one, so that squares neither overflow nor vanish.
        let scale = matrix.amax();
        let mut a = if scale > 0.0 { matrix / scale } else { matrix };
        let mut v = DMatrix::identity(d, d);
        // Columns below this are round-off of the others: zero.
        let negligible = (f64::EPSILON * a.norm()).powi(2);
        for _ in 0..SWEEPS {
            let mut rotated = false;
            for p in 0..d {
                for q in p + 1..d {
                    let (alpha, beta) = (a.column(p).norm_squared(), a.column(q).norm_squared());
                    let gamma = a.column(p).dot(&a.column(q));
                    if alpha.min(beta) <= negligible || gamma.abs() <= f64::EPSILON * (alpha * beta).sqrt() {
                        continue;
                    }
                    rotated = true;
                    let zeta = (beta - alpha) / (2.0 * gamma);
                    let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                    let cosine = 1.0 / t.hypot(1.0);
                    rotate(&mut a, p, q, cosine, cosine * t);
                    rotate(&mut v, p, q, cosine, cosine * t);
                }
            }
            if !rotated {
                break;
            }
        }
        let mut values = DVector::from_fn(d, |k, _| a.column(k).norm());
        let cut = f64::EPSILON * values.max() * d as f64;
        let (strong, weak): (Vec<usize>, Vec<usize>) = (0..d).partition(|&k| values[k] > cut);
        let mut u = DMatrix::zeros(d, d);
        for &k in &strong {
            u.set_column(k, &(a.column(k) / values[k]));
        }
        // Complete to a basis: for each missing column the unit vector that the others see least.
        let mut done = strong;
        for k in weak {
            let seen = |i: usize| done.iter().map(|&j| u[(i, j)] * u[(i, j)]).sum::<f64>();
            let least = (0..d).fold(0, |best, i| if seen(i) < seen(best) { i } else { best });
            let mut unit = DVector::zeros(d);
            unit[least] = 1.0;
            for _ in 0..2 {
                for &j in &done {
                    let along = u.column(j).dot(&unit);
                    unit.axpy(-along, &u.column(j), 1.0);
                }
            }
            u.set_column(k, &unit.normalize());
            done.push(k);
        }
        values *= if scale > 0.0 { scale } else { 1.0 };
        Svd { u, values, v }
    }
}

/// (column p, column q) ← (c·p − s·q, s·p + c·q).
fn rotate(matrix: &mut DMatrix<f64>, p: usize, q: usize, c: f64, s: f64) {
    let rows = matrix.nrows();
    let (left, right) = matrix.as_mut_slice().split_at_mut(q * rows);
    for (x, y) in left[p * rows..(p + 1) * rows].iter_mut().zip(&mut right[..rows]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;
    use measures::rand::RngExt;

    #[test]
    fn factors_of_matrices_of_every_rank() {
        let mut rng = Seed::new(0).rng();
        for d in [1, 2, 3, 5, 20] {
            for rank in 0..=d {
                for zero_rows in [false, true] {
                    let mut entry = |_: usize, _: usize| rng.random_range(-1.0..1.0);
                    let mut m = DMatrix::from_fn(d, rank, &mut entry) * DMatrix::from_fn(rank, d, &mut entry);
                    if zero_rows {
                        m.row_mut(d / 2).fill(0.0);
                        m.column_mut(d / 3).fill(0.0);
                    }
                    let Svd { u, values, v } = Svd::new(m.clone());
                    let one = DMatrix::identity(d, d);
                    assert!((&u * u.transpose() - &one).amax() < 1e-13, "{d} {rank}");
                    assert!((&v * v.transpose() - &one).amax() < 1e-13, "{d} {rank}");
                    let again = &u * DMatrix::from_diagonal(&values) * v.transpose();
                    assert!((again - &m).amax() < 1e-13 * d as f64, "{d} {rank}");
                }
            }
        }
    }

    #[test]
    fn scales_and_small_singular_values() {
        let m = DMatrix::from_row_slice(2, 2, &[1e-200, 2e-200, 3e-200, 4e-200]);
        let values = Svd::new(m).values;
        assert!((values[0] * values[1] / 2e-400_f64.max(f64::MIN_POSITIVE)).is_finite());
        assert!(((values.max() / 1e-200) - 5.464_985_704_219_043).abs() < 1e-13);
        // Columns of very different length keep their relative accuracy.
        let m = DMatrix::from_row_slice(2, 2, &[1.0, 1e-9, 0.0, 1e-12]);
        let values = Svd::new(m).values;
        assert!((values.min() / 1e-12 - 1.0).abs() < 1e-9, "{values}");
    }
}
