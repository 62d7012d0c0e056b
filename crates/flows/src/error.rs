//! The errors of this crate: the caller was wrong. What stops a run early is a [`Status`](crate::Status), not an error.

/// What a velocity field answers when it cannot be evaluated: any error of the user's.
pub type FieldError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A broken precondition. `Display` is one line that names the argument and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A precondition on points, measures, lengths or parameters.
    #[error(transparent)]
    Measure(#[from] measures::Error),
    /// The interval of time is empty.
    #[error("t0 = t1 = {t}: the interval of time must have a length")]
    EmptyInterval {
        /// Both ends.
        t: f64,
    },
    /// The field refused the very first evaluation.
    #[error("the field cannot be evaluated at the start, t = {t}: {source}")]
    Field {
        /// The time of the first evaluation.
        t: f64,
        /// What the field said.
        source: FieldError,
    },
    /// A particle starts from a state that is not finite.
    #[error("initial state: row {row} is not finite; every particle must start from finite coordinates")]
    Start {
        /// The row, counted from 0.
        row: usize,
    },
    /// Adaptive steps were asked of a method that has no error estimate.
    #[error("{method} has no embedded error estimate: take fixed steps, or a method with a pair")]
    NoErrorEstimate {
        /// The method.
        method: &'static str,
    },
    /// Particles that interact were asked to keep their own time.
    #[error("{what}: particles that interact share one clock; take shared or fixed steps")]
    SharedClock {
        /// Who asked.
        what: &'static str,
    },
    /// A time outside the interval that something covers.
    #[error("{what} = {t}: must lie in [{low}, {high}]")]
    Time {
        /// The argument.
        what: &'static str,
        /// The offending time.
        t: f64,
        /// The lower end of the interval.
        low: f64,
        /// The upper end of the interval.
        high: f64,
    },
    /// A coefficient of a path that is singular at the time asked for, such as α̇/α where α → 0 or σ̇/σ where σ → 0.
    #[error("{what} is singular at t = {t}: {why}")]
    Singular {
        /// The coefficient.
        what: &'static str,
        /// The time.
        t: f64,
        /// What vanishes there, and what to do.
        why: &'static str,
    },
}

/// Shorthand for a result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
