//! Mixtures of any measures of one type, or of one boxed type.

use super::{door, door_pair, normalised_weights};
use crate::empirical::{cumulative, pick};
use crate::error::{Error, Result, check_dim};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use rand::{Rng, RngExt};

/// Σ_k w_k μ_k.
///
/// It samples when the components do; density and score need those of the components: p = Σ w_k p_k in the log domain, and
/// ∇log p = Σ r_k s_k with r_k = w_k p_k/p. Mixtures of Gaussians have a faster type of their own,
/// [`GaussianMixture`](super::GaussianMixture).
///
/// ```
/// use measures::{Density, Points, zoo::{Mixture, UniformBox}};
/// let half = |a: f64| UniformBox::new(vec![a], vec![a + 0.5]);
/// let gap = Mixture::new(vec![1.0, 1.0], vec![half(0.0)?, half(1.0)?])?;
/// let p = gap.log_density(&Points::from_line(vec![0.25, 0.75]))?;
/// assert_eq!(p, [0.0, f64::NEG_INFINITY]);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture<M> {
    weights: Vec<f64>,
    components: Vec<M>,
}

impl<M: Measure> Mixture<M> {
    /// Σ_k w_k μ_k; weights of any positive sum are divided by it.
    ///
    /// # Errors
    /// There is no component, the dimensions or numbers differ, or a weight is negative, not finite, or all are zero.
    pub fn new(weights: Vec<f64>, components: Vec<M>) -> Result<Self> {
        let first = components.first().ok_or(Error::TooFew { what: "components", at_least: 1, got: 0 })?;
        for component in &components {
            check_dim("component", first.dim(), component.dim())?;
        }
        let weights = normalised_weights(weights, components.len())?;
        Ok(Mixture { weights, components })
    }

    /// w, of sum one.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The μ_k.
    pub fn components(&self) -> &[M] {
        &self.components
    }

    /// The components that have weight, with its logarithm.
    fn live(&self) -> impl Iterator<Item = (f64, &M)> {
        self.weights.iter().zip(&self.components).filter(|(w, _)| **w > 0.0).map(|(w, m)| (w.ln(), m))
    }
}

impl<M: Measure> Measure for Mixture<M> {
    fn dim(&self) -> usize {
        self.components[0].dim()
    }
}

impl<M: Sample> Sample for Mixture<M> {
    /// Labels first, then the draws of each component in one go, dealt out to their labels.
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let running = cumulative(&self.weights);
        let labels: Vec<usize> = (0..n).map(|_| pick(&running, rng.random())).collect();
        let mut out = Points::zeros(n, self.dim());
        for (k, component) in self.components.iter().enumerate() {
            let count = labels.iter().filter(|l| **l == k).count();
            if count == 0 {
                continue;
            }
            let draws = component.sample(count, rng);
            let places = out.rows_mut().zip(&labels).filter(|(_, l)| **l == k);
            places.zip(draws.rows()).for_each(|((row, _), draw)| row.copy_from_slice(draw));
        }
        out
    }
}

/// Adds e^`term` to a sum held as `top` + log `rest`.
fn absorb(top: &mut f64, rest: &mut f64, term: f64) {
    if term == f64::NEG_INFINITY {
        return;
    }
    if term > *top {
        *rest = if *top == f64::NEG_INFINITY { 1.0 } else { *rest * (*top - term).exp() + 1.0 };
        *top = term;
    } else {
        *rest += (term - *top).exp();
    }
}

impl<M: Density> Density for Mixture<M> {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let (mut top, mut rest) = (vec![f64::NEG_INFINITY; x.len()], vec![0.0; x.len()]);
        for (log_weight, component) in self.live() {
            let log = component.log_density(x)?;
            for ((top, rest), l) in top.iter_mut().zip(&mut rest).zip(&log) {
                absorb(top, rest, log_weight + l);
            }
        }
        Ok(top
            .iter()
            .zip(&rest)
            .map(|(t, r)| if *t == f64::NEG_INFINITY { *t } else { t + r.ln() })
            .collect())
    }

    /// That of the single component of positive weight, if there is just one.
    fn entropy(&self) -> Option<f64> {
        let mut live = self.live();
        let only = live.next()?;
        if live.next().is_some() { None } else { only.1.entropy() }
    }
}

impl<M: Density + Score> Mixture<M> {
    /// log p and the responsibilities' logarithms are needed together; n numbers a component are made one at a time.
    fn weighted(&self, x: &Points, mut add: impl FnMut(&M, &[f64]) -> Result<()>) -> Result<()> {
        let total = self.log_density(x)?;
        if let Some(index) = total.iter().position(|l| *l == f64::NEG_INFINITY) {
            return Err(Error::Entry {
                what: "points",
                index,
                value: f64::NEG_INFINITY,
                must: "where the density is positive: the score is not defined where it is zero",
            });
        }
        for (log_weight, component) in self.live() {
            let log = component.log_density(x)?;
            let share: Vec<f64> = log.iter().zip(&total).map(|(l, t)| (log_weight + l - t).exp()).collect();
            add(component, &share)?;
        }
        Ok(())
    }
}

impl<M: Density + Score> Score for Mixture<M> {
    /// # Errors
    /// As promised by the trait, or a point where the density is zero (the first is named).
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        let mut out = Points::zeros(x.len(), self.dim());
        self.weighted(x, |component, share| {
            let own = component.score(x)?;
            for ((out, own), r) in out.rows_mut().zip(own.rows()).zip(share) {
                if *r > 0.0 {
                    out.iter_mut().zip(own).for_each(|(o, s)| *o += r * s);
                }
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// Σ r_k (H_k v + (s_k − s)⟨s_k − s, v⟩).
    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim(), x, v)?;
        let mean = self.score(x)?;
        let mut out = Points::zeros(x.len(), self.dim());
        self.weighted(x, |component, share| {
            let (own, hessian) = (component.score(x)?, component.score_jvp(x, v)?);
            for (i, r) in share.iter().enumerate().filter(|(_, r)| **r > 0.0) {
                let parts = || own.row(i).iter().zip(mean.row(i)).map(|(s, m)| s - m);
                let along: f64 = parts().zip(v.row(i)).map(|(d, v)| d * v).sum();
                for ((o, h), d) in out.row_mut(i).iter_mut().zip(hessian.row(i)).zip(parts()) {
                    *o += r * (h + along * d);
                }
            }
            Ok(())
        })?;
        Ok(out)
    }
}
