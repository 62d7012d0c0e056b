//! A field that answers NaN where it refuses, so that one bad particle stops alone.

use crate::error::FieldError;
use crate::field::VelocityField;
use crate::state::{Clock, State};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Wraps a field for the time of a run and keeps what it said about each row.
pub(crate) struct Guard<'f, S> {
    field: &'f dyn VelocityField<S>,
    /// The rows of the run that the next evaluations are about.
    rows: RefCell<Vec<usize>>,
    refusals: RefCell<BTreeMap<usize, FieldError>>,
}

impl<'f, S: State> Guard<'f, S> {
    pub(crate) fn new(field: &'f dyn VelocityField<S>) -> Self {
        Guard { field, rows: RefCell::default(), refusals: RefCell::default() }
    }

    /// Announces which rows of the run come next, in the order of the batch.
    pub(crate) fn about(&self, rows: impl Iterator<Item = usize>) {
        let mut known = self.rows.borrow_mut();
        known.clear();
        known.extend(rows);
    }

    /// What the field last said about a row, forgotten once the row has moved on.
    pub(crate) fn take(&self, row: usize) -> Option<FieldError> {
        let mut refusals = self.refusals.borrow_mut();
        if refusals.is_empty() { None } else { refusals.remove(&row) }
    }

    fn refuse(&self, local: usize, error: FieldError) {
        self.refusals.borrow_mut().insert(self.rows.borrow()[local], error);
    }
}

impl<S: State> VelocityField<S> for Guard<'_, S> {
    fn velocity(&self, t: Clock<'_>, x: &S, out: &mut S) -> Result<(), FieldError> {
        let Err(error) = self.field.velocity(t, x, out) else { return Ok(()) };
        let n = x.rows();
        // Rows that fail become NaN: 0·x + NaN·x, whatever the state is made of.
        let mut answer = x.clone();
        answer.axpy(Clock::Shared(f64::NAN), x);
        if self.field.is_pointwise() && n > 1 {
            for i in 0..n {
                let point = x.select(&[i]);
                let mut one = point.clone();
                match self.field.velocity(Clock::Each(&[t.at(i)]), &point, &mut one) {
                    Ok(()) => answer.scatter(&[i], &one),
                    Err(error) => self.refuse(i, error),
                }
            }
        } else {
            // One refusal that concerns all rows: the first keeps the words, the others a copy of them.
            let words = error.to_string();
            (1..n).for_each(|i| self.refuse(i, words.clone().into()));
            self.refuse(0, error);
        }
        *out = answer;
        Ok(())
    }

    fn is_pointwise(&self) -> bool {
        self.field.is_pointwise()
    }
}
