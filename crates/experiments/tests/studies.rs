//! The studies in cells that train networks, each with a tiny budget: what they leave, and that they refuse what cannot be.

mod common;

use common::{report, run, text};
use serde_json::Value;
use std::path::Path;

/// Runs a study in `dir` and returns its report.
fn study(dir: &Path, name: &str, sets: &[&str]) -> Value {
    let mut arguments = vec![name, "--log", "none", "--out", "out"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
    let output = run(dir, &arguments);
    // So short a training decides nothing: claims may fail.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output).1);
    report(&dir.join("out"))
}

fn refuses(dir: &Path, name: &str, set: &str, words: &str) {
    let output = run(dir, &[name, "--log", "none", "--set", set]);
    let stderr = text(&output).1;
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(words) && stderr.trim().lines().count() == 1, "{stderr}");
}

fn table<'a>(document: &'a Value, name: &str) -> &'a Vec<Value> {
    let tables = document["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == name).unwrap()["rows"].as_array().unwrap()
}

fn claim<'a>(document: &'a Value, words: &str) -> &'a Value {
    let claims = document["claims"].as_array().unwrap();
    claims.iter().find(|claim| claim["name"].as_str().unwrap().contains(words)).unwrap()
}

#[test]
fn annealing() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [
        "objectives=mmd,wgan_gp",
        "targets=eight_gaussians",
        "more_targets=moons",
        "more_objectives=mmd",
        "seeds=2",
        "steps=20",
        "batch=16",
        "n=100",
        "looks=2",
        "floors=2",
        "flow_steps=1,4",
    ];
    let document = study(dir.path(), "annealing", &sets);
    // Seven arms of the divergence on two targets, five of the critic on one; two comparisons are not the critic's.
    assert_eq!(table(&document, "scores").len(), 7 + 5 + 7);
    assert_eq!(table(&document, "answer").len(), 8);
    assert_eq!(table(&document, "pairs").len(), 8 + 6 + 8);
    // Six arms against none, each over two targets and over the losses that have it.
    assert_eq!(table(&document, "parts").len(), 4 * (2 + 2) + 2 * (2 + 1));
    let stages = table(&document, "stages");
    assert_eq!(stages.len(), 2 * (7 + 5 + 7));
    assert!(stages.iter().all(|row| row[5].is_number()), "{stages:?}");
    assert_eq!(claim(&document, "cells without figures")["value"], 0.0);
    assert_eq!(claim(&document, "noise on both sides is kernel annealing")["holds"], true);
    assert!(document["notes"][0].as_str().unwrap().starts_with("The answer for this budget"));
    let flows = table(&document, "flows");
    assert!(flows.iter().any(|row| row[1] == "flow_matching" && row[2] == 4.0), "{flows:?}");
    refuses(dir.path(), "annealing", "arms=target", "none among them");
    refuses(dir.path(), "annealing", "arms=none,targt", "near: target");
    refuses(dir.path(), "annealing", "objectives=mdm", "near: mmd");
}

#[test]
fn straightness() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [
        "methods=flow_matching:coupling.kind=independent;batch=32,flow_matching:coupling.kind=optimal;batch=32",
        "steps=30",
        "n=100",
        "seeds=1",
        "solve=1,4",
    ];
    let document = study(dir.path(), "straightness", &sets);
    let rows = table(&document, "steps");
    assert_eq!(rows.len(), 4);
    // The finest solution is no distance from itself, one step is some.
    assert!(rows[1][4] == 0.0 && rows[0][4].as_f64() > Some(0.01), "{rows:?}");
    refuses(dir.path(), "straightness", "methods=flow_matchin", "is not known");
    refuses(dir.path(), "straightness", "solve=0,2", "solve");
}

#[test]
fn manifold() {
    let dir = tempfile::tempdir().unwrap();
    let sets = ["methods=realnvp,energy", "dims=2", "steps=40", "looks=2", "n=100"];
    let document = study(dir.path(), "manifold", &sets);
    let rows = table(&document, "methods");
    assert_eq!(rows.len(), 2);
    assert!(rows[0][7].is_number() && rows[1][7].is_null(), "{rows:?}");
    assert_eq!(claim(&document, "realnvp: log-density still grows")["relation"], ">");
    refuses(dir.path(), "manifold", "dims=1", "dims");
}
