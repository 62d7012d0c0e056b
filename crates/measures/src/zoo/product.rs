//! Products of measures: independent coordinates.

use super::{door, door_pair};
use crate::error::{Error, Result};
use crate::measure::{Density, Measure, Sample, Score};
use crate::points::Points;
use rand::Rng;

/// The law α ⊗ β of (X, Y) with independent X ~ α and Y ~ β, the coordinates of X first.
///
/// For more than two factors of one type there is [`Independent`]; pairs nest.
///
/// ```
/// use measures::{Measure, zoo::{Gaussian, Product, UniformBox}};
/// let strip = Product::new(Gaussian::standard(1), UniformBox::unit(2)?);
/// assert_eq!(strip.dim(), 3);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Product<A, B> {
    first: A,
    second: B,
}

impl<A: Measure, B: Measure> Product<A, B> {
    /// `first` ⊗ `second`.
    pub fn new(first: A, second: B) -> Self {
        Product { first, second }
    }

    /// α.
    pub fn first(&self) -> &A {
        &self.first
    }

    /// β.
    pub fn second(&self) -> &B {
        &self.second
    }

    fn split(&self, x: &Points) -> (Points, Points) {
        (columns(x, 0, self.first.dim()), columns(x, self.first.dim(), self.second.dim()))
    }
}

/// Coordinates `start`, …, `start + width − 1` of every point.
fn columns(x: &Points, start: usize, width: usize) -> Points {
    Points::from_fn(x.len(), width, |i, row| row.copy_from_slice(&x.row(i)[start..start + width]))
}

/// Writes `part` into the coordinates from `start` on.
fn place(out: &mut Points, start: usize, part: &Points) {
    let width = part.dim();
    out.rows_mut().zip(part.rows()).for_each(|(o, p)| o[start..start + width].copy_from_slice(p));
}

impl<A: Measure, B: Measure> Measure for Product<A, B> {
    fn dim(&self) -> usize {
        self.first.dim() + self.second.dim()
    }
}

impl<A: Sample, B: Sample> Sample for Product<A, B> {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let mut out = Points::zeros(n, self.dim());
        place(&mut out, 0, &self.first.sample(n, rng));
        place(&mut out, self.first.dim(), &self.second.sample(n, rng));
        out
    }
}

impl<A: Density, B: Density> Density for Product<A, B> {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let (a, b) = self.split(x);
        let (a, b) = (self.first.log_density(&a)?, self.second.log_density(&b)?);
        Ok(a.iter().zip(&b).map(|(a, b)| log_product(*a, *b)).collect())
    }

    fn entropy(&self) -> Option<f64> {
        Some(self.first.entropy()? + self.second.entropy()?)
    }
}

/// log(pq) with 0 · ∞ = 0: outside the support of one factor there is no mass.
fn log_product(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY { f64::NEG_INFINITY } else { a + b }
}

impl<A: Score, B: Score> Score for Product<A, B> {
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        let (a, b) = self.split(x);
        let mut out = Points::zeros(x.len(), self.dim());
        place(&mut out, 0, &self.first.score(&a)?);
        place(&mut out, self.first.dim(), &self.second.score(&b)?);
        Ok(out)
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim(), x, v)?;
        let ((a, b), (va, vb)) = (self.split(x), self.split(v));
        let mut out = Points::zeros(x.len(), self.dim());
        place(&mut out, 0, &self.first.score_jvp(&a, &va)?);
        place(&mut out, self.first.dim(), &self.second.score_jvp(&b, &vb)?);
        Ok(out)
    }
}

/// The law μ₁ ⊗ … ⊗ μ_k of independent blocks of one type, or of one boxed type.
#[derive(Debug, Clone, PartialEq)]
pub struct Independent<M> {
    factors: Vec<M>,
}

impl<M: Measure> Independent<M> {
    /// μ₁ ⊗ … ⊗ μ_k.
    ///
    /// # Errors
    /// There is no factor.
    pub fn new(factors: Vec<M>) -> Result<Self> {
        if factors.is_empty() {
            return Err(Error::TooFew { what: "factors", at_least: 1, got: 0 });
        }
        Ok(Independent { factors })
    }

    /// μ^{⊗k}, k independent copies.
    ///
    /// # Errors
    /// `copies` is zero.
    pub fn copies(measure: M, copies: usize) -> Result<Self>
    where
        M: Clone,
    {
        Independent::new(vec![measure; copies])
    }

    /// The factors.
    pub fn factors(&self) -> &[M] {
        &self.factors
    }

    /// Each factor with the first of its coordinates.
    fn placed(&self) -> impl Iterator<Item = (usize, &M)> {
        self.factors.iter().scan(0, |start, factor| {
            let own = *start;
            *start += factor.dim();
            Some((own, factor))
        })
    }
}

impl<M: Measure> Measure for Independent<M> {
    fn dim(&self) -> usize {
        self.factors.iter().map(Measure::dim).sum()
    }
}

impl<M: Sample> Sample for Independent<M> {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let mut out = Points::zeros(n, self.dim());
        for (start, factor) in self.placed() {
            place(&mut out, start, &factor.sample(n, rng));
        }
        out
    }
}

impl<M: Density> Density for Independent<M> {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let mut total = vec![0.0; x.len()];
        for (start, factor) in self.placed() {
            let part = factor.log_density(&columns(x, start, factor.dim()))?;
            total.iter_mut().zip(&part).for_each(|(t, p)| *t = log_product(*t, *p));
        }
        Ok(total)
    }

    fn entropy(&self) -> Option<f64> {
        self.factors.iter().map(Density::entropy).sum()
    }
}

impl<M: Score> Score for Independent<M> {
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        let mut out = Points::zeros(x.len(), self.dim());
        for (start, factor) in self.placed() {
            place(&mut out, start, &factor.score(&columns(x, start, factor.dim()))?);
        }
        Ok(out)
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim(), x, v)?;
        let mut out = Points::zeros(x.len(), self.dim());
        for (start, factor) in self.placed() {
            let (x, v) = (columns(x, start, factor.dim()), columns(v, start, factor.dim()));
            place(&mut out, start, &factor.score_jvp(&x, &v)?);
        }
        Ok(out)
    }
}
