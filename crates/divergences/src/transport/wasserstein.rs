//! The Wasserstein distance as a divergence, with its variation from the Kantorovich potentials.

use super::cost::{Cost, NormPower};
use super::exact;
use super::line::check_power;
use super::periodic::Periodic;
use super::plan::Transport;
use crate::{Axioms, Divergence, Toward};
use measures::{Empirical, Functional, Points, Result, Variation};

/// The exact transport distance: W_p(μ, ν) = (min Σ π_ij ‖xᵢ − yⱼ‖^p)^{1/p}, or the transport cost W_c itself.
///
/// What is returned: [`Wasserstein::new`] gives the distance W_p, with the root; [`Wasserstein::powered`] gives W_p^p; and
/// [`Wasserstein::with_cost`] gives W_c = min Σ π_ij c(xᵢ, yⱼ), no root taken. The value is exact to round-off for any
/// weights and sizes ([`exact::solve`] has the plan and the certificate).
///
/// By the envelope theorem the first variation of W_c in μ is the potential f, and the gradient in a point is
/// ∂W_c/∂xᵢ = Σⱼ π_ij ∇ₓ c(xᵢ, yⱼ). Both are subgradients where the plan or the potentials are not unique, which for the
/// potentials is always so between equal weights. As a statistic W_p between two samples of size n exceeds that between
/// the laws by order n^{−1/d}.
///
/// ```
/// use divergences::{Divergence, transport::Wasserstein};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_rows(&[[0.0, 0.0], [4.0, 0.0]]))?;
/// let nu = Empirical::uniform(Points::from_rows(&[[4.0, 3.0], [0.0, 3.0]]))?;
/// let w2 = Wasserstein::new(2.0)?;
/// assert_eq!(w2.value(&mu, &nu)?, 3.0);
/// assert_eq!(w2.powered().variation(&mu, &nu)?.d_points.row(0), &[0.0, -3.0]); // ½ · 2 · (0 − 3)
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wasserstein<C = NormPower> {
    cost: C,
    /// p of a root to be taken.
    root: Option<f64>,
}

impl Wasserstein {
    /// W_p for the Euclidean distance.
    ///
    /// # Errors
    /// p that is not in [1, ∞).
    pub fn new(p: f64) -> Result<Self> {
        Wasserstein::with_norm(2.0, p)
    }

    /// W_p for the distance ‖x − y‖_q.
    ///
    /// # Errors
    /// p that is not in [1, ∞), q < 1.
    pub fn with_norm(q: f64, p: f64) -> Result<Self> {
        check_power(p)?;
        Ok(Wasserstein { cost: NormPower::new(q, p)?, root: Some(p) })
    }
}

impl Wasserstein<Periodic> {
    /// W_p on the circle of length `period`, in more dimensions on the torus of such sides; coordinates in any turn.
    ///
    /// # Errors
    /// p that is not in [1, ∞), or a period that is not finite and positive.
    pub fn on_circle(p: f64, period: f64) -> Result<Self> {
        Ok(Wasserstein { cost: Periodic::new(p, period)?, root: Some(p) })
    }
}

impl<C: Cost> Wasserstein<C> {
    /// The transport cost W_c for a ground cost c.
    pub fn with_cost(cost: C) -> Self {
        Wasserstein { cost, root: None }
    }

    /// The same without the root: W_p^p, which is convex along mixtures and, for p > 1, smooth in the points at μ = ν.
    pub fn powered(self) -> Self {
        Wasserstein { root: None, ..self }
    }

    /// The ground cost.
    pub fn cost(&self) -> &C {
        &self.cost
    }

    /// The optimal plan with its potentials and certificate, for the cost before any root.
    ///
    /// # Errors
    /// As [`exact::solve`].
    pub fn solve(&self, mu: &Empirical, nu: &Empirical) -> Result<Transport> {
        exact::solve(mu, nu, &self.cost)
    }

    fn finish(&self, power: f64) -> f64 {
        match self.root {
            // Round-off may leave a cost of zero slightly below it.
            Some(p) => power.max(0.0).powf(p.recip()),
            None => power,
        }
    }

    /// The factor that the root puts in front of derivatives: W^{1 − p}/p, and at W = 0, a minimum, the subgradient 0.
    fn slope(&self, power: f64) -> f64 {
        match self.root {
            Some(p) if power > 0.0 => power.powf(p.recip() - 1.0) / p,
            Some(_) => 0.0,
            None => 1.0,
        }
    }
}

impl<C: Cost> Divergence for Wasserstein<C> {
    fn axioms(&self) -> Axioms {
        let general = Axioms {
            permutation: true,
            atom_splitting: true,
            convex: self.root.is_none(),
            continuous_in_weights: true,
            ..Axioms::default()
        };
        if let Some(cost) = self.cost.periodic() {
            // On the torus it is a metric; coordinates a period apart are one point there and two here.
            return Axioms {
                non_negative: true,
                identity: true,
                symmetry: true,
                triangle_power: Some(if self.root.is_some() { 1.0 } else { cost.power().recip() }),
                translation: true,
                convex: self.root.is_none() || cost.power() == 1.0,
                continuous_in_points: true,
                ..general
            };
        }
        let Some(cost) = self.cost.norm_power() else { return general };
        let power = cost.power();
        Axioms {
            non_negative: true,
            identity: true,
            separation: true,
            symmetry: true,
            // ‖·‖^p is itself a metric for p ≤ 1.
            triangle_power: Some(if self.root.is_some() || power <= 1.0 { 1.0 } else { power.recip() }),
            translation: true,
            rotation: cost.norm() == 2.0,
            scaling_degree: Some(if self.root.is_some() { 1.0 } else { power }),
            convex: self.root.is_none() || power == 1.0,
            continuous_in_points: true,
            ..general
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(self.finish(self.solve(mu, nu)?.value))
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let transport = self.solve(mu, nu)?;
        let slope = self.slope(transport.value);
        let (x, y) = (mu.points(), nu.points());
        let mut d_points = Points::zeros(x.len(), x.dim());
        if slope != 0.0 {
            for (i, j, mass) in transport.plan.entries() {
                self.cost.add_gradient(x.row(i), y.row(j), slope * mass, d_points.row_mut(i))?;
            }
        }
        let mut potential = transport.potentials.source;
        potential.iter_mut().for_each(|f| *f *= slope);
        Ok(Variation {
            value: self.finish(transport.value),
            d_points,
            d_weights: measures::centred(potential, mu.weights()),
        })
    }

    /// At an atom without mass the gradient of f(x) = minⱼ c(x, yⱼ) − gⱼ.
    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        let transport = self.solve(mu, nu)?;
        let slope = self.slope(transport.value);
        let (x, y) = (mu.points(), nu.points());
        let mut field = Points::zeros(x.len(), x.dim());
        if slope == 0.0 {
            return Ok(field);
        }
        for (i, j, mass) in transport.plan.entries().filter(|e| mu.weights()[e.0] > 0.0) {
            let share = slope * mass / mu.weights()[i];
            self.cost.add_gradient(x.row(i), y.row(j), share, field.row_mut(i))?;
        }
        for i in (0..mu.len()).filter(|&i| mu.weights()[i] == 0.0) {
            let reduced = |j: usize| self.cost.cost(x.row(i), y.row(j)) - transport.potentials.target[j];
            let nearest = (0..y.len()).min_by(|&a, &b| reduced(a).total_cmp(&reduced(b)));
            if let Some(j) = nearest {
                self.cost.add_gradient(x.row(i), y.row(j), slope, field.row_mut(i))?;
            }
        }
        Ok(field)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Custom;
    use crate::transport::test_support::*;
    use measures::Error;

    #[test]
    fn variations_match_finite_differences() {
        for d in [1, 2, 3] {
            let (mu, nu) = (cloud(6, d, 1, true), cloud(8, d, 2, true));
            for (q, p) in [(2.0, 1.0), (2.0, 2.0), (1.0, 1.5), (f64::INFINITY, 1.0), (3.0, 3.0)] {
                let w = Wasserstein::with_norm(q, p).unwrap();
                check_variation(&w, &mu, &nu, 1e-6);
                check_variation(&w.powered(), &mu, &nu, 1e-6);
            }
            check_points(
                &Wasserstein::new(2.0).unwrap(),
                &cloud(7, d, 3, false),
                &cloud(7, d, 4, false),
                1e-6,
            );
        }
        let own = Custom::new(|x: &[f64], y: &[f64]| (x[0] - y[1]).sin() + x[1] * x[1] * y[0]).with_gradient(
            |x, y, scale, out| {
                out[0] += scale * (x[0] - y[1]).cos();
                out[1] += scale * 2.0 * x[1] * y[0];
            },
        );
        check_variation(&Wasserstein::with_cost(own), &cloud(5, 2, 1, true), &cloud(6, 2, 2, true), 1e-6);
    }

    #[test]
    fn probes_of_weight_zero_see_the_same_field() {
        let (mu, nu) = (cloud(6, 2, 1, true), cloud(8, 2, 2, true));
        let w = Wasserstein::new(2.0).unwrap().powered();
        let probe = mu.points().concat(&Points::from_rows(&[[0.37, -0.81]])).unwrap();
        let mut weights = mu.weights().to_vec();
        weights.push(0.0);
        let probed = |x: Points| {
            let mu = Empirical::weighted(x, weights.clone()).unwrap();
            (w.variation(&mu, &nu).unwrap().d_weights[6], w.gradient_field(&mu, &nu).unwrap())
        };
        let field = probed(probe.clone()).1;
        for k in 0..2 {
            let at = |h: f64| {
                let mut x = probe.clone();
                x.row_mut(6)[k] += h;
                probed(x).0
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - field.row(6)[k]).abs() < 1e-7);
        }
        let variation = w.variation(&mu, &nu).unwrap();
        for i in 0..6 {
            for k in 0..2 {
                assert!((field.row(i)[k] * mu.weights()[i] - variation.d_points.row(i)[k]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn equal_measures_are_a_minimum() {
        let mu = cloud(20, 2, 1, true);
        for w in [Wasserstein::new(1.0).unwrap(), Wasserstein::new(2.0).unwrap()] {
            let v = w.variation(&mu, &mu).unwrap();
            assert_eq!(v.value, 0.0);
            assert!(v.d_points.as_slice().iter().chain(&v.d_weights).all(|g| *g == 0.0));
        }
        assert!(matches!(Wasserstein::new(0.5), Err(Error::Parameter { what: "p", .. })));
        let blind = Wasserstein::with_cost(Custom::new(|x: &[f64], y: &[f64]| (x[0] - y[0]).abs()));
        assert!(matches!(blind.variation(&mu, &cloud(20, 2, 2, true)), Err(Error::Undefined { .. })));
    }
}
