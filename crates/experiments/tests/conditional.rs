//! The way of a user whose data have labels, or are larger than memory.

mod common;

use common::{f8, npy, report, run, text};
use measures::{Sample, Seed, zoo::Gaussian};
use std::fmt::Write as _;
use std::path::Path;

/// Two clusters: the column kind tells them apart.
fn labelled(path: &Path) {
    let noise = Gaussian::standard(2).sample(600, &mut Seed::new(1).rng());
    let mut csv = "x,kind,y\n".to_owned();
    for (i, row) in noise.rows().enumerate() {
        let _ = writeln!(csv, "{},{},{}", 8.0 * (i % 2) as f64 + row[0], i % 2, row[1]);
    }
    std::fs::write(path, csv).unwrap();
}

const LEARN: &str = "learn --log none --out out --set data=data.csv --set label=kind --set method=flow_matching \
                     --set steps=500 --set ema=0.99 --set samples=2000 --set method.batch=128 --set method.net.widths=[32,32] \
                     --set method.optim.lr=5e-3";

#[test]
fn labels_are_learned_and_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    labelled(&dir.path().join("data.csv"));
    let words: Vec<&str> = LEARN.split_whitespace().collect();
    let output = run(dir.path(), &words);
    let (stdout, stderr) = text(&output);
    assert!([Some(0), Some(1)].contains(&output.status.code()), "{stdout}{stderr}");
    let document = report(&dir.path().join("out"));
    let claims = document["claims"].as_array().unwrap();
    let claim = claims.iter().find(|c| c["name"].as_str().unwrap().contains("label asked for")).unwrap();
    assert!(claim["holds"] == true, "{claim}");
    assert!(dir.path().join("out/conditions.npy").exists());
    let sample = |sets: &[&str]| {
        let mut words = vec!["sample", "--log", "none", "--set", "model=out/model.safetensors"];
        words.extend(sets.iter().flat_map(|set| ["--set", set]));
        text(&run(dir.path(), &words)).1
    };
    assert_eq!(sample(&["n=500", "class=1", "guidance=1.5", "format=csv", "to=ones.csv"]).trim(), "");
    let ones = std::fs::read_to_string(dir.path().join("ones.csv")).unwrap();
    let x: Vec<f64> =
        ones.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(x.len() == 500 && x.iter().filter(|x| **x > 4.0).count() > 480, "{:?}", &x[..5]);
    let refused = |sets: &[&str], words: &[&str]| {
        let line = sample(sets);
        assert!(words.iter().all(|word| line.contains(word)) && line.trim().lines().count() == 1, "{line}");
    };
    refused(&["class=2"], &["label = 2", "from 0 to 1"]);
    refused(&["given=[0.5]"], &["trained with labels", "class=K"]);
    refused(&["guidance=2"], &["guidance: toward what"]);
    refused(&["class=1", "guidance=-1"], &["guidance = -1"]);
    refused(&["class=1", "given=[1]"], &["one or the other"]);
}

#[test]
fn slips_with_labels_are_told() {
    let dir = tempfile::tempdir().unwrap();
    labelled(&dir.path().join("data.csv"));
    let refused = |sets: &[&str], words: &[&str]| {
        let mut arguments = vec!["learn", "--log", "none", "--set", "data=data.csv"];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        let output = run(dir.path(), &arguments);
        let stderr = text(&output).1;
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            words.iter().all(|word| stderr.contains(word)) && stderr.trim().lines().count() == 1,
            "{stderr}"
        );
    };
    refused(&["label=kinds"], &["no column 'kinds'", "near: kind"]);
    refused(&["label=x"], &["column x holds", "whole numbers"]);
    refused(&["label=kind"], &["method = d2", "labels or conditions"]);
    refused(&["label=kind", "conditions=[\"y\"]"], &["one or the other"]);
    refused(&["label=kind", "stream=true"], &["stream", "need stream=false"]);
    refused(&["stream=true"], &["data.csv", "npy"]);
}

#[test]
fn rows_are_read_from_the_file_when_they_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let points = Gaussian::diagonal(&[1.0, -2.0], &[1.0, 3.0]).unwrap().sample(3000, &mut Seed::new(2).rng());
    let bytes = npy("'<f8'", "(3000, 2)", &f8(points.as_slice().iter().copied()));
    std::fs::write(dir.path().join("rows.npy"), bytes).unwrap();
    let words = "learn --log none --set data=rows.npy --set stream=true --set method=energy --set steps=300 --set samples=500 \
                 --set method.batch=64 --set ema=0.9";
    let learn = |out: &str| {
        let mut words: Vec<&str> = words.split_whitespace().collect();
        words.extend(["--out", out]);
        let output = run(dir.path(), &words);
        let (stdout, stderr) = text(&output);
        assert!([Some(0), Some(1)].contains(&output.status.code()), "{stdout}{stderr}");
        std::fs::read(dir.path().join(out).join("samples.npy")).unwrap()
    };
    assert_eq!(learn("a"), learn("b"));
    let document = report(&dir.path().join("a"));
    assert!(document.to_string().contains("2400 rows to train on"));
}

#[test]
fn digits_are_drawn_from_the_files_that_are_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let words = "digits --log none --out out --set steps=4 --set per_digit=10 --set guidance=[1,2] \
                 --set method.net.unet.channels=4 --set method.batch=16 --set method.solver.steps=3";
    let output = run(dir.path(), &words.split_whitespace().collect::<Vec<_>>());
    let (stdout, stderr) = text(&output);
    // So short a training draws nothing; what is looked at is that all of it is there.
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    let out = dir.path().join("out");
    let document = report(&out);
    assert!(
        document["claims"].as_array().unwrap().len() >= 4
            && document["tables"].as_array().unwrap().len() == 3
    );
    let svg = document["figures"][0]["svg"].as_str().unwrap();
    let sheet = std::fs::read_to_string(out.join(svg)).unwrap();
    assert!(sheet.matches("crispEdges").count() == 3, "{}", sheet.len());
    let output = run(
        dir.path(),
        &["sample", "--log", "none", "--set", "model=out/model.safetensors", "--set", "class=10"],
    );
    assert!(text(&output).1.contains("label = 10: must be a whole number from 0 to 9"));
    let refused = text(&run(dir.path(), &["digits", "--log", "none", "--set", "guidance=[]"])).1;
    assert!(refused.contains("guidance"), "{refused}");
}
