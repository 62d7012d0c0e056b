//! Laws on the line and in space: samplers, densities, scores, entropies.

use crate::common::{
    assert_entropy, assert_jvp, assert_ks, assert_plane_fit, assert_score, line_rule, mass, phi,
};
use measures::nalgebra::DMatrix;
use measures::zoo::{
    Banana, Dirichlet, Funnel, Gaussian, Laplace, Mixture, StudentT, Truncated, TruncatedGaussian,
    UniformBall, UniformBox, VonMises,
};
use measures::{Density, Error, Estimate, Measure, Points, Sample, Score, Seed};
use std::f64::consts::PI;

/// KS of a law on the line against the integral of its own density.
fn assert_line_fit(what: &str, law: &(impl Sample + Density), low: f64, high: f64) {
    let total = mass(law, &[low], &[high], 200);
    assert!((total - 1.0).abs() < 1e-9, "{what}: the density integrates to {total}");
    // The distribution function at 400 knots, linear between: interpolation errors are far below the KS bound.
    let knots: Vec<f64> = (0..=400).map(|i| low + (high - low) * f64::from(i) / 400.0).collect();
    let mut running = vec![0.0];
    for pair in knots.windows(2) {
        running.push(running[running.len() - 1] + mass(law, &[pair[0]], &[pair[1]], 1));
    }
    let cdf = |v: f64| {
        let at = ((v - low) / (high - low) * 400.0).clamp(0.0, 400.0);
        let i = (at as usize).min(399);
        running[i] + (at - i as f64) * (running[i + 1] - running[i])
    };
    assert_ks(what, law.sample(50_000, &mut Seed::new(21).named(what).rng()).column(0), cdf);
}

/// E_p[q/p] = 1 for a density q whose support and tails lie within p's: normalisation and sampler in any dimension at once.
fn assert_ratio(what: &str, law: &(impl Sample + Density), probe: &impl Density) {
    let x = law.sample(100_000, &mut Seed::new(22).named(what).rng());
    let (p, q) = (law.log_density(&x).unwrap(), probe.log_density(&x).unwrap());
    let ratios: Vec<f64> = p.iter().zip(&q).map(|(p, q)| (q - p).exp()).collect();
    let estimate = Estimate::of_mean(&ratios).unwrap();
    assert!(
        (estimate.value - 1.0).abs() < 5.0 * estimate.standard_error && estimate.standard_error < 0.05,
        "{what}: E[q/p] = {} ± {}",
        estimate.value,
        estimate.standard_error
    );
}

#[test]
fn student() {
    assert_line_fit("student on the line", &StudentT::standard(1, 9.0).unwrap(), -40.0, 40.0);
    let shape = DMatrix::from_row_slice(3, 3, &[2.0, 0.5, 0.1, 0.5, 1.0, -0.3, 0.1, -0.3, 0.7]);
    for nu in [0.7, 3.0, 40.0] {
        let law = StudentT::new(vec![1.0, -2.0, 0.5], shape.clone(), nu).unwrap();
        assert_ratio("student", &law, &Gaussian::new(vec![1.0, -2.0, 0.5], &shape * 0.5).unwrap());
        let x = law.sample(40, &mut Seed::new(1).rng());
        assert_score("student", &law, &x, 1e-5);
        assert_jvp("student", &law, &x, 1e-5);
        assert_entropy("student", &law, 50_000);
        // Cauchy-like marginals of the first coordinate at ν = 1 are checked below; here the median.
        let below =
            law.sample(40_000, &mut Seed::new(2).rng()).column(0).iter().filter(|v| **v < 1.0).count();
        assert!((below as f64 - 20_000.0).abs() < 5.0 * 100.0);
    }
    let cauchy = StudentT::standard(2, 1.0).unwrap();
    assert_ks("cauchy", cauchy.sample(40_000, &mut Seed::new(3).rng()).column(1), |v| 0.5 + v.atan() / PI);
    // Polynomial tails have an answer where squares overflow: log p = log(1/2π) − (3/2) log(1 + r²).
    let far = Points::from_rows(&[[1e200, 0.0]]);
    let log = cauchy.log_density(&far).unwrap()[0];
    assert!((log - (-(2.0 * PI).ln() - 3.0 * 200.0 * 10f64.ln())).abs() < 1e-10, "{log}");
    assert!((cauchy.score(&far).unwrap().row(0)[0] / -3e-200 - 1.0).abs() < 1e-12);
    assert!(cauchy.score_jvp(&far, &far).unwrap().as_slice().iter().all(|v| v.is_finite()));
}

#[test]
fn laplace() {
    let law = Laplace::new(vec![1.0, -3.0], vec![0.5, 2.0]).unwrap();
    let cdf = |v: f64, m: f64, b: f64| {
        if v < m { 0.5 * ((v - m) / b).exp() } else { 1.0 - 0.5 * (-(v - m) / b).exp() }
    };
    let x = law.sample(50_000, &mut Seed::new(1).rng());
    assert_ks("first", x.column(0), |v| cdf(v, 1.0, 0.5));
    assert_ks("second", x.column(1), |v| cdf(v, -3.0, 2.0));
    // The kinks must lie between panels.
    let single = Laplace::new(vec![0.0], vec![1.5]).unwrap();
    assert!((mass(&single, &[-60.0], &[60.0], 60) - 1.0).abs() < 1e-12);
    assert_score("laplace", &law, &x.select(&(0..50).collect::<Vec<_>>()), 1e-6);
    assert_entropy("laplace", &law, 20_000);
    assert!(matches!(law.score_jvp(&x, &x), Err(Error::Undefined { .. })));
}

#[test]
fn dirichlet() {
    let law = Dirichlet::new(vec![2.0, 3.5, 1.5]).unwrap();
    assert_plane_fit("dirichlet", &law, [0.0; 2], [1.0; 2], 20);
    assert_entropy("dirichlet", &law, 20_000);
    let uniform = Dirichlet::uniform(4).unwrap();
    assert!((uniform.entropy().unwrap() + 6f64.ln()).abs() < 1e-12, "volume 1/3!");
    assert!((uniform.log_density(&Points::from_rows(&[[0.2; 3]])).unwrap()[0] - 6f64.ln()).abs() < 1e-12);
    // Coordinates of the uniform law are Beta(1, 3).
    assert_ks("uniform", uniform.sample(40_000, &mut Seed::new(4).rng()).column(2), |v| {
        1.0 - (1.0 - v).powi(3)
    });
    // Tiny parameters: nearly a corner, and no NaN. Beta(a, a) with small a is close to a fair coin.
    let spiky = Dirichlet::new(vec![1e-3, 1e-3]).unwrap();
    let x = spiky.sample(10_000, &mut Seed::new(5).rng()).column(0);
    assert!(x.iter().all(|v| (0.0..=1.0).contains(v)));
    let high = x.iter().filter(|v| **v > 0.5).count() as f64;
    assert!((high - 5_000.0).abs() < 250.0);
    assert_ks(
        "arcsine",
        Dirichlet::new(vec![0.5; 2]).unwrap().sample(40_000, &mut Seed::new(6).rng()).column(0),
        |v| 2.0 / PI * v.sqrt().asin(),
    );
}

#[test]
fn banana_and_funnel() {
    let banana = Banana::new(2, 0.2, 2.0).unwrap();
    assert_plane_fit("banana", &banana, [-16.0, -50.0], [16.0, 8.0], 40);
    let law = Banana::new(4, 0.1, 10.0).unwrap();
    let x = law.sample(40_000, &mut Seed::new(1).rng());
    assert_ks("along", x.column(0), |v| phi(v / 10.0));
    assert_ks("unbent", x.rows().map(|r| r[1] + 0.1 * (r[0] * r[0] - 100.0)).collect(), phi);
    let few = x.select(&(0..40).collect::<Vec<_>>());
    assert_score("banana", &law, &few, 1e-6);
    assert_jvp("banana", &law, &few, 1e-6);
    assert_entropy("banana", &law, 20_000);
    assert_eq!(
        Banana::haario().log_density(&Points::from_rows(&[[1e300, -1e300]])).unwrap(),
        [f64::NEG_INFINITY]
    );

    let funnel = Funnel::neal();
    let x = funnel.sample(40_000, &mut Seed::new(2).rng());
    assert_ks("neck", x.column(0), |v| phi(v / 3.0));
    assert_ks("width", x.rows().map(|r| r[5] * (-0.5 * r[0]).exp()).collect(), phi);
    let few = x.select(&(0..40).filter(|&i| x.row(i)[0] > -6.0).collect::<Vec<_>>());
    assert_score("funnel", &funnel, &few, 1e-5);
    assert_jvp("funnel", &funnel, &few, 1e-5);
    assert_entropy("funnel", &funnel, 20_000);
    assert_plane_fit("narrow funnel", &Funnel::new(2, 0.7).unwrap(), [-4.5, -14.0], [4.5, 14.0], 40);
    let odd = Points::from_rows(&[[-1e5, 0.0], [-1e5, 1.0], [1e300, 0.0]]);
    assert!(Funnel::new(2, 1.0).unwrap().log_density(&odd).unwrap().iter().all(|l| !l.is_nan()));
    assert!(matches!(Funnel::new(2, 1.0).unwrap().score(&odd), Err(Error::Entry { index: 0, .. })));
}

#[test]
fn von_mises() {
    for kappa in [0.0, 1e-7, 0.3, 2.0, 30.0, 900.0] {
        let law = VonMises::new(0.5, kappa).unwrap();
        assert_line_fit("von mises", &law, 0.5 - PI, 0.5 + PI);
        assert_entropy("von mises", &law, 20_000);
        let x = law.sample(20_000, &mut Seed::new(7).rng());
        let few = x.select(&(0..30).filter(|&i| (x.row(i)[0] - 0.5).abs() < 3.1).collect::<Vec<_>>());
        assert_score("von mises", &law, &few, 1e-5);
        assert_jvp("von mises", &law, &few, 1e-5);
        let cosines: Vec<f64> = x.column(0).iter().map(|v| (v - 0.5).cos()).collect();
        let estimate = Estimate::of_mean(&cosines).unwrap();
        assert!((estimate.value - law.resultant_length()).abs() < 5.0 * estimate.standard_error);
    }
    // So concentrated that the law is a Gaussian of variance 1/κ.
    let sharp = VonMises::new(1.0, 1e10).unwrap().sample(20_000, &mut Seed::new(8).rng());
    assert_ks("sharp", sharp.column(0), |v| phi((v - 1.0) * 1e5));
}

#[test]
fn balls() {
    let disc = UniformBall::new(vec![0.0, 0.0], 2.0).unwrap().sample(30_000, &mut Seed::new(9).rng());
    assert_ks("angle", disc.rows().map(|r| r[1].atan2(r[0])).collect(), |a| 0.5 + a / (2.0 * PI));
    for dim in [1, 2, 3, 10] {
        let ball = UniformBall::new(vec![0.5; dim], 2.0).unwrap();
        let x = ball.sample(30_000, &mut Seed::new(9).rng());
        let radii = x.rows().map(|r| r.iter().map(|v| (v - 0.5).powi(2)).sum::<f64>().sqrt()).collect();
        assert_ks("radius", radii, |r| (r / 2.0).powf(dim as f64));
        assert_entropy("ball", &ball, 100);
    }
    assert!(
        (UniformBall::new(vec![0.0; 3], 1.0).unwrap().log_volume() - (4.0 * PI / 3.0).ln()).abs() < 1e-14
    );
}

#[test]
fn mixtures_of_anything() {
    let parts = vec![
        Gaussian::isotropic(&[-1.0, 0.0], 0.5).unwrap(),
        Gaussian::diagonal(&[1.0, 1.0], &[1.0, 0.3]).unwrap(),
    ];
    let law = Mixture::new(vec![1.0, 3.0], parts.clone()).unwrap();
    let direct = measures::zoo::GaussianMixture::new(vec![1.0, 3.0], &parts).unwrap();
    let x = law.sample(200, &mut Seed::new(1).rng());
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-11 * (1.0 + a.abs()));
    assert!(close(&law.log_density(&x).unwrap(), &direct.log_density(&x).unwrap()));
    assert!(close(law.score(&x).unwrap().as_slice(), direct.score(&x).unwrap().as_slice()));
    assert!(close(law.score_jvp(&x, &x).unwrap().as_slice(), direct.score_jvp(&x, &x).unwrap().as_slice()));
    assert_plane_fit("mixture", &law, [-4.0, -3.0], [6.0, 4.0], 24);
    // Boxed components of different kinds.
    let boxes: Vec<Box<dyn Density>> =
        vec![Box::new(UniformBox::unit(1).unwrap()), Box::new(Laplace::new(vec![3.0], vec![0.2]).unwrap())];
    let mixed = Mixture::new(vec![0.5, 0.5], boxes).unwrap();
    let total: f64 = line_rule(0.0, 1.0, 1)
        .iter()
        .chain(&line_rule(1.0, 3.0, 20))
        .chain(&line_rule(3.0, 8.0, 20))
        .map(|(x, w)| w * mixed.log_density(&Points::from_line(vec![*x])).unwrap()[0].exp())
        .sum();
    // The Laplace tail below 0 and beyond 8 is all that is missing.
    assert!((total - 1.0).abs() < 1e-6, "{total}");
    let gap = Mixture::new(vec![1.0], vec![Gaussian::standard(1)]).unwrap();
    assert!(matches!(gap.score(&Points::from_line(vec![1e200])), Err(Error::Entry { index: 0, .. })));
    assert_eq!(gap.entropy(), Gaussian::standard(1).entropy());
    assert!(Mixture::new(vec![1.0, 1.0], vec![Gaussian::standard(1), Gaussian::standard(2)]).is_err());
}

#[test]
fn truncations() {
    let infinity = f64::INFINITY;
    let intervals = [
        (-1.0, 2.0),
        (0.0, infinity),
        (-infinity, 1.0),
        (3.0, 3.5),
        (-9.0, -8.0),
        (30.0, infinity),
        (50.0, 50.001),
        (-8.0, -5.5),
        (-infinity, infinity),
        (-100.0, -99.0),
    ];
    for (a, b) in intervals {
        let law = TruncatedGaussian::new(vec![0.5], vec![2.0], &[0.5 + 2.0 * a], &[0.5 + 2.0 * b]).unwrap();
        // Where the mass is: deep in a tail it falls off within a few 1/|a|.
        let (low, high) = match (a, b) {
            (a, _) if a > 0.0 => (a, b.min(a + 36.0 / (a + 3.0))),
            (_, b) if b < 0.0 => (a.max(b - 36.0 / (3.0 - b)), b),
            _ => (a.max(-12.0), b.min(12.0)),
        };
        assert_line_fit(&format!("truncation to ({a}, {b})"), &law, 0.5 + 2.0 * low, 0.5 + 2.0 * high);
    }
    let base = StudentT::standard(2, 4.0).unwrap();
    let region = UniformBox::new(vec![-1.0, 0.0], vec![2.0, 1.0]).unwrap();
    let law = Truncated::new(base, region, 400_000, Seed::new(1)).unwrap();
    let total = mass(&law, &[-1.0, 0.0], &[2.0, 1.0], 4);
    let x = law.sample(4000, &mut Seed::new(2).rng());
    assert_ks("first", x.column(0), |v| mass(&law, &[-1.0, 0.0], &[v, 1.0], 1) / total);
    assert_ks("second", x.column(1), |v| mass(&law, &[-1.0, 0.0], &[2.0, v], 1) / total);
    let relative = law.mass().standard_error / law.mass().value;
    assert!((total - 1.0).abs() < 5.0 * relative, "{total}");
    let nowhere = UniformBox::new(vec![50.0, 50.0], vec![51.0, 51.0]).unwrap();
    assert!(Truncated::new(Gaussian::standard(2), nowhere, 1000, Seed::new(0)).is_err());
    assert_eq!(law.dim(), 2);
}
