//! Shared by the tests.
#![allow(dead_code)]

pub(crate) mod checks;
pub(crate) mod strong;

use flows::measures::Points;
use statrs::distribution::{ContinuousCDF, Normal};

/// The distribution function of Σ w_k N(m_k, s_k²).
pub(crate) fn mixture_cdf(parts: &[(f64, f64, f64)]) -> impl Fn(f64) -> f64 + '_ {
    let normal = Normal::standard();
    move |x| parts.iter().map(|(w, m, s)| w * normal.cdf((x - m) / s)).sum()
}

/// √n · sup |F_n − F|, Kolmogorov's statistic.
pub(crate) fn kolmogorov(x: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    let gap = |(i, x): (usize, &f64)| {
        let f = cdf(*x);
        (f - i as f64 / n).max((i + 1) as f64 / n - f)
    };
    x.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
}

/// What Kolmogorov's statistic stays below but for a chance of 1e-6: √(½ log(2/α)).
pub(crate) fn kolmogorov_limit() -> f64 {
    (0.5 * (2.0f64 / 1e-6).ln()).sqrt()
}

/// Kolmogorov's test at α = 1e-6.
pub(crate) fn assert_law(what: &str, x: &[f64], cdf: impl Fn(f64) -> f64) {
    checks::law(what, x, cdf).unwrap();
}

/// The largest |a − b| / (1 + |b|) over all coordinates.
pub(crate) fn largest(a: &Points, b: &Points) -> f64 {
    assert_eq!((a.len(), a.dim()), (b.len(), b.dim()));
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max)
}
