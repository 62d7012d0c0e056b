//! The energy distance of minibatches whose distance is entropic transport.

use super::cost::Cost;
use super::sinkhorn::{Entropic, Sinkhorn};
use crate::divergence::{finite_field, finite_variation};
use crate::{Axioms, Divergence, Toward};
use measures::{Empirical, Error, Functional, Measure, Points, Result, Variation, check_dim, parallel};

/// Half the energy distance between the laws of minibatches, entropic transport being the distance of two:
///
/// ```text
/// E_ε(μ, ν) = 𝔼 OT_ε(X, Y) − ½ 𝔼 OT_ε(X, X′) − ½ 𝔼 OT_ε(Y, Y′),
/// ```
///
/// X, X′ independent samples of μ and Y, Y′ of ν, of `size` points at most. The atoms of a measure are dealt out in turn to
/// an even number K of such samples, samples 2k and 2k + 1 being a pair, and the number returned is K⁻¹ times
/// Σ OT_ε(Xₖ, Yₖ) over samples less Σ OT_ε(X, X′) and Σ OT_ε(Y, Y′) over pairs: **in the unit of the cost**, without bias,
/// negative about as often as not when μ = ν, and dependent on the order of the atoms. An atom costs the same among few
/// and among many: with n and m of them a sweep is O((n + m) size).
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
/// the paper. Sources: Salimans, Zhang, Radford and Metaxas, *Improving GANs using optimal transport* (2018), arXiv
/// 1803.05573, section 3 (there twice this, of the transport cost of the entropic plan), here with the dual value of OT_ε;
/// for the mean over several minibatches Fatras, Zine, Flamary, Gribonval and Courty, *Learning with minibatch
/// Wasserstein* (2020), arXiv 1910.04091.
///
/// ```
/// use divergences::{Divergence, transport::{MinibatchEnergy, NormPower}};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_line(vec![0.0, 0.0]))?;
/// let nu = Empirical::uniform(Points::from_line(vec![3.0, 3.0]))?;
/// let energy = MinibatchEnergy::new(16, 0.1, NormPower::euclidean())?;
/// assert!((energy.value(&mu, &nu)? - 3.0).abs() < 1e-9); // there is no distance within, and one between
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinibatchEnergy<C> {
    size: usize,
    sinkhorn: Sinkhorn,
    cost: C,
}

impl<C: Cost> MinibatchEnergy<C> {
    /// The distance between samples of at most `size` points at temperature `epsilon` (in the unit of the cost) for a
    /// symmetric cost, with the default settings of [`Sinkhorn::new`].
    ///
    /// # Errors
    /// `size` is zero; `epsilon` is not finite and positive.
    pub fn new(size: usize, epsilon: f64, cost: C) -> Result<Self> {
        MinibatchEnergy::with_settings(size, Sinkhorn::new(epsilon)?, cost)
    }

    /// The distance with these settings of the iteration, used for all terms.
    ///
    /// # Errors
    /// `size` is zero.
    pub fn with_settings(size: usize, sinkhorn: Sinkhorn, cost: C) -> Result<Self> {
        if size == 0 {
            return Err(Error::TooFew { what: "points of a minibatch", at_least: 1, got: 0 });
        }
        Ok(MinibatchEnergy { size, sinkhorn, cost })
    }

    /// OT_ε(μ, ν) to the tolerance of the settings.
    fn transport(&self, mu: &Minibatch, nu: &Minibatch) -> Result<Entropic> {
        let found = self.sinkhorn.solve(&mu.law, &nu.law, &self.cost)?;
        found.status.within_limit("minibatch energy distance to the tolerance asked for")?;
        Ok(found)
    }

    /// The number of minibatches of measures with so many atoms that weigh something: even, each with such an atom at least,
    /// and of `size` of them at most where that is possible.
    fn count(&self, mu: usize, nu: usize) -> Result<usize> {
        for (what, got) in [
            ("atoms of the first measure, for two minibatches", mu),
            ("atoms of the second measure, for two minibatches", nu),
        ] {
            if got < 2 {
                return Err(Error::TooFew { what, at_least: 2, got });
            }
        }
        Ok(2 * mu.max(nu).div_ceil(2 * self.size).min(mu.min(nu) / 2))
    }

    fn solve(&self, mu: &Empirical, nu: &Empirical, with_gradients: bool) -> Result<Found> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        let (mu, nu) = (Dealt::new(mu), Dealt::new(nu));
        let count = self.count(mu.loaded, nu.loaded)?;
        let (n, d) = (mu.order.len(), mu.measure.dim());
        let mut found = Found {
            value: 0.0,
            potential: vec![0.0; n],
            gradients: with_gradients.then(|| Points::zeros(n, d)),
        };
        let pairs = parallel::map_blocks(count / 2, PAIRS, |pairs| {
            pairs.map(|k| self.pair(&mu, &nu, count, k, with_gradients)).collect::<Result<Vec<_>>>()
        });
        let mut at = 0;
        for block in pairs {
            for Pair { value, sides } in block? {
                found.value += value / count as f64;
                for side in sides {
                    let atoms = mu.order[at..].iter().copied().step_by(count);
                    atoms.clone().zip(&side.potential).for_each(|(i, h)| found.potential[i] = *h);
                    if let (Some(all), Some(own)) = (&mut found.gradients, &side.gradients) {
                        atoms.zip(own.rows()).for_each(|(i, row)| all.row_mut(i).copy_from_slice(row));
                    }
                    at += 1;
                }
            }
        }
        Ok(found)
    }

    /// The terms of minibatches 2k and 2k + 1.
    fn pair(
        &self,
        mu: &Dealt<'_>,
        nu: &Dealt<'_>,
        count: usize,
        k: usize,
        with_gradients: bool,
    ) -> Result<Pair> {
        let both = |dealt: &Dealt<'_>| -> Result<[Minibatch; 2]> {
            Ok([dealt.minibatch(2 * k, count)?, dealt.minibatch(2 * k + 1, count)?])
        };
        let ([x, x_other], [y, y_other]) = (both(mu)?, both(nu)?);
        let across = [self.transport(&x, &y)?, self.transport(&x_other, &y_other)?];
        let within = self.transport(&x, &x_other)?;
        let target_within = self.transport(&y, &y_other)?;
        let value = across[0].value + across[1].value - within.value - target_within.value;
        let back = within.clone().mirrored();
        let side = |x: &Minibatch, to: (&Minibatch, &Entropic), other: (&Minibatch, &Entropic)| {
            // A minibatch counts as one of `count`, and weighs `mass`.
            let share = (count as f64 * x.mass).recip();
            let mut potential = to.1.potentials.source.clone();
            potential.iter_mut().zip(&other.1.potentials.source).for_each(|(h, f)| *h -= f);
            let mean = super::dot(&potential, x.law.weights());
            potential.iter_mut().for_each(|h| *h = share * (*h - mean));
            let gradients = if with_gradients {
                let mut gradients = to.1.gradients(&x.law, &to.0.law, &self.cost)?;
                let within = other.1.gradients(&x.law, &other.0.law, &self.cost)?;
                let pairs = gradients.as_mut_slice().iter_mut().zip(within.as_slice());
                pairs.for_each(|(g, w)| *g = share * (*g - w));
                Some(gradients)
            } else {
                None
            };
            Ok::<_, Error>(Side { potential, gradients })
        };
        let sides = [
            side(&x, (&y, &across[0]), (&x_other, &within))?,
            side(&x_other, (&y_other, &across[1]), (&x, &back))?,
        ];
        Ok(Pair { value, sides })
    }
}

/// Pairs of minibatches that a thread takes at once.
const PAIRS: usize = 4;

/// A measure with the order in which its atoms are dealt out: those without weight last, so that they change no minibatch.
struct Dealt<'a> {
    measure: &'a Empirical,
    order: Vec<usize>,
    /// Atoms that weigh something.
    loaded: usize,
}

/// Atoms of a measure taken for a sample of it.
struct Minibatch {
    law: Empirical,
    /// What they weigh, of one in all.
    mass: f64,
}

impl<'a> Dealt<'a> {
    fn new(measure: &'a Empirical) -> Self {
        let (mut order, rest): (Vec<usize>, Vec<usize>) =
            (0..measure.len()).partition(|&i| measure.weights()[i] > 0.0);
        let loaded = order.len();
        order.extend(rest);
        Dealt { measure, order, loaded }
    }

    /// Every `count`-th atom from the k-th on.
    fn minibatch(&self, k: usize, count: usize) -> Result<Minibatch> {
        let rows: Vec<usize> = self.order[k..].iter().copied().step_by(count).collect();
        let points = self.measure.points().select(&rows);
        if self.measure.is_uniform() {
            let mass = rows.len() as f64 / self.order.len() as f64;
            return Ok(Minibatch { law: Empirical::uniform(points)?, mass });
        }
        let weights: Vec<f64> = rows.iter().map(|&i| self.measure.weights()[i]).collect();
        let mass = weights.iter().sum();
        Ok(Minibatch { law: Empirical::normalised(points, weights)?, mass })
    }
}

/// The terms of two minibatches of each measure.
struct Pair {
    value: f64,
    sides: [Side; 2],
}

/// The potential at the atoms of a minibatch, and its gradients if they were asked for.
struct Side {
    potential: Vec<f64>,
    gradients: Option<Points>,
}

/// The distance with the potential at all atoms, and its gradients if they were asked for.
struct Found {
    value: f64,
    potential: Vec<f64>,
    gradients: Option<Points>,
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
        Ok(self.solve(mu, nu, false)?.value)
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let Found { value, potential, gradients } = self.solve(mu, nu, true)?;
        let gradients = gradients.expect("gradients were asked for");
        finite_variation(Variation::from_potential(mu, value, potential, gradients))
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        finite_field(self.solve(mu, nu, true)?.gradients.expect("gradients were asked for"))
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
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
        let unbiased = MinibatchEnergy::with_settings(1200, settings, cost).unwrap();
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
            let energy = MinibatchEnergy::new(16, 0.1, cost).unwrap();
            z(&pairs.iter().map(|(mu, nu)| energy.value(mu, nu).unwrap()).collect::<Vec<_>>())
        };
        let (squared, distance) = (of(NormPower::half_squared_euclidean()), of(NormPower::euclidean()));
        assert!(squared.abs() < 5.0 && distance > 5.0, "{squared} {distance}");
    }

    /// Four minibatches a side, dealt out in turn, written out by hand; the last atoms of the larger measure make some longer.
    #[test]
    fn it_is_the_mean_over_minibatches() {
        let cost = NormPower::euclidean();
        let (mu, nu) = (samples(18, 1), samples(16, 2));
        let energy = MinibatchEnergy::new(5, 0.1, cost).unwrap();
        let deal = |measure: &Empirical, k: usize| {
            let rows: Vec<usize> = (k..measure.len()).step_by(4).collect();
            Empirical::uniform(measure.points().select(&rows)).unwrap()
        };
        let transport =
            |a: &Empirical, b: &Empirical| Sinkhorn::new(0.1).unwrap().solve(a, b, &cost).unwrap().value;
        let across: f64 = (0..4).map(|k| transport(&deal(&mu, k), &deal(&nu, k))).sum();
        let within =
            |m: &Empirical| -> f64 { [0, 2].map(|k| transport(&deal(m, k), &deal(m, k + 1))).iter().sum() };
        let want = 0.25 * (across - within(&mu) - within(&nu));
        assert!((energy.value(&mu, &nu).unwrap() - want).abs() < 1e-6);
        // A minibatch counts for a quarter, and five of eighteen atoms share that.
        let variation = energy.variation(&mu, &nu).unwrap();
        let step = 1e-5;
        for i in [0, 17] {
            let moved = |h: f64| {
                let mut points = mu.points().clone();
                points.row_mut(i)[0] += h;
                MinibatchEnergy::with_settings(5, Sinkhorn::new(0.1).unwrap().tolerance(1e-10), cost)
                    .unwrap()
                    .value(&mu.with_points(points).unwrap(), &nu)
                    .unwrap()
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((variation.d_points.row(i)[0] - slope).abs() < 1e-5, "{i}: {slope}");
        }
        assert!(MinibatchEnergy::new(0, 0.1, cost).is_err());
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
        let energy = MinibatchEnergy::with_settings(1200, settings, cost).unwrap().value(&mu, &nu).unwrap();
        let divergence = SinkhornDivergence::with_settings(settings, cost).value(&mu, &nu).unwrap();
        assert!((energy / divergence - 1.0).abs() < 0.02, "{energy} {divergence}");
    }

    #[test]
    fn one_atom_is_not_two_minibatches() {
        let energy = MinibatchEnergy::new(16, 0.1, NormPower::squared_euclidean()).unwrap();
        let error = energy.value(&Empirical::dirac(&[0.0]).unwrap(), &samples(4, 0)).unwrap_err().to_string();
        assert!(error.contains("dimension"), "{error}");
        let one = Empirical::dirac(&[0.0, 1.0]).unwrap();
        let error = energy.value(&one, &samples(4, 0)).unwrap_err().to_string();
        assert!(error.contains("atoms of the first measure, for two minibatches"), "{error}");
        let error = energy.value(&samples(4, 0), &one).unwrap_err().to_string();
        assert!(error.contains("atoms of the second measure, for two minibatches"), "{error}");
    }
}
