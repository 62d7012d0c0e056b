//! Fields from closures: of one point, or of the whole cloud.

use super::{VelocityField, check, each_row};
use crate::error::FieldError;
use crate::state::Clock;
use measures::Points;

/// A field given point by point: `f(t, x, out)` writes v_t(x) into `out`.
///
/// ```
/// use flows::{Clock, VelocityField, field::Pointwise};
/// use measures::Points;
/// // The rotation of the plane, an autonomous field.
/// let field = Pointwise::autonomous(2, |x, v| (v[0], v[1]) = (-x[1], x[0]));
/// let (x, mut v) = (Points::from_rows(&[[1.0, 0.0]]), Points::zeros(1, 2));
/// field.velocity(Clock::Shared(0.0), &x, &mut v)?;
/// assert_eq!(v.row(0), &[0.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Pointwise<F> {
    dim: usize,
    f: F,
}

impl<F: Fn(f64, &[f64], &mut [f64])> Pointwise<F> {
    /// The field (t, x) ↦ `f(t, x)` on ℝ^`dim`.
    pub fn new(dim: usize, f: F) -> Self {
        Pointwise { dim, f }
    }
}

impl Pointwise<()> {
    /// The field x ↦ `f(x)` on ℝ^`dim`, the same at all times.
    pub fn autonomous<F: Fn(&[f64], &mut [f64])>(
        dim: usize,
        f: F,
    ) -> Pointwise<impl Fn(f64, &[f64], &mut [f64])> {
        Pointwise { dim, f: move |_, x: &[f64], out: &mut [f64]| f(x, out) }
    }
}

impl<F: Fn(f64, &[f64], &mut [f64])> VelocityField for Pointwise<F> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        each_row(self.dim, t, x, out, |_, t, x, out| (self.f)(t, x, out))
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

/// A field given for the whole cloud at once, in which particles may interact: `f(t, x, out)`.
#[derive(Debug, Clone, Copy)]
pub struct Cloud<F> {
    dim: usize,
    f: F,
}

impl<F: Fn(f64, &Points, &mut Points) -> Result<(), FieldError>> Cloud<F> {
    /// The field of a cloud in ℝ^`dim`.
    pub fn new(dim: usize, f: F) -> Self {
        Cloud { dim, f }
    }
}

impl<F: Fn(f64, &Points, &mut Points) -> Result<(), FieldError>> VelocityField for Cloud<F> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.dim, t, x, out)?;
        (self.f)(t.shared("field of a cloud")?, x, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_see_their_time_and_refuse_other_shapes() {
        let field = Pointwise::new(1, |t, x, v| v[0] = t * x[0]);
        let (x, mut v) = (Points::from_line(vec![1.0, 2.0]), Points::zeros(2, 1));
        field.velocity(Clock::Each(&[3.0, 5.0]), &x, &mut v).unwrap();
        assert_eq!(v.as_slice(), [3.0, 10.0]);
        let err =
            field.velocity(Clock::Shared(0.0), &Points::zeros(2, 2), &mut Points::zeros(2, 2)).unwrap_err();
        assert_eq!(err.to_string(), "points: dimension 2 where 1 is needed");
        assert!(field.velocity(Clock::Each(&[0.0]), &x, &mut v).is_err());
    }

    #[test]
    fn clouds_share_their_clock() {
        let field = Cloud::new(1, |t, x: &Points, v: &mut Points| {
            let mean = x.as_slice().iter().sum::<f64>() / x.len() as f64;
            v.as_mut_slice().fill(t * mean);
            Ok(())
        });
        let (x, mut v) = (Points::from_line(vec![1.0, 3.0]), Points::zeros(2, 1));
        field.velocity(Clock::Shared(2.0), &x, &mut v).unwrap();
        assert_eq!(v.as_slice(), [4.0, 4.0]);
        assert!(!field.is_pointwise() && field.velocity(Clock::Each(&[0.0, 0.0]), &x, &mut v).is_err());
    }
}
