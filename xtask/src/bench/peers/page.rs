//! Results as rows of JSON, and the page made of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::blank;
use super::contender::Outcome;
use super::plan::{Plan, Row};

/// One row a peer, or one without a peer. `best` marks the fastest in the precision of the row.
pub(super) fn results(row: &Row, n: usize, ours: &Outcome, peers: &[(&str, &str, Outcome)]) -> Vec<Value> {
    let start = || {
        let mut out = blank(row, n);
        for (to, from) in [
            ("ours_seconds", "seconds"),
            ("ours_seconds_min", "seconds_min"),
            ("ours_mb", "mb"),
            ("ours_value", "value"),
            ("ours_marginal_error", "l1"),
            ("ours_gap", "gap"),
        ] {
            out[to] = json!(ours.number(from));
        }
        out["goal"] = json!(row.goal.filter(|_| n == row.n));
        if !ours.why.is_empty() {
            out["ours_note"] = json!(ours.why);
        }
        out
    };
    let fastest = peers
        .iter()
        .filter(|(_, dtype, _)| *dtype == row.dtype)
        .filter_map(|(name, _, found)| Some((*name, found.number("seconds")?)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let mut rows: Vec<Value> = peers
        .iter()
        .map(|(name, dtype, found)| {
            let mut out = start();
            let (mine, theirs) = (ours.number("seconds"), found.number("seconds"));
            out["dtype"] = json!(dtype);
            out["peer"] = json!(name);
            out["peer_seconds"] = json!(theirs);
            out["peer_seconds_min"] = json!(found.number("seconds_min"));
            out["peer_mb"] = json!(found.number("mb"));
            out["peer_value"] = json!(found.number("value"));
            out["peer_marginal_error"] = json!(found.number("l1"));
            out["ratio"] = json!(mine.zip(theirs).map(|(mine, theirs)| mine / theirs));
            out["digits"] = json!(ours.number("value").zip(found.number("value")).map(digits));
            out["best"] = json!(*dtype == row.dtype && fastest.is_some_and(|(best, _)| best == *name));
            out["note"] = json!(found.why);
            out
        })
        .collect();
    if fastest.is_none() {
        let mut out = start();
        let empty = ["peer", "peer_seconds", "peer_mb", "ratio", "digits"];
        empty.iter().for_each(|key| out[*key] = Value::Null);
        out["best"] = json!(true);
        out["note"] = json!("no peer was measured");
        rows.push(out);
    }
    rows
}

/// Decimal digits that two values share.
fn digits((a, b): (f64, f64)) -> i64 {
    let size = a.abs().max(b.abs());
    if a == b {
        return 16;
    }
    (-((a - b).abs() / size).log10()).floor().clamp(0.0, 16.0) as i64
}

/// True when one row measures again what the other did, whatever the peer.
pub(super) fn same_row(a: &Value, b: &Value) -> bool {
    ["task", "n", "d", "threads"].iter().all(|key| a[*key] == b[*key])
}

/// Writes `results`.json and `results`.md, the rows in the order of the plan; rows that are in it no more are dropped.
pub(super) fn write(
    results: &Path,
    plan: &Plan,
    circumstances: &Value,
    rows: &mut Vec<Value>,
    quick: bool,
) -> Result<()> {
    let place = |row: &Value| {
        plan.rows.iter().position(|planned| {
            let n = row["n"] == planned.n || quick;
            row["task"] == planned.task.as_str()
                && n
                && row["d"] == planned.d
                && row["threads"] == planned.threads
        })
    };
    rows.retain(|row| place(row).is_some());
    rows.sort_by_key(|row| (place(row), row["n"].as_u64()));
    let mut whole = circumstances.clone();
    whole["rows"] = json!(rows);
    save(&results.with_extension("json"), &format!("{whole:#}\n"))?;
    save(&results.with_extension("md"), &page(plan, circumstances, rows))
}

/// Beside its place and then renamed: an interrupted run leaves the last whole file.
fn save(path: &Path, text: &str) -> Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, text)
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("{}", path.display()))
}

fn page(plan: &Plan, circumstances: &Value, rows: &[Value]) -> String {
    let mut out = String::from("# Speed and memory beside the best peers\n\n");
    out += &introduction(circumstances);
    out += "\n## Ours and the best peer in the same precision\n\n\
            | task | n | d | threads | ours | goal | best peer | its time | ours/peer | our memory | its memory | same digits |\n\
            |---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|\n";
    for row in rows.iter().filter(|row| row["best"] == true) {
        let about = plan.tasks.iter().find(|(name, _)| row["task"] == name.as_str());
        let peer = row["peer"].as_str().map_or_else(|| "none".to_owned(), |name| format!("`{name}`"));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {peer} | {} | {} | {} | {} | {} |",
            about.map_or("", |(_, about)| about),
            row["n"],
            row["d"],
            row["threads"],
            row["ours_note"].as_str().map_or_else(|| seconds(&row["ours_seconds"]), str::to_owned),
            seconds(&row["goal"]),
            seconds(&row["peer_seconds"]),
            row["ratio"].as_f64().map_or_else(String::new, significant),
            megabytes(&row["ours_mb"]),
            megabytes(&row["peer_mb"]),
            row["digits"].as_i64().map_or_else(String::new, |digits| digits.to_string()),
        );
    }
    out += &missed(plan, rows);
    out += "\n## Every peer\n\n| task | n | d | peer | precision | time | memory | ours/peer | same digits | note |\n\
            |---|--:|--:|---|---|--:|--:|--:|--:|---|\n";
    for row in rows.iter().filter(|row| row["peer"].is_string()) {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | `{}` | {} | {} | {} | {} | {} | {} |",
            row["task"].as_str().unwrap_or_default(),
            row["n"],
            row["d"],
            row["peer"].as_str().unwrap_or_default(),
            row["dtype"].as_str().unwrap_or_default(),
            seconds(&row["peer_seconds"]),
            megabytes(&row["peer_mb"]),
            row["ratio"].as_f64().map_or_else(String::new, significant),
            row["digits"].as_i64().map_or_else(String::new, |digits| digits.to_string()),
            note(row),
        );
    }
    out
}

/// The rows whose goal is not reached, with what was tried.
fn missed(plan: &Plan, rows: &[Value]) -> String {
    let mut out = String::new();
    for row in rows.iter().filter(|row| row["best"] == true) {
        let (Some(ours), Some(goal)) = (row["ours_seconds"].as_f64(), row["goal"].as_f64()) else { continue };
        if ours <= goal {
            continue;
        }
        let planned = plan.rows.iter().find(|planned| {
            row["task"] == planned.task.as_str() && row["n"] == planned.n && row["d"] == planned.d
        });
        let tried = planned.and_then(|planned| planned.tried.as_deref()).unwrap_or("nothing is noted of why");
        let _ = writeln!(
            out,
            "- `{}`, n = {}, d = {}: {} where {} was aimed at; {tried}.",
            row["task"].as_str().unwrap_or_default(),
            row["n"],
            row["d"],
            seconds(&row["ours_seconds"]),
            seconds(&row["goal"]),
        );
    }
    if out.is_empty() { out } else { format!("\n## Goals not reached\n\n{out}") }
}

fn introduction(circumstances: &Value) -> String {
    let machine = &circumstances["machine"];
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let versions = circumstances["versions"].as_object().into_iter().flatten();
    let versions: Vec<String> = versions.map(|(name, version)| format!("{name} {}", text(version))).collect();
    let mut out = format!(
        "Written by `cargo xtask bench --peers` at commit {} on {} ({} processors, {}, {} GiB). Versions: {}.\n\n",
        text(&circumstances["commit"]),
        text(&machine["processor"]),
        machine["processors"],
        text(&machine["vectors"]),
        machine["memory_gib"],
        versions.join(", "),
    );
    if circumstances["loaded"] == true {
        let load = circumstances["load"].as_f64().unwrap_or_default();
        let _ = write!(
            out,
            "**The machine was busy with other work when this was measured** (load average {load:.1}): times are too long on both \
             sides, and not by the same factor.\n\n"
        );
    }
    if circumstances["ahead"] == true {
        out += "All contenders ran at real-time priority, before whatever else there was on the machine.\n\n";
    }
    out += "Every contender gets the same inputs, x ~ N(0, I) and y ~ 1.2·N(0, I) + 0.3 with n points each, in a process of its \
            own. Times are medians after a first call to warm up, in double precision unless said; peers that compile do so in the \
            first call. Memory is the peak of resident memory less what the process held with its inputs loaded. The exact solvers \
            among the peers are handed the matrix of costs, whose time is not counted and whose memory is; ours compute the costs \
            themselves. Ratios are our time over theirs: below one, ours is faster. Digits are those in which the two values agree; \
            what is iterated to a tolerance agrees to that. The numbers are in [benchmarks.json](benchmarks.json) too, the scripts in \
            [benches/peers](../benches/peers/README.md).\n";
    out
}

fn note(row: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(text) = row["note"].as_str().filter(|text| !text.is_empty()) {
        parts.push(text.replace('|', "\\|"));
    }
    if let (Some(ours), Some(peer)) =
        (row["ours_marginal_error"].as_f64(), row["peer_marginal_error"].as_f64())
    {
        parts.push(format!("marginal error {}, ours {}", significant(peer), significant(ours)));
    }
    parts.join("; ")
}

fn seconds(value: &Value) -> String {
    match value.as_f64() {
        None => String::new(),
        Some(s) if s < 1.0 => format!("{} ms", significant(1e3 * s)),
        Some(s) => format!("{} s", significant(s)),
    }
}

fn megabytes(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |mb| format!("{mb:.1} MB"))
}

/// Three digits, and powers of ten only where zeros would be many.
fn significant(value: f64) -> String {
    let exponent = value.abs().log10().floor();
    if value == 0.0 || !exponent.is_finite() {
        return format!("{value}");
    }
    if exponent < -3.0 {
        return format!("{value:.1e}");
    }
    format!("{value:.*}", (2.0 - exponent).max(0.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_str;

    fn plan() -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let row = |n: usize| {
            let goal = if n == 100 { 0.4 } else { 0.2 };
            json!({"task": "mmd", "script": "k.py", "n": n, "d": 2, "threads": 2, "peers": ["a"], "goal": goal, "tried": "A and B"})
        };
        let whole = json!({"tasks": {"mmd": "MMD²"}, "rows": [row(100), row(200)]});
        fs::write(&path, whole.to_string()).unwrap();
        Plan::load(&path).unwrap()
    }

    fn found(seconds: f64, value: f64) -> Outcome {
        let found = json!({"seconds": seconds, "seconds_min": seconds, "mb": 3.25, "value": value});
        Outcome { found: Some(found), why: String::new() }
    }

    #[test]
    fn the_fastest_in_double_precision_is_the_best() {
        let plan = plan();
        let peers = [
            ("slow", "f64", found(2.0, 1.0)),
            ("fast", "f64", found(1.0, 1.0 + 9e-10)),
            ("half", "f32", found(0.5, 1.001)),
            ("absent", "f64", Outcome::skipped("takes 48 s")),
        ];
        let rows = results(&plan.rows[0], 100, &found(0.25, 1.0), &peers);
        let best: Vec<&str> =
            rows.iter().filter(|r| r["best"] == true).filter_map(|r| r["peer"].as_str()).collect();
        assert_eq!(best, ["fast"]);
        assert_eq!((rows[1]["ratio"].as_f64(), rows[1]["digits"].as_i64()), (Some(0.25), Some(9)));
        assert_eq!((rows[2]["dtype"].as_str(), rows[2]["digits"].as_i64()), (Some("f32"), Some(3)));
        assert!(rows[3]["peer_seconds"].is_null() && rows[3]["note"] == "skipped: takes 48 s");
    }

    #[test]
    fn without_a_peer_ours_is_there_still() {
        let rows = results(&plan().rows[0], 100, &found(0.25, 1.0), &[("a", "f64", Outcome::skipped("x"))]);
        assert_eq!(rows.len(), 2);
        assert!(rows[1]["best"] == true && rows[1]["peer"].is_null() && rows[1]["ours_seconds"] == 0.25);
    }

    #[test]
    fn rows_are_kept_in_the_order_of_the_plan_and_the_page_shows_them() {
        let (plan, folder) = (plan(), tempfile::tempdir().unwrap());
        let at = folder.path().join("benchmarks");
        let circumstances: Value =
            from_str(r#"{"machine": {"processor": "P"}, "commit": "abc", "loaded": true, "load": 2.0}"#)
                .unwrap();
        let of = |k: usize| {
            results(&plan.rows[k], plan.rows[k].n, &found(0.25, 1.0), &[("a", "f64", found(1.0, 1.0))])
        };
        let mut rows = of(1);
        rows.extend(of(0));
        rows.push(json!({"task": "gone", "n": 1, "d": 1, "threads": 1}));
        write(&at, &plan, &circumstances, &mut rows, false).unwrap();
        assert_eq!(rows.iter().map(|r| r["n"].as_u64().unwrap()).collect::<Vec<_>>(), [100, 200]);
        let page = fs::read_to_string(at.with_extension("md")).unwrap();
        assert!(
            page.contains("| MMD² | 100 | 2 | 2 | 250 ms | 400 ms | `a` | 1.00 s | 0.250 | 3.2 MB |"),
            "{page}"
        );
        assert!(page.contains("busy with other work") && page.contains("commit abc"));
        assert!(
            page.contains("## Goals not reached\n\n- `mmd`, n = 200, d = 2: 250 ms where 200 ms was aimed at; A and B.\n\n"),
            "{page}"
        );
        let json: Value = from_str(&fs::read_to_string(at.with_extension("json")).unwrap()).unwrap();
        assert_eq!(json["rows"].as_array().unwrap().len(), 2);
        assert!(same_row(&rows[0], &of(0)[0]) && !same_row(&rows[0], &of(1)[0]));
    }

    #[test]
    fn numbers_are_short() {
        let shown: Vec<String> = [0.25, 12.3456, 1234.5, 0.012_34, 6.0e-5].map(significant).into();
        assert_eq!(shown, ["0.250", "12.3", "1234", "0.0123", "6.0e-5"]);
        assert_eq!((digits((1.0, 1.0)), digits((1.0, 1.01)), digits((1.0, -1.0))), (16, 2, 0));
    }
}
