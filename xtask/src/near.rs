//! Names close to a mistyped one.

/// Those of `names` that `typed` may have meant, nearest first, at most three.
pub(crate) fn near<'a>(typed: &str, names: &[&'a str]) -> Vec<&'a str> {
    let mut close: Vec<(usize, &str)> = names
        .iter()
        .filter_map(|name| {
            let distance = edits(typed, name);
            let begins = typed.len() > 1 && name.starts_with(typed);
            (begins || distance <= 1 + name.len() / 4).then_some((if begins { 0 } else { distance }, *name))
        })
        .collect();
    close.sort_by_key(|&(distance, _)| distance);
    close.into_iter().take(3).map(|(_, name)| name).collect()
}

/// `; did you mean a or b?`, or nothing.
pub(crate) fn hint(typed: &str, names: &[&str]) -> String {
    match near(typed, names).as_slice() {
        [] => String::new(),
        close => format!("; did you mean {}?", close.join(" or ")),
    }
}

/// The number of insertions, deletions, replacements and swaps of neighbours between two words (optimal string
/// alignment distance).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replace.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(table[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["libtorch", "experiment", "test", "ci", "tidy", "bench"];

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("tset", "test", 1), ("tidy", "tidy", 0)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
            assert_eq!(edits(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        assert_eq!(near("tset", &NAMES), ["test"]);
        assert_eq!(near("libtroch", &NAMES), ["libtorch"]);
        assert_eq!(near("exp", &NAMES), ["experiment"]);
        assert_eq!(near("experiments", &NAMES), ["experiment"]);
        assert!(near("deploy", &NAMES).is_empty());
        assert_eq!(hint("benhc", &NAMES), "; did you mean bench?");
        assert_eq!(hint("zzz", &NAMES), "");
    }
}
