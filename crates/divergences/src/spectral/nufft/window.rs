//! The window of the transform: the central B-spline of order p, whose Fourier transform is sinc(ξ)ᵖ.

use measures::lanes::{F64s, Lanes, WIDTH};
use std::f64::consts::PI;

pub(super) type Group = [f64; WIDTH];

/// The pieces of the central B-spline of order 8V as polynomials of s ∈ [−½, ½], a lane a node.
///
/// A point at t = l + ½ + s with an integer l touches the 8V nodes l − 4V + 1, …, l + 4V; the window at node i of these is
/// Σ c[e][i] sᵉ.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Group `e·V + v` holds the coefficients of sᵉ at the nodes 8v, …, 8v + 7.
    coefficients: Vec<Group>,
}

impl Window {
    /// Of order 8·`vectors`.
    pub(super) fn new(vectors: usize) -> Self {
        let order = vectors * WIDTH;
        let mut pieces = vec![vec![1.0]];
        for p in 2..=order {
            pieces = raised(&pieces, p);
        }
        // node i lies at t − i + const: the last node sees the first piece
        let coefficients = (0..order * vectors)
            .map(|g| {
                let (e, v) = (g / vectors, g % vectors);
                std::array::from_fn(|lane| pieces[order - 1 - (v * WIDTH + lane)][e])
            })
            .collect();
        Window { coefficients }
    }

    /// The window at the nodes around a point.
    #[inline(always)]
    pub(super) fn at<L: Lanes, const V: usize>(&self, lanes: L, s: f64) -> [F64s<L>; V] {
        let s = F64s::splat(lanes, s);
        let mut value = [F64s::splat(lanes, 0.0); V];
        for c in self.coefficients.chunks_exact(V).rev() {
            for v in 0..V {
                value[v] = value[v].mul_add(s, F64s::load(lanes, &c[v]));
            }
        }
        value
    }

    /// The window and its derivative.
    #[inline(always)]
    pub(super) fn with_slope<L: Lanes, const V: usize>(&self, lanes: L, s: f64) -> [[F64s<L>; V]; 2] {
        let s = F64s::splat(lanes, s);
        let (mut value, mut slope) = ([F64s::splat(lanes, 0.0); V], [F64s::splat(lanes, 0.0); V]);
        for c in self.coefficients.chunks_exact(V).rev() {
            for v in 0..V {
                slope[v] = slope[v].mul_add(s, value[v]);
                value[v] = value[v].mul_add(s, F64s::load(lanes, &c[v]));
            }
        }
        [value, slope]
    }
}

/// The pieces of order p from those of order p − 1, by the recursion of Cox and de Boor:
/// (p − 1) Mₚ(x) = x Mₚ₋₁(x) + (p − x) Mₚ₋₁(x − 1), with x = j + ½ + s on piece j.
fn raised(pieces: &[Vec<f64>], p: usize) -> Vec<Vec<f64>> {
    let scale = 1.0 / (p - 1) as f64;
    (0..p)
        .map(|j| {
            let mut out = vec![0.0; p];
            let middle = j as f64 + 0.5;
            if let Some(rising) = pieces.get(j) {
                for (e, c) in rising.iter().enumerate() {
                    out[e] += scale * middle * c;
                    out[e + 1] += scale * c;
                }
            }
            if let Some(falling) = j.checked_sub(1).map(|j| &pieces[j]) {
                for (e, c) in falling.iter().enumerate() {
                    out[e] += scale * (p as f64 - middle) * c;
                    out[e + 1] -= scale * c;
                }
            }
            out
        })
        .collect()
}

/// 1/sinc(k/N)ᵖ, what undoes the window at frequency k on a grid of N nodes.
pub(super) fn undo(k: usize, nodes: usize, order: usize) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let x = PI * k as f64 / nodes as f64;
    (x / x.sin()).powi(order as i32)
}

/// A bound of the error of e^{2πikt/N} by windows of order p on N > 2k nodes: Poisson's summation formula makes it
///
/// Σ_{r≠0} |sinc(k/N + r)/sinc(k/N)|ᵖ = Σ_{r≠0} |k/(k + rN)|ᵖ,
///
/// of which r = ±1 are kept; (N − k)/(rN − k) ≤ 1/r bounds the others by 2(ζ(p) − 1) times the first.
pub(super) fn error(k: usize, nodes: usize, order: usize) -> f64 {
    /// 2(ζ(8) − 1), more than for any higher order.
    const OTHERS: f64 = 0.008_16;
    let (k, n, p) = (k as f64, nodes as f64, order as i32);
    (1.0 + OTHERS) * (k / (n - k)).powi(p) + (k / (n + k)).powi(p)
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::lanes::{LaneOp, dispatch};
    use std::f64::consts::TAU;

    struct At<'a, const V: usize>(&'a Window, f64);
    impl<const V: usize> LaneOp for At<'_, V> {
        type Output = [[Group; V]; 2];
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            let [value, slope] = self.0.with_slope::<L, V>(lanes, self.1);
            let alone = self.0.at::<L, V>(lanes, self.1);
            let mut out = [[[0.0; WIDTH]; V]; 2];
            for v in 0..V {
                assert_eq!(alone[v].to_array(), value[v].to_array());
                out[0][v] = value[v].to_array();
                out[1][v] = slope[v].to_array();
            }
            out
        }
    }

    /// Σ windows · e^{2πikl/N} over the nodes, undone, against e^{2πikt/N}: the worst over t and the bound.
    fn worst<const V: usize>(k: usize, nodes: usize) -> (f64, f64) {
        let (window, order) = (Window::new(V), V * WIDTH);
        let mut worst = 0.0f64;
        for step in 0..=40 {
            let s = f64::from(step) / 40.0 - 0.5;
            let [value, slope] = dispatch(At::<V>(&window, s));
            let sum: f64 = value.as_flattened().iter().sum();
            assert!((sum - 1.0).abs() < 1e-13 && slope.as_flattened().iter().sum::<f64>().abs() < 1e-12);
            let (mut re, mut im) = (0.0, 0.0);
            for (i, w) in value.as_flattened().iter().enumerate() {
                // the point is at ½ + s
                let angle = TAU * k as f64 * (i as f64 - (order / 2 - 1) as f64) / nodes as f64;
                re += w * angle.cos();
                im += w * angle.sin();
            }
            let (exact, undo) = (TAU * k as f64 * (0.5 + s) / nodes as f64, undo(k, nodes, order));
            worst = worst.max((re * undo - exact.cos()).hypot(im * undo - exact.sin()));
        }
        (worst, error(k, nodes, order))
    }

    #[test]
    fn the_error_is_its_bound_and_falls_with_order_and_nodes() {
        let mut last = f64::INFINITY;
        for nodes in [50, 60, 80, 120] {
            let (found, bound) = worst::<1>(20, nodes);
            assert!(found <= bound + 1e-13 && found > 0.9 * bound, "{nodes}: {found}, {bound}");
            assert!(found < 0.5 * last);
            last = found;
            let (found, bound) = worst::<2>(20, nodes);
            assert!(found <= bound + 1e-12 && found < last * last * 1.2 + 1e-12, "{nodes}: {found}, {bound}");
        }
    }

    #[test]
    fn the_slope_is_the_derivative() {
        let window = Window::new(1);
        let [[up], _] = dispatch(At::<1>(&window, 0.2 + 1e-6));
        let [[down], [_]] = dispatch(At::<1>(&window, 0.2 - 1e-6));
        let [_, [slope]] = dispatch(At::<1>(&window, 0.2));
        for i in 0..WIDTH {
            assert!(((up[i] - down[i]) / 2e-6 - slope[i]).abs() < 1e-9);
        }
    }
}
