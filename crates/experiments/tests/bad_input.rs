//! Whatever is wrong with files and arguments ends in one clear line, exit code 2, and not a trace on the disk.

mod common;

use common::{f8, npy, program, run, text};
use std::path::{Path, PathBuf};

/// Everything below a folder.
fn listing(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(listing(&entry.path()));
        }
        found.push(entry.path());
    }
    found.sort();
    found
}

/// Runs, and expects one line that says all of `words`.
fn refused(dir: &Path, arguments: &[&str], words: &[&str]) {
    let before = listing(dir);
    let output = run(dir, arguments);
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stdout}{stderr}");
    assert!(stdout.is_empty(), "{arguments:?}: {stdout}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{arguments:?}: {stderr:?} does not say {word:?}");
    }
    assert!(!stderr.to_lowercase().contains("panic"), "{stderr}");
    assert_eq!(listing(dir), before, "{arguments:?} left something behind");
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn arguments() {
    let dir = folder();
    let refused = |arguments: &[&str], words: &[&str]| refused(dir.path(), arguments, words);
    refused(&[], &["--list"]);
    refused(&["fig2"], &["no experiment 'fig2'", "near: fig1"]);
    refused(&["--describe", "lern"], &["near: learn"]);
    refused(&["fig1", "--set", "step=3"], &["unknown key 'step'", "near: steps"]);
    refused(&["fig1", "--set", "steps=many"], &["steps", "a whole number, at least 1"]);
    refused(&["fig1", "--set", "steps=0"], &["steps = 0", "at least 1"]);
    refused(&["fig1", "--set", "rate=-1"], &["rate = -1", "above 0"]);
    refused(&["fig1", "--set", "steps"], &["key=value"]);
    refused(&["fig1", "--seed", "-3"], &["--seed"]);
    refused(&["fig1", "--sed", "3"], &["--sed", "--seed"]);
    refused(&["fig1", "extra"], &["extra"]);
    refused(&["fig1", "--threads", "0"], &["at least 1"]);
    refused(&["fig1", "--device", "tpu"], &["device = tpu"]);
    refused(&["fig1", "--device", "cuda:99"], &["cuda:99"]);
    refused(&["learn", "--set", "method=gann"], &["method", "one of"]);
    refused(&["learn", "--set", "method.directons=3"], &["near: method.directions"]);
    refused(&["learn"], &["data is not given", "--set data=FILE"]);
    refused(&["sample"], &["model is not given"]);
    refused(&["compare", "--set", "a=moons"], &["b is not given"]);
}

#[test]
fn configurations() {
    let dir = folder();
    let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content).unwrap();
    write("list.json", "[1, 2]");
    write("cut.json", "{\"steps\": 10");
    write("key.json", "{\"stepps\": 10}");
    write("type.json", "{\"steps\": \"ten\"}");
    write("range.json", "{\"fresh\": 3}");
    std::fs::create_dir(dir.path().join("folder.json")).unwrap();
    let refused = |file: &str, words: &[&str]| refused(dir.path(), &["fig1", "--config", file], words);
    refused("none.json", &["none.json", "no such file"]);
    refused("list.json", &["list.json", "not a JSON object"]);
    refused("cut.json", &["cut.json", "line 1"]);
    refused("key.json", &["key.json", "unknown key 'stepps'", "near: steps"]);
    refused("type.json", &["type.json", "steps = 'ten'", "a whole number"]);
    refused("range.json", &["range.json", "fresh = 3", "at least 1000"]);
    refused("folder.json", &["folder.json", "not a regular file"]);
}

#[test]
fn folders() {
    let dir = folder();
    std::fs::write(dir.path().join("file"), "x").unwrap();
    std::fs::create_dir(dir.path().join("full")).unwrap();
    std::fs::write(dir.path().join("full/earlier"), "kept").unwrap();
    let refused = |arguments: &[&str], words: &[&str]| refused(dir.path(), arguments, words);
    refused(&["fig1", "--out", "file/out"], &["file", "cannot be written"]);
    refused(&["fig1", "--out", "file"], &["file", "cannot be written"]);
    refused(&["fig1", "--out", "/proc/nothing/here"], &["/proc", "cannot be written"]);
    refused(&["fig1", "--out", "full"], &["full", "never overwritten"]);
    refused(&["fig1", "--resume", "none"], &["none", "no folder"]);
    refused(&["--resume", "full"], &["full", "no run was begun in it"]);
    refused(&["fig1", "--resume", "full", "--set", "steps=1"], &["--set", "--resume"]);
    std::fs::write(dir.path().join("runs"), "in the way").unwrap();
    refused(&["fig1"], &["runs", "cannot be written"]);
    assert_eq!(std::fs::read(dir.path().join("full/earlier")).unwrap(), b"kept");
}

#[test]
fn data_files() {
    let dir = folder();
    let write = |name: &str, content: &[u8]| std::fs::write(dir.path().join(name), content).unwrap();
    let good: Vec<f64> = (0..60).map(|k| f64::from(k).sin()).collect();
    let mut holed = good.clone();
    holed[7] = f64::NAN;
    let whole = npy("'<f8'", "(30, 2)", &f8(good.clone()));
    write("cut.npy", &whole[..whole.len() - 5]);
    write("header.npy", &whole[..20]);
    write("long.npy", &[whole.clone(), vec![0; 8]].concat());
    write("liar.npy", &npy("'<f8'", "(500000000000, 2)", &f8(good.clone())));
    write("objects.npy", &npy("'|O'", "(30, 2)", b"\x80\x04\x95cos\nsystem\n."));
    write("complex.npy", &npy("'<c16'", "(30, 1)", &f8(good.clone())));
    write("nan.npy", &npy("'<f8'", "(30, 2)", &f8(holed)));
    write("flat.npy", &npy("'<f8'", "(30, 0)", &[]));
    write("few.npy", &npy("'<f8'", "(3, 2)", &f8(good[..6].to_vec())));
    write("constant.npy", &npy("'<f8'", "(30, 2)", &f8(vec![1.0; 60])));
    write("empty.npy", b"");
    write("junk.npy", b"\x00\x01\x02junk\xff\xfe");
    write("zip.npz", b"PK\x03\x04 and then nothing");
    write("ragged.csv", b"x,y\n1,2\n3\n");
    write("words.csv", b"x,y\n1,2\n3,four\n");
    write("inf.csv", b"x,y\n1,2\n3,inf\n");
    write("head.csv", b"x,y\n");
    let learn = |file: &str, words: &[&str]| {
        refused(dir.path(), &["learn", "--set", &format!("data={file}"), "--set", "steps=5"], words);
    };
    learn("none.npy", &["none.npy", "no such file"]);
    learn("mons", &["'mons'", "near: moons"]);
    learn(".", &["not a regular file"]);
    learn("cut.npy", &["cut.npy", "480 bytes", "holds 475"]);
    learn("header.npy", &["header.npy", "ends inside the header"]);
    learn("long.npy", &["long.npy", "480", "488"]);
    learn("liar.npy", &["liar.npy", "8000000000000 bytes", "holds 480"]);
    learn("objects.npy", &["objects.npy", "|O", "pickled"]);
    learn("complex.npy", &["complex.npy", "complex"]);
    learn("nan.npy", &["nan.npy", "row 3, column 1 is NaN"]);
    learn("flat.npy", &["flat.npy", "(30, 0)", "at least one"]);
    learn("few.npy", &["few.npy", "3 rows", "at least 20"]);
    learn("constant.npy", &["column 0 is constant"]);
    learn("empty.npy", &["empty.npy", "empty"]);
    learn("junk.npy", &["junk.npy", "not .npy"]);
    learn("zip.npz", &["zip.npz", "zip archive"]);
    learn("ragged.csv", &["ragged.csv", "line 3 has 1 columns"]);
    learn("words.csv", &["words.csv", "line 3", "'y'", "'four' is not a number"]);
    learn("inf.csv", &["inf.csv", "line 3", "'y'", "not finite"]);
    learn("head.csv", &["head.csv", "empty"]);
    // The same readers stand behind compare and sample.
    write("three.csv", &"1,2,3\n".repeat(30).into_bytes());
    let compare = |a: &str, b: &str, words: &[&str]| {
        refused(dir.path(), &["compare", "--set", &format!("a={a}"), "--set", &format!("b={b}")], words);
    };
    compare("moons", "three.csv", &["moons has 2 columns", "three.csv has 3"]);
    compare("few.npy", "moons", &["few.npy: 3 rows"]);
    let sample = |model: &str, words: &[&str]| {
        refused(dir.path(), &["sample", "--set", &format!("model={model}")], words);
    };
    sample("none.safetensors", &["none.safetensors"]);
    sample("junk.npy", &["junk.npy"]);
    sample("cut.npy", &["cut.npy"]);
}

/// A limit on the size of files stands for a full disk: both make a write fail in the middle.
#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more() {
    let dir = folder();
    let arguments =
        "learn --log none --out out --set data=moons --set n=60 --set steps=5 --set samples=50000";
    let script = format!("trap '' XFSZ; ulimit -f 64; exec \"$0\" {arguments}");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).arg(program(dir.path()).get_program()).current_dir(dir.path());
    let output = shell.output().unwrap();
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.starts_with("error: "), "{stderr}");
    for path in listing(dir.path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !name.starts_with(".writing-") && name != "samples.npy" && name != "report.json",
            "{name} is left"
        );
    }
}
