//! Fixed steps on lanes.

use super::solve::{Ended, Fate, RealOp, evaluations};
use super::{LaneField, LaneMethod, MOST, gather, poison};
use crate::ode::{Counts, Status};
use measures::lanes::{Real, Scalar};
use std::marker::PhantomData;

/// Registers that step in turn, so that the processor works on one while the other waits for its own last step.
const TURNS: usize = 2;

/// All particles of `x` along the times of `mesh`.
pub(super) struct Fixed<'a, F, M, const D: usize> {
    pub(super) field: &'a F,
    pub(super) mesh: &'a [f64],
    pub(super) x: &'a [f64],
    pub(super) method: PhantomData<M>,
}

impl<F: LaneField<D>, M: LaneMethod, const D: usize> RealOp for Fixed<'_, F, M, D> {
    #[inline(always)]
    fn run<R: Real>(self, lanes: R::Set) -> Ended {
        let Fixed { field, mesh, x, .. } = self;
        let (n, t1, steps) = (x.len() / D, mesh[mesh.len() - 1], mesh.len() - 1);
        let (status, accepted) = (Status::Finished, steps);
        let counts = Counts { evaluations: evaluations(&M::TABLEAU, steps), accepted, rejected: 0 };
        let mut ended = Ended { x: vec![0.0; n * D], fates: vec![Fate { t: t1, status, counts }; n] };
        let zero = R::splat(lanes, R::Scalar::default());
        let (mut first, mut careful) = (0, false);
        while first < n {
            let places: [(usize, usize); TURNS] = std::array::from_fn(|g| {
                // Where there is nothing left the first of the group is done again.
                let from = if first + g * R::LANES < n { first + g * R::LANES } else { first };
                (from, R::LANES.min(n - from))
            });
            let mut y = [[zero; D]; TURNS];
            for g in 0..TURNS {
                y[g] = gather(lanes, x, places[g].0, places[g].1);
            }
            let mut k = y;
            let mut alive = [[true; MOST]; TURNS];
            for (done, step) in mesh.windows(2).enumerate() {
                let t = R::splat(lanes, R::Scalar::of(step[0]));
                let h = R::splat(lanes, R::Scalar::of(step[1] - step[0]));
                for g in 0..TURNS {
                    if !M::TABLEAU.fsal || done == 0 {
                        k[g] = field.velocity(t, &y[g]);
                    }
                    let outcome = M::step(field, t, h, &y[g], k[g]);
                    if careful {
                        let fate = Fate {
                            t: step[0],
                            status: Status::NonFinite,
                            counts: Counts {
                                evaluations: evaluations(&M::TABLEAU, done + 1),
                                accepted: done,
                                rejected: 0,
                            },
                        };
                        stop(&y[g], &outcome.end, places[g], &mut alive[g], fate, &mut ended);
                    }
                    y[g] = outcome.end;
                    k[g] = outcome.last;
                }
            }
            let mut bad = false;
            for g in 0..TURNS {
                scatter(&y[g], places[g], &alive[g], &mut ended.x);
                bad |= poison(&y[g]).array().as_ref()[..places[g].1].iter().any(|b| b.double().is_nan());
            }
            // Once a state is not finite it never is again: only then are the steps looked at, one by one.
            if bad && !careful {
                careful = true;
            } else {
                careful = false;
                first += TURNS * R::LANES;
            }
        }
        ended
    }
}

/// Records the lanes whose new state is not finite, at the state before.
#[inline(always)]
fn stop<R: Real, const D: usize>(
    before: &[R; D],
    after: &[R; D],
    (from, count): (usize, usize),
    alive: &mut [bool; MOST],
    fate: Fate,
    ended: &mut Ended,
) {
    let bad = poison(after).array();
    for l in 0..count {
        if alive[l] && bad.as_ref()[l].double().is_nan() {
            alive[l] = false;
            for c in 0..D {
                ended.x[(from + l) * D + c] = before[c].array().as_ref()[l].double();
            }
            ended.fates[from + l] = fate;
        }
    }
}

/// Writes the lanes that are still alive.
#[inline(always)]
fn scatter<R: Real, const D: usize>(
    y: &[R; D],
    (from, count): (usize, usize),
    alive: &[bool; MOST],
    out: &mut [f64],
) {
    for c in 0..D {
        let column = y[c].array();
        for l in 0..count {
            if alive[l] {
                out[(from + l) * D + c] = column.as_ref()[l].double();
            }
        }
    }
}
