//! The loop: a batch of slots steps on, particles that end make room for others.

use super::controller::{Controller, Decision, Memory};
use super::event::Event;
use super::guard::Guard;
use super::log::Retired;
use super::slots::{Slots, clocks};
use super::start::first_steps;
use super::stepper::{Stages, Stepper};
use super::trajectory::{Status, Trajectory};
use crate::field::VelocityField;
use crate::state::{Clock, State};

/// How the length of the steps is chosen.
pub(crate) enum Pace<'a> {
    /// On this mesh, both ends included.
    Mesh(Vec<f64>),
    /// By control of the error.
    Adaptive {
        rtol: f64,
        atol: f64,
        controller: &'a dyn Controller,
        shared: bool,
        first: Option<f64>,
        longest: f64,
    },
}

/// Everything a run is told.
pub(crate) struct Task<'a, S> {
    pub(crate) stepper: &'a dyn Stepper<S>,
    pub(crate) pace: Pace<'a>,
    pub(crate) t0: f64,
    pub(crate) t1: f64,
    pub(crate) max_steps: usize,
    pub(crate) save_at: &'a [f64],
    pub(crate) dense: bool,
    pub(crate) events: &'a [Event<'a, S>],
}

/// The run of one batch after the other, or of one batch that is refilled, whichever the pace allows.
pub(crate) struct Driver<'t, 'f, S> {
    pub(super) task: &'t Task<'t, S>,
    pub(super) guard: Guard<'f, S>,
    pub(super) log: Trajectory<S>,
    /// Whether all slots have one time and one step.
    pub(super) lockstep: bool,
}

impl<'t, 'f, S: State> Driver<'t, 'f, S> {
    pub(crate) fn new(task: &'t Task<'t, S>, field: &'f dyn VelocityField<S>, x0: &S) -> Self {
        let lockstep = match &task.pace {
            Pace::Mesh(_) => true,
            Pace::Adaptive { shared, .. } => *shared,
        };
        let log = Trajectory::at_start(x0, task.t0, task.save_at, task.dense);
        Driver { task, guard: Guard::new(field), log, lockstep }
    }

    /// Runs all rows of `x0` with at most `batch` of them under way at a time.
    pub(crate) fn run(mut self, x0: &S, batch: usize) -> Trajectory<S> {
        let n = x0.rows();
        let mut next = 0;
        while next < n {
            let rows: Vec<usize> = (next..n.min(next + batch.max(1))).collect();
            next += rows.len();
            let mut slots = self.start(x0, rows);
            while !slots.rows.is_empty() {
                let retired = self.advance(&mut slots);
                if retired.is_empty() {
                    continue;
                }
                let mut free = self.retire(&slots, retired);
                if !self.lockstep && next < n {
                    self.refill(&mut slots, &mut free, x0, &mut next);
                }
                slots.compact(&free);
            }
        }
        self.log.events.sort_by_key(|hit| hit.row);
        self.log.failures.sort_by_key(|(row, _)| *row);
        self.log
    }

    /// The smallest step that still moves time.
    fn resolution(&self, t: f64) -> f64 {
        4.0 * f64::EPSILON * t.abs().max((self.task.t1 - self.task.t0).abs())
    }

    /// New slots for these rows, with velocity, first step and event values; rows without a finite velocity end here.
    fn start(&mut self, x0: &S, rows: Vec<usize>) -> Slots<S> {
        let task = self.task;
        let y = x0.select(&rows);
        let mut work = Stages::new(&y);
        self.guard.about(rows.iter().copied());
        let t0 = Clock::Shared(task.t0);
        // The guard answers every question; what cannot be answered is NaN.
        let _ = self.guard.velocity(t0, &y, &mut work.k[0]);
        rows.iter().for_each(|&row| self.log.counts[row].evaluations += 1);
        let h = match &task.pace {
            Pace::Mesh(mesh) => vec![mesh[1] - mesh[0]; rows.len()],
            Pace::Adaptive { first: Some(first), longest, .. } => {
                vec![first.min(*longest).copysign(task.t1 - task.t0); rows.len()]
            }
            Pace::Adaptive { rtol, atol, longest, shared, .. } => {
                let order = task.stepper.error_order().unwrap_or(task.stepper.order());
                let mut h = first_steps(&self.guard, task.t0, task.t1, &y, &work.k[0], order, *rtol, *atol);
                rows.iter().for_each(|&row| self.log.counts[row].evaluations += 1);
                if *shared {
                    let least = h.iter().fold(f64::INFINITY, |m, h| m.min(h.abs()));
                    h.fill(least.copysign(task.t1 - task.t0));
                }
                h.iter().map(|h| h.abs().min(*longest).copysign(*h)).collect()
            }
        };
        let values = task.events.iter().map(|event| event.values(t0, &y)).collect();
        let already = task.save_at.iter().take_while(|t| **t == task.t0).count();
        let n = rows.len();
        let mut slots = Slots {
            rows,
            y,
            work,
            t: vec![task.t0; n],
            h,
            memory: vec![Memory::default(); n],
            tried: vec![0; n],
            save: vec![already; n],
            values,
        };
        let finite = slots.work.k[0].finite_rows();
        let dead: Vec<Retired> =
            (0..n).filter(|&i| !finite[i]).map(|slot| Retired { slot, status: Status::NonFinite }).collect();
        let free = self.retire(&slots, dead);
        slots.compact(&free);
        slots
    }

    /// One attempt of every slot; returns the slots that have come to their end.
    fn advance(&mut self, slots: &mut Slots<S>) -> Vec<Retired> {
        let task = self.task;
        let n = slots.rows.len();
        let until = self.aim(slots);
        self.guard.about(slots.rows.iter().copied());
        let (t, h) = clocks(self.lockstep, &slots.t, &slots.h);
        let _ = task.stepper.step(&self.guard, t, h, &slots.y, &mut slots.work);
        for &row in &slots.rows {
            self.log.counts[row].evaluations += task.stepper.evaluations();
        }
        let old_h = slots.h.clone();
        let mut retired = Vec::new();
        let accepted = self.judge(slots, &mut retired);
        let mut fate: Vec<Option<Status>> = vec![None; n];
        for &i in &accepted {
            let row = slots.rows[i];
            self.log.counts[row].accepted += 1;
            drop(self.guard.take(row));
            if until[i] == task.t1 {
                fate[i] = Some(Status::Finished);
            } else if matches!(task.pace, Pace::Adaptive { .. }) && slots.tried[i] >= task.max_steps {
                fate[i] = Some(Status::MaxSteps);
            }
        }
        self.observe(slots, &accepted, &until, &old_h, &mut fate);
        self.commit(slots, &accepted, &until, &fate);
        retired.extend((0..n).filter_map(|slot| fate[slot].map(|status| Retired { slot, status })));
        retired.sort_by_key(|r| r.slot);
        retired
    }

    /// Cuts the steps at the end of the interval and says where each would land.
    fn aim(&self, slots: &mut Slots<S>) -> Vec<f64> {
        let t1 = self.task.t1;
        if let Pace::Mesh(mesh) = &self.task.pace {
            let k = slots.tried[0];
            slots.h.fill(mesh[k + 1] - mesh[k]);
            slots.tried.fill(k + 1);
            return vec![mesh[k + 1]; slots.rows.len()];
        }
        slots.tried.iter_mut().for_each(|k| *k += 1);
        let land = |(t, h): (&f64, &mut f64)| {
            let left = t1 - t;
            // A last step up to 1% longer saves one that is tiny.
            if left.abs() <= 1.01 * h.abs() {
                *h = left;
                t1
            } else {
                t + *h
            }
        };
        slots.t.iter().zip(&mut slots.h).map(land).collect()
    }

    /// Accepts or rejects every slot, sets its next step, and retires those that can go no further.
    fn judge(&mut self, slots: &mut Slots<S>, retired: &mut Vec<Retired>) -> Vec<usize> {
        let n = slots.rows.len();
        let Pace::Adaptive { rtol, atol, controller, shared, longest, .. } = &self.task.pace else {
            let finite = slots.work.end.finite_rows();
            let dead = (0..n).filter(|&i| !finite[i]);
            retired.extend(dead.map(|slot| Retired { slot, status: Status::NonFinite }));
            return (0..n).filter(|&i| finite[i]).collect();
        };
        let (_, h) = clocks(self.lockstep, &slots.t, &slots.h);
        let errors =
            self.task.stepper.error_rows(h, &slots.y, &mut slots.work, *rtol, *atol).unwrap_or_default();
        let exponent = f64::from(self.task.stepper.error_order().unwrap_or(0) + 1);
        let mut accepted = Vec::with_capacity(n);
        if *shared {
            let mean = (errors.iter().map(|e| e * e).sum::<f64>() / n as f64).sqrt();
            match controller.decide(mean, exponent, &mut slots.memory[0]) {
                Decision::Accept(factor) => {
                    let h = (slots.h[0].abs() * factor).min(*longest).copysign(slots.h[0]);
                    slots.h.fill(h);
                    accepted.extend(0..n);
                }
                Decision::Reject(factor) => {
                    slots.rows.iter().for_each(|&row| self.log.counts[row].rejected += 1);
                    let h = slots.h[0] * factor;
                    if h.abs() < self.resolution(slots.t[0]) {
                        self.stuck(slots, &errors, retired);
                    } else if slots.tried[0] >= self.task.max_steps {
                        retired.extend((0..n).map(|slot| Retired { slot, status: Status::MaxSteps }));
                    } else {
                        slots.h.fill(h);
                    }
                }
            }
            let memory = slots.memory[0];
            slots.memory.fill(memory);
            return accepted;
        }
        for (i, &error) in errors.iter().enumerate() {
            match controller.decide(error, exponent, &mut slots.memory[i]) {
                Decision::Accept(factor) => {
                    slots.h[i] = (slots.h[i].abs() * factor).min(*longest).copysign(slots.h[i]);
                    accepted.push(i);
                }
                Decision::Reject(factor) => {
                    self.log.counts[slots.rows[i]].rejected += 1;
                    slots.h[i] *= factor;
                    if slots.h[i].abs() < self.resolution(slots.t[i]) {
                        let status = if error.is_nan() { Status::NonFinite } else { Status::StepUnderflow };
                        retired.push(Retired { slot: i, status });
                    } else if slots.tried[i] >= self.task.max_steps {
                        retired.push(Retired { slot: i, status: Status::MaxSteps });
                    }
                }
            }
        }
        accepted
    }

    /// Shared steps have shrunk to nothing: the rows that are not finite end, and the others go on from the step they had
    /// before; where rows interact, or none is to blame, all end.
    fn stuck(&self, slots: &mut Slots<S>, errors: &[f64], retired: &mut Vec<Retired>) {
        let bad = errors.iter().filter(|e| e.is_nan()).count();
        let alone = self.guard.is_pointwise() && bad > 0 && bad < errors.len();
        let status = if bad > 0 { Status::NonFinite } else { Status::StepUnderflow };
        let ends = (0..errors.len()).filter(|&i| !alone || errors[i].is_nan());
        retired.extend(ends.map(|slot| Retired { slot, status }));
        if alone {
            let left = (self.task.t1 - slots.t[0]).abs();
            slots.h.fill((1e-3 * left).copysign(self.task.t1 - self.task.t0));
            slots.memory.fill(Memory::default());
        }
    }

    /// Moves the accepted slots to their new points.
    fn commit(&mut self, slots: &mut Slots<S>, accepted: &[usize], until: &[f64], fate: &[Option<Status>]) {
        let work = &mut slots.work;
        if accepted.len() == slots.rows.len() {
            std::mem::swap(&mut slots.y, &mut work.end);
            let (k, point) = (&mut work.k[0], &mut work.point);
            std::mem::swap(k, point);
        } else if !accepted.is_empty() {
            slots.y.take(accepted, &work.end);
            work.k[0].take(accepted, &work.point);
        }
        for &i in accepted {
            slots.t[i] = until[i];
            if !matches!(fate[i], Some(Status::Event(_))) {
                self.log.times[slots.rows[i]] = until[i];
            }
        }
    }

    /// Records the slots that ended and returns them as free.
    fn retire(&mut self, slots: &Slots<S>, retired: Vec<Retired>) -> Vec<usize> {
        let free: Vec<usize> = retired.iter().map(|r| r.slot).collect();
        if free.is_empty() {
            return free;
        }
        let rows: Vec<usize> = free.iter().map(|&slot| slots.rows[slot]).collect();
        self.log.end.scatter(&rows, &slots.y.select(&free));
        for (Retired { slot, mut status }, row) in retired.into_iter().zip(rows) {
            if let Some(error) = self.guard.take(row)
                && status == Status::NonFinite
            {
                status = Status::Field;
                self.log.failures.push((row, error));
            }
            self.log.status[row] = status;
            if status != Status::Finished {
                self.log.fill_unreached(row, slots.save[slot]);
            }
        }
        free
    }

    /// Puts the next rows of the cloud in free slots.
    fn refill(&mut self, slots: &mut Slots<S>, free: &mut Vec<usize>, x0: &S, next: &mut usize) {
        while !free.is_empty() && *next < x0.rows() {
            let count = free.len().min(x0.rows() - *next);
            let fresh = self.start(x0, (*next..*next + count).collect());
            *next += count;
            let into: Vec<usize> = free.drain(..fresh.rows.len()).collect();
            slots.put(&into, &fresh);
        }
    }
}
