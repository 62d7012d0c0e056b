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

/// Every key that a schema has, sections spelt out, with the defaults given as JSON.
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
            for (variant, (word, _)) in inner.variants().into_iter().zip(&choices) {
                let start = out.len();
                let chosen = if kind.as_str() == Some(word) { default } else { &Value::Null };
                visit(variant, chosen, &path, out);
                let tag_path = join(&path, tag);
                out[start..]
                    .iter_mut()
                    .for_each(|key| key.meaning = format!("When {tag} is {word}: {}", key.meaning));
                let mut at = 0;
                out.retain(|key| {
                    at += 1;
                    at <= start || key.path != tag_path
                });
            }
            let at =
                out.iter().position(|key| key.path.starts_with(&format!("{path}."))).unwrap_or(out.len());
            out.insert(at, Key { path: join(&path, tag), needs, default: kind, meaning, choices });
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
