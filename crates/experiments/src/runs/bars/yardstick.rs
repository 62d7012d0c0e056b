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

/// A sample of the target, and the figures of other samples of the target against it.
pub(super) struct Yardstick {
    reference: Empirical,
    bandwidths: [f64; 3],
    /// The means over independent samples.
    pub(super) floor: Figures,
}

impl Yardstick {
    /// Against a sample of `n` points, with floors from `pairs` further ones.
    pub(super) fn new(target: &dyn Sample, n: usize, pairs: usize, seed: Seed) -> Result<Self> {
        let draw = |k: u64| target.sample(n, &mut seed.child(k).rng());
        let reference = Empirical::uniform(draw(0))?;
        let median = median_distance(reference.points())?;
        let bandwidths = MULTIPLES.map(|multiple| multiple * median);
        let mut yardstick = Yardstick { reference, bandwidths, floor: Figures { w2: 0.0, mmd2: [0.0; 3] } };
        let share = 1.0 / pairs as f64;
        let mut floor = yardstick.floor;
        for k in 0..pairs {
            let found = yardstick.measure(draw(1 + k as u64))?;
            floor.w2 += share * found.w2;
            floor.mmd2.iter_mut().zip(found.mmd2).for_each(|(a, b)| *a += share * b);
        }
        yardstick.floor = floor;
        Ok(yardstick)
    }

    /// The figures of a sample.
    pub(super) fn measure(&self, x: Points) -> Result<Figures> {
        let mu = Empirical::uniform(x)?;
        let w2 = Wasserstein::new(2.0)?.value(&mu, &self.reference)?;
        let mut mmd2 = [0.0; 3];
        for (found, bandwidth) in mmd2.iter_mut().zip(self.bandwidths) {
            *found = Mmd::new(Gaussian::new(bandwidth)?, Statistic::Plugin).value(&mu, &self.reference)?;
        }
        Ok(Figures { w2, mmd2 })
    }
}
