//! Every divergence between two samples that the crate has, with settings that suit a given dimension and length scale:
//! what the axiom and gradient tests drive, and what a comparison of two data sets prints.

use crate::divergence::Divergence;
use crate::family::{FourierLattice, RandomFrequencies};
use crate::kernel::Gaussian;
use crate::mean_ipm::MeanIpm;
use crate::mmd::Mmd;
use crate::statistic::Statistic;
use measures::{Result, Seed};

/// A divergence with a name, and what can be asked of it.
#[non_exhaustive]
pub struct Registered {
    /// Its name, with the settings that tell it from its neighbours.
    pub name: String,
    /// The divergence.
    pub divergence: Box<dyn Divergence + Send + Sync>,
    /// `variation(..).d_points` is the gradient in the points, wherever two random samples are in general position.
    pub gradient_in_points: bool,
    /// `variation(..).d_weights` is the derivative along mixtures.
    pub gradient_in_weights: bool,
    /// δF/δμ and its gradient are defined at atoms of weight zero.
    pub probes: bool,
    /// It is finite only where the measures share atoms: tests draw points from a small grid.
    pub shared_atoms: bool,
}

impl Registered {
    /// A divergence that has every gradient, at atoms of weight zero too.
    pub fn new(name: impl Into<String>, divergence: impl Divergence + Send + Sync + 'static) -> Self {
        Registered {
            name: name.into(),
            divergence: Box::new(divergence),
            gradient_in_points: true,
            gradient_in_weights: true,
            probes: true,
            shared_atoms: false,
        }
    }

    /// It has no gradient in the points.
    pub fn without_gradient_in_points(mut self) -> Self {
        self.gradient_in_points = false;
        self.probes = false;
        self
    }

    /// It has no derivative in the weights.
    pub fn without_gradient_in_weights(mut self) -> Self {
        self.gradient_in_weights = false;
        self.probes = false;
        self
    }

    /// Its potential is not defined at atoms of weight zero.
    pub fn without_probes(mut self) -> Self {
        self.probes = false;
        self
    }

    /// It compares weights on shared atoms.
    pub fn on_shared_atoms(mut self) -> Self {
        self.shared_atoms = true;
        self
    }
}

/// All divergences between two samples in ℝ^`dim`, with bandwidths and the like near `scale` (a typical distance
/// between points, in their units).
///
/// # Errors
/// `dim` is zero, or the scale is not positive.
pub fn registry(dim: usize, scale: f64) -> Result<Vec<Registered>> {
    let seed = Seed::new(0).named("registry");
    let lattice = || FourierLattice::new(&lattice_vectors(dim))?.with_periods(&vec![4.0 * scale; dim]);
    let frequencies = || RandomFrequencies::gaussian(dim, scale, 64, seed);
    let gaussian = Gaussian::new(scale)?;
    Ok(vec![
        Registered::new("D2 Fourier lattice", MeanIpm::new(lattice()?, Statistic::Plugin)),
        Registered::new("D2 Fourier lattice, unbiased", MeanIpm::new(lattice()?, Statistic::Unbiased)),
        Registered::new("D2 Gaussian frequencies", MeanIpm::new(frequencies()?, Statistic::Plugin)),
        Registered::new(
            "D2 Gaussian frequencies, unbiased",
            MeanIpm::new(frequencies()?, Statistic::Unbiased),
        ),
        Registered::new("MMD Gaussian", Mmd::new(gaussian, Statistic::Plugin)),
        Registered::new("MMD Gaussian, unbiased", Mmd::new(gaussian, Statistic::Unbiased)),
    ])
}

/// Multiples 1, 2, 3 of the axes and of the diagonals of neighbouring axes: their number grows with the dimension only.
fn lattice_vectors(dim: usize) -> Vec<Vec<i32>> {
    let mut vectors = Vec::new();
    for j in 0..dim {
        for k in 1..=3 {
            let mut axis = vec![0; dim];
            axis[j] = k;
            vectors.push(axis.clone());
            if j + 1 < dim {
                axis[j + 1] = -k;
                vectors.push(axis);
            }
        }
    }
    vectors
}
