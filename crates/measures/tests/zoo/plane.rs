//! The planar sets: every sampler against its density, every density against one, every score against differences.

use crate::common::{
    ALPHA, assert_entropy, assert_jvp, assert_ks, assert_plane_fit, assert_score, mass, phi,
};
use measures::zoo::{
    Checkerboard, Circles, GaussianMixture, Moons, NAMES, Pinwheel, SCurve, Spec, SwissRoll, TwoSpirals,
    named,
};
use measures::{Density, Error, Measure, Points, Sample, Score, Seed};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::f64::consts::{PI, TAU};

/// Sampler, density, normalisation, score and its derivative of one planar law.
fn check(what: &str, law: &(impl Sample + Density + Score), low: [f64; 2], high: [f64; 2], cells: usize) {
    let total = assert_plane_fit(what, law, low, high, cells);
    assert!((total - 1.0).abs() < 1e-9, "{what}: the density integrates to {total}");
    let x = law.sample(40, &mut Seed::new(5).rng());
    assert_score(what, law, &x, 1e-6);
    assert_jvp(what, law, &x, 1e-6);
}

#[test]
fn mixtures_on_the_plane() {
    check("torchcfm eight", &GaussianMixture::eight_gaussians(), [-9.0; 2], [9.0; 2], 24);
    check("ffjord eight", &GaussianMixture::eight_gaussians_ffjord(), [-6.0; 2], [6.0; 2], 24);
    check("wide eight", &GaussianMixture::ring(8, 12.0, 1.5).unwrap(), [-24.0; 2], [24.0; 2], 24);
    check("five", &GaussianMixture::ring(5, 1.0, 0.3).unwrap(), [-3.5; 2], [3.5; 2], 24);
    check("nine", &GaussianMixture::grid(3, 2.0, 0.4).unwrap(), [-5.0; 2], [5.0; 2], 24);
}

#[test]
fn curves_with_noise() {
    check("moons", &Moons::ffjord(), [-4.6, -3.2], [4.8, 3.2], 24);
    let protocol = Moons::new(0.1).unwrap().standardised().unwrap().placed([7.0; 2], [0.0; 2]).unwrap();
    check("standardised moons", &protocol, [-20.0, -21.0], [20.0, 21.0], 24);
    check("torchcfm moons", &Moons::torchcfm(), [-9.0, -7.8], [10.0, 8.0], 24);
    check("circles", &Circles::ffjord(), [-5.0; 2], [5.0; 2], 24);
    check("swiss roll", &SwissRoll::ffjord(), [-4.0, -4.0], [4.5, 4.5], 24);
    check("s curve", &SCurve::new(0.2).unwrap(), [-2.6, -3.6], [2.6, 3.6], 24);
    check("spirals", &TwoSpirals::smooth(), [-4.5; 2], [4.5; 2], 24);
}

#[test]
fn the_standardised_moons_are_standard() {
    let moons = Moons::new(0.1).unwrap().standardised().unwrap();
    let x = moons.sample(200_000, &mut Seed::new(8).rng());
    for k in 0..2 {
        let column = x.column(k);
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        // five standard errors: 1 for the mean, and fourth moments here are below 3
        assert!(mean.abs() < 5.0 / n.sqrt() && (variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }
}

#[test]
fn without_noise_points_lie_on_the_curves() {
    let rng = || Seed::new(2).rng();
    for row in Moons::new(0.0).unwrap().sample(500, &mut rng()).rows() {
        let upper = (row[0].hypot(row[1]) - 1.0).abs() < 1e-12 && row[1] >= -1e-12;
        let lower = ((row[0] - 1.0).hypot(row[1] - 0.5) - 1.0).abs() < 1e-12 && row[1] <= 0.5 + 1e-12;
        assert!(upper || lower, "{row:?}");
    }
    let roll = SwissRoll::new(0.0).unwrap().sample(20_000, &mut rng());
    assert_ks("swiss roll", roll.rows().map(|r| r[0].hypot(r[1])).collect(), |t| (t / PI - 1.5) / 3.0);
    let spiral = TwoSpirals::new(1.5, 0.0).unwrap().sample(20_000, &mut rng());
    assert_ks("spirals", spiral.rows().map(|r| r[0].hypot(r[1])).collect(), |t| (t / (3.0 * PI)).powi(2));
    for row in spiral.rows() {
        let t = row[0].hypot(row[1]);
        let on = |sign: f64| (row[0] + sign * t * t.cos()).hypot(row[1] - sign * t * t.sin()) < 1e-9;
        assert!(on(1.0) || on(-1.0));
    }
    let circles = Circles::new(0.5, 0.0).unwrap().sample(20_000, &mut rng());
    assert_ks("angle", circles.rows().map(|r| r[1].atan2(r[0])).collect(), |a| (a + PI) / TAU);
    let inner = circles.rows().filter(|r| r[0].hypot(r[1]) < 0.75).count() as f64;
    assert!((inner - 10_000.0).abs() < 5.0 * 5_000f64.sqrt());
    for row in SCurve::new(0.0).unwrap().sample(500, &mut rng()).rows() {
        let on = (row[0].hypot(row[1] - row[1].signum()) - 1.0).abs() < 1e-12;
        assert!(on, "{row:?}");
    }
    let error = Moons::new(0.0).unwrap().log_density(&Points::zeros(1, 2)).unwrap_err();
    assert!(matches!(error, Error::Undefined { .. }));
    assert!(named("moons", &[("noise", 0.0)]).unwrap().as_density().is_none());
    assert!(named("moons", &[]).unwrap().as_score().is_some());
}

#[test]
fn jittered_spirals_are_the_smooth_ones_blurred() {
    let spirals = TwoSpirals::new(1.5, 0.0).unwrap().jittered(0.5).unwrap();
    let x = spirals.sample(40_000, &mut Seed::new(6).rng());
    // The two spirals are images of each other under x ↦ −x, jitter included.
    for k in 0..2 {
        let estimate = measures::Estimate::of_mean(&x.column(k)).unwrap();
        assert!(estimate.value.abs() < 5.0 * estimate.standard_error);
    }
    // Without turns to speak of what is left is the jitter itself, up to sign.
    let still = TwoSpirals::new(1e-9, 0.0).unwrap().jittered(0.5).unwrap();
    let x = still.sample(40_000, &mut Seed::new(7).rng());
    assert!(x.rows().all(|r| r[0] * r[1] >= -1e-8));
    (0..2).for_each(|k| assert_ks("jitter", x.column(k), |v| (v + 0.5).clamp(0.0, 1.0)));
    assert!(matches!(TwoSpirals::ffjord().log_density(&x), Err(Error::Undefined { .. })));
    assert!(TwoSpirals::smooth().jittered(-1.0).is_err());
}

#[test]
fn the_checkerboard_is_uniform_on_its_cells() {
    for cells in 1..=5 {
        let board = Checkerboard::new(cells, 1.5).unwrap();
        // Panels on the cells, so that the rule never straddles a jump.
        let total = mass(&board, &[-1.5; 2], &[1.5; 2], cells);
        assert!((total - 1.0).abs() < 1e-12, "{cells}: {total}");
        assert_entropy("checkerboard", &board, 1000);
    }
    assert_plane_fit("checkerboard", &Checkerboard::ffjord(), [-4.0; 2], [4.0; 2], 16);
    assert_plane_fit("odd checkerboard", &Checkerboard::new(5, 4.0).unwrap(), [-4.0; 2], [4.0; 2], 20);
    let value =
        |x: f64, y: f64| Checkerboard::ffjord().log_density(&Points::from_rows(&[[x, y]])).unwrap()[0];
    assert!((value(-3.9, -3.9) + 32f64.ln()).abs() < 1e-14);
    assert_eq!(value(-3.9, -1.9), f64::NEG_INFINITY);
    assert_eq!((value(4.0, 0.5), value(0.5, 9.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
}

#[test]
fn the_pinwheel_turns_back_into_its_features() {
    let wheel = Pinwheel::ffjord();
    let x = wheel.sample(50_000, &mut Seed::new(4).rng());
    // |f|² is untouched by the rotation: a test of the radial law, by its moments E = 1 + .09 + .01 and the variance.
    let squares: Vec<f64> = x.rows().map(|r| (r[0] * r[0] + r[1] * r[1]) / 4.0).collect();
    let estimate = measures::Estimate::of_mean(&squares).unwrap();
    assert!((estimate.value - 1.10).abs() < 5.0 * estimate.standard_error);
    // The wheel looks the same after a fifth of a turn: coordinates turned by that angle have the same law.
    let (sin, cos) = (TAU / 5.0).sin_cos();
    let mean_x: Vec<f64> = x.rows().map(|r| r[0]).collect();
    let mean_y: Vec<f64> = x.rows().map(|r| r[1]).collect();
    for values in [&mean_x, &mean_y] {
        let estimate = measures::Estimate::of_mean(values).unwrap();
        assert!(estimate.value.abs() < 5.0 * estimate.standard_error, "the centre of mass is the hub");
    }
    let fifth: Vec<f64> =
        x.rows().map(|r| (5.0 * (cos * r[0] - sin * r[1]).atan2(sin * r[0] + cos * r[1])).cos()).collect();
    let estimate = measures::Estimate::of_mean(&fifth).unwrap();
    // With one arm and no bending the features themselves come out.
    let straight = Pinwheel::new(1, 0.3, 0.1, 0.0, 2.0).unwrap().sample(20_000, &mut Seed::new(4).rng());
    assert_ks("along", straight.column(0), |v| phi((v / 2.0 - 1.0) / 0.3));
    assert_ks("across", straight.column(1), |v| phi(v / 0.2));
    assert!(estimate.value.abs() > 5.0 * estimate.standard_error, "five arms show in the fifth harmonic");
}

#[test]
fn modes_are_where_they_should_be() {
    let grid = GaussianMixture::grid_25();
    let mut centres: Vec<(i64, i64)> = grid.means().rows().map(|m| (m[0] as i64, m[1] as i64)).collect();
    centres.sort_unstable();
    let expected: Vec<_> =
        [-4, -2, 0, 2, 4].iter().flat_map(|x| [-4, -2, 0, 2, 4].map(|y| (*x, y))).collect();
    assert_eq!(centres, expected);
    let n = 50_000;
    let x = grid.sample(n, &mut Seed::new(3).rng());
    let mut counts = [0.0; 25];
    grid.classify(&x).unwrap().iter().for_each(|&k| counts[k] += 1.0);
    let expected = n as f64 / 25.0;
    let statistic: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
    assert!(statistic < ChiSquared::new(24.0).unwrap().inverse_cdf(1.0 - ALPHA));
    assert!(GaussianMixture::ring_pacgan().sigmas().iter().all(|s| *s == 0.01));
}

#[test]
fn every_name_builds_and_bad_ones_say_what_there_is() {
    for entry in NAMES {
        let target = named(entry.name, &[]).unwrap();
        let x = target.sample(10, &mut Seed::new(0).rng());
        assert_eq!((x.len(), x.dim()), (10, target.dim()));
        x.check_finite(entry.name).unwrap();
        if let Some(density) = target.as_density() {
            assert!(density.log_density(&x).unwrap().iter().all(|l| l.is_finite()), "{}", entry.name);
        }
        for alias in entry.aliases {
            assert_eq!(named(alias, &[]).unwrap().dim(), target.dim());
        }
        for parameter in entry.parameters {
            named(entry.name, &[(parameter.0, parameter.1)]).unwrap();
            assert!(named(entry.name, &[(parameter.0, f64::NAN)]).is_err());
        }
    }
    let unknown = named("8gausians", &[]).map(|_| ()).unwrap_err().to_string();
    assert!(unknown.contains("`8gausians`") && unknown.contains("eight_gaussians"), "{unknown}");
    let unknown = Spec::new("moons").with("sigma", 1.0).build().map(|_| ()).unwrap_err().to_string();
    assert!(unknown.contains("`sigma`") && unknown.contains("standardised"), "{unknown}");
    let wide = Spec::new("8gaussians").with("radius", 12.0).with("sigma", 1.5).build().unwrap();
    assert_eq!(wide.modes().unwrap().means().row(0), &[12.0, 0.0]);
    assert!(matches!(
        named("ring", &[("modes", 2.5)]).map(|_| ()),
        Err(Error::Parameter { what: "modes", .. })
    ));
}
