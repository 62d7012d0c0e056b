//! Every divergence between two samples that the crate has, with settings that suit a given dimension and length scale:
//! what the axiom and gradient tests drive, and what a comparison of two data sets prints.

use crate::divergence::Divergence;
use crate::energy::EnergyDistance;
use crate::family::{Activation, FourierLattice, RandomFrequencies, Ridge};
use crate::kernel::{
    Energy, Gaussian, InverseMultiquadric, Kernel, Laplace, Matern, Mixture, Polynomial, Product,
    RationalQuadratic, Smoothness, Sum, Times,
};
use crate::mean_ipm::MeanIpm;
use crate::mmd::Mmd;
use crate::phi::{Critic, DualPhi, Phi, PhiDivergence};
use crate::quality::Frechet;
use crate::spectral::{Approach, SpectralMmd};
use crate::statistic::Statistic;
use crate::sup_ipm::{RkhsBall, SupIpm};
use crate::total_variation::{Grid, HistogramTotalVariation, TotalVariation};
use crate::transport;
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
    let mut all = vec![
        Registered::new("D2 Fourier lattice", MeanIpm::new(lattice()?, Statistic::Plugin)),
        Registered::new("D2 Fourier lattice, unbiased", MeanIpm::new(lattice()?, Statistic::Unbiased)),
        Registered::new("D2 Gaussian frequencies", MeanIpm::new(frequencies()?, Statistic::Plugin)),
        Registered::new(
            "D2 Gaussian frequencies, unbiased",
            MeanIpm::new(frequencies()?, Statistic::Unbiased),
        ),
        Registered::new("D2 stable frequencies", {
            MeanIpm::new(RandomFrequencies::stable(dim, scale, 64, seed)?, Statistic::Plugin)
        }),
        Registered::new("D2 random neurons", {
            MeanIpm::new(Ridge::random(Activation::Tanh, dim, scale, 32, seed)?, Statistic::Plugin)
        }),
        Registered::new("energy distance", EnergyDistance::new(Statistic::Plugin)),
        Registered::new("energy distance, unbiased", EnergyDistance::new(Statistic::Unbiased)),
        Registered::new("MMD Gaussian", Mmd::new(gaussian, Statistic::Plugin)),
        Registered::new("MMD Gaussian, unbiased", Mmd::new(gaussian, Statistic::Unbiased)),
        Registered::new("MMD Gaussian by a grid", {
            SpectralMmd::new(gaussian, Statistic::Plugin).by(Approach::Grid)
        }),
    ];
    all.extend(
        kernels(scale)?.into_iter().map(|(name, kernel)| {
            Registered::new(format!("MMD {name}"), Mmd::new(kernel, Statistic::Plugin))
        }),
    );
    all.extend(suprema_and_densities(dim, scale, &lattice)?);
    all.extend(transport::registered(scale)?);
    Ok(all)
}

/// A kernel of every kind.
fn kernels(scale: f64) -> Result<Vec<(&'static str, Box<dyn Kernel>)>> {
    let gaussian = Gaussian::new(scale)?;
    let quadratic = RationalQuadratic::new(0.8, scale)?;
    Ok(vec![
        ("Laplace", Box::new(Laplace::new(scale)?)),
        ("Matérn 1/2", Box::new(Matern::new(Smoothness::Half, scale)?)),
        ("Matérn 3/2", Box::new(Matern::new(Smoothness::ThreeHalves, scale)?)),
        ("Matérn 5/2", Box::new(Matern::new(Smoothness::FiveHalves, scale)?)),
        ("inverse multiquadric", Box::new(InverseMultiquadric::new(scale)?)),
        ("rational quadratic", Box::new(quadratic)),
        ("energy 1", Box::new(Energy::distance())),
        ("energy 1.5", Box::new(Energy::new(1.5)?)),
        ("polynomial 3", Box::new(Polynomial::new(3, 1.0 / (scale * scale), 1.0)?)),
        ("bandwidths 1, 0.3, 0.1", Box::new(Mixture::of_bandwidths(&[scale, 0.3 * scale, 0.1 * scale])?)),
        ("Gaussian × rational quadratic", Box::new(Times::new(gaussian, quadratic)?)),
        ("Gaussian + polynomial", {
            let square = Polynomial::new(2, 1.0 / (scale * scale), 0.0)?;
            Box::new(Sum::new(vec![(1.0, Box::new(gaussian) as Box<dyn Kernel>), (0.1, Box::new(square))])?)
        }),
        ("Laplace × Gaussian", {
            Box::new(Product::new(vec![
                Box::new(Laplace::new(scale)?) as Box<dyn Kernel>,
                Box::new(gaussian),
            ])?)
        }),
    ])
}

/// The maximum formulation, the divergences of densities, and the Fréchet distance.
fn suprema_and_densities(
    dim: usize,
    scale: f64,
    lattice: &impl Fn() -> Result<FourierLattice>,
) -> Result<Vec<Registered>> {
    let on_atoms = |name: &str, phi: Phi| {
        Registered::new(name, PhiDivergence::new(phi)).without_gradient_in_points().on_shared_atoms()
    };
    let dual = |phi: Phi| {
        DualPhi::new(phi, lattice()?)
            .with_critic(Critic::LogRatio)?
            .with_ridge(1.0)?
            .with_accuracy(1e-12, 500)
    };
    Ok(vec![
        Registered::new("D∞ Fourier lattice", SupIpm::new(lattice()?)?),
        Registered::new("D∞ Fourier lattice, both signs", SupIpm::symmetric(lattice()?)?),
        Registered::new("D∞ ball of an RKHS", RkhsBall::new(Gaussian::new(scale)?)?),
        Registered::new("total variation of atoms", TotalVariation)
            .without_gradient_in_points()
            .on_shared_atoms(),
        Registered::new(
            "total variation of histograms",
            HistogramTotalVariation::new(Grid::cubes(dim, 0.5 * scale)?),
        )
        .without_gradient_in_points(),
        on_atoms("Jensen–Shannon of atoms", Phi::JensenShannon),
        on_atoms("squared Hellinger of atoms", Phi::SquaredHellinger),
        on_atoms("α-divergence of atoms, α = 0.6", Phi::alpha(0.6)?),
        Registered::new("Jensen–Shannon by logistic regression, ridge 1", dual(Phi::JensenShannon)?),
        Registered::new("KL by duality, ridge 1", dual(Phi::Kl)?),
        Registered::new("Fréchet distance", Frechet),
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
