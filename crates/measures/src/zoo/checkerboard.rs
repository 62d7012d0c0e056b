//! The checkerboard: uniform on every other cell of a square board.

use super::door;
use crate::error::{Error, Result, check_positive};
use crate::measure::{Density, Measure, Sample};
use crate::points::Points;
use rand::{Rng, RngExt};

/// The uniform law on the cells (i, j), i + j even, of a board of `cells`×`cells` squares over [−h, h)², i counted along
/// x and j along y from the lower left corner, which is filled.
///
/// The density jumps at the sides of the cells, so there is no score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checkerboard {
    cells: usize,
    half_width: f64,
}

impl Checkerboard {
    /// The board of `cells`² squares over [−`half_width`, `half_width`)².
    ///
    /// # Errors
    /// There is no cell, or more than 4096 a side, or the width is not finite and positive.
    pub fn new(cells: usize, half_width: f64) -> Result<Self> {
        let half_width = check_positive("half_width", half_width)?;
        if cells == 0 {
            return Err(Error::TooFew { what: "cells", at_least: 1, got: 0 });
        }
        if cells > 4096 {
            return Err(Error::TooMany { what: "cells", limit: 4096, requested: cells });
        }
        // A cell must hold many floating-point numbers and its area must be one.
        let area = (2.0 * half_width / cells as f64).powi(2);
        if !(area.is_normal() && (area * (cells * cells) as f64).is_finite()) {
            return Err(Error::Parameter {
                what: "half_width",
                value: half_width,
                must: "of a size whose square is finite and positive",
            });
        }
        Ok(Checkerboard { cells, half_width })
    }

    /// FFJORD's board: 4×4 cells over [−4, 4)². Source: Grathwohl et al. (2019), arXiv:1810.01367,
    /// `toy_data.inf_train_gen("checkerboard")`.
    pub fn ffjord() -> Self {
        Checkerboard { cells: 4, half_width: 4.0 }
    }

    /// Cells a side.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// h.
    pub fn half_width(&self) -> f64 {
        self.half_width
    }

    /// The side of a cell.
    pub fn side(&self) -> f64 {
        2.0 * self.half_width / self.cells as f64
    }

    /// The number of filled cells.
    pub fn filled(&self) -> usize {
        (self.cells * self.cells).div_ceil(2)
    }

    /// Whether (x, y) lies in a filled cell.
    fn holds(&self, x: &[f64]) -> bool {
        let cell = |v: f64| {
            let i = ((v + self.half_width) / self.side()).floor();
            (-self.half_width..self.half_width).contains(&v).then(|| (i as usize).min(self.cells - 1))
        };
        matches!((cell(x[0]), cell(x[1])), (Some(i), Some(j)) if (i + j).is_multiple_of(2))
    }
}

impl Measure for Checkerboard {
    fn dim(&self) -> usize {
        2
    }
}

impl Sample for Checkerboard {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let c = self.cells;
        Points::from_fn(n, 2, |_, row| {
            loop {
                let k = rng.random_range(0..self.filled());
                // The k-th filled cell column by column; with an odd side the filled cells are simply every other one.
                let (i, j) = if c % 2 == 1 {
                    (2 * k / c, 2 * k % c)
                } else {
                    (k / (c / 2), 2 * (k % (c / 2)) + k / (c / 2) % 2)
                };
                for (x, cell) in row.iter_mut().zip([i, j]) {
                    let u: f64 = rng.random();
                    *x = -self.half_width + self.side() * (cell as f64 + u);
                }
                // Rounding may carry a point over the side of its cell (once in 2⁵⁰ draws): draw again.
                if self.holds(row) {
                    return;
                }
            }
        })
    }
}

impl Density for Checkerboard {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(2, x)?;
        let inside = -self.entropy_nats();
        Ok(x.rows().map(|row| if self.holds(row) { inside } else { f64::NEG_INFINITY }).collect())
    }

    fn entropy(&self) -> Option<f64> {
        Some(self.entropy_nats())
    }
}

impl Checkerboard {
    /// The logarithm of the filled area.
    fn entropy_nats(&self) -> f64 {
        (self.filled() as f64).ln() + 2.0 * self.side().ln()
    }
}
