//! The handwritten digits that are shipped.

use crate::data::{Options, from_memory, gunzip};
use crate::failure::{Failure, Result};
use measures::Points;

/// E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998,
/// doi 10.24432/C50P49, the test part, CC BY 4.0, as scikit-learn distributes it.
static FILE: &[u8] = include_bytes!("../../../data/digits.csv.gz");
/// BLAKE3 of the file.
const CHECKSUM: &str = "6e6d08206f25ea2b4115da8d88938afa92b1e035f762278c06b5df6fb254188a";
/// Pixels in a row, and in a column.
pub(super) const SIDE: usize = 8;
/// Pixels in all.
pub(super) const PIXELS: usize = SIDE * SIDE;
/// How many digits there are.
pub(super) const CLASSES: usize = 10;
/// The darkest pixel of the file.
const DARKEST: f64 = 16.0;

/// Images of digits, each pixel from −1 (paper) to 1 (ink).
#[derive(Debug, Clone)]
pub(super) struct Digits {
    pub(super) images: Points,
    pub(super) labels: Vec<usize>,
}

impl Digits {
    /// All 1,797 of them.
    pub(super) fn load() -> Result<Self> {
        if blake3::hash(FILE).to_hex().as_str() != CHECKSUM {
            return Err(Failure::Usage("the digits that this program was built with are damaged".into()));
        }
        let refuse =
            |problem: crate::data::Problem| Failure::Usage(format!("the digits of this program: {problem}"));
        let bytes = gunzip(FILE).map_err(refuse)?;
        let table = from_memory(&bytes, &Options::default()).map_err(refuse)?.points;
        measures::check_dim("digits", PIXELS + 1, table.dim())?;
        let labels = table.rows().map(|row| row[PIXELS] as usize).collect();
        let images = Points::from_fn(table.len(), PIXELS, |i, out| {
            out.iter_mut().zip(table.row(i)).for_each(|(v, x)| *v = 2.0 * x / DARKEST - 1.0);
        });
        Ok(Digits { images, labels })
    }

    pub(super) fn select(&self, rows: &[usize]) -> Self {
        Digits { images: self.images.select(rows), labels: rows.iter().map(|&i| self.labels[i]).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_the_source() {
        let digits = Digits::load().unwrap();
        assert_eq!((digits.images.len(), digits.images.dim()), (1797, PIXELS));
        // The counts that scikit-learn documents.
        let mut counts = [0; CLASSES];
        digits.labels.iter().for_each(|&label| counts[label] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert!(digits.images.as_slice().iter().all(|v| (-1.0..=1.0).contains(v)));
        assert_eq!(digits.images.row(0)[2..6], [5.0, 13.0, 9.0, 1.0].map(|v| 2.0 * v / 16.0 - 1.0));
    }
}
