//! The continuous solution: values between the steps, for every particle on its own mesh.

use crate::error::{Error, Result};
use crate::state::{Clock, State};

/// One step's polynomial for a batch of rows: y(t + θh) = y + h Σ_m Q_m θ^m.
#[derive(Debug, Clone)]
pub(crate) struct Segment<S> {
    pub(crate) t: Vec<f64>,
    pub(crate) h: Vec<f64>,
    /// The end of the step of each row, exact where `t + h` is not.
    pub(crate) until: Vec<f64>,
    pub(crate) y: S,
    pub(crate) end: S,
    pub(crate) q: Vec<S>,
}

impl<S: State> Segment<S> {
    /// The state of the local rows `at` at their times `times`: exactly the new state at the end of the step.
    pub(crate) fn eval(&self, at: &[usize], times: &[f64]) -> S {
        let theta: Vec<f64> = at.iter().zip(times).map(|(&i, t)| (t - self.t[i]) / self.h[i]).collect();
        let h: Vec<f64> = at.iter().map(|&i| self.h[i]).collect();
        // Horner in states: ((Q_M θ + Q_{M−1}) θ + …) θ.
        let mut sum: Option<S> = None;
        for q in self.q.iter().rev() {
            let term = q.select(at);
            let mut next = term.clone();
            match &sum {
                Some(sum) => next.combine(Some(&term), Clock::Each(&theta), &[(1.0, sum)]),
                None => next = term,
            }
            sum = Some(next);
        }
        let y = self.y.select(at);
        let mut out = y.clone();
        if let Some(sum) = sum {
            let scale: Vec<f64> = h.iter().zip(&theta).map(|(h, theta)| h * theta).collect();
            out.combine(Some(&y), Clock::Each(&scale), &[(1.0, &sum)]);
        }
        let last: Vec<usize> = (0..at.len()).filter(|&k| times[k] == self.until[at[k]]).collect();
        if !last.is_empty() {
            let rows: Vec<usize> = last.iter().map(|&k| at[k]).collect();
            out.scatter(&last, &self.end.select(&rows));
        }
        out
    }

    /// The segment of some of the rows alone.
    pub(crate) fn select(&self, at: &[usize]) -> Self {
        let pick = |v: &[f64]| at.iter().map(|&i| v[i]).collect();
        Segment {
            t: pick(&self.t),
            h: pick(&self.h),
            until: pick(&self.until),
            y: self.y.select(at),
            end: self.end.select(at),
            q: self.q.iter().map(|q| q.select(at)).collect(),
        }
    }
}

/// The continuous solution of a run: the interpolant of every accepted step of every row.
#[derive(Debug, Clone)]
pub struct Dense<S> {
    start: S,
    t0: f64,
    segments: Vec<Segment<S>>,
    /// For every row its steps in order: the segment and the place in it.
    steps: Vec<Vec<(u32, u32)>>,
}

impl<S: State> Dense<S> {
    pub(crate) fn new(start: S, t0: f64) -> Self {
        let rows = start.rows();
        Dense { start, t0, segments: Vec::new(), steps: vec![Vec::new(); rows] }
    }

    /// Adds a segment whose local row i is row `rows[i]` of the run.
    pub(crate) fn push(&mut self, rows: &[usize], segment: Segment<S>) {
        let number = self.segments.len() as u32;
        rows.iter().enumerate().for_each(|(i, &row)| self.steps[row].push((number, i as u32)));
        self.segments.push(segment);
    }

    /// Joins the solution of the rows `rows`.
    pub(crate) fn adopt(&mut self, rows: &[usize], part: Dense<S>) {
        let offset = self.segments.len() as u32;
        for (&row, steps) in rows.iter().zip(part.steps) {
            self.steps[row] = steps.into_iter().map(|(s, i)| (s + offset, i)).collect();
        }
        self.segments.extend(part.segments);
    }

    /// The times between which row i is known, in the direction of the run.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn span(&self, i: usize) -> (f64, f64) {
        (self.t0, self.steps[i].last().map_or(self.t0, |&(s, k)| self.segments[s as usize].until[k as usize]))
    }

    /// The times at which the steps of row i end, in order.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn mesh(&self, i: usize) -> Vec<f64> {
        self.steps[i].iter().map(|&(s, k)| self.segments[s as usize].until[k as usize]).collect()
    }

    /// The state of all rows at time t, or each at a time of its own.
    ///
    /// # Errors
    /// A time is outside the span of its row, or there is another number of times than rows.
    pub fn at(&self, t: Clock<'_>) -> Result<S> {
        t.check(self.steps.len())?;
        let mut out = self.start.clone();
        let mut wanted: Vec<(u32, u32, usize, f64)> = Vec::with_capacity(self.steps.len());
        for (row, steps) in self.steps.iter().enumerate() {
            let (from, to) = self.span(row);
            let time = t.at(row);
            let (low, high) = (from.min(to), from.max(to));
            if !(time >= low && time <= high) {
                return Err(Error::Time { what: "t", t: time, low, high });
            }
            let before = |&(s, k): &(u32, u32)| {
                let until = self.segments[s as usize].until[k as usize];
                if to >= from { until < time } else { until > time }
            };
            if let Some(&(s, k)) = steps.get(steps.partition_point(before)) {
                wanted.push((s, k, row, time));
            }
        }
        wanted.sort_unstable_by_key(|w| (w.0, w.1));
        for group in wanted.chunk_by(|a, b| a.0 == b.0) {
            let local: Vec<usize> = group.iter().map(|w| w.1 as usize).collect();
            let rows: Vec<usize> = group.iter().map(|w| w.2).collect();
            let times: Vec<f64> = group.iter().map(|w| w.3).collect();
            out.scatter(&rows, &self.segments[group[0].0 as usize].eval(&local, &times));
        }
        Ok(out)
    }
}
