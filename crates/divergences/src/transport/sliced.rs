//! The sliced Wasserstein distance: transport on the line, averaged over directions.

use super::line::{check_finite_costs, check_power};
use super::staircase::{Ranked, climb_source};
use super::{NormPower, cost::bounding_box};
use crate::divergence::{finite, finite_variation};
use crate::radix::{RankScratch, Scratch};
use crate::{Axioms, Divergence};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{Empirical, Error, Functional, Measure, Points, Result, Seed, Variation, check_dim, parallel};
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// The sliced distance of order p ≥ 1 over L random directions,
///
/// ```text
/// SW_p(μ, ν)^p = L⁻¹ Σ_l W_p(⟨θ_l, ·⟩_#μ, ⟨θ_l, ·⟩_#ν)^p,     θ_l uniform on the sphere,
/// ```
///
/// a Monte Carlo estimate, with error of order L^{−½}, of the mean over all directions. The directions are a function of
/// the seed and the dimension alone, so that D is the same function at every call: a pseudo-metric for finite L, whose
/// triangle inequality is exact. Value: SW_p; or SW_p^p after [`SlicedWasserstein::powered`]. Cost O(L n (d + log n)).
///
/// At p = 1 and at ties of the projections the variation is one of several subgradients. Source: Bonneel, Rabin, Peyré
/// and Pfister, *Sliced and Radon Wasserstein barycenters of measures* (2015), doi:10.1007/s10851-014-0506-3.
///
/// ```
/// use divergences::{Divergence, transport::SlicedWasserstein};
/// use measures::{Empirical, Points, Seed};
/// let mu = Empirical::uniform(Points::from_rows(&[[0.0, 0.0], [1.0, 0.0]]))?;
/// let nu = Empirical::uniform(Points::from_rows(&[[0.0, 3.0], [1.0, 3.0]]))?;
/// // A translation by m has SW₂² = ‖m‖²/d on average over the directions.
/// let d = SlicedWasserstein::new(2.0, 20_000, Seed::new(0))?.powered();
/// assert!((d.value(&mu, &nu)? - 4.5).abs() < 0.1);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SlicedWasserstein {
    p: f64,
    /// The power in which the distances along the lines are averaged.
    average: f64,
    directions: Directions,
    rooted: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Directions {
    Drawn { count: usize, seed: Seed },
    Given(Points),
}

/// Directions worked on together: enough for every thread, few enough that their slopes are a small buffer.
const BATCH: usize = 64;

/// Directions that one task projects on, in one pass over the points, and sorts along.
const TOGETHER: usize = 2 * WIDTH;

/// Rows of points that one task adds up gradients for.
const ROWS: usize = 1024;

impl SlicedWasserstein {
    /// The distance of order `p` over `directions` directions drawn with `seed`.
    ///
    /// # Errors
    /// p that is not in [1, ∞), or no direction.
    pub fn new(p: f64, directions: usize, seed: Seed) -> Result<Self> {
        check_power(p)?;
        if directions == 0 {
            return Err(Error::TooFew { what: "directions", at_least: 1, got: 0 });
        }
        Ok(SlicedWasserstein {
            p,
            average: p,
            directions: Directions::Drawn { count: directions, seed },
            rooted: true,
        })
    }

    /// The distance of order `p` over given directions, one a row, L×d; they are scaled to length one.
    ///
    /// # Errors
    /// p that is not in [1, ∞), no direction, or one of length zero (its row is named).
    pub fn along(p: f64, mut directions: Points) -> Result<Self> {
        check_power(p)?;
        if directions.is_empty() {
            return Err(Error::TooFew { what: "directions", at_least: 1, got: 0 });
        }
        directions.check_finite("directions")?;
        for (index, row) in directions.rows_mut().enumerate() {
            let length = NormPower::euclidean().length(row.iter().copied());
            if length == 0.0 {
                return Err(Error::Entry {
                    what: "length of directions",
                    index,
                    value: 0.0,
                    must: "positive",
                });
            }
            row.iter_mut().for_each(|v| *v /= length);
        }
        Ok(SlicedWasserstein { p, average: p, directions: Directions::Given(directions), rooted: true })
    }

    /// The same with the distances along the lines averaged in the power r instead of p: (L⁻¹ Σ_l W_p(θ_l)^r)^{1/r}. From
    /// r = 1, the mean distance, it grows with r towards the largest, which [`MaxSliced`](super::MaxSliced) looks for.
    ///
    /// # Errors
    /// r that is not in [1, 1000]: powers beyond overflow.
    pub fn averaged_in(self, r: f64) -> Result<Self> {
        if !(1.0..=1000.0).contains(&r) {
            return Err(Error::Parameter { what: "r", value: r, must: "between 1 and 1000" });
        }
        Ok(SlicedWasserstein { average: r, ..self })
    }

    /// W_p^r of a line from W_p^p.
    fn raised(&self, power: f64) -> f64 {
        if self.average == self.p { power } else { power.max(0.0).powf(self.average / self.p) }
    }

    /// The derivative of [`SlicedWasserstein::raised`]; at zero, a minimum, the subgradient 0.
    fn slope(&self, power: f64) -> f64 {
        let ratio = self.average / self.p;
        if ratio == 1.0 {
            1.0
        } else if power > 0.0 {
            ratio * power.powf(ratio - 1.0)
        } else {
            0.0
        }
    }

    fn count(&self) -> usize {
        match &self.directions {
            Directions::Drawn { count, .. } => *count,
            Directions::Given(directions) => directions.len(),
        }
    }

    /// The same without the root, SW_p^p (or the mean of W_p^r): convex along mixtures and, for p > 1, smooth in the points
    /// at μ = ν.
    pub fn powered(self) -> Self {
        SlicedWasserstein { rooted: false, ..self }
    }

    /// The directions used in dimension `dim`, L×d, unit vectors.
    ///
    /// # Errors
    /// `dim` is zero, or not the dimension of the directions that were given.
    pub fn directions(&self, dim: usize) -> Result<Points> {
        match &self.directions {
            Directions::Drawn { count, seed } => directions(dim, *count, *seed),
            Directions::Given(directions) => {
                check_dim("measures", directions.dim(), dim)?;
                Ok(directions.clone())
            }
        }
    }

    fn finish(&self, power: f64) -> f64 {
        if self.rooted { power.powf(self.average.recip()) } else { power }
    }

    fn value_of(&self, mu: &Empirical, target: &Sliced<'_>) -> f64 {
        let x = Projector::new(mu);
        let y = target.projected.is_empty().then(|| Projector::new(target.nu));
        let powers = parallel::map_blocks(self.count(), TOGETHER, |lines| {
            let x = x.ranked(&target.theta, lines.clone(), false);
            let fresh = y.as_ref().map(|y| y.ranked(&target.theta, lines.clone(), false));
            let y = fresh.as_deref().unwrap_or_else(|| &target.projected[lines]);
            x.iter().zip(y).map(|(x, y)| self.raised(x.mean_power(y, self.p))).collect::<Vec<_>>()
        });
        let total: f64 = powers.iter().flatten().sum();
        self.finish(total / self.count() as f64)
    }

    fn variation_of(&self, mu: &Empirical, target: &Sliced<'_>) -> Result<Variation> {
        let (n, d) = (mu.len(), mu.dim());
        let cost = NormPower::new(2.0, self.p)?;
        let (mut total, mut potential, mut field) = (0.0, vec![0.0; n], Points::zeros(n, d));
        let x = Projector::new(mu);
        let y = target.projected.is_empty().then(|| Projector::new(target.nu));
        for batch in parallel::blocks(self.count(), BATCH) {
            let parts = parallel::map_blocks(batch.len(), TOGETHER, |part| {
                let part = batch.start + part.start..batch.start + part.end;
                let x = x.ranked(&target.theta, part.clone(), true);
                let fresh = y.as_ref().map(|y| y.ranked(&target.theta, part.clone(), false));
                let y = fresh.as_deref().unwrap_or_else(|| &target.projected[part]);
                let mut potential = vec![0.0; n];
                let lines = x.iter().zip(y).map(|(x, y)| {
                    let line = climb_source(x, y, cost);
                    let scale = self.slope(line.value);
                    let mut slopes = vec![0.0; n];
                    for ((&i, f), slope) in x.order().iter().zip(&line.f).zip(&line.slopes) {
                        potential[i] += scale * f;
                        slopes[i] = scale * slope;
                    }
                    (self.raised(line.value), slopes)
                });
                (lines.collect::<Vec<_>>(), potential)
            });
            let mut slopes = Vec::with_capacity(batch.len());
            for (lines, of_part) in &parts {
                potential.iter_mut().zip(of_part).for_each(|(h, f)| *h += f);
                total += lines.iter().map(|line| line.0).sum::<f64>();
                slopes.extend(lines.iter().map(|line| line.1.as_slice()));
            }
            let theta = in_lanes(&target.theta, batch);
            parallel::fill_blocks(field.as_mut_slice(), d, ROWS, |rows, out| {
                dispatch(Combine { slopes: &slopes, theta: &theta, first: rows.start, dim: d, out });
            });
        }
        let mean = 1.0 / self.count() as f64;
        let power = total * mean;
        // d(P^{1/p}) = P^{1/p − 1} dP / p; at P = 0, a minimum, the subgradient 0.
        let scale = match self.rooted {
            true if power > 0.0 => power.powf(self.average.recip() - 1.0) / self.average,
            true => 0.0,
            false => 1.0,
        };
        potential.iter_mut().for_each(|h| *h *= mean * scale);
        parallel::fill_blocks(field.as_mut_slice(), d, ROWS, |_, out| {
            out.iter_mut().for_each(|g| *g *= mean * scale);
        });
        Ok(Variation::from_potential(mu, self.finish(power), potential, field))
    }
}

/// `count` unit vectors of ℝ^`dim`, uniform on the sphere, one from each stream of the seed.
///
/// # Errors
/// `dim` is zero.
pub fn directions(dim: usize, count: usize, seed: Seed) -> Result<Points> {
    if dim == 0 {
        return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
    }
    let seed = seed.named("directions");
    Ok(Points::from_fn(count, dim, |l, row| {
        let mut rng = seed.stream(l as u64);
        loop {
            row.iter_mut().for_each(|v| *v = StandardNormal.sample(&mut rng));
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            if norm > 1e-100 {
                row.iter_mut().for_each(|v| *v /= norm);
                return;
            }
        }
    }))
}

/// `Ok` when both measures live in one space and no |⟨θ, x − y⟩|^p overflows.
pub(crate) fn check_pair(mu: &Empirical, nu: &Empirical, p: f64) -> Result<()> {
    check_dim("target measure", mu.dim(), nu.dim())?;
    let (low, high) = bounding_box(mu.points(), nu.points());
    let cost = NormPower::new(2.0, p)?;
    check_finite_costs(cost.of_length(cost.length(low.iter().zip(&high).map(|(l, h)| h - l))))
}

/// ⟨θ, xᵢ⟩ for every row.
pub(crate) fn project(x: &Points, theta: &[f64]) -> Vec<f64> {
    x.rows().map(|row| super::plan::dot(row, theta)).collect()
}

pub(crate) fn ranked(mu: &Empirical, theta: &[f64], needs_order: bool) -> Ranked {
    let values = project(mu.points(), theta);
    if needs_order {
        Ranked::new(&values, (!mu.is_uniform()).then(|| mu.weights()))
    } else {
        Ranked::uniform_values(values, &mut Scratch::default())
    }
}

/// The atoms of a measure, to be projected on eight directions at once.
struct Projector<'a> {
    mu: &'a Empirical,
}

impl<'a> Projector<'a> {
    fn new(mu: &'a Empirical) -> Self {
        Projector { mu }
    }

    /// The projections on some of the directions, sorted, with their weights; the order is there if it is asked for.
    fn ranked(&self, theta: &Points, lines: Range<usize>, needs_order: bool) -> Vec<Ranked> {
        let weights = (!self.mu.is_uniform()).then(|| self.mu.weights());
        let (mut scratch, mut with_order) = (Scratch::default(), RankScratch::default());
        let directions: Vec<[f64; WIDTH]> = lines
            .clone()
            .step_by(WIDTH)
            .flat_map(|start| {
                // The last stands in for those that are missing.
                let row = move |i: usize| theta.row((start + i).min(theta.len() - 1));
                (0..theta.dim()).map(move |k| std::array::from_fn(|i| row(i)[k]))
            })
            .collect();
        let mut values = vec![vec![0.0; self.mu.len()]; lines.len()];
        dispatch(Project { points: self.mu.points(), directions: &directions, out: &mut values });
        values
            .into_iter()
            .map(|values| {
                if needs_order || weights.is_some() {
                    Ranked::with(&values, weights, &mut with_order)
                } else {
                    Ranked::uniform_values(values, &mut scratch)
                }
            })
            .collect()
    }
}

/// ⟨θ, x⟩ for all x and some θ, of which eight after the other are in the lanes, summed over the coordinates in order.
struct Project<'a> {
    points: &'a Points,
    /// Coordinate k of eight θ, for all k; then those of the next eight.
    directions: &'a [[f64; WIDTH]],
    out: &'a mut [Vec<f64>],
}

impl LaneOp for Project<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (n, d) = (self.points.len(), self.points.dim());
        let coordinates = self.points.as_slice();
        let mut first = 0;
        // Eight points at a time, of which the last stands in for those that are missing.
        while first < n {
            let mut rows = [&coordinates[..0]; WIDTH];
            for i in 0..WIDTH {
                let row = if first + i < n { first + i } else { n - 1 };
                rows[i] = &coordinates[row * d..(row + 1) * d];
            }
            let count = if first + WIDTH < n { WIDTH } else { n - first };
            let mut line = 0;
            while line < self.out.len() {
                let eight = &self.directions[line / WIDTH * d..(line / WIDTH + 1) * d];
                let mut sums = [F64s::splat(l, 0.0); WIDTH];
                for k in 0..d {
                    let theta = F64s::load(l, &eight[k]);
                    for i in 0..WIDTH {
                        sums[i] = theta.mul_add(F64s::splat(l, rows[i][k]), sums[i]);
                    }
                }
                let mut values = [[0.0; WIDTH]; WIDTH];
                for i in 0..WIDTH {
                    sums[i].store(&mut values[i]);
                }
                let lines = if line + WIDTH < self.out.len() { WIDTH } else { self.out.len() - line };
                for k in 0..lines {
                    let out = &mut self.out[line + k][first..first + count];
                    for i in 0..count {
                        out[i] = values[i][k];
                    }
                }
                line += WIDTH;
            }
            first += WIDTH;
        }
    }
}

/// Some of the directions in eights of coordinates, filled up with zeros to an even number of them.
fn in_lanes(theta: &Points, lines: Range<usize>) -> Vec<[f64; WIDTH]> {
    let eights = theta.dim().div_ceil(2 * WIDTH) * 2;
    let mut out = vec![[0.0; WIDTH]; eights * lines.len()];
    for (out, line) in out.chunks_exact_mut(eights).zip(lines) {
        out.as_flattened_mut()[..theta.dim()].copy_from_slice(theta.row(line));
    }
    out
}

/// Rows that [`Combine`] adds up together.
const TILE: usize = 4;

/// Adds Σ slopeᵢ · θ over some lines, at most [`BATCH`], to the rows i of a block.
struct Combine<'a> {
    /// The slopes of all atoms along each line.
    slopes: &'a [&'a [f64]],
    /// The directions of the lines, [`in_lanes`].
    theta: &'a [[f64; WIDTH]],
    first: usize,
    dim: usize,
    out: &'a mut [f64],
}

impl LaneOp for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (count, lines) = (self.out.len() / self.dim, self.slopes.len());
        let eights = self.theta.len() / lines;
        let mut slopes = [[0.0; TILE]; BATCH];
        let mut first = 0;
        while first < count {
            // The last row stands in for those that are missing.
            let rows = if first + TILE < count { TILE } else { count - first };
            for k in 0..lines {
                for i in 0..TILE {
                    let row = if i < rows { i } else { rows - 1 };
                    slopes[k][i] = self.slopes[k][self.first + first + row];
                }
            }
            let mut c = 0;
            while c < eights {
                let mut sums = [[F64s::splat(l, 0.0); 2]; TILE];
                for k in 0..lines {
                    let left = F64s::load(l, &self.theta[k * eights + c]);
                    let right = F64s::load(l, &self.theta[k * eights + c + 1]);
                    for i in 0..TILE {
                        let slope = F64s::splat(l, slopes[k][i]);
                        sums[i][0] = slope.mul_add(left, sums[i][0]);
                        sums[i][1] = slope.mul_add(right, sums[i][1]);
                    }
                }
                let mut tile = [[[0.0; WIDTH]; 2]; TILE];
                for i in 0..TILE {
                    sums[i][0].store(&mut tile[i][0]);
                    sums[i][1].store(&mut tile[i][1]);
                }
                for i in 0..rows {
                    let row = &mut self.out[(first + i) * self.dim..][..self.dim];
                    let sums = tile[i].as_flattened();
                    for (out, sum) in row[c * WIDTH..].iter_mut().zip(sums) {
                        *out += sum;
                    }
                }
                c += 2;
            }
            first += TILE;
        }
    }
}

/// A target with its directions, and perhaps its sorted projections.
struct Sliced<'a> {
    nu: &'a Empirical,
    theta: Points,
    projected: Vec<Ranked>,
}

impl<'a> Sliced<'a> {
    fn new(nu: &'a Empirical, divergence: &SlicedWasserstein) -> Result<Self> {
        Ok(Sliced { nu, theta: divergence.directions(nu.dim())?, projected: Vec::new() })
    }
}

impl Divergence for SlicedWasserstein {
    fn axioms(&self) -> Axioms {
        Axioms {
            non_negative: true,
            identity: true,
            symmetry: true,
            triangle_power: Some(if self.rooted { 1.0 } else { self.average.recip() }),
            permutation: true,
            atom_splitting: true,
            translation: true,
            scaling_degree: Some(if self.rooted { 1.0 } else { self.average }),
            convex: self.p == 1.0 || (!self.rooted && self.average >= self.p),
            continuous_in_points: true,
            continuous_in_weights: true,
            ..Axioms::default()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        check_pair(mu, nu, self.p)?;
        finite(self.value_of(mu, &Sliced::new(nu, self)?))
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        check_pair(mu, nu, self.p)?;
        finite_variation(self.variation_of(mu, &Sliced::new(nu, self)?)?)
    }

    /// Keeps the directions and the sorted projections of the target, L·m numbers and, if it has weights, their order.
    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        let mut sliced = Sliced::new(target, self)?;
        let theta = &sliced.theta;
        let points = Projector::new(target);
        let lines = parallel::map_blocks(self.count(), TOGETHER, |part| points.ranked(theta, part, false));
        sliced.projected = lines.into_iter().flatten().collect();
        Ok(Box::new(TowardSliced { divergence: self, target: sliced }))
    }
}

struct TowardSliced<'a> {
    divergence: &'a SlicedWasserstein,
    target: Sliced<'a>,
}

impl Functional for TowardSliced<'_> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        check_pair(mu, self.target.nu, self.divergence.p)?;
        finite_variation(self.divergence.variation_of(mu, &self.target)?)
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        check_pair(mu, self.target.nu, self.divergence.p)?;
        finite(self.divergence.value_of(mu, &self.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{line, test_support::*};

    #[test]
    fn one_dimension_is_the_line() {
        for p in [1.0, 1.5, 2.0] {
            let (mu, nu) = (cloud(40, 1, 1, true), cloud(25, 1, 2, false));
            let sliced = SlicedWasserstein::new(p, 3, Seed::new(5)).unwrap();
            let exact = line::distance(&mu, &nu, p).unwrap();
            assert!((sliced.value(&mu, &nu).unwrap() - exact).abs() < 1e-13);
        }
    }

    #[test]
    fn translations_cost_their_square_over_d() {
        let d = 3;
        let mu = cloud(50, d, 1, true);
        let nu = mu.with_points(moved(mu.points(), &[1.0, -2.0, 0.5])).unwrap();
        let sliced = SlicedWasserstein::new(2.0, 4000, Seed::new(1)).unwrap().powered();
        // One direction has ⟨θ, m⟩², of mean ‖m‖²/d and variance ‖m‖⁴ (3/(d(d + 2)) − 1/d²).
        let (mean, norm4) = (5.25 / 3.0, 5.25f64.powi(2));
        let error = (norm4 * (3.0 / 15.0 - 1.0 / 9.0) / 4000.0).sqrt();
        assert!((sliced.value(&mu, &nu).unwrap() - mean).abs() < 5.0 * error);
    }

    #[test]
    fn variations_match_finite_differences() {
        for (p, rooted) in [(2.0, true), (2.0, false), (1.5, true), (3.0, false), (1.0, true)] {
            let mut sliced = SlicedWasserstein::new(p, 40, Seed::new(3)).unwrap();
            if !rooted {
                sliced = sliced.powered();
            }
            check_variation(&sliced, &cloud(7, 3, 1, true), &cloud(9, 3, 2, true), 1e-6);
            check_points(&sliced, &cloud(6, 2, 1, false), &cloud(6, 2, 2, false), 1e-6);
        }
    }

    #[test]
    fn other_averages_of_the_same_lines() {
        let (mu, nu) = (cloud(30, 3, 1, true), cloud(20, 3, 2, true));
        let theta = directions(3, 11, Seed::new(4)).unwrap();
        for p in [1.0, 2.0] {
            let line = |l: usize| {
                let on = SlicedWasserstein::along(p, theta.select(&[l])).unwrap();
                on.value(&mu, &nu).unwrap()
            };
            let mut last = 0.0;
            for r in [1.0, 1.5, 2.0, 8.0, 64.0] {
                let sliced = SlicedWasserstein::along(p, theta.clone()).unwrap().averaged_in(r).unwrap();
                let want = ((0..11).map(|l| line(l).powf(r)).sum::<f64>() / 11.0).powf(1.0 / r);
                let got = sliced.value(&mu, &nu).unwrap();
                assert!((got - want).abs() < 1e-12 && got >= last, "{got}, {want}, {last}");
                last = got;
                let small = (cloud(7, 3, 1, true), cloud(6, 3, 2, true));
                check_variation(&sliced, &small.0, &small.1, 1e-6);
                if r <= 2.0 {
                    check_variation(&sliced.powered(), &small.0, &small.1, 1e-6);
                }
            }
            assert!(last < (0..11).map(line).fold(0.0, f64::max));
        }
        let sliced = SlicedWasserstein::new(2.0, 5, Seed::new(3)).unwrap();
        for bad in [0.5, f64::NAN, f64::INFINITY] {
            assert!(matches!(sliced.clone().averaged_in(bad), Err(Error::Parameter { what: "r", .. })));
        }
    }

    /// More lines than one batch, more rows than one block, coordinates that fill no lane: against the plans on the lines.
    #[test]
    fn gradients_are_those_of_the_plans_on_the_lines() {
        let theta = directions(19, 2 * BATCH + 5, Seed::new(4)).unwrap();
        for (m, weighted) in [(ROWS + 6, false), (700, false), (300, true)] {
            let (mu, nu) = (cloud(ROWS + 6, 19, 1, weighted), cloud(m, 19, 2, weighted));
            let mut expected = Points::zeros(mu.len(), 19);
            let (mut potential, mut value) = (vec![0.0; mu.len()], 0.0);
            let share = 1.0 / theta.len() as f64;
            for theta in theta.rows() {
                let on_line = |mu: &Empirical| mu.with_points(Points::from_line(project(mu.points(), theta)));
                let (mu, nu) = (on_line(&mu).unwrap(), on_line(&nu).unwrap());
                let line = line::solve(&mu, &nu, 2.0).unwrap();
                value += share * line.value;
                for (i, j, mass) in line.plan.entries() {
                    let slope = 2.0 * share * mass * (mu.points().row(i)[0] - nu.points().row(j)[0]);
                    expected.row_mut(i).iter_mut().zip(theta).for_each(|(e, t)| *e += slope * t);
                }
                potential.iter_mut().zip(&line.potentials.source).for_each(|(h, f)| *h += share * f);
            }
            let potential = measures::centred(potential, mu.weights());
            let v =
                SlicedWasserstein::along(2.0, theta.clone()).unwrap().powered().variation(&mu, &nu).unwrap();
            assert!((v.value - value).abs() < 1e-13 * value);
            let worst =
                |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let (points, weights) =
                (worst(v.d_points.as_slice(), expected.as_slice()), worst(&v.d_weights, &potential));
            assert!(points < 1e-15 && weights < 1e-11, "{points} {weights}");
        }
    }

    #[test]
    fn cached_targets_change_nothing() {
        let sliced = SlicedWasserstein::new(2.0, 70, Seed::new(3)).unwrap();
        for (m, of_mu, of_nu) in
            [(20, false, false), (30, false, false), (20, true, false), (30, false, true)]
        {
            let (mu, nu) = (cloud(30, 4, 1, of_mu), cloud(m, 4, 2, of_nu));
            let toward = sliced.toward(&nu).unwrap();
            assert_eq!(toward.variation(&mu).unwrap(), sliced.variation(&mu, &nu).unwrap());
            assert_eq!(toward.value(&mu).unwrap(), sliced.value(&mu, &nu).unwrap());
        }
    }

    #[test]
    fn equal_measures_have_no_gradient_and_bad_input_is_named() {
        let mu = cloud(10, 2, 1, true);
        let sliced = SlicedWasserstein::new(2.0, 5, Seed::new(3)).unwrap();
        let v = sliced.variation(&mu, &mu).unwrap();
        assert_eq!(v.value, 0.0);
        assert!(v.d_points.as_slice().iter().chain(&v.d_weights).all(|g| *g == 0.0));
        assert!(matches!(
            SlicedWasserstein::new(0.9, 5, Seed::new(0)),
            Err(Error::Parameter { what: "p", .. })
        ));
        assert!(matches!(SlicedWasserstein::new(2.0, 0, Seed::new(0)), Err(Error::TooFew { .. })));
        assert!(matches!(sliced.value(&mu, &cloud(4, 3, 1, true)), Err(Error::Dimension { .. })));
    }
}
