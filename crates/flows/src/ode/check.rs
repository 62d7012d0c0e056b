//! The preconditions of a run.

use super::trajectory::{Status, Trajectory};
use crate::error::{Error, Result};
use crate::state::State;

/// Two finite, different times; at least one row; rows that are finite.
pub(crate) fn check_start(x0: &impl State, t0: f64, t1: f64) -> Result<()> {
    for (what, value) in [("t0", t0), ("t1", t1)] {
        if !value.is_finite() {
            return Err(measures::Error::Parameter { what, value, must: "finite" }.into());
        }
    }
    if t0 == t1 {
        return Err(Error::EmptyInterval { t: t0 });
    }
    if x0.rows() == 0 {
        return Err(measures::Error::TooFew { what: "particles", at_least: 1, got: 0 }.into());
    }
    match x0.finite_rows().iter().position(|finite| !finite) {
        None => Ok(()),
        Some(row) => Err(Error::Start { row }),
    }
}

/// Two finite tolerances of which none is negative and one is positive.
pub(crate) fn check_tolerances(rtol: f64, atol: f64) -> Result<()> {
    for (what, value, other) in [("rtol", rtol, atol), ("atol", atol, rtol)] {
        if !(value.is_finite() && value >= 0.0 && (value > 0.0 || other > 0.0)) {
            let must = "finite and positive (one of rtol and atol may be zero)";
            return Err(measures::Error::Parameter { what, value, must }.into());
        }
    }
    Ok(())
}

/// At least two finite times that go strictly one way.
pub(crate) fn check_mesh(mesh: &[f64]) -> Result<()> {
    if mesh.len() < 2 {
        return Err(measures::Error::TooFew { what: "mesh", at_least: 2, got: mesh.len() }.into());
    }
    measures::check_finite("mesh", mesh)?;
    let forward = mesh[1] > mesh[0];
    match mesh.windows(2).position(|w| w[0] == w[1] || (w[1] > w[0]) != forward) {
        None => Ok(()),
        Some(k) => {
            let must = "beyond the time before it, in the direction of the mesh";
            Err(measures::Error::Entry { what: "mesh", index: k + 1, value: mesh[k + 1], must }.into())
        }
    }
}

/// The mesh begins at `t0` and ends at `t1`.
pub(crate) fn check_ends(mesh: &[f64], t0: f64, t1: f64) -> Result<()> {
    for (what, t, end) in [("t0", t0, mesh[0]), ("t1", t1, mesh[mesh.len() - 1])] {
        if t != end {
            return Err(Error::Time { what, t, low: end, high: end });
        }
    }
    Ok(())
}

/// A field that refused every row before any had moved was wrong from the start.
pub(crate) fn checked<S>(mut run: Trajectory<S>, t: f64) -> Result<Trajectory<S>> {
    let stuck = run.status.iter().zip(&run.counts).all(|(s, c)| *s == Status::Field && c.accepted == 0);
    if stuck && !run.failures.is_empty() {
        return Err(Error::Field { t, source: run.failures.swap_remove(0).1 });
    }
    Ok(run)
}
