//! Solving small symmetric positive definite systems, with the same bits everywhere.

/// Solves A x = b for the A whose lower triangle `a` holds by rows (n×n), in place of b in `x`. False when A is not
/// positive definite to working precision; then `x` is of no use.
pub(crate) fn solve(a: &mut [f64], x: &mut [f64]) -> bool {
    let n = x.len();
    debug_assert_eq!(a.len(), n * n);
    for j in 0..n {
        let (above, below) = a.split_at_mut((j + 1) * n);
        let row = &mut above[j * n..];
        let square = row[j] - row[..j].iter().map(|l| l * l).sum::<f64>();
        if square <= 0.0 || !square.is_finite() {
            return false;
        }
        row[j] = square.sqrt();
        for other in below.chunks_exact_mut(n) {
            let known: f64 = other[..j].iter().zip(&row[..j]).map(|(a, b)| a * b).sum();
            other[j] = (other[j] - known) / row[j];
        }
    }
    for i in 0..n {
        let known: f64 = a[i * n..i * n + i].iter().zip(&*x).map(|(l, x)| l * x).sum();
        x[i] = (x[i] - known) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k * n + i] * x[k]).sum();
        x[i] = (x[i] - known) / a[i * n + i];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hilbert_matrix() {
        for n in 0..7 {
            let entry = |i: usize, j: usize| 1.0 / (1 + i + j) as f64;
            let mut a: Vec<f64> = (0..n * n).map(|k| entry(k / n, k % n)).collect();
            let want: Vec<f64> = (0..n).map(|i| (i as f64 - 1.5) * 0.7).collect();
            let mut x: Vec<f64> = (0..n).map(|i| (0..n).map(|j| entry(i, j) * want[j]).sum()).collect();
            assert!(solve(&mut a, &mut x));
            assert!(x.iter().zip(&want).all(|(x, w)| (x - w).abs() < 1e-8), "{x:?}");
        }
        assert!(!solve(&mut [1.0, 0.0, 2.0, 4.0], &mut [1.0, 1.0]));
        assert!(!solve(&mut [f64::NAN], &mut [1.0]));
    }
}
