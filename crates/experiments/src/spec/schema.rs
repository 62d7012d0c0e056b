//! What a JSON schema says about a key: its type in words, whether a value fits, how text becomes a value.

use serde_json::{Map, Value};

/// A schema inside its document, whose references are followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    root: &'a Value,
    here: &'a Value,
}

/// A value that does not fit: where, and what would be right.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Misfit {
    /// A key that the schema does not have.
    Unknown { path: String, known: Vec<String> },
    /// A value of another type or out of range.
    Wrong { path: String, got: String, needs: String },
}

impl<'a> Node<'a> {
    pub(super) fn root(root: &'a Value) -> Self {
        Node { root, here: root }.resolved()
    }

    fn at(self, here: &'a Value) -> Self {
        Node { root: self.root, here }.resolved()
    }

    /// Follows `$ref`. A description beside a reference is read before it is followed.
    fn resolved(self) -> Self {
        let mut here = self.here;
        while let Some(target) = here.get("$ref").and_then(Value::as_str) {
            match target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
                Some(next) => here = next,
                None => break,
            }
        }
        Node { root: self.root, here }
    }

    fn text(self, key: &str) -> Option<&'a str> {
        self.here.get(key).and_then(Value::as_str)
    }

    fn number(self, key: &str) -> Option<f64> {
        self.here.get(key).and_then(Value::as_f64)
    }

    /// The alternatives of `oneOf` or `anyOf`.
    fn alternatives(self) -> Vec<Node<'a>> {
        let list = ["oneOf", "anyOf"].iter().find_map(|key| self.here.get(*key).and_then(Value::as_array));
        list.map(|list| list.iter().map(|v| self.at(v)).collect()).unwrap_or_default()
    }

    fn is_null(self) -> bool {
        self.text("type") == Some("null")
    }

    fn has_type(self, name: &str) -> bool {
        match self.here.get("type") {
            Some(Value::String(only)) => only == name,
            Some(Value::Array(several)) => several.iter().any(|t| t == name),
            _ => false,
        }
    }

    /// Whether null is allowed.
    fn optional(self) -> bool {
        self.has_type("null") || self.alternatives().into_iter().any(Node::is_null)
    }

    /// The schema without the alternative null.
    fn present(self) -> Node<'a> {
        let some: Vec<Node<'a>> = self.alternatives().into_iter().filter(|n| !n.is_null()).collect();
        match some.as_slice() {
            [only] if self.optional() => *only,
            _ => self,
        }
    }

    /// The words an enumeration allows, each with its meaning.
    pub(super) fn choices(self) -> Vec<(String, String)> {
        let node = self.present();
        if let Some(list) = node.here.get("enum").and_then(Value::as_array) {
            return list.iter().filter_map(Value::as_str).map(|word| (word.into(), String::new())).collect();
        }
        let mut out = Vec::new();
        for choice in node.alternatives() {
            if let Some(word) = choice.text("const") {
                out.push((word.to_owned(), one_line(choice.text("description").unwrap_or_default())));
            } else if choice.here.get("enum").is_some() {
                out.extend(choice.choices());
            } else {
                return Vec::new();
            }
        }
        out
    }

    /// The properties of a struct.
    pub(super) fn properties(self) -> Option<&'a Map<String, Value>> {
        self.present().here.get("properties").and_then(Value::as_object)
    }

    /// The schema of a property, and its own description where one stands beside a reference.
    pub(super) fn property(self, name: &str) -> Option<(Node<'a>, String)> {
        let here = self.properties()?.get(name)?;
        let node = self.at(here);
        let beside = here.get("description").and_then(Value::as_str);
        let description = beside.or(node.text("description")).unwrap_or_default();
        Some((node, one_line(description)))
    }

    /// The type in words, as in "steps needs a whole number, at least 1".
    pub(super) fn words(self) -> String {
        let node = self.present();
        let mut words = node.plain_words();
        if self.optional() {
            words.push_str(", or null");
        }
        words
    }

    fn plain_words(self) -> String {
        let choices = self.choices();
        if !choices.is_empty() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| word.as_str()).collect();
            return format!("one of {}", words.join(", "));
        }
        if let Some((_, kinds)) = self.tag() {
            let words: Vec<&str> = kinds.iter().map(|(word, _)| word.as_str()).collect();
            return format!("one of {}, or a section of keys", words.join(", "));
        }
        if self.has_type("boolean") {
            "true or false".into()
        } else if self.has_type("integer") {
            format!("a whole number{}", self.range())
        } else if self.has_type("number") {
            format!("a number{}", self.range())
        } else if self.has_type("string") {
            if self.number("maxLength") == Some(1.0) { "one character".into() } else { "text".into() }
        } else if self.has_type("array") {
            let least = match self.number("minItems") {
                Some(n) if n > 0.0 => format!(", at least {n}"),
                _ => String::new(),
            };
            match self.here.get("items") {
                Some(items) => format!("a list ({} each){least}", self.at(items).words()),
                None => format!("a list{least}"),
            }
        } else if self.properties().is_some() || self.has_type("object") {
            "a section of keys".into()
        } else {
            "JSON".into()
        }
    }

    fn range(self) -> String {
        // Formats bound integers by their width; only bounds that were asked for are told.
        let low = self.number("minimum").map(|v| format!("at least {v}"));
        let above = self.number("exclusiveMinimum").map(|v| format!("above {v}"));
        let high = self.number("maximum").filter(|v| *v < 65_536.0).map(|v| format!("at most {v}"));
        let below = self.number("exclusiveMaximum").map(|v| format!("below {v}"));
        let parts: Vec<String> = [low, above, high, below].into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!(", {}", parts.join(" and ")) }
    }

    /// Text from the command line as a value of this type.
    pub(super) fn coerce(self, text: &str) -> Option<Value> {
        if self.optional() && matches!(text, "null" | "none") {
            return Some(Value::Null);
        }
        let node = self.present();
        if let Some((word, _)) = node.choices().into_iter().find(|(word, _)| word == text) {
            return Some(Value::String(word));
        }
        if !node.choices().is_empty() {
            return None;
        }
        if node.has_type("boolean") {
            return text.parse::<bool>().ok().map(Value::Bool);
        }
        if node.has_type("integer") {
            let plain = text.replace('_', "");
            return plain
                .parse::<u64>()
                .map(Value::from)
                .or_else(|_| plain.parse::<i64>().map(Value::from))
                .ok()
                .or_else(|| {
                    // 1e6 is a whole number to most people.
                    let value: f64 = plain.parse().ok()?;
                    (value.fract() == 0.0 && value.abs() < 9.0e15).then(|| Value::from(value as i64))
                });
        }
        if node.has_type("number") {
            return text.parse::<f64>().ok().filter(|v| v.is_finite()).map(Value::from);
        }
        if node.has_type("string") {
            return Some(Value::String(text.to_owned()));
        }
        if node.has_type("array") && !text.trim_start().starts_with('[') {
            let items = node.here.get("items").map(|v| node.at(v));
            let cells = text.split(',').map(str::trim).filter(|cell| !cell.is_empty());
            let list: Option<Vec<Value>> = cells
                .map(|cell| match items {
                    Some(items) => items.coerce(cell),
                    None => serde_json::from_str(cell).ok(),
                })
                .collect();
            return list.map(Value::Array);
        }
        serde_json::from_str(text).ok()
    }

    /// Whether `value` fits, with the first key that does not.
    pub(super) fn check(self, value: &Value, path: &str) -> Result<(), Misfit> {
        if value.is_null() && self.optional() {
            return Ok(());
        }
        let node = self.present();
        if let (Some(properties), Some(object)) = (node.properties(), value.as_object()) {
            for (name, inner) in object {
                let inner_path = join(path, name);
                let Some((schema, _)) = node.property(name) else {
                    let known = properties.keys().map(|key| join(path, key)).collect();
                    return Err(Misfit::Unknown { path: inner_path, known });
                };
                schema.check(inner, &inner_path)?;
            }
            return Ok(());
        }
        if let Some(variant) = node.variant(value) {
            return variant.check(value, path);
        }
        if let (true, Some(list)) = (node.has_type("array"), value.as_array()) {
            if (list.len() as f64) < node.number("minItems").unwrap_or(0.0) {
                return Err(node.wrong(value, path));
            }
            let Some(items) = node.here.get("items") else { return Ok(()) };
            return list
                .iter()
                .enumerate()
                .try_for_each(|(k, item)| node.at(items).check(item, &format!("{path}[{k}]")));
        }
        if node.fits(value) { Ok(()) } else { Err(self.wrong(value, path)) }
    }

    /// The alternative of a tagged enumeration whose constants agree with the value's.
    pub(super) fn variant(self, value: &Value) -> Option<Node<'a>> {
        let agrees = |node: &Node<'a>| {
            node.properties().is_some_and(|properties| {
                let mut constants =
                    properties.iter().filter_map(|(k, v)| v.get("const").map(|c| (k, c))).peekable();
                constants.peek().is_some()
                    && constants.all(|(key, constant)| value.get(key) == Some(constant))
            })
        };
        self.present().alternatives().into_iter().find(agrees)
    }

    /// The tag of a tagged enumeration, with the words it may be.
    pub(super) fn tag(self) -> Option<(&'a str, Vec<(String, String)>)> {
        let mut words = Vec::new();
        let mut tag = None;
        for node in self.present().alternatives() {
            let mut constants =
                node.properties()?.iter().filter_map(|(k, v)| Some((k, v.get("const")?.as_str()?)));
            let (key, word) = constants.next()?;
            if tag.is_some_and(|tag| tag != key.as_str()) {
                return None;
            }
            tag = Some(key.as_str());
            words.push((word.to_owned(), one_line(node.text("description").unwrap_or_default())));
        }
        Some((tag?, words))
    }

    /// All the alternatives of a tagged enumeration.
    pub(super) fn variants(self) -> Vec<Node<'a>> {
        self.present().alternatives()
    }

    fn fits(self, value: &Value) -> bool {
        let choices = self.choices();
        if !choices.is_empty() {
            return choices.iter().any(|(word, _)| value.as_str() == Some(word));
        }
        if let Some(constant) = self.here.get("const") {
            return value == constant;
        }
        let within = |v: f64| {
            self.number("minimum").is_none_or(|low| v >= low)
                && self.number("maximum").is_none_or(|high| v <= high)
                && self.number("exclusiveMinimum").is_none_or(|low| v > low)
                && self.number("exclusiveMaximum").is_none_or(|high| v < high)
        };
        match value {
            Value::Bool(_) => self.has_type("boolean"),
            Value::Number(n) => {
                let typed = self.has_type("number") || (self.has_type("integer") && !n.is_f64());
                typed && n.as_f64().is_some_and(within)
            }
            Value::String(text) => {
                self.has_type("string")
                    && self.number("maxLength").is_none_or(|most| text.chars().count() as f64 <= most)
            }
            Value::Null => self.has_type("null"),
            Value::Array(_) | Value::Object(_) => {
                // A schema that names no type takes anything.
                self.here.get("type").is_none() && self.alternatives().is_empty()
                    || (value.is_object() && self.has_type("object"))
            }
        }
    }

    pub(super) fn wrong(self, value: &Value, path: &str) -> Misfit {
        Misfit::Wrong { path: path.into(), got: shown(value), needs: self.words() }
    }
}

/// A dotted path.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}

/// A value in a message, cut where it is long.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", crate::data::printable(text)),
        other => crate::data::printable(&other.to_string()),
    }
}

/// The first paragraph of a description in one line.
fn one_line(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}
