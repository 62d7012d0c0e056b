//! The classical theory of flows, on networks: what is known in closed form for Gaussians, and the bound on what an
//! approximate velocity costs.

use divergences::transport::Wasserstein;
use flows::field::{AffineField, TimeScore};
use flows::ode::{DOP853, DORMAND_PRINCE, Ode};
use flows::path::{MixturePath, Schedule, VariancePreserving};
use flows::{Clock, VelocityField};
use measures::nalgebra::{DMatrix, DVector};
use measures::{Empirical, Points, Sample, Seed, zoo::Gaussian};
use models::methods::flow::{Diffusion, DiffusionConfig, PathConfig, Prediction};
use models::nets::FieldConfig;
use models::optim::{OptimConfig, Schedule as Rate};
use models::tch::{Device, Kind};
use models::tensor::{to_points, to_tensor};
use models::{Draws, FlowModel, Rows, TensorField, TrainConfig, Trainer, Watch};

const CUT: f64 = 1e-3;

fn law() -> Gaussian {
    Gaussian::new(vec![0.6, -0.4], DMatrix::from_row_slice(2, 2, &[1.4, 0.5, 0.5, 0.4])).unwrap()
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

/// A diffusion of N(m, Σ), trained for seconds: it says the mean of the noise.
fn trained() -> FlowModel {
    let config = DiffusionConfig {
        net: FieldConfig { widths: vec![64, 64], ..FieldConfig::default() },
        path: PathConfig::VariancePreserving { first: 0.1, last: 20.0 },
        prediction: Prediction::Noise,
        cut: CUT,
        batch: 512,
        standardise: false,
        optim: OptimConfig { lr: 4e-3, schedule: Rate::Cosine { floor: 0.0 }, ..OptimConfig::default() },
        ..DiffusionConfig::default()
    };
    let train = TrainConfig { steps: 2500, ema: Some(0.99), ..TrainConfig::default() };
    let target = Draws::new(law(), "a Gaussian");
    let mut run = Trainer::<Diffusion>::new(config, train, &target).unwrap();
    let _ = run.run(&mut Watch::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    run.generator().unwrap().save(&path).unwrap();
    FlowModel::load(&path).unwrap()
}

/// Mean squares of a − b and of b, over all rows and coordinates.
fn squares(a: &Points, b: &Points) -> (f64, f64) {
    let n = a.as_slice().len() as f64;
    let gap: f64 = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).powi(2)).sum();
    (gap / n, b.as_slice().iter().map(|b| b * b).sum::<f64>() / n)
}

fn at(schedule: &impl Schedule, x1: &Points, x0: &Points, t: f64) -> Points {
    let (alpha, sigma) = (schedule.alpha(t), schedule.sigma(t));
    Points::from_fn(x1.len(), x1.dim(), |i, row| {
        let ends = x1.row(i).iter().zip(x0.row(i));
        row.iter_mut().zip(ends).for_each(|(x, (b, a))| *x = alpha * b + sigma * a);
    })
}

/// Symmetric square root and its inverse.
fn roots(m: &DMatrix<f64>) -> (DMatrix<f64>, DMatrix<f64>) {
    let eigen = m.clone().symmetric_eigen();
    let of = |f: fn(f64) -> f64| {
        let d = DMatrix::from_diagonal(&eigen.eigenvalues.map(f));
        &eigen.eigenvectors * d * eigen.eigenvectors.transpose()
    };
    (of(f64::sqrt), of(|e| 1.0 / e.sqrt()))
}

/// One training serves both: the score along the path, σ s(t, x) = −E[x₀|x], is that of the closed form, and the encoder
/// that follows the learned probability flow from data towards noise is the exact map
/// χ_s(x) = e^{−s}m + Σ_s^{½} Σ^{−½} (x − m), Σ_s = e^{−2s}Σ + (1 − e^{−2s})I, at every s.
#[test]
fn a_trained_diffusion_of_a_gaussian_is_the_closed_form() {
    let (model, schedule, law) = (trained(), schedule(), law());
    let path = MixturePath::to_gaussian(schedule, &law).unwrap();
    let n = 4000;
    let x1 = law.sample(n, &mut Seed::new(11).rng());
    let x0 = Gaussian::standard(2).sample(n, &mut Seed::new(12).rng());
    let (mut gap, mut size) = (0.0, 0.0);
    for t in [0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95] {
        let (x, sigma) = (at(&schedule, &x1, &x0, t), schedule.sigma(t));
        let said = model.forward(&vec![t; n], &to_tensor(&x, Kind::Float, Device::Cpu).unwrap()).unwrap();
        let mut exact = Points::zeros(n, 2);
        path.score(Clock::Shared(t), &x, &mut exact).unwrap();
        exact.as_mut_slice().iter_mut().for_each(|s| *s *= -sigma);
        let (g, s) = squares(&to_points(&said).unwrap(), &exact);
        println!("score at t = {t}: relative error {:.3}", (g / s).sqrt());
        (gap, size) = (gap + g, size + s);
    }
    let relative = (gap / size).sqrt();
    println!("score, all times: {relative:.4}");
    assert!(relative < 0.05, "{relative}");

    // The velocity of the trained model as a field of tensors, solved tightly.
    let velocity = TensorField::new(|t, x: &models::tch::Tensor| {
        let times: Vec<f64> = (0..x.size()[0] as usize).map(|i| t.at(i)).collect();
        Ok(model.velocity(&times, &x.to_kind(Kind::Float))?.to_kind(Kind::Double))
    });
    let mean = DVector::from_column_slice(law.mean());
    let (_, inverse) = roots(law.covariance());
    let start = 1.0 - CUT;
    let times: Vec<f64> = [0.9, 0.7, 0.5, 0.2, CUT].to_vec();
    let x = Rows::of_points(&x1, Kind::Double, Device::Cpu).unwrap();
    let ode = Ode::adaptive(DORMAND_PRINCE, 1e-5, 1e-5).unwrap().shared().save_at(&times);
    let run = models::tch::no_grad(|| ode.solve_batch(&velocity, &x, start, CUT)).unwrap();
    for (t, found) in &run.saved {
        let s = -schedule.alpha(*t).ln();
        let variance =
            (-2.0 * s).exp() * law.covariance() + (1.0 - (-2.0 * s).exp()) * DMatrix::identity(2, 2);
        let map = roots(&variance).0 * &inverse;
        let exact = Points::from_fn(n, 2, |i, row| {
            let y = &map * (DVector::from_column_slice(x1.row(i)) - &mean) + &mean * (-s).exp();
            row.copy_from_slice(y.as_slice());
        });
        let (g, size) = squares(&found.to_points().unwrap(), &exact);
        println!("encoder at s = {s:.3}: {:.4} of {:.3}", g.sqrt(), size.sqrt());
        assert!(g.sqrt() < 0.05, "s = {s}: {}", g.sqrt());
    }
    // Far along, the code is the whitened point.
    let codes = run.saved[4].1.to_points().unwrap();
    let white = Points::from_fn(n, 2, |i, row| {
        row.copy_from_slice((&inverse * (DVector::from_column_slice(x1.row(i)) - &mean)).as_slice());
    });
    assert!(squares(&codes, &white).0.sqrt() < 0.06);

    what_the_velocity_costs(&model, &path, &law);
}

/// W₂ of where the learned velocity leads to where the true one does, below ∫ e^{∫_t^1 λ} (E‖v − ṽ‖²)^{½} dt along the learned
/// flow, with λ(t) the largest eigenvalue of the true velocity's symmetric Jacobian: Grönwall's lemma for couplings.
fn what_the_velocity_costs(model: &FlowModel, path: &MixturePath<VariancePreserving>, law: &Gaussian) {
    let n = 1000;
    let z = path.law(CUT).unwrap().sample(n, &mut Seed::new(5).rng());
    let mesh: Vec<f64> = (0..=200).map(|k| CUT + (1.0 - 2.0 * CUT) * f64::from(k) / 200.0).collect();
    let end = mesh[mesh.len() - 1];
    let velocity = TensorField::new(|t, x: &models::tch::Tensor| {
        let times: Vec<f64> = (0..x.size()[0] as usize).map(|i| t.at(i)).collect();
        Ok(model.velocity(&times, &x.to_kind(Kind::Float))?.to_kind(Kind::Double))
    });
    let start = Rows::of_points(&z, Kind::Double, Device::Cpu).unwrap();
    let ode = Ode::adaptive(DORMAND_PRINCE, 1e-6, 1e-6).unwrap().shared().save_at(&mesh);
    let learned = models::tch::no_grad(|| ode.solve_batch(&velocity, &start, CUT, end)).unwrap();
    let ode = Ode::adaptive(DORMAND_PRINCE, 1e-6, 1e-6).unwrap();
    let exact = ode.solve(path, &z, CUT, end).unwrap();
    // λ(t) from the law: v is affine with Jacobian (α'/α)I + (σ'σ − σ²α'/α) (−Σ_t)^{-1}, symmetric; its largest eigenvalue
    // by the exact velocity along the axes of Σ.
    let axes = law.covariance().clone().symmetric_eigen().eigenvectors;
    let stretch = |t: f64| {
        let x = Points::from_fn(3, 2, |i, row| {
            let axis = if i == 0 { DVector::zeros(2) } else { axes.column(i - 1).into_owned() };
            row.copy_from_slice(axis.as_slice());
        });
        let mut v = Points::zeros(3, 2);
        path.velocity(Clock::Shared(t), &x, &mut v).unwrap();
        let along = |i: usize| (0..2).map(|k| (v.row(i)[k] - v.row(0)[k]) * x.row(i)[k]).sum::<f64>();
        along(1).max(along(2))
    };
    let speeds: Vec<f64> = learned
        .saved
        .iter()
        .map(|(t, x)| {
            let x = x.to_points().unwrap();
            let (mut a, mut b) =
                (Points::zeros(n, 2), Rows::of_points(&x, Kind::Double, Device::Cpu).unwrap());
            path.velocity(Clock::Shared(*t), &x, &mut a).unwrap();
            let y = b.clone();
            models::tch::no_grad(|| velocity.velocity(Clock::Shared(*t), &y, &mut b)).unwrap();
            (2.0 * squares(&b.to_points().unwrap(), &a).0).sqrt()
        })
        .collect();
    // From the end backwards, by the trapezoidal rule.
    let (mut growth, mut bound) = (0.0, 0.0);
    for k in (1..mesh.len()).rev() {
        let h = mesh[k] - mesh[k - 1];
        let before = growth + 0.5 * h * (stretch(mesh[k]) + stretch(mesh[k - 1]));
        bound += 0.5 * h * (f64::exp(growth) * speeds[k] + f64::exp(before) * speeds[k - 1]);
        growth = before;
    }
    let (a, b) = (learned.end.to_points().unwrap(), exact.end);
    let uniform = |p: Points| Empirical::uniform(p).unwrap();
    let w2 = Wasserstein::new(2.0).unwrap();
    let distance = divergences::Divergence::value(&w2, &uniform(a.clone()), &uniform(b.clone())).unwrap();
    let coupled = (2.0 * squares(&a, &b).0).sqrt();
    println!("W₂ {distance:.4} ≤ coupled {coupled:.4} ≤ Grönwall {bound:.4}");
    assert!(distance <= coupled * (1.0 + 1e-9) && coupled <= bound * 1.01, "{distance} {coupled} {bound}");
    // The bound says something: it is no more than an order of magnitude above.
    assert!(bound < 10.0 * coupled, "{coupled} {bound}");
}

/// On v(x) = λx + b against ṽ = v + ε u with ‖u‖ = 1, errors all point the same way and grow at the rate λ: the bound
/// W₂ ≤ ε (e^{λT} − 1)/λ is attained.
#[test]
fn gronwalls_bound_is_attained() {
    let n = 300;
    let x = Gaussian::standard(2).sample(n, &mut Seed::new(3).rng());
    for (lambda, epsilon, horizon) in [(1.5, 0.2, 2.0), (0.3, 0.7, 1.0), (-0.8, 0.1, 3.0)] {
        let a = DMatrix::from_diagonal_element(2, 2, lambda);
        let (b, u) = (vec![0.3, -0.2], [0.6, 0.8]);
        let exact = AffineField::new(&a, b.clone()).unwrap();
        let approximate = TensorField::new(move |_, x: &models::tch::Tensor| {
            let shift = [0.3 + epsilon * u[0], -0.2 + epsilon * u[1]];
            Ok(x * lambda + models::tch::Tensor::from_slice(&shift))
        });
        let ode = Ode::fixed(DOP853, 40).unwrap();
        let truth = ode.solve(&exact, &x, 0.0, horizon).unwrap().finished().unwrap();
        let start = Rows::of_points(&x, Kind::Double, Device::Cpu).unwrap();
        let ode = Ode::fixed(DOP853, 40).unwrap();
        let found = ode.solve_batch(&approximate, &start, 0.0, horizon).unwrap().finished().unwrap();
        let uniform = |p: Points| Empirical::uniform(p).unwrap();
        let w2 = Wasserstein::new(2.0).unwrap();
        let distance =
            divergences::Divergence::value(&w2, &uniform(found.to_points().unwrap()), &uniform(truth))
                .unwrap();
        let bound = epsilon * (lambda * horizon).exp_m1() / lambda;
        println!("λ = {lambda}: W₂ = {distance:.9}, bound {bound:.9}");
        assert!((distance - bound).abs() < 1e-8 * bound, "{lambda}: {distance} {bound}");
    }
}
