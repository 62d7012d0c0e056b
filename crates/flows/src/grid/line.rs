//! Fokker–Planck on an interval.

use super::{bernoulli, check_axis, check_density, implicit_step, relative_entropy};
use crate::error::Result;
use measures::check_positive;

/// ∂_sρ = ∂_x(ρE′ + ∂_xρ) on an interval with no flux through its ends, on equal cells.
///
/// D. L. Scharfetter and H. K. Gummel, IEEE Trans. Electron Devices 16 (1969), doi:10.1109/T-ED.1969.16566; as gradient flow of
/// the entropy on the graph of cells, J. Maas, J. Funct. Anal. 261 (2011), arXiv:1102.5238.
///
/// ```
/// use flows::grid::Line;
/// let line = Line::new((-6.0, 6.0), 240, |x| 0.5 * x * x)?;
/// let start = line.project(|x| (-2.0 * (x - 1.0) * (x - 1.0)).exp())?;
/// let end = line.run(&start, 0.01, 300)?;
/// assert!((line.mass(&end) - 1.0).abs() < 1e-13);
/// assert!(line.entropy(&end) < 0.01 * line.entropy(&start));
/// # Ok::<(), flows::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Line {
    low: f64,
    width: f64,
    energy: Vec<f64>,
    equilibrium: Vec<f64>,
}

impl Line {
    /// The equation of the energy E on `span` cut in `cells` cells.
    ///
    /// # Errors
    /// The span is empty or not finite, there are fewer than two cells, or the energy is not finite at a centre.
    pub fn new(span: (f64, f64), cells: usize, energy: impl Fn(f64) -> f64) -> Result<Self> {
        check_axis("span", span, cells)?;
        let width = (span.1 - span.0) / cells as f64;
        let energy: Vec<f64> = (0..cells).map(|i| energy(span.0 + (i as f64 + 0.5) * width)).collect();
        measures::check_finite("energy", &energy)?;
        let least = energy.iter().copied().fold(f64::INFINITY, f64::min);
        let weights: Vec<f64> = energy.iter().map(|e| (least - e).exp()).collect();
        let mass = weights.iter().sum::<f64>() * width;
        let equilibrium = weights.iter().map(|w| w / mass).collect();
        Ok(Line { low: span.0, width, energy, equilibrium })
    }

    /// The centres of the cells.
    pub fn centres(&self) -> Vec<f64> {
        (0..self.energy.len()).map(|i| self.low + (i as f64 + 0.5) * self.width).collect()
    }

    /// The width of a cell.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// ρ∞ ∝ e^{−E}, of mass one on the grid.
    pub fn equilibrium(&self) -> &[f64] {
        &self.equilibrium
    }

    /// A density from a function ∝ it, by its values at the centres.
    ///
    /// # Errors
    /// A value is negative or not finite, or all are zero.
    pub fn project(&self, f: impl Fn(f64) -> f64) -> Result<Vec<f64>> {
        let values: Vec<f64> = self.centres().into_iter().map(f).collect();
        measures::check_finite("density", &values)?;
        let mass = check_positive("mass of the density", values.iter().sum::<f64>() * self.width)?;
        check_density(&values.iter().map(|v| v / mass).collect::<Vec<_>>(), values.len(), self.width)
    }

    /// Σ ρ_i dx.
    pub fn mass(&self, rho: &[f64]) -> f64 {
        rho.iter().sum::<f64>() * self.width
    }

    /// KL(ρ|ρ∞) on the grid.
    pub fn entropy(&self, rho: &[f64]) -> f64 {
        relative_entropy(rho, &self.equilibrium, self.width)
    }

    /// κ_{i+½} = B(ΔE) ρ∞_i = B(−ΔE) ρ∞_{i+1}, how well neighbouring cells conduct: the flux is −κ ∂_x(ρ/ρ∞).
    pub fn conductance(&self) -> Vec<f64> {
        self.energy.windows(2).zip(&self.equilibrium).map(|(e, p)| bernoulli(e[1] - e[0]) * p).collect()
    }

    /// The fluxes through the inner walls, n − 1 of them.
    ///
    /// # Errors
    /// Another number of cells.
    pub fn flux(&self, rho: &[f64]) -> Result<Vec<f64>> {
        measures::check_len("density", self.energy.len(), rho.len())?;
        let pairs = self.energy.windows(2).zip(rho.windows(2));
        Ok(pairs
            .map(|(e, r)| {
                let change = e[1] - e[0];
                (bernoulli(change) * r[0] - bernoulli(-change) * r[1]) / self.width
            })
            .collect())
    }

    /// dρ/ds on the grid.
    ///
    /// # Errors
    /// Another number of cells.
    pub fn rate(&self, rho: &[f64]) -> Result<Vec<f64>> {
        let flux = self.flux(rho)?;
        let at = |i: usize| flux.get(i).copied().unwrap_or(0.0);
        Ok((0..rho.len()).map(|i| (if i == 0 { 0.0 } else { at(i - 1) } - at(i)) / self.width).collect())
    }

    /// Fisher(ρ|ρ∞) = Σ κ θ(u_i, u_{i+1}) (∂ log u)² dx with u = ρ/ρ∞ and θ the logarithmic mean, so that
    /// θ(a, b)(log a − log b) = a − b: exactly −dKL/ds along [`Line::rate`].
    ///
    /// # Errors
    /// Another number of cells, or an empty one, where the logarithm is infinite.
    pub fn fisher(&self, rho: &[f64]) -> Result<f64> {
        let flux = self.flux(rho)?;
        for (index, r) in rho.iter().enumerate() {
            if *r <= 0.0 {
                let must = "positive";
                return Err(measures::Error::Entry { what: "density", index, value: *r, must }.into());
            }
        }
        let log: Vec<f64> = rho.iter().zip(&self.equilibrium).map(|(r, p)| (r / p).ln()).collect();
        Ok(flux.iter().zip(log.windows(2)).map(|(f, l)| f * (l[0] - l[1])).sum())
    }

    /// `steps` implicit Euler steps of length h from `rho`: of first order in h, positive and of constant mass for any h.
    ///
    /// # Errors
    /// h is not finite and positive, or `rho` is not a density of mass one on the grid.
    pub fn run(&self, rho: &[f64], h: f64, steps: usize) -> Result<Vec<f64>> {
        check_positive("h", h)?;
        let mut rho = check_density(rho, self.energy.len(), self.width)?;
        let mut room = Vec::new();
        for _ in 0..steps {
            implicit_step(&self.energy, self.width, h, &mut rho, &mut room);
        }
        Ok(rho)
    }
}
