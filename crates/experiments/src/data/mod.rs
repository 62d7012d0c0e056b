//! Points from a user's file, and back: .npy, .npz, delimited text and idx, each also inside gzip.
//!
//! A file is untrusted. What its header promises is compared with the bytes it really has before anything is allocated,
//! archives cannot expand beyond a bound, objects are never unpickled, and every number is finite. The format is told
//! by the first bytes and not by the name. Rows and columns are counted from 0, lines of text from 1.

mod digits;
mod element;
mod error;
mod header;
mod idx;
mod npy;
mod npz;
mod origin;
mod rows;
#[cfg(test)]
mod tests;
mod text;

pub use digits::Digits;
pub(crate) use error::printable;
pub use error::{Error, Problem};
pub use npy::write_npy;
pub use origin::{is_named, load, named_set};
pub use rows::NpyRows;
pub use text::write_csv;

use measures::Points;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// The most that is read into memory, as double precision.
pub const LIMIT: u64 = 8 << 30;

/// How to read a file of points, where it leaves a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The array of an .npz archive that holds several.
    pub array: Option<String>,
    /// The columns to keep, by the names of a header or by number counted from 0; none means all.
    pub columns: Vec<String>,
    /// Whether the first line of a text is a header; `auto` takes it for one when it holds words and no number.
    pub header: Header,
    /// What parts the columns of a text; found by itself when not given. A space means any white space.
    pub delimiter: Option<char>,
}

/// Whether the first line of a text names the columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// When it holds words and no number.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is data.
    No,
}

/// Points with the names of their columns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Table {
    /// The points, n×d, all finite.
    pub points: Points,
    /// d names; `x0`, `x1`, … where the file has none.
    pub columns: Vec<String>,
}

impl Table {
    fn new(dim: usize, coords: Vec<f64>) -> Result<Self, Problem> {
        if let Some(k) = coords.iter().position(|v| !v.is_finite()) {
            return Err(Problem::NonFinite { row: k / dim, column: k % dim, value: coords[k] });
        }
        Ok(Table { points: Points::from_raw(dim, coords), columns: column_names(dim) })
    }

    fn keep(self, asked: &[String]) -> Result<Self, Problem> {
        let dim = self.points.dim();
        let position = |name: &str| self.columns.iter().position(|n| n == name);
        let picked = find_columns(asked, dim, position, || format!("the columns 0 to {}", dim - 1))?;
        let points = Points::from_fn(self.points.len(), picked.len(), |i, row| {
            row.iter_mut().zip(&picked).for_each(|(v, &column)| *v = self.points.row(i)[column]);
        });
        Ok(Table { points, columns: picked.iter().map(|&column| self.columns[column].clone()).collect() })
    }
}

/// The names `x0`, `x1`, … of d columns.
pub fn column_names(dim: usize) -> Vec<String> {
    (0..dim).map(|k| format!("x{k}")).collect()
}

/// Reads the points of a file.
///
/// # Errors
/// The file is missing, truncated, of another format or type, lies about its size, holds something that is no finite
/// number, or is too large; the message names the file and the place.
pub fn read(path: &Path, options: &Options) -> Result<Table, Error> {
    let at = Error::at(path);
    let (start, held) = open(path).map_err(&at)?;
    if start.starts_with(npy::MAGIC) {
        return keep(npy::read_path(path, held)?, options).map_err(at);
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return keep(npz::read_path(path, held, options.array.as_deref())?, options).map_err(at);
    }
    let content = || -> Result<Table, Problem> {
        let mut file = File::open(path)?;
        if start.starts_with(&[0x1f, 0x8b]) {
            return from_memory(&gunzip(file)?, options);
        }
        if idx::looks_like(&start) {
            return keep(idx::read(&mut std::io::BufReader::new(&mut file), held)?, options);
        }
        text::read(file, options)
    };
    content().map_err(at)
}

/// Reads the points of a file whose bytes are at hand: .npy, idx or text.
///
/// # Errors
/// As [`read`].
pub fn from_memory(bytes: &[u8], options: &Options) -> Result<Table, Problem> {
    let held = bytes.len() as u64;
    let mut input = Cursor::new(bytes);
    if bytes.starts_with(npy::MAGIC) {
        keep(npy::read(&mut input, held)?, options)
    } else if idx::looks_like(bytes) {
        keep(idx::read(&mut input, held)?, options)
    } else if bytes.is_empty() {
        Err(Problem::Empty)
    } else {
        text::read(input, options)
    }
}

/// Unpacks gzip, of one member or several, as far as the limit.
///
/// # Errors
/// The stream is broken or cut short, or holds more than the limit.
pub fn gunzip(packed: impl Read) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(packed);
    decoder.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|e| Problem::Compressed(e.to_string()))?;
    check_limit(bytes.len() as u64)?;
    Ok(bytes)
}

/// The first bytes of a file and its length.
fn open(path: &Path) -> Result<(Vec<u8>, u64), Problem> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut start = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut start)?;
    if start.is_empty() {
        return Err(Problem::Empty);
    }
    Ok((start, metadata.len()))
}

/// Keeps the columns asked for of an array that has no names.
fn keep(table: Table, options: &Options) -> Result<Table, Problem> {
    if options.columns.is_empty() { Ok(table) } else { table.keep(&options.columns) }
}

fn find_columns(
    asked: &[String],
    width: usize,
    named: impl Fn(&str) -> Option<usize>,
    available: impl Fn() -> String,
) -> Result<Vec<usize>, Problem> {
    let find = |name: &String| {
        let number = || name.parse().ok().filter(|&k: &usize| k < width);
        named(name)
            .or_else(number)
            .ok_or_else(|| Problem::NoSuchColumn { asked: error::printable(name), available: available() })
    };
    asked.iter().map(find).collect()
}

fn check_limit(bytes: u64) -> Result<(), Problem> {
    if bytes > LIMIT { Err(Problem::TooLarge { bytes, limit: LIMIT }) } else { Ok(()) }
}

/// Room for `count` numbers, or the refusal of the operating system as an error.
fn reserve(count: usize) -> Result<Vec<f64>, Problem> {
    let mut coords = Vec::new();
    coords.try_reserve_exact(count).map_err(|_| Problem::Io(std::io::ErrorKind::OutOfMemory.into()))?;
    Ok(coords)
}
