//! Several grids of frequencies side by side, for kernels that are sums.

use super::SpectralGrid;
use measures::{Empirical, Family, Points, Pullback, Result, check_pullback};

/// The functions of all grids one after the other: its kernel is the sum of theirs.
#[derive(Debug)]
pub(super) struct SpectralGrids {
    /// At least one.
    grids: Vec<SpectralGrid>,
    tau: Vec<f64>,
}

impl SpectralGrids {
    /// The sum of at least one grid.
    pub(super) fn new(grids: Vec<SpectralGrid>) -> Self {
        let tau = grids.iter().flat_map(|grid| grid.tau()).copied().collect();
        SpectralGrids { grids, tau }
    }

    pub(super) fn parts(&self) -> &[SpectralGrid] {
        &self.grids
    }

    /// A bound of the error of the sum.
    pub(super) fn kernel_error(&self) -> f64 {
        self.grids.iter().map(SpectralGrid::kernel_error).sum()
    }

    /// κ(x, x), the same everywhere.
    pub(super) fn peak(&self) -> f64 {
        self.grids.iter().map(|grid| grid.peak).sum()
    }

    /// The sum of a function over the grids.
    fn sum(&self, of: impl Fn(&SpectralGrid, usize) -> Result<Pullback>) -> Result<Pullback> {
        let mut start = self.grids[0].len();
        let mut out = of(&self.grids[0], 0)?;
        for grid in &self.grids[1..] {
            let more = of(grid, start)?;
            out.values.iter_mut().zip(&more.values).for_each(|(out, v)| *out += v);
            out.gradients.as_mut_slice().iter_mut().zip(more.gradients.as_slice()).for_each(|(o, g)| *o += g);
            start += grid.len();
        }
        Ok(out)
    }
}

impl Family for SpectralGrids {
    fn dim(&self) -> usize {
        self.grids[0].dim()
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(self.tau.len());
        for grid in &self.grids {
            out.extend(grid.brackets(mu)?);
        }
        Ok(out)
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        self.sum(|grid, start| grid.pullback(x, &c[start..start + grid.len()]))
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        let tables = self.grids.iter().map(|grid| grid.values(x)).collect::<Result<Vec<_>>>()?;
        let row = |i: usize| {
            let rows = tables.iter().zip(&self.grids);
            rows.flat_map(move |(table, grid)| &table[i * grid.len()..(i + 1) * grid.len()])
        };
        Ok((0..x.len()).flat_map(row).copied().collect())
    }

    fn diagonal(&self, x: &Points) -> Result<Pullback> {
        self.sum(|grid, _| grid.diagonal(x))
    }
}
