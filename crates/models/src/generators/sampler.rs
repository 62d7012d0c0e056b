//! How a model along a path turns noise into data: along its probability flow, or along a diffusion with the same laws.

use crate::error::{Error, Result, check_count, check_range};
use crate::generators::FlowModel;
use crate::guard::guard;
use crate::methods::flow::Prediction;
use crate::methods::flow::latent::Latent;
use crate::methods::flow::path::Coefficients;
use crate::tensor::{to_points, to_tensor};
use flows::exponential::{self, Denoiser, Extrapolation, log_snr_mesh};
use flows::path::Schedule;
use flows::sde::{Additive, EulerMaruyama, Scheme, Sde, Shark, Sra1, StochasticHeun, WhiteNoise};
use flows::{Clock, FieldError, VelocityField};
use measures::{Points, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use tch::{Tensor, no_grad_guard};

/// How generation goes along a learned path.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum SamplerConfig {
    /// The probability flow, eq. (7), by the Runge–Kutta method of `solver`.
    Flow {},
    /// The probability flow by an exponential integrator in log(α/σ), with one evaluation a step: DDIM, DPM-Solver++, DEIS.
    Exponential {
        /// How the denoiser is extrapolated over a step.
        #[serde(default = "two_m")]
        rule: ExponentialRule,
        /// Steps of equal length in log(α/σ).
        #[serde(default = "exponential_steps")]
        steps: usize,
    },
    /// Jumps of equal length in time, each to where the line between the ends (x₀, x₁) of its answer leads: DDIM steps, and Euler's
    /// on straight paths. Distilled models are trained for so many.
    Jumps {
        /// Jumps a sample takes.
        steps: usize,
    },
    /// A diffusion with the laws of the path, dX = (v + ε∇log ρ) dt + √(2ε) dB. At level 1 it is the reverse of the
    /// diffusion that noises data along the path, and the Schrödinger bridge for a model of one.
    Sde {
        /// The scheme.
        #[serde(default)]
        scheme: SdeRule,
        /// Steps of equal length.
        #[serde(default = "sde_steps")]
        steps: usize,
        /// Factor on the noise √(2ε); 0 is the probability flow.
        #[serde(default = "one")]
        level: f64,
    },
}

impl Default for SamplerConfig {
    fn default() -> Self {
        SamplerConfig::Flow {}
    }
}

fn two_m() -> ExponentialRule {
    ExponentialRule::TwoM
}
fn exponential_steps() -> usize {
    20
}
fn sde_steps() -> usize {
    200
}
fn one() -> f64 {
    1.0
}

/// How the denoiser is extrapolated over a step in log(α/σ).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExponentialRule {
    /// By its last value: DDIM (arXiv 2010.02502).
    Ddim,
    /// DPM-Solver++(2M), of order 2 (arXiv 2211.01095).
    TwoM,
    /// Exponential Adams–Bashforth of order 2, as in DEIS (arXiv 2204.13902).
    AdamsBashforth2,
    /// The same of order 3; its first step takes two evaluations.
    AdamsBashforth3,
}

impl ExponentialRule {
    fn rule(self) -> Extrapolation {
        match self {
            ExponentialRule::Ddim => Extrapolation::Ddim,
            ExponentialRule::TwoM => Extrapolation::TwoM,
            ExponentialRule::AdamsBashforth2 => Extrapolation::AdamsBashforth2,
            ExponentialRule::AdamsBashforth3 => Extrapolation::AdamsBashforth3,
        }
    }
}

/// The scheme of a stochastic equation whose noise does not look at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SdeRule {
    /// Strong order 1, one evaluation a step.
    EulerMaruyama,
    /// Strong order 1, two evaluations a step.
    #[default]
    Heun,
    /// Strong order 1.5, two evaluations a step.
    Sra1,
    /// Strong order 1.5, two evaluations a step, with smaller constants.
    Shark,
}

type DriftEquation<'a> = Additive<'a, Drifting>;

impl SdeRule {
    fn scheme<'a>(self) -> Box<dyn Scheme<DriftEquation<'a>, Points> + 'a> {
        match self {
            SdeRule::EulerMaruyama => Box::new(EulerMaruyama),
            SdeRule::Heun => Box::new(StochasticHeun),
            SdeRule::Sra1 => Box::new(Sra1),
            SdeRule::Shark => Box::new(Shark),
        }
    }
}

impl SamplerConfig {
    /// Refuses settings out of range, whatever the model.
    pub(crate) fn check(&self) -> Result<()> {
        match *self {
            SamplerConfig::Flow {} => Ok(()),
            SamplerConfig::Exponential { steps, .. } | SamplerConfig::Jumps { steps } => {
                check_count("sampler.steps", steps)
            }
            SamplerConfig::Sde { steps, level, .. } => {
                check_count("sampler.steps", steps)?;
                check_range("sampler.level", level, 0.0.., "finite and not negative")
            }
        }
    }

    /// Whether it asks for more than the velocity: the score, or the denoiser.
    pub(crate) fn needs_score(&self) -> bool {
        matches!(self, SamplerConfig::Exponential { .. } | SamplerConfig::Sde { .. })
    }

    /// Network evaluations a sample, for a model of so many networks; none where the solver of the flow says it.
    pub(crate) fn evaluations(&self, networks: u64) -> Option<u64> {
        match *self {
            SamplerConfig::Flow {} => None,
            SamplerConfig::Exponential { rule, steps } => {
                Some(networks * (steps as u64 + u64::from(rule == ExponentialRule::AdamsBashforth3)))
            }
            SamplerConfig::Jumps { steps } => Some(networks * steps as u64),
            SamplerConfig::Sde { scheme, steps, .. } => {
                Some(networks * (scheme.scheme().evaluations() * steps) as u64)
            }
        }
    }
}

impl FlowModel {
    /// Refuses a sampler that this model's path has no coefficients for.
    pub(crate) fn check_sampler(&self) -> Result<()> {
        let sampler = self.about().sampler;
        sampler.check()?;
        let (from, to) = self.span();
        let must = |must: &str| Err(Error::setting("cut", self.about().cut, must));
        match sampler {
            SamplerConfig::Flow {} => Ok(()),
            SamplerConfig::Exponential { .. } | SamplerConfig::Jumps { .. } if self.latent().is_some() => {
                let must =
                    "flow or sde: exponential integrators and jumps are for paths without latent noise";
                Err(Error::setting("sampler", format!("{sampler:?}"), must))
            }
            SamplerConfig::Jumps { .. } => {
                let (kind, device) = self.params.options();
                Coefficients::at(self.schedule(), &[from], kind, device)?.check(self.about().prediction)
            }
            SamplerConfig::Exponential { steps, .. } => {
                if log_snr_mesh(self.schedule(), from, to, steps).is_err() {
                    return must("larger: the exponential integrator needs both α and σ at its ends");
                }
                Ok(())
            }
            SamplerConfig::Sde { .. } if self.latent().is_some() => Ok(()),
            SamplerConfig::Sde { .. } => {
                if self.schedule().noising(from).is_err() || self.schedule().sigma(to) == 0.0 {
                    return must("larger: the diffusion needs α where it begins and σ where it ends");
                }
                Ok(())
            }
        }
    }

    /// The score ∇log ρ_t at the rows of `x` (n×d): −E[z | x]/γ where the path has latent noise γz, −E[x₀ | x]/σ where x₀ is
    /// Gaussian noise apart from the data (which this model cannot know: it holds for `diffusion`, and for independent pairs).
    ///
    /// # Errors
    /// A coefficient vanishes at one of the times, or libtorch refuses.
    pub fn score(&self, t: &[f64], x: &Tensor) -> Result<Tensor> {
        let (kind, device) = self.params.options();
        if let Some(latent) = self.latent() {
            let scale = latent.column(t, kind, device, |l, u| -1.0 / l.gamma(u))?;
            return Ok(self.latent_noise(t, x)? * scale);
        }
        let c = Coefficients::at(self.schedule(), t, kind, device)?;
        let said = self.forward(t, x)?;
        Ok(-c.ends(self.about().prediction, x, &said).0 / &c.sigma)
    }

    /// The points α(to) x₁ + σ(to) x₀ with the ends (x₀, x₁) as the network has them at the times `from` and the rows of `x`.
    pub(crate) fn jump(&self, from: &[f64], to: &[f64], x: &Tensor) -> Result<Tensor> {
        let (kind, device) = self.params.options();
        let here = Coefficients::at(self.schedule(), from, kind, device)?;
        let (x0, x1) = here.ends(self.about().prediction, x, &self.forward(from, x)?);
        let (alpha, sigma) = self.coefficients(to)?;
        Ok(x1 * alpha + x0 * sigma)
    }

    /// α and σ, n×1: finite at every time, unlike their slopes.
    pub(crate) fn coefficients(&self, t: &[f64]) -> Result<(Tensor, Tensor)> {
        let (kind, device) = self.params.options();
        let column = |f: &dyn Fn(f64) -> f64| {
            to_tensor(&Points::from_line(t.iter().map(|&t| f(t)).collect()), kind, device)
        };
        Ok((column(&|t| self.schedule().alpha(t))?, column(&|t| self.schedule().sigma(t))?))
    }

    /// v + ε∇log ρ at a time all rows share.
    fn drifting(&self, t: f64, level: f64, x: &Tensor) -> Result<Tensor> {
        let (kind, device) = self.params.options();
        let times = vec![t; x.size()[0] as usize];
        if let Some(latent) = self.latent() {
            // ε∇log ρ = −ε z/γ is finite at the ends, where both vanish.
            let noise = self.latent_noise(&times, x)?;
            let said = self.forward(&times, x)?;
            return Ok(said + noise * (latent.d_gamma(t) - level * level * latent.pull(t)));
        }
        let c = Coefficients::at(self.schedule(), &[t], kind, device)?;
        let said = self.forward(&times, x)?;
        let (x0, x1) = c.ends(self.about().prediction, x, &said);
        let velocity = match self.about().prediction {
            Prediction::Velocity => said,
            _ => x1 * &c.d_alpha + &x0 * &c.d_sigma,
        };
        let epsilon = level * level * diffusion(self.schedule(), None, t);
        Ok(velocity - x0 * (epsilon / self.schedule().sigma(t)))
    }

    /// Carries points of standard coordinates from noise to data, as the sampler says.
    pub(crate) fn sampled(&self, x: &Points, seed: Seed) -> Result<Points> {
        match self.about().sampler {
            SamplerConfig::Flow {} => self.carry(x, false),
            SamplerConfig::Exponential { rule, steps } => guard(|| {
                let (from, to) = self.span();
                let mesh = log_snr_mesh(self.schedule(), from, to, steps)?;
                Ok(exponential::solve(rule.rule(), self.schedule(), self, x, &mesh)?.finished()?)
            }),
            SamplerConfig::Jumps { steps } => guard(|| {
                let _guard = no_grad_guard();
                let (kind, device) = self.params.options();
                let (from, to) = self.span();
                let at = |k: usize| vec![from + (to - from) * (k as f64 / steps as f64); x.len()];
                let mut x = to_tensor(x, kind, device)?;
                for k in 0..steps {
                    x = self.jump(&at(k), &at(k + 1), &x)?;
                }
                to_points(&x)
            }),
            SamplerConfig::Sde { scheme, steps, level } => guard(|| {
                let (from, to) = self.span();
                let drift = Drifting { model: Mutex::new(self.copy()?), level };
                let (schedule, latent) = (self.about().path.schedule()?, self.latent());
                let noise = move |t| level * (2.0 * diffusion(&*schedule, latent, t)).sqrt();
                let equation = Additive::new(drift, noise);
                let run = Sde::fixed(scheme.scheme(), steps)?.solve_batch(
                    &equation,
                    &WhiteNoise::new(seed.named("diffusion")),
                    x,
                    from,
                    to,
                )?;
                Ok(run.finished()?)
            }),
        }
    }
}

/// ε(t) at level 1; NaN where the path has no diffusion, which stops the run with a status.
fn diffusion(schedule: &dyn Schedule, latent: Option<Latent>, t: f64) -> f64 {
    match latent {
        Some(latent) => latent.diffusion(t),
        None => schedule.noising(t).map_or(f64::NAN, |(_, square)| 0.5 * square),
    }
}

impl Denoiser for FlowModel {
    fn denoise(&self, t: f64, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        let _guard = no_grad_guard();
        let (kind, device) = self.params.options();
        let x = to_tensor(x, kind, device)?;
        let said = self.forward(&vec![t; out.len()], &x)?;
        let c = Coefficients::at(self.schedule(), &[t], kind, device)?;
        *out = to_points(&c.ends(self.about().prediction, &x, &said).1)?;
        Ok(())
    }
}

/// The drift of a diffusion with the laws of a model. Equations are shared between threads, tensors cannot be: the model is
/// a copy behind a lock, and the solver runs in one batch.
struct Drifting {
    model: Mutex<FlowModel>,
    level: f64,
}

impl VelocityField for Drifting {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        let _guard = no_grad_guard();
        let model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, device) = model.params.options();
        let t = t.shared("the drift of a network")?;
        *out = to_points(&model.drifting(t, self.level, &to_tensor(x, kind, device)?)?)?;
        Ok(())
    }
}
