//! The .npy format of numpy, versions 1 to 3: header, reader and writer.
//!
//! Source: "NPY format", <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::Table;
use super::element::Element;
use super::error::{Error, Problem};
use super::header::Fields;
use crate::files::{WriteError, write_atomic};
use measures::Points;
use std::io::{Read, Write};
use std::path::Path;

/// The first six bytes of every .npy file.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// More text than any header of a plain array needs; numpy itself refuses beyond 10,000.
const LONGEST_HEADER: u64 = 65_536;

/// Bytes decoded at a time.
const BLOCK: usize = 1 << 16;

/// The shape and type of an array, with the order of its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) element: Element,
    pub(crate) shape: Vec<u64>,
    pub(crate) column_major: bool,
}

impl Layout {
    /// As [`Layout::shape_of`], within the limit of what is read into memory.
    pub(crate) fn rows_and_columns(&self, held: u64) -> Result<(usize, usize), Problem> {
        let (rows, columns) = self.shape_of(held)?;
        super::check_limit((rows as u64).saturating_mul(columns as u64).saturating_mul(8))?;
        Ok((rows, columns))
    }

    /// Rows and columns: the first axis, and the product of all others. One axis is n×1.
    ///
    /// The bytes promised are compared with the bytes held before anything is allocated.
    pub(crate) fn shape_of(&self, held: u64) -> Result<(usize, usize), Problem> {
        let shape = self.describe();
        let promised =
            (self.shape.iter().copied()).chain([self.element.size() as u64]).fold(1, u64::saturating_mul);
        if self.shape.is_empty() || self.shape.contains(&0) {
            return Err(Problem::Shape(shape));
        }
        if promised != held {
            return Err(Problem::Size { promised, shape, held });
        }
        let rows = self.shape[0];
        let columns: u64 = self.shape[1..].iter().product();
        Ok((rows as usize, columns as usize))
    }

    fn describe(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(u64::to_string).collect();
        match sizes.as_slice() {
            [] => format!("() {}", self.element),
            [one] => format!("({one},) {}", self.element),
            _ => format!("({}) {}", sizes.join(", "), self.element),
        }
    }
}

/// Reads the array that fills `held` bytes of `input`, magic included.
pub(crate) fn read(input: &mut dyn Read, held: u64) -> Result<Table, Problem> {
    let (layout, header) = read_layout(input, held)?;
    read_elements(input, &layout, held - header)
}

/// Reads magic, version and header; returns the layout and the bytes consumed.
pub(crate) fn read_layout(input: &mut dyn Read, held: u64) -> Result<(Layout, u64), Problem> {
    let refuse = |what: &str| Problem::Header { format: "npy", what: what.into() };
    let need = |needed: u64| {
        if held < needed { Err(Problem::HeaderTruncated { needed, got: held }) } else { Ok(()) }
    };
    need(10)?;
    let mut prelude = [0; 8];
    input.read_exact(&mut prelude)?;
    if !prelude.starts_with(MAGIC) {
        return Err(refuse("does not begin with the bytes of .npy"));
    }
    let (start, length) = match prelude[6] {
        1 => {
            let mut length = [0; 2];
            input.read_exact(&mut length)?;
            (10, u64::from(u16::from_le_bytes(length)))
        }
        2 | 3 => {
            need(12)?;
            let mut length = [0; 4];
            input.read_exact(&mut length)?;
            (12, u64::from(u32::from_le_bytes(length)))
        }
        version => return Err(refuse(&format!("is of version {version}; 1, 2 and 3 are known"))),
    };
    need(start + length)?;
    if length > LONGEST_HEADER {
        return Err(refuse(&format!(
            "is {length} bytes long; a plain array needs less than {LONGEST_HEADER}"
        )));
    }
    let mut text = vec![0; length as usize];
    input.read_exact(&mut text)?;
    let text = String::from_utf8(text).map_err(|_| refuse("is not text"))?;
    let fields = Fields::parse(&text).map_err(|what| refuse(&what))?;
    let layout = Layout {
        element: Element::from_numpy(&fields.descr)?,
        shape: fields.shape,
        column_major: fields.fortran_order,
    };
    Ok((layout, start + length))
}

/// Reads the elements of an array whose data fills exactly `held` bytes.
pub(crate) fn read_elements(input: &mut dyn Read, layout: &Layout, held: u64) -> Result<Table, Problem> {
    let (rows, columns) = layout.rows_and_columns(held)?;
    let size = layout.element.size();
    let count = rows * columns;
    let mut coords = super::reserve(count)?;
    let mut block = vec![0; BLOCK / size * size];
    while coords.len() < count {
        let bytes = (block.len()).min((count - coords.len()) * size);
        input.read_exact(&mut block[..bytes])?;
        for element in block[..bytes].chunks_exact(size) {
            let value = layout.element.decode(element).map_err(|value| {
                let (row, column) = layout.place(coords.len(), rows, columns);
                Problem::Inexact { row, column, value }
            })?;
            coords.push(value);
        }
    }
    let coords = if layout.column_major { transposed(&coords, layout, rows, columns) } else { coords };
    Table::new(columns, coords)
}

impl Layout {
    /// Row and column of the k-th element in the file.
    fn place(&self, k: usize, rows: usize, columns: usize) -> (usize, usize) {
        if self.column_major { (k % rows, self.column(k / rows)) } else { (k / columns, k % columns) }
    }

    /// The row-major number of the column that comes `k`-th when the first of the trailing axes runs fastest.
    fn column(&self, mut k: usize) -> usize {
        let mut column = 0;
        let mut stride: usize = self.shape[1..].iter().product::<u64>() as usize;
        for &size in &self.shape[1..] {
            let size = size as usize;
            stride /= size;
            column += (k % size) * stride;
            k /= size;
        }
        column
    }
}

fn transposed(coords: &[f64], layout: &Layout, rows: usize, columns: usize) -> Vec<f64> {
    let mut out = vec![0.0; coords.len()];
    for (k, run) in coords.chunks_exact(rows).enumerate() {
        let column = layout.column(k);
        run.iter().enumerate().for_each(|(i, v)| out[i * columns + column] = *v);
    }
    out
}

/// Writes points as an n×d array of `<f8`, atomically. numpy, and [`read`](super::read), give back the same bits.
///
/// # Errors
/// The file cannot be written; nothing is left half-written.
pub fn write_npy(path: &Path, points: &Points) -> Result<(), WriteError> {
    write_atomic(path, |out| encode(out, points))
}

pub(crate) fn encode(out: &mut (impl Write + ?Sized), points: &Points) -> std::io::Result<()> {
    let mut header = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, {}), }}",
        points.len(),
        points.dim()
    );
    // The data begin at a multiple of 64 bytes; the header ends with a line feed.
    let padding = 63 - (10 + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for block in points.as_slice().chunks(BLOCK / 8) {
        let bytes: Vec<u8> = block.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads a whole file that is known to be .npy.
pub(crate) fn read_path(path: &Path, held: u64) -> Result<Table, Error> {
    let open = || -> Result<Table, Problem> {
        read(&mut std::io::BufReader::with_capacity(BLOCK, std::fs::File::open(path)?), held)
    };
    open().map_err(Error::at(path))
}
