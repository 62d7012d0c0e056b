//! Explicit Runge–Kutta methods as data, and the one step that serves them all.

use super::stepper::{Stages, Stepper};
use crate::error::FieldError;
use crate::field::VelocityField;
use crate::state::{Clock, State};

/// The Butcher tableau of an explicit Runge–Kutta method with its error estimate and its interpolant.
///
/// The stages are k_i = v(t + c_i h, y + h Σ_{j<i} a_ij k_j), the step is y + h Σ_i b_i k_i. Each method of this crate is
/// a constant in a file of its own with its source; any other tableau is a method too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tableau {
    /// The name, as messages and figures print it.
    pub name: &'static str,
    /// The order p: local errors are of order h^{p+1}, global ones of order h^p.
    pub order: u32,
    /// The nodes c_1 = 0, …, c_s.
    pub c: &'static [f64],
    /// The rows of the strictly lower triangle: row i has at most i entries, absent ones are zero.
    pub a: &'static [&'static [f64]],
    /// The weights b_1, …, b_s.
    pub b: &'static [f64],
    /// Whether the last stage is the velocity at the new point, which the next step starts from.
    pub fsal: bool,
    /// How the local error is estimated.
    pub error: ErrorRule,
    /// How values inside the step are found.
    pub dense: DenseRule,
}

/// The estimate of the local error of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ErrorRule {
    /// There is none: the method takes fixed steps only.
    None,
    /// e = h Σ_i (b_i − b̂_i) k_i against an embedded method b̂ of the given order.
    Embedded {
        /// b − b̂.
        weights: &'static [f64],
        /// The order of b̂.
        order: u32,
    },
    /// The estimate of DOP853, ‖e₅‖² / √(‖e₅‖² + ‖e₃‖²/100) from two embedded methods, which behaves as order 7.
    Blend {
        /// b − b̂ of order 5.
        fifth: &'static [f64],
        /// b − b̂ of order 3.
        third: &'static [f64],
    },
}

/// The continuous extension y(t + θh) = y + h Σ_i b_i(θ) k_i.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum DenseRule {
    /// The cubic through both ends and both velocities, of order 3.
    Hermite,
    /// b_i(θ) = Σ_m `weights[i][m]` θ^{m+1}, with extra stages of nodes and rows as in the tableau; the velocity at the
    /// new point is the stage after the last when the method is not FSAL.
    Polynomial {
        /// The coefficients, a row a stage.
        weights: &'static [&'static [f64]],
        /// The nodes of the extra stages.
        extra_c: &'static [f64],
        /// The rows of the extra stages.
        extra_a: &'static [&'static [f64]],
    },
}

impl Tableau {
    /// The number of stages s.
    pub fn stages(&self) -> usize {
        self.b.len()
    }
}

/// Stage `at`: the field at t + c h and y + h Σ_j row_j k_j.
fn stage<S: State>(
    field: &dyn VelocityField<S>,
    (t, h): (Clock<'_>, Clock<'_>),
    y: &S,
    (c, row): (f64, &[f64]),
    work: &mut Stages<S>,
    at: usize,
) -> Result<(), FieldError> {
    let (done, rest) = work.k.split_at_mut(at);
    work.point.combine(Some(y), h, &terms(row, done));
    field.velocity(shift(t, c, h, &mut work.times), &work.point, &mut rest[0])
}

/// The pairs (a, x) with a ≠ 0.
fn terms<'a, S>(weights: &[f64], states: &'a [S]) -> Vec<(f64, &'a S)> {
    weights.iter().zip(states).filter(|(a, _)| **a != 0.0).map(|(a, x)| (*a, x)).collect()
}

/// t + c h, row by row.
fn shift<'a>(t: Clock<'_>, c: f64, h: Clock<'_>, times: &'a mut Vec<f64>) -> Clock<'a> {
    if let (Clock::Shared(t), Clock::Shared(h)) = (t, h) {
        return Clock::Shared(t + c * h);
    }
    times.clear();
    match (t, h) {
        (Clock::Each(t), Clock::Each(h)) => times.extend(t.iter().zip(h).map(|(t, h)| t + c * h)),
        (Clock::Each(t), Clock::Shared(h)) => times.extend(t.iter().map(|t| t + c * h)),
        (Clock::Shared(t), Clock::Each(h)) => times.extend(h.iter().map(|h| t + c * h)),
        (Clock::Shared(_), Clock::Shared(_)) => {}
    }
    Clock::Each(times)
}

impl<S: State> Stepper<S> for Tableau {
    fn name(&self) -> &'static str {
        self.name
    }

    fn order(&self) -> u32 {
        self.order
    }

    fn error_order(&self) -> Option<u32> {
        match self.error {
            ErrorRule::None => None,
            ErrorRule::Embedded { order, .. } => Some(order),
            ErrorRule::Blend { .. } => Some(7),
        }
    }

    fn evaluations(&self) -> usize {
        self.stages() - 1
    }

    fn step(
        &self,
        field: &dyn VelocityField<S>,
        t: Clock<'_>,
        h: Clock<'_>,
        y: &S,
        work: &mut Stages<S>,
    ) -> Result<(), FieldError> {
        work.grow(self.stages(), y);
        // The last stage of an FSAL method is evaluated at the new point itself.
        let last = self.stages() - usize::from(self.fsal);
        for i in 1..last {
            stage(field, (t, h), y, (self.c[i], self.a[i]), work, i)?;
        }
        work.end.combine(Some(y), h, &terms(self.b, &work.k[..last]));
        if self.fsal {
            field.velocity(shift(t, 1.0, h, &mut work.times), &work.end, &mut work.k[last])?;
        }
        Ok(())
    }

    fn end_velocity<'a>(&self, work: &'a Stages<S>) -> Option<&'a S> {
        self.fsal.then(|| &work.k[self.stages() - 1])
    }

    fn error_rows(
        &self,
        h: Clock<'_>,
        y: &S,
        work: &mut Stages<S>,
        rtol: f64,
        atol: f64,
    ) -> Option<Vec<f64>> {
        let mut rows = |weights: &[f64]| {
            work.point.combine(None, h, &terms(weights, &work.k));
            work.point.error_rows(y, &work.end, rtol, atol)
        };
        match self.error {
            ErrorRule::None => None,
            ErrorRule::Embedded { weights, .. } => Some(rows(weights)),
            ErrorRule::Blend { fifth, third } => {
                let (fifth, third) = (rows(fifth), rows(third));
                let blend = |(five, three): (&f64, &f64)| {
                    let denominator = (five * five + 0.01 * three * three).sqrt();
                    if denominator == 0.0 { 0.0 } else { five * five / denominator }
                };
                Some(fifth.iter().zip(&third).map(blend).collect())
            }
        }
    }

    fn interpolant(
        &self,
        field: &dyn VelocityField<S>,
        t: Clock<'_>,
        h: Clock<'_>,
        y: &S,
        end_velocity: &S,
        work: &mut Stages<S>,
    ) -> Result<Vec<S>, FieldError> {
        let s = self.stages();
        let sum = |terms: &[(f64, &S)]| {
            let mut out = y.clone();
            out.combine(None, Clock::Shared(1.0), terms);
            out
        };
        match self.dense {
            DenseRule::Hermite => {
                let slope = terms(self.b, &work.k[..s]);
                let cubic = |first: f64, mean: f64, last: f64| {
                    let mut all: Vec<(f64, &S)> = slope.iter().map(|&(b, k)| (mean * b, k)).collect();
                    all.extend([(first, &work.k[0]), (last, end_velocity)]);
                    sum(&all)
                };
                Ok(vec![sum(&[(1.0, &work.k[0])]), cubic(-2.0, 3.0, -1.0), cubic(1.0, -2.0, 1.0)])
            }
            DenseRule::Polynomial { weights, extra_c, extra_a } => {
                let first_extra = if self.fsal { s } else { s + 1 };
                work.grow(first_extra + extra_c.len(), y);
                if !self.fsal {
                    work.k[s] = end_velocity.clone();
                }
                for (i, (&c, &row)) in extra_c.iter().zip(extra_a).enumerate() {
                    stage(field, (t, h), y, (c, row), work, first_extra + i)?;
                }
                let degree = weights.iter().map(|row| row.len()).max().unwrap_or(0);
                let column = |m: usize| -> Vec<f64> {
                    weights.iter().map(|row| row.get(m).copied().unwrap_or(0.0)).collect()
                };
                Ok((0..degree).map(|m| sum(&terms(&column(m), &work.k))).collect())
            }
        }
    }

    fn interpolant_evaluations(&self) -> usize {
        match self.dense {
            DenseRule::Hermite => 0,
            DenseRule::Polynomial { extra_c, .. } => extra_c.len(),
        }
    }
}
