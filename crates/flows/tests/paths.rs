//! Paths of measures: closed forms against finite differences, against each other and against draws.

mod common;

use common::checks::{flow_of_ou, hermite_decay, tilted_gaussian, two_on_the_line};
use flows::field::{AffineField, Current, FiniteDifferences, JacobianTrace, Jvp, Pointwise, TimeScore};
use flows::measures::nalgebra::{DMatrix, SymmetricEigen};
use flows::measures::zoo::{Gaussian, GaussianMixture};
use flows::measures::{Density, Estimate, Points, Sample, Score, Seed};
use flows::ode::{DOP853, Ode, TSITOURAS};
use flows::path::{
    Cosine, GaussianBridge, Interpolant, Linear, MixturePath, Noised, OrnsteinUhlenbeck, Pairs, Schedule,
    Trigonometric, VarianceExploding, VariancePreserving,
};
use flows::{Clock, Error, VelocityField};

fn rotation(angle: f64) -> DMatrix<f64> {
    DMatrix::from_row_slice(2, 2, &[angle.cos(), -angle.sin(), angle.sin(), angle.cos()])
}

fn tilted(angle: f64, a: f64, b: f64) -> DMatrix<f64> {
    let r = rotation(angle);
    let m = &r * DMatrix::from_diagonal(&vec![a, b].into()) * r.transpose();
    (&m + m.transpose()) * 0.5
}

fn mixture() -> GaussianMixture {
    let parts = [
        Gaussian::new(vec![2.0, -1.0], tilted(0.7, 0.5, 0.05)).unwrap(),
        Gaussian::new(vec![-1.5, 0.5], tilted(-0.3, 0.2, 0.1)).unwrap(),
        Gaussian::diagonal(&[0.0, 2.0], &[0.3, 0.6]).unwrap(),
    ];
    GaussianMixture::new(vec![0.5, 0.3, 0.2], &parts).unwrap()
}

fn schedules() -> Vec<(Box<dyn Schedule>, [f64; 3])> {
    vec![
        (Box::new(OrnsteinUhlenbeck), [0.1, 0.7, 2.0]),
        (Box::new(VariancePreserving::default()), [0.2, 0.6, 0.95]),
        (Box::new(VarianceExploding::new(0.05, 5.0).unwrap()), [0.2, 0.6, 0.95]),
        (Box::new(Linear), [0.05, 0.5, 0.9]),
        (Box::new(Trigonometric), [0.05, 0.5, 0.9]),
        (Box::new(Cosine::default()), [0.1, 0.5, 0.95]),
        (Box::new(Noised::new(Linear, 0.8).unwrap()), [0.05, 0.5, 0.9]),
    ]
}

fn largest(a: &Points, b: &Points) -> f64 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max)
}

fn evaluate(f: impl Fn(&mut Points) -> Result<(), flows::FieldError>, like: &Points) -> Points {
    let mut out = Points::zeros(like.len(), like.dim());
    f(&mut out).unwrap();
    out
}

#[test]
fn the_closed_forms_agree_with_each_other() {
    let x = Gaussian::isotropic(&[0.2, 0.4], 1.5).unwrap().sample(40, &mut Seed::new(1).rng());
    let w = Gaussian::standard(2).sample(40, &mut Seed::new(2).rng());
    let ids: Vec<u64> = (0..40).collect();
    for (schedule, times) in schedules() {
        let path = MixturePath::new(&*schedule, &mixture()).unwrap();
        let near = FiniteDifferences::with_step(&path, 1e-5).unwrap();
        for t in times {
            let (name, clock) = (schedule.name(), Clock::Shared(t));
            let law = path.law(t).unwrap();
            let score = evaluate(|out| path.score(clock, &x, out), &x);
            assert!(largest(&score, &law.score(&x).unwrap()) < 1e-10, "{name}");
            let log = path.log_density(clock, &x).unwrap();
            let same = law.log_density(&x).unwrap();
            assert!(log.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-10 * (1.0 + b.abs())), "{name}");

            // v = (α̇/α) x + (α̇σ²/α − σσ̇) ∇log r.
            let v = evaluate(|out| path.velocity(clock, &x, out), &x);
            let rate = schedule.d_alpha(t) / schedule.alpha(t);
            let gain = rate * schedule.variance(t) - 0.5 * schedule.d_variance(t);
            let by_score = Points::from_fn(40, 2, |i, row| {
                (0..2).for_each(|c| row[c] = rate * x.row(i)[c] + gain * score.row(i)[c]);
            });
            assert!(largest(&v, &by_score) < 1e-9, "{name} at {t}: {}", largest(&v, &by_score));

            // Derivatives in space.
            let (jvp, fd) =
                (evaluate(|o| path.jvp(clock, &x, &w, o), &x), evaluate(|o| near.jvp(clock, &x, &w, o), &x));
            assert!(largest(&jvp, &fd) < 2e-6, "{name} at {t}: {}", largest(&jvp, &fd));
            let hessian = evaluate(|o| path.score_jvp(clock, &x, &w, o), &x);
            assert!(largest(&hessian, &law.score_jvp(&x, &w).unwrap()) < 1e-9, "{name}");
            let (mut exact, mut fd) = (vec![0.0; 40], vec![0.0; 40]);
            path.trace(clock, &x, &ids, &mut exact).unwrap();
            near.trace(clock, &x, &ids, &mut fd).unwrap();
            assert!(
                exact.iter().zip(&fd).all(|(a, b)| (a - b).abs() < 1e-5 * (1.0 + b.abs())),
                "{name} at {t}"
            );

            // Eq. (6): ∂_t log r + ∇·v + v·∇log r = 0.
            let h = 1e-5;
            let (before, after) =
                (path.log_density(Clock::Shared(t - h), &x), path.log_density(Clock::Shared(t + h), &x));
            let (before, after) = (before.unwrap(), after.unwrap());
            for i in 0..40 {
                let along: f64 = v.row(i).iter().zip(score.row(i)).map(|(v, s)| v * s).sum();
                let slope = (after[i] - before[i]) / (2.0 * h);
                let residual = slope + exact[i] + along;
                assert!(
                    residual.abs() < 1e-5 * (1.0 + along.abs() + slope.abs()),
                    "{name} at {t}: {residual}"
                );
            }
        }
    }
}

#[test]
fn the_velocity_of_ou_is_the_current_of_its_diffusion() {
    let x = Gaussian::standard(2).sample(50, &mut Seed::new(3).rng());
    let path = MixturePath::new(OrnsteinUhlenbeck, &mixture()).unwrap();
    let current = Current::new(AffineField::contraction(2), &path, 1.0).unwrap();
    let s: Vec<f64> = (0..50).map(|i| 0.05 * f64::from(i)).collect();
    let v = evaluate(|out| path.velocity(Clock::Each(&s), &x, out), &x);
    assert!(largest(&v, &evaluate(|out| current.velocity(Clock::Each(&s), &x, out), &x)) < 1e-12);
    let w = x.select(&(0..50).rev().collect::<Vec<_>>());
    let dv = evaluate(|out| path.jvp(Clock::Each(&s), &x, &w, out), &x);
    assert!(largest(&dv, &evaluate(|out| current.jvp(Clock::Each(&s), &x, &w, out), &x)) < 1e-11);
    assert!(current.is_pointwise());
}

fn power(m: &DMatrix<f64>, p: f64) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(m.clone());
    &eigen.eigenvectors
        * DMatrix::from_diagonal(&eigen.eigenvalues.map(|l| l.powf(p)))
        * eigen.eigenvectors.transpose()
}

#[test]
fn the_flow_of_ou_from_a_gaussian_is_known_at_every_time() {
    let path = MixturePath::to_gaussian(OrnsteinUhlenbeck, &tilted_gaussian().0).unwrap();
    flow_of_ou("the velocity of the path", &path).unwrap();
    let current = Current::new(AffineField::contraction(2), &path, 1.0).unwrap();
    flow_of_ou("the current of the diffusion", &current).unwrap();
}

#[test]
fn an_anisotropic_ou_is_not_optimal_transport() {
    // dX = −AX ds + √2 dB: Σ_s' = −AΣ_s − Σ_sA + 2I, velocity (−A + Σ_s⁻¹) x, stationary covariance A⁻¹.
    let (a, sigma) = ([1.0, 4.0], tilted(0.7, 3.0, 0.1));
    let law = |s: f64| {
        DMatrix::from_fn(2, 2, |i, j| {
            let rate = a[i] + a[j];
            let stationary = if i == j { 2.0 / rate } else { 0.0 };
            (-rate * s).exp() * sigma[(i, j)] + -(-rate * s).exp_m1() * stationary
        })
    };
    let field = Pointwise::new(2, |s, x: &[f64], v: &mut [f64]| {
        let precision = law(s).try_inverse().unwrap();
        for i in 0..2 {
            v[i] = -a[i] * x[i] + precision[(i, 0)] * x[0] + precision[(i, 1)] * x[1];
        }
    });
    let basis = Points::from_rows(&[[1.0, 0.0], [0.0, 1.0]]);
    let end = Ode::adaptive(DOP853, 1e-11, 1e-11)
        .unwrap()
        .solve(&field, &basis, 0.0, 20.0)
        .unwrap()
        .finished()
        .unwrap();
    let map = DMatrix::from_fn(2, 2, |i, j| end.row(j)[i]);
    assert!((map[(0, 1)] - map[(1, 0)]).abs() > 1e-2);
    // The flow carries the law: M Σ Mᵀ = A⁻¹.
    assert!((&map * &sigma * map.transpose() - law(40.0)).amax() < 1e-9);
    let cost = |m: &DMatrix<f64>| {
        let d = m - DMatrix::identity(2, 2);
        (&d * &sigma * d.transpose()).trace()
    };
    let optimal = power(&sigma, -0.5)
        * power(&(power(&sigma, 0.5) * law(40.0) * power(&sigma, 0.5)), 0.5)
        * power(&sigma, -0.5);
    assert!((cost(&map) - 1.0841).abs() < 1e-4 && (cost(&optimal) - 1.0819).abs() < 1e-4);
}

#[test]
fn hermite_moments_decay_at_their_rate() {
    let path = MixturePath::new(OrnsteinUhlenbeck, &two_on_the_line().0).unwrap();
    hermite_decay("probability flow", &path).unwrap();
}

#[test]
fn draws_have_the_velocity_and_the_score_of_the_law() {
    let (n, t) = (60_000, 0.4);
    let data = mixture();
    let seed = Seed::new(11);
    let x0 = Gaussian::standard(2).sample(n, &mut seed.named("noise").rng());
    let x1 = data.sample(n, &mut seed.named("data").rng());
    let amplitude = 0.8;
    let path = MixturePath::new(Noised::new(Linear, amplitude).unwrap(), &data).unwrap();
    let pairs = Pairs::aligned(x0, x1).unwrap();
    let interpolant = Interpolant::new(Linear).with_latent(amplitude).unwrap();
    let draw = interpolant.draw(Clock::Shared(t), &pairs.x0, &pairs.x1, seed.named("latent")).unwrap();
    let v = evaluate(|out| path.velocity(Clock::Shared(t), &draw.x, out), &draw.x);
    let s = evaluate(|out| path.score(Clock::Shared(t), &draw.x, out), &draw.x);
    // E[ẋ f(x)] = E[v(x) f(x)] and E[z f(x)] = −γ E[∇log r f(x)] for every f; f a few waves.
    for (p, q) in [(0.0, 0.0), (1.0, 0.0), (0.5, -1.0), (2.0, 1.0)] {
        for c in 0..2 {
            let f = |i: usize| (p * draw.x.row(i)[0] + q * draw.x.row(i)[1] + 0.3).cos();
            let gap: Vec<f64> = (0..n).map(|i| (draw.velocity.row(i)[c] - v.row(i)[c]) * f(i)).collect();
            let noise: Vec<f64> =
                (0..n).map(|i| (draw.noise.row(i)[c] + draw.gamma[i] * s.row(i)[c]) * f(i)).collect();
            for draws in [gap, noise] {
                let (low, high) = Estimate::of_mean(&draws).unwrap().interval(1.0 - 1e-6).unwrap();
                assert!(low < 0.0 && high > 0.0, "wave ({p}, {q}), coordinate {c}: [{low}, {high}]");
            }
        }
    }
    assert!((draw.gamma[0] - 0.8 * (0.4f64 * 0.6).sqrt()).abs() < 1e-15);
    let end = interpolant.draw(Clock::Shared(1.0), &pairs.x0, &pairs.x1, seed);
    assert!(matches!(end, Err(Error::Singular { what: "dγ/dt", .. })));
    assert!(Interpolant::new(OrnsteinUhlenbeck).with_latent(1.0).is_err());
    let late = Interpolant::new(Linear).draw(Clock::Shared(1.5), &pairs.x0, &pairs.x1, seed);
    assert!(matches!(late, Err(Error::Time { .. })));
}

#[test]
fn the_denoiser_is_the_posterior_mean() {
    let path = MixturePath::new(Linear, &mixture()).unwrap();
    let x = Gaussian::standard(2).sample(20, &mut Seed::new(5).rng());
    // x = αE[X₁|x] + σE[X₀|x] and v = α̇E[X₁|x] + σ̇E[X₀|x].
    let t = 0.3;
    let v = evaluate(|out| path.velocity(Clock::Shared(t), &x, out), &x);
    let denoised = path.denoised(Clock::Shared(t), &x).unwrap();
    let by_velocity =
        Points::from_fn(20, 2, |i, row| (0..2).for_each(|c| row[c] = x.row(i)[c] + (1.0 - t) * v.row(i)[c]));
    assert!(largest(&denoised, &by_velocity) < 1e-12);
    assert!(path.denoised(Clock::Shared(1.2), &x).is_err());
    assert!(path.law(-0.1).is_err());
}

#[test]
fn far_points_and_broken_points_are_honest() {
    let path = MixturePath::new(Linear, &mixture()).unwrap();
    let x = Points::from_raw(2, vec![1e6, -1e6, f64::NAN, 0.0, f64::INFINITY, 0.0]);
    let v = evaluate(|out| path.velocity(Clock::Shared(0.5), &x, out), &x);
    assert!(v.row(0).iter().all(|v| v.is_finite()));
    assert!(v.row(1).iter().any(|v| v.is_nan()) && v.row(2).iter().any(|v| !v.is_finite()));
    assert!(path.log_density(Clock::Shared(0.5), &x).unwrap()[1].is_nan());
}

#[test]
fn the_gaussian_bridge_solves_its_equations() {
    let from = Gaussian::new(vec![1.0, 0.0], tilted(0.4, 1.0, 0.3)).unwrap();
    let to = Gaussian::new(vec![-2.0, 3.0], tilted(-0.9, 0.2, 2.0)).unwrap();
    let bridge = GaussianBridge::new(&from, &to, 0.7).unwrap();
    let x = Gaussian::isotropic(&[0.0, 1.0], 2.0).unwrap().sample(30, &mut Seed::new(6).rng());
    for (end, law) in [(0.0, &from), (1.0, &to)] {
        assert!((bridge.law(end).unwrap().covariance() - law.covariance()).amax() < 1e-12);
        assert!(bridge.law(end).unwrap().mean().iter().zip(law.mean()).all(|(a, b)| (a - b).abs() < 1e-14));
    }
    let ids: Vec<u64> = (0..30).collect();
    for t in [0.1, 0.5, 0.85] {
        let clock = Clock::Shared(t);
        let v = evaluate(|out| bridge.velocity(clock, &x, out), &x);
        let score = evaluate(|out| bridge.score(clock, &x, out), &x);
        assert!(largest(&score, &bridge.law(t).unwrap().score(&x).unwrap()) < 1e-10);
        let mut trace = vec![0.0; 30];
        bridge.trace(clock, &x, &ids, &mut trace).unwrap();
        let log = |t: f64| bridge.law(t).unwrap().log_density(&x).unwrap();
        let (h, drift) = (1e-5, |out: &mut Points, t: f64| bridge.velocity(Clock::Shared(t), &x, out));
        let (before, after) = (log(t - h), log(t + h));
        for i in 0..30 {
            let along: f64 = v.row(i).iter().zip(score.row(i)).map(|(v, s)| v * s).sum();
            let residual = (after[i] - before[i]) / (2.0 * h) + trace[i] + along;
            assert!(residual.abs() < 1e-6 * (1.0 + along.abs()), "t = {t}: {residual}");
        }
        // The drift v + ½ε∇log ρ of a Schrödinger bridge is a gradient, and so is v: its Jacobian is symmetric.
        let jvp = |u: [f64; 2]| {
            let one = Points::from_rows(&[u]);
            evaluate(|out| bridge.jvp(clock, &x.select(&[0]), &one, out), &one)
        };
        assert!((jvp([1.0, 0.0]).row(0)[1] - jvp([0.0, 1.0]).row(0)[0]).abs() < 1e-10);
        assert!(largest(&evaluate(|out| drift(out, t), &x), &v) < 1e-15);
    }
    // In one dimension the covariance of the end points is ½(√(4s₀²s₁² + ε²) − ε); without noise it is optimal transport.
    let line = |m: f64, s: f64| Gaussian::isotropic(&[m], s).unwrap();
    let cross =
        GaussianBridge::new(&line(0.0, 2.0), &line(1.0, 0.5), 0.3).unwrap().cross_covariance()[(0, 0)];
    assert!((cross - 0.5 * ((4.0f64 + 0.09).sqrt() - 0.3)).abs() < 1e-14);
    let cold = GaussianBridge::new(&from, &to, 1e-9).unwrap();
    let root = power(from.covariance(), 0.5);
    let optimal = &root * power(&(&root * to.covariance() * &root), 0.5) * power(from.covariance(), -0.5);
    assert!((cold.cross_covariance() - optimal).amax() < 1e-8);
    assert!(GaussianBridge::new(&from, &line(0.0, 1.0), 1.0).is_err());
    assert!(GaussianBridge::new(&from, &to, 0.0).is_err() && bridge.law(1.1).is_err());
}

#[test]
fn a_straight_path_is_integrated_to_its_data() {
    // From noise at 0 to data at 1 and back: χ₁ # N(0, I) is the mixture.
    let data = GaussianMixture::ring(8, 4.0, 0.4).unwrap();
    let path = MixturePath::new(Linear, &data).unwrap();
    let z = Gaussian::standard(2).sample(2_000, &mut Seed::new(7).rng());
    let ode = Ode::adaptive(TSITOURAS, 1e-9, 1e-9).unwrap();
    let x = ode.solve(&path, &z, 0.0, 1.0).unwrap().finished().unwrap();
    let back = ode.solve(&path, &x, 1.0, 0.0).unwrap().finished().unwrap();
    assert!(largest(&back, &z) < 1e-5, "{:e}", largest(&back, &z));
    let near = x.rows().filter(|x| (x[0].hypot(x[1]) - 4.0).abs() < 4.0 * 0.4).count();
    assert!(near > 1_980, "{near}");
}
