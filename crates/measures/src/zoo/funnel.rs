//! Neal's funnel: a scale that is itself random.

use super::{door, door_pair, representable};
use crate::error::{Error, Result, check_positive};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// The law of (V, e^{V/2}Z₂, …, e^{V/2}Z_d) with V ~ N(0, s²) and Z ~ N(0, I).
///
/// log p = −½ v²/s² − ½ e^{−v} Σ xᵢ² − ½ (d−1) v + constant. Source: Neal (2003), DOI 10.1214/aos/1056562461, with d = 10 and s = 3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Funnel {
    dim: usize,
    deviation: f64,
}

impl Funnel {
    /// The funnel in ℝ^`dim` whose first coordinate has deviation s.
    ///
    /// # Errors
    /// `dim` is below two, or s is not finite and positive, or above 10 (e^V must be finite for every draw).
    pub fn new(dim: usize, deviation: f64) -> Result<Self> {
        if dim < 2 {
            return Err(Error::TooFew { what: "dim", at_least: 2, got: dim });
        }
        check_positive("deviation", deviation)?;
        if !(1e-6..=10.0).contains(&deviation) {
            return Err(Error::Parameter {
                what: "deviation",
                value: deviation,
                must: "between 1e-6 and 10",
            });
        }
        Ok(Funnel { dim, deviation })
    }

    /// Neal's: ten dimensions, s = 3.
    pub fn neal() -> Self {
        Funnel { dim: 10, deviation: 3.0 }
    }

    /// s.
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// Scores overflow where e^{−v} or the squares it multiplies do.
    fn within_reach(&self, x: &Points) -> Result<()> {
        door(self.dim, x)?;
        for (index, row) in x.rows().enumerate() {
            let steep = (-0.5 * row[0]).exp();
            let worst = row[1..].iter().fold(0.0f64, |a, x| a.max(x.abs()));
            if row[0] < -600.0 || worst * steep > 1e100 {
                let must = "inside the funnel's reach (v ≥ −600, |x|e^{−v/2} ≤ 1e100) for a finite score";
                return Err(Error::Entry { what: "points", index, value: row[0], must });
            }
        }
        Ok(())
    }
}

impl Measure for Funnel {
    fn dim(&self) -> usize {
        self.dim
    }
}

impl Sample for Funnel {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, self.dim, |_, row| {
            row.iter_mut().for_each(|x| *x = StandardNormal.sample(rng));
            row[0] *= self.deviation;
            let width = (0.5 * row[0]).exp();
            row[1..].iter_mut().for_each(|x| *x *= width);
        })
    }
}

impl Density for Funnel {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim, x)?;
        let rest = (self.dim - 1) as f64;
        let constant = -self.deviation.ln() - 0.5 * self.dim as f64 * TAU.ln();
        Ok(x.rows()
            .map(|row| {
                let v = row[0];
                // e^{−v/2}x before squaring; at x = 0 it is zero whatever v is.
                let steep = (-0.5 * v).exp();
                let form: f64 =
                    row[1..].iter().map(|x| if *x == 0.0 { 0.0 } else { (x * steep).powi(2) }).sum();
                let log = constant - 0.5 * (v / self.deviation).powi(2) - 0.5 * rest * v - 0.5 * form;
                if log.is_nan() { f64::NEG_INFINITY } else { log }
            })
            .collect())
    }

    /// The conditional widths have E\[log\] = 0, so it is that of N(0, s²) ⊗ N(0, I).
    fn entropy(&self) -> Option<f64> {
        Some(0.5 * self.dim as f64 * (1.0 + TAU.ln()) + self.deviation.ln())
    }
}

impl Score for Funnel {
    fn score(&self, x: &Points) -> Result<Points> {
        self.within_reach(x)?;
        let rest = (self.dim - 1) as f64;
        Ok(Points::from_fn(x.len(), self.dim, |i, s| {
            let row = x.row(i);
            let steep = (-0.5 * row[0]).exp();
            let form: f64 = row[1..].iter().map(|x| (x * steep).powi(2)).sum();
            s[0] = -row[0] / self.deviation.powi(2) - 0.5 * rest + 0.5 * form;
            s[1..].iter_mut().zip(&row[1..]).for_each(|(s, x)| *s = -(x * steep) * steep);
        }))
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim, x, v)?;
        self.within_reach(x)?;
        representable(
            x,
            Points::from_fn(x.len(), self.dim, |i, out| {
                let (row, v) = (x.row(i), v.row(i));
                let steep = (-0.5 * row[0]).exp();
                let form: f64 = row[1..].iter().map(|x| (x * steep).powi(2)).sum();
                out[0] = v[0] * (-self.deviation.powi(-2) - 0.5 * form);
                for k in 1..row.len() {
                    let force = row[k] * steep * steep;
                    out[0] += force * v[k];
                    out[k] = force * v[0] - steep * steep * v[k];
                }
            }),
        )
    }
}
