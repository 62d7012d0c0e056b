//! The energy distance of minibatches whose distance is entropic transport.

use super::cost::Cost;
use super::plan::Status;
use super::sinkhorn::{Entropic, Sinkhorn};
use crate::divergence::{finite_field, finite_variation};
use crate::{Axioms, Divergence};
use measures::{Empirical, Error, Functional, Measure, Points, Result, Variation, check_dim};

/// Half the energy distance between the laws of minibatches, entropic transport being the distance of two:
///
/// ```text
/// E_ε(μ, ν) = 𝔼 OT_ε(X, Y) − ½ 𝔼 OT_ε(X, X′) − ½ 𝔼 OT_ε(Y, Y′),
/// ```
///
/// X, X′ independent samples of μ and Y, Y′ of ν. The atoms of a measure are taken for two such samples, those at even
/// and those at odd places, so that the number returned is ¼ Σᵢⱼ OT_ε(Xᵢ, Yⱼ) − ½ OT_ε(X₁, X₂) − ½ OT_ε(Y₁, Y₂): **in the
/// unit of the cost**, without bias, negative about as often as not when μ = ν, and dependent on the order of the atoms.
///
/// The [Sinkhorn divergence](super::SinkhornDivergence) of two samples has the transport of a sample with *itself* where
/// this has that with another. Its gradient therefore draws the points of a small sample of μ together: in the mean over
/// samples it is least not at μ = ν but at a measure narrower than ν. Here the mean of the gradient is zero at μ = ν, for
/// any size of the samples. For samples that are large the two agree.
///
/// Take a **distance** for the cost. Between single points E_ε is then the energy distance, and between large samples
/// half W₁: it tells all laws apart. With a squared distance, single points have the squared difference of the means, and n
/// points on the line that of the means of their n order statistics: laws that differ by less than n points resolve are one
/// to it, and a map that is taught by it may shrink parts of the noise to points.
///
/// That E_ε is no less than zero needs OT_ε to be of negative type, which W₁ is on the line; elsewhere it is assumed, as in
/// the paper. Source: Salimans, Zhang, Radford and Metaxas, *Improving GANs using optimal transport* (2018), arXiv
/// 1803.05573, section 3 (there twice this, of the transport cost of the entropic plan), with the dual value of OT_ε.
///
/// ```
/// use divergences::{Divergence, transport::{MinibatchEnergy, NormPower}};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_line(vec![0.0, 0.0]))?;
/// let nu = Empirical::uniform(Points::from_line(vec![3.0, 3.0]))?;
/// let energy = MinibatchEnergy::new(0.1, NormPower::euclidean())?;
/// assert!((energy.value(&mu, &nu)? - 3.0).abs() < 1e-9); // there is no distance within, and one between
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinibatchEnergy<C> {
    sinkhorn: Sinkhorn,
    cost: C,
}

impl<C: Cost> MinibatchEnergy<C> {
    /// The distance at temperature `epsilon` (in the unit of the cost) for a symmetric cost, with the default settings of
    /// [`Sinkhorn::new`].
    ///
    /// # Errors
    /// `epsilon` is not finite and positive.
    pub fn new(epsilon: f64, cost: C) -> Result<Self> {
        Ok(MinibatchEnergy { sinkhorn: Sinkhorn::new(epsilon)?, cost })
    }

    /// The distance with these settings of the iteration, used for all terms.
    pub fn with_settings(sinkhorn: Sinkhorn, cost: C) -> Self {
        MinibatchEnergy { sinkhorn, cost }
    }

    /// OT_ε(μ, ν) to the tolerance of the settings.
    fn transport(&self, mu: &Empirical, nu: &Empirical) -> Result<Entropic> {
        let found = self.sinkhorn.solve(mu, nu, &self.cost)?;
        if found.status == Status::IterationLimit {
            return Err(Error::Undefined {
                what: "minibatch energy distance to the tolerance asked for",
                why: "the iterations allowed ran out first (raise max_iterations, tolerance or epsilon)",
            });
        }
        Ok(found)
    }

    fn target<'a>(&'a self, nu: &Empirical) -> Result<Target<'a, C>> {
        let batches = Batches::of("atoms of the second measure, for two batches", nu)?;
        let [y, other] = &batches.both;
        let within = self.transport(y, other)?.value;
        Ok(Target { energy: self, batches, within })
    }
}

/// A measure as two samples of one law.
struct Batches {
    both: [Empirical; 2],
    /// What they weigh, of one in all.
    masses: [f64; 2],
}

impl Batches {
    fn of(what: &'static str, mu: &Empirical) -> Result<Self> {
        let half = |first: usize| -> Result<(Empirical, f64)> {
            let rows: Vec<usize> = (first..mu.len()).step_by(2).collect();
            let points = mu.points().select(&rows);
            if mu.is_uniform() {
                return Ok((Empirical::uniform(points)?, rows.len() as f64 / mu.len() as f64));
            }
            let weights: Vec<f64> = rows.iter().map(|&i| mu.weights()[i]).collect();
            let mass = weights.iter().sum();
            Ok((Empirical::normalised(points, weights)?, mass))
        };
        if mu.len() < 2 {
            return Err(Error::TooFew { what, at_least: 2, got: mu.len() });
        }
        let ((even, even_mass), (odd, odd_mass)) = (half(0)?, half(1)?);
        Ok(Batches { both: [even, odd], masses: [even_mass, odd_mass] })
    }
}

/// ν as two samples, with OT_ε between them.
struct Target<'a, C> {
    energy: &'a MinibatchEnergy<C>,
    batches: Batches,
    within: f64,
}

/// The distance with the potential of each sample of μ and its gradient, if they were asked for.
struct Found {
    value: f64,
    sides: [(Vec<f64>, Option<Points>); 2],
}

impl<C: Cost> Target<'_, C> {
    fn solve(&self, mu: &Empirical, with_gradients: bool) -> Result<(Batches, Found)> {
        check_dim("second measure", mu.dim(), self.batches.both[0].dim())?;
        let batches = Batches::of("atoms of the first measure, for two batches", mu)?;
        let energy = self.energy;
        let empty =
            |x: &Empirical| (vec![0.0; x.len()], with_gradients.then(|| Points::zeros(x.len(), x.dim())));
        let mut found =
            Found { value: -0.5 * self.within, sides: [empty(&batches.both[0]), empty(&batches.both[1])] };
        let add = |side: &mut (Vec<f64>, Option<Points>),
                   factor: f64,
                   x: &Empirical,
                   y: &Empirical,
                   t: &Entropic| {
            side.0.iter_mut().zip(&t.potentials.source).for_each(|(h, f)| *h += factor * f);
            if let Some(sum) = &mut side.1 {
                let gradients = t.gradients(x, y, &energy.cost)?;
                sum.as_mut_slice().iter_mut().zip(gradients.as_slice()).for_each(|(s, g)| *s += factor * g);
            }
            Ok::<(), Error>(())
        };
        for (x, side) in batches.both.iter().zip(&mut found.sides) {
            for y in &self.batches.both {
                let cross = energy.transport(x, y)?;
                found.value += 0.25 * cross.value;
                // each sample is half of what stands for μ
                add(side, 0.25, x, y, &cross)?;
            }
        }
        let [x, other] = &batches.both;
        let within = energy.transport(x, other)?;
        found.value -= 0.5 * within.value;
        let [first, second] = &mut found.sides;
        add(first, -0.5, x, other, &within)?;
        add(second, -0.5, other, x, &within.mirrored())?;
        Ok((batches, found))
    }
}

impl Found {
    /// The potential at all atoms and its gradients, those of each sample of μ by the share that an atom has in it.
    fn derivatives(&self, mu: &Empirical, batches: &Batches) -> (Vec<f64>, Points) {
        let mut potential = vec![0.0; mu.len()];
        let mut gradients = Points::zeros(mu.len(), mu.dim());
        for (first, ((h, field), x)) in self.sides.iter().zip(&batches.both).enumerate() {
            let share = batches.masses[first].recip();
            let mean = super::dot(h, x.weights());
            for (k, h) in h.iter().enumerate() {
                potential[2 * k + first] = share * (h - mean);
            }
            for (k, row) in field.iter().flat_map(Points::rows).enumerate() {
                gradients.row_mut(2 * k + first).iter_mut().zip(row).for_each(|(g, v)| *g = share * v);
            }
        }
        (potential, gradients)
    }
}

impl<C: Cost> Divergence for MinibatchEnergy<C> {
    fn axioms(&self) -> Axioms {
        let of_a_norm = self.cost.norm_power();
        Axioms {
            symmetry: of_a_norm.is_some(),
            translation: of_a_norm.is_some(),
            rotation: of_a_norm.is_some_and(|cost| cost.norm() == 2.0),
            continuous_in_points: true,
            ..Axioms::default()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        self.target(nu)?.value(mu)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        self.target(nu)?.variation(mu)
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        self.target(nu)?.gradient_field(mu)
    }

    /// Solves the transport between the two samples of ν once.
    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(self.target(target)?))
    }
}

impl<C: Cost> Functional for Target<'_, C> {
    fn value(&self, mu: &Empirical) -> Result<f64> {
        Ok(self.solve(mu, false)?.1.value)
    }

    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        let (batches, found) = self.solve(mu, true)?;
        let (potential, gradients) = found.derivatives(mu, &batches);
        finite_variation(Variation::from_potential(mu, found.value, potential, gradients))
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        let (batches, found) = self.solve(mu, true)?;
        finite_field(found.derivatives(mu, &batches).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{NormPower, SinkhornDivergence};
    use measures::{Sample, Seed, zoo::Gaussian};

    fn samples(n: usize, seed: u64) -> Empirical {
        let law = Gaussian::diagonal(&[0.3, -1.0], &[1.0, 0.4]).unwrap();
        Empirical::uniform(law.sample(n, &mut Seed::new(seed).rng())).unwrap()
    }

    /// The mean over runs of a number, in its standard errors.
    fn z(values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
        mean / (variance / n).sqrt()
    }

    /// How fast spreading the points of μ about their mean changes a divergence.
    fn pull_outward(divergence: &dyn Divergence, mu: &Empirical, nu: &Empirical) -> f64 {
        let gradient = divergence.variation(mu, nu).unwrap().d_points;
        gradient.rows().zip(mu.points().rows()).map(|(g, x)| g[0] * (x[0] - 0.3) + g[1] * (x[1] + 1.0)).sum()
    }

    /// Between samples of one law the value and its slope along a spread are zero in the mean; the Sinkhorn divergence is
    /// positive, and falls as the points of μ come together.
    #[test]
    fn it_has_no_bias_where_the_sinkhorn_divergence_of_small_samples_has() {
        let cost = NormPower::half_squared_euclidean();
        let settings = Sinkhorn::new(0.02).unwrap().tolerance(1e-5);
        let unbiased = MinibatchEnergy::with_settings(settings, cost);
        let plugin = SinkhornDivergence::with_settings(settings, cost);
        let runs = |divergence: &dyn Divergence| -> [f64; 2] {
            let pairs: Vec<_> = (0..300).map(|k| (samples(16, 2 * k), samples(16, 2 * k + 1))).collect();
            let values: Vec<f64> = pairs.iter().map(|(mu, nu)| divergence.value(mu, nu).unwrap()).collect();
            let slopes: Vec<f64> = pairs.iter().map(|(mu, nu)| pull_outward(divergence, mu, nu)).collect();
            [z(&values), z(&slopes)]
        };
        let [value, slope] = runs(&unbiased);
        // 5 standard errors: α = 1e-6
        assert!(value.abs() < 5.0 && slope.abs() < 5.0, "{value} {slope}");
        let [value, slope] = runs(&plugin);
        assert!(value > 5.0 && slope > 5.0, "{value} {slope}");
    }

    /// Between single points: the energy distance sees a spread, the squared distance of the means does not.
    #[test]
    fn a_squared_cost_is_blind_to_what_the_samples_do_not_resolve() {
        let (wide, narrow) = (Gaussian::standard(2), Gaussian::isotropic(&[0.0, 0.0], 0.1).unwrap());
        let pair = |law: &Gaussian, seed: u64| {
            Empirical::uniform(law.sample(2, &mut Seed::new(seed).rng())).unwrap()
        };
        let pairs: Vec<_> = (0..2000).map(|k| (pair(&narrow, 2 * k), pair(&wide, 2 * k + 1))).collect();
        let of = |cost| {
            let energy = MinibatchEnergy::new(0.1, cost).unwrap();
            z(&pairs.iter().map(|(mu, nu)| energy.value(mu, nu).unwrap()).collect::<Vec<_>>())
        };
        let (squared, distance) = (of(NormPower::half_squared_euclidean()), of(NormPower::euclidean()));
        assert!(squared.abs() < 5.0 && distance > 5.0, "{squared} {distance}");
    }

    #[test]
    fn it_agrees_with_the_sinkhorn_divergence_of_many_points() {
        let cost = NormPower::half_squared_euclidean();
        let nu = samples(1200, 1);
        let mu = samples(1200, 2);
        let mu = mu.with_points(Points::from_fn(1200, 2, |i, row| {
            row.copy_from_slice(&[mu.points().row(i)[0] + 1.5, 0.5 * mu.points().row(i)[1]]);
        }));
        let mu = mu.unwrap();
        let settings = Sinkhorn::new(0.5).unwrap();
        let energy = MinibatchEnergy::with_settings(settings, cost).value(&mu, &nu).unwrap();
        let divergence = SinkhornDivergence::with_settings(settings, cost).value(&mu, &nu).unwrap();
        assert!((energy / divergence - 1.0).abs() < 0.02, "{energy} {divergence}");
    }

    #[test]
    fn one_atom_is_not_two_batches() {
        let energy = MinibatchEnergy::new(0.1, NormPower::squared_euclidean()).unwrap();
        let error = energy.value(&Empirical::dirac(&[0.0]).unwrap(), &samples(4, 0)).unwrap_err().to_string();
        assert!(error.contains("dimension"), "{error}");
        let one = Empirical::dirac(&[0.0, 1.0]).unwrap();
        let error = energy.value(&one, &samples(4, 0)).unwrap_err().to_string();
        assert!(error.contains("atoms of the first measure, for two batches"), "{error}");
        let error = energy.value(&samples(4, 0), &one).unwrap_err().to_string();
        assert!(error.contains("atoms of the second measure, for two batches"), "{error}");
    }
}
