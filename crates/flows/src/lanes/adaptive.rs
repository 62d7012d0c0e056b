//! Adaptive steps on lanes: every lane has a particle with its own time, step and controller, and takes the next of the
//! block when that one ends.

use super::solve::{Ended, Fate, RealOp};
use super::start::{Starts, starts};
use super::{LaneField, LaneMethod, MOST, epsilon, if_at_most, poison};
use crate::ode::{Counts, ErrorRule, FLOOR, Pid, Status, Tableau};
use measures::lanes::{Real, Scalar};
use std::marker::PhantomData;

/// How steps are chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) rtol: f64,
    pub(super) atol: f64,
    pub(super) pid: Pid,
    pub(super) t0: f64,
    pub(super) t1: f64,
    pub(super) max_steps: usize,
    pub(super) first: Option<f64>,
    pub(super) longest: f64,
}

/// Registers that step in turn.
const TURNS: usize = 2;

/// All particles of `x`, from t0 to t1.
pub(super) struct Adaptive<'a, F, M, const D: usize> {
    pub(super) field: &'a F,
    pub(super) rules: &'a Rules,
    pub(super) x: &'a [f64],
    pub(super) method: PhantomData<M>,
}

/// The particles under way in one register.
#[derive(Clone, Copy)]
struct Register<R, const D: usize> {
    y: [R; D],
    /// The velocity at y, kept by methods whose last stage is that of the next step.
    k: [R; D],
    t: R,
    /// The length of the next step.
    h: R,
    /// The logarithms of the errors of the last two accepted steps.
    log: [R; 2],
    /// The largest factor to the next step: one after a rejection.
    cap: R,
    rejected: R,
    /// One for a lane with a particle, zero for one that has none left.
    live: R,
    /// The mean square of the last scaled error; NaN when the step was not finite.
    square: R,
    /// The particle in each lane, and the round before its first attempt: never, where there is none.
    particle: [usize; MOST],
    since: [usize; MOST],
    /// The first round in which one of them has used up its steps.
    alarm: usize,
}

/// The order q of the error estimate.
pub(super) const fn error_order(tableau: &Tableau) -> u32 {
    match tableau.error {
        ErrorRule::Embedded { order, .. } => order,
        ErrorRule::Blend { .. } => 7,
        _ => 0,
    }
}

impl<F: LaneField<D>, M: LaneMethod, const D: usize> RealOp for Adaptive<'_, F, M, D> {
    #[inline(always)]
    fn run<R: Real>(self, lanes: R::Set) -> Ended {
        let Adaptive { field, rules, x, .. } = self;
        let n = x.len() / D;
        let starts = starts::<R, D>(lanes, field, x, error_order(&M::TABLEAU), rules);
        let fate = Fate { t: rules.t0, status: Status::NonFinite, counts: Counts::default() };
        let mut queue = Queue::<M, R::Scalar, D> {
            rules,
            x,
            starts,
            next: 0,
            ended: Ended { x: x.to_vec(), fates: vec![fate; n] },
            method: PhantomData,
        };
        let zero = R::splat(lanes, R::Scalar::default());
        let idle = Register {
            y: [zero; D],
            k: [zero; D],
            t: zero,
            h: zero,
            log: [zero; 2],
            cap: zero,
            rejected: zero,
            live: zero,
            square: zero,
            particle: [0; MOST],
            since: [usize::MAX; MOST],
            alarm: usize::MAX,
        };
        let mut registers = [idle; TURNS];
        let mut live = 0;
        for register in &mut registers {
            live += queue.fill(register, lanes, 0, [true; MOST]);
        }
        let mut round = 0;
        while live > 0 {
            round += 1;
            for register in &mut registers {
                let room = attempt::<R, M, D>(register, field, rules);
                if room.any_less(room.num(TINY)) || round >= register.alarm {
                    live -= queue.settle(register, lanes, round, &room);
                }
            }
        }
        queue.ended
    }
}

/// Room to go on below this is none.
const TINY: f64 = 1e-30;

/// One attempt of every lane. The answer is how much room to go on each lane has: zero or less when its particle has come to
/// t1, or its step has shrunk to nothing.
#[inline(always)]
fn attempt<R: Real, M: LaneMethod, const D: usize>(
    register: &mut Register<R, D>,
    field: &impl LaneField<D>,
    rules: &Rules,
) -> R {
    let &mut Register { y, k, t, h, log, cap, rejected, live, .. } = register;
    let one = t.num(1.0);
    let (t1, sign) = (t.num(rules.t1), t.num((rules.t1 - rules.t0).signum()));
    // A last step up to 1% longer saves one that is tiny.
    let left = (t1 - t).abs();
    let reach = h * t.num(1.01);
    let h = reach.if_less(left, h, left * live);
    let until = reach.if_less(left, h.mul_add(sign, t), t1);
    let k = if M::TABLEAU.fsal { k } else { field.velocity(t, &y) };
    let outcome = M::step(field, t, h * sign, &y, k);

    let square = mean_square::<R, M, D>(&y, &outcome.end, &outcome.errors, rules);
    // Every comparison with a NaN is false: an infinite error stands for it.
    let infinity = t.num(f64::INFINITY);
    let e = square.if_less(infinity, square, infinity);
    let log_e = e.max(t.num(FLOOR * FLOOR)).ln() * t.num(0.5);
    let (p, i, d) = rules.pid.gains();
    let (smallest, largest) = rules.pid.limits();
    let mut aim = -(log_e * t.num(p + i + d));
    if p + 2.0 * d != 0.0 {
        aim = log[0].mul_add(t.num(p + 2.0 * d), aim);
    }
    if d != 0.0 {
        aim = log[1].neg_mul_add(t.num(d), aim);
    }
    let aim = if_at_most(e, one, aim, -log_e) * t.num(1.0 / f64::from(error_order(&M::TABLEAU) + 1));
    let factor = aim.exp_nonpositive() * t.num(rules.pid.safety());
    let factor = factor.max(t.num(smallest)).min(if_at_most(e, one, cap, one));
    let next = h * factor;

    for c in 0..D {
        register.y[c] = if_at_most(e, one, outcome.end[c], y[c]);
        if M::TABLEAU.fsal {
            register.k[c] = if_at_most(e, one, outcome.last[c], k[c]);
        }
    }
    register.t = if_at_most(e, one, until, t);
    register.h = if_at_most(e, one, next.min(t.num(rules.longest)), next);
    register.log = [if_at_most(e, one, log_e, log[0]), if_at_most(e, one, log[0], log[1])];
    register.cap = if_at_most(e, one, t.num(largest), one);
    register.rejected = rejected + if_at_most(e, one, t.num(0.0), one);
    register.square = square;
    // The smallest step that still moves time.
    let span = t.num((rules.t1 - rules.t0).abs());
    let resolution = t.abs().max(span) * t.num(4.0 * epsilon::<R::Scalar>());
    let room = if_at_most(e, one, (t1 - register.t).abs(), next - resolution);
    t.num(0.0).if_less(live, room, one)
}

/// d⁻¹ Σ_c (e_c / (atol + rtol·max(|y0_c|, |y1_c|)))², NaN when the step is not finite.
#[inline(always)]
fn mean_square<R: Real, M: LaneMethod, const D: usize>(
    y0: &[R; D],
    y1: &[R; D],
    errors: &[[R; D]; 2],
    rules: &Rules,
) -> R {
    let mut scale = *y0;
    for c in 0..D {
        let size = y0[c].abs().max(y1[c].abs());
        scale[c] = size.num(1.0) / size.mul_add(size.num(rules.rtol), size.num(rules.atol));
    }
    let bad = poison(&errors[0]) + poison(y1);
    let mut first = bad;
    for c in 0..D {
        let e = errors[0][c] * scale[c];
        first = e.mul_add(e, first);
    }
    let first = first * first.num(1.0 / D as f64);
    if !matches!(M::TABLEAU.error, ErrorRule::Blend { .. }) {
        return first;
    }
    // ‖e₅‖² / √(‖e₅‖² + ‖e₃‖²/100), squared; of two zeros zero.
    let mut second = bad + poison(&errors[1]);
    for c in 0..D {
        let e = errors[1][c] * scale[c];
        second = e.mul_add(e, second);
    }
    let second = second * second.num(1.0 / D as f64);
    let both = second.mul_add(second.num(0.01), first);
    let blend = first * (first / both);
    both.num(0.0).if_less(both, blend, both)
}

/// The particles of a block: those to come and those that have ended.
struct Queue<'a, M, S, const D: usize> {
    rules: &'a Rules,
    x: &'a [f64],
    starts: Starts<S, D>,
    next: usize,
    ended: Ended,
    method: PhantomData<M>,
}

impl<M: LaneMethod, S: Scalar, const D: usize> Queue<'_, M, S, D> {
    /// The cost of so many attempts, of which so many were rejected.
    fn counts(&self, attempts: usize, rejected: usize) -> Counts {
        let start = if self.rules.first.is_some() { 1 } else { 2 };
        let each = M::TABLEAU.b.len() - usize::from(M::TABLEAU.fsal);
        Counts { evaluations: start + attempts * each, accepted: attempts - rejected, rejected }
    }

    /// The next particle that can move at all; those that cannot end where they stand.
    fn pop(&mut self) -> Option<usize> {
        while self.next < self.starts.step.len() {
            let particle = self.next;
            self.next += 1;
            if self.starts.velocity[particle].iter().all(|v| v.double().is_finite()) {
                return Some(particle);
            }
            self.ended.fates[particle].counts = self.counts(0, 0);
        }
        None
    }

    /// Puts the next particles in the lanes that are free; returns how many found one.
    #[inline(always)]
    fn fill<R: Real<Scalar = S>>(
        &mut self,
        register: &mut Register<R, D>,
        lanes: R::Set,
        round: usize,
        free: [bool; MOST],
    ) -> usize {
        let mut filled = 0;
        let (mut t, mut h, mut rejected) =
            (register.t.array(), register.h.array(), register.rejected.array());
        let (mut cap, mut live) = (register.cap.array(), register.live.array());
        let (mut older, mut old) = (register.log[1].array(), register.log[0].array());
        let (mut y, mut k) = ([R::Array::default(); D], [R::Array::default(); D]);
        for c in 0..D {
            (y[c], k[c]) = (register.y[c].array(), register.k[c].array());
        }
        for l in 0..R::LANES {
            if !free[l] {
                continue;
            }
            let zero = S::default();
            let (mut step, mut is_live) = (zero, zero);
            register.since[l] = usize::MAX;
            if let Some(particle) = self.pop() {
                filled += 1;
                (step, is_live) = (self.starts.step[particle], S::of(1.0));
                register.particle[l] = particle;
                register.since[l] = round;
                for c in 0..D {
                    y[c].as_mut()[l] = S::of(self.x[particle * D + c]);
                    k[c].as_mut()[l] = self.starts.velocity[particle][c];
                }
            }
            t.as_mut()[l] = S::of(self.rules.t0);
            h.as_mut()[l] = step;
            rejected.as_mut()[l] = zero;
            cap.as_mut()[l] = S::of(self.rules.pid.limits().1);
            live.as_mut()[l] = is_live;
            old.as_mut()[l] = zero;
            older.as_mut()[l] = zero;
        }
        register.t = R::of_array(lanes, &t);
        register.h = R::of_array(lanes, &h);
        register.rejected = R::of_array(lanes, &rejected);
        register.cap = R::of_array(lanes, &cap);
        register.live = R::of_array(lanes, &live);
        register.log = [R::of_array(lanes, &old), R::of_array(lanes, &older)];
        for c in 0..D {
            register.y[c] = R::of_array(lanes, &y[c]);
            register.k[c] = R::of_array(lanes, &k[c]);
        }
        let oldest = register.since.iter().fold(usize::MAX, |a, b| a.min(*b));
        register.alarm = oldest.saturating_add(self.rules.max_steps);
        filled
    }

    /// Records the particles that have come to an end and hands their lanes on; returns how many lanes have none any more.
    #[inline(always)]
    fn settle<R: Real<Scalar = S>>(
        &mut self,
        register: &mut Register<R, D>,
        lanes: R::Set,
        round: usize,
        room: &R,
    ) -> usize {
        let (room, live) = (room.array(), register.live.array());
        let (t, square, rejected) = (register.t.array(), register.square.array(), register.rejected.array());
        let mut free = [false; MOST];
        let mut ends = 0;
        for l in 0..R::LANES {
            let at = |a: &R::Array| a.as_ref()[l].double();
            if at(&live) == 0.0 {
                continue;
            }
            let accepted = at(&square) <= 1.0;
            let attempts = round - register.since[l];
            let status = if at(&room) < TINY {
                match (accepted, at(&square).is_nan()) {
                    (true, _) => Status::Finished,
                    (false, true) => Status::NonFinite,
                    (false, false) => Status::StepUnderflow,
                }
            } else if attempts >= self.rules.max_steps {
                Status::MaxSteps
            } else {
                continue;
            };
            free[l] = true;
            ends += 1;
            let particle = register.particle[l];
            for c in 0..D {
                self.ended.x[particle * D + c] = at(&register.y[c].array());
            }
            let counts = self.counts(attempts, at(&rejected) as usize);
            // The end is the one asked for, whatever its rounding.
            let t = if status == Status::Finished { self.rules.t1 } else { at(&t) };
            self.ended.fates[particle] = Fate { t, status, counts };
        }
        ends - self.fill(register, lanes, round, free)
    }
}
