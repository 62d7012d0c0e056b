//! Double-double numbers: sums whose rounding, of one part in 10³¹, no order of additions can bring to light.

/// The unevaluated sum of a double and a much smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Double {
    high: f64,
    low: f64,
}

/// a + b and what rounding took from it (Knuth).
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// The same when |a| ≥ |b| (Dekker).
#[inline]
fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// a · b and what rounding took from it, without a fused multiply–add, which many targets do not have (Dekker).
#[inline]
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let halves = |x: f64| {
        let c = 134_217_729.0 * x;
        let high = c - (c - x);
        (high, x - high)
    };
    let product = a * b;
    let ((a1, a2), (b1, b2)) = (halves(a), halves(b));
    (product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2)
}

impl Double {
    pub(super) const fn new(value: f64) -> Self {
        Double { high: value, low: 0.0 }
    }

    /// The exact product of two doubles.
    pub(super) fn product(a: f64, b: f64) -> Self {
        let (high, low) = two_product(a, b);
        Double { high, low }
    }

    pub(super) fn value(self) -> f64 {
        self.high
    }

    pub(super) fn words(self) -> [f64; 2] {
        [self.high, self.low]
    }

    /// From the words of a saved number; they must be in order of size and not so large that a product overflows.
    pub(super) fn from_words(words: [f64; 2]) -> Option<Self> {
        let [high, low] = words;
        (high.abs() <= 1e295 && high + low == high).then_some(Double { high, low })
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (high, rest) = two_sum(self.high, other.high);
        let (low, lower) = two_sum(self.low, other.low);
        let (high, rest) = fast_two_sum(high, rest + low);
        let (high, low) = fast_two_sum(high, rest + lower);
        Double { high, low }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(Double { high: -other.high, low: -other.low })
    }

    pub(super) fn times(self, other: Self) -> Self {
        let (high, rest) = two_product(self.high, other.high);
        let rest = rest + (self.high * other.low + self.low * other.high);
        let (high, low) = fast_two_sum(high, rest);
        Double { high, low }
    }

    pub(super) fn over(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self.minus(other.times(Double::new(first)));
        let second = rest.high / other.high;
        let rest = rest.minus(other.times(Double::new(second)));
        let (high, low) = fast_two_sum(first, second);
        Double { high, low }.plus(Double::new(rest.high / other.high))
    }

    pub(super) fn add(&mut self, value: f64) {
        *self = self.plus(Double::new(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_digits_survive() {
        let third = Double::new(1.0).over(Double::new(3.0));
        let one = third.plus(third).plus(third);
        assert!(one.minus(Double::new(1.0)).value().abs() < 1e-31);
        let big = Double::product(1e16 + 2.0, 1e16 - 2.0).minus(Double::product(1e16, 1e16));
        assert_eq!(big.value(), -4.0);
        let mut sum = Double::default();
        for term in [1e20, 1.0, -1e20, 1e-10] {
            sum.add(term);
        }
        assert_eq!(sum.value(), 1.0 + 1e-10);
        assert_eq!(Double::from_words(third.words()), Some(third));
        assert_eq!(Double::from_words([1.0, 2.0]), None);
    }
}
