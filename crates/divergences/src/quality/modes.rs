//! Modes covered and good samples, with the stricter bars that mode counts alone do not set.

use super::weighted_mean;
use crate::neighbours::NearestNeighbours;
use measures::{Empirical, Error, Estimate, Measure, Points, Result, check_dim, check_len};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// How far from its mode, in its standard deviations, a sample is still good (PacGAN).
const GOOD: f64 = 3.0;

/// A mixture of K isotropic modes N(c_k, σ_k² I) with shares p_k: the target a sample is held to.
///
/// ```
/// use divergences::quality::Modes;
/// use measures::{Empirical, Points};
/// let modes = Modes::new(Points::from_line(vec![-1.0, 1.0]), 0.1)?;
/// let found = modes.assess(&Empirical::uniform(Points::from_line(vec![-1.05, -0.9, -0.5, 0.7]))?)?;
/// assert_eq!((found.covered, found.modes.len()), (2, 2));
/// assert_eq!(found.good.value, 0.75);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Modes {
    centres: NearestNeighbours,
    sigmas: Vec<f64>,
    shares: Vec<f64>,
}

/// One mode of a sample: what [`Modes::assess`] found about it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct ModeQuality {
    /// The mass of the samples nearest to this mode, over its share p_k: 1 is right.
    pub share_ratio: f64,
    /// The mass of its good samples: those within 3σ_k of it.
    pub good_mass: f64,
    /// The number of its good samples.
    pub good_count: usize,
    /// The standard deviation per coordinate of the samples nearest to this mode about their own mean (n − 1 in the
    /// denominator), over σ_k: 1 is right, 0 a Dirac mass; NaN is never returned, a mode with fewer than two samples
    /// has 0.
    pub std_ratio: f64,
    /// The same over its good samples only, and over √(F_{d+2}(9)/F_d(9)) σ_k with F_d the distribution function of χ²
    /// with d degrees of freedom: the standard deviation of a Gaussian cut off at 3σ.
    pub good_std_ratio: f64,
    /// The distance of the mean of its samples from the centre, over σ_k.
    pub offset: f64,
}

/// What [`Modes::assess`] found about a sample.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct ModesReport {
    /// The number of samples.
    pub n: usize,
    /// The number of modes with at least one good sample.
    pub covered: usize,
    /// The share of mass within 3σ of its nearest mode, with its standard error: the share of good samples.
    pub good: Estimate,
    /// That share for a sample of the target with modes far apart: F_d(9), which is 1 − e^{−4.5} = .98889 in the plane.
    pub good_reference: f64,
    /// Σ_k q_k log(q_k/p_k) over the nearest modes of *all* samples, q_k their shares, in nats.
    pub reverse_kl: f64,
    /// The mean of that number for n independent samples of the target, (K − 1)/2n to leading order.
    pub reverse_kl_floor: f64,
    /// One entry a mode, in the order of the centres.
    pub modes: Vec<ModeQuality>,
}

/// The bars of [`ModesReport::passes`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModeBars {
    /// The range of `std_ratio` for every mode.
    pub std_ratio: (f64, f64),
    /// The least `share_ratio` of every mode.
    pub share_ratio: f64,
    /// How many standard errors the share of good samples may exceed its reference: a sample that is too good has
    /// collapsed onto the centres.
    pub good_standard_errors: f64,
}

impl Default for ModeBars {
    /// Standard deviations within a tenth, at least half its share for every mode, three standard errors.
    fn default() -> Self {
        ModeBars { std_ratio: (0.9, 1.1), share_ratio: 0.5, good_standard_errors: 3.0 }
    }
}

impl Modes {
    /// K modes of equal share and one standard deviation, per coordinate.
    ///
    /// # Errors
    /// There is no centre, one is not finite, or `sigma` is not finite and positive.
    pub fn new(centres: Points, sigma: f64) -> Result<Self> {
        let k = centres.len();
        Modes::weighted(centres, vec![sigma; k], vec![1.0; k])
    }

    /// Modes with their own standard deviations and shares, which are divided by their sum.
    ///
    /// # Errors
    /// There is no centre, the lists differ in length, a centre is not finite, or a standard deviation or share is not
    /// finite and positive (its index is named).
    pub fn weighted(centres: Points, sigmas: Vec<f64>, mut shares: Vec<f64>) -> Result<Self> {
        check_len("sigmas", centres.len(), sigmas.len())?;
        check_len("shares", centres.len(), shares.len())?;
        for (what, values) in [("sigmas", &sigmas), ("shares", &shares)] {
            if let Some(index) = values.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
                return Err(Error::Entry { what, index, value: values[index], must: "finite and positive" });
            }
        }
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|p| *p /= total);
        Ok(Modes { centres: NearestNeighbours::new(centres)?, sigmas, shares })
    }

    /// The number of modes K.
    pub fn len(&self) -> usize {
        self.sigmas.len()
    }

    /// Always false: there is at least one mode.
    pub fn is_empty(&self) -> bool {
        self.sigmas.is_empty()
    }

    /// Assigns every sample to its nearest centre (ties to the first) and describes each mode.
    ///
    /// A sample is good within 3σ of its nearest mode, and a mode is covered by one good sample: the definitions of
    /// PacGAN (Lin, Khetan, Fanti, Oh 2018, arXiv:1712.04086). They are weak: uniform noise on \[−5, 5\]² covers nearly
    /// all modes of a 5×5 grid with almost no reverse KL, and one Dirac mass at every centre is perfect. The standard
    /// deviation within each mode and the reference for the share of good samples tell those apart;
    /// [`ModesReport::passes`] puts them together.
    ///
    /// # Errors
    /// The sample lives in another dimension.
    pub fn assess(&self, sample: &Empirical) -> Result<ModesReport> {
        check_dim("sample", self.centres.points().dim(), sample.dim())?;
        let (k, d, n) = (self.len(), sample.dim(), sample.len());
        let nearest = self.centres.query(sample.points(), 1)?;
        let mode_of: Vec<usize> = (0..n).map(|i| nearest.indices(i)[0]).collect();
        let is_good: Vec<bool> =
            (0..n).map(|i| nearest.squared(i)[0].sqrt() <= GOOD * self.sigmas[mode_of[i]]).collect();
        let good_share: Vec<f64> = is_good.iter().map(|&g| f64::from(u8::from(g))).collect();
        let inside = |d: usize| ChiSquared::new(d as f64).expect("a positive dimension").cdf(GOOD * GOOD);
        let cut_off = (inside(d + 2) / inside(d)).sqrt();
        let spread = self.spread(sample, &mode_of, &vec![true; n]);
        let good_spread = self.spread(sample, &mode_of, &is_good);
        let modes: Vec<ModeQuality> = (0..k)
            .map(|m| ModeQuality {
                share_ratio: spread[m].mass / self.shares[m],
                good_mass: good_spread[m].mass,
                good_count: good_spread[m].count,
                std_ratio: spread[m].std / self.sigmas[m],
                good_std_ratio: good_spread[m].std / (cut_off * self.sigmas[m]),
                offset: spread[m].offset / self.sigmas[m],
            })
            .collect();
        Ok(ModesReport {
            n,
            covered: modes.iter().filter(|m| m.good_count > 0).count(),
            good: weighted_mean(&good_share, sample),
            good_reference: inside(d),
            reverse_kl: spread
                .iter()
                .zip(&self.shares)
                .filter(|(s, _)| s.mass > 0.0)
                .map(|(s, p)| s.mass * (s.mass / p).ln())
                .sum::<f64>()
                .max(0.0),
            reverse_kl_floor: (k - 1) as f64 / (2 * n) as f64,
            modes,
        })
    }

    /// Mass, spread and mean of the kept samples of every mode; samples of no weight do not exist.
    fn spread(&self, sample: &Empirical, mode_of: &[usize], keep: &[bool]) -> Vec<Spread> {
        let (k, d) = (self.len(), sample.dim());
        let mut out = vec![Spread::default(); k];
        let mut means = vec![0.0; k * d];
        let kept = || {
            let atoms = sample.points().rows().zip(sample.weights()).zip(mode_of).zip(keep);
            atoms.filter(|(((_, w), _), keep)| **keep && **w > 0.0).map(|(((x, w), m), _)| (x, *w, *m))
        };
        for (x, w, m) in kept() {
            out[m].mass += w;
            out[m].count += 1;
            // Deviations from the centre, so that a mode far from the origin loses no digits.
            let centre = self.centres.points().row(m);
            (0..d).for_each(|a| means[m * d + a] += w * (x[a] - centre[a]));
        }
        for (m, s) in out.iter_mut().enumerate().filter(|(_, s)| s.count > 0) {
            means[m * d..(m + 1) * d].iter_mut().for_each(|v| *v /= s.mass);
            s.offset = means[m * d..(m + 1) * d].iter().map(|v| v * v).sum::<f64>().sqrt();
        }
        for (x, w, m) in kept() {
            let centre = self.centres.points().row(m);
            out[m].std += (0..d).map(|a| (x[a] - centre[a] - means[m * d + a]).powi(2)).sum::<f64>() * w;
        }
        for s in &mut out {
            let free = s.count as f64 / (s.count.max(2) - 1) as f64;
            s.std = if s.count < 2 { 0.0 } else { (s.std / s.mass * free / d as f64).sqrt() };
        }
        out
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    mass: f64,
    count: usize,
    std: f64,
    offset: f64,
}

impl ModesReport {
    /// Whether every mode is covered, has its spread and its share, and the good samples are not too many.
    ///
    /// It says nothing against a sample with few good ones; set a bar of your own on `good`.
    pub fn passes(&self, bars: &ModeBars) -> bool {
        let (low, high) = bars.std_ratio;
        let reference_error = (self.good_reference * (1.0 - self.good_reference) / self.n as f64).sqrt();
        self.covered == self.modes.len()
            && self.good.value <= self.good_reference + bars.good_standard_errors * reference_error
            && self
                .modes
                .iter()
                .all(|m| m.std_ratio >= low && m.std_ratio <= high && m.share_ratio >= bars.share_ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, Seed, zoo::Gaussian};
    use rand::RngExt;

    fn grid() -> Points {
        Points::from_fn(25, 2, |i, row| {
            row.copy_from_slice(&[(i / 5) as f64 * 2.0 - 4.0, (i % 5) as f64 * 2.0 - 4.0]);
        })
    }

    fn mixture(n: usize, seed: u64, pick: impl Fn(usize) -> usize) -> Empirical {
        let mut x = Gaussian::isotropic(&[0.0, 0.0], 0.05).unwrap().sample(n, &mut Seed::new(seed).rng());
        let centres = grid();
        x.rows_mut().enumerate().for_each(|(i, row)| {
            row.iter_mut().zip(centres.row(pick(i))).for_each(|(r, c)| *r += c);
        });
        Empirical::uniform(x).unwrap()
    }

    #[test]
    fn the_target_itself_passes() {
        let modes = Modes::new(grid(), 0.05).unwrap();
        let found = modes.assess(&mixture(25_000, 1, |i| i % 25)).unwrap();
        assert!(found.passes(&ModeBars::default()), "{found:?}");
        assert!((found.good_reference - (1.0 - (-4.5f64).exp())).abs() < 1e-13);
        assert!((found.good.value - found.good_reference).abs() < 5.0 * found.good.standard_error);
        assert!(found.reverse_kl < 1e-12);
        // 2000 deviates a mode: the relative error of a standard deviation is 1/√4000.
        for m in &found.modes {
            assert!((m.std_ratio - 1.0).abs() < 5.0 / 4000f64.sqrt(), "{m:?}");
            assert!((m.good_std_ratio - 1.0).abs() < 5.0 / 4000f64.sqrt(), "{m:?}");
        }
    }

    #[test]
    fn reverse_kl_has_its_floor() {
        let modes = Modes::new(grid(), 0.05).unwrap();
        let draws: Vec<f64> = (0..40)
            .map(|r| {
                let mut rng = Seed::new(9).stream(r);
                let picks: Vec<usize> = (0..2500).map(|_| rng.random_range(0..25)).collect();
                modes.assess(&mixture(2500, r, |i| picks[i])).unwrap().reverse_kl
            })
            .collect();
        let e = Estimate::of_mean(&draws).unwrap();
        assert!((e.value - 0.0048).abs() < 5.0 * e.standard_error, "{e:?}");
    }

    #[test]
    fn what_mode_counts_cannot_see_is_seen() {
        let modes = Modes::new(grid(), 0.05).unwrap();
        let bars = ModeBars::default();
        let mut rng = Seed::new(2).rng();
        let noise = Points::from_fn(2500, 2, |_, row| row.fill_with(|| rng.random_range(-5.0..5.0)));
        let noise = modes.assess(&Empirical::uniform(noise).unwrap()).unwrap();
        assert!(noise.covered >= 20 && noise.reverse_kl < 0.02 && !noise.passes(&bars));
        let diracs = modes.assess(&Empirical::uniform(grid()).unwrap()).unwrap();
        assert_eq!((diracs.covered, diracs.good.value, diracs.reverse_kl), (25, 1.0, 0.0));
        assert!(!diracs.passes(&bars));
        let lost = modes.assess(&mixture(25_000, 3, |i| i % 24)).unwrap();
        assert!(lost.covered == 24 && !lost.passes(&bars));
        assert_eq!((lost.modes[24].std_ratio, lost.modes[24].share_ratio), (0.0, 0.0));
        let thin = modes.assess(&mixture(25_000, 4, |i| if i % 500 == 0 { 0 } else { 1 + i % 24 })).unwrap();
        assert!(thin.covered == 25 && !thin.passes(&bars));
    }

    #[test]
    fn unequal_shares_and_weights() {
        let centres = Points::from_line(vec![0.0, 10.0]);
        let modes = Modes::weighted(centres, vec![1.0, 2.0], vec![1.0, 3.0]).unwrap();
        let x = Points::from_line(vec![-1.0, 1.0, 8.0, 16.0]);
        let mu = Empirical::weighted(x, vec![0.25, 0.25, 0.25, 0.25]).unwrap();
        let found = modes.assess(&mu).unwrap();
        assert_eq!(found.modes[0].share_ratio, 2.0);
        assert!((found.modes[0].std_ratio - 2f64.sqrt()).abs() < 1e-15);
        assert_eq!((found.modes[1].good_count, found.modes[1].offset), (2, 1.0));
        let kl = 0.5 * 2f64.ln() + 0.5 * (2.0 / 3.0f64).ln();
        assert!((found.reverse_kl - kl).abs() < 1e-15);
    }

    #[test]
    fn bad_modes_are_named() {
        assert!(matches!(Modes::new(grid(), 0.0), Err(Error::Entry { what: "sigmas", .. })));
        assert!(matches!(Modes::new(Points::new(2, vec![]).unwrap(), 1.0), Err(Error::TooFew { .. })));
        assert!(matches!(Modes::weighted(grid(), vec![1.0], vec![1.0]), Err(Error::Length { .. })));
        let modes = Modes::new(grid(), 1.0).unwrap();
        assert!(matches!(modes.assess(&Empirical::dirac(&[0.0]).unwrap()), Err(Error::Dimension { .. })));
    }
}
