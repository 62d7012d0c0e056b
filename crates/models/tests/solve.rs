//! Tensors through the solvers of `flows`: where points go, tensors go, and gradients come back.

use flows::field::Pointwise;
use flows::ode::{Crossing, Event, METHODS, Ode, Stepper, Tableau};
use flows::{Clock, State, VelocityField};
use measures::{Points, Sample, Seed, zoo::Gaussian};
use models::tch::{Device, Kind, Tensor};
use models::tensor::{scalar, values};
use models::{Checkpoints, Result, Rows, Rule, SolverConfig, TensorField};

const RULES: [Rule; 8] = [
    Rule::Euler,
    Rule::Midpoint,
    Rule::Heun,
    Rule::BogackiShampine,
    Rule::Rk4,
    Rule::DormandPrince,
    Rule::Tsitouras,
    Rule::Dop853,
];

/// A turn of the plane whose rate depends on time and place: coupled, nonlinear and not autonomous.
fn turn() -> impl VelocityField + Sync {
    Pointwise::new(2, |t, x: &[f64], v: &mut [f64]| {
        v[0] = x[1] * (1.0 + 0.5 * t.sin() + 0.1 * x[0]);
        v[1] = -x[0] * (1.0 + 0.5 * t.cos() + 0.1 * x[0]);
    })
}

fn turn_of(t: Clock<'_>, x: &Tensor, rate: &Tensor) -> Result<Tensor> {
    let t = Rows::new(x.shallow_clone())?.clock(t);
    let (a, b) = (x.narrow(1, 0, 1), x.narrow(1, 1, 1));
    let up = &b * (t.sin() * 0.5 + 1.0 + &a * rate);
    let down = -&a * (t.cos() * 0.5 + 1.0 + &a * rate);
    Ok(Tensor::cat(&[up, down], 1))
}

fn tensors() -> TensorField<impl Fn(Clock<'_>, &Tensor) -> Result<Tensor>> {
    TensorField::pointwise(|t, x| turn_of(t, x, &Tensor::from_slice(&[0.1])))
}

fn cloud(n: usize) -> Points {
    Gaussian::isotropic(&[1.0, 0.5], 0.8).unwrap().sample(n, &mut Seed::new(1).rng())
}

fn rows(x: &Points) -> Rows {
    Rows::of_points(x, Kind::Double, Device::Cpu).unwrap()
}

fn gap(a: &Points, b: &Points) -> f64 {
    assert_eq!((a.len(), a.dim()), (b.len(), b.dim()));
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The two solves of a solver, with the largest distance between their ends and whether the costs are the same.
fn both(native: &Ode<'_>, tensor: &Ode<'_, Rows>, (t0, t1): (f64, f64)) -> (f64, bool) {
    let x = cloud(30);
    let a = native.solve(&turn(), &x, t0, t1).unwrap();
    let b = tensor.solve_batch(&tensors(), &rows(&x), t0, t1).unwrap();
    let mut worst = gap(&a.end, &b.end.to_points().unwrap());
    for ((s, a), (t, b)) in a.saved.iter().zip(&b.saved) {
        assert_eq!(s, t);
        worst = worst.max(gap(a, &b.to_points().unwrap()));
    }
    if let (Some(a), Some(b)) = (&a.dense, &b.dense) {
        let t = Clock::Shared(0.3 * t0 + 0.7 * t1);
        worst = worst.max(gap(&a.at(t).unwrap(), &b.at(t).unwrap().to_points().unwrap()));
    }
    assert_eq!(a.events.len(), b.events.len());
    for (a, b) in a.events.iter().zip(&b.events) {
        assert_eq!((a.row, a.event), (b.row, b.event));
        worst = worst.max((a.t - b.t).abs());
    }
    (worst, a.status == b.status && a.counts == b.counts)
}

fn first_coordinate(t: Clock<'_>, x: &Rows) -> Vec<f64> {
    let _ = t;
    values(&x.tensor().select(1, 0)).unwrap()
}

/// Fixed steps, uneven meshes, steps of each row's own and shared ones, both ways in time, with everything that can be
/// seen on the way: tensors and points agree to 1e-10 for every method.
#[test]
fn tensors_go_where_points_go() {
    for method in METHODS {
        let mut worst: f64 = 0.0;
        let mesh = vec![0.0, 0.1, 0.35, 0.4, 1.0];
        for span in [(0.0, 1.0), (1.0, -0.5)] {
            let (found, same) =
                both(&Ode::fixed(method, 40).unwrap(), &Ode::fixed(method, 40).unwrap(), span);
            assert!(same, "{}", method.name);
            worst = worst.max(found);
        }
        let found = both(
            &Ode::on_mesh(method, mesh.clone()).unwrap(),
            &Ode::on_mesh(method, mesh.clone()).unwrap(),
            (0.0, 1.0),
        );
        worst = worst.max(found.0);
        if Stepper::<Points>::error_order(&method).is_some() {
            for shared in [false, true] {
                let times = [0.0, 0.2, 0.9, 2.0];
                let native = Ode::adaptive(method, 1e-6, 1e-8).unwrap().save_at(&times).dense();
                let tensor = Ode::adaptive(method, 1e-6, 1e-8).unwrap().save_at(&times).dense();
                let native = native.event(Event::new(|_, x| x[0]).crossing(Crossing::Falling));
                let tensor = tensor.event(Event::batched(first_coordinate).crossing(Crossing::Falling));
                let (native, tensor) =
                    if shared { (native.shared(), tensor.shared()) } else { (native, tensor) };
                let (found, same) = both(&native, &tensor, (0.0, 2.0));
                assert!(same, "{} {shared}", method.name);
                worst = worst.max(found);
            }
        }
        println!("{:<20} {worst:.1e}", method.name);
        assert!(worst < 1e-10, "{}: {worst:e}", method.name);
    }
}

/// One bad row stops alone, and says where.
#[test]
fn a_row_without_velocity_stops_alone() {
    let field = TensorField::pointwise(|_, x: &Tensor| Ok(x.log() * -1.0));
    let x = Rows::new(Tensor::from_slice(&[2.0, 3.0, 0.5, 4.0]).view([4, 1])).unwrap();
    // x' = −log x runs into zero from 0.5, never from above 1.
    let run = Ode::adaptive(flows::ode::TSITOURAS, 1e-6, 1e-8).unwrap().solve_batch(&field, &x, 0.0, -3.0);
    let run = run.unwrap();
    let finished = |i: usize| run.status[i] == flows::ode::Status::Finished;
    assert!(finished(0) && finished(1) && !finished(2) && finished(3), "{:?}", run.status);
    assert!(run.times[2] < 0.0 && run.times[2] > -3.0 && run.end.all_finite());
}

/// ∂/∂rate and ∂/∂x₀ of Σ sin(end) by whole back-propagation.
fn whole(ode: &Ode<'_, Rows>, x0: &Points, rate: f64, t1: f64) -> (f64, Vec<f64>) {
    let x = rows(x0).into_tensor().set_requires_grad(true);
    let rate = Tensor::from_slice(&[rate]).set_requires_grad(true);
    let field = TensorField::new(|t, x: &Tensor| turn_of(t, x, &rate));
    let start = Rows::new(x.shallow_clone()).unwrap();
    let end = ode.solve_batch(&field, &start, 0.0, t1).unwrap().finished().unwrap().into_tensor();
    let loss = end.sin().sum(Kind::Double);
    let parts = Tensor::run_backward(&[&loss], &[&rate, &x], false, false);
    (scalar(&loss).unwrap(), parts.iter().flat_map(|p| values(p).unwrap()).collect())
}

/// The same with checkpoints, and how many states were kept of how many steps.
fn kept(solver: &SolverConfig, x0: &Points, rate: f64, t1: f64) -> (f64, Vec<f64>, (usize, usize)) {
    let x = rows(x0).into_tensor().set_requires_grad(true);
    let rate = Tensor::from_slice(&[rate]).set_requires_grad(true);
    let field = TensorField::new(|t, x: &Tensor| turn_of(t, x, &rate));
    let run = Checkpoints::solve(solver, &field, &x, 0.0, t1).unwrap();
    let loss = run.loss(&x, &[&rate], |end| Ok(end.sin().sum(Kind::Double))).unwrap();
    let parts = Tensor::run_backward(&[&loss], &[&rate, &x], false, false);
    let gradient = parts.iter().flat_map(|p| values(p).unwrap()).collect();
    (scalar(&loss).unwrap(), gradient, (run.kept(), run.steps()))
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0f64, |m, b| m.max(b.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

/// For every method the gradient with checkpoints is that of the whole graph to round-off, and both are that of finite
/// differences.
#[test]
fn gradients_come_back_through_every_method() {
    let x0 = cloud(3);
    for (method, rule) in METHODS.into_iter().zip(RULES) {
        for steps in [1, 7, 24] {
            let solver = SolverConfig { rule, steps: Some(steps), ..SolverConfig::default() };
            let ode = || Ode::fixed(method, steps).unwrap();
            let (value, gradient) = whole(&ode(), &x0, 0.1, 1.5);
            let (same_value, same, _) = kept(&solver, &x0, 0.1, 1.5);
            assert!((value - same_value).abs() < 1e-14 * value.abs().max(1.0), "{rule:?}");
            let round_off = relative(&same, &gradient);
            assert!(round_off < 1e-13, "{rule:?} {steps}: {round_off:e}");
            let h = 1e-5;
            let difference = |at: &dyn Fn(f64) -> f64| (at(h) - at(-h)) / (2.0 * h);
            let mut by_differences = vec![difference(&|h| whole(&ode(), &x0, 0.1 + h, 1.5).0)];
            for k in 0..x0.as_slice().len() {
                by_differences.push(difference(&|h| {
                    let mut x = x0.clone();
                    x.as_mut_slice()[k] += h;
                    whole(&ode(), &x, 0.1, 1.5).0
                }));
            }
            let off = relative(&gradient, &by_differences);
            assert!(off < 1e-8, "{rule:?} {steps}: {off:e}");
            if steps == 24 {
                println!(
                    "{:<20} {round_off:.1e} from the whole graph, {off:.1e} from differences",
                    method.name
                );
            }
        }
    }
}

/// Steps that follow the error are found on the way forward; the gradient is that of the same steps.
#[test]
fn gradients_come_back_through_adaptive_steps() {
    let x0 = cloud(3);
    for (method, rule) in METHODS.into_iter().zip(RULES) {
        if Stepper::<Rows>::error_order(&method).is_none() {
            continue;
        }
        let solver = SolverConfig { rule, steps: None, rtol: 1e-5, atol: 1e-5 };
        let ode = Ode::adaptive(method, 1e-5, 1e-5).unwrap().shared();
        let (_, gradient) = whole(&ode, &x0, 0.1, 3.0);
        let (_, same, (states, steps)) = kept(&solver, &x0, 0.1, 3.0);
        let round_off = relative(&same, &gradient);
        println!("{:<20} {round_off:.1e}, {states} states of {steps} steps", method.name);
        assert!(round_off < 1e-12, "{rule:?}: {round_off:e}");
        let most = (2.0 * steps as f64).sqrt().ceil() as usize + 1;
        assert!(states <= most, "{rule:?}: {states} of {steps}");
    }
}

#[test]
fn what_cannot_be_pulled_back_is_refused() {
    let x = Tensor::from_slice(&[1.0, 2.0]).view([2, 1]);
    let field = TensorField::new(|_, x: &Tensor| Ok(-x));
    let solver = SolverConfig { rule: Rule::Euler, steps: Some(4), ..SolverConfig::default() };
    let run = Checkpoints::solve(&solver, &field, &x, 0.0, 1.0).unwrap();
    let bad = Tensor::from_slice(&[1.0]);
    assert!(run.pull_back(&bad, &[]).unwrap_err().to_string().contains("d_end"));
    // A leaf that plays no part has gradient zero.
    let idle = Tensor::from_slice(&[3.0]).set_requires_grad(true);
    let (d_start, leaves) = run.pull_back(&x.ones_like(), &[&idle]).unwrap();
    assert_eq!(values(&leaves[0]).unwrap(), [0.0]);
    assert!(relative(&values(&d_start).unwrap(), &[0.75f64.powi(4); 2]) < 1e-15);
    assert!(Checkpoints::solve(&solver, &field, &x, 1.0, 1.0).is_err());
    let none = SolverConfig { steps: Some(0), ..solver };
    assert!(Checkpoints::solve(&none, &field, &x, 0.0, 1.0).is_err());
    // A field that leaves the finite numbers says where.
    let explosive = TensorField::new(|_, x: &Tensor| Ok(x.square() * 1e200));
    let error = Checkpoints::solve(&solver, &explosive, &x, 0.0, 1.0).err().unwrap();
    assert!(error.to_string().contains("NonFinite"), "{error}");
}

#[test]
fn tableaux_and_rules_are_the_same() {
    for (method, rule) in METHODS.into_iter().zip(RULES) {
        let name = serde_json::to_value(rule).unwrap();
        let plain = |s: &str| s.to_lowercase().replace([' ', '_', '–', '-'], "");
        let (rule, method): (String, Tableau) = (plain(name.as_str().unwrap()), method);
        assert!(plain(method.name).starts_with(&rule[..3]), "{rule} {}", method.name);
    }
}
