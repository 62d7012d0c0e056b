//! Random frequencies of kernels: a kernel as the τ-average of products of exponentials.

use super::{
    Energy, Gaussian, InverseMultiquadric, Kernel, Laplace, Matern, Mixture, Radial, RationalQuadratic, Times,
};
use crate::family::RandomFrequencies;
use measures::{Error, Points, Result, Seed};
use rand_distr::{Cauchy, Distribution, Gamma, StandardNormal};

/// A kernel k(x, y) = ∫ e^{i⟨s, x−y⟩} Λ(ds) whose spectral measure Λ can be drawn (Bochner; Rahimi and Recht 2007).
///
/// Σ τ_k f_k(x) conj f_k(y) over the frequencies returned is an unbiased estimate of k(x, y), so that D₂² of eq. (3) over them
/// is one of the squared MMD of k, in O(n·count) instead of O(n²): see [`Mmd::random_features`](crate::Mmd::random_features).
/// Kernels whose spectrum is summed over a grid of frequencies instead are [`Spectral`](crate::Spectral).
///
/// | kernel | law of the frequencies |
/// |---|---|
/// | [`Gaussian`], bandwidth h | N(0, h⁻² I) |
/// | [`Laplace`], bandwidth h | independent Cauchy coordinates of scale 1/h |
/// | [`Matern`], smoothness ν, length ℓ | Student's t, 2ν degrees of freedom, scale 1/ℓ |
/// | [`RationalQuadratic`] α, ℓ; [`InverseMultiquadric`] c | N(0, T I), T ~ Gamma(α, rate αℓ²); Gamma(½, rate c²/2) |
/// | [`Energy`], exponent 1 | the stable weight, importance-sampled (of infinite mass: an MMD, not k, is estimated) |
/// | [`Mixture`], [`Times`] | a share of each term; sums of independent frequencies |
pub trait RandomFeatures: Kernel {
    /// `count` frequencies in ℝ^`dim` with their weights τ.
    ///
    /// # Errors
    /// `dim` or `count` is zero, or the kernel's spectral measure cannot be drawn.
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies>;
}

impl RandomFeatures for Gaussian {
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        RandomFrequencies::gaussian(dim, self.bandwidth(), count, seed)
    }
}

impl RandomFeatures for Matern {
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        RandomFrequencies::student(dim, self.length(), 2.0 * self.smoothness().nu(), count, seed)
    }
}

impl RandomFeatures for Laplace {
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        check_sizes(dim, count)?;
        let law = Cauchy::new(0.0, self.bandwidth().recip()).map_err(|_| UNDRAWN)?;
        let mut rng = seed.rng();
        // A frequency beyond 1e12 wavelengths turns so fast that its value is noise whatever the point.
        let most = 1e12 / self.bandwidth();
        let draw = |_: usize, row: &mut [f64]| row.fill_with(|| law.sample(&mut rng).clamp(-most, most));
        RandomFrequencies::new(Points::from_fn(count, dim, draw), &equal(count))
    }
}

impl RandomFeatures for RationalQuadratic {
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        scaled_normals(dim, count, self.alpha(), self.alpha() * self.length() * self.length(), seed)
    }
}

impl RandomFeatures for InverseMultiquadric {
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        scaled_normals(dim, count, 0.5, 0.5 * self.length() * self.length(), seed)
    }
}

impl RandomFeatures for Energy {
    /// For the exponent 1, at the length scale one; [`RandomFrequencies::stable`] takes another.
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        if self.exponent() != 1.0 {
            return Err(Error::Undefined {
                what: "random frequencies of an energy kernel",
                why: "the stable weight is drawn for the exponent 1 only",
            });
        }
        RandomFrequencies::stable(dim, 1.0, count, seed)
    }
}

impl<R: Radial + RandomFeatures> RandomFeatures for Mixture<R> {
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        check_sizes(dim, count)?;
        let terms = self.terms();
        if count < terms.len() {
            return Err(Error::TooFew {
                what: "frequencies of a mixture",
                at_least: terms.len(),
                got: count,
            });
        }
        let total: f64 = terms.iter().map(|(a, _)| a).sum();
        // One for each term, the rest by share; what rounding leaves goes to the last.
        let rest = (count - terms.len()) as f64;
        let mut left = count;
        let (mut table, mut tau) = (Points::zeros(0, dim), Vec::with_capacity(count));
        for (k, (a, kernel)) in terms.iter().enumerate() {
            let own = if k + 1 == terms.len() { left } else { 1 + (rest * a / total) as usize };
            left -= own;
            let drawn = kernel.frequencies(dim, own, seed.child(k as u64))?;
            table = table.concat(drawn.frequencies())?;
            tau.extend(drawn.weights().map(|t| a * t));
        }
        RandomFrequencies::new(table, &tau)
    }
}

impl<A: Radial + RandomFeatures, B: Radial + RandomFeatures> RandomFeatures for Times<A, B> {
    fn frequencies(&self, dim: usize, count: usize, seed: Seed) -> Result<RandomFrequencies> {
        let (a, b) = self.factors();
        let (a, b) = (a.frequencies(dim, count, seed.child(0))?, b.frequencies(dim, count, seed.child(1))?);
        let sums = Points::from_fn(count, dim, |i, row| {
            let pairs = a.frequencies().row(i).iter().zip(b.frequencies().row(i));
            row.iter_mut().zip(pairs).for_each(|(out, (a, b))| *out = a + b);
        });
        let tau: Vec<f64> = a.weights().zip(b.weights()).map(|(a, b)| count as f64 * a * b).collect();
        RandomFrequencies::new(sums, &tau)
    }
}

const UNDRAWN: Error = Error::Undefined {
    what: "random frequencies",
    why: "the law of the frequencies is not of ordinary size",
};

fn equal(count: usize) -> Vec<f64> {
    vec![1.0 / count as f64; count]
}

fn check_sizes(dim: usize, count: usize) -> Result<()> {
    for (what, got) in [("dim", dim), ("frequencies", count)] {
        if got == 0 {
            return Err(Error::TooFew { what, at_least: 1, got });
        }
    }
    Ok(())
}

/// Rows of N(0, T I), T ~ Gamma(shape, rate): the mixture of Gaussian kernels that is a power of 1 + r²/(2·rate).
fn scaled_normals(dim: usize, count: usize, shape: f64, rate: f64, seed: Seed) -> Result<RandomFrequencies> {
    check_sizes(dim, count)?;
    let law = Gamma::new(shape, rate.recip()).map_err(|_| UNDRAWN)?;
    let mut rng = seed.rng();
    let draw = |_: usize, row: &mut [f64]| {
        let deviation = law.sample(&mut rng).sqrt();
        row.fill_with(|| {
            let z: f64 = StandardNormal.sample(&mut rng);
            deviation * z
        });
    };
    RandomFrequencies::new(Points::from_fn(count, dim, draw), &equal(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Smoothness;
    use measures::Estimate;

    /// The mean of K τ cos⟨s, x − y⟩ is the kernel.
    fn check(name: &str, kernel: &(impl RandomFeatures + ?Sized), count: usize) {
        for dim in [1, 2, 5] {
            let x: Vec<f64> = (0..dim).map(|k| 0.3 - 0.2 * k as f64).collect();
            let y: Vec<f64> = (0..dim).map(|k| -0.4 + 0.3 * k as f64).collect();
            let family = kernel.frequencies(dim, count, Seed::new(dim as u64)).unwrap();
            assert_eq!((family.len(), family.frequencies().dim()), (count, dim));
            let terms: Vec<f64> = family
                .frequencies()
                .rows()
                .zip(family.weights())
                .map(|(s, t)| {
                    let angle: f64 = s.iter().zip(x.iter().zip(&y)).map(|(s, (x, y))| s * (x - y)).sum();
                    count as f64 * t * angle.cos()
                })
                .collect();
            let (found, exact) = (Estimate::of_mean(&terms).unwrap(), kernel.value(&x, &y));
            let message = format!("{name} in dimension {dim}: {found:?} is not {exact}");
            assert!((found.value - exact).abs() < 6.0 * found.standard_error, "{message}");
            assert!(found.standard_error < 0.02, "{message}");
        }
    }

    #[test]
    fn kernels_are_the_means_of_their_frequencies() {
        let n = 20_000;
        let gaussian = Gaussian::new(0.8).unwrap();
        let quadratic = RationalQuadratic::new(1.3, 0.7).unwrap();
        check("Gaussian", &gaussian, n);
        check("Laplace", &Laplace::new(0.9).unwrap(), n);
        check("Matérn 3/2", &Matern::new(Smoothness::ThreeHalves, 0.9).unwrap(), n);
        check("rational quadratic", &quadratic, n);
        check("inverse multiquadric", &InverseMultiquadric::new(0.6).unwrap(), n);
        check("bandwidths", &Mixture::of_bandwidths(&[2.0, 0.5, 0.3]).unwrap(), n);
        check("uneven", &Mixture::new(vec![(0.2, gaussian), (0.7, Gaussian::new(2.0).unwrap())]).unwrap(), n);
        check("product", &Times::new(gaussian, quadratic).unwrap(), n);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let seed = Seed::new(0);
        assert!(Energy::new(1.5).unwrap().frequencies(1, 3, seed).is_err());
        assert!(Energy::distance().frequencies(1, 3, seed).is_ok());
        assert!(Laplace::new(1.0).unwrap().frequencies(0, 3, seed).is_err());
        assert!(InverseMultiquadric::new(1.0).unwrap().frequencies(1, 0, seed).is_err());
        assert!(Mixture::of_bandwidths(&[1.0, 2.0]).unwrap().frequencies(1, 1, seed).is_err());
    }
}
