//! Why a run ended without a report, in one line, and the exit code that says so.

use std::path::PathBuf;

/// Why a run ended without a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Spec(#[from] crate::spec::Error),
    /// A data file is wrong.
    #[error(transparent)]
    Data(#[from] crate::data::Error),
    /// A file or folder cannot be written.
    #[error(transparent)]
    Write(#[from] crate::files::WriteError),
    /// A setting does not fit the model, a model's file is broken, the device is not there.
    #[error(transparent)]
    Models(#[from] models::Error),
    /// The data do not fit what was asked for.
    #[error(transparent)]
    Measures(#[from] measures::Error),
    /// A flow is not defined where it was asked for.
    #[error(transparent)]
    Flows(#[from] flows::Error),
    /// A flow did not come to its end.
    #[error(transparent)]
    Unfinished(#[from] flows::ode::Unfinished),
    /// An argument of the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// No experiment has the name.
    #[error("there is no experiment '{name}'{hint}")]
    UnknownExperiment {
        /// The name given.
        name: String,
        /// The near ones.
        hint: String,
    },
    /// The folder for results holds something already.
    #[error("{}: is not empty; an earlier run is never overwritten: choose another --out, or --resume it", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is in use.
    #[error("{}: another process works in it", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to go on with.
    #[error("{}: cannot be resumed: {why}", path.display())]
    NotResumable {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Too few points for what was asked.
    #[error("{what}: {got} rows, at least {needed} are needed {why}")]
    TooFewRows {
        /// The file or the part of it.
        what: String,
        /// The rows there are.
        got: usize,
        /// The rows needed.
        needed: usize,
        /// What for.
        why: &'static str,
    },
    /// Two files that must have equally many columns do not.
    #[error("{first} has {a} columns and {second} has {b}; points of one dimension are needed")]
    Columns {
        /// One file.
        first: String,
        /// Its columns.
        a: usize,
        /// The other file.
        second: String,
        /// Its columns.
        b: usize,
    },
    /// The user stopped the run.
    #[error("stopped")]
    Interrupted,
}

impl Failure {
    /// 130 when the user stopped the run, else 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Interrupted => 130,
            _ => 2,
        }
    }
}

/// Shorthand for a result whose error is [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;
