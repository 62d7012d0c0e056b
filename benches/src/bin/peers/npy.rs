//! Inputs as NumPy's `save` writes them: little-endian doubles, row by row.

use measures::Points;
use std::fs;
use std::path::Path;

/// The n×d array of a file.
pub(crate) fn read(path: &Path) -> Result<Points, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&bytes).map_err(|why| format!("{}: {why}", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Points, &'static str> {
    let rest = bytes.strip_prefix(b"\x93NUMPY\x01\x00").ok_or("not an .npy file of version 1")?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or("cut short")?;
    let (header, body) =
        rest.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or("cut short")?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text")?;
    if !header.contains("'<f8'") || !header.contains("'fortran_order': False") {
        return Err("not an array of float64 in rows");
    }
    let shape =
        header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).ok_or("no shape")?;
    let sizes: Vec<usize> = shape.0.split(',').filter_map(|size| size.trim().parse().ok()).collect();
    let [rows, columns] = sizes[..] else { return Err("not an array of two axes") };
    let values: Vec<f64> = body.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    if values.len() != rows * columns || body.len() != 8 * values.len() {
        return Err("its length does not fit its shape");
    }
    Points::new(columns, values).map_err(|_| "a number that is not finite")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: &[f64]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    const HEADER: &str = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }  \n";

    #[test]
    fn rows_are_read_in_order() {
        let points = parse(&file(HEADER, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).unwrap();
        assert_eq!((points.dim(), points.row(1)), (3, [4.0, 5.0, 6.0].as_slice()));
    }

    #[test]
    fn other_files_are_refused() {
        let six = [0.0; 6];
        assert!(parse(b"PK").is_err());
        assert!(parse(&file(HEADER, &six[1..])).is_err(), "cut short");
        assert!(parse(&file(&HEADER.replace("<f8", "<f4"), &six)).is_err());
        assert!(parse(&file(&HEADER.replace("False", "True"), &six)).is_err());
        assert!(parse(&file(&HEADER.replace("(2, 3)", "(6,)"), &six)).is_err());
    }
}
