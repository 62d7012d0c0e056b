//! The bracket of one function over a stream.

use super::double::Double;
use super::{check_sizes, check_totals, check_weights, doubles};
use crate::bracket::TestFunction;
use crate::error::{Error, Result, check_dim, check_len};
use crate::estimate::Estimate;
use crate::points::Points;

/// ⟨f|μ⟩ = Σ w f(x)/Σ w over all chunks seen, with its standard error.
///
/// ```
/// use measures::stream::StreamBracket;
/// let (mut a, mut b) = (StreamBracket::new(), StreamBracket::new());
/// a.add_values(&[1.0, 2.0], None)?;
/// b.add_values(&[6.0], None)?;
/// a.merge(&b);
/// assert_eq!(a.estimate()?.value, 3.0);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StreamBracket {
    count: u64,
    /// Σ w, Σ w², Σ w f, Σ w² f, Σ w² f².
    sums: [Double; 5],
}

impl StreamBracket {
    /// Nothing seen yet.
    pub fn new() -> Self {
        StreamBracket::default()
    }

    /// Adds a chunk of points, of weight one each or of the weights given.
    ///
    /// # Errors
    /// f lives in another dimension or takes a value that is not finite (or beyond 1e100), or a weight is negative or not finite
    /// (or beyond 1e40). Then nothing is added.
    pub fn add(
        &mut self,
        f: &(impl TestFunction + ?Sized),
        x: &Points,
        weights: Option<&[f64]>,
    ) -> Result<()> {
        check_dim("points", f.dim(), x.dim())?;
        let values = f.values(x)?;
        check_len("values of f", x.len(), values.len())?;
        self.add_values(&values, weights)
    }

    /// Adds a chunk of values f(x).
    ///
    /// # Errors
    /// As [`StreamBracket::add`].
    pub fn add_values(&mut self, values: &[f64], weights: Option<&[f64]>) -> Result<()> {
        check_sizes("f(x)", values)?;
        check_weights(values.len(), weights)?;
        for (i, f) in values.iter().enumerate() {
            let w = weights.map_or(1.0, |w| w[i]);
            let (square, moment) = (Double::product(w, w), Double::product(w, *f));
            let terms = [Double::new(w), square, moment, moment.times(Double::new(w)), moment.times(moment)];
            self.sums.iter_mut().zip(terms).for_each(|(s, t)| *s = s.plus(t));
        }
        self.count += values.len() as u64;
        Ok(())
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sums.iter_mut().zip(&other.sums).for_each(|(s, o)| *s = s.plus(*o));
    }

    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean, with the standard error of the weighted mean, (n/(n−1) Σ w²(f − mean)²)^½/Σ w: for equal weights s/√n.
    ///
    /// # Errors
    /// Nothing was seen, or nothing of positive weight.
    pub fn estimate(&self) -> Result<Estimate> {
        let [total, squares, moment, square_moment, second] = self.sums;
        if self.count == 0 {
            return Err(Error::TooFew { what: "values seen", at_least: 1, got: 0 });
        }
        if total.value() <= 0.0 {
            return Err(Error::WeightSum { what: "weights seen", sum: total.value() });
        }
        let mean = moment.over(total);
        // Σ w²f² − 2m Σ w²f + m² Σ w².
        let twice = mean.plus(mean);
        let spread = second.minus(twice.times(square_moment)).plus(mean.times(mean).times(squares));
        let n = self.count as f64;
        let standard_error = if self.count == 1 {
            f64::INFINITY
        } else {
            (n / (n - 1.0) * spread.value().max(0.0)).sqrt() / total.value()
        };
        Ok(Estimate::new(mean.value(), standard_error, usize::try_from(self.count).unwrap_or(usize::MAX)))
    }

    /// Everything it holds, as eleven numbers.
    pub fn state(&self) -> Vec<f64> {
        let words = self.sums.iter().flat_map(|s| s.words());
        std::iter::once(self.count as f64).chain(words).collect()
    }

    /// The accumulator with that state.
    ///
    /// # Errors
    /// The numbers are no state.
    pub fn from_state(state: &[f64]) -> Result<Self> {
        check_len("state", 11, state.len())?;
        let count = check_count(state[0])?;
        let sums = doubles("state", &state[1..])?;
        check_totals("state", sums[0], sums[1])?;
        Ok(StreamBracket { count, sums: sums.try_into().expect("five sums") })
    }
}

/// A count in a state: a whole number that a double holds exactly.
pub(super) fn check_count(value: f64) -> Result<u64> {
    if (0.0..=9e15).contains(&value) && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(Error::Entry { what: "state", index: 0, value, must: "the number of points seen" })
}
