//! The multilayer perceptron.

use crate::error::{Error, Result, check_count, check_range};
use crate::nets::{Activation, Init, Layout, Params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// How first weights are drawn. Biases start at zero, except for `Torch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InitScheme {
    /// Weights and biases uniform on ±1/√(fan in): what PyTorch's `Linear` does.
    #[default]
    Torch,
    /// N(0, gain²/(fan in)), with the activation's gain (He et al. 2015, arXiv 1502.01852).
    He,
    /// N(0, 2·gain²/(fan in + fan out)) (Glorot and Bengio 2010).
    Xavier,
    /// N(0, 1/(fan in)), for `selu`.
    Lecun,
}

/// What is added to the output of the layers before the output transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Nothing.
    #[default]
    None,
    /// The input itself, padded with zeros (the embedding ξ of section 1 of the paper) or cut to the output's
    /// dimension: with small last weights the map starts near the identity.
    Identity,
}

/// What is done to the last layer's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Output {
    /// Nothing: a map onto ℝᵈ.
    Identity {},
    /// 1/(1 + e⁻ˣ), coordinate by coordinate: a map onto [0, 1]ᵈ.
    Sigmoid {},
    /// tanh: a map onto [−1, 1]ᵈ.
    Tanh {},
    /// scale · x + shift, coordinate by coordinate.
    Affine {
        /// One factor a coordinate.
        scale: Vec<f64>,
        /// One summand a coordinate.
        shift: Vec<f64>,
    },
}

impl Default for Output {
    fn default() -> Self {
        Output::Identity {}
    }
}

/// A multilayer perceptron.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Neurons in each hidden layer; none makes the map affine.
    pub widths: Vec<usize>,
    /// The non-linearity between layers.
    pub activation: Activation,
    /// How first weights are drawn.
    pub init: InitScheme,
    /// Factor on the last layer's first weights and biases; small ones start the network near its skip connection.
    pub last_scale: f64,
    /// What is added to the output of the layers.
    pub skip: Skip,
    /// What is done to the sum.
    pub output: Output,
}

impl Default for MlpConfig {
    fn default() -> Self {
        MlpConfig {
            widths: vec![64; 3],
            activation: Activation::default(),
            init: InitScheme::default(),
            last_scale: 1.0,
            skip: Skip::default(),
            output: Output::default(),
        }
    }
}

/// x ↦ output(W_L a(… a(W_1 x + b_1) …) + b_L + skip(x)), weights stored (fan in)×(fan out).
///
/// ```
/// use models::nets::{Layout, Mlp, MlpConfig, Params};
/// use models::tch::{Device, Kind, Tensor};
/// let mut layout = Layout::default();
/// let net = Mlp::new(&MlpConfig::default(), 2, 3, &mut layout)?;
/// let params = Params::init(layout, measures::Seed::new(0), Kind::Float, Device::Cpu)?;
/// let x = Tensor::zeros([5, 2], (Kind::Float, Device::Cpu));
/// assert_eq!(net.forward(&params, &x).size(), [5, 3]);
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mlp {
    pub(super) config: MlpConfig,
    dim_in: usize,
    dim_out: usize,
    /// Indices of weight and bias in the layout.
    pub(super) layers: Vec<(usize, usize)>,
}

impl Mlp {
    /// A perceptron from ℝ^`dim_in` to ℝ^`dim_out`, whose parameters are appended to `layout`.
    ///
    /// # Errors
    /// A dimension or a width is zero, or the output transform has another dimension.
    pub fn new(config: &MlpConfig, dim_in: usize, dim_out: usize, layout: &mut Layout) -> Result<Self> {
        check_count("input dimension of the network", dim_in)?;
        check_count("output dimension of the network", dim_out)?;
        check_range("last_scale", config.last_scale, 0.0.., "finite and not negative")?;
        if config.widths.contains(&0) {
            return Err(Error::setting("widths", format!("{:?}", config.widths), "positive, every one"));
        }
        if let Output::Affine { scale, shift } = &config.output {
            for (field, list) in [("output.scale", scale), ("output.shift", shift)] {
                if list.len() != dim_out || !list.iter().all(|v| v.is_finite()) {
                    let must = format!("{dim_out} finite numbers");
                    return Err(Error::setting(field, format!("{list:?}"), must));
                }
            }
        }
        let mut sizes = vec![dim_in];
        sizes.extend(&config.widths);
        sizes.push(dim_out);
        let count = sizes.len() - 1;
        let layers = sizes.windows(2).enumerate().map(|(i, pair)| {
            let last = if i + 1 == count { config.last_scale } else { 1.0 };
            let (weight, bias) = first_values(config, pair[0], pair[1], last);
            (
                layout.push(format!("layer{i}.weight"), &[pair[0], pair[1]], weight),
                layout.push(format!("layer{i}.bias"), &[pair[1]], bias),
            )
        });
        Ok(Mlp { config: config.clone(), dim_in, dim_out, layers: layers.collect() })
    }

    /// The dimension of the input.
    pub fn dim_in(&self) -> usize {
        self.dim_in
    }

    /// The dimension of the output.
    pub fn dim_out(&self) -> usize {
        self.dim_out
    }

    /// The values at the rows of `x`, n×`dim_in` to n×`dim_out`.
    ///
    /// # Panics
    /// When libtorch refuses the shapes; training and generation run under [`guard`](crate::guard).
    pub fn forward(&self, params: &Params, x: &Tensor) -> Tensor {
        self.forward_with(params, x, Tensor::shallow_clone)
    }

    /// As [`Mlp::forward`] with every weight matrix replaced by `reshape` of it, for constraints such as a spectral norm.
    pub(crate) fn forward_with(
        &self,
        params: &Params,
        x: &Tensor,
        reshape: impl Fn(&Tensor) -> Tensor,
    ) -> Tensor {
        let mut h: Option<Tensor> = None;
        for &(weight, bias) in &self.layers {
            let weight = reshape(params.leaf(weight));
            h = Some(match h {
                None => params.leaf(bias).addmm(x, &weight),
                Some(h) => params.leaf(bias).addmm(&self.config.activation.apply(h), &weight),
            });
        }
        let out = h.unwrap_or_else(|| x.shallow_clone());
        let out = match self.config.skip {
            Skip::None => out,
            Skip::Identity => out + self.embed(x),
        };
        self.finish(out, params)
    }

    /// The output transform.
    pub(super) fn finish(&self, out: Tensor, params: &Params) -> Tensor {
        match &self.config.output {
            Output::Identity {} => out,
            Output::Sigmoid {} => out.sigmoid(),
            Output::Tanh {} => out.tanh(),
            Output::Affine { scale, shift } => {
                let (kind, device) = params.options();
                let like = |list: &[f64]| Tensor::from_slice(list).to_kind(kind).to_device(device);
                out * like(scale) + like(shift)
            }
        }
    }

    /// The input, padded with zeros or cut to the output's dimension.
    pub(super) fn embed(&self, x: &Tensor) -> Tensor {
        if self.dim_in >= self.dim_out {
            return x.narrow(1, 0, self.dim_out as i64);
        }
        let missing = [x.size()[0], (self.dim_out - self.dim_in) as i64];
        Tensor::cat(&[x.shallow_clone(), Tensor::zeros(missing, (x.kind(), x.device()))], 1)
    }
}

/// How weights and biases of one layer are drawn at first.
pub(super) fn first_values(config: &MlpConfig, fan_in: usize, fan_out: usize, scale: f64) -> (Init, Init) {
    let (a, b, gain) = (fan_in as f64, fan_out as f64, config.activation.gain());
    match config.init {
        InitScheme::Torch => {
            let bound = Init::Uniform(scale / a.sqrt());
            (bound, bound)
        }
        InitScheme::He => (Init::Normal(scale * gain / a.sqrt()), Init::Constant(0.0)),
        InitScheme::Xavier => (Init::Normal(scale * gain * (2.0 / (a + b)).sqrt()), Init::Constant(0.0)),
        InitScheme::Lecun => (Init::Normal(scale / a.sqrt()), Init::Constant(0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{to_points, values};
    use measures::Seed;
    use tch::{Device, Kind};

    fn net(config: MlpConfig, dim_in: usize, dim_out: usize) -> (Mlp, Params) {
        let mut layout = Layout::default();
        let net = Mlp::new(&config, dim_in, dim_out, &mut layout).unwrap();
        (net, Params::init(layout, Seed::new(5), Kind::Double, Device::Cpu).unwrap())
    }

    #[test]
    fn forward_is_the_formula() {
        let config = MlpConfig {
            widths: vec![3],
            activation: Activation::Tanh,
            output: Output::Sigmoid {},
            ..MlpConfig::default()
        };
        let (net, params) = net(config, 2, 1);
        let x = [0.3, -1.2];
        let leaf = |i: usize| values(params.leaf(i)).unwrap();
        let (w1, b1, w2, b2) = (leaf(0), leaf(1), leaf(2), leaf(3));
        let hidden: Vec<f64> = (0..3).map(|j| (x[0] * w1[j] + x[1] * w1[3 + j] + b1[j]).tanh()).collect();
        let last: f64 = b2[0] + hidden.iter().zip(&w2).map(|(h, w)| h * w).sum::<f64>();
        let out = net.forward(&params, &Tensor::from_slice(&x).view([1, 2])).double_value(&[0, 0]);
        assert!((out - 1.0 / (1.0 + (-last).exp())).abs() < 1e-14);
    }

    #[test]
    fn skip_and_output_make_the_identity() {
        let config = MlpConfig {
            last_scale: 0.0,
            skip: Skip::Identity,
            output: Output::Affine { scale: vec![2.0, 1.0, 1.0], shift: vec![0.0, 1.0, 5.0] },
            ..MlpConfig::default()
        };
        let (net, params) = net(config.clone(), 2, 3);
        let x = Tensor::from_slice(&[0.25, -3.0]).view([1, 2]);
        assert_eq!(to_points(&net.forward(&params, &x)).unwrap().row(0), &[0.5, -2.0, 5.0]);
        let bad = |c: MlpConfig| Mlp::new(&c, 2, 2, &mut Layout::default()).unwrap_err().to_string();
        assert!(bad(config).contains("output.scale"));
        assert!(bad(MlpConfig { widths: vec![4, 0], ..MlpConfig::default() }).contains("widths = [4, 0]"));
    }

    #[test]
    fn gradients_agree_with_finite_differences_for_every_activation() {
        use Activation::{Elu, Gelu, LeakyRelu, Relu, Selu, Silu, Softplus, Tanh};
        for activation in [Relu, LeakyRelu, Silu, Gelu, Tanh, Selu, Elu, Softplus] {
            let (net, mut params) =
                net(MlpConfig { widths: vec![5, 4], activation, ..MlpConfig::default() }, 2, 2);
            let x = Tensor::from_slice(&[0.3, -1.1, 0.7, 0.2]).view([2, 2]);
            let loss = |p: &Params| net.forward(p, &x).square().sum(Kind::Double);
            let gradient = values(&params.gradient(&loss(&params), false).unwrap()).unwrap();
            for k in 0..gradient.len() {
                let mut at = |shift: f64| {
                    let _guard = tch::no_grad_guard();
                    let _ = params.flat_mut().get(k as i64).g_add_scalar_(shift);
                    let value = loss(&params).double_value(&[]);
                    let _ = params.flat_mut().get(k as i64).g_add_scalar_(-shift);
                    value
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (difference - gradient[k]).abs() < 1e-7 * (1.0 + gradient[k].abs()),
                    "{activation:?} {k}"
                );
            }
        }
    }
}
