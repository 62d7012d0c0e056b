//! The idx format of the MNIST files: two zero bytes, a type, the number of axes, their sizes, all big-endian.
//!
//! Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".

use super::Table;
use super::element::Element;
use super::error::Problem;
use super::npy::{Layout, read_elements};
use std::io::Read;

/// Whether the first bytes may be those of an idx file.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    matches!(start, [0, 0, code, axes, ..] if Element::from_idx(*code).is_some() && *axes > 0)
}

/// Reads the array that fills `held` bytes of `input`: the first axis counts rows, all others are columns.
pub(crate) fn read(input: &mut dyn Read, held: u64) -> Result<Table, Problem> {
    let need = |needed: u64| {
        if held < needed { Err(Problem::HeaderTruncated { needed, got: held }) } else { Ok(()) }
    };
    need(4)?;
    let mut start = [0; 4];
    input.read_exact(&mut start)?;
    let header = 4 + 4 * u64::from(start[3]);
    need(header)?;
    let mut shape = Vec::new();
    for _ in 0..start[3] {
        let mut size = [0; 4];
        input.read_exact(&mut size)?;
        shape.push(u64::from(u32::from_be_bytes(size)));
    }
    let element = Element::from_idx(start[2]).ok_or(Problem::UnknownFormat)?;
    read_elements(input, &Layout { element, shape, column_major: false }, held - header)
}
