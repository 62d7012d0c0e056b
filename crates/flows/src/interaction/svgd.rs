//! Stein variational gradient descent.

use crate::error::Result;
use measures::{Drift, Empirical, Points, Score, check_dim, check_positive};

/// The bandwidth h of the kernel e^{−‖x−y‖²/(2h²)}.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bandwidth {
    /// Always this one.
    Fixed(f64),
    /// h² = median ‖xᵢ − x_j‖² / (2 log(n + 1)) over the pairs of the present particles (of 1 000 of them, evenly spaced,
    /// when there are more).
    Median,
}

/// v(xᵢ) = Σ_j w_j (k(x_j, xᵢ) ∇log p(x_j) + ∇_{x_j} k(x_j, xᵢ)): particles climb log p together and repel one another.
///
/// Cost O(n²) in fused blocks. Q. Liu and D. Wang, *Stein variational gradient descent*, arXiv:1608.04471.
#[derive(Debug, Clone, Copy)]
pub struct Svgd<P> {
    target: P,
    bandwidth: Bandwidth,
}

/// Particles of which pairs are looked at for the median.
const MEDIAN_OF: usize = 1_000;

impl<P: Score> Svgd<P> {
    /// The drift towards `target`, which needs its score alone.
    ///
    /// # Errors
    /// A fixed bandwidth is not finite and positive.
    pub fn new(target: P, bandwidth: Bandwidth) -> Result<Self> {
        if let Bandwidth::Fixed(h) = bandwidth {
            check_positive("bandwidth", h)?;
        }
        Ok(Svgd { target, bandwidth })
    }

    /// h for these particles.
    fn bandwidth(&self, x: &Points) -> f64 {
        let Bandwidth::Median = self.bandwidth else {
            let Bandwidth::Fixed(h) = self.bandwidth else { return f64::NAN };
            return h;
        };
        let n = x.len();
        let some: Vec<usize> = (0..n.min(MEDIAN_OF)).map(|k| k * n / n.min(MEDIAN_OF)).collect();
        let mut squares = Vec::with_capacity(some.len() * some.len() / 2);
        for (a, &i) in some.iter().enumerate() {
            for &j in &some[..a] {
                squares.push(x.row(i).iter().zip(x.row(j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>());
            }
        }
        let middle = squares.len() / 2;
        if squares.is_empty() {
            return 1.0;
        }
        let median = *squares.select_nth_unstable_by(middle, f64::total_cmp).1;
        // Particles all in one place: any bandwidth does.
        if median > 0.0 { (median / (2.0 * (n as f64 + 1.0).ln())).sqrt() } else { 1.0 }
    }
}

impl<P: Score> Drift for Svgd<P> {
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        let (x, weights) = (mu.points(), mu.weights());
        check_dim("particles", self.target.dim(), x.dim())?;
        let score = self.target.score(x)?;
        let (d, precision) = (x.dim(), self.bandwidth(x).powi(-2));
        let mut out = Points::zeros(x.len(), d);
        let (columns, scores) = (super::columns(x), super::columns(&score));
        measures::parallel::fill_blocks(out.as_mut_slice(), d, super::BLOCK, |rows, chunk| {
            let mut kernel = vec![0.0; weights.len()];
            for (i, out) in rows.zip(chunk.chunks_exact_mut(d)) {
                kernel.fill(0.0);
                for column in &columns {
                    let here = column[i];
                    kernel.iter_mut().zip(column).for_each(|(k, y)| *k += (here - y) * (here - y));
                }
                kernel.iter_mut().zip(weights).for_each(|(k, w)| *k = w * (-0.5 * precision * *k).exp());
                for (c, out) in out.iter_mut().enumerate() {
                    let here = columns[c][i];
                    let terms = kernel.iter().zip(&columns[c]).zip(&scores[c]);
                    // ∇_y e^{−‖x−y‖²/2h²} = (x − y)/h² · k.
                    *out = terms.map(|((k, y), s)| k * (s + precision * (here - y))).sum();
                }
            }
        });
        Ok(out)
    }
}
