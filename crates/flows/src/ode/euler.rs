//! Euler's method.

use super::tableau::{DenseRule, ErrorRule, Tableau};

/// Euler's method, of order 1: one evaluation a step.
///
/// L. Euler, *Institutiones calculi integralis* I (1768), §650.
pub const EULER: Tableau = Tableau {
    name: "Euler",
    order: 1,
    c: &[0.0],
    a: &[&[]],
    b: &[1.0],
    fsal: false,
    error: ErrorRule::None,
    dense: DenseRule::Hermite,
};
