//! The judge: runs a call, and says whether its outcome is one of the two that are allowed.

use measures::{Estimate, Points, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Numbers that break formulas: not numbers, infinite, huge, tiny, of the wrong sign, zero, not whole.
pub(crate) const NUMBERS: [f64; 12] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 0.5, 2.5, 1e308, -1e308, 1e-308, 1e-320, 1e160];

/// Counts what was judged, and collects what failed.
#[derive(Default)]
pub(crate) struct Judge {
    cases: usize,
    errors: usize,
    failures: Vec<String>,
}

impl Judge {
    /// Runs one call.
    pub(crate) fn case<T: Answer>(&mut self, what: impl std::fmt::Display, call: impl FnOnce() -> Result<T>) {
        self.cases += 1;
        match catch_unwind(AssertUnwindSafe(call)) {
            Err(_) => self.failures.push(format!("{what}: panicked")),
            Ok(Err(error)) => {
                self.errors += 1;
                let text = error.to_string();
                if text.trim().is_empty() || text.contains('\n') {
                    self.failures.push(format!("{what}: the error is not one line: {text:?}"));
                }
            }
            Ok(Ok(answer)) => {
                if answer.has_nan() {
                    self.failures.push(format!("{what}: NaN"));
                }
            }
        }
    }

    /// A call that must be refused.
    pub(crate) fn refused<T>(&mut self, what: impl std::fmt::Display, call: impl FnOnce() -> Result<T>) {
        let mut accepted = false;
        self.case(&what, || call().map(|_| accepted = true));
        if accepted {
            self.failures.push(format!("{what}: accepted"));
        }
    }

    /// At least `cases` were judged, and none failed.
    pub(crate) fn verdict(self, cases: usize) {
        assert!(self.cases >= cases, "only {} cases", self.cases);
        assert!(
            self.errors > 0 && self.errors < self.cases,
            "{} errors of {} cases",
            self.errors,
            self.cases
        );
        let first: Vec<&String> = self.failures.iter().take(60).collect();
        assert!(self.failures.is_empty(), "{} of {} failed:\n{first:#?}", self.failures.len(), self.cases);
    }
}

/// What a call may return.
pub(crate) trait Answer {
    fn has_nan(&self) -> bool;
}

impl Answer for () {
    fn has_nan(&self) -> bool {
        false
    }
}
impl Answer for f64 {
    fn has_nan(&self) -> bool {
        self.is_nan()
    }
}
impl Answer for Vec<f64> {
    fn has_nan(&self) -> bool {
        self.iter().any(|v| v.is_nan())
    }
}
impl Answer for Points {
    fn has_nan(&self) -> bool {
        self.as_slice().iter().any(|v| v.is_nan())
    }
}
impl Answer for Estimate {
    fn has_nan(&self) -> bool {
        self.value.is_nan() || self.standard_error.is_nan()
    }
}
impl<A: Answer, B: Answer> Answer for (A, B) {
    fn has_nan(&self) -> bool {
        self.0.has_nan() || self.1.has_nan()
    }
}
impl<A: Answer> Answer for Option<A> {
    fn has_nan(&self) -> bool {
        self.as_ref().is_some_and(Answer::has_nan)
    }
}

/// Clouds to trouble a law of dimension d with: none, one, twins, zeros, huge, tiny, not finite, and of another dimension.
pub(crate) fn clouds(d: usize) -> Vec<(String, Points)> {
    let mut out = vec![
        ("empty".to_owned(), Points::zeros(0, d)),
        ("origin".to_owned(), Points::zeros(1, d)),
        ("twins".to_owned(), Points::from_raw(d, vec![0.25; 2 * d])),
        (
            "alternating".to_owned(),
            Points::from_fn(3, d, |i, row| {
                row.iter_mut()
                    .enumerate()
                    .for_each(|(k, x)| *x = if (i + k) % 2 == 0 { 1e308 } else { -1e308 });
            }),
        ),
        ("wider".to_owned(), Points::zeros(2, d + 1)),
    ];
    for value in [1e308, -1e308, 1e200, -1e200, 1e100, -800.0, 700.0, 1e-320, -1e-320, 1e-200, f64::MAX] {
        out.push((format!("all {value:e}"), Points::from_raw(d, vec![value; 2 * d])));
        // One coordinate alone.
        out.push((format!("one {value:e}"), Points::from_fn(2, d, |_, row| row[d - 1] = value)));
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        out.push((
            format!("a {value}"),
            Points::from_fn(9, d, |i, row| {
                if i == 8 {
                    row[d - 1] = value;
                }
            }),
        ));
    }
    if d > 1 {
        out.push(("narrower".to_owned(), Points::zeros(2, d - 1)));
    }
    out
}
