//! What a solver moves: rows that are scaled, added, selected and measured. One solver serves every state.

use crate::error::{Error, Result};
use measures::Points;

/// The time of a batch of rows, or a number a row such as the step size.
///
/// Particles that do not interact may keep their own time; fields in which they interact take [`Clock::Shared`] only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clock<'a> {
    /// All rows have this time.
    Shared(f64),
    /// Row i has time `times[i]`.
    Each(&'a [f64]),
}

impl Clock<'_> {
    /// The time of row i.
    ///
    /// # Panics
    /// When each row has its own time and `i` is out of range.
    #[inline]
    pub fn at(&self, i: usize) -> f64 {
        match self {
            Clock::Shared(t) => *t,
            Clock::Each(times) => times[i],
        }
    }

    /// The one time of all rows: for fields in which particles interact.
    ///
    /// # Errors
    /// The rows have times of their own.
    pub fn shared(&self, what: &'static str) -> Result<f64> {
        match self {
            Clock::Shared(t) => Ok(*t),
            Clock::Each(_) => Err(Error::SharedClock { what }),
        }
    }

    /// `Ok` when there is a time for each of `rows` rows.
    ///
    /// # Errors
    /// Another number of times than rows.
    pub fn check(&self, rows: usize) -> Result<()> {
        match self {
            Clock::Each(times) => Ok(measures::check_len("times", rows, times.len())?),
            Clock::Shared(_) => Ok(()),
        }
    }
}

/// Rows that a solver can move: native [`Points`], points with a log-density, tensors.
///
/// Rows are independent as far as a state is concerned. Implementations for automatic differentiation rebind the output
/// (`*self = …`) and never write into storage that a graph may still need.
pub trait State: Clone {
    /// The number of rows n.
    fn rows(&self) -> usize;

    /// `self += a·x`, row by row.
    fn axpy(&mut self, a: Clock<'_>, x: &Self);

    /// The rows at the given indices, in that order.
    fn select(&self, rows: &[usize]) -> Self;

    /// Writes row i of `from` over row `rows[i]` of `self`.
    fn scatter(&mut self, rows: &[usize], from: &Self);

    /// With `self` an error estimate e: √(d⁻¹ Σ_c (e_c / (atol + rtol·max(|y0_c|, |y1_c|)))²) for every row, NaN when the
    /// row is not finite. A step is good when this is at most one.
    fn error_rows(&self, y0: &Self, y1: &Self, rtol: f64, atol: f64) -> Vec<f64>;

    /// Whether every coordinate of a row is finite, for every row.
    fn finite_rows(&self) -> Vec<bool>;

    /// Whether every row is finite.
    fn all_finite(&self) -> bool {
        self.finite_rows().iter().all(|finite| *finite)
    }

    /// `self = y + h·Σ_j a_j x_j`, or without y when it is none, row by row: one pass where a state can do it in one.
    ///
    /// # Panics
    /// When there is neither y nor a term.
    fn combine(&mut self, y: Option<&Self>, h: Clock<'_>, terms: &[(f64, &Self)]) {
        let mut out = y.unwrap_or_else(|| terms[0].1).clone();
        if y.is_none() {
            out.axpy(Clock::Shared(-1.0), terms[0].1);
        }
        let mut scaled = Vec::new();
        for &(a, x) in terms {
            match h {
                Clock::Shared(h) => out.axpy(Clock::Shared(a * h), x),
                Clock::Each(h) => {
                    scaled.clear();
                    scaled.extend(h.iter().map(|h| a * h));
                    out.axpy(Clock::Each(&scaled), x);
                }
            }
        }
        *self = out;
    }

    /// Writes row `rows[i]` of `from` over row `rows[i]` of `self`.
    fn take(&mut self, rows: &[usize], from: &Self) {
        self.scatter(rows, &from.select(rows));
    }
}

/// Coordinates handled at a time by [`Points::combine`](State::combine): they stay in the first-level cache.
const CHUNK: usize = 512;

impl State for Points {
    fn rows(&self) -> usize {
        self.len()
    }

    fn axpy(&mut self, a: Clock<'_>, x: &Self) {
        debug_assert_eq!((self.len(), self.dim()), (x.len(), x.dim()));
        match a {
            Clock::Shared(a) => {
                self.as_mut_slice().iter_mut().zip(x.as_slice()).for_each(|(y, x)| *y += a * x);
            }
            Clock::Each(a) => {
                for ((row, x), a) in self.rows_mut().zip(x.rows()).zip(a) {
                    row.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
                }
            }
        }
    }

    fn select(&self, rows: &[usize]) -> Self {
        Points::select(self, rows)
    }

    fn scatter(&mut self, rows: &[usize], from: &Self) {
        rows.iter().zip(from.rows()).for_each(|(&i, row)| self.row_mut(i).copy_from_slice(row));
    }

    fn error_rows(&self, y0: &Self, y1: &Self, rtol: f64, atol: f64) -> Vec<f64> {
        let d = self.dim() as f64;
        let rows = self.rows().zip(y0.rows()).zip(y1.rows());
        rows.map(|((e, y0), y1)| {
            let sum: f64 =
                e.iter().zip(y0).zip(y1).map(|((e, a), b)| scaled_square(*e, *a, *b, rtol, atol)).sum();
            (sum / d).sqrt()
        })
        .collect()
    }

    fn finite_rows(&self) -> Vec<bool> {
        self.rows().map(|row| row.iter().all(|v| v.is_finite())).collect()
    }

    fn all_finite(&self) -> bool {
        // 0·x is zero for a finite x and NaN else.
        self.as_slice().iter().map(|x| 0.0 * x).sum::<f64>() == 0.0
    }

    fn combine(&mut self, y: Option<&Self>, h: Clock<'_>, terms: &[(f64, &Self)]) {
        let like = y.unwrap_or_else(|| terms[0].1);
        let d = like.dim();
        if self.len() != like.len() || self.dim() != d {
            *self = like.clone();
        }
        let block = (CHUNK / d).max(1) * d;
        for (b, out) in self.as_mut_slice().chunks_mut(block).enumerate() {
            let range = b * block..b * block + out.len();
            out.fill(0.0);
            for (a, x) in terms {
                out.iter_mut().zip(&x.as_slice()[range.clone()]).for_each(|(out, x)| *out += a * x);
            }
            match h {
                Clock::Shared(h) => out.iter_mut().for_each(|out| *out *= h),
                Clock::Each(h) => {
                    let rows = out.chunks_exact_mut(d).zip(&h[range.start / d..]);
                    rows.for_each(|(row, h)| row.iter_mut().for_each(|out| *out *= h));
                }
            }
            if let Some(y) = y {
                out.iter_mut().zip(&y.as_slice()[range]).for_each(|(out, y)| *out += y);
            }
        }
    }

    fn take(&mut self, rows: &[usize], from: &Self) {
        rows.iter().for_each(|&i| self.row_mut(i).copy_from_slice(from.row(i)));
    }
}

/// (e / (atol + rtol·max(|a|, |b|)))², NaN when one of them is not finite.
#[inline]
pub(crate) fn scaled_square(e: f64, a: f64, b: f64, rtol: f64, atol: f64) -> f64 {
    // f64::max drops a NaN, an infinite state would hide its error: both must end as NaN.
    if (e + b).is_finite() { (e / (atol + rtol * a.abs().max(b.abs()))).powi(2) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The provided `combine` and `take`, to hold the fused ones against.
    #[derive(Clone)]
    struct Plain(Points);

    impl State for Plain {
        fn rows(&self) -> usize {
            self.0.rows().len()
        }
        fn axpy(&mut self, a: Clock<'_>, x: &Self) {
            self.0.axpy(a, &x.0);
        }
        fn select(&self, rows: &[usize]) -> Self {
            Plain(State::select(&self.0, rows))
        }
        fn scatter(&mut self, rows: &[usize], from: &Self) {
            self.0.scatter(rows, &from.0);
        }
        fn error_rows(&self, y0: &Self, y1: &Self, rtol: f64, atol: f64) -> Vec<f64> {
            self.0.error_rows(&y0.0, &y1.0, rtol, atol)
        }
        fn finite_rows(&self) -> Vec<bool> {
            self.0.finite_rows()
        }
    }

    #[test]
    fn the_fused_combination_is_the_plain_one() {
        let points = |s: f64| {
            Points::from_fn(701, 3, |i, row| {
                row.iter_mut().enumerate().for_each(|(c, v)| *v = (s * (3 * i + c) as f64).sin());
            })
        };
        let (y, a, b) = (points(0.1), points(0.7), points(1.3));
        let h: Vec<f64> = (0..701).map(|i| 0.01 * i as f64).collect();
        for h in [Clock::Shared(0.3), Clock::Each(&h)] {
            let mut fused = Points::zeros(701, 3);
            fused.combine(Some(&y), h, &[(0.5, &a), (-2.0, &b)]);
            let mut plain = Plain(Points::zeros(701, 3));
            plain.combine(Some(&Plain(y.clone())), h, &[(0.5, &Plain(a.clone())), (-2.0, &Plain(b.clone()))]);
            let gap = fused
                .as_slice()
                .iter()
                .zip(plain.0.as_slice())
                .map(|(p, q)| (p - q).abs())
                .fold(0.0, f64::max);
            assert!(gap < 1e-14, "{gap}");
        }
    }

    #[test]
    fn errors_are_scaled_row_by_row() {
        let e = Points::from_rows(&[[3e-6, 4e-6], [f64::NAN, 0.0], [0.0, 0.0]]);
        let y0 = Points::from_rows(&[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]);
        let y1 = Points::from_rows(&[[0.0, 0.0], [0.0, 0.0], [f64::INFINITY, 0.0]]);
        let rows = e.error_rows(&y0, &y1, 1e-3, 1e-6);
        assert!((rows[0] - 12.5f64.sqrt()).abs() < 1e-12);
        assert!(rows[1].is_nan() && rows[2].is_nan());
        assert_eq!(y1.finite_rows(), [true, true, false]);
    }

    #[test]
    fn clocks_are_read_and_refused() {
        assert_eq!(Clock::Each(&[1.0, 2.0]).at(1), 2.0);
        assert!(matches!(
            Clock::Each(&[1.0]).shared("repulsion"),
            Err(Error::SharedClock { what: "repulsion" })
        ));
        assert!(Clock::Each(&[1.0]).check(2).is_err() && Clock::Shared(0.0).check(2).is_ok());
    }
}
