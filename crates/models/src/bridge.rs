//! Networks trained through native kernels: any [`Functional`] or [`Drift`] becomes a loss whose gradient libtorch
//! carries on through the network.
//!
//! The wrapper of libtorch has no custom automatic differentiation. None is needed: with g = ∂F/∂x at the present points,
//! F(x) + ⟨x, g⟩ − stop(⟨x, g⟩) has the value F and the gradient g.

use crate::error::{Error, Result};
use crate::tensor::{to_finite_points, to_tensor, values};
use divergences::Divergence;
use measures::{Drift, Empirical, Functional, Variation};
use tch::Tensor;

/// A loss in two parts: the number to report, and the tensor to differentiate, whose own value means nothing.
#[derive(Debug)]
pub struct Bridged {
    /// The value of the objective, computed natively in double precision.
    pub value: f64,
    /// A scalar with the objective's gradient.
    pub surrogate: Tensor,
}

impl Bridged {
    /// The scalar with both the value and the gradient.
    pub fn into_loss(self) -> Tensor {
        let stopped = self.surrogate.detach();
        (self.surrogate - stopped) + self.value
    }
}

/// F of the empirical measure of the rows of `x` (n×d) and its gradient in `x`, as a tensor like it: what a backward pass
/// without a graph begins with.
///
/// # Errors
/// As [`bridged_loss`].
pub fn value_and_gradient(f: &(impl Functional + ?Sized), x: &Tensor) -> Result<(f64, Tensor)> {
    let mu = Empirical::uniform(to_finite_points(x, "the generated sample")?)?;
    let variation = f.variation(&mu)?;
    Ok((variation.value, to_tensor(&variation.d_points, x.kind(), x.device())?))
}

/// F of the empirical measure of the rows of `x` (n×d): [`bridged_loss`] before value and gradient are joined.
///
/// # Errors
/// As [`bridged_loss`].
pub fn bridged(f: &(impl Functional + ?Sized), x: &Tensor) -> Result<Bridged> {
    let (value, gradient) = value_and_gradient(f, x)?;
    Ok(Bridged { value, surrogate: x.f_mul(&gradient)?.f_sum(x.kind())? })
}

/// F(n⁻¹ Σ δ(xᵢ)) of the rows of `x` (n×d, single or double precision) as a scalar that back-propagates into `x`:
/// F + ⟨x, g⟩ − stop(⟨x, g⟩) with g the variation's `d_points`. For objectives that are a supremum this is the envelope
/// theorem: the gradient at the maximiser.
///
/// ```
/// use measures::{Empirical, Functional, Result, Variation};
/// use models::{bridge::bridged_loss, tch::{Kind, Tensor}};
/// /// Half the mean square, ½ E‖X‖².
/// struct Energy;
/// impl Functional for Energy {
///     fn variation(&self, mu: &Empirical) -> Result<Variation> {
///         let h: Vec<f64> = mu.points().rows().map(|x| 0.5 * x.iter().map(|v| v * v).sum::<f64>()).collect();
///         let value = h.iter().zip(mu.weights()).map(|(h, w)| h * w).sum();
///         Ok(Variation::from_potential(mu, value, h, mu.points().clone()))
///     }
/// }
/// let x = Tensor::from_slice(&[3.0, 4.0]).view([1, 2]).set_requires_grad(true);
/// let loss = bridged_loss(&Energy, &x)?;
/// loss.backward();
/// assert_eq!(loss.double_value(&[]), 12.5);
/// assert_eq!(x.grad(), x);
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// `x` is not a matrix, holds NaN or infinities ([`Error::NonFinite`]), or F is not defined there.
pub fn bridged_loss(f: &(impl Functional + ?Sized), x: &Tensor) -> Result<Tensor> {
    Ok(bridged(f, x)?.into_loss())
}

/// As [`bridged_loss`] for the weighted measure Σ wᵢ δ(xᵢ), back-propagating into points and weights: the derivative in
/// the weights is the first variation, which is fixed along mixtures, Σ dwᵢ = 0, as a softmax produces them.
///
/// # Errors
/// As [`bridged_loss`]; the weights are not n non-negative numbers of sum one (to 1e-6, as single precision has it).
pub fn bridged_weighted_loss(f: &(impl Functional + ?Sized), x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let points = to_finite_points(x, "the generated sample")?;
    let weights = values(w)?;
    if w.size() != [points.len() as i64] {
        return Err(Error::Shape { what: "weights", expected: format!("[{}]", points.len()), got: w.size() });
    }
    let sum: f64 = weights.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(measures::Error::WeightSum { what: "weights", sum }.into());
    }
    let variation = f.variation(&Empirical::normalised(points, weights)?)?;
    let d_points = to_tensor(&variation.d_points, x.kind(), x.device())?;
    let d_weights =
        Tensor::f_from_slice(&variation.d_weights)?.f_to_kind(w.kind())?.f_to_device(w.device())?;
    let surrogate = x.f_mul(&d_points)?.f_sum(x.kind())? + w.f_mul(&d_weights)?.f_sum(x.kind())?;
    Ok(Bridged { value: variation.value, surrogate }.into_loss())
}

/// D(n⁻¹ Σ δ(xᵢ), m⁻¹ Σ δ(yⱼ)) with the gradient in both samples, for critics that shape both; the divergence must be
/// symmetric, because its variation is known in the first argument.
///
/// # Errors
/// As [`bridged_loss`]; the divergence does not declare symmetry.
pub fn bridged_pair(divergence: &(impl Divergence + ?Sized), x: &Tensor, y: &Tensor) -> Result<Bridged> {
    if !divergence.axioms().symmetry {
        let why = "the divergence is not symmetric, and its variation is known in the first argument only";
        return Err(Error::Undefined { what: "the gradient in the second sample", why });
    }
    let mu = Empirical::uniform(to_finite_points(x, "the first sample")?)?;
    let nu = Empirical::uniform(to_finite_points(y, "the second sample")?)?;
    let (first, second) = (divergence.variation(&mu, &nu)?, divergence.variation(&nu, &mu)?);
    let part = |t: &Tensor, variation: &Variation| -> Result<Tensor> {
        Ok(t.f_mul(&to_tensor(&variation.d_points, t.kind(), t.device())?)?.f_sum(t.kind())?)
    };
    Ok(Bridged { value: first.value, surrogate: part(x, &first)? + part(y, &second)? })
}

/// The regression of `x` on stop(`x` + η V(x)): n⁻¹ Σᵢ ‖xᵢ − stop(xᵢ + η Vᵢ)‖², V the drift at the empirical measure of
/// the rows. Its value is η² times the mean square of V, its gradient −2ηV/n: the points are pulled along the drift.
///
/// # Errors
/// As [`bridged_loss`]; `eta` is not finite and positive.
pub fn bridged_drift(drift: &(impl Drift + ?Sized), x: &Tensor, eta: f64) -> Result<Tensor> {
    measures::check_positive("eta", eta)?;
    let mu = Empirical::uniform(to_finite_points(x, "the generated sample")?)?;
    let step = to_tensor(&drift.drift(&mu)?, x.kind(), x.device())?;
    regression(x, &(x.f_detach()? + step * eta))
}

/// n⁻¹ Σᵢ ‖xᵢ − yᵢ‖² for n×d tensors: the mean over points, not over coordinates.
///
/// # Errors
/// The shapes differ.
pub fn regression(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if x.size() != y.size() {
        return Err(Error::Shape { what: "regression", expected: format!("{:?}", x.size()), got: y.size() });
    }
    let n = x.size().first().copied().unwrap_or(1).max(1);
    Ok(x.f_sub(y)?.f_square()?.f_sum(x.kind())? / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{scalar, to_points};
    use measures::{Points, Result as MeasuresResult, Sample, Seed, Steepest, zoo::Gaussian};
    use tch::{Device, Kind};

    /// F(μ) = ½ ∬ cos⟨a, x − y⟩ μ(dx) μ(dy) = ½ |∫ e^{i⟨a, x⟩} μ(dx)|²: interacting, so that F is no mean of a function.
    struct Interaction([f64; 2]);

    impl Functional for Interaction {
        fn variation(&self, mu: &Empirical) -> MeasuresResult<Variation> {
            let phase = |x: &[f64]| self.0[0] * x[0] + self.0[1] * x[1];
            let sum = |f: fn(f64) -> f64| -> f64 {
                mu.points().rows().zip(mu.weights()).map(|(x, w)| w * f(phase(x))).sum()
            };
            let (c, s) = (sum(f64::cos), sum(f64::sin));
            let h = mu.points().rows().map(|x| c * phase(x).cos() + s * phase(x).sin()).collect();
            let gradients = Points::from_fn(mu.len(), 2, |i, row| {
                let p = phase(mu.points().row(i));
                let slope = s * p.cos() - c * p.sin();
                row.copy_from_slice(&[self.0[0] * slope, self.0[1] * slope]);
            });
            Ok(Variation::from_potential(mu, 0.5 * (c * c + s * s), h, gradients))
        }
    }

    fn cloud(kind: Kind) -> Tensor {
        let x = Gaussian::standard(2).sample(6, &mut Seed::new(8).rng());
        to_tensor(&x, kind, Device::Cpu).unwrap()
    }

    /// The same functional in torch, for automatic differentiation to disagree with.
    fn in_torch(x: &Tensor) -> Tensor {
        let a = Tensor::from_slice(&[1.3, -0.4]).to_kind(x.kind()).view([2, 1]);
        let phase = x.matmul(&a);
        (phase.cos().mean(x.kind()).square() + phase.sin().mean(x.kind()).square()) * 0.5
    }

    #[test]
    fn gradients_pass_through_a_network_as_automatic_differentiation_has_them() {
        let f = Interaction([1.3, -0.4]);
        for (kind, tolerance) in [(Kind::Double, 1e-14), (Kind::Float, 1e-6)] {
            let z = cloud(kind);
            let w =
                Tensor::from_slice(&[0.7, 0.2, -0.1, 1.1]).to_kind(kind).view([2, 2]).set_requires_grad(true);
            let native = bridged_loss(&f, &z.matmul(&w).tanh()).unwrap();
            let torch = in_torch(&z.matmul(&w).tanh());
            assert!((scalar(&native).unwrap() - scalar(&torch).unwrap()).abs() < tolerance);
            let gradient =
                |loss: &Tensor| to_points(&Tensor::run_backward(&[loss], &[&w], false, false)[0]).unwrap();
            let (a, b) = (gradient(&native), gradient(&torch));
            assert!(
                a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| (a - b).abs() < tolerance),
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let f = Interaction([1.3, -0.4]);
        let x = cloud(Kind::Double).set_requires_grad(true);
        bridged_loss(&f, &x).unwrap().backward();
        let (points, gradient) = (to_points(&x).unwrap(), to_points(&x.grad()).unwrap());
        for k in 0..points.as_slice().len() {
            let at = |shift: f64| {
                let mut moved = points.clone();
                moved.as_mut_slice()[k] += shift;
                f.value(&Empirical::uniform(moved).unwrap()).unwrap()
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((difference - gradient.as_slice()[k]).abs() < 1e-9, "{k}");
        }
    }

    #[test]
    fn weights_are_differentiated_along_mixtures() {
        let f = Interaction([1.3, -0.4]);
        let x = cloud(Kind::Double);
        let logits = Tensor::from_slice(&[0.3, -0.5, 0.0, 1.0, 0.2, -1.0]).set_requires_grad(true);
        bridged_weighted_loss(&f, &x, &logits.softmax(0, Kind::Double)).unwrap().backward();
        let gradient = values(&logits.grad()).unwrap();
        let base = values(&logits).unwrap();
        for k in 0..6 {
            let at = |shift: f64| {
                let mut moved = base.clone();
                moved[k] += shift;
                let w = values(&Tensor::from_slice(&moved).softmax(0, Kind::Double)).unwrap();
                f.value(&Empirical::normalised(to_points(&x).unwrap(), w).unwrap()).unwrap()
            };
            assert!(((at(1e-5) - at(-1e-5)) / 2e-5 - gradient[k]).abs() < 1e-9, "{k}");
        }
        let bad = Tensor::from_slice(&[0.5; 6]);
        assert!(bridged_weighted_loss(&f, &x, &bad).unwrap_err().to_string().contains("sum to 3"));
    }

    #[test]
    fn a_drift_is_followed() {
        let drift = Steepest(Interaction([1.3, -0.4]));
        let x = cloud(Kind::Double).set_requires_grad(true);
        let loss = bridged_drift(&drift, &x, 0.5).unwrap();
        loss.backward();
        let v = drift.drift(&Empirical::uniform(to_points(&x).unwrap()).unwrap()).unwrap();
        let square: f64 = v.as_slice().iter().map(|v| v * v).sum();
        assert!((scalar(&loss).unwrap() - 0.25 * square / 6.0).abs() < 1e-15);
        let gradient = to_points(&x.grad()).unwrap();
        assert!(
            gradient
                .as_slice()
                .iter()
                .zip(v.as_slice())
                .all(|(g, v)| (g + 2.0 * 0.5 * v / 6.0).abs() < 1e-15)
        );
        assert!(bridged_drift(&drift, &x, 0.0).is_err());
    }

    #[test]
    fn pairs_are_differentiated_in_both_samples() {
        let mmd = divergences::Mmd::new(
            divergences::kernel::Gaussian::new(0.8).unwrap(),
            divergences::Statistic::Unbiased,
        );
        let both = [cloud(Kind::Double), cloud(Kind::Double) * 0.5 + 0.3];
        let leaves = both.map(|t| t.detach().set_requires_grad(true));
        bridged_pair(&mmd, &leaves[0], &leaves[1]).unwrap().into_loss().backward();
        for which in 0..2 {
            let gradient = to_points(&leaves[which].grad()).unwrap();
            for k in 0..12 {
                let at = |h: f64| {
                    let mut clouds = [to_points(&leaves[0]).unwrap(), to_points(&leaves[1]).unwrap()];
                    clouds[which].as_mut_slice()[k] += h;
                    let [a, b] = clouds.map(|c| Empirical::uniform(c).unwrap());
                    mmd.value(&a, &b).unwrap()
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((difference - gradient.as_slice()[k]).abs() < 1e-9, "{which} {k}");
            }
        }
    }

    #[test]
    fn diverged_samples_are_refused() {
        let x = Tensor::from_slice(&[1.0, f64::INFINITY]).view([1, 2]);
        let error = bridged_loss(&Interaction([1.0, 1.0]), &x).unwrap_err();
        assert!(error.is_divergence(), "{error}");
    }
}
