//! Truncations: a law conditioned on a box.

use super::door;
use super::uniform_box::UniformBox;
use crate::error::{Error, Result, check_dim, check_finite, check_positive};
use crate::estimate::Estimate;
use crate::measure::{Density, Measure, Sample};
use crate::points::Points;
use crate::seed::Seed;
use crate::special::{log_ndtr_between, ndtri};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1};
use std::f64::consts::TAU;

/// Independent N(mᵢ, σᵢ²) coordinates, each conditioned to lie in (aᵢ, bᵢ), exactly and however far in the tail.
///
/// Bounds may be infinite. There is no [`Score`](crate::Score): inside it would be the Gaussian's, but the boundary terms of a Stein
/// operator do not vanish.
#[derive(Debug, Clone, PartialEq)]
pub struct TruncatedGaussian {
    mean: Vec<f64>,
    sigma: Vec<f64>,
    /// The bounds in units of σ about the mean.
    low: Vec<f64>,
    high: Vec<f64>,
    log_mass: f64,
}

impl TruncatedGaussian {
    /// N(m, diag(σ²)) conditioned on ∏ (aᵢ, bᵢ).
    ///
    /// # Errors
    /// The lists are empty or of different lengths; a mean is not finite, a σ not finite and positive, a bound NaN, a lower
    /// bound not below its upper one, or an interval so far out (beyond 1e7 σ) that its mass cannot be told (the index is named).
    pub fn new(mean: Vec<f64>, sigma: Vec<f64>, low: &[f64], high: &[f64]) -> Result<Self> {
        if mean.is_empty() {
            return Err(Error::TooFew { what: "mean", at_least: 1, got: 0 });
        }
        check_finite("mean", &mean)?;
        for (what, list) in [("sigma", &sigma[..]), ("low", low), ("high", high)] {
            check_dim(what, mean.len(), list.len())?;
        }
        let (mut a, mut b, mut log_mass) = (Vec::new(), Vec::new(), 0.0);
        for index in 0..mean.len() {
            check_positive("sigma", sigma[index])?;
            let bounds = [low[index], high[index]].map(|v| (v - mean[index]) / sigma[index]);
            if bounds[0].is_nan() || bounds[1].is_nan() || bounds[0] >= bounds[1] {
                return Err(Error::Entry { what: "high", index, value: high[index], must: "above `low`" });
            }
            if bounds[0] > 1e7 || bounds[1] < -1e7 {
                let must = "within 1e7 standard deviations of the mean";
                let (what, value) = if bounds[0] > 0.0 { ("low", low[index]) } else { ("high", high[index]) };
                return Err(Error::Entry { what, index, value, must });
            }
            log_mass += log_ndtr_between(bounds[0], bounds[1]);
            a.push(bounds[0]);
            b.push(bounds[1]);
        }
        Ok(TruncatedGaussian { mean, sigma, low: a, high: b, log_mass })
    }

    /// log P(a < X < b) of the Gaussian before conditioning.
    pub fn log_mass(&self) -> f64 {
        self.log_mass
    }
}

/// A standard normal conditioned on (a, b).
fn draw(a: f64, b: f64, rng: &mut dyn Rng) -> f64 {
    if a > 0.0 {
        // Mirrored to the lower tail, where the distribution function keeps its digits.
        return -draw(-b, -a, rng);
    }
    if b > -6.0 {
        let ends = [a, b].map(|z| 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2));
        loop {
            let u = ends[0] + (ends[1] - ends[0]) * rng.random::<f64>();
            if u > 0.0 && u < 1.0 {
                return ndtri(u).clamp(a, b);
            }
        }
    }
    // Deep in the lower tail: exponential steps down from b, Robert (1995), DOI 10.1007/BF00143942. On a short interval the
    // exponential is cut by inversion, so that no draw falls outside.
    let (rate, width) = (-b, b - a);
    loop {
        let step = if rate * width > 30.0 {
            let step: f64 = Exp1.sample(rng);
            step / rate
        } else {
            let u: f64 = rng.random();
            -(u * (-rate * width).exp_m1()).ln_1p() / rate
        };
        // φ(b − s)/φ(b) = e^{bs − s²/2} against the proposal's e^{bs}.
        if step <= width && rng.random::<f64>() <= (-0.5 * step * step).exp() {
            return b - step;
        }
    }
}

impl Measure for TruncatedGaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }
}

impl Sample for TruncatedGaussian {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, self.dim(), |_, row| {
            for (k, x) in row.iter_mut().enumerate() {
                *x = self.mean[k] + self.sigma[k] * draw(self.low[k], self.high[k], rng);
            }
        })
    }
}

impl Density for TruncatedGaussian {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let constant = -self.sigma.iter().map(|s| s.ln() + 0.5 * TAU.ln()).sum::<f64>() - self.log_mass;
        Ok(x.rows()
            .map(|row| {
                let mut sum = constant;
                for (k, x) in row.iter().enumerate() {
                    let z = (x - self.mean[k]) / self.sigma[k];
                    // The bounds themselves, where rounding may put a draw, count as inside.
                    let slack = 4.0 * f64::EPSILON * (z.abs() + (self.mean[k] / self.sigma[k]).abs());
                    if z < self.low[k] - slack || z > self.high[k] + slack {
                        return f64::NEG_INFINITY;
                    }
                    sum -= 0.5 * z * z;
                }
                sum
            })
            .collect())
    }
}

/// Any law conditioned on a box, by rejection; its normalising constant is an estimate.
///
/// The density is p(x)/P inside, P = P(X ∈ box) estimated once from a seeded sample: [`Truncated::mass`] says how well.
#[derive(Debug, Clone, PartialEq)]
pub struct Truncated<M> {
    base: M,
    region: UniformBox,
    mass: Estimate,
}

/// Boxes of less mass than this make rejection hopeless.
const LEAST_MASS: f64 = 1e-3;

impl<M: Sample> Truncated<M> {
    /// `base` conditioned on the box of `region`, whose mass is estimated from `n` draws.
    ///
    /// # Errors
    /// The dimensions differ, `n` is below 1000, or fewer than one draw in a thousand falls into the box.
    pub fn new(base: M, region: UniformBox, n: usize, seed: Seed) -> Result<Self> {
        check_dim("region", base.dim(), region.dim())?;
        if n < 1000 {
            return Err(Error::TooFew { what: "draws for the mass", at_least: 1000, got: n });
        }
        let inside: Vec<f64> = region
            .contains(&base.sample(n, &mut seed.rng()))
            .iter()
            .map(|i| f64::from(u8::from(*i)))
            .collect();
        let mass = Estimate::of_mean(&inside)?;
        if mass.value < LEAST_MASS {
            return Err(Error::Parameter {
                what: "mass of the region",
                value: mass.value,
                must: "at least 0.001: rejection would draw a thousand points for one",
            });
        }
        Ok(Truncated { base, region, mass })
    }

    /// P(X ∈ box), by Monte Carlo.
    pub fn mass(&self) -> Estimate {
        self.mass
    }
}

impl<M: Measure> Measure for Truncated<M> {
    fn dim(&self) -> usize {
        self.base.dim()
    }
}

impl<M: Sample> Sample for Truncated<M> {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let d = self.dim();
        let mut coords = Vec::with_capacity(n * d);
        while coords.len() < n * d {
            let missing = n - coords.len() / d;
            let batch = ((missing as f64 / self.mass.value * 1.1) as usize + 16).min(1 << 20);
            let draws = self.base.sample(batch, rng);
            let kept = draws.rows().zip(self.region.contains(&draws)).filter(|(_, inside)| *inside);
            kept.take(missing).for_each(|(row, _)| coords.extend_from_slice(row));
        }
        Points::from_raw(d, coords)
    }
}

impl<M: Density> Density for Truncated<M> {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let log = self.base.log_density(x)?;
        let shift = self.mass.value.ln();
        let inside = self.region.contains(x);
        Ok(log.iter().zip(inside).map(|(l, i)| if i { l - shift } else { f64::NEG_INFINITY }).collect())
    }
}
