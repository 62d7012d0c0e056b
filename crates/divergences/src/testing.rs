//! Finite differences of a divergence in its first argument, for unit tests.

use crate::Divergence;
use measures::{Empirical, Family, Measure, Points, Pullback, Result};

/// Compares `variation` with central differences of `value`: in every coordinate of every point with `step`, along
/// mixtures with every single atom, and the field at an atom of no weight where there is one.
pub(crate) fn check_variation(
    divergence: &dyn Divergence,
    mu: &Empirical,
    nu: &Empirical,
    step: f64,
    tolerance: f64,
) {
    let found = divergence.variation(mu, nu).unwrap();
    let value = divergence.value(mu, nu).unwrap();
    assert!((found.value - value).abs() <= 1e-12 * value.abs().max(1.0), "{} {value}", found.value);
    check_weights(divergence, mu, nu, step, tolerance);
    let cached = divergence.toward(nu).unwrap();
    assert_eq!(cached.variation(mu).unwrap(), found);
    assert_eq!(cached.value(mu).unwrap(), value);
    for i in 0..mu.len() {
        for k in 0..mu.dim() {
            let moved = |h: f64| {
                let mut x = mu.points().clone();
                x.row_mut(i)[k] += h;
                divergence.value(&mu.with_points(x).unwrap(), nu).unwrap()
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let claimed = found.d_points.row(i)[k];
            assert!((slope - claimed).abs() <= tolerance, "atom {i}, {k}: {slope} against {claimed}");
        }
    }
}

/// The part of [`check_variation`] that moves weights alone, for divergences with no derivative in the points.
pub(crate) fn check_weights(
    divergence: &dyn Divergence,
    mu: &Empirical,
    nu: &Empirical,
    step: f64,
    tolerance: f64,
) {
    let found = divergence.variation(mu, nu).unwrap();
    let centre: f64 = found.d_weights.iter().zip(mu.weights()).map(|(h, w)| h * w).sum();
    assert!(centre.abs() <= 1e-12 * found.d_weights.iter().fold(1.0, |m: f64, h| m.max(h.abs())));
    for i in 0..mu.len() {
        // (1 − t) μ + t δ(xᵢ) for t of both signs, which needs a positive weight; one-sided second order otherwise.
        let mixed = |t: f64| {
            let mut w: Vec<f64> = mu.weights().iter().map(|w| (1.0 - t) * w).collect();
            w[i] += t;
            divergence.value(&Empirical::normalised(mu.points().clone(), w).unwrap(), nu).unwrap()
        };
        let slope = if mu.weights()[i] > 2.0 * step {
            (mixed(step) - mixed(-step)) / (2.0 * step)
        } else {
            (4.0 * mixed(step) - mixed(2.0 * step) - 3.0 * mixed(0.0)) / (2.0 * step)
        };
        assert!(
            (slope - found.d_weights[i]).abs() <= tolerance,
            "weight {i}: {slope} against {}",
            found.d_weights[i]
        );
    }
}

/// A function with its gradient.
pub(crate) type Pair = Box<dyn Fn(&[f64]) -> (f64, Vec<f64>) + Send + Sync>;

/// A family of closures with equal τ, for tests that need functions of their own.
pub(crate) struct Listed {
    dim: usize,
    functions: Vec<Pair>,
    tau: Vec<f64>,
}

impl Listed {
    pub(crate) fn new(dim: usize, functions: Vec<Pair>) -> Self {
        let tau = vec![1.0; functions.len()];
        Listed { dim, functions, tau }
    }
}

impl Family for Listed {
    fn dim(&self) -> usize {
        self.dim
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        let values = self.values(mu.points())?;
        let k = self.functions.len();
        let column = |c: usize| values.iter().skip(c).step_by(k).zip(mu.weights());
        Ok((0..k).map(|c| column(c).map(|(f, w)| f * w).sum()).collect())
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        measures::check_pullback(self, x, c)?;
        let mut out = Pullback { values: vec![0.0; x.len()], gradients: Points::zeros(x.len(), self.dim) };
        for i in 0..x.len() {
            for (f, c) in self.functions.iter().zip(c) {
                let (value, gradient) = f(x.row(i));
                out.values[i] += c * value;
                out.gradients.row_mut(i).iter_mut().zip(gradient).for_each(|(o, g)| *o += c * g);
            }
        }
        Ok(out)
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        measures::check_dim("points", self.dim, x.dim())?;
        Ok(x.rows().flat_map(|row| self.functions.iter().map(|f| f(row).0)).collect())
    }
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} functions", self.functions.len())
    }
}
