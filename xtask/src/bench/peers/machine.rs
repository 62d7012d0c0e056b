//! On what machine, with what versions and at what commit the comparison was made.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::workspace;

/// A machine that does this much else cannot be timed on.
const BUSY: f64 = 0.5;

/// Machine, versions, commit and load.
pub(super) fn circumstances(scripts: &Path) -> Result<Value> {
    let lock = scripts.join("requirements.txt");
    let pins = fs::read_to_string(&lock).with_context(|| format!("{}", lock.display()))?;
    let mut versions = versions(&pins);
    if let Ok(rustc) = workspace::output(workspace::command("rustc").arg("--version")) {
        versions.insert("rustc".into(), json!(rustc.trim().trim_start_matches("rustc ")));
    }
    let load = load();
    Ok(json!({
        "machine": machine(),
        "versions": versions,
        "commit": commit(),
        "load": load,
        "loaded": load.is_some_and(|load| load > BUSY) && !ahead_of_all(),
        "ahead": ahead_of_all(),
    }))
}

fn machine() -> Value {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = |key: &str| {
        info.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(": ")).map(|(_, v)| v)
    };
    let flags: Vec<&str> = line("flags").unwrap_or_default().split_whitespace().collect();
    let vectors = ["avx512f", "avx2"].into_iter().find(|set| flags.contains(set));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    json!({
        "processor": line("model name").unwrap_or("unknown").trim(),
        "processors": thread::available_parallelism().map_or(1, usize::from),
        "vectors": vectors,
        "memory_gib": kilobytes.map(|kb| (kb + (1 << 19)) >> 20),
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// The names and versions above the line that begins what the peers themselves stand on.
fn versions(pins: &str) -> Map<String, Value> {
    pins.lines()
        .take_while(|line| !line.starts_with("# What they need"))
        .filter_map(|line| line.split_once("=="))
        .map(|(name, version)| (name.trim().to_owned(), json!(version.trim())))
        .collect()
}

/// The commit, and whether anything but the results themselves differs from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut command = workspace::command("git");
        command.current_dir(workspace::root()).args(arguments);
        workspace::output(&mut command).ok()
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".into() };
    let changes = git(&["status", "--porcelain", "--", ".", ":!docs/benchmarks.*"]).unwrap_or_default();
    let changed = if changes.trim().is_empty() { "" } else { " with changes" };
    format!("{}{changed}", commit.trim())
}

/// Processes that ran or waited for a processor, averaged over the last minute.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Whether this process, and so what it starts, is scheduled in real time: what else there is stands still then.
fn ahead_of_all() -> bool {
    fs::read_to_string("/proc/self/stat").is_ok_and(|stat| is_real_time(&stat))
}

/// Field 41 of the line is the policy, 1 and 2 are those of real time; the name in brackets may hold anything.
fn is_real_time(stat: &str) -> bool {
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().nth(38).is_some_and(|policy| policy == "1" || policy == "2")
}

/// The rows of an earlier run on the same machine, which stay until they are measured again.
pub(super) fn earlier_rows(file: &Path, circumstances: &Value) -> Vec<Value> {
    let earlier: Option<Value> = fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(earlier) = earlier else { return Vec::new() };
    if earlier["machine"] != circumstances["machine"] {
        eprintln!("{}: measured on another machine, its rows are dropped", file.display());
        return Vec::new();
    }
    let mut rows = earlier["rows"].as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        if row["loaded"].is_null() {
            row["loaded"] = earlier["loaded"].clone();
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_peers_themselves_are_named() {
        let pins = "# a\nPOT==0.9\ntorch==2.11.0\n# What they need\nnumpy==2\n";
        let names: Vec<String> = versions(pins).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["POT", "torch"]);
    }

    #[test]
    fn the_policy_is_read_behind_any_name() {
        let line = |policy: u32| format!("7 (a) b (c) R {} {policy} 0 0", vec!["5"; 37].join(" "));
        assert!(is_real_time(&line(1)) && is_real_time(&line(2)) && !is_real_time(&line(0)));
        assert!(!is_real_time(""));
    }

    #[test]
    fn rows_of_another_machine_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.json");
        assert!(earlier_rows(&file, &json!({"machine": 1})).is_empty());
        fs::write(&file, r#"{"machine": 1, "loaded": true, "rows": [{"task": "a"}]}"#).unwrap();
        assert_eq!(earlier_rows(&file, &json!({"machine": 1}))[0]["loaded"], true);
        assert!(earlier_rows(&file, &json!({"machine": 2})).is_empty());
    }
}
