//! What the program lists and describes, and what a run leaves behind.

mod common;

use common::{report, run, text};

#[test]
fn the_list() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["--list"]);
    assert!(output.status.success());
    insta::assert_snapshot!(text(&output).0);
}

#[test]
fn descriptions() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["fig1", "sample", "compare"] {
        let output = run(dir.path(), &["--describe", name]);
        assert!(output.status.success());
        insta::assert_snapshot!(format!("describe_{name}"), text(&output).0);
    }
    // The keys of learn are those of the chosen method too.
    let output = run(dir.path(), &["--describe", "learn", "--set", "method=sliced", "--set", "steps=7"]);
    let stdout = text(&output).0;
    for line in
        ["  steps = 7\n", "  method.kind = sliced\n", "  method.directions = ", "  method.map.net.widths = "]
    {
        assert!(stdout.contains(line), "{line:?} is not in\n{stdout}");
    }
}

/// A cell that is measured is not measured again: an interrupted run goes on with the next.
#[test]
fn bars_are_measured_cell_by_cell() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = |out: &str| {
        let sets = ["methods=sliced,vae", "targets=eight_gaussians,moons", "n=200", "floors=1", "steps=3"];
        let mut all: Vec<String> = ["bars", "--log", "none", "--out", out].map(str::to_owned).to_vec();
        all.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
        all
    };
    let whole = arguments("a");
    let output = run(dir.path(), &whole.iter().map(String::as_str).collect::<Vec<_>>());
    // Three steps reach no bar.
    assert_eq!(output.status.code(), Some(1), "{}", text(&output).1);
    let document = report(&dir.path().join("a"));
    let names: Vec<&str> =
        document["tables"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["impostors", "methods", "methods"]);
    assert_eq!(document["tables"][1]["rows"].as_array().unwrap().len(), 2);
    let claims = document["claims"].as_array().unwrap();
    assert_eq!(claims.len(), 5 + 4);
    assert_eq!(claims.iter().filter(|c| c["name"].as_str().unwrap().contains("refuses")).count(), 5);
    for cell in ["eight_gaussians-sliced-0", "moons-vae-0"] {
        assert!(dir.path().join(format!("a/cells/{cell}.json")).exists());
        assert!(!dir.path().join(format!("a/checkpoint-{cell}.safetensors")).exists());
    }
    let wrong = run(dir.path(), &["bars", "--set", "methods=vay"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong).1.contains("method \"vay\" is not known"), "{}", text(&wrong).1);
    let wrong = run(dir.path(), &["bars", "--set", "methods=vae", "--set", "set=no.such.key=1"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong).1);
}

/// A published table by name, and the same protocol on other measures: cells kept, checkpoints gone, slips told.
#[test]
fn tables_are_reproduced_cell_by_cell() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> =
        (0..300).map(|k| format!("{},{}", f64::from(k).sin(), f64::from(k).cos())).collect();
    std::fs::write(dir.path().join("mine.csv"), format!("x,y\n{}\n", rows.join("\n"))).unwrap();
    let sets = ["sf2m.source=moons", "sf2m.target=mine.csv", "sf2m.n=100", "sf2m.epochs=2", "seeds=2"];
    let mut arguments = vec!["reproduce", "sf2m", "--log", "none", "--out", "a"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
    let output = run(dir.path(), &arguments);
    // Nothing is published for such a pair, so nothing is claimed.
    assert!(output.status.success(), "{}", text(&output).1);
    let document = report(&dir.path().join("a"));
    let rows = document["tables"][0]["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row[0], "moons → mine.csv");
        assert!(
            row[2].is_null()
                && row[4].as_f64() > row[10].as_f64()
                && [6, 8].iter().all(|&k| row[k].is_number()),
            "{row}"
        );
    }
    for cell in ["sf2m-0-ot-cfm-0", "sf2m-0-i-cfm-1"] {
        assert!(dir.path().join(format!("a/cell-{cell}.json")).exists());
        assert!(!dir.path().join(format!("a/checkpoint-{cell}.safetensors")).exists());
    }
    let error = |arguments: &[&str]| {
        let output = run(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2));
        text(&output).1
    };
    let half = error(&["reproduce", "sf2m", "--set", "sf2m.source=moons"]);
    assert!(half.contains("sf2m.target is not given"), "{half}");
    let unknown = error(&["reproduce", "sfm"]);
    assert!(unknown.contains("table") && unknown.contains("sf2m"), "{unknown}");
    let other = error(&["bars", "sf2m"]);
    assert!(other.contains("bars has no tables"), "{other}");
}

/// Learn, sample from what was learned, compare the sample with the data: the way of a user's own file.
#[test]
fn from_a_table_to_samples() {
    let dir = tempfile::tempdir().unwrap();
    let line = |t: f64| format!("{},{}", t.sin(), (1.7 * t).cos());
    let rows: Vec<String> = (0..400).map(|k| line(0.1 * f64::from(k))).collect();
    std::fs::write(dir.path().join("mine.csv"), format!("height,weight\n{}\n", rows.join("\n"))).unwrap();
    let learned = run(
        dir.path(),
        &["learn", "--log", "none", "--set", "data=mine.csv", "--set", "steps=30", "--set", "samples=100"],
    );
    assert!(matches!(learned.status.code(), Some(0 | 1)), "{}", text(&learned).1);
    let out = dir.path().join("runs/learn-001");
    let document = report(&out);
    for key in [
        "experiment",
        "paper",
        "config",
        "seed",
        "versions",
        "device",
        "wall_seconds",
        "claims",
        "tables",
        "figures",
        "artifacts",
    ] {
        assert!(!document[key].is_null(), "{key} is missing");
    }
    let holds = document["claims"].as_array().unwrap().iter().all(|claim| claim["holds"] == true);
    assert_eq!(learned.status.code(), Some(i32::from(!holds)));
    for figure in document["figures"].as_array().unwrap() {
        assert!(
            out.join(figure["svg"].as_str().unwrap()).is_file()
                && out.join(figure["csv"].as_str().unwrap()).is_file()
        );
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(
        page.contains("height") && !page.contains("http://") && !page.contains("https://"),
        "the page needs a network"
    );

    let model = "model=runs/learn-001/model.safetensors";
    let sampled = run(
        dir.path(),
        &[
            "sample",
            "--log",
            "none",
            "--seed",
            "3",
            "--set",
            model,
            "--set",
            "n=1e3",
            "--set",
            "to=drawn.csv",
            "--set",
            "format=csv",
        ],
    );
    assert!(sampled.status.success(), "{}", text(&sampled).1);
    let drawn = std::fs::read_to_string(dir.path().join("drawn.csv")).unwrap();
    assert_eq!(drawn.lines().count(), 1001);
    // What is there is not overwritten, and the same seed draws the same points.
    let again = run(dir.path(), &["sample", "--set", model, "--set", "to=drawn.csv"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again).1.contains("not overwritten"));
    let same = [
        "sample",
        "--log",
        "none",
        "--seed",
        "3",
        "--set",
        model,
        "--set",
        "n=1000",
        "--set",
        "to=same.csv",
        "--set",
        "format=csv",
    ];
    assert!(run(dir.path(), &same).status.success());
    assert_eq!(std::fs::read_to_string(dir.path().join("same.csv")).unwrap(), drawn);

    let compared = run(
        dir.path(),
        &["compare", "--log", "none", "--out", "cmp", "--set", "a=drawn.csv", "--set", "b=mine.csv"],
    );
    assert!(compared.status.success(), "{}", text(&compared).1);
    let tables = report(&dir.path().join("cmp"))["tables"].clone();
    let table = &tables[0];
    assert_eq!(table["name"], "divergences");
    let columns: Vec<&str> = table["columns"].as_array().unwrap().iter().filter_map(|c| c.as_str()).collect();
    assert_eq!(columns, ["name", "settings", "value", "standard_error", "seconds"]);
    let rows = table["rows"].as_array().unwrap();
    assert!(rows.iter().filter(|row| row[2].is_number()).count() > 70, "{rows:?}");
    assert!(
        rows.iter().filter(|row| row[3].is_number()).count() > 40
            && rows.iter().all(|row| row[4].is_number())
    );
    let named =
        |name: &str| rows.iter().any(|row| row[0] == name && (row[2].is_number() || row[1].is_string()));
    // Everything that is registered, and what is no divergence between atoms.
    for entry in divergences::registry(2, 1.0).unwrap() {
        assert!(named(&entry.name), "{} is missing", entry.name);
    }
    for name in
        ["W2", "Kullback–Leibler", "test by MMD", "test by Sinkhorn divergence", "precision and recall"]
    {
        assert!(named(name), "{name} is missing");
    }
    assert_eq!(tables[1]["name"], "floors");
}
