//! The loss over time, averaged in windows.

use crate::error::Result;
use crate::persist::{Persist, Visitor};

/// Mean losses of windows of equal length; the window at hand is part of a checkpoint, so that a resumed history is the
/// unbroken one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct History {
    every: u64,
    means: Vec<f64>,
    sum: Vec<f64>,
    count: u64,
}

impl History {
    pub(crate) fn new(every: u64) -> Self {
        History { every: every.max(1), means: Vec::new(), sum: vec![0.0], count: 0 }
    }

    pub(crate) fn push(&mut self, loss: f64) {
        self.sum[0] += loss;
        self.count += 1;
        if self.count == self.every {
            self.means.push(self.sum[0] / self.every as f64);
            self.sum[0] = 0.0;
            self.count = 0;
        }
    }

    /// The mean of the last whole window, or of the first, unfinished one.
    pub(crate) fn last(&self) -> Option<f64> {
        self.means.last().copied().or_else(|| (self.count > 0).then(|| self.sum[0] / self.count as f64))
    }

    /// (steps done, mean loss) of every whole window.
    pub(crate) fn windows(&self) -> Vec<(u64, f64)> {
        self.means.iter().enumerate().map(|(i, &mean)| ((i as u64 + 1) * self.every, mean)).collect()
    }
}

impl Persist for History {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.numbers("means", &mut self.means)?;
        v.numbers("sum", &mut self.sum)?;
        v.counter("count", &mut self.count)?;
        // A file may hold any list; there is one sum.
        self.sum.resize(1, 0.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_averaged() {
        let mut history = History::new(2);
        assert_eq!(history.last(), None);
        history.push(1.0);
        assert_eq!(history.last(), Some(1.0));
        [3.0, 5.0, 6.0, 9.0].into_iter().for_each(|v| history.push(v));
        assert_eq!(history.windows(), [(2, 2.0), (4, 5.5)]);
        assert_eq!(history.last(), Some(5.5));
    }
}
