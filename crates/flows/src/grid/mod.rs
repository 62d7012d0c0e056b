//! Referees on a grid: the Fokker–Planck equation by finite volumes, and steps of its gradient flow by quantiles.
//!
//! The equation of eq. (5) is ∂_sρ = ∇·(ρ∇E + ∇ρ), with ρ∞ ∝ e^{−E}. Fluxes are those of Scharfetter and Gummel, which
//! vanish exactly at ρ∞: the matrix of rates is a Markov generator that is reversible with respect to e^{−E}, so mass is
//! conserved, densities stay positive and ρ∞ stays, all to round-off and for any step.

mod jko;
mod line;
mod plane;

pub use jko::{Jko, Quantiles};
pub use line::Line;
pub use plane::Plane;

use crate::error::Result;

/// B(z) = z / (e^z − 1), with B(0) = 1.
fn bernoulli(z: f64) -> f64 {
    if z.abs() < 1e-8 { 1.0 - 0.5 * z } else { z / z.exp_m1() }
}

/// One implicit Euler step ρ ← (1 − h A)⁻¹ ρ of a chain of cells of width `dx` with energies E, on `rho` in place.
///
/// The flux from i to i + 1 is (B(ΔE) ρ_i − B(−ΔE) ρ_{i+1}) / dx. The elimination is arranged so that every number in it is a
/// sum of positive ones (the pivots less what flows out are kept, not their differences): densities stay positive and
/// accurate at any h. What is left of round-off in the mass is scaled away.
fn implicit_step(energy: &[f64], dx: f64, h: f64, rho: &mut [f64], room: &mut Vec<f64>) {
    let (n, rate) = (rho.len(), h / (dx * dx));
    let before: f64 = rho.iter().sum();
    if before == 0.0 {
        // An empty line stays empty.
        return;
    }
    room.clear();
    // e = pivot − out; y = (ρ + out·y of the cell before) / pivot.
    let (mut excess, mut inflow) = (1.0, 0.0);
    for i in 0..n {
        let change = if i + 1 < n { energy[i + 1] - energy[i] } else { f64::INFINITY };
        let (out, back) =
            if i + 1 < n { (rate * bernoulli(change), rate * bernoulli(-change)) } else { (0.0, 0.0) };
        let pivot = excess + out;
        rho[i] = (rho[i] + inflow) / pivot;
        inflow = out * rho[i];
        room.push(back / pivot);
        excess = 1.0 + back * excess / pivot;
    }
    for i in (0..n - 1).rev() {
        rho[i] += room[i] * rho[i + 1];
    }
    let scale = before / rho.iter().sum::<f64>();
    rho.iter_mut().for_each(|r| *r *= scale);
}

/// A density per cell: not negative, finite, of mass one under cells of this volume within 1e-6, then rescaled.
fn check_density(rho: &[f64], cells: usize, volume: f64) -> Result<Vec<f64>> {
    measures::check_len("density", cells, rho.len())?;
    if let Some(index) = rho.iter().position(|r| !(r.is_finite() && *r >= 0.0)) {
        let must = "finite and not negative";
        return Err(measures::Error::Entry { what: "density", index, value: rho[index], must }.into());
    }
    let mass = rho.iter().sum::<f64>() * volume;
    if (mass - 1.0).abs() > 1e-6 {
        let must = "one, within 1e-6";
        return Err(measures::Error::Parameter { what: "mass of the density", value: mass, must }.into());
    }
    Ok(rho.iter().map(|r| r / mass).collect())
}

/// A finite interval of positive length in at least two cells.
fn check_axis(what: &'static str, (low, high): (f64, f64), cells: usize) -> Result<()> {
    for value in [low, high] {
        if !value.is_finite() {
            return Err(measures::Error::Parameter { what, value, must: "between finite ends" }.into());
        }
    }
    if low >= high {
        return Err(measures::Error::Parameter { what, value: high - low, must: "of positive length" }.into());
    }
    if cells < 2 {
        return Err(measures::Error::TooFew { what: "cells", at_least: 2, got: cells }.into());
    }
    Ok(())
}

/// KL(ρ|π) of densities per cell, with 0 log 0 = 0.
fn relative_entropy(rho: &[f64], pi: &[f64], volume: f64) -> f64 {
    let term = |(r, p): (&f64, &f64)| if *r > 0.0 { r * (r / p).ln() } else { 0.0 };
    rho.iter().zip(pi).map(term).sum::<f64>() * volume
}
