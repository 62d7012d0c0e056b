//! Values of a perceptron with their derivatives along directions, and the gradient of any function of both, without a graph.
//!
//! Differentiating twice by a graph costs a backward pass for every direction and another through all of them. Forward mode
//! needs one product a layer for values and derivatives together, rows under rows, and so does the way back.

use crate::error::{Error, Result};
use crate::nets::mlp::{Mlp, Output, Skip};
use crate::nets::{Gradient, Params};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// What [`Jet::forward`] leaves for [`Jet::backward`], in buffers that are kept from step to step.
///
/// It is no state of training: a fresh one gives the same numbers.
#[derive(Debug, Default)]
pub(crate) struct Jet {
    /// Points, rows in all, kind and device that the buffers are made for.
    made_for: Option<(i64, i64, Kind, Device)>,
    input: Option<Tensor>,
    /// Layer by layer, rows under rows: weighted sums z over their derivatives, and values a(z) over theirs (all but the last).
    sums: Vec<Tensor>,
    values: Vec<Tensor>,
    /// a′(z) and a″(z) at the points.
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    /// Slopes of a loss in the sums and in the values.
    slopes: Vec<Tensor>,
    outer: Vec<Tensor>,
}

impl Jet {
    /// Whether the network is one whose derivatives are written down here: layers and nothing around them.
    pub(crate) fn knows(net: &Mlp) -> bool {
        net.config.skip == Skip::None && net.config.output == Output::Identity {}
    }

    /// f(xᵢ) and Df(xᵢ)·uᵢ for each direction u: `input` holds the n points, under them n rows for each direction, and so does
    /// the result, which lies in a buffer and holds until the next call.
    ///
    /// # Errors
    /// The network is none that [`Jet::knows`], the rows are no multiple of `n`, or libtorch refuses.
    pub(crate) fn forward(&mut self, net: &Mlp, params: &Params, input: &Tensor, n: usize) -> Result<Tensor> {
        if !Jet::knows(net) {
            let why = "it needs a perceptron without skip connection and output transform";
            return Err(Error::Undefined { what: "a derivative without a graph", why });
        }
        let _guard = no_grad_guard();
        let n = n as i64;
        self.fit(net, params, input, n)?;
        let last = net.layers.len() - 1;
        for (k, &(weight, bias)) in net.layers.iter().enumerate() {
            let from = if k == 0 { input } else { &self.values[k - 1] };
            let _ = from.f_mm_out(&self.sums[k], params.leaf(weight))?;
            let z = self.sums[k].f_narrow(0, 0, n)?.f_add_(params.leaf(bias))?;
            if k < last {
                let a = self.values[k].f_narrow(0, 0, n)?;
                net.config.activation.apply_out(&z, &a)?;
                let (first, second) = net.config.activation.slopes(&z, &a)?;
                let _ = under(&self.sums[k], n)?.f_mul_out(&under(&self.values[k], n)?, &first)?;
                (self.first[k], self.second[k]) = (first, second);
            }
        }
        self.input = Some(input.shallow_clone());
        Ok(self.sums[last].shallow_clone())
    }

    /// What [`Jet::forward`] returned last.
    ///
    /// # Panics
    /// When there was no forward pass.
    pub(crate) fn said(&self) -> &Tensor {
        self.sums.last().expect("a network has a layer, and so has a jet after its forward pass")
    }

    /// The gradient in the parameters of a function of what [`Jet::forward`] returned, from its gradient `d_out` there; it is
    /// added to `gradient` when `add` is set and written over it otherwise. A `d_out` of n rows says that the function looks
    /// at the values alone. Returned is the gradient in the rows of `input`, as many as those of `d_out`.
    ///
    /// # Errors
    /// There was no forward pass, or the shapes differ.
    pub(crate) fn backward(
        &self,
        net: &Mlp,
        params: &Params,
        d_out: &Tensor,
        gradient: &mut Gradient,
        add: bool,
    ) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let (Some(input), Some((n, rows, ..))) = (&self.input, self.made_for) else {
            return Err(Error::Undefined { what: "a backward pass", why: "there was no forward pass" });
        };
        let along = d_out.size()[0];
        if along != n && along != rows {
            let expected = format!("{n} or {rows} rows");
            return Err(Error::Shape { what: "gradient of the output", expected, got: d_out.size() });
        }
        let mut slope = d_out.shallow_clone();
        for k in (0..net.layers.len()).rev() {
            let (weight, bias) = net.layers[k];
            let from = if k == 0 { input } else { &self.values[k - 1] }.f_narrow(0, 0, along)?;
            let (into, into_bias) = (gradient.part(weight), gradient.part(bias));
            let of_points = slope.f_narrow(0, 0, n)?;
            if add {
                let _ = into.shallow_clone().f_addmm_(&from.tr(), &slope)?;
                let _ = into_bias.shallow_clone().f_add_(&of_points.f_sum_dim_intlist(0, false, None)?)?;
            } else {
                let _ = from.tr().f_mm_out(into, &slope)?;
                let _ = of_points.f_sum_intlist_out(into_bias, 0, false, None)?;
            }
            if k == 0 {
                break;
            }
            let (outer, below) =
                (self.outer[k - 1].f_narrow(0, 0, along)?, self.slopes[k - 1].f_narrow(0, 0, along)?);
            let _ = slope.f_mm_out(&outer, &params.leaf(weight).tr())?;
            let (first, second) = (&self.first[k - 1], &self.second[k - 1]);
            // ẑ = ĥ a′ + Σ_u t̂_u ∘ p_u ∘ a″ and p̂_u = t̂_u ∘ a′, with p the derivatives of the sums and t those of the values.
            let mut of_sums = outer.f_narrow(0, 0, n)?.f_mul_out(&below.f_narrow(0, 0, n)?, first)?;
            if along > n {
                let t = under(&outer, n)?;
                let _ = t.f_mul_out(&under(&below, n)?, first)?;
                let bent = t.f_mul(&under(&self.sums[k - 1], n)?)?.f_sum_dim_intlist(0, false, None)?;
                let _ = of_sums.f_addcmul_(&bent, second)?;
            }
            slope = below;
        }
        Ok(slope.f_mm(&params.leaf(net.layers[0].0).tr())?)
    }

    /// Makes the buffers, or keeps them when they fit.
    fn fit(&mut self, net: &Mlp, params: &Params, input: &Tensor, n: i64) -> Result<()> {
        let (kind, device) = params.options();
        let (rows, d) = crate::tensor::shape2("input of the network", input)?;
        let rows = rows as i64;
        if d != net.dim_in() || n == 0 || rows % n != 0 {
            let expected = format!("a multiple of {n} rows of {}", net.dim_in());
            return Err(Error::Shape { what: "input of the network", expected, got: input.size() });
        }
        let wanted = Some((n, rows, kind, device));
        let widths: Vec<i64> = net.layers.iter().map(|&(_, bias)| params.leaf(bias).size()[0]).collect();
        let fits = self.sums.iter().map(|s| s.size()[1]).eq(widths.iter().copied());
        if self.made_for == wanted && fits {
            return Ok(());
        }
        let buffers = |rows: i64, widths: &[i64]| -> Result<Vec<Tensor>> {
            let make = |&width: &i64| Ok(Tensor::f_empty([rows, width], (kind, device))?);
            widths.iter().map(make).collect()
        };
        let hidden = &widths[..widths.len() - 1];
        self.sums = buffers(rows, &widths)?;
        self.values = buffers(rows, hidden)?;
        self.slopes = buffers(rows, hidden)?;
        self.outer = buffers(rows, hidden)?;
        (self.first, self.second) = (buffers(n, hidden)?, buffers(n, hidden)?);
        self.made_for = wanted;
        Ok(())
    }
}

/// What lies under the first n rows, direction by direction: k×n×w.
fn under(x: &Tensor, n: i64) -> Result<Tensor> {
    let size = x.size();
    Ok(x.f_narrow(0, n, size[0] - n)?.f_view([-1, n, size[1]])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::testing::{distance, matrix};
    use crate::nets::{Activation, Layout, MlpConfig};
    use measures::Seed;

    /// f(x), and Df(x)·u within the graph: the derivative in w of ⟨Df(x)ᵀw, u⟩.
    fn by_graph(net: &Mlp, params: &Params, x: &Tensor, directions: &[Tensor]) -> Vec<Tensor> {
        let y = net.forward(params, x);
        let mut all = vec![y.shallow_clone()];
        for u in directions {
            let w = y.zeros_like().set_requires_grad(true);
            let pulled = Tensor::run_backward(&[(&y * &w).sum(Kind::Double)], &[x], true, true).remove(0);
            all.push(Tensor::run_backward(&[(pulled * u).sum(Kind::Double)], &[&w], true, true).remove(0));
        }
        all
    }

    /// Automatic differentiation of the same network is the referee, for every activation, in values, derivatives, the
    /// gradient in the parameters and that in the input.
    #[test]
    fn jets_agree_with_differentiating_by_graph() {
        use Activation::{Elu, Gelu, LeakyRelu, Relu, Selu, Silu, Softplus, Tanh};
        for activation in [Relu, LeakyRelu, Silu, Gelu, Tanh, Selu, Elu, Softplus] {
            for widths in [vec![6, 5], vec![4], vec![]] {
                let mut layout = Layout::default();
                let config = MlpConfig { widths, activation, ..MlpConfig::default() };
                let net = Mlp::new(&config, 3, 2, &mut layout).unwrap();
                let params = Params::init(layout, Seed::new(5), Kind::Double, Device::Cpu).unwrap();
                let (mut jet, mut gradient) = (Jet::default(), Gradient::zeros(&params).unwrap());
                // A second size makes the buffers anew.
                for (n, k) in [(7, 2), (4, 1)] {
                    let x = matrix(n, 3, 1).set_requires_grad(true);
                    let directions: Vec<Tensor> = (0..k).map(|u| matrix(n, 3, 10 + u)).collect();
                    let weights = matrix(n * (k as i64 + 1), 2, 3);
                    let all = Tensor::cat(&by_graph(&net, &params, &x, &directions), 0);
                    let loss = (&all * &weights).sum(Kind::Double);
                    let expected = params.gradient(&loss, true).unwrap();
                    let in_x = Tensor::run_backward(&[&loss], &[&x], true, false).remove(0);
                    let mut rows = vec![x.detach()];
                    rows.extend(directions);
                    let input = Tensor::cat(&rows, 0);
                    let found = jet.forward(&net, &params, &input, n as usize).unwrap();
                    assert!(distance(&found, &all) < 1e-13, "{activation:?}");
                    let d_in = jet.backward(&net, &params, &weights, &mut gradient, false).unwrap();
                    assert!(distance(gradient.flat(), &expected) < 1e-12, "{activation:?}");
                    assert!(distance(&d_in.narrow(0, 0, n), &in_x) < 1e-12, "{activation:?}");
                    let _ = jet.backward(&net, &params, &weights, &mut gradient, true).unwrap();
                    assert!(distance(gradient.flat(), &(expected * 2.0)) < 1e-12, "{activation:?}");
                    // Of the values alone.
                    let top = weights.narrow(0, 0, n);
                    let loss = (net.forward(&params, &x) * &top).sum(Kind::Double);
                    let expected = params.gradient(&loss, true).unwrap();
                    let d_in = jet.backward(&net, &params, &top, &mut gradient, false).unwrap();
                    assert!(distance(gradient.flat(), &expected) < 1e-13 && d_in.size() == [n, 3]);
                }
            }
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let mut layout = Layout::default();
        let config = MlpConfig { skip: Skip::Identity, ..MlpConfig::default() };
        let skipping = Mlp::new(&config, 2, 2, &mut layout).unwrap();
        let params = Params::init(layout, Seed::new(5), Kind::Double, Device::Cpu).unwrap();
        let mut gradient = Gradient::zeros(&params).unwrap();
        let mut jet = Jet::default();
        assert!(jet.forward(&skipping, &params, &matrix(4, 2, 1), 2).is_err());
        assert!(jet.backward(&skipping, &params, &matrix(4, 2, 1), &mut gradient, false).is_err());
        let mut layout = Layout::default();
        let net = Mlp::new(&MlpConfig::default(), 2, 2, &mut layout).unwrap();
        let params = Params::init(layout, Seed::new(5), Kind::Double, Device::Cpu).unwrap();
        let refused = jet.forward(&net, &params, &matrix(5, 2, 1), 2).unwrap_err().to_string();
        assert!(refused.contains("a multiple of 2 rows of 2"), "{refused}");
        let _ = jet.forward(&net, &params, &matrix(6, 2, 1), 2).unwrap();
        assert!(jet.backward(&net, &params, &matrix(4, 2, 1), &mut gradient, false).is_err());
    }
}
