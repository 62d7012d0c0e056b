//! One walk over everything a training run must not forget: saving, loading, averaging, moving to a device and checking
//! for divergence are visitors of the same walk, so a method that visits its state gets all of them.

use crate::checkpoint::{Array, Record};
use crate::error::{Error, Result};
use crate::nets::Params;
use crate::tensor;
use measures::Points;
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// State that can be walked. Visit every tensor and number that influences a later step, always under the same names
/// and in the same order.
pub trait Persist {
    /// Shows every part of the state to the visitor.
    ///
    /// # Errors
    /// What the visitor returns.
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()>;
}

/// Whether parameters belong to the map that is learned, and so are averaged, or only help to learn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The map, encoder, decoder or field that the generator uses.
    Map,
    /// A critic, or anything else that generation does not need.
    Auxiliary,
}

/// What is done to each part of a state.
pub trait Visitor {
    /// A tensor of fixed shape.
    ///
    /// # Errors
    /// The part cannot be handled.
    fn tensor(&mut self, name: &str, x: &mut Tensor) -> Result<()>;

    /// A counter.
    ///
    /// # Errors
    /// The part cannot be handled.
    fn counter(&mut self, name: &str, x: &mut u64) -> Result<()>;

    /// A list of numbers whose length may change during training.
    ///
    /// # Errors
    /// The part cannot be handled.
    fn numbers(&mut self, name: &str, x: &mut Vec<f64>) -> Result<()>;

    /// The parameters of a network; without an answer of its own, a visitor treats them as their flat tensor.
    ///
    /// # Errors
    /// The part cannot be handled.
    fn params(&mut self, name: &str, x: &mut Params, role: Role) -> Result<()> {
        let _ = role;
        self.tensor(name, x.flat_mut())
    }

    /// Points whose number may change during training.
    ///
    /// # Errors
    /// The part cannot be handled, or what was loaded is no cloud of the same dimension.
    fn points(&mut self, name: &str, x: &mut Points) -> Result<()> {
        let dim = x.dim();
        let mut coords = std::mem::replace(x, Points::zeros(0, dim)).into_vec();
        self.numbers(name, &mut coords)?;
        *x = Points::new(dim, coords)?;
        Ok(())
    }
}

impl dyn Visitor + '_ {
    /// Visits a part under `name`, so that its own names are `name.…`.
    ///
    /// # Errors
    /// What the visit returns.
    pub fn part(&mut self, name: &str, part: &mut dyn Persist) -> Result<()> {
        part.visit(&mut Scope { prefix: name, inner: self })
    }
}

struct Scope<'a> {
    prefix: &'a str,
    inner: &'a mut dyn Visitor,
}

impl Scope<'_> {
    fn full(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }
}

impl Visitor for Scope<'_> {
    fn tensor(&mut self, name: &str, x: &mut Tensor) -> Result<()> {
        self.inner.tensor(&self.full(name), x)
    }
    fn counter(&mut self, name: &str, x: &mut u64) -> Result<()> {
        self.inner.counter(&self.full(name), x)
    }
    fn numbers(&mut self, name: &str, x: &mut Vec<f64>) -> Result<()> {
        self.inner.numbers(&self.full(name), x)
    }
    fn params(&mut self, name: &str, x: &mut Params, role: Role) -> Result<()> {
        self.inner.params(&self.full(name), x, role)
    }
}

/// Writes a state into a record.
#[derive(Debug, Default)]
pub struct Save {
    /// What was visited.
    pub record: Record,
}

impl Save {
    /// The record of a state.
    ///
    /// # Errors
    /// libtorch refuses a copy.
    pub fn of(state: &mut dyn Persist) -> Result<Record> {
        let mut save = Save::default();
        state.visit(&mut save)?;
        Ok(save.record)
    }
}

impl Visitor for Save {
    fn tensor(&mut self, name: &str, x: &mut Tensor) -> Result<()> {
        self.record.insert(name, Array::of_tensor(x)?);
        Ok(())
    }
    fn counter(&mut self, name: &str, x: &mut u64) -> Result<()> {
        self.record.insert(name, Array::of_counter(*x));
        Ok(())
    }
    fn numbers(&mut self, name: &str, x: &mut Vec<f64>) -> Result<()> {
        self.record.insert(name, Array::of_numbers(x));
        Ok(())
    }
}

/// Fills a state from a record; every part must be there with the same shape and type.
#[derive(Debug)]
pub struct Load<'a> {
    record: &'a Record,
    path: &'a Path,
    seen: usize,
}

impl<'a> Load<'a> {
    /// Fills `state` from `record`; `path` is named in errors.
    ///
    /// # Errors
    /// A part is missing, has another shape or type, or the record has parts the state has not.
    pub fn into(state: &mut dyn Persist, record: &'a Record, path: &'a Path) -> Result<()> {
        let mut load = Load { record, path, seen: 0 };
        state.visit(&mut load)?;
        if load.seen == record.len() {
            Ok(())
        } else {
            let why = format!("{} entries where this method has {}", record.len(), load.seen);
            Err(Error::damaged(path, why))
        }
    }

    fn find(&mut self, name: &str) -> Result<&'a Array> {
        self.seen += 1;
        self.record.get(name).ok_or_else(|| Error::damaged(self.path, format!("no entry {name:?}")))
    }
}

impl Visitor for Load<'_> {
    fn tensor(&mut self, name: &str, x: &mut Tensor) -> Result<()> {
        let found = self.find(name)?.to_tensor()?;
        if found.size() != x.size() || found.kind() != x.kind() {
            let (a, b) = ((found.kind(), found.size()), (x.kind(), x.size()));
            return Err(Error::damaged(self.path, format!("entry {name:?} is {a:?} where {b:?} is needed")));
        }
        let _guard = no_grad_guard();
        x.f_copy_(&found)?;
        Ok(())
    }
    fn counter(&mut self, name: &str, x: &mut u64) -> Result<()> {
        let array = self.find(name)?;
        *x = array.to_counter().ok_or_else(|| wrong_type(self.path, name))?;
        Ok(())
    }
    fn numbers(&mut self, name: &str, x: &mut Vec<f64>) -> Result<()> {
        let array = self.find(name)?;
        *x = array.to_numbers().ok_or_else(|| wrong_type(self.path, name))?;
        Ok(())
    }
}

fn wrong_type(path: &Path, name: &str) -> Error {
    Error::damaged(path, format!("entry {name:?} has another type"))
}

/// Moves a state to a device.
#[derive(Debug)]
pub struct ToDevice(pub Device);

impl Visitor for ToDevice {
    fn tensor(&mut self, _: &str, x: &mut Tensor) -> Result<()> {
        if x.device() != self.0 {
            *x = x.f_to_device(self.0)?;
        }
        Ok(())
    }
    fn counter(&mut self, _: &str, _: &mut u64) -> Result<()> {
        Ok(())
    }
    fn numbers(&mut self, _: &str, _: &mut Vec<f64>) -> Result<()> {
        Ok(())
    }
    fn params(&mut self, _: &str, x: &mut Params, _: Role) -> Result<()> {
        x.to_device(self.0)
    }
}

/// Refuses a state with a tensor that is not finite, so that a diverged state is never taken for a good one.
#[derive(Debug)]
pub struct CheckFinite;

impl Visitor for CheckFinite {
    fn tensor(&mut self, _: &str, x: &mut Tensor) -> Result<()> {
        let _guard = no_grad_guard();
        // A sum is finite when its terms are, short of an overflow that is a divergence too.
        let sum = tensor::scalar(&x.f_sum(Kind::Double)?)?;
        if sum.is_finite() { Ok(()) } else { Err(Error::NonFinite { what: "the state of training" }) }
    }
    fn counter(&mut self, _: &str, _: &mut u64) -> Result<()> {
        Ok(())
    }
    fn numbers(&mut self, _: &str, x: &mut Vec<f64>) -> Result<()> {
        if x.iter().all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(Error::NonFinite { what: "the state of training" })
        }
    }
}
