//! The keys of a configuration in words: what `--describe` prints.

use super::schema::{Node, join, shown};
use serde_json::Value;
use std::fmt::Write as _;

/// One key of a configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Key {
    /// The dotted key.
    pub path: String,
    /// Its type in words.
    pub needs: String,
    /// Its default.
    pub default: Value,
    /// Its meaning.
    pub meaning: String,
    /// The words it may be, with the meaning of each.
    pub choices: Vec<(String, String)>,
}

/// Every key that a schema has, sections spelt out, with the defaults given as JSON. Of a tagged section only the keys of
/// the kind that the defaults choose are listed, or those of every kind where there are no defaults.
pub fn keys(schema: &Value, defaults: &Value) -> Vec<Key> {
    let mut out = Vec::new();
    visit(Node::root(schema), defaults, "", &mut out);
    out
}

fn visit(node: Node<'_>, defaults: &Value, path: &str, out: &mut Vec<Key>) {
    let Some(properties) = node.properties() else { return };
    for name in properties.keys() {
        let Some((inner, meaning)) = node.property(name) else { continue };
        let default = defaults.get(name).unwrap_or(&Value::Null);
        let path = join(path, name);
        if inner.properties().is_some() {
            visit(inner, default, &path, out);
        } else if let Some((tag, choices)) = inner.tag() {
            let kind = default.get(tag).cloned().unwrap_or(Value::Null);
            let words: Vec<&str> = choices.iter().map(|(word, _)| word.as_str()).collect();
            let needs = format!("one of {}", words.join(", "));
            let shown = if defaults.is_null() {
                inner.variants()
            } else {
                inner.variant(default).into_iter().collect()
            };
            let tag_path = join(&path, tag);
            out.push(Key { path: tag_path.clone(), needs, default: kind, meaning, choices });
            for variant in shown {
                let mut keys = Vec::new();
                visit(variant, default, &path, &mut keys);
                out.extend(keys.into_iter().filter(|key| key.path != tag_path));
            }
        } else {
            let choices = inner.choices();
            out.push(Key { path, needs: inner.words(), default: default.clone(), meaning, choices });
        }
    }
}

/// A table of keys as plain text.
pub fn describe(keys: &[Key]) -> String {
    let mut text = String::new();
    for key in keys {
        let default = match &key.default {
            Value::String(word) => word.clone(),
            other => shown(other),
        };
        let _ = writeln!(text, "  {} = {default}", key.path);
        let _ = writeln!(text, "      {}", key.meaning);
        if key.choices.is_empty() || key.choices.iter().all(|(_, meaning)| meaning.is_empty()) {
            let _ = writeln!(text, "      needs {}", key.needs);
        } else {
            for (word, meaning) in &key.choices {
                let _ = writeln!(text, "      - {word}: {meaning}");
            }
            if key.needs.ends_with(", or null") {
                let _ = writeln!(text, "      - null");
            }
        }
    }
    text
}
