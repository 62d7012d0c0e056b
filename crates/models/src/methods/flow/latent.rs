//! Latent noise on a path, in a clock in which it is smooth.

use crate::bridge::regression;
use crate::error::Result;
use crate::generators::FlowModel;
use crate::method::Moment;
use crate::methods::flow::path::Coefficients;
use crate::optim::Adam;
use crate::tensor::scalar;
use std::f64::consts::PI;
use tch::{Device, Kind, Tensor};

/// The latent noise γz of an interpolant, γ = a√(t(1 − t)), in the clock u with t = sin²(½πu).
///
/// In t the noise begins and ends like √t, and velocities are infinite there. In u it is γ = ½a sin πu: everything is smooth, and
/// no part of the path need be cut off. The diffusion of variance a² a unit of t is one of variance a² dt/du a unit of u.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Latent {
    amplitude: f64,
}

impl Latent {
    pub(crate) fn new(amplitude: f64) -> Self {
        Latent { amplitude }
    }

    /// t.
    pub(crate) fn time(u: f64) -> f64 {
        (0.5 * PI * u).sin().powi(2)
    }

    /// dt/du.
    pub(crate) fn rate(u: f64) -> f64 {
        0.5 * PI * (PI * u).sin()
    }

    /// γ.
    pub(crate) fn gamma(self, u: f64) -> f64 {
        0.5 * self.amplitude * (PI * u).sin()
    }

    /// dγ/du.
    pub(crate) fn d_gamma(self, u: f64) -> f64 {
        0.5 * PI * self.amplitude * (PI * u).cos()
    }

    /// ε = ½a² dt/du: half the variance a unit of u of the reference diffusion.
    pub(crate) fn diffusion(self, u: f64) -> f64 {
        0.5 * self.amplitude.powi(2) * Latent::rate(u)
    }

    /// ε/γ, the factor on −E[z | x] in ε∇log ρ: constant, since both vanish alike at the ends.
    pub(crate) fn pull(self, _: f64) -> f64 {
        0.5 * PI * self.amplitude
    }

    /// A coefficient at the times of n rows, n×1.
    pub(crate) fn column(
        self,
        u: &[f64],
        kind: Kind,
        device: Device,
        of: impl Fn(Latent, f64) -> f64,
    ) -> Result<Tensor> {
        let values: Vec<f64> = u.iter().map(|&u| of(self, u)).collect();
        Ok(Tensor::f_from_slice(&values)?.f_to_kind(kind)?.f_to_device(device)?.f_view([-1, 1])?)
    }
}

/// What the two networks of a model with latent noise miss on pairs (x₀, x₁) at the times `u` of its clock: the mean square of
/// ∂I/∂u less the first one's answer, and of z less the second one's, at x = I + γz.
///
/// The velocity E[∂I/∂u + γ̇z | x] is learned in these two parts: neither has the large factor γ̇ in what is regressed.
pub(crate) fn residuals(
    model: &FlowModel,
    u: &[f64],
    x0: &Tensor,
    x1: &Tensor,
    z: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (kind, device) = model.params.options();
    let latent = model.latent().unwrap_or(Latent::new(0.0));
    let column = |of: fn(Latent, f64) -> f64| latent.column(u, kind, device, of);
    let times: Vec<f64> = u.iter().map(|&u| Latent::time(u)).collect();
    let c = Coefficients::at(model.schedule(), &times, kind, device)?;
    let x = x1 * &c.alpha + x0 * &c.sigma + z * column(Latent::gamma)?;
    let slope = (x1 * &c.d_alpha + x0 * &c.d_sigma) * column(|_, u| Latent::rate(u))?;
    Ok((regression(&model.forward(u, &x)?, &slope)?, regression(&model.latent_noise(u, &x)?, z)?))
}

/// A step down both regressions of [`residuals`], unless one of them is not finite; returns their sum.
pub(crate) fn descend(
    model: &mut FlowModel,
    (adam, denoiser_adam): (&mut Adam, &mut Option<Adam>),
    (slope, noise): (&Tensor, &Tensor),
    at: &Moment,
) -> Result<f64> {
    let value = scalar(slope)? + scalar(noise)?;
    if value.is_finite() {
        adam.step(&mut model.params, slope, at.step, at.steps)?;
        if let (Some(params), Some(adam)) = (&mut model.denoiser, denoiser_adam) {
            adam.step(params, noise, at.step, at.steps)?;
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_turns_roots_into_sines() {
        let (latent, h) = (Latent::new(1.3), 1e-6);
        for u in [0.05, 0.3, 0.5, 0.8, 0.99] {
            let t = Latent::time(u);
            assert!((latent.gamma(u) - 1.3 * (t * (1.0 - t)).sqrt()).abs() < 1e-14);
            let slope = |f: &dyn Fn(f64) -> f64| (f(u + h) - f(u - h)) / (2.0 * h);
            assert!((slope(&Latent::time) - Latent::rate(u)).abs() < 1e-8);
            assert!((slope(&|u| latent.gamma(u)) - latent.d_gamma(u)).abs() < 1e-8);
            assert!((latent.diffusion(u) / latent.gamma(u) - latent.pull(u)).abs() < 1e-12);
        }
        assert_eq!((latent.gamma(0.0), Latent::time(0.0), Latent::time(1.0)), (0.0, 0.0, 1.0));
    }
}
