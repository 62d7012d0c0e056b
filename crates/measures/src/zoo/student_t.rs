//! The multivariate Student law: Gaussian in the middle, polynomial in the tails.

use super::{door, door_pair, gaussian::Gaussian, representable};
use crate::error::{Result, check_positive};
use crate::map::adopt;
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::{ChiSquared, Distribution};
use statrs::function::gamma::{digamma, ln_gamma};
use std::f64::consts::PI;

/// The Student law t_ν(m, S): X = m + L Z/√(W/ν) with LLᵀ = S, Z ~ N(0, I) and W ~ χ²_ν.
///
/// Density Γ((ν+d)/2) / (Γ(ν/2) (νπ)^{d/2} det(S)^{½}) · (1 + q/ν)^{−(ν+d)/2} with q = (x − m)ᵀS⁻¹(x − m); it has moments of
/// order below ν, the covariance being S ν/(ν − 2) for ν > 2. Source: Kotz and Nadarajah (2004), DOI
/// 10.1017/CBO9780511550683.
#[derive(Debug, Clone)]
pub struct StudentT {
    scale: Gaussian,
    freedom: f64,
    chi: ChiSquared<f64>,
}

/// A size a and the square of what is left after division by it.
type Scaled = (f64, f64);

impl StudentT {
    /// t_ν with location `location`, scale matrix `scale` and `freedom` = ν > 0 degrees of freedom.
    ///
    /// # Errors
    /// As [`Gaussian::new`], or ν is not finite and positive, or outside 1e-3 … 1e9.
    pub fn new(location: Vec<f64>, scale: DMatrix<f64>, freedom: f64) -> Result<Self> {
        let scale = Gaussian::new(location, scale)?;
        check_positive("freedom", freedom)?;
        let out_of_range =
            crate::Error::Parameter { what: "freedom", value: freedom, must: "between 1e-3 and 1e9" };
        if !(1e-3..=1e9).contains(&freedom) {
            return Err(out_of_range);
        }
        let chi = ChiSquared::new(freedom).map_err(|_| out_of_range)?;
        Ok(StudentT { scale, freedom, chi })
    }

    /// The standard law t_ν(0, I) on ℝ^`dim`.
    ///
    /// # Errors
    /// `dim` is zero, or ν is out of range.
    pub fn standard(dim: usize, freedom: f64) -> Result<Self> {
        StudentT::new(vec![0.0; dim], DMatrix::identity(dim, dim), freedom)
    }

    /// m.
    pub fn location(&self) -> &[f64] {
        self.scale.mean()
    }

    /// S.
    pub fn scale(&self) -> &DMatrix<f64> {
        self.scale.covariance()
    }

    /// ν.
    pub fn freedom(&self) -> f64 {
        self.freedom
    }

    /// log of the normalising constant.
    fn constant(&self) -> f64 {
        let (d, nu) = (self.dim() as f64, self.freedom);
        ln_gamma(0.5 * (nu + d)) - ln_gamma(0.5 * nu) - 0.5 * d * (nu * PI).ln() - 0.5 * self.scale.log_det()
    }

    /// The deviations divided by a = max(1, their largest coordinate), with a and the whitened square of what is left: q is
    /// a² times that square, which itself never overflows.
    fn scaled(&self, x: &Points) -> Result<(DMatrix<f64>, Vec<Scaled>)> {
        let mut deviations = self.scale.deviations(x)?;
        let sizes: Vec<f64> = deviations
            .column_iter_mut()
            .map(|mut column| {
                let a = column.amax().clamp(1.0, f64::MAX);
                column /= a;
                a
            })
            .collect();
        let mut y = deviations.clone();
        self.scale.whiten(&mut y);
        let squares = sizes.into_iter().zip(y.column_iter()).map(|(a, y)| (a, y.norm_squared())).collect();
        Ok((deviations, squares))
    }
}

impl Measure for StudentT {
    fn dim(&self) -> usize {
        self.scale.dim()
    }
}

impl Sample for StudentT {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let mut x = self.scale.sample(n, rng);
        for row in x.rows_mut() {
            // A χ² draw of few degrees may underflow; the smallest positive number stands for it.
            let stretch = (self.freedom / self.chi.sample(rng).max(f64::MIN_POSITIVE)).sqrt();
            for (x, m) in row.iter_mut().zip(self.scale.mean()) {
                *x = m + stretch * (*x - m);
            }
        }
        x
    }
}

impl Density for StudentT {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let (nu, power) = (self.freedom, 0.5 * (self.freedom + self.dim() as f64));
        let constant = self.constant();
        let log_form = |(a, square): (f64, f64)| {
            let q = a * a * square / nu;
            if q < 1e300 { q.ln_1p() } else { 2.0 * a.ln() + square.ln() - nu.ln() }
        };
        let (_, squares) = self.scaled(x)?;
        Ok(squares.into_iter().map(|s| constant - power * log_form(s)).collect())
    }

    fn entropy(&self) -> Option<f64> {
        let half = 0.5 * (self.freedom + self.dim() as f64);
        Some(-self.constant() + half * (digamma(half) - digamma(0.5 * self.freedom)))
    }
}

impl Score for StudentT {
    /// −(ν + d) S⁻¹(x − m)/(ν + q).
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        let (mut out, squares) = self.scaled(x)?;
        let weight = self.freedom + self.dim() as f64;
        self.scale.solve(&mut out);
        for (mut column, (a, square)) in out.column_iter_mut().zip(&squares) {
            column *= -weight / (self.freedom / a + a * square);
        }
        representable(x, adopt(self.dim(), out))
    }

    /// −(ν + d)/(ν + q) S⁻¹v + 2/(ν + d) s⟨s, v⟩.
    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim(), x, v)?;
        let score = self.score(x)?;
        let (_, squares) = self.scaled(x)?;
        let weight = self.freedom + self.dim() as f64;
        let mut out = v.matrix().into_owned();
        self.scale.solve(&mut out);
        for (i, (mut column, (a, square))) in out.column_iter_mut().zip(&squares).enumerate() {
            column *= -weight / (self.freedom / a + a * square) / a;
            let s = DVector::from_row_slice(score.row(i));
            let along: f64 = score.row(i).iter().zip(v.row(i)).map(|(s, v)| s * v).sum();
            column += s * (2.0 / weight * along);
        }
        representable(x, adopt(self.dim(), out))
    }
}
