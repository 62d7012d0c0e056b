use super::super::tests::all;
use super::super::{PhiDivergence, between_gaussians};
use super::*;
use crate::testing::{Listed, Pair, check_variation};
use measures::{Sample, Seed, zoo::Gaussian};
use std::f64::consts::LN_2;

fn line(x: &[f64], w: &[f64]) -> Empirical {
    Empirical::weighted(Points::from_line(x.to_vec()), w.to_vec()).unwrap()
}

/// Bumps of height one at 0, 1, …, k − 1: all functions on those places.
fn all_functions(k: usize) -> Listed {
    Listed::new(
        1,
        (0..k)
            .map(|k| -> Pair { Box::new(move |x| (f64::from(u8::from(x[0] == k as f64)), vec![0.0])) })
            .collect(),
    )
}

/// x, x², …, x^k.
fn powers(k: i32) -> Listed {
    Listed::new(
        1,
        (1..=k)
            .map(|k| -> Pair { Box::new(move |x| (x[0].powi(k), vec![f64::from(k) * x[0].powi(k - 1)])) })
            .collect(),
    )
}

fn duals(family: impl Fn() -> Listed) -> Vec<DualPhi<Listed>> {
    let both = [Critic::Linear, Critic::LogRatio];
    let pairs = all().into_iter().flat_map(|phi| both.map(|critic| (phi, critic)));
    pairs
        .filter(|(phi, critic)| critic.suits(*phi))
        .map(|(phi, critic)| DualPhi::new(phi, family()).with_critic(critic).unwrap())
        .collect()
}

#[test]
fn over_all_functions_it_is_the_divergence() {
    let mu = line(&[0.0, 1.0, 2.0, 3.0, 1.0], &[0.1, 0.2, 0.3, 0.25, 0.15]);
    let nu = line(&[3.0, 2.0, 1.0, 0.0], &[0.4, 0.1, 0.3, 0.2]);
    for dual in duals(|| all_functions(4)) {
        let exact = PhiDivergence::new(dual.phi).value(&mu, &nu).unwrap();
        let found = dual.maximise(&mu, &nu).unwrap();
        let what = format!("{:?} {:?} {found:?} {exact}", dual.phi, dual.critic);
        assert_eq!(found.status, Status::Optimal, "{what}");
        assert!(found.value <= exact + 1e-12 && found.upper >= exact - 1e-12, "{what}");
        assert!(found.upper - found.value <= 1e-9 * exact.max(1.0), "{what}");
        // The critic is φ′ of the ratio, and knows the ratio.
        if dual.phi != Phi::TotalVariation {
            let ratio = found.ratio(&Points::from_line(vec![1.0])).unwrap()[0];
            assert!((ratio - 0.35 / 0.3).abs() < 1e-4, "{what} {ratio}");
        }
        if dual.phi == Phi::Kl {
            let dv = found.donsker_varadhan(&mu, &nu).unwrap().value;
            assert!((dv - exact).abs() < 1e-8, "{what} {dv}");
        }
    }
}

/// Mass of μ where ν has none costs φ′(∞) each, through the end of the domain; mass of ν that μ misses costs φ(0).
#[test]
fn singular_parts_are_paid_for() {
    let mu = line(&[0.0, 1.0, 2.0], &[0.5, 0.3, 0.2]);
    let nu = line(&[0.0, 1.0, 3.0], &[0.4, 0.2, 0.4]);
    for dual in duals(|| all_functions(4)).into_iter().filter(|d| d.critic == Critic::Linear) {
        let exact = PhiDivergence::new(dual.phi).value(&mu, &nu).unwrap();
        let found = dual.maximise(&mu, &nu).unwrap();
        let what = format!("{:?} {found:?} {exact}", dual.phi);
        if dual.phi.recession() == f64::INFINITY {
            assert_eq!((found.status, found.value), (Status::Unbounded, f64::INFINITY), "{what}");
            assert!(found.critic(mu.points()).is_err() && dual.variation(&mu, &nu).is_err());
        } else if exact.is_finite() {
            assert!((found.value - exact).abs() < 1e-8, "{what}");
            assert!(found.upper >= exact - 1e-9, "{what}");
        }
    }
}

#[test]
fn separated_samples() {
    let (mu, nu) = (line(&[2.0, 3.0], &[0.5, 0.5]), line(&[0.0, 1.0], &[0.5, 0.5]));
    for dual in duals(|| powers(2)) {
        let found = dual.maximise(&mu, &nu).unwrap();
        let bound = dual.phi.at_zero() + dual.phi.recession();
        let what = format!("{:?} {:?} {found:?}", dual.phi, dual.critic);
        let expected = match (dual.critic, dual.phi) {
            // On two atoms a parabola can be 1 at both and fall without end on the others.
            (_, phi) if phi.at_zero() == f64::INFINITY => Some(Status::Unbounded),
            (Critic::Linear, phi) if phi.recession() == f64::INFINITY => Some(Status::Unbounded),
            (Critic::LogRatio, Phi::Kl) => Some(Status::Unbounded),
            (Critic::LogRatio, _) => Some(Status::Separated),
            // Approached within the bounded domain of a linear critic, as far as round-off allows.
            _ => None,
        };
        assert!(found.value <= bound, "{what}");
        if let Some(expected) = expected {
            assert_eq!(found.status, expected, "{what}");
            assert_eq!(found.value, bound, "{what}");
            // The coefficients do separate.
            let u = |x: f64| found.constant + found.coefficients[0] * x + found.coefficients[1] * x * x;
            assert!(u(2.0) + u(3.0) > 0.0 && u(0.0).max(u(1.0)) < 0.0, "{what}");
        } else {
            assert!(found.upper >= found.value && bound - found.value < 0.01 * bound, "{what}");
        }
        let ridge = dual.with_ridge(0.1).unwrap();
        let found = ridge.maximise(&mu, &nu).unwrap();
        assert_eq!(found.status, Status::Optimal, "ridge {what}");
        assert!(found.value.is_finite() && found.value < bound);
    }
    let js = DualPhi::new(Phi::JensenShannon, powers(1)).with_critic(Critic::LogRatio).unwrap();
    assert_eq!(js.value(&mu, &nu).unwrap(), LN_2);
}

#[test]
fn variations() {
    let mu = line(&[-0.5, 0.3, 0.9, 1.4], &[0.3, 0.2, 0.4, 0.1]);
    let nu = line(&[-1.0, -0.2, 0.45, 1.1, 1.7], &[0.2, 0.2, 0.3, 0.2, 0.1]);
    for dual in duals(|| powers(2)) {
        let tight = dual.with_accuracy(1e-12, 500).unwrap();
        // Total variation is a linear programme with corners; this pair is not on one.
        check_variation(&tight, &mu, &nu, 1e-5, 3e-5);
        check_variation(&tight.with_ridge(0.3).unwrap(), &mu, &nu, 1e-5, 3e-5);
    }
}

/// The logarithm of the ratio of two Gaussians is a parabola, so that two powers reach KL of the laws.
#[test]
fn gaussians() {
    let (p, q) = (Gaussian::isotropic(&[0.3], 0.8).unwrap(), Gaussian::standard(1));
    let draw =
        |law: &Gaussian, n, seed| Empirical::uniform(law.sample(n, &mut Seed::new(seed).rng())).unwrap();
    let (mu, nu) = (draw(&p, 20_000, 1), draw(&q, 20_000, 2));
    let exact = between_gaussians(Phi::Kl, &p, &q).unwrap();
    let dual = DualPhi::new(Phi::Kl, powers(2));
    let found = dual.maximise(&mu, &nu).unwrap();
    assert_eq!(found.status, Status::Optimal);
    let held_out = found.evaluate(&draw(&p, 20_000, 3), &draw(&q, 20_000, 4)).unwrap();
    assert!((held_out.value - exact).abs() < 5.0 * held_out.standard_error, "{held_out:?} {exact}");
    assert!((found.value - exact).abs() < 5.0 * held_out.standard_error);
    // c₂ = ½ − 1/(2σ²), c₁ = m/σ².
    assert!((found.coefficients[1] - (0.5 - 0.5 / 0.64)).abs() < 0.05, "{:?}", found.coefficients);
    assert!((found.coefficients[0] - 0.3 / 0.64).abs() < 0.05, "{:?}", found.coefficients);
    // Few points overfit, and the held-out value shows it.
    let small = DualPhi::new(Phi::Kl, powers(6));
    let small = small.maximise(&draw(&p, 40, 5), &draw(&q, 40, 6)).unwrap();
    let held_out = small.evaluate(&draw(&p, 20_000, 3), &draw(&q, 20_000, 4)).unwrap();
    assert!(small.value > exact && held_out.value < exact, "{small:?} {held_out:?}");
}

/// More functions than the dense limit: the conjugate-gradient path finds the same optimum.
#[test]
fn many_functions() {
    let law = Gaussian::standard(1);
    let draw = |n, seed| Empirical::uniform(law.sample(n, &mut Seed::new(seed).rng())).unwrap();
    let (mu, nu) = (draw(60, 1), draw(70, 2));
    let waves = |k: usize| {
        Listed::new(
            1,
            (0..k)
                .map(|k| -> Pair {
                    let w = 0.3 * (k % 30 + 1) as f64;
                    Box::new(move |x| ((w * x[0]).cos(), vec![-w * (w * x[0]).sin()]))
                })
                .collect(),
        )
    };
    // Fifteen copies of thirty functions are thirty functions with a fifteenth of the ridge.
    let dual = |k, ridge| {
        DualPhi::new(Phi::JensenShannon, waves(k))
            .with_critic(Critic::LogRatio)
            .unwrap()
            .with_ridge(ridge)
            .unwrap()
    };
    let (few, many) = (dual(30, 0.01), dual(450, 0.15));
    let (few, many) = (few.maximise(&mu, &nu).unwrap(), many.maximise(&mu, &nu).unwrap());
    assert_eq!((few.status, many.status), (Status::Optimal, Status::Optimal));
    assert!((few.value - many.value).abs() < 1e-9, "{} {}", few.value, many.value);
}

#[test]
fn bad_settings_are_named() {
    let dual = || DualPhi::new(Phi::Kl, powers(1));
    assert!(dual().with_ridge(-1.0).is_err() && dual().with_ridge(f64::NAN).is_err());
    assert!(dual().with_accuracy(0.0, 1).is_err() && dual().with_accuracy(1.0, 0).is_err());
    assert!(DualPhi::new(Phi::ChiSquared, powers(1)).with_critic(Critic::LogRatio).is_err());
    let (mu, plane) = (line(&[0.0], &[1.0]), Empirical::dirac(&[0.0, 0.0]).unwrap());
    assert!(dual().value(&mu, &plane).is_err() && dual().value(&plane, &mu).is_err());
    let huge = line(&[1e200], &[1.0]);
    assert!(matches!(
        DualPhi::new(Phi::Kl, powers(2)).value(&mu, &huge),
        Err(Error::NonFinite { row: 0, column: 1, .. })
    ));
    // One step is not enough; the bounds still hold.
    let (mu, nu) = (line(&[0.0, 1.0], &[0.3, 0.7]), line(&[0.0, 1.0], &[0.6, 0.4]));
    let short = dual().with_accuracy(1e-12, 1).unwrap();
    let short = short.maximise(&mu, &nu).unwrap();
    let exact = PhiDivergence::new(Phi::Kl).value(&mu, &nu).unwrap();
    assert_eq!(short.status, Status::Stopped);
    assert!(short.value < exact && exact <= short.upper + 1e-12);
}
