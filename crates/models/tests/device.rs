//! Training, sampling and resuming with all tensors on another device than the CPU, for every method and for every
//! choice among its settings: on a GPU where libtorch has CUDA and there is one, else on a stand-in for it
//! (`device/stand_in.cpp`), which is loaded before the process that does the work.

mod common;

use common::small;
use measures::{Points, Sample, Seed, zoo::Gaussian};
use models::methods::{self, AnyMethod, Training, by_name};
use models::{Data, Labelled, Precision, Result, Source, Status, TrainConfig, Watch};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::{Cuda, Device, Kind, Tensor};

const STEPS: u64 = 4;
/// In double precision. Sums are taken in another order, a twin on the device stands for a divergence of the CPU and
/// iterates to a tolerance of its own, and the first steps of Adam make more of small differences (1.1e-5 at most, of the
/// Sinkhorn iterations).
const CLOSE: f64 = 1e-4;

/// The folder of the libtorch that the tests are linked to.
fn libtorch() -> PathBuf {
    std::env::var_os("LIBTORCH").expect("cargo sets it, see .cargo/config.toml").into()
}

/// Compiles the stand-in, with the compiler that torch-sys takes.
fn stand_in(folder: &Path) -> PathBuf {
    let library = folder.join("libstand_in.so");
    let (include, lib) = (libtorch().join("include"), libtorch().join("lib"));
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut words = compiler.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .args(["-std=c++20", "-O1", "-fPIC", "-shared", "-o"])
        .arg(&library)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device/stand_in.cpp"))
        .arg("-isystem")
        .arg(&include)
        .arg(format!("-L{}", lib.display()))
        .args(["-ltorch_cpu", "-lc10"])
        .arg(format!("-Wl,-rpath,{}", lib.display()))
        .output()
        .expect("the compiler starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

#[test]
fn a_device_runs_the_same_code() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["child", "--exact", "--ignored", "--nocapture"]);
    if !libtorch().join("lib/libtorch_cuda.so").exists() {
        child.env("LD_PRELOAD", stand_in(folder.path()));
    } else if !Cuda::is_available() {
        // Two libraries cannot both be the device's.
        eprintln!("libtorch has CUDA, but there is no GPU: nothing was compared");
        return;
    }
    let output = child.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}\n{}", text[0], text[1]);
}

#[test]
#[ignore = "the process that `a_device_runs_the_same_code` starts"]
fn child() {
    tensors_of_two_devices_do_not_meet();
    let data = Data::new(cloud(300)).unwrap();
    let mut failed = Vec::new();
    for method in methods::all() {
        failed.extend(differs(*method, &small(*method), &data));
        failed.extend(resumed_differs(*method, &data));
        let choices = choices(*method);
        assert!(choices.len() > 10, "{} has choices", method.name());
        let runs = choices.into_iter().filter_map(|config| differs(*method, &config, &data));
        failed.extend(runs);
    }
    failed.extend(images_differ());
    failed.extend(labels_differ());
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A convolutional network.
fn images_differ() -> Option<String> {
    let images = Gaussian::standard(64).sample(60, &mut Seed::new(2).rng());
    let method = by_name("flow_matching").unwrap();
    let mut config = small(method);
    config["net"] = json!({"architecture": "unet", "unet": {"channels": 4}});
    config["solver"] = json!({"rule": "euler", "steps": 4});
    differs(method, &config, &Data::new(images).unwrap())
}

/// Labels, asked for with guidance.
fn labels_differ() -> Vec<String> {
    let labels: Vec<usize> = (0..300).map(|i| i % 3).collect();
    let target = Labelled::with_labels(cloud(300), &labels).unwrap();
    let methods = ["diffusion", "flow_matching"].map(|name| by_name(name).unwrap());
    methods.into_iter().filter_map(|method| differs(method, &small(method), &target)).collect()
}

/// Without this, whatever mixes devices would pass.
fn tensors_of_two_devices_do_not_meet() {
    let here = Tensor::ones([3, 3], (Kind::Float, Device::Cpu));
    let there = here.to_device(Device::Cuda(0));
    assert!(here.f_add(&there).is_err() && there.f_add(&here).is_err());
    assert!(here.f_mm(&there).is_err() && there.f_mm(&here).is_err());
    assert!(Tensor::f_cat(&[&here, &there], 0).is_err());
    assert!(there.f_index_select(0, &Tensor::from_slice(&[0_i64])).is_err());
    assert!((&there + Tensor::from(1.0_f32)).device() == Device::Cuda(0));
    assert!(there.f_mm(&Tensor::from(1.0_f32)).is_err());
}

/// n points in space: in the plane the CPU looks along lines drawn at every step for the energy distance, the device at
/// all pairs.
fn cloud(n: usize) -> Points {
    Gaussian::diagonal(&[1.0, -2.0, 0.0], &[1.0, 3.0, 0.5]).unwrap().sample(n, &mut Seed::new(9).rng())
}

/// What a run leaves: its losses, a sample, and the density at some points, where there is one.
fn numbers(run: &mut dyn Training) -> Result<Vec<f64>> {
    let outcome = run.run(&mut Watch::default())?;
    assert_eq!(outcome.status, Status::Finished);
    let model = run.generator()?;
    let mut numbers: Vec<f64> = run.history().into_iter().map(|(_, loss)| loss).collect();
    let seed = Seed::new(1);
    let points = if model.condition().is_some() {
        model.generate_given(&Points::from_line(vec![1.0; 20]), Some(1.5), seed)?
    } else {
        model.generate(20, seed)?
    };
    numbers.extend(points.as_slice());
    if let Ok(density) = model.log_density(&cloud(20)) {
        numbers.extend(density);
    }
    Ok(numbers)
}

fn train(device: &str) -> TrainConfig {
    let precision = Precision::Double;
    TrainConfig { steps: STEPS, log_every: 1, device: device.to_owned(), precision, ..TrainConfig::default() }
}

/// How far two runs' numbers are apart, where it is more than rounding.
fn apart(a: &[f64], b: &[f64]) -> Option<String> {
    let off = |(a, b): (&f64, &f64)| (a - b).abs() / a.abs().max(b.abs()).max(1.0);
    let (mut offs, count) = (a.iter().zip(b).map(off), a.len());
    // What is not a number is not close.
    let far = offs.find(|off| off.is_nan() || *off > CLOSE);
    let far = far.map(|off| format!("one of {count} numbers is off by {off:.1e}"));
    far.or_else(|| (count != b.len()).then(|| format!("{count} numbers and {}", b.len())))
}

/// Trains on the CPU and on the device; says what differs, if anything does.
fn differs(method: &dyn AnyMethod, config: &Value, target: &dyn Source) -> Option<String> {
    let learned = |device| method.start(config, train(device), target).and_then(|mut run| numbers(&mut *run));
    let difference = match (learned("cpu"), learned("cuda:0")) {
        (Ok(here), Ok(there)) => apart(&here, &there),
        // Settings that make no sense with this target make none anywhere.
        (Err(here), Err(there)) if here.to_string() == there.to_string() => None,
        (here, there) => Some(format!("{:?} and {:?}", here.err(), there.err())),
    };
    difference.map(|difference| format!("{}: {difference}: {config}", method.name()))
}

/// A run on the device that went on from a checkpoint, and the saved model on the CPU, against the unbroken run.
fn resumed_differs(method: &dyn AnyMethod, target: &dyn Source) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, model) = (folder.path().join("checkpoint"), folder.path().join("model"));
    let start = || method.start(&small(method), train("cuda:0"), target).unwrap();
    let mut whole = start();
    let expected = numbers(&mut *whole).unwrap();
    let mut watch = Watch { checkpoint: Some(checkpoint.clone()), ..Watch::default() };
    let _ = start().run_to(STEPS / 2, &mut watch).unwrap();
    let mut resumed = methods::resume(&checkpoint, target).unwrap();
    assert_eq!(resumed.step(), STEPS / 2);
    let again = apart(&expected, &numbers(&mut *resumed).unwrap());
    let kept = whole.generator().unwrap();
    kept.save(&model).unwrap();
    let loaded = models::load(&model).unwrap().generate(20, Seed::new(1)).unwrap();
    let generated = kept.generate(20, Seed::new(1)).unwrap();
    let difference = again.or_else(|| apart(generated.as_slice(), loaded.as_slice()));
    difference.map(|difference| format!("{}, resumed or loaded: {difference}", method.name()))
}

/// The settings of a method with one choice made otherwise, for every choice there is: flags, and what goes by a name.
fn choices(method: &dyn AnyMethod) -> Vec<Value> {
    let config = small(method);
    let schema = method.schema().to_value();
    let mut found = Vec::new();
    walk(&schema, &schema, &config, &mut String::new(), &mut found);
    let mut configs = Vec::new();
    for (place, choice) in found {
        let mut other = config.clone();
        *other.pointer_mut(&place).unwrap() = choice;
        // Some choices cannot be made without saying more.
        if method.check(&other).is_ok() {
            configs.push(other);
        }
    }
    configs
}

/// Collects the choices below a place of the settings, each with what else may stand there.
fn walk(root: &Value, schema: &Value, value: &Value, place: &mut String, found: &mut Vec<(String, Value)>) {
    if let Some(name) = schema["$ref"].as_str() {
        let definition = root.pointer(name.trim_start_matches('#')).unwrap();
        return walk(root, definition, value, place, found);
    }
    if let Value::Bool(flag) = value {
        found.push((place.clone(), json!(!flag)));
    }
    for alternative in schema["oneOf"].as_array().into_iter().flatten() {
        match (&alternative["const"], &alternative["properties"]["kind"]["const"]) {
            (Value::String(name), _) if value != name.as_str() => found.push((place.clone(), json!(name))),
            (_, Value::String(kind)) if value["kind"] != kind.as_str() => {
                found.push((place.clone(), json!({"kind": kind})));
            }
            (_, Value::String(_)) => walk(root, alternative, value, place, found),
            _ => {}
        }
    }
    for alternative in schema["anyOf"].as_array().into_iter().flatten().filter(|_| !value.is_null()) {
        walk(root, alternative, value, place, found);
    }
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(inner) = value.get(key) {
            let length = place.len();
            place.push('/');
            place.push_str(key);
            walk(root, property, inner, place, found);
            place.truncate(length);
        }
    }
}
