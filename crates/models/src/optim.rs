//! Optimisers written in tensors, so that their state is saved and restored exactly, with gradient clipping and
//! schedules of the learning rate.

use crate::error::{Result, check_range};
use crate::nets::{Gradient, Params};
use crate::persist::{Persist, Visitor};
use crate::tensor::scalar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad_guard};

/// How weight decay acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Weight decay is added to the gradient (Kingma and Ba 2015, arXiv 1412.6980).
    #[default]
    Adam,
    /// Weight decay acts on the parameters directly (Loshchilov and Hutter 2019, arXiv 1711.05101).
    Adamw,
}

/// The factor on the learning rate as training goes on, after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// Always 1.
    Constant {},
    /// From 1 down to `floor` along half a cosine.
    Cosine {
        /// The factor at the end, between 0 and 1.
        #[serde(default)]
        floor: f64,
    },
    /// From 1 down to `floor` along a line.
    Linear {
        /// The factor at the end, between 0 and 1.
        #[serde(default)]
        floor: f64,
    },
    /// `factor` to the number of times that `every` steps have passed.
    Step {
        /// The number of steps between two changes.
        every: u64,
        /// The factor at each change.
        factor: f64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule::Constant {}
    }
}

/// An optimiser: Adam or AdamW, with clipping, warm-up and schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    /// Adam or AdamW.
    pub algorithm: Algorithm,
    /// The learning rate at its highest.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub eps: f64,
    /// Weight decay; 0 is none.
    pub weight_decay: f64,
    /// The gradient is scaled down to this norm when it is longer; absent, never.
    pub clip: Option<f64>,
    /// Steps during which the learning rate rises linearly to its highest.
    pub warmup: u64,
    /// The factor on the learning rate after that.
    pub schedule: Schedule,
}

impl Default for OptimConfig {
    fn default() -> Self {
        OptimConfig {
            algorithm: Algorithm::Adam,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            clip: None,
            warmup: 0,
            schedule: Schedule::Constant {},
        }
    }
}

impl OptimConfig {
    /// Refuses settings out of range.
    ///
    /// # Errors
    /// Names the field.
    pub fn check(&self) -> Result<()> {
        check_range("lr", self.lr, 0.0.., "finite and not negative")?;
        check_range("beta1", self.beta1, 0.0..1.0, "at least 0 and less than 1")?;
        check_range("beta2", self.beta2, 0.0..1.0, "at least 0 and less than 1")?;
        check_range("eps", self.eps, 0.0.., "finite and not negative")?;
        check_range("weight_decay", self.weight_decay, 0.0.., "finite and not negative")?;
        if let Some(clip) = self.clip {
            check_range("clip", clip, f64::MIN_POSITIVE.., "finite and positive")?;
        }
        match self.schedule {
            Schedule::Constant {} => Ok(()),
            Schedule::Cosine { floor } | Schedule::Linear { floor } => {
                check_range("schedule.floor", floor, 0.0..=1.0, "between 0 and 1")
            }
            Schedule::Step { every, factor } => {
                crate::error::check_count("schedule.every", every as usize)?;
                check_range("schedule.factor", factor, f64::MIN_POSITIVE.., "finite and positive")
            }
        }
    }

    /// The learning rate of step `step` (counted from 0) out of `steps`.
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let after = step - self.warmup;
        let progress = (after as f64 / steps.saturating_sub(self.warmup).max(1) as f64).min(1.0);
        let factor = match self.schedule {
            Schedule::Constant {} => 1.0,
            Schedule::Cosine { floor } => {
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Schedule::Linear { floor } => 1.0 - (1.0 - floor) * progress,
            Schedule::Step { every, factor } => factor.powi((after / every).min(i32::MAX as u64) as i32),
        };
        self.lr * factor
    }
}

/// The state of Adam: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², θ ← θ − r m̂/(√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).
///
/// ```
/// use models::{nets::{Init, Layout, Params}, optim::{Adam, OptimConfig}, tch::{Device, Kind}};
/// let mut layout = Layout::default();
/// layout.push("x", &[1], Init::Constant(3.0));
/// let mut x = Params::init(layout, measures::Seed::new(0), Kind::Double, Device::Cpu)?;
/// let config = OptimConfig { lr: 0.1, ..OptimConfig::default() };
/// let mut adam = Adam::new(&config, &x)?;
/// for step in 0..200 {
///     let loss = x.leaf(0).square().sum(Kind::Double);
///     adam.step(&mut x, &loss, step, 200)?;
/// }
/// assert!(x.leaf(0).double_value(&[0]).abs() < 1e-2);
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug)]
pub struct Adam {
    config: OptimConfig,
    mean: Tensor,
    square: Tensor,
    count: u64,
    /// Where backward passes leave the gradient of a step; no state.
    gradient: Gradient,
}

impl Adam {
    /// A fresh state for these parameters.
    ///
    /// # Errors
    /// A setting is out of range, or libtorch refuses the memory.
    pub fn new(config: &OptimConfig, params: &Params) -> Result<Self> {
        config.check()?;
        let zeros = || params.flat().f_zeros_like();
        let gradient = Gradient::zeros(params)?;
        Ok(Adam { config: config.clone(), mean: zeros()?, square: zeros()?, count: 0, gradient })
    }

    /// One step down the gradient of `loss`; `step` (counted from 0) and `steps` set the learning rate.
    ///
    /// # Errors
    /// The loss does not depend on the parameters, or libtorch refuses.
    pub fn step(&mut self, params: &mut Params, loss: &Tensor, step: u64, steps: u64) -> Result<()> {
        let gradient = params.gradient(loss, false)?;
        self.apply(params, gradient, self.config.rate(step, steps))
    }

    /// The mean of gradients: after one step a multiple of the first.
    #[cfg(test)]
    pub(crate) fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// The buffer that [`Adam::descend`] goes along.
    pub fn gradient(&mut self) -> &mut Gradient {
        &mut self.gradient
    }

    /// One step along what lies in [`Adam::gradient`], which is used up; `step` and `steps` as in [`Adam::step`].
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn descend(&mut self, params: &mut Params, step: u64, steps: u64) -> Result<()> {
        let gradient = self.gradient.flat().shallow_clone();
        self.apply(params, gradient, self.config.rate(step, steps))
    }

    /// One step along a given flat gradient with a given learning rate.
    ///
    /// # Errors
    /// The gradient has another shape, or libtorch refuses.
    pub fn apply(&mut self, params: &mut Params, mut gradient: Tensor, rate: f64) -> Result<()> {
        let _guard = no_grad_guard();
        let OptimConfig { beta1, beta2, eps, weight_decay, .. } = self.config;
        if let Some(clip) = self.config.clip {
            let norm = scalar(&gradient.f_norm()?)?;
            if norm > clip {
                let _ = gradient.f_mul_scalar_(clip / norm)?;
            }
        }
        let flat = params.flat_mut();
        if weight_decay > 0.0 {
            match self.config.algorithm {
                Algorithm::Adam => gradient = gradient.f_add(&flat.f_mul_scalar(weight_decay)?)?,
                Algorithm::Adamw => drop(flat.f_mul_scalar_(1.0 - rate * weight_decay)?),
            }
        }
        self.count += 1;
        let count = self.count.min(i32::MAX as u64) as i32;
        let (bias1, bias2) = (1.0 - beta1.powi(count), (1.0 - beta2.powi(count)).sqrt());
        let _ = self.mean.f_lerp_(&gradient, 1.0 - beta1)?;
        let _ = self.square.f_lerp_(&gradient.f_square_()?, 1.0 - beta2)?;
        // r m̂/(√v̂ + ε) = m / ((√v + ε·bias2) · bias1/(r·bias2)): one factor on the denominator, none on a vector more.
        if rate > 0.0 {
            let mut denominator = self.square.f_sqrt()?;
            let _ = denominator.f_add_scalar_(eps * bias2)?;
            let _ = denominator.f_mul_scalar_(-bias1 / (rate * bias2))?;
            let _ = flat.f_addcdiv_(&self.mean, &denominator)?;
        }
        Ok(())
    }
}

impl Persist for Adam {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.counter("count", &mut self.count)?;
        v.tensor("mean", &mut self.mean)?;
        v.tensor("square", &mut self.square)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::{Init, Layout};
    use crate::tensor::values;
    use measures::Seed;
    use tch::{Device, Kind};

    fn point(kind: Kind) -> Params {
        let mut layout = Layout::default();
        layout.push("x", &[3], Init::Constant(0.7));
        Params::init(layout, Seed::new(0), kind, Device::Cpu).unwrap()
    }

    /// The formulas of the papers, line by line, on numbers.
    fn reference(config: &OptimConfig, gradients: &[[f64; 3]], rates: &[f64]) -> [f64; 3] {
        let (mut x, mut m, mut v) = ([0.7; 3], [0.0; 3], [0.0; 3]);
        for (t, (g, r)) in gradients.iter().zip(rates).enumerate() {
            let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
            let scale = config.clip.map_or(1.0, |c| (c / norm).min(1.0));
            for k in 0..3 {
                let mut g = g[k] * scale;
                match config.algorithm {
                    Algorithm::Adam => g += config.weight_decay * x[k],
                    Algorithm::Adamw => x[k] -= r * config.weight_decay * x[k],
                }
                m[k] = config.beta1 * m[k] + (1.0 - config.beta1) * g;
                v[k] = config.beta2 * v[k] + (1.0 - config.beta2) * g * g;
                let m_hat = m[k] / (1.0 - config.beta1.powi(t as i32 + 1));
                let v_hat = v[k] / (1.0 - config.beta2.powi(t as i32 + 1));
                x[k] -= r * m_hat / (v_hat.sqrt() + config.eps);
            }
        }
        x
    }

    #[test]
    fn steps_are_those_of_the_papers() {
        let gradients: Vec<[f64; 3]> = (0..40)
            .map(|t| [f64::from(t).sin(), 3.0 * f64::from(t).cos() - 1.0, 1e-3 * f64::from(t)])
            .collect();
        let plain = OptimConfig { lr: 0.01, ..OptimConfig::default() };
        let configs = [
            plain.clone(),
            OptimConfig { weight_decay: 0.1, ..plain.clone() },
            OptimConfig { weight_decay: 0.1, algorithm: Algorithm::Adamw, eps: 1e-3, ..plain.clone() },
            OptimConfig {
                clip: Some(1.5),
                warmup: 5,
                schedule: Schedule::Cosine { floor: 0.1 },
                ..plain.clone()
            },
        ];
        for config in configs {
            let mut x = point(Kind::Double);
            let mut adam = Adam::new(&config, &x).unwrap();
            let rates: Vec<f64> = (0..40).map(|t| config.rate(t, 40)).collect();
            for (g, &rate) in gradients.iter().zip(&rates) {
                adam.apply(&mut x, Tensor::from_slice(g), rate).unwrap();
            }
            let (got, expected) = (values(x.flat()).unwrap(), reference(&config, &gradients, &rates));
            let error = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-13, "{config:?}: {error}");
        }
    }

    #[test]
    fn schedules_have_their_corners() {
        let with = |schedule, warmup| OptimConfig { lr: 2.0, warmup, schedule, ..OptimConfig::default() };
        let cosine = with(Schedule::Cosine { floor: 0.25 }, 10);
        assert_eq!((cosine.rate(0, 110), cosine.rate(9, 110), cosine.rate(10, 110)), (0.2, 2.0, 2.0));
        assert!((cosine.rate(60, 110) - 2.0 * 0.625).abs() < 1e-15 && cosine.rate(110, 110) == 0.5);
        assert_eq!(with(Schedule::Linear { floor: 0.0 }, 0).rate(3, 4), 0.5);
        let step = with(Schedule::Step { every: 3, factor: 0.5 }, 0);
        assert_eq!((step.rate(2, 9), step.rate(3, 9), step.rate(8, 9)), (2.0, 1.0, 0.5));
        assert_eq!(with(Schedule::Constant {}, 0).rate(7, 0), 2.0);
    }

    #[test]
    fn bad_settings_are_named_and_zero_rate_is_still() {
        let bad = |c: OptimConfig| c.check().unwrap_err().to_string();
        assert!(bad(OptimConfig { lr: f64::NAN, ..OptimConfig::default() }).starts_with("lr = NaN"));
        assert!(bad(OptimConfig { beta2: 1.0, ..OptimConfig::default() }).starts_with("beta2 = 1"));
        let step = Schedule::Step { every: 0, factor: 0.5 };
        assert!(bad(OptimConfig { schedule: step, ..OptimConfig::default() }).starts_with("schedule.every"));
        let mut x = point(Kind::Float);
        let config = OptimConfig { lr: 0.0, ..OptimConfig::default() };
        Adam::new(&config, &x).unwrap().apply(&mut x, Tensor::from_slice(&[1.0f32; 3]), 0.0).unwrap();
        assert_eq!(values(x.flat()).unwrap(), [f64::from(0.7f32); 3]);
    }
}
