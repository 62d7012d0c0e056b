//! A cloud of points: n rows of d coordinates, row-major, in double precision.

use crate::error::{Error, Result, check_dim};
use nalgebra::{DMatrix, DMatrixView};

/// n points of ℝᵈ as one row-major n×d buffer.
///
/// The same bytes are a d×n column-major matrix whose columns are the points ([`Points::matrix`]).
/// [`Points::new`] refuses coordinates that are not finite; arithmetic through [`Points::as_mut_slice`] may produce
/// them, which is how a solver reports a particle that blew up. [`Empirical`](crate::Empirical) looks again.
///
/// ```
/// use measures::Points;
/// let x = Points::from_rows(&[[0.0, 1.0], [2.0, 3.0]]);
/// assert_eq!((x.len(), x.dim()), (2, 2));
/// assert_eq!(x.row(1), &[2.0, 3.0]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    dim: usize,
    coords: Vec<f64>,
}

impl Points {
    /// Points from a row-major buffer of n·`dim` finite coordinates.
    ///
    /// # Errors
    /// `dim` is zero, the length is no multiple of it, or a coordinate is NaN or infinite (the row is named).
    pub fn new(dim: usize, coords: Vec<f64>) -> Result<Self> {
        if dim == 0 {
            return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
        }
        if !coords.len().is_multiple_of(dim) {
            let expected = coords.len().next_multiple_of(dim);
            return Err(Error::Length { what: "coords", expected, got: coords.len() });
        }
        let points = Points { dim, coords };
        points.check_finite("points")?;
        Ok(points)
    }

    /// Points from a buffer that may hold NaN or infinities, as arithmetic leaves them: for solvers, which report them.
    ///
    /// # Panics
    /// When `dim` is zero or does not divide the length.
    pub fn from_raw(dim: usize, coords: Vec<f64>) -> Self {
        assert!(dim > 0 && coords.len().is_multiple_of(dim), "{} coordinates in rows of {dim}", coords.len());
        Points { dim, coords }
    }

    /// Points from rows of equal, compile-time length. The caller vouches that they are finite.
    ///
    /// # Panics
    /// When `D` is zero.
    pub fn from_rows<const D: usize>(rows: &[[f64; D]]) -> Self {
        assert!(D > 0, "points need at least one coordinate");
        Points { dim: D, coords: rows.iter().flatten().copied().collect() }
    }

    /// One-dimensional points, one a value. The caller vouches that they are finite.
    pub fn from_line(values: Vec<f64>) -> Self {
        Points { dim: 1, coords: values }
    }

    /// n points at the origin of ℝ^`dim`.
    ///
    /// # Panics
    /// When `dim` is zero.
    pub fn zeros(n: usize, dim: usize) -> Self {
        assert!(dim > 0, "points need at least one coordinate");
        Points { dim, coords: vec![0.0; n * dim] }
    }

    /// n points whose row i is written by `fill(i, row)`.
    ///
    /// # Panics
    /// When `dim` is zero.
    pub fn from_fn(n: usize, dim: usize, mut fill: impl FnMut(usize, &mut [f64])) -> Self {
        let mut points = Points::zeros(n, dim);
        points.coords.chunks_exact_mut(dim).enumerate().for_each(|(i, row)| fill(i, row));
        points
    }

    /// The number of points n.
    pub fn len(&self) -> usize {
        self.coords.len() / self.dim
    }

    /// Whether there is no point at all.
    pub fn is_empty(&self) -> bool {
        self.coords.is_empty()
    }

    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Point i.
    ///
    /// # Panics
    /// When `i ≥ len()`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.coords[i * self.dim..(i + 1) * self.dim]
    }

    /// Point i, to be written.
    ///
    /// # Panics
    /// When `i ≥ len()`.
    pub fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.coords[i * self.dim..(i + 1) * self.dim]
    }

    /// The points one after the other.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.coords.chunks_exact(self.dim)
    }

    /// The points one after the other, to be written.
    pub fn rows_mut(&mut self) -> std::slice::ChunksExactMut<'_, f64> {
        self.coords.chunks_exact_mut(self.dim)
    }

    /// The row-major buffer.
    pub fn as_slice(&self) -> &[f64] {
        &self.coords
    }

    /// The row-major buffer, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [f64] {
        &mut self.coords
    }

    /// The row-major buffer itself.
    pub fn into_vec(self) -> Vec<f64> {
        self.coords
    }

    /// A d×n view whose columns are the points.
    pub fn matrix(&self) -> DMatrixView<'_, f64> {
        DMatrixView::from_slice(&self.coords, self.dim, self.len())
    }

    /// Points that are the columns of a d×n matrix.
    ///
    /// # Errors
    /// The matrix has no row, or an entry that is not finite.
    pub fn from_matrix(matrix: DMatrix<f64>) -> Result<Self> {
        let dim = matrix.nrows();
        Points::new(dim, matrix.data.into())
    }

    /// Coordinate k of every point.
    ///
    /// # Panics
    /// When `k ≥ dim()`.
    pub fn column(&self, k: usize) -> Vec<f64> {
        assert!(k < self.dim, "coordinate {k} of points in dimension {}", self.dim);
        self.coords.iter().skip(k).step_by(self.dim).copied().collect()
    }

    /// The points at the given indices, in that order; an index may come twice.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn select(&self, indices: &[usize]) -> Self {
        Points::from_fn(indices.len(), self.dim, |i, row| row.copy_from_slice(self.row(indices[i])))
    }

    /// These points followed by `other`.
    ///
    /// # Errors
    /// The dimensions differ.
    pub fn concat(&self, other: &Points) -> Result<Self> {
        check_dim("points to append", self.dim, other.dim)?;
        let mut coords = Vec::with_capacity(self.coords.len() + other.coords.len());
        coords.extend_from_slice(&self.coords);
        coords.extend_from_slice(&other.coords);
        Ok(Points { dim: self.dim, coords })
    }

    /// `Ok` when every coordinate is finite.
    ///
    /// # Errors
    /// Names the first row and column that is NaN or infinite.
    pub fn check_finite(&self, what: &'static str) -> Result<()> {
        match self.coords.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(k) => {
                Err(Error::NonFinite { what, row: k / self.dim, column: k % self.dim, value: self.coords[k] })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_a_matrix_of_columns() {
        let x = Points::from_rows(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(x.matrix().column(1).as_slice(), x.row(1));
        assert_eq!(x.column(2), [3.0, 6.0]);
        assert_eq!(Points::from_matrix(x.matrix().into_owned()).unwrap(), x);
        assert_eq!(x.select(&[1, 1, 0]).row(1), x.row(1));
    }

    #[test]
    fn bad_buffers_are_named() {
        assert!(matches!(Points::new(0, vec![]), Err(Error::TooFew { what: "dim", .. })));
        assert!(matches!(Points::new(3, vec![0.0; 7]), Err(Error::Length { .. })));
        let err = Points::new(2, vec![0.0, 1.0, 2.0, f64::NAN]).unwrap_err();
        assert_eq!(err.to_string(), "points: row 1, column 1 is NaN; every coordinate must be finite");
        assert!(x_and_y().0.concat(&x_and_y().1).is_err());
    }

    fn x_and_y() -> (Points, Points) {
        (Points::zeros(2, 2), Points::zeros(2, 3))
    }
}
