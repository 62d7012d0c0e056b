//! Exponential integrators: their orders, both ends of a schedule, and what goes wrong.

mod common;

use common::largest;
use flows::exponential::{Denoiser, Extrapolation, log_snr_mesh, solve};
use flows::measures::zoo::{Gaussian, GaussianMixture};
use flows::measures::{Points, Sample, Seed};
use flows::ode::{DOP853, Ode, Status};
use flows::path::{Cosine, Linear, MixturePath, OrnsteinUhlenbeck, Schedule, VariancePreserving};
use flows::{Error, FieldError};

const RULES: [Extrapolation; 4] = [
    Extrapolation::Ddim,
    Extrapolation::TwoM,
    Extrapolation::AdamsBashforth2,
    Extrapolation::AdamsBashforth3,
];

fn slope(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let cov: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    cov / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

#[test]
fn every_rule_has_its_order_on_every_kind_of_path() {
    let data = GaussianMixture::ring(3, 1.5, 0.7).unwrap();
    let vp = VariancePreserving::default();
    let schedules: [(&dyn Schedule, f64, f64); 4] = [
        (&vp, 0.1, 0.95),
        (&Linear, 0.1, 0.9),
        (&OrnsteinUhlenbeck, 2.0, 0.1),
        (&OrnsteinUhlenbeck, 0.1, 2.0),
    ];
    for (schedule, t0, t1) in schedules {
        let path = MixturePath::new(schedule, &data).unwrap();
        let x = path.law(t0).unwrap().sample(40, &mut Seed::new(1).rng());
        let exact = Ode::adaptive(DOP853, 1e-12, 1e-12)
            .unwrap()
            .solve(&path, &x, t0, t1)
            .unwrap()
            .finished()
            .unwrap();
        for rule in RULES {
            let (mut h, mut e) = (Vec::new(), Vec::new());
            for n in [128usize, 181, 256, 362, 512] {
                let mesh = log_snr_mesh(schedule, t0, t1, n).unwrap();
                let run = solve(rule, schedule, &path, &x, &mesh).unwrap();
                let extra = usize::from(rule == Extrapolation::AdamsBashforth3);
                assert_eq!((run.counts[0].evaluations, run.counts[0].accepted), (n + extra, n));
                let end = run.finished().unwrap();
                let square: f64 =
                    end.as_slice().iter().zip(exact.as_slice()).map(|(a, b)| (a - b).powi(2)).sum();
                h.push(-(n as f64).ln());
                e.push(0.5 * square.ln());
            }
            let order = slope(&h, &e);
            println!("{:<22} {rule:?}: {order:.3}", schedule.name());
            assert!((order - f64::from(rule.order())).abs() < 0.1, "{} {rule:?}: {order}", schedule.name());
        }
    }
}

#[test]
fn a_point_of_data_is_reached_in_one_step() {
    // D is constant: one step of any length is exact, and so is the step to σ = 0.
    struct Point;
    impl Denoiser for Point {
        fn denoise(&self, _: f64, x: &Points, out: &mut Points) -> Result<(), FieldError> {
            *out = Points::from_fn(x.len(), 1, |_, d| d[0] = 3.0);
            Ok(())
        }
    }
    let z = Points::from_line(vec![0.5, -1.0]);
    for rule in RULES {
        let run = solve(rule, &Linear, &Point, &z, &[0.01, 0.2, 0.7, 0.75]).unwrap().finished().unwrap();
        let exact = Points::from_fn(2, 1, |i, x| x[0] = 3.0 * 0.75 + (z.row(i)[0] - 0.03) / 0.99 * 0.25);
        assert!(largest(&run, &exact) < 1e-13, "{rule:?}");
        let run = solve(rule, &Linear, &Point, &z, &[0.01, 0.4, 1.0]).unwrap().finished().unwrap();
        assert_eq!(run.as_slice(), [3.0, 3.0]);
    }
}

#[test]
fn the_second_order_is_worth_its_memory_at_few_steps() {
    let data = GaussianMixture::ring(8, 4.0, 0.4).unwrap();
    let vp = VariancePreserving::default();
    let path = MixturePath::new(vp, &data).unwrap();
    let x = Gaussian::standard(2).sample(200, &mut Seed::new(2).rng());
    let (t0, t1) = (0.0, 0.99);
    let exact =
        Ode::adaptive(DOP853, 1e-10, 1e-10).unwrap().solve(&path, &x, t0, t1).unwrap().finished().unwrap();
    let mean_gap = |a: &Points| {
        a.rows().zip(exact.rows()).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum::<f64>() / 200.0
    };
    let mesh = log_snr_mesh(&vp, t0, t1, 25).unwrap();
    let two = mean_gap(&solve(Extrapolation::TwoM, &vp, &path, &x, &mesh).unwrap().end);
    let one = mean_gap(&solve(Extrapolation::Ddim, &vp, &path, &x, &mesh).unwrap().end);
    let euler = mean_gap(&Ode::fixed(flows::ode::EULER, 25).unwrap().solve(&path, &x, t0, t1).unwrap().end);
    println!("25 evaluations: 2M {two:.4}, DDIM {one:.4}, Euler {euler:.4}");
    assert!(two < one && two < 0.7 * euler, "{two} {one} {euler}");
}

/// A denoiser that breaks for one row.
struct Broken;

impl Denoiser for Broken {
    fn denoise(&self, t: f64, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        *out = x.clone();
        if t > 0.4 {
            out.row_mut(0)[0] = f64::NAN;
        }
        Ok(())
    }
}

#[test]
fn what_is_wrong_is_said() {
    let data = GaussianMixture::ring(3, 1.5, 0.7).unwrap();
    let path = MixturePath::new(Linear, &data).unwrap();
    let z = Points::zeros(2, 2);
    assert!(matches!(log_snr_mesh(&Linear, 0.0, 0.9, 5), Err(Error::Singular { what: "log(α/σ)", .. })));
    assert!(
        log_snr_mesh(&Linear, 0.1, 1.0, 5).is_err() && log_snr_mesh(&Cosine::default(), 0.1, 0.9, 0).is_err()
    );
    let go = |mesh: &[f64], x: &Points| solve(Extrapolation::TwoM, &Linear, &path, x, mesh);
    assert!(matches!(go(&[0.0, 0.5], &z), Err(Error::Singular { .. })));
    assert!(
        go(&[0.1], &z).is_err()
            && go(&[0.1, 0.5, 0.4], &z).is_err()
            && go(&[0.1, 0.5], &Points::zeros(0, 2)).is_err()
    );
    assert!(matches!(go(&[0.1, 0.5], &Points::zeros(1, 3)), Err(Error::Field { .. })));
    let run =
        solve(Extrapolation::Ddim, &Linear, &Broken, &Points::from_line(vec![1.0, 2.0]), &[0.1, 0.5, 0.9])
            .unwrap();
    assert_eq!(run.status, [Status::NonFinite, Status::Finished]);
    assert_eq!((run.times[0], run.times[1]), (0.5, 0.9));
    assert!(run.end.as_slice().iter().all(|x| x.is_finite()));
}
