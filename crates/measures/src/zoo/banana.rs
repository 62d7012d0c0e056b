//! The banana: a Gaussian bent along a parabola.

use super::{door, door_pair, representable};
use crate::error::{Error, Result, check_positive};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// The law of (sZ₁, Z₂ − b(s²Z₁² − s²), Z₃, …, Z_d), Z ~ N(0, I): the image of a Gaussian under a volume-preserving bend.
///
/// log p = −½ x₁²/s² − ½ y² − ½ Σ_{i≥3} xᵢ² − log s − ½ d log 2π with y = x₂ + b(x₁² − s²). Source: Haario, Saksman and Tamminen
/// (1999), DOI 10.1007/s001800050022, with s = 10 and b = .03 (moderate) or .1 (strong).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Banana {
    dim: usize,
    bend: f64,
    deviation: f64,
}

impl Banana {
    /// The banana in ℝ^`dim` with bend b and deviation s of its first coordinate.
    ///
    /// # Errors
    /// `dim` is below two, b is beyond ±1e6, or s is not between 1e-6 and 1e6.
    pub fn new(dim: usize, bend: f64, deviation: f64) -> Result<Self> {
        if dim < 2 {
            return Err(Error::TooFew { what: "dim", at_least: 2, got: dim });
        }
        if bend.is_nan() || bend.abs() > 1e6 {
            return Err(Error::Parameter { what: "bend", value: bend, must: "between −1e6 and 1e6" });
        }
        check_positive("deviation", deviation)?;
        if !(1e-6..=1e6).contains(&deviation) {
            return Err(Error::Parameter {
                what: "deviation",
                value: deviation,
                must: "between 1e-6 and 1e6",
            });
        }
        Ok(Banana { dim, bend, deviation })
    }

    /// b = .1 and s = 10 in the plane.
    pub fn haario() -> Self {
        Banana { dim: 2, bend: 0.1, deviation: 10.0 }
    }

    /// b.
    pub fn bend(&self) -> f64 {
        self.bend
    }

    /// s.
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    fn unbent(&self, x: &[f64]) -> f64 {
        x[1] + self.bend * (x[0] * x[0] - self.deviation * self.deviation)
    }
}

impl Measure for Banana {
    fn dim(&self) -> usize {
        self.dim
    }
}

impl Sample for Banana {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, self.dim, |_, row| {
            row.iter_mut().for_each(|x| *x = StandardNormal.sample(rng));
            row[0] *= self.deviation;
            row[1] -= self.bend * (row[0] * row[0] - self.deviation * self.deviation);
        })
    }
}

impl Density for Banana {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim, x)?;
        let constant = -self.deviation.ln() - 0.5 * self.dim as f64 * TAU.ln();
        Ok(x.rows()
            .map(|row| {
                let rest: f64 = row[2..].iter().map(|x| x * x).sum();
                let form = (row[0] / self.deviation).powi(2) + self.unbent(row).powi(2) + rest;
                // ∞ − ∞ in the bend is a point so far out that its density is zero.
                if form.is_nan() { f64::NEG_INFINITY } else { constant - 0.5 * form }
            })
            .collect())
    }

    fn entropy(&self) -> Option<f64> {
        Some(0.5 * self.dim as f64 * (1.0 + TAU.ln()) + self.deviation.ln())
    }
}

impl Score for Banana {
    fn score(&self, x: &Points) -> Result<Points> {
        within_reach(self.dim, x)?;
        Ok(Points::from_fn(x.len(), self.dim, |i, s| {
            let row = x.row(i);
            let y = self.unbent(row);
            s.iter_mut().zip(row).for_each(|(s, x)| *s = -x);
            s[0] = -row[0] / self.deviation.powi(2) - 2.0 * self.bend * row[0] * y;
            s[1] = -y;
        }))
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim, x, v)?;
        within_reach(self.dim, x)?;
        let b = self.bend;
        representable(
            x,
            Points::from_fn(x.len(), self.dim, |i, out| {
                let (row, v) = (x.row(i), v.row(i));
                let y = self.unbent(row);
                out.iter_mut().zip(v).for_each(|(o, v)| *o = -v);
                let first = -self.deviation.powi(-2) - 4.0 * (b * row[0]).powi(2) - 2.0 * b * y;
                out[0] = first * v[0] - 2.0 * b * row[0] * v[1];
                out[1] = -2.0 * b * row[0] * v[0] - v[1];
            }),
        )
    }
}

/// The cubes in a score must stay finite: coordinates up to 1e90.
fn within_reach(dim: usize, x: &Points) -> Result<()> {
    door(dim, x)?;
    match x.as_slice().iter().position(|v| v.abs() > 1e90) {
        None => Ok(()),
        Some(k) => {
            let value = x.as_slice()[k];
            Err(Error::Entry {
                what: "points",
                index: k / dim,
                value,
                must: "at most 1e90 in size for a finite score",
            })
        }
    }
}
