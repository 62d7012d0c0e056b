//! How long each method trains, and how near its target it must come.

use super::yardstick::Bar;

/// The bar of flows and of one-step maps that follow a plan or a drift.
pub(super) const STRICT: Bar = Bar::times(2.0);
/// The bar of learned critics, of statistics without a plan, and of densities.
pub(super) const MIDDLE: Bar = Bar::times(4.0);
/// The bar of methods that maximise a bound, or sample by a chain of finite length.
const WIDE: Bar = Bar::times(8.0);

/// What is known of a method before it is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Recipe {
    /// Steps that fit into three minutes on two cores.
    pub(super) steps: u64,
    /// How many times the floors its figures may be.
    pub(super) bar: Bar,
}

impl Recipe {
    /// The recipe of a method; a method that is not listed has the steps of a light one and the strict bar.
    pub(super) fn of(method: &str) -> Self {
        let (steps, bar) = match method {
            "gan" | "wgan" | "mmd_gan" => (12_000, MIDDLE),
            "d2" | "characteristic" | "mmd" | "energy" | "sliced" => (10_000, MIDDLE),
            "realnvp" | "autoregressive" => (8000, MIDDLE),
            "transport" => (8000, STRICT),
            "drift" | "annealed" => (24_000, STRICT),
            "spline" | "fgan" => (6000, MIDDLE),
            "noise_denoise" => (4000, MIDDLE),
            "cnf" => (2000, MIDDLE),
            "vae" | "energy_model" => (8000, WIDE),
            "iwae" => (3000, WIDE),
            "sinkhorn" => (6000, STRICT),
            "diffusion" | "interpolant" | "rectified" | "distill" | "consistency" | "mean_flow" => {
                (20_000, STRICT)
            }
            _ => (10_000, STRICT),
        };
        Recipe { steps, bar }
    }
}
