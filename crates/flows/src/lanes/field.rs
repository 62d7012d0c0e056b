//! Fields as formulas over lanes.

use crate::error::FieldError;
use crate::field::{VelocityField, check};
use crate::state::Clock;
use measures::Points;
use measures::lanes::{F64s, LaneOp, Lanes, Real, WIDTH, dispatch};

/// A field on ℝᴰ in which particles do not interact, as a formula over lanes: lane l of the answer is v_t(x) for the time
/// and the point in lane l.
///
/// Mark the implementation `#[inline(always)]`, and use no closure inside: code that is not inlined is compiled without
/// the instructions of the set. Constants are written `x[0].num(0.5)`. A NaN is an honest answer, for its lane alone.
///
/// ```
/// use flows::lanes::{LaneField, LaneOde, Tsitouras};
/// use measures::{Points, lanes::Real};
/// /// Van der Pol's oscillator.
/// struct VanDerPol(f64);
/// impl LaneField<2> for VanDerPol {
///     #[inline(always)]
///     fn velocity<R: Real>(&self, _t: R, x: &[R; 2]) -> [R; 2] {
///         let damping = x[0].num(self.0) * (x[0].num(1.0) - x[0] * x[0]);
///         [x[1], damping * x[1] - x[0]]
///     }
/// }
/// let x = Points::from_rows(&[[2.0, 0.0], [0.1, 0.0]]);
/// let run = LaneOde::adaptive(Tsitouras, 1e-9, 1e-9)?.solve(&VanDerPol(1.0), &x, 0.0, 40.0)?;
/// // Both are on the limit cycle, of amplitude 2.0086.
/// assert!(run.finished()?.rows().all(|x| x[0].hypot(x[1]) > 1.2 && x[0].abs() < 2.0087));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LaneField<const D: usize>: Sync {
    /// v_t(x).
    fn velocity<R: Real>(&self, t: R, x: &[R; D]) -> [R; D];
}

impl<const D: usize, F: LaneField<D>> LaneField<D> for &F {
    #[inline(always)]
    fn velocity<R: Real>(&self, t: R, x: &[R; D]) -> [R; D] {
        (**self).velocity(t, x)
    }
}

/// A [`LaneField`] for the general solver, in double precision, eight points at a time.
///
/// ```
/// use flows::{Clock, VelocityField, lanes::{InLanes, LaneField}};
/// use measures::{Points, lanes::Real};
/// struct Decay;
/// impl LaneField<1> for Decay {
///     #[inline(always)]
///     fn velocity<R: Real>(&self, _t: R, x: &[R; 1]) -> [R; 1] {
///         [-x[0]]
///     }
/// }
/// let (x, mut v) = (Points::from_line(vec![1.0, 2.0, 3.0]), Points::zeros(3, 1));
/// InLanes::<1, _>(Decay).velocity(Clock::Shared(0.0), &x, &mut v)?;
/// assert_eq!(v.as_slice(), [-1.0, -2.0, -3.0]);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct InLanes<const D: usize, F>(pub F);

struct Evaluate<'a, F> {
    field: &'a F,
    t: Clock<'a>,
    x: &'a [f64],
    out: &'a mut [f64],
}

/// So that the dimension is known to the [`LaneOp`].
struct In<const D: usize, O>(O);

impl<const D: usize, F: LaneField<D>> LaneOp for In<D, Evaluate<'_, F>> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Evaluate { field, t, x, out } = self.0;
        let n = x.len() / D;
        for first in (0..n).step_by(WIDTH) {
            let count = WIDTH.min(n - first);
            let point: [F64s<L>; D] = super::gather(lanes, x, first, count);
            let time = match t {
                Clock::Shared(t) => F64s::splat(lanes, t),
                Clock::Each(times) => {
                    let mut own = [times[first + count - 1]; WIDTH];
                    own[..count].copy_from_slice(&times[first..first + count]);
                    F64s::load(lanes, &own)
                }
            };
            let velocity = field.velocity(time, &point);
            for (c, v) in velocity.iter().enumerate() {
                let v = v.array();
                for l in 0..count {
                    out[(first + l) * D + c] = v[l];
                }
            }
        }
    }
}

impl<const D: usize, F: LaneField<D>> VelocityField for InLanes<D, F> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(D, t, x, out)?;
        dispatch(In::<D, _>(Evaluate { field: &self.0, t, x: x.as_slice(), out: out.as_mut_slice() }));
        Ok(())
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}
