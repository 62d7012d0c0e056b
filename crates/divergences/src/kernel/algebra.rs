//! Sums, products and multiples of kernels, and mixtures of bandwidths.

use super::{Gaussian, Kernel, Properties, Radial};
use measures::lanes::{F64s, Lanes};
use measures::{Error, Points, Pullback, Result, check_positive};

/// a₁k₁ + a₂k₂ + … of any kernels, with positive coefficients: one pass for each.
///
/// The MMD² of a sum is the sum of the MMD²s. For kernels of the distance, [`Mixture`] does all in one pass.
pub struct Sum {
    terms: Vec<(f64, Box<dyn Kernel>)>,
}

impl Sum {
    /// The sum of kernels, each times its coefficient.
    ///
    /// # Errors
    /// There is no term, or a coefficient is not positive and finite.
    pub fn new(terms: Vec<(f64, Box<dyn Kernel>)>) -> Result<Self> {
        check_coefficients(terms.iter().map(|(a, _)| *a))?;
        Ok(Sum { terms })
    }

    fn total(&self, f: impl Fn(&dyn Kernel) -> f64) -> f64 {
        self.terms.iter().map(|(a, k)| a * f(&**k)).sum()
    }

    fn added(&self, f: impl Fn(&dyn Kernel) -> Pullback) -> Pullback {
        let parts = self.terms.iter().map(|(a, k)| scaled(*a, f(&**k)));
        let add = |mut sum: Pullback, part: Pullback| {
            sum.values.iter_mut().zip(&part.values).for_each(|(s, p)| *s += p);
            let rows = sum.gradients.as_mut_slice().iter_mut();
            rows.zip(part.gradients.as_slice()).for_each(|(s, p)| *s += p);
            sum
        };
        parts.reduce(add).expect("a sum has a term")
    }
}

fn scaled(a: f64, mut pullback: Pullback) -> Pullback {
    pullback.values.iter_mut().for_each(|v| *v *= a);
    pullback.gradients.as_mut_slice().iter_mut().for_each(|v| *v *= a);
    pullback
}

fn check_coefficients(coefficients: impl Iterator<Item = f64>) -> Result<()> {
    let mut any = false;
    for (index, value) in coefficients.enumerate() {
        any = true;
        if !(value.is_finite() && value > 0.0) {
            return Err(Error::Entry { what: "coefficients", index, value, must: "finite and positive" });
        }
    }
    if any { Ok(()) } else { Err(Error::TooFew { what: "kernels", at_least: 1, got: 0 }) }
}

/// What holds for a combination when it holds for every part.
fn combined(parts: &(impl Iterator<Item = Properties> + Clone)) -> Properties {
    let all = |f: fn(&Properties) -> bool| parts.clone().all(|p| f(&p));
    Properties {
        positive: all(|p| p.positive),
        conditional: !all(|p| !p.conditional),
        characteristic: false,
        translation_invariant: all(|p| p.translation_invariant),
        rotation_invariant: all(|p| p.rotation_invariant),
        homogeneity: None,
        smooth: all(|p| p.smooth),
    }
}

/// The spectral measure of a product is a convolution: it has full support when one of the factors' has.
fn product(parts: &(impl Iterator<Item = Properties> + Clone)) -> Properties {
    let one = parts.clone().any(|p| p.characteristic && p.translation_invariant);
    let common = combined(parts);
    Properties { characteristic: one && common.translation_invariant, ..common }
}

impl Kernel for Sum {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        self.total(|k| k.value(x, y))
    }

    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        let mut part = vec![0.0; out.len()];
        out.fill(0.0);
        for (a, k) in &self.terms {
            k.gradient(x, y, &mut part);
            out.iter_mut().zip(&part).for_each(|(out, p)| *out += a * p);
        }
    }

    fn properties(&self) -> Properties {
        let parts = self.terms.iter().map(|(_, k)| k.properties());
        let degree = self.terms[0].1.properties().homogeneity;
        let same = parts.clone().all(|p| p.homogeneity == degree);
        Properties {
            characteristic: parts.clone().any(|p| p.characteristic),
            homogeneity: degree.filter(|_| same),
            ..combined(&parts)
        }
    }

    fn diagonal(&self, x: &Points) -> Pullback {
        self.added(|k| k.diagonal(x))
    }

    fn matrix(&self, x: &Points, y: &Points) -> Result<Vec<f64>> {
        super::check_table("entries of the kernel matrix", x.len(), y.len())?;
        let mut out = vec![0.0; x.len() * y.len()];
        for (a, k) in &self.terms {
            out.iter_mut().zip(k.matrix(x, y)?).for_each(|(out, v)| *out += a * v);
        }
        Ok(out)
    }

    fn cross(&self, x: &Points, w: &[f64], y: &Points, v: &[f64]) -> f64 {
        self.total(|k| k.cross(x, w, y, v))
    }

    fn energy(&self, x: &Points, w: &[f64]) -> f64 {
        self.total(|k| k.energy(x, w))
    }

    fn potential(&self, y: &Points, v: &[f64], x: &Points) -> Vec<f64> {
        let mut out = vec![0.0; x.len()];
        for (a, k) in &self.terms {
            out.iter_mut().zip(k.potential(y, v, x)).for_each(|(out, p)| *out += a * p);
        }
        out
    }

    fn embedding(&self, y: &Points, v: &[f64], x: &Points) -> Pullback {
        self.added(|k| k.embedding(y, v, x))
    }
}

/// k₁·k₂·… of any kernels, pair by pair and without SIMD: for kernels of the distance use [`Times`].
///
/// The product of positive definite kernels is positive definite (Schur); that of conditionally positive definite ones is
/// not, and the energy kernel is refused.
pub struct Product {
    factors: Vec<Box<dyn Kernel>>,
}

impl Product {
    /// The product of kernels.
    ///
    /// # Errors
    /// There is no factor, or one is an energy kernel, which is only conditionally positive definite.
    pub fn new(factors: Vec<Box<dyn Kernel>>) -> Result<Self> {
        if factors.is_empty() {
            return Err(Error::TooFew { what: "kernels", at_least: 1, got: 0 });
        }
        if factors.iter().any(|k| k.properties().conditional) {
            return Err(CONDITIONAL);
        }
        Ok(Product { factors })
    }
}

const CONDITIONAL: Error = Error::Undefined {
    what: "product of kernels",
    why: "a factor is only conditionally positive definite (an energy kernel), so the product is not a kernel",
};

impl Kernel for Product {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        self.factors.iter().map(|k| k.value(x, y)).product()
    }

    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        let mut part = vec![0.0; out.len()];
        out.fill(0.0);
        for (i, k) in self.factors.iter().enumerate() {
            let others = self.factors.iter().enumerate().filter(|(j, _)| *j != i);
            let others: f64 = others.map(|(_, k)| k.value(x, y)).product();
            k.gradient(x, y, &mut part);
            out.iter_mut().zip(&part).for_each(|(out, p)| *out += others * p);
        }
    }

    fn properties(&self) -> Properties {
        product(&self.factors.iter().map(Kernel::properties))
    }
}

/// The product of two kernels of the distance, again a kernel of the distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times<A, B>(A, B);

impl<A: Radial, B: Radial> Times<A, B> {
    /// The product k₁·k₂.
    ///
    /// # Errors
    /// A factor is an energy kernel, which is only conditionally positive definite.
    pub fn new(first: A, second: B) -> Result<Self> {
        if first.radial_properties().conditional || second.radial_properties().conditional {
            return Err(CONDITIONAL);
        }
        Ok(Times(first, second))
    }

    /// The two factors.
    pub fn factors(&self) -> (&A, &B) {
        (&self.0, &self.1)
    }
}

impl<A: Radial, B: Radial> Radial for Times<A, B> {
    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L> {
        self.0.phi(lanes, r2) * self.1.phi(lanes, r2)
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let (a, b) = (self.0.phi_and_slope(lanes, r2), self.1.phi_and_slope(lanes, r2));
        (a.0 * b.0, a.0.mul_add(b.1, a.1 * b.0))
    }

    fn radial_properties(&self) -> Properties {
        product(&[self.0.radial_properties(), self.1.radial_properties()].into_iter())
    }
}

/// Σ aᵢ kᵢ of kernels of the distance of one type, positive coefficients aᵢ, in one pass over the distances.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture<R> {
    terms: Vec<(f64, R)>,
}

impl<R: Radial> Mixture<R> {
    /// The mixture of kernels, each times its coefficient.
    ///
    /// # Errors
    /// There is no term, or a coefficient is not positive and finite.
    pub fn new(terms: Vec<(f64, R)>) -> Result<Self> {
        check_coefficients(terms.iter().map(|(a, _)| *a))?;
        Ok(Mixture { terms })
    }

    /// The coefficients and kernels.
    pub fn terms(&self) -> &[(f64, R)] {
        &self.terms
    }
}

impl Mixture<Gaussian> {
    /// The mean of Gaussian kernels of several bandwidths, which sees shape at all of them.
    ///
    /// # Errors
    /// There is no bandwidth, or one that [`Gaussian::new`] refuses.
    pub fn of_bandwidths(bandwidths: &[f64]) -> Result<Self> {
        let share = check_positive("share", 1.0 / bandwidths.len() as f64);
        let share = share.map_err(|_| Error::TooFew { what: "bandwidths", at_least: 1, got: 0 })?;
        let kernels: Result<Vec<Gaussian>> = bandwidths.iter().map(|h| Gaussian::new(*h)).collect();
        Mixture::new(kernels?.into_iter().map(|k| (share, k)).collect())
    }
}

impl<R: Radial> Radial for Mixture<R> {
    #[inline(always)]
    fn phi<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> F64s<L> {
        let mut sum = F64s::splat(lanes, 0.0);
        for (a, k) in &self.terms {
            sum = F64s::splat(lanes, *a).mul_add(k.phi(lanes, r2), sum);
        }
        sum
    }

    #[inline(always)]
    fn phi_and_slope<L: Lanes>(&self, lanes: L, r2: F64s<L>) -> (F64s<L>, F64s<L>) {
        let mut sums = (F64s::splat(lanes, 0.0), F64s::splat(lanes, 0.0));
        for (a, k) in &self.terms {
            let (value, slope) = k.phi_and_slope(lanes, r2);
            let a = F64s::splat(lanes, *a);
            sums = (a.mul_add(value, sums.0), a.mul_add(slope, sums.1));
        }
        sums
    }

    fn steepness(&self) -> f64 {
        self.terms.iter().map(|(a, k)| a * k.steepness()).sum()
    }

    fn radial_properties(&self) -> Properties {
        let parts = self.terms.iter().map(|(_, k)| k.radial_properties());
        let degree = self.terms[0].1.radial_properties().homogeneity;
        let same = parts.clone().all(|p| p.homogeneity == degree);
        Properties {
            characteristic: parts.clone().any(|p| p.characteristic),
            homogeneity: degree.filter(|_| same),
            ..combined(&parts)
        }
    }
}
