//! Our side of the training tasks of `cargo xtask bench --peers`: the time of one step of the public trainer.
//!
//! It takes and prints what `benches/peers/training.py` does. A task of our own, `bridged_METHOD`, times the value and gradient
//! of the method's divergence between n generated points and n of the target, and prints beside it the time of the forward
//! and backward passes of the network they come from: `value` is the quotient.

use measures::{Empirical, Points, Sample, Seed, zoo::Gaussian};
use models::bridge::value_and_gradient;
use models::methods::by_name;
use models::methods::statistics::{
    D2Config, EnergyConfig, MmdConfig, Objective, Reference, SinkhornConfig, SlicedConfig,
};
use models::nets::{Gradient, Pass};
use models::tch::{Device, Kind};
use models::{Data, MapConfig, Moment, OneStep, Scaler, Setup, TrainConfig, Watch};
use serde_json::{Value, json};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Debug)]
struct Arguments {
    task: String,
    n: usize,
    d: usize,
    threads: usize,
    budget: f64,
    reps: usize,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut a = Arguments { task: String::new(), n: 256, d: 2, threads: 1, budget: 1.5, reps: 7 };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            match name.as_str() {
                "--task" => a.task = value,
                "--n" => a.n = value.parse()?,
                "--d" => a.d = value.parse()?,
                "--threads" => a.threads = value.parse()?,
                "--budget" => a.budget = value.parse()?,
                "--reps" => a.reps = value.parse()?,
                "--peer" | "--dtype" | "--inputs" => {}
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        Ok(a)
    }
}

/// The method of a task with the settings that the script of the peers has.
fn settings(task: &str, n: usize) -> Result<(&str, Value), Box<dyn Error>> {
    let method = task.strip_prefix("training_").ok_or_else(|| format!("no task {task}"))?;
    let mut config = by_name(method)?.default_config();
    config["batch"] = json!(n);
    match method {
        "flow_matching" => {
            config["coupling"] = json!({"kind": "independent"});
            config["net"]["widths"] = json!([64, 64, 64]);
            config["net"]["time_features"] = json!(0);
        }
        "gan" => config["critic"]["widths"] = json!([64, 64, 64]),
        "mmd" => {}
        other => return Err(format!("no task for {other}").into()),
    }
    Ok((method, config))
}

/// The divergence of a method at its default settings.
fn divergence(
    method: &str,
    reference: &Reference,
) -> Result<Box<dyn divergences::Divergence>, Box<dyn Error>> {
    let at = Moment::new(0, 1, Seed::new(0));
    Ok(match method {
        "d2" => D2Config::default().divergence(reference, &at)?,
        "mmd" => MmdConfig::default().divergence(reference, &at)?,
        "energy" => EnergyConfig::default().divergence(reference, &at)?,
        "sliced" => SlicedConfig::default().divergence(reference, &at)?,
        "sinkhorn" => SinkhornConfig::default().divergence(reference, &at)?,
        other => return Err(format!("no divergence of {other}").into()),
    })
}

/// The median time of a call.
fn timed(a: &Arguments, mut call: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    call()?;
    let (mut times, mut spent) = (Vec::new(), 0.0);
    while times.len() < a.reps || spent < a.budget {
        let started = Instant::now();
        call()?;
        let seconds = started.elapsed().as_secs_f64();
        times.push(seconds);
        spent += seconds;
        if spent > 4.0 * a.budget {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn bridged(a: &Arguments, method: &str) -> Result<Value, Box<dyn Error>> {
    models::set_threads(a.threads)?;
    let target = Gaussian::standard(a.d).sample(a.n, &mut Seed::new(1).rng());
    let divergence = divergence(method, &Reference::new(target.clone()))?;
    let source = Data::new(target.clone())?;
    let y = Empirical::uniform(target)?;
    let setup = Setup { kind: Kind::Float, device: Device::Cpu, seed: Seed::new(2) };
    let map = OneStep::new(&MapConfig::default(), Scaler::identity(a.d), method, &source, &setup)?;
    let z = map.draw(a.n, &mut Seed::new(3).rng())?;
    let (mut pass, mut gradient) = (Pass::default(), Gradient::zeros(&map.params)?);
    let x = map.push(&z, &mut pass)?.copy();
    let network = timed(a, || {
        let _ = map.push(&z, &mut pass)?;
        Ok(map.pull(&x, &mut pass, &mut gradient)?)
    })?;
    let graph = timed(a, || {
        map.params.gradient(&map.forward(&z).square().sum(Kind::Float), false).map(drop).map_err(Into::into)
    })?;
    let seconds = timed(a, || {
        let _ = value_and_gradient(&*divergence.toward(&y)?, &x)?;
        Ok(())
    })?;
    Ok(json!({
        "seconds": seconds, "seconds_min": seconds, "repetitions": a.reps, "mb": 0.0, "value": seconds / network,
        "network_seconds": network, "network_with_graph_seconds": graph,
    }))
}

fn run(a: &Arguments) -> Result<Value, Box<dyn Error>> {
    if let Some(method) = a.task.strip_prefix("bridged_") {
        return bridged(a, method);
    }
    let (method, config) = settings(&a.task, a.n)?;
    let points: Points = Gaussian::standard(a.d).sample(10_000, &mut Seed::new(1).rng());
    let data = Data::new(points)?;
    let train = TrainConfig {
        steps: u64::MAX,
        ema: None,
        threads: a.threads,
        checkpoint_every: u64::MAX,
        log_every: 1000,
        ..TrainConfig::default()
    };
    let baseline = memory("VmRSS:");
    // Resets the peak; where the kernel has no such file the peak is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let mut run = by_name(method)?.start(&config, train, &data)?;
    let mut steps = |count: u64| -> Result<f64, Box<dyn Error>> {
        let (until, started) = (run.step() + count, Instant::now());
        let outcome = run.run_to(until, &mut Watch::default())?;
        if outcome.step == until {
            Ok(started.elapsed().as_secs_f64() / count as f64)
        } else {
            Err(format!("training ended at step {}: {:?}", outcome.step, outcome.status).into())
        }
    };
    steps(10)?;
    let once = steps(10)?;
    let count = ((a.budget / 20.0 / once) as u64).max(1);
    let (mut times, mut spent) = (Vec::new(), 0.0);
    while (times.len() < a.reps || spent < a.budget) && spent <= 4.0 * a.budget {
        let seconds = steps(count)?;
        times.push(seconds);
        spent += seconds * count as f64;
    }
    times.sort_by(f64::total_cmp);
    let mb = (memory("VmHWM:") - baseline).max(0.0);
    Ok(json!({
        "seconds": 0.5 * (times[(times.len() - 1) / 2] + times[times.len() / 2]),
        "seconds_min": times[0],
        "repetitions": times.len() as u64 * count,
        "mb": (mb * 100.0).round() / 100.0,
        "value": parameters(method, &config, a.d),
    }))
}

/// The parameters of the networks in the settings.
fn parameters(method: &str, config: &Value, d: usize) -> usize {
    let count = |net: &Value, before: usize, after: usize| {
        let hidden =
            net["widths"].as_array().into_iter().flatten().filter_map(Value::as_u64).map(|w| w as usize);
        let sizes: Vec<usize> = [before].into_iter().chain(hidden).chain([after]).collect();
        sizes.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum::<usize>()
    };
    match method {
        "flow_matching" => count(&config["net"], d + 1, d),
        "gan" => count(&config["map"]["net"], d, d) + count(&config["critic"], d, 1),
        _ => count(&config["map"]["net"], d, d),
    }
}

/// A line of /proc/self/status in MB (2²⁰ bytes).
fn memory(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.map_or(f64::NAN, |kb| kb / 1024.0)
}

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(row) => {
            println!("{row}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
