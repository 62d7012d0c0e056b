//! Just enough of Rust's lexical grammar to tell code from comments and string literals.

/// What a stretch of source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    /// A `//` line or a block comment.
    Comment,
    /// A string or character literal.
    Text,
}

/// Splits a source file into stretches that, put together, are the file again.
pub(crate) fn split(source: &str) -> Vec<(Kind, &str)> {
    let mut parts = Vec::new();
    let (mut at, mut code_from) = (0, 0);
    while at < source.len() {
        let Some((length, kind)) = literal_or_comment(source, at) else {
            at += 1;
            continue;
        };
        if code_from < at {
            parts.push((Kind::Code, &source[code_from..at]));
        }
        parts.push((kind, &source[at..at + length]));
        at += length;
        code_from = at;
    }
    if code_from < source.len() {
        parts.push((Kind::Code, &source[code_from..]));
    }
    parts
}

/// The length and kind of what begins at `at`; `None` for code.
fn literal_or_comment(source: &str, at: usize) -> Option<(usize, Kind)> {
    let rest = source.get(at..)?;
    if rest.starts_with("//") {
        return Some((rest.find('\n').unwrap_or(rest.len()), Kind::Comment));
    }
    if rest.starts_with("/*") {
        return Some((block_comment(rest), Kind::Comment));
    }
    if rest.starts_with('"') {
        return Some((quoted(rest, '"'), Kind::Text));
    }
    if let Some(raw) = rest.strip_prefix('r') {
        let body = raw.trim_start_matches('#');
        if let Some(body) = body.strip_prefix('"') {
            let before = rest.len() - body.len();
            let end = format!("\"{}", "#".repeat(before - 2));
            return Some((
                body.find(&end).map_or(rest.len(), |found| before + found + end.len()),
                Kind::Text,
            ));
        }
    }
    if let Some(inner) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote after one character.
        let mut characters = inner.chars();
        let first = characters.next()?;
        if first == '\\' || characters.next() == Some('\'') {
            return Some((quoted(rest, '\''), Kind::Text));
        }
    }
    None
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a literal with its quotes, escapes taken into account.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> String {
        split(source).iter().filter(|(kind, _)| *kind == Kind::Code).map(|(_, text)| *text).collect()
    }

    #[test]
    fn literals_and_comments_are_taken_out() {
        for (source, expected) in [
            ("a \"x\\\"y\" b", "a  b"),
            ("a r#\"x\"y\"# b", "a  b"),
            ("a br\"x\" c", "a b c"),
            ("r#type", "r#type"),
            ("a /* x /* y */ z */ b", "a  b"),
            ("a // x\nb", "a \nb"),
            ("a '\"' b '\\'' c 'é' d", "a  b  c  d"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("\"unclosed", ""),
            ("grüße 'x", "grüße 'x"),
        ] {
            assert_eq!(code(source), expected, "{source}");
            let again: String = split(source).into_iter().map(|(_, text)| text).collect();
            assert_eq!(again, source);
        }
    }
}
