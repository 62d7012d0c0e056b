//! Polynomials up to a total degree: monomials, and Hermite polynomials orthonormal under the standard normal.

use super::check_tau;
use super::pointwise::{Pointwise, pointwise_family};
use measures::{Error, Result};

/// The multi-indices α ≠ 0 with |α| ≤ `degree` in d variables, by total degree.
fn multi_indices(dim: usize, degree: u32) -> Result<Vec<Vec<u32>>> {
    if dim == 0 {
        return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
    }
    if degree == 0 {
        return Err(Error::TooFew { what: "degree", at_least: 1, got: 0 });
    }
    let limit = 1 << 20;
    let mut all = Vec::new();
    for total in 1..=degree {
        // the first index takes what the others leave, largest first
        let mut alpha = vec![0; dim];
        alpha[0] = total;
        loop {
            all.push(alpha.clone());
            if all.len() > limit {
                return Err(Error::TooMany { what: "polynomials", limit, requested: all.len() });
            }
            let Some(last) = (0..dim - 1).rev().find(|j| alpha[*j] > 0) else { break };
            let rest = alpha[dim - 1];
            alpha[dim - 1] = 0;
            alpha[last] -= 1;
            alpha[last + 1] = rest + 1;
        }
    }
    Ok(all)
}

/// Products Π_j p_{α_j}(x_j) of one-dimensional polynomials.
#[derive(Debug, Clone)]
struct Products {
    dim: usize,
    degree: usize,
    indices: Vec<Vec<u32>>,
    tau: Vec<f64>,
}

impl Products {
    fn new(dim: usize, degree: u32) -> Result<Self> {
        let indices = multi_indices(dim, degree)?;
        let tau = vec![1.0; indices.len()];
        Ok(Products { dim, degree: degree as usize, indices, tau })
    }

    fn with_tau(mut self, tau: &[f64]) -> Result<Self> {
        check_tau(self.indices.len(), tau)?;
        self.tau = tau.to_vec();
        Ok(self)
    }

    /// p_m(x_j) at j·(degree+1) + m.
    fn table(&self, x: &[f64], recurrence: impl Fn(usize, f64, f64, f64) -> f64) -> Vec<f64> {
        let mut table = Vec::with_capacity(self.dim * (self.degree + 1));
        for x in x {
            let (mut before, mut current) = (0.0, 1.0);
            for m in 0..=self.degree {
                table.push(current);
                (before, current) = (current, recurrence(m, *x, current, before));
            }
        }
        table
    }

    fn evaluate(&self, table: &[f64], out: &mut [f64]) {
        for (alpha, out) in self.indices.iter().zip(out) {
            *out = self.product(table, alpha, usize::MAX);
        }
    }

    /// The product of all factors but that of coordinate `skip`.
    fn product(&self, table: &[f64], alpha: &[u32], skip: usize) -> f64 {
        let factors = alpha.iter().enumerate().filter(|(j, a)| **a > 0 && *j != skip);
        factors.map(|(j, a)| table[j * (self.degree + 1) + *a as usize]).product()
    }

    /// `slope(j, m)` is p_m′(x_j).
    fn pull(
        &self,
        table: &[f64],
        c: &[f64],
        slope: impl Fn(usize, usize) -> f64,
        gradient: &mut [f64],
    ) -> f64 {
        let mut value = 0.0;
        for (alpha, c) in self.indices.iter().zip(c) {
            value += c * self.product(table, alpha, usize::MAX);
            for (j, a) in alpha.iter().enumerate().filter(|(_, a)| **a > 0) {
                gradient[j] += c * self.product(table, alpha, j) * slope(j, *a as usize);
            }
        }
        value
    }
}

/// The monomials x^α, 1 ≤ |α| ≤ p: D₂² is Σ τ_α (E_μ X^α − E_ν Y^α)², the squared differences of moments.
///
/// τ = 1 unless set; unbounded functions, sensitive to scale: standardise the data first.
#[derive(Debug, Clone)]
pub struct Monomials(Products);

impl Monomials {
    /// The monomials of total degree 1 to `degree` in `dim` variables.
    ///
    /// # Errors
    /// Either is zero, or there are more than 2²⁰.
    pub fn new(dim: usize, degree: u32) -> Result<Self> {
        Products::new(dim, degree).map(Monomials)
    }

    /// The same functions with other weights, in the order of [`Monomials::exponents`].
    ///
    /// # Errors
    /// Another number of weights than functions, or one that is negative or not finite.
    pub fn with_tau(self, tau: &[f64]) -> Result<Self> {
        self.0.with_tau(tau).map(Monomials)
    }

    /// The exponents α, one vector a function.
    pub fn exponents(&self) -> &[Vec<u32>] {
        &self.0.indices
    }
}

impl Pointwise for Monomials {
    fn domain(&self) -> usize {
        self.0.dim
    }

    fn weights(&self) -> &[f64] {
        &self.0.tau
    }

    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        self.0.evaluate(&self.0.table(x, |_, x, current, _| x * current), out);
    }

    fn pull(&self, x: &[f64], c: &[f64], gradient: &mut [f64]) -> f64 {
        let table = self.0.table(x, |_, x, current, _| x * current);
        let slope = |j: usize, m: usize| m as f64 * table[j * (self.0.degree + 1) + m - 1];
        self.0.pull(&table, c, slope, gradient)
    }
}

pointwise_family!(Monomials);

/// The products of Hermite polynomials He_{α_j}(x_j)/√α_j!, 1 ≤ |α| ≤ p, orthonormal in L² of the standard normal: the
/// eigenfunctions of the Ornstein–Uhlenbeck operator, with eigenvalue |α| (the paper's footnote 9).
///
/// τ = 1 unless set; with τ_α = |α| ([`Hermite::eigenvalues`]) D₂² to the normal is twice the truncated functional of
/// footnote 9.
#[derive(Debug, Clone)]
pub struct Hermite(Products);

impl Hermite {
    /// The polynomials of total degree 1 to `degree` in `dim` variables.
    ///
    /// # Errors
    /// Either is zero, or there are more than 2²⁰.
    pub fn new(dim: usize, degree: u32) -> Result<Self> {
        Products::new(dim, degree).map(Hermite)
    }

    /// The same functions with other weights, in the order of [`Hermite::exponents`].
    ///
    /// # Errors
    /// Another number of weights than functions, or one that is negative or not finite.
    pub fn with_tau(self, tau: &[f64]) -> Result<Self> {
        self.0.with_tau(tau).map(Hermite)
    }

    /// The degrees α, one vector a function.
    pub fn exponents(&self) -> &[Vec<u32>] {
        &self.0.indices
    }

    /// |α|, one a function.
    pub fn eigenvalues(&self) -> Vec<f64> {
        self.0.indices.iter().map(|alpha| f64::from(alpha.iter().sum::<u32>())).collect()
    }

    /// √(m+1) h_{m+1} = x h_m − √m h_{m−1}, h = He/√m!.
    fn table(&self, x: &[f64]) -> Vec<f64> {
        self.0.table(x, |m, x, current, before| {
            (x * current - (m as f64).sqrt() * before) / ((m + 1) as f64).sqrt()
        })
    }
}

impl Pointwise for Hermite {
    fn domain(&self) -> usize {
        self.0.dim
    }

    fn weights(&self) -> &[f64] {
        &self.0.tau
    }

    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        self.0.evaluate(&self.table(x), out);
    }

    fn pull(&self, x: &[f64], c: &[f64], gradient: &mut [f64]) -> f64 {
        let table = self.table(x);
        // h_m′ = √m h_{m−1}
        let slope = |j: usize, m: usize| (m as f64).sqrt() * table[j * (self.0.degree + 1) + m - 1];
        self.0.pull(&table, c, slope, gradient)
    }
}

pointwise_family!(Hermite);
