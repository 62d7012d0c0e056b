//! Affine fields x ↦ A x + b: their flow and its log-determinant are known exactly.

use super::{JacobianTrace, Jvp, VelocityField, each_row};
use crate::error::{FieldError, Result};
use crate::state::Clock;
use measures::nalgebra::{DMatrix, DVector};
use measures::{Affine, Points, check_dim, check_finite, check_len};

/// The field v(x) = A x + b. Its flow over a time t is affine, x ↦ e^{tA} x + ∫₀ᵗ e^{(t−u)A} b du, of log-determinant
/// t tr A.
#[derive(Debug, Clone, PartialEq)]
pub struct AffineField {
    dim: usize,
    /// A by rows, so that a row of the answer is a run of memory.
    rows: Vec<f64>,
    offset: Vec<f64>,
}

impl AffineField {
    /// The field x ↦ `matrix` x + `offset`.
    ///
    /// # Errors
    /// The matrix is empty or not square, the offset has another length, or an entry is not finite.
    pub fn new(matrix: &DMatrix<f64>, offset: Vec<f64>) -> Result<Self> {
        let dim = offset.len();
        if dim == 0 {
            return Err(measures::Error::TooFew { what: "offset", at_least: 1, got: 0 }.into());
        }
        check_dim("matrix rows", dim, matrix.nrows())?;
        check_dim("matrix columns", dim, matrix.ncols())?;
        check_finite("matrix", matrix.as_slice())?;
        check_finite("offset", &offset)?;
        Ok(AffineField { dim, rows: matrix.transpose().as_slice().to_vec(), offset })
    }

    /// The field x ↦ −x, which contracts ℝ^`dim` to the origin.
    ///
    /// # Panics
    /// When `dim` is zero.
    pub fn contraction(dim: usize) -> Self {
        AffineField::new(&-DMatrix::identity(dim, dim), vec![0.0; dim]).expect("a dimension of at least one")
    }

    /// A.
    pub fn matrix(&self) -> DMatrix<f64> {
        DMatrix::from_row_slice(self.dim, self.dim, &self.rows)
    }

    /// b.
    pub fn offset(&self) -> &[f64] {
        &self.offset
    }

    /// The exact flow over a time `t` of either sign, by one matrix exponential.
    ///
    /// # Errors
    /// t is not finite; e^{tA} overflows or is singular to working precision.
    pub fn flow(&self, t: f64) -> Result<Affine> {
        if !t.is_finite() {
            return Err(measures::Error::Parameter { what: "t", value: t, must: "finite" }.into());
        }
        // The exponential of [[A, b], [0, 0]] holds both e^{tA} and the integral.
        let d = self.dim;
        let mut block = DMatrix::zeros(d + 1, d + 1);
        block.view_mut((0, 0), (d, d)).copy_from(&self.matrix());
        block.view_mut((0, d), (d, 1)).copy_from(&DVector::from_column_slice(&self.offset));
        let exponential = (block * t).exp();
        let offset = exponential.view((0, d), (d, 1)).iter().copied().collect();
        Ok(Affine::new(exponential.view((0, 0), (d, d)).into_owned(), offset)?)
    }

    fn apply(&self, x: &[f64], offset: Option<&[f64]>, out: &mut [f64]) {
        for ((k, out), row) in out.iter_mut().enumerate().zip(self.rows.chunks_exact(self.dim)) {
            *out = offset.map_or(0.0, |b| b[k]) + row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
        }
    }
}

impl VelocityField for AffineField {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        each_row(self.dim, t, x, out, |_, _, x, out| self.apply(x, Some(&self.offset), out))
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl Jvp for AffineField {
    fn jvp(&self, t: Clock<'_>, x: &Points, v: &Points, out: &mut Points) -> Result<(), FieldError> {
        check_dim("points", self.dim, x.dim())?;
        each_row(self.dim, t, v, out, |_, _, v, out| self.apply(v, None, out))
    }
}

impl JacobianTrace for AffineField {
    fn trace(&self, t: Clock<'_>, x: &Points, _: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        check_dim("points", self.dim, x.dim())?;
        check_len("divergences", x.len(), out.len())?;
        t.check(x.len())?;
        out.fill(self.rows.iter().step_by(self.dim + 1).sum());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Map;

    #[test]
    fn the_flow_solves_its_equation() {
        let field =
            AffineField::new(&DMatrix::from_row_slice(2, 2, &[-1.0, 2.0, -0.5, 0.3]), vec![1.0, -2.0])
                .unwrap();
        let x = Points::from_rows(&[[0.4, -1.0]]);
        let at = |t: f64| field.flow(t).unwrap().apply(&x).unwrap();
        let (h, mut v) = (1e-4, Points::zeros(1, 2));
        field.velocity(Clock::Shared(0.0), &at(0.7), &mut v).unwrap();
        for c in 0..2 {
            let slope = (at(0.7 + h).row(0)[c] - at(0.7 - h).row(0)[c]) / (2.0 * h);
            assert!((slope - v.row(0)[c]).abs() < 1e-7);
        }
        assert!((field.flow(0.7).unwrap().log_det() + 0.49).abs() < 1e-12);
        assert!(AffineField::new(&DMatrix::identity(2, 3), vec![0.0; 2]).is_err());
        assert!(AffineField::new(&DMatrix::identity(1, 1), vec![f64::NAN]).is_err());
    }
}
