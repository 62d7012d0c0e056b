//! What variational methods share: a decoder p(x|z), an encoder q(z|x), and bounds on log p(x).

use crate::error::{Result, check_count};
use crate::generators::{Decoder, DecoderAbout};
use crate::method::{Moment, Setup};
use crate::nets::{Layout, Mlp, MlpConfig, Params};
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Role, Visitor};
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::Sample;
use tch::Tensor;

/// A decoder p(x|z) = N(f(z), diag σ²) over z ~ N(0, I), and an encoder q(z|x) = N(m(x), diag s(x)²), each with its
/// optimiser.
pub struct Autoencoder {
    pub(super) decoder: Decoder,
    decoder_adam: Adam,
    encoder: Mlp,
    encoder_params: Params,
    encoder_adam: Adam,
}

/// The settings all variational methods share.
pub(super) struct Parts<'a> {
    pub(super) encoder: &'a MlpConfig,
    pub(super) optim: &'a OptimConfig,
    pub(super) batch: usize,
}

impl Autoencoder {
    pub(super) fn new(
        parts: &Parts<'_>,
        about: DecoderAbout,
        target: &dyn Source,
        setup: &Setup,
    ) -> Result<Self> {
        check_count("batch", parts.batch)?;
        target.batch(parts.batch, &mut setup.seed.rng())?;
        let latent = about.latent;
        let decoder = Decoder::new(about, setup)?;
        let mut layout = Layout::default();
        let encoder = Mlp::new(parts.encoder, target.dim(), 2 * latent, &mut layout)?;
        let encoder_params = Params::init(layout, setup.seed.named("encoder"), setup.kind, setup.device)?;
        let decoder_adam = Adam::new(parts.optim, &decoder.params)?;
        let encoder_adam = Adam::new(parts.optim, &encoder_params)?;
        Ok(Autoencoder { decoder, decoder_adam, encoder, encoder_params, encoder_adam })
    }

    /// Mean and logarithm of the standard deviation of q(z|x), each n×k.
    pub(super) fn encode(&self, x: &Tensor) -> (Tensor, Tensor) {
        let k = self.decoder.about().latent as i64;
        let out = self.encoder.forward(&self.encoder_params, x);
        (out.narrow(1, 0, k), out.narrow(1, k, k).clamp(-10.0, 10.0))
    }

    /// E_q log p(x|z) − `beta` KL(q(·|x) | N(0, I)) for every row of x (n×d): the first term is the mean over the s draws
    /// z = m + s ⊙ ε made of `noise` (s×n×k), the second exact. With `beta` = 1 it is the evidence lower bound.
    pub(super) fn elbo(&self, x: &Tensor, noise: &Tensor, beta: f64) -> Tensor {
        let (mean, log_scale) = self.encode(x);
        let z = &mean + log_scale.exp() * noise;
        let fit = self.decoder.log_likelihood(x, &self.decode(&z)).mean_dim(0, false, x.kind());
        let kl = ((&log_scale * 2.0).exp() + mean.square() - log_scale * 2.0 - 1.0) * 0.5;
        fit - kl.sum_dim_intlist(-1, false, x.kind()) * beta
    }

    /// log of the importance weights p(x, z)/q(z|x), s×n.
    pub(super) fn log_weights(&self, x: &Tensor, noise: &Tensor) -> Tensor {
        let (mean, log_scale) = self.encode(x);
        let z = &mean + log_scale.exp() * noise;
        // log p(z) − log q(z|x); the constants cancel.
        let prior = (noise.square() - z.square()) * 0.5 + log_scale;
        self.decoder.log_likelihood(x, &self.decode(&z)) + prior.sum_dim_intlist(-1, false, x.kind())
    }

    fn decode(&self, z: &Tensor) -> Tensor {
        let shape = z.size();
        let mean = self.decoder.mean(&z.view([-1, shape[2]]));
        mean.view([shape[0], shape[1], -1])
    }

    /// The target's points of a step and its noise, s×n×k.
    pub(super) fn draw(
        &self,
        samples: usize,
        batch: usize,
        target: &dyn Source,
        at: &Moment,
    ) -> Result<(Tensor, Tensor)> {
        let (kind, device) = self.decoder.params.options();
        let about = self.decoder.about();
        let x = about.scaler.standardise(target.batch(batch, &mut at.rng("target"))?);
        let noise = Noise::new(Law::Gaussian, about.latent)?.sample(samples * batch, &mut at.rng("latent"));
        let noise = to_tensor(&noise, kind, device)?;
        let shape = [samples as i64, batch as i64, about.latent as i64];
        Ok((to_tensor(&x, kind, device)?, noise.f_view(shape)?))
    }

    /// Goes up the mean of a bound on log p(x) and returns minus its value, in the coordinates of the data.
    pub(super) fn ascend(&mut self, bound: &Tensor, optim: &OptimConfig, at: &Moment) -> Result<f64> {
        let loss = -bound.mean(bound.kind());
        let value = scalar(&loss)?;
        if value.is_finite() {
            let rate = optim.rate(at.step, at.steps);
            // Both gradients before either changes: they share one graph.
            let encoder = self.encoder_params.gradient(&loss, true)?;
            let decoder = self.decoder.params.gradient(&loss, false)?;
            self.encoder_adam.apply(&mut self.encoder_params, encoder, rate)?;
            self.decoder_adam.apply(&mut self.decoder.params, decoder, rate)?;
        }
        Ok(value + self.decoder.about().scaler.log_volume())
    }
}

/// log ((1/s) Σ w) along the first dimension of log-weights, s×n to n: the importance-weighted bound.
pub(super) fn log_mean(log_weights: &Tensor) -> Tensor {
    log_weights.logsumexp([0i64].as_slice(), false) - (log_weights.size()[0] as f64).ln()
}

impl Persist for Autoencoder {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("decoder", &mut self.decoder)?;
        v.part("decoder_adam", &mut self.decoder_adam)?;
        v.params("encoder", &mut self.encoder_params, Role::Auxiliary)?;
        v.part("encoder_adam", &mut self.encoder_adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaler::Scaler;
    use crate::source::Draws;
    use crate::tensor::values;
    use measures::nalgebra::{DMatrix, DVector};
    use measures::{Density, Points, Seed, zoo::Gaussian};
    use tch::{Device, Kind};

    const K: usize = 2;
    const D: usize = 3;

    /// Both networks affine: everything about the model is known.
    fn linear() -> Autoencoder {
        let affine = MlpConfig { widths: vec![], ..MlpConfig::default() };
        let about = DecoderAbout {
            method: "test".into(),
            latent: K,
            net: affine.clone(),
            sigma: 0.7,
            noisy: true,
            scaler: Scaler::identity(D),
        };
        let target = Draws::new(Gaussian::standard(D), "space");
        let setup = Setup { kind: Kind::Double, device: Device::Cpu, seed: Seed::new(6) };
        let optim = OptimConfig::default();
        let parts = Parts { encoder: &affine, optim: &optim, batch: 4 };
        Autoencoder::new(&parts, about, &target, &setup).unwrap()
    }

    fn matrix(params: &Params, leaf: usize, rows: usize, columns: usize) -> DMatrix<f64> {
        DMatrix::from_row_slice(rows, columns, &values(params.leaf(leaf)).unwrap())
    }

    /// ELBO + KL(q | posterior) = log p, with the expectation under q exact: the mean over the points ±√k eᵢ is that of a
    /// quadratic function under N(0, I).
    #[test]
    fn the_bound_and_what_it_loses_make_the_evidence() {
        let model = linear();
        let rows = [[0.3, -1.0, 2.0], [1.5, 0.2, -0.4]];
        let x = Tensor::from_slice(rows.as_flattened()).view([2, D as i64]);
        let root = (K as f64).sqrt();
        let mut points = Vec::new();
        for i in 0..K {
            for sign in [1.0, -1.0] {
                for _ in 0..2 {
                    points.extend((0..K).map(|j| if i == j { sign * root } else { 0.0 }));
                }
            }
        }
        let noise = Tensor::from_slice(&points).view([2 * K as i64, 2, K as i64]);
        let elbo = values(&model.elbo(&x, &noise, 1.0)).unwrap();
        let (mean, log_scale) = model.encode(&x);
        let (mean, log_scale) = (values(&mean).unwrap(), values(&log_scale).unwrap());
        let w = matrix(&model.decoder.params, 0, K, D);
        let b = matrix(&model.decoder.params, 1, 1, D);
        let precision =
            values(&model.decoder.log_sigma()).unwrap().iter().map(|l| (-2.0 * l).exp()).collect();
        let precision = DMatrix::from_diagonal(&DVector::from_vec(precision));
        let noise_covariance = precision.clone().try_inverse().unwrap();
        let evidence =
            Gaussian::new(b.iter().copied().collect(), w.transpose() * &w + noise_covariance).unwrap();
        let log_p = evidence.log_density(&Points::from_rows(&rows)).unwrap();
        let posterior_precision = DMatrix::identity(K, K) + &w * &precision * w.transpose();
        let posterior = posterior_precision.clone().try_inverse().unwrap();
        for i in 0..2 {
            let residual = DMatrix::from_row_slice(1, D, &rows[i]) - &b;
            let centre = &posterior * &w * &precision * residual.transpose();
            let m = DMatrix::from_column_slice(K, 1, &mean[i * K..(i + 1) * K]);
            let scales: Vec<f64> = log_scale[i * K..(i + 1) * K].iter().map(|l| (2.0 * l).exp()).collect();
            let s = DMatrix::from_diagonal(&DVector::from_vec(scales.clone()));
            let apart = &m - centre;
            let kl = 0.5
                * ((&posterior_precision * &s).trace()
                    + (apart.transpose() * &posterior_precision * &apart)[0]
                    - K as f64
                    - posterior_precision.determinant().ln()
                    - scales.iter().map(|v| v.ln()).sum::<f64>());
            assert!(kl > 0.01);
            assert!((elbo[i] + kl - log_p[i]).abs() < 1e-10, "{} + {kl} = {}", elbo[i], log_p[i]);
        }
    }

    /// The bound with 2k weights against the mean of the two bounds with k, on the same draws; and both below log p.
    #[test]
    fn importance_weighted_bounds_rise_with_their_number() {
        let model = linear();
        let n = 400;
        let x = Gaussian::standard(D).sample(1, &mut Seed::new(2).rng()).select(&vec![0; n]);
        let x = to_tensor(&x, Kind::Double, Device::Cpu).unwrap();
        let most = 64;
        let noise = Gaussian::standard(K).sample(most * n, &mut Seed::new(3).rng());
        let noise =
            to_tensor(&noise, Kind::Double, Device::Cpu).unwrap().view([most as i64, n as i64, K as i64]);
        let log_weights = model.log_weights(&x, &noise);
        let mut k = 1;
        while 2 * k <= most as i64 {
            let part = |start, len| log_mean(&log_weights.narrow(0, start, len));
            let difference = part(0, 2 * k) - (part(0, k) + part(k, k)) * 0.5;
            let difference = values(&difference).unwrap();
            let mean = difference.iter().sum::<f64>() / n as f64;
            let spread = difference.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n as f64;
            // the lower end of the paired interval at five standard errors
            assert!(mean - 5.0 * (spread / n as f64).sqrt() > 0.0, "{k}: {mean}");
            k *= 2;
        }
        // one weight is the bound with the sampled divergence instead of the exact one: equal in the mean
        let elbo = values(&model.elbo(&x, &noise, 1.0)).unwrap();
        let single = values(&log_weights.mean_dim(0, false, Kind::Double)).unwrap();
        let gaps: Vec<f64> = elbo.iter().zip(single).map(|(a, b)| a - b).collect();
        let mean = gaps.iter().sum::<f64>() / n as f64;
        let spread = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 5.0 * (spread / n as f64).sqrt(), "{mean}");
    }
}
