//! The max-sliced Wasserstein distance: the direction in which two measures differ most.

use super::NormPower;
use super::line::{check_finite_costs, check_power};
use super::plan::{Status, dot};
use super::sliced::check_pair;
use super::staircase::{Climbed, climb};
use crate::slices::{directions, ranked};
use crate::{Axioms, Divergence, Toward};
use measures::{Empirical, Error, Functional, Measure, Points, Result, Seed, Variation, parallel};

/// max_θ W_p(⟨θ, ·⟩_#μ, ⟨θ, ·⟩_#ν) over unit vectors θ: a supremum formulation, D∞ over 1-Lipschitz ridge functions at
/// p = 1.
///
/// The maximum is searched, from the best of a number of seeded directions to a local maximum on the sphere, so that the
/// value is a lower bound of the supremum. Between discrete measures the maximum typically lies where two atoms project to
/// the same point and the distance has a ridge; the search is therefore gradient sampling: it follows the shortest convex
/// combination of gradients at nearby directions, and the variation is the same combination of the variations on those
/// lines. Sources: Deshpande et al., *Max-sliced Wasserstein distance and its use for GANs* (2019), arXiv:1904.05877;
/// Burke, Lewis and Overton, *A robust gradient sampling algorithm* (2005), doi:10.1137/030601296.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxSliced {
    p: f64,
    starts: usize,
    seed: Seed,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Slice {
    /// W_p in this direction.
    pub value: f64,
    /// θ, of length one.
    pub direction: Vec<f64>,
    /// The length of the shortest combination of gradients of log W_p near θ, along the sphere: 0 at a local maximum.
    pub residual: f64,
    /// Steps of ascent taken.
    pub iterations: usize,
    /// [`Status::Converged`] when the residual fell below 1e-3 at sampling radius 1e-6.
    pub status: Status,
}

const STEPS: usize = 300;
const RESIDUAL: f64 = 1e-3;
const LAST_RADIUS: f64 = 1e-6;

/// A direction with the transport along it and its gradient on the sphere.
struct Probe {
    line: Climbed,
    gradient: Vec<f64>,
}

impl MaxSliced {
    /// The distance of order `p`, searched from the best of `starts` directions drawn with `seed`.
    ///
    /// # Errors
    /// p that is not in [1, ∞), or no direction to start from.
    pub fn new(p: f64, starts: usize, seed: Seed) -> Result<Self> {
        check_power(p)?;
        if starts == 0 {
            return Err(Error::TooFew { what: "starts", at_least: 1, got: 0 });
        }
        Ok(MaxSliced { p, starts, seed })
    }

    /// The best direction found.
    ///
    /// # Errors
    /// The measures live in different dimensions, or are so far apart that |x − y|^p overflows.
    pub fn search(&self, mu: &Empirical, nu: &Empirical) -> Result<Slice> {
        Ok(self.climb_sphere(mu, nu)?.0)
    }

    fn probe(&self, mu: &Empirical, nu: &Empirical, theta: &[f64]) -> Result<Probe> {
        let cost = NormPower::new(2.0, self.p)?;
        let line = climb(&ranked(mu, theta, true), &ranked(nu, theta, true), cost);
        let mut gradient = slope_in_direction(mu, nu, &line);
        let radial = dot(&gradient, theta);
        gradient.iter_mut().zip(theta).for_each(|(g, t)| *g -= radial * t);
        Ok(Probe { line, gradient })
    }

    /// The best direction, with the probes around it and their weights in the shortest combination of gradients.
    fn climb_sphere(&self, mu: &Empirical, nu: &Empirical) -> Result<(Slice, Vec<(f64, Climbed)>)> {
        check_pair(mu, nu, self.p)?;
        let d = mu.dim();
        let starts = directions(d, self.starts, self.seed)?;
        let needs_order = !(mu.is_uniform() && nu.is_uniform());
        let powers = parallel::map_blocks(self.starts, 1, |range| {
            let theta = starts.row(range.start);
            ranked(mu, theta, needs_order).mean_power(&ranked(nu, theta, needs_order), self.p)
        });
        let best = (0..self.starts).max_by(|&a, &b| powers[a].total_cmp(&powers[b]).then(b.cmp(&a)));
        let mut theta = starts.row(best.unwrap_or(0)).to_vec();
        let mut here = self.probe(mu, nu, &theta)?;
        // Radius 0: one gradient, plain ascent, until a ridge stops it.
        let (mut radius, mut angle, mut iterations) = (0.0, 0.5, 0);
        loop {
            let samples = if radius > 0.0 && d > 1 { d + 2 } else { 0 };
            let around = directions(d, samples, self.seed.named("probes").child(iterations as u64))?;
            let mut probes = vec![here];
            for offset in around.rows() {
                probes.push(self.probe(mu, nu, &turned(&theta, offset, radius))?);
            }
            let gradients: Vec<&[f64]> = probes.iter().map(|probe| &probe.gradient[..]).collect();
            let (weights, gradient) = shortest(&gradients);
            let (value, length) = (probes[0].line.value, dot(&gradient, &gradient).sqrt());
            // d log W_p = d(W_p^p) / (p W_p^p).
            let residual = if value > 0.0 { length / (self.p * value) } else { 0.0 };
            check_finite_costs(residual)?;
            let small = residual <= RESIDUAL;
            let last =
                (small && (radius > 0.0 || residual == 0.0) && radius <= LAST_RADIUS) || iterations >= STEPS;
            if last {
                let converged = small && iterations < STEPS;
                let slice = Slice {
                    value: value.powf(self.p.recip()),
                    direction: theta,
                    residual,
                    iterations,
                    status: if converged { Status::Converged } else { Status::IterationLimit },
                };
                return Ok((slice, weights.into_iter().zip(probes).map(|(w, p)| (w, p.line)).collect()));
            }
            iterations += 1;
            let mut step = None;
            if !small {
                angle = f64::min(4.0 * angle, 0.5);
                while step.is_none() && angle > 1e-3 * radius.max(1e-9) {
                    let candidate = turned(&theta, &gradient, angle);
                    let probe = self.probe(mu, nu, &candidate)?;
                    if probe.line.value > value + 1e-3 * angle * length {
                        step = Some((candidate, probe));
                    } else {
                        angle *= 0.5;
                    }
                }
            }
            if let Some((candidate, probe)) = step {
                (theta, here) = (candidate, probe);
            } else {
                radius = if radius == 0.0 { 0.1 } else { f64::max(0.1 * radius, LAST_RADIUS) };
                angle = radius;
                here = probes.swap_remove(0);
            }
        }
    }
}

/// The unit vector `theta` turned by `angle` towards the part of `towards` orthogonal to it.
fn turned(theta: &[f64], towards: &[f64], angle: f64) -> Vec<f64> {
    let radial = dot(theta, towards);
    let side: Vec<f64> = towards.iter().zip(theta).map(|(v, t)| v - radial * t).collect();
    let length = dot(&side, &side).sqrt();
    if length == 0.0 {
        return theta.to_vec();
    }
    let (sin, cos) = angle.sin_cos();
    let out: Vec<f64> = theta.iter().zip(&side).map(|(t, s)| cos * t + sin * s / length).collect();
    let norm = dot(&out, &out).sqrt();
    out.into_iter().map(|v| v / norm).collect()
}

/// The convex combination of vectors of least length and its weights, by pairwise Frank–Wolfe steps.
fn shortest(vectors: &[&[f64]]) -> (Vec<f64>, Vec<f64>) {
    let mut weights = vec![0.0; vectors.len()];
    weights[0] = 1.0;
    let mut sum = vectors[0].to_vec();
    for _ in 0..20 * vectors.len() * vectors.len() {
        let along: Vec<f64> = vectors.iter().map(|v| dot(v, &sum)).collect();
        let order = |a: &usize, b: &usize| along[*a].total_cmp(&along[*b]);
        let towards = (0..vectors.len()).min_by(order).unwrap_or(0);
        let away = (0..vectors.len()).filter(|&k| weights[k] > 0.0).max_by(order).unwrap_or(0);
        let step: Vec<f64> = vectors[towards].iter().zip(vectors[away]).map(|(a, b)| a - b).collect();
        let (gain, square) = (-dot(&step, &sum), dot(&step, &step));
        if gain <= 1e-15 * dot(&sum, &sum) || square == 0.0 {
            break;
        }
        let t = (gain / square).min(weights[away]);
        weights[towards] += t;
        weights[away] -= t;
        sum.iter_mut().zip(&step).for_each(|(s, v)| *s += t * v);
    }
    (weights, sum)
}

/// Σ π_ij c′(⟨θ, xᵢ − yⱼ⟩) (xᵢ − yⱼ): the gradient of W_p^p in θ.
fn slope_in_direction(mu: &Empirical, nu: &Empirical, line: &Climbed) -> Vec<f64> {
    let mut gradient = vec![0.0; mu.dim()];
    for &(i, j, mass, slope) in &line.cells {
        let (x, y) = (mu.points().row(i), nu.points().row(j));
        gradient.iter_mut().zip(x.iter().zip(y)).for_each(|(g, (x, y))| *g += mass * slope * (x - y));
    }
    gradient
}

impl Divergence for MaxSliced {
    /// What holds for any direction at all; the search spoils the rest.
    fn axioms(&self) -> Axioms {
        Axioms { non_negative: true, identity: true, ..Axioms::default() }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.search(mu, nu)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let (slice, lines) = self.climb_sphere(mu, nu)?;
        // d(P^{1/p}) = P^{1/p − 1} dP / p; at P = 0, a minimum, the subgradient 0.
        let scale = if slice.value > 0.0 { slice.value.powf(1.0 - self.p) / self.p } else { 0.0 };
        let mut potential = vec![0.0; mu.len()];
        let mut field = Points::zeros(mu.len(), mu.dim());
        for (weight, line) in &lines {
            let share = weight * scale;
            potential.iter_mut().zip(&line.f).for_each(|(h, f)| *h += share * f);
            for (row, slope) in field.rows_mut().zip(&line.slopes) {
                row.iter_mut().zip(&slice.direction).for_each(|(o, t)| *o += share * slope * t);
            }
        }
        Ok(Variation::from_potential(mu, slice.value, potential, field))
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::*;
    use crate::transport::{Wasserstein, line};

    #[test]
    fn a_translation_is_found_exactly() {
        let mu = cloud(60, 3, 1, true);
        let by = [1.0, -2.0, 2.0];
        let nu = mu.with_points(moved(mu.points(), &by)).unwrap();
        for p in [1.5, 2.0, 3.0] {
            let slice = MaxSliced::new(p, 10, Seed::new(1)).unwrap().search(&mu, &nu).unwrap();
            assert!((slice.value - 3.0).abs() < 1e-6, "{slice:?}");
            assert!((slice.direction[1].abs() - 2.0 / 3.0).abs() < 1e-3);
        }
    }

    #[test]
    fn between_a_random_slice_and_the_full_distance() {
        let (mu, nu) = (cloud(40, 3, 1, false), cloud(40, 3, 2, false));
        for p in [1.0, 2.0] {
            let found = MaxSliced::new(p, 50, Seed::new(2)).unwrap().search(&mu, &nu).unwrap();
            let theta = directions(3, 2000, Seed::new(3)).unwrap();
            assert_eq!(found.status, Status::Converged);
            for theta in theta.rows() {
                let on_line = |mu: &Empirical| {
                    Empirical::uniform(Points::from_line(crate::slices::project(mu.points(), theta))).unwrap()
                };
                let slice = line::distance(&on_line(&mu), &on_line(&nu), p).unwrap();
                assert!(slice <= found.value * (1.0 + 1e-9), "p {p}: {slice} and {found:?}");
            }
            assert!(found.value <= Wasserstein::new(p).unwrap().value(&mu, &nu).unwrap());
        }
    }

    #[test]
    fn the_variation_is_that_of_the_supremum() {
        let (mu, nu) = (cloud(5, 2, 1, true), cloud(6, 2, 4, true));
        let d = MaxSliced::new(2.0, 20, Seed::new(1)).unwrap();
        assert_eq!(d.search(&mu, &nu).unwrap().status, Status::Converged);
        check_variation(&d, &mu, &nu, 1e-4);
        let same = d.variation(&mu, &mu).unwrap();
        assert!(same.value == 0.0 && same.d_points.as_slice().iter().all(|v| *v == 0.0));
    }
}
