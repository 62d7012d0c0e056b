//! Small settings and data for tests that go through every method.
#![allow(dead_code, reason = "each test binary uses a part")]

use measures::{Points, Sample, Seed, zoo::Gaussian};
use models::methods::AnyMethod;
use serde_json::{Value, json};

/// n draws of a Gaussian in the plane.
pub(crate) fn cloud(n: usize) -> Points {
    Gaussian::diagonal(&[1.0, -2.0], &[1.0, 3.0]).unwrap().sample(n, &mut Seed::new(9).rng())
}

/// A method's settings with small batches and networks, where it has such settings.
pub(crate) fn small(method: &dyn AnyMethod) -> Value {
    let mut config = method.default_config();
    each_key(&mut config, &|key| match key {
        "batch" => Some(json!(32)),
        "pairs" => Some(json!(100)),
        "steps" => Some(json!(4)),
        "widths" => Some(json!([16, 16])),
        "directions" => Some(json!(8)),
        _ => None,
    });
    config
}

/// Replaces the value of every key, at any depth, for which `new` has another.
pub(crate) fn each_key(config: &mut Value, new: &dyn Fn(&str) -> Option<Value>) {
    for (key, value) in config.as_object_mut().into_iter().flatten() {
        match new(key) {
            Some(other) => *value = other,
            None => each_key(value, new),
        }
    }
}
