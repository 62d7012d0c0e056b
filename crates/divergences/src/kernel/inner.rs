//! Squared distances from inner products, in many dimensions.
//!
//! With coordinates taken in threes (a, b, c), Winograd's identity turns two products into one and two additions:
//!
//! ‖x − y‖² = Σ (xₐ + x_b)² + x_c² + Σ (yₐ + y_b)² + y_c² − 2 Σ [(xₐ + y_b)(x_b + yₐ) + x_c y_c].
//!
//! A pair of points costs two multiply–adds and two additions every three coordinates where differences take three of each:
//! on processors with ports of their own for both, a third less. Coordinates are taken from the middle of the points. The
//! rounding is absolute, some ε(‖x‖ + ‖y‖)², so it is done where a kernel is too flat to show it. Source: S. Winograd, *A new
//! algorithm for inner product* (1968), doi:10.1109/TC.1968.227420.

use super::pairs::{Profile, Statistic};
use measures::lanes::{F64s, Lanes, WIDTH};
use measures::{Points, parallel};

/// Below this dimension there is little to gain.
const FEWEST_COORDINATES: usize = 16;

/// How large steepness·(‖x‖ + ‖y‖)² may be: five bits of the kernel's value.
const SPREAD: f64 = 32.0;

/// Rows whose lengths one task looks at.
const ROWS: usize = 1024;

/// The point that coordinates are taken from.
pub(crate) struct Inner {
    centre: Vec<f64>,
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
        (steepness * reach * reach <= SPREAD).then_some(Inner { centre })
    }

    pub(crate) fn centre(&self) -> &[f64] {
        &self.centre
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
