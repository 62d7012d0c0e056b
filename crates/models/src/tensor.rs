//! The one door between [`Points`] (native, double precision) and [`Tensor`] (any device, single or double precision).

use crate::error::{Error, Result};
use measures::Points;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The precision in which a network is trained.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits: what networks are trained in.
    #[default]
    Single,
    /// 64 bits: for tests and small problems that need it.
    Double,
}

impl Precision {
    /// The libtorch kind.
    pub fn kind(self) -> Kind {
        match self {
            Precision::Single => Kind::Float,
            Precision::Double => Kind::Double,
        }
    }
}

/// The points as an n×d tensor of the given kind on the given device.
///
/// # Errors
/// libtorch refuses the memory or the device.
pub fn to_tensor(x: &Points, kind: Kind, device: Device) -> Result<Tensor> {
    let shape = [x.len() as i64, x.dim() as i64];
    let tensor = if kind == Kind::Float {
        // One pass here beats a tensor of doubles and a conversion.
        let single: Vec<f32> = x.as_slice().iter().map(|&v| v as f32).collect();
        Tensor::f_from_slice(&single)?
    } else {
        Tensor::f_from_slice(x.as_slice())?.f_to_kind(kind)?
    };
    let tensor = tensor.f_view(shape)?;
    Ok(if device == Device::Cpu { tensor } else { tensor.f_to_device(device)? })
}

/// The rows of an n×d tensor as points, finite or not, detached from its graph.
///
/// # Errors
/// The tensor has not two dimensions, or no columns.
pub fn to_points(x: &Tensor) -> Result<Points> {
    let (_, d) = shape2("points", x)?;
    if d == 0 {
        return Err(Error::Shape { what: "points", expected: "n×d with d ≥ 1".into(), got: x.size() });
    }
    Ok(Points::from_raw(d, values(x)?))
}

/// As [`to_points`], for points that must be finite.
///
/// # Errors
/// As [`to_points`]; [`Error::NonFinite`] when a coordinate is NaN or infinite.
pub fn to_finite_points(x: &Tensor, what: &'static str) -> Result<Points> {
    let points = to_points(x)?;
    points.check_finite(what).map_err(|_| Error::NonFinite { what })?;
    Ok(points)
}

/// All entries of a tensor in row-major order, as doubles.
///
/// # Errors
/// libtorch refuses the copy.
pub fn values(x: &Tensor) -> Result<Vec<f64>> {
    let n = x.numel();
    if x.f_kind()? == Kind::Float {
        let mut single = vec![0.0f32; n];
        x.f_copy_data(&mut single, n)?;
        return Ok(single.into_iter().map(f64::from).collect());
    }
    let mut out = vec![0.0f64; n];
    x.f_to_kind(Kind::Double)?.f_copy_data(&mut out, n)?;
    Ok(out)
}

/// The one entry of a tensor.
///
/// # Errors
/// The tensor has not one entry.
pub fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.f_double_value(&[])?)
}

/// A copy with memory of its own, outside any graph.
///
/// # Errors
/// libtorch refuses the memory.
pub fn duplicate(x: &Tensor) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let mut out = x.f_empty_like()?;
    out.f_copy_(x)?;
    Ok(out)
}

/// The shape of a matrix.
///
/// # Errors
/// The tensor has not two dimensions.
pub(crate) fn shape2(what: &'static str, x: &Tensor) -> Result<(usize, usize)> {
    match x.size().as_slice() {
        &[n, d] => Ok((n as usize, d as usize)),
        got => Err(Error::Shape { what, expected: "n×d".into(), got: got.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_survive_the_door() {
        let x = Points::from_rows(&[[1.0, 2.5, -3.0], [1e-3, 0.0, 1e7]]);
        let double = to_tensor(&x, Kind::Double, Device::Cpu).unwrap();
        assert_eq!(double.size(), [2, 3]);
        assert_eq!(to_points(&double).unwrap(), x);
        let single = to_points(&to_tensor(&x, Kind::Float, Device::Cpu).unwrap()).unwrap();
        assert!(single.as_slice().iter().zip(x.as_slice()).all(|(a, b)| (a - b).abs() <= 1e-7 * b.abs()));
        // a transposed view is read in row-major order, not as it lies in memory
        assert_eq!(to_points(&double.tr()).unwrap().row(1), &[2.5, 0.0]);
    }

    #[test]
    fn wrong_shapes_and_numbers_are_refused() {
        let flat = Tensor::from_slice(&[1.0, 2.0]);
        assert!(matches!(to_points(&flat), Err(Error::Shape { .. })));
        let bad = Tensor::from_slice(&[1.0, f64::NAN]).view([2, 1]);
        assert!(to_points(&bad).is_ok());
        assert_eq!(to_finite_points(&bad, "x").unwrap_err().to_string(), "x is not finite");
    }
}
