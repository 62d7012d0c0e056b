//! Derivatives of a field: Jacobian–vector products and the divergence ∇·v = tr Dv.

use super::VelocityField;
use crate::error::FieldError;
use crate::state::Clock;
use measures::{Points, check_dim, check_len, check_positive};

/// A field that knows its Jacobian–vector products.
pub trait Jvp: VelocityField {
    /// Writes Dv_t(xᵢ) uᵢ over row i of `out`.
    ///
    /// # Errors
    /// As [`VelocityField::velocity`].
    fn jvp(&self, t: Clock<'_>, x: &Points, u: &Points, out: &mut Points) -> Result<(), FieldError>;
}

/// A field that knows its divergence ∇·v_t(x) = tr Dv_t(x), exactly or by an estimate.
pub trait JacobianTrace: VelocityField {
    /// Writes ∇·v_t(xᵢ) into `out[i]`.
    ///
    /// `ids` are the numbers of the particles, one a row: an estimate by random probes gives a particle the same probes
    /// whenever and wherever it is asked, so that a solver integrates one smooth function.
    ///
    /// # Errors
    /// As [`VelocityField::velocity`].
    fn trace(&self, t: Clock<'_>, x: &Points, ids: &[u64], out: &mut [f64]) -> Result<(), FieldError>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<F: Jvp + ?Sized> Jvp for $pointer {
            fn jvp(&self, t: Clock<'_>, x: &Points, u: &Points, out: &mut Points) -> Result<(), FieldError> {
                (**self).jvp(t, x, u, out)
            }
        }
        impl<F: JacobianTrace + ?Sized> JacobianTrace for $pointer {
            fn trace(&self, t: Clock<'_>, x: &Points, ids: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
                (**self).trace(t, x, ids, out)
            }
        }
    )+};
}
forward!(&F, Box<F>);

/// A field with its divergence given by the user: `g(t, x)` = ∇·v_t(x).
#[derive(Debug, Clone, Copy)]
pub struct WithTrace<F, G> {
    field: F,
    g: G,
}

impl<F: VelocityField, G: Fn(f64, &[f64]) -> f64> WithTrace<F, G> {
    /// `field` with the divergence `g`. The caller vouches that it is the divergence.
    pub fn new(field: F, g: G) -> Self {
        WithTrace { field, g }
    }
}

impl<F: VelocityField, G> VelocityField for WithTrace<F, G> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        self.field.velocity(t, x, out)
    }

    fn is_pointwise(&self) -> bool {
        self.field.is_pointwise()
    }
}

impl<F: VelocityField, G: Fn(f64, &[f64]) -> f64> JacobianTrace for WithTrace<F, G> {
    fn trace(&self, t: Clock<'_>, x: &Points, _: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        check_len("divergences", x.len(), out.len())?;
        t.check(x.len())?;
        out.iter_mut().zip(x.rows()).enumerate().for_each(|(i, (out, x))| *out = (self.g)(t.at(i), x));
        Ok(())
    }
}

/// Derivatives by central differences: two evaluations for a Jacobian–vector product, 2d for a divergence, with errors
/// of order `step`² plus round-off of order 1e-16/`step`.
///
/// For fields in which particles do not interact: the divergence is that of each particle's own velocity.
#[derive(Debug, Clone, Copy)]
pub struct FiniteDifferences<F> {
    field: F,
    step: f64,
}

impl<F: VelocityField> FiniteDifferences<F> {
    /// Differences of relative step ε^{1/3} ≈ 6e-6, which balances truncation and round-off.
    pub fn new(field: F) -> Self {
        FiniteDifferences { field, step: f64::EPSILON.cbrt() }
    }

    /// Differences of the given relative step: coordinate x moves by `step`·max(1, |x|).
    ///
    /// # Errors
    /// The step is not finite and positive.
    pub fn with_step(field: F, step: f64) -> crate::Result<Self> {
        Ok(FiniteDifferences { field, step: check_positive("step", step)? })
    }
}

impl<F: VelocityField> VelocityField for FiniteDifferences<F> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        self.field.velocity(t, x, out)
    }

    fn is_pointwise(&self) -> bool {
        self.field.is_pointwise()
    }
}

impl<F: VelocityField> Jvp for FiniteDifferences<F> {
    fn jvp(&self, t: Clock<'_>, x: &Points, u: &Points, out: &mut Points) -> Result<(), FieldError> {
        check_dim("directions", x.dim(), u.dim())?;
        check_len("directions", x.len(), u.len())?;
        // A step along u of length step·max(1, ‖x‖∞), whatever the length of u.
        let largest = |row: &[f64]| row.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let steps: Vec<f64> = x
            .rows()
            .zip(u.rows())
            .map(|(x, u)| self.step * largest(x).max(1.0) / largest(u).max(f64::MIN_POSITIVE))
            .collect();
        let moved = |sign: f64| {
            Points::from_fn(x.len(), x.dim(), |i, row| {
                for ((out, x), u) in row.iter_mut().zip(x.row(i)).zip(u.row(i)) {
                    *out = x + sign * steps[i] * u;
                }
            })
        };
        let mut back = Points::zeros(x.len(), x.dim());
        self.field.velocity(t, &moved(1.0), out)?;
        self.field.velocity(t, &moved(-1.0), &mut back)?;
        for ((out, back), h) in out.rows_mut().zip(back.rows()).zip(&steps) {
            out.iter_mut().zip(back).for_each(|(out, back)| *out = (*out - back) / (2.0 * h));
        }
        Ok(())
    }
}

impl<F: VelocityField> JacobianTrace for FiniteDifferences<F> {
    fn trace(&self, t: Clock<'_>, x: &Points, _: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        check_len("divergences", x.len(), out.len())?;
        out.fill(0.0);
        let (mut moved, mut ahead, mut behind) = (x.clone(), x.clone(), x.clone());
        for c in 0..x.dim() {
            let steps: Vec<f64> = x.rows().map(|row| self.step * row[c].abs().max(1.0)).collect();
            let mut shift = |sign: f64, out: &mut Points| {
                let rows = moved.rows_mut().zip(x.rows()).zip(&steps);
                rows.for_each(|((row, x), h)| row[c] = x[c] + sign * h);
                self.field.velocity(t, &moved, out)
            };
            shift(1.0, &mut ahead)?;
            shift(-1.0, &mut behind)?;
            moved.rows_mut().zip(x.rows()).for_each(|(row, x)| row[c] = x[c]);
            for (i, out) in out.iter_mut().enumerate() {
                *out += (ahead.row(i)[c] - behind.row(i)[c]) / (2.0 * steps[i]);
            }
        }
        Ok(())
    }
}
