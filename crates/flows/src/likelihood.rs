//! Densities carried through a flow: the instantaneous change of variables.

use crate::error::{FieldError, Result};
use crate::field::{JacobianTrace, VelocityField};
use crate::ode::{Ode, Trajectory, Unfinished};
use crate::state::{Clock, State, scaled_square};
use measures::{Density, Points, check_dim, check_len};

/// Points that know the logarithm of a density, or its change, along their trajectories.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracked {
    points: Points,
    log: Vec<f64>,
    /// The numbers of the particles, which choose the probes of a random trace.
    ids: Vec<u64>,
}

impl Tracked {
    /// Points xᵢ with a number each.
    ///
    /// # Errors
    /// Another number of numbers than points.
    pub fn new(points: Points, log: Vec<f64>) -> Result<Self> {
        check_len("logarithms", points.len(), log.len())?;
        let ids = (0..points.len() as u64).collect();
        Ok(Tracked { points, log, ids })
    }

    /// The points, n×d.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The numbers, n of them.
    pub fn log(&self) -> &[f64] {
        &self.log
    }

    /// The points and the numbers.
    pub fn into_parts(self) -> (Points, Vec<f64>) {
        (self.points, self.log)
    }
}

impl State for Tracked {
    fn rows(&self) -> usize {
        self.log.len()
    }

    fn axpy(&mut self, a: Clock<'_>, x: &Self) {
        self.points.axpy(a, &x.points);
        self.log.iter_mut().zip(&x.log).enumerate().for_each(|(i, (y, x))| *y += a.at(i) * x);
    }

    fn select(&self, rows: &[usize]) -> Self {
        Tracked {
            points: self.points.select(rows),
            log: rows.iter().map(|&i| self.log[i]).collect(),
            ids: rows.iter().map(|&i| self.ids[i]).collect(),
        }
    }

    fn scatter(&mut self, rows: &[usize], from: &Self) {
        self.points.scatter(rows, &from.points);
        for (k, &i) in rows.iter().enumerate() {
            (self.log[i], self.ids[i]) = (from.log[k], from.ids[k]);
        }
    }

    fn error_rows(&self, y0: &Self, y1: &Self, rtol: f64, atol: f64) -> Vec<f64> {
        let d = self.points.dim() as f64;
        let mut rows = self.points.error_rows(&y0.points, &y1.points, rtol, atol);
        for (i, row) in rows.iter_mut().enumerate() {
            let last = scaled_square(self.log[i], y0.log[i], y1.log[i], rtol, atol);
            *row = ((d * *row * *row + last) / (d + 1.0)).sqrt();
        }
        rows
    }

    fn finite_rows(&self) -> Vec<bool> {
        let points = self.points.finite_rows();
        points.iter().zip(&self.log).map(|(finite, log)| *finite && log.is_finite()).collect()
    }

    fn combine(&mut self, y: Option<&Self>, h: Clock<'_>, terms: &[(f64, &Self)]) {
        let points: Vec<(f64, &Points)> = terms.iter().map(|(a, x)| (*a, &x.points)).collect();
        self.points.combine(y.map(|y| &y.points), h, &points);
        let like = y.unwrap_or_else(|| terms[0].1);
        self.ids.clone_from(&like.ids);
        self.log.resize(like.log.len(), 0.0);
        for i in 0..self.log.len() {
            let sum: f64 = terms.iter().map(|(a, x)| a * x.log[i]).sum();
            self.log[i] = h.at(i) * sum + y.map_or(0.0, |y| y.log[i]);
        }
    }
}

/// A field that carries points with v_t and their number ℓ with dℓ/dt = −∇·v_t: along a trajectory of eq. (7), ℓ = log ρ_t
/// is the density of eq. (6). R. T. Q. Chen et al., *Neural ordinary differential equations*, arXiv:1806.07366, theorem 1.
#[derive(Debug, Clone, Copy)]
pub struct WithDensity<F>(pub F);

impl<F: JacobianTrace> VelocityField<Tracked> for WithDensity<F> {
    fn velocity(&self, t: Clock<'_>, x: &Tracked, out: &mut Tracked) -> Result<(), FieldError> {
        self.0.velocity(t, &x.points, &mut out.points)?;
        out.ids.clone_from(&x.ids);
        out.log.resize(x.log.len(), 0.0);
        self.0.trace(t, &x.points, &x.ids, &mut out.log)?;
        out.log.iter_mut().for_each(|l| *l = -*l);
        Ok(())
    }

    fn is_pointwise(&self) -> bool {
        self.0.is_pointwise()
    }
}

/// Carries points and the logarithms of their densities from `t0` to `t1`, in either direction of time.
///
/// # Errors
/// As [`Ode::solve`]; another number of logarithms than points.
pub fn carry<F: JacobianTrace + Sync>(
    ode: &Ode<'_, Tracked>,
    field: &F,
    points: Points,
    log_density: Vec<f64>,
    t0: f64,
    t1: f64,
) -> Result<Trajectory<Tracked>> {
    ode.solve(&WithDensity(field), &Tracked::new(points, log_density)?, t0, t1)
}

/// The log-density of points under the flow of a base measure.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Likelihood {
    /// log ρ_t(xᵢ); NaN where the way back did not end (see `unfinished`).
    pub log_density: Vec<f64>,
    /// Where each point came from.
    pub preimages: Points,
    /// The first point whose way back did not end, if any.
    pub unfinished: Option<Unfinished>,
}

/// log ρ_t(xᵢ) at time `t` for the flow of `field` that carries the law `base` of time `t_base`: the points go back to
/// `t_base`, log ρ_t(x) = log ρ_base(χ⁻¹(x)) − ∫ ∇·v along the way.
///
/// ```
/// use flows::{field::AffineField, likelihood::log_density, ode::{DOP853, Ode}};
/// use measures::{Density, Points, zoo::Gaussian};
/// // x ↦ e^{−1} x takes N(0, 1) to N(0, e^{−2}).
/// let (base, x) = (Gaussian::standard(1), Points::from_line(vec![0.2, -0.5]));
/// let ode = Ode::adaptive(DOP853, 1e-10, 1e-10)?;
/// let found = log_density(&ode, &AffineField::contraction(1), &base, 0.0, &x, 1.0)?;
/// let exact = Gaussian::isotropic(&[0.0], (-1f64).exp())?.log_density(&x)?;
/// assert!((found.log_density[1] - exact[1]).abs() < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Ode::solve`]; the base lives in another dimension.
pub fn log_density<F: JacobianTrace + Sync>(
    ode: &Ode<'_, Tracked>,
    field: &F,
    base: &(impl Density + ?Sized),
    t_base: f64,
    x: &Points,
    t: f64,
) -> Result<Likelihood> {
    check_dim("points", base.dim(), x.dim())?;
    let run = carry(ode, field, x.clone(), vec![0.0; x.len()], t, t_base)?;
    let unfinished = run.first_unfinished();
    let (preimages, change) = run.end.into_parts();
    let mut log_density = base.log_density(&preimages)?;
    for (i, log) in log_density.iter_mut().enumerate() {
        let arrived = run.times[i] == t_base;
        *log = if arrived { *log - change[i] } else { f64::NAN };
    }
    Ok(Likelihood { log_density, preimages, unfinished })
}
