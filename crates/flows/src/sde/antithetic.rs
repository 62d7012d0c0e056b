//! The same Brownian paths, and their mirror images.

use super::noise::{Noise, Walk};
use crate::error::Result;
use measures::Points;
use std::ops::Range;

/// The paths of another noise, or the same with their sign changed, B and −B: antithetic variates (J. M. Hammersley and
/// K. W. Morton, 1956, doi 10.1017/S0305004100031455).
///
/// −B is a Brownian motion too, so that the mean of a run on B and one on −B is without bias for what one run estimates,
/// and has less noise where runs are nearly odd in B: the leading term of a scheme's strong error cancels, and a weak error
/// stands out with fewer paths.
///
/// ```
/// use flows::sde::{Antithetic, BrownianTree, Noise};
/// use measures::{Points, Seed};
/// let [plus, minus] = Antithetic::pair(BrownianTree::new(Seed::new(1), 0.0, 1.0, 2)?);
/// let (mut a, mut b) = (Points::zeros(3, 2), Points::zeros(3, 2));
/// plus.walk(0..3, &a)?.next(0.0, 0.5, &mut a, None)?;
/// minus.walk(0..3, &b)?.next(0.0, 0.5, &mut b, None)?;
/// assert!(a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| *a == -b));
/// # Ok::<(), flows::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Antithetic<N> {
    noise: N,
    sign: f64,
}

impl<N: Clone> Antithetic<N> {
    /// The paths of `noise`, and their mirror images.
    pub fn pair(noise: N) -> [Self; 2] {
        [1.0, -1.0].map(|sign| Antithetic { noise: noise.clone(), sign })
    }
}

impl<N> Antithetic<N> {
    /// The noise that is or is not mirrored.
    pub fn noise(&self) -> &N {
        &self.noise
    }

    /// 1 for its own paths, −1 for the mirrored ones.
    pub fn sign(&self) -> f64 {
        self.sign
    }
}

impl<N: Noise<Points>> Noise<Points> for Antithetic<N> {
    fn walk(&self, rows: Range<usize>, like: &Points) -> Result<Box<dyn Walk<Points> + '_>> {
        Ok(Box::new(AntitheticWalk { walk: self.noise.walk(rows, like)?, sign: self.sign }))
    }
}

struct AntitheticWalk<'a> {
    walk: Box<dyn Walk<Points> + 'a>,
    sign: f64,
}

impl Walk<Points> for AntitheticWalk<'_> {
    fn next(&mut self, from: f64, to: f64, w: &mut Points, mut levy: Option<&mut Points>) -> Result<()> {
        self.walk.next(from, to, w, levy.as_deref_mut())?;
        for points in std::iter::once(w).chain(levy) {
            points.as_mut_slice().iter_mut().for_each(|v| *v *= self.sign);
        }
        Ok(())
    }
}
