//! The particles under way.

use super::controller::Memory;
use super::stepper::Stages;
use crate::state::{Clock, State};

/// The particles under way, one a slot.
pub(super) struct Slots<S> {
    pub(super) rows: Vec<usize>,
    pub(super) y: S,
    pub(super) work: Stages<S>,
    pub(super) t: Vec<f64>,
    pub(super) h: Vec<f64>,
    pub(super) memory: Vec<Memory>,
    /// The steps done (mesh) or tried (adaptive).
    pub(super) tried: Vec<usize>,
    /// The first time asked for that is still to be written.
    pub(super) save: Vec<usize>,
    /// The values of every event, by event.
    pub(super) values: Vec<Vec<f64>>,
}

impl<S: State> Slots<S> {
    /// Puts fresh slots in the places `into`.
    pub(super) fn put(&mut self, into: &[usize], fresh: &Slots<S>) {
        self.y.scatter(into, &fresh.y);
        self.work.k[0].scatter(into, &fresh.work.k[0]);
        for (k, &i) in into.iter().enumerate() {
            self.rows[i] = fresh.rows[k];
            self.t[i] = fresh.t[k];
            self.h[i] = fresh.h[k];
            self.memory[i] = fresh.memory[k];
            self.tried[i] = fresh.tried[k];
            self.save[i] = fresh.save[k];
            self.values.iter_mut().zip(&fresh.values).for_each(|(all, new)| all[i] = new[k]);
        }
    }

    /// Drops the free slots.
    pub(super) fn compact(&mut self, free: &[usize]) {
        if free.is_empty() {
            return;
        }
        let mut keep = vec![true; self.rows.len()];
        free.iter().for_each(|&i| keep[i] = false);
        let kept: Vec<usize> = (0..keep.len()).filter(|&i| keep[i]).collect();
        self.y = self.y.select(&kept);
        let first = self.work.k[0].select(&kept);
        self.work = Stages::new(&self.y);
        self.work.k[0] = first;
        let keep_of = |v: &mut Vec<f64>| *v = kept.iter().map(|&i| v[i]).collect();
        keep_of(&mut self.t);
        keep_of(&mut self.h);
        self.values.iter_mut().for_each(keep_of);
        self.rows = kept.iter().map(|&i| self.rows[i]).collect();
        self.memory = kept.iter().map(|&i| self.memory[i]).collect();
        self.tried = kept.iter().map(|&i| self.tried[i]).collect();
        self.save = kept.iter().map(|&i| self.save[i]).collect();
    }
}

/// The clocks of times and steps: one of each in lockstep.
pub(super) fn clocks<'a>(lockstep: bool, t: &'a [f64], h: &'a [f64]) -> (Clock<'a>, Clock<'a>) {
    if lockstep { (Clock::Shared(t[0]), Clock::Shared(h[0])) } else { (Clock::Each(t), Clock::Each(h)) }
}
