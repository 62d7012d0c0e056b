//! The handwritten digits that are shipped with the program: real images, small enough for any machine.

use super::{Options, Problem, Table, from_memory, gunzip};
use measures::Points;

/// As `data/README.md` describes it: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine
/// Learning Repository, 1998, doi 10.24432/C50P49, the test part, CC BY 4.0, as scikit-learn distributes it.
static PACKED: &[u8] = include_bytes!("../../data/digits.csv.gz");
/// BLAKE3 of the file.
const CHECKSUM: &str = "6e6d08206f25ea2b4115da8d88938afa92b1e035f762278c06b5df6fb254188a";
/// The ink of the darkest pixel in the file.
const DARKEST: f64 = 16.0;

/// The digits.
#[derive(Debug, Clone)]
pub struct Digits {
    /// 1,797 images, each a row of [`Digits::PIXELS`] pixels from 0 (paper) to 1 (ink), line by line.
    pub images: Points,
    /// What each shows, 0 to 9.
    pub labels: Vec<usize>,
    /// The names of the pixels in the file.
    pub columns: Vec<String>,
}

impl Digits {
    /// Pixels in a row, and in a column.
    pub const SIDE: usize = 8;
    /// Pixels in all.
    pub const PIXELS: usize = Self::SIDE * Self::SIDE;
    /// How many digits there are.
    pub const CLASSES: usize = 10;

    /// All of them, after a look at their checksum.
    ///
    /// # Errors
    /// [`Problem::Damaged`] where the program's own copy is not the file it was built with.
    pub fn load() -> Result<Self, Problem> {
        unpack(PACKED)
    }
}

fn unpack(packed: &[u8]) -> Result<Digits, Problem> {
    if blake3::hash(packed).to_hex().as_str() != CHECKSUM {
        return Err(Problem::Damaged);
    }
    let Table { points, mut columns } = from_memory(&gunzip(packed)?, &Options::default())?;
    let labels = points.column(Digits::PIXELS).into_iter().map(|label| label as usize).collect();
    let images = Points::from_fn(points.len(), Digits::PIXELS, |i, row| {
        row.iter_mut().zip(points.row(i)).for_each(|(pixel, ink)| *pixel = ink / DARKEST);
    });
    columns.truncate(Digits::PIXELS);
    Ok(Digits { images, labels, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_the_source() {
        let digits = Digits::load().unwrap();
        assert_eq!((digits.images.len(), digits.images.dim(), digits.columns.len()), (1797, 64, 64));
        // How often each digit comes, as the description of the data set states.
        let mut counts = [0; Digits::CLASSES];
        digits.labels.iter().for_each(|&label| counts[label] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // The first image, a zero: its first row of pixels.
        let row: Vec<f64> = digits.images.row(0)[..8].iter().map(|v| v * DARKEST).collect();
        assert_eq!(row, [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
        assert!(digits.images.as_slice().iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn a_copy_with_one_bit_changed_is_refused() {
        let mut other = PACKED.to_vec();
        other[1000] ^= 1;
        assert!(matches!(unpack(&other), Err(Problem::Damaged)));
    }
}
