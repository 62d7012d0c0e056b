//! Every method there is, on a small table of a user's own: learned, saved, and sampled from by another process.

mod common;

use common::{report, run, text};
use measures::{Sample, Seed, zoo::GaussianMixture};
use models::methods::all;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of the table: fewer than the batch of most methods.
const ROWS: usize = 90;
/// Points drawn from each model.
const DRAWN: usize = 40;

fn table(path: &Path) {
    let points = GaussianMixture::ring(4, 3.0, 0.5).unwrap().sample(ROWS, &mut Seed::new(5).rng());
    let mut csv = "x,y\n".to_owned();
    for row in points.rows() {
        let _ = writeln!(csv, "{},{}", row[0], row[1]);
    }
    std::fs::write(path, csv).unwrap();
}

/// What went wrong, if anything did.
fn learned_and_sampled(dir: &Path, method: &str) -> Result<(), String> {
    let choice = format!("method={method}");
    let sets = ["data=mine.csv", &choice, "steps=20", "samples=100", "checkpoint_every=20"];
    let mut words = vec!["learn", "--log", "none", "--out", method];
    words.extend(sets.iter().flat_map(|set| ["--set", set]));
    let output = run(dir, &words);
    // So short a training decides nothing: claims may fail.
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(format!("learn: {}", text(&output).1));
    }
    let document = report(&dir.join(method));
    let tables = document["tables"].as_array().ok_or("no tables")?;
    let training =
        tables.iter().find(|table| table["name"] == "training").ok_or("nothing of the training")?;
    if training["rows"][0][0] != method || training["rows"][0][1] != 20.0 {
        return Err(format!("trained otherwise: {training}"));
    }
    let (model, to) = (format!("model={method}/model.safetensors"), format!("to={method}.csv"));
    let draw = format!("n={DRAWN}");
    let words =
        ["sample", "--log", "none", "--set", &model, "--set", &draw, "--set", "format=csv", "--set", &to];
    let output = run(dir, &words);
    if !output.status.success() {
        return Err(format!("sample: {}", text(&output).1));
    }
    let csv = std::fs::read_to_string(dir.join(format!("{method}.csv"))).map_err(|e| e.to_string())?;
    let numbers: Vec<f64> =
        csv.lines().skip(1).flat_map(|line| line.split(',')).filter_map(|v| v.parse().ok()).collect();
    let sound = numbers.len() == 2 * DRAWN && numbers.iter().all(|v| v.is_finite());
    if sound { Ok(()) } else { Err(format!("sample: {} numbers", numbers.len())) }
}

#[test]
fn every_method_learns_from_a_table_and_is_sampled_from() {
    let dir = tempfile::tempdir().unwrap();
    table(&dir.path().join("mine.csv"));
    let next = AtomicUsize::new(0);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            while let Some(method) = all().get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(why) = learned_and_sampled(dir.path(), method.name()) {
                    failed.push(format!("{}: {why}", method.name()));
                }
            }
            failed
        };
        let workers = [(); 2].map(|()| scope.spawn(work));
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{failed:#?}");
}
