//! Every divergence between two samples that the crate has, with settings that suit a given dimension and length scale:
//! what the axiom and gradient tests drive, and what a comparison of two data sets prints.

use crate::block::BlockMmd;
use crate::divergence::Divergence;
use crate::energy::EnergyDistance;
use crate::family::{
    Activation, Bumps, Exponentials, FourierLattice, Functions, Hermite, Monomials, RandomFrequencies, Ridge,
    SteinImage,
};
use crate::kernel::{
    Energy, Gaussian, InverseMultiquadric, Kernel, Laplace, Matern, Mixture, Polynomial, Product,
    RationalQuadratic, Smoothness, Sum, Times,
};
use crate::mean_ipm::MeanIpm;
use crate::mmd::Mmd;
use crate::phi::{Critic, DualPhi, Phi, PhiDivergence};
use crate::quality::Frechet;
use crate::sliced_energy::SlicedEnergy;
use crate::spectral::{Approach, SpectralMmd};
use crate::statistic::Statistic;
use crate::sup_ipm::{Kantorovich, RkhsBall, SupIpm, SupPairs};
use crate::total_variation::{Grid, HistogramTotalVariation, TotalVariation};
use crate::transport;
use measures::{Family, Function, Points, Result, Sample, Seed};

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
    /// It compares weights where the measures share atoms: tests draw points from a small grid.
    pub shared_atoms: bool,
    /// It is infinite unless each measure has every atom of the other: tests put all measures on the same places.
    pub common_atoms: bool,
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
            common_atoms: false,
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

    /// It is infinite unless the measures have the same atoms.
    pub fn on_common_atoms(mut self) -> Self {
        self.shared_atoms = true;
        self.common_atoms = true;
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
    let mut all = Vec::new();
    for (name, statistic) in [("", Statistic::Plugin), (", unbiased", Statistic::Unbiased)] {
        let frequencies = RandomFrequencies::gaussian(dim, scale, 64, seed)?;
        all.extend([
            Registered::new(format!("D2 Fourier lattice{name}"), MeanIpm::new(lattice()?, statistic)),
            Registered::new(format!("D2 Gaussian frequencies{name}"), MeanIpm::new(frequencies, statistic)),
        ]);
    }
    let families = families(dim, scale, seed)?.into_iter();
    all.extend(families.map(|(name, family)| {
        Registered::new(format!("D2 {name}"), MeanIpm::new(family, Statistic::Plugin))
    }));
    let gaussian = Gaussian::new(scale)?;
    all.extend([
        Registered::new("energy distance", EnergyDistance::new(Statistic::Plugin)),
        Registered::new("energy distance, unbiased", EnergyDistance::new(Statistic::Unbiased)),
        Registered::new("energy distance along 16 lines", {
            SlicedEnergy::new(Statistic::Plugin, 16, seed.named("lines"))?
        }),
        Registered::new("energy distance along 16 lines, unbiased", {
            SlicedEnergy::new(Statistic::Unbiased, 16, seed.named("lines"))?
        }),
        Registered::new("MMD Gaussian", Mmd::new(gaussian, Statistic::Plugin)),
        Registered::new("MMD Gaussian, unbiased", Mmd::new(gaussian, Statistic::Unbiased)),
        Registered::new("MMD Gaussian by a grid", {
            SpectralMmd::new(gaussian, Statistic::Plugin).by(Approach::Grid)
        }),
        // The blocks of a longer list are other blocks: there is no potential at a probe.
        Registered::new("MMD Gaussian, 20 blocks", BlockMmd::new(gaussian, 20)?).without_probes(),
        Registered::new("MMD Gaussian, linear time", BlockMmd::linear(gaussian)).without_probes(),
        Registered::new("MMD Matérn 3/2 by 64 random frequencies", {
            let matern = Matern::new(Smoothness::ThreeHalves, scale)?;
            Mmd::new(matern, Statistic::Plugin).random_features(dim, 64, seed.named("Matérn"))?
        }),
        // A rough kernel: the landmarks of a smooth one are so nearly dependent that gradients lose digits.
        Registered::new("MMD Matérn 1/2 by 12 Nyström landmarks", {
            let rough = Matern::new(Smoothness::Half, scale)?;
            let landmarks = spread(dim, scale, 12, seed.named("landmarks"))?;
            Mmd::new(rough, Statistic::Plugin).nystrom(landmarks)?
        }),
    ]);
    all.extend(
        kernels(scale)?.into_iter().map(|(name, kernel)| {
            Registered::new(format!("MMD {name}"), Mmd::new(kernel, Statistic::Plugin))
        }),
    );
    all.extend(suprema(dim, scale, &lattice, seed)?);
    all.extend(of_densities(dim, scale, &lattice)?);
    all.extend(transport::registered(scale)?);
    Ok(all)
}

/// Points of N(0, scale² I), for the centres of functions.
fn spread(dim: usize, scale: f64, count: usize, seed: Seed) -> Result<Points> {
    Ok(measures::zoo::Gaussian::isotropic(&vec![0.0; dim], scale)?.sample(count, &mut seed.rng()))
}

/// A family of every kind that is not registered otherwise.
fn families(
    dim: usize,
    scale: f64,
    seed: Seed,
) -> Result<Vec<(&'static str, Box<dyn Family + Send + Sync>)>> {
    let ridge = |activation, name| Ridge::random(activation, dim, scale, 32, seed.named(name));
    let target = measures::zoo::Gaussian::isotropic(&vec![0.0; dim], scale)?;
    // ⟨t, x⟩ of order one, real part and imaginary part
    let slopes = |name, by: f64| spread(dim, by / scale, 16, seed.named(name));
    let norm = Function::new(
        dim,
        |x| x.iter().map(|x| x * x).sum::<f64>().sqrt(),
        |x, g| {
            let r = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            g.iter_mut().zip(x).for_each(|(g, x)| *g = if r > 0.0 { x / r } else { 0.0 });
        },
    );
    Ok(vec![
        ("Student frequencies", Box::new(RandomFrequencies::student(dim, scale, 3.0, 64, seed)?)),
        ("stable frequencies", Box::new(RandomFrequencies::stable(dim, scale, 64, seed)?)),
        (
            "exponentials",
            Box::new(Exponentials::new(slopes("real", 0.3)?, slopes("imaginary", 1.0)?, &[0.0625; 16])?),
        ),
        ("monomials to degree 3", Box::new(Monomials::new(dim, 3)?)),
        ("Hermite polynomials to degree 4", Box::new(Hermite::new(dim, 4)?)),
        ("random neurons", Box::new(ridge(Activation::Tanh, "tanh")?)),
        ("random ReLU neurons", Box::new(ridge(Activation::Relu, "ReLU")?)),
        (
            "bumps",
            Box::new(Bumps::new(
                spread(dim, scale, 24, seed.named("bumps"))?,
                2.0 * scale,
                &[1.0 / 24.0; 24],
            )?),
        ),
        ("Stein image of N(0, 1)", {
            Box::new(SteinImage::new(
                target,
                RandomFrequencies::gaussian(dim, scale, 16, seed.named("Stein"))?,
            )?)
        }),
        ("the norm alone", Box::new(Functions::new(vec![norm], &[1.0])?)),
    ])
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

/// The maximum formulation: over families, the ball of an RKHS, and pairs.
fn suprema(
    dim: usize,
    scale: f64,
    lattice: &impl Fn() -> Result<FourierLattice>,
    seed: Seed,
) -> Result<Vec<Registered>> {
    let neurons = |name| Ridge::random(Activation::Tanh, dim, scale, 32, seed.named(name));
    let cost = transport::NormPower::squared_euclidean().scaled(1.0 / (scale * scale))?;
    Ok(vec![
        Registered::new("D∞ Fourier lattice", SupIpm::new(lattice()?)?),
        Registered::new("D∞ Fourier lattice, both signs", SupIpm::symmetric(lattice()?)?),
        Registered::new("D∞ ball of an RKHS", RkhsBall::new(Gaussian::new(scale)?)?),
        Registered::new("D∞ pairs of KL, 32 neurons", SupPairs::of_phi(Phi::Kl, neurons("pairs")?)?),
        // A probe is one more atom in the minimum of the c-transform: the potential there is not that of a mixture.
        Registered::new("D∞ Kantorovich pairs, 32 neurons", Kantorovich::new(cost, neurons("potentials")?)?)
            .without_probes(),
    ])
}

/// Total variation, φ-divergences of atoms and by duality, and the Fréchet distance.
fn of_densities(
    dim: usize,
    scale: f64,
    lattice: &impl Fn() -> Result<FourierLattice>,
) -> Result<Vec<Registered>> {
    let on_atoms = |name: &str, phi: Phi| {
        Registered::new(format!("{name} of atoms"), PhiDivergence::new(phi)).without_gradient_in_points()
    };
    let dual = |name: &str, phi: Phi| -> Result<Registered> {
        let critic = if Critic::LogRatio.suits(phi) { Critic::LogRatio } else { Critic::Linear };
        let dual =
            DualPhi::new(phi, lattice()?).with_critic(critic)?.with_ridge(1.0)?.with_accuracy(1e-12, 500)?;
        Ok(Registered::new(format!("{name}, ridge 1"), dual))
    };
    let cells = HistogramTotalVariation::new(Grid::cubes(dim, 0.5 * scale)?);
    Ok(vec![
        Registered::new("total variation of atoms", TotalVariation)
            .without_gradient_in_points()
            .on_shared_atoms(),
        Registered::new("total variation of histograms", cells).without_gradient_in_points(),
        on_atoms("Jensen–Shannon", Phi::JensenShannon).on_shared_atoms(),
        on_atoms("squared Hellinger", Phi::SquaredHellinger).on_shared_atoms(),
        on_atoms("α-divergence, α = 0.6,", Phi::alpha(0.6)?).on_shared_atoms(),
        on_atoms("KL", Phi::Kl).on_common_atoms(),
        on_atoms("reverse KL", Phi::ReverseKl).on_common_atoms(),
        on_atoms("χ²", Phi::ChiSquared).on_common_atoms(),
        on_atoms("α-divergence, α = 1.5,", Phi::alpha(1.5)?).on_common_atoms(),
        on_atoms("α-divergence, α = −0.5,", Phi::alpha(-0.5)?).on_common_atoms(),
        dual("Jensen–Shannon by logistic regression", Phi::JensenShannon)?,
        dual("KL by duality", Phi::Kl)?,
        // Where no mass of μ is, the slope φ′ = 1 − e^{−u} is so steep that differences at a probe lose digits.
        dual("reverse KL by duality", Phi::ReverseKl)?.without_probes(),
        dual("squared Hellinger by duality", Phi::SquaredHellinger)?,
        dual("χ² by duality", Phi::ChiSquared)?,
        dual("α-divergence by duality, α = 0.6", Phi::alpha(0.6)?)?,
        // A quadratic programme with corners: gradients are good to five digits, which the unit tests check at theirs.
        dual("total variation by duality", Phi::TotalVariation)?
            .without_gradient_in_points()
            .without_gradient_in_weights(),
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
