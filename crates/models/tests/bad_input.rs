//! Bad data and bad settings, for every method there is: one clear line, nothing lost, never a panic.

mod common;

use common::{cloud, each_key, small};
use measures::Seed;
use models::methods;
use models::{Data, Error, Status, TrainConfig, Watch};
use serde_json::{Value, json};

/// Sets every learning rate, and takes clipping away.
fn rates(config: &mut Value, rate: f64) {
    each_key(config, &|key| match key {
        "lr" => Some(json!(rate)),
        "clip" => Some(Value::Null),
        _ => None,
    });
}

fn train(steps: u64) -> TrainConfig {
    TrainConfig { steps, checkpoint_every: 5, ..TrainConfig::default() }
}

#[test]
fn a_constant_column_is_named() {
    let mut points = cloud(300);
    points.rows_mut().for_each(|row| row[1] = 7.0);
    let data = Data::new(points).unwrap();
    for method in methods::all() {
        let error = method.start(&small(*method), train(1), &data).err().map(|e| e.to_string());
        let error = error.unwrap_or_else(|| panic!("{} took it", method.name()));
        assert!(error.starts_with("data: column 1 is constant (7)"), "{}: {error}", method.name());
    }
}

/// Rows that occur many times are a law like any other: no division by a distance of zero, no plan that fails.
#[test]
fn duplicates_are_no_obstacle() {
    let few = cloud(12);
    let rows: Vec<usize> = (0..300).map(|i| i % 12).collect();
    let data = Data::new(few.select(&rows)).unwrap();
    for method in methods::all() {
        let mut run = method
            .start(&small(*method), train(6), &data)
            .unwrap_or_else(|e| panic!("{}: {e}", method.name()));
        let outcome = run.run(&mut Watch::default()).unwrap_or_else(|e| panic!("{}: {e}", method.name()));
        assert_eq!(outcome.status, Status::Finished, "{}", method.name());
        assert!(outcome.loss.is_some_and(f64::is_finite), "{}", method.name());
        let x = run.generator().unwrap().generate(10, Seed::new(1)).unwrap();
        assert!(x.as_slice().iter().all(|v| v.is_finite()), "{}", method.name());
    }
}

#[test]
fn a_model_of_another_type_is_not_loaded() {
    let data = Data::new(cloud(300)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let save = |name: &str| {
        let method = methods::by_name(name).unwrap();
        let mut run = method.start(&small(method), train(1), &data).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        run.generator().unwrap().save(&path).unwrap();
    };
    save("mmd");
    let error = models::FlowModel::load(&path).err().unwrap().to_string();
    assert!(
        error.contains("model.safetensors: holds a trained model (one_step)") && error.contains("flow"),
        "{error}"
    );
    // A network of another shape than the header says: refused, not read as if it fitted.
    save("flow_matching");
    let (mut header, record) = models::checkpoint::read(&path).unwrap();
    header.body["net"]["widths"] = json!([7, 7]);
    models::checkpoint::write(&path, &header, &record).unwrap();
    let error = models::load(&path).err().unwrap().to_string();
    assert!(error.contains("flat parameters"), "{error}");
}

#[test]
fn too_few_rows_are_told_with_the_setting_that_asks_for_more() {
    let data = Data::new(cloud(20)).unwrap();
    for method in methods::all() {
        let error = match method.start(&small(*method), train(3), &data) {
            Err(e) => e.to_string(),
            // Whoever draws with replacement has enough, and then trains on it.
            Ok(mut run) => {
                assert_eq!(run.run(&mut Watch::default()).unwrap().status, Status::Finished);
                continue;
            }
        };
        assert!(error.contains("at most 20") || error.contains("20 rows"), "{}: {error}", method.name());
        assert!(!error.contains('\n'), "{}: {error}", method.name());
    }
}

/// A learning rate that explodes ends in the last good state, which still generates; or the method survives it.
#[test]
fn exploding_rates_end_in_the_last_good_state() {
    let data = Data::new(cloud(300)).unwrap();
    let mut diverged = 0;
    for method in methods::all() {
        let mut config = small(*method);
        rates(&mut config, 1e30);
        let mut run = method.start(&config, train(40), &data).unwrap();
        let outcome = run.run(&mut Watch::default()).unwrap_or_else(|e| panic!("{}: {e}", method.name()));
        match outcome.status {
            Status::Diverged { restored, .. } => {
                diverged += 1;
                assert_eq!(run.step(), restored, "{}", method.name());
            }
            status => assert_eq!(status, Status::Finished, "{}", method.name()),
        }
        // What it gives is finite, or it says that it is not.
        match run.generator().and_then(|model| model.generate(10, Seed::new(1))) {
            Ok(x) => assert!(x.as_slice().iter().all(|v| v.is_finite()), "{}", method.name()),
            Err(e) => assert!(!e.to_string().contains('\n'), "{}: {e}", method.name()),
        }
    }
    assert!(diverged > 0);
}

#[test]
fn a_run_is_not_resumed_as_another_method() {
    let data = Data::new(cloud(300)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let all = methods::all();
    for (method, other) in all.iter().zip(all.iter().cycle().skip(1)) {
        let mut run = method.start(&small(*method), train(1), &data).unwrap();
        let mut watch = Watch { checkpoint: Some(path.clone()), ..Watch::default() };
        let _ = run.run(&mut watch).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = other.resume(&path, &data).err().unwrap();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        let (from, to) = (method.name(), other.name());
        let text = error.to_string();
        assert!(text.contains(&format!("holds a checkpoint of {from}")) && text.contains(to), "{text}");
        // a model is no checkpoint, and the other way round
        assert!(models::load(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
