//! `benches/peers/plan.json`: what is compared with what.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The whole plan.
#[derive(Debug)]
pub(super) struct Plan {
    /// Tasks in the order of the page, each with what it is in words.
    pub(super) tasks: Vec<(String, String)>,
    pub(super) rows: Vec<Row>,
}

/// One task at one size.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) task: String,
    /// The script of the peers, and the one that writes the inputs, both in `benches/peers`.
    pub(super) script: String,
    pub(super) inputs: String,
    /// Our program, a binary of the package `benches`.
    pub(super) ours: String,
    pub(super) n: usize,
    pub(super) d: usize,
    pub(super) threads: usize,
    pub(super) peers: Vec<Peer>,
    /// Peers that are not run at this size, with the reason.
    pub(super) skip: Vec<(String, String)>,
    /// The precision of ours, and of peers that name none.
    pub(super) dtype: String,
    /// Our own aim, in seconds.
    pub(super) goal: Option<f64>,
    /// Why it is missed, and what was tried.
    pub(super) tried: Option<String>,
    /// Seconds after which a process is ended.
    pub(super) limit: u64,
}

/// A peer in one precision.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) dtype: String,
}

impl Plan {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let context = || format!("{}", path.display());
        let text = fs::read_to_string(path).with_context(context)?;
        let value = serde_json::from_str(&text).with_context(context)?;
        Self::from_value(&value).with_context(context)
    }

    fn from_value(value: &Value) -> Result<Self> {
        let tasks = value["tasks"].as_object().context("`tasks` is no object")?;
        let mut tasks: Vec<(String, String)> = tasks
            .iter()
            .map(|(name, about)| (name.clone(), about.as_str().unwrap_or_default().to_owned()))
            .collect();
        let rows = value["rows"].as_array().context("`rows` is no list")?;
        let rows = rows.iter().map(|row| Row::parse(row).with_context(|| format!("in the row {row}")));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        for row in &rows {
            ensure!(
                tasks.iter().any(|(name, _)| *name == row.task),
                "the task {} is not described",
                row.task
            );
        }
        // An object has no order, the rows have.
        tasks.sort_by_key(|(name, _)| rows.iter().position(|row| row.task == *name));
        Ok(Plan { tasks, rows })
    }

    /// The names of the tasks.
    pub(super) fn names(&self) -> Vec<&str> {
        self.tasks.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Our programs.
    pub(super) fn programs(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| row.ours.clone()).collect()
    }
}

impl Row {
    fn parse(row: &Value) -> Result<Self> {
        const KEYS: [&str; 13] = [
            "task", "script", "inputs", "ours", "n", "d", "threads", "peers", "skip", "dtype", "goal",
            "tried", "limit",
        ];
        for key in row.as_object().context("not an object")?.keys() {
            ensure!(KEYS.contains(&key.as_str()), "unknown key `{key}`");
        }
        let text = |key: &str, default: Option<&str>| match (row[key].as_str(), default) {
            (Some(text), _) => Ok(text.to_owned()),
            (None, Some(default)) if row[key].is_null() => Ok(default.to_owned()),
            _ => bail!("`{key}` is no text"),
        };
        let whole = |key: &str| {
            row[key].as_u64().map(|v| v as usize).with_context(|| format!("`{key}` is no whole number"))
        };
        let dtype = text("dtype", Some("f64"))?;
        let peers = row["peers"].as_array().context("`peers` is no list")?.iter();
        let peers = peers
            .map(|peer| peer.as_str().map(|text| Peer::parse(text, &dtype)).context("a peer is no text"));
        let skip = row["skip"].as_object().into_iter().flatten();
        Ok(Row {
            task: text("task", None)?,
            script: text("script", None)?,
            inputs: text("inputs", Some("inputs.py"))?,
            ours: text("ours", Some("peers"))?,
            n: whole("n")?,
            d: whole("d")?,
            threads: whole("threads")?,
            peers: peers.collect::<Result<_>>()?,
            skip: skip.map(|(name, why)| (name.clone(), why.as_str().unwrap_or_default().into())).collect(),
            dtype: dtype.clone(),
            goal: row["goal"].as_f64(),
            tried: row["tried"].as_str().map(str::to_owned),
            limit: row["limit"].as_u64().unwrap_or(60),
        })
    }
}

impl Peer {
    /// `name` in the precision of the row, or `name:f32`.
    fn parse(text: &str, usual: &str) -> Self {
        let (name, dtype) = text.split_once(':').unwrap_or((text, usual));
        Peer { name: name.into(), dtype: dtype.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_plan_of_the_workspace_is_sound_and_its_scripts_are_there() {
        let folder = workspace::root().join("benches/peers");
        let plan = Plan::load(&folder.join("plan.json")).unwrap();
        assert!(plan.rows.len() > 20);
        for row in &plan.rows {
            for script in [&row.script, &row.inputs] {
                assert!(folder.join(script).is_file(), "{script} of {} is missing", row.task);
            }
        }
        for (name, about) in &plan.tasks {
            assert!(!about.is_empty() && plan.rows.iter().any(|row| row.task == *name), "{name} has no row");
        }
    }

    #[test]
    fn defaults_and_mistakes() {
        let plan = |row: &str| {
            let text = format!(r#"{{"tasks": {{"a": "A"}}, "rows": [{row}]}}"#);
            Plan::from_value(&serde_json::from_str(&text).unwrap()).map_err(|e| format!("{e:#}"))
        };
        let good =
            r#"{"task": "a", "script": "a.py", "n": 5, "d": 2, "threads": 1, "peers": ["x", "y:f32"]}"#;
        let row = plan(good).unwrap().rows.remove(0);
        assert_eq!((row.inputs.as_str(), row.ours.as_str(), row.limit), ("inputs.py", "peers", 60));
        assert_eq!(row.peers[1], Peer { name: "y".into(), dtype: "f32".into() });
        assert_eq!((row.dtype.as_str(), row.peers[0].dtype.as_str()), ("f64", "f64"));
        let single = plan(&good.replace("\"n\"", "\"dtype\": \"f32\", \"n\"")).unwrap().rows.remove(0);
        assert_eq!((single.dtype.as_str(), single.peers[0].dtype.as_str()), ("f32", "f32"));
        assert!(plan(&good.replace("\"a\"", "\"b\"")).unwrap_err().contains("b is not described"));
        assert!(plan(&good.replace("\"n\"", "\"m\"")).unwrap_err().contains("unknown key `m`"));
        assert!(plan(&good.replace('5', "\"5\"")).unwrap_err().contains("`n` is no whole number"));
    }
}
