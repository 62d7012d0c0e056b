//! Exponentials of complex frequency, between the moment generating and the characteristic function.

use super::pointwise::{Pointwise, pointwise_family};
use super::{check_tau, doubled};
use measures::{Error, Points, Result, check_dim, check_len};

/// The functions x ↦ e^{⟨t_k,x⟩} for complex t_k = a_k + i b_k: real t compares moment generating functions, imaginary t
/// characteristic functions.
///
/// Real coordinates are e^{⟨a,x⟩} cos⟨b,x⟩ and e^{⟨a,x⟩} sin⟨b,x⟩, each pair with the same τ. Unless a = 0 they are unbounded:
/// far points overflow, which the divergences made of them report as an error.
#[derive(Debug, Clone)]
pub struct Exponentials {
    real: Points,
    imaginary: Points,
    tau: Vec<f64>,
}

impl Exponentials {
    /// The family of frequencies a + i b (two K×d tables), with one weight each.
    ///
    /// # Errors
    /// No frequency, tables of different shapes, an entry that is not finite, or weights that are negative, not finite or
    /// not K in number.
    pub fn new(real: Points, imaginary: Points, tau: &[f64]) -> Result<Self> {
        if real.is_empty() {
            return Err(Error::TooFew { what: "frequencies", at_least: 1, got: 0 });
        }
        check_dim("imaginary parts", real.dim(), imaginary.dim())?;
        check_len("imaginary parts", real.len(), imaginary.len())?;
        real.check_finite("real parts")?;
        imaginary.check_finite("imaginary parts")?;
        check_tau(real.len(), tau)?;
        Ok(Exponentials { real, imaginary, tau: doubled(tau) })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Pointwise for Exponentials {
    fn domain(&self) -> usize {
        self.real.dim()
    }

    fn weights(&self) -> &[f64] {
        &self.tau
    }

    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        for ((a, b), out) in self.real.rows().zip(self.imaginary.rows()).zip(out.chunks_exact_mut(2)) {
            let (size, (sin, cos)) = (dot(a, x).exp(), dot(b, x).sin_cos());
            out[0] = size * cos;
            out[1] = size * sin;
        }
    }

    fn pull(&self, x: &[f64], c: &[f64], gradient: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for ((a, b), c) in self.real.rows().zip(self.imaginary.rows()).zip(c.chunks_exact(2)) {
            let (size, (sin, cos)) = (dot(a, x).exp(), dot(b, x).sin_cos());
            let along = size * (c[0] * cos + c[1] * sin);
            let across = size * (c[1] * cos - c[0] * sin);
            value += along;
            for ((g, a), b) in gradient.iter_mut().zip(a).zip(b) {
                *g += along * a + across * b;
            }
        }
        value
    }
}

pointwise_family!(Exponentials);
