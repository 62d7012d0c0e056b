//! Networks of a point and a time: velocities, scores, denoisers.

use crate::bridge::regression;
use crate::error::{Error, Result, check_count};
use crate::nets::mlp::first_values;
use crate::nets::{Activation, Gradient, InitScheme, Layout, Mlp, MlpConfig, Params, Pass, Unet, UnetConfig};
use crate::tensor::scalar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use tch::{Tensor, no_grad_guard};

/// How the layers are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// A multilayer perceptron of point and time side by side.
    #[default]
    Mlp,
    /// Residual blocks, into each of which an embedding of the time is added; all widths must be the same.
    Residual,
    /// A convolutional U-Net for images, as the section `unet` has it; `widths` and `init` do not count.
    Unet,
}

/// A network of a point and a time, and possibly a condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FieldConfig {
    /// How the layers are joined.
    pub architecture: Architecture,
    /// Neurons in each hidden layer, or in each residual block.
    pub widths: Vec<usize>,
    /// The non-linearity.
    pub activation: Activation,
    /// How first weights are drawn.
    pub init: InitScheme,
    /// Factor on the last layer's first weights and biases.
    pub last_scale: f64,
    /// The network sees t, and sin πkt and cos πkt for k up to this number.
    pub time_features: usize,
    /// The U-Net, where the architecture is one.
    pub unet: UnetConfig,
}

impl Default for FieldConfig {
    fn default() -> Self {
        FieldConfig {
            architecture: Architecture::Mlp,
            widths: vec![128; 3],
            activation: Activation::default(),
            init: InitScheme::default(),
            last_scale: 1.0,
            time_features: 4,
            unet: UnetConfig::default(),
        }
    }
}

/// (t, x, c) ↦ ℝᵐ, with t one number a row and c a condition (none when its dimension is zero).
#[derive(Debug, Clone)]
pub struct FieldNet {
    dim_in: usize,
    condition: usize,
    features: usize,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Mlp(Mlp),
    Unet(Unet),
    Residual {
        activation: Activation,
        enter: (usize, usize),
        embed: (usize, usize),
        blocks: Vec<[(usize, usize); 3]>,
        leave: (usize, usize),
    },
}

impl FieldNet {
    /// A network from points of ℝ^`dim_in` and conditions of ℝ^`condition` to ℝ^`dim_out`.
    ///
    /// # Errors
    /// A dimension or a width is zero, residual blocks have different widths, or the points are no images of a U-Net.
    pub fn new(
        config: &FieldConfig,
        dim_in: usize,
        condition: usize,
        dim_out: usize,
        layout: &mut Layout,
    ) -> Result<Self> {
        check_count("input dimension of the network", dim_in)?;
        check_count("output dimension of the network", dim_out)?;
        let mlp = MlpConfig {
            widths: config.widths.clone(),
            activation: config.activation,
            init: config.init,
            last_scale: config.last_scale,
            ..MlpConfig::default()
        };
        let context = 1 + 2 * config.time_features + condition;
        let body = match config.architecture {
            Architecture::Mlp => Body::Mlp(Mlp::new(&mlp, dim_in + context, dim_out, layout)?),
            Architecture::Residual => residual(&mlp, dim_in, context, dim_out, layout)?,
            Architecture::Unet => {
                let how = (config.activation, config.last_scale);
                Body::Unet(Unet::new(&config.unet, how, (dim_in, context, dim_out), layout)?)
            }
        };
        Ok(FieldNet { dim_in, condition, features: config.time_features, body })
    }

    /// The dimension of the points.
    pub fn dim_in(&self) -> usize {
        self.dim_in
    }

    /// The dimension of the conditions, zero when there are none.
    pub fn condition(&self) -> usize {
        self.condition
    }

    /// The values at the rows of `t` (n×1), `x` (n×d) and `c` (n×condition).
    ///
    /// # Panics
    /// When libtorch refuses the shapes; training and generation run under [`guard`](crate::guard).
    pub fn forward(&self, params: &Params, t: &Tensor, x: &Tensor, c: Option<&Tensor>) -> Tensor {
        let context = self.context(t, c);
        match &self.body {
            Body::Mlp(mlp) => mlp.forward(params, &FieldNet::join(x, context)),
            Body::Unet(unet) => unet.forward(params, x, &Tensor::cat(&context, 1)),
            Body::Residual { activation, enter, embed, blocks, leave } => {
                let linear = |x: &Tensor, (w, b): (usize, usize)| params.leaf(b).addmm(x, params.leaf(w));
                let embedding = activation.apply(linear(&Tensor::cat(&context, 1), *embed));
                let mut h = linear(x, *enter);
                for &[first, time, second] in blocks {
                    let inner =
                        linear(&activation.apply(h.shallow_clone() * 1.0), first) + linear(&embedding, time);
                    h += linear(&activation.apply(inner), second);
                }
                linear(&activation.apply(h), *leave)
            }
        }
    }

    /// The perceptron of point, time and condition side by side, as [`FieldNet::input`] puts them, where the network is one.
    pub(crate) fn perceptron(&self) -> Option<&Mlp> {
        match &self.body {
            Body::Mlp(mlp) => Some(mlp),
            _ => None,
        }
    }

    /// What the perceptron sees of the rows of `t`, `x` and `c`.
    pub(crate) fn input(&self, t: &Tensor, x: &Tensor, c: Option<&Tensor>) -> Tensor {
        FieldNet::join(x, self.context(t, c))
    }

    /// The derivative of [`FieldNet::input`] as t, x and c move with `dt`, `dx` and `dc`.
    pub(crate) fn input_along(
        &self,
        t: &Tensor,
        (dt, dx, dc): (&Tensor, &Tensor, Option<&Tensor>),
    ) -> Tensor {
        let mut along = vec![dx.shallow_clone(), dt.shallow_clone()];
        if self.features > 0 {
            let frequencies = frequencies(self.features, t);
            let (angles, speed) = (t * &frequencies, dt * &frequencies);
            along.extend([&speed * angles.cos(), -(speed * angles.sin())]);
        }
        along.extend(dc.map(Tensor::shallow_clone));
        Tensor::cat(&along, 1)
    }

    /// t, sin πkt and cos πkt, and the condition.
    fn context(&self, t: &Tensor, c: Option<&Tensor>) -> Vec<Tensor> {
        let mut context = vec![t.shallow_clone()];
        if self.features > 0 {
            let angles = t * frequencies(self.features, t);
            context.extend([angles.sin(), angles.cos()]);
        }
        context.extend(c.map(Tensor::shallow_clone));
        context
    }

    fn join(x: &Tensor, mut context: Vec<Tensor>) -> Tensor {
        context.insert(0, x.shallow_clone());
        Tensor::cat(&context, 1)
    }

    /// n⁻¹ Σᵢ ‖f(tᵢ, xᵢ, cᵢ) − yᵢ‖² with its gradient in the parameters, which is written over `gradient`: by a pass without
    /// a graph where the network is a perceptron, by automatic differentiation otherwise. Nothing is written when the value
    /// is not finite.
    ///
    /// # Errors
    /// libtorch refuses the shapes.
    pub fn regress(
        &self,
        params: &Params,
        (t, x, c): (&Tensor, &Tensor, Option<&Tensor>),
        y: &Tensor,
        pass: &mut Pass,
        gradient: &mut Gradient,
    ) -> Result<f64> {
        let Body::Mlp(mlp) = &self.body else {
            let loss = regression(&self.forward(params, t, x, c), y)?;
            let value = scalar(&loss)?;
            if value.is_finite() {
                gradient.take(&params.gradient(&loss, false)?)?;
            }
            return Ok(value);
        };
        let _guard = no_grad_guard();
        let said = pass.forward(mlp, params, &FieldNet::join(x, self.context(t, c)))?;
        if said.size() != y.size() {
            let expected = format!("{:?}", said.size());
            return Err(Error::Shape { what: "regression", expected, got: y.size() });
        }
        let n = y.size()[0].max(1) as f64;
        let mut gap = said.f_sub(y)?;
        let flat = gap.f_view([-1])?;
        let value = scalar(&flat.f_dot(&flat)?)? / n;
        if value.is_finite() {
            let _ = gap.f_mul_scalar_(2.0 / n)?;
            pass.backward(mlp, params, &gap, gradient, false)?;
        }
        Ok(value)
    }
}

/// π, 2π, … as a row like `t`.
pub(crate) fn frequencies(count: usize, t: &Tensor) -> Tensor {
    let frequencies: Vec<f64> = (1..=count).map(|k| PI * k as f64).collect();
    Tensor::from_slice(&frequencies).to_kind(t.kind()).to_device(t.device())
}

fn residual(
    config: &MlpConfig,
    dim_in: usize,
    context: usize,
    dim_out: usize,
    layout: &mut Layout,
) -> Result<Body> {
    let width = config.widths.first().copied().unwrap_or(0);
    if width == 0 || config.widths.iter().any(|&w| w != width) {
        let must = "one positive number, once for each residual block";
        return Err(Error::setting("widths", format!("{:?}", config.widths), must));
    }
    let mut linear = |name: &str, from: usize, to: usize, scale: f64| {
        let (weight, bias) = first_values(config, from, to, scale);
        let weight = layout.push(format!("{name}.weight"), &[from, to], weight);
        (weight, layout.push(format!("{name}.bias"), &[to], bias))
    };
    let (enter, embed) = (linear("enter", dim_in, width, 1.0), linear("embed", context, width, 1.0));
    // The sum of many blocks should not start larger than one.
    let share = 1.0 / (config.widths.len() as f64).sqrt();
    let blocks = (0..config.widths.len()).map(|k| {
        [
            linear(&format!("block{k}.first"), width, width, 1.0),
            linear(&format!("block{k}.time"), width, width, 1.0),
            linear(&format!("block{k}.second"), width, width, share),
        ]
    });
    let blocks = blocks.collect();
    let leave = linear("leave", width, dim_out, config.last_scale);
    Ok(Body::Residual { activation: config.activation, enter, embed, blocks, leave })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;
    use measures::Seed;
    use tch::{Device, Kind};

    #[test]
    fn every_input_matters_and_gradients_agree_with_differences() {
        for architecture in [Architecture::Mlp, Architecture::Residual] {
            for activation in [Activation::Silu, Activation::Tanh, Activation::Relu] {
                let config =
                    FieldConfig { architecture, activation, widths: vec![6, 6], ..FieldConfig::default() };
                let mut layout = Layout::default();
                let net = FieldNet::new(&config, 2, 1, 3, &mut layout).unwrap();
                let params = Params::init(layout, Seed::new(4), Kind::Double, Device::Cpu).unwrap();
                let input = [0.3, 0.5, -1.0, 0.8];
                let at = |v: &[f64]| {
                    let v = Tensor::from_slice(v).view([1, 4]);
                    let part = |start, len| v.narrow(1, start, len);
                    net.forward(&params, &part(0, 1), &part(1, 2), Some(&part(3, 1)))
                };
                let v = Tensor::from_slice(&input).view([1, 4]).set_requires_grad(true);
                let part = |start, len| v.narrow(1, start, len);
                let out = net.forward(&params, &part(0, 1), &part(1, 2), Some(&part(3, 1)));
                assert_eq!(out.size(), [1, 3]);
                let gradient = Tensor::run_backward(&[out.square().sum(Kind::Double)], &[&v], false, false);
                let gradient = values(&gradient[0]).unwrap();
                for k in 0..4 {
                    let moved = |h: f64| {
                        let mut v = input;
                        v[k] += h;
                        at(&v).square().sum(Kind::Double).double_value(&[])
                    };
                    let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    assert!(gradient[k] != 0.0, "{config:?} {k}");
                    assert!((difference - gradient[k]).abs() < 1e-7, "{config:?} {k}: {difference}");
                }
            }
        }
        refuses_other_widths();
    }

    #[test]
    fn regressions_have_the_gradient_of_automatic_differentiation() {
        for architecture in [Architecture::Mlp, Architecture::Residual] {
            let config = FieldConfig { architecture, widths: vec![6, 6], ..FieldConfig::default() };
            let mut layout = Layout::default();
            let net = FieldNet::new(&config, 2, 1, 2, &mut layout).unwrap();
            let params = Params::init(layout, Seed::new(4), Kind::Double, Device::Cpu).unwrap();
            let v = Tensor::from_slice(&[0.3, 0.5, -1.0, 0.8, 1.0, 2.0, 0.9, -0.5, 1.5, 0.1, -2.0, 0.0])
                .view([2, 6]);
            let part = |start, len| v.narrow(1, start, len);
            let (t, x, c, y) = (part(0, 1), part(1, 2), part(3, 1), part(4, 2));
            let loss = regression(&net.forward(&params, &t, &x, Some(&c)), &y).unwrap();
            let expected = values(&params.gradient(&loss, true).unwrap()).unwrap();
            let (mut pass, mut gradient) = (Pass::default(), Gradient::zeros(&params).unwrap());
            let value = net.regress(&params, (&t, &x, Some(&c)), &y, &mut pass, &mut gradient).unwrap();
            assert!((value - scalar(&loss).unwrap()).abs() < 1e-14);
            let found = values(gradient.flat()).unwrap();
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-13), "{architecture:?}");
            assert!(net.regress(&params, (&t, &x, Some(&c)), &c, &mut pass, &mut gradient).is_err());
        }
    }

    fn refuses_other_widths() {
        let bad = FieldConfig {
            architecture: Architecture::Residual,
            widths: vec![6, 5],
            ..FieldConfig::default()
        };
        assert!(FieldNet::new(&bad, 2, 0, 2, &mut Layout::default()).is_err());
    }
}
