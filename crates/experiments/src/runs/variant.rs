//! A method with settings that differ from its defaults, as one word of a configuration: `flow_matching:coupling.kind=optimal`.

use crate::failure::{Failure, Result};
use models::methods::{AnyMethod, by_name};
use serde_json::Value;

/// A method with its settings.
pub(super) struct Variant {
    pub(super) label: String,
    pub(super) method: &'static dyn AnyMethod,
    pub(super) settings: Value,
}

impl Variant {
    /// `name`, or `name:path=value;path=value`; a value is JSON, or a word. A section that is chosen by its kind is replaced by
    /// `{"kind": word}` and has the defaults of that kind.
    ///
    /// # Errors
    /// There is no such method, or it refuses a setting; the message names it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (name, sets) = text.split_once(':').unwrap_or((text, ""));
        let method = by_name(name)?;
        let mut settings = method.default_config();
        for set in sets.split(';').filter(|set| !set.trim().is_empty()) {
            lay(&mut settings, set.trim())?;
        }
        method.check(&settings)?;
        Ok(Variant { label: text.into(), method, settings })
    }
}

/// Lays `path.of.keys=value` over settings. A path that ends in `kind` makes a new section.
pub(super) fn lay(settings: &mut Value, set: &str) -> Result<()> {
    let wrong = |why: &str| Failure::Usage(format!("'{}' {why}", crate::data::printable(set)));
    let (path, text) = set.split_once('=').ok_or_else(|| wrong("needs the form key.key=value"))?;
    let mut value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into()));
    let mut keys: Vec<&str> = path.split('.').collect();
    if keys.len() > 1 && keys.last() == Some(&"kind") {
        keys.pop();
        value = serde_json::json!({ "kind": value });
    }
    let mut place = settings;
    for key in keys {
        let object = place.as_object_mut().ok_or_else(|| wrong("goes below a key that has none"))?;
        place = object.entry(key).or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_laid_over_the_defaults() {
        let plain = Variant::parse("flow_matching").unwrap();
        assert_eq!(plain.settings, plain.method.default_config());
        let other = Variant::parse("flow_matching:coupling.kind=optimal;batch=64;optim.lr=0.5").unwrap();
        assert_eq!(other.settings["coupling"]["kind"], "optimal");
        assert_eq!(other.settings["batch"], 64);
        assert_eq!(other.settings["optim"]["lr"], 0.5);
        let error = |text: &str| Variant::parse(text).map(|v| v.label).unwrap_err().to_string();
        assert!(error("flow_matchin").contains("is not known"));
        assert!(error("flow_matching:btch=3").contains("btch"));
        assert!(error("flow_matching:batch").contains("needs the form"));
    }
}
