//! Uniform laws on balls and spheres, and the sphere blurred by a Gaussian.

use super::manifold::SurfaceDensity;
use super::{door, door_pair, representable};
use crate::error::{Error, Result, check_finite, check_positive};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use crate::special::{log_sphere_area, log_sphere_mgf, resultant_length, resultant_slope};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// A centre and a radius, checked.
fn check_round(centre: &[f64], radius: f64) -> Result<()> {
    if centre.is_empty() {
        return Err(Error::TooFew { what: "centre", at_least: 1, got: 0 });
    }
    check_finite("centre", centre)?;
    check_positive("radius", radius)?;
    if !(1e-100..=1e100).contains(&radius) {
        return Err(Error::Parameter { what: "radius", value: radius, must: "between 1e-100 and 1e100" });
    }
    Ok(())
}

/// A uniform direction into `row`.
fn direction(row: &mut [f64], rng: &mut dyn Rng) {
    loop {
        row.iter_mut().for_each(|x| *x = StandardNormal.sample(rng));
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|x| *x /= norm);
            return;
        }
    }
}

/// |x − c| without overflow.
fn distance(x: &[f64], centre: &[f64]) -> f64 {
    let top = x.iter().zip(centre).fold(0.0f64, |a, (x, c)| a.max((x - c).abs()));
    if top == 0.0 || top.is_infinite() {
        return top;
    }
    top * x.iter().zip(centre).map(|(x, c)| ((x - c) / top).powi(2)).sum::<f64>().sqrt()
}

/// The uniform law on the ball |x − c| < R of ℝᵈ.
#[derive(Debug, Clone, PartialEq)]
pub struct UniformBall {
    centre: Vec<f64>,
    radius: f64,
}

impl UniformBall {
    /// The uniform law on the ball about `centre`.
    ///
    /// # Errors
    /// The centre is empty or not finite, or the radius is not between 1e-100 and 1e100.
    pub fn new(centre: Vec<f64>, radius: f64) -> Result<Self> {
        check_round(&centre, radius)?;
        Ok(UniformBall { centre, radius })
    }

    /// log of the volume π^{d/2} R^d / Γ(d/2 + 1).
    pub fn log_volume(&self) -> f64 {
        let d = self.centre.len() as f64;
        log_sphere_area(self.centre.len()) - d.ln() + d * self.radius.ln()
    }
}

impl Measure for UniformBall {
    fn dim(&self) -> usize {
        self.centre.len()
    }
}

impl Sample for UniformBall {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let inverse = 1.0 / self.dim() as f64;
        Points::from_fn(n, self.dim(), |_, row| {
            loop {
                direction(row, rng);
                let r = self.radius * rng.random::<f64>().powf(inverse);
                row.iter_mut().zip(&self.centre).for_each(|(x, c)| *x = c + r * *x);
                // Rounding may reach the boundary: draw again.
                if distance(row, &self.centre) < self.radius {
                    return;
                }
            }
        })
    }
}

impl Density for UniformBall {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let inside = -self.log_volume();
        let value = |row| if distance(row, &self.centre) < self.radius { inside } else { f64::NEG_INFINITY };
        Ok(x.rows().map(value).collect())
    }

    fn entropy(&self) -> Option<f64> {
        Some(self.log_volume())
    }
}

/// The uniform law on the sphere |x − c| = R of ℝᵈ: no density, but the surface density 1/(R^{d−1} 2π^{d/2}/Γ(d/2)).
#[derive(Debug, Clone, PartialEq)]
pub struct UniformSphere {
    centre: Vec<f64>,
    radius: f64,
}

impl UniformSphere {
    /// The uniform law on the sphere about `centre`; on the line it is a pair of atoms.
    ///
    /// # Errors
    /// The centre is empty or not finite, or the radius is not between 1e-100 and 1e100.
    pub fn new(centre: Vec<f64>, radius: f64) -> Result<Self> {
        check_round(&centre, radius)?;
        Ok(UniformSphere { centre, radius })
    }

    /// c.
    pub fn centre(&self) -> &[f64] {
        &self.centre
    }

    /// R.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// The law of X + σZ.
    ///
    /// # Errors
    /// σ is not finite and positive, or outside R·1e-8 … R·1e8.
    pub fn noised(&self, sigma: f64) -> Result<NoisedSphere> {
        check_positive("sigma", sigma)?;
        if !(1e-8..=1e8).contains(&(sigma / self.radius)) {
            return Err(Error::Parameter {
                what: "sigma",
                value: sigma,
                must: "between 1e-8 and 1e8 times the radius",
            });
        }
        Ok(NoisedSphere { sphere: self.clone(), sigma })
    }
}

impl Measure for UniformSphere {
    fn dim(&self) -> usize {
        self.centre.len()
    }
}

impl Sample for UniformSphere {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, self.dim(), |_, row| {
            direction(row, rng);
            row.iter_mut().zip(&self.centre).for_each(|(x, c)| *x = c + self.radius * *x);
        })
    }
}

impl SurfaceDensity for UniformSphere {
    fn surface_dim(&self) -> usize {
        self.dim() - 1
    }

    fn log_surface_density(&self, x: &Points, tolerance: f64) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        super::manifold::check_tolerance(tolerance)?;
        let on = -log_sphere_area(self.dim()) - (self.dim() - 1) as f64 * self.radius.ln();
        let scale = self.centre.iter().fold(self.radius, |a, c| a.max(c.abs()));
        let value = |row: &[f64]| {
            let off = (distance(row, &self.centre) - self.radius).abs();
            if off <= tolerance * scale { on } else { f64::NEG_INFINITY }
        };
        Ok(x.rows().map(value).collect())
    }
}

/// The uniform law on a sphere plus N(0, σ²I), X + σZ: a measure on a manifold made smooth, with everything in closed form.
///
/// With r = |x − c| and κ = rR/σ²: p(x) = (2πσ²)^{−d/2} e^{−(r²+R²)/2σ²} E[e^{κ⟨u,U⟩}], the expectation being I₀(κ) on the circle and
/// sinh κ/κ on the sphere of ℝ³; the score is (R A(κ) u − (x − c))/σ² with u = (x − c)/r and A = I_{d/2}/I_{d/2−1}.
#[derive(Debug, Clone, PartialEq)]
pub struct NoisedSphere {
    sphere: UniformSphere,
    sigma: f64,
}

impl NoisedSphere {
    /// The sphere without noise.
    pub fn sphere(&self) -> &UniformSphere {
        &self.sphere
    }

    /// σ.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// (r, κ) of a point.
    fn polar(&self, x: &[f64]) -> (f64, f64) {
        let r = distance(x, &self.sphere.centre);
        (r, r / self.sigma * (self.sphere.radius / self.sigma))
    }
}

impl Measure for NoisedSphere {
    fn dim(&self) -> usize {
        self.sphere.dim()
    }
}

impl Sample for NoisedSphere {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let mut x = self.sphere.sample(n, rng);
        for x in x.as_mut_slice() {
            let z: f64 = StandardNormal.sample(rng);
            *x += self.sigma * z;
        }
        x
    }
}

impl Density for NoisedSphere {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let d = self.dim();
        let constant = -(d as f64) * (0.5 * TAU.ln() + self.sigma.ln());
        Ok(x.rows()
            .map(|row| {
                let (r, kappa) = self.polar(row);
                let off = (r - self.sphere.radius) / self.sigma;
                if !(off * off).is_finite() || !kappa.is_finite() {
                    return f64::NEG_INFINITY;
                }
                constant - 0.5 * off * off + log_sphere_mgf(d, kappa)
            })
            .collect())
    }
}

impl Score for NoisedSphere {
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        let (d, centre) = (self.dim(), &self.sphere.centre);
        let ratio = self.sphere.radius / self.sigma;
        Ok(Points::from_fn(x.len(), d, |i, s| {
            let (r, kappa) = self.polar(x.row(i));
            // R A(κ)/(σ² r) = (R/σ²)² A(κ)/κ, which is finite at the centre; far out it is R/(σ² r).
            let pull = if kappa.is_finite() {
                (ratio / self.sigma).powi(2) * resultant_slope(d, kappa)
            } else {
                ratio / self.sigma / r
            };
            let rate = pull - self.sigma.powi(-2);
            s.iter_mut().zip(x.row(i)).zip(centre).for_each(|((s, x), c)| *s = rate * (x - c));
        }))
    }

    /// Along u: −1/σ² + (R/σ²)² A′(κ) with A′ = 1 − A² − (d−1)A/κ; across: −1/σ² + (R/σ²)² A/κ.
    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim(), x, v)?;
        let (d, centre) = (self.dim(), &self.sphere.centre);
        let square = (self.sphere.radius / self.sigma / self.sigma).powi(2);
        representable(
            x,
            Points::from_fn(x.len(), d, |i, out| {
                let (row, v) = (x.row(i), v.row(i));
                let (r, kappa) = self.polar(row);
                let kappa = kappa.min(f64::MAX);
                let (a, slope) = (resultant_length(d, kappa), resultant_slope(d, kappa));
                let across = square * slope - self.sigma.powi(-2);
                let along = square * (1.0 - a * a - (d - 1) as f64 * slope) - self.sigma.powi(-2);
                let inner = if r > 0.0 {
                    row.iter().zip(centre).zip(v).map(|((x, c), v)| (x - c) / r * v).sum::<f64>()
                } else {
                    0.0
                };
                for (k, out) in out.iter_mut().enumerate() {
                    let u = if r > 0.0 { (row[k] - centre[k]) / r } else { 0.0 };
                    *out = across * v[k] + (along - across) * inner * u;
                }
            }),
        )
    }
}
