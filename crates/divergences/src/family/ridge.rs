//! Ridge functions: random neurons x ↦ σ(⟨a, x⟩ + b).

use super::check_tau;
use super::pointwise::{Pointwise, pointwise_family};
use measures::{Error, Points, Result, Seed, check_finite, check_len, check_positive};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// The activation σ of a neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// tanh u.
    Tanh,
    /// 1/(1 + e^{−u}).
    Sigmoid,
    /// max(u, 0), with derivative 0 at 0.
    Relu,
    /// ln(1 + e^u).
    Softplus,
    /// cos u.
    Cosine,
}

impl Activation {
    /// σ(u) and σ′(u).
    fn at(self, u: f64) -> (f64, f64) {
        match self {
            Activation::Tanh => {
                let t = u.tanh();
                (t, 1.0 - t * t)
            }
            Activation::Sigmoid => {
                let s = sigmoid(u);
                (s, s * (1.0 - s))
            }
            Activation::Relu => (u.max(0.0), if u > 0.0 { 1.0 } else { 0.0 }),
            Activation::Softplus => (u.max(0.0) + (-u.abs()).exp().ln_1p(), sigmoid(u)),
            Activation::Cosine => (u.cos(), -u.sin()),
        }
    }
}

fn sigmoid(u: f64) -> f64 {
    1.0 / (1.0 + (-u).exp())
}

/// The functions x ↦ σ(⟨a_k, x⟩ + b_k) with weights τ_k: one hidden layer of neurons.
#[derive(Debug, Clone)]
pub struct Ridge {
    activation: Activation,
    directions: Points,
    offsets: Vec<f64>,
    tau: Vec<f64>,
}

impl Ridge {
    /// Given directions a (K×d), offsets b and weights τ.
    ///
    /// # Errors
    /// No direction, entries that are not finite, or lists of other lengths; a negative weight.
    pub fn new(activation: Activation, directions: Points, offsets: Vec<f64>, tau: &[f64]) -> Result<Self> {
        if directions.is_empty() {
            return Err(Error::TooFew { what: "directions", at_least: 1, got: 0 });
        }
        directions.check_finite("directions")?;
        check_len("offsets", directions.len(), offsets.len())?;
        check_finite("offsets", &offsets)?;
        check_tau(directions.len(), tau)?;
        Ok(Ridge { activation, directions, offsets, tau: tau.to_vec() })
    }

    /// `count` neurons with a ~ N(0, I/scale²) and τ = 1/count; b is uniform on a turn for the cosine and standard normal
    /// otherwise. `scale` is the length over which a neuron switches.
    ///
    /// # Errors
    /// `dim` or `count` is zero, or the scale is not positive and finite.
    pub fn random(activation: Activation, dim: usize, scale: f64, count: usize, seed: Seed) -> Result<Self> {
        if dim == 0 {
            return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
        }
        check_positive("scale", scale)?;
        let mut rng = seed.rng();
        let directions = Points::from_fn(count, dim, |_, row| {
            for a in row {
                let z: f64 = StandardNormal.sample(&mut rng);
                *a = z / scale;
            }
        });
        let offsets = (0..count)
            .map(|_| match activation {
                Activation::Cosine => TAU * rng.random::<f64>(),
                _ => StandardNormal.sample(&mut rng),
            })
            .collect();
        Ridge::new(activation, directions, offsets, &vec![1.0 / count as f64; count])
    }

    fn argument(&self, k: usize, x: &[f64]) -> f64 {
        self.directions.row(k).iter().zip(x).fold(self.offsets[k], |sum, (a, x)| a.mul_add(*x, sum))
    }
}

impl Pointwise for Ridge {
    fn domain(&self) -> usize {
        self.directions.dim()
    }

    fn weights(&self) -> &[f64] {
        &self.tau
    }

    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        for (k, out) in out.iter_mut().enumerate() {
            *out = self.activation.at(self.argument(k, x)).0;
        }
    }

    fn pull(&self, x: &[f64], c: &[f64], gradient: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (k, c) in c.iter().enumerate() {
            let (value, slope) = self.activation.at(self.argument(k, x));
            sum += c * value;
            gradient.iter_mut().zip(self.directions.row(k)).for_each(|(g, a)| *g += c * slope * a);
        }
        sum
    }
}

pointwise_family!(Ridge);
