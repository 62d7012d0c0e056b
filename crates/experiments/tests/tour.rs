//! The tour is killed at random moments and shared between processes, and its leaderboard is the same.

#![cfg(unix)]

mod common;

use common::{program, report, run, text};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Few steps, small clouds; a row of each kind: a divergence, a density, a flow with many evaluations.
const SETS: [&str; 8] = [
    "methods=sliced,realnvp,flow_matching",
    "headline=sliced",
    "headline_seeds=2",
    "targets=eight_gaussians,moons",
    "steps=200",
    "seconds=0",
    "rows=400",
    "n=150",
];

fn tour(dir: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = program(dir);
    command.args(["tour", "--log", "none", "--seed", "3", "--out", out]);
    for set in SETS {
        command.args(["--set", set]);
    }
    command.args(more).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The report without what a clock measured.
fn leaderboard(dir: &Path, out: &str) -> serde_json::Value {
    let mut document = report(&dir.join(out));
    let timed = ["µs a sample", "training, s", "micros", "seconds", "cell_seconds", "on the front"];
    for table in document["tables"].as_array_mut().unwrap() {
        let columns: Vec<String> =
            table["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap().to_owned()).collect();
        for row in table["rows"].as_array_mut().unwrap() {
            for (cell, column) in row.as_array_mut().unwrap().iter_mut().zip(&columns) {
                if timed.contains(&column.as_str()) {
                    *cell = 0.into();
                }
            }
        }
    }
    document["tables"].clone()
}

#[test]
fn killed_at_random_moments_and_shared_it_is_the_same_leaderboard() {
    let dir = tempfile::tempdir().unwrap();
    let status = tour(dir.path(), "whole", &[]).status().unwrap();
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    let whole = leaderboard(dir.path(), "whole");
    let names: Vec<&str> = whole.as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["overall", "leaderboard-eight_gaussians", "leaderboard-moons", "cells"]);
    // The floor comes first, then every method.
    assert_eq!(whole[1]["rows"].as_array().unwrap().len(), 4);
    assert_eq!(whole[1]["rows"][0][0], "(the target itself)");

    // Killed again and again, at moments that a fixed rule of no pattern chooses.
    let mut wait = 7919_u64;
    let mut kills = 0;
    let mut command = tour(dir.path(), "killed", &[]);
    while kills < 20 {
        let mut child = command.spawn().unwrap();
        wait = wait.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(60 + (wait >> 33) % 400));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        if !dir.path().join("killed/run.json").exists() {
            // It was killed before it had begun.
            let _ = std::fs::remove_dir_all(dir.path().join("killed"));
            continue;
        }
        command = program(dir.path());
        command.args(["--resume", "killed", "--log", "none"]).stdout(Stdio::null()).stderr(Stdio::null());
    }
    assert!(kills >= 5, "only {kills} kills came in time");
    // What is left is done by two processes together, two cells at a time each.
    if !dir.path().join("killed/report.json").exists() {
        let join = || {
            let mut command = program(dir.path());
            command.args(["--resume", "killed", "--log", "none", "--jobs", "2"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let statuses = [join(), join()].map(|mut child| child.wait().unwrap().code());
        // The one that comes late may find the run finished.
        assert!(statuses.iter().any(|code| matches!(code, Some(0 | 1))), "{statuses:?}");
    }
    assert_eq!(leaderboard(dir.path(), "killed"), whole);
    let left: Vec<_> = std::fs::read_dir(dir.path().join("killed/cells")).unwrap().collect();
    assert_eq!(left.len(), 2 * (5 + 4), "{left:?}");

    // Finished runs on one page.
    let output = run(dir.path(), &["report", "whole", "killed", "--out", "both"]);
    assert!(output.status.success(), "{}", text(&output).1);
    let page = std::fs::read_to_string(dir.path().join("both/report.html")).unwrap();
    assert!(page.contains("2 runs side by side") && page.contains("svg+xml;charset=utf-8;base64,"));
    let wrong = run(dir.path(), &["report", "nowhere"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong).1.contains("there is no report"));
}

#[test]
fn a_method_that_fails_is_a_row_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    // On a line affine layers make Gaussians only, and the method says so.
    let sets = [
        "methods=energy,realnvp",
        "targets=gaussian:dim=1",
        "steps=5",
        "n=100",
        "rows=100",
        "floors=1",
        "seconds=0",
    ];
    let mut arguments = vec!["tour", "--log", "json", "--out", "out", "--tensorboard"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
    let output = run(dir.path(), &arguments);
    let stderr = text(&output).1;
    // A row without figures is a claim that fails.
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let document = report(&dir.path().join("out"));
    let board = &document["tables"][0]["rows"];
    assert_eq!([&board[0][0], &board[1][0], &board[2][0]], ["(the target itself)", "energy", "realnvp"]);
    assert!(board[1][1].is_number() && board[2][1].is_null());
    assert!(board[2][21].as_str().unwrap().contains("on a line"), "{board}");
    // Lines of JSON that name the cell and the time left, and an event file.
    let events: Vec<serde_json::Value> =
        stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|e| e["stage"] == "cells" && e["step"] == 3 && e["steps"] == 3), "{stderr}");
    assert!(events.iter().any(|e| e["stage"] == "gaussian_dim_1-energy-0"), "{stderr}");
    let folder = dir.path().join("out/tensorboard/gaussian_dim_1-energy-0");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    for (set, key) in [("seconds=-1", "seconds"), ("methods=enrgy", "energy"), ("targets=mons", "moons")] {
        let output = run(dir.path(), &["tour", "--log", "none", "--set", set]);
        let stderr = text(&output).1;
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(key) && stderr.trim().lines().count() == 1, "{stderr}");
    }
}
