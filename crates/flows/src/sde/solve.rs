//! The solver of eq. (5): a scheme, a grid, a source of noise.

use super::equation::Equation;
use super::noise::{Noise, Walk};
use super::scheme::{Room, Scheme, Step};
use crate::error::{Error, Result};
use crate::ode::{Status, Trajectory};
use crate::state::State;
use measures::parallel;
use std::marker::PhantomData;
use std::ops::Range;

/// Particles under way at a time: a block with its stages and noise stays in the caches.
const BLOCK: usize = 256;

/// A solver of stochastic equations on a grid of time, in either direction.
///
/// ```
/// use flows::{field::AffineField, sde::{Additive, EulerMaruyama, Sde, WhiteNoise}};
/// use measures::{Points, Seed};
/// // Eq. (5) with E = ½‖x‖²: from the origin to nearly N(0, 1).
/// let ou = Additive::constant(AffineField::contraction(1), 2f64.sqrt())?;
/// let noise = WhiteNoise::new(Seed::new(1));
/// let run = Sde::fixed(EulerMaruyama, 200)?.solve(&ou, &noise, &Points::zeros(2_000, 1), 0.0, 4.0)?;
/// let end = run.finished()?;
/// let variance = end.as_slice().iter().map(|x| x * x).sum::<f64>() / 2_000.0;
/// assert!((variance - 1.0).abs() < 0.15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sde<E, C> {
    scheme: C,
    grid: Grid,
    every: Option<usize>,
    equation: PhantomData<fn(&E)>,
}

enum Grid {
    Count(usize),
    Mesh(Vec<f64>),
}

impl<E, C> Sde<E, C> {
    /// `count` steps of equal length.
    ///
    /// # Errors
    /// `count` is zero.
    pub fn fixed(scheme: C, count: usize) -> Result<Self> {
        if count == 0 {
            return Err(measures::Error::TooFew { what: "steps", at_least: 1, got: 0 }.into());
        }
        Ok(Sde { scheme, grid: Grid::Count(count), every: None, equation: PhantomData })
    }

    /// Steps from each time of `mesh` to the next; the run must be asked from its first to its last.
    ///
    /// # Errors
    /// Fewer than two times, one that is not finite, or times that do not go strictly one way.
    pub fn on_mesh(scheme: C, mesh: Vec<f64>) -> Result<Self> {
        crate::ode::check_mesh(&mesh)?;
        Ok(Sde { scheme, grid: Grid::Mesh(mesh), every: None, equation: PhantomData })
    }

    /// Keeps the states after every so many steps, and at the start.
    ///
    /// # Errors
    /// `steps` is zero.
    pub fn save_every(mut self, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(measures::Error::TooFew { what: "save_every", at_least: 1, got: 0 }.into());
        }
        self.every = Some(steps);
        Ok(self)
    }

    /// Carries every row of `x0` from `t0` to `t1` on all cores where the drift is pointwise, with the noise of its row.
    /// The same bytes for any number of threads.
    ///
    /// # Errors
    /// As [`Ode::solve`](crate::Ode::solve); the noise is for other times or another dimension.
    pub fn solve<S>(
        &self,
        equation: &E,
        noise: &impl Noise<S>,
        x0: &S,
        t0: f64,
        t1: f64,
    ) -> Result<Trajectory<S>>
    where
        S: State + Send + Sync,
        E: Equation<S>,
        C: Scheme<E, S>,
    {
        let mesh = self.mesh(x0, t0, t1)?;
        let saves = self.saves(&mesh);
        let n = x0.rows();
        let block = if equation.is_pointwise() { BLOCK } else { n };
        let parts = parallel::map_blocks(n, block, |range| {
            let rows: Vec<usize> = range.clone().collect();
            let start = if rows.len() == n { x0.clone() } else { x0.select(&rows) };
            let walk = noise.walk(range.clone(), &start)?;
            Ok::<_, Error>((range.start, self.run(equation, walk, &start, &mesh, &saves)))
        });
        let mut all = Trajectory::at_start(x0, t0, &saves, false);
        for part in parts {
            let (first, part) = part?;
            all.adopt(first, part?);
        }
        crate::ode::checked(all, t0)
    }

    /// As [`Sde::solve`] in one batch on the thread that calls, for states that cannot be shared between threads.
    ///
    /// # Errors
    /// As [`Sde::solve`].
    pub fn solve_batch<S>(
        &self,
        equation: &E,
        noise: &impl Noise<S>,
        x0: &S,
        t0: f64,
        t1: f64,
    ) -> Result<Trajectory<S>>
    where
        S: State,
        E: Equation<S>,
        C: Scheme<E, S>,
    {
        let mesh = self.mesh(x0, t0, t1)?;
        let walk = noise.walk(Range { start: 0, end: x0.rows() }, x0)?;
        crate::ode::checked(self.run(equation, walk, x0, &mesh, &self.saves(&mesh))?, t0)
    }

    fn mesh<S: State>(&self, x0: &S, t0: f64, t1: f64) -> Result<Vec<f64>> {
        crate::ode::check_start(x0, t0, t1)?;
        match &self.grid {
            Grid::Count(count) => {
                let at = |k: usize| t0 + (t1 - t0) * (k as f64 / *count as f64);
                Ok((0..*count).map(at).chain([t1]).collect())
            }
            Grid::Mesh(mesh) => {
                crate::ode::check_ends(mesh, t0, t1)?;
                Ok(mesh.clone())
            }
        }
    }

    fn saves(&self, mesh: &[f64]) -> Vec<f64> {
        self.every.map_or_else(Vec::new, |every| mesh.iter().copied().step_by(every).collect())
    }

    /// Runs one block.
    fn run<S>(
        &self,
        equation: &E,
        mut walk: Box<dyn Walk<S> + '_>,
        x0: &S,
        mesh: &[f64],
        saves: &[f64],
    ) -> Result<Trajectory<S>>
    where
        S: State,
        E: Equation<S>,
        C: Scheme<E, S>,
    {
        let n = x0.rows();
        let mut log = Trajectory::at_start(x0, mesh[0], saves, false);
        let mut alive = vec![true; n];
        let (mut x, mut before, mut w, mut levy) = (x0.clone(), x0.clone(), x0.clone(), x0.clone());
        let mut room = Room::new(x0);
        let area = self.scheme.uses_area();
        for (k, step) in mesh.windows(2).enumerate() {
            let (t, h) = (step[0], step[1] - step[0]);
            walk.next(t, step[1], &mut w, area.then_some(&mut levy))?;
            before.clone_from(&x);
            let failed =
                match self.scheme.step(equation, Step { t, h, w: &w, levy: &levy }, &mut x, &mut room) {
                    Ok(()) => Vec::new(),
                    Err(error) => {
                        room = Room::new(x0);
                        self.one_by_one(equation, (t, h), (&before, &mut x, &w, &levy), &alive, error)
                    }
                };
            let mut stopped: Vec<usize> = Vec::new();
            if !x.all_finite() {
                let finite = x.finite_rows();
                stopped.extend((0..n).filter(|&i| alive[i] && !finite[i]));
            }
            stopped.iter().for_each(|&i| log.status[i] = Status::NonFinite);
            for (i, error) in failed {
                if !alive[i] {
                    continue;
                }
                log.status[i] = Status::Field;
                log.failures.push((i, error));
                stopped.push(i);
            }
            for i in stopped {
                alive[i] = false;
                log.times[i] = t;
                log.counts[i].accepted = k;
                log.end.take(&[i], &before);
            }
            if !alive.contains(&true) {
                break;
            }
            let dead: Vec<usize> = (0..n).filter(|&i| !alive[i]).collect();
            x.take(&dead, &before);
            if let Some(every) = self.every
                && (k + 1) % every == 0
                && let Some((_, state)) = log.saved.get_mut((k + 1) / every)
            {
                *state = x.clone();
            }
        }
        let living: Vec<usize> = (0..n).filter(|&i| alive[i]).collect();
        log.end.take(&living, &x);
        for i in living {
            log.status[i] = Status::Finished;
            log.times[i] = mesh[mesh.len() - 1];
            log.counts[i].accepted = mesh.len() - 1;
        }
        for i in 0..n {
            log.counts[i].evaluations =
                self.scheme.evaluations() * (log.counts[i].accepted + usize::from(!alive[i]));
            // Saves are at the start and after every `every` steps; those a particle did not reach keep its last state.
            let reached = self.every.map_or(0, |every| log.counts[i].accepted / every + 1);
            if reached < log.saved.len() {
                log.fill_unreached(i, reached);
            }
        }
        Ok(log)
    }

    /// A step that failed for the batch, particle by particle: each that fails alone is returned with its words.
    fn one_by_one<S>(
        &self,
        equation: &E,
        (t, h): (f64, f64),
        (before, x, w, levy): (&S, &mut S, &S, &S),
        alive: &[bool],
        error: crate::FieldError,
    ) -> Vec<(usize, crate::FieldError)>
    where
        S: State,
        E: Equation<S>,
        C: Scheme<E, S>,
    {
        let n = before.rows();
        x.clone_from(before);
        if !equation.is_pointwise() || n == 1 {
            let words = error.to_string();
            let mut all: Vec<(usize, crate::FieldError)> = vec![(0, error)];
            all.extend((1..n).map(|i| (i, words.clone().into())));
            return all;
        }
        let mut failed = Vec::new();
        for i in (0..n).filter(|&i| alive[i]) {
            let mut one = before.select(&[i]);
            let mut room = Room::new(&one);
            let step = Step { t, h, w: &w.select(&[i]), levy: &levy.select(&[i]) };
            match self.scheme.step(equation, step, &mut one, &mut room) {
                Ok(()) => x.scatter(&[i], &one),
                Err(error) => failed.push((i, error)),
            }
        }
        failed
    }
}
