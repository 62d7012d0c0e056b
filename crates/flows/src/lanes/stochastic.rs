//! Eq. (5) on lanes: the Euler–Maruyama scheme with its noise made block by block beside the state.

use super::LaneField;
use super::solve::{Ended, Fate, blocks, join};
use crate::error::Result;
use crate::ode::{Counts, Status, Trajectory, check_ends, check_mesh, check_start};
use crate::sde::{Additive, WhiteNoise, block_normals};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{Points, Seed, check_dim};
use std::ops::Range;

/// Numbers of a block: they and their noise stay in the first-level cache.
const BLOCK: usize = 1024;

/// The Euler–Maruyama scheme for dX = a_t(X) dt + g(t) dB whose drift is written over lanes: the path of
/// [`Sde`](crate::sde::Sde) with [`EulerMaruyama`](crate::sde::EulerMaruyama) on the same [`WhiteNoise`], to round-off.
///
/// ```
/// use flows::lanes::{LaneField, LaneSde};
/// use flows::sde::{Additive, WhiteNoise};
/// use measures::{Points, Seed, lanes::Real};
/// struct Contraction;
/// impl LaneField<1> for Contraction {
///     #[inline(always)]
///     fn velocity<R: Real>(&self, _t: R, x: &[R; 1]) -> [R; 1] {
///         [-x[0]]
///     }
/// }
/// // Eq. (5) with E = ½‖x‖²: from the origin to nearly N(0, 1).
/// let ou = Additive::constant(Contraction, 2f64.sqrt())?;
/// let noise = WhiteNoise::new(Seed::new(1));
/// let run = LaneSde::euler_maruyama(200)?.solve(&ou, &noise, &Points::zeros(2_000, 1), 0.0, 4.0)?;
/// let variance = run.finished()?.as_slice().iter().map(|x| x * x).sum::<f64>() / 2_000.0;
/// assert!((variance - 1.0).abs() < 0.15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LaneSde {
    grid: Grid,
}

#[derive(Debug, Clone)]
enum Grid {
    Count(usize),
    Mesh(Vec<f64>),
}

impl LaneSde {
    /// `count` steps of equal length.
    ///
    /// # Errors
    /// `count` is zero.
    pub fn euler_maruyama(count: usize) -> Result<Self> {
        if count == 0 {
            return Err(measures::Error::TooFew { what: "steps", at_least: 1, got: 0 }.into());
        }
        Ok(LaneSde { grid: Grid::Count(count) })
    }

    /// Steps from each time of `mesh` to the next; the run must be asked from its first to its last.
    ///
    /// # Errors
    /// Fewer than two times, one that is not finite, or times that do not go strictly one way.
    pub fn on_mesh(mesh: Vec<f64>) -> Result<Self> {
        check_mesh(&mesh)?;
        Ok(LaneSde { grid: Grid::Mesh(mesh) })
    }

    /// Carries every row of `x0` from `t0` to `t1` on all cores, with the noise of its row. The same bytes for any number of
    /// threads and on any instruction set.
    ///
    /// # Errors
    /// As [`LaneOde::solve`](super::LaneOde::solve).
    pub fn solve<const D: usize, F: LaneField<D>>(
        &self,
        equation: &Additive<'_, F>,
        noise: &WhiteNoise,
        x0: &Points,
        t0: f64,
        t1: f64,
    ) -> Result<Trajectory<Points>> {
        check_start(x0, t0, t1)?;
        check_dim("initial state", D, x0.dim())?;
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
        let increments = noise.increments();
        let work =
            |rows: Range<usize>| dispatch(Walk::<D, F> { equation, increments, mesh: &mesh, x0, rows });
        Ok(join(x0, blocks(x0.len(), &work)))
    }
}

/// The particles `rows` along all steps of the mesh.
struct Walk<'a, const D: usize, F> {
    equation: &'a Additive<'a, F>,
    increments: Seed,
    mesh: &'a [f64],
    x0: &'a Points,
    rows: Range<usize>,
}

impl<const D: usize, F: LaneField<D>> LaneOp for Walk<'_, D, F> {
    type Output = Ended;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Ended {
        let steps = self.mesh.len() - 1;
        let counts = Counts { evaluations: steps, accepted: steps, rejected: 0 };
        let fate = Fate { t: self.mesh[steps], status: Status::Finished, counts };
        let mut ended =
            Ended { x: Vec::with_capacity(self.rows.len() * D), fates: vec![fate; self.rows.len()] };
        let piece = (BLOCK / D).next_multiple_of(2 * WIDTH);
        let mut from = self.rows.start;
        while from < self.rows.end {
            let rows = from..self.rows.end.min(from + piece);
            from = rows.end;
            self.piece(lanes, rows, &mut ended);
        }
        ended
    }
}

impl<const D: usize, F: LaneField<D>> Walk<'_, D, F> {
    #[inline(always)]
    fn piece<L: Lanes>(&self, lanes: L, rows: Range<usize>, ended: &mut Ended) {
        let mut x = self.columns(&rows);
        let mut z = Vec::new();
        for k in 0..self.mesh.len() - 1 {
            self.step(lanes, k, &rows, &mut x, &mut z);
        }
        let start = ended.x.len();
        for i in 0..rows.len() {
            ended.x.extend((0..D).map(|c| x[i / WIDTH][c][i % WIDTH]));
        }
        // Once a state is not finite it never is again: only then the steps are looked at one by one.
        if ended.x[start..].iter().all(|x| x.is_finite()) {
            return;
        }
        let mut x = self.columns(&rows);
        let mut alive = vec![true; rows.len()];
        for k in 0..self.mesh.len() - 1 {
            let before = x.clone();
            self.step(lanes, k, &rows, &mut x, &mut z);
            for i in (0..rows.len()).filter(|i| !(0..D).all(|c| x[i / WIDTH][c][i % WIDTH].is_finite())) {
                if !std::mem::replace(&mut alive[i], false) {
                    continue;
                }
                for c in 0..D {
                    ended.x[start + i * D + c] = before[i / WIDTH][c][i % WIDTH];
                }
                ended.fates[start / D + i] = Fate {
                    t: self.mesh[k],
                    status: Status::NonFinite,
                    counts: Counts { evaluations: k + 1, accepted: k, rejected: 0 },
                };
            }
        }
    }

    /// The coordinates of eight particles at a time; the last one stands in for those that are missing.
    fn columns(&self, rows: &Range<usize>) -> Vec<[[f64; WIDTH]; D]> {
        let mut out = vec![[[0.0; WIDTH]; D]; rows.len().div_ceil(WIDTH)];
        for (g, group) in out.iter_mut().enumerate() {
            for l in 0..WIDTH {
                let row = self.x0.row((rows.start + g * WIDTH + l).min(rows.end - 1));
                (0..D).for_each(|c| group[c][l] = row[c]);
            }
        }
        out
    }

    /// Step k of all particles of a piece.
    #[inline(always)]
    fn step<L: Lanes>(
        &self,
        lanes: L,
        k: usize,
        rows: &Range<usize>,
        x: &mut [[[f64; WIDTH]; D]],
        z: &mut Vec<f64>,
    ) {
        let whole = rows.start..rows.start + x.len() * WIDTH;
        block_normals(self.increments, k as u64, &whole, D, z);
        let (t, h) = (self.mesh[k], self.mesh[k + 1] - self.mesh[k]);
        let scale = F64s::splat(lanes, self.equation.level(t) * h.abs().sqrt());
        let (time, h) = (F64s::splat(lanes, t), F64s::splat(lanes, h));
        for (group, z) in x.iter_mut().zip(z.chunks_exact(D * WIDTH)) {
            let mut noise = [[0.0; WIDTH]; D];
            for l in 0..WIDTH {
                for c in 0..D {
                    noise[c][l] = z[l * D + c];
                }
            }
            let mut y = [time; D];
            for c in 0..D {
                y[c] = F64s::load(lanes, &group[c]);
            }
            let v = self.equation.drift().velocity(time, &y);
            for c in 0..D {
                let change = h.mul_add(v[c], scale * F64s::load(lanes, &noise[c]));
                (y[c] + change).store(&mut group[c]);
            }
        }
    }
}
