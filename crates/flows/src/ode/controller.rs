//! Who accepts a step and chooses the next: integral, proportional–integral and PID control of the local error.

use measures::check_positive;

/// What a controller remembers of one particle, or of the cloud when steps are shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// The errors of the last two accepted steps, the latest first; one before there were any.
    pub errors: [f64; 2],
    /// Whether the last attempt was rejected.
    pub rejected: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { errors: [1.0; 2], rejected: false }
    }
}

/// The verdict on a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Take it; the next step is this factor times as long.
    Accept(f64),
    /// Leave it; try again with a step this factor times as long.
    Reject(f64),
}

/// A rule that accepts or rejects a step by its scaled error and gives the factor to the next one.
pub trait Controller: Sync {
    /// The verdict on a step of scaled error `error` (at most one is good, NaN when the step is not finite), whose error
    /// shrinks with the step to the power `exponent`.
    fn decide(&self, error: f64, exponent: f64, memory: &mut Memory) -> Decision;
}

/// Digital control of the error: with e_n the scaled error of step n and k the exponent of its decay, the next step is
/// s·e_n^{−(P+I+D)/k}·e_{n−1}^{(P+2D)/k}·e_{n−2}^{−D/k} times as long, kept within limits.
///
/// K. Gustafsson, *Control theoretic techniques for stepsize selection in explicit Runge–Kutta methods*, ACM TOMS 17
/// (1991), doi:10.1145/210232.210242; G. Söderlind, *Digital filters in adaptive time-stepping*, ACM TOMS 29 (2003),
/// doi:10.1145/641876.641877.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pid {
    proportional: f64,
    integral: f64,
    derivative: f64,
    safety: f64,
    limits: (f64, f64),
}

impl Pid {
    /// The classical controller, which looks at the last error alone.
    pub const I: Pid = Pid::of(0.0, 1.0, 0.0);
    /// PI.3.4 of Gustafsson: smoother steps, and fewer rejections where stability limits them. The default.
    pub const PI: Pid = Pid::of(0.4, 0.3, 0.0);
    /// H312 of Söderlind, the smoothest: for fields of little regularity.
    pub const PID: Pid = Pid::of(1.0 / 18.0, 1.0 / 9.0, 1.0 / 18.0);

    const fn of(proportional: f64, integral: f64, derivative: f64) -> Pid {
        Pid { proportional, integral, derivative, safety: 0.9, limits: (0.2, 10.0) }
    }

    /// A controller of the given gains, with safety factor 0.9 and factors between 0.2 and 10.
    ///
    /// # Errors
    /// A gain is negative or not finite, or the integral gain is zero: then nothing would hold the error at the tolerance.
    pub fn new(proportional: f64, integral: f64, derivative: f64) -> crate::Result<Self> {
        check_positive("integral gain", integral)?;
        for (what, value) in [("proportional gain", proportional), ("derivative gain", derivative)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(
                    measures::Error::Parameter { what, value, must: "finite and not negative" }.into()
                );
            }
        }
        Ok(Pid::of(proportional, integral, derivative))
    }

    /// P, I and D.
    pub(crate) fn gains(&self) -> (f64, f64, f64) {
        (self.proportional, self.integral, self.derivative)
    }

    /// The smallest and the largest factor.
    pub(crate) fn limits(&self) -> (f64, f64) {
        self.limits
    }

    /// The safety factor.
    pub(crate) fn safety(&self) -> f64 {
        self.safety
    }

    /// The same gains with another safety factor, in (0, 1].
    ///
    /// # Errors
    /// The factor is outside (0, 1].
    pub fn with_safety(self, safety: f64) -> crate::Result<Self> {
        if !(safety > 0.0 && safety <= 1.0) {
            return Err(
                measures::Error::Parameter { what: "safety", value: safety, must: "in (0, 1]" }.into()
            );
        }
        Ok(Pid { safety, ..self })
    }

    /// The same gains with other limits for the factor between steps.
    ///
    /// # Errors
    /// Not 0 < `smallest` < 1 < `largest` < ∞.
    pub fn with_limits(self, smallest: f64, largest: f64) -> crate::Result<Self> {
        if !(smallest > 0.0 && smallest < 1.0) {
            let must = "inside (0, 1)";
            return Err(measures::Error::Parameter { what: "smallest factor", value: smallest, must }.into());
        }
        if !(largest > 1.0 && largest.is_finite()) {
            let must = "finite and above 1";
            return Err(measures::Error::Parameter { what: "largest factor", value: largest, must }.into());
        }
        Ok(Pid { limits: (smallest, largest), ..self })
    }
}

/// Errors below this one say nothing but "very small".
pub(crate) const FLOOR: f64 = 1e-10;

impl Controller for Pid {
    fn decide(&self, error: f64, exponent: f64, memory: &mut Memory) -> Decision {
        let (smallest, largest) = self.limits;
        if error <= 1.0 {
            let e = error.max(FLOOR);
            let (p, i, d) = (self.proportional, self.integral, self.derivative);
            let mut log = -(p + i + d) * e.ln();
            if p + 2.0 * d != 0.0 {
                log += (p + 2.0 * d) * memory.errors[0].ln();
            }
            if d != 0.0 {
                log -= d * memory.errors[1].ln();
            }
            // After a rejection the step may not grow at once.
            let largest = if memory.rejected { 1.0 } else { largest };
            let factor = (self.safety * (log / exponent).exp()).clamp(smallest, largest);
            *memory = Memory { errors: [e, memory.errors[0]], rejected: false };
            Decision::Accept(factor)
        } else {
            memory.rejected = true;
            // A step that is not finite says nothing about how far off it is.
            let factor = if error.is_nan() { smallest } else { self.safety * error.powf(-1.0 / exponent) };
            Decision::Reject(factor.clamp(smallest, 1.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_controller_aims_at_the_tolerance() {
        let decide = |e| Pid::I.decide(e, 5.0, &mut Memory::default());
        assert!(matches!(decide(1.0), Decision::Accept(f) if (f - 0.9).abs() < 1e-12));
        assert!(matches!(decide(0.9f64.powi(5)), Decision::Accept(f) if (f - 1.0).abs() < 1e-12));
        assert_eq!(decide(0.0), Decision::Accept(10.0));
        assert!(matches!(decide(32.0), Decision::Reject(f) if (f - 0.45).abs() < 1e-12));
        assert_eq!(decide(f64::NAN), Decision::Reject(0.2));
        assert_eq!(decide(f64::INFINITY), Decision::Reject(0.2));
    }

    #[test]
    fn steps_do_not_grow_after_a_rejection() {
        let mut memory = Memory::default();
        assert!(matches!(Pid::PI.decide(5.0, 5.0, &mut memory), Decision::Reject(_)));
        assert_eq!(Pid::PI.decide(1e-6, 5.0, &mut memory), Decision::Accept(1.0));
        assert!(matches!(Pid::PI.decide(1e-6, 5.0, &mut memory), Decision::Accept(f) if f > 1.0));
    }

    #[test]
    fn bad_gains_are_refused() {
        assert!(Pid::new(0.0, 0.0, 0.0).is_err() && Pid::new(-1.0, 1.0, 0.0).is_err());
        assert!(Pid::PI.with_safety(1.5).is_err() && Pid::PI.with_limits(2.0, 3.0).is_err());
        assert!(Pid::PI.with_limits(0.1, 1.0).is_err());
        assert_eq!(Pid::new(0.4, 0.3, 0.0).unwrap(), Pid::PI);
    }
}
