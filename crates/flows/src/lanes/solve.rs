//! The solver of eq. (7) on lanes.

use super::LaneField;
use super::adaptive::{Adaptive, Rules};
use super::fixed::Fixed;
use super::method::LaneMethod;
use crate::error::{Error, Result};
use crate::ode::{Counts, ErrorRule, Pid, Status, Tableau, Trajectory, check_ends, check_mesh, check_start};
use measures::lanes::{F32s, F64s, LaneOp, Lanes, Real, Scalar, dispatch};
use measures::{Points, check_dim, check_positive, parallel};
use std::marker::PhantomData;
use std::ops::Range;

/// Fixed steps of a method.
#[derive(Debug, Clone)]
pub struct FixedSteps<M> {
    grid: Grid,
    method: PhantomData<M>,
}

#[derive(Debug, Clone)]
enum Grid {
    Count(usize),
    Mesh(Vec<f64>),
}

/// Steps of a method chosen per particle.
#[derive(Debug, Clone)]
pub struct AdaptiveSteps<M> {
    rtol: f64,
    atol: f64,
    controller: Pid,
    max_steps: usize,
    first: Option<f64>,
    longest: f64,
    method: PhantomData<M>,
}

/// A solver of dχ_t = v_t(χ_t) dt, eq. (7), for fields written over lanes; in either direction of time.
///
/// In double precision fixed steps end where those of [`Ode`](crate::Ode) do to round-off, and adaptive steps take the same
/// decisions. It returns the same [`Trajectory`], without states between. Method, pace and precision are types, so that
/// only what is used is compiled.
///
/// ```
/// use flows::lanes::{LaneOde, MixtureScore, Tsitouras};
/// use measures::{Points, zoo::GaussianMixture};
/// // Along the score of a ring of eight Gaussians every particle climbs to a mode.
/// let ring = GaussianMixture::ring(8, 4.0, 0.3)?;
/// let field = MixtureScore::<2>::new(&ring, 1.0)?;
/// let x = Points::from_rows(&[[3.0, 0.4], [0.2, 5.0]]);
/// let ode = LaneOde::adaptive(Tsitouras, 1e-4, 1e-4)?.single();
/// let end = ode.solve(&field, &x, 0.0, 2.0)?.finished()?;
/// assert!((end.row(0)[0] - 4.0).abs() < 1e-2 && (end.row(1)[1] - 4.0).abs() < 1e-2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LaneOde<P, S = f64> {
    pace: P,
    precision: PhantomData<S>,
}

/// Where one particle came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) t: f64,
    pub(super) status: Status,
    pub(super) counts: Counts,
}

/// The ends and fates of a block of particles, in their order.
pub struct Ended {
    pub(super) x: Vec<f64>,
    pub(super) fates: Vec<Fate>,
}

impl<M: LaneMethod> LaneOde<FixedSteps<M>> {
    /// `count` steps of equal length.
    ///
    /// # Errors
    /// `count` is zero.
    pub fn fixed(_method: M, count: usize) -> Result<Self> {
        if count == 0 {
            return Err(measures::Error::TooFew { what: "steps", at_least: 1, got: 0 }.into());
        }
        Ok(LaneOde::with(FixedSteps { grid: Grid::Count(count), method: PhantomData }))
    }

    /// Steps from each time of `mesh` to the next; the run must be asked from its first to its last.
    ///
    /// # Errors
    /// Fewer than two times, one that is not finite, or times that do not go strictly one way.
    pub fn on_mesh(_method: M, mesh: Vec<f64>) -> Result<Self> {
        check_mesh(&mesh)?;
        Ok(LaneOde::with(FixedSteps { grid: Grid::Mesh(mesh), method: PhantomData }))
    }
}

impl<M: LaneMethod> LaneOde<AdaptiveSteps<M>> {
    /// Steps chosen per particle by [`Pid::PI`] so that the local error of each stays below `atol` + `rtol`·|x|.
    ///
    /// # Errors
    /// As [`Ode::adaptive`](crate::Ode::adaptive).
    pub fn adaptive(_method: M, rtol: f64, atol: f64) -> Result<Self> {
        crate::ode::check_tolerances(rtol, atol)?;
        if matches!(M::TABLEAU.error, ErrorRule::None) {
            return Err(Error::NoErrorEstimate { method: M::TABLEAU.name });
        }
        Ok(LaneOde::with(AdaptiveSteps {
            rtol,
            atol,
            controller: Pid::PI,
            max_steps: 100_000,
            first: None,
            longest: f64::INFINITY,
            method: PhantomData,
        }))
    }
}

impl<M, S> LaneOde<AdaptiveSteps<M>, S> {
    /// Another controller.
    pub fn controller(mut self, controller: Pid) -> Self {
        self.pace.controller = controller;
        self
    }

    /// At most so many attempted steps a particle (100 000 unless told).
    ///
    /// # Errors
    /// No step at all.
    pub fn max_steps(mut self, most: usize) -> Result<Self> {
        if most == 0 {
            return Err(measures::Error::TooFew { what: "max_steps", at_least: 1, got: 0 }.into());
        }
        self.pace.max_steps = most;
        Ok(self)
    }

    /// The length of the first step, else chosen from the field.
    ///
    /// # Errors
    /// It is not finite and positive.
    pub fn first_step(mut self, length: f64) -> Result<Self> {
        self.pace.first = Some(check_positive("first step", length)?);
        Ok(self)
    }

    /// No step is longer than this.
    ///
    /// # Errors
    /// It is not finite and positive.
    pub fn longest_step(mut self, length: f64) -> Result<Self> {
        self.pace.longest = check_positive("longest step", length)?;
        Ok(self)
    }
}

impl<P> LaneOde<P> {
    fn with(pace: P) -> Self {
        LaneOde { pace, precision: PhantomData }
    }

    /// The same in single precision, times included, sixteen particles at a time instead of eight: for tolerances above
    /// about 1e-6. What goes in and comes out is double.
    pub fn single(self) -> LaneOde<P, f32> {
        LaneOde { pace: self.pace, precision: PhantomData }
    }
}

impl<P: LanePace, S: LaneWidth> LaneOde<P, S> {
    /// Carries every row of `x0` from `t0` to `t1`, which may be the earlier time, on all cores. The same bytes for any
    /// number of threads and on any instruction set.
    ///
    /// # Errors
    /// Only what was wrong from the start: `t0` = `t1` or one not finite, no row, a row that is not finite (in the precision
    /// of the run), points of another dimension than the field's. What goes wrong on the way is a [`Status`].
    pub fn solve<const D: usize>(
        &self,
        field: &impl LaneField<D>,
        x0: &Points,
        t0: f64,
        t1: f64,
    ) -> Result<Trajectory<Points>> {
        check_start(x0, t0, t1)?;
        check_dim("initial state", D, x0.dim())?;
        S::check(x0, t0, t1)?;
        Ok(join(x0, self.pace.run::<S, D>(field, x0.as_slice(), t0, t1)?))
    }
}

mod sealed {
    use super::{Ended, LaneField, RealOp};
    use crate::error::Result;
    use measures::Points;

    /// How a pace carries a cloud.
    pub trait Pace {
        /// Carries the points `x`.
        fn run<S: super::LaneWidth, const D: usize>(
            &self,
            field: &impl LaneField<D>,
            x: &[f64],
            t0: f64,
            t1: f64,
        ) -> Result<Vec<Ended>>;
    }

    /// Which lanes the numbers of a precision come in.
    pub trait Width {
        /// Everything that goes in must be finite in this precision too, and times apart.
        fn check(x0: &Points, t0: f64, t1: f64) -> Result<()>;
        /// Runs `op` in this precision on the current instruction set.
        fn run<O: RealOp>(op: O) -> Ended;
    }
}

/// The pace of a run on lanes: [`FixedSteps`] or [`AdaptiveSteps`].
pub trait LanePace: sealed::Pace {}
impl<M: LaneMethod> LanePace for FixedSteps<M> {}
impl<M: LaneMethod> LanePace for AdaptiveSteps<M> {}

/// The precision of a run on lanes: `f64`, eight lanes, or `f32`, sixteen.
pub trait LaneWidth: sealed::Width + Scalar {}
impl LaneWidth for f64 {}
impl LaneWidth for f32 {}

impl<M: LaneMethod> sealed::Pace for AdaptiveSteps<M> {
    fn run<S: LaneWidth, const D: usize>(
        &self,
        field: &impl LaneField<D>,
        x: &[f64],
        t0: f64,
        t1: f64,
    ) -> Result<Vec<Ended>> {
        let rules = Rules {
            rtol: self.rtol,
            atol: self.atol,
            pid: self.controller,
            t0,
            t1,
            max_steps: self.max_steps,
            first: self.first,
            longest: self.longest,
        };
        Ok(blocks(x.len() / D, &|rows| {
            let x = &x[rows.start * D..rows.end * D];
            S::run(Adaptive::<_, M, D> { field, rules: &rules, x, method: PhantomData })
        }))
    }
}

impl<M: LaneMethod> sealed::Pace for FixedSteps<M> {
    fn run<S: LaneWidth, const D: usize>(
        &self,
        field: &impl LaneField<D>,
        x: &[f64],
        t0: f64,
        t1: f64,
    ) -> Result<Vec<Ended>> {
        let mesh = match &self.grid {
            Grid::Mesh(mesh) => {
                check_ends(mesh, t0, t1)?;
                mesh.clone()
            }
            Grid::Count(count) => {
                let at = |k: usize| t0 + (t1 - t0) * (k as f64 / *count as f64);
                (0..*count).map(at).chain([t1]).collect()
            }
        };
        Ok(blocks(x.len() / D, &|rows| {
            let x = &x[rows.start * D..rows.end * D];
            S::run(Fixed::<_, M, D> { field, mesh: &mesh, x, method: PhantomData })
        }))
    }
}

/// A computation that is written over [`Real`] and run in either precision.
pub trait RealOp {
    /// Runs it.
    fn run<R: Real>(self, lanes: R::Set) -> Ended;
}

struct InDouble<O>(O);
struct InSingle<O>(O);

impl<O: RealOp> LaneOp for InDouble<O> {
    type Output = Ended;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Ended {
        self.0.run::<F64s<L>>(lanes)
    }
}

impl<O: RealOp> LaneOp for InSingle<O> {
    type Output = Ended;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Ended {
        self.0.run::<F32s<L>>(lanes)
    }
}

impl sealed::Width for f64 {
    fn check(_: &Points, _: f64, _: f64) -> Result<()> {
        Ok(())
    }

    fn run<O: RealOp>(op: O) -> Ended {
        dispatch(InDouble(op))
    }
}

impl sealed::Width for f32 {
    fn check(x0: &Points, t0: f64, t1: f64) -> Result<()> {
        let must = "finite in single precision, below 3.4e38";
        for (what, value) in [("t0", t0), ("t1", t1)] {
            if !(value as f32).is_finite() {
                return Err(measures::Error::Parameter { what, value, must }.into());
            }
        }
        if t0 as f32 == t1 as f32 {
            return Err(Error::EmptyInterval { t: t0 });
        }
        match x0.as_slice().iter().position(|x| !(*x as f32).is_finite()) {
            None => Ok(()),
            Some(index) => {
                let value = x0.as_slice()[index];
                Err(measures::Error::Entry { what: "initial state", index, value, must }.into())
            }
        }
    }

    fn run<O: RealOp>(op: O) -> Ended {
        dispatch(InSingle(op))
    }
}

/// Blocks of particles on all cores. A block is long enough that the lanes which wait for its last particle cost little, and
/// short enough that there are several for every core.
pub(super) fn blocks(n: usize, work: &(dyn Fn(Range<usize>) -> Ended + Sync)) -> Vec<Ended> {
    let block = (n / 16).next_multiple_of(16).clamp(256, 16_384);
    parallel::map_blocks(n, block, work)
}

pub(super) fn join(x0: &Points, parts: Vec<Ended>) -> Trajectory<Points> {
    let n = x0.len();
    let mut x = Vec::with_capacity(x0.as_slice().len());
    let (mut times, mut status, mut counts) =
        (Vec::with_capacity(n), Vec::with_capacity(n), Vec::with_capacity(n));
    for part in parts {
        x.extend_from_slice(&part.x);
        for fate in part.fates {
            times.push(fate.t);
            status.push(fate.status);
            counts.push(fate.counts);
        }
    }
    Trajectory {
        end: Points::from_raw(x0.dim(), x),
        times,
        status,
        counts,
        saved: Vec::new(),
        dense: None,
        events: Vec::new(),
        failures: Vec::new(),
    }
}

/// Evaluations of a fixed run of this many steps, the velocity at the start among them.
pub(super) fn evaluations(tableau: &Tableau, steps: usize) -> usize {
    if tableau.fsal { 1 + steps * (tableau.b.len() - 1) } else { steps * tableau.b.len() }
}
