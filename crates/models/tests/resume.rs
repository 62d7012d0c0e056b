//! Training killed by SIGKILL at random steps and resumed ends in the bytes of the unbroken run, for every method.

mod common;

use common::{cloud, small};
use measures::rand::RngExt;
use measures::{Points, Seed};
use models::checkpoint;
use models::methods::{self, AnyMethod};
use models::{Data, Event, Status, TrainConfig, Watch};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const STEPS: u64 = 24;
/// Where the child finds its folder; without it the child's test has nothing to do.
const FOLDER: &str = "MODELS_RESUME_TEST_FOLDER";

fn data() -> Data {
    Data::new(cloud(300)).unwrap()
}

fn train() -> TrainConfig {
    TrainConfig { steps: STEPS, log_every: 1, checkpoint_every: 3, ..TrainConfig::default() }
}

fn file(folder: &Path, method: &dyn AnyMethod) -> PathBuf {
    folder.join(format!("{}.safetensors", method.name()))
}

/// The steps behind a checkpoint, none where there is no file yet.
fn steps_done(path: &Path) -> Option<u64> {
    path.exists().then(|| {
        let (header, _) = checkpoint::read(path).expect("a reader finds a whole file at any time");
        header.body["step"].as_u64().unwrap()
    })
}

/// Trains every method to the end in one folder, going on where checkpoints are; prints a line a step.
fn train_all(folder: &Path) {
    let data = data();
    for method in methods::all() {
        let path = file(folder, *method);
        let done = steps_done(&path);
        if done == Some(STEPS) {
            continue;
        }
        let mut run = match done {
            Some(_) => methods::resume(&path, &data).unwrap(),
            None => method.start(&small(*method), train(), &data).unwrap(),
        };
        let on_event = |event: Event<'_>| {
            if let Event::Progress { step, .. } = event {
                println!("step {step} of {}", method.name());
            }
        };
        let mut watch =
            Watch { checkpoint: Some(path), on_event: Some(Box::new(on_event)), ..Watch::default() };
        assert_eq!(run.run(&mut watch).unwrap().status, Status::Finished, "{}", method.name());
    }
}

#[test]
#[ignore = "the process that `killed_runs_end_in_the_same_bytes` starts and kills"]
fn child() {
    train_all(Path::new(&std::env::var(FOLDER).expect("the parent sets the folder")));
}

#[test]
fn killed_runs_end_in_the_same_bytes() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train_all(whole.path());
    let mut rng = Seed::new(17).rng();
    let mut kills = 0;
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, broken.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Enough kills to meet every method, and the last process is left alone.
        let patience = if kills <= methods::all().len() {
            rng.random_range(1..STEPS as usize * 3 / 2)
        } else {
            usize::MAX
        };
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let steps = lines.map_while(Result::ok).filter(|line| line.contains("step ")).take(patience).count();
        if steps == patience {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            continue;
        }
        assert!(child.wait().unwrap().success());
        break;
    }
    assert!(kills > 0);
    for method in methods::all() {
        let read = |folder: &Path| std::fs::read(file(folder, *method)).unwrap();
        assert!(read(whole.path()) == read(broken.path()), "{} after {kills} kills", method.name());
    }
}

#[test]
fn seeds_and_data_matter() {
    let data = data();
    let method = methods::all()[0];
    let generate = |seed| {
        let mut run = method.start(&small(method), TrainConfig { seed, ..train() }, &data).unwrap();
        let _ = run.run(&mut Watch::default()).unwrap();
        run.generator().unwrap().generate(3, Seed::new(0)).unwrap()
    };
    let first: Points = generate(1);
    assert_eq!(first, generate(1));
    assert_ne!(first, generate(2));
}
