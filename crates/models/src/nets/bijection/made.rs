//! Masked networks: output i depends on the inputs before i alone.

use crate::error::{Error, Result};
use crate::nets::mlp::first_values;
use crate::nets::{Activation, Layout, MlpConfig, Params};
use tch::Tensor;

/// A perceptron from ℝᵈ to ℝᵈˣᵖ whose output i sees inputs 0, …, i − 1 only, by masks on its weights: MADE (Germain et al.
/// 2015, arXiv 1502.03509).
#[derive(Debug, Clone)]
pub(super) struct Made {
    activation: Activation,
    layers: Vec<Masked>,
    outputs: usize,
}

#[derive(Debug, Clone)]
struct Masked {
    weight: usize,
    bias: usize,
    shape: [usize; 2],
    /// 1 where a weight counts, row by row.
    mask: Vec<f32>,
}

impl Made {
    /// The network with `outputs` numbers for each of the `dim` inputs.
    pub(super) fn new(
        config: &MlpConfig,
        dim: usize,
        outputs: usize,
        name: &str,
        layout: &mut Layout,
    ) -> Result<Self> {
        if config.widths.contains(&0) {
            return Err(Error::setting("widths", format!("{:?}", config.widths), "positive, every one"));
        }
        // A unit of degree m sees inputs 0, …, m − 1; output i, which comes `outputs` times, those below i.
        let hidden = |width: usize| (0..width).map(|k| 1 + k % (dim - 1).max(1)).collect::<Vec<_>>();
        let mut degrees: Vec<Vec<usize>> = vec![(1..=dim).collect()];
        degrees.extend(config.widths.iter().map(|&width| hidden(width)));
        let last: Vec<usize> = (0..dim).flat_map(|i| std::iter::repeat_n(i, outputs)).collect();
        degrees.push(last);
        let count = degrees.len() - 1;
        let layers = degrees.windows(2).enumerate().map(|(i, pair)| {
            let (from, to) = (&pair[0], &pair[1]);
            let mask = from.iter().flat_map(|a| to.iter().map(move |b| if a <= b { 1.0 } else { 0.0 }));
            let mask: Vec<f32> = mask.collect();
            let scale = if i + 1 == count { config.last_scale } else { 1.0 };
            let (weight, bias) = first_values(config, from.len(), to.len(), scale);
            Masked {
                weight: layout.push(format!("{name}.layer{i}.weight"), &[from.len(), to.len()], weight),
                bias: layout.push(format!("{name}.layer{i}.bias"), &[to.len()], bias),
                shape: [from.len(), to.len()],
                mask,
            }
        });
        Ok(Made { activation: config.activation, layers: layers.collect(), outputs })
    }

    /// n×d to n×d×p.
    pub(super) fn forward(&self, params: &Params, x: &Tensor) -> Tensor {
        let (kind, device) = params.options();
        let mut h = x.shallow_clone();
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                h = self.activation.apply(h);
            }
            let [from, to] = layer.shape.map(|s| s as i64);
            let mask = Tensor::from_slice(&layer.mask).view([from, to]).to_kind(kind).to_device(device);
            h = params.leaf(layer.bias).addmm(&h, &(params.leaf(layer.weight) * mask));
        }
        h.view([x.size()[0], -1, self.outputs as i64])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;
    use tch::{Device, Kind};

    #[test]
    fn outputs_see_the_inputs_before_them_and_all_of_those() {
        let config = MlpConfig { widths: vec![11, 9], ..MlpConfig::default() };
        for dim in [1, 2, 5] {
            let mut layout = Layout::default();
            let net = Made::new(&config, dim, 3, "net", &mut layout).unwrap();
            let params = Params::init(layout, Seed::new(4), Kind::Double, Device::Cpu).unwrap();
            let x = Tensor::from_slice(&(0..dim).map(|i| 0.3 + i as f64).collect::<Vec<_>>()).view([1, -1]);
            let x = x.set_requires_grad(true);
            let out = net.forward(&params, &x);
            assert_eq!(out.size(), [1, dim as i64, 3]);
            for i in 0..dim {
                for p in 0..3 {
                    let one = out.get(0).get(i as i64).get(p);
                    let g = if one.requires_grad() {
                        Tensor::run_backward(&[one], &[&x], true, false).remove(0)
                    } else {
                        x.zeros_like()
                    };
                    for j in 0..dim {
                        let g = g.double_value(&[0, j as i64]);
                        assert_eq!(g != 0.0, j < i, "output {i}, input {j}: {g}");
                    }
                }
            }
        }
    }
}
