//! Newton's method for a dual problem, with a certificate: a feasible point of the primal.
//!
//! The primal of sup_c ⟨A(F c)|μ⟩ − ⟨B(F c)|ν⟩ is to choose densities p on the atoms of μ and r on those of ν that give
//! every function of the family the same integral, at the least cost of their conjugates. At any c the slopes A′ and
//! B′, corrected to first order along the Newton step, match all integrals exactly, since the step solves the
//! linearised equations; where they stay in their domain they bound the supremum from above.

use super::sides::{Jet, Sides};
use measures::nalgebra::{Cholesky, DMatrix, DVector};
use measures::parallel::{accumulate_blocks, map_blocks};

/// Functions at the atoms of one measure, n rows of K + 1 numbers of which the last is 1, and the weights.
pub(super) struct Table {
    pub(super) width: usize,
    pub(super) rows: Vec<f64>,
    pub(super) weights: Vec<f64>,
}

/// Rows to a block of parallel work.
const BLOCK: usize = 1024;

/// Up to this many functions the Hessian is formed and factorised; beyond, conjugate gradients.
const DENSE: usize = 400;

impl Table {
    fn len(&self) -> usize {
        self.weights.len()
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.width..(i + 1) * self.width]
    }

    /// F c.
    pub(super) fn apply(&self, c: &[f64]) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(c).map(|(f, c)| f * c).sum::<f64>();
        map_blocks(self.len(), BLOCK, |range| range.map(|i| dot(self.row(i))).collect::<Vec<_>>()).concat()
    }

    /// Σᵢ wᵢ sᵢ Fᵢ.
    fn integrate(&self, s: &[f64]) -> Vec<f64> {
        accumulate_blocks(self.len(), BLOCK, self.width, |range, out| {
            for i in range {
                let w = self.weights[i] * s[i];
                out.iter_mut().zip(self.row(i)).for_each(|(o, f)| *o += w * f);
            }
        })
    }

    /// Σᵢ wᵢ sᵢ.
    fn mean(&self, s: impl Iterator<Item = f64>) -> f64 {
        self.weights.iter().zip(s).map(|(w, s)| w * s).sum()
    }

    /// The lower triangle of Σᵢ wᵢ sᵢ Fᵢ Fᵢᵀ, row-major in a full square.
    fn gram(&self, s: &[f64]) -> Vec<f64> {
        let k = self.width;
        let arch = pulp::Arch::new();
        accumulate_blocks(self.len(), BLOCK, k * k, |range, out| {
            arch.dispatch(|| {
                for i in range {
                    let (w, row) = (self.weights[i] * s[i], self.row(i));
                    if w == 0.0 {
                        continue;
                    }
                    for p in 0..k {
                        let scale = w * row[p];
                        out[p * k..=p * k + p].iter_mut().zip(row).for_each(|(o, f)| *o += scale * f);
                    }
                }
            });
        })
    }
}

/// How a maximisation of a dual ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// The certificate closed the gap to the tolerance.
    Optimal,
    /// The supremum is +∞: a function of the family separates the samples. The coefficients are one that does.
    Unbounded,
    /// A function of the family separates the samples and the supremum φ(0) + φ′(∞) is approached, not attained, as it
    /// grows. The coefficients are one that does.
    Separated,
    /// The iterations ran out, or round-off stopped all progress, with the gap between `value` and `upper` still open.
    Stopped,
}

/// Where the search ended.
pub(super) struct Found {
    pub(super) c: Vec<f64>,
    pub(super) lower: f64,
    pub(super) bound: Bound,
    pub(super) iterations: usize,
    pub(super) status: Status,
}

/// A feasible point of the primal: an upper bound on the supremum.
pub(super) struct Bound {
    pub(super) upper: f64,
    /// The largest mismatch of integrals it was computed at, relative to the largest value of each function.
    pub(super) residual: f64,
    /// p at the atoms of μ: the slope of the supremum in the values of u there.
    pub(super) slopes: Vec<f64>,
}

pub(super) struct Problem<'a> {
    pub(super) first: &'a Table,
    pub(super) second: &'a Table,
    /// The largest absolute value of each function over both tables.
    pub(super) scale: &'a [f64],
    pub(super) ridge: f64,
    pub(super) tolerance: f64,
    pub(super) max_iterations: usize,
}

/// Barriers start here and shrink by this factor.
const FIRST_BARRIER: f64 = 0.1;
const SHRINK: f64 = 0.1;
/// Below this barrier round-off has the last word.
const LAST_BARRIER: f64 = 1e-13;
/// The largest relative mismatch of integrals of a primal point that counts as feasible.
const FEASIBLE: f64 = 1e-9;

impl Problem<'_> {
    pub(super) fn solve(&self, mut sides: Sides) -> Found {
        let width = self.first.width;
        sides.barrier = if sides.has_barrier() { FIRST_BARRIER } else { 0.0 };
        let mut found = Found {
            c: vec![0.0; width],
            lower: 0.0,
            bound: Bound { upper: f64::INFINITY, residual: f64::INFINITY, slopes: vec![] },
            iterations: 0,
            status: Status::Stopped,
        };
        let mut c = vec![0.0; width];
        let (mut u, mut v) = (self.first.apply(&c), self.second.apply(&c));
        let mut objective = self.objective(sides, &c, &u, &v);
        while found.iterations < self.max_iterations {
            found.iterations += 1;
            let step = self.newton_step(sides, &c, &u, &v);
            let (along_u, along_v) = (self.first.apply(&step.delta), self.second.apply(&step.delta));
            let bound = self.certificate(sides, &c, &step, &along_u, &along_v);
            if bound.upper < found.bound.upper {
                found.bound = bound;
            }
            if found.bound.upper - found.lower <= self.tolerance * found.lower.abs().max(1.0) {
                found.status = Status::Optimal;
                // The gap is quadratic in the error of the maximiser: one more step squares the latter too.
                let polished: Vec<f64> = c.iter().zip(&step.delta).map(|(c, d)| c + d).collect();
                let (u, v) = (self.first.apply(&polished), self.second.apply(&polished));
                let lower = self.exact(sides, &polished, &u, &v);
                if !sides.has_barrier() && lower >= found.lower - 1e-14 * found.lower.abs() {
                    (found.c, found.lower) = (polished, lower.max(found.lower));
                }
                break;
            }
            let separated = self.separation(sides, &along_u, &along_v, &step.delta);
            let separated = separated.or_else(|| self.separation(sides, &u, &v, &c));
            if let Some((status, value, c)) = separated {
                let bound = Bound { upper: value, residual: 0.0, slopes: vec![] };
                return Found { c, lower: value, bound, status, ..found };
            }
            // Close enough to the centre of this barrier: lower it. Its own share of the gap is a few times its height.
            if let Some(c) = self.runs_away(sides, &u, &v, &c) {
                let bound = Bound { upper: f64::INFINITY, residual: 0.0, slopes: vec![] };
                return Found { c, lower: f64::INFINITY, bound, status: Status::Unbounded, ..found };
            }
            if sides.has_barrier() && step.decrement <= 0.1 * sides.barrier {
                if sides.barrier <= LAST_BARRIER {
                    break;
                }
                sides.barrier *= SHRINK;
                objective = self.objective(sides, &c, &u, &v);
                continue;
            }
            // Backtracking: a Newton step near the maximum gains half its decrement; be content with a tenth.
            let mut size = 1.0;
            let moved = loop {
                let at = |x: &[f64], dx: &[f64]| -> Vec<f64> {
                    x.iter().zip(dx).map(|(x, dx)| x + size * dx).collect()
                };
                let (next_u, next_v, next_c) = (at(&u, &along_u), at(&v, &along_v), at(&c, &step.delta));
                let gained = self.objective(sides, &next_c, &next_u, &next_v);
                if gained.is_finite() && gained > objective + 0.1 * size * step.decrement {
                    break Some((next_c, next_u, next_v, gained));
                }
                size *= 0.5;
                if size < 1e-12 {
                    break None;
                }
            };
            let Some(next) = moved else {
                // Round-off: a lower barrier may still have something to gain.
                if sides.has_barrier() && sides.barrier > LAST_BARRIER {
                    sides.barrier *= SHRINK;
                    objective = self.objective(sides, &c, &u, &v);
                    continue;
                }
                break;
            };
            (c, u, v, objective) = next;
            let lower = self.exact(sides, &c, &u, &v);
            if lower > found.lower {
                found.lower = lower;
                found.c.clone_from(&c);
            }
        }
        found
    }

    fn penalty(&self, c: &[f64]) -> f64 {
        0.5 * self.ridge * c[..c.len() - 1].iter().map(|c| c * c).sum::<f64>()
    }

    fn objective(&self, sides: Sides, c: &[f64], u: &[f64], v: &[f64]) -> f64 {
        self.first.mean(u.iter().map(|u| sides.first(*u).value))
            - self.second.mean(v.iter().map(|v| sides.second(*v).value))
            - self.penalty(c)
    }

    fn exact(&self, sides: Sides, c: &[f64], u: &[f64], v: &[f64]) -> f64 {
        self.first.mean(u.iter().map(|u| sides.exact_first(*u)))
            - self.second.mean(v.iter().map(|v| sides.exact_second(*v)))
            - self.penalty(c)
    }

    fn newton_step(&self, sides: Sides, c: &[f64], u: &[f64], v: &[f64]) -> Step {
        let a: Vec<Jet> = u.iter().map(|u| sides.first(*u)).collect();
        let b: Vec<Jet> = v.iter().map(|v| sides.second(*v)).collect();
        let slopes = |jets: &[Jet]| jets.iter().map(|j| j.slope).collect::<Vec<_>>();
        let mut gradient = self.first.integrate(&slopes(&a));
        gradient.iter_mut().zip(self.second.integrate(&slopes(&b))).for_each(|(g, r)| *g -= r);
        let k = c.len() - 1;
        gradient[..k].iter_mut().zip(c).for_each(|(g, c)| *g -= self.ridge * c);
        let bends: [Vec<f64>; 2] = [a.iter().map(|j| -j.bend).collect(), b.iter().map(|j| j.bend).collect()];
        let delta = if c.len() <= DENSE {
            self.dense_solve(&bends, &gradient)
        } else {
            self.conjugate_gradients(&bends, &gradient)
        };
        let decrement = gradient.iter().zip(&delta).map(|(g, d)| g * d).sum();
        Step { a, b, delta, decrement }
    }

    fn dense_solve(&self, bends: &[Vec<f64>; 2], gradient: &[f64]) -> Vec<f64> {
        let k = gradient.len();
        let mut hessian = self.first.gram(&bends[0]);
        hessian.iter_mut().zip(self.second.gram(&bends[1])).for_each(|(h, g)| *h += g);
        (0..k - 1).for_each(|p| hessian[p * k + p] += self.ridge);
        // Functions come in any units: scale to a unit diagonal.
        let unit: Vec<f64> = (0..k)
            .map(|p| hessian[p * k + p])
            .map(|h| if h > 0.0 && h.is_finite() { 1.0 / h.sqrt() } else { 1.0 })
            .collect();
        let right = DVector::from_fn(k, |p, _| unit[p] * gradient[p]);
        // Collinear functions make it singular: lift it by as little as the factorisation can see.
        let mut lift = 1e-14;
        loop {
            let mut matrix = DMatrix::zeros(k, k);
            for p in 0..k {
                (0..=p).for_each(|q| matrix[(p, q)] = unit[p] * unit[q] * hessian[p * k + q]);
                matrix[(p, p)] += lift;
            }
            if let Some(factor) = Cholesky::new(matrix) {
                let step = factor.solve(&right);
                if step.iter().all(|s| s.is_finite()) {
                    return step.iter().zip(&unit).map(|(s, unit)| s * unit).collect();
                }
            }
            lift *= 10.0;
            if lift > 1.0 {
                return gradient.to_vec();
            }
        }
    }

    fn conjugate_gradients(&self, bends: &[Vec<f64>; 2], gradient: &[f64]) -> Vec<f64> {
        let k = gradient.len();
        let product = |x: &[f64]| -> Vec<f64> {
            let side = |table: &Table, bend: &[f64]| {
                let along = table.apply(x);
                table.integrate(&along.iter().zip(bend).map(|(a, b)| a * b).collect::<Vec<_>>())
            };
            let mut out = side(self.first, &bends[0]);
            out.iter_mut().zip(side(self.second, &bends[1])).for_each(|(o, s)| *o += s);
            out[..k - 1].iter_mut().zip(x).for_each(|(o, x)| *o += self.ridge * x);
            out
        };
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let (mut x, mut r, mut p) = (vec![0.0; k], gradient.to_vec(), gradient.to_vec());
        let mut rho = dot(&r, &r);
        let stop = rho * 1e-24;
        for _ in 0..4 * k {
            if rho <= stop {
                break;
            }
            let q = product(&p);
            let curvature = dot(&p, &q);
            if curvature <= 0.0 {
                break;
            }
            let size = rho / curvature;
            x.iter_mut().zip(&p).for_each(|(x, p)| *x += size * p);
            r.iter_mut().zip(&q).for_each(|(r, q)| *r -= size * q);
            let next = dot(&r, &r);
            p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + next / rho * *p);
            rho = next;
        }
        if x.iter().all(|x| *x == 0.0) { gradient.to_vec() } else { x }
    }

    /// The feasible point next to where the search is.
    fn certificate(&self, sides: Sides, c: &[f64], step: &Step, du: &[f64], dv: &[f64]) -> Bound {
        let corrected = |jets: &[Jet], along: &[f64], inside: &dyn Fn(f64) -> f64| -> Vec<f64> {
            jets.iter().zip(along).map(|(j, d)| inside(j.slope + j.bend * d)).collect()
        };
        let p = corrected(&step.a, du, &|p| sides.first_slope(p));
        let r = corrected(&step.b, dv, &|r| sides.second_slope(r));
        let k = c.len() - 1;
        let target: Vec<f64> = (0..k).map(|k| self.ridge * (c[k] + step.delta[k])).collect();
        let mut upper = self.first.mean(p.iter().map(|p| sides.first_conjugate(*p)))
            + self.second.mean(r.iter().map(|r| sides.second_conjugate(*r)));
        if self.ridge > 0.0 {
            upper += target.iter().map(|t| t * t).sum::<f64>() / (2.0 * self.ridge);
        }
        let mut mismatch = self.first.integrate(&p);
        mismatch.iter_mut().zip(self.second.integrate(&r)).for_each(|(m, r)| *m -= r);
        mismatch.iter_mut().zip(&target).for_each(|(m, t)| *m -= t);
        // What is left over enters the bound through the coefficients of the maximiser, which are near these.
        upper += mismatch.iter().zip(c).map(|(m, c)| m * c).sum::<f64>().max(0.0);
        let relative = mismatch.iter().zip(self.scale).map(|(m, s)| m.abs() / s);
        let residual = relative.fold(0.0, f64::max);
        if upper.is_nan() || residual > FEASIBLE {
            upper = f64::INFINITY;
        }
        Bound { upper, residual, slopes: p }
    }

    /// Where f is held below the end of its domain and φ(0) = ∞: whether it lies at that end on all of μ and far below
    /// it on all of ν, where it may go on falling.
    fn runs_away(&self, sides: Sides, u: &[f64], v: &[f64], c: &[f64]) -> Option<Vec<f64>> {
        let end = sides.phi.recession();
        if self.ridge > 0.0 || !sides.has_barrier() || sides.phi.at_zero().is_finite() {
            return None;
        }
        let slack = u.iter().fold(0.0, |worst: f64, u| worst.max(end - u));
        let depth = v.iter().fold(f64::INFINITY, |least, v| least.min(end - v));
        (slack < 1e-6 * depth).then(|| c.to_vec())
    }

    /// Whether the function of these values separates the samples so that it may grow for ever, with the supremum.
    fn separation(&self, sides: Sides, u: &[f64], v: &[f64], c: &[f64]) -> Option<(Status, f64, Vec<f64>)> {
        if self.ridge > 0.0 {
            return None;
        }
        let range =
            |x: &[f64]| x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
        let ((low_u, high_u), (low_v, high_v)) = (range(u), range(v));
        // What round-off may hide.
        let slack = 1e-9 * (high_u.max(high_v) - low_u.min(low_v));
        let mean_u = self.first.mean(u.iter().copied());
        let mean_v = self.second.mean(v.iter().copied());
        let (above, below, infinite) = sides.recession((mean_u, low_u), (mean_v, high_v))?;
        if slack.is_nan() || above - below <= slack {
            return None;
        }
        let mut c = c.to_vec();
        // The constant goes between the two, so that zero is the border.
        *c.last_mut()? -= 0.5 * (above + below);
        if infinite {
            return Some((Status::Unbounded, f64::INFINITY, c));
        }
        Some((Status::Separated, sides.phi.at_zero() + sides.phi.recession(), c))
    }
}

struct Step {
    a: Vec<Jet>,
    b: Vec<Jet>,
    delta: Vec<f64>,
    decrement: f64,
}
