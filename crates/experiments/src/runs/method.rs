//! A training method with its settings, as one section of a configuration.

use models::methods::{AnyMethod, all, by_name};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::borrow::Cow;

/// A method by name with its settings: `{"kind": "sliced", …}`. Settings that are not given are the method's defaults.
///
/// Its schema is put together from the registry of methods, so that every key of every method is checked, described and
/// coerced like any other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Choice {
    kind: String,
    settings: Value,
}

const TAG: &str = "kind";

impl Choice {
    /// The method of a name with its default settings.
    ///
    /// # Errors
    /// There is none.
    pub fn new(kind: &str) -> models::Result<Self> {
        Ok(Choice { kind: kind.into(), settings: by_name(kind)?.default_config() })
    }

    /// The method's name.
    pub fn name(&self) -> &str {
        &self.kind
    }

    /// The method.
    ///
    /// # Errors
    /// There is none of the name, which a checked configuration cannot hold.
    pub fn method(&self) -> models::Result<&'static dyn AnyMethod> {
        by_name(&self.kind)
    }

    /// Its settings, without the name.
    pub fn settings(&self) -> &Value {
        &self.settings
    }

    /// Lowers a count that is more than there is, as a batch larger than the data; returns whether it did.
    pub(super) fn at_most(&mut self, key: &str, most: usize) -> bool {
        match self.settings.get_mut(key) {
            Some(value) if value.as_u64().is_some_and(|count| count > most as u64) => {
                *value = json!(most);
                true
            }
            _ => false,
        }
    }
}

impl From<Choice> for Value {
    fn from(choice: Choice) -> Value {
        let mut object = serde_json::Map::new();
        object.insert(TAG.into(), json!(choice.kind));
        if let Value::Object(settings) = choice.settings {
            object.extend(settings);
        }
        Value::Object(object)
    }
}

impl TryFrom<Value> for Choice {
    type Error = models::Error;

    fn try_from(value: Value) -> models::Result<Self> {
        let config = |why: &str| models::Error::Config { what: "method", why: why.into() };
        let Value::Object(mut object) = value else {
            return Err(config("a section with the key kind is needed"));
        };
        let Some(Value::String(kind)) = object.remove(TAG) else {
            return Err(config("the key kind is needed"));
        };
        let method = by_name(&kind)?;
        let mut settings = method.default_config();
        overlay(&mut settings, Value::Object(object));
        method.check(&settings)?;
        Ok(Choice { kind, settings })
    }
}

/// Lays what was given over the defaults; sections of one kind are laid key by key.
fn overlay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) if below.get(TAG) == above.get(TAG) => {
            for (key, value) in above {
                match below.get_mut(&key) {
                    Some(old) => overlay(old, value),
                    None => drop(below.insert(key, value)),
                }
            }
        }
        (below, above) => *below = above,
    }
}

impl JsonSchema for Choice {
    fn schema_name() -> Cow<'static, str> {
        "Method".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let variants: Vec<Value> = all().iter().map(|method| variant(*method, generator)).collect();
        json_schema!({ "oneOf": variants })
    }
}

/// The schema of one method with its name as the tag. Its definitions are renamed, so that those of two methods cannot
/// meet.
fn variant(method: &dyn AnyMethod, generator: &mut SchemaGenerator) -> Value {
    let mut schema = method.schema().to_value();
    let prefix = format!("{}.", method.name());
    rename(&mut schema, &prefix);
    if let Some(Value::Object(definitions)) = schema.as_object_mut().and_then(|object| object.remove("$defs"))
    {
        for (name, definition) in definitions {
            generator.definitions_mut().insert(format!("{prefix}{name}"), definition);
        }
    }
    let mut properties = serde_json::Map::new();
    properties.insert(TAG.into(), json!({ "const": method.name(), "description": "The method." }));
    if let Some(Value::Object(own)) = schema.get("properties") {
        properties.extend(own.clone());
    }
    json!({
        "type": "object",
        "description": method.about(),
        "properties": properties,
        "required": [TAG],
        "additionalProperties": false,
    })
}

fn rename(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| match value {
            Value::String(target) if key == "$ref" => {
                *target = target.replace("#/$defs/", &format!("#/$defs/{prefix}"));
            }
            other => rename(other, prefix),
        }),
        Value::Array(list) => list.iter_mut().for_each(|value| rename(value, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        /// The method.
        method: Choice,
    }

    impl Default for Config {
        fn default() -> Self {
            Config { method: Choice::new("sliced").unwrap() }
        }
    }

    fn with(sets: &[&str]) -> Result<Config, spec::Error> {
        spec::resolve(None, &sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_key_of_every_method_is_reached() {
        for method in all() {
            let config = with(&[&format!("method={}", method.name())]).unwrap();
            assert_eq!(*config.method.settings(), method.default_config(), "{}", method.name());
            // What is written is read back.
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<Config>(&text).unwrap().method, config.method);
        }
        let config = with(&["method=sliced", "method.directions=7", "method.map.net.widths=8,8"]).unwrap();
        assert_eq!(config.method.settings()["directions"], 7);
        assert_eq!(config.method.settings()["map"]["net"]["widths"], json!([8, 8]));
        let config = with(&["method.optim.schedule=cosine"]).unwrap();
        assert_eq!(config.method.settings()["optim"]["schedule"]["kind"], "cosine");
    }

    #[test]
    fn slips_are_told() {
        let error = |set: &str| with(&[set]).unwrap_err().to_string();
        assert!(error("method=slced").contains("needs one of"), "{}", error("method=slced"));
        assert!(
            error("method.directons=3").contains("near: method.directions"),
            "{}",
            error("method.directons=3")
        );
        assert!(error("method.directions=x").contains("needs a whole number"));
    }
}
