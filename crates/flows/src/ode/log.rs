//! The record of a run in the making.

use super::dense::{Dense, Segment};
use super::event::Hit;
use super::trajectory::{Counts, Status, Trajectory};
use crate::state::State;

/// A slot whose particle has come to its end.
pub(crate) struct Retired {
    pub(crate) slot: usize,
    pub(crate) status: Status,
}

impl<S: State> Trajectory<S> {
    /// The record of rows that have not moved yet.
    pub(crate) fn at_start(x0: &S, t0: f64, save_at: &[f64], dense: bool) -> Self {
        let n = x0.rows();
        Trajectory {
            end: x0.clone(),
            times: vec![t0; n],
            status: vec![Status::MaxSteps; n],
            counts: vec![Counts::default(); n],
            saved: save_at.iter().map(|&t| (t, x0.clone())).collect(),
            dense: dense.then(|| Dense::new(x0.clone(), t0)),
            events: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Writes the states of the step `segment` of the rows `rows` at the times asked for that lie in it. `next` is the
    /// first time not yet written, of each row.
    pub(crate) fn save(&mut self, rows: &[usize], segment: &Segment<S>, next: &mut [usize], forward: bool) {
        let beyond = |t: f64, end: f64| if forward { t > end } else { t < end };
        let Some(first) = next.iter().copied().min() else { return };
        for k in first..self.saved.len() {
            let t = self.saved[k].0;
            let inside = |&i: &usize| next[i] == k && !beyond(t, segment.until[i]);
            let here: Vec<usize> = (0..rows.len()).filter(inside).collect();
            if here.is_empty() {
                if next.iter().all(|&n| n <= k) {
                    break;
                }
                continue;
            }
            let global: Vec<usize> = here.iter().map(|&i| rows[i]).collect();
            self.saved[k].1.scatter(&global, &segment.eval(&here, &vec![t; here.len()]));
            here.iter().for_each(|&i| next[i] += 1);
        }
    }

    /// A row that stopped keeps its last finite state at the times it did not reach.
    pub(crate) fn fill_unreached(&mut self, row: usize, from: usize) {
        for (_, state) in &mut self.saved[from..] {
            state.take(&[row], &self.end);
        }
    }

    /// Joins the record of the rows `first..first + part.rows`.
    pub(crate) fn adopt(&mut self, first: usize, part: Trajectory<S>) {
        let rows: Vec<usize> = (first..first + part.status.len()).collect();
        self.end.scatter(&rows, &part.end);
        self.times[first..first + rows.len()].copy_from_slice(&part.times);
        self.status[first..first + rows.len()].copy_from_slice(&part.status);
        self.counts[first..first + rows.len()].copy_from_slice(&part.counts);
        for ((_, all), (_, part)) in self.saved.iter_mut().zip(&part.saved) {
            all.scatter(&rows, part);
        }
        if let (Some(all), Some(part)) = (&mut self.dense, part.dense) {
            all.adopt(&rows, part);
        }
        self.events.extend(part.events.into_iter().map(|hit| Hit { row: hit.row + first, ..hit }));
        self.failures.extend(part.failures.into_iter().map(|(row, error)| (row + first, error)));
    }
}
