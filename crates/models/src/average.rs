//! The exponential moving average of parameters.

use crate::error::{Result, check_range};
use crate::nets::Params;
use crate::persist::{Persist, Role, Visitor};
use crate::tensor::duplicate;
use tch::{Tensor, no_grad_guard};

/// Averages θ̄ ← θ̄ + (1 − dₖ)(θ − θ̄) of the parameters a state visits as [`Role::Map`], with dₖ = min(d, (1 + k)/(10 + k))
/// at update k, so that the first steps are forgotten quickly.
#[derive(Debug)]
pub struct Average {
    decay: f64,
    updates: u64,
    averages: Vec<Tensor>,
}

impl Average {
    /// The average that starts at the state's present parameters.
    ///
    /// # Errors
    /// `decay` is not inside [0, 1), or libtorch refuses the memory.
    pub fn new(decay: f64, state: &mut dyn Persist) -> Result<Self> {
        check_range("ema", decay, 0.0..1.0, "at least 0 and less than 1")?;
        let mut average = Average { decay, updates: 0, averages: Vec::new() };
        let averages = &mut average.averages;
        state.visit(&mut each(|_, flat: &mut Tensor| {
            averages.push(duplicate(flat)?);
            Ok(())
        }))?;
        Ok(average)
    }

    /// Moves the average toward the state's present parameters.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn update(&mut self, state: &mut dyn Persist) -> Result<()> {
        self.updates += 1;
        let k = self.updates as f64;
        let decay = self.decay.min((1.0 + k) / (10.0 + k));
        let _guard = no_grad_guard();
        state.visit(&mut each(|i, flat: &mut Tensor| {
            let _ = self.averages[i].f_lerp_(flat, 1.0 - decay)?;
            Ok(())
        }))
    }

    /// Exchanges the averages and the state's parameters, in place; a second call undoes the first.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn swap(&mut self, state: &mut dyn Persist) -> Result<()> {
        let _guard = no_grad_guard();
        state.visit(&mut each(|i, flat: &mut Tensor| {
            let kept = duplicate(flat)?;
            flat.f_copy_(&self.averages[i])?;
            self.averages[i].f_copy_(&kept)?;
            Ok(())
        }))
    }
}

impl Persist for Average {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.counter("updates", &mut self.updates)?;
        for (i, average) in self.averages.iter_mut().enumerate() {
            v.tensor(&format!("average{i}"), average)?;
        }
        Ok(())
    }
}

/// Calls a closure with the number and the flat tensor of every set of averaged parameters.
struct Each<F> {
    next: usize,
    call: F,
}

fn each<F: FnMut(usize, &mut Tensor) -> Result<()>>(call: F) -> Each<F> {
    Each { next: 0, call }
}

impl<F: FnMut(usize, &mut Tensor) -> Result<()>> Visitor for Each<F> {
    fn tensor(&mut self, _: &str, _: &mut Tensor) -> Result<()> {
        Ok(())
    }
    fn counter(&mut self, _: &str, _: &mut u64) -> Result<()> {
        Ok(())
    }
    fn numbers(&mut self, _: &str, _: &mut Vec<f64>) -> Result<()> {
        Ok(())
    }
    fn params(&mut self, _: &str, x: &mut Params, role: Role) -> Result<()> {
        if role == Role::Map {
            (self.call)(self.next, x.flat_mut())?;
            self.next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::{Init, Layout};
    use crate::tensor::values;
    use measures::Seed;
    use tch::{Device, Kind};

    struct Two(Params, Params);

    impl Persist for Two {
        fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
            v.params("critic", &mut self.1, Role::Auxiliary)?;
            v.params("map", &mut self.0, Role::Map)
        }
    }

    fn params(value: f64) -> Params {
        let mut layout = Layout::default();
        layout.push("x", &[2], Init::Constant(value));
        Params::init(layout, Seed::new(0), Kind::Double, Device::Cpu).unwrap()
    }

    #[test]
    fn averages_follow_the_recurrence_and_swap_back() {
        let mut state = Two(params(1.0), params(5.0));
        let mut average = Average::new(0.9, &mut state).unwrap();
        let mut expected = 1.0;
        for k in 1..=200 {
            let _ = state.0.flat_mut().fill_(f64::from(k));
            average.update(&mut state).unwrap();
            let k = f64::from(k);
            expected += (1.0 - 0.9f64.min((1.0 + k) / (10.0 + k))) * (k - expected);
        }
        average.swap(&mut state).unwrap();
        let (map, critic) = (values(state.0.flat()).unwrap(), values(state.1.flat()).unwrap());
        assert!((map[0] - expected).abs() < 1e-12 && critic == [5.0; 2]);
        assert_eq!(values(state.0.leaf(0)).unwrap(), map);
        average.swap(&mut state).unwrap();
        assert_eq!(values(state.0.flat()).unwrap(), [200.0; 2]);
        assert!(Average::new(1.0, &mut state).is_err());
    }
}
