//! Maps between spaces, from plain ones to smooth bijections, and the embeddings ξ that lift noise into data space.

use crate::error::{Error, Result, check_dim, check_finite};
use crate::measure::Score;
use crate::points::Points;
use nalgebra::{DMatrix, DVector};

/// A deterministic map φ: ℝᵏ → ℝᵈ, the object the whole toolbox is about.
pub trait Map {
    /// k, the dimension of the domain.
    fn dim_in(&self) -> usize;

    /// d, the dimension of the values.
    fn dim_out(&self) -> usize;

    /// φ(zᵢ) for every row, n×d.
    ///
    /// # Errors
    /// The points live in another dimension than the domain.
    fn apply(&self, z: &Points) -> Result<Points>;
}

/// A bijection of ℝᵈ onto its image with a tractable Jacobian determinant, as eq. (4) needs.
pub trait Diffeo: Map {
    /// φ(zᵢ), and log|det Dφ(zᵢ)|.
    ///
    /// # Errors
    /// The points live in another dimension, or outside the domain.
    fn apply_with_log_det(&self, z: &Points) -> Result<(Points, Vec<f64>)>;

    /// φ⁻¹(xᵢ), and log|det D(φ⁻¹)(xᵢ)|: minus the log-determinant of φ at the preimage. For a point outside the image
    /// of φ the log-determinant is −∞ and the preimage is any finite point.
    ///
    /// # Errors
    /// The points live in another dimension.
    fn inverse_with_log_det(&self, x: &Points) -> Result<(Points, Vec<f64>)>;
}

/// An injection of ℝᵏ into ℝᵈ, k ≤ d: its image is a manifold, on which the pushforward has the density
/// p(x) = p_z(z) / √det(JᵀJ) with respect to the surface measure (footnote 5).
pub trait Injective: Map {
    /// φ(zᵢ), and ½ log det(JᵀJ)(zᵢ), the log-volume by which φ stretches the surface.
    ///
    /// # Errors
    /// The points live in another dimension.
    fn apply_with_log_volume(&self, z: &Points) -> Result<(Points, Vec<f64>)>;

    /// The z with φ(z) = π(x), where π is a projection onto the image that leaves the image fixed.
    ///
    /// # Errors
    /// The points live in another dimension, or have no projection.
    fn preimage(&self, x: &Points) -> Result<Points>;
}

/// A bijection that can also carry a score along.
pub trait SmoothDiffeo: Diffeo {
    /// The score of φ_#μ at x, given z = φ⁻¹(x) and the score of μ there: Jᵀ `base` + ∇ₓ log|det J| with
    /// J = D(φ⁻¹)(x), the gradient of eq. (4)'s logarithm.
    ///
    /// # Errors
    /// The shapes differ.
    fn pull_score(&self, x: &Points, z: &Points, base: &Points) -> Result<Points>;

    /// The derivative of that score along `v`, given the score of μ as a function, so that its own derivative can be asked
    /// for: Jᵀ ∇²log p_μ(z) J v plus what the curvature of φ⁻¹ adds.
    ///
    /// # Errors
    /// The shapes differ, or the map does not know its second derivatives (the default), or μ not its Hessian.
    fn pull_score_jvp(&self, x: &Points, z: &Points, v: &Points, base: &dyn Score) -> Result<Points> {
        let _ = (x, z, v, base);
        Err(Error::Undefined {
            what: "score_jvp",
            why: "this map carries scores along but not the derivatives of them",
        })
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<M: Map + ?Sized> Map for $pointer {
            fn dim_in(&self) -> usize { (**self).dim_in() }
            fn dim_out(&self) -> usize { (**self).dim_out() }
            fn apply(&self, z: &Points) -> Result<Points> { (**self).apply(z) }
        }
        impl<M: Diffeo + ?Sized> Diffeo for $pointer {
            fn apply_with_log_det(&self, z: &Points) -> Result<(Points, Vec<f64>)> { (**self).apply_with_log_det(z) }
            fn inverse_with_log_det(&self, x: &Points) -> Result<(Points, Vec<f64>)> {
                (**self).inverse_with_log_det(x)
            }
        }
        impl<M: Injective + ?Sized> Injective for $pointer {
            fn apply_with_log_volume(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
                (**self).apply_with_log_volume(z)
            }
            fn preimage(&self, x: &Points) -> Result<Points> { (**self).preimage(x) }
        }
        impl<M: SmoothDiffeo + ?Sized> SmoothDiffeo for $pointer {
            fn pull_score(&self, x: &Points, z: &Points, base: &Points) -> Result<Points> {
                (**self).pull_score(x, z, base)
            }
            fn pull_score_jvp(&self, x: &Points, z: &Points, v: &Points, base: &dyn Score) -> Result<Points> {
                (**self).pull_score_jvp(x, z, v, base)
            }
        }
    )+};
}
forward!(&M, Box<M>);

/// The affine bijection z ↦ A z + b of ℝᵈ.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    matrix: DMatrix<f64>,
    inverse: DMatrix<f64>,
    offset: DVector<f64>,
    log_det: f64,
}

impl Affine {
    /// The map z ↦ `matrix` z + `offset`.
    ///
    /// # Errors
    /// The matrix is not square or not invertible, the offset has another length, or an entry is not finite.
    pub fn new(matrix: DMatrix<f64>, offset: Vec<f64>) -> Result<Self> {
        if matrix.nrows() == 0 {
            return Err(Error::TooFew { what: "matrix rows", at_least: 1, got: 0 });
        }
        check_dim("matrix columns", matrix.nrows(), matrix.ncols())?;
        check_dim("offset", matrix.nrows(), offset.len())?;
        check_finite("matrix", matrix.as_slice())?;
        check_finite("offset", &offset)?;
        let lu = matrix.clone().lu();
        let log_det: f64 = lu.u().diagonal().iter().map(|v| v.abs().ln()).sum();
        match lu.try_inverse() {
            Some(inverse) if log_det.is_finite() && inverse.iter().all(|v| v.is_finite()) => {
                Ok(Affine { matrix, inverse, offset: DVector::from_vec(offset), log_det })
            }
            _ => Err(Error::Singular { what: "matrix" }),
        }
    }

    /// The scaling and shift z ↦ `scale` ∘ z + `offset`, coordinate by coordinate.
    ///
    /// # Errors
    /// The lengths differ, a scale is zero, or an entry is not finite.
    pub fn diagonal(scale: &[f64], offset: Vec<f64>) -> Result<Self> {
        Affine::new(DMatrix::from_diagonal(&DVector::from_column_slice(scale)), offset)
    }

    /// A.
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.matrix
    }

    /// b.
    pub fn offset(&self) -> &[f64] {
        self.offset.as_slice()
    }

    /// log|det A|.
    pub fn log_det(&self) -> f64 {
        self.log_det
    }
}

impl Map for Affine {
    fn dim_in(&self) -> usize {
        self.offset.len()
    }

    fn dim_out(&self) -> usize {
        self.offset.len()
    }

    fn apply(&self, z: &Points) -> Result<Points> {
        check_dim("points", self.dim_in(), z.dim())?;
        let mut out = &self.matrix * z.matrix();
        out.column_iter_mut().for_each(|mut column| column += &self.offset);
        Ok(adopt(z.dim(), out))
    }
}

impl Diffeo for Affine {
    fn apply_with_log_det(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        Ok((self.apply(z)?, vec![self.log_det; z.len()]))
    }

    fn inverse_with_log_det(&self, x: &Points) -> Result<(Points, Vec<f64>)> {
        check_dim("points", self.dim_out(), x.dim())?;
        let mut shifted = x.matrix().into_owned();
        shifted.column_iter_mut().for_each(|mut column| column -= &self.offset);
        Ok((adopt(x.dim(), &self.inverse * shifted), vec![-self.log_det; x.len()]))
    }
}

impl SmoothDiffeo for Affine {
    fn pull_score(&self, x: &Points, z: &Points, base: &Points) -> Result<Points> {
        for (what, points) in [("x", x), ("z", z), ("base score", base)] {
            check_dim(what, self.dim_out(), points.dim())?;
        }
        Ok(adopt(base.dim(), self.inverse.tr_mul(&base.matrix())))
    }

    fn pull_score_jvp(&self, _x: &Points, z: &Points, v: &Points, base: &dyn Score) -> Result<Points> {
        check_dim("directions", self.dim_out(), v.dim())?;
        let pulled = base.score_jvp(z, &adopt(v.dim(), &self.inverse * v.matrix()))?;
        Ok(adopt(v.dim(), self.inverse.tr_mul(&pulled.matrix())))
    }
}

impl Injective for Affine {
    fn apply_with_log_volume(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        self.apply_with_log_det(z)
    }

    fn preimage(&self, x: &Points) -> Result<Points> {
        Ok(self.inverse_with_log_det(x)?.0)
    }
}

/// The points that are the columns of a matrix, finite or not.
pub(crate) fn adopt(dim: usize, matrix: DMatrix<f64>) -> Points {
    Points::from_raw(dim, matrix.data.into())
}

/// The embedding ξ: ℝᵏ → ℝᵈ, z ↦ (z, 0) that lifts noise ν into μ₀ = ξ_#ν on data space (section 1 of the paper).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    dim_in: usize,
    dim_out: usize,
}

impl Pad {
    /// The embedding of ℝ^`dim_in` as the first coordinates of ℝ^`dim_out`.
    ///
    /// # Errors
    /// `dim_in` is zero, or larger than `dim_out`.
    pub fn new(dim_in: usize, dim_out: usize) -> Result<Self> {
        if dim_in == 0 {
            return Err(Error::TooFew { what: "dim_in", at_least: 1, got: 0 });
        }
        if dim_in > dim_out {
            return Err(Error::TooMany { what: "dim_in", limit: dim_out, requested: dim_in });
        }
        Ok(Pad { dim_in, dim_out })
    }
}

impl Map for Pad {
    fn dim_in(&self) -> usize {
        self.dim_in
    }

    fn dim_out(&self) -> usize {
        self.dim_out
    }

    fn apply(&self, z: &Points) -> Result<Points> {
        check_dim("points", self.dim_in, z.dim())?;
        Ok(Points::from_fn(z.len(), self.dim_out, |i, row| row[..self.dim_in].copy_from_slice(z.row(i))))
    }
}

impl Injective for Pad {
    fn apply_with_log_volume(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        Ok((self.apply(z)?, vec![0.0; z.len()]))
    }

    fn preimage(&self, x: &Points) -> Result<Points> {
        check_dim("points", self.dim_out, x.dim())?;
        Ok(Points::from_fn(x.len(), self.dim_in, |i, row| row.copy_from_slice(&x.row(i)[..self.dim_in])))
    }
}

/// The composition z ↦ second(first(z)), as in φ = ψ ∘ ξ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compose<A, B> {
    first: A,
    second: B,
}

impl<A: Map, B: Map> Compose<A, B> {
    /// The map that applies `first`, then `second`.
    ///
    /// # Errors
    /// The values of `first` do not live where `second` is defined.
    pub fn new(first: A, second: B) -> Result<Self> {
        check_dim("domain of the second map", first.dim_out(), second.dim_in())?;
        Ok(Compose { first, second })
    }
}

impl<A: Map, B: Map> Map for Compose<A, B> {
    fn dim_in(&self) -> usize {
        self.first.dim_in()
    }

    fn dim_out(&self) -> usize {
        self.second.dim_out()
    }

    fn apply(&self, z: &Points) -> Result<Points> {
        self.second.apply(&self.first.apply(z)?)
    }
}

impl<A: Diffeo, B: Diffeo> Diffeo for Compose<A, B> {
    fn apply_with_log_det(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        let (y, first) = self.first.apply_with_log_det(z)?;
        let (x, second) = self.second.apply_with_log_det(&y)?;
        Ok((x, sum(first, &second)))
    }

    fn inverse_with_log_det(&self, x: &Points) -> Result<(Points, Vec<f64>)> {
        let (y, second) = self.second.inverse_with_log_det(x)?;
        let (z, first) = self.first.inverse_with_log_det(&y)?;
        Ok((z, sum(first, &second)))
    }
}

impl<A: SmoothDiffeo, B: SmoothDiffeo> SmoothDiffeo for Compose<A, B> {
    fn pull_score(&self, x: &Points, z: &Points, base: &Points) -> Result<Points> {
        let y = self.first.apply(z)?;
        self.second.pull_score(x, &y, &self.first.pull_score(&y, z, base)?)
    }
}

fn sum(mut a: Vec<f64>, b: &[f64]) -> Vec<f64> {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shear() -> Affine {
        Affine::new(DMatrix::from_row_slice(2, 2, &[2.0, 1.0, 0.5, -1.0]), vec![1.0, -3.0]).unwrap()
    }

    #[test]
    fn affine_maps_invert_and_count_volume() {
        let z = Points::from_rows(&[[0.3, -0.2], [5.0, 1.0]]);
        let twice = Compose::new(shear(), shear()).unwrap();
        let (x, forward) = twice.apply_with_log_det(&z).unwrap();
        let (back, backward) = twice.inverse_with_log_det(&x).unwrap();
        assert!((forward[0] - 2.0 * 2.5f64.ln()).abs() < 1e-14);
        for i in 0..2 {
            assert_eq!(forward[i], -backward[i]);
            assert!(back.row(i).iter().zip(z.row(i)).all(|(a, b)| (a - b).abs() < 1e-13));
        }
    }

    #[test]
    fn bad_maps_are_refused() {
        assert!(matches!(Affine::diagonal(&[1.0, 0.0], vec![0.0; 2]), Err(Error::Singular { .. })));
        assert!(matches!(Affine::diagonal(&[1.0], vec![0.0; 2]), Err(Error::Dimension { .. })));
        assert!(matches!(Pad::new(3, 2), Err(Error::TooMany { .. })));
        assert!(Compose::new(Pad::new(1, 3).unwrap(), shear()).is_err());
        assert!(shear().apply(&Points::zeros(1, 3)).is_err());
    }

    #[test]
    fn padding_is_an_isometry_onto_its_image() {
        let pad = Pad::new(1, 3).unwrap();
        let (x, volume) = pad.apply_with_log_volume(&Points::from_line(vec![2.0])).unwrap();
        assert_eq!((x.row(0), volume[0]), (&[2.0, 0.0, 0.0][..], 0.0));
        assert_eq!(pad.preimage(&x).unwrap().row(0), &[2.0]);
    }
}
