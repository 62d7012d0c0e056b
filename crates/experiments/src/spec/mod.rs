//! The configuration of an experiment: defaults, then a JSON file, then `--set key=value`, each checked against the
//! schema of the configuration's own type, so that a slip is met with the key and what it needs.

mod describe;
mod near;
mod schema;

pub use describe::{Key, describe, keys};
pub use near::{hint, near_names};

use schema::{Misfit, Node};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A configuration larger than this is no configuration.
const LARGEST_FILE: u64 = 1 << 20;

/// What is wrong with a configuration, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not a JSON object.
    #[error("{}: is not a JSON object of keys: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser met, and where.
        reason: String,
    },
    /// An argument of `--set` without `=`.
    #[error("--set {given}: needs the form key=value")]
    NotKeyValue {
        /// The argument.
        given: String,
    },
    /// A key that the experiment does not have.
    #[error("{origin}: unknown key '{key}'{hint}")]
    UnknownKey {
        /// The file or the argument.
        origin: String,
        /// The key.
        key: String,
        /// The near names.
        hint: String,
    },
    /// A value of another type, or out of range.
    #[error("{origin}: {key} = {got}: needs {needs}")]
    Value {
        /// The file or the argument.
        origin: String,
        /// The key.
        key: String,
        /// The value.
        got: String,
        /// What would be right.
        needs: String,
    },
    /// A key that has no default was not given.
    #[error("{key} is not given: --set {key}={example}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What to write for it.
        example: &'static str,
    },
}

impl Error {
    /// A value that only the experiment itself can judge.
    pub fn value(key: &str, got: impl std::fmt::Display, needs: impl Into<String>) -> Self {
        Error::Value { origin: "config".into(), key: key.into(), got: got.to_string(), needs: needs.into() }
    }
}

/// The schema of a configuration type.
pub fn schema_of<C: JsonSchema>() -> Value {
    schemars::schema_for!(C).to_value()
}

/// The configuration that a file and the arguments of `--set` make of the defaults; arguments come after the file.
///
/// # Errors
/// The file is missing or no JSON object, a key is unknown, a value is of another type or out of range.
pub fn resolve<C>(file: Option<&Path>, sets: &[String]) -> Result<C, Error>
where
    C: Serialize + DeserializeOwned + JsonSchema + Default,
{
    let value = resolve_value(&schema_of::<C>(), default_of::<C>(), file, sets)?;
    decode(value)
}

/// The defaults of a configuration type as JSON.
///
/// # Panics
/// When the type cannot be written as JSON, which its own tests would show.
pub fn default_of<C: Serialize + Default>() -> Value {
    serde_json::to_value(C::default()).expect("a configuration is JSON")
}

/// A checked JSON value as a configuration.
///
/// # Errors
/// The type is stricter than its schema.
pub fn decode<C: DeserializeOwned>(value: Value) -> Result<C, Error> {
    serde_json::from_value(value).map_err(|e| Error::Json { path: "config".into(), reason: e.to_string() })
}

/// [`resolve`] on JSON values: what the registry uses, which knows experiments by name only.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_value(
    schema: &Value,
    defaults: Value,
    file: Option<&Path>,
    sets: &[String],
) -> Result<Value, Error> {
    let root = Node::root(schema);
    let mut value = defaults;
    if let Some(path) = file {
        merge(root, &mut value, read_json(path)?);
        // What was there before is sound, so whatever is wrong now comes from the file.
        root.check(&value, "").map_err(|misfit| misfit.from(&path.display().to_string(), schema))?;
    }
    for argument in sets {
        let Some((key, text)) = argument.split_once('=') else {
            return Err(Error::NotKeyValue { given: crate::data::printable(argument) });
        };
        set(root, &mut value, key.trim(), text).map_err(|misfit| misfit.from("--set", schema))?;
    }
    root.check(&value, "").map_err(|misfit| misfit.from("config", schema))?;
    Ok(value)
}

fn read_json(path: &Path) -> Result<Value, Error> {
    let failed = |e: std::io::Error| Error::File {
        path: path.to_owned(),
        reason: match e.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".into(),
            _ => e.to_string().split(" (os error").next().unwrap_or_default().to_lowercase(),
        },
    };
    let is_file = std::fs::metadata(path).map_err(failed)?.is_file();
    let not_json = |reason: String| Error::Json { path: path.to_owned(), reason };
    if !is_file {
        return Err(not_json("it is not a regular file".into()));
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(not_json("it is larger than a megabyte".into()));
    }
    match serde_json::from_slice(&text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(not_json("it is another kind of value".into())),
        Err(error) => Err(not_json(error.to_string())),
    }
}

/// Lays `layer` over `value`: sections key by key, all else as a whole. A tagged section of another kind is replaced.
fn merge(node: Node<'_>, value: &mut Value, layer: Value) {
    match (value, layer) {
        (Value::Object(below), Value::Object(above))
            if node.tag().is_none_or(|t| same_kind(t.0, below, &above)) =>
        {
            let variant = node.variant(&Value::Object(below.clone()));
            for (key, inner) in above {
                let schema = variant.unwrap_or(node).property(&key).map(|(schema, _)| schema);
                match (below.get_mut(&key), schema) {
                    (Some(old), Some(schema)) if schema.properties().is_some() || schema.tag().is_some() => {
                        merge(schema, old, inner);
                    }
                    _ => {
                        below.insert(key, inner);
                    }
                }
            }
        }
        (value, layer) => *value = layer,
    }
}

fn same_kind(
    tag: &str,
    below: &serde_json::Map<String, Value>,
    above: &serde_json::Map<String, Value>,
) -> bool {
    above.get(tag).is_none_or(|kind| below.get(tag) == Some(kind))
}

/// Sets one dotted key from text.
fn set(root: Node<'_>, value: &mut Value, key: &str, text: &str) -> Result<(), Misfit> {
    let (mut node, mut place, mut path) = (root, value, String::new());
    for name in key.split('.') {
        if let (None, Some((tag, words))) = (node.properties(), node.tag()) {
            if tag == name {
                // Another kind of section begins anew: the keys of the old one mean nothing in it.
                if !words.iter().any(|(word, _)| word == text) {
                    let words: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
                    let needs = format!("one of {}", words.join(", "));
                    return Err(Misfit::Wrong {
                        path: schema::join(&path, name),
                        got: format!("'{text}'"),
                        needs,
                    });
                }
                if place.get(name).and_then(Value::as_str) != Some(text) {
                    *place = serde_json::json!({ name: text });
                }
                return Ok(());
            }
            node = node.variant(place).unwrap_or(node);
        }
        let Some((next, _)) = node.property(name) else {
            let known = node
                .properties()
                .map(|p| p.keys().map(|k| schema::join(&path, k)).collect())
                .unwrap_or_default();
            return Err(Misfit::Unknown { path: schema::join(&path, name), known });
        };
        path = schema::join(&path, name);
        node = next;
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = &mut place[name];
    }
    if let Some((tag, _)) = node.tag().filter(|(_, words)| words.iter().any(|(word, _)| word == text)) {
        // The kind alone, as in method=transport.
        if place.get(tag).and_then(Value::as_str) != Some(text) {
            *place = serde_json::json!({ tag: text });
        }
        return Ok(());
    }
    let parsed = node.coerce(text).ok_or_else(|| node.wrong(&Value::String(text.into()), &path))?;
    node.check(&parsed, &path)?;
    *place = parsed;
    Ok(())
}

impl Misfit {
    /// The error, naming where the value came from, with near names among all keys.
    fn from(self, origin: &str, schema: &Value) -> Error {
        let origin = origin.to_owned();
        match self {
            Misfit::Wrong { path, got, needs } => Error::Value { origin, key: path, got, needs },
            Misfit::Unknown { path, known } => {
                let all: Vec<String> = keys(schema, &Value::Null).into_iter().map(|key| key.path).collect();
                let mut near = hint(&path, all.iter().map(String::as_str));
                if near.is_empty() {
                    near = hint(&path, known.iter().map(String::as_str));
                }
                Error::UnknownKey { origin, key: crate::data::printable(&path), hint: near }
            }
        }
    }
}

/// The arguments of `--set` that make `config` of the defaults: one for each key that differs, tagged sections and other
/// values that are no plain text as JSON.
pub fn sets(defaults: &Value, config: &Value) -> Vec<String> {
    let mut out = Vec::new();
    collect_sets(defaults, config, "", &mut out);
    out
}

fn collect_sets(default: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
    if default == value {
        return;
    }
    if let (Value::Object(below), Value::Object(above)) = (default, value)
        && above.len() == below.len()
        && above.keys().all(|key| below.contains_key(key))
    {
        above.iter().for_each(|(key, v)| collect_sets(&below[key], v, &schema::join(path, key), out));
        return;
    }
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    out.push(format!("{path}={text}"));
}

#[cfg(test)]
mod tests;
