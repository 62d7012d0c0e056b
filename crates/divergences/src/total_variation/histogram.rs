//! Total variation of two histograms on one grid.

use super::{no_field, of_cells, value, variation};
use crate::atoms::Atoms;
use crate::{Axioms, Divergence, Toward};
use measures::{
    Empirical, Error, Functional, Measure, Points, Result, Variation, check_dim, check_finite, check_positive,
};

/// A partition of ℝᵈ into boxes Π_k \[o_k + i_k s_k, o_k + (i_k + 1) s_k), i ∈ ℤᵈ.
///
/// There is no edge to fall off, and only the cells that hold a point cost memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    origin: Vec<f64>,
    sides: Vec<f64>,
}

/// Cell numbers up to this size are exact in double precision.
const CELLS: f64 = 9_007_199_254_740_992.0;

impl Grid {
    /// The grid with a corner at `origin` and boxes of the given `sides`.
    ///
    /// # Errors
    /// The lists are empty or differ in length, the origin is not finite, or a side is not finite and positive.
    pub fn new(origin: Vec<f64>, sides: Vec<f64>) -> Result<Self> {
        if origin.is_empty() {
            return Err(Error::TooFew { what: "grid dimensions", at_least: 1, got: 0 });
        }
        check_dim("grid sides", origin.len(), sides.len())?;
        check_finite("grid origin", &origin)?;
        for side in &sides {
            check_positive("grid side", *side)?;
        }
        Ok(Grid { origin, sides })
    }

    /// The grid of cubes of one side with a corner at the origin of ℝ^`dim`.
    ///
    /// # Errors
    /// `dim` is zero, or the side is not finite and positive.
    pub fn cubes(dim: usize, side: f64) -> Result<Self> {
        Grid::new(vec![0.0; dim], vec![side; dim])
    }

    /// d.
    pub fn dim(&self) -> usize {
        self.origin.len()
    }

    /// The number i of the cell of every point, as whole numbers in double precision, n×d.
    ///
    /// # Errors
    /// The points live in another dimension, or one is more than 2⁵³ cells away from the origin.
    pub fn cells(&self, x: &Points) -> Result<Points> {
        check_dim("points", self.dim(), x.dim())?;
        let mut cells = Points::zeros(x.len(), self.dim());
        for (index, (cell, row)) in cells.rows_mut().zip(x.rows()).enumerate() {
            for k in 0..row.len() {
                cell[k] = ((row[k] - self.origin[k]) / self.sides[k]).floor();
                if cell[k].is_nan() || cell[k].abs() > CELLS {
                    return Err(Error::Entry {
                        what: "points",
                        index,
                        value: row[k],
                        must: "within 2^53 cells of the grid's origin",
                    });
                }
            }
        }
        Ok(cells)
    }
}

/// The total variation of two histograms, ½ Σ_C |μ(C) − ν(C)| over the cells C of a [`Grid`].
///
/// It never exceeds the total variation, and reaches it where the densities are constant on the cells. On samples it is
/// biased upwards: two samples of one law with n points each have about √(#cells / πn) to tell of. So it needs many
/// points a cell, and the number of cells grows like a power of the dimension.
///
/// The first variation is as for [`TotalVariation`](super::TotalVariation), cell by cell.
///
/// ```
/// use divergences::{Divergence, total_variation::{Grid, HistogramTotalVariation}};
/// use measures::{Empirical, Points};
/// let mu = Empirical::uniform(Points::from_line(vec![0.1, 0.7, 1.2, 1.9]))?;
/// let nu = Empirical::uniform(Points::from_line(vec![0.3, 0.4, 0.5, 1.5]))?;
/// let tv = HistogramTotalVariation::new(Grid::cubes(1, 1.0)?);
/// assert_eq!(tv.value(&mu, &nu)?, 0.25);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramTotalVariation {
    grid: Grid,
}

impl HistogramTotalVariation {
    /// Total variation on the cells of `grid`.
    pub fn new(grid: Grid) -> Self {
        HistogramTotalVariation { grid }
    }

    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    fn pool(&self, mu: &Empirical, nu: &Empirical) -> Result<Atoms> {
        check_dim("first measure", self.grid.dim(), mu.dim())?;
        check_dim("second measure", self.grid.dim(), nu.dim())?;
        let (x, y) = (self.grid.cells(mu.points())?, self.grid.cells(nu.points())?);
        Ok(Atoms::of_rows(&x, mu.weights(), &y, nu.weights()))
    }
}

impl Divergence for HistogramTotalVariation {
    fn axioms(&self) -> Axioms {
        of_cells()
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(value(&self.pool(mu, nu)?))
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        Ok(variation(mu, &self.pool(mu, nu)?))
    }

    fn gradient_field(&self, _: &Empirical, _: &Empirical) -> Result<Points> {
        Err(no_field())
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        self.grid.cells(target.points())?;
        Ok(Box::new(Toward::new(self, target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_weights;
    use crate::total_variation::TotalVariation;
    use measures::{Estimate, Sample, Seed, zoo::Gaussian};

    fn sample(n: usize, d: usize, seed: u64) -> Empirical {
        Empirical::uniform(Gaussian::standard(d).sample(n, &mut Seed::new(seed).rng())).unwrap()
    }

    #[test]
    fn the_total_variation_of_the_quantised_measures() {
        let (mu, nu) = (sample(300, 2, 1), sample(200, 2, 2));
        let grid = Grid::new(vec![0.1, -0.2], vec![0.7, 0.4]).unwrap();
        let centres = |m: &Empirical| m.with_points(grid.cells(m.points()).unwrap()).unwrap();
        let tv = HistogramTotalVariation::new(grid.clone());
        assert_eq!(tv.value(&mu, &nu).unwrap(), TotalVariation.value(&centres(&mu), &centres(&nu)).unwrap());
        // Coarser cells see less.
        let coarse = HistogramTotalVariation::new(Grid::new(vec![0.1, -0.2], vec![1.4, 0.8]).unwrap());
        assert!(coarse.value(&mu, &nu).unwrap() <= tv.value(&mu, &nu).unwrap());
        check_weights(&tv, &sample(7, 2, 3), &nu, 1e-6, 1e-8);
    }

    /// N(0, 1) against N(1, 1) has total variation 2Φ(½) − 1 = .3829; cells of .1 see it to three digits.
    #[test]
    fn two_gaussians_on_the_line() {
        let n = 400_000;
        let shifted = Gaussian::isotropic(&[1.0], 1.0).unwrap();
        let nu = Empirical::uniform(shifted.sample(n, &mut Seed::new(5).rng())).unwrap();
        let tv = HistogramTotalVariation::new(Grid::cubes(1, 0.1).unwrap());
        let found = tv.value(&sample(n, 1, 4), &nu).unwrap();
        let exact = 0.382_924_922_548_026;
        // Standard error of a difference of frequencies on the best set, and the bias of some 80 cells.
        assert!((found - exact).abs() < 5.0 * 0.5 / (n as f64).sqrt() * 2.0 + 5e-4, "{found}");
    }

    #[test]
    fn the_stated_bias() {
        let tv = HistogramTotalVariation::new(Grid::cubes(1, 0.1).unwrap());
        let mut rng = Seed::new(8).rng();
        let mut uniform = |n: usize| {
            use measures::rand::RngExt;
            Empirical::uniform(Points::from_line((0..n).map(|_| rng.random()).collect())).unwrap()
        };
        let draws: Vec<f64> = (0..200).map(|_| tv.value(&uniform(2000), &uniform(2000)).unwrap()).collect();
        let e = Estimate::of_mean(&draws).unwrap();
        // ½ Σ_C E|p̂ − q̂| = ½ · 10 · √(2 · 2 · .1 · .9 / (2000 π)) in the normal limit.
        let expected = 5.0 * (0.36 / (2000.0 * std::f64::consts::PI)).sqrt();
        assert!((e.value - expected).abs() < 5.0 * e.standard_error + 1e-4, "{e:?} {expected}");
    }

    #[test]
    fn bad_grids_and_far_points() {
        assert!(Grid::new(vec![], vec![]).is_err());
        assert!(Grid::cubes(2, 0.0).is_err() && Grid::cubes(0, 1.0).is_err());
        assert!(Grid::new(vec![0.0], vec![1.0, 1.0]).is_err());
        assert!(Grid::new(vec![f64::NAN], vec![1.0]).is_err());
        let tv = HistogramTotalVariation::new(Grid::cubes(1, 1e-12).unwrap());
        let far = Empirical::dirac(&[1e9]).unwrap();
        assert!(matches!(tv.value(&far, &far), Err(Error::Entry { index: 0, .. })));
        assert!(tv.toward(&far).is_err());
        assert!(tv.value(&sample(2, 2, 0), &far).is_err());
    }
}
