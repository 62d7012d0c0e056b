//! Langevin samplers: the laws they have, and those they do not.

mod common;

use common::checks::{samples_two_on_the_line, two_on_the_line};
use common::{assert_law, mixture_cdf};
use flows::langevin::{Baoab, Energy, Mala, Ula};
use flows::measures::zoo::Gaussian;
use flows::measures::{Points, Sample, Seed};
use flows::ode::Status;

const N: usize = 10_000;

#[test]
fn the_metropolis_adjusted_chain_has_its_target() {
    let (target, _) = two_on_the_line();
    // From far away to the target, and from the target nowhere else, at a step where the bias of ULA is plain.
    for x0 in [Points::from_line(vec![3.0; N]), target.sample(N, &mut Seed::new(1).rng())] {
        let chains = Mala::new(0.4).unwrap().run(&target, &x0, 60, Seed::new(2)).unwrap();
        samples_two_on_the_line("MALA", &chains).unwrap();
        assert!(chains.mean_acceptance() < 0.99);
    }
    let start = target.sample(N, &mut Seed::new(1).rng());
    let ula = Ula::new(0.4).unwrap().run(&target, &start, 60, Seed::new(2)).unwrap();
    samples_two_on_the_line("ULA is biased at this step", &ula).unwrap_err();
}

#[test]
fn the_unadjusted_chain_has_its_own_law() {
    // N(0, 1/(1 − h/2)) for a standard Gaussian.
    let h = 0.5;
    let x0 = Points::from_line(vec![0.0; N]);
    let chains = Ula::new(h).unwrap().run(&Gaussian::standard(1), &x0, 40, Seed::new(3)).unwrap();
    let sigma = (1.0f64 / (1.0 - 0.5 * h)).sqrt();
    assert_law("ULA", chains.points.as_slice(), mixture_cdf(&[(1.0, 0.0, sigma)]));
    assert!(
        common::kolmogorov(chains.points.as_slice(), mixture_cdf(&[(1.0, 0.0, 1.0)]))
            > common::kolmogorov_limit()
    );
}

#[test]
fn baoab_is_exact_for_gaussians_at_long_steps() {
    let target = Gaussian::isotropic(&[1.0], 0.8).unwrap();
    let x0 = Points::from_line(vec![-1.0; N]);
    let chains = Baoab::new(0.9, 1.5).unwrap().run(&target, &x0, None, 60, Seed::new(4)).unwrap();
    assert_law("BAOAB", chains.points.as_slice(), mixture_cdf(&[(1.0, 1.0, 0.8)]));
    // Its bias for other targets is of order h²: small steps are the target to this test.
    let (target, parts) = two_on_the_line();
    let x0 = target.sample(N, &mut Seed::new(5).rng());
    let chains = Baoab::new(0.15, 1.0).unwrap().run(&target, &x0, None, 60, Seed::new(6)).unwrap();
    assert_law("BAOAB", chains.points.as_slice(), mixture_cdf(&parts));
    assert_law("velocities", chains.velocities.unwrap().as_slice(), mixture_cdf(&[(1.0, 0.0, 1.0)]));
}

#[test]
fn traces_give_effective_sizes() {
    // ULA on N(0, 1) is an autoregression of coefficient 1 − h.
    let h = 0.2;
    let x0 = Points::from_line(vec![0.0; 20]);
    let ula = Ula::new(h).unwrap().trace_every(1).unwrap();
    let chains = ula.run(&Gaussian::standard(1), &x0, 5_000, Seed::new(7)).unwrap();
    assert_eq!(chains.trace.len(), 5_000);
    let exact = 20.0 * 5_000.0 * h / (2.0 - h);
    let found = chains.effective_size(|x| x[0]).unwrap();
    assert!((found / exact - 1.0).abs() < 0.1, "{found} for {exact}");
    let short = Ula::new(h).unwrap().run(&Gaussian::standard(1), &x0, 3, Seed::new(7)).unwrap();
    assert!(short.effective_size(|x| x[0]).is_err());
}

#[test]
fn bad_chains_stop_alone_and_bad_input_is_named() {
    // A quartic well: too long a step runs away from far out, and stays within bounds from inside.
    let well =
        Energy::new(1, |x: &[f64]| 0.25 * x[0].powi(4), |x: &[f64], g: &mut [f64]| g[0] = x[0].powi(3));
    let ula = Ula::new(0.1).unwrap();
    let alone = ula.run(&well, &Points::from_line(vec![0.5, -0.5]), 50, Seed::new(8)).unwrap();
    let run = ula.run(&well, &Points::from_line(vec![0.5, -0.5, 100.0]), 50, Seed::new(8)).unwrap();
    assert_eq!(run.status, [Status::Finished, Status::Finished, Status::NonFinite]);
    assert_eq!(run.points.as_slice()[..2], alone.points.as_slice()[..]);
    assert!(run.points.row(2)[0].is_finite());
    let mala =
        Mala::new(0.1).unwrap().run(&well, &Points::from_line(vec![100.0, 0.1]), 50, Seed::new(8)).unwrap();
    assert!(mala.acceptance[0] == 0.0 && mala.acceptance[1] > 0.8);
    let baoab = Baoab::new(0.3, 1.0)
        .unwrap()
        .run(&well, &Points::from_line(vec![1e4, 0.1]), None, 50, Seed::new(8))
        .unwrap();
    assert_eq!(baoab.status, [Status::NonFinite, Status::Finished]);
    assert!(Ula::new(0.0).is_err() && Mala::new(-1.0).is_err() && Baoab::new(0.1, f64::NAN).is_err());
    assert!(ula.run(&well, &Points::zeros(0, 1), 5, Seed::new(0)).is_err());
    assert!(ula.run(&well, &Points::zeros(1, 2), 5, Seed::new(0)).is_err());
    assert!(ula.run(&well, &Points::zeros(1, 1), 0, Seed::new(0)).is_err());
    assert!(ula.trace_every(0).is_err());
}
