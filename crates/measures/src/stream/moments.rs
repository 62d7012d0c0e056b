//! Mean and covariance over a stream.

use super::bracket::check_count;
use super::double::Double;
use super::{check_sizes, check_totals, check_weights, doubles};
use crate::error::{Error, Result, check_dim, check_len};
use crate::points::Points;
use nalgebra::DMatrix;

/// The mean and the covariance of all points seen.
///
/// Chunks are reduced about their own mean in blocks of 256 points, and blocks added up to thirty digits: a mean that is a
/// hundred million standard deviations from the origin costs no accuracy, as it would in one-pass sums of squares.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamMoments {
    dim: usize,
    count: u64,
    total: Double,
    squares: Double,
    /// Σ w x.
    first: Vec<Double>,
    /// Σ w x xᵀ, the upper triangle by rows.
    second: Vec<Double>,
}

const BLOCK: usize = 256;

impl StreamMoments {
    /// Nothing seen yet of points in ℝ^`dim`.
    ///
    /// # Errors
    /// `dim` is zero, or above 16384 (the covariance would take gigabytes).
    pub fn new(dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
        }
        if dim > 16_384 {
            return Err(Error::TooMany { what: "dim", limit: 16_384, requested: dim });
        }
        let zero = Double::default();
        Ok(StreamMoments {
            dim,
            count: 0,
            total: zero,
            squares: zero,
            first: vec![zero; dim],
            second: vec![zero; dim * (dim + 1) / 2],
        })
    }

    /// Adds a chunk of points, of weight one each or of the weights given.
    ///
    /// # Errors
    /// The points live in another dimension, a coordinate is not finite (or beyond 1e100), or a weight is negative or not finite
    /// (or beyond 1e40). Then nothing is added.
    pub fn add(&mut self, x: &Points, weights: Option<&[f64]>) -> Result<()> {
        check_dim("points", self.dim, x.dim())?;
        check_sizes("points", x.as_slice())?;
        check_weights(x.len(), weights)?;
        for (b, block) in x.as_slice().chunks(BLOCK * self.dim).enumerate() {
            let n = block.len() / self.dim;
            let weights = weights.map(|w| &w[b * BLOCK..b * BLOCK + n]);
            self.add_block(DMatrix::from_column_slice(self.dim, n, block), weights);
        }
        self.count += x.len() as u64;
        Ok(())
    }

    /// With m near the block's mean and y = x − m: Σ w x = Σ w y + W m and Σ w x xᵀ = Σ w y yᵀ + r mᵀ + m rᵀ + W m mᵀ, r = Σ w y.
    /// Sums over y are small and rounded; what is large is exact.
    fn add_block(&mut self, mut y: DMatrix<f64>, weights: Option<&[f64]>) {
        let n = y.ncols();
        let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
        let mut total = Double::default();
        for i in 0..n {
            total.add(weight(i));
            self.squares = self.squares.plus(Double::product(weight(i), weight(i)));
        }
        if total.value() <= 0.0 {
            return;
        }
        self.total = self.total.plus(total);
        let m: Vec<f64> = (0..self.dim)
            .map(|k| (0..n).map(|i| weight(i) / total.value() * y[(k, i)]).sum::<f64>())
            .collect();
        for mut column in y.column_iter_mut() {
            column.iter_mut().zip(&m).for_each(|(y, m)| *y -= m);
        }
        let mut weighted = y.clone();
        for (i, mut column) in weighted.column_iter_mut().enumerate() {
            column *= weight(i);
        }
        let rest: Vec<f64> = weighted.row_iter().map(|row| row.sum()).collect();
        let spread = &weighted * y.transpose();
        let mut at = 0;
        for i in 0..self.dim {
            let shift = total.times(Double::new(m[i]));
            self.first[i] = self.first[i].plus(shift).plus(Double::new(rest[i]));
            for j in i..self.dim {
                let cross = Double::product(rest[i], m[j]).plus(Double::product(m[i], rest[j]));
                let term = shift.times(Double::new(m[j])).plus(cross).plus(Double::new(spread[(i, j)]));
                self.second[at] = self.second[at].plus(term);
                at += 1;
            }
        }
    }

    /// Adds what another has seen.
    ///
    /// # Errors
    /// The dimensions differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        check_dim("moments", self.dim, other.dim)?;
        self.count += other.count;
        self.total = self.total.plus(other.total);
        self.squares = self.squares.plus(other.squares);
        let own = self.first.iter_mut().chain(&mut self.second);
        own.zip(other.first.iter().chain(&other.second)).for_each(|(s, o)| *s = s.plus(*o));
        Ok(())
    }

    /// d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many points were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Σ w.
    pub fn total_weight(&self) -> f64 {
        self.total.value()
    }

    /// (Σ w)²/Σ w², the effective number of points; zero when nothing of weight was seen.
    pub fn effective_sample_size(&self) -> f64 {
        let squares = self.squares.value();
        if squares > 0.0 { self.total.value() / squares * self.total.value() } else { 0.0 }
    }

    fn check_seen(&self) -> Result<()> {
        if self.total.value() > 0.0 {
            return Ok(());
        }
        Err(Error::WeightSum { what: "weights seen", sum: self.total.value() })
    }

    /// Σ w x/Σ w.
    ///
    /// # Errors
    /// Nothing of positive weight was seen.
    pub fn mean(&self) -> Result<Vec<f64>> {
        self.check_seen()?;
        Ok(self.first.iter().map(|s| s.over(self.total).value()).collect())
    }

    /// Σ w (x − mean)(x − mean)ᵀ/Σ w, the covariance of the weighted cloud, with n and not n − 1 in the denominator.
    ///
    /// # Errors
    /// Nothing of positive weight was seen.
    pub fn covariance(&self) -> Result<DMatrix<f64>> {
        self.check_seen()?;
        let mean: Vec<Double> = self.first.iter().map(|s| s.over(self.total)).collect();
        let mut out = DMatrix::zeros(self.dim, self.dim);
        let mut at = 0;
        for i in 0..self.dim {
            for j in i..self.dim {
                let value = self.second[at].over(self.total).minus(mean[i].times(mean[j])).value();
                let value = if i == j { value.max(0.0) } else { value };
                (out[(i, j)], out[(j, i)]) = (value, value);
                at += 1;
            }
        }
        Ok(out)
    }

    /// Everything it holds, as numbers: 1 + 2 (2 + d + d(d+1)/2) of them.
    pub fn state(&self) -> Vec<f64> {
        let sums = [self.total, self.squares].into_iter().chain(self.first.iter().copied());
        let words = sums.chain(self.second.iter().copied()).flat_map(Double::words);
        std::iter::once(self.count as f64).chain(words).collect()
    }

    /// The accumulator of points in ℝ^`dim` with that state.
    ///
    /// # Errors
    /// As [`StreamMoments::new`], or the numbers are no state.
    pub fn from_state(dim: usize, state: &[f64]) -> Result<Self> {
        let mut out = StreamMoments::new(dim)?;
        check_len("state", 1 + 2 * (2 + dim + dim * (dim + 1) / 2), state.len())?;
        out.count = check_count(state[0])?;
        let sums = doubles("state", &state[1..])?;
        check_totals("state", sums[0], sums[1])?;
        (out.total, out.squares) = (sums[0], sums[1]);
        out.first.copy_from_slice(&sums[2..2 + dim]);
        out.second.copy_from_slice(&sums[2 + dim..]);
        Ok(out)
    }
}
