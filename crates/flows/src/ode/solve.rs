//! The solver of eq. (7): a method, a pace, what to look at on the way.

use super::check::{check_ends, check_mesh, check_start, check_tolerances, checked};
use super::controller::{Controller, Pid};
use super::drive::{Driver, Pace, Task};
use super::event::Event;
use super::stepper::Stepper;
use super::trajectory::Trajectory;
use crate::error::{Error, Result};
use crate::field::VelocityField;
use crate::state::State;
use measures::{Points, check_positive, parallel};

/// Rows that one thread takes from the cloud at a time, and rows it keeps under way: a batch of them with all stages
/// stays in the caches.
const PIECE: usize = 4096;
const BATCH: usize = 256;

enum Steps<'a> {
    Count(usize),
    Mesh(Vec<f64>),
    Adaptive { rtol: f64, atol: f64, controller: Box<dyn Controller + 'a>, shared: bool },
}

/// A solver of dχ_t = v_t(χ_t) dt, eq. (7), in either direction of time.
///
/// ```
/// use flows::{ode::{Ode, TSITOURAS}, field::Pointwise};
/// use measures::Points;
/// let decay = Pointwise::autonomous(1, |x, v| v[0] = -x[0]);
/// let run = Ode::adaptive(TSITOURAS, 1e-8, 1e-8)?.solve(&decay, &Points::from_line(vec![1.0, 2.0]), 0.0, 1.0)?;
/// let end = run.finished()?;
/// assert!((end.row(1)[0] - 2.0 * (-1.0f64).exp()).abs() < 1e-7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ode<'a, S: State = Points> {
    stepper: Box<dyn Stepper<S> + 'a>,
    steps: Steps<'a>,
    max_steps: usize,
    first: Option<f64>,
    longest: f64,
    save_at: Vec<f64>,
    dense: bool,
    events: Vec<Event<'a, S>>,
}

impl<'a, S: State> Ode<'a, S> {
    fn with(stepper: impl Stepper<S> + 'a, steps: Steps<'a>) -> Self {
        Ode {
            stepper: Box::new(stepper),
            steps,
            max_steps: 100_000,
            first: None,
            longest: f64::INFINITY,
            save_at: Vec::new(),
            dense: false,
            events: Vec::new(),
        }
    }

    /// `count` steps of equal length.
    ///
    /// # Errors
    /// `count` is zero.
    pub fn fixed(stepper: impl Stepper<S> + 'a, count: usize) -> Result<Self> {
        if count == 0 {
            return Err(measures::Error::TooFew { what: "steps", at_least: 1, got: 0 }.into());
        }
        Ok(Ode::with(stepper, Steps::Count(count)))
    }

    /// Steps from each time of `mesh` to the next; the run must be asked from its first to its last.
    ///
    /// # Errors
    /// Fewer than two times, one that is not finite, or times that do not go strictly one way.
    pub fn on_mesh(stepper: impl Stepper<S> + 'a, mesh: Vec<f64>) -> Result<Self> {
        check_mesh(&mesh)?;
        Ok(Ode::with(stepper, Steps::Mesh(mesh)))
    }

    /// Steps chosen by [`Pid::PI`] so that the local error of each stays below `atol` + `rtol`·|x|: per particle where the
    /// field is pointwise, shared by the cloud where particles interact.
    ///
    /// # Errors
    /// A tolerance is not finite and positive (zero is allowed for one of the two), or the method has no error estimate.
    pub fn adaptive(stepper: impl Stepper<S> + 'a, rtol: f64, atol: f64) -> Result<Self> {
        check_tolerances(rtol, atol)?;
        if stepper.error_order().is_none() {
            return Err(Error::NoErrorEstimate { method: stepper.name() });
        }
        Ok(Ode::with(stepper, Steps::Adaptive { rtol, atol, controller: Box::new(Pid::PI), shared: false }))
    }

    /// Another controller of adaptive steps; fixed steps ignore it.
    pub fn controller(mut self, with: impl Controller + 'a) -> Self {
        if let Steps::Adaptive { controller, .. } = &mut self.steps {
            *controller = Box::new(with);
        }
        self
    }

    /// One step for all particles, whose error is the root mean square over particles and coordinates, as whole-array
    /// solvers do. It couples particles through the step.
    pub fn shared(mut self) -> Self {
        if let Steps::Adaptive { shared, .. } = &mut self.steps {
            *shared = true;
        }
        self
    }

    /// At most so many attempted steps a particle (100 000 unless told); adaptive steps only.
    ///
    /// # Errors
    /// No step at all.
    pub fn max_steps(mut self, most: usize) -> Result<Self> {
        if most == 0 {
            return Err(measures::Error::TooFew { what: "max_steps", at_least: 1, got: 0 }.into());
        }
        self.max_steps = most;
        Ok(self)
    }

    /// The length of the first step, else chosen from the field; adaptive steps only.
    ///
    /// # Errors
    /// It is not finite and positive.
    pub fn first_step(mut self, length: f64) -> Result<Self> {
        self.first = Some(check_positive("first step", length)?);
        Ok(self)
    }

    /// No step is longer than this; adaptive steps only.
    ///
    /// # Errors
    /// It is not finite and positive.
    pub fn longest_step(mut self, length: f64) -> Result<Self> {
        self.longest = check_positive("longest step", length)?;
        Ok(self)
    }

    /// Keeps the states at these times, in the direction of the run, from the interpolant of each step.
    pub fn save_at(mut self, times: &[f64]) -> Self {
        self.save_at = times.to_vec();
        self
    }

    /// Keeps the continuous solution.
    pub fn dense(mut self) -> Self {
        self.dense = true;
        self
    }

    /// Watches for an event too.
    pub fn event(mut self, event: Event<'a, S>) -> Self {
        self.events.push(event);
        self
    }

    /// Carries every row of `x0` from `t0` to `t1`, which may be the earlier time, on all cores where the field is
    /// pointwise. The same bytes for any number of threads.
    ///
    /// # Errors
    /// Only what was wrong from the start: `t0` = `t1` or one not finite, no row, a row that is not finite, times to save
    /// outside the interval or out of order, a field that refuses every row at `t0`, particles that interact with an
    /// event or a pace of their own. What goes wrong on the way is a [`Status`](super::Status).
    pub fn solve<F>(&self, field: &F, x0: &S, t0: f64, t1: f64) -> Result<Trajectory<S>>
    where
        S: Send + Sync,
        F: VelocityField<S> + Sync + ?Sized,
    {
        let field = &field;
        let task = self.task(field, x0, t0, t1)?;
        if !field.is_pointwise() || matches!(task.pace, Pace::Adaptive { shared: true, .. }) {
            return checked(Driver::new(&task, field, x0).run(x0, x0.rows()), t0);
        }
        let parts = parallel::map_blocks(x0.rows(), PIECE, |range| {
            let rows: Vec<usize> = range.collect();
            let part = x0.select(&rows);
            (rows[0], Driver::new(&task, field, &part).run(&part, BATCH))
        });
        let mut all = Trajectory::at_start(x0, t0, task.save_at, task.dense);
        parts.into_iter().for_each(|(first, part)| all.adopt(first, part));
        checked(all, t0)
    }

    /// As [`Ode::solve`] with all rows in one batch on the thread that calls: for states and fields that cannot be shared
    /// between threads, such as tensors and networks.
    ///
    /// # Errors
    /// As [`Ode::solve`].
    pub fn solve_batch<F>(&self, field: &F, x0: &S, t0: f64, t1: f64) -> Result<Trajectory<S>>
    where
        F: VelocityField<S> + ?Sized,
    {
        let field = &field;
        let task = self.task(field, x0, t0, t1)?;
        checked(Driver::new(&task, field, x0).run(x0, x0.rows()), t0)
    }

    fn task(&self, field: &impl VelocityField<S>, x0: &S, t0: f64, t1: f64) -> Result<Task<'_, S>> {
        check_start(x0, t0, t1)?;
        self.check_save_at(t0, t1)?;
        let pace = match &self.steps {
            Steps::Count(count) => {
                let at = |k: usize| t0 + (t1 - t0) * (k as f64 / *count as f64);
                Pace::Mesh((0..*count).map(at).chain([t1]).collect())
            }
            Steps::Mesh(mesh) => {
                check_ends(mesh, t0, t1)?;
                Pace::Mesh(mesh.clone())
            }
            Steps::Adaptive { rtol, atol, controller, shared } => Pace::Adaptive {
                rtol: *rtol,
                atol: *atol,
                controller: &**controller,
                shared: *shared || !field.is_pointwise(),
                first: self.first,
                longest: self.longest,
            },
        };
        if self.events.iter().any(Event::is_terminal) && !field.is_pointwise() {
            return Err(Error::SharedClock { what: "terminal event" });
        }
        Ok(Task {
            stepper: &*self.stepper,
            pace,
            t0,
            t1,
            max_steps: self.max_steps,
            save_at: &self.save_at,
            dense: self.dense,
            events: &self.events,
        })
    }

    fn check_save_at(&self, t0: f64, t1: f64) -> Result<()> {
        let (low, high) = (t0.min(t1), t0.max(t1));
        if let Some(&t) = self.save_at.iter().find(|t| !(**t >= low && **t <= high)) {
            return Err(Error::Time { what: "save_at", t, low, high });
        }
        let out_of_order = |w: &[f64]| if t1 > t0 { w[1] < w[0] } else { w[1] > w[0] };
        if let Some(k) = self.save_at.windows(2).position(out_of_order) {
            let must = "in the direction of the run";
            let value = self.save_at[k + 1];
            return Err(measures::Error::Entry { what: "save_at", index: k + 1, value, must }.into());
        }
        Ok(())
    }
}
