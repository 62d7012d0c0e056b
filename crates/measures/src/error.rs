//! The one error type of the native crates: a variant for each precondition that can be broken.

/// A broken precondition. `Display` is one line that names the argument, the row or entry, and what would be right.
///
/// The caller was wrong: an algorithm that stops early says so in a status of its own, with its residual.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two things that must live in the same space do not.
    #[error("{what}: dimension {got} where {expected} is needed")]
    Dimension {
        /// The argument.
        what: &'static str,
        /// The dimension asked for.
        expected: usize,
        /// The dimension found.
        got: usize,
    },
    /// A list has the wrong number of entries.
    #[error("{what}: {got} entries where {expected} are needed")]
    Length {
        /// The argument.
        what: &'static str,
        /// The number asked for.
        expected: usize,
        /// The number found.
        got: usize,
    },
    /// There is nothing, or too little, to work on.
    #[error("{what}: {got} given, at least {at_least} needed")]
    TooFew {
        /// The argument.
        what: &'static str,
        /// The smallest number that would do.
        at_least: usize,
        /// The number found.
        got: usize,
    },
    /// More was asked for than can be addressed or is sensible to store.
    #[error("{what}: {requested} asked for, at most {limit} possible")]
    TooMany {
        /// The argument.
        what: &'static str,
        /// The largest number that would do.
        limit: usize,
        /// The number asked for.
        requested: usize,
    },
    /// A coordinate is NaN or infinite.
    #[error("{what}: row {row}, column {column} is {value}; every coordinate must be finite")]
    NonFinite {
        /// The argument.
        what: &'static str,
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The offending value.
        value: f64,
    },
    /// One entry of a list is out of its range.
    #[error("{what}[{index}] = {value}: must be {must}")]
    Entry {
        /// The argument.
        what: &'static str,
        /// The position, counted from 0.
        index: usize,
        /// The offending value.
        value: f64,
        /// The range that would be right, as words.
        must: &'static str,
    },
    /// A scalar parameter is out of its range.
    #[error("{what} = {value}: must be {must}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// The offending value.
        value: f64,
        /// The range that would be right, as words.
        must: &'static str,
    },
    /// Weights that should sum to one do not.
    #[error("{what}: the weights sum to {sum}; they must sum to 1 (Empirical::normalised rescales them)")]
    WeightSum {
        /// The argument.
        what: &'static str,
        /// The sum found.
        sum: f64,
    },
    /// A matrix that must be symmetric positive definite is not.
    #[error("{what}: must be symmetric and positive definite")]
    NotPositiveDefinite {
        /// The argument.
        what: &'static str,
    },
    /// A matrix that must be invertible is not.
    #[error("{what}: must be invertible")]
    Singular {
        /// The argument.
        what: &'static str,
    },
    /// An atom of weight zero has no drift of its own.
    #[error("{what}: atom {index} has weight 0, where the drift is not defined")]
    ZeroWeight {
        /// The functional.
        what: &'static str,
        /// The atom, counted from 0.
        index: usize,
    },
    /// A name that nothing answers to.
    #[error("no {what} is called `{name}`; there is {known}")]
    Unknown {
        /// The kind of thing asked for.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// The quantity does not exist for this object: a refusal, with the reason.
    #[error("{what} is not defined here: {why}")]
    Undefined {
        /// The quantity asked for.
        what: &'static str,
        /// Why mathematics or this implementation has none.
        why: &'static str,
    },
}

/// Shorthand for a result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// `Ok` when `got == expected`, else [`Error::Dimension`].
///
/// # Errors
/// When the two dimensions differ.
pub fn check_dim(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Dimension { what, expected, got }) }
}

/// `Ok` when `got == expected`, else [`Error::Length`].
///
/// # Errors
/// When the two lengths differ.
pub fn check_len(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}

/// The value itself when it is finite and positive, else [`Error::Parameter`].
///
/// # Errors
/// When the value is zero, negative, infinite or NaN.
pub fn check_positive(what: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Error::Parameter { what, value, must: "finite and positive" })
    }
}

/// `Ok` when every entry is finite, else [`Error::Entry`] at the first that is not.
///
/// # Errors
/// When an entry is infinite or NaN.
pub fn check_finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::Entry { what, index, value: values[index], must: "finite" }),
    }
}
