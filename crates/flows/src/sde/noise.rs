//! Where the noise of a path comes from.

use super::normal::block_normals;
use crate::error::Result;
use measures::{Points, Seed, check_positive};
use std::ops::Range;

/// A source of Brownian paths, one a particle and coordinate.
pub trait Noise<S>: Sync {
    /// The paths of the particles `rows`, to be read from the start of the run on.
    ///
    /// # Errors
    /// The source has no such particles or another dimension.
    fn walk(&self, rows: Range<usize>, like: &S) -> Result<Box<dyn Walk<S> + '_>>;
}

/// Brownian paths read forward in time.
pub trait Walk<S> {
    /// Writes the increment W_{from,to} into `w` and, where asked, the space–time Lévy area
    /// H_{from,to} = (to − from)⁻¹ ∫ (W_{from,r} − (r − from)/(to − from) W_{from,to}) dr into `levy`, of variance
    /// |to − from|/12 and independent of W. Calls follow one another: `from` is the last `to`.
    ///
    /// # Errors
    /// The times are outside the path, or do not follow the last ones.
    fn next(&mut self, from: f64, to: f64, w: &mut S, levy: Option<&mut S>) -> Result<()>;
}

/// Independent increments, one read a step: the fastest noise, whose path belongs to the grid of the run.
///
/// The increments of step k are stream k of the seed, so that they depend neither on blocks nor on threads; another number
/// of steps is another path. Where paths must be the same for different steps, use [`BrownianTree`](super::BrownianTree).
#[derive(Debug, Clone, Copy)]
pub struct WhiteNoise {
    seed: Seed,
}

impl WhiteNoise {
    /// The noise of a seed.
    pub fn new(seed: Seed) -> Self {
        WhiteNoise { seed }
    }

    /// The seed of the increments, of which step k is stream k.
    pub(crate) fn increments(&self) -> Seed {
        self.seed.named("increment")
    }
}

struct White {
    w: Seed,
    levy: Seed,
    rows: Range<usize>,
    dim: usize,
    step: u64,
    room: Vec<f64>,
}

impl Noise<Points> for WhiteNoise {
    fn walk(&self, rows: Range<usize>, like: &Points) -> Result<Box<dyn Walk<Points> + '_>> {
        measures::check_len("particles", rows.len(), like.len())?;
        let (w, levy) = (self.seed.named("increment"), self.seed.named("area"));
        Ok(Box::new(White { w, levy, rows, dim: like.dim(), step: 0, room: Vec::new() }))
    }
}

impl Walk<Points> for White {
    fn next(&mut self, from: f64, to: f64, w: &mut Points, levy: Option<&mut Points>) -> Result<()> {
        let h = check_positive("length of the step", (to - from).abs())?;
        let mut fill = |seed: Seed, scale: f64, out: &mut Points| {
            block_normals(seed, self.step, &self.rows, self.dim, &mut self.room);
            out.as_mut_slice().iter_mut().zip(&self.room).for_each(|(out, z)| *out = scale * z);
        };
        fill(self.w, h.sqrt(), w);
        if let Some(levy) = levy {
            fill(self.levy, (h / 12.0).sqrt(), levy);
        }
        self.step += 1;
        Ok(())
    }
}
