//! Statistics of data that do not fit in memory: accumulators that take chunks, and merge.
//!
//! Each accumulator holds its sums to thirty digits, so that the same data in any chunks, in any order, merged in any tree by any
//! number of machines, give the same numbers to 1e-12 of their scale. [`StreamMoments::state`] and its companions write an accumulator as plain numbers, to be
//! sent.

mod bracket;
mod double;
mod features;
mod moments;

pub use bracket::StreamBracket;
pub use features::StreamFeatures;
pub use moments::StreamMoments;

use crate::error::{Error, Result, check_len};
use double::Double;

/// Numbers beyond this size would overflow when squared and summed.
const LARGEST: f64 = 1e100;

fn check_sizes(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|v| v.is_nan() || v.abs() > LARGEST) {
        None => Ok(()),
        Some(index) => {
            Err(Error::Entry { what, index, value: values[index], must: "finite and at most 1e100 in size" })
        }
    }
}

/// Weights must be there, not negative and, so that squares can be summed, not huge.
fn check_weights(n: usize, weights: Option<&[f64]>) -> Result<()> {
    let Some(weights) = weights else { return Ok(()) };
    check_len("weights", n, weights.len())?;
    match weights.iter().position(|w| !(0.0..=1e40).contains(w)) {
        None => Ok(()),
        Some(index) => {
            Err(Error::Entry { what: "weights", index, value: weights[index], must: "between 0 and 1e40" })
        }
    }
}

/// The doubles of a state, two words each.
fn doubles(what: &'static str, words: &[f64]) -> Result<Vec<Double>> {
    words
        .chunks_exact(2)
        .enumerate()
        .map(|(i, pair)| {
            Double::from_words([pair[0], pair[1]]).ok_or(Error::Entry {
                what,
                index: 2 * i,
                value: pair[0],
                must: "finite, and followed by the rounding it left",
            })
        })
        .collect()
}

/// Σ w and Σ w² of a state must be the sums of weights.
fn check_totals(what: &'static str, total: Double, squares: Double) -> Result<()> {
    for (index, sum) in [(0, total), (2, squares)] {
        if sum.value() < 0.0 {
            return Err(Error::Entry { what, index, value: sum.value(), must: "not negative" });
        }
    }
    Ok(())
}
