//! What can be wrong with a file of data: one line that names the file, the row and what would be right.

use std::io;
use std::path::{Path, PathBuf};

/// A data file was refused; `Display` is one line, `path: problem`.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

impl Error {
    pub(crate) fn at(path: &Path) -> impl Fn(Problem) -> Self + '_ {
        move |problem| Error { path: path.to_owned(), problem }
    }
}

/// What is wrong with a data file. Rows and columns are counted from 0, lines of text from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refused.
    #[error("cannot be read: {}", plain(.0))]
    Io(#[from] io::Error),
    /// A folder, a pipe or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// No byte at all, or no row of data.
    #[error("is empty: at least one row of numbers is needed")]
    Empty,
    /// Neither the first bytes nor the content fit a known format.
    #[error("is not .npy, .npz, idx or delimited text (nor one of them in gzip)")]
    UnknownFormat,
    /// The file ended inside its header.
    #[error("ends inside the header: {got} bytes where at least {needed} are needed")]
    HeaderTruncated {
        /// The bytes the header needs.
        needed: u64,
        /// The bytes there are.
        got: u64,
    },
    /// The header cannot be understood.
    #[error("{format} header: {what}")]
    Header {
        /// The format.
        format: &'static str,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// A header that promises more, or less, than the file holds.
    #[error("the header promises {promised} bytes of data ({shape}), the file holds {held}")]
    Size {
        /// What the header promises; saturated where the product overflows.
        promised: u64,
        /// The shape and type it promises.
        shape: String,
        /// What there is.
        held: u64,
    },
    /// An element type that is no real number.
    #[error("elements of type {found} are not read: {why}; save an array of float64, float32 or integers")]
    Dtype {
        /// The type as the file names it.
        found: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// A shape without rows or without columns.
    #[error("shape {0}: at least one row and one column are needed (n×d)")]
    Shape(String),
    /// An archive without arrays.
    #[error("holds no .npy array")]
    NoArray,
    /// Several arrays, none chosen.
    #[error(
        "holds several arrays ({0}); choose one by the key array of its input section, as input.array=NAME"
    )]
    ManyArrays(String),
    /// The named array is not there.
    #[error("holds no array named '{asked}'; it holds {available}")]
    NoSuchArray {
        /// The name asked for.
        asked: String,
        /// The names there are.
        available: String,
    },
    /// The archive is broken.
    #[error("is not a sound zip archive: {0}")]
    Zip(String),
    /// The compressed stream is broken.
    #[error("its compressed data is broken or cut short: {0}")]
    Compressed(String),
    /// More than will be read into memory.
    #[error("holds {needed} of numbers; at most {limit} are read into memory", needed = human_bytes(*bytes), limit = human_bytes(*limit))]
    TooLarge {
        /// The bytes it would take.
        bytes: u64,
        /// The bytes allowed.
        limit: u64,
    },
    /// An array whose rows do not lie together.
    #[error(
        "lies column by column (Fortran order), so that rows cannot be read one at a time; \
         save numpy.ascontiguousarray of it"
    )]
    ColumnMajor,
    /// A data set that is shipped with the program is not what it was built with.
    #[error("the program's own copy is damaged: its checksum is another")]
    Damaged,
    /// Fewer rows than are needed.
    #[error("has {got} rows where at least {needed} are needed")]
    TooFewRows {
        /// The rows needed.
        needed: usize,
        /// The rows there are.
        got: usize,
    },
    /// NaN or an infinity.
    #[error("row {row}, column {column} is {value}: every number must be finite")]
    NonFinite {
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The value.
        value: f64,
    },
    /// An integer that double precision cannot hold.
    #[error(
        "row {row}, column {column} is {value}, an integer beyond 2^53 that double precision cannot hold"
    )]
    Inexact {
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The integer.
        value: i128,
    },
    /// The text is not UTF-8.
    #[error("line {line} is not UTF-8 text; save the table as plain UTF-8")]
    Encoding {
        /// The line, counted from 1.
        line: u64,
    },
    /// A cell that is no finite number.
    #[error("line {line}, column {column}: {what}")]
    Cell {
        /// The line, counted from 1.
        line: u64,
        /// The column: its number, counted from 1, and its name where there is a header.
        column: String,
        /// What is there, and what would be right.
        what: String,
    },
    /// A row of another length.
    #[error("line {line} has {got} columns where the first row has {expected}")]
    Ragged {
        /// The line, counted from 1.
        line: u64,
        /// The columns of the first row.
        expected: usize,
        /// The columns of this one.
        got: usize,
    },
    /// A column asked for by a name or number that is not there.
    #[error("has no column '{asked}'; it has {available}")]
    NoSuchColumn {
        /// The name or number asked for.
        asked: String,
        /// What there is.
        available: String,
    },
}

/// The operating system's message without its error number.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase(),
    }
}

/// A number of bytes as people read it.
pub(crate) fn human_bytes(n: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.3} {}", UNITS[unit]) }
}

/// Names in one line, cut where there are too many.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<String> = names.into_iter().map(printable).collect();
    let line = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{line} and {} more", names.len() - MOST) } else { line }
}

/// Text from a file made fit for one line of a message: control characters escaped, long text cut.
pub(crate) fn printable(text: &str) -> String {
    const MOST: usize = 40;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}
