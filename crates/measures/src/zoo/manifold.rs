//! Measures on manifolds: the image of an injective map with its density on the surface (footnote 5 of the paper), and what
//! noise makes of it.

use super::gaussian_mixture::GaussianMixture;
use super::{door, door_pair};
use crate::error::{Error, Result, check_dim, check_len, check_positive};
use crate::map::{Injective, Map};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use crate::pushforward::Pushforward;
use crate::quadrature::panels;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// A measure on a surface in ℝᵈ with a density with respect to the surface's own area.
pub trait SurfaceDensity: Measure {
    /// The dimension of the surface.
    fn surface_dim(&self) -> usize;

    /// log of the surface density at every row; −∞ for a point that is farther from the surface than `tolerance` times the
    /// size of its coordinates (1e-9 suits points that were computed in double precision).
    ///
    /// # Errors
    /// The points live in another dimension or are not finite, or the tolerance is negative or NaN.
    fn log_surface_density(&self, x: &Points, tolerance: f64) -> Result<Vec<f64>>;
}

pub(super) fn check_tolerance(tolerance: f64) -> Result<()> {
    if tolerance >= 0.0 {
        return Ok(());
    }
    Err(Error::Parameter { what: "tolerance", value: tolerance, must: "not negative" })
}

/// p(x) = p_z(z)/√det(JᵀJ) with φ(z) = x: footnote 5 of the paper.
impl<M: Injective, B: Density> SurfaceDensity for Pushforward<M, B> {
    fn surface_dim(&self) -> usize {
        self.map().dim_in()
    }

    fn log_surface_density(&self, x: &Points, tolerance: f64) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        check_tolerance(tolerance)?;
        let z = self.map().preimage(x)?;
        let (back, volume) = self.map().apply_with_log_volume(&z)?;
        let base = self.base().log_density(&z)?;
        Ok((0..x.len())
            .map(|i| {
                let (x, back) = (x.row(i), back.row(i));
                let size = x.iter().fold(1.0f64, |a, v| a.max(v.abs()));
                let off = x.iter().zip(back).fold(0.0f64, |a, (x, b)| a.max((x - b).abs()));
                if off > tolerance * size || base[i] == f64::NEG_INFINITY {
                    f64::NEG_INFINITY
                } else {
                    base[i] - volume[i]
                }
            })
            .collect())
    }
}

/// The circle of radius R about c, parametrised by the angle: z ↦ c + R (cos z, sin z), z in [start, start + 2π).
///
/// √det(JᵀJ) = R. On the given turn it is injective; [`Injective::preimage`] answers there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CircleChart {
    centre: [f64; 2],
    radius: f64,
    start: f64,
}

impl CircleChart {
    /// The circle about `centre`, its angles counted from `start`.
    ///
    /// # Errors
    /// A number is not finite, the radius is not positive, or `start` is beyond ±1e6.
    pub fn new(centre: [f64; 2], radius: f64, start: f64) -> Result<Self> {
        crate::error::check_finite("centre", &centre)?;
        check_positive("radius", radius)?;
        if start.is_nan() || start.abs() > 1e6 {
            return Err(Error::Parameter {
                what: "start",
                value: start,
                must: "between −1e6 and 1e6 radians",
            });
        }
        Ok(CircleChart { centre, radius, start })
    }
}

impl Map for CircleChart {
    fn dim_in(&self) -> usize {
        1
    }

    fn dim_out(&self) -> usize {
        2
    }

    fn apply(&self, z: &Points) -> Result<Points> {
        door(1, z)?;
        Ok(Points::from_fn(z.len(), 2, |i, row| {
            let (sin, cos) = z.row(i)[0].sin_cos();
            row[0] = self.centre[0] + self.radius * cos;
            row[1] = self.centre[1] + self.radius * sin;
        }))
    }
}

impl Injective for CircleChart {
    fn apply_with_log_volume(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        Ok((self.apply(z)?, vec![self.radius.ln(); z.len()]))
    }

    /// The angle of the nearest point of the circle, in [start, start + 2π); the centre goes to `start`.
    fn preimage(&self, x: &Points) -> Result<Points> {
        door(2, x)?;
        Ok(Points::from_fn(x.len(), 1, |i, z| {
            let angle = (x.row(i)[1] - self.centre[1]).atan2(x.row(i)[0] - self.centre[0]);
            // Rounding may return 2π itself, the other end of the turn.
            let past = (angle - self.start).rem_euclid(TAU);
            z[0] = if past < TAU { self.start + past } else { self.start };
        }))
    }
}

/// The unit sphere of ℝ³ times R about c, parametrised by polar angle and longitude:
/// (θ, λ) ↦ c + R (sin θ cos λ, sin θ sin λ, cos θ), θ in (0, π), λ in [0, 2π).
///
/// √det(JᵀJ) = R² sin θ. The poles and one meridian are sets of area zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SphereChart {
    centre: [f64; 3],
    radius: f64,
}

impl SphereChart {
    /// The sphere about `centre`.
    ///
    /// # Errors
    /// A number is not finite, or the radius is not positive.
    pub fn new(centre: [f64; 3], radius: f64) -> Result<Self> {
        crate::error::check_finite("centre", &centre)?;
        check_positive("radius", radius)?;
        Ok(SphereChart { centre, radius })
    }
}

impl Map for SphereChart {
    fn dim_in(&self) -> usize {
        2
    }

    fn dim_out(&self) -> usize {
        3
    }

    fn apply(&self, z: &Points) -> Result<Points> {
        door(2, z)?;
        Ok(Points::from_fn(z.len(), 3, |i, row| {
            let ((sin, cos), (sine, cosine)) = (z.row(i)[0].sin_cos(), z.row(i)[1].sin_cos());
            for (x, (c, u)) in row.iter_mut().zip(self.centre.iter().zip([sin * cosine, sin * sine, cos])) {
                *x = c + self.radius * u;
            }
        }))
    }
}

impl Injective for SphereChart {
    fn apply_with_log_volume(&self, z: &Points) -> Result<(Points, Vec<f64>)> {
        let volume = |row: &[f64]| 2.0 * self.radius.ln() + row[0].sin().abs().ln();
        Ok((self.apply(z)?, z.rows().map(volume).collect()))
    }

    /// The angles of the nearest point of the sphere; the centre goes to the north pole.
    fn preimage(&self, x: &Points) -> Result<Points> {
        door(3, x)?;
        Ok(Points::from_fn(x.len(), 2, |i, z| {
            let d: Vec<f64> = x.row(i).iter().zip(&self.centre).map(|(x, c)| x - c).collect();
            z[0] = d[0].hypot(d[1]).atan2(d[2]);
            let longitude = d[1].atan2(d[0]).rem_euclid(TAU);
            z[1] = if longitude < TAU { longitude } else { 0.0 };
        }))
    }
}

/// The law of φ(Z) + σN, N ~ N(0, I): a measure on a manifold, or any image, made smooth by noise.
///
/// Its density ∫ p_z(z) N(x; φ(z), σ²I) dz and its score are sums over the nodes of a Gauss–Legendre rule on a box that
/// holds the mass of p_z: a mixture of Gaussians, with all that one knows. The closed forms for spheres are
/// [`NoisedSphere`](super::NoisedSphere).
#[derive(Debug, Clone)]
pub struct Noised<M, B> {
    image: Pushforward<M, B>,
    sigma: f64,
    smooth: GaussianMixture,
}

/// A rule of more nodes than this would be slower than sampling.
const MAX_NODES: usize = 1 << 18;

impl<M: Map, B: Density> Noised<M, B> {
    /// Noise of deviation `sigma` on `image`, with `panels` panels of 16 nodes along each side of the box `low` … `high` of
    /// the domain. A panel should be mapped to a stretch of at most about three σ: then the rule is exact to 1e-12, as
    /// doubling the panels shows.
    ///
    /// # Errors
    /// σ is not finite and positive, the box is not one of the domain, there are no panels or more than 2¹⁸ nodes, or the box
    /// misses more than 1e-6 of the base's mass (or the rule is too coarse to see it).
    pub fn by_quadrature(
        image: Pushforward<M, B>,
        sigma: f64,
        low: &[f64],
        high: &[f64],
        panels_a_side: usize,
    ) -> Result<Self> {
        check_positive("sigma", sigma)?;
        let k = image.map().dim_in();
        check_dim("low", k, low.len())?;
        check_dim("high", k, high.len())?;
        check_len("high", low.len(), high.len())?;
        crate::error::check_finite("low", low)?;
        crate::error::check_finite("high", high)?;
        if let Some(index) = (0..k).find(|&i| low[i] >= high[i]) {
            return Err(Error::Entry { what: "high", index, value: high[index], must: "above `low`" });
        }
        if panels_a_side == 0 {
            return Err(Error::TooFew { what: "panels", at_least: 1, got: 0 });
        }
        let total = (0..k).try_fold(1usize, |n, _| n.checked_mul(panels_a_side.checked_mul(16)?));
        let total = match total {
            Some(total) if total <= MAX_NODES => total,
            other => {
                let requested = other.unwrap_or(usize::MAX);
                return Err(Error::TooMany { what: "nodes of the quadrature", limit: MAX_NODES, requested });
            }
        };
        let rules: Vec<Vec<_>> = (0..k).map(|i| panels(low[i], high[i], panels_a_side).collect()).collect();
        let mut weights = vec![1.0; total];
        let nodes = Points::from_fn(total, k, |node, row| {
            let mut rest = node;
            for (z, rule) in row.iter_mut().zip(&rules) {
                let (at, w): (f64, f64) = rule[rest % rule.len()];
                rest /= rule.len();
                *z = at;
                weights[node] *= w;
            }
        });
        let log = image.base().log_density(&nodes)?;
        weights.iter_mut().zip(&log).for_each(|(w, l)| *w *= l.exp());
        let mass: f64 = weights.iter().sum();
        if mass.is_nan() || (mass - 1.0).abs() > 1e-6 {
            return Err(Error::Parameter {
                what: "mass of the base in the box, by this rule",
                value: mass,
                must: "1 to within 1e-6: widen the box or take more panels",
            });
        }
        let means = image.map().apply(&nodes)?;
        let smooth = GaussianMixture::isotropic(weights, means, &vec![sigma; total])?;
        Ok(Noised { image, sigma, smooth })
    }

    /// φ(Z) without the noise.
    pub fn image(&self) -> &Pushforward<M, B> {
        &self.image
    }

    /// σ.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }
}

impl<M: Map, B: Measure> Measure for Noised<M, B> {
    fn dim(&self) -> usize {
        self.image.dim()
    }
}

impl<M: Map, B: Sample> Sample for Noised<M, B> {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let mut x = self.image.sample(n, rng);
        for x in x.as_mut_slice() {
            let z: f64 = StandardNormal.sample(rng);
            *x += self.sigma * z;
        }
        x
    }
}

impl<M: Map, B: Density> Density for Noised<M, B> {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        self.smooth.log_density(x)
    }
}

impl<M: Map, B: Density> Score for Noised<M, B> {
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        self.smooth.score(x)
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim(), x, v)?;
        self.smooth.score_jvp(x, v)
    }
}
