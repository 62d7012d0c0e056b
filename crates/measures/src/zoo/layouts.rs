//! The mixtures of Gaussians that generative models are tried on: rings, grids, and the corners of a cross-polytope.

use super::gaussian_mixture::GaussianMixture;
use crate::error::{Error, Result, check_positive};
use crate::points::Points;
use std::f64::consts::TAU;

impl GaussianMixture {
    /// `modes` equal Gaussians N(c_k, `sigma`² I) with c_k = `radius` (cos 2πk/K, sin 2πk/K), k = 0, …, K−1.
    ///
    /// ```
    /// use measures::zoo::GaussianMixture;
    /// let ring = GaussianMixture::ring(8, 12.0, 1.5)?;
    /// assert_eq!(ring.means().row(0), &[12.0, 0.0]);
    /// # Ok::<(), measures::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no mode, or a length is not finite and positive.
    pub fn ring(modes: usize, radius: f64, sigma: f64) -> Result<Self> {
        check_positive("radius", radius)?;
        at_least_one("modes", modes)?;
        Self::equal(
            Points::from_fn(modes, 2, |k, row| {
                let angle = TAU * k as f64 / modes as f64;
                (row[0], row[1]) = (radius * angle.cos(), radius * angle.sin());
            }),
            sigma,
        )
    }

    /// The eight Gaussians of torchcfm: radius 5, σ⁴ = 0.1, so σ = .5623. (Its `eight_normal_sample(scale = 5, var = 0.1)`
    /// passes √var I for the covariance, not var I.) Source: Tong et al. (2024), arXiv:2302.00482, and its code.
    pub fn eight_gaussians() -> Self {
        Self::ring(8, 5.0, 0.1f64.powf(0.25)).expect("valid constants")
    }

    /// The eight Gaussians of FFJORD: radius 4/1.414, σ = 0.5/1.414. Source: Grathwohl et al. (2019), arXiv:1810.01367,
    /// `toy_data.inf_train_gen("8gaussians")`.
    pub fn eight_gaussians_ffjord() -> Self {
        Self::ring(8, 4.0 / 1.414, 0.5 / 1.414).expect("valid constants")
    }

    /// The ring of PacGAN's mode counts: eight modes, radius 1, σ = 0.01. Source: Lin et al. (2018), arXiv:1712.04086.
    pub fn ring_pacgan() -> Self {
        Self::ring(8, 1.0, 0.01).expect("valid constants")
    }

    /// `side`² equal Gaussians N(c, `sigma`² I), the centres on a square grid of the given spacing about the origin.
    ///
    /// # Errors
    /// There is no mode, or a length is not finite and positive.
    pub fn grid(side: usize, spacing: f64, sigma: f64) -> Result<Self> {
        check_positive("spacing", spacing)?;
        at_least_one("side", side)?;
        if side > MAX_SIDE {
            return Err(Error::TooMany { what: "side", limit: MAX_SIDE, requested: side });
        }
        let middle = 0.5 * (side - 1) as f64;
        Self::equal(
            Points::from_fn(side * side, 2, |k, row| {
                row[0] = spacing * ((k / side) as f64 - middle);
                row[1] = spacing * ((k % side) as f64 - middle);
            }),
            sigma,
        )
    }

    /// The 25 Gaussians of PacGAN's mode counts: centres {−4, −2, 0, 2, 4}², σ = 0.05. Source: Lin et al. (2018),
    /// arXiv:1712.04086.
    pub fn grid_25() -> Self {
        Self::grid(5, 2.0, 0.05).expect("valid constants")
    }

    /// 2·`dim` equal Gaussians N(±`radius` e_i, `sigma`² I), the corners of a cross-polytope: a multimodal target in any
    /// dimension whose modes are all equally far from the centre.
    ///
    /// # Errors
    /// `dim` is zero, or a length is not finite and positive.
    pub fn cross_polytope(dim: usize, radius: f64, sigma: f64) -> Result<Self> {
        check_positive("radius", radius)?;
        at_least_one("dim", dim)?;
        if dim > MAX_SIDE {
            return Err(Error::TooMany { what: "dim", limit: MAX_SIDE, requested: dim });
        }
        Self::equal(
            Points::from_fn(2 * dim, dim, |k, row| row[k / 2] = if k % 2 == 0 { radius } else { -radius }),
            sigma,
        )
    }
}

/// A grid of more modes than this a side, or a polytope of more dimensions, is a slip of the pen and not a target.
const MAX_SIDE: usize = 1024;

fn at_least_one(what: &'static str, got: usize) -> Result<()> {
    if got == 0 { Err(Error::TooFew { what, at_least: 1, got }) } else { Ok(()) }
}
