//! Heun's method.

use super::tableau::{DenseRule, ErrorRule, Tableau};

/// Heun's method, the explicit trapezoidal rule, of order 2, with Euler's method embedded: two evaluations a step.
///
/// K. Heun, *Neue Methoden zur approximativen Integration der Differentialgleichungen einer unabhängigen
/// Veränderlichen*, Z. Math. Phys. 45 (1900).
pub const HEUN: Tableau = Tableau {
    name: "Heun",
    order: 2,
    c: &[0.0, 1.0],
    a: &[&[], &[1.0]],
    b: &[0.5, 0.5],
    fsal: false,
    error: ErrorRule::Embedded { weights: &[-0.5, 0.5], order: 1 },
    dense: DenseRule::Hermite,
};
