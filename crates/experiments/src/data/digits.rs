//! The handwritten digits that are shipped with the program: real images, small enough for any machine.

use super::{Options, Problem, Table, from_memory, gunzip};
use measures::Points;

/// As `data/README.md` describes it: E. Alpaydin and C. Kaynak, doi 10.24432/C50P49, CC BY 4.0.
const PACKED: &[u8] = include_bytes!("../../data/digits.csv.gz");
/// The pixels of an image.
const PIXELS: usize = 64;
/// The blackest pixel.
const MOST: f64 = 16.0;

/// 1,797 images of 8×8 pixels, 1797×64, row by row and in [0, 1], with the digit 0 to 9 of each.
///
/// # Errors
/// None, unless the program's own copy is damaged.
pub fn digits() -> Result<(Table, Vec<u8>), Problem> {
    let Table { points, columns } = from_memory(&gunzip(PACKED)?, &Options::default())?;
    let labels = points.column(PIXELS).into_iter().map(|v| v as u8).collect();
    let pixels = Points::from_fn(points.len(), PIXELS, |i, row| {
        row.iter_mut().zip(points.row(i)).for_each(|(pixel, v)| *pixel = v / MOST);
    });
    Ok((Table { points: pixels, columns: columns[..PIXELS].to_vec() }, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_the_source() {
        let (table, labels) = digits().unwrap();
        assert_eq!((table.points.len(), table.points.dim()), (1797, 64));
        // How often each digit comes, as the description of the data set states.
        let mut counts = [0; 10];
        labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // The first image, a zero: its first row of pixels.
        let row: Vec<f64> = table.points.row(0)[..8].iter().map(|v| v * 16.0).collect();
        assert_eq!(row, [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
        assert!(table.points.as_slice().iter().all(|v| (0.0..=1.0).contains(v)));
    }
}
