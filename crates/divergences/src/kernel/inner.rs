//! Squared distances from inner products, in many dimensions.
//!
//! With coordinates taken in threes (a, b, c), Winograd's identity turns two products into one and two additions:
//!
//! ‖x − y‖² = Σ (xₐ + x_b)² + x_c² + Σ (yₐ + y_b)² + y_c² − 2 Σ [(xₐ + y_b)(x_b + yₐ) + x_c y_c].
//!
//! A pair of points costs two multiply–adds and two additions every three coordinates where differences take three of each:
//! on processors with ports of their own for both, a third less. Coordinates are taken from the middle of the points. The
//! rounding is absolute, at most (3d + 8)u(‖x‖ + ‖y‖)² with u = 2⁻⁵³, so it is done where a kernel is too flat to show it.
//!
//! A kernel that has no such bound but forgives relative errors, as −‖x − y‖ does, is summed like that too, if few points are
//! close to one another in comparison with their lengths: pairs with ‖x − y‖² < (‖x‖ + ‖y‖)²/32 are computed again from
//! differences, and of the others ‖x − y‖ is exact to 16(3d + 8)u of itself. Source: S. Winograd, *A new algorithm for inner
//! product* (1968), doi:10.1109/TC.1968.227420.

use super::pairs::{Profile, Statistic};
use crate::packed::Packed;
use measures::lanes::{F64s, Lanes, WIDTH};
use measures::{Points, parallel};

/// Below this dimension there is little to gain.
const FEWEST_COORDINATES: usize = 16;

/// How large steepness·(‖x‖ + ‖y‖)² may be: five bits of the kernel's value.
const SPREAD: f64 = 32.0;

/// Rows whose lengths one task looks at.
const ROWS: usize = 1024;

/// Of (‖x‖ + ‖y‖)², what ‖x − y‖² may be and still come from inner products, where relative errors count.
const CLOSE: f64 = 1.0 / 32.0;

/// Fewer pairs are summed by differences sooner than others are looked at.
const FEWEST_PAIRS: usize = 1 << 20;

/// Pairs that are looked at, and how many of them may be close: one tile of 64 in eight is computed twice then.
const SAMPLED: usize = 4096;
const FEW: usize = 8;

/// The point that coordinates are taken from.
pub(crate) struct Inner {
    centre: Vec<f64>,
    is_guarded: bool,
}

impl Inner {
    /// For sums of a kernel between two clouds, where it may be done.
    pub(crate) fn new<P: Profile>(profile: &P, x: &Points, y: &Points) -> Option<Self> {
        let steepness = profile.steepness();
        if !P::Of::IS_SQUARED_DISTANCE || x.dim() < FEWEST_COORDINATES || !steepness.is_finite() {
            return None;
        }
        let (low, high) = crate::transport::bounding_box(x, y);
        let centre: Vec<f64> = low.iter().zip(&high).map(|(l, h)| 0.5 * l + 0.5 * h).collect();
        let longest = |points: &Points| {
            let square = |row: &[f64]| row.iter().zip(&centre).map(|(x, c)| (x - c) * (x - c)).sum::<f64>();
            let largest = parallel::map_blocks(points.len(), ROWS, |rows| {
                rows.map(|i| square(points.row(i))).fold(0.0, f64::max)
            });
            largest.into_iter().fold(0.0, f64::max).sqrt()
        };
        let reach = longest(x) + longest(y);
        (steepness * reach * reach <= SPREAD).then_some(Inner { centre, is_guarded: false })
    }

    /// As [`Inner::new`] for sums of values alone, which may also be guarded.
    pub(crate) fn for_values<P: Profile>(profile: &P, x: &Points, y: &Points) -> Option<Self> {
        Inner::new(profile, x, y).or_else(|| {
            let may_be = P::Of::IS_SQUARED_DISTANCE
                && profile.forgives_relative_errors()
                && x.dim() >= FEWEST_COORDINATES
                && x.len().saturating_mul(y.len()) >= FEWEST_PAIRS;
            if !may_be {
                return None;
            }
            let centre = mean_of_some(x, y);
            are_few_close(x, y, &centre).then_some(Inner { centre, is_guarded: true })
        })
    }

    pub(crate) fn centre(&self) -> &[f64] {
        &self.centre
    }

    /// The largest length of a point in each group, if close pairs are to be told by it.
    pub(crate) fn lengths(&self, points: &Packed) -> Vec<f64> {
        let square = |group: &[[f64; WIDTH]], i: usize| group.iter().map(|c| c[i] * c[i]).sum::<f64>();
        let longest = |group| (0..WIDTH).map(|i| square(group, i)).fold(0.0, f64::max).sqrt();
        let groups = if self.is_guarded { points.len() } else { 0 };
        (0..groups).map(|g| longest(points.group(g))).collect()
    }

    /// Σ (xₐ + x_b)² + x_c² for the points of a group; of coordinates that make no three, their squares.
    pub(crate) fn squares(group: &[[f64; WIDTH]]) -> [f64; WIDTH] {
        let (threes, rest) = group.as_chunks::<3>();
        std::array::from_fn(|i| {
            let three = |[a, b, c]: &[[f64; WIDTH]; 3]| (a[i] + b[i]) * (a[i] + b[i]) + c[i] * c[i];
            threes.iter().map(three).sum::<f64>() + rest.iter().map(|c| c[i] * c[i]).sum::<f64>()
        })
    }
}

/// The mean of a subsample of both clouds.
fn mean_of_some(x: &Points, y: &Points) -> Vec<f64> {
    let mut mean = vec![0.0; x.dim()];
    for points in [x, y] {
        let step = points.len().div_ceil(SAMPLED);
        let share = 0.5 / points.len().div_ceil(step) as f64;
        for row in points.rows().step_by(step) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += share * x);
        }
    }
    mean
}

/// Whether at most [`FEW`] of [`SAMPLED`] pairs are close.
fn are_few_close(x: &Points, y: &Points, centre: &[f64]) -> bool {
    // A sequence of low discrepancy in the square, in units of 2⁻³²: pairs all over the table, whatever the order of the
    // points (multiples of the powers −1 and −2 of the plastic number).
    let at = |k: usize, factor: u32, len: usize| {
        ((u128::from(factor.wrapping_mul(k as u32)) * len as u128) >> 32) as usize
    };
    let is_close = |k: &usize| {
        let (x, y) = (x.row(at(*k, 3_242_174_889, x.len())), y.row(at(*k, 2_447_445_414, y.len())));
        let (mut own, mut other, mut between) = (0.0, 0.0, 0.0);
        for ((x, y), c) in x.iter().zip(y).zip(centre) {
            own += (x - c) * (x - c);
            other += (y - c) * (y - c);
            between += (x - y) * (x - y);
        }
        let reach = own.sqrt() + other.sqrt();
        // A length that overflows is left to differences too.
        !reach.is_finite() || between < CLOSE * reach * reach
    };
    (1..=SAMPLED).filter(is_close).count() <= FEW
}

/// Whether any of some squared distances is too small for points of these lengths to come from inner products.
#[inline(always)]
pub(crate) fn is_any_close<L: Lanes>(lanes: L, squares: &[F64s<L>; WIDTH], reach: f64) -> bool {
    let mut least = squares[0];
    for t in 1..WIDTH {
        least = least.min(squares[t]);
    }
    least.any_less(F64s::splat(lanes, CLOSE * reach * reach))
}

/// ‖x − y‖² for eight broadcast y and eight x in the lanes, each side with its [`Inner::squares`].
#[inline(always)]
pub(crate) fn squared_distances<L: Lanes>(
    lanes: L,
    (x, x_squares): (&[[f64; WIDTH]], &[f64; WIDTH]),
    (y, y_squares): (&[[f64; WIDTH]], &[f64; WIDTH]),
) -> [F64s<L>; WIDTH] {
    let zero = F64s::splat(lanes, 0.0);
    let mut sums = [zero; WIDTH];
    let ((x_threes, x_rest), (y_threes, y_rest)) = (x.as_chunks::<3>(), y.as_chunks::<3>());
    for (x, y) in x_threes.iter().zip(y_threes) {
        let (a, b, c) = (F64s::load(lanes, &x[0]), F64s::load(lanes, &x[1]), F64s::load(lanes, &x[2]));
        for t in 0..WIDTH {
            let left = a + F64s::splat(lanes, y[1][t]);
            let right = b + F64s::splat(lanes, y[0][t]);
            sums[t] = c.mul_add(F64s::splat(lanes, y[2][t]), left.mul_add(right, sums[t]));
        }
    }
    for (x, y) in x_rest.iter().zip(y_rest) {
        let x = F64s::load(lanes, x);
        for t in 0..WIDTH {
            sums[t] = x.mul_add(F64s::splat(lanes, y[t]), sums[t]);
        }
    }
    let (own, two) = (F64s::load(lanes, x_squares), F64s::splat(lanes, 2.0));
    for t in 0..WIDTH {
        sums[t] = sums[t].neg_mul_add(two, own + F64s::splat(lanes, y_squares[t])).max(zero);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Energy, Gaussian, Kernel, Mixture};
    use measures::{Sample, Seed, zoo};

    fn cloud(n: usize, dim: usize, seed: u64, at: f64) -> Points {
        zoo::Gaussian::isotropic(&vec![at; dim], 1.0).unwrap().sample(n, &mut Seed::new(seed).rng())
    }

    #[test]
    fn sums_are_those_of_single_pairs() {
        for dim in [16, 17, 18, 64] {
            let h = (dim as f64).sqrt();
            let (x, y) = (cloud(37, dim, 1, 3e3), cloud(50, dim, 2, 3e3));
            let kernel = Mixture::of_bandwidths(&[h, 2.0 * h]).unwrap();
            assert!(Inner::new(&kernel, &x, &y).is_some(), "the test is of inner products");
            let v: Vec<f64> = (0..50).map(|j| (j as f64).sin()).collect();
            let found = kernel.embedding(&y, &v, &x);
            let (potential, mut gradient) = (kernel.potential(&y, &v, &x), vec![0.0; dim]);
            for i in 0..37 {
                let value: f64 = y.rows().zip(&v).map(|(y, v)| v * kernel.value(x.row(i), y)).sum();
                assert!((found.values[i] - value).abs() < 1e-14 && (potential[i] - value).abs() < 1e-14);
                let mut expected = vec![0.0; dim];
                for (y, v) in y.rows().zip(&v) {
                    kernel.gradient(x.row(i), y, &mut gradient);
                    expected.iter_mut().zip(&gradient).for_each(|(e, g)| *e += v * g);
                }
                for (a, b) in found.gradients.row(i).iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-14, "{a} is not {b}");
                }
            }
        }
    }

    #[test]
    fn distances_of_close_points_are_computed_again() {
        for (dim, exponent) in [(16, 1.0), (23, 0.5), (64, 1.0)] {
            let (x, mut y) = (cloud(1200, dim, 1, 1e5), cloud(900, dim, 2, 1e5));
            let kernel = Energy::new(exponent).unwrap();
            // copies, and points as near as the coordinates allow
            for k in 0..40 {
                y.row_mut(20 * k).copy_from_slice(x.row(29 * k));
                y.row_mut(20 * k)[k % dim] += [0.0, 1e-10, 1e-6, 1e-3][k % 4];
            }
            assert!(Inner::for_values(&kernel, &x, &y).is_some_and(|inner| inner.is_guarded));
            let v: Vec<f64> = (0..900).map(|j| (j as f64).sin()).collect();
            let potential = kernel.potential(&y, &v, &x);
            let size = v.iter().map(|v| v.abs()).sum::<f64>() * (2.0 * dim as f64).powf(0.5 * exponent);
            let (mut worst, mut near) = (0.0f64, 0.0f64);
            for i in 0..1200 {
                let value: f64 = y.rows().zip(&v).map(|(y, v)| v * kernel.value(x.row(i), y)).sum();
                worst = worst.max((potential[i] - value).abs());
            }
            // One pair at a time, so that nothing hides the near ones.
            let mut one = vec![0.0; 900];
            for k in 0..40 {
                one[20 * k] = 1.0;
                let found = kernel.potential(&y, &one, &x)[29 * k];
                near = near.max((found - kernel.value(x.row(29 * k), y.row(20 * k))).abs());
                one[20 * k] = 0.0;
            }
            assert!(worst < 1e-14 * size, "{dim}: {worst} of {size}");
            assert!(near < 1e-14, "{dim}: {near}");
        }
    }

    #[test]
    fn clusters_and_few_points_are_left_to_differences() {
        let kernel = Energy::distance();
        let x = cloud(1100, 20, 1, 0.0);
        assert!(Inner::for_values(&kernel, &x, &x).is_some());
        assert!(Inner::for_values(&kernel, &x, &x.select(&[0, 1, 2])).is_none());
        // Ten tight clusters: a tenth of the pairs is close.
        let tight = Points::from_fn(1100, 20, |i, row| {
            row.iter_mut().zip(x.row(i)).for_each(|(o, x)| *o = 1e-3 * x);
            row[i % 10] += 5.0;
        });
        assert!(Inner::for_values(&kernel, &tight, &tight).is_none());
        // Kernels that do not forgive are never guarded.
        assert!(Inner::for_values(&Gaussian::new(0.1).unwrap(), &x, &x).is_none());
    }

    #[test]
    fn steep_kernels_and_wide_clouds_are_left_to_differences() {
        let (x, far) = (cloud(9, 20, 1, 0.0), cloud(9, 20, 2, 1e3));
        assert!(Inner::new(&Energy::distance(), &x, &x).is_none());
        assert!(Inner::new(&Gaussian::new(0.1).unwrap(), &x, &x).is_none());
        assert!(Inner::new(&Gaussian::new(5.0).unwrap(), &x, &far).is_none());
        assert!(Inner::new(&Gaussian::new(5.0).unwrap(), &x, &x).is_some());
        let flat = cloud(9, 15, 1, 0.0);
        assert!(Inner::new(&Gaussian::new(5.0).unwrap(), &flat, &flat).is_none());
    }
}
