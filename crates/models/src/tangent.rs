//! Derivatives along a direction: forward mode, which libtorch's wrapper does not have, by two backward passes.

use crate::error::Result;
use tch::Tensor;

/// f(x) and Df(x)·v, for several inputs x with a direction v each.
///
/// With g(w) = Df(x)ᵀ w, a backward pass, ⟨g(w), v⟩ = ⟨w, Df(x)·v⟩ is linear in w, so its gradient in w, a second backward pass,
/// is Df(x)·v (J. Townsend 2017, *A new trick for calculating Jacobian vector products*). f(x) keeps its graph, so that a loss of it
/// can be differentiated in the parameters; the derivative is apart from any graph.
///
/// ```
/// use models::{tangent::jvp, tch::Tensor};
/// let x = Tensor::from_slice(&[1.0, 2.0]);
/// let (y, dy) = jvp(|x| Ok(x[0].square() * 3.0), &[&x], &[&Tensor::from_slice(&[1.0, -1.0])])?;
/// assert_eq!(y, Tensor::from_slice(&[3.0, 12.0]));
/// assert_eq!(dy, Tensor::from_slice(&[6.0, -12.0]));
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// f fails, its result depends on none of the inputs, or libtorch refuses.
pub fn jvp(
    f: impl FnOnce(&[Tensor]) -> Result<Tensor>,
    inputs: &[&Tensor],
    directions: &[&Tensor],
) -> Result<(Tensor, Tensor)> {
    let leaves = inputs.iter().map(|x| Ok(x.f_detach()?.f_set_requires_grad(true)?));
    let leaves = leaves.collect::<Result<Vec<Tensor>>>()?;
    let y = f(&leaves)?;
    let w = y.f_zeros_like()?.f_set_requires_grad(true)?;
    let pulled = Tensor::f_run_backward(&[y.f_mul(&w)?.f_sum(y.kind())?], &leaves, true, true)?;
    let mut product = w.f_sum(y.kind())? * 0.0;
    for (pulled, direction) in pulled.iter().zip(directions) {
        if pulled.defined() {
            product += pulled.f_mul(direction)?.f_sum(y.kind())?;
        }
    }
    let derivative = Tensor::f_run_backward(&[product], &[&w], true, false)?.remove(0);
    Ok((y, derivative.f_detach()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::{Activation, Architecture, FieldConfig, FieldNet, Layout, Params};
    use crate::tensor::values;
    use measures::Seed;
    use tch::{Device, Kind};

    #[test]
    fn derivatives_along_a_direction_agree_with_differences() {
        for architecture in [Architecture::Mlp, Architecture::Residual] {
            for activation in [Activation::Silu, Activation::Tanh, Activation::Gelu, Activation::Selu] {
                let config =
                    FieldConfig { architecture, activation, widths: vec![7, 7], ..FieldConfig::default() };
                let mut layout = Layout::default();
                let net = FieldNet::new(&config, 2, 1, 2, &mut layout).unwrap();
                let params = Params::init(layout, Seed::new(6), Kind::Double, Device::Cpu).unwrap();
                let column = |v: &[f64], d: i64| Tensor::from_slice(v).view([-1, d]);
                let (t, x, c) =
                    (column(&[0.3, 0.9], 1), column(&[0.5, -1.0, 0.2, 2.0], 2), column(&[0.1, 0.4], 1));
                let (dt, dx, dc) =
                    (column(&[1.0, -0.5], 1), column(&[0.7, 0.3, -1.1, 0.4], 2), column(&[0.2, 1.0], 1));
                let at = |t: &Tensor, x: &Tensor, c: &Tensor| net.forward(&params, t, x, Some(c));
                let f = |v: &[Tensor]| Ok(at(&v[0], &v[1], &v[2]));
                let (y, derivative) = jvp(f, &[&t, &x, &c], &[&dt, &dx, &dc]).unwrap();
                let moved = |h: f64| at(&(&t + &dt * h), &(&x + &dx * h), &(&c + &dc * h));
                let difference = values(&((moved(1e-5) - moved(-1e-5)) / 2e-5)).unwrap();
                let found = values(&derivative).unwrap();
                for (a, b) in found.iter().zip(&difference) {
                    assert!(
                        (a - b).abs() < 1e-8,
                        "{architecture:?} {activation:?}: {found:?} {difference:?}"
                    );
                }
                // The value keeps its graph to the parameters.
                assert_eq!(values(&y).unwrap(), values(&at(&t, &x, &c)).unwrap());
                let loss = |y: Tensor| params.gradient(&y.square().sum(Kind::Double), false).unwrap();
                assert_eq!(values(&loss(y)).unwrap(), values(&loss(at(&t, &x, &c))).unwrap());
            }
        }
    }
}
