//! A run that was killed or interrupted, at whatever moment, goes on to the same bytes as one that was not.

#![cfg(unix)]

mod common;

use common::{program, report, run, text};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const LEARN: [&str; 14] = [
    "learn",
    "--log",
    "json",
    "--seed",
    "5",
    "--set",
    "data=moons",
    "--set",
    "n=300",
    "--set",
    "checkpoint_every=20",
    "--set",
    "samples=200",
    "--out",
];

fn learn(dir: &Path, out: &str) -> Command {
    let mut command = program(dir);
    command.args(LEARN).arg(out).args([
        "--set",
        "steps=6000",
        "--set",
        "method=sliced",
        "--set",
        "method.batch=64",
    ]);
    command.args(["--set", "method.target_batch=64", "--set", "method.map.net.widths=16,16"]);
    command
}

/// Starts training and returns when it has told of step `step`.
fn until(mut command: Command, step: u64) -> Child {
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let reached = lines.by_ref().map_while(Result::ok).any(|line| {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        event["stage"] == "train" && event["step"].as_u64() >= Some(step)
    });
    assert!(reached, "training never came to step {step}");
    // Whoever reads must go on reading, or the program would meet a closed pipe.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn same(dir: &Path, a: &str, b: &str) {
    for file in ["model.safetensors", "samples.npy", "checkpoint-train.safetensors"] {
        let read = |out: &str| std::fs::read(dir.join(out).join(file)).unwrap();
        assert!(read(a) == read(b), "{file} of {b} differs from {a}");
    }
    let comparable = |out: &str| {
        let mut report = report(&dir.join(out));
        report["wall_seconds"] = 0.into();
        // Seconds are the one thing that may differ.
        report["tables"].as_array_mut().unwrap().retain(|table| table["name"] != "training");
        report
    };
    assert_eq!(comparable(a), comparable(b));
}

#[test]
fn killed_and_interrupted_runs_end_in_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let whole = learn(dir.path(), "whole").output().unwrap();
    assert!(matches!(whole.status.code(), Some(0 | 1)), "{}", text(&whole).1);

    // Between two checkpoints, and long before the end: the signal must not lose a race against a fast machine.
    let mut killed = until(learn(dir.path(), "killed"), 50);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!dir.path().join("killed/report.json").exists());
    let resumed = run(dir.path(), &["--resume", "killed", "--log", "none"]);
    assert_eq!(resumed.status.code(), whole.status.code(), "{}", text(&resumed).1);
    same(dir.path(), "whole", "killed");

    let stopped = until(learn(dir.path(), "stopped"), 1);
    signal(&stopped, "-INT");
    let output = stopped.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let resumed = run(dir.path(), &["learn", "--resume", "stopped", "--log", "none"]);
    assert_eq!(resumed.status.code(), whole.status.code(), "{}", text(&resumed).1);
    same(dir.path(), "whole", "stopped");

    // What is finished is not begun again.
    let again = run(dir.path(), &["--resume", "whole"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again).1.contains("finished"), "{}", text(&again).1);
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = learn(dir.path(), "out");
    command.args(["--set", "steps=1000000"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("\"progress\"")));
    // The folder is taken: a second process must not work in it.
    let second = run(dir.path(), &["--resume", "out", "--log", "none"]);
    assert!(text(&second).1.contains("another process"), "{}", text(&second).1);
    signal(&child, "-TERM");
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.iter().any(|line| line.ends_with("--resume out")), "{rest:?}");
    assert!(dir.path().join("out/checkpoint-train.safetensors").exists());
    // Other data under the same name are refused.
    let run_json = dir.path().join("out/run.json");
    let changed = std::fs::read_to_string(&run_json).unwrap().replace("\"n\": 300", "\"n\": 301");
    std::fs::write(&run_json, changed).unwrap();
    let other = run(dir.path(), &["--resume", "out", "--log", "none"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other).1.contains("checkpoint-train.safetensors"), "{}", text(&other).1);
    assert!(dir.path().join("out/checkpoint-train.safetensors").exists(), "nothing earlier is lost");
}
