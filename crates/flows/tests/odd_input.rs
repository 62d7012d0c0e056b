//! Odd input to everything public: a typed error of one line, or a status that says where and when, with what was reached
//! kept. Never a panic, never a silent NaN.
//!
//! Solvers are run through one table: every method, pace, scheme and source of noise meets every kind of trouble.

mod common;

use flows::descent::{Descent, HeavyBall};
use flows::exponential::{Denoiser, Extrapolation, log_snr_mesh};
use flows::field::{
    AffineField, AlongDrift, Cloud, Current, FiniteDifferences, Hutchinson, JacobianTrace, Jvp, Pointwise,
    Probe, Stationary, TimeScore, WithTrace,
};
use flows::grid::{Jko, Line, Plane, Quantiles};
use flows::interaction::{Bandwidth, External, Riesz, RieszTree, Svgd};
use flows::lanes::{LaneField, LaneOde, LaneSde, Tsitouras};
use flows::langevin::{Baoab, Energy, Mala, Ula, effective_size};
use flows::likelihood::{Tracked, carry, log_density};
use flows::measures::lanes::Real;
use flows::measures::nalgebra::DMatrix;
use flows::measures::zoo::{Gaussian, GaussianMixture};
use flows::measures::{Coupling, Drift, Empirical, Points, Score, Seed};
use flows::ode::{Event, METHODS, Ode, Pid, Status, TSITOURAS};
use flows::path::{
    Cosine, Custom, GaussianBridge, Interpolant, Linear, MixturePath, Noised, OrnsteinUhlenbeck, Pairs,
    Schedule, VarianceExploding, VariancePreserving,
};
use flows::sde::{
    Additive, BrownianTree, Diagonal, Equation, EulerMaruyama, Ito, Milstein, Noise,
    OrnsteinUhlenbeckProcess, Scheme, Sde, Shark, Sra1, StochasticHeun, Stratonovich, WhiteNoise,
};
use flows::{Clock, FieldError, Stepper, Trajectory, VelocityField};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a field does beyond x₀ = 2, or beyond t = ½.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    Nothing,
    /// NaN beyond x₀ = 2.
    Nan,
    /// An error beyond x₀ = 2.
    Refuses,
    /// x₀′ = 10 x₀⁵ beyond x₀ = 2: infinite before t = 1.
    Explodes,
    /// x₀′ = 1/(½ − t)², without an integral.
    Singular,
}

/// Home to the origin, but for the trouble.
#[derive(Clone, Copy)]
struct Odd(Trouble);

impl VelocityField for Odd {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        t.check(x.len())?;
        flows::measures::check_dim("points", 2, x.dim())?;
        for (i, (v, x)) in out.rows_mut().zip(x.rows()).enumerate() {
            v.copy_from_slice(&[-x[0], 0.3 - x[1]]);
            match self.0 {
                Trouble::Nan if x[0] > 2.0 => v[0] = f64::NAN,
                Trouble::Refuses if x[0] > 2.0 => return Err("no further than 2".into()),
                Trouble::Explodes if x[0] > 2.0 => v[0] = 10.0 * x[0].powi(5),
                Trouble::Singular => v[0] = (0.5 - t.at(i)).powi(-2),
                _ => {}
            }
        }
        Ok(())
    }
    fn is_pointwise(&self) -> bool {
        true
    }
}

impl JacobianTrace for Odd {
    fn trace(&self, _: Clock<'_>, x: &Points, _: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        out.iter_mut().zip(x.rows()).for_each(|(out, x)| *out = if x[0] > 2.0 { f64::NAN } else { -2.0 });
        Ok(())
    }
}

/// The same over lanes, where refusing is NaN.
struct OddLanes(Trouble);

impl LaneField<2> for OddLanes {
    #[inline(always)]
    fn velocity<R: Real>(&self, t: R, x: &[R; 2]) -> [R; 2] {
        let two = t.num(2.0);
        let home = -x[0];
        let square = x[0] * x[0];
        let first = match self.0 {
            Trouble::Nothing => home,
            Trouble::Nan | Trouble::Refuses => two.if_less(x[0], t.num(f64::NAN), home),
            Trouble::Explodes => two.if_less(x[0], square * square * x[0] * t.num(10.0), home),
            Trouble::Singular => t.num(1.0) / ((t.num(0.5) - t) * (t.num(0.5) - t)),
        };
        [first, t.num(0.3) - x[1]]
    }
}

type Run = Box<dyn Fn(Trouble, &Points, f64, f64) -> flows::Result<Trajectory<Points>>>;

struct Solver {
    name: String,
    /// Whether a particle's bits are its own.
    alone: bool,
    /// Whether it looks so closely that no singularity is stepped over.
    careful: bool,
    run: Run,
}

fn stochastic<E, C>(name: &str, make: impl Fn(Trouble) -> E + 'static, scheme: C, all: &mut Vec<Solver>)
where
    E: Equation<Points> + 'static,
    C: Scheme<E, Points> + Copy + 'static,
{
    fn solve<E: Equation<Points>, C: Scheme<E, Points> + Copy>(
        scheme: C,
        (equation, noise): (&E, &impl Noise<Points>),
        x: &Points,
        (t0, t1): (f64, f64),
    ) -> flows::Result<Trajectory<Points>> {
        Sde::fixed(scheme, 40)?.save_every(10)?.solve(equation, noise, x, t0, t1)
    }
    let make = std::rc::Rc::new(make);
    for tree in [false, true] {
        let make = make.clone();
        let run: Run = Box::new(move |trouble, x, t0, t1| {
            let equation = make(trouble);
            if tree && t0 != t1 && t0.is_finite() && t1.is_finite() {
                let noise = BrownianTree::new(Seed::new(1), t0, t1, x.dim())?;
                solve(scheme, (&equation, &noise), x, (t0, t1))
            } else {
                solve(scheme, (&equation, &WhiteNoise::new(Seed::new(1))), x, (t0, t1))
            }
        });
        all.push(Solver { name: format!("{name}, tree: {tree}"), alone: true, careful: false, run });
    }
}

/// Everything that carries a cloud along a field.
fn solvers() -> Vec<Solver> {
    let mut all = Vec::new();
    let mut push = |name: String, alone: bool, careful: bool, run: Run| {
        all.push(Solver { name, alone, careful, run });
    };
    for method in METHODS {
        push(
            format!("{}, fixed", method.name),
            true,
            false,
            Box::new(move |trouble, x, t0, t1| {
                Ode::fixed(method, 40)?.dense().solve(&Odd(trouble), x, t0, t1)
            }),
        );
        if Stepper::<Points>::error_order(&method).is_none() {
            continue;
        }
        for pid in [Pid::I, Pid::PI, Pid::PID] {
            push(
                format!("{}, adaptive", method.name),
                true,
                true,
                Box::new(move |trouble, x, t0, t1| {
                    let ode = Ode::adaptive(method, 1e-5, 1e-5)?
                        .controller(pid)
                        .save_at(&[0.25])
                        .max_steps(3_000)?;
                    ode.solve(&Odd(trouble), x, t0, t1)
                }),
            );
        }
        push(
            format!("{}, shared", method.name),
            false,
            true,
            Box::new(move |trouble, x, t0, t1| {
                Ode::adaptive(method, 1e-5, 1e-5)?.shared().max_steps(3_000)?.solve(&Odd(trouble), x, t0, t1)
            }),
        );
        push(
            format!("{} with its density", method.name),
            true,
            false,
            Box::new(move |trouble, x, t0, t1| {
                let ode = Ode::adaptive(method, 1e-4, 1e-4)?.max_steps(3_000)?;
                let run = carry(&ode, &Odd(trouble), x.clone(), vec![0.0; x.len()], t0, t1)?;
                let all_finite = run.end.log().iter().all(|l| l.is_finite());
                assert!(all_finite, "densities that are not finite");
                let Trajectory { end, times, status, counts, events: _, failures, .. } = run;
                let mut out = Ode::fixed(TSITOURAS, 1)?.solve(&Odd(Trouble::Nothing), x, t0, t1)?;
                (out.end, out.times, out.status) = (end.into_parts().0, times, status);
                (out.counts, out.failures) = (counts, failures);
                Ok(out)
            }),
        );
    }
    push(
        "lanes, fixed".into(),
        true,
        false,
        Box::new(|trouble, x, t0, t1| LaneOde::fixed(Tsitouras, 40)?.solve(&OddLanes(trouble), x, t0, t1)),
    );
    push(
        "lanes, fixed, single".into(),
        true,
        false,
        Box::new(|trouble, x, t0, t1| {
            LaneOde::fixed(Tsitouras, 40)?.single().solve(&OddLanes(trouble), x, t0, t1)
        }),
    );
    push(
        "lanes, adaptive".into(),
        true,
        true,
        Box::new(|trouble, x, t0, t1| {
            LaneOde::adaptive(Tsitouras, 1e-4, 1e-4)?.max_steps(3_000)?.solve(&OddLanes(trouble), x, t0, t1)
        }),
    );
    push(
        "lanes, adaptive, single".into(),
        true,
        true,
        Box::new(|trouble, x, t0, t1| {
            LaneOde::adaptive(Tsitouras, 1e-4, 1e-4)?.max_steps(3_000)?.single().solve(
                &OddLanes(trouble),
                x,
                t0,
                t1,
            )
        }),
    );
    push(
        "lanes, Euler–Maruyama".into(),
        true,
        false,
        Box::new(|trouble, x, t0, t1| {
            let equation = Additive::constant(OddLanes(trouble), 0.01)?;
            LaneSde::euler_maruyama(40)?.solve(&equation, &WhiteNoise::new(Seed::new(1)), x, t0, t1)
        }),
    );
    let additive = |trouble| Additive::constant(Odd(trouble), 0.01).unwrap();
    stochastic("Euler–Maruyama", additive, EulerMaruyama, &mut all);
    stochastic("stochastic Heun", additive, StochasticHeun, &mut all);
    stochastic("SRA1", additive, Sra1, &mut all);
    stochastic("ShARK", additive, Shark, &mut all);
    let diagonal = |trouble| Diagonal::new(Odd(trouble), level as Level);
    stochastic("Euler–Maruyama, Itô", move |t| Ito(diagonal(t)), EulerMaruyama, &mut all);
    stochastic("Milstein, Itô", move |t| Ito(diagonal(t)), Milstein, &mut all);
    stochastic("Milstein, Stratonovich", move |t| Stratonovich(diagonal(t)), Milstein, &mut all);
    stochastic("Heun, Stratonovich", move |t| Stratonovich(diagonal(t)), StochasticHeun, &mut all);
    all
}

/// A small noise of each coordinate, with its derivative.
fn level(_: f64, x: &[f64], b: &mut [f64], db: &mut [f64]) {
    for ((b, db), x) in b.iter_mut().zip(db).zip(x) {
        (*b, *db) = (0.01 * x.sin(), 0.01 * x.cos());
    }
}

type Level = fn(f64, &[f64], &mut [f64], &mut [f64]);

/// Twelve particles, those of `bad` beyond the edge.
fn cloud(bad: &[usize]) -> Points {
    Points::from_fn(12, 2, |i, x| {
        // Numbers of either precision.
        let start = if bad.contains(&i) { 3.0 } else { 0.125 * i as f64 - 0.875 };
        x.copy_from_slice(&[start, 0.125 * i as f64]);
    })
}

/// What every run must be, whatever happened.
fn honest(what: &str, run: &Trajectory<Points>, start: &Points, t1: f64) {
    assert!(run.end.as_slice().iter().all(|x| x.is_finite()), "{what}: an end that is not finite");
    assert_eq!(
        (run.end.len(), run.times.len(), run.status.len()),
        (start.len(), start.len(), start.len()),
        "{what}"
    );
    for (i, (status, t)) in run.status.iter().zip(&run.times).enumerate() {
        assert!(t.is_finite(), "{what}");
        assert_eq!(*status == Status::Finished, *t == t1, "{what}: row {i} has {status:?} at {t}");
    }
    assert!(run.saved.iter().all(|(_, x)| x.as_slice().iter().all(|x| x.is_finite())), "{what}: saved");
    assert_eq!(run.first_unfinished().is_none(), run.is_finished(), "{what}");
}

/// One line that is not empty, from code that did not panic.
fn refused<T, E: std::fmt::Display>(what: &str, call: impl FnOnce() -> Result<T, E>) -> String {
    let answer = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| panic!("{what}: a panic"));
    let Err(error) = answer else { panic!("{what}: not refused") };
    let line = error.to_string();
    assert!(!line.is_empty() && !line.contains('\n') && line.len() < 220, "{what}: {line}");
    line
}

#[test]
fn every_solver_refuses_what_is_wrong_from_the_start() {
    let good = cloud(&[]);
    for Solver { name, run, .. } in solvers() {
        let go = |x: &Points, t0: f64, t1: f64| refused(&name, || run(Trouble::Nothing, x, t0, t1));
        assert!(go(&good, 0.3, 0.3).contains("t0 = t1 = 0.3"), "{name}");
        for t in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(go(&good, t, 1.0).starts_with("t0 = "), "{name}");
            assert!(go(&good, 0.0, t).starts_with("t1 = "), "{name}");
        }
        assert!(go(&Points::zeros(0, 2), 0.0, 1.0).starts_with("particles: 0 given"), "{name}");
        for d in [1, 3] {
            let line = go(&Points::zeros(4, d), 0.0, 1.0);
            assert!(line.contains(&format!("dimension {d} where 2 is needed")), "{name}: {line}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut x = good.clone();
            x.row_mut(7)[1] = value;
            assert!(go(&x, 0.0, 1.0).contains("row 7"), "{name}");
        }
        // A field that refuses everybody at the start is wrong from the start; over lanes it is a status.
        let all: Vec<usize> = (0..12).collect();
        match run(Trouble::Refuses, &cloud(&all), 0.0, 1.0) {
            Err(error) => assert!(error.to_string().contains("no further than 2"), "{name}: {error}"),
            Ok(ended) => {
                assert!(
                    name.starts_with("lanes") && ended.status.iter().all(|s| *s == Status::NonFinite),
                    "{name}"
                );
                honest(&name, &ended, &cloud(&all), 1.0);
                assert_eq!(ended.end, cloud(&all));
            }
        }
    }
}

#[test]
fn in_every_solver_bad_particles_stop_alone() {
    for Solver { name, alone, run, .. } in solvers() {
        for trouble in [Trouble::Nan, Trouble::Refuses, Trouble::Explodes] {
            let what = format!("{name}, {trouble:?}");
            let good = run(trouble, &cloud(&[]), 0.0, 1.0).unwrap();
            honest(&what, &good, &cloud(&[]), 1.0);
            assert!(good.is_finished(), "{what}");
            let start = cloud(&[3, 8]);
            let mixed = run(trouble, &start, 0.0, 1.0).unwrap();
            honest(&what, &mixed, &start, 1.0);
            for i in 0..12 {
                if i == 3 || i == 8 {
                    assert_ne!(mixed.status[i], Status::Finished, "{what}");
                    // What was reached is kept: where the velocity itself is missing that is the start.
                    if trouble != Trouble::Explodes {
                        assert_eq!((mixed.times[i], mixed.end.row(i)), (0.0, start.row(i)), "{what}");
                    }
                } else if alone {
                    assert_eq!(
                        (mixed.end.row(i), mixed.status[i]),
                        (good.end.row(i), good.status[i]),
                        "{what}"
                    );
                    assert_eq!(mixed.counts[i], good.counts[i], "{what}");
                }
            }
            let refuses = trouble == Trouble::Refuses && !name.starts_with("lanes");
            assert_eq!(!mixed.failures.is_empty(), refuses, "{what}");
            if refuses && alone {
                let rows: Vec<usize> = mixed.failures.iter().map(|f| f.0).collect();
                assert_eq!((rows, mixed.status[3]), (vec![3, 8], Status::Field), "{what}");
                assert_eq!(mixed.failures[0].1.to_string(), "no further than 2", "{what}");
            }
        }
    }
}

#[test]
fn every_solver_says_when_a_singularity_stopped_it() {
    for Solver { name, careful, run, .. } in solvers() {
        for (t0, t1) in [(0.0, 1.0), (1.0, 0.0)] {
            let start = cloud(&[]);
            let Ok(ended) = run(Trouble::Singular, &start, t0, t1) else { continue };
            honest(&name, &ended, &start, t1);
            if careful {
                for (status, t) in ended.status.iter().zip(&ended.times) {
                    assert_ne!(*status, Status::Finished, "{name}");
                    assert!(
                        (t - 0.5).abs() < 0.5 && (t - t0).abs() <= 0.5 + 1e-9,
                        "{name}: {status:?} at {t}"
                    );
                }
            }
        }
    }
}

/// The numbers that are wrong wherever a positive one is wanted, and those that are wrong where zero is allowed too.
const NOT_POSITIVE: [f64; 5] = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
const NOT_EVEN_ZERO: [f64; 4] = [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// A call with one number in it.
type With<'a> = Box<dyn Fn(f64) -> Result<(), String> + 'a>;

fn with<'a, T, E: std::fmt::Display>(call: impl Fn(f64) -> Result<T, E> + 'a) -> With<'a> {
    Box::new(move |value| call(value).map(drop).map_err(|error| error.to_string()))
}

#[test]
fn parameters_out_of_range_are_named() {
    let (one, two) = (Gaussian::standard(1), Gaussian::standard(2));
    let line = Line::new((-1.0, 1.0), 4, |x| x).unwrap();
    let flat = vec![0.5; 4];
    let plane = Plane::new((-1.0, 1.0), (-1.0, 1.0), [2, 2], |x, _| x).unwrap();
    let cloud = Points::zeros(3, 2);
    let adaptive = || Ode::<Points>::adaptive(TSITOURAS, 1e-3, 1e-3).unwrap();
    let lanes = || LaneOde::adaptive(Tsitouras, 1e-3, 1e-3).unwrap();
    let flat2 = Pointwise::autonomous(2, |_, v| v.fill(0.0));
    let positive: Vec<(&str, With<'_>)> = vec![
        ("first step", with(|v| adaptive().first_step(v))),
        ("longest step", with(|v| adaptive().longest_step(v))),
        ("first step", with(|v| lanes().first_step(v))),
        ("longest step", with(|v| lanes().longest_step(v))),
        ("integral gain", with(|v| Pid::new(0.1, v, 0.1))),
        ("safety", with(|v| Pid::PI.with_safety(v))),
        ("smallest factor", with(|v| Pid::PI.with_limits(v, 2.0))),
        ("largest factor", with(|v| Pid::PI.with_limits(0.5, v))),
        ("step", with(|v| FiniteDifferences::with_step(&flat2, v))),
        ("epsilon", with(|v| GaussianBridge::new(&two, &two, v))),
        ("offset", with(Cosine::new)),
        ("first β", with(|v| VariancePreserving::new(v, 20.0))),
        ("last β", with(|v| VariancePreserving::new(0.1, v))),
        ("σ", with(|v| VarianceExploding::new(v, 50.0))),
        ("σ", with(|v| VarianceExploding::new(0.1, v))),
        ("rate", with(|v| OrnsteinUhlenbeckProcess::new(v, vec![0.0], 1.0))),
        ("level", with(|v| OrnsteinUhlenbeckProcess::new(1.0, vec![0.0], v))),
        ("h", with(|v| OrnsteinUhlenbeckProcess::standard(2).step(&cloud, v, Seed::new(0), 0))),
        ("bandwidth", with(|v| Svgd::new(&two, Bandwidth::Fixed(v)))),
        ("step", with(Ula::new)),
        ("step", with(Mala::new)),
        ("step", with(|v| Baoab::new(v, 1.0))),
        ("friction", with(|v| Baoab::new(0.1, v))),
        ("step", with(|v| Descent::new(v, 5, 0.0))),
        ("step", with(HeavyBall::new)),
        ("tau", with(|v| Jko::new(v, |x| (x, 1.0, 0.0)))),
        ("h", with(|v| line.run(&flat, v, 1))),
        ("h", with(|v| plane.run(&[0.25; 4], v, 1))),
    ];
    for (name, call) in &positive {
        for value in NOT_POSITIVE {
            let line = refused(name, || call(value));
            assert!(line.contains(name), "{name} = {value}: {line}");
        }
    }
    let not_negative: Vec<(&str, With<'_>)> = vec![
        ("rtol", with(|v| Ode::<Points>::adaptive(TSITOURAS, v, 1e-3))),
        ("atol", with(|v| Ode::<Points>::adaptive(TSITOURAS, 1e-3, v))),
        ("rtol", with(|v| LaneOde::adaptive(Tsitouras, v, 1e-3))),
        ("atol", with(|v| LaneOde::adaptive(Tsitouras, 1e-3, v))),
        ("proportional gain", with(|v| Pid::new(v, 0.1, 0.1))),
        ("derivative gain", with(|v| Pid::new(0.1, 0.1, v))),
        ("diffusivity", with(|v| Current::new(AffineField::contraction(1), Stationary(&one), v))),
        ("level", with(|v| Additive::constant(AffineField::contraction(1), v))),
        ("amplitude", with(|v| Noised::new(Linear, v))),
        ("amplitude", with(|v| Interpolant::new(Linear).with_latent(v))),
        ("exponent", with(|v| Riesz::new(v, 0.1))),
        ("softening", with(|v| Riesz::new(1.0, v))),
        ("softening", with(|v| Riesz::coulomb(3, v))),
        ("opening", with(|v| RieszTree::new(Riesz::new(1.0, 0.1).unwrap(), v))),
        ("tolerance", with(|v| Descent::new(0.1, 5, v))),
        ("momentum", with(|v| HeavyBall::new(0.1).unwrap().momentum(v))),
        ("temperature", with(|v| HeavyBall::new(0.1).unwrap().temperature(v))),
    ];
    for (name, call) in &not_negative {
        for value in NOT_EVEN_ZERO {
            let line = refused(name, || call(value));
            assert!(line.contains(name), "{name} = {value}: {line}");
        }
    }
    // Both tolerances zero, and factors on the wrong side of one.
    assert!(refused("both", || Ode::<Points>::adaptive(TSITOURAS, 0.0, 0.0)).contains("rtol = 0"));
    assert!(Pid::PI.with_safety(1.1).is_err() && Pid::PI.with_limits(0.5, 1.0).is_err());
    assert!(Pid::PI.with_limits(1.0, 2.0).is_err() && VariancePreserving::new(2.0, 1.0).is_err());
    assert!(VarianceExploding::new(2.0, 1.0).is_err());
}

#[test]
fn counts_of_zero_and_meshes_out_of_order_are_named() {
    let two = Gaussian::standard(2);
    let gradient = AffineField::contraction(2);
    let zero: Vec<(&str, Result<(), String>)> = vec![
        ("steps", Ode::<Points>::fixed(TSITOURAS, 0).map(drop).map_err(|e| e.to_string())),
        (
            "max_steps",
            Ode::<Points>::adaptive(TSITOURAS, 1.0, 1.0)
                .unwrap()
                .max_steps(0)
                .map(drop)
                .map_err(|e| e.to_string()),
        ),
        ("steps", LaneOde::fixed(Tsitouras, 0).map(drop).map_err(|e| e.to_string())),
        (
            "max_steps",
            LaneOde::adaptive(Tsitouras, 1.0, 1.0).unwrap().max_steps(0).map(drop).map_err(|e| e.to_string()),
        ),
        ("steps", LaneSde::euler_maruyama(0).map(drop).map_err(|e| e.to_string())),
        ("steps", Sde::<Additive<'_, Odd>, _>::fixed(Sra1, 0).map(drop).map_err(|e| e.to_string())),
        (
            "save_every",
            Sde::<Additive<'_, Odd>, _>::fixed(Sra1, 5)
                .unwrap()
                .save_every(0)
                .map(drop)
                .map_err(|e| e.to_string()),
        ),
        (
            "cells",
            BrownianTree::new(Seed::new(0), 0.0, 1.0, 1)
                .unwrap()
                .cells(0)
                .map(drop)
                .map_err(|e| e.to_string()),
        ),
        (
            "cells",
            BrownianTree::new(Seed::new(0), 0.0, 1.0, 1)
                .unwrap()
                .cells(1 << 31)
                .map(drop)
                .map_err(|e| e.to_string()),
        ),
        (
            "depth",
            BrownianTree::new(Seed::new(0), 0.0, 1.0, 1)
                .unwrap()
                .depth(33)
                .map(drop)
                .map_err(|e| e.to_string()),
        ),
        ("dim", BrownianTree::new(Seed::new(0), 0.0, 1.0, 0).map(drop).map_err(|e| e.to_string())),
        (
            "probes",
            Hutchinson::new(&gradient, Seed::new(0), 0, Probe::Gaussian).map(drop).map_err(|e| e.to_string()),
        ),
        ("steps", log_snr_mesh(&Cosine::default(), 0.1, 0.9, 0).map(drop).map_err(|e| e.to_string())),
        ("max_steps", Descent::new(0.1, 0, 0.0).map(drop).map_err(|e| e.to_string())),
        ("mean", OrnsteinUhlenbeckProcess::new(1.0, vec![], 1.0).map(drop).map_err(|e| e.to_string())),
        ("dim", Riesz::coulomb(1, 0.1).map(drop).map_err(|e| e.to_string())),
        ("offset", AffineField::new(&DMatrix::zeros(0, 0), vec![]).map(drop).map_err(|e| e.to_string())),
        ("quantiles", Quantiles::new(vec![1.0]).map(drop).map_err(|e| e.to_string())),
        (
            "steps",
            Ula::new(0.1)
                .unwrap()
                .run(&two, &Points::zeros(2, 2), 0, Seed::new(0))
                .map(drop)
                .map_err(|e| e.to_string()),
        ),
    ];
    for (name, answer) in zero {
        let line = refused(name, || answer);
        assert!(line.contains(name), "{name}: {line}");
    }
    for mesh in [
        vec![],
        vec![0.0],
        vec![0.0, 0.0],
        vec![0.0, 1.0, 0.5],
        vec![1.0, 0.0, 0.0],
        vec![0.0, f64::NAN, 1.0],
    ] {
        let all: Vec<(&str, Result<(), flows::Error>)> = vec![
            ("Ode", Ode::<Points>::on_mesh(TSITOURAS, mesh.clone()).map(drop)),
            ("LaneOde", LaneOde::on_mesh(Tsitouras, mesh.clone()).map(drop)),
            ("Sde", Sde::<Additive<'_, Odd>, _>::on_mesh(Sra1, mesh.clone()).map(drop)),
            ("LaneSde", LaneSde::on_mesh(mesh.clone()).map(drop)),
        ];
        for (name, answer) in all {
            assert!(refused(name, || answer).starts_with("mesh"), "{name} {mesh:?}");
        }
        let path = MixturePath::new(Linear, &GaussianMixture::ring(3, 1.0, 0.5).unwrap()).unwrap();
        for rule in [Extrapolation::Ddim, Extrapolation::TwoM, Extrapolation::AdamsBashforth3] {
            let z = Points::zeros(2, 2);
            let line = refused("exponential", || flows::exponential::solve(rule, &Linear, &path, &z, &mesh));
            assert!(line.starts_with("mesh"), "{line}");
        }
    }
}

/// Every field, score, product and trace answers points of another dimension, rows of another number, and times of another
/// number with an error.
#[test]
fn fields_refuse_other_shapes() {
    let mixture = GaussianMixture::ring(3, 1.0, 0.5).unwrap();
    let path = MixturePath::new(Linear, &mixture).unwrap();
    let two = Gaussian::standard(2);
    let bridge = GaussianBridge::new(&two, &two, 0.5).unwrap();
    let affine = AffineField::contraction(2);
    let plain = Pointwise::autonomous(2, |x, v| v.copy_from_slice(x));
    let crowd = Cloud::new(2, |_, x: &Points, v: &mut Points| {
        v.as_mut_slice().copy_from_slice(x.as_slice());
        Ok(())
    });
    let current = Current::new(&affine, &path, 1.0).unwrap();
    let differences = FiniteDifferences::new(&affine);
    let probes = Hutchinson::new(&affine, Seed::new(0), 1, Probe::Gaussian).unwrap();
    let fast = flows::lanes::InLanes(flows::lanes::MixtureScore::<2>::new(&mixture, 1.0).unwrap());
    let known = WithTrace::new(&plain, |_, _| 2.0);
    let (x, narrow, short) = (Points::zeros(3, 2), Points::zeros(3, 1), Points::zeros(2, 2));
    let (t, each) = (Clock::Shared(0.5), [0.5; 2]);
    let fields: [(&str, &dyn VelocityField); 9] = [
        ("mixture path", &path),
        ("bridge", &bridge),
        ("affine", &affine),
        ("pointwise", &plain),
        ("cloud", &crowd),
        ("current", &current),
        ("differences", &differences),
        ("lanes", &fast),
        ("with trace", &known),
    ];
    for (name, field) in fields {
        field.velocity(t, &x, &mut x.clone()).unwrap();
        refused(name, || field.velocity(t, &narrow, &mut narrow.clone()));
        refused(name, || field.velocity(t, &x, &mut short.clone()));
        refused(name, || field.velocity(Clock::Each(&each), &x, &mut x.clone()));
    }
    let products: [(&str, &dyn Jvp); 5] = [
        ("mixture path", &path),
        ("bridge", &bridge),
        ("affine", &affine),
        ("current", &current),
        ("differences", &differences),
    ];
    for (name, field) in products {
        field.jvp(t, &x, &x, &mut x.clone()).unwrap();
        refused(name, || field.jvp(t, &narrow, &narrow, &mut narrow.clone()));
        refused(name, || field.jvp(t, &x, &narrow, &mut x.clone()));
        refused(name, || field.jvp(t, &x, &short, &mut x.clone()));
        refused(name, || field.jvp(Clock::Each(&each), &x, &x, &mut x.clone()));
    }
    let traces: [(&str, &dyn JacobianTrace); 6] = [
        ("mixture path", &path),
        ("bridge", &bridge),
        ("affine", &affine),
        ("differences", &differences),
        ("probes", &probes),
        ("with trace", &known),
    ];
    for (name, field) in traces {
        let ids = [0, 1, 2];
        field.trace(t, &x, &ids, &mut [0.0; 3]).unwrap();
        refused(name, || field.trace(t, &x, &ids, &mut [0.0; 2]));
        if name != "with trace" {
            refused(name, || field.trace(t, &narrow, &ids, &mut [0.0; 3]));
        }
        refused(name, || field.trace(Clock::Each(&each), &x, &ids, &mut [0.0; 3]));
    }
    refused("too few ids", || probes.trace(t, &x, &[0], &mut [0.0; 3]));
    let scores: [(&str, &dyn TimeScore); 3] =
        [("mixture path", &path), ("bridge", &bridge), ("stationary", &Stationary(&two))];
    for (name, field) in scores {
        field.score(t, &x, &mut x.clone()).unwrap();
        refused(name, || field.score(t, &narrow, &mut narrow.clone()));
        refused(name, || field.score_jvp(t, &narrow, &narrow, &mut narrow.clone()));
        refused(name, || field.score_jvp(t, &x, &short, &mut x.clone()));
    }
    // Outside the span of the schedule there is no path.
    for time in [-0.1, 1.1, f64::NAN] {
        let clock = Clock::Shared(time);
        refused("velocity", || path.velocity(clock, &x, &mut x.clone()));
        refused("score", || path.score(clock, &x, &mut x.clone()));
        refused("log-density", || path.log_density(clock, &x));
        refused("denoised", || path.denoised(clock, &x));
        refused("law", || path.law(time));
        refused("bridge", || bridge.velocity(clock, &x, &mut x.clone()));
        refused("bridge's law", || bridge.law(time));
        refused("draw", || Interpolant::new(Linear).draw(clock, &x, &x, Seed::new(0)));
    }
    let drift = AlongDrift::new(External(|x: &[f64], v: &mut [f64]| v.copy_from_slice(x)));
    refused("no particle", || drift.measure(&Points::zeros(0, 2)));
    refused("weights", || AlongDrift::weighted(drift.drift(), vec![0.5, 0.6]));
    refused("own times", || drift.velocity(Clock::Each(&each), &short, &mut short.clone()));
    refused("matrix", || AffineField::new(&DMatrix::zeros(2, 3), vec![0.0; 2]));
    refused("matrix", || AffineField::new(&DMatrix::from_element(1, 1, f64::NAN), vec![0.0]));
    refused("flow", || AffineField::new(&DMatrix::from_element(1, 1, 1.0), vec![0.0]).unwrap().flow(1e4));
    refused("flow", || affine.flow(f64::NAN));
}

/// D, but for the first row beyond t = 0.4.
struct Breaks(f64);

impl Denoiser for Breaks {
    fn denoise(&self, t: f64, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        out.clone_from(x);
        if t > 0.4 {
            out.row_mut(0)[0] = self.0;
        }
        Ok(())
    }
}

#[test]
fn schedules_that_are_singular_are_named_or_stopped() {
    let mixture = GaussianMixture::ring(3, 1.5, 0.5).unwrap();
    let z = Points::from_fn(5, 2, |i, x| x.copy_from_slice(&[0.3 * i as f64 - 0.5, 0.2]));
    // log(α/σ) is infinite at both ends of the straight path.
    for (t0, t1) in [(0.0, 0.9), (0.1, 1.0), (-0.5, 0.5), (0.5, 1.5)] {
        refused("mesh", || log_snr_mesh(&Linear, t0, t1, 5));
    }
    let path = MixturePath::new(Linear, &mixture).unwrap();
    let rules = [
        Extrapolation::Ddim,
        Extrapolation::TwoM,
        Extrapolation::AdamsBashforth2,
        Extrapolation::AdamsBashforth3,
    ];
    for rule in rules {
        let go = |x: &Points, mesh: &[f64]| flows::exponential::solve(rule, &Linear, &path, x, mesh);
        assert!(refused("α = 0", || go(&z, &[0.0, 0.5])).contains("log(α/σ)"));
        refused("no particle", || go(&Points::zeros(0, 2), &[0.1, 0.5]));
        refused("another dimension", || go(&Points::zeros(2, 3), &[0.1, 0.5]));
        refused("not finite", || go(&Points::from_raw(2, vec![0.0, f64::NAN]), &[0.1, 0.5]));
        // σ = 0 at the very end is the end of the path, and reached.
        let end = go(&z, &[0.1, 0.4, 0.7, 1.0]).unwrap().finished().unwrap();
        assert!(end.as_slice().iter().all(|x| x.is_finite()));
        for value in [f64::NAN, f64::INFINITY] {
            let run =
                flows::exponential::solve(rule, &Linear, &Breaks(value), &z, &[0.1, 0.5, 0.6, 0.9]).unwrap();
            honest("denoiser", &run, &z, 0.9);
            assert_eq!(run.status[0], Status::NonFinite);
            assert!(run.status[1..].iter().all(|s| *s == Status::Finished));
        }
    }
    // σ̇ is infinite where σ vanishes and σσ̇ does not.
    refused("σ̇", || OrnsteinUhlenbeck.d_sigma(0.0));
    refused("α̇/α", || Linear.noising(0.0));
    refused("latent", || Noised::new(OrnsteinUhlenbeck, 1.0));
    refused("latent", || Interpolant::new(OrnsteinUhlenbeck).with_latent(1.0));
    let latent = Interpolant::new(Linear).with_latent(0.5).unwrap();
    refused("γ̇ at an end", || latent.draw(Clock::Shared(1.0), &z, &z, Seed::new(0)));
    refused("draw", || latent.draw(Clock::Shared(0.5), &z, &Points::zeros(4, 2), Seed::new(0)));
    refused("span", || Custom::new((1.0, 1.0), |t| (t, 1.0), |t| (1.0 - t, -1.0)));
    refused("span", || Custom::new((0.0, f64::NAN), |t| (t, 1.0), |t| (1.0 - t, -1.0)));
    refused("derivative", || Custom::new((0.0, 1.0), |t| (t, 2.0), |t| (1.0 - t, -1.0)));
    refused("finite", || Custom::new((0.0, 1.0), |t| (f64::NAN * t, 1.0), |t| (1.0 - t, -1.0)));
    // A probability flow asked beyond the end of its path stops there, all finite.
    let ode = Ode::adaptive(TSITOURAS, 1e-5, 1e-5).unwrap();
    let run = ode.solve(&path, &z, 0.2, 1.5).unwrap();
    honest("beyond data", &run, &z, 1.5);
    assert!(run.times.iter().all(|t| *t > 0.9 && *t <= 1.0) && run.failures.len() == 5);
    // A level of noise that ends.
    let level = Additive::new(AffineField::contraction(2), |t: f64| (0.5 - t).sqrt());
    let sde = Sde::fixed(EulerMaruyama, 10).unwrap();
    let run = sde.solve(&level, &WhiteNoise::new(Seed::new(0)), &z, 0.0, 1.0).unwrap();
    honest("level", &run, &z, 1.0);
    assert!(
        run.status.iter().all(|s| *s == Status::NonFinite)
            && run.times.iter().all(|t| (t - 0.6).abs() < 1e-12)
    );
}

#[test]
fn chains_descents_and_interactions_keep_what_they_reached() {
    let well = Energy::new(
        1,
        |x: &[f64]| if x[0] > 2.0 { f64::NAN } else { 0.25 * x[0].powi(4) },
        |x: &[f64], g: &mut [f64]| g[0] = if x[0] > 2.0 { f64::NAN } else { x[0].powi(3) },
    );
    let x = |bad: f64| Points::from_line(vec![0.1, 0.5, bad, -0.4]);
    for bad in [3.0, 1e200] {
        let (ula, mala) = (Ula::new(0.01).unwrap(), Mala::new(0.01).unwrap());
        let baoab = Baoab::new(0.05, 1.0).unwrap();
        let seed = Seed::new(1);
        let runs = [
            ("ULA", ula.run(&well, &x(bad), 30, seed).unwrap(), ula.run(&well, &x(0.0), 30, seed).unwrap()),
            (
                "MALA",
                mala.run(&well, &x(bad), 30, seed).unwrap(),
                mala.run(&well, &x(0.0), 30, seed).unwrap(),
            ),
            (
                "BAOAB",
                baoab.run(&well, &x(bad), None, 30, seed).unwrap(),
                baoab.run(&well, &x(0.0), None, 30, seed).unwrap(),
            ),
        ];
        for (name, mixed, good) in runs {
            assert_eq!((mixed.status[2], mixed.points.row(2)[0]), (Status::NonFinite, bad), "{name}");
            for i in [0, 1, 3] {
                assert_eq!(
                    (mixed.points.row(i), mixed.status[i]),
                    (good.points.row(i), Status::Finished),
                    "{name}"
                );
            }
        }
    }
    let (ula, mala, baoab) = (Ula::new(0.1).unwrap(), Mala::new(0.1).unwrap(), Baoab::new(0.1, 1.0).unwrap());
    let two = Gaussian::standard(2);
    let nan = Points::from_raw(2, vec![0.0, f64::NAN]);
    for start in [Points::zeros(0, 2), Points::zeros(2, 3), nan.clone()] {
        refused("ULA", || ula.run(&two, &start, 5, Seed::new(0)));
        refused("MALA", || mala.run(&two, &start, 5, Seed::new(0)));
        refused("BAOAB", || baoab.run(&two, &start, None, 5, Seed::new(0)));
        refused("velocities", || baoab.run(&two, &Points::zeros(1, 2), Some(&start), 5, Seed::new(0)));
    }
    refused("trace", || ula.trace_every(0));
    refused("trace", || mala.trace_every(0));
    refused("trace", || baoab.trace_every(0));
    for values in [vec![], vec![1.0], vec![1.0, f64::NAN, 2.0, 3.0, 4.0]] {
        refused("effective size", || effective_size(&values));
    }
    let start = Empirical::uniform(Points::from_line(vec![0.5, 0.7])).unwrap();
    let ball = HeavyBall::new(1.0).unwrap();
    let away = External(|x: &[f64], v: &mut [f64]| v[0] = x[0].powi(3) * 1e60);
    let ended = ball.run(&away, &start, 50, Seed::new(0)).unwrap();
    assert!(
        ended.status == Status::NonFinite && ended.measure.points().as_slice().iter().all(|x| x.is_finite())
    );
    let svgd = Svgd::new(&two, Bandwidth::Median).unwrap();
    refused("SVGD", || svgd.drift(&start));
    refused("tree", || {
        let tree = RieszTree::new(Riesz::new(1.0, 0.1).unwrap(), 0.5).unwrap();
        tree.drift(&Empirical::uniform(Points::zeros(3, 4)).unwrap())
    });
    refused("Riesz", || {
        use flows::measures::Functional;
        Riesz::new(1.0, 0.0).unwrap().variation(&Empirical::uniform(Points::zeros(3, 2)).unwrap())
    });
    refused("OU", || OrnsteinUhlenbeckProcess::standard(2).step(&Points::zeros(3, 1), 0.1, Seed::new(0), 0));
    assert!(two.score(&nan).is_err() || two.score(&nan).unwrap().as_slice()[1].is_nan());
}

#[test]
fn grids_pairs_densities_and_events_refuse_what_does_not_fit() {
    for span in [(1.0, 1.0), (1.0, 0.0), (0.0, f64::NAN), (f64::NEG_INFINITY, 0.0)] {
        refused("line", || Line::new(span, 8, |x| x));
        refused("plane", || Plane::new(span, (0.0, 1.0), [4, 4], |x, _| x));
        refused("plane", || Plane::new((0.0, 1.0), span, [4, 4], |x, _| x));
    }
    refused("cells", || Line::new((0.0, 1.0), 1, |x| x));
    refused("cells", || Plane::new((0.0, 1.0), (0.0, 1.0), [0, 4], |x, _| x));
    refused("energy", || Line::new((0.0, 1.0), 4, |_| f64::NAN));
    refused("energy", || Plane::new((0.0, 1.0), (0.0, 1.0), [4, 4], |_, _| f64::INFINITY));
    let line = Line::new((0.0, 1.0), 4, |x| x).unwrap();
    let plane = Plane::new((0.0, 1.0), (0.0, 1.0), [2, 2], |x, _| x).unwrap();
    for f in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused("project", || line.project(|_| f));
        refused("project", || plane.project(|_, _| f));
    }
    for rho in [vec![1.0; 3], vec![2.0; 4], vec![-1.0, 3.0, 1.0, 1.0], vec![f64::NAN, 1.0, 1.0, 1.0]] {
        refused("density", || line.run(&rho, 0.1, 1));
        refused("density", || plane.run(&rho, 0.1, 1));
    }
    refused("flux", || line.flux(&[1.0; 3]));
    refused("rate", || line.rate(&[1.0; 3]));
    refused("Fisher", || line.fisher(&[0.0, 1.0, 1.0, 2.0]));
    for x in [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, f64::NAN], vec![f64::NEG_INFINITY, 0.0]] {
        refused("quantiles", || Quantiles::new(x));
    }
    let mu = Quantiles::new(vec![0.0, 1.0]).unwrap();
    refused("other", || mu.squared_distance(&Quantiles::new(vec![0.0, 1.0, 2.0]).unwrap()));
    refused("JKO", || Jko::new(0.1, |_| (f64::NAN, 0.0, 0.0)).unwrap().run(&mu, 3));

    let (two, three) = (Points::zeros(2, 1), Points::zeros(3, 1));
    let plan = Coupling::permutation(&[1, 0]).unwrap();
    refused("aligned", || Pairs::aligned(two.clone(), three.clone()));
    refused("aligned", || Pairs::aligned(two.clone(), Points::zeros(2, 2)));
    refused("independent", || Pairs::independent(&two, &Points::zeros(0, 1), 3, Seed::new(0)));
    refused("plan", || Pairs::from_plan(&two, &three, &plan, 3, Seed::new(0)));
    let couple = |_: &Points, _: &Points| Coupling::permutation(&[1, 0]);
    refused("batch", || Pairs::minibatch(&two, &two, 0, couple, Seed::new(0)));
    refused("plan", || Pairs::minibatch(&three, &three, 3, couple, Seed::new(0)));

    let rk = Ode::fixed(TSITOURAS, 3).unwrap();
    let field = FiniteDifferences::new(AffineField::contraction(1));
    refused("logarithms", || Tracked::new(two.clone(), vec![0.0]));
    refused("logarithms", || carry(&rk, &field, two.clone(), vec![f64::NAN, 0.0], 0.0, 1.0));
    refused("base", || log_density(&rk, &field, &Gaussian::standard(2), 0.0, &two, 1.0));
    refused("times", || log_density(&rk, &field, &Gaussian::standard(1), 1.0, &two, 1.0));

    let home = AffineField::contraction(1);
    let dense =
        Ode::fixed(TSITOURAS, 3).unwrap().dense().solve(&home, &two, 0.0, 1.0).unwrap().dense.unwrap();
    for t in [-0.1, 1.1, f64::NAN] {
        refused("dense", || dense.at(Clock::Shared(t)));
        refused("save_at", || Ode::fixed(TSITOURAS, 3).unwrap().save_at(&[t]).solve(&home, &two, 0.0, 1.0));
    }
    refused("dense", || dense.at(Clock::Each(&[0.5])));
    // An event that is NaN is no event.
    let ode = Ode::fixed(TSITOURAS, 3).unwrap().event(Event::new(|_, _| f64::NAN).terminal());
    let run = ode.solve(&home, &two, 0.0, 1.0).unwrap();
    assert!(run.is_finished() && run.events.is_empty());

    let tree = BrownianTree::new(Seed::new(0), 0.0, 1.0, 1).unwrap();
    for (from, to) in [(0.5, 0.5), (0.5, 0.2), (-0.5, 0.5), (0.5, 1.5), (f64::NAN, 0.5), (0.0, f64::NAN)] {
        refused("increment", || tree.increment(0..2, from, to));
    }
    for (t0, t1) in [(0.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        refused("tree", || BrownianTree::new(Seed::new(0), t0, t1, 1));
    }
    let ou = Additive::constant(AffineField::contraction(1), 1.0).unwrap();
    let sde = Sde::fixed(Sra1, 3).unwrap();
    refused("dimension", || {
        sde.solve(&ou, &BrownianTree::new(Seed::new(0), 0.0, 1.0, 2).unwrap(), &two, 0.0, 1.0)
    });
    refused("interval", || sde.solve(&ou, &tree, &two, 0.0, 2.0));
    refused("direction", || sde.solve(&ou, &tree, &two, 1.0, 0.0));
}
