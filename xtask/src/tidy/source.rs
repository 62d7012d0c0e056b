//! What must not stand in the source: unfinished code and tests that do not run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::lexer::{Kind, split};

/// Looks through every Rust file and every README below the folders.
pub(crate) fn check(folders: &[PathBuf]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in folders {
        collect(folder, &mut files).with_context(|| format!("could not read {}", folder.display()))?;
    }
    files.sort();
    let mut problems = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        let found =
            if file.extension().is_some_and(|e| e == "md") { in_markdown(&text) } else { in_rust(&text) };
        problems.extend(found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.display())));
    }
    Ok(problems)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") || name == "README.md" {
            files.push(path);
        }
    }
    Ok(())
}

/// The line and the fault of each.
type Found = Vec<(usize, String)>;

fn in_rust(text: &str) -> Found {
    let mut found = Vec::new();
    // The code alone, every line in its place.
    let mut code = String::new();
    let parts = split(text);
    for &(kind, part) in &parts {
        let line = 1 + newlines(&code);
        match kind {
            Kind::Code => code.push_str(part),
            Kind::Comment | Kind::Text => code.extend(part.chars().filter(|&c| c == '\n').chain([' '])),
        }
        if kind == Kind::Comment {
            let bodies = part.lines().map(|line| line.trim_start_matches(['/', '*', '!', ' ']));
            found.extend(in_fences(bodies).into_iter().map(|(n, what)| (line + n, what)));
        }
    }
    for name in ["todo", "unimplemented"] {
        let calls = occurrences(&code, name).filter(|(_, rest)| rest.trim_start().starts_with('!'));
        found.extend(calls.map(|(before, _)| (1 + newlines(before), format!("`{name}!` is left"))));
    }
    // A test that starts another one as a process of its own, to kill it, hides that one from ordinary runs.
    let starts_ignored = parts.contains(&(Kind::Text, "\"--ignored\""));
    let ignored = occurrences(&code, "ignore").filter(|(before, rest)| {
        let attribute = before.rfind("#[").is_some_and(|at| !before[at..].contains(']'));
        !starts_ignored && attribute && rest.trim_start().starts_with([']', '=', ')'])
    });
    found.extend(
        ignored.map(|(before, _)| (1 + newlines(before), "a test with #[ignore] never runs".to_string())),
    );
    found.sort();
    found
}

fn in_markdown(text: &str) -> Found {
    in_fences(text.lines()).into_iter().map(|(n, what)| (n + 1, what)).collect()
}

/// Examples that are not compiled. Lines count from nought.
fn in_fences<'a>(lines: impl Iterator<Item = &'a str>) -> Found {
    lines
        .enumerate()
        .filter(|(_, line)| {
            line.trim_start()
                .strip_prefix("```")
                .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == "ignore"))
        })
        .map(|(n, _)| (n, "an example marked `ignore` is not compiled".to_string()))
        .collect()
}

/// The text before and after each occurrence of `word` as a whole word.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).filter_map(move |(at, _)| {
        let (before, rest) = (&code[..at], &code[at + word.len()..]);
        (!before.ends_with(part_of_name) && !rest.starts_with(part_of_name)).then_some((before, rest))
    })
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        in_rust(text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_eq!(lines("fn f() {\n    todo!()\n}\nfn g() { unimplemented ! (\"later\") }"), [2, 4]);
        assert_eq!(lines("#[test]\n#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}"), [2, 4]);
        assert_eq!(lines("#[cfg_attr(debug_assertions, ignore)]\nfn a() {}"), [1]);
        assert_eq!(lines("let s = \"a\n\";\n#[cfg_attr(feature = \"x\", ignore)]\nfn a() {}"), [3]);
        assert_eq!(lines("/// ```ignore\n/// x\n/// ```\nfn a() {}\n//! ```rust,ignore"), [1, 5]);
    }

    #[test]
    fn words_elsewhere_are_not() {
        for fine in [
            "// todo!() and #[ignore] in a comment",
            "let s = \"todo!() #[ignore]\";",
            "let s = r#\"unimplemented!() \" #[ignore]\"#;",
            "fn mytodo() {} mytodo!();",
            "let ignore = 1; f(ignore)",
            "#[must_use] fn ignore() {}",
            "#[test]\n#[ignore = \"the child\"]\nfn a() {}\nfn b() { start(&[\"a\", \"--exact\", \"--ignored\"]) }",
            "/// ```\n/// let x = 1;\n/// ```\nfn a() {}",
            "let c = '\"'; // todo!()",
        ] {
            assert_eq!(in_rust(fine), [], "{fine}");
        }
    }

    #[test]
    fn readmes_are_read_too() {
        assert_eq!(in_markdown("# A\n\n```rust,ignore\nx\n```\n").len(), 1);
        assert_eq!(in_markdown("# A\n\n```rust\nx\n```\n```text\nignore\n```\n"), []);
    }
}
