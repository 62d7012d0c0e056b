//! Events: zeros of a function of time and state, found on the continuous solution.

use super::dense::Segment;
use crate::state::{Clock, State};
use measures::Points;

/// Which crossings of zero count, in the direction of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Crossing {
    /// Both.
    #[default]
    Any,
    /// From negative to positive.
    Rising,
    /// From positive to negative.
    Falling,
}

type Values<'a, S> = Box<dyn Fn(Clock<'_>, &S) -> Vec<f64> + Sync + 'a>;

/// A function g(t, x) whose zeros along a trajectory are wanted.
///
/// A zero is seen when g changes sign between the ends of a step (a start on a zero is not one); two zeros in one step
/// escape, so bound the step where that matters. Its time is found on the interpolant of the step to a few units of
/// round-off; its accuracy is that of the interpolant.
pub struct Event<'a, S> {
    values: Values<'a, S>,
    crossing: Crossing,
    terminal: bool,
}

impl<'a> Event<'a, Points> {
    /// The zeros of `g(t, x)`, particle by particle.
    pub fn new(g: impl Fn(f64, &[f64]) -> f64 + Sync + 'a) -> Self {
        Event::batched(move |t, x: &Points| x.rows().enumerate().map(|(i, x)| g(t.at(i), x)).collect())
    }
}

impl<'a, S: State> Event<'a, S> {
    /// The zeros of a function given for a batch of rows at once; rows must not look at one another.
    pub fn batched(values: impl Fn(Clock<'_>, &S) -> Vec<f64> + Sync + 'a) -> Self {
        Event { values: Box::new(values), crossing: Crossing::Any, terminal: false }
    }

    /// Only crossings of this kind count.
    pub fn crossing(mut self, crossing: Crossing) -> Self {
        self.crossing = crossing;
        self
    }

    /// The first crossing stops the particle there.
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(crate) fn values(&self, t: Clock<'_>, x: &S) -> Vec<f64> {
        (self.values)(t, x)
    }

    /// Whether g went through zero from `before` to `after`.
    pub(crate) fn crosses(&self, before: f64, after: f64) -> bool {
        let rising = before < 0.0 && after >= 0.0;
        let falling = before > 0.0 && after <= 0.0;
        match self.crossing {
            Crossing::Any => rising || falling,
            Crossing::Rising => rising,
            Crossing::Falling => falling,
        }
    }

    /// The time in the step of local row i of `segment` at which g is zero, given g at both ends, and the state there:
    /// regula falsi with the Illinois correction, and bisection whenever that is slow.
    pub(crate) fn locate(&self, segment: &Segment<S>, i: usize, before: f64, after: f64) -> (f64, S) {
        let (mut a, mut ga) = (segment.t[i], before);
        let (mut b, mut gb) = (segment.until[i], after);
        let tolerance = 4.0 * f64::EPSILON * a.abs().max(b.abs());
        let state = |t: f64| segment.eval(&[i], &[t]);
        for round in 0..200 {
            if (b - a).abs() <= tolerance || gb == 0.0 {
                break;
            }
            // Every third round halves, so that the bracket shrinks at least so fast.
            let secant = b - gb * (b - a) / (gb - ga);
            let inside = secant.is_finite() && (secant - a) * (b - secant) > 0.0;
            let t = if inside && round % 3 != 2 { secant } else { 0.5 * (a + b) };
            let g = self.values(Clock::Each(&[t]), &state(t))[0];
            if g == 0.0 {
                (b, gb) = (t, g);
            } else if (g < 0.0) == (before < 0.0) {
                (a, ga) = (t, g);
                gb *= 0.5;
            } else {
                (b, gb) = (t, g);
                ga *= 0.5;
            }
        }
        (b, state(b))
    }
}

/// An event that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hit<S> {
    /// The number of the event, in the order they were given.
    pub event: usize,
    /// The particle.
    pub row: usize,
    /// The time.
    pub t: f64,
    /// The state there, one row.
    pub state: S,
}
