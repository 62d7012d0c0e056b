//! The tasks that the peers are asked too, by the same names.

use crate::Arguments;
use crate::measure::bench;
use crate::npy;
use flows::Trajectory;
use flows::lanes::{DormandPrince, InLanes, LaneField, LaneOde, LaneSde, MixtureScore, Tsitouras};
use flows::measures::lanes::Real;
use flows::measures::zoo::GaussianMixture;
use flows::ode::{Ode, TSITOURAS};
use flows::sde::{Additive, EulerMaruyama, Sde, WhiteNoise};
use measures::{Points, Seed};
use serde_json::{Value, json};
use std::time::Instant;

type Row = Result<Value, String>;

/// Runs the task that is named.
pub(crate) fn run(arguments: &Arguments) -> Row {
    let name = format!("x_n{}_d{}.npy", arguments.n, arguments.d);
    let x = npy::read(&arguments.inputs.join(name))?;
    match arguments.task.as_str() {
        "ode_mixture" => {
            let ode = told(LaneOde::fixed(Tsitouras, 50))?.single();
            moved(arguments, || ode.solve(&mixture()?, &x, 0.0, 1.0))
        }
        "ode_mixture_double" => {
            let ode = told(LaneOde::fixed(Tsitouras, 50))?;
            moved(arguments, || ode.solve(&mixture()?, &x, 0.0, 1.0))
        }
        "ode_mixture_general" => {
            let ode = told(Ode::fixed(TSITOURAS, 50))?;
            moved(arguments, || ode.solve(&InLanes(mixture()?), &x, 0.0, 1.0))
        }
        "ode_mixture_whole" => {
            let ode = told(Ode::fixed(TSITOURAS, 50))?;
            moved(arguments, || ode.solve_batch(&InLanes(mixture()?), &x, 0.0, 1.0))
        }
        "ode_cheap" => {
            let ode = told(LaneOde::adaptive(DormandPrince, 1e-6, 1e-6))?;
            moved(arguments, || ode.solve(&Pendulum, &x, 0.0, 10.0))
        }
        "ode_cheap_general" => {
            let ode = told(Ode::adaptive(flows::ode::DORMAND_PRINCE, 1e-6, 1e-6))?;
            moved(arguments, || ode.solve(&InLanes::<2, _>(Pendulum), &x, 0.0, 10.0))
        }
        "ode_stiff" => stiff(arguments, &x),
        "sde_ou" => {
            let (ou, noise) =
                (told(Additive::constant(Contraction, 2f64.sqrt()))?, WhiteNoise::new(Seed::new(1)));
            let sde = told(LaneSde::euler_maruyama(100))?;
            moved(arguments, || sde.solve(&ou, &noise, &x, 0.0, 1.0))
        }
        "sde_ou_general" => {
            let ou = told(Additive::constant(flows::field::AffineField::contraction(1), 2f64.sqrt()))?;
            let (sde, noise) = (told(Sde::fixed(EulerMaruyama, 100))?, WhiteNoise::new(Seed::new(1)));
            moved(arguments, || sde.solve(&ou, &noise, &x, 0.0, 1.0))
        }
        other => Err(format!("no task {other}")),
    }
}

/// An error as its text.
fn told<T>(result: flows::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// The mean square of where the cloud came to, and what it cost.
fn moved(arguments: &Arguments, call: impl FnMut() -> flows::Result<Trajectory<Points>>) -> Row {
    bench(arguments, call, |run| {
        let (total, n) = (run.total(), run.end.as_slice().len() as f64);
        let square = run.end.as_slice().iter().map(|x| x * x).sum::<f64>() / n;
        Ok(vec![
            ("value", json!(square)),
            ("evaluations", json!(total.evaluations)),
            ("finished", json!(run.is_finished())),
        ])
    })
}

/// The cloud in which one particle of a hundred is a hundred times stiffer, beside what its own steps cost: the time that
/// the soft and the stiff take apart, each in a cloud of its kind.
fn stiff(arguments: &Arguments, x: &Points) -> Row {
    // The rate is a coordinate without error, which halves the mean square: the peers have the other coordinate alone.
    let tolerance = 1e-6 / 2f64.sqrt();
    let ode = told(LaneOde::adaptive(DormandPrince, tolerance, tolerance))?;
    let cloud = |stiff: fn(usize) -> Option<bool>| {
        let rows: Vec<[f64; 2]> = (0..x.len())
            .filter_map(|i| stiff(i).map(|stiff| [x.row(i)[0], if stiff { 1000.0 } else { 10.0 }]))
            .collect();
        Points::from_rows(&rows)
    };
    let seconds = |x: &Points| -> Result<f64, String> {
        let one = || {
            let start = Instant::now();
            told(ode.solve(&Follow, x, 0.0, 10.0)).map(|_| start.elapsed().as_secs_f64())
        };
        one()?;
        let mut times = [one()?, one()?, one()?, one()?, one()?];
        times.sort_by(f64::total_cmp);
        Ok(times[2])
    };
    let (all, soft, hard) = (
        cloud(|i| Some(i % 100 == 0)),
        cloud(|i| (i % 100 != 0).then_some(false)),
        cloud(|i| (i % 100 == 0).then_some(true)),
    );
    let own = seconds(&soft)? + seconds(&hard)?;
    let ratio = seconds(&all)? / own;
    bench(
        arguments,
        || ode.solve(&Follow, &all, 0.0, 10.0),
        |run| {
            let n = run.end.len() as f64;
            let square = run.end.rows().map(|x| x[0] * x[0]).sum::<f64>() / n;
            Ok(vec![
                ("value", json!(square)),
                ("evaluations", json!(run.total().evaluations)),
                ("over_own_steps", json!(ratio)),
            ])
        },
    )
}

/// x′ = −r (x − cos t); the rate r is the particle's own, kept as its second coordinate.
struct Follow;

impl LaneField<2> for Follow {
    #[inline(always)]
    fn velocity<R: Real>(&self, t: R, x: &[R; 2]) -> [R; 2] {
        let (_, cos) = (t * t.num(1.0 / std::f64::consts::TAU)).sin_cos_turns();
        [-(x[1] * (x[0] - cos)), t.num(0.0)]
    }
}

/// −x on the line.
struct Contraction;

impl LaneField<1> for Contraction {
    #[inline(always)]
    fn velocity<R: Real>(&self, _: R, x: &[R; 1]) -> [R; 1] {
        [-x[0]]
    }
}

/// The score of eight Gaussians on a ring.
fn mixture() -> flows::Result<MixtureScore<2>> {
    MixtureScore::new(&GaussianMixture::ring(8, 4.0, 1.0)?, 1.0)
}

/// A pendulum with friction, the cheap field.
struct Pendulum;

impl LaneField<2> for Pendulum {
    #[inline(always)]
    fn velocity<R: Real>(&self, _: R, x: &[R; 2]) -> [R; 2] {
        [x[1], -(x[0] + x[1] * x[1] * x[1] * x[0].num(0.1))]
    }
}
