//! How good a sample is: fidelity, coverage, modes, Fréchet distance, and whether it was copied.
//!
//! None of these numbers alone tells a good generator from a bad one. Precision is perfect for a single repeated data
//! point, recall for a cloud that covers everything, mode counts for uniform noise; see each for what it misses.

mod copying;
mod density_coverage;
mod frechet;
mod memorisation;
mod modes;
mod precision_recall;

pub use copying::{DataCopying, data_copying};
pub use density_coverage::{DensityCoverage, density_coverage};
pub use frechet::Frechet;
pub use memorisation::{Memorisation, memorisation};
pub use modes::{ModeBars, ModeQuality, Modes, ModesReport};
pub use precision_recall::{PrecisionRecall, precision_recall};

use crate::neighbours::NearestNeighbours;
use measures::{Empirical, Error, Estimate, Result, check_dim};

/// ⟨f|μ⟩ for values f(xᵢ), with the standard error √Σ wᵢ² (fᵢ − f̄)² · n/(n − 1): that of the mean of independent draws
/// when the weights are equal.
fn weighted_mean(values: &[f64], mu: &Empirical) -> Estimate {
    let n = mu.len();
    // Sums of indicators are exact, their products with 1/n are not: a share of everything shall be 1.
    let mean = if mu.is_uniform() {
        values.iter().sum::<f64>() / n as f64
    } else {
        let most = values.iter().fold(f64::NEG_INFINITY, |most, v| most.max(*v));
        values.iter().zip(mu.weights()).map(|(v, w)| v * w).sum::<f64>().min(most)
    };
    let squares: f64 = values.iter().zip(mu.weights()).map(|(v, w)| (w * (v - mean)).powi(2)).sum();
    let standard_error = if n == 1 { f64::INFINITY } else { (squares * n as f64 / (n - 1) as f64).sqrt() };
    Estimate::new(mean, standard_error, n)
}

/// The atoms of positive weight: what the support of μ is made of.
fn support(mu: &Empirical) -> Result<Empirical> {
    if mu.weights().iter().all(|w| *w > 0.0) {
        return Ok(mu.clone());
    }
    let kept: Vec<usize> = (0..mu.len()).filter(|&i| mu.weights()[i] > 0.0).collect();
    let weights = kept.iter().map(|&i| mu.weights()[i]).collect();
    Empirical::normalised(mu.points().select(&kept), weights)
}

/// The two clouds of a comparison by k-nearest-neighbour balls: supports, searches and squared radii.
struct Balls {
    generated: Empirical,
    data: Empirical,
    near_generated: NearestNeighbours,
    near_data: NearestNeighbours,
}

impl Balls {
    fn new(generated: &Empirical, data: &Empirical, k: usize) -> Result<Self> {
        use measures::Measure;
        check_dim("data", generated.dim(), data.dim())?;
        let (generated, data) = (support(generated)?, support(data)?);
        for (what, n) in [("generated atoms", generated.len()), ("data atoms", data.len())] {
            if n <= k {
                return Err(Error::TooFew { what, at_least: k + 1, got: n });
            }
        }
        let near_generated = NearestNeighbours::new(generated.points().clone())?;
        let near_data = NearestNeighbours::new(data.points().clone())?;
        Ok(Balls { generated, data, near_generated, near_data })
    }
}
