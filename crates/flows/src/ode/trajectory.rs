//! What a run returns: where every particle ended, why, and at what cost.

use super::dense::Dense;
use super::event::Hit;
use crate::error::FieldError;

/// Why the run of a particle ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It reached the end.
    Finished,
    /// It used up the steps allowed.
    MaxSteps,
    /// The tolerance asks for steps below the resolution of time: a stiff field, or a singularity ahead.
    StepUnderflow,
    /// The velocity or the state stopped being finite, however small the step.
    NonFinite,
    /// The field refused to be evaluated; [`Trajectory::failures`] has its words.
    Field,
    /// The terminal event of this number happened.
    Event(usize),
}

/// What a particle cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Evaluations of the field.
    pub evaluations: usize,
    /// Steps accepted.
    pub accepted: usize,
    /// Steps rejected.
    pub rejected: usize,
}

/// The outcome of a run, row by row. Whatever stopped a particle, what it had reached is here.
#[derive(Debug)]
#[non_exhaustive]
#[must_use]
pub struct Trajectory<S> {
    /// The last finite state of every particle.
    pub end: S,
    /// The time of that state.
    pub times: Vec<f64>,
    /// Why it ended there.
    pub status: Vec<Status>,
    /// What it cost.
    pub counts: Vec<Counts>,
    /// The states at the times asked for, in their order. A row that stopped earlier ([`Trajectory::times`] tells) keeps
    /// its last finite state in those it did not reach.
    pub saved: Vec<(f64, S)>,
    /// The continuous solution, when asked for.
    pub dense: Option<Dense<S>>,
    /// The events, by row and then in order of time.
    pub events: Vec<Hit<S>>,
    /// What the field said when it refused, with the row it stopped.
    pub failures: Vec<(usize, FieldError)>,
}

impl<S> Trajectory<S> {
    /// Whether every particle reached the end.
    pub fn is_finished(&self) -> bool {
        self.status.iter().all(|s| *s == Status::Finished)
    }

    /// The final states when every particle reached the end.
    ///
    /// # Errors
    /// The first particle that did not, with its status and time.
    pub fn finished(self) -> Result<S, Unfinished> {
        self.first_unfinished().map_or(Ok(self.end), Err)
    }

    /// The first particle that did not reach the end, if any.
    pub fn first_unfinished(&self) -> Option<Unfinished> {
        let of = self.status.iter().filter(|s| **s != Status::Finished).count();
        let row = self.status.iter().position(|s| *s != Status::Finished)?;
        Some(Unfinished { row, status: self.status[row], t: self.times[row], of })
    }

    /// The sum of the costs of all particles.
    pub fn total(&self) -> Counts {
        self.counts.iter().fold(Counts::default(), |a, b| Counts {
            evaluations: a.evaluations + b.evaluations,
            accepted: a.accepted + b.accepted,
            rejected: a.rejected + b.rejected,
        })
    }
}

/// A particle did not reach the end.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("particle {row} stopped at t = {t}: {status:?} (one of {of} that did not reach the end)")]
#[non_exhaustive]
pub struct Unfinished {
    /// The first such particle.
    pub row: usize,
    /// Why it stopped.
    pub status: Status,
    /// Where it stopped.
    pub t: f64,
    /// How many did not reach the end.
    pub of: usize,
}
