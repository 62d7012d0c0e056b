//! The pair of Bogacki and Shampine.

use super::tableau::{DenseRule, ErrorRule, Tableau};

/// The 3(2) pair of Bogacki and Shampine: three evaluations a step, the fourth stage being the first of the next step.
///
/// P. Bogacki and L. F. Shampine, *A 3(2) pair of Runge–Kutta formulas*, Appl. Math. Lett. 2 (1989),
/// doi:10.1016/0893-9659(89)90079-7.
pub const BOGACKI_SHAMPINE: Tableau = Tableau {
    name: "Bogacki–Shampine 3(2)",
    order: 3,
    c: &[0.0, 0.5, 0.75, 1.0],
    a: &[&[], &[0.5], &[0.0, 0.75], &[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0]],
    b: &[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0, 0.0],
    fsal: true,
    error: ErrorRule::Embedded { weights: &[-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0], order: 2 },
    dense: DenseRule::Hermite,
};
