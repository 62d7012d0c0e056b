//! The non-linearities between layers.

use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_1_SQRT_2, TAU};
use tch::Tensor;

/// λ and α of `selu` (arXiv 1706.02515).
const SELU: (f64, f64) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);

/// The non-linearity between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x for x ≥ 0, x/5 below: the critics of GANs.
    LeakyRelu,
    /// x σ(x), smooth; also called swish.
    #[default]
    Silu,
    /// x Φ(x), Φ the distribution function of N(0, 1).
    Gelu,
    /// tanh x.
    Tanh,
    /// λx for x ≥ 0, λα(eˣ − 1) below, with the constants of arXiv 1706.02515.
    Selu,
    /// x for x ≥ 0, eˣ − 1 below.
    Elu,
    /// log(1 + eˣ).
    Softplus,
}

impl Activation {
    /// The activation, entry by entry. The argument is given away, so that it may be overwritten where automatic
    /// differentiation needs the result alone.
    pub(crate) fn apply(self, mut x: Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu_(),
            Activation::LeakyRelu => x.maximum(&(&x * 0.2)),
            Activation::Silu => x.silu(),
            Activation::Gelu => x.gelu("none"),
            Activation::Tanh => x.tanh_(),
            Activation::Selu => x.selu(),
            Activation::Elu => x.elu(),
            Activation::Softplus => x.softplus(),
        }
    }

    /// The activation of `z`, written into `out`; nothing is recorded.
    pub(super) fn apply_out(self, z: &Tensor, out: &Tensor) -> Result<()> {
        let _ = match self {
            Activation::Relu => z.f_relu_out(out)?,
            // max(z, z/5) is z times the derivative of the leaky rectifier at z.
            Activation::LeakyRelu => z.f_leaky_relu_backward_grad_input(out, z, 0.2, false)?,
            Activation::Silu => z.f_silu_out(out)?,
            Activation::Gelu => z.f_gelu_out(out, "none")?,
            Activation::Tanh => z.f_tanh_out(out)?,
            Activation::Elu => z.f_elu_out(out)?,
            Activation::Softplus => z.f_softplus_out(out)?,
            Activation::Selu => {
                // There is no form of it that writes into a buffer.
                out.shallow_clone().f_copy_(&z.f_selu()?)?;
                out.shallow_clone()
            }
        };
        Ok(())
    }

    /// The slope `d` in a(z) times a′(z), written into `out`; `a` is a(z).
    pub(super) fn pull_out(self, d: &Tensor, z: &Tensor, a: &Tensor, out: &Tensor) -> Result<()> {
        let _ = match self {
            Activation::Relu => z.f_threshold_backward_grad_input(out, d, 0.0)?,
            Activation::LeakyRelu => z.f_leaky_relu_backward_grad_input(out, d, 0.2, false)?,
            Activation::Silu => z.f_silu_backward_grad_input(out, d)?,
            Activation::Gelu => z.f_gelu_backward_grad_input(out, d, "none")?,
            Activation::Tanh => Tensor::f_tanh_backward_grad_input(out, d, a)?,
            Activation::Selu => Tensor::f_elu_backward_grad_input(out, d, SELU.1, SELU.0, 1.0, false, z)?,
            Activation::Elu => Tensor::f_elu_backward_grad_input(out, d, 1.0, 1.0, 1.0, false, z)?,
            Activation::Softplus => z.f_softplus_backward_grad_input(out, d, 1.0, 20.0)?,
        };
        Ok(())
    }

    /// a′(z) and a″(z), entry by entry, where `a` is a(z); nothing is recorded. At the corners of the rectifiers a″ is zero.
    pub(super) fn slopes(self, z: &Tensor, a: &Tensor) -> Result<(Tensor, Tensor)> {
        let below = |slope: f64| -> Result<(Tensor, Tensor)> {
            let above = z.f_gt(0.0)?.f_to_kind(z.kind())?;
            Ok((above.f_mul_scalar(1.0 - slope)?.f_add_scalar(slope)?, z.f_zeros_like()?))
        };
        // λ above zero, λα eᶻ below, where a = λα(eᶻ − 1).
        let exponential = |scale: f64, alpha: f64| -> Result<(Tensor, Tensor)> {
            let positive = z.f_gt(0.0)?;
            let bent = a.f_add_scalar(scale * alpha)?;
            let first = bent.f_masked_fill(&positive, scale)?;
            Ok((first, bent.f_masked_fill(&positive, 0.0)?))
        };
        match self {
            Activation::Relu => below(0.0),
            Activation::LeakyRelu => below(0.2),
            Activation::Silu => {
                // a′ = s + a (1 − s) and a″ = s (1 − s)(2 + z (1 − 2s)), with s the logistic function of z.
                let s = z.f_sigmoid()?;
                let rest = s.f_neg()?.f_add_scalar(1.0)?;
                let bend = rest.f_sub(&s)?.f_mul(z)?.f_add_scalar_(2.0)?.f_mul_(&s)?.f_mul_(&rest)?;
                Ok((s.f_addcmul(a, &rest)?, bend))
            }
            Activation::Gelu => {
                // Φ + zφ and φ (2 − z²).
                let density =
                    z.f_square()?.f_mul_scalar_(-0.5)?.f_exp_()?.f_mul_scalar_(TAU.sqrt().recip())?;
                let below =
                    z.f_mul_scalar(FRAC_1_SQRT_2)?.f_erf_()?.f_add_scalar_(1.0)?.f_mul_scalar_(0.5)?;
                let bend = z.f_square()?.f_neg_()?.f_add_scalar_(2.0)?.f_mul_(&density)?;
                Ok((below.f_addcmul(z, &density)?, bend))
            }
            Activation::Tanh => {
                let first = a.f_square()?.f_neg_()?.f_add_scalar_(1.0)?;
                let second = a.f_mul(&first)?.f_mul_scalar_(-2.0)?;
                Ok((first, second))
            }
            Activation::Selu => exponential(SELU.0, SELU.1),
            Activation::Elu => exponential(1.0, 1.0),
            Activation::Softplus => {
                let s = z.f_sigmoid()?;
                let second = s.f_neg()?.f_add_scalar_(1.0)?.f_mul_(&s)?;
                Ok((s, second))
            }
        }
    }

    /// The gain by which the standard deviation of weights is raised to keep the variance of signals, as PyTorch's
    /// `calculate_gain` has it where it has one, √2 for the other rectifiers.
    pub(crate) fn gain(self) -> f64 {
        match self {
            Activation::Tanh => 5.0 / 3.0,
            Activation::Selu => 1.0,
            Activation::LeakyRelu => (2.0 / (1.0 + 0.04f64)).sqrt(),
            _ => std::f64::consts::SQRT_2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;

    #[test]
    fn values_are_those_of_the_formulas() {
        let at = |a: Activation| values(&a.apply(Tensor::from_slice(&[-1.0, 0.5]))).unwrap();
        let close = |a: Activation, expected: [f64; 2]| {
            let got = at(a);
            assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-12), "{a:?}: {got:?}");
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        close(Activation::Relu, [0.0, 0.5]);
        close(Activation::LeakyRelu, [-0.2, 0.5]);
        close(Activation::Silu, [-sigmoid(-1.0), 0.5 * sigmoid(0.5)]);
        close(Activation::Gelu, [-0.158_655_253_931_457_05, 0.5 * 0.691_462_461_274_013_1]);
        close(Activation::Tanh, [(-1.0f64).tanh(), 0.5f64.tanh()]);
        let (lambda, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
        close(Activation::Selu, [lambda * alpha * ((-1.0f64).exp() - 1.0), lambda * 0.5]);
        close(Activation::Elu, [(-1.0f64).exp() - 1.0, 0.5]);
        close(Activation::Softplus, [(1.0 + (-1.0f64).exp()).ln(), (1.0 + 0.5f64.exp()).ln()]);
    }
}
