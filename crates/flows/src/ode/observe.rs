//! What is seen inside an accepted step: events, states at the times asked for, the continuous solution.

use super::dense::Segment;
use super::drive::Driver;
use super::event::Hit;
use super::slots::{Slots, clocks};
use super::trajectory::Status;
use crate::field::VelocityField;
use crate::state::State;

/// A change of sign: the event, the place among the accepted slots, the values before and after.
struct Change {
    event: usize,
    local: usize,
    before: f64,
    after: f64,
}

impl<S: State> Driver<'_, '_, S> {
    fn beyond(&self, t: f64, end: f64) -> bool {
        if self.task.t1 > self.task.t0 { t > end } else { t < end }
    }

    /// Finds the velocity at the new points, then looks inside the accepted steps.
    pub(super) fn observe(
        &mut self,
        slots: &mut Slots<S>,
        accepted: &[usize],
        until: &[f64],
        h: &[f64],
        fate: &mut [Option<Status>],
    ) {
        if accepted.is_empty() {
            return;
        }
        self.velocity_at_end(slots, accepted, until, fate);
        let changes = self.changes(slots, accepted, until);
        let due =
            |&i: &usize| self.task.save_at.get(slots.save[i]).is_some_and(|&t| !self.beyond(t, until[i]));
        if !(self.task.dense || !changes.is_empty() || accepted.iter().any(due)) {
            return;
        }
        let mut segment = self.segment(slots, accepted, until, h);
        self.hit(slots, accepted, &mut segment, &changes, fate);
        let rows: Vec<usize> = accepted.iter().map(|&i| slots.rows[i]).collect();
        let mut save: Vec<usize> = accepted.iter().map(|&i| slots.save[i]).collect();
        self.log.save(&rows, &segment, &mut save, self.task.t1 > self.task.t0);
        accepted.iter().zip(&save).for_each(|(&i, &s)| slots.save[i] = s);
        if let Some(dense) = &mut self.log.dense {
            dense.push(&rows, segment);
        }
    }

    /// Makes sure that the velocity at the new point of the accepted slots is in `work.point` where anyone will ask.
    fn velocity_at_end(
        &mut self,
        slots: &mut Slots<S>,
        accepted: &[usize],
        until: &[f64],
        fate: &mut [Option<Status>],
    ) {
        if let Some(end) = self.task.stepper.end_velocity(&slots.work) {
            slots.work.point = end.clone();
            return;
        }
        let look = self.task.dense || !self.task.save_at.is_empty() || !self.task.events.is_empty();
        let wanted: Vec<usize> = accepted.iter().copied().filter(|&i| look || fate[i].is_none()).collect();
        if wanted.is_empty() {
            return;
        }
        self.guard.about(wanted.iter().map(|&i| slots.rows[i]));
        wanted.iter().for_each(|&i| self.log.counts[slots.rows[i]].evaluations += 1);
        let times: Vec<f64> = wanted.iter().map(|&i| until[i]).collect();
        let (t, _) = clocks(self.lockstep, &times, &times);
        if wanted.len() == slots.rows.len() {
            let _ = self.guard.velocity(t, &slots.work.end, &mut slots.work.point);
        } else {
            let at = slots.work.end.select(&wanted);
            let mut out = at.clone();
            let _ = self.guard.velocity(t, &at, &mut out);
            slots.work.point.scatter(&wanted, &out);
        }
        let finite = slots.work.point.finite_rows();
        for &i in &wanted {
            // The state is good but there is no going on from it.
            if !finite[i] && fate[i].is_none() {
                fate[i] = Some(Status::NonFinite);
            }
        }
    }

    /// The events whose function changed sign, and their values brought up to date.
    fn changes(&self, slots: &mut Slots<S>, accepted: &[usize], until: &[f64]) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.task.events.is_empty() {
            return changes;
        }
        let ends: Vec<f64> = accepted.iter().map(|&i| until[i]).collect();
        let new = slots.work.end.select(accepted);
        for (event, function) in self.task.events.iter().enumerate() {
            let values = function.values(clocks(self.lockstep, &ends, &ends).0, &new);
            for (local, (&i, after)) in accepted.iter().zip(values).enumerate() {
                let before = std::mem::replace(&mut slots.values[event][i], after);
                if function.crosses(before, after) {
                    changes.push(Change { event, local, before, after });
                }
            }
        }
        changes
    }

    /// Finds the events in time, records them, and cuts the steps of the slots that a terminal one stops.
    fn hit(
        &mut self,
        slots: &mut Slots<S>,
        accepted: &[usize],
        segment: &mut Segment<S>,
        changes: &[Change],
        fate: &mut [Option<Status>],
    ) {
        let sign = (self.task.t1 - self.task.t0).signum();
        let mut hits: Vec<(usize, Hit<S>)> = Vec::with_capacity(changes.len());
        for &Change { event, local, before, after } in changes {
            let (t, state) = self.task.events[event].locate(segment, local, before, after);
            hits.push((local, Hit { event, row: slots.rows[accepted[local]], t, state }));
        }
        hits.sort_by(|(a, p), (b, q)| a.cmp(b).then((sign * p.t).total_cmp(&(sign * q.t))));
        let mut stopped = None;
        for (local, hit) in hits {
            if stopped == Some(local) {
                continue;
            }
            if self.task.events[hit.event].is_terminal() {
                stopped = Some(local);
                let slot = accepted[local];
                fate[slot] = Some(Status::Event(hit.event));
                slots.work.end.scatter(&[slot], &hit.state);
                segment.end.scatter(&[local], &hit.state);
                segment.until[local] = hit.t;
                self.log.times[hit.row] = hit.t;
            }
            self.log.events.push(hit);
        }
    }

    fn segment(&mut self, slots: &mut Slots<S>, accepted: &[usize], until: &[f64], h: &[f64]) -> Segment<S> {
        let stepper = self.task.stepper;
        self.guard.about(slots.rows.iter().copied());
        let end_velocity = slots.work.point.clone();
        let (t, step) = clocks(self.lockstep, &slots.t, h);
        // The guard answers every question, with NaN where the field refuses.
        let q = stepper.interpolant(&self.guard, t, step, &slots.y, &end_velocity, &mut slots.work);
        slots.work.point = end_velocity;
        for &i in accepted {
            self.log.counts[slots.rows[i]].evaluations += stepper.interpolant_evaluations();
        }
        let whole = Segment {
            t: slots.t.clone(),
            h: h.to_vec(),
            until: until.to_vec(),
            y: slots.y.clone(),
            end: slots.work.end.clone(),
            q: q.unwrap_or_default(),
        };
        if accepted.len() == slots.rows.len() { whole } else { whole.select(accepted) }
    }
}
