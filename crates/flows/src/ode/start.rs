//! The first step.

use crate::field::VelocityField;
use crate::state::{Clock, State};

/// A first step for every row from the scale of the state, its velocity and its acceleration, signed towards `t1`.
///
/// E. Hairer, S. P. Nørsett and G. Wanner, *Solving Ordinary Differential Equations I*, section II.4. One evaluation.
#[allow(clippy::too_many_arguments)]
pub(crate) fn first_steps<S: State>(
    field: &dyn VelocityField<S>,
    t0: f64,
    t1: f64,
    y: &S,
    velocity: &S,
    order: u32,
    rtol: f64,
    atol: f64,
) -> Vec<f64> {
    let span = (t1 - t0).abs();
    let scale = y.error_rows(y, y, rtol, atol);
    let speed = velocity.error_rows(y, y, rtol, atol);
    let guess = |(d0, d1): (&f64, &f64)| {
        let h = if *d0 < 1e-5 || *d1 < 1e-5 { 1e-6 * span.max(1.0) } else { 0.01 * d0 / d1 };
        // A row whose velocity is not finite ends anyway.
        if h.is_finite() { h.min(span).copysign(t1 - t0) } else { t1 - t0 }
    };
    let small: Vec<f64> = scale.iter().zip(&speed).map(guess).collect();
    let times: Vec<f64> = small.iter().map(|h| t0 + h).collect();
    let mut ahead = y.clone();
    let mut change = y.clone();
    let same = small.iter().all(|h| *h == small[0]) || !field.is_pointwise();
    if same {
        // Particles that interact take one time: that of the shortest step.
        let least = small.iter().fold(f64::INFINITY, |m, h| m.min(h.abs())).copysign(t1 - t0);
        ahead.combine(Some(y), Clock::Shared(least), &[(1.0, velocity)]);
        let _ = field.velocity(Clock::Shared(t0 + least), &ahead, &mut change);
        return finish(&vec![least; small.len()], &change, velocity, y, &speed, order, rtol, atol, span);
    }
    ahead.combine(Some(y), Clock::Each(&small), &[(1.0, velocity)]);
    let _ = field.velocity(Clock::Each(&times), &ahead, &mut change);
    finish(&small, &change, velocity, y, &speed, order, rtol, atol, span)
}

#[allow(clippy::too_many_arguments)]
fn finish<S: State>(
    small: &[f64],
    ahead: &S,
    velocity: &S,
    y: &S,
    speed: &[f64],
    order: u32,
    rtol: f64,
    atol: f64,
    span: f64,
) -> Vec<f64> {
    let mut change = y.clone();
    change.combine(None, Clock::Shared(1.0), &[(1.0, ahead), (-1.0, velocity)]);
    let change = change.error_rows(y, y, rtol, atol);
    let step = |((h, d1), d2): ((&f64, &f64), &f64)| {
        let most = d1.max(d2 / h.abs());
        let long = if most <= 1e-15 {
            (1e-6 * span.max(1.0)).max(h.abs() * 1e-3)
        } else {
            (0.01 / most).powf(1.0 / f64::from(order + 1))
        };
        let chosen = long.min(100.0 * h.abs()).min(span);
        // The probe itself may have left the domain: begin with the smaller step then.
        (if chosen.is_finite() && d2.is_finite() { chosen } else { h.abs() }).copysign(*h)
    };
    small.iter().zip(speed).zip(&change).map(step).collect()
}
