//! The experiments that train no network, each with a small budget: every claim must hold.

mod common;

use common::{report, run, text};

/// Runs an experiment with these settings; it must make so many claims, all of which hold, and leave the files it names.
fn holds(name: &str, claims: usize, settings: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut arguments = vec![name, "--log", "none", "--out", "out"];
    arguments.extend(settings.iter().flat_map(|set| ["--set", set]));
    let output = run(dir.path(), &arguments);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    let out = dir.path().join("out");
    let document = report(&out);
    let made = document["claims"].as_array().unwrap();
    assert!(made.len() >= claims, "{} claims only\n{stdout}", made.len());
    assert!(made.iter().all(|claim| claim["holds"] == true && claim["value"].is_number()));
    let figures = document["figures"].as_array().unwrap();
    assert!(!figures.is_empty() && !document["tables"].as_array().unwrap().is_empty());
    for file in figures.iter().flat_map(|figure| [&figure["svg"], &figure["csv"]]) {
        let bytes = std::fs::read(out.join(file.as_str().unwrap())).unwrap();
        assert!(bytes.len() > 100, "{file} is empty");
    }
}

/// Settings that cannot be are refused in one line that names the key.
fn refuses(name: &str, setting: &str, key: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &[name, "--log", "none", "--set", setting]);
    let stderr = text(&output).1;
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(key) && stderr.trim().lines().count() == 1, "{stderr}");
}

#[test]
fn saddle() {
    holds("saddle", 14, &["grid=81", "rounds=50", "cells=80", "time=20", "steps=[0.1,0.05]"]);
    refuses("saddle", "cells=10", "cells");
    refuses("saddle", "steps=[]", "steps");
    refuses("saddle", "start=0.25", "start");
}

#[test]
fn ot_latent() {
    holds("ot_latent", 9, &["n=400"]);
    refuses("ot_latent", "tolerance=1", "tolerance");
}

#[test]
fn atlas() {
    holds("atlas", 14, &["sizes=[30,60,120,240]", "repetitions=12", "atoms=60"]);
    refuses("atlas", "sizes=[30]", "sizes");
}

#[test]
fn two_sample() {
    holds("two_sample", 6, &["dims=[1,6]", "sizes=[20,200]", "trials=30", "permutations=39"]);
    refuses("two_sample", "sizes=[30]", "sizes");
    refuses("two_sample", "level=0.001", "level");
}

#[test]
fn spectrum() {
    holds("spectrum", 12, &["cells=800", "steps=1000", "quantiles=100"]);
    refuses("spectrum", "start=[[1,0,1.5]]", "start");
}

#[test]
fn guarantees() {
    holds("guarantees", 15, &["trials=50", "steps=1500", "particles=12", "starts=40"]);
}

#[test]
fn repulsion() {
    holds("repulsion", 9, &["particles=[16,100]", "repetitions=3", "steps=800", "reference=2000"]);
    refuses("repulsion", "particles=[2]", "particles");
}

#[test]
fn integrators() {
    holds("integrators", 24, &["particles=40", "paths=30000", "steps=[4,8,16,32,64]", "cloud=300"]);
    refuses("integrators", "tolerances=[1e-3,1e-2]", "tolerances");
    refuses("integrators", "steps=[4,8,12]", "steps");
}
