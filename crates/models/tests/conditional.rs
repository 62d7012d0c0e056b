//! Labels and vectors, end to end: learned, asked for, guided, saved, resumed, and refused where they make no sense.

mod common;

use common::{cloud, small};
use measures::rand::RngExt;
use measures::{Points, Sample, Seed, zoo::Gaussian};
use models::methods::{self, by_name};
use models::{Data, Error, Generator, Labelled, Source, Status, TrainConfig, Watch, load};
use serde_json::{Value, json};

const CENTRES: [[f64; 2]; 3] = [[4.0, 0.0], [-4.0, 3.0], [0.0, -5.0]];

/// Three clusters of standard deviation .5, the second as large as the other two together.
fn clusters(n: usize) -> Labelled {
    let labels: Vec<usize> = (0..n).map(|i| [0, 1, 1, 2][i % 4]).collect();
    let noise = Gaussian::standard(2).sample(n, &mut Seed::new(3).rng());
    let points = Points::from_fn(n, 2, |i, out| {
        (0..2).for_each(|k| out[k] = CENTRES[labels[i]][k] + 0.5 * noise.row(i)[k]);
    });
    Labelled::with_labels(points, &labels).unwrap()
}

/// x = (2c, −c) + noise of standard deviation .1, with c uniform on [−1, 1].
fn line(n: usize) -> Labelled {
    let mut rng = Seed::new(4).rng();
    let c = Points::from_fn(n, 1, |_, out| out[0] = 2.0 * rng.random::<f64>() - 1.0);
    let noise = Gaussian::standard(2).sample(n, &mut Seed::new(5).rng());
    let points = Points::from_fn(n, 2, |i, out| {
        out[0] = 2.0 * c.row(i)[0] + 0.1 * noise.row(i)[0];
        out[1] = -c.row(i)[0] + 0.1 * noise.row(i)[1];
    });
    Labelled::with_vectors(points, c).unwrap()
}

fn settings(method: &str) -> Value {
    let mut config = by_name(method).unwrap().default_config();
    config["net"]["widths"] = json!([48, 48]);
    config["batch"] = json!(128);
    config["optim"]["lr"] = json!(5e-3);
    config["optim"]["schedule"] = json!({"kind": "cosine"});
    config["solver"] = json!({"rule": "midpoint", "steps": 20});
    config
}

fn train(steps: u64) -> TrainConfig {
    TrainConfig { steps, ema: Some(0.99), ..TrainConfig::default() }
}

fn fit(method: &str, config: &Value, source: &dyn Source, steps: u64) -> Box<dyn Generator> {
    let mut run = by_name(method).unwrap().start(config, train(steps), source).unwrap();
    assert_eq!(run.run(&mut Watch::default()).unwrap().status, Status::Finished);
    run.generator().unwrap()
}

fn moments(x: &Points) -> [(f64, f64); 2] {
    [0, 1].map(|k| {
        let column = x.column(k);
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / column.len() as f64;
        (mean, variance.sqrt())
    })
}

fn label(label: usize, n: usize) -> Points {
    Points::from_line(vec![label as f64; n])
}

#[test]
fn what_is_asked_for_is_what_comes() {
    let source = clusters(2000);
    for (method, coupling) in
        [("flow_matching", "independent"), ("flow_matching", "optimal"), ("diffusion", "")]
    {
        let mut config = settings(method);
        if !coupling.is_empty() {
            config["coupling"] = json!({"kind": coupling});
        }
        let model = fit(method, &config, &source, 800);
        let what = format!("{method} {coupling}");
        for (k, centre) in CENTRES.iter().enumerate() {
            let x = model.generate_given(&label(k, 500), None, Seed::new(1)).unwrap();
            for (found, centre) in moments(&x).iter().zip(centre) {
                assert!(
                    (found.0 - centre).abs() < 0.3 && (0.3..0.75).contains(&found.1),
                    "{what} {k}: {found:?}"
                );
            }
        }
        // By itself it draws labels as often as the data had them.
        let x = model.generate(2000, Seed::new(2)).unwrap();
        let second = x.rows().filter(|x| x[0] < -1.5 && x[1] > 0.0).count() as f64 / 2000.0;
        assert!((second - 0.5).abs() < 0.06, "{what}: {second}");
        // Guidance 0 ignores what is asked for; larger factors narrow the law down and push it away from the other labels.
        let free = moments(&model.generate_given(&label(0, 800), Some(0.0), Seed::new(1)).unwrap());
        assert!(free[0].1 > 1.5, "{what}: {free:?}");
        let guided = moments(&model.generate_given(&label(0, 500), Some(3.0), Seed::new(1)).unwrap());
        assert!(guided[0].0 > 3.5 && guided[0].1 < 0.4 && guided[1].0.abs() < 2.0, "{what}: {guided:?}");
    }
}

#[test]
fn vectors_are_followed() {
    let source = line(2000);
    let mut config = settings("flow_matching");
    config["coupling"] = json!({"kind": "independent"});
    let model = fit("flow_matching", &config, &source, 800);
    for c in [-0.8, 0.0, 0.6] {
        let x = model.generate_given(&Points::from_line(vec![c; 300]), None, Seed::new(1)).unwrap();
        let [(a, spread), (b, _)] = moments(&x);
        assert!((a - 2.0 * c).abs() < 0.15 && (b + c).abs() < 0.15 && spread < 0.3, "{c}: {a} {b} {spread}");
    }
    // Nothing is known of the law of the conditions: by itself it draws the whole law of the points.
    let x = moments(&model.generate(1000, Seed::new(2)).unwrap());
    assert!(x[0].0.abs() < 0.2 && (x[0].1 - 2.0 / 3f64.sqrt()).abs() < 0.25, "{x:?}");
    config["coupling"] = json!({"kind": "optimal"});
    let error =
        by_name("flow_matching").unwrap().start(&config, train(1), &source).err().unwrap().to_string();
    assert!(error.starts_with("coupling = optimal: must be ") && error.contains("independent"), "{error}");
}

#[test]
fn models_remember_their_conditions() {
    let source = clusters(400);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut config = settings("flow_matching");
    config["guidance"] = json!({"hidden": 0.2, "factor": 2.0});
    let model = fit("flow_matching", &config, &source, 20);
    model.save(&path).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.condition(), source.condition());
    let given = Points::from_line((0..50).map(|i| f64::from(i % 3)).collect());
    let x = model.generate_given(&given, None, Seed::new(1)).unwrap();
    assert_eq!(loaded.generate_given(&given, None, Seed::new(1)).unwrap(), x);
    // The factor of the model is that of its settings.
    assert_eq!(loaded.generate_given(&given, Some(2.0), Seed::new(1)).unwrap(), x);
    assert_ne!(loaded.generate_given(&given, Some(1.0), Seed::new(1)).unwrap(), x);
    let refuse = |given: &Points, guidance| {
        model.generate_given(given, guidance, Seed::new(1)).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(&label(3, 2), None),
        "label = 3: must be a whole number from 0 to 2: the model knows 3 labels"
    );
    assert!(refuse(&Points::zeros(2, 2), None).contains("conditions"));
    assert!(refuse(&label(0, 1), Some(-1.0)).starts_with("guidance = -1"));
    assert!(refuse(&label(0, 1), Some(f64::NAN)).starts_with("guidance = NaN"));
    // What went wrong leaves nothing behind.
    assert_eq!(model.generate_given(&given, None, Seed::new(1)).unwrap(), x);
}

#[test]
fn a_model_that_always_sees_its_condition_says_so() {
    let mut config = settings("diffusion");
    config["guidance"]["hidden"] = json!(0.0);
    let model = fit("diffusion", &config, &line(300), 5);
    assert!(matches!(model.generate(3, Seed::new(1)), Err(Error::Undefined { .. })));
    assert!(model.map().is_none() && model.log_density(&Points::zeros(1, 2)).is_err());
    let error = model.generate_given(&label(0, 1), Some(2.0), Seed::new(1)).unwrap_err().to_string();
    assert!(error.starts_with("guidance = 2: must be 1"), "{error}");
    assert!(model.generate_given(&label(0, 1), None, Seed::new(1)).is_ok());
}

#[test]
fn conditional_runs_resume_to_the_same_bytes() {
    let source = clusters(300);
    let folder = tempfile::tempdir().unwrap();
    for method in ["flow_matching", "diffusion", "distill"] {
        let (whole, broken) = (folder.path().join("a"), folder.path().join("b"));
        let watch = |path: &std::path::Path| Watch { checkpoint: Some(path.to_owned()), ..Watch::default() };
        let method = by_name(method).unwrap();
        let start = || method.start(&small(method), train(20), &source).unwrap();
        let _ = start().run(&mut watch(&whole)).unwrap();
        let _ = start().run_to(7, &mut watch(&broken)).unwrap();
        let _ = method.resume(&broken, &source).unwrap().run(&mut watch(&broken)).unwrap();
        assert!(std::fs::read(&whole).unwrap() == std::fs::read(&broken).unwrap(), "{}", method.name());
        // Other labels on the same points are other data.
        let other = Labelled::with_labels(source.all().unwrap().clone(), &[1; 300]).unwrap();
        assert!(matches!(method.resume(&broken, &other), Err(Error::Mismatch { .. })));
    }
}

#[test]
fn methods_without_conditions_refuse_them_and_models_without_say_so() {
    let source = clusters(300);
    let takes = ["flow_matching", "diffusion", "distill"];
    for method in methods::all().iter().filter(|m| !takes.contains(&m.name())) {
        let error = method.start(&small(*method), train(1), &source).err().map(|e| e.to_string());
        let error = error.unwrap_or_else(|| panic!("{} took labels", method.name()));
        let needed = format!("method = {}: must be one that takes labels or conditions", method.name());
        assert!(error.starts_with(&needed), "{error}");
    }
    let plain = Data::new(cloud(100)).unwrap();
    let model = fit("flow_matching", &small(by_name("flow_matching").unwrap()), &plain, 2);
    let error = model.generate_given(&label(0, 1), None, Seed::new(1)).unwrap_err().to_string();
    assert!(error.contains("trained without labels"), "{error}");
}

/// The root mean square distance between points of the same noise.
fn gap(x: &Points, y: &Points) -> f64 {
    let square = x.as_slice().iter().zip(y.as_slice()).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    (square / x.as_slice().len() as f64).sqrt()
}

fn distilled(teacher: Option<&std::path::Path>, guidance: Value, steps: usize) -> Value {
    let mut config = settings("distill");
    config["teacher"] = json!(teacher);
    config["guidance"] = guidance;
    config["mode"] = json!({"kind": "progressive", "steps": steps, "rounds": 3});
    config
}

/// A guided teacher takes two evaluations for each of its 40; the student is told label and factor, takes one, then few: from the
/// same noise it comes to the same points, whatever it is asked for.
#[test]
fn guidance_is_distilled_into_one_evaluation() {
    let source = clusters(2000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teacher.safetensors");
    let mut config = settings("flow_matching");
    config["coupling"] = json!({"kind": "independent"});
    config["guidance"]["hidden"] = json!(0.2);
    fit("flow_matching", &config, &source, 1200).save(&path).unwrap();
    let teacher = load(&path).unwrap();
    let guidance = json!({"least": 1.0, "most": 3.0, "factor": 2.0});
    let config = distilled(Some(&path), guidance, 4);
    let mut run = by_name("distill").unwrap().start(&config, train(2400), &source).unwrap();
    // The round of one evaluation, the end of it, and that of all rounds: evaluations, and what the distance may be.
    for (until, evaluations, most) in [(600, 40, 0.25), (2400, 4, 0.35)] {
        let _ = run.run_to(until, &mut Watch::default()).unwrap();
        let student = run.generator().unwrap();
        assert_eq!(student.evaluations(), evaluations);
        for k in 0..3 {
            for factor in [1.0, 2.0, 3.0] {
                let ask = |model: &dyn Generator| {
                    model.generate_given(&label(k, 400), Some(factor), Seed::new(1)).unwrap()
                };
                let found = gap(&ask(&*student), &ask(&*teacher));
                assert!(found < most, "{evaluations} evaluations, label {k}, factor {factor}: {found}");
            }
        }
        // It matters what is asked for.
        let ask = |k, factor| student.generate_given(&label(k, 400), factor, Seed::new(1)).unwrap();
        assert!(gap(&ask(0, Some(3.0)), &ask(0, Some(1.0))) > 0.2 && gap(&ask(0, None), &ask(1, None)) > 3.0);
        assert_eq!(ask(2, None), ask(2, Some(2.0)));
    }
    let student = run.generator().unwrap();
    let saved = folder.path().join("student.safetensors");
    student.save(&saved).unwrap();
    let loaded = load(&saved).unwrap();
    let ask = |model: &dyn Generator| model.generate_given(&label(1, 50), Some(1.5), Seed::new(2));
    assert_eq!(ask(&*loaded).unwrap(), ask(&*student).unwrap());
    let error = student.generate_given(&label(1, 1), Some(3.5), Seed::new(1)).unwrap_err().to_string();
    assert!(error.starts_with("guidance = 3.5: must be between 1 and 3"), "{error}");
    // A distilled model has no two answers left to combine.
    let refuse = |config: &Value, source: &dyn Source| {
        by_name("distill").unwrap().start(config, train(4), source).err().unwrap().to_string()
    };
    let again = distilled(Some(&saved), json!({}), 2);
    assert!(refuse(&again, &source).contains("distilled before"), "{}", refuse(&again, &source));
    assert!(refuse(&config, &Data::new(cloud(200)).unwrap()).contains("or none as they do"));
    assert!(refuse(&config, &line(200)).contains("knows labels or vectors as they come"));
    let mut direct = config.clone();
    direct["mode"] = json!({"kind": "direct"});
    assert!(refuse(&direct, &source).starts_with("mode = direct: must be progressive"));
    for (guidance, start) in [
        (json!({"least": 2.0, "most": 1.0}), "guidance.most = 1"),
        (json!({"least": 2.0}), "guidance.factor = 1"),
        (json!({"hidden": 0.0}), "guidance.hidden = 0"),
    ] {
        let error = refuse(&distilled(None, guidance, 2), &source);
        assert!(error.starts_with(start), "{error}");
    }
}

/// Without a saved teacher one is trained first; one fixed factor needs no range.
#[test]
fn a_student_of_one_factor_learns_from_a_teacher_of_its_own() {
    let source = clusters(2000);
    let guidance = json!({"hidden": 0.2, "least": 2.0, "most": 2.0, "factor": 2.0});
    let config = distilled(None, guidance, 2);
    let mut run = by_name("distill").unwrap().start(&config, train(2400), &source).unwrap();
    // The teacher itself can be guided by any factor.
    let _ = run.run_to(960, &mut Watch::default()).unwrap();
    let teacher = run.generator().unwrap();
    assert_eq!(teacher.evaluations(), 40);
    assert!(teacher.generate_given(&label(0, 2), Some(3.0), Seed::new(1)).is_ok());
    let _ = run.run(&mut Watch::default()).unwrap();
    let student = run.generator().unwrap();
    assert_eq!(student.evaluations(), 2);
    for (k, centre) in CENTRES.iter().enumerate() {
        let given = label(k, 500);
        let x = student.generate_given(&given, None, Seed::new(1)).unwrap();
        let found = gap(&x, &teacher.generate_given(&given, Some(2.0), Seed::new(1)).unwrap());
        assert!(found < 0.5, "{k}: {found}");
        let wide = moments(&x);
        assert!((0..2).all(|i| (wide[i].0 - centre[i]).abs() < 1.0), "{k}: {wide:?}");
    }
}

#[test]
fn images_of_the_wrong_size_are_refused_before_anything_runs() {
    let refuse = |columns: usize, image: Value| {
        let points = Gaussian::standard(columns).sample(50, &mut Seed::new(1).rng());
        let mut config = settings("flow_matching");
        config["batch"] = json!(8);
        config["net"]["architecture"] = json!("unet");
        config["net"]["unet"]["image"] = image;
        let data = Data::new(points).unwrap();
        by_name("flow_matching").unwrap().start(&config, train(1), &data).err().map(|e| e.to_string())
    };
    assert!(refuse(1, json!([])).unwrap().contains("data in dimension 1 are no square images"));
    assert!(refuse(64, json!([16, 8])).unwrap().contains("16×8×1 is 128, the data have 64 columns"));
    assert!(refuse(63, json!([])).unwrap().starts_with("net.unet.image = []"));
    assert_eq!(refuse(64, json!([])), None);
    assert_eq!(refuse(384, json!([8, 16, 3])), None);
}

/// The U-Net learns, is saved, and generates the same in another session.
#[test]
fn an_image_network_learns_a_picture() {
    // Bars at one of two places, with a little noise.
    let noise = Gaussian::standard(64).sample(200, &mut Seed::new(6).rng());
    let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
    let points = Points::from_fn(200, 64, |i, out| {
        for (p, v) in out.iter_mut().enumerate() {
            let inked = if labels[i] == 0 { p % 8 == 2 } else { p / 8 == 5 };
            *v = if inked { 1.0 } else { -1.0 } + 0.1 * noise.row(i)[p];
        }
    });
    let source = Labelled::with_labels(points, &labels).unwrap();
    let mut config = settings("flow_matching");
    config["net"] = json!({"architecture": "unet", "unet": {"channels": 8}});
    config["coupling"] = json!({"kind": "independent"});
    config["batch"] = json!(32);
    config["standardise"] = json!(false);
    config["solver"]["steps"] = json!(8);
    let model = fit("flow_matching", &config, &source, 150);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let given = Points::from_line((0..20).map(|i| f64::from(i % 2)).collect());
    let x = load(&path).unwrap().generate_given(&given, None, Seed::new(1)).unwrap();
    assert_eq!(x, model.generate_given(&given, None, Seed::new(1)).unwrap());
    for (i, image) in x.rows().enumerate() {
        let mean = |inked: &dyn Fn(usize) -> bool| {
            let values: Vec<f64> = (0..64).filter(|&p| inked(p)).map(|p| image[p]).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let (bar, other) = (mean(&|p| p % 8 == 2), mean(&|p| p / 8 == 5));
        let (asked, not) = if i % 2 == 0 { (bar, other) } else { (other, bar) };
        assert!(asked > 0.6 && not < 0.0, "{i}: {asked} {not}");
    }
}
