//! The non-linearities between layers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

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
