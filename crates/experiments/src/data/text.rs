//! Delimited text: .csv and its relatives, as spreadsheets, pandas and `numpy.savetxt` write them.

use super::error::{Problem, listed, printable};
use super::{Header, Options, Table};
use crate::files::{WriteError, write_atomic};
use csv::ByteRecord;
use measures::Points;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes looked at to find the delimiter.
const LOOK_AHEAD: usize = 1 << 16;

/// The delimiters looked for, in order of preference; without any of them columns are parted by white space.
const DELIMITERS: [u8; 4] = *b",\t;|";

/// Reads a table of numbers. Lines that begin with # are comments.
pub(crate) fn read(input: impl Read, options: &Options) -> Result<Table, Problem> {
    let mut input = BufReader::with_capacity(LOOK_AHEAD, input);
    let start = input.fill_buf()?;
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(Problem::Encoding { line: 1 });
    }
    if start.contains(&0) {
        return Err(Problem::UnknownFormat);
    }
    let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let delimiter = match options.delimiter {
        Some(' ') => None,
        Some(c) => Some(u8::try_from(c).map_err(|_| Problem::Header {
            format: "csv",
            what: format!("the delimiter '{c}' is no single byte; use , ; | a tab or a space"),
        })?),
        None => detect(&start[mark..]),
    };
    input.consume(mark);
    let rows = match delimiter {
        None => Rows::Spaced { input, line: 0 },
        Some(delimiter) => Rows::Delimited(Box::new(
            csv::ReaderBuilder::new()
                .delimiter(delimiter)
                .has_headers(false)
                .flexible(true)
                .comment(Some(b'#'))
                .trim(csv::Trim::All)
                .from_reader(input),
        )),
    };
    collect(rows, options)
}

/// The delimiter under which most cells of the first lines are numbers.
fn detect(start: &[u8]) -> Option<u8> {
    let text = String::from_utf8_lossy(start);
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).take(5).collect();
    let numbers = |delimiter: u8| {
        let cells = lines.iter().flat_map(|line| line.split(char::from(delimiter)));
        cells.filter(|cell| cell.trim().trim_matches('"').parse::<f64>().is_ok()).count()
    };
    let used = |delimiter: &u8| lines.iter().any(|line| line.as_bytes().contains(delimiter));
    // The last of equal maxima wins, so the order is reversed.
    DELIMITERS.into_iter().rev().filter(used).max_by_key(|d| numbers(*d))
}

/// The rows of a text, with or without a delimiter.
enum Rows<R: Read> {
    Delimited(Box<csv::Reader<BufReader<R>>>),
    Spaced { input: BufReader<R>, line: u64 },
}

impl<R: Read> Rows<R> {
    /// Reads the next row that is neither blank nor a comment; returns its line.
    fn next(&mut self, row: &mut ByteRecord) -> Result<Option<u64>, Problem> {
        match self {
            Rows::Delimited(reader) => loop {
                match reader.read_byte_record(row) {
                    Ok(false) => return Ok(None),
                    Ok(true) if row.len() == 1 && row[0].is_empty() => {}
                    Ok(true) => return Ok(Some(row.position().map_or(0, csv::Position::line))),
                    Err(error) => {
                        return Err(match error.into_kind() {
                            csv::ErrorKind::Io(error) => Problem::Io(error),
                            other => Problem::Header { format: "csv", what: format!("{other:?}") },
                        });
                    }
                }
            },
            Rows::Spaced { input, line } => {
                let mut bytes = Vec::new();
                loop {
                    bytes.clear();
                    if input.read_until(b'\n', &mut bytes)? == 0 {
                        return Ok(None);
                    }
                    *line += 1;
                    row.clear();
                    let content = bytes.trim_ascii();
                    if !content.is_empty() && content[0] != b'#' {
                        let cells = content.split(u8::is_ascii_whitespace).filter(|cell| !cell.is_empty());
                        cells.for_each(|cell| row.push_field(cell));
                        return Ok(Some(*line));
                    }
                }
            }
        }
    }
}

fn collect<R: Read>(mut rows: Rows<R>, options: &Options) -> Result<Table, Problem> {
    let mut row = ByteRecord::new();
    let Some(first_line) = rows.next(&mut row)? else { return Err(Problem::Empty) };
    let width = row.len();
    let names = if is_header(&row, options.header) { Some(header(&row, first_line)?) } else { None };
    let picked = pick(names.as_deref(), width, &options.columns, first_line)?;
    let mut coords = Vec::new();
    let mut line = if names.is_some() { rows.next(&mut row)? } else { Some(first_line) };
    while let Some(at) = line {
        if row.len() != width {
            return Err(Problem::Ragged { line: at, expected: width, got: row.len() });
        }
        for &column in &picked {
            let value = number(&row[column], at).map_err(|what| {
                let hint = if names.is_none() && at == first_line && options.header == Header::Auto {
                    " (if this line is a header, say --set input.header=yes)"
                } else {
                    ""
                };
                cell(at, column, names.as_deref(), format!("{what}{hint}"))
            })?;
            coords.push(value);
        }
        super::check_limit(coords.len() as u64 * 8)?;
        line = rows.next(&mut row)?;
    }
    if coords.is_empty() {
        return Err(Problem::Empty);
    }
    let mut table = Table::new(picked.len(), coords)?;
    if let Some(names) = names {
        table.columns = picked.iter().map(|&column| names[column].clone()).collect();
    }
    Ok(table)
}

/// The first row is a header when it holds words and no number.
fn is_header(row: &ByteRecord, setting: Header) -> bool {
    let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    match setting {
        Header::Yes => true,
        Header::No => false,
        Header::Auto => {
            row.iter().all(|cell| text(cell).parse::<f64>().is_err())
                && row.iter().any(|cell| !cell.is_empty())
        }
    }
}

fn header(row: &ByteRecord, line: u64) -> Result<Vec<String>, Problem> {
    let names: Result<Vec<_>, _> = row.iter().map(|cell| String::from_utf8(cell.to_vec())).collect();
    names.map_err(|_| Problem::Encoding { line })
}

/// The columns asked for, or all of them.
fn pick(names: Option<&[String]>, width: usize, asked: &[String], line: u64) -> Result<Vec<usize>, Problem> {
    if asked.is_empty() {
        // pandas writes its row numbers under an empty name; as a coordinate they would be learned.
        if let Some(column) = names.and_then(|names| names.iter().position(String::is_empty)) {
            let what = "has no name, as the row numbers of pandas; choose columns with --set input.columns=NAME,NAME";
            return Err(cell(line, column, None, what.into()));
        }
        return Ok((0..width).collect());
    }
    super::find_columns(
        asked,
        width,
        |name| names?.iter().position(|n| n == name),
        || match names {
            Some(names) => listed(names.iter().map(String::as_str)),
            None => format!("the columns 0 to {}", width - 1),
        },
    )
}

fn number(bytes: &[u8], line: u64) -> Result<f64, String> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(format!("line {line} is not UTF-8 text")) };
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("'{}' is not finite", printable(text))),
        Err(_) if text.is_empty() => Err("is empty where a number is needed".into()),
        Err(_) if text.replacen(',', ".", 1).parse::<f64>().is_ok() => {
            Err(format!("'{}' has a decimal comma; write a decimal point", printable(text)))
        }
        Err(_) => Err(format!("'{}' is not a number", printable(text))),
    }
}

fn cell(line: u64, column: usize, names: Option<&[String]>, what: String) -> Problem {
    let column = match names {
        Some(names) => format!("'{}'", printable(&names[column])),
        None => format!("{column} (counted from 0)"),
    };
    Problem::Cell { line, column, what }
}

/// Writes points as comma-separated text under the given column names, atomically; every number is the shortest text
/// that reads back as the same bits.
///
/// # Errors
/// The file cannot be written; nothing is left half-written.
pub fn write_csv(path: &Path, columns: &[String], points: &Points) -> Result<(), WriteError> {
    write_atomic(path, |out| {
        let mut writer = csv::WriterBuilder::new().from_writer(out);
        writer.write_record(columns)?;
        for row in points.rows() {
            writer.write_record(row.iter().map(|v| format!("{v:?}")))?;
        }
        writer.flush()
    })
}
