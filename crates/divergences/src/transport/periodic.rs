//! The cost of the shorter way round on a circle, or on a torus.

use super::cost::{Cost, NormPower};
use super::line::check_power;
use measures::{Result, check_positive};

/// c(x, y) = ‖x − y‖^p with every difference of coordinates taken modulo the period, to the nearest: the distance on the
/// torus of sides `period`, on the circle in one dimension, where [`solve`](super::solve) is [`circle`](super::circle).
///
/// ```
/// use divergences::transport::{Cost, Periodic};
/// let c = Periodic::new(2.0, 1.0)?;
/// assert!((c.cost(&[0.1, 0.0], &[0.9, 3.0]) - 0.04).abs() < 1e-15);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Periodic {
    power: NormPower,
    period: f64,
}

impl Periodic {
    /// The p-th power, p ≥ 1, of the distance on the torus of sides `period`.
    ///
    /// # Errors
    /// p that is not in [1, ∞), or a period that is not finite and positive.
    pub fn new(p: f64, period: f64) -> Result<Self> {
        check_power(p)?;
        Ok(Periodic { power: NormPower::new(2.0, p)?, period: check_positive("period", period)? })
    }

    /// The length of a side.
    pub fn period(&self) -> f64 {
        self.period
    }

    /// The power p of the distance.
    pub fn power(&self) -> f64 {
        self.power.power()
    }

    /// The cost as a function of length.
    pub(crate) fn of_lengths(&self) -> NormPower {
        self.power
    }

    /// The differences to the nearest copies of y.
    fn differences<'a>(&self, x: &'a [f64], y: &'a [f64]) -> impl Iterator<Item = f64> + Clone + use<'a> {
        let period = self.period;
        // Each taken into one turn first, so that far coordinates do not overflow.
        x.iter().zip(y).map(move |(x, y)| {
            let apart = x.rem_euclid(period) - y.rem_euclid(period);
            apart - period * (apart / period).round()
        })
    }
}

impl Cost for Periodic {
    fn cost(&self, x: &[f64], y: &[f64]) -> f64 {
        self.power.of_length(self.power.length(self.differences(x, y)))
    }

    fn add_gradient(&self, x: &[f64], y: &[f64], scale: f64, out: &mut [f64]) -> Result<()> {
        let apart: Vec<f64> = self.differences(x, y).collect();
        self.power.add_gradient(&apart, &vec![0.0; apart.len()], scale, out)
    }

    fn periodic(&self) -> Option<Periodic> {
        Some(*self)
    }
}
