//! The classical Runge–Kutta method.

use super::tableau::{DenseRule, ErrorRule, Tableau};

/// The classical method of order 4: four evaluations a step, fixed steps only.
///
/// W. Kutta, *Beitrag zur näherungsweisen Integration totaler Differentialgleichungen*, Z. Math. Phys. 46 (1901).
pub const RK4: Tableau = Tableau {
    name: "RK4",
    order: 4,
    c: &[0.0, 0.5, 0.5, 1.0],
    a: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    b: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    fsal: false,
    error: ErrorRule::None,
    dense: DenseRule::Hermite,
};
