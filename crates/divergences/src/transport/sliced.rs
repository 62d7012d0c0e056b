//! The sliced Wasserstein distance: transport on the line, averaged over directions.

use super::line::{check_finite_costs, check_power};
use super::staircase::climb_source;
use super::{NormPower, cost::bounding_box};
use crate::divergence::{finite, finite_variation};
use crate::slices::{AlongLine, Directions, Lines, SumOverLines};
use crate::{Axioms, Divergence};
use measures::{Empirical, Error, Functional, Measure, Points, Result, Seed, Variation, check_dim};

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

impl SlicedWasserstein {
    /// The distance of order `p` over `directions` directions drawn with `seed`.
    ///
    /// # Errors
    /// p that is not in [1, ∞), or no direction.
    pub fn new(p: f64, directions: usize, seed: Seed) -> Result<Self> {
        check_power(p)?;
        let directions = Directions::drawn(directions, seed)?;
        Ok(SlicedWasserstein { p, average: p, directions, rooted: true })
    }

    /// The distance of order `p` over given directions, one a row, L×d; they are scaled to length one.
    ///
    /// # Errors
    /// p that is not in [1, ∞), no direction, or one of length zero (its row is named).
    pub fn along(p: f64, directions: Points) -> Result<Self> {
        check_power(p)?;
        Ok(SlicedWasserstein { p, average: p, directions: Directions::given(directions)?, rooted: true })
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
        self.directions.of(dim)
    }

    fn finish(&self, power: f64) -> f64 {
        if self.rooted { power.powf(self.average.recip()) } else { power }
    }

    fn value_of(&self, mu: &Empirical, target: &Lines<'_>) -> f64 {
        let total = target.sum(mu, |x, y| self.raised(x.mean_power(y, self.p)));
        self.finish(total / self.directions.count() as f64)
    }

    fn variation_of(&self, mu: &Empirical, target: &Lines<'_>) -> Result<Variation> {
        let cost = NormPower::new(2.0, self.p)?;
        let sum = target.sum_with_slopes(mu, |x, y| {
            let line = climb_source(x, y, cost);
            let scale = self.slope(line.value);
            let scaled = |values: Vec<f64>| values.into_iter().map(|v| scale * v).collect();
            AlongLine {
                value: self.raised(line.value),
                potential: scaled(line.f),
                slopes: scaled(line.slopes),
            }
        });
        let mean = 1.0 / self.directions.count() as f64;
        let power = sum.value * mean;
        // d(P^{1/p}) = P^{1/p − 1} dP / p; at P = 0, a minimum, the subgradient 0.
        let scale = match self.rooted {
            true if power > 0.0 => power.powf(self.average.recip() - 1.0) / self.average,
            true => 0.0,
            false => 1.0,
        };
        let SumOverLines { potential, gradients, .. } = sum.scaled_slopes(mean * scale);
        Ok(Variation::from_potential(mu, self.finish(power), potential, gradients))
    }
}

/// `Ok` when both measures live in one space and no |⟨θ, x − y⟩|^p overflows.
pub(crate) fn check_pair(mu: &Empirical, nu: &Empirical, p: f64) -> Result<()> {
    check_dim("target measure", mu.dim(), nu.dim())?;
    let (low, high) = bounding_box(mu.points(), nu.points());
    let cost = NormPower::new(2.0, p)?;
    check_finite_costs(cost.of_length(cost.length(low.iter().zip(&high).map(|(l, h)| h - l))))
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
        finite(self.value_of(mu, &Lines::new(nu, &self.directions)?))
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        check_pair(mu, nu, self.p)?;
        finite_variation(self.variation_of(mu, &Lines::new(nu, &self.directions)?)?)
    }

    /// Keeps the directions and the sorted projections of the target, L·m numbers and, if it has weights, their order.
    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        let target = Lines::new(target, &self.directions)?.kept();
        Ok(Box::new(TowardSliced { divergence: self, target }))
    }
}

struct TowardSliced<'a> {
    divergence: &'a SlicedWasserstein,
    target: Lines<'a>,
}

impl Functional for TowardSliced<'_> {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        check_pair(mu, self.target.of, self.divergence.p)?;
        finite_variation(self.divergence.variation_of(mu, &self.target)?)
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        check_pair(mu, self.target.of, self.divergence.p)?;
        finite(self.divergence.value_of(mu, &self.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slices::{BATCH, ROWS, directions, project};
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
