//! Measures seen along lines: directions, sorted projections, and sums over lines with their gradients.

use crate::radix::{RankScratch, Scratch};
use crate::transport::{NormPower, Ranked, dot};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{Empirical, Error, Measure, Points, Result, Seed, check_dim, parallel};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;
use std::ops::Range;

/// Directions worked on together: enough for every thread, few enough that their slopes are a small buffer.
pub(crate) const BATCH: usize = 64;

/// Directions that one task projects on, in one pass over the points, and sorts along.
const TOGETHER: usize = 2 * WIDTH;

/// Rows of points that one task adds up gradients for.
pub(crate) const ROWS: usize = 1024;

/// Which lines a divergence looks along.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Directions {
    /// Independent ones.
    Drawn { count: usize, seed: Seed },
    /// Those of [`spread_directions`].
    Spread { count: usize, seed: Seed },
    /// These.
    Given(Points),
}

impl Directions {
    /// `count` independent ones.
    pub(crate) fn drawn(count: usize, seed: Seed) -> Result<Self> {
        check_count(count)?;
        Ok(Directions::Drawn { count, seed })
    }

    /// `count` that keep apart.
    pub(crate) fn spread(count: usize, seed: Seed) -> Result<Self> {
        check_count(count)?;
        Ok(Directions::Spread { count, seed })
    }

    /// One a row, scaled to length one.
    pub(crate) fn given(mut directions: Points) -> Result<Self> {
        check_count(directions.len())?;
        directions.check_finite("directions")?;
        for (index, row) in directions.rows_mut().enumerate() {
            let length = NormPower::euclidean().length(row.iter().copied());
            if length == 0.0 || length.is_infinite() {
                return Err(Error::Entry {
                    what: "length of directions",
                    index,
                    value: length,
                    must: "positive and finite",
                });
            }
            row.iter_mut().for_each(|v| *v /= length);
        }
        Ok(Directions::Given(directions))
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Directions::Drawn { count, .. } | Directions::Spread { count, .. } => *count,
            Directions::Given(directions) => directions.len(),
        }
    }

    /// Those of ℝ^`dim`, L×d.
    pub(crate) fn of(&self, dim: usize) -> Result<Points> {
        match self {
            Directions::Drawn { count, seed } => directions(dim, *count, *seed),
            Directions::Spread { count, seed } => spread_directions(dim, *count, *seed),
            Directions::Given(directions) => {
                check_dim("measures", directions.dim(), dim)?;
                Ok(directions.clone())
            }
        }
    }
}

fn check_count(count: usize) -> Result<()> {
    if count == 0 {
        return Err(Error::TooFew { what: "directions", at_least: 1, got: 0 });
    }
    Ok(())
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

/// `count` unit vectors of ℝ^`dim` that keep apart, of which a random one is, up to its sign, uniform on the sphere: in the plane
/// at equal angles πl/L, turned together by a random share of π/L; in higher dimensions orthogonal to each other in groups
/// of d.
///
/// A mean of an even function over them has the expectation of one over [`directions`] and, for functions that vary slowly with
/// the direction, a smaller variance. Source for orthogonal groups: Rowland et al., *Orthogonal estimation of Wasserstein distances* (2019),
/// arXiv 1903.03784.
///
/// # Errors
/// `dim` is zero.
pub fn spread_directions(dim: usize, count: usize, seed: Seed) -> Result<Points> {
    if dim == 2 {
        let turn: f64 = seed.named("turn").rng().random();
        return Ok(Points::from_fn(count, 2, |l, row| {
            let (sin, cos) = (PI * (l as f64 + turn) / count as f64).sin_cos();
            row.copy_from_slice(&[cos, sin]);
        }));
    }
    let mut all = directions(dim, count, seed)?;
    let mut first = 0;
    while first < count {
        // Gram and Schmidt, twice for the digits: the directions of Gaussian vectors become a uniform frame.
        for l in first..count.min(first + dim) {
            let mut rest = all.row(l).to_vec();
            for k in (first..l).chain(first..l) {
                let along = dot(&rest, all.row(k));
                rest.iter_mut().zip(all.row(k)).for_each(|(v, o)| *v -= along * o);
            }
            let length = NormPower::euclidean().length(rest.iter().copied());
            // What is hardly more than round-off has no direction; the vector stays as it was drawn.
            if length > 1e-8 {
                all.row_mut(l).iter_mut().zip(rest).for_each(|(v, rest)| *v = rest / length);
            }
        }
        first += dim;
    }
    Ok(all)
}

/// The other measure of a pair, seen along all lines; perhaps with its sorted projections, L·m numbers and, if it has weights,
/// their order.
pub(crate) struct Lines<'a> {
    pub(crate) of: &'a Empirical,
    pub(crate) theta: Points,
    /// Directions of one task.
    together: usize,
    kept: Vec<Ranked>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(of: &'a Empirical, directions: &Directions) -> Result<Self> {
        // Lines that keep apart are few, and there should be work for more than one thread.
        let together = if matches!(directions, Directions::Spread { .. }) { WIDTH } else { TOGETHER };
        Ok(Lines { of, theta: directions.of(of.dim())?, together, kept: Vec::new() })
    }

    /// The same with its projections kept for further calls.
    pub(crate) fn kept(self) -> Self {
        let points = Projector::new(self.of);
        let lines = parallel::map_blocks(self.theta.len(), self.together, |part| {
            points.ranked(&self.theta, part, false)
        });
        Lines { kept: lines.into_iter().flatten().collect(), ..self }
    }

    /// What `work` makes of the sorted projections on some of the lines.
    fn on<T>(&self, part: Range<usize>, work: impl FnOnce(&[Ranked]) -> T) -> T {
        if self.kept.is_empty() {
            work(&Projector::new(self.of).ranked(&self.theta, part, false))
        } else {
            work(&self.kept[part])
        }
    }

    /// Σ over lines of a function of the sorted projections of `mu` and of this measure.
    pub(crate) fn sum(&self, mu: &Empirical, value: impl Fn(&Ranked, &Ranked) -> f64 + Sync) -> f64 {
        let x = Projector::new(mu);
        let values = parallel::map_blocks(self.theta.len(), self.together, |part| {
            let x = x.ranked(&self.theta, part.clone(), false);
            self.on(part, |y| x.iter().zip(y).map(|(x, y)| value(x, y)).collect::<Vec<_>>())
        });
        values.iter().flatten().sum()
    }

    /// The same with the derivatives of the sum in `mu`.
    pub(crate) fn sum_with_slopes(
        &self,
        mu: &Empirical,
        along: impl Fn(&Ranked, &Ranked) -> AlongLine + Sync,
    ) -> SumOverLines {
        let (n, d) = (mu.len(), mu.dim());
        let mut sum = SumOverLines { value: 0.0, potential: vec![0.0; n], gradients: Points::zeros(n, d) };
        let x = Projector::new(mu);
        for batch in parallel::blocks(self.theta.len(), BATCH) {
            let parts = parallel::map_blocks(batch.len(), self.together, |part| {
                let part = batch.start + part.start..batch.start + part.end;
                let x = x.ranked(&self.theta, part.clone(), true);
                let mut potential = vec![0.0; n];
                let lines = self.on(part, |y| {
                    let each = x.iter().zip(y).map(|(x, y)| {
                        let line = along(x, y);
                        let mut slopes = vec![0.0; n];
                        for ((&i, f), slope) in x.order().iter().zip(&line.potential).zip(&line.slopes) {
                            potential[i] += f;
                            slopes[i] = *slope;
                        }
                        (line.value, slopes)
                    });
                    each.collect::<Vec<_>>()
                });
                (lines, potential)
            });
            let mut slopes = Vec::with_capacity(batch.len());
            for (lines, of_part) in &parts {
                sum.potential.iter_mut().zip(of_part).for_each(|(h, f)| *h += f);
                sum.value += lines.iter().map(|line| line.0).sum::<f64>();
                slopes.extend(lines.iter().map(|line| line.1.as_slice()));
            }
            let theta = in_lanes(&self.theta, batch);
            parallel::fill_blocks(sum.gradients.as_mut_slice(), d, ROWS, |rows, out| {
                dispatch(Combine { slopes: &slopes, theta: &theta, first: rows.start, dim: d, out });
            });
        }
        sum
    }
}

/// What one line adds to a sum: its value, and at the atoms of the first measure, in ascending order of their projections, its
/// potential and the slope of that.
pub(crate) struct AlongLine {
    pub(crate) value: f64,
    pub(crate) potential: Vec<f64>,
    pub(crate) slopes: Vec<f64>,
}

/// A sum over lines, with potential and its gradient at the atoms of the first measure.
pub(crate) struct SumOverLines {
    pub(crate) value: f64,
    pub(crate) potential: Vec<f64>,
    pub(crate) gradients: Points,
}

impl SumOverLines {
    /// Its derivatives multiplied by a factor; the value stays.
    pub(crate) fn scaled_slopes(mut self, factor: f64) -> Self {
        self.potential.iter_mut().for_each(|h| *h *= factor);
        let d = self.gradients.dim();
        parallel::fill_blocks(self.gradients.as_mut_slice(), d, ROWS, |_, out| {
            out.iter_mut().for_each(|g| *g *= factor);
        });
        self
    }
}

/// ⟨θ, xᵢ⟩ for every row.
pub(crate) fn project(x: &Points, theta: &[f64]) -> Vec<f64> {
    x.rows().map(|row| dot(row, theta)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// ⟨θ, e⟩² has mean 1/d; outside the plane, whichever direction of the set is looked at.
    #[test]
    fn spread_directions_are_uniform_and_keep_apart() {
        for (dim, count) in [(1, 3), (2, 7), (3, 7), (5, 12)] {
            let runs = 4000;
            let (mut squares, mut turned) = (vec![0.0; count], 0.0);
            for run in 0..runs {
                let theta = spread_directions(dim, count, Seed::new(run)).unwrap();
                for (l, row) in theta.rows().enumerate() {
                    assert!((dot(row, row) - 1.0).abs() < 1e-14);
                    squares[l] += row[0] * row[0] / runs as f64;
                    for k in (0..l).filter(|k| dim > 2 && k / dim == l / dim) {
                        assert!(dot(row, theta.row(k)).abs() < 1e-14);
                    }
                }
                if dim == 2 {
                    let first = theta.row(0);
                    turned += (2.0 * count as f64 * first[1].atan2(first[0])).cos() / runs as f64;
                    let step = PI / count as f64;
                    for l in 1..count {
                        assert!((dot(theta.row(l), theta.row(l - 1)) - step.cos()).abs() < 1e-14);
                    }
                }
            }
            // ⟨θ, e⟩² has variance 3/(d(d + 2)) − 1/d²; in the plane each direction sees a part of the circle alone.
            // cos 2Lφ has mean 0 and variance ½ if the turn is uniform.
            assert!(turned.abs() < 5.5 * (0.5 / runs as f64).sqrt(), "{turned}");
            let mean = squares.iter().sum::<f64>() / count as f64;
            assert!((mean - 1.0 / dim as f64).abs() < 1e-2, "{dim}: {mean}");
            if dim > 2 {
                let d = dim as f64;
                let error = ((3.0 / (d * (d + 2.0)) - 1.0 / (d * d)) / runs as f64).sqrt();
                assert!(squares.iter().all(|s| (s - 1.0 / d).abs() < 5.5 * error), "{squares:?}");
            }
        }
        assert!(spread_directions(0, 3, Seed::new(0)).is_err());
    }
}
