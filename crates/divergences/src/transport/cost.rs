//! Ground costs: what it costs to move a unit of mass from x to y.

use super::periodic::Periodic;
use measures::{Error, Points, Result, check_positive, parallel};

/// A ground cost c(x, y), finite for all finite x and y.
///
/// [`NormPower`] covers the usual ones and lets the solvers use geometry (sorting on the line, boxes in a few
/// dimensions); [`Custom`] takes any function. A solver asks [`Cost::norm_power`] which of the two it has.
pub trait Cost: Send + Sync {
    /// c(x, y) for two points of the same dimension.
    fn cost(&self, x: &[f64], y: &[f64]) -> f64;

    /// Adds `scale` · ∇ₓ c(x, y) to `out`. Where the norm has a kink (x = y) the subgradient 0 is taken.
    ///
    /// # Errors
    /// The cost has no gradient to offer.
    fn add_gradient(&self, x: &[f64], y: &[f64], scale: f64, out: &mut [f64]) -> Result<()>;

    /// The parameters of the cost when it is a power of a norm of x − y.
    fn norm_power(&self) -> Option<NormPower> {
        None
    }

    /// The parameters of the cost when it is a power of the distance on a torus.
    fn periodic(&self) -> Option<Periodic> {
        None
    }
}

/// The cost c(x, y) = s ‖x − y‖_q^p for a norm exponent q ∈ [1, ∞], a power p > 0 and a scale s > 0.
///
/// ```
/// use divergences::transport::{Cost, NormPower};
/// let c = NormPower::squared_euclidean();
/// assert_eq!(c.cost(&[0.0, 0.0], &[3.0, 4.0]), 25.0);
/// let taxi = NormPower::new(1.0, 1.0)?;
/// assert_eq!(taxi.cost(&[0.0, 0.0], &[3.0, 4.0]), 7.0);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parameters"))]
pub struct NormPower {
    norm: f64,
    power: f64,
    scale: f64,
}

/// [`NormPower`] as it is written in a file, not yet checked.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    norm: f64,
    power: f64,
    scale: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for NormPower {
    type Error = Error;

    fn try_from(p: Parameters) -> Result<Self> {
        NormPower::new(p.norm, p.power)?.scaled(p.scale)
    }
}

impl NormPower {
    /// ‖x − y‖_`norm`^`power`; the norm exponent may be `f64::INFINITY` (the largest coordinate).
    ///
    /// # Errors
    /// `norm` < 1, or `power` that is not finite and positive.
    pub fn new(norm: f64, power: f64) -> Result<Self> {
        if norm.is_nan() || norm < 1.0 {
            return Err(Error::Parameter {
                what: "norm",
                value: norm,
                must: "at least 1 (infinity allowed)",
            });
        }
        Ok(NormPower { norm, power: check_positive("power", power)?, scale: 1.0 })
    }

    /// ‖x − y‖², the cost of W₂².
    pub fn squared_euclidean() -> Self {
        NormPower { norm: 2.0, power: 2.0, scale: 1.0 }
    }

    /// ½‖x − y‖², for which the optimal map is the gradient of a convex function and plans appear without factors 2.
    pub fn half_squared_euclidean() -> Self {
        NormPower { norm: 2.0, power: 2.0, scale: 0.5 }
    }

    /// ‖x − y‖, the cost of W₁.
    pub fn euclidean() -> Self {
        NormPower { norm: 2.0, power: 1.0, scale: 1.0 }
    }

    /// The same cost times `scale`.
    ///
    /// # Errors
    /// `scale` is not finite and positive.
    pub fn scaled(self, scale: f64) -> Result<Self> {
        Ok(NormPower { scale: self.scale * check_positive("scale", scale)?, ..self })
    }

    /// q of ‖x − y‖_q.
    pub fn norm(&self) -> f64 {
        self.norm
    }

    /// The power p of the norm.
    pub fn power(&self) -> f64 {
        self.power
    }

    /// The factor s.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Whether the cost is s‖x − y‖₂², for which sums over pairs have faster forms.
    pub fn is_squared_euclidean(&self) -> bool {
        self.norm == 2.0 && self.power == 2.0
    }

    /// s · lengthᵖ.
    pub(crate) fn of_length(&self, length: f64) -> f64 {
        self.scale * raise(length, self.power)
    }

    /// s · p · lengthᵖ⁻¹, the derivative in the length; 0 at length 0 where it would be infinite or has a kink.
    pub(crate) fn slope(&self, length: f64) -> f64 {
        if length == 0.0 { 0.0 } else { self.scale * self.power * raise(length, self.power - 1.0) }
    }

    /// ‖v‖_q of the differences that `differences` yields.
    pub(crate) fn length(&self, differences: impl Iterator<Item = f64> + Clone) -> f64 {
        if self.norm == 2.0 {
            let squares: f64 = differences.clone().map(|v| v * v).sum();
            // Squares overflow or vanish outside this range; then scale by the largest first.
            if squares > 1e-280 && squares < f64::INFINITY {
                squares.sqrt()
            } else {
                scaled_norm(differences, 2.0)
            }
        } else if self.norm == 1.0 {
            differences.map(f64::abs).sum()
        } else if self.norm == f64::INFINITY {
            differences.map(f64::abs).fold(0.0, f64::max)
        } else {
            scaled_norm(differences, self.norm)
        }
    }
}

/// (Σ |v|^q)^{1/q}, safe from overflow.
fn scaled_norm(differences: impl Iterator<Item = f64> + Clone, q: f64) -> f64 {
    let largest = differences.clone().map(f64::abs).fold(0.0, f64::max);
    if largest == 0.0 || largest == f64::INFINITY {
        return largest;
    }
    largest * differences.map(|v| (v.abs() / largest).powf(q)).sum::<f64>().powf(1.0 / q)
}

/// ‖x − y‖² in eight chains of additions.
fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    let ((x, rest_x), (y, rest_y)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (x, y) in x.iter().zip(y) {
        for k in 0..8 {
            sums[k] += (x[k] - y[k]) * (x[k] - y[k]);
        }
    }
    let rest: f64 = rest_x.iter().zip(rest_y).map(|(x, y)| (x - y) * (x - y)).sum();
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7])) + rest
}

/// lengthᵖ, exact and quick for the usual powers.
pub(crate) fn raise(length: f64, p: f64) -> f64 {
    if p == 2.0 {
        length * length
    } else if p == 1.0 {
        length
    } else if p == 0.0 {
        1.0
    } else {
        length.powf(p)
    }
}

impl Cost for NormPower {
    fn cost(&self, x: &[f64], y: &[f64]) -> f64 {
        if self.is_squared_euclidean() {
            return self.scale * squared_distance(x, y);
        }
        self.of_length(self.length(x.iter().zip(y).map(|(x, y)| x - y)))
    }

    fn add_gradient(&self, x: &[f64], y: &[f64], scale: f64, out: &mut [f64]) -> Result<()> {
        let differences = x.iter().zip(y).map(|(x, y)| x - y);
        if self.is_squared_euclidean() {
            out.iter_mut().zip(differences).for_each(|(o, v)| *o += 2.0 * self.scale * scale * v);
            return Ok(());
        }
        let length = self.length(differences.clone());
        let slope = scale * self.slope(length);
        if slope == 0.0 {
            return Ok(());
        }
        if self.norm == f64::INFINITY {
            // The first coordinate that attains the maximum: one subgradient of several.
            let mut largest = out.iter_mut().zip(differences).filter(|(_, v)| v.abs() == length);
            if let Some((o, v)) = largest.next() {
                *o += slope * v.signum();
            }
            return Ok(());
        }
        for (o, v) in out.iter_mut().zip(differences) {
            if v != 0.0 {
                *o += slope * v.signum() * raise(v.abs() / length, self.norm - 1.0);
            }
        }
        Ok(())
    }

    fn norm_power(&self) -> Option<NormPower> {
        Some(*self)
    }
}

/// Adds `scale` · ∇ₓ c(x, y) to `out`.
type AddGradient = Box<dyn Fn(&[f64], &[f64], f64, &mut [f64]) + Send + Sync>;

/// A user's own cost, any finite function of two points, with its gradient in x if it has one.
///
/// ```
/// use divergences::transport::{Cost, Custom};
/// let angle = Custom::new(|x, y| 1.0 - (x[0] * y[0] + x[1] * y[1]));
/// assert_eq!(angle.cost(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
/// ```
pub struct Custom<F> {
    cost: F,
    gradient: Option<AddGradient>,
}

impl<F: Fn(&[f64], &[f64]) -> f64 + Send + Sync> Custom<F> {
    /// The cost `cost(x, y)`, without a gradient: values and plans, but no variation in the points.
    pub fn new(cost: F) -> Self {
        Custom { cost, gradient: None }
    }

    /// The same cost with its gradient: `gradient(x, y, scale, out)` adds `scale` · ∇ₓ c(x, y) to `out`.
    pub fn with_gradient(
        self,
        gradient: impl Fn(&[f64], &[f64], f64, &mut [f64]) + Send + Sync + 'static,
    ) -> Self {
        Custom { gradient: Some(Box::new(gradient)), ..self }
    }
}

impl<F: Fn(&[f64], &[f64]) -> f64 + Send + Sync> Cost for Custom<F> {
    fn cost(&self, x: &[f64], y: &[f64]) -> f64 {
        (self.cost)(x, y)
    }

    fn add_gradient(&self, x: &[f64], y: &[f64], scale: f64, out: &mut [f64]) -> Result<()> {
        match &self.gradient {
            Some(gradient) => {
                gradient(x, y, scale, out);
                Ok(())
            }
            None => Err(Error::Undefined {
                what: "the gradient of the transport cost",
                why: "the user's cost was given without one (Custom::with_gradient adds it)",
            }),
        }
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<C: Cost + ?Sized> Cost for $pointer {
            fn cost(&self, x: &[f64], y: &[f64]) -> f64 { (**self).cost(x, y) }
            fn add_gradient(&self, x: &[f64], y: &[f64], scale: f64, out: &mut [f64]) -> Result<()> {
                (**self).add_gradient(x, y, scale, out)
            }
            fn norm_power(&self) -> Option<NormPower> { (**self).norm_power() }
            fn periodic(&self) -> Option<Periodic> { (**self).periodic() }
        }
    )+};
}
forward!(&C, Box<C>);

/// Rows whose extremes one task looks for.
const BOX_ROWS: usize = 2048;

/// The smallest box that holds both clouds, as (low, high).
pub(crate) fn bounding_box(x: &Points, y: &Points) -> (Vec<f64>, Vec<f64>) {
    let (d, n) = (x.dim(), x.len());
    let parts = parallel::map_blocks(n + y.len(), BOX_ROWS, |rows| {
        let (mut low, mut high) = (vec![f64::INFINITY; d], vec![f64::NEG_INFINITY; d]);
        for i in rows {
            let row = if i < n { x.row(i) } else { y.row(i - n) };
            for ((low, high), &v) in low.iter_mut().zip(&mut high).zip(row) {
                (*low, *high) = (low.min(v), high.max(v));
            }
        }
        (low, high)
    });
    let (mut low, mut high) = (vec![f64::INFINITY; d], vec![f64::NEG_INFINITY; d]);
    for (l, h) in parts {
        low.iter_mut().zip(l).for_each(|(low, l)| *low = low.min(l));
        high.iter_mut().zip(h).for_each(|(high, h)| *high = high.max(h));
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_the_slopes_of_the_costs() {
        let (x, y) = ([0.3, -1.2, 0.7], [1.1, 0.4, 0.65]);
        for q in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
            for p in [0.5, 1.0, 1.7, 2.0, 4.0] {
                let c = NormPower::new(q, p).unwrap().scaled(1.3).unwrap();
                let mut gradient = vec![0.0; 3];
                c.add_gradient(&x, &y, 2.0, &mut gradient).unwrap();
                for k in 0..3 {
                    let at = |h: f64| {
                        let mut moved = x;
                        moved[k] += h;
                        c.cost(&moved, &y)
                    };
                    let slope = 2.0 * (at(1e-6) - at(-1e-6)) / 2e-6;
                    let error = (slope - gradient[k]).abs() / (1.0 + slope.abs());
                    assert!(error < 1e-8, "q {q} p {p}: {slope} {gradient:?}");
                }
                let mut zero = vec![0.0; 3];
                c.add_gradient(&x, &x, 1.0, &mut zero).unwrap();
                assert_eq!(zero, [0.0; 3]);
            }
        }
    }

    #[test]
    fn lengths_survive_extreme_coordinates() {
        for q in [1.0, 2.0, 3.0, f64::INFINITY] {
            let c = NormPower::new(q, 1.0).unwrap();
            for scale in [1e-200, 1e200] {
                let want = scale * c.cost(&[3.0, 0.0], &[0.0, 4.0]);
                let got = c.cost(&[3.0 * scale, 0.0], &[0.0, 4.0 * scale]);
                assert!((got / want - 1.0).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn bad_exponents_are_refused() {
        assert!(matches!(NormPower::new(0.5, 1.0), Err(Error::Parameter { what: "norm", .. })));
        assert!(matches!(NormPower::new(f64::NAN, 1.0), Err(Error::Parameter { what: "norm", .. })));
        assert!(matches!(NormPower::new(2.0, 0.0), Err(Error::Parameter { what: "power", .. })));
        assert!(NormPower::euclidean().scaled(f64::INFINITY).is_err());
        let plain = Custom::new(|x, y| (x[0] - y[0]).abs());
        assert!(matches!(plain.add_gradient(&[0.0], &[1.0], 1.0, &mut [0.0]), Err(Error::Undefined { .. })));
    }
}
