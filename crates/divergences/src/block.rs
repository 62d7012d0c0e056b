//! The squared MMD block by block: linear or nearly linear time, and an interval that holds for equal laws too.

use crate::axioms::Axioms;
use crate::divergence::{Divergence, Toward};
use crate::kernel::Kernel;
use crate::mmd::Mmd;
use crate::statistic::Statistic;
use measures::parallel::map_blocks;
use measures::{Empirical, Error, Estimate, Functional, Measure, Points, Result, Variation, check_dim};
use std::ops::Range;

/// The mean of the unbiased MMD² over blocks of consecutive atoms, the B-statistic (Zaremba, Gretton, Blaschko 2013,
/// arXiv:1307.1954): **squared**, unbiased, and negative about half of the time when the laws are equal.
///
/// Atoms of the two measures are cut, in their order, into as many blocks; block k compares the k-th of each. With b blocks
/// of n/b atoms the cost is O(n²/b), and [`BlockMmd::linear`], with blocks of two, is the linear-time estimate (Gretton,
/// Borgwardt, Rasch, Schölkopf, Smola 2012, JMLR 13:723, section 6). Nothing is dropped: sizes of blocks differ by one at
/// most. The weights of a block are rescaled to one, and each block counts alike.
///
/// Blocks are independent when the atoms are, so that, unlike that of the full statistic, the law of this one is normal in
/// the limit of many blocks *whether or not the laws are equal*: [`BlockMmd::estimate`] has an interval for MMD² that is
/// always valid, and [`block_test`](crate::test::block_test) needs no relabelling. The price is variance, n/b blocks worth.
///
/// It is a function of the *lists* of atoms and not of the measures: it depends on their order (which must be random, not
/// sorted), and neither on the split of an atom is it indifferent nor is it convex.
///
/// ```
/// use divergences::{BlockMmd, Divergence, kernel::Gaussian};
/// use measures::{Empirical, Sample, Seed, zoo};
/// let draw = |seed| zoo::Gaussian::standard(2).sample(20_000, &mut Seed::new(seed).rng());
/// let (mu, nu) = (Empirical::uniform(draw(1))?, Empirical::uniform(draw(2))?);
/// let found = BlockMmd::linear(Gaussian::new(1.0)?).estimate(&mu, &nu)?;
/// assert!(found.value.abs() < 5.0 * found.standard_error);
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BlockMmd<K> {
    mmd: Mmd<K>,
    blocks: usize,
}

/// Pairs in a block up to which kernel values are summed one by one.
const SMALL: usize = 64;

impl<K: Kernel> BlockMmd<K> {
    /// The mean over `blocks` blocks, or over as many as leave two atoms to each where that is fewer.
    ///
    /// About √n of them balance cost and variance.
    ///
    /// # Errors
    /// There are no blocks.
    pub fn new(kernel: K, blocks: usize) -> Result<Self> {
        if blocks == 0 {
            return Err(Error::TooFew { what: "blocks", at_least: 1, got: 0 });
        }
        Ok(BlockMmd { mmd: Mmd::new(kernel, Statistic::Unbiased), blocks })
    }

    /// Blocks of two atoms: linear time.
    pub fn linear(kernel: K) -> Self {
        BlockMmd { mmd: Mmd::new(kernel, Statistic::Unbiased), blocks: usize::MAX }
    }

    /// The kernel.
    pub fn kernel(&self) -> &K {
        self.mmd.kernel()
    }

    /// The number of blocks for two samples of these sizes.
    pub fn blocks_of(&self, n: usize, m: usize) -> usize {
        self.blocks.min(n / 2).min(m / 2)
    }

    fn count(&self, mu: &Empirical, nu: &Empirical) -> Result<usize> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        for (what, measure) in [("atoms of the first measure", mu), ("atoms of the second measure", nu)] {
            if measure.len() < 2 {
                return Err(Error::TooFew { what, at_least: 2, got: measure.len() });
            }
        }
        Ok(self.blocks_of(mu.len(), nu.len()))
    }

    /// The statistic of every block.
    fn values(&self, mu: &Empirical, nu: &Empirical) -> Result<Vec<f64>> {
        let blocks = self.count(mu, nu)?;
        let found = map_blocks(blocks, 64, |range| {
            range
                .map(|k| {
                    let (rows, columns) = (cut(mu.len(), blocks, k), cut(nu.len(), blocks, k));
                    let uniform = mu.is_uniform() && nu.is_uniform();
                    if uniform && rows.len() * columns.len() <= SMALL {
                        return finite(self.directly(mu.points(), rows, nu.points(), columns));
                    }
                    self.mmd.value(&part(mu, rows)?, &part(nu, columns)?)
                })
                .collect::<Result<Vec<f64>>>()
        });
        Ok(found.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    /// The unbiased MMD² of two small groups of equal weights.
    fn directly(&self, x: &Points, rows: Range<usize>, y: &Points, columns: Range<usize>) -> f64 {
        let kernel = self.kernel();
        let own = |z: &Points, range: &Range<usize>| {
            let pairs = range.clone().flat_map(|i| (i + 1..range.end).map(move |j| (i, j)));
            let sum: f64 = pairs.map(|(i, j)| kernel.value(z.row(i), z.row(j))).sum();
            2.0 * sum / (range.len() * (range.len() - 1)) as f64
        };
        let cross: f64 =
            rows.clone().flat_map(|i| columns.clone().map(move |j| kernel.value(x.row(i), y.row(j)))).sum();
        own(x, &rows) + own(y, &columns) - 2.0 * cross / (rows.len() * columns.len()) as f64
    }

    /// The mean over the blocks with its standard error: an interval for MMD² of the two laws, from which the atoms must
    /// be independent draws. It holds for equal laws too; with few blocks it is a little short.
    ///
    /// # Errors
    /// As [`Divergence::value`].
    pub fn estimate(&self, mu: &Empirical, nu: &Empirical) -> Result<Estimate> {
        Estimate::of_mean(&self.values(mu, nu)?)
    }
}

/// Block k of n atoms in `blocks` blocks: all, and sizes that differ by one at most.
fn cut(n: usize, blocks: usize, k: usize) -> Range<usize> {
    // n·k fits: there are at most n/2 blocks of atoms in memory
    let at = |k: usize| (n as u128 * k as u128 / blocks as u128) as usize;
    at(k)..at(k + 1)
}

/// The atoms of a range as a measure of their own.
fn part(mu: &Empirical, rows: Range<usize>) -> Result<Empirical> {
    let points = mu.points().select(&rows.clone().collect::<Vec<_>>());
    if mu.is_uniform() {
        return Empirical::uniform(points);
    }
    Empirical::normalised(points, mu.weights()[rows].to_vec())
}

fn finite(value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    let must = "finite: the points are too large";
    Err(Error::Parameter { what: "sum of kernel values", value, must })
}

impl<K: Kernel> Divergence for BlockMmd<K> {
    fn axioms(&self) -> Axioms {
        let kernel = self.kernel().properties();
        Axioms {
            symmetry: true,
            translation: kernel.translation_invariant,
            rotation: kernel.rotation_invariant,
            scaling_degree: kernel.homogeneity,
            continuous_in_points: true,
            ..Axioms::default()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        let values = self.values(mu, nu)?;
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Within each block the variation of the unbiased MMD²; the derivative in the weights is that of the block's rescaled
    /// ones, along (1 − t)μ + tδ(xᵢ).
    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        let blocks = self.count(mu, nu)?;
        let parts = map_blocks(blocks, 16, |range| {
            range
                .map(|k| {
                    let rows = cut(mu.len(), blocks, k);
                    let own =
                        self.mmd.variation(&part(mu, rows.clone())?, &part(nu, cut(nu.len(), blocks, k))?)?;
                    Ok((rows, own))
                })
                .collect::<Result<Vec<_>>>()
        });
        let share = 1.0 / blocks as f64;
        let mut out = Variation {
            value: 0.0,
            d_points: Points::zeros(mu.len(), mu.dim()),
            d_weights: vec![0.0; mu.len()],
        };
        for (rows, own) in parts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            let mass: f64 = mu.weights()[rows.clone()].iter().sum();
            out.value += share * own.value;
            for (from, i) in rows.enumerate() {
                out.d_weights[i] = share / mass * own.d_weights[from];
                let gradient = own.d_points.row(from);
                out.d_points.row_mut(i).iter_mut().zip(gradient).for_each(|(d, g)| *d = share * g);
            }
        }
        Ok(out)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Energy, Gaussian};
    use crate::testing::check_variation;
    use measures::{Sample, Seed, zoo};

    fn draw(shift: f64, n: usize, seed: Seed) -> Empirical {
        Empirical::uniform(zoo::Gaussian::isotropic(&[shift, 0.0], 1.0).unwrap().sample(n, &mut seed.rng()))
            .unwrap()
    }

    #[test]
    fn one_block_is_the_unbiased_statistic_and_two_atoms_the_linear_one() {
        let kernel = Gaussian::new(0.9).unwrap();
        let (mu, nu) = (draw(0.0, 31, Seed::new(1)), draw(0.5, 40, Seed::new(2)));
        let whole = Mmd::new(kernel, Statistic::Unbiased).value(&mu, &nu).unwrap();
        assert!((BlockMmd::new(kernel, 1).unwrap().value(&mu, &nu).unwrap() - whole).abs() < 1e-14);
        // h(z, z′) = k(x, x′) + k(y, y′) − ½ of the four mixed ones, over disjoint pairs
        let (mu, nu) = (draw(0.0, 20, Seed::new(3)), draw(0.5, 20, Seed::new(4)));
        let (x, y) = (mu.points(), nu.points());
        let h = |i: usize, j: usize| {
            let k = |a: &[f64], b: &[f64]| kernel.value(a, b);
            let mixed =
                k(x.row(i), y.row(j)) + k(x.row(j), y.row(i)) + k(x.row(i), y.row(i)) + k(x.row(j), y.row(j));
            k(x.row(i), x.row(j)) + k(y.row(i), y.row(j)) - 0.5 * mixed
        };
        let expected = (0..10).map(|p| h(2 * p, 2 * p + 1)).sum::<f64>() / 10.0;
        let linear = BlockMmd::linear(kernel);
        assert_eq!(linear.blocks_of(20, 23), 10);
        assert!((linear.value(&mu, &nu).unwrap() - expected).abs() < 1e-15);
        // Large blocks go through the fused sums, with the same numbers.
        let (mu, nu) = (draw(0.0, 90, Seed::new(5)), draw(0.5, 75, Seed::new(6)));
        let blocks = BlockMmd::new(kernel, 3).unwrap();
        let by_hand: f64 =
            (0..3).map(|k| blocks.directly(mu.points(), cut(90, 3, k), nu.points(), cut(75, 3, k))).sum();
        assert!((blocks.value(&mu, &nu).unwrap() - by_hand / 3.0).abs() < 1e-14);
    }

    #[test]
    fn variations() {
        // Weights of a block of two are rescaled: differences in them bend by the cube of their size.
        let points = draw(0.0, 11, Seed::new(7)).points().clone();
        let mu = Empirical::normalised(points, (5..16).map(f64::from).collect()).unwrap();
        let nu = draw(0.7, 9, Seed::new(8));
        for blocks in [1, 3, 100] {
            check_variation(
                &BlockMmd::new(Gaussian::new(0.8).unwrap(), blocks).unwrap(),
                &mu,
                &nu,
                1e-5,
                1e-7,
            );
            check_variation(&BlockMmd::new(Energy::distance(), blocks).unwrap(), &mu, &nu, 1e-5, 1e-7);
        }
    }

    /// The interval covers MMD² of the laws, when they are equal (0) and when they are not.
    #[test]
    fn intervals_cover_the_population_value() {
        use statrs::distribution::{Binomial, DiscreteCDF};
        let h: f64 = 1.0;
        // E k of a difference N(δ, 2I) in the plane
        let mean = |shift: f64| h * h / (h * h + 2.0) * (-shift * shift / (2.0 * (h * h + 2.0))).exp();
        for shift in [0.0, 1.0] {
            let exact = 2.0 * (mean(0.0) - mean(shift));
            for blocks in [
                BlockMmd::linear(Gaussian::new(h).unwrap()),
                BlockMmd::new(Gaussian::new(h).unwrap(), 40).unwrap(),
            ] {
                let covered = (0..400)
                    .filter(|&r| {
                        let seed = Seed::new(30).child(r);
                        let (mu, nu) = (draw(0.0, 240, seed.named("x")), draw(shift, 280, seed.named("y")));
                        let (low, high) = blocks.estimate(&mu, &nu).unwrap().interval(0.95).unwrap();
                        low < exact && exact < high
                    })
                    .count() as u64;
                assert!(Binomial::new(0.92, 400).unwrap().cdf(covered) > 1e-6, "{shift}: {covered}");
                assert!(Binomial::new(0.98, 400).unwrap().sf(covered) > 1e-6, "{shift}: {covered}");
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        assert!(matches!(
            BlockMmd::new(Gaussian::new(1.0).unwrap(), 0),
            Err(Error::TooFew { what: "blocks", .. })
        ));
        let linear = BlockMmd::linear(Gaussian::new(1.0).unwrap());
        let (mu, one) = (draw(0.0, 4, Seed::new(1)), Empirical::dirac(&[0.0, 0.0]).unwrap());
        assert!(linear.value(&mu, &one).is_err() && linear.variation(&one, &mu).is_err());
        assert!(linear.value(&mu, &Empirical::uniform(Points::zeros(3, 1)).unwrap()).is_err());
        // A block without weight.
        let light = Empirical::weighted(mu.points().clone(), vec![0.0, 0.0, 0.5, 0.5]).unwrap();
        assert!(linear.value(&light, &mu).is_err());
    }
}
