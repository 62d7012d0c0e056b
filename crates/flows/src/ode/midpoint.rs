//! The explicit midpoint rule.

use super::tableau::{DenseRule, ErrorRule, Tableau};

/// The explicit midpoint rule, of order 2, with Euler's method embedded: two evaluations a step.
///
/// C. Runge, *Über die numerische Auflösung von Differentialgleichungen*, Math. Ann. 46 (1895),
/// doi:10.1007/BF01446807.
pub const MIDPOINT: Tableau = Tableau {
    name: "midpoint",
    order: 2,
    c: &[0.0, 0.5],
    a: &[&[], &[0.5]],
    b: &[0.0, 1.0],
    fsal: false,
    error: ErrorRule::Embedded { weights: &[-1.0, 1.0], order: 1 },
    dense: DenseRule::Hermite,
};
