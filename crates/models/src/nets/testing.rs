//! What the tests of passes through networks share.

use crate::tensor::{to_tensor, values};
use measures::zoo::Gaussian;
use measures::{Sample, Seed};
use tch::{Device, Kind, Tensor};

/// A matrix of standard normal entries, in double precision.
pub(super) fn matrix(rows: i64, columns: i64, seed: u64) -> Tensor {
    let x = Gaussian::standard(columns as usize).sample(rows as usize, &mut Seed::new(seed).rng());
    to_tensor(&x, Kind::Double, Device::Cpu).unwrap()
}

/// The largest |a − b| / (1 + |b|) over the entries.
pub(super) fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(a).unwrap(), values(b).unwrap());
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max)
}
