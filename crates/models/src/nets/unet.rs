//! A small convolutional U-Net for images.

use crate::error::{Error, Result, check_count};
use crate::nets::{Activation, Init, Layout, Params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Sides an image may have.
const SIDES: std::ops::RangeInclusive<usize> = 8..=64;
/// Classical choice of PyTorch and of arXiv 1803.08494.
const EPS: f64 = 1e-5;

/// A convolutional U-Net in the manner of arXiv 2006.11239: residual blocks with group norm at several resolutions, down and
/// up again with skips across, and an embedding of time and condition added inside every block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnetConfig {
    /// Height and width of the images, and how many channels they have: every row of the data is one image, channel after
    /// channel, row after row. Empty means square images of one channel.
    pub image: Vec<usize>,
    /// Channels inside the network at full resolution.
    pub channels: usize,
    /// Factors on that number, one a resolution; each resolution has half the sides of the one before.
    pub factors: Vec<usize>,
    /// Residual blocks at each resolution.
    pub blocks: usize,
    /// Groups of channels that are normalised together.
    pub groups: usize,
}

impl Default for UnetConfig {
    fn default() -> Self {
        UnetConfig { image: Vec::new(), channels: 16, factors: vec![1, 2], blocks: 1, groups: 4 }
    }
}

impl UnetConfig {
    /// Height, width and channels for data in dimension `dim`.
    ///
    /// # Errors
    /// The dimension is no such image, a side is not between 8 and 64 or cannot be halved often enough.
    pub fn shape(&self, dim: usize) -> Result<[usize; 3]> {
        let refuse = |must: String| Err(Error::setting("net.unet.image", format!("{:?}", self.image), must));
        let (height, width, channels) = match *self.image.as_slice() {
            [] => {
                let side = (dim as f64).sqrt().round() as usize;
                if side * side != dim || !SIDES.contains(&side) {
                    return refuse(format!(
                        "[height, width, channels]: data in dimension {dim} are no square images of one channel with sides \
                         from {} to {}",
                        SIDES.start(),
                        SIDES.end()
                    ));
                }
                (side, side, 1)
            }
            [height, width] => (height, width, 1),
            [height, width, channels] => (height, width, channels),
            _ => return refuse("[height, width] or [height, width, channels]".to_owned()),
        };
        if !SIDES.contains(&height) || !SIDES.contains(&width) || channels == 0 {
            let must = format!("sides from {} to {}, and at least one channel", SIDES.start(), SIDES.end());
            return refuse(must);
        }
        let pixels = height * width * channels;
        if pixels != dim {
            return refuse(format!(
                "as many numbers as a row of the data has: {height}×{width}×{channels} is {pixels}, the data have {dim} columns"
            ));
        }
        let halvings = 1 << self.factors.len().saturating_sub(1).min(16);
        if !height.is_multiple_of(halvings) || !width.is_multiple_of(halvings) {
            let must = format!(
                "sides that are multiples of {halvings}, to be halved for {} factors",
                self.factors.len()
            );
            return refuse(must);
        }
        Ok([height, width, channels])
    }

    fn check(&self) -> Result<()> {
        check_count("net.unet.channels", self.channels)?;
        check_count("net.unet.blocks", self.blocks)?;
        check_count("net.unet.groups", self.groups)?;
        if self.factors.is_empty() || self.factors.contains(&0) {
            return Err(Error::setting(
                "net.unet.factors",
                format!("{:?}", self.factors),
                "at least one, all positive",
            ));
        }
        if !self.channels.is_multiple_of(self.groups) {
            let must = format!("a divisor of net.unet.channels = {}", self.channels);
            return Err(Error::setting("net.unet.groups", self.groups, must));
        }
        Ok(())
    }
}

/// Weight and bias.
type Pair = (usize, usize);

/// Norm, convolution, embedding, norm, convolution, and a 1×1 convolution beside where the number of channels changes.
#[derive(Debug, Clone)]
struct Block {
    norms: [Pair; 2],
    convolutions: [Pair; 2],
    embed: Pair,
    beside: Option<Pair>,
}

/// (t, x, c) ↦ an image, the parameters in a [`Layout`].
#[derive(Debug, Clone)]
pub struct Unet {
    shape: [i64; 3],
    groups: i64,
    activation: Activation,
    embed: [Pair; 2],
    enter: Pair,
    /// Blocks of each resolution on the way down, and the convolution that halves the sides after all but the last.
    down: Vec<(Vec<Block>, Option<Pair>)>,
    middle: Block,
    /// Blocks of each resolution on the way up, and the convolution after the sides are doubled after all but the last.
    up: Vec<(Vec<Block>, Option<Pair>)>,
    leave: (Pair, Pair),
}

/// Appends parameters with PyTorch's first values for convolutions and linear maps.
struct Builder<'a> {
    layout: &'a mut Layout,
    embedding: usize,
}

impl Builder<'_> {
    fn convolution(&mut self, name: &str, from: usize, to: usize, side: usize, scale: f64) -> Pair {
        let bound = Init::Uniform(scale / ((from * side * side) as f64).sqrt());
        let weight = self.layout.push(format!("{name}.weight"), &[to, from, side, side], bound);
        (weight, self.layout.push(format!("{name}.bias"), &[to], bound))
    }

    fn linear(&mut self, name: &str, from: usize, to: usize) -> Pair {
        let bound = Init::Uniform(1.0 / (from as f64).sqrt());
        (
            self.layout.push(format!("{name}.weight"), &[from, to], bound),
            self.layout.push(format!("{name}.bias"), &[to], bound),
        )
    }

    fn norm(&mut self, name: &str, channels: usize) -> Pair {
        let weight = self.layout.push(format!("{name}.weight"), &[channels], Init::Constant(1.0));
        (weight, self.layout.push(format!("{name}.bias"), &[channels], Init::Constant(0.0)))
    }

    fn block(&mut self, name: &str, from: usize, to: usize) -> Block {
        Block {
            norms: [self.norm(&format!("{name}.norm0"), from), self.norm(&format!("{name}.norm1"), to)],
            // The second convolution begins at zero, so that a deep network begins as a shallow one.
            convolutions: [
                self.convolution(&format!("{name}.convolution0"), from, to, 3, 1.0),
                self.convolution(&format!("{name}.convolution1"), to, to, 3, 0.0),
            ],
            embed: self.linear(&format!("{name}.embed"), self.embedding, to),
            beside: (from != to).then(|| self.convolution(&format!("{name}.beside"), from, to, 1, 1.0)),
        }
    }
}

impl Unet {
    /// A network from images of ℝ^`dim_in`, with `context` numbers of time and condition each, to ℝ^`dim_out`.
    ///
    /// # Errors
    /// As [`UnetConfig::shape`]; a count is zero; `dim_out` is no whole number of channels.
    pub fn new(
        config: &UnetConfig,
        (activation, last_scale): (Activation, f64),
        (dim_in, context, dim_out): (usize, usize, usize),
        layout: &mut Layout,
    ) -> Result<Self> {
        config.check()?;
        let [height, width, channels] = config.shape(dim_in)?;
        if !dim_out.is_multiple_of(height * width) {
            let must = format!("a multiple of {}, the pixels of an image", height * width);
            return Err(Error::setting("output dimension of the network", dim_out, must));
        }
        let widths: Vec<usize> = config.factors.iter().map(|factor| factor * config.channels).collect();
        let embedding = 4 * config.channels;
        let mut build = Builder { layout, embedding };
        let embed =
            [build.linear("embed0", context, embedding), build.linear("embed1", embedding, embedding)];
        let enter = build.convolution("enter", channels, widths[0], 3, 1.0);
        let (mut skips, mut now) = (vec![widths[0]], widths[0]);
        let mut down = Vec::new();
        for (level, &to) in widths.iter().enumerate() {
            let mut blocks = Vec::new();
            for k in 0..config.blocks {
                blocks.push(build.block(&format!("down{level}.block{k}"), now, to));
                now = to;
                skips.push(now);
            }
            let halve = level + 1 < widths.len();
            let halve = halve.then(|| build.convolution(&format!("down{level}.halve"), now, now, 3, 1.0));
            if halve.is_some() {
                skips.push(now);
            }
            down.push((blocks, halve));
        }
        let middle = build.block("middle", now, now);
        let mut up = Vec::new();
        for (level, &to) in widths.iter().enumerate().rev() {
            let mut blocks = Vec::new();
            // One block more than on the way down: what entered each resolution is joined too.
            for k in 0..=config.blocks {
                let beside = skips.pop().unwrap_or(0);
                blocks.push(build.block(&format!("up{level}.block{k}"), now + beside, to));
                now = to;
            }
            let double =
                (level > 0).then(|| build.convolution(&format!("up{level}.double"), now, now, 3, 1.0));
            up.push((blocks, double));
        }
        let leave = (
            build.norm("leave.norm", now),
            build.convolution("leave", now, dim_out / (height * width), 3, last_scale),
        );
        let shape = [channels, height, width].map(|s| s as i64);
        Ok(Unet { shape, groups: config.groups as i64, activation, embed, enter, down, middle, up, leave })
    }

    /// The values at the rows of `x` (n×`dim_in`), with time and condition in the rows of `context`.
    ///
    /// # Panics
    /// When libtorch refuses the shapes; training and generation run under [`guard`](crate::guard).
    pub(super) fn forward(&self, params: &Params, x: &Tensor, context: &Tensor) -> Tensor {
        let act = |x: Tensor| self.activation.apply(x);
        let linear = |x: &Tensor, (w, b): Pair| params.leaf(b).addmm(x, params.leaf(w));
        let embedding = act(linear(&act(linear(context, self.embed[0])), self.embed[1]));
        let [channels, height, width] = self.shape;
        let mut h = convolve(params, &x.reshape([-1, channels, height, width]), self.enter, 1);
        let mut skips = vec![h.shallow_clone()];
        for (blocks, halve) in &self.down {
            for block in blocks {
                h = self.block(params, &h, block, &embedding);
                skips.push(h.shallow_clone());
            }
            if let Some(halve) = halve {
                h = convolve(params, &h, *halve, 2);
                skips.push(h.shallow_clone());
            }
        }
        h = self.block(params, &h, &self.middle, &embedding);
        for (blocks, double) in &self.up {
            for block in blocks {
                if let Some(skip) = skips.pop() {
                    h = Tensor::cat(&[h, skip], 1);
                }
                h = self.block(params, &h, block, &embedding);
            }
            if let Some(double) = double {
                let size = h.size();
                h = convolve(
                    params,
                    &h.upsample_nearest2d([2 * size[2], 2 * size[3]], None, None),
                    *double,
                    1,
                );
            }
        }
        let (norm, last) = self.leave;
        convolve(params, &act(self.norm(params, &h, norm)), last, 1).flatten(1, -1)
    }

    fn block(&self, params: &Params, x: &Tensor, block: &Block, embedding: &Tensor) -> Tensor {
        let act = |x: Tensor| self.activation.apply(x);
        let h = convolve(params, &act(self.norm(params, x, block.norms[0])), block.convolutions[0], 1);
        let (w, b) = block.embed;
        let shift = params.leaf(b).addmm(embedding, params.leaf(w)).unsqueeze(-1).unsqueeze(-1);
        let h = act(self.norm(params, &(h + shift), block.norms[1]));
        let h = convolve(params, &h, block.convolutions[1], 1);
        match block.beside {
            Some((w, b)) => h + x.conv2d(params.leaf(w), Some(params.leaf(b)), [1, 1], [0, 0], [1, 1], 1),
            None => h + x,
        }
    }

    fn norm(&self, params: &Params, x: &Tensor, (w, b): Pair) -> Tensor {
        x.group_norm(self.groups_of(x), Some(params.leaf(w)), Some(params.leaf(b)), EPS, false)
    }

    /// As many groups as asked for; where channels were joined by a skip they may not divide it.
    fn groups_of(&self, x: &Tensor) -> i64 {
        let channels = x.size()[1];
        (1..=self.groups).rev().find(|groups| channels % groups == 0).unwrap_or(1)
    }
}

/// A convolution that keeps the sides (stride 1) or halves them (stride 2).
fn convolve(params: &Params, x: &Tensor, (w, b): Pair, stride: i64) -> Tensor {
    x.conv2d(params.leaf(w), Some(params.leaf(b)), [stride, stride], [1, 1], [1, 1], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;
    use measures::Seed;
    use tch::{Device, Kind, no_grad_guard};

    fn net(config: &UnetConfig, dims: (usize, usize, usize)) -> Result<(Unet, Params)> {
        let mut layout = Layout::default();
        let net = Unet::new(config, (Activation::Silu, 1.0), dims, &mut layout)?;
        Ok((net, Params::init(layout, Seed::new(2), Kind::Double, Device::Cpu)?))
    }

    fn noise(rows: i64, columns: i64) -> Tensor {
        let count = (rows * columns) as usize;
        let values: Vec<f64> = (0..count).map(|k| (1.7 * k as f64).sin()).collect();
        Tensor::from_slice(&values).view([rows, columns])
    }

    /// Shapes from 8×8 to 64×64, with several channels and resolutions, there and back.
    #[test]
    fn images_of_every_allowed_size_go_through() {
        for (image, factors, blocks) in [
            (vec![8, 8, 1], vec![1, 2], 1),
            (vec![8, 16, 3], vec![1], 2),
            (vec![16, 24, 2], vec![1, 2, 2], 1),
            (vec![64, 64], vec![1, 1, 2, 2], 1),
        ] {
            let dim = image.iter().product();
            let config = UnetConfig { image: image.clone(), channels: 4, factors, blocks, groups: 2 };
            let (net, params) = net(&config, (dim, 3, dim)).unwrap();
            let out = net.forward(&params, &noise(2, dim as i64), &noise(2, 3));
            assert_eq!(out.size(), [2, dim as i64], "{image:?}");
        }
    }

    /// Every parameter has a part in the output, time and condition have, and rows do not see one another.
    #[test]
    fn gradients_agree_with_differences_and_reach_everything() {
        let config = UnetConfig { channels: 4, groups: 2, ..UnetConfig::default() };
        let (net, mut params) = net(&config, (64, 2, 64)).unwrap();
        // Away from the first values, where the second convolutions are zero and stop what lies before them.
        {
            let _guard = no_grad_guard();
            let shift = noise(1, params.flat().size()[0]).view([-1]) * 0.1;
            let _ = params.flat_mut().g_add_(&shift);
        }
        let (x, context) = (noise(2, 64), noise(2, 2));
        let weights = noise(2, 64).cos();
        let loss = |p: &Params| (net.forward(p, &x, &context) * &weights).sum(Kind::Double);
        let gradient = values(&params.gradient(&loss(&params), false).unwrap()).unwrap();
        let zero = gradient.iter().filter(|g| **g == 0.0).count();
        assert_eq!(zero, 0, "of {}", gradient.len());
        for k in (0..gradient.len()).step_by(gradient.len() / 40) {
            let mut at = |shift: f64| {
                let _guard = no_grad_guard();
                let _ = params.flat_mut().get(k as i64).g_add_scalar_(shift);
                let value = loss(&params).double_value(&[]);
                let _ = params.flat_mut().get(k as i64).g_add_scalar_(-shift);
                value
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((difference - gradient[k]).abs() < 1e-6 * (1.0 + gradient[k].abs()), "{k}");
        }
        let alone = net.forward(&params, &x.narrow(0, 1, 1), &context.narrow(0, 1, 1));
        let both = net.forward(&params, &x, &context).narrow(0, 1, 1);
        assert!((alone - both).abs().max().double_value(&[]) < 1e-12);
        let other = net.forward(&params, &x, &(&context + 0.5));
        assert!((net.forward(&params, &x, &context) - other).abs().max().double_value(&[]) > 1e-3);
    }

    #[test]
    fn what_is_no_image_is_refused_with_what_would_be() {
        let refuse = |image: &[usize], dim: usize| {
            let config = UnetConfig { image: image.to_vec(), ..UnetConfig::default() };
            net(&config, (dim, 1, dim)).err().unwrap().to_string()
        };
        assert!(refuse(&[], 1).contains("data in dimension 1 are no square images"), "{}", refuse(&[], 1));
        assert!(refuse(&[], 65).starts_with("net.unet.image = []"));
        assert!(refuse(&[], 49).contains("from 8 to 64"));
        assert!(refuse(&[8, 8, 3], 64).contains("8×8×3 is 192, the data have 64 columns"));
        assert!(refuse(&[4, 16], 64).contains("sides from 8 to 64"));
        assert!(refuse(&[9, 9], 81).contains("multiples of 2"));
        assert!(refuse(&[8, 8, 1, 1], 64).contains("[height, width]"));
        let bad = |config: UnetConfig| net(&config, (64, 1, 64)).err().unwrap().to_string();
        assert!(bad(UnetConfig { groups: 3, ..UnetConfig::default() }).starts_with("net.unet.groups = 3"));
        assert!(bad(UnetConfig { factors: vec![], ..UnetConfig::default() }).starts_with("net.unet.factors"));
        assert!(
            bad(UnetConfig { channels: 0, ..UnetConfig::default() }).starts_with("net.unet.channels = 0")
        );
    }
}
