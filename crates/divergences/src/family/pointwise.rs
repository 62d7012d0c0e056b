//! Families given function by function: the fused sums that a formula for one point is enough for.

use measures::{Empirical, Family, Measure, Points, Pullback, Result, check_dim, check_pullback, parallel};

/// K functions known at a point, one after the other.
///
/// Brackets and pullbacks go through blocks of points and keep one row of K numbers, never an n×K table.
pub(crate) trait Pointwise: Sync {
    fn domain(&self) -> usize;

    fn weights(&self) -> &[f64];

    /// Writes f_k(x) for every k.
    fn evaluate(&self, x: &[f64], out: &mut [f64]);

    /// Σ c_k f_k(x), adding Σ c_k ∇f_k(x) to `gradient`.
    fn pull(&self, x: &[f64], c: &[f64], gradient: &mut [f64]) -> f64;
}

/// Points a block of a sum.
const BLOCK: usize = 1024;

pub(crate) fn brackets(family: &impl Pointwise, mu: &Empirical) -> Result<Vec<f64>> {
    check_dim("measure", family.domain(), mu.dim())?;
    let count = family.weights().len();
    // at most 64 blocks, each of which has an accumulator
    let block = mu.len().div_ceil(64).max(BLOCK);
    Ok(parallel::accumulate_blocks(mu.len(), block, count, |rows, sums| {
        let mut values = vec![0.0; count];
        for i in rows {
            let w = mu.weights()[i];
            if w > 0.0 {
                family.evaluate(mu.points().row(i), &mut values);
                sums.iter_mut().zip(&values).for_each(|(sum, f)| *sum += w * f);
            }
        }
    }))
}

pub(crate) fn pullback<F: Pointwise + Family>(family: &F, x: &Points, c: &[f64]) -> Result<Pullback> {
    check_pullback(family, x, c)?;
    let dim = x.dim();
    let mut joined = vec![0.0; x.len() * (dim + 1)];
    parallel::fill_blocks(&mut joined, dim + 1, 64, |rows, out| {
        for (i, out) in rows.zip(out.chunks_exact_mut(dim + 1)) {
            let (value, gradient) = out.split_at_mut(1);
            value[0] = family.pull(x.row(i), c, gradient);
        }
    });
    let gradients =
        Points::from_fn(x.len(), dim, |i, row| row.copy_from_slice(&joined[i * (dim + 1) + 1..][..dim]));
    Ok(Pullback { values: joined.iter().step_by(dim + 1).copied().collect(), gradients })
}

pub(crate) fn values(family: &impl Pointwise, x: &Points) -> Result<Vec<f64>> {
    check_dim("points", family.domain(), x.dim())?;
    let count = family.weights().len();
    let mut out = vec![0.0; x.len() * count];
    parallel::fill_blocks(&mut out, count, 64, |rows, out| {
        for (i, out) in rows.zip(out.chunks_exact_mut(count)) {
            family.evaluate(x.row(i), out);
        }
    });
    Ok(out)
}

/// κ(x, x) and its gradient 2Σ τ_k f_k ∇f_k, which is a pullback with coefficients of the point itself.
pub(crate) fn diagonal(family: &impl Pointwise, x: &Points) -> Result<Pullback> {
    check_dim("points", family.domain(), x.dim())?;
    let tau = family.weights();
    let mut out = Pullback { values: vec![0.0; x.len()], gradients: Points::zeros(x.len(), x.dim()) };
    let mut c = vec![0.0; tau.len()];
    for i in 0..x.len() {
        family.evaluate(x.row(i), &mut c);
        c.iter_mut().zip(tau).for_each(|(c, t)| *c *= t);
        let gradient = out.gradients.row_mut(i);
        out.values[i] = family.pull(x.row(i), &c, gradient);
        gradient.iter_mut().for_each(|g| *g *= 2.0);
    }
    Ok(out)
}

/// `Family` for a type that is [`Pointwise`].
macro_rules! pointwise_family {
    ($type:ty) => {
        impl measures::Family for $type {
            fn dim(&self) -> usize {
                $crate::family::pointwise::Pointwise::domain(self)
            }
            fn tau(&self) -> &[f64] {
                $crate::family::pointwise::Pointwise::weights(self)
            }
            fn brackets(&self, mu: &measures::Empirical) -> measures::Result<Vec<f64>> {
                $crate::family::pointwise::brackets(self, mu)
            }
            fn pullback(&self, x: &measures::Points, c: &[f64]) -> measures::Result<measures::Pullback> {
                $crate::family::pointwise::pullback(self, x, c)
            }
            fn values(&self, x: &measures::Points) -> measures::Result<Vec<f64>> {
                $crate::family::pointwise::values(self, x)
            }
            fn diagonal(&self, x: &measures::Points) -> measures::Result<measures::Pullback> {
                $crate::family::pointwise::diagonal(self, x)
            }
        }
    };
}
pub(crate) use pointwise_family;
