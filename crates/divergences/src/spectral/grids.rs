//! Several grids of frequencies side by side, for kernels that are sums.

use super::SpectralGrid;
use super::nufft::{Plan, Transform};
use measures::{Empirical, Family, Points, Pullback, Result, check_dim, check_pullback};

/// The functions of all grids one after the other: its kernel is the sum of theirs.
#[derive(Debug)]
pub(super) struct SpectralGrids {
    /// At least one.
    grids: Vec<SpectralGrid>,
    /// How each is computed: by the transform, or by the sweep.
    transforms: Vec<Option<Transform>>,
    tau: Vec<f64>,
    window_error: f64,
    rounding: f64,
}

impl SpectralGrids {
    /// The sum of at least one grid, each by its transform where there is a plan; `n` points at most.
    pub(super) fn new(grids: Vec<SpectralGrid>, plans: &[Option<Plan>], n: usize) -> Self {
        let tau = grids.iter().flat_map(Family::tau).copied().collect();
        let transform =
            |(grid, plan): (&SpectralGrid, &Option<Plan>)| Some(Transform::new(grid, plan.as_ref()?));
        let transforms = grids.iter().zip(plans).map(transform).collect();
        let planned = plans.iter().flatten();
        let window_error = planned.clone().map(|plan| plan.error).sum();
        let swept = (n as f64 / 512.0 + 80.0) * f64::EPSILON;
        let rounding = planned.map(|plan| plan.rounding(n)).fold(swept, f64::max);
        SpectralGrids { grids, transforms, tau, window_error, rounding }
    }

    /// A bound of the error of the sum, windows apart.
    pub(super) fn kernel_error(&self) -> f64 {
        self.grids.iter().map(SpectralGrid::kernel_error).sum()
    }

    /// A bound of what the windows of the transforms add to it.
    pub(super) fn window_error(&self) -> f64 {
        self.window_error
    }

    /// An allowance for the rounding of the sums in a bracket.
    pub(super) fn rounding(&self) -> f64 {
        self.rounding
    }

    /// κ(x, x), the same everywhere.
    pub(super) fn peak(&self) -> f64 {
        self.grids.iter().map(|grid| grid.peak).sum()
    }

    /// The sum of a function over the grids.
    fn sum(
        &self,
        of: impl Fn(&SpectralGrid, Option<&Transform>, usize) -> Result<Pullback>,
    ) -> Result<Pullback> {
        let mut start = self.grids[0].len();
        let mut out = of(&self.grids[0], self.transforms[0].as_ref(), 0)?;
        for (grid, transform) in self.grids.iter().zip(&self.transforms).skip(1) {
            let more = of(grid, transform.as_ref(), start)?;
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
        check_dim("measure", self.dim(), measures::Measure::dim(mu))?;
        let mut out = vec![0.0; self.tau.len()];
        let mut rest = &mut out[..];
        for (grid, transform) in self.grids.iter().zip(&self.transforms) {
            let (out, others) = rest.split_at_mut(grid.len());
            match transform {
                Some(transform) => transform.brackets(mu.points(), mu.weights(), out),
                None => out.copy_from_slice(&grid.brackets(mu)?),
            }
            rest = others;
        }
        Ok(out)
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        self.sum(|grid, transform, start| {
            let c = &c[start..start + grid.len()];
            transform.map_or_else(|| grid.pullback(x, c), |transform| Ok(transform.pullback(x, c)))
        })
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
        self.sum(|grid, _, _| grid.diagonal(x))
    }
}
