//! Paths and predictions as settings, and how a prediction becomes a velocity.

use crate::error::{Error, Result};
use flows::path::{Cosine, Linear, Schedule, Trigonometric, VarianceExploding, VariancePreserving};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// The path x_t = α(t) x₁ + σ(t) x₀ from noise (or a starting measure) at t = 0 to data at t = 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum PathConfig {
    /// α = t, σ = 1 − t: straight lines.
    Linear {},
    /// α = sin ½πt, σ = cos ½πt.
    Trigonometric {},
    /// The cosine schedule of arXiv 2102.09672.
    Cosine {},
    /// dX = −½β X dτ + √β dB, τ = 1 − t, β linear in τ (arXiv 2011.13456).
    VariancePreserving {
        /// β at data.
        #[serde(default = "least_beta")]
        first: f64,
        /// β at noise.
        #[serde(default = "most_beta")]
        last: f64,
    },
    /// α = 1, σ from σ_max at noise down to σ_min at data, geometrically (arXiv 2011.13456).
    VarianceExploding {
        /// σ at data.
        #[serde(default = "least_sigma")]
        least: f64,
        /// σ at noise.
        #[serde(default = "most_sigma")]
        most: f64,
    },
}

impl Default for PathConfig {
    fn default() -> Self {
        PathConfig::Linear {}
    }
}

fn least_beta() -> f64 {
    0.1
}
fn most_beta() -> f64 {
    20.0
}
fn least_sigma() -> f64 {
    0.01
}
fn most_sigma() -> f64 {
    10.0
}

impl PathConfig {
    /// The schedule.
    ///
    /// # Errors
    /// A parameter is out of range.
    pub fn schedule(&self) -> Result<Box<dyn Schedule + Send>> {
        Ok(match *self {
            PathConfig::Linear {} => Box::new(Linear),
            PathConfig::Trigonometric {} => Box::new(Trigonometric),
            PathConfig::Cosine {} => Box::new(Cosine::default()),
            PathConfig::VariancePreserving { first, last } => Box::new(VariancePreserving::new(first, last)?),
            PathConfig::VarianceExploding { least, most } => Box::new(VarianceExploding::new(least, most)?),
        })
    }
}

/// What a network of (t, x_t) is trained to say: the mean, given x_t, of
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// the velocity α̇ x₁ + σ̇ x₀.
    #[default]
    Velocity,
    /// the noise x₀ (ε-prediction).
    Noise,
    /// the data x₁ (x-prediction).
    Data,
    /// (α x₀ − σ x₁)/√(α² + σ²) (v-prediction, arXiv 2202.00512, where α² + σ² = 1).
    V,
    /// −x₀/σ, whose mean is the score ∇log ρ_t, learned with weight σ².
    Score,
}

/// The coefficients of a path at the times of n rows, each n×1.
pub(crate) struct Coefficients {
    pub(crate) alpha: Tensor,
    pub(crate) sigma: Tensor,
    pub(crate) d_alpha: Tensor,
    pub(crate) d_sigma: Tensor,
}

impl Coefficients {
    pub(crate) fn at(schedule: &dyn Schedule, t: &[f64], kind: Kind, device: Device) -> Result<Self> {
        let column = |f: &dyn Fn(f64) -> Result<f64>| -> Result<Tensor> {
            let values = t.iter().map(|&t| f(t)).collect::<Result<Vec<f64>>>()?;
            Ok(Tensor::f_from_slice(&values)?.f_to_kind(kind)?.f_to_device(device)?.f_view([-1, 1])?)
        };
        Ok(Coefficients {
            alpha: column(&|t| Ok(schedule.alpha(t)))?,
            sigma: column(&|t| Ok(schedule.sigma(t)))?,
            d_alpha: column(&|t| Ok(schedule.d_alpha(t)))?,
            d_sigma: column(&|t| Ok(schedule.d_sigma(t)?))?,
        })
    }

    /// What the network should say about a pair, up to the weight of [`Prediction::Score`]: n×d.
    pub(crate) fn answer(&self, prediction: Prediction, x0: &Tensor, x1: &Tensor) -> Tensor {
        match prediction {
            Prediction::Velocity => x1 * &self.d_alpha + x0 * &self.d_sigma,
            // The score is learned as σ times itself, that is, as minus the noise.
            Prediction::Noise => x0.shallow_clone(),
            Prediction::Score => -x0,
            Prediction::Data => x1.shallow_clone(),
            Prediction::V => (x0 * &self.alpha - x1 * &self.sigma) / self.square().sqrt(),
        }
    }

    fn square(&self) -> Tensor {
        self.alpha.square() + self.sigma.square()
    }

    /// (x₀, x₁) as the network's answer has them at x_t; for [`Prediction::Velocity`] the pair with α x₁ + σ x₀ = x_t and
    /// that velocity.
    pub(crate) fn ends(&self, prediction: Prediction, x: &Tensor, said: &Tensor) -> (Tensor, Tensor) {
        let data_from_noise = |x0: &Tensor| (x - x0 * &self.sigma) / &self.alpha;
        match prediction {
            Prediction::Noise => (said.shallow_clone(), data_from_noise(said)),
            Prediction::Score => {
                let x0 = -said;
                let x1 = data_from_noise(&x0);
                (x0, x1)
            }
            Prediction::Data => ((x - said * &self.alpha) / &self.sigma, said.shallow_clone()),
            Prediction::V => {
                // α x₁ + σ x₀ = x and α x₀ − σ x₁ = √(α² + σ²) v, solved for both.
                let square = self.square();
                let v = said * square.sqrt();
                let x0 = (x * &self.sigma + &v * &self.alpha) / &square;
                let x1 = (x * &self.alpha - v * &self.sigma) / &square;
                (x0, x1)
            }
            Prediction::Velocity => {
                let determinant = &self.alpha * &self.d_sigma - &self.sigma * &self.d_alpha;
                let x0 = (said * &self.alpha - x * &self.d_alpha) / &determinant;
                let x1 = (x * &self.d_sigma - said * &self.sigma) / &determinant;
                (x0, x1)
            }
        }
    }

    /// Refuses coefficients at which the answers of a prediction cannot be turned into a velocity.
    pub(crate) fn check(&self, prediction: Prediction) -> Result<()> {
        let smallest = |x: &Tensor| crate::tensor::scalar(&x.abs().min());
        let divisor = match prediction {
            Prediction::Noise | Prediction::Score => smallest(&self.alpha)?,
            Prediction::Data => smallest(&self.sigma)?,
            Prediction::Velocity | Prediction::V => 1.0,
        };
        if divisor > 1e-7 {
            Ok(())
        } else {
            let must = "larger: at an end of the path this prediction is divided by zero";
            Err(Error::setting("cut", "0", must))
        }
    }

    /// The velocity of the path's law as the network's answer has it.
    pub(crate) fn velocity(&self, prediction: Prediction, x: &Tensor, said: &Tensor) -> Tensor {
        if prediction == Prediction::Velocity {
            return said.shallow_clone();
        }
        let (x0, x1) = self.ends(prediction, x, said);
        x1 * &self.d_alpha + x0 * &self.d_sigma
    }
}

/// Times at which a path may be asked for, given how close to its ends its coefficients stay finite.
pub(crate) fn check_cut(cut: f64) -> Result<()> {
    if (0.0..0.5).contains(&cut) {
        Ok(())
    } else {
        Err(Error::setting("cut", cut, "at least 0 and less than 0.5"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;

    #[test]
    fn every_prediction_recovers_the_pair_and_the_velocity() {
        let paths = [
            PathConfig::Linear {},
            PathConfig::Trigonometric {},
            PathConfig::Cosine {},
            PathConfig::VariancePreserving { first: 0.1, last: 20.0 },
            PathConfig::VarianceExploding { least: 0.01, most: 10.0 },
        ];
        let (x0, x1) =
            (Tensor::from_slice(&[0.3, -1.0]).view([2, 1]), Tensor::from_slice(&[2.0, 0.7]).view([2, 1]));
        for path in paths {
            let schedule = path.schedule().unwrap();
            let c = Coefficients::at(&*schedule, &[0.25, 0.8], Kind::Double, Device::Cpu).unwrap();
            let x = &x1 * &c.alpha + &x0 * &c.sigma;
            let v = c.answer(Prediction::Velocity, &x0, &x1);
            for prediction in
                [Prediction::Velocity, Prediction::Noise, Prediction::Data, Prediction::V, Prediction::Score]
            {
                let said = c.answer(prediction, &x0, &x1);
                let close = |a: &Tensor, b: &Tensor| {
                    let (a, b) = (values(a).unwrap(), values(b).unwrap());
                    let scale = b.iter().fold(1.0f64, |m, v| m.max(v.abs()));
                    a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10 * scale)
                };
                let (a, b) = c.ends(prediction, &x, &said);
                assert!(close(&a, &x0) && close(&b, &x1), "{path:?} {prediction:?}");
                assert!(close(&c.velocity(prediction, &x, &said), &v), "{path:?} {prediction:?}");
            }
        }
        assert!(check_cut(0.5).is_err() && check_cut(0.0).is_ok());
        let bad: Result<PathConfig, _> = serde_json::from_str(r#"{"kind": "linear", "first": 1.0}"#);
        assert!(bad.is_err());
    }
}
