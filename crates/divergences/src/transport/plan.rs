//! What an exact solver returns: value, plan, potentials and the certificate that they are optimal.

use measures::{Coupling, Error, Result};

/// How an iterative solver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// The certificate asked for was reached.
    Converged,
    /// The iterations allowed ran out first; the certificate in the result says how far it came.
    IterationLimit,
    /// Round-off stopped all progress short of the certificate asked for.
    Stalled,
}

impl Status {
    /// Whether the certificate asked for was reached.
    pub fn is_converged(self) -> bool {
        self == Status::Converged
    }

    /// `Ok` unless the iterations ran out: a number that fell short is not handed out without its status.
    pub(crate) fn within_limit(self, what: &'static str) -> Result<()> {
        match self {
            Status::IterationLimit => Err(Error::Undefined {
                what,
                why: "the iterations allowed ran out first (raise max_iterations, tolerance or epsilon)",
            }),
            Status::Converged | Status::Stalled => Ok(()),
        }
    }
}

/// A pair of Kantorovich potentials, f on the source atoms and g on the target atoms.
///
/// They are fixed up to f + t, g − t; solvers return the pair with ⟨f|μ⟩ = ⟨g|ν⟩.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Potentials {
    /// f, one number a source atom: the first variation of W_c in μ, up to a constant.
    pub source: Vec<f64>,
    /// g, one number a target atom.
    pub target: Vec<f64>,
}

impl Potentials {
    /// ⟨f|μ⟩ + ⟨g|ν⟩ for the weights of μ and ν.
    pub fn dual(&self, a: &[f64], b: &[f64]) -> f64 {
        dot(&self.source, a) + dot(&self.target, b)
    }

    /// The same pair with ⟨f|μ⟩ = ⟨g|ν⟩.
    pub(crate) fn balanced(mut self, a: &[f64], b: &[f64]) -> Self {
        let shift = 0.5 * (dot(&self.target, b) - dot(&self.source, a));
        self.source.iter_mut().for_each(|f| *f += shift);
        self.target.iter_mut().for_each(|g| *g -= shift);
        self
    }
}

/// An optimal plan with the potentials that prove it.
///
/// For any pair with fᵢ + gⱼ ≤ c_ij + `violation` the optimum is at least `dual − violation`, because plans have mass
/// one; and it is at most `value`, the cost of the plan. So [`Transport::gap`] bounds the error of `value`, whatever
/// the solver did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Transport {
    /// Σ_ij π_ij c(xᵢ, yⱼ), the cost of the plan (no root is taken).
    pub value: f64,
    /// The plan π, sparse, with at most n + m − 1 entries.
    pub plan: Coupling,
    /// The potentials (f, g).
    pub potentials: Potentials,
    /// ⟨f|μ⟩ + ⟨g|ν⟩.
    pub dual: f64,
    /// A bound on the largest fᵢ + gⱼ − c(xᵢ, yⱼ) over all pairs; 0 if none can be positive.
    pub violation: f64,
    /// Pivots or augmentations done.
    pub iterations: usize,
    /// How the solver ended.
    pub status: Status,
}

impl Transport {
    /// `value − (dual − violation)`: how far the value can be from the optimum. Zero to round-off when solved.
    pub fn gap(&self) -> f64 {
        self.value - self.dual + self.violation
    }
}

/// Σᵢ aᵢ bᵢ with eight partial sums: less round-off than one, and the compiler can keep them in lanes.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    let (head_a, head_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = head_a.remainder().iter().zip(head_b.remainder()).map(|(a, b)| a * b).sum();
    let mut lanes = [0.0; 8];
    for (a, b) in head_a.zip(head_b) {
        for k in 0..8 {
            lanes[k] += a[k] * b[k];
        }
    }
    lanes.iter().sum::<f64>() + tail
}
