//! Several finished runs on one page, side by side.

use super::html::{PageCell, data_uri, render};
use crate::failure::{Failure, Result};
use crate::figure::number;
use crate::files::write_atomic;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const TEMPLATE: &str = include_str!("side.html");

#[derive(Serialize)]
struct Page {
    runs: Vec<Head>,
    claims: Group,
    settings: Group,
    tables: Vec<Group>,
    figures: Vec<Drawn>,
}

/// A run at the head of its column.
#[derive(Serialize)]
struct Head {
    name: String,
    experiment: String,
    verdict: String,
    holds: bool,
    command: String,
    made: String,
}

/// A table: what every run has or lacks, a run a column; or the rows of one table in all runs, the run being a further column.
#[derive(Serialize)]
struct Group {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<PageCell>>,
}

/// The figure of one name in every run.
#[derive(Serialize)]
struct Drawn {
    title: String,
    runs: Vec<(String, Option<String>)>,
}

/// Writes one page that shows the finished runs in `dirs` side by side into `to`.
///
/// # Errors
/// A folder holds no report, or one that cannot be read; the page cannot be written.
pub fn side_by_side(dirs: &[PathBuf], to: &Path) -> Result<()> {
    let documents: Vec<Value> = dirs.iter().map(|dir| read(dir)).collect::<Result<_>>()?;
    let names = short(dirs);
    let page = Page {
        runs: documents.iter().zip(&names).map(|(d, name)| head(d, name)).collect(),
        claims: claims(&documents, &names),
        settings: settings(&documents, &names),
        tables: tables(&documents, &names),
        figures: figures(&documents, dirs, &names),
    };
    let html = render(TEMPLATE, &page);
    Ok(write_atomic(to, |out| out.write_all(html.as_bytes()))?)
}

fn read(dir: &Path) -> Result<Value> {
    let path = dir.join("report.json");
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
    let text = std::fs::read(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => wrong("there is no report; is the run finished?".into()),
        _ => wrong(format!("cannot be read: {e}")),
    })?;
    let document: Value = serde_json::from_slice(&text).map_err(|e| wrong(format!("is damaged: {e}")))?;
    if document["experiment"].is_string() {
        Ok(document)
    } else {
        Err(wrong("is no report of an experiment".into()))
    }
}

/// The folders' names without the part they share.
fn short(dirs: &[PathBuf]) -> Vec<String> {
    let last = |dir: &PathBuf| {
        dir.file_name().map_or_else(|| dir.display().to_string(), |n| n.to_string_lossy().into_owned())
    };
    let names: Vec<String> = dirs.iter().map(last).collect();
    let unique: BTreeSet<&String> = names.iter().collect();
    if unique.len() == names.len() {
        names
    } else {
        dirs.iter().map(|dir| dir.display().to_string()).collect()
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "–".into(),
        Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), |v| number(v, 4)),
        other => other.to_string(),
    }
}

fn head(document: &Value, name: &str) -> Head {
    let all = document["claims"].as_array().map_or(0, Vec::len);
    let held = list(&document["claims"]).filter(|claim| claim["holds"] == true).count();
    let holds = document["holds"] == true;
    let (versions, machine) = (&document["versions"], &document["machine"]);
    Head {
        name: name.into(),
        experiment: text(&document["experiment"]),
        verdict: format!("{held} of {all} claims hold"),
        holds,
        command: text(&document["command"]),
        made: format!(
            "seed {}, {} s, {} × {}, commit {}",
            document["seed"],
            text(&document["wall_seconds"]),
            machine["processors"],
            text(&machine["processor"]),
            text(&versions["commit"])
        ),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Everything named in any of the runs, in the order in which it first comes.
fn names(documents: &[Value], key: &str, name: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = documents.iter().flat_map(|d| list(&d[key])).map(|one| text(&one[name]));
    all.filter(|one| seen.insert(one.clone())).collect()
}

fn find<'a>(document: &'a Value, key: &str, name: &str, wanted: &str) -> Option<&'a Value> {
    list(&document[key]).find(|one| one[name] == wanted)
}

/// One thing a row, a run a column.
fn beside(title: &str, name: &str, runs: &[String], rows: Vec<Vec<PageCell>>) -> Group {
    let columns = std::iter::once(name).chain(runs.iter().map(String::as_str)).map(str::to_owned).collect();
    Group { title: title.into(), columns, rows }
}

fn claims(documents: &[Value], runs: &[String]) -> Group {
    let cell = |claim: Option<&Value>| match claim {
        None => PageCell { class: "", ..PageCell::missing() },
        Some(claim) => {
            let holds = claim["holds"] == true;
            PageCell {
                text: format!(
                    "{} {} ({} {})",
                    if holds { "✓" } else { "✗" },
                    text(&claim["value"]),
                    text(&claim["relation"]),
                    text(&claim["bound"])
                ),
                key: claim["value"].to_string(),
                class: if holds { "v good" } else { "v bad" },
            }
        }
    };
    let rows = names(documents, "claims", "name").into_iter().map(|name| {
        let cells = documents.iter().map(|d| cell(find(d, "claims", "name", &name)));
        std::iter::once(PageCell::word(&name)).chain(cells).collect()
    });
    beside("Claims", "claim", runs, rows.collect())
}

/// The settings in which the runs differ.
fn settings(documents: &[Value], runs: &[String]) -> Group {
    let flat: Vec<Vec<(String, String)>> = documents
        .iter()
        .map(|document| {
            let mut all = vec![
                ("experiment".into(), text(&document["experiment"])),
                ("seed".into(), text(&document["seed"])),
            ];
            flatten("", &document["config"], &mut all);
            all
        })
        .collect();
    let mut seen = BTreeSet::new();
    let keys: Vec<&String> =
        flat.iter().flatten().map(|(key, _)| key).filter(|key| seen.insert(key.as_str())).collect();
    let rows = keys.into_iter().map(|key| {
        let find = |all: &Vec<(String, String)>| {
            all.iter().find(|(k, _)| k == key).map_or("–".into(), |(_, v)| v.clone())
        };
        let values: Vec<String> = flat.iter().map(find).collect();
        (key.clone(), values)
    });
    let rows = rows
        .filter(|(_, values)| values.iter().any(|v| v != &values[0]))
        .map(|(key, values)| std::iter::once(key).chain(values).map(PageCell::word).collect());
    beside("Settings that differ", "key", runs, rows.collect())
}

fn flatten(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, out);
            }
        }
        other => out.push((path.to_owned(), other.to_string())),
    }
}

fn tables(documents: &[Value], runs: &[String]) -> Vec<Group> {
    let mut groups = Vec::new();
    for name in names(documents, "tables", "name") {
        let first = documents.iter().find_map(|d| find(d, "tables", "name", &name));
        let Some(first) = first else { continue };
        let columns: Vec<String> = list(&first["columns"]).map(text).collect();
        let mut rows = Vec::new();
        for (document, run) in documents.iter().zip(runs) {
            for table in list(&document["tables"]).filter(|table| table["name"] == name.as_str()) {
                // A table of other columns is another table.
                if table["columns"] != first["columns"] {
                    continue;
                }
                for row in list(&table["rows"]) {
                    let mut cells = vec![PageCell::word(run)];
                    cells.extend(list(row).map(cell));
                    rows.push(cells);
                }
            }
        }
        let columns = std::iter::once("run".to_owned()).chain(columns).collect();
        groups.push(Group { title: text(&first["title"]), columns, rows });
    }
    groups
}

fn cell(value: &Value) -> PageCell {
    match (value.as_f64(), value["mean"].as_f64(), value["sd"].as_f64()) {
        (Some(v), ..) => PageCell::number(v),
        (None, Some(mean), Some(sd)) => PageCell::spread(mean, sd),
        _ if value.is_null() => PageCell::missing(),
        _ => PageCell::word(text(value)),
    }
}

fn figures(documents: &[Value], dirs: &[PathBuf], runs: &[String]) -> Vec<Drawn> {
    let mut drawn = Vec::new();
    for name in names(documents, "figures", "name") {
        let mut title = name.clone();
        let runs = documents
            .iter()
            .zip(dirs)
            .zip(runs)
            .map(|((document, dir), run)| {
                let svg = find(document, "figures", "name", &name).and_then(|figure| {
                    title = text(&figure["title"]);
                    std::fs::read(dir.join(figure["svg"].as_str()?)).ok()
                });
                (run.clone(), svg.map(|bytes| data_uri("image/svg+xml", &bytes)))
            })
            .collect();
        drawn.push(Drawn { title, runs });
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(seed: u64, lr: f64, value: f64) -> Value {
        json!({
            "experiment": "tour", "seed": seed, "holds": value < 1.0, "command": "run it", "wall_seconds": 1.5,
            "machine": {"processor": "p", "processors": 2}, "versions": {"commit": null},
            "config": {"steps": 10, "optim": {"lr": lr}},
            "claims": [{"name": "near", "value": value, "relation": "<=", "bound": 1.0, "holds": value < 1.0}],
            "tables": [{"name": "t", "title": "T <b>", "columns": ["a", "b"], "rows": [["x", {"mean": value, "sd": 0.1}]]}],
            "figures": [{"name": "f", "title": "F", "svg": "figures/f.svg"}],
        })
    }

    #[test]
    fn runs_stand_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let dirs: Vec<PathBuf> = (0..2).map(|k| dir.path().join(format!("run-{k}"))).collect();
        for (k, run) in dirs.iter().enumerate() {
            std::fs::create_dir_all(run.join("figures")).unwrap();
            std::fs::write(run.join("figures/f.svg"), "<svg/>").unwrap();
            let text = document(k as u64, 0.1 + k as f64, 0.5 + k as f64).to_string();
            std::fs::write(run.join("report.json"), text).unwrap();
        }
        let to = dir.path().join("both.html");
        side_by_side(&dirs, &to).unwrap();
        let page = std::fs::read_to_string(&to).unwrap();
        for expected in [
            "run-0",
            "run-1",
            "optim.lr",
            "1 of 1 claims hold",
            "0.5 ± 0.1",
            "T &lt;b&gt;",
            // The figure itself, as base64.
            "base64,PHN2Zy8+",
        ] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
        assert!(!page.contains(">steps<"), "settings that do not differ are left out");
        let error = side_by_side(&[dir.path().join("none")], &to).unwrap_err().to_string();
        assert!(error.contains("there is no report"), "{error}");
    }
}
