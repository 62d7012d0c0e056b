//! How far a sample is from its target, by figures that see shape, each beside what sampling alone makes of it.

use crate::failure::Result;
use divergences::kernel::Gaussian;
use divergences::transport::Wasserstein;
use divergences::{Divergence, Mmd, Statistic};
use measures::{Empirical, Points, Sample, Seed};
use models::methods::statistics::median_distance;
use serde::{Deserialize, Serialize};

/// Bandwidths of the kernels, as multiples of the median distance within the target: the first sees where mass lies, the
/// last the shape of a mode.
pub(super) const MULTIPLES: [f64; 3] = [1.0, 0.3, 0.1];

/// The distances between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// W₂ with the exact plan.
    pub(super) w2: f64,
    /// The plug-in estimate of MMD² at each of [`MULTIPLES`].
    pub(super) mmd2: [f64; 3],
}

impl Figures {
    /// The mean of several.
    pub(super) fn mean(all: &[Figures]) -> Figures {
        let share = 1.0 / all.len().max(1) as f64;
        let mut mean = Figures { w2: 0.0, mmd2: [0.0; 3] };
        for found in all {
            mean.w2 += share * found.w2;
            mean.mmd2.iter_mut().zip(found.mmd2).for_each(|(a, b)| *a += share * b);
        }
        mean
    }

    /// The largest of W₂ and of the roots of MMD², for figures over their floors: one number that sees both where mass lies
    /// and its shape, in units of W₂.
    pub(super) fn worst(&self) -> f64 {
        let worse = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
        self.mmd2.iter().map(|m| m.max(0.0).sqrt()).fold(self.w2, worse)
    }

    /// Every figure divided by the same of `floor`.
    pub(super) fn over(&self, floor: &Figures) -> Figures {
        let mut mmd2 = self.mmd2;
        mmd2.iter_mut().zip(floor.mmd2).for_each(|(a, b)| *a /= b);
        Figures { w2: self.w2 / floor.w2, mmd2 }
    }
}

/// How many times their floors the figures of a method may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    /// For W₂.
    pub(super) w2: f64,
    /// For MMD² at every bandwidth.
    pub(super) mmd2: f64,
}

impl Bar {
    /// `w2` for W₂ and its square for MMD², which is a square.
    pub(super) const fn times(w2: f64) -> Self {
        Bar { w2, mmd2: w2 * w2 }
    }

    /// Whether figures over their floors are within the bar.
    pub(super) fn holds(&self, over: &Figures) -> bool {
        over.w2 <= self.w2 && over.mmd2.iter().all(|m| *m <= self.mmd2)
    }
}

/// A sample of the target that others are measured against.
pub(super) struct Yardstick {
    reference: Empirical,
    bandwidths: [f64; 3],
}

impl Yardstick {
    /// Against these points.
    pub(super) fn against(reference: Points) -> Result<Self> {
        let median = median_distance(&reference)?;
        let reference = Empirical::uniform(reference)?;
        Ok(Yardstick { reference, bandwidths: MULTIPLES.map(|multiple| multiple * median) })
    }

    /// Against a sample of `n` points, with the floor: the mean figures of `pairs` further ones.
    pub(super) fn with_floor(
        target: &dyn Sample,
        n: usize,
        pairs: usize,
        seed: Seed,
    ) -> Result<(Self, Figures)> {
        let draw = |k: u64| target.sample(n, &mut seed.child(k).rng());
        let yardstick = Yardstick::against(draw(0))?;
        let found: Result<Vec<Figures>> =
            (0..pairs).map(|k| yardstick.measure(&Empirical::uniform(draw(1 + k as u64))?)).collect();
        Ok((yardstick, Figures::mean(&found?)))
    }

    /// The points measured against.
    pub(super) fn reference(&self) -> &Empirical {
        &self.reference
    }

    /// The figures of a sample.
    pub(super) fn measure(&self, mu: &Empirical) -> Result<Figures> {
        let w2 = Wasserstein::new(2.0)?.value(mu, &self.reference)?;
        let mut mmd2 = [0.0; 3];
        for (found, bandwidth) in mmd2.iter_mut().zip(self.bandwidths) {
            *found = Mmd::new(Gaussian::new(bandwidth)?, Statistic::Plugin).value(mu, &self.reference)?;
        }
        Ok(Figures { w2, mmd2 })
    }
}
