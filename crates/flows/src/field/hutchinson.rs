//! The divergence of a field estimated by random probes.

use super::{JacobianTrace, Jvp, VelocityField};
use crate::error::FieldError;
use crate::state::Clock;
use measures::{Points, Seed, check_len};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// The law of the probes u of a trace estimate; both have E\[uuᵀ\] = I.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Probe {
    /// Independent signs ±1: the smallest variance, 2 Σ_{i≠j} S_ij² with S the symmetric part of the Jacobian.
    #[default]
    Rademacher,
    /// Standard normal coordinates: variance 2 ‖S‖²_F.
    Gaussian,
}

/// tr Dv = E[uᵀ Dv u] by Hutchinson's estimate with probes that belong to the particle.
///
/// The probes of particle i come from stream i of the seed: they are the same at every time, in every block and on
/// every thread, so that along a trajectory the estimate is a smooth function of time, as adaptive steps need, and a
/// re-run gives the same bytes. The estimate is unbiased and independent from particle to particle. M. F. Hutchinson,
/// *A stochastic estimator of the trace of the influence matrix*, Comm. Stat. Sim. 19 (1990),
/// doi:10.1080/03610919008812866; for flows, Grathwohl et al., *FFJORD*, arXiv:1810.01367.
#[derive(Debug, Clone, Copy)]
pub struct Hutchinson<F> {
    field: F,
    seed: Seed,
    probes: usize,
    law: Probe,
}

impl<F: Jvp> Hutchinson<F> {
    /// An estimate from the mean of `probes` products with probes of the given law.
    ///
    /// # Errors
    /// No probe is asked for.
    pub fn new(field: F, seed: Seed, probes: usize, law: Probe) -> crate::Result<Self> {
        if probes == 0 {
            return Err(measures::Error::TooFew { what: "probes", at_least: 1, got: 0 }.into());
        }
        Ok(Hutchinson { field, seed, probes, law })
    }

    fn fill(&self, rng: &mut impl Rng, row: &mut [f64]) {
        match self.law {
            Probe::Gaussian => row.iter_mut().for_each(|u| *u = StandardNormal.sample(rng)),
            Probe::Rademacher => {
                for chunk in row.chunks_mut(64) {
                    let bits = rng.next_u64();
                    let sign = |k: usize| if bits >> k & 1 == 0 { 1.0 } else { -1.0 };
                    chunk.iter_mut().enumerate().for_each(|(k, u)| *u = sign(k));
                }
            }
        }
    }
}

impl<F: VelocityField> VelocityField for Hutchinson<F> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        self.field.velocity(t, x, out)
    }

    fn is_pointwise(&self) -> bool {
        self.field.is_pointwise()
    }
}

impl<F: Jvp> JacobianTrace for Hutchinson<F> {
    fn trace(&self, t: Clock<'_>, x: &Points, ids: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        check_len("divergences", x.len(), out.len())?;
        check_len("numbers of particles", x.len(), ids.len())?;
        out.fill(0.0);
        let mut streams: Vec<_> = ids.iter().map(|&id| self.seed.stream(id)).collect();
        let (mut u, mut product) = (x.clone(), x.clone());
        for _ in 0..self.probes {
            u.rows_mut().zip(&mut streams).for_each(|(row, rng)| self.fill(rng, row));
            self.field.jvp(t, x, &u, &mut product)?;
            for ((out, u), p) in out.iter_mut().zip(u.rows()).zip(product.rows()) {
                *out += u.iter().zip(p).map(|(u, p)| u * p).sum::<f64>() / self.probes as f64;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{AffineField, FiniteDifferences, Pointwise, WithTrace};
    use measures::nalgebra::DMatrix;

    fn estimate(field: &impl JacobianTrace, x: &Points, ids: &[u64]) -> Vec<f64> {
        let mut out = vec![0.0; x.len()];
        field.trace(Clock::Shared(0.0), x, ids, &mut out).unwrap();
        out
    }

    #[test]
    fn probes_are_unbiased_and_of_the_stated_variance() {
        let a = DMatrix::from_row_slice(3, 3, &[1.0, 2.0, 0.0, -1.0, 0.5, 3.0, 0.3, 0.0, -2.0]);
        let symmetric = (&a + a.transpose()) * 0.5;
        let off = symmetric.norm_squared() - symmetric.diagonal().norm_squared();
        let field = AffineField::new(&a, vec![0.0; 3]).unwrap();
        let n = 20_000;
        let (x, ids) = (Points::zeros(n, 3), (0..n as u64).collect::<Vec<_>>());
        for (law, variance) in
            [(Probe::Rademacher, 2.0 * off), (Probe::Gaussian, 2.0 * symmetric.norm_squared())]
        {
            let probes = Hutchinson::new(&field, Seed::new(5), 1, law).unwrap();
            let values = estimate(&probes, &x, &ids);
            let mean = values.iter().sum::<f64>() / n as f64;
            let spread = values.iter().map(|v| (v + 0.5).powi(2)).sum::<f64>() / n as f64;
            assert!((mean + 0.5).abs() < 5.0 * (variance / n as f64).sqrt(), "{law:?}: {mean}");
            assert!((spread / variance - 1.0).abs() < 0.1, "{law:?}: {spread} for {variance}");
        }
    }

    #[test]
    fn a_particle_keeps_its_probes_wherever_it_stands() {
        let field = FiniteDifferences::new(Pointwise::new(2, |t, x, v| {
            (v[0], v[1]) = (x[0] * x[1] + t, x[0].sin() * x[1]);
        }));
        let field = Hutchinson::new(field, Seed::new(1), 3, Probe::Rademacher).unwrap();
        let x = Points::from_rows(&[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]);
        let all = estimate(&field, &x, &[0, 1, 2]);
        assert_eq!(estimate(&field, &x.select(&[2, 0]), &[2, 0]), [all[2], all[0]]);
        assert!(Hutchinson::new(AffineField::contraction(1), Seed::new(0), 0, Probe::Gaussian).is_err());
    }

    #[test]
    fn differences_find_the_divergence() {
        let plain = Pointwise::new(2, |t, x: &[f64], v: &mut [f64]| {
            (v[0], v[1]) = (t * x[0].powi(2) * x[1], (x[0] * x[1]).cos());
        });
        let exact = WithTrace::new(plain, |t, x| 2.0 * t * x[0] * x[1] - x[0] * (x[0] * x[1]).sin());
        let near = FiniteDifferences::new(plain);
        let x = Points::from_rows(&[[0.3, -2.0], [100.0, 0.01], [0.0, 0.0]]);
        let (mut a, mut b) = (vec![0.0; 3], vec![0.0; 3]);
        exact.trace(Clock::Each(&[1.0, 2.0, 3.0]), &x, &[0, 1, 2], &mut a).unwrap();
        near.trace(Clock::Each(&[1.0, 2.0, 3.0]), &x, &[0, 1, 2], &mut b).unwrap();
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6 * a.abs().max(1.0)), "{a:?} {b:?}");
        assert!(FiniteDifferences::with_step(plain, 0.0).is_err());
    }
}
