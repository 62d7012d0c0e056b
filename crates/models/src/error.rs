//! The error of this crate: what the caller, a file or libtorch got wrong, in one line each.

use serde::Serialize;
use std::path::{Path, PathBuf};

/// What went wrong. `Display` is one line that names the setting, the file or the column, and what would be right.
///
/// An algorithm that stops early is no error: [`Status`](crate::Status) tells that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A precondition of the native crates is broken.
    #[error(transparent)]
    Measures(#[from] measures::Error),
    /// A precondition of paths and solvers is broken.
    #[error(transparent)]
    Flows(#[from] flows::Error),
    /// A solver stopped before the end of its interval.
    #[error("{0}")]
    Unfinished(#[from] flows::ode::Unfinished),
    /// libtorch refused an operation.
    #[error("libtorch: {message}")]
    Torch {
        /// The first line of what it said.
        message: String,
    },
    /// A setting is out of its range.
    #[error("{field} = {value}: must be {must}")]
    Setting {
        /// The field of the configuration.
        field: &'static str,
        /// The value found.
        value: String,
        /// What would be right, as words.
        must: String,
    },
    /// A configuration cannot be read: an unknown key, a missing key, a wrong type.
    #[error("configuration of {what}: {why}")]
    Config {
        /// What is configured.
        what: &'static str,
        /// The reader's message, which names the key.
        why: String,
    },
    /// The device asked for is not there.
    #[error("device = {name}: {why}")]
    Device {
        /// The device asked for.
        name: String,
        /// Why it cannot be used, and what can.
        why: String,
    },
    /// A name is not among those there are.
    #[error("{what} {name:?} is not known; there are: {known}")]
    Unknown {
        /// What was named.
        what: &'static str,
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A tensor has another shape than is needed.
    #[error("{what}: shape {got:?} where {expected} is needed")]
    Shape {
        /// The tensor.
        what: &'static str,
        /// The shape needed, as words.
        expected: String,
        /// The shape found.
        got: Vec<i64>,
    },
    /// A column of the data does not vary, so it cannot be scaled to unit variance.
    #[error(
        "data: column {column} is constant ({value}); drop it, or train without standardisation \
         (standardise = false)"
    )]
    ConstantColumn {
        /// The column, counted from 0.
        column: usize,
        /// Its one value.
        value: f64,
    },
    /// A number that must be finite is not: training has diverged.
    #[error("{what} is not finite")]
    NonFinite {
        /// The quantity.
        what: &'static str,
    },
    /// The operating system refused a file.
    #[error("{}: cannot {doing}: {}", path.display(), reason(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is truncated or altered.
    #[error("{}: damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A file was written by something else.
    #[error("{}: not a file of this program: {why}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// A file is ours, and for something else.
    #[error("{}: holds {found}, where {expected} is needed", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The quantity does not exist for this model: a refusal, with the reason.
    #[error("{what} is not defined here: {why}")]
    Undefined {
        /// The quantity asked for.
        what: &'static str,
        /// Why there is none.
        why: &'static str,
    },
}

/// Shorthand for a result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A setting out of range.
    pub(crate) fn setting(field: &'static str, value: impl ToString, must: impl ToString) -> Self {
        Error::Setting { field, value: value.to_string(), must: must.to_string() }
    }

    /// A choice that does not fit the others, by the name of its kind.
    pub(crate) fn choice(field: &'static str, value: &impl Serialize, must: impl ToString) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        let kind = value["kind"].as_str().map_or_else(|| value.to_string(), str::to_owned);
        Error::setting(field, kind, must)
    }

    /// A refusal of the operating system.
    pub(crate) fn io(path: &Path, doing: &'static str, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), doing, source }
    }

    /// A damaged file.
    pub(crate) fn damaged(path: &Path, why: impl ToString) -> Self {
        Error::Damaged { path: path.to_owned(), why: why.to_string() }
    }

    /// Whether this says that training has diverged, rather than that it was set up wrongly.
    pub(crate) fn is_divergence(&self) -> bool {
        match self {
            Error::NonFinite { .. } | Error::Measures(measures::Error::NonFinite { .. }) => true,
            Error::Unfinished(stopped) => stopped.status == flows::ode::Status::NonFinite,
            _ => false,
        }
    }
}

/// What the operating system said, without its error number and the name of a temporary file.
fn reason(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return "the disk is full; free some space or choose another folder".to_owned();
    }
    error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Error::Torch { message: first_line(&error.to_string()) }
    }
}

/// The first line of a message of libtorch, which goes on with a stack trace in C++.
pub(crate) fn first_line(message: &str) -> String {
    let line = message.split("\\n").next().unwrap_or_default().lines().next().unwrap_or_default();
    line.trim_start_matches("Internal torch error: ").trim_end_matches(['"', ')', ' ']).to_owned()
}

/// The value when it is finite and in the range, else the setting's error.
pub(crate) fn check_range(
    field: &'static str,
    value: f64,
    range: impl std::ops::RangeBounds<f64>,
    must: &str,
) -> Result<()> {
    if value.is_finite() && range.contains(&value) { Ok(()) } else { Err(Error::setting(field, value, must)) }
}

/// Refuses zero.
pub(crate) fn check_count(field: &'static str, value: usize) -> Result<()> {
    if value > 0 { Ok(()) } else { Err(Error::setting(field, value, "at least 1")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_the_file_it_had_no_room_for() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::io(Path::new("runs/model.safetensors"), "write it", full);
        let line = "runs/model.safetensors: cannot write it: the disk is full; free some space or choose another folder";
        assert_eq!(error.to_string(), line);
    }
}
