//! Weighted sums of divergences.

use crate::error::{Error, Result};
use divergences::{Axioms, Divergence};
use measures::{Empirical, Functional, Result as MeasuresResult, Variation};

/// Σ_k a_k D_k with a_k > 0, and the sum of the variations.
pub struct Sum {
    parts: Vec<(f64, Box<dyn Divergence>)>,
}

impl Sum {
    /// The sum of the parts, each with its factor.
    ///
    /// # Errors
    /// There is no part, or a factor is not finite and positive.
    pub fn new(parts: Vec<(f64, Box<dyn Divergence>)>) -> Result<Self> {
        if parts.is_empty() {
            return Err(Error::setting("parts of a sum", 0, "at least 1"));
        }
        for (factor, _) in &parts {
            measures::check_positive("factor", *factor)?;
        }
        Ok(Sum { parts })
    }
}

fn add(terms: impl Iterator<Item = MeasuresResult<Variation>>) -> MeasuresResult<Variation> {
    let mut total: Option<Variation> = None;
    for term in terms {
        let term = term?;
        match &mut total {
            None => total = Some(term),
            Some(total) => {
                total.value += term.value;
                let points = total.d_points.as_mut_slice().iter_mut().zip(term.d_points.as_slice());
                points.for_each(|(a, b)| *a += b);
                total.d_weights.iter_mut().zip(&term.d_weights).for_each(|(a, b)| *a += b);
            }
        }
    }
    total.ok_or(measures::Error::TooFew { what: "parts of a sum", at_least: 1, got: 0 })
}

impl Divergence for Sum {
    /// What all parts have, except for powers of the triangle inequality and degrees, which sums need not keep.
    fn axioms(&self) -> Axioms {
        let all = |f: fn(&Axioms) -> bool| self.parts.iter().all(|(_, d)| f(&d.axioms()));
        let mut axioms = Axioms::default();
        axioms.non_negative = all(|a| a.non_negative);
        axioms.identity = all(|a| a.identity);
        axioms.separation = axioms.non_negative && self.parts.iter().any(|(_, d)| d.axioms().separation);
        axioms.symmetry = all(|a| a.symmetry);
        axioms.permutation = all(|a| a.permutation);
        axioms.atom_splitting = all(|a| a.atom_splitting);
        axioms.translation = all(|a| a.translation);
        axioms.rotation = all(|a| a.rotation);
        axioms.convex = all(|a| a.convex);
        axioms.continuous_in_points = all(|a| a.continuous_in_points);
        axioms.continuous_in_weights = all(|a| a.continuous_in_weights);
        axioms
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> MeasuresResult<f64> {
        self.parts.iter().map(|(a, d)| Ok(a * d.value(mu, nu)?)).sum()
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> MeasuresResult<Variation> {
        add(self.parts.iter().map(|(a, d)| Ok(d.variation(mu, nu)?.scaled(*a))))
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> MeasuresResult<Box<dyn Functional + 'a>> {
        let parts = self.parts.iter().map(|(a, d)| Ok((*a, d.toward(target)?)));
        Ok(Box::new(SumToward(parts.collect::<MeasuresResult<_>>()?)))
    }
}

struct SumToward<'a>(Vec<(f64, Box<dyn Functional + 'a>)>);

impl Functional for SumToward<'_> {
    fn variation(&self, mu: &Empirical) -> MeasuresResult<Variation> {
        add(self.0.iter().map(|(a, f)| Ok(f.variation(mu)?.scaled(*a))))
    }

    fn value(&self, mu: &Empirical) -> MeasuresResult<f64> {
        self.0.iter().map(|(a, f)| Ok(a * f.value(mu)?)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use divergences::transport::SlicedWasserstein;
    use measures::{Sample, Seed, zoo::Gaussian};

    #[test]
    fn values_and_variations_add() {
        let part = |p, seed| SlicedWasserstein::new(p, 8, Seed::new(seed)).unwrap().powered();
        let (a, b) = (part(2.0, 1), part(1.5, 2));
        let sum = Sum::new(vec![(0.5, Box::new(a.clone())), (2.0, Box::new(b.clone()))]).unwrap();
        let cloud =
            |seed| Empirical::uniform(Gaussian::standard(2).sample(9, &mut Seed::new(seed).rng())).unwrap();
        let (mu, nu) = (cloud(3), cloud(4));
        let (va, vb, v) = (
            a.variation(&mu, &nu).unwrap(),
            b.variation(&mu, &nu).unwrap(),
            sum.variation(&mu, &nu).unwrap(),
        );
        let close = |x: f64, y: f64| (x - y).abs() < 1e-14;
        assert!(
            close(v.value, 0.5 * va.value + 2.0 * vb.value) && close(v.value, sum.value(&mu, &nu).unwrap())
        );
        assert!((0..9).all(|i| close(v.d_weights[i], 0.5 * va.d_weights[i] + 2.0 * vb.d_weights[i])));
        assert!((0..18).all(|k| {
            let g = |v: &Variation| v.d_points.as_slice()[k];
            close(g(&v), 0.5 * g(&va) + 2.0 * g(&vb))
        }));
        let toward = sum.toward(&nu).unwrap().variation(&mu).unwrap();
        assert!(close(toward.value, v.value) && sum.axioms().symmetry);
        assert!(Sum::new(Vec::new()).is_err());
    }
}
