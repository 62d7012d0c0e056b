//! Networks that are bijections with a Jacobian determinant at hand: coupling layers and autoregressive layers.

mod made;
mod spline;
mod transformer;

pub use transformer::Transformer;

use crate::error::{Result, check_count};
use crate::nets::{Activation, InitScheme, Layout, Mlp, MlpConfig, Params};
use made::Made;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Which coordinates the parameters of a coordinate's function depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conditioning {
    /// One half of the coordinates on the other half: one pass in either direction (Dinh et al. 2017, arXiv 1605.08803).
    #[default]
    Coupling,
    /// Each on all before it: one pass from data to noise, d passes from noise to data (Papamakarios et al. 2017,
    /// arXiv 1705.07057).
    Autoregressive,
}

/// A stack of invertible layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BijectionConfig {
    /// Which coordinates a layer's parameters depend on.
    pub conditioning: Conditioning,
    /// The function each coordinate goes through.
    pub transformer: Transformer,
    /// The number of layers.
    pub layers: usize,
    /// Neurons in each hidden layer of the network of a layer.
    pub widths: Vec<usize>,
    /// The non-linearity of these networks.
    pub activation: Activation,
}

impl Default for BijectionConfig {
    fn default() -> Self {
        BijectionConfig {
            conditioning: Conditioning::Coupling,
            transformer: Transformer::spline(),
            layers: 4,
            widths: vec![64; 2],
            activation: Activation::default(),
        }
    }
}

/// A bijection of ℝᵈ between data and noise, both directions with the logarithm of the determinant.
///
/// Layer k of a coupling stack splits coordinates by one binary digit of their number and exchanges the halves with k; an
/// autoregressive stack reverses the order with k. So every coordinate comes to depend on every other.
///
/// Points may be of higher precision than the parameters: the networks then work in that of the parameters, the functions of
/// one variable in that of the points, and the two directions undo each other to the higher one.
#[derive(Debug, Clone)]
pub struct Bijection {
    dim: usize,
    transformer: Transformer,
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
enum Layer {
    Coupling { keep: Vec<i64>, change: Vec<i64>, back: Vec<i64>, net: Mlp },
    Autoregressive { reverse: bool, net: Made },
}

impl Bijection {
    /// The stack on ℝ^`dim`, its parameters appended to `layout`.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(config: &BijectionConfig, dim: usize, layout: &mut Layout) -> Result<Self> {
        check_count("dimension of the bijection", dim)?;
        check_count("layers", config.layers)?;
        config.transformer.check()?;
        let mlp = MlpConfig {
            widths: config.widths.clone(),
            activation: config.activation,
            init: InitScheme::Torch,
            // The stack starts near the identity.
            last_scale: 0.1,
            ..MlpConfig::default()
        };
        let parameters = config.transformer.parameters();
        let layers = (0..config.layers).map(|k| match config.conditioning {
            Conditioning::Coupling => {
                let (keep, change) = halves(dim, k);
                let mut order: Vec<(i64, i64)> = keep.iter().chain(&change).copied().zip(0..).collect();
                order.sort_unstable();
                let back = order.into_iter().map(|(_, place)| place).collect();
                // With nothing to depend on, the parameters are a function of the constant 1.
                let net = Mlp::new(&mlp, keep.len().max(1), change.len() * parameters, layout)?;
                Ok(Layer::Coupling { keep, change, back, net })
            }
            Conditioning::Autoregressive => {
                let net = Made::new(&mlp, dim, parameters, &format!("layer{k}"), layout)?;
                Ok(Layer::Autoregressive { reverse: k % 2 == 1, net })
            }
        });
        let layers = layers.collect::<Result<_>>()?;
        Ok(Bijection { dim, transformer: config.transformer, layers })
    }

    /// Passes through the networks from noise to data: one, or d where coordinates follow one another.
    pub fn passes(&self) -> usize {
        let sequential = self.layers.iter().any(|l| matches!(l, Layer::Autoregressive { .. }));
        if sequential { self.dim } else { 1 }
    }

    /// Data x (n×d) to noise z, and log|det ∂z/∂x| (n).
    ///
    /// # Panics
    /// When libtorch refuses the shapes; training and generation run under [`guard`](crate::guard).
    pub fn pull(&self, params: &Params, x: &Tensor) -> (Tensor, Tensor) {
        run(x, self.layers.iter(), |layer, x| match layer {
            Layer::Coupling { .. } => self.couple(params, layer, x, Transformer::pull),
            Layer::Autoregressive { reverse, net } => {
                let x = turned(x, *reverse);
                let (z, slopes) = self.transformer.pull(&x, &conditioned(net, params, &x));
                (turned(&z, *reverse), slopes)
            }
        })
    }

    /// Noise z (n×d) to data x, and log|det ∂x/∂z| (n).
    ///
    /// # Panics
    /// As [`Bijection::pull`].
    pub fn push(&self, params: &Params, z: &Tensor) -> (Tensor, Tensor) {
        run(z, self.layers.iter().rev(), |layer, z| match layer {
            Layer::Coupling { .. } => self.couple(params, layer, z, Transformer::push),
            Layer::Autoregressive { reverse, net } => {
                let z = turned(z, *reverse);
                // Coordinate i is right once those before it are: after pass i.
                let mut x = z.zeros_like();
                let mut slopes = z.zeros_like();
                for i in 0..self.dim as i64 {
                    let raw = conditioned(net, params, &x);
                    let (value, slope) = self.transformer.push(&z.narrow(1, i, 1), &raw.narrow(1, i, 1));
                    let (before, after) = (i, self.dim as i64 - i - 1);
                    let join = |table: &Tensor, column: Tensor| {
                        Tensor::cat(&[table.narrow(1, 0, before), column, table.narrow(1, i + 1, after)], 1)
                    };
                    x = join(&x, value);
                    slopes = join(&slopes, slope);
                }
                (turned(&x, *reverse), slopes)
            }
        })
    }

    fn couple(
        &self,
        params: &Params,
        layer: &Layer,
        x: &Tensor,
        transform: fn(Transformer, &Tensor, &Tensor) -> (Tensor, Tensor),
    ) -> (Tensor, Tensor) {
        let Layer::Coupling { keep, change, back, net } = layer else {
            return (x.shallow_clone(), x.zeros_like());
        };
        let pick = |x: &Tensor, columns: &[i64]| {
            x.index_select(1, &Tensor::from_slice(columns).to_device(x.device()))
        };
        let kept = pick(x, keep);
        let condition = if keep.is_empty() {
            x.new_ones([x.size()[0], 1], (x.kind(), x.device()))
        } else {
            kept.shallow_clone()
        };
        let raw = net.forward(params, &condition.to_kind(params.options().0)).to_kind(x.kind());
        let raw = raw.view([x.size()[0], change.len() as i64, -1]);
        let (changed, slopes) = transform(self.transformer, &pick(x, change), &raw);
        (pick(&Tensor::cat(&[kept, changed], 1), back), slopes)
    }
}

/// The layers one after the other, and the sum of the logarithms of all slopes.
fn run<'a>(
    x: &Tensor,
    layers: impl Iterator<Item = &'a Layer>,
    step: impl Fn(&Layer, &Tensor) -> (Tensor, Tensor),
) -> (Tensor, Tensor) {
    let mut log_det = x.new_zeros([x.size()[0]], (x.kind(), x.device()));
    let mut x = x.shallow_clone();
    for layer in layers {
        let (next, slopes) = step(layer, &x);
        log_det += slopes.sum_dim_intlist(1, false, x.kind());
        x = next;
    }
    (x, log_det)
}

/// What a masked network says, in the precision of the points.
fn conditioned(net: &Made, params: &Params, x: &Tensor) -> Tensor {
    net.forward(params, &x.to_kind(params.options().0)).to_kind(x.kind())
}

/// The coordinates in the order they follow one another, or in the opposite order.
fn turned(x: &Tensor, reverse: bool) -> Tensor {
    if reverse { x.flip([1]) } else { x.shallow_clone() }
}

/// The coordinates that layer `k` keeps, and those it changes.
fn halves(dim: usize, k: usize) -> (Vec<i64>, Vec<i64>) {
    if dim == 1 {
        return (Vec::new(), vec![0]);
    }
    let digits = dim.next_power_of_two().trailing_zeros().max(1) as usize;
    let digit = (k / 2) % digits;
    (0..dim as i64).partition(|i| (i >> digit) & 1 != (k % 2) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;
    use measures::nalgebra::DMatrix;
    use measures::{Sample, Seed, zoo::Gaussian};
    use tch::{Device, Kind};

    fn all() -> Vec<BijectionConfig> {
        let mut configs = Vec::new();
        for conditioning in [Conditioning::Coupling, Conditioning::Autoregressive] {
            for transformer in [Transformer::affine(), Transformer::spline()] {
                let widths = vec![16, 16];
                configs.push(BijectionConfig {
                    conditioning,
                    transformer,
                    widths,
                    ..BijectionConfig::default()
                });
            }
        }
        configs
    }

    /// A stack with first parameters times `factor`, and points.
    fn wild(
        config: &BijectionConfig,
        dim: usize,
        n: usize,
        kind: Kind,
        factor: f64,
    ) -> (Bijection, Params, Tensor) {
        let mut layout = Layout::default();
        let bijection = Bijection::new(config, dim, &mut layout).unwrap();
        let mut params = Params::init(layout, Seed::new(2), kind, Device::Cpu).unwrap();
        let _guard = tch::no_grad_guard();
        let _ = params.flat_mut().g_mul_scalar_(factor);
        let x = Gaussian::standard(dim).sample(n, &mut Seed::new(3).rng());
        let x = crate::tensor::to_tensor(&x, kind, Device::Cpu).unwrap();
        (bijection, params, x)
    }

    #[test]
    fn determinants_are_those_of_automatic_differentiation() {
        for config in all() {
            for dim in [1, 2, 3, 5] {
                let (bijection, params, x) = wild(&config, dim, 4, Kind::Double, 3.0);
                for down in [true, false] {
                    let x = x.detach().set_requires_grad(true);
                    let (y, log_det) =
                        if down { bijection.pull(&params, &x) } else { bijection.push(&params, &x) };
                    let columns: Vec<Vec<f64>> = (0..dim as i64)
                        .map(|k| {
                            let one = y.select(1, k).sum(Kind::Double);
                            values(&Tensor::run_backward(&[one], &[&x], true, false)[0]).unwrap()
                        })
                        .collect();
                    for i in 0..4 {
                        let jacobian = DMatrix::from_fn(dim, dim, |r, c| columns[r][i * dim + c]);
                        let exact = jacobian.determinant().abs().ln();
                        let found = log_det.double_value(&[i as i64]);
                        assert!((exact - found).abs() < 1e-9, "{config:?} {dim} {down}: {exact} {found}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_two_directions_undo_each_other() {
        for config in all() {
            for dim in [1, 2, 5] {
                // Slopes far from one magnify round-off: wild in double precision, as at the start in single.
                for (kind, factor, most) in [(Kind::Double, 3.0, 1e-8), (Kind::Float, 1.0, 1e-5)] {
                    let (bijection, params, x) = wild(&config, dim, 2000, kind, factor);
                    let (z, down) = bijection.pull(&params, &x);
                    let (back, up) = bijection.push(&params, &z);
                    let worst = |a: Tensor| a.abs().max().double_value(&[]);
                    assert!(worst(&back - &x) < most, "{config:?} {dim}: {}", worst(back - x));
                    assert!(worst(down + up) < 100.0 * most);
                }
            }
        }
    }

    #[test]
    fn every_coordinate_comes_to_depend_on_every_other() {
        for config in all() {
            for dim in [2, 5, 8] {
                let config = BijectionConfig { layers: 8, ..config.clone() };
                let (bijection, params, x) = wild(&config, dim, 1, Kind::Double, 3.0);
                let x = x.set_requires_grad(true);
                let (z, _) = bijection.pull(&params, &x);
                for k in 0..dim as i64 {
                    let g = Tensor::run_backward(&[z.select(1, k)], &[&x], true, false).remove(0);
                    assert!(values(&g).unwrap().iter().all(|g| *g != 0.0), "{config:?} {dim} {k}");
                }
            }
        }
    }
}
