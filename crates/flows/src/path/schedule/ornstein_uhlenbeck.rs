//! The path of the Ornstein–Uhlenbeck process.

use super::Schedule;

/// The law of dX = −X ds + √2 dB, eq. (5) with E = ½‖x‖²: α = e^{−s}, σ² = 1 − e^{−2s}.
///
/// Its clock is s: **data at s = 0, noise at s = ∞**; with t = e^{−s} it is α = t, σ² = 1 − t². The stationary law is
/// N(0, I), of density ∝ e^{−‖x‖²/2}.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrnsteinUhlenbeck;

impl Schedule for OrnsteinUhlenbeck {
    fn name(&self) -> &'static str {
        "Ornstein–Uhlenbeck"
    }

    fn span(&self) -> (f64, f64) {
        (f64::INFINITY, 0.0)
    }

    fn alpha(&self, s: f64) -> f64 {
        (-s).exp()
    }

    fn d_alpha(&self, s: f64) -> f64 {
        -(-s).exp()
    }

    fn variance(&self, s: f64) -> f64 {
        -(-2.0 * s).exp_m1()
    }

    fn d_variance(&self, s: f64) -> f64 {
        2.0 * (-2.0 * s).exp()
    }
}
