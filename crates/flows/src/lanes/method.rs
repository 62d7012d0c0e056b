//! Runge–Kutta methods unrolled over lanes: the tableaux of [`ode`](crate::ode) with every stage in a register.

use super::LaneField;
use crate::ode::{
    BOGACKI_SHAMPINE, DOP853, DORMAND_PRINCE, EULER, ErrorRule, HEUN, MIDPOINT, RK4, TSITOURAS, Tableau,
};
use measures::lanes::Real;

mod sealed {
    pub trait Sealed {}
}

/// A method of the fast path: the unit structs of this module, one for each tableau of [`METHODS`](crate::ode::METHODS).
pub trait LaneMethod: sealed::Sealed + Copy + Send + Sync + 'static {
    /// Its coefficients.
    const TABLEAU: Tableau;

    /// One step from (t, y), where the velocity is `k0`.
    #[doc(hidden)]
    fn step<R: Real, const D: usize>(
        field: &impl LaneField<D>,
        t: R,
        h: R,
        y: &[R; D],
        k0: [R; D],
    ) -> Outcome<R, D>;
}

/// What a step finds. What nobody reads is never computed: the step is inlined into the loop that takes it.
#[doc(hidden)]
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations)]
pub struct Outcome<R, const D: usize> {
    /// The new point.
    pub(super) end: [R; D],
    /// The last stage: the velocity at the new point when the method is FSAL.
    pub(super) last: [R; D],
    /// h Σ (b − b̂)_i k_i of the embedded method, or of both.
    pub(super) errors: [[R; D]; 2],
}

/// `sum` + a·k, or a·k, and nothing where a is zero: `a` is a constant, so the tests are made by the compiler.
#[inline(always)]
fn add<R: Real>(sum: Option<R>, a: f64, k: R) -> Option<R> {
    match sum {
        _ if a == 0.0 => sum,
        None => Some(k * k.num(a)),
        Some(sum) => Some(k.mul_add(k.num(a), sum)),
    }
}

/// Entry j of a row whose missing entries are zero.
const fn entry(row: &[f64], j: usize) -> f64 {
    if j < row.len() { row[j] } else { 0.0 }
}

/// The weights of the error estimates.
const fn weights(rule: ErrorRule, which: usize) -> &'static [f64] {
    match (rule, which) {
        (ErrorRule::Embedded { weights, .. }, 0) => weights,
        (ErrorRule::Blend { fifth, .. }, 0) => fifth,
        (ErrorRule::Blend { third, .. }, _) => third,
        _ => &[],
    }
}

/// Σ_j row_j k_j over the stages named, coordinate by coordinate; zero for an empty row.
macro_rules! sum {
    ($row:expr, $k:ident, $c:ident, [$($j:literal)*]) => {{
        let mut sum = None;
        $( sum = add(sum, const { entry($row, $j) }, $k[$j][$c]); )*
        sum.unwrap_or($k[0][$c].num(0.0))
    }};
}

/// The stages one after the other, each written out: a loop would keep them in memory.
macro_rules! stages {
    ($tableau:ident, $field:ident, $t:ident, $h:ident, $y:ident, $k:ident, $known:tt) => {};
    ($tableau:ident, $field:ident, $t:ident, $h:ident, $y:ident, $k:ident, [$($known:literal)*] $i:literal $($rest:literal)*) => {
        let mut point = *$y;
        for c in 0..D {
            let slope = sum!($tableau.a[$i], $k, c, [$($known)*]);
            point[c] = $h.mul_add(slope, $y[c]);
        }
        let node = const { $tableau.c[$i] };
        let at = if node == 1.0 { $t + $h } else { $h.mul_add($h.num(node), $t) };
        $k[$i] = $field.velocity(at, &point);
        stages!($tableau, $field, $t, $h, $y, $k, [$($known)* $i] $($rest)*);
    };
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $tableau:ident: [$($stage:literal)*], [$($later:literal)*];)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name;

        impl sealed::Sealed for $name {}

        impl LaneMethod for $name {
            const TABLEAU: Tableau = $tableau;

            #[inline(always)]
            #[allow(unused_variables, unused_mut)]
            fn step<R: Real, const D: usize>(
                field: &impl LaneField<D>,
                t: R,
                h: R,
                y: &[R; D],
                k0: [R; D],
            ) -> Outcome<R, D> {
                let mut k = [$({
                    let _ = $stage;
                    k0
                }),*];
                stages!($tableau, field, t, h, y, k, [0] $($later)*);
                let (mut end, mut errors) = (*y, [*y; 2]);
                for c in 0..D {
                    end[c] = h.mul_add(sum!($tableau.b, k, c, [$($stage)*]), y[c]);
                    errors[0][c] = h * sum!(weights($tableau.error, 0), k, c, [$($stage)*]);
                    errors[1][c] = h * sum!(weights($tableau.error, 1), k, c, [$($stage)*]);
                }
                Outcome { end, last: k[k.len() - 1], errors }
            }
        }
    )+};
}

methods! {
    /// Euler's method on lanes: [`EULER`].
    Euler = EULER: [0], [];
    /// The midpoint rule on lanes: [`MIDPOINT`].
    Midpoint = MIDPOINT: [0 1], [1];
    /// Heun's method on lanes: [`HEUN`].
    Heun = HEUN: [0 1], [1];
    /// The pair of Bogacki and Shampine on lanes: [`BOGACKI_SHAMPINE`].
    BogackiShampine = BOGACKI_SHAMPINE: [0 1 2 3], [1 2 3];
    /// The classical method of order four on lanes: [`RK4`].
    Rk4 = RK4: [0 1 2 3], [1 2 3];
    /// The pair of Dormand and Prince on lanes: [`DORMAND_PRINCE`].
    DormandPrince = DORMAND_PRINCE: [0 1 2 3 4 5 6], [1 2 3 4 5 6];
    /// The pair of Tsitouras on lanes: [`TSITOURAS`].
    Tsitouras = TSITOURAS: [0 1 2 3 4 5 6], [1 2 3 4 5 6];
    /// DOP853 on lanes: [`DOP853`].
    Dop853 = DOP853: [0 1 2 3 4 5 6 7 8 9 10 11], [1 2 3 4 5 6 7 8 9 10 11];
}
