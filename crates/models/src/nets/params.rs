//! The parameters of a network as one flat tensor, and the layout that says which part of it is which matrix.

use crate::error::{Error, Result};
use crate::tensor::{duplicate, to_tensor};
use measures::rand::{Rng, RngExt};
use measures::{Points, Seed};
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// How the entries of a parameter are drawn at first, always from our own streams: libtorch's generator is never used.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// One number everywhere.
    Constant(f64),
    /// Uniform on [−b, b].
    Uniform(f64),
    /// Centred Gaussian of the given standard deviation.
    Normal(f64),
}

impl Init {
    fn draw(self, rng: &mut dyn Rng) -> f64 {
        match self {
            Init::Constant(c) => c,
            Init::Uniform(b) => b * (2.0 * rng.random::<f64>() - 1.0),
            Init::Normal(s) => s * Distribution::<f64>::sample(&StandardNormal, rng),
        }
    }
}

/// Which part of the flat tensor is which parameter: names, shapes and first values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    entries: Vec<Entry>,
    len: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    name: String,
    shape: Vec<i64>,
    len: usize,
    init: Init,
}

impl Layout {
    /// Appends a parameter and returns its index, to be given to [`Params::leaf`].
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize], init: Init) -> usize {
        let len = shape.iter().product();
        let shape = shape.iter().map(|&s| s as i64).collect();
        self.entries.push(Entry { name: name.into(), shape, len, init });
        self.len += len;
        self.entries.len() - 1
    }

    /// The number of real parameters in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names and shapes, in the order of the flat tensor.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[i64])> {
        self.entries.iter().map(|e| (e.name.as_str(), e.shape.as_slice()))
    }
}

/// The parameters of a network: one flat leaf-less buffer, and leaves for automatic differentiation that share its
/// memory.
///
/// The optimiser, the moving average and a checkpoint then handle one tensor, whatever the number of layers. The leaves
/// are detached views, not slices in the graph: back-propagation through slices would add a gradient of full length for
/// every layer, whereas here each leaf gets its own and [`Params::gradient`] joins them by one copy.
#[derive(Debug)]
pub struct Params {
    layout: Arc<Layout>,
    flat: Tensor,
    leaves: Vec<Tensor>,
}

impl Params {
    /// Parameters with first values drawn from `seed`, one stream an entry; the same for either precision, up to
    /// rounding.
    ///
    /// # Errors
    /// The layout is empty, or libtorch refuses the memory.
    pub fn init(layout: Layout, seed: Seed, kind: Kind, device: Device) -> Result<Self> {
        let mut values = Vec::with_capacity(layout.len);
        for (i, entry) in layout.entries.iter().enumerate() {
            let mut rng = seed.stream(i as u64);
            values.extend((0..entry.len).map(|_| entry.init.draw(&mut rng)));
        }
        let flat = to_tensor(&Points::from_line(values), kind, device)?.f_view([-1])?;
        Params::new(Arc::new(layout), flat)
    }

    /// Parameters in a given flat tensor, which is taken over and not copied.
    ///
    /// # Errors
    /// The tensor is not one-dimensional of the layout's length.
    pub fn new(layout: Arc<Layout>, flat: Tensor) -> Result<Self> {
        if flat.size() != [layout.len as i64] || layout.is_empty() {
            let expected = format!("[{}]", layout.len);
            return Err(Error::Shape { what: "flat parameters", expected, got: flat.size() });
        }
        let mut params = Params { layout, flat: flat.f_detach()?, leaves: Vec::new() };
        params.bind()?;
        Ok(params)
    }

    fn bind(&mut self) -> Result<()> {
        self.leaves.clear();
        let mut start = 0;
        for entry in &self.layout.entries {
            let part = self.flat.f_narrow(0, start, entry.len as i64)?;
            let leaf = part.f_view(entry.shape.as_slice())?.f_detach()?;
            self.leaves.push(leaf.f_set_requires_grad(true)?);
            start += entry.len as i64;
        }
        Ok(())
    }

    /// Parameter number `i`, as [`Layout::push`] counted them.
    ///
    /// # Panics
    /// When there is no such parameter.
    pub fn leaf(&self, i: usize) -> &Tensor {
        &self.leaves[i]
    }

    /// All parameters, in the order of the flat tensor: what a gradient is asked for.
    pub fn leaves(&self) -> &[Tensor] {
        &self.leaves
    }

    /// The layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// All parameters as one tensor; writing to it in place changes the leaves.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// All parameters as one tensor, to be written in place (without gradients).
    pub fn flat_mut(&mut self) -> &mut Tensor {
        &mut self.flat
    }

    /// ∂`loss`/∂parameters as one flat tensor; zero for parameters the loss does not depend on. Nothing is accumulated
    /// anywhere, so other networks in the graph are left alone. `keep` keeps the graph for another call.
    ///
    /// # Errors
    /// The loss does not depend on any parameter, or libtorch refuses.
    pub fn gradient(&self, loss: &Tensor, keep: bool) -> Result<Tensor> {
        let parts = Tensor::f_run_backward(&[loss], &self.leaves, keep, false)?;
        let _guard = no_grad_guard();
        let mut flat = Vec::with_capacity(parts.len());
        for (part, leaf) in parts.into_iter().zip(&self.leaves) {
            let part = if part.defined() { part } else { leaf.f_zeros_like()? };
            flat.push(part.f_reshape([-1])?);
        }
        Ok(Tensor::f_cat(&flat, 0)?)
    }

    /// A copy with memory of its own.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn duplicate(&self) -> Result<Self> {
        let _guard = no_grad_guard();
        Params::new(self.layout.clone(), duplicate(&self.flat)?)
    }

    /// Moves the parameters to another device.
    ///
    /// # Errors
    /// libtorch refuses the device.
    pub fn to_device(&mut self, device: Device) -> Result<()> {
        if self.flat.device() != device {
            self.flat = self.flat.f_to_device(device)?;
            self.bind()?;
        }
        Ok(())
    }

    /// The kind and the device of the parameters.
    pub fn options(&self) -> (Kind, Device) {
        (self.flat.kind(), self.flat.device())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;

    fn two() -> Params {
        let mut layout = Layout::default();
        layout.push("weight", &[2, 3], Init::Normal(1.0));
        layout.push("bias", &[3], Init::Constant(0.5));
        layout.push("unused", &[2], Init::Uniform(1.0));
        Params::init(layout, Seed::new(3), Kind::Double, Device::Cpu).unwrap()
    }

    #[test]
    fn leaves_share_memory_and_gradients_are_joined() {
        let mut params = two();
        let x = Tensor::from_slice(&[1.0, 2.0]).view([1, 2]);
        let y = params.leaf(1).addmm(&x, params.leaf(0)).sum(Kind::Double);
        let gradient = values(&params.gradient(&y, false).unwrap()).unwrap();
        assert_eq!(gradient, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        let _ = params.flat_mut().fill_(7.0);
        assert_eq!(values(params.leaf(1)).unwrap(), [7.0; 3]);
        // a copy is apart
        let copy = params.duplicate().unwrap();
        let _ = params.flat_mut().fill_(8.0);
        assert_eq!(values(copy.leaf(2)).unwrap(), [7.0; 2]);
    }

    #[test]
    fn first_values_depend_on_the_seed_alone() {
        let (a, b) = (two(), two());
        assert_eq!(values(a.flat()).unwrap(), values(b.flat()).unwrap());
        assert_eq!(values(a.leaf(1)).unwrap(), [0.5; 3]);
        let mut layout = Layout::default();
        layout.push("weight", &[100, 100], Init::Normal(2.0));
        layout.push("uniform", &[10_000], Init::Uniform(3.0));
        let p = Params::init(layout, Seed::new(3), Kind::Float, Device::Cpu).unwrap();
        // five standard errors of a standard deviation estimated from 10⁴ draws
        assert!((p.leaf(0).std(true).double_value(&[]) - 2.0).abs() < 5.0 * 2.0 / 20_000f64.sqrt());
        assert!((p.leaf(1).std(true).double_value(&[]) - 3f64.sqrt()).abs() < 5.0 * 3f64.sqrt() / 1e2 / 2.0);
        assert!(Params::new(a.layout.clone(), Tensor::zeros([4], (Kind::Float, Device::Cpu))).is_err());
    }
}
