//! Forward and backward passes of a perceptron without a graph.
//!
//! A small network spends most of a training step on bookkeeping: nodes of a graph, tensors made and freed, gradients of
//! each layer joined. For a perceptron the chain rule is a few lines, so it is written down here: every product goes into a
//! buffer that the next step writes over, and the gradient of each layer straight into its place in one flat tensor. What
//! is no perceptron, or is differentiated in another way, goes through automatic differentiation as before.

use crate::error::{Error, Result};
use crate::nets::mlp::{Mlp, Output, Skip};
use crate::nets::{Activation, Layout, Params};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A flat gradient with a view for every parameter of a layout.
#[derive(Debug)]
pub struct Gradient {
    flat: Tensor,
    parts: Vec<Tensor>,
}

impl Gradient {
    /// A gradient of zero for these parameters.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn zeros(params: &Params) -> Result<Self> {
        let _guard = no_grad_guard();
        Gradient::over(params.layout(), params.flat().f_zeros_like()?)
    }

    fn over(layout: &Layout, flat: Tensor) -> Result<Self> {
        let (mut parts, mut start) = (Vec::new(), 0);
        for (_, shape) in layout.entries() {
            let len: i64 = shape.iter().product();
            parts.push(flat.f_narrow(0, start, len)?.f_view(shape)?);
            start += len;
        }
        Ok(Gradient { flat, parts })
    }

    /// All of it, in the order of the parameters.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// The part of parameter number `i`.
    pub(super) fn part(&self, i: usize) -> &Tensor {
        &self.parts[i]
    }

    /// Takes what automatic differentiation found.
    ///
    /// # Errors
    /// The shapes differ.
    pub fn take(&mut self, found: &Tensor) -> Result<()> {
        let _guard = no_grad_guard();
        self.flat.f_copy_(found)?;
        Ok(())
    }
}

/// What a forward pass leaves for the backward pass, in buffers that are kept from step to step.
///
/// It is no state of training: a fresh one gives the same numbers. What [`Pass::forward`] returns lies in one of the
/// buffers, so it holds until the next call.
#[derive(Debug, Default)]
pub struct Pass {
    /// Rows, kind and device that the buffers are made for.
    made_for: Option<(i64, Kind, Device)>,
    /// The input, and the output before its transform.
    ends: Option<(Tensor, Tensor)>,
    /// Layer by layer: weighted sums z, values a(z) of all but the last, and the slopes of the loss in z.
    sums: Vec<Tensor>,
    values: Vec<Tensor>,
    slopes: Vec<Tensor>,
    /// Slopes in the values, before the activation's derivative.
    outer: Vec<Tensor>,
    /// The slopes that a penalty on input gradients sends through the layers.
    tangents: Vec<Tensor>,
}

impl Pass {
    /// The layers' outputs at the rows of `x` (n×`dim_in`), which are kept for [`Pass::backward`], as n×`dim_out`.
    ///
    /// # Errors
    /// libtorch refuses the shapes or the memory.
    pub fn forward(&mut self, net: &Mlp, params: &Params, x: &Tensor) -> Result<Tensor> {
        let _guard = no_grad_guard();
        self.fit(net, params, x)?;
        let last = net.layers.len() - 1;
        for (k, &(weight, bias)) in net.layers.iter().enumerate() {
            let from = if k == 0 { x } else { &self.values[k - 1] };
            let _ = params.leaf(bias).f_addmm_out(&self.sums[k], from, params.leaf(weight))?;
            if k < last {
                net.config.activation.apply_out(&self.sums[k], &self.values[k])?;
            }
        }
        let mut out = self.sums[last].shallow_clone();
        if net.config.skip == Skip::Identity {
            out = out.f_add(&net.embed(x))?;
        }
        let finished = net.finish(out.shallow_clone(), params);
        self.ends = Some((x.shallow_clone(), out));
        Ok(finished)
    }

    /// The gradient of a loss in the parameters, written over `gradient` (or added to it, when `add` is set), from its
    /// gradient `d_out` in the outputs (n×`dim_out`) of the last [`Pass::forward`] with the same network.
    ///
    /// # Errors
    /// The shapes differ, or the output transform cannot be undone here.
    pub fn backward(
        &mut self,
        net: &Mlp,
        params: &Params,
        d_out: &Tensor,
        gradient: &mut Gradient,
        add: bool,
    ) -> Result<()> {
        let _guard = no_grad_guard();
        let mut slope = self.enter(net, d_out)?;
        for k in (0..net.layers.len()).rev() {
            let (weight, bias) = net.layers[k];
            let from = if k == 0 { &self.ends()?.0 } else { &self.values[k - 1] };
            let (into, into_bias) = (gradient.part(weight), gradient.part(bias));
            if add {
                let _ = into.shallow_clone().f_addmm_(&from.tr(), &slope)?;
                let _ = into_bias.shallow_clone().f_add_(&slope.f_sum_dim_intlist(0, false, None)?)?;
            } else {
                let _ = from.tr().f_mm_out(into, &slope)?;
                let _ = slope.f_sum_intlist_out(into_bias, 0, false, None)?;
            }
            if k > 0 {
                slope = self.descend(net, params, k, &slope)?;
            }
        }
        Ok(())
    }

    /// The gradient of a loss in the inputs, n×`dim_in`, from its gradient in the outputs.
    ///
    /// # Errors
    /// As [`Pass::backward`].
    pub fn input_gradient(&mut self, net: &Mlp, params: &Params, d_out: &Tensor) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let entered = self.enter(net, d_out)?;
        let mut slope = entered.shallow_clone();
        for k in (1..net.layers.len()).rev() {
            slope = self.descend(net, params, k, &slope)?;
        }
        let through = slope.f_mm(&params.leaf(net.layers[0].0).tr())?;
        match net.config.skip {
            Skip::None => Ok(through),
            Skip::Identity => {
                let reaches = net.dim_in().min(net.dim_out()) as i64;
                let _ = through.narrow(1, 0, reaches).f_add_(&entered.narrow(1, 0, reaches))?;
                Ok(through)
            }
        }
    }

    /// The gradient of Σᵢ cᵢ D(xᵢ) + P(∇D(x₁), …) in the parameters of a critic D, written over `gradient`, and the value of
    /// P; `c` is n×1, the points are those of the last [`Pass::forward`], and `penalty` says the value of P and its gradient in
    /// the n×`dim_in` slopes it is given ([`square_penalty`]).
    ///
    /// With q_k the slope of D in the sums of layer k, and t_k what P's gradient in ∇D = q₀W₀ᵀ becomes on its way up,
    /// t₀ = P′(∇D), t_{k+1} = (t_k W_k) ∘ a′, the gradient in W_k is (c ∘ h_{k−1} + t_k)ᵀ q_k: one product a layer,
    /// where differentiating twice takes several. It holds where a″ = 0, so for piecewise linear activations.
    ///
    /// # Errors
    /// The network is none of [`Pass::can_penalise`], or libtorch refuses the shapes.
    pub fn penalised_backward(
        &mut self,
        net: &Mlp,
        params: &Params,
        c: &Tensor,
        penalty: impl FnOnce(&Tensor) -> Result<(f64, Tensor)>,
        gradient: &mut Gradient,
    ) -> Result<f64> {
        if !Pass::can_penalise(net) {
            let why = "it needs one output, no skip connection and a piecewise linear activation";
            return Err(Error::Undefined { what: "a penalty without a graph", why });
        }
        let _guard = no_grad_guard();
        let last = net.layers.len() - 1;
        let ones = c.f_ones_like()?;
        let mut slope = ones.shallow_clone();
        for k in (1..=last).rev() {
            slope = self.descend(net, params, k, &slope)?;
        }
        let g = slope.f_mm(&params.leaf(net.layers[0].0).tr())?;
        let (value, mut tangent) = penalty(&g)?;
        for k in 0..=last {
            let (weight, bias) = net.layers[k];
            let from = if k == 0 { &self.ends()?.0 } else { &self.values[k - 1] };
            let slope = if k == last { &ones } else { &self.slopes[k] };
            // The tangent goes on before the gradient of this layer is added to it.
            if k < last {
                let _ = tangent.f_mm_out(&self.outer[k], params.leaf(weight))?;
            }
            let joined = tangent.f_addcmul_(from, c)?;
            let _ = joined.tr().f_mm_out(gradient.part(weight), slope)?;
            let _ = slope.tr().f_mm_out(&gradient.part(bias).view([-1, 1]), c)?;
            if k < last {
                let out = &self.tangents[k];
                net.config.activation.pull_out(&self.outer[k], &self.sums[k], &self.values[k], out)?;
                tangent = out.shallow_clone();
            }
        }
        Ok(value)
    }

    /// Whether [`Pass::penalised_backward`] knows the network: one output, nothing added to it, piecewise linear.
    pub fn can_penalise(net: &Mlp) -> bool {
        let straight = matches!(net.config.activation, Activation::Relu | Activation::LeakyRelu);
        straight
            && net.dim_out() == 1
            && net.config.skip == Skip::None
            && net.config.output == Output::Identity {}
    }

    fn ends(&self) -> Result<&(Tensor, Tensor)> {
        self.ends
            .as_ref()
            .ok_or(Error::Undefined { what: "a backward pass", why: "there was no forward pass" })
    }

    /// Slopes in the sums of the last layer.
    fn enter(&self, net: &Mlp, d_out: &Tensor) -> Result<Tensor> {
        let raw = &self.ends()?.1;
        Ok(match &net.config.output {
            Output::Identity {} => d_out.shallow_clone(),
            Output::Affine { scale, .. } => {
                let scale = Tensor::f_from_slice(scale)?.f_to_kind(raw.kind())?.f_to_device(raw.device())?;
                d_out.f_mul(&scale)?
            }
            Output::Sigmoid {} => Tensor::f_sigmoid_backward(d_out, &raw.f_sigmoid()?)?,
            Output::Tanh {} => Tensor::f_tanh_backward(d_out, &raw.f_tanh()?)?,
        })
    }

    /// From slopes in the sums of layer `k` to those of the layer before.
    fn descend(&mut self, net: &Mlp, params: &Params, k: usize, slope: &Tensor) -> Result<Tensor> {
        let (below, out) = (k - 1, &self.slopes[k - 1]);
        let _ = slope.f_mm_out(&self.outer[below], &params.leaf(net.layers[k].0).tr())?;
        net.config.activation.pull_out(&self.outer[below], &self.sums[below], &self.values[below], out)?;
        Ok(out.shallow_clone())
    }

    /// Makes the buffers, or keeps them when they fit.
    fn fit(&mut self, net: &Mlp, params: &Params, x: &Tensor) -> Result<()> {
        let (kind, device) = params.options();
        let (rows, d) = crate::tensor::shape2("input of the network", x)?;
        if d != net.dim_in() {
            let expected = format!("n×{}", net.dim_in());
            return Err(Error::Shape { what: "input of the network", expected, got: x.size() });
        }
        let wanted = Some((rows as i64, kind, device));
        let widths: Vec<i64> = net.layers.iter().map(|&(_, bias)| params.leaf(bias).size()[0]).collect();
        let fits = self.sums.iter().map(|s| s.size()[1]).eq(widths.iter().copied());
        if self.made_for == wanted && fits {
            return Ok(());
        }
        let buffers = |widths: &[i64]| -> Result<Vec<Tensor>> {
            let make = |&width: &i64| Ok(Tensor::f_empty([rows as i64, width], (kind, device))?);
            widths.iter().map(make).collect()
        };
        let hidden = &widths[..widths.len() - 1];
        self.sums = buffers(&widths)?;
        self.values = buffers(hidden)?;
        self.slopes = buffers(hidden)?;
        self.outer = buffers(hidden)?;
        self.tangents = buffers(hidden)?;
        self.made_for = wanted;
        Ok(())
    }
}

/// ½ Σᵢ wᵢ ‖gᵢ‖² of slopes g (n×d) with weights w (n×1), and its gradient wg.
///
/// # Errors
/// The shapes differ.
pub fn square_penalty(g: &Tensor, w: &Tensor) -> Result<(f64, Tensor)> {
    let gradient = g.f_mul(w)?;
    Ok((0.5 * g.f_mul(&gradient)?.f_sum(Kind::Double)?.f_double_value(&[])?, gradient))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::MlpConfig;
    use crate::nets::testing::{distance, matrix};
    use crate::tensor::scalar;
    use measures::Seed;

    fn net(config: &MlpConfig, dims: (usize, usize)) -> (Mlp, Params) {
        let mut layout = Layout::default();
        let net = Mlp::new(config, dims.0, dims.1, &mut layout).unwrap();
        (net, Params::init(layout, Seed::new(5), Kind::Double, Device::Cpu).unwrap())
    }

    /// Automatic differentiation of the same network is the referee, for every activation, skip and output.
    #[test]
    fn passes_agree_with_automatic_differentiation() {
        use Activation::{Elu, Gelu, LeakyRelu, Relu, Selu, Silu, Softplus, Tanh};
        let affine = Output::Affine { scale: vec![2.0, -0.5], shift: vec![0.3, 1.0] };
        let outputs = [Output::Identity {}, Output::Sigmoid {}, Output::Tanh {}, affine];
        for activation in [Relu, LeakyRelu, Silu, Gelu, Tanh, Selu, Elu, Softplus] {
            for output in &outputs {
                for (skip, dim) in [(Skip::None, 3), (Skip::Identity, 3), (Skip::Identity, 1)] {
                    let config = MlpConfig {
                        widths: vec![6, 5],
                        activation,
                        skip,
                        output: output.clone(),
                        ..MlpConfig::default()
                    };
                    let (net, params) = net(&config, (dim, 2));
                    let mut pass = Pass::default();
                    let mut gradient = Gradient::zeros(&params).unwrap();
                    // a second size makes the buffers anew
                    for rows in [7, 4] {
                        let x = matrix(rows, dim as i64, 1).set_requires_grad(true);
                        let out = net.forward(&params, &x);
                        let loss = (&out * matrix(rows, 2, 2)).sum(Kind::Double);
                        let expected = params.gradient(&loss, true).unwrap();
                        let in_x = Tensor::run_backward(&[&loss], &[&x], false, false).remove(0);
                        let d_out = matrix(rows, 2, 2);
                        let ours = pass.forward(&net, &params, &x.detach()).unwrap();
                        assert!(distance(&ours, &out) < 1e-14, "{config:?}");
                        pass.backward(&net, &params, &d_out, &mut gradient, false).unwrap();
                        assert!(distance(gradient.flat(), &expected) < 1e-13, "{config:?}");
                        let found = pass.input_gradient(&net, &params, &d_out).unwrap();
                        assert!(distance(&found, &in_x) < 1e-13, "{config:?}");
                        pass.backward(&net, &params, &d_out, &mut gradient, true).unwrap();
                        assert!(distance(gradient.flat(), &(expected * 2.0)) < 1e-13, "{config:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn penalties_agree_with_differentiating_twice() {
        for (activation, widths) in [
            (Activation::LeakyRelu, vec![6, 5, 4]),
            (Activation::Relu, vec![7]),
            (Activation::LeakyRelu, vec![]),
        ] {
            let (net, params) = net(&MlpConfig { widths, activation, ..MlpConfig::default() }, (2, 1));
            let (x, c, w) = (matrix(9, 2, 3), matrix(9, 1, 4), matrix(9, 1, 5).abs());
            let y = x.detach().set_requires_grad(true);
            let value = net.forward(&params, &y);
            let slope = Tensor::run_backward(&[value.sum(Kind::Double)], &[&y], true, true).remove(0);
            let penalty = (slope.square() * &w).sum(Kind::Double) * 0.5;
            let expected = params.gradient(&((&value * &c).sum(Kind::Double) + &penalty), false).unwrap();
            let (mut pass, mut gradient) = (Pass::default(), Gradient::zeros(&params).unwrap());
            let _ = pass.forward(&net, &params, &x).unwrap();
            let found =
                pass.penalised_backward(&net, &params, &c, |g| square_penalty(g, &w), &mut gradient).unwrap();
            assert!((found - scalar(&penalty).unwrap()).abs() < 1e-13);
            assert!(distance(gradient.flat(), &expected) < 1e-13);
        }
        let (smooth, params) = net(&MlpConfig { widths: vec![3], ..MlpConfig::default() }, (2, 1));
        let mut gradient = Gradient::zeros(&params).unwrap();
        let one = matrix(1, 1, 1);
        let penalty = |g: &Tensor| square_penalty(g, &one);
        let refused = Pass::default().penalised_backward(&smooth, &params, &one, penalty, &mut gradient);
        assert!(matches!(refused, Err(Error::Undefined { .. })));
    }

    #[test]
    fn a_backward_pass_needs_a_forward_pass_and_shapes_are_checked() {
        let (net, params) = net(&MlpConfig { widths: vec![3], ..MlpConfig::default() }, (2, 1));
        let mut gradient = Gradient::zeros(&params).unwrap();
        let mut pass = Pass::default();
        assert!(pass.backward(&net, &params, &matrix(1, 1, 1), &mut gradient, false).is_err());
        let error = pass.forward(&net, &params, &matrix(4, 3, 1)).unwrap_err().to_string();
        assert!(error.contains("n×2"), "{error}");
    }
}
