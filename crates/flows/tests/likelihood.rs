//! Densities through flows, against laws in closed form.

mod common;

use common::checks::{affine_log_density, spiral};
use common::largest;
use flows::field::{AffineField, FiniteDifferences, Hutchinson, JacobianTrace, Pointwise, Probe};
use flows::likelihood::{Tracked, carry, log_density};
use flows::measures::nalgebra::DMatrix;
use flows::measures::zoo::{Gaussian, GaussianMixture};
use flows::measures::{Density, Diffeo, Estimate, Points, Sample, Seed};
use flows::ode::{DOP853, Ode, RK4, Status, TSITOURAS};
use flows::path::{Linear, MixturePath, OrnsteinUhlenbeck};

fn ode() -> Ode<'static, Tracked> {
    Ode::adaptive(DOP853, 1e-10, 1e-10).unwrap()
}

fn gap(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn affine_flows_have_their_exact_density() {
    let (a, b) = spiral();
    let field = AffineField::new(&a, b).unwrap();
    affine_log_density("affine", &field).unwrap();
    let base = Gaussian::new(vec![0.5, -1.0], DMatrix::from_row_slice(2, 2, &[1.0, 0.2, 0.2, 0.5])).unwrap();
    let x = Gaussian::isotropic(&[0.0, 0.0], 2.0).unwrap().sample(300, &mut Seed::new(1).rng());
    for (t0, t1) in [(0.0, 1.3), (1.0, -0.5)] {
        let (z, log_det) = field.flow(t1 - t0).unwrap().inverse_with_log_det(&x).unwrap();
        let exact: Vec<f64> =
            base.log_density(&z).unwrap().iter().zip(&log_det).map(|(p, j)| p + j).collect();
        assert!(log_density(&ode(), &field, &base, t0, &x, t1).unwrap().unfinished.is_none());
        // Forward: densities carried along arrive where the way back finds them.
        let start = base.log_density(&z).unwrap();
        let run = carry(&ode(), &field, z, start, t0, t1).unwrap().finished().unwrap();
        assert!(gap(run.log(), &exact) < 1e-7 && largest(run.points(), &x) < 1e-7);
    }
}

#[test]
fn mixtures_are_found_from_either_end() {
    let data = GaussianMixture::ring(5, 2.0, 0.4).unwrap();
    let x = data.sample(100, &mut Seed::new(2).rng());
    // From noise through the straight path to the data.
    let path = MixturePath::new(Linear, &data).unwrap();
    let exact = data.log_density(&x).unwrap();
    let found = log_density(&ode(), &path, &Gaussian::standard(2), 0.0, &x, 1.0).unwrap();
    assert!(gap(&found.log_density, &exact) < 1e-5, "{:e}", gap(&found.log_density, &exact));
    // From the data through Ornstein–Uhlenbeck to s = 1, by exact traces and by differences.
    let path = MixturePath::new(OrnsteinUhlenbeck, &data).unwrap();
    let law = path.law(1.0).unwrap();
    let y = law.sample(100, &mut Seed::new(3).rng());
    let exact = law.log_density(&y).unwrap();
    assert!(gap(&log_density(&ode(), &path, &data, 0.0, &y, 1.0).unwrap().log_density, &exact) < 1e-6);
    let near = FiniteDifferences::new(&path);
    let coarse = Ode::adaptive(TSITOURAS, 1e-7, 1e-7).unwrap();
    assert!(gap(&log_density(&coarse, &near, &data, 0.0, &y, 1.0).unwrap().log_density, &exact) < 1e-4);
}

#[test]
fn random_probes_are_unbiased_and_reproducible() {
    let data = GaussianMixture::ring(3, 1.5, 0.6).unwrap();
    let path = MixturePath::new(OrnsteinUhlenbeck, &data).unwrap();
    let one = Points::from_rows(&[[0.7, -0.4]]);
    let n = 2_000;
    let x = Points::from_fn(n, 2, |_, row| row.copy_from_slice(one.row(0)));
    let exact = path.law(0.5).unwrap().log_density(&one).unwrap()[0];
    let probes = Hutchinson::new(&path, Seed::new(4), 1, Probe::Gaussian).unwrap();
    let coarse = Ode::adaptive(TSITOURAS, 1e-6, 1e-6).unwrap();
    let found = log_density(&coarse, &probes, &data, 0.0, &x, 0.5).unwrap().log_density;
    let (low, high) = Estimate::of_mean(&found).unwrap().interval(1.0 - 1e-6).unwrap();
    assert!(low < exact && exact < high, "{exact} outside [{low}, {high}]");
    assert!(found[0] != found[1], "particles have probes of their own");
    // A particle's probes are its own in any company: fewer particles, the same numbers.
    let few = x.select(&(0..300).collect::<Vec<_>>());
    assert_eq!(log_density(&coarse, &probes, &data, 0.0, &few, 0.5).unwrap().log_density, found[..300]);
}

#[test]
fn what_does_not_come_back_is_said() {
    struct Explosion;
    impl flows::VelocityField for Explosion {
        fn velocity(&self, _: flows::Clock<'_>, x: &Points, v: &mut Points) -> Result<(), flows::FieldError> {
            v.as_mut_slice().iter_mut().zip(x.as_slice()).for_each(|(v, x)| *v = -x * x);
            Ok(())
        }
        fn is_pointwise(&self) -> bool {
            true
        }
    }
    impl JacobianTrace for Explosion {
        fn trace(
            &self,
            _: flows::Clock<'_>,
            x: &Points,
            _: &[u64],
            out: &mut [f64],
        ) -> Result<(), flows::FieldError> {
            out.iter_mut().zip(x.as_slice()).for_each(|(out, x)| *out = -2.0 * x);
            Ok(())
        }
    }
    // Backwards it is x' = x², which has no preimage of 2 a time 1 before.
    let x = Points::from_line(vec![0.5, 2.0, 0.1]);
    let found = log_density(&ode(), &Explosion, &Gaussian::standard(1), 0.0, &x, 1.0).unwrap();
    assert!(
        found.log_density[0].is_finite() && found.log_density[1].is_nan() && found.log_density[2].is_finite()
    );
    let stopped = found.unfinished.unwrap();
    assert!((stopped.row, stopped.of) == (1, 1) && stopped.status != Status::Finished);
    // x ↦ x/(1 + x) takes z = 1 to ½, with derivative ¼ there.
    let exact = Gaussian::standard(1).log_density(&Points::from_line(vec![1.0])).unwrap()[0] + 4f64.ln();
    assert!((found.log_density[0] - exact).abs() < 1e-7);

    let flat = Pointwise::autonomous(2, |_, v| v.fill(0.0));
    let rk4 = Ode::fixed(RK4, 3).unwrap();
    let field = FiniteDifferences::new(flat);
    assert!(log_density(&rk4, &field, &Gaussian::standard(1), 0.0, &Points::zeros(1, 2), 1.0).is_err());
    assert!(carry(&rk4, &field, Points::zeros(2, 2), vec![0.0], 0.0, 1.0).is_err());
}
