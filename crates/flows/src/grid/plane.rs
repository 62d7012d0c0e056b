//! Fokker–Planck on a rectangle.

use super::{check_axis, check_density, implicit_step, relative_entropy};
use crate::error::Result;
use measures::check_positive;

/// ∂_sρ = ∇·(ρ∇E + ∇ρ) on a rectangle with no flux through its sides, on equal cells, row-major with y slowest.
///
/// A step is split in implicit sweeps along x and along y (half, whole, half), each of which leaves e^{−E} where it is,
/// keeps densities positive and conserves mass to round-off: so does the step, at any length. First order in time.
#[derive(Debug, Clone)]
pub struct Plane {
    low: [f64; 2],
    width: [f64; 2],
    cells: [usize; 2],
    energy: Vec<f64>,
    equilibrium: Vec<f64>,
}

impl Plane {
    /// The equation of the energy E on `x` × `y`, cut in so many cells along each.
    ///
    /// # Errors
    /// As [`Line::new`](super::Line::new) along either side.
    pub fn new(
        x: (f64, f64),
        y: (f64, f64),
        cells: [usize; 2],
        energy: impl Fn(f64, f64) -> f64,
    ) -> Result<Self> {
        check_axis("span of x", x, cells[0])?;
        check_axis("span of y", y, cells[1])?;
        let width = [(x.1 - x.0) / cells[0] as f64, (y.1 - y.0) / cells[1] as f64];
        let mut plane = Plane { low: [x.0, y.0], width, cells, energy: Vec::new(), equilibrium: Vec::new() };
        plane.energy = plane.values(energy);
        measures::check_finite("energy", &plane.energy)?;
        let least = plane.energy.iter().copied().fold(f64::INFINITY, f64::min);
        let weights: Vec<f64> = plane.energy.iter().map(|e| (least - e).exp()).collect();
        let mass = weights.iter().sum::<f64>() * plane.volume();
        plane.equilibrium = weights.iter().map(|w| w / mass).collect();
        Ok(plane)
    }

    /// The centre of cell (i, j), column i along x and row j along y.
    pub fn centre(&self, i: usize, j: usize) -> [f64; 2] {
        [self.low[0] + (i as f64 + 0.5) * self.width[0], self.low[1] + (j as f64 + 0.5) * self.width[1]]
    }

    /// The area of a cell.
    pub fn volume(&self) -> f64 {
        self.width[0] * self.width[1]
    }

    /// The number of cells along x and along y.
    pub fn cells(&self) -> [usize; 2] {
        self.cells
    }

    /// ρ∞ ∝ e^{−E}, of mass one on the grid.
    pub fn equilibrium(&self) -> &[f64] {
        &self.equilibrium
    }

    fn values(&self, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let [nx, ny] = self.cells;
        (0..ny)
            .flat_map(|j| (0..nx).map(move |i| (i, j)))
            .map(|(i, j)| {
                let [x, y] = self.centre(i, j);
                f(x, y)
            })
            .collect()
    }

    /// A density from a function ∝ it, by its values at the centres.
    ///
    /// # Errors
    /// A value is negative or not finite, or all are zero.
    pub fn project(&self, f: impl Fn(f64, f64) -> f64) -> Result<Vec<f64>> {
        let values = self.values(f);
        measures::check_finite("density", &values)?;
        let mass = check_positive("mass of the density", values.iter().sum::<f64>() * self.volume())?;
        check_density(&values.iter().map(|v| v / mass).collect::<Vec<_>>(), values.len(), self.volume())
    }

    /// Σ ρ dx dy.
    pub fn mass(&self, rho: &[f64]) -> f64 {
        rho.iter().sum::<f64>() * self.volume()
    }

    /// KL(ρ|ρ∞) on the grid.
    pub fn entropy(&self, rho: &[f64]) -> f64 {
        relative_entropy(rho, &self.equilibrium, self.volume())
    }

    /// `steps` steps of length h from `rho`.
    ///
    /// # Errors
    /// h is not finite and positive, or `rho` is not a density of mass one on the grid.
    pub fn run(&self, rho: &[f64], h: f64, steps: usize) -> Result<Vec<f64>> {
        check_positive("h", h)?;
        let mut rho = check_density(rho, self.energy.len(), self.volume())?;
        for _ in 0..steps {
            self.sweep_x(&mut rho, 0.5 * h);
            self.sweep_y(&mut rho, h);
            self.sweep_x(&mut rho, 0.5 * h);
        }
        Ok(rho)
    }

    fn sweep_x(&self, rho: &mut [f64], h: f64) {
        let nx = self.cells[0];
        measures::parallel::fill_blocks(rho, nx, 16, |rows, chunk| {
            let mut room = Vec::new();
            for (j, row) in rows.zip(chunk.chunks_exact_mut(nx)) {
                implicit_step(&self.energy[j * nx..(j + 1) * nx], self.width[0], h, row, &mut room);
            }
        });
    }

    fn sweep_y(&self, rho: &mut [f64], h: f64) {
        let [nx, ny] = self.cells;
        // Columns become rows and rows columns again: one transposition each way.
        let mut columns: Vec<f64> = (0..nx * ny).map(|k| rho[k % ny * nx + k / ny]).collect();
        measures::parallel::fill_blocks(&mut columns, ny, 16, |rows, chunk| {
            let (mut room, mut energy) = (Vec::new(), vec![0.0; ny]);
            for (i, column) in rows.zip(chunk.chunks_exact_mut(ny)) {
                energy.iter_mut().enumerate().for_each(|(j, e)| *e = self.energy[j * nx + i]);
                implicit_step(&energy, self.width[1], h, column, &mut room);
            }
        });
        rho.iter_mut().enumerate().for_each(|(k, r)| *r = columns[k % nx * ny + k / nx]);
    }
}
